//! Requests and answers as a table, without sockets.

use super::*;
use crate::broker::{self, Broker};
use crate::dial::Dialer;
use crate::stomp::connection;
use crate::{depth, orders};
use http::Response;
use http_body_util::{BodyExt, Full};
use podgauge_exposition::{FamilyType, Format as PageFormat, Limits, Page};
use tokio_util::sync::CancellationToken;

/// A shop on an embedded queue within this process.
struct Scene {
    context: Context,
    broker: Broker,
}

// === impl Scene ===

impl Scene {
    async fn new(store: bool, broker_config: broker::Config) -> Self {
        let broker = Broker::new(broker_config, || 0);
        let dialer = broker.dialer(&CancellationToken::new());
        let scene = Self { context: context(store, dialer), broker };
        // The store has said how its first attempt went.
        while store && scene.context.shop.health.complaints() == ["store: connecting"] {
            tokio::task::yield_now().await;
        }
        scene
    }

    fn pending(&self) -> usize {
        self.broker.depth("q").0
    }
}

fn context(store: bool, dialer: Dialer) -> Context {
    let (health, metrics) = (Health::default(), Metrics::default());
    let orders = store.then(|| {
        let config = orders::Config::new("q", connection::Config::default());
        let (orders, task) = config.build(dialer.clone(), health.register("store"), metrics.clone());
        tokio::spawn(task.run(CancellationToken::new()));
        orders
    });
    let (depth, task) = depth::Config::new("q", connection::Config::default()).build(dialer, || 0);
    tokio::spawn(task.run(CancellationToken::new()));
    let shop = Shop { orders, depth, metrics, health, broker: "stomp://<broker>".into() };
    Context { config: Config { store, hostname: "h&m".into(), ..Config::new("q") }, shop }
}

async fn ask(context: &Context, request: http::request::Builder, body: &str) -> (Response<()>, String) {
    let answer = route(context, request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(head, ()), String::from_utf8(body.to_vec()).unwrap())
}

fn request(method: &str, path: &str, accept: &str) -> http::request::Builder {
    let request = Request::builder().method(method).uri(path);
    if accept.is_empty() { request } else { request.header("accept", accept) }
}

#[tokio::test(start_paused = true)]
async fn every_address_answers_as_documented() {
    let scene = Scene::new(true, broker::Config::default()).await;
    let (html, json) = ("text/html", "application/json");
    // Method, path, Accept, body, then status, content type, a part of the answer.
    let cases = [
        ("GET", "/", "", "", 200, html, "<h1 id=\"store-title\">"),
        ("GET", "/", "*/*", "", 200, html, "Behind the counter"),
        ("GET", "/", json, "", 200, json, "\"messages\":"),
        ("HEAD", "/", "", "", 200, html, ""),
        ("POST", "/", "", "", 405, "text/plain", "use GET, HEAD"),
        ("POST", "/submit", "", "quantity=2", 200, json, "\"quantity\":2"),
        ("POST", "/submit", html, "quantity=2", 303, "text/plain", ""),
        ("GET", "/submit?quantity=3", "*/*", "", 200, json, "\"quantity\":3"),
        ("GET", "/submit?quantity=3", html, "", 303, "text/plain", ""),
        ("HEAD", "/submit?quantity=3", "", "", 405, "text/plain", "use GET, POST"),
        ("DELETE", "/submit", "", "", 405, "text/plain", "use GET, POST"),
        ("GET", "/submit", json, "", 400, json, "is missing"),
        (
            "GET",
            "/submit?quantity=0",
            "",
            "",
            400,
            json,
            "{\"error\":\"“0” is not a whole number from 1 to 10,000.\"}",
        ),
        ("POST", "/submit", html, "quantity=%3Cb%3E", 400, html, "role=\"alert\">“&lt;b&gt;” is not"),
        ("POST", "/submit", html, "quantity=%7B%7Bqueue%7D%7D", 400, html, "“{{queue}}” is not"),
        ("GET", "/confirmation?order=ab-1&quantity=1", html, "", 200, html, "1 widget will be made"),
        ("GET", "/confirmation?order=ab-1&quantity=1000", html, "", 200, html, "1,000 widgets will be made"),
        ("GET", "/confirmation?order=%3Cb%3E&quantity=1", html, "", 404, html, "Not found"),
        ("GET", "/confirmation", html, "", 404, html, "Not found"),
        ("GET", "/health", "", "", 200, "text/plain", "ok"),
        ("GET", "/livez", "", "", 200, "text/plain", "ok"),
        ("GET", "/metrics", "", "", 200, "text/plain; version=0.0.4; charset=utf-8", "# TYPE messages gauge"),
        ("GET", "/assets/shop.css", "", "", 200, "text/css", ":root"),
        ("GET", "/assets/shop.js", "", "", 200, "text/javascript", "refresh"),
        ("GET", "/assets/icon.svg", "", "", 200, "image/svg+xml", "<svg"),
        ("POST", "/assets/icon.svg", "", "", 405, "text/plain", "use GET, HEAD"),
        ("GET", "/nope", html, "", 404, html, "Not found"),
        ("GET", "/nope", json, "", 404, json, "error"),
        ("GET", "/nope", "", "", 404, "text/plain", "nothing here"),
    ];
    for (method, path, accept, body, status, content_type, part) in cases {
        let case = format!("{method} {path} {accept} {body}");
        let (answer, text) = ask(&scene.context, request(method, path, accept), body).await;
        assert_eq!(answer.status(), status, "{case}: {text}");
        let got = answer.headers()["content-type"].to_str().unwrap();
        assert!(got.starts_with(content_type), "{case}: {got}");
        assert!(text.contains(part), "{case}: {text}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{case}");
    }
    assert_eq!(scene.pending(), 2 + 2 + 3 + 3);
    assert_eq!(scene.context.shop.metrics.submitted.get(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_browser_is_sent_to_its_confirmation() {
    let scene = Scene::new(true, broker::Config::default()).await;
    let (answer, _) = ask(&scene.context, request("POST", "/submit", "text/html"), "quantity=7").await;
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(
        location.starts_with("/confirmation?order=") && location.ends_with("-1&quantity=7"),
        "{location}"
    );
    let (answer, page) = ask(&scene.context, request("GET", &location, "text/html"), "").await;
    assert_eq!(answer.status(), 200);
    assert!(page.contains("7 widgets"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn forms_of_another_kind_or_size_are_refused() {
    let scene = Scene::new(true, broker::Config::default()).await;
    let long = format!("quantity=1&x={}", "x".repeat(5000));
    let cases = [
        ("multipart/form-data; boundary=x", "quantity=1", 415),
        ("application/json", "{\"quantity\":1}", 415),
        ("application/x-www-form-urlencoded", &long, 413),
        ("Application/X-WWW-Form-Urlencoded; charset=UTF-8", "quantity=1", 200),
    ];
    for (content_type, body, status) in cases {
        let request = request("POST", "/submit", "").header("content-type", content_type);
        let (answer, text) = ask(&scene.context, request, body).await;
        assert_eq!(answer.status(), status, "{content_type}: {text}");
    }
    assert_eq!(scene.pending(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_broker_nothing_is_sold_and_the_depth_is_unknown() {
    let away = Dialer::new(|| Box::pin(async { Err(std::io::ErrorKind::ConnectionRefused.into()) }));
    let context = context(true, away);
    for accept in ["text/html", "application/json"] {
        let (answer, text) = ask(&context, request("POST", "/submit", accept), "quantity=7").await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (503, &"5".parse().unwrap())
        );
        assert!(text.contains("Nothing was ordered"), "{text}");
    }
    let (answer, text) = ask(&context, request("GET", "/health", ""), "").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(text, "not ready\nstore: connection to the broker failed: connection refused\n");
    let (_, text) = ask(&context, request("GET", "/metrics", ""), "").await;
    assert!(!text.contains("messages"), "{text}");
    let (answer, text) = ask(&context, request("GET", "/", ""), "").await;
    assert_eq!(answer.status(), 200);
    assert!(text.contains("data-shown=\"messages\">unknown<"), "{text}");
    assert_eq!(ask(&context, request("GET", "/livez", ""), "").await.0.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_sells_nothing_in_part() {
    let scene = Scene::new(true, broker::Config { max_messages: 10, ..broker::Config::default() }).await;
    let (answer, text) = ask(&scene.context, request("POST", "/submit", ""), "quantity=11").await;
    assert_eq!((answer.status().as_u16(), scene.pending()), (503, 0), "{text}");
    assert!(answer.headers().contains_key("retry-after"));
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_a_store_does_not_sell() {
    let scene = Scene::new(false, broker::Config::default()).await;
    let (answer, _) = ask(&scene.context, request("POST", "/submit", ""), "quantity=1").await;
    assert_eq!((answer.status().as_u16(), scene.pending()), (404, 0));
    let (_, page) = ask(&scene.context, request("GET", "/", ""), "").await;
    assert!(!page.contains("<form") && page.contains("Behind the counter"), "{page}");
    assert!(page.contains("h&amp;m") && page.contains("stomp://&lt;broker&gt;"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn our_metrics_are_read_by_our_own_parser_without_a_complaint() {
    let scene = Scene::new(true, broker::Config::default()).await;
    ask(&scene.context, request("POST", "/submit", ""), "quantity=7").await;
    let (_, page) = ask(&scene.context, request("GET", "/metrics", ""), "").await;
    let read = Page::parse(page.as_bytes(), PageFormat::Text, &Limits::default()).unwrap();
    assert_eq!(read.rejected.count, 0, "{page}");
    let sample = |name: &str| {
        let sample = read.samples.iter().find(|sample| sample.name == name).unwrap();
        (read.families[sample.family].kind, sample.value)
    };
    assert_eq!(sample("messages"), (FamilyType::Gauge, 7.0));
    assert_eq!(sample("orders_submitted_total"), (FamilyType::Counter, 7.0));
}
