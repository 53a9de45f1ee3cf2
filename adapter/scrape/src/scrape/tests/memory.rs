//! What a scrape holds at most, and what it keeps.

use super::*;
use crate::relabel::{RegexRoom, Relabeling};

/// Bytes on the heap at most while `work` runs; nothing else runs on its thread.
fn peak<F: Future>(work: F) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    allocation_counter::measure(|| {
        runtime.block_on(work);
    })
    .bytes_max
}

#[test]
fn no_pod_can_make_a_scrape_hold_more_than_its_limit() {
    const LIMIT: usize = 1 << 20;
    // What the HTTP machinery, the sockets and the double of the pod take besides.
    const REST: u64 = 512 << 10;
    let config = Config { body_limit: LIMIT, ..patient() };
    let bomb: &'static [u8] = with_body("Content-Encoding: gzip", &gzip(&vec![b'\n'; 64 << 20])).leak();
    let check = |what: &str, times: u64, head: &'static str, piece: &'static [u8]| {
        let peak = peak(async {
            let pod = Pod::pouring(head, piece).await;
            let mut stage = Stage::new(pod.address, &config);
            assert_eq!(stage.scrape().await.failure.unwrap().kind, FailureKind::Limit, "{what}");
        });
        println!("{what}: {peak} bytes");
        assert!(peak <= times * LIMIT as u64 + REST, "{what}: {peak} bytes");
    };
    check("a declared gigabyte", 0, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", b"x");
    // A buffer that grows is there twice for a moment, the second time with half the size.
    check("an endless page", 2, "HTTP/1.1 200 OK\r\n\r\n", b"metric{label=\"value\"} 1\n");
    check("an endless line", 2, "HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4096]);
    check("an endless head", 0, "HTTP/1.1 200 OK\r\nX: ", &[b'x'; 4096]);
    check("a gzip bomb", 3, "", bomb);
}

/// A page of so many series.
fn page(series: usize) -> String {
    let line =
        |n| format!("http_requests_total{{method=\"GET\",path=\"/api/v1/resource/{n}\",code=\"200\"}} {n}\n");
    (0..series).map(line).collect()
}

/// Once buffers have their size and the layout is known, with rules and without.
#[test]
fn a_steady_scrape_allocates_nothing() {
    let rules = serde_json::json!([
        {"action": "drop", "sourceLabels": ["path"], "regex": ".*[13579]"},
        {"sourceLabels": ["code"], "targetLabel": "status"},
    ]);
    let bounds = Config::default().monitor_settings().relabeling;
    let relabeling = Relabeling::read(
        rules.as_array().unwrap(),
        &bounds,
        &mut RegexRoom::new(1 << 20, 1 << 20),
        &mut Vec::new(),
    );
    let deadline = Some(Duration::from_secs(300));
    for terms in [None, Some(Arc::new(Terms::new("", None, deadline, relabeling)))] {
        check_steady_scrape(terms);
    }
}

fn check_steady_scrape(terms: Option<Arc<Terms>>) {
    let series = if terms.is_some() { 250 } else { 500 };
    let response = ok("", &page(500));
    // The double of the pod has a thread of its own, so that only the scrape is counted.
    let (address, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let pod = Pod::new(move |stream, seen| keep_serving(stream, seen, response.clone())).await;
            address.send(pod.address).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let address = told.recv().unwrap();
    let mut stage = Stage::new(address, &patient());
    stage.slot = stage.scrape.open(target(&mut stage.writer, "steady", address, Scheme::Http), terms);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scrape = |stage: &mut Stage, times| {
        runtime.block_on(async {
            for _ in 0..times {
                assert!(stage.scrape.scrape(&mut stage.slot).await);
            }
        });
    };
    scrape(&mut stage, 20);
    let once = allocation_counter::measure(|| scrape(&mut stage, 1));
    let often = allocation_counter::measure(|| scrape(&mut stage, 101));
    // What entering the runtime takes is in both.
    assert_eq!(often.count_total - once.count_total, 0, "{often:?}, and {once:?} of one scrape");
    assert!(stage.counts("scrape_pages_total{layout=\"known\"} 120"));
    assert_eq!(stage.slot.target().page(|page| page.layout().len()), Some(series));
}

#[tokio::test]
async fn a_page_that_is_only_announced_holds_no_memory() {
    let pod = Pod::new(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 16777216\r\n\r\n#").await.unwrap();
        std::future::pending().await
    })
    .await;
    let mut stage = Stage::new(pod.address, &patient());
    let budget = stage.scrape.fetcher.budget.clone();
    let all = budget.available_bytes();
    let mut scrape = Box::pin(stage.scrape());
    while budget.available_bytes() == all {
        assert!(futures::poll!(&mut scrape).is_pending());
        tokio::task::yield_now().await;
    }
    let held = all - budget.available_bytes();
    assert!(held <= 16 << 10, "{held} bytes are held for one that came");
    drop(scrape);
    assert_eq!(budget.available_bytes(), all);
}
