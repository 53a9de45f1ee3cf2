//! The client against a Prometheus that is a function: what it is sent, and what becomes of what it answers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    future::{Ready, pending, ready},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use podgauge_prometheus::{Client, Config, Payload, Transport, Verb};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::time::Instant;

const ONE: &str =
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[5,"1"]}]}}"#;
const LONG: Duration = Duration::from_secs(60);

fn config() -> Config {
    Config {
        verb: Verb::Post,
        timeout: Duration::from_secs(10),
        body_bytes: 1_000,
        in_flight: 2,
        cache_ttl: Duration::ZERO,
        cache_bytes: 1 << 20,
        failures: 3,
        pause: Duration::from_secs(10),
    }
}

fn answer(code: u16, body: &str) -> io::Result<Response<Payload>> {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes())).map_err(|never| match never {});
    Ok(Response::builder().status(code).body(body.boxed_unsync()).unwrap())
}

fn transport<F>(answer: impl Fn(Request<Bytes>) -> F + Send + Sync + 'static) -> Transport
where
    F: Future<Output = io::Result<Response<Payload>>> + Send + 'static,
{
    Arc::new(move |request| Box::pin(answer(request)))
}

/// Answers the same always.
fn always(code: u16, body: &'static str) -> Transport {
    transport(move |_| ready(answer(code, body)))
}

fn client(config: Config, transport: Transport) -> (Client, Registry) {
    let mut registry = Registry::default();
    (Client::new(config, transport, &mut registry), registry)
}

async fn error(client: &Client, left: Duration) -> String {
    client.instant("up", left).await.unwrap_err().to_string()
}

fn metric(registry: &Registry, line: &str) -> bool {
    let mut page = String::new();
    encode(&mut page, registry).unwrap();
    page.lines().any(|other| other == line)
}

/// What was asked, one request a line.
fn recorded() -> (Transport, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let record = move |request: Request<Bytes>| -> Ready<_> {
        let body = String::from_utf8_lossy(request.body()).into_owned();
        seen.lock().unwrap().push(format!("{} {} {body}", request.method(), request.uri()));
        ready(answer(
            200,
            if request.uri().path().ends_with("series") { r#"{"status":"success","data":[]}"# } else { ONE },
        ))
    };
    (transport(record), asked)
}

#[tokio::test(start_paused = true)]
async fn questions_are_sent_as_prometheus_reads_them() {
    let (transport, asked) = recorded();
    let (get, _) = client(Config { verb: Verb::Get, ..config() }, transport.clone());
    let (post, _) = client(config(), transport);
    assert_eq!(post.instant("sum(a{b=\"c&d\"})", LONG).await.unwrap()[0].value, 1.0);
    get.instant("up", Duration::from_millis(2_500)).await.unwrap();
    post.series("up{a!=\"\"}", 1_000, 61_500).await.unwrap();
    assert_eq!(
        *asked.lock().unwrap(),
        [
            "POST /api/v1/query query=sum%28a%7Bb%3D%22c%26d%22%7D%29&partial%5Fresponse=false&timeout=10000ms",
            "GET /api/v1/query?query=up&partial%5Fresponse=false&timeout=2500ms ",
            "POST /api/v1/series match%5B%5D=up%7Ba%21%3D%22%22%7D&start=1%2E000&end=61%2E500&partial%5Fresponse=false&timeout=10000ms",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn no_answer_takes_longer_than_it_may() {
    let (client, registry) = client(config(), transport(|_| pending()));
    assert_eq!(error(&client, Duration::from_millis(50)).await, "Prometheus did not answer within 50 ms");
    assert_eq!(error(&client, LONG).await, "Prometheus did not answer within 10000 ms");
    assert!(metric(&registry, r#"queries_total{kind="query",result="timeout"} 2"#));
}

#[tokio::test(start_paused = true)]
async fn a_body_may_hang_or_break_as_well() {
    let hang = transport(|_| {
        let body = Full::new(Bytes::from_static(b"{")).map_err(|never| match never {});
        ready(Ok(Response::new(body.with_trailers(pending()).boxed_unsync())))
    });
    let (hanging, _) = client(config(), hang);
    assert_eq!(error(&hanging, LONG).await, "Prometheus did not answer within 10000 ms");
    let (huge, _) = client(Config { body_bytes: ONE.len() - 1, ..config() }, always(200, ONE));
    let want = format!("Prometheus' answer is longer than {} bytes (--prometheus-body-limit)", ONE.len() - 1);
    assert_eq!(error(&huge, LONG).await, want);
    let (refused, _) = client(config(), transport(|_| ready(Err(io::Error::other("connection refused")))));
    assert_eq!(error(&refused, LONG).await, "Prometheus cannot be reached: connection refused");
}

#[tokio::test(start_paused = true)]
async fn after_failures_in_a_row_one_alone_tries() {
    let (works, count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (state, counted) = (Arc::clone(&works), Arc::clone(&count));
    let (client, registry) = client(
        config(),
        transport(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            ready(answer(if state.load(Ordering::Relaxed) == 0 { 500 } else { 200 }, ONE))
        }),
    );
    for _ in 0..3 {
        assert_eq!(error(&client, LONG).await, "Prometheus answers HTTP 500");
    }
    let refused = error(&client, LONG).await;
    assert!(refused.starts_with("Prometheus failed 3 times in a row, and is asked again in "), "{refused}");
    assert!(refused.ends_with("s; the last time: Prometheus answers HTTP 500"), "{refused}");
    assert_eq!(count.load(Ordering::Relaxed), 3);
    assert!(metric(&registry, "breaker_open 1"));
    assert!(metric(&registry, r#"queries_total{kind="query",result="breaker_open"} 1"#));
    works.store(1, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(15)).await;
    client.instant("up", LONG).await.unwrap();
    client.instant("up", LONG).await.unwrap();
    assert!(metric(&registry, "breaker_open 0"));
}

#[tokio::test(start_paused = true)]
async fn neither_bad_queries_nor_hurry_shut_others_out() {
    let bad = r#"{"status":"error","errorType":"bad_data","error":"no"}"#;
    let (refusing, registry) = client(config(), always(400, bad));
    let (slow, _) = client(config(), transport(|_| pending()));
    for _ in 0..10 {
        assert_eq!(error(&refusing, LONG).await, "Prometheus refuses it: bad_data: no");
        assert_eq!(error(&slow, Duration::from_millis(1)).await, "Prometheus did not answer within 1 ms");
    }
    assert!(metric(&registry, r#"queries_total{kind="query",result="refused"} 10"#));
}

/// Prometheus is told how long it may take, and may say before we do that this was too short.
#[tokio::test(start_paused = true)]
async fn what_a_caller_in_a_hurry_is_told_opens_nothing() {
    let late = r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#;
    let (client, _) = client(config(), always(503, late));
    for _ in 0..10 {
        let said = error(&client, Duration::from_millis(4_999)).await;
        assert_eq!(said, "Prometheus answers HTTP 503: query timed out");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_in_a_hurry_does_not_try_for_the_others() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let (client, _) = client(
        config(),
        transport(move |_| {
            let asked = counted.fetch_add(1, Ordering::Relaxed);
            ready(answer(if asked < 3 { 500 } else { 200 }, ONE))
        }),
    );
    for _ in 0..3 {
        error(&client, LONG).await;
    }
    tokio::time::advance(Duration::from_secs(15)).await;
    let refused = error(&client, Duration::from_millis(1)).await;
    assert!(
        refused.starts_with("Prometheus failed 3 times in a row, and is asked again in 1 s"),
        "{refused}"
    );
    assert_eq!(count.load(Ordering::Relaxed), 3);
    client.instant("up", LONG).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn queries_wait_for_their_turn() {
    let (client, registry) = client(config(), transport(|_| pending()));
    let others = [0, 1].map(|_| {
        tokio::spawn({
            let client = client.clone();
            async move { client.instant("slow", LONG).await }
        })
    });
    tokio::task::yield_now().await;
    assert_eq!(
        error(&client, Duration::from_secs(1)).await,
        "2 queries to Prometheus are under way, and none ended in time (--prometheus-max-inflight)"
    );
    assert!(metric(&registry, r#"queries_total{kind="query",result="busy"} 1"#));
    for other in others {
        other.await.unwrap().unwrap_err();
    }
}

/// Whoever waits here has one of the requests that may be under way at all, also for other metrics.
#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may() {
    let (client, registry) = client(config(), transport(|_| pending()));
    let others: Vec<_> = (0..18)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.instant("slow", LONG).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let before = Instant::now();
    assert_eq!(
        error(&client, LONG).await,
        "2 queries to Prometheus are under way, and 16 wait for their turn (--prometheus-max-inflight)"
    );
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert!(metric(&registry, r#"queries_total{kind="query",result="busy"} 1"#));
    for other in others {
        other.await.unwrap().unwrap_err();
    }
    assert!(!error(&client, LONG).await.contains("wait for their turn"));
}

#[tokio::test(start_paused = true)]
async fn answers_are_remembered_for_a_while() {
    let (transport, asked) = recorded();
    let (client, registry) = client(Config { cache_ttl: Duration::from_secs(15), ..config() }, transport);
    for (seconds, count) in [(0, 1), (14, 1), (1, 2)] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        client.instant("up", LONG).await.unwrap();
        assert_eq!(asked.lock().unwrap().len(), count);
    }
    client.instant("down", LONG).await.unwrap();
    assert_eq!(asked.lock().unwrap().len(), 3);
    assert!(metric(&registry, "cache_hits_total 1"));
}
