//! Good pages, however they come.

use super::*;

#[tokio::test]
async fn pages_are_taken_however_they_come() {
    let text = "Content-Type: text/plain; version=0.0.4\r\n";
    let cases: [(&str, Vec<u8>); 11] = [
        ("with a length", ok(text, PAGE).into()),
        ("until the end", format!("HTTP/1.1 200 OK\r\n\r\n{PAGE}").into()),
        ("by HTTP/1.0", format!("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n{PAGE}").into()),
        (
            "in chunks",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16\r\n{}\r\n{:x};ext=1\r\n{}\r\n0\r\n\r\n",
                &PAGE[..22],
                PAGE.len() - 22,
                &PAGE[22..]
            )
            .into(),
        ),
        (
            "in chunks with trailers",
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n{:x}\r\n{PAGE}\r\n0\r\nX-T: 1\r\n\r\n",
                PAGE.len()
            )
            .into(),
        ),
        ("after an interim answer", format!("HTTP/1.1 103 Early Hints\r\n\r\n{}", ok("", PAGE)).into()),
        ("without a type", ok("", PAGE).into()),
        ("as HTML", ok("Content-Type: text/html\r\n", PAGE).into()),
        (
            "as OpenMetrics",
            ok(
                "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n",
                "# TYPE messages gauge\nmessages 7\n# EOF\n",
            )
            .into(),
        ),
        ("compressed unasked", with_body("Content-Encoding: gzip", &gzip(PAGE.as_bytes()))),
        ("uncompressed and saying so", with_body("Content-Encoding: identity", PAGE.as_bytes())),
    ];
    for (what, response) in cases {
        let pod = Pod::sending(response).await;
        let mut stage = Stage::new(pod.address, &patient());
        let status = stage.scrape().await;
        assert_eq!(status.failure, None, "{what}");
        assert_eq!(stage.value("messages"), Some(7.0), "{what}");
        assert_eq!(status.last_success, Some(Timestamp::from_millis(NOW)), "{what}");
    }
}

#[tokio::test]
async fn a_request_offers_formats_and_carries_nothing_secret() {
    let pod = Pod::sending(ok("", PAGE)).await;
    let mut stage = Stage::new(pod.address, &Config::default());
    stage.scrape().await;
    let request = pod.seen.requests.lock().unwrap()[0].to_ascii_lowercase();
    let mut lines: Vec<&str> = request.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "get /metrics?x=1 http/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", pod.address);
    assert_eq!(
        lines,
        [
            "accept-encoding: identity",
            "accept: application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
            &host,
            concat!("user-agent: podgauge/", env!("CARGO_PKG_VERSION")),
            "x-prometheus-scrape-timeout-seconds: 10",
        ]
    );
}

#[tokio::test]
async fn what_samples_are_goes_by_their_family() {
    let page = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n\
                # TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\n\
                # TYPE gh gaugehistogram\ngh_bucket{le=\"+Inf\"} 1\ngh_gsum 1\ngh_gcount 1\n\
                # TYPE c counter\nc_total 5\nc_created 1\n\
                # TYPE g gauge\ng_total 5\nloose_total 1\nloose_count 1\n\
                # TYPE i info\ni_info{v=\"1\"} 1\n# EOF\n";
    let kinds = [
        ("h_bucket", Kind::Bucket),
        ("h_sum", Kind::Sum),
        ("h_count", Kind::Count),
        ("s", Kind::Quantile),
        ("s_sum", Kind::Sum),
        ("s_count", Kind::Count),
        ("gh_bucket", Kind::Gauge),
        ("gh_gsum", Kind::Gauge),
        ("gh_gcount", Kind::Gauge),
        ("c_total", Kind::Counter),
        ("c_created", Kind::Gauge),
        ("loose_total", Kind::Counter),
        ("loose_count", Kind::Gauge),
        ("i_info", Kind::Gauge),
    ];
    let pod = Pod::sending(ok("Content-Type: application/openmetrics-text\r\n", page)).await;
    let mut stage = Stage::new(pod.address, &patient());
    assert_eq!(stage.scrape().await.failure, None);
    let target = stage.slot.target();
    for (name, kind) in kinds {
        assert_eq!(
            target.page(|page| page.layout().name(name).map(|name| name.kind)),
            Some(Some(kind)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_samples_own_time_counts() {
    let page = format!("a 1 {}\nb 2\nc 3 {}\n", NOW - 5_000, NOW + 60_000);
    let pod = Pod::sending(ok("", &page)).await;
    let mut stage = Stage::new(pod.address, &patient());
    assert_eq!(stage.scrape().await.failure, None);
    for (id, at) in [(0, NOW - 5_000), (1, NOW), (2, NOW)] {
        let sample = stage.slot.target().page(|page| page.newest(id)).unwrap().unwrap();
        assert_eq!(sample.at, Timestamp::from_millis(at), "sample {id}");
    }
}

#[tokio::test]
async fn the_time_of_a_page_is_when_it_was_asked_for() {
    let clock: Arc<Mutex<Option<Arc<Mutex<i64>>>>> = Arc::default();
    let told = Arc::clone(&clock);
    let pod = Pod::new(move |mut stream, _| {
        let clock = Arc::clone(&told);
        async move {
            // The pod takes two seconds to answer.
            *clock.lock().unwrap().as_ref().unwrap().lock().unwrap() += 2_000;
            stream.write_all(ok("", PAGE).as_bytes()).await.unwrap();
        }
    })
    .await;
    let mut stage = Stage::new(pod.address, &patient());
    *clock.lock().unwrap() = Some(Arc::clone(&stage.clock));
    assert_eq!(stage.scrape().await.last_success, Some(Timestamp::from_millis(NOW)));
}

#[tokio::test]
async fn nan_is_no_sample() {
    let page: String = (0..100).map(|n| format!("m{{n=\"{n}\"}} NaN\n")).collect();
    let pod = Pod::sending(ok("", &page)).await;
    let mut stage = Stage::new(pod.address, &patient());
    assert_eq!(stage.scrape().await.failure, None);
    assert_eq!(stage.slot.target().page(|page| page.layout().len()), Some(100));
    assert_eq!(stage.value("m"), None);
}

#[tokio::test]
async fn malformed_lines_are_passed_over_and_counted() {
    let pod = Pod::sending(ok("", "a 1\nb{x=} 2\nc 3\n{{{\na 4\n")).await;
    let mut stage = Stage::new(pod.address, &patient());
    let outcome = stage.scrape().await.last_outcome.unwrap();
    assert_eq!(outcome.rejected, 3);
    assert_eq!(
        outcome.first_rejected.as_deref(),
        Some("line 2, byte 5: a label's value must be in double quotes")
    );
    assert_eq!((stage.value("a"), stage.value("c")), (Some(1.0), Some(3.0)));
    assert!(stage.counts("scrape_lines_rejected_total 3"));
}

#[tokio::test]
async fn pods_of_a_workload_share_what_is_known_of_their_page() {
    let pod = Pod::new(|stream, seen| keep_serving(stream, seen, ok("", "a 1\nb{x=\"y\"} 2\n"))).await;
    let mut stage = Stage::new(pod.address, &patient());
    let mut second =
        stage.scrape.open(target(&mut stage.writer, "backend-2", pod.address, Scheme::Http), None);
    // The first scrape parses, the second finds the same and keeps the shape, the third knows it.
    for _ in 0..3 {
        stage.scrape().await;
    }
    assert!(stage.counts("scrape_pages_total{layout=\"new\"} 1"));
    assert!(stage.counts("scrape_pages_total{layout=\"found\"} 1"));
    assert!(stage.counts("scrape_pages_total{layout=\"known\"} 1"));
    // The other pod finds it at its first scrape.
    for _ in 0..2 {
        assert!(stage.scrape.scrape(&mut second).await);
    }
    assert!(stage.counts("scrape_pages_total{layout=\"new\"} 1"));
    assert!(stage.counts("scrape_pages_total{layout=\"found\"} 2"));
    assert!(stage.counts("scrape_pages_total{layout=\"known\"} 2"));
    let layout = |slot: &Slot| slot.target().page(|page| Arc::as_ptr(page.layout()));
    assert_eq!(layout(&stage.slot), layout(&second));
    assert_eq!(value(second.target(), "b"), Some(2.0));
}
