//! What the tests of the served API share.

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sandbox::apiserver::{ApiServer, Config, Handle};
use sandbox::client::Client;
use sandbox::kubeconfig::Credential;
use serde_json::{Value, json};
use std::time::Duration;

/// No step of a test takes longer; only a failing test meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) async fn start() -> Handle {
    ApiServer::start(Config::default()).await.unwrap()
}

/// A client with every right.
pub(crate) fn admin(cluster: &Handle) -> Client {
    let identity = cluster.cluster_ca().client("admin", &["system:masters"]).unwrap();
    cluster.client(Credential::ClientCertificate(identity)).unwrap()
}

/// Code and JSON body of an answer; a body that is no JSON comes as a string.
pub(crate) fn parse(answer: Response<Bytes>) -> (u16, Value) {
    let body = serde_json::from_slice(answer.body())
        .unwrap_or_else(|_| String::from_utf8_lossy(answer.body()).into_owned().into());
    (answer.status().as_u16(), body)
}

pub(crate) async fn get(client: &Client, path: &str) -> (u16, Value) {
    parse(client.get(path).await.unwrap())
}

pub(crate) async fn send(client: &Client, method: Method, path: &str, body: Value) -> (u16, Value) {
    parse(client.send_json(method, path, "application/json", &body).await.unwrap())
}

pub(crate) async fn patch(client: &Client, path: &str, content_type: &str, body: Value) -> (u16, Value) {
    parse(client.send_json(Method::PATCH, path, content_type, &body).await.unwrap())
}

/// A pod with one label `app`.
pub(crate) fn pod(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {"containers": [{"name": "c"}]},
    })
}

/// An open watch.
pub(crate) struct Watch {
    body: Incoming,
    rest: Vec<u8>,
}

impl Watch {
    pub(crate) async fn open(client: &Client, path: &str) -> Self {
        let request = http::Request::builder().uri(path).body(Bytes::new()).unwrap();
        let answer = client.open(request).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        Self { body: answer.into_body(), rest: Vec::new() }
    }

    /// The next event as (type, object); `None` at the end, an error if the watch breaks off.
    pub(crate) async fn next(&mut self) -> Option<Result<(String, Value), String>> {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let event: Value = serde_json::from_slice(&line).unwrap();
                return Some(Ok((event["type"].as_str().unwrap().to_owned(), event["object"].clone())));
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("an event in time")?;
            match frame {
                Ok(frame) => self.rest.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(error) => return Some(Err(error.to_string())),
            }
        }
    }

    /// The next events in short: `TYPE name`.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<String> {
        let mut found = Vec::new();
        for _ in 0..count {
            let (kind, object) = self.next().await.expect("another event").unwrap();
            found.push(format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or_default()));
        }
        found
    }
}
