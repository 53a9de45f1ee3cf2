//! Pages that are too large, and pages of just the size.

use super::*;

#[tokio::test]
async fn pages_that_are_too_large() {
    let message = "the page is larger than 16 MiB (--scrape-body-limit)";
    let long_line: &'static [u8] = &[b'x'; 64 << 10];
    let cases = [
        // Refused before any of it is read: this pod sends nothing of it.
        Pod::sending("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").await,
        Pod::pouring("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", long_line).await,
        Pod::pouring("HTTP/1.1 200 OK\r\n\r\n", b"metric{label=\"value\"} 1\n").await,
        Pod::pouring("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"8\r\nmmm 111\n\r\n").await,
        Pod::sending(with_body("Content-Encoding: gzip", &gzip(&vec![b'\n'; (16 << 20) + 1]))).await,
    ];
    for pod in cases {
        check_failure(&patient(), &pod, FailureKind::Limit, message).await;
    }
    // A head without end is not waited for either.
    let pod = Pod::pouring("HTTP/1.1 200 OK\r\nX: ", long_line).await;
    let message =
        "the response's head is larger than 16 KiB or has more than 100 headers (--scrape-header-limit)";
    check_failure(&patient(), &pod, FailureKind::Limit, message).await;
}

#[tokio::test]
async fn a_page_of_just_the_limit_is_taken() {
    let page = format!("{PAGE}\n#{}", " ".repeat(1000));
    let config = Config { body_limit: page.len(), ..patient() };
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{page}\r\n0\r\n\r\n",
        page.len()
    );
    for response in [
        ok("", &page).into_bytes(),
        chunked.into_bytes(),
        with_body("Content-Encoding: gzip", &gzip(page.as_bytes())),
    ] {
        let pod = Pod::sending(response).await;
        assert_eq!(Stage::new(pod.address, &config).scrape().await.failure, None);
    }
}

#[tokio::test]
async fn a_page_of_one_long_line() {
    let line = format!("m{{v=\"{}\"}} 1\n", "x".repeat(10 << 20));
    let pod = Pod::sending(ok("", &line)).await;
    let message =
        "not a metrics page (line 1: the line is longer than 65536 bytes); is prometheus.io/path right?";
    check_failure(&patient(), &pod, FailureKind::Page, message).await;
    // The rest of such a page counts.
    let pod = Pod::sending(ok("", &format!("{line}messages 7\n"))).await;
    let mut stage = Stage::new(pod.address, &patient());
    assert_eq!(stage.scrape().await.failure, None);
    assert_eq!(stage.value("messages"), Some(7.0));
}

#[tokio::test]
async fn a_million_label_values() {
    let page: String = (0..1_000_000).map(|n| format!("m{{v=\"{n}\"}} 1\n")).collect();
    let pod = Pod::sending(ok("", &page)).await;
    let config = Config { body_limit: 64 << 20, ..patient() };
    let message = "the page has more than 50000 series (--scrape-series-limit)";
    check_failure(&config, &pod, FailureKind::Limit, message).await;
}

#[tokio::test]
async fn a_full_store_refuses_and_says_so() {
    let pod = Pod::sending(ok("", "a 1\nb 2\nc 3\n")).await;
    let store = podgauge_store::Config { series: 2, ..podgauge_store::Config::default() };
    let mut stage = Stage::with(pod.address, &patient(), Scheme::Http, store);
    let failure = stage.scrape().await.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Limit);
    assert_eq!(&*failure.message, "the store already holds the 2 series that it may (--series-limit)");
}

#[tokio::test]
async fn the_last_good_page_stays_until_it_is_too_old() {
    let pod = Pod::sending(ok("", PAGE)).await;
    let mut stage = Stage::new(pod.address, &patient());
    stage.scrape().await;
    drop(pod);
    *stage.clock.lock().unwrap() += 15_000;
    let status = stage.scrape().await;
    assert_eq!(status.failure.unwrap().kind, FailureKind::Connect);
    assert_eq!(status.last_success, Some(Timestamp::from_millis(NOW)));
    assert_eq!(stage.value("messages"), Some(7.0));
    assert_eq!(stage.slot.target().page(|page| page.taken()), Some(Timestamp::from_millis(NOW)));
}

#[tokio::test]
async fn a_large_page_waits_for_its_turn_and_others_do_not() {
    let large = Pod::sending(ok("", &format!("{PAGE}\n#{}", " ".repeat(INLINE_BYTES)))).await;
    let small = Pod::sending(ok("", PAGE)).await;
    let mut stage = Stage::new(large.address, &Config::default());
    stage.scrape.offload = Offload::with_turns(1);
    let turn = stage.scrape.offload.turn().await;
    let mut other = stage.scrape.open(target(&mut stage.writer, "small", small.address, Scheme::Http), None);
    assert!(stage.scrape.scrape(&mut other).await);
    let endpoint = stage.slot.target().endpoint();
    let fetched = stage.scrape.fetcher.fetch(endpoint, &mut None).await.unwrap();
    tokio::time::pause();
    let error = stage.scrape.read(&stage.slot, fetched, Instant::now()).await.unwrap_err();
    tokio::time::resume();
    assert_eq!(error.kind, FailureKind::Timeout);
    assert_eq!(error.message, "timed out after 10s while waiting for a turn behind other large pages");
    drop(turn);
    assert_eq!(stage.scrape().await.failure, None);
    assert_eq!(stage.value("messages"), Some(7.0));
}
