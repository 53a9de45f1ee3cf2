//! The API server, as the driver meets it: over TLS, with what a kubeconfig says.

use crate::apiserver::RESOURCES;
use crate::client::{Client, ClientConfig, ClientError};
use crate::kubeconfig::Access;
use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use serde_json::Value;
use std::time::Duration;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 << 20;
/// Under which name fields are applied.
const FIELD_MANAGER: &str = "podgauge-demo";

/// A client of one API server. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Api {
    client: Client,
    /// What the paths of this server begin with; empty nearly always.
    prefix: String,
}

/// A request that did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("no answer within {TIMEOUT:?}")]
    Timeout,
    #[error("{0}")]
    Refused(String),
    #[error("cannot reach {server}: {error}")]
    Server { server: String, error: String },
    #[error("there is no {0} among the kinds that the demo knows")]
    Kind(String),
}

// === impl Api ===

impl Api {
    /// Finds the server; nothing is connected yet.
    pub(super) async fn new(access: &Access) -> Result<Self, ApiError> {
        let fail = |error: String| ApiError::Server { server: access.server.clone(), error };
        let url: http::Uri = access.server.parse().map_err(|_| fail("it is no URL".to_owned()))?;
        let host = url.host().ok_or_else(|| fail("it has no host".to_owned()))?;
        let host = host.trim_matches(['[', ']']).to_owned();
        if url.scheme_str() != Some("https") {
            return Err(fail("it is no https URL".to_owned()));
        }
        let port = url.port_u16().unwrap_or(443);
        let found = tokio::net::lookup_host((host.as_str(), port)).await.map(|mut found| found.next());
        let address = found.map_err(|error| fail(error.to_string()))?;
        let config = ClientConfig {
            address: address.ok_or_else(|| fail("its host has no address".to_owned()))?,
            server_name: access.server_name.clone().unwrap_or(host),
            ca_pem: access.ca_pem.clone(),
            credential: access.credential.clone(),
            max_response_bytes: MAX_ANSWER,
        };
        let client = Client::new(&config).map_err(|error| fail(error.to_string()))?;
        Ok(Self { client, prefix: url.path().trim_end_matches('/').to_owned() })
    }

    /// GETs a document.
    pub(super) async fn get(&self, path: &str) -> Result<Value, ApiError> {
        let answer = self.send(Request::builder().uri(path).body(Bytes::new())).await?;
        document(&answer)
    }

    /// Applies an object on the server's side, whoever else has written to its fields.
    pub(super) async fn apply(&self, object: &Value) -> Result<(), ApiError> {
        let path = format!("{}?fieldManager={FIELD_MANAGER}&force=true", path_of(object)?);
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(path)
            .header(http::header::CONTENT_TYPE, "application/apply-patch+yaml")
            // JSON is YAML.
            .body(object.to_string().into());
        document(&self.send(request).await?).map(drop)
    }

    /// Sends a request and reads the whole answer, whatever its code.
    pub(super) async fn send(
        &self,
        request: http::Result<Request<Bytes>>,
    ) -> Result<Response<Bytes>, ApiError> {
        let request = self.prefixed(request.map_err(ClientError::from)?)?;
        tokio::time::timeout(TIMEOUT, self.client.send(request))
            .await
            .map_err(|_| ApiError::Timeout)?
            .map_err(ApiError::from)
    }

    /// Opens an answer that comes bit by bit.
    pub(super) async fn open(&self, path: &str) -> Result<Response<Incoming>, ApiError> {
        let request = Request::builder().uri(path).body(Bytes::new()).map_err(ClientError::from)?;
        let request = self.prefixed(request)?;
        tokio::time::timeout(TIMEOUT, self.client.open(request))
            .await
            .map_err(|_| ApiError::Timeout)?
            .map_err(ApiError::from)
    }

    fn prefixed(&self, mut request: Request<Bytes>) -> Result<Request<Bytes>, ApiError> {
        if !self.prefix.is_empty() {
            let path = format!("{}{}", self.prefix, request.uri());
            *request.uri_mut() = path.parse().map_err(http::Error::from).map_err(ClientError::from)?;
        }
        Ok(request)
    }
}

fn document(answer: &Response<Bytes>) -> Result<Value, ApiError> {
    let document: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    if answer.status().is_success() {
        return Ok(document);
    }
    let message = document["message"].as_str().map_or_else(|| answer.status().to_string(), str::to_owned);
    Err(ApiError::Refused(message))
}

/// Where an object is, or would be.
fn path_of(object: &Value) -> Result<String, ApiError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let known = |resource: &&crate::apiserver::Resource| {
        (resource.group, resource.version, resource.kind) == (group, version, &kind)
    };
    let resource =
        RESOURCES.iter().find(known).ok_or_else(|| ApiError::Kind(format!("{kind} of {api_version}")))?;
    let root = if group.is_empty() { "/api" } else { "/apis" };
    let namespace = match object["metadata"]["namespace"].as_str() {
        _ if !resource.namespaced => String::new(),
        namespace => format!("/namespaces/{}", namespace.unwrap_or("default")),
    };
    let name = text(&object["metadata"]["name"]);
    Ok(format!("{root}/{api_version}{namespace}/{}/{name}", resource.plural))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_have_their_places() {
        let check = |api_version: &str, kind: &str, namespace: Value, expected: &str| {
            let object = json!({"apiVersion": api_version, "kind": kind,
                "metadata": {"name": "n", "namespace": namespace}});
            assert_eq!(path_of(&object).unwrap_or_else(|error| error.to_string()), expected);
        };
        check("v1", "Service", json!("a"), "/api/v1/namespaces/a/services/n");
        check("v1", "Namespace", json!(null), "/api/v1/namespaces/n");
        check("apps/v1", "Deployment", json!(null), "/apis/apps/v1/namespaces/default/deployments/n");
        check(
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            json!("ignored"),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/n",
        );
        check("v2", "Service", json!("a"), "there is no Service of v2 among the kinds that the demo knows");
    }
}
