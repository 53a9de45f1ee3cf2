//! The scale of what an HPA scales: read and written through the `scale` subresource, over the network.

use super::discovery::resource_of;
use crate::client::Client;
use bytes::Bytes;
use http::{Method, Response};
use sandbox_hpa::reconcile::Scale;
use sandbox_hpa::spec::HorizontalPodAutoscaler;
use serde_json::Value;

/// How often a write is tried while others write, too (client-go's `retry.DefaultRetry`).
const ATTEMPTS: usize = 5;

/// A scale that was read.
pub(super) struct Target {
    pub(super) scale: Scale,
    path: String,
    document: Value,
}

// === impl Target ===

impl Target {
    /// Reads the scale of the HPA's target.
    pub(super) async fn read(api: &Client, hpa: &HorizontalPodAutoscaler) -> Result<Self, String> {
        let target = &hpa.spec.scale_target_ref;
        let group = target.group();
        let version = target.api_version.rsplit('/').next().unwrap_or_default();
        let Some(resource) = resource_of(group, &target.kind) else {
            let kind = &target.kind;
            return Err(format!("no matches for kind {kind:?} in group {group:?}"));
        };
        let root =
            if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let (namespace, name) = (&hpa.metadata.namespace, &target.name);
        let path = format!("{root}/namespaces/{namespace}/{resource}/{name}/scale");
        let document =
            parse(api.get(&path).await.map_err(|error| error.to_string())?).map_err(|(_, text)| text)?;
        Ok(Self { scale: decode(&document), path, document })
    }

    /// Sets the number of replicas.
    pub(super) async fn set(mut self, api: &Client, replicas: i32) -> Result<(), String> {
        for attempt in 1.. {
            self.document["spec"]["replicas"] = replicas.into();
            let sent = api.send_json(Method::PUT, &self.path, "application/json", &self.document).await;
            match parse(sent.map_err(|error| error.to_string())?) {
                Err((409, _)) if attempt < ATTEMPTS => {
                    let again = api.get(&self.path).await.map_err(|error| error.to_string())?;
                    self.document = parse(again).map_err(|(_, text)| text)?;
                }
                other => return other.map(drop).map_err(|(_, text)| text),
            }
        }
        Ok(())
    }
}

fn decode(document: &Value) -> Scale {
    let count = |part: &Value| part["replicas"].as_i64().and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    Scale {
        replicas: count(&document["spec"]),
        status_replicas: count(&document["status"]),
        selector: document["status"]["selector"].as_str().unwrap_or_default().to_owned(),
    }
}

/// The document of an answer; for a refusal its code and what its Status says.
fn parse(answer: Response<Bytes>) -> Result<Value, (u16, String)> {
    let code = answer.status().as_u16();
    let document: Value = serde_json::from_slice(answer.body())
        .map_err(|error| (code, format!("no JSON in the answer: {error}")))?;
    if answer.status().is_success() {
        return Ok(document);
    }
    let message = document["message"].as_str().unwrap_or("the server gave no reason");
    Err((code, message.to_owned()))
}
