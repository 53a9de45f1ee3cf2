//! Pods that answer wrongly, or not at all.

use super::*;

#[tokio::test]
async fn answers_that_are_no_page() {
    let redirects = "and redirects are not followed; set the annotations prometheus.io/scheme, /port and /path to where the page is";
    let not_http = "the answer is not HTTP/1; if the port speaks TLS, set prometheus.io/scheme to https";
    let cut_off = "the pod closed the connection before its answer was complete";
    let large_head =
        "the response's head is larger than 16 KiB or has more than 100 headers (--scrape-header-limit)";
    let noise: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (status, protocol, limit, page) =
        (FailureKind::HttpStatus, FailureKind::Protocol, FailureKind::Limit, FailureKind::Page);
    let huge_header = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(20 << 10));
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101));
    let cases: Vec<(Vec<u8>, FailureKind, String)> = vec![
        (
            b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nbang".into(),
            status,
            "HTTP 500 from /metrics".into(),
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n".into(), status, "HTTP 204 from /metrics: no page".into()),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".into(),
            status,
            format!("HTTP 302 from /metrics redirects to \"/elsewhere\", {redirects}"),
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n".into(), protocol, not_http.into()),
        (b"\x15\x03\x03\x00\x02\x02\x46".into(), protocol, not_http.into()),
        (noise.clone(), protocol, not_http.into()),
        (PAGE.into(), protocol, not_http.into()),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\na 1\n".into(),
            protocol,
            "the answer's head is not valid: invalid content-length parsed".into(),
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na 1\n".into(),
            protocol,
            "the answer's head is not valid: invalid content-length parsed".into(),
        ),
        (
            b"HTTP/1.1 200 OK\r\nno header\r\n\r\na 1\n".into(),
            protocol,
            "the answer's head is not valid: invalid HTTP header parsed".into(),
        ),
        (b"".into(), protocol, cut_off.into()),
        (b"HTTP/1.1 200 OK\r\nContent-".into(), protocol, cut_off.into()),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\n".into(), protocol, cut_off.into()),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n".into(),
            protocol,
            cut_off.into(),
        ),
        (huge_header.into(), limit, large_head.into()),
        (many_headers.into(), limit, large_head.into()),
        (
            with_body("Content-Encoding: br", b"whatever"),
            protocol,
            "the page is encoded as \"br\", which was not asked for".into(),
        ),
        (
            with_body("Content-Encoding: gzip", PAGE.as_bytes()),
            protocol,
            "the page is said to be gzip and is not".into(),
        ),
        (
            with_body("Content-Encoding: x-gzip", &[gzip(PAGE.as_bytes()), gzip(b"")].concat()),
            protocol,
            "the page goes on after its first gzip member; one is all that is read".into(),
        ),
        (
            ok("", "<!DOCTYPE html>\n<html></html>\n").into(),
            page,
            "not a metrics page (line 1, byte 1: a metric name must start with a letter, `_` or `:`, \
             or be quoted inside the braces); is prometheus.io/path right?"
                .into(),
        ),
        (
            ok("Content-Type: application/openmetrics-text\r\n", "a 1\n").into(),
            page,
            "the page is cut off: OpenMetrics without `# EOF` at its end".into(),
        ),
    ];
    for (response, kind, message) in cases {
        let pod = Pod::sending(response).await;
        check_failure(&patient(), &pod, kind, &message).await;
    }
    // Which line of noise is the first to be judged, and how, is the parser's business.
    let pod = Pod::sending(with_body("", &noise)).await;
    let failure = Stage::new(pod.address, &patient()).scrape().await.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Page);
    assert!(failure.message.starts_with("not a metrics page (line "), "{}", failure.message);
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let other = Pod::sending(ok("", PAGE)).await;
    for code in [301, 302, 303, 307, 308] {
        let location = format!("http://{}/metrics", other.address);
        let pod = Pod::sending(format!(
            "HTTP/1.1 {code} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        let mut stage = Stage::new(pod.address, &patient());
        let failure = stage.scrape().await.failure.unwrap();
        assert!(failure.message.contains(&location), "{}", failure.message);
        assert_eq!(pod.seen.connections.load(Ordering::SeqCst), 1);
    }
    assert_eq!(other.seen.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nothing_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut stage = Stage::new(address, &patient());
    let failure = stage.scrape().await.failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Connect);
    assert_eq!(&*failure.message, format!("connection refused: nothing listens on port {}", address.port()));
    assert_eq!(failure.at, Timestamp::from_millis(NOW));
}

#[tokio::test]
async fn a_pod_that_resets() {
    let reset = |response: &'static str| {
        Pod::new(move |mut stream, _| async move {
            stream.write_all(response.as_bytes()).await.unwrap();
            stream.set_zero_linger().unwrap();
        })
    };
    for response in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\n"] {
        let pod = reset(response).await;
        check_failure(&patient(), &pod, FailureKind::Protocol, "the pod reset the connection").await;
    }
}

/// The pod is left hanging; only then time is made to go by.
#[tokio::test]
async fn a_pod_that_hangs_costs_its_deadline() {
    let drip: fn(TcpStream, Arc<Seen>) -> futures::future::BoxFuture<'static, ()> = |mut stream, seen| {
        async move {
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await);
            seen.asked.notify_one();
            // For ever, as far as a scrape is concerned.
            while stream.write_all(b"#").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        .boxed()
    };
    let silent: fn(TcpStream, Arc<Seen>) -> futures::future::BoxFuture<'static, ()> = |stream, _| {
        async move {
            let _open = stream;
            std::future::pending().await
        }
        .boxed()
    };
    let head_only: fn(TcpStream, Arc<Seen>) -> futures::future::BoxFuture<'static, ()> = |mut stream, _| {
        async move {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await.unwrap();
            std::future::pending().await
        }
        .boxed()
    };
    let cases = [
        (silent, "while waiting for an answer"),
        (head_only, "while reading the page"),
        (drip, "while reading the page"),
    ];
    for (serve, phase) in cases {
        let pod = Pod::new(serve).await;
        let mut stage = Stage::new(pod.address, &Config::default());
        let started = {
            let scraping = stage.scrape.clone();
            let mut slot = stage.slot;
            let seen = Arc::clone(&pod.seen);
            let mut scrape = Box::pin(async move {
                let is_good = scraping.scrape(&mut slot).await;
                (slot, is_good)
            });
            // Until the pod has the request in hand and has done what it ever does.
            tokio::select! {
                _ = &mut scrape => panic!("the pod hangs, and the scrape does not"),
                () = seen.asked.notified() => {}
            }
            for _ in 0..100 {
                assert!(futures::poll!(&mut scrape).is_pending());
                tokio::task::yield_now().await;
            }
            tokio::time::pause();
            let started = Instant::now();
            let (slot, is_good) = scrape.await;
            assert!(!is_good);
            stage.slot = slot;
            started
        };
        let took = started.elapsed();
        tokio::time::resume();
        assert!(took <= Duration::from_secs(11), "{phase}: {took:?}");
        let failure = stage.slot.target().status().failure.unwrap();
        assert_eq!(failure.kind, FailureKind::Timeout);
        assert_eq!(&*failure.message, format!("timed out after 10s {phase}"));
        assert!(stage.slot.connection.is_none());
    }
}
