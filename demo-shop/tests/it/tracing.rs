//! One order through store, queue and worker, as a collector and the logs see it.

use crate::process::Shop;
use crate::wait::until;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// A collector that takes everything and keeps the spans.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Value>>>,
}

// === impl Collector ===

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::<Mutex<Vec<Value>>>::default();
        let kept = Arc::clone(&spans);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let (mut line, mut length) = (String::new(), 0);
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
                    let header = line.to_lowercase();
                    length = header
                        .strip_prefix("content-length: ")
                        .map_or(length, |text| text.trim().parse().unwrap());
                    line.clear();
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                let body: Value = serde_json::from_slice(&body).unwrap();
                let resource = &body["resourceSpans"][0];
                let service = resource["resource"]["attributes"][0]["value"]["stringValue"].clone();
                for span in resource["scopeSpans"][0]["spans"].as_array().unwrap() {
                    let mut span = span.clone();
                    span["service"] = service.clone();
                    kept.lock().unwrap().push(span);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
            }
        });
        Self { url, spans }
    }

    fn of(&self, trace: &str) -> Vec<Value> {
        self.spans.lock().unwrap().iter().filter(|span| span["traceId"] == trace).cloned().collect()
    }
}

/// The lines of a log that carry a trace's id.
fn lines(shop: &Shop, trace: &str) -> Vec<Value> {
    shop.log.lock().unwrap().iter().filter(|line| line["span"]["trace_id"] == trace).cloned().collect()
}

#[tokio::test]
async fn an_order_is_one_trace_from_the_click_to_the_work() {
    let collector = Collector::start().await;
    let traced = |name| {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "300000"),
            ("SHUTDOWN_GRACE", "5m"),
            ("OTEL_SERVICE_NAME", name),
        ]
    };
    let mut store = Shop::start(&[&[("WORKER_ENABLED", "false")], &traced("store")[..]].concat());
    let settings = [&[("STORE_ENABLED", "false"), ("WORK_DURATION", "1ms")], &traced("worker")[..]].concat();
    let mut worker = store.joined_by(&settings);
    store.until_ready().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let head = format!(
        "POST /submit HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01"
    );
    let answer = store.ask(&head, "quantity=2");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let order: Value = serde_json::from_str(&answer.body).unwrap();
    worker.until_metric("orders_completed_total", Some(2)).await;
    assert_eq!(worker.metric("order_wait_seconds_count"), Some(2));
    assert_eq!(worker.metric("order_processing_seconds_count"), Some(2));

    // Logs on both sides of the queue carry the trace.
    until("the lines of both logs", async || {
        (lines(&store, trace).len() == 1 && lines(&worker, trace).len() == 2).then_some(())
    })
    .await;
    assert_eq!(lines(&store, trace)[0]["order"], order["order"]);
    // What is left is sent at the end.
    assert!(worker.terminate().await.success() && store.terminate().await.success());
    let spans = collector.of(trace);
    let mut told: Vec<_> = spans
        .iter()
        .map(|span| {
            let parent = spans.iter().find(|other| other["spanId"] == span["parentSpanId"]);
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&span["service"]), text(&span["name"]), parent.map(|parent| text(&parent["name"])))
        })
        .collect();
    told.sort();
    let span = |service: &str, name: &str, parent: Option<&str>| {
        (service.to_owned(), name.to_owned(), parent.map(str::to_owned))
    };
    let expected = [
        span("store", "POST /submit", None),
        span("store", "send orders", Some("POST /submit")),
        span("worker", "process order", Some("send orders")),
        span("worker", "process order", Some("send orders")),
    ];
    assert_eq!(told, expected);
    for span in spans {
        let nanoseconds = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
        assert!(nanoseconds("startTimeUnixNano") <= nanoseconds("endTimeUnixNano"), "{span}");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let shop = Shop::start(&[
        ("WORK_DURATION", "1ms"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
    ]);
    shop.until_ready().await;
    assert_eq!(shop.submit("quantity=1000").status, 200);
    shop.until_metric("orders_completed_total", Some(1000)).await;
    until("dropped spans", async || shop.metric("trace_spans_dropped_total").filter(|dropped| *dropped > 0))
        .await;
    assert_eq!(shop.metric("trace_spans_exported_total"), Some(0));
}
