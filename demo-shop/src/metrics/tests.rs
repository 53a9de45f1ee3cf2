use super::*;
use std::time::Duration;

#[test]
fn the_page_is_what_prometheus_reads() {
    let (metrics, health) = (Metrics::default(), Health::default());
    metrics.submitted.add(3);
    metrics.completed.add(2);
    metrics.failed.add(1);
    metrics.busy.add(2);
    metrics.busy.sub(1);
    metrics.processing.observe(Duration::from_millis(5200));
    metrics.wait.observe(Duration::from_secs(40));
    metrics.wait.observe(Duration::from_secs(4000));
    let kind = RequestKind { route: "/submit", method: "POST", code: 303 };
    metrics.requests.observe(kind, Duration::from_millis(20));
    health.register("store").up();
    health.register("worker").down("refused");
    let reading = Reading { messages: 42, ..Reading::default() };
    let (page, golden) = (metrics.render(Some(&reading), &health), "src/metrics/testdata/page.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &page).unwrap();
    }
    assert_eq!(page, std::fs::read_to_string(golden).unwrap(), "UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn an_unknown_depth_is_absent() {
    let page = Metrics::default().render(None, &Health::default());
    assert!(!page.contains("messages"), "{page}");
}

#[test]
fn a_gauge_does_not_fall_below_zero() {
    let number = Number::default();
    number.add(1);
    number.sub(2);
    assert_eq!(number.get(), 0);
}
