use super::super::span::Kind;
use super::*;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

/// A collector behind a pipe: it hands on the requests that it gets, and answers all of them so.
fn collector(answer: &'static str) -> (Dialer, mpsc::UnboundedReceiver<String>) {
    let (sender, requests) = mpsc::unbounded_channel();
    let dialer = Dialer::new(move || {
        let (near, mut far) = duplex(1 << 20);
        let sender = sender.clone();
        tokio::spawn(async move {
            let mut request = String::new();
            let mut piece = vec![0; 4096];
            // The body is one JSON object and ends the request.
            while serde_json::from_str::<Value>(body(&request)).is_err() {
                match far.read(&mut piece).await {
                    Ok(read) if read > 0 => request.push_str(std::str::from_utf8(&piece[..read]).unwrap()),
                    _ => return,
                }
            }
            sender.send(request).unwrap();
            far.write_all(answer.as_bytes()).await.unwrap();
        });
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Stream>) })
    });
    (dialer, requests)
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// The names of the spans in a request.
fn names(request: &str) -> Vec<String> {
    let json: Value = serde_json::from_str(body(request)).unwrap();
    let spans = json["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    spans.iter().map(|span| span["name"].as_str().unwrap().to_owned()).collect()
}

fn build(config: Config, dialer: Dialer) -> (Tracer, Task, Metrics) {
    let metrics = Metrics::default();
    let endpoint = Endpoint::base("http://collector").ok();
    let (tracer, task) = Config { endpoint, ..config }.build(metrics.clone(), || 0);
    (tracer, Task { dialer, ..task.unwrap() }, metrics)
}

const TAKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// Exported and dropped.
fn counts(metrics: &Metrics) -> (u64, u64) {
    (metrics.spans_exported.get(), metrics.spans_dropped.get())
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_when_it_is_full_or_old_enough_and_the_last_one_at_the_end() {
    let (dialer, mut requests) = collector(TAKEN);
    let mut config = Config { batch: 2, ..Config::default() };
    config.headers = headers("x-key=a%20b").unwrap();
    let (tracer, task, metrics) = build(config, dialer);
    let stop = CancellationToken::new();
    let running = tokio::spawn(task.run(stop.clone()));
    let begun = Instant::now();
    for name in ["a", "b", "c"] {
        tracer.begin(name, Kind::Server, None);
    }
    let full = requests.recv().await.unwrap();
    assert_eq!((names(&full), begun.elapsed()), (vec!["a".into(), "b".into()], Duration::ZERO));
    assert!(full.starts_with("POST /v1/traces HTTP/1.1\r\nhost: collector:4318\r\n"), "{full}");
    assert!(full.contains("content-type: application/json\r\n") && full.contains("x-key: a b\r\n"), "{full}");
    let old = requests.recv().await.unwrap();
    assert_eq!((names(&old), begun.elapsed().as_secs()), (vec!["c".into()], 5));
    tracer.begin("d", Kind::Server, None);
    stop.cancel();
    running.await.unwrap();
    assert_eq!(names(&requests.recv().await.unwrap()), ["d"]);
    assert_eq!(counts(&metrics), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn what_the_collector_does_not_take_is_dropped_and_counted() {
    let silent = Dialer::new(|| Box::pin(std::future::pending()));
    let absent = Dialer::new(|| Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) }));
    let busy = collector("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").0;
    let babbling = collector("220 smtp ready\r\n").0;
    let partial =
        "HTTP/1.1 200 OK\r\ncontent-length: 41\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"1\"}}\n";
    for (dialer, expected) in [
        (silent, (0, 3)),
        (absent, (0, 3)),
        (busy, (0, 3)),
        (babbling, (0, 3)),
        (collector(partial).0, (2, 1)),
    ] {
        let (tracer, task, metrics) = build(Config::default(), dialer);
        (0..3).for_each(|_| drop(tracer.begin("span", Kind::Server, None)));
        drop(tracer);
        task.run(CancellationToken::new()).await;
        assert_eq!(counts(&metrics), expected);
    }
}

#[test]
fn endpoints_are_read() {
    let base = |url| Endpoint::base(url).map(|end| (end.authority(), end.path));
    let exact = |url| Endpoint::exact(url).map(|end| (end.authority(), end.path));
    let ok = |authority: &str, path: &str| Ok((authority.to_owned(), path.to_owned()));
    assert_eq!(base("http://c"), ok("c:4318", "/v1/traces"));
    assert_eq!(base("http://c:80/"), ok("c:80", "/v1/traces"));
    assert_eq!(base("http://[::1]:9/otlp/"), ok("[::1]:9", "/otlp/v1/traces"));
    assert_eq!(exact("http://c/t?x=1"), ok("c:4318", "/t?x=1"));
    assert_eq!(base("https://c"), Err(EndpointError::Scheme));
    for url in ["", "c:4318", "grpc://c", "http://", "http:///x", "http://a b"] {
        assert_eq!(base(url), Err(EndpointError::Malformed), "{url}");
    }
}

#[test]
fn headers_are_read() {
    let read = headers(" authorization=Bearer%20x , a=b=c,").unwrap();
    assert_eq!((&read["authorization"], &read["a"]), (&"Bearer x".parse().unwrap(), &"b=c".parse().unwrap()));
    assert_eq!(headers("").unwrap().len(), 0);
    for text in ["a", "a b=c", "a=%0d%0aset-cookie:x"] {
        let error = headers(text).unwrap_err();
        assert!(!error.contains("set-cookie"), "{error}");
    }
}
