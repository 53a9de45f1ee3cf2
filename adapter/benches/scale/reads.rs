//! Readers of the API.

use std::time::{Duration, Instant};

use sandbox::client::Client;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{farm, spread::Spread};

/// The path of all pods with this label, `key=value`.
pub(crate) fn list(label: &str) -> String {
    let label = label.replace('=', "%3D");
    format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/*/messages?labelSelector={label}")
}

/// The path of one pod.
pub(crate) fn one(pod: &str) -> String {
    format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/default/pods/{pod}/messages")
}

/// Reads again and again for so long, without a pause: milliseconds each.
pub(crate) async fn flood(client: &Client, path: &str, span: Duration) -> Spread {
    let mut took = Spread::default();
    let start = Instant::now();
    while start.elapsed() < span {
        took.push(timed(client, path).await.0);
    }
    took
}

/// The same by so many readers at once.
pub(crate) async fn crowd(client: &Client, path: &str, span: Duration, readers: usize) -> Spread {
    let mut floods = JoinSet::new();
    for _ in 0..readers {
        let (client, path) = (client.clone(), path.to_owned());
        floods.spawn(async move { flood(&client, &path, span).await });
    }
    floods.join_all().await.into_iter().flatten().collect()
}

/// Reads once: the milliseconds that it took, and the answer's text. As clients do, it asks again when the server closes a
/// connection that was idle.
pub(crate) async fn timed(client: &Client, path: &str) -> (f64, Vec<u8>) {
    let start = Instant::now();
    let answer = match client.get(path).await {
        Ok(answer) => answer,
        Err(_) => client.get(path).await.unwrap(),
    };
    let took = start.elapsed().as_secs_f64() * 1e3;
    assert_eq!(answer.status(), 200, "{path}");
    (took, answer.into_body().into())
}

/// How old each value of a list is, in seconds: pods tell their time.
pub(crate) fn ages(answer: &[u8], ages: &mut Spread) -> usize {
    let now = farm::now() as f64;
    let list: Value = serde_json::from_slice(answer).unwrap();
    let items = list["items"].as_array().unwrap();
    for item in items {
        ages.push((now - quantity(item["value"].as_str().unwrap())) / 1e3);
    }
    items.len()
}

/// A whole number as the API writes it.
fn quantity(text: &str) -> f64 {
    let scales = [("k", 1e3), ("M", 1e6), ("G", 1e9)];
    let scaled = scales.iter().find_map(|(suffix, scale)| Some((text.strip_suffix(suffix)?, *scale)));
    let (digits, scale) = scaled.unwrap_or((text, 1.0));
    digits.parse::<f64>().unwrap() * scale
}
