//! Requests and answers as a table, without sockets.

use super::*;
use crate::broker::{self, Broker};
use crate::dial::Dialer;
use crate::stomp::connection;
use crate::{depth, orders};
use http::Response;
use http_body_util::{BodyExt, Full};
use podgauge_exposition::{FamilyType, Format as PageFormat, Limits, Page};
use std::sync::Arc;
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
    let depth_of = |queue: &str| {
        let (depth, task) =
            depth::Config::new(queue, connection::Config::default()).build(dialer.clone(), || 0);
        tokio::spawn(task.run(CancellationToken::new()));
        depth
    };
    let (tracer, broker) = (Tracer::default(), "stomp://<broker>".into());
    let shop =
        Shop { orders, depth: depth_of("q"), put_aside: depth_of("dead"), metrics, health, tracer, broker };
    Context::new(Config { store, hostname: "h&m".into(), ..Config::new("q") }, shop)
}

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

async fn ask(context: &Context, request: http::request::Builder, body: &str) -> (Response<()>, String) {
    let answer = serve(context, CLIENT, request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await;
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
        ("GET", "/", "*/*", "", 200, html, "name=\"token\""),
        ("GET", "/", json, "", 200, json, "\"messages\":"),
        ("GET", "/admin", "", "", 200, html, "<h1>Behind the counter</h1>"),
        ("GET", "/admin", "", "", 200, html, "http-equiv=\"refresh\""),
        ("GET", "/admin?refresh=off", "", "", 200, html, "href=\"/admin\">Load the numbers anew"),
        ("GET", "/admin", json, "", 200, json, "\"messages\":"),
        ("POST", "/admin", "", "", 405, "text/plain", "use GET, HEAD"),
        ("HEAD", "/admin/events", "", "", 405, "text/plain", "use GET"),
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
        ("GET", "/confirmation?order=ab-1&quantity=1", html, "", 200, html, "1 widget</strong> will be made"),
        (
            "GET",
            "/confirmation?order=ab-1&quantity=1000",
            html,
            "",
            200,
            html,
            "1,000 widgets</strong> will be made",
        ),
        ("GET", "/confirmation?order=%3Cb%3E&quantity=1", html, "", 404, html, "Not found"),
        ("GET", "/confirmation?order=&quantity=1", html, "", 404, html, "Not found"),
        (
            "GET",
            "/confirmation?order=ab-1&quantity=1&again=%3Cb%3E",
            html,
            "",
            200,
            html,
            "It was ordered once",
        ),
        ("GET", "/confirmation", html, "", 404, html, "Not found"),
        ("GET", "/health", "", "", 200, "text/plain", "ok"),
        ("GET", "/livez", "", "", 200, "text/plain", "ok"),
        ("GET", "/metrics", "", "", 200, "text/plain; version=0.0.4; charset=utf-8", "# TYPE messages gauge"),
        ("GET", "/assets/shop.css", "", "", 200, "text/css", ":root"),
        ("GET", "/assets/shop.js", "", "", 200, "text/javascript", "EventSource"),
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
    let (answer, text) = ask(&context, request("GET", "/admin", ""), "").await;
    assert_eq!(answer.status(), 200);
    assert!(text.contains("data-text=\"pending\">unknown<") && text.contains(">Away<"), "{text}");
    let (_, text) = ask(&context, request("GET", "/", ""), "").await;
    assert!(text.contains("role=\"alert\">We cannot reach our order queue right now"), "{text}");
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

/// The token in a page's form.
fn token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_form_is_good_for_one_order() {
    let scene = Scene::new(true, broker::Config::default()).await;
    let (_, page) = ask(&scene.context, request("GET", "/", "text/html"), "").await;
    let form = format!("quantity=3&token={}", token(&page));
    let post = || request("POST", "/submit", "text/html");
    let clicks = tokio::join!(ask(&scene.context, post(), &form), ask(&scene.context, post(), &form));
    let locations =
        [clicks.0, clicks.1].map(|(answer, _)| answer.headers()["location"].to_str().unwrap().to_owned());
    assert_eq!(format!("{}&again=1", locations[0]), locations[1]);
    // Long afterwards, with another quantity, as a program: it is still the first order.
    let changed = form.replace("quantity=3", "quantity=9");
    let (answer, text) = ask(&scene.context, request("POST", "/submit", ""), &changed).await;
    assert_eq!(answer.status(), 200);
    assert!(text.contains("\"quantity\":3,\"repeated\":true"), "{text}");
    assert_eq!(scene.pending(), 3);
    // The next page's form is another one.
    let (_, page) = ask(&scene.context, request("GET", "/", "text/html"), "").await;
    ask(&scene.context, post(), &format!("quantity=3&token={}", token(&page))).await;
    assert_eq!(scene.pending(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_click_whose_connection_is_dropped_for_the_second_click_is_remembered() {
    let scene = Scene::new(true, broker::Config::default()).await;
    let key = || request("POST", "/submit", "").header("idempotency-key", "0123456789abcdef");
    tokio::select! {
        biased;
        _ = ask(&scene.context, key(), "quantity=5") => panic!("an order takes longer than that"),
        () = std::future::ready(()) => {}
    }
    let (answer, text) = ask(&scene.context, key(), "quantity=5").await;
    assert_eq!(answer.status(), 200, "{text}");
    assert!(text.contains("\"repeated\":true"), "{text}");
    assert_eq!(scene.pending(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_order_goes_on_when_its_client_is_gone() {
    let scene = Scene::new(true, broker::Config::default()).await;
    tokio::select! {
        biased;
        _ = ask(&scene.context, request("POST", "/submit", ""), "quantity=5") => panic!("it takes longer than that"),
        () = std::future::ready(()) => {}
    }
    // The next order's receipt comes after the one before it is done.
    assert_eq!(ask(&scene.context, request("POST", "/submit", ""), "quantity=1").await.0.status(), 200);
    assert_eq!((scene.pending(), scene.context.shop.metrics.submitted.get()), (6, 6));
}

/// What is confirmed is in the queue, and counted, at once; the depth that is shown may be a second old.
#[tokio::test(start_paused = true)]
async fn an_order_counts_at_once_and_the_depth_follows_within_a_second() {
    let scene = Scene::new(true, broker::Config::default()).await;
    let numbers = async || {
        let (_, page) = ask(&scene.context, request("GET", "/metrics", ""), "").await;
        let number = |name: &str| {
            let line =
                page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
            line.unwrap().parse::<u64>().unwrap()
        };
        (number("orders_submitted_total"), number("messages"))
    };
    assert_eq!(numbers().await, (0, 0));
    assert_eq!(ask(&scene.context, request("POST", "/submit", ""), "quantity=7").await.0.status(), 200);
    assert_eq!(scene.pending(), 7);
    assert_eq!(numbers().await, (7, 0));
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(numbers().await, (7, 7));
}

#[tokio::test(start_paused = true)]
async fn who_orders_too_often_is_told_when_to_come_back() {
    let mut scene = Scene::new(true, broker::Config::default()).await;
    let rate = super::super::Rate { per_minute: 20, burst: 2, clients: 10 };
    scene.context.limiter = Limiter::new(rate, Instant::now());
    for status in [200, 200, 429] {
        let (answer, text) = ask(&scene.context, request("POST", "/submit", ""), "quantity=1").await;
        assert_eq!(answer.status(), status, "{text}");
    }
    let (answer, page) = ask(&scene.context, request("POST", "/submit", "text/html"), "quantity=1").await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"3".parse().unwrap()));
    assert!(page.contains("Nothing was ordered; please try again in 3 seconds."), "{page}");
    assert_eq!(scene.pending(), 2);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let (answer, _) = ask(&scene.context, request("POST", "/submit", ""), "quantity=1").await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn other_sites_cannot_order_in_their_visitors_name() {
    let scene = Scene::new(true, broker::Config::default()).await;
    for (name, value, status) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-purpose", "prefetch;prerender", 403),
        ("purpose", "prefetch", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "none", 200),
    ] {
        let (answer, text) =
            ask(&scene.context, request("GET", "/submit?quantity=1", "").header(name, value), "").await;
        assert_eq!(answer.status(), status, "{name}: {value}: {text}");
    }
    assert_eq!(scene.pending(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_trace_that_comes_in_goes_on_and_nonsense_begins_a_new_one() {
    let scene = Scene::new(true, broker::Config::default()).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let timing = async |request: http::request::Builder| {
        let (answer, _) = ask(&scene.context, request, "").await;
        let timing = answer.headers()["server-timing"].to_str().unwrap().to_owned();
        let context =
            timing.strip_prefix("traceparent;desc=\"").and_then(|rest| rest.strip_suffix('"')).unwrap();
        context.parse::<TraceContext>().unwrap().trace.to_string()
    };
    let get = || request("GET", "/", "");
    assert_eq!(timing(get().header("traceparent", &parent)).await, trace);
    for nonsense in
        ["", "00-x", "\";x=\"", "<script>", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"x"]
    {
        assert_ne!(timing(get().header("traceparent", nonsense)).await, trace, "{nonsense}");
    }
    assert_ne!(timing(get().header("traceparent", &parent).header("traceparent", &parent)).await, trace);
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_under_our_own_words() {
    let scene = Scene::new(true, broker::Config::default()).await;
    for (method, path) in
        [("GET", "/"), ("BREW", "/"), ("GET", "/x\"y"), ("GET", "/z"), ("GET", "/assets/shop.js")]
    {
        ask(&scene.context, request(method, path, "application/json"), "").await;
    }
    let kinds = scene.context.shop.metrics.requests.snapshot();
    let kinds: Vec<_> =
        kinds.iter().map(|(kind, times)| (kind.method, kind.route, kind.code, times.count())).collect();
    let expected =
        [("GET", "/", 200, 1), ("other", "/", 405, 1), ("GET", "/assets", 200, 1), ("GET", "other", 404, 2)];
    assert_eq!(kinds, expected);
}

/// The next piece of a stream; none at its end.
async fn next(stream: &mut super::super::respond::Answer) -> Option<String> {
    let frame = stream.body_mut().frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

async fn open(context: &Context) -> super::super::respond::Answer {
    serve(context, CLIENT, request("GET", "/admin/events", "").body(Full::new(Bytes::new())).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn the_panel_is_told_what_changes_as_long_as_it_watches() {
    let mut scene = Scene::new(true, broker::Config::default()).await;
    scene.context.config.stream_life = std::time::Duration::from_secs(60);
    let scene = Arc::new(scene);
    let stop = CancellationToken::new();
    tokio::spawn({
        let (scene, stop) = (Arc::clone(&scene), stop.clone());
        async move { super::super::live::run(&scene.context, &stop).await }
    });
    let begun = Instant::now();
    let mut stream = open(&scene.context).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert_eq!(next(&mut stream).await.unwrap(), "retry: 3000\n\n");
    let numbers = next(&mut stream).await.unwrap();
    assert!(numbers.starts_with("event: numbers\ndata: {\"connected\":true,"), "{numbers}");
    assert!(numbers.contains("\"pending\":\"0\"") && numbers.lines().count() == 3, "{numbers}");
    let chart = next(&mut stream).await.unwrap();
    assert!(chart.starts_with("event: chart\ndata: {"), "{chart}");
    ask(&scene.context, request("POST", "/submit", ""), "quantity=7").await;
    loop {
        let event = next(&mut stream).await.unwrap();
        if event.contains("\"pending\":\"7\"") {
            break;
        }
    }
    while next(&mut stream).await.is_some() {}
    assert_eq!(begun.elapsed().as_secs(), 60);
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_kept_alive_and_there_are_only_so_many() {
    let mut scene = Scene::new(true, broker::Config::default()).await;
    scene.context.live = Live::new(2);
    let (mut first, mut second) = (open(&scene.context).await, open(&scene.context).await);
    let third = open(&scene.context).await;
    assert_eq!((third.status().as_u16(), &third.headers()["retry-after"]), (503, &"30".parse().unwrap()));
    let begun = Instant::now();
    assert_eq!(next(&mut first).await.unwrap(), "retry: 3000\n\n");
    assert_eq!(next(&mut first).await.unwrap(), ":\n\n");
    assert_eq!(begun.elapsed().as_secs(), 15);
    // A viewer that does not read is given up, and its place is free.
    tokio::time::sleep(scene.context.config.write_timeout * 2).await;
    assert_eq!(open(&scene.context).await.status(), 200);
    assert_eq!(next(&mut second).await.as_deref(), Some("retry: 3000\n\n"));
    assert_eq!(next(&mut second).await, None);
    // All end when the instance does.
    scene.context.stop.cancel();
    while next(&mut first).await.is_some() {}
}
