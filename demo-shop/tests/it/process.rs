//! The binary as processes: what a user starts, asks over HTTP, and ends with signals.

use crate::wait::{PATIENCE, until};
use demo_shop::stomp::BrokerUrl;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_demo-shop");

/// A running shop. It is killed when this is dropped.
pub(crate) struct Shop {
    process: Child,
    pub(crate) http: String,
    pub(crate) queue: Option<String>,
    /// Every line of its log, as JSON.
    pub(crate) log: Arc<Mutex<Vec<Value>>>,
}

/// An HTTP answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

// === impl Shop ===

impl Shop {
    /// Starts the binary on free ports, with these settings besides.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_watched(command(), settings, |_| {})
    }

    /// The same with a command of one's own, and with every line of its log shown to `watch`.
    pub(crate) fn start_watched(
        mut command: Command,
        settings: &[(&str, &str)],
        mut watch: impl FnMut(&Value) + Send + 'static,
    ) -> Self {
        let mut process = command
            .envs([("ADDRESS", "127.0.0.1"), ("PORT", "0"), ("LOG_FORMAT", "json")])
            .env("QUEUE_LISTEN", "127.0.0.1:0")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let (started, ports) = mpsc::channel();
        let log = Arc::<Mutex<Vec<Value>>>::default();
        let written = Arc::clone(&log);
        // Reads to the end, because a shop that cannot write its log stops.
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).expect("every line is JSON");
                watch(&event);
                if let Some(http) = event["http"].as_str() {
                    let queue = event["queue"].as_str().map(str::to_owned);
                    started.send((http.to_owned(), queue)).expect("somebody waits");
                }
                written.lock().unwrap().push(event);
            }
        });
        let (http, queue) = ports.recv_timeout(PATIENCE).expect("it says where it listens");
        Self { process, http, queue, log }
    }

    /// A shop that uses this one's queue.
    pub(crate) fn joined_by(&self, settings: &[(&str, &str)]) -> Self {
        let url = self.broker().to_string();
        Self::start(&[&[("ACTIVEMQ_BROKER_URL", url.as_str())], settings].concat())
    }

    /// Where its queue is.
    pub(crate) fn broker(&self) -> BrokerUrl {
        format!("stomp://{}", self.queue.as_deref().expect("it has a queue")).parse().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1"), "")
    }

    pub(crate) fn submit(&self, form: &str) -> Answer {
        self.ask("POST /submit HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded", form)
    }

    pub(crate) fn ask(&self, head: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        write!(stream, "{head}\r\nHost: shop\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// A number on the metrics page; none when it is absent.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let page = self.get("/metrics").body;
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned));
        line.map(|value| value.parse().unwrap())
    }

    /// Orders that were confirmed here. Unlike `messages`, which may be a second old, this is exact at once.
    pub(crate) fn sold(&self) -> u64 {
        self.metric("orders_submitted_total").expect("it is always told")
    }

    pub(crate) async fn until_metric(&self, name: &str, expected: Option<u64>) {
        until(&format!("{name} {expected:?}"), async || (self.metric(name) == expected).then_some(())).await;
    }

    pub(crate) async fn until_ready(&self) {
        until("readiness", async || (self.get("/health").status == 200).then_some(())).await;
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let pid = self.process.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill -TERM \"$0\"", &pid]).status().unwrap().success());
        until("its end", async || self.process.try_wait().unwrap()).await
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The binary with none of this test's environment but the path.
pub(crate) fn command() -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear();
    command
}

#[tokio::test]
async fn one_process_is_a_whole_shop() {
    let mut shop = Shop::start(&[("WORK_DURATION", "1ms")]);
    shop.until_ready().await;
    let answer = shop.submit("quantity=7");
    assert_eq!(answer.status, 200, "{}", answer.body);
    shop.until_metric("orders_completed_total", Some(7)).await;
    shop.until_metric("messages", Some(0)).await;
    let metrics = shop.get("/metrics");
    assert!(
        metrics.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{}",
        metrics.head
    );
    assert!(shop.terminate().await.success());
}

#[tokio::test]
async fn store_worker_and_queue_are_three_processes_of_one_binary() {
    let mut queue = Shop::start(&[("STORE_ENABLED", "false"), ("WORKER_ENABLED", "false")]);
    let store = queue.joined_by(&[("WORKER_ENABLED", "false")]);
    let worker = |duration| queue.joined_by(&[("STORE_ENABLED", "false"), ("WORK_DURATION", duration)]);
    let mut slow = worker("1h");
    store.until_ready().await;
    assert_eq!(store.submit("quantity=20").status, 200);
    slow.until_metric("worker_busy", Some(1)).await;
    // Every process tells the whole queue's length, what is in hand included.
    for shop in [&queue, &store, &slow] {
        shop.until_metric("messages", Some(20)).await;
    }
    assert_eq!(slow.submit("quantity=1").status, 404, "a worker sells nothing");

    // kill -9 in the middle of the work: the order goes to the next, none is lost.
    slow.kill();
    let quick = worker("1ms");
    quick.until_metric("orders_completed_total", Some(20)).await;
    store.until_metric("messages", Some(0)).await;

    // The queue goes away: nobody is ready, the depth is unknown, the store says so.
    queue.kill();
    for shop in [&store, &quick] {
        until("no readiness", async || (shop.get("/health").status == 503).then_some(())).await;
        shop.until_metric("messages", None).await;
        assert_eq!(shop.get("/livez").status, 200);
    }
    let refused = store.submit("quantity=1");
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 5"), "{}", refused.head);
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_finishes_its_order() {
    let queue = Shop::start(&[("WORKER_ENABLED", "false")]);
    let mut worker = queue.joined_by(&[
        ("STORE_ENABLED", "false"),
        ("WORK_DURATION", "500ms"),
        ("SHUTDOWN_GRACE", "1h"),
        ("LOG_LEVEL", "info,demo_shop::worker=debug"),
    ]);
    queue.until_ready().await;
    assert_eq!(queue.submit("quantity=10000").status, 200);
    worker.until_metric("worker_busy", Some(1)).await;
    assert!(worker.terminate().await.success());
    // However many it had begun until then, it has finished each of them.
    let count = |message| worker.log.lock().unwrap().iter().filter(|line| line["message"] == message).count();
    until("the last line of its log", async || (count("demo-shop has stopped") == 1).then_some(())).await;
    assert!(count("working") >= 1);
    assert_eq!(count("working"), count("worked off"));
    queue.until_metric("messages", Some(10_000 - count("worked off") as u64)).await;
}

#[tokio::test]
async fn a_worker_without_the_time_to_finish_hands_its_order_back() {
    let queue = Shop::start(&[("WORKER_ENABLED", "false")]);
    let settings = [("STORE_ENABLED", "false"), ("WORK_DURATION", "1h"), ("SHUTDOWN_GRACE", "100ms")];
    let mut worker = queue.joined_by(&settings);
    queue.until_ready().await;
    assert_eq!(queue.submit("quantity=1").status, 200);
    worker.until_metric("worker_busy", Some(1)).await;
    assert!(worker.terminate().await.success());
    let next = queue.joined_by(&[("STORE_ENABLED", "false"), ("WORK_DURATION", "1ms")]);
    next.until_metric("orders_completed_total", Some(1)).await;
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_up_the_end() {
    let mut shop = Shop::start(&[("SHUTDOWN_GRACE", "100ms")]);
    let mut stream = TcpStream::connect(&shop.http).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: sh").unwrap();
    shop.until_ready().await;
    assert!(shop.terminate().await.success());
}

#[tokio::test]
async fn only_those_with_the_password_get_into_the_queue() {
    let secret = [("ACTIVEMQ_USER", "shop"), ("ACTIVEMQ_PASSWORD", "secret")];
    let queue = Shop::start(&[&[("WORKER_ENABLED", "false")], &secret[..]].concat());
    queue.until_ready().await;
    let stranger = queue.joined_by(&[("STORE_ENABLED", "false")]);
    until("a refusal", async || {
        stranger.get("/health").body.contains("user name or password is wrong").then_some(())
    })
    .await;
    let friend = queue.joined_by(&[&[("STORE_ENABLED", "false")], &secret[..]].concat());
    friend.until_ready().await;
}

#[test]
fn wrong_settings_are_told_in_one_line() {
    let flag = |flag: &str| {
        let mut command = command();
        command.arg(flag);
        command
    };
    let variable = |name: &str, value: &str| {
        let mut command = command();
        command.env(name, value);
        command
    };
    let cases = [
        (flag("--nope"), "demo-shop: unexpected argument '--nope' found (try --help)\n"),
        (variable("WORK_DURATION", "5"), "demo-shop: invalid value '5' for '--work-duration <TIME>': "),
        (
            variable("LOG_FORMAT", "xml"),
            "demo-shop: invalid value 'xml' for '--log-format <FORMAT>' [possible values: text, json]",
        ),
        (
            variable("BROKER_HEART_BEAT", "1ms"),
            "demo-shop: invalid value '1ms' for '--broker-heart-beat <TIME>': expected 0 for none, or 100ms",
        ),
        (variable("QUEUE_ENABLED", "false"), "demo-shop: without the embedded queue ACTIVEMQ_BROKER_URL"),
    ];
    for (mut command, expected) in cases {
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with(expected), "{said}");
        assert_eq!((said.lines().count(), output.stdout.len()), (1, 0), "{said}");
    }
}

#[test]
fn help_names_every_variable() {
    let output = command().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    let variables = [
        "STORE_ENABLED",
        "WORKER_ENABLED",
        "QUEUE_ENABLED",
        "ADDRESS",
        "PORT",
        "HOSTNAME",
        "HTTP_MAX_CONNECTIONS",
        "HTTP_MAX_CONNECTIONS_EACH",
        "SUBMIT_RATE",
        "SUBMIT_BURST",
        "SUBMIT_CLIENTS",
        "SUBMIT_TOKENS",
        "ADMIN_VIEWERS",
        "ACTIVEMQ_BROKER_URL",
        "ACTIVEMQ_USER",
        "ACTIVEMQ_PASSWORD",
        "QUEUE_NAME",
        "BROKER_HEART_BEAT",
        "DEPTH_TIMEOUT",
        "DEPTH_BROWSE_LIMIT",
        "WORK_MODE",
        "WORK_DURATION",
        "WORKER_CONCURRENCY",
        "WORKER_MAX_TRIES",
        "SHUTDOWN_GRACE",
        "QUEUE_LISTEN",
        "QUEUE_DIRECTORY",
        "QUEUE_WHEN_FULL",
        "QUEUE_MAX_MESSAGES",
        "QUEUE_MAX_MIB",
        "QUEUE_MAX_FRAME_BYTES",
        "QUEUE_MAX_CONNECTIONS",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_SERVICE_NAME",
        "OTEL_SDK_DISABLED",
        "OTEL_BSP_MAX_QUEUE_SIZE",
    ];
    for variable in variables {
        assert!(help.contains(&format!("[env: {variable}")), "{variable}");
    }
}

#[tokio::test]
async fn a_taken_port_ends_the_start_with_advice() {
    let shop = Shop::start(&[]);
    let taken = shop.queue.as_deref().expect("it has a queue");
    let output = command().env("PORT", "0").env("QUEUE_LISTEN", taken).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("point ACTIVEMQ_BROKER_URL to it"), "{said}");
}
