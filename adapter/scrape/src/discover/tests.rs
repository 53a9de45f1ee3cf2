//! The API server is a function from requests to bodies; the store is read as anybody reads it.

use std::{collections::VecDeque, sync::Mutex as StdMutex};

use bytes::Bytes;
use futures::stream;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use kube::client::Body;
use podgauge_store::Reader;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use super::*;
use crate::{config::Source, health::Health, pace::PACE};

/// What the API server does with one request.
enum Answer {
    /// These events, and then the watch stays open.
    Watch(Vec<Value>),
    /// These lines, and then the watch ends.
    Ended(Vec<String>),
    /// A list.
    List(Value),
    /// A failure with this code.
    Status(u16),
    /// No connection.
    Broken,
}

/// Answers in this order, and none after that; remembers what was asked.
#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    asked: Vec<String>,
}

struct Stage {
    script: Arc<StdMutex<Script>>,
    reader: Reader,
    health: Health,
    commands: mpsc::Receiver<Command>,
    registry: Registry,
}

fn client(script: Arc<StdMutex<Script>>) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let script = Arc::clone(&script);
        async move {
            let answer = {
                let mut script = script.lock().unwrap();
                script.asked.push(request.uri().to_string());
                script.answers.pop_front()
            };
            match answer {
                Some(answer) => respond(answer),
                None => std::future::pending().await,
            }
        }
    });
    Client::new(service, "default")
}

type AnswerBody = UnsyncBoxBody<Bytes, std::io::Error>;

fn respond(answer: Answer) -> Result<Response<AnswerBody>, std::io::Error> {
    let full = |value: Value| {
        Full::new(Bytes::from(value.to_string())).map_err(|never| match never {}).boxed_unsync()
    };
    let lines = |lines: Vec<String>| {
        stream::iter(lines).map(|line| Ok::<_, std::io::Error>(Frame::data(Bytes::from(format!("{line}\n")))))
    };
    let (code, body) = match answer {
        Answer::Watch(events) => {
            let events = lines(events.iter().map(Value::to_string).collect());
            (200, StreamBody::new(events.chain(stream::pending())).boxed_unsync())
        }
        Answer::Ended(events) => (200, StreamBody::new(lines(events)).boxed_unsync()),
        Answer::List(list) => (200, full(list)),
        Answer::Status(code) => (code, full(status(code))),
        Answer::Broken => return Err(std::io::ErrorKind::ConnectionRefused.into()),
    };
    Ok(Response::builder().status(code).body(body).unwrap())
}

fn status(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
           "message": "no", "reason": "No", "code": code})
}

fn pod(name: &str, version: u32) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "ns", "uid": format!("uid-{name}"),
                     "resourceVersion": version.to_string(), "labels": {"app": name},
                     "annotations": {"prometheus.io/scrape": "true"}},
        "spec": {"containers": [{"ports": [{"containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1"}
    })
}

fn event(kind: &str, object: &Value) -> Value {
    json!({"type": kind, "object": object})
}

fn added(name: &str, version: u32) -> Value {
    event("ADDED", &pod(name, version))
}

fn bookmark(version: u32, is_initial_end: bool) -> Value {
    let annotations = if is_initial_end { json!({"k8s.io/initial-events-end": "true"}) } else { json!({}) };
    let metadata = json!({"resourceVersion": version.to_string(), "annotations": annotations});
    event("BOOKMARK", &json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata}))
}

fn list(pods: &[Value], version: u32, more: &str) -> Answer {
    Answer::List(json!({
        "apiVersion": "v1", "kind": "PodList",
        "metadata": {"resourceVersion": version.to_string(), "continue": more},
        "items": pods
    }))
}

/// Follows the script until its last answer was taken in and nothing is left to do but wait.
async fn play(answers: Vec<Answer>) -> Stage {
    let script = Arc::new(StdMutex::new(Script { answers: answers.into(), asked: Vec::new() }));
    let (writer, reader) = podgauge_store::open(podgauge_store::Config::default());
    let (sender, commands) = mpsc::channel(1000);
    let (signs, health) = Signs::new();
    let mut registry = Registry::default();
    let discovery = Discovery {
        rules: TargetRules { allow_node_addresses: false, allow_loopback: false, targets_per_pod: 16 },
        writer,
        commands: sender,
        metrics: Metrics::register(&mut registry),
        signs: Arc::new(signs),
        sources: Sources::new(&[Source::Pods], crate::Config::default().monitor_settings()),
        known: HashMap::new(),
        ready: HashSet::new(),
        is_listed: false,
    };
    // Longer than all back-off and patience of a script together; paused time goes by as soon as all wait.
    drop(timeout(Duration::from_secs(200), discovery.run(client(Arc::clone(&script)), None)).await);
    Stage { script, reader, health, commands, registry }
}

impl Stage {
    fn pods(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.reader.all_pods(|_| true).iter().map(|pod| pod.key.name.to_string()).collect();
        names.sort();
        names
    }

    /// What was asked: how the list was asked for, and from which version a watch went on.
    fn asked(&self) -> Vec<String> {
        let script = self.script.lock().unwrap();
        let parameter = |url: &str, name: &str| {
            let query = url.split_once('?').map_or("", |(_, query)| query).to_owned();
            query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")).map(str::to_owned))
        };
        let name = |url: &String| {
            if parameter(url, "sendInitialEvents").is_some() {
                "stream".to_owned()
            } else if parameter(url, "watch").is_some() {
                format!("watch from {}", parameter(url, "resourceVersion").unwrap())
            } else {
                format!("list {}", parameter(url, "continue").unwrap_or_default())
            }
        };
        script.asked.iter().map(name).collect()
    }

    fn changes(&mut self) -> Vec<String> {
        let mut changes = Vec::new();
        while let Ok(command) = self.commands.try_recv() {
            changes.push(match command {
                Command::Start(recorders) => {
                    format!("start {}", recorders.first().unwrap().0.target().pod().name)
                }
                Command::Stop(ids) => format!("stop {}", ids.len()),
                Command::Changed(pod) => format!("changed {}", pod.name),
                Command::Ready(pod) => format!("ready {}", pod.name),
                Command::Synced => "synced".to_owned(),
            });
        }
        changes
    }

    fn counts(&self, line: &str) -> bool {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines().any(|l| l == line)
    }
}

#[tokio::test(start_paused = true)]
async fn a_streamed_list_goes_on_as_a_watch() {
    let mut stage = play(vec![Answer::Watch(vec![
        added("a", 1),
        added("b", 2),
        bookmark(5, true),
        added("c", 6),
        event("MODIFIED", &pod("a", 7)),
        event("DELETED", &pod("b", 8)),
    ])])
    .await;
    assert_eq!(stage.pods(), ["a", "c"]);
    assert_eq!(stage.changes(), ["start a", "start b", "synced", "start c", "changed a", "stop 1"]);
    assert!(stage.health.is_synced());
    assert_eq!(stage.asked(), ["stream"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_becomes_ready_is_told_once() {
    let condition = |version, status: &str| {
        let mut pod = pod("a", version);
        pod["status"]["conditions"] = json!([{"type": "Initialized"}, {"type": "Ready", "status": status}]);
        event("MODIFIED", &pod)
    };
    let mut stage = play(vec![Answer::Watch(vec![
        added("a", 1),
        bookmark(5, true),
        condition(6, "False"),
        condition(7, "True"),
        condition(8, "True"),
        condition(9, "False"),
        condition(10, "True"),
    ])])
    .await;
    assert_eq!(
        stage.changes(),
        ["start a", "synced", "changed a", "ready a", "changed a", "changed a", "ready a"]
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_synced_before_the_list_is_complete() {
    let stage = play(vec![Answer::Watch(vec![added("a", 1)])]).await;
    assert!(!stage.health.is_synced());
    assert_eq!(stage.pods(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_resumes_from_its_last_bookmark() {
    let stage = play(vec![
        Answer::Ended(vec![
            added("a", 1).to_string(),
            bookmark(5, true).to_string(),
            bookmark(40, false).to_string(),
        ]),
        Answer::Broken,
        Answer::Watch(vec![added("b", 41)]),
    ])
    .await;
    assert_eq!(stage.asked(), ["stream", "watch from 40", "watch from 40"]);
    assert_eq!(stage.pods(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_list_ends_what_is_not_on_it() {
    let expired = event("ERROR", &status(410));
    let mut stage = play(vec![
        Answer::Watch(vec![added("a", 1), added("b", 2), bookmark(5, true), expired]),
        Answer::Watch(vec![added("b", 2), added("c", 90), bookmark(99, true)]),
    ])
    .await;
    assert_eq!(stage.asked(), ["stream", "stream"]);
    assert_eq!(stage.pods(), ["b", "c"]);
    assert_eq!(stage.changes(), ["start a", "start b", "synced", "start c", "stop 1", "synced"]);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_refused_when_a_watch_starts_is_given_up() {
    let stage = play(vec![
        Answer::Ended(vec![added("a", 1).to_string(), bookmark(5, true).to_string()]),
        Answer::Status(410),
        Answer::Watch(vec![added("b", 2), bookmark(99, true)]),
    ])
    .await;
    assert_eq!(stage.asked(), ["stream", "watch from 5", "stream"]);
    assert_eq!(stage.pods(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn pages_serve_where_lists_are_not_streamed() {
    for code in [400, 422] {
        let stage = play(vec![
            Answer::Status(code),
            list(&[pod("a", 1), pod("b", 2)], 0, "more"),
            list(&[pod("c", 3)], 7, ""),
            Answer::Watch(vec![event("DELETED", &pod("a", 8))]),
        ])
        .await;
        assert_eq!(stage.asked(), ["stream", "list ", "list more", "watch from 7"]);
        assert_eq!(stage.pods(), ["b", "c"]);
        assert!(stage.health.is_synced());
    }
}

/// kube-apiserver 1.36 on etcd 3.4 accepts the request and says no in the stream.
#[tokio::test(start_paused = true)]
async fn pages_serve_where_etcd_is_too_old_for_streams() {
    let stage = play(vec![
        Answer::Ended(vec![event("ERROR", &status(500)).to_string()]),
        list(&[pod("a", 1)], 7, ""),
        Answer::Watch(vec![]),
    ])
    .await;
    assert_eq!(stage.asked(), ["stream", "list ", "watch from 7"]);
    assert!(stage.health.is_synced());
}

#[tokio::test(start_paused = true)]
async fn pages_serve_where_a_streamed_list_never_ends() {
    let stage =
        play(vec![Answer::Watch(vec![added("a", 1)]), list(&[pod("b", 2)], 7, ""), Answer::Watch(vec![])])
            .await;
    assert_eq!(stage.asked(), ["stream", "list ", "watch from 7"]);
    assert_eq!(stage.pods(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_tried_again() {
    let stage = play(vec![
        Answer::Broken,
        Answer::Status(403),
        Answer::Status(503),
        Answer::Ended(vec![added("x", 1).to_string()]),
        Answer::Ended(vec!["<html>".to_owned()]),
        Answer::Watch(vec![added("a", 1), bookmark(5, true)]),
    ])
    .await;
    assert_eq!(stage.asked(), ["stream"; 6]);
    assert_eq!(stage.pods(), ["a"]);
    assert!(stage.counts("pod_lists_total 1"));
    assert!(stage.counts("pod_watch_failures_total 6"), "one each, and two for the list that is no list");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_at_once_is_not_asked_for_in_a_tight_loop() {
    let ended = (0..3000).map(|_| Answer::Ended(vec![]));
    let first = Answer::Ended(vec![bookmark(5, true).to_string()]);
    let stage = play(std::iter::once(first).chain(ended).collect()).await;
    let asked = stage.asked().len() as u64;
    assert!(asked <= 200 * 1000 / u64::try_from(PACE.as_millis()).unwrap() + 2, "{asked} requests in 200 s");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_be_decoded_is_passed_over() {
    let mut broken = pod("b", 2);
    broken["spec"] = json!("nonsense");
    let mut stage = play(vec![
        Answer::Watch(vec![
            added("a", 1),
            added("b", 2),
            bookmark(5, true),
            event("MODIFIED", &broken),
            event("ADDED", &json!({"metadata": {"resourceVersion": "7"}})),
            added("c", 8),
            event("ERROR", &status(410)),
        ]),
        Answer::Watch(vec![added("a", 1), event("ADDED", &broken), added("c", 8), bookmark(99, true)]),
    ])
    .await;
    assert_eq!(stage.pods(), ["a", "b", "c"], "b is still what it was");
    assert_eq!(stage.changes(), ["start a", "start b", "synced", "start c", "synced"]);
    assert!(stage.counts("pods_undecodable_total 2"));
}

#[tokio::test(start_paused = true)]
async fn targets_end_with_what_made_them_targets() {
    let mut terminating = pod("a", 7);
    terminating["metadata"]["deletionTimestamp"] = json!("2026-11-01T10:00:00Z");
    let mut replaced = pod("b", 8);
    replaced["metadata"]["uid"] = json!("another");
    let mut moved = pod("c", 9);
    moved["metadata"]["annotations"]["prometheus.io/port"] = json!("9090");
    let mut stage = play(vec![Answer::Watch(vec![
        added("a", 1),
        added("b", 2),
        added("c", 3),
        bookmark(5, true),
        event("MODIFIED", &terminating),
        event("MODIFIED", &replaced),
        event("MODIFIED", &moved),
    ])])
    .await;
    assert_eq!(
        stage.changes(),
        ["start a", "start b", "start c", "synced", "stop 1", "stop 1", "start b", "stop 1", "start c"]
    );
    assert_eq!(stage.pods(), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn one_namespace_is_asked_for_alone() {
    let script = Arc::new(StdMutex::new(Script::default()));
    let (writer, _reader) = podgauge_store::open(podgauge_store::Config::default());
    let (sender, _commands) = mpsc::channel(1);
    let (signs, _health) = Signs::new();
    let discovery = Discovery {
        rules: TargetRules { allow_node_addresses: false, allow_loopback: false, targets_per_pod: 16 },
        writer,
        commands: sender,
        metrics: Metrics::register(&mut Registry::default()),
        signs: Arc::new(signs),
        sources: Sources::new(&[Source::Pods], crate::Config::default().monitor_settings()),
        known: HashMap::new(),
        ready: HashSet::new(),
        is_listed: false,
    };
    let run = discovery.run(client(Arc::clone(&script)), Some("shop"));
    drop(timeout(Duration::from_secs(1), run).await);
    assert!(script.lock().unwrap().asked[0].starts_with("/api/v1/namespaces/shop/pods?"));
}
