//! The cluster's API server, as paths and JSON.

use http::{Method, Request};
use kube::Client;
use serde_json::Value;

/// A client of the cluster that `KUBECONFIG` names.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
}

/// A request that did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("{method} {path}: {message}")]
pub(crate) struct RequestError {
    method: Method,
    path: String,
    message: String,
    code: Option<u16>,
}

// === impl Cluster ===

impl Cluster {
    /// Talks to the cluster through `client`.
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Reads an object or a list.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, RequestError> {
        self.send(Method::GET, path, None, Vec::new()).await
    }

    /// Makes an object.
    pub(crate) async fn create(&self, path: &str, object: &Value) -> Result<Value, RequestError> {
        self.send(Method::POST, path, Some("application/json"), object.to_string().into()).await
    }

    /// Changes an object by a JSON merge patch.
    pub(crate) async fn merge(&self, path: &str, patch: &Value) -> Result<Value, RequestError> {
        self.send(Method::PATCH, path, Some("application/merge-patch+json"), patch.to_string().into()).await
    }

    /// Changes an object by a JSON patch.
    pub(crate) async fn patch(&self, path: &str, patch: &Value) -> Result<Value, RequestError> {
        self.send(Method::PATCH, path, Some("application/json-patch+json"), patch.to_string().into()).await
    }

    /// Deletes an object, which need not be there.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), RequestError> {
        match self.send(Method::DELETE, path, None, Vec::new()).await {
            Ok(_) => Ok(()),
            Err(error) if error.is(404) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes an object unless it is there.
    pub(crate) async fn ensure(&self, path: &str, object: &Value) -> Result<(), RequestError> {
        match self.create(path, object).await {
            Ok(_) => Ok(()),
            Err(error) if error.is(409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Value, RequestError> {
        let failed =
            |code, message| RequestError { method: method.clone(), path: path.to_owned(), message, code };
        let mut request = Request::builder().method(method.clone()).uri(path);
        if let Some(content_type) = content_type {
            request = request.header(http::header::CONTENT_TYPE, content_type);
        }
        let request = request.body(body).map_err(|error| failed(None, error.to_string()))?;
        match self.client.request::<Value>(request).await {
            Ok(value) => Ok(value),
            Err(kube::Error::Api(status)) => Err(failed(Some(status.code), status.message.clone())),
            Err(error) => Err(failed(None, error.to_string())),
        }
    }
}

// === impl RequestError ===

impl RequestError {
    /// Whether the answer had this HTTP code.
    pub(crate) fn is(&self, code: u16) -> bool {
        self.code == Some(code)
    }
}
