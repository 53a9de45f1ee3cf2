//! The aggregated API that kube-apiserver proxies to.
//!
//! It serves, for each scenario's namespace:
//! - `targets/NAME/scale` of group `targets.hpa-conformance.podgauge.dev`: reading it begins a turn,
//! - `custom.metrics.k8s.io`, `external.metrics.k8s.io`, `metrics.k8s.io`: what the scenario says,
//!
//! and the resource lists that discovery wants. Who asks is not looked at: nothing here is worth keeping from
//! anybody, and nothing here lasts.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::registration::TARGET_GROUP;
use crate::route::{Route, route};
use crate::stage::Stage;

/// The largest body that is read, in bytes: a Scale has some 200.
const MAX_BODY_BYTES: usize = 64 * 1024;
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The scenarios that are being played, by namespace.
#[derive(Clone, Default)]
pub(crate) struct Stages(Arc<Mutex<HashMap<String, Arc<Stage>>>>);

/// HTTP code and body.
pub(crate) type Answer = (u16, Value);

/// Accepts connections for as long as it is polled.
pub(crate) async fn serve(listener: TcpListener, tls: TlsAcceptor, stages: Stages) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                tokio::spawn(connection(tcp, tls.clone(), stages.clone()));
            }
            // Out of descriptors, most likely: connections end, and then there are some.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// A failure, as a `Status`.
pub(crate) fn status(code: u16, message: &str) -> Answer {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": code}),
    )
}

async fn connection(tcp: TcpStream, tls: TlsAcceptor, stages: Stages) {
    // A connection that breaks costs the controller a turn that fails, and that shows.
    let Ok(Ok(tls)) = tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await else {
        return;
    };
    let service = service_fn(|request| {
        let stages = stages.clone();
        async move { Ok::<_, Infallible>(respond(answer(&stages, request).await)) }
    });
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tls), service).await;
}

async fn answer(stages: &Stages, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let stage =
        |namespace: &str| stages.get(namespace).ok_or_else(|| status(404, "no scenario is played here"));
    let result = match route(&head.method, path) {
        Route::Resources { group_version } => Ok(resources(&group_version)),
        Route::ReadScale { namespace, target } => match stage(namespace) {
            Ok(stage) => Ok(stage.read_scale(target).await),
            Err(answer) => Err(answer),
        },
        Route::WriteScale { namespace, target } => match (stage(namespace), replicas(body).await) {
            (Ok(stage), Ok(replicas)) => Ok(stage.write_scale(target, replicas).await),
            (Err(answer), _) | (_, Err(answer)) => Err(answer),
        },
        Route::Metric { namespace } => match stage(namespace) {
            Ok(stage) => Ok(stage.metric(path, head.uri.query().unwrap_or_default()).await),
            Err(answer) => Err(answer),
        },
        Route::Nothing => Err(status(404, &format!("there is no {} {path}", head.method))),
    };
    result.unwrap_or_else(|answer| answer)
}

/// The `spec.replicas` of a Scale, which the controller sends as JSON.
async fn replicas(body: Incoming) -> Result<i32, Answer> {
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
    let bytes = body.map_err(|error| status(400, &error.to_string()))?.to_bytes();
    let scale: Value = serde_json::from_slice(&bytes)
        .map_err(|error| status(415, &format!("a Scale is read as JSON alone: {error}")))?;
    // A Scale to zero has no such field.
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    i32::try_from(replicas).map_err(|_| status(422, "spec.replicas is no int32"))
}

fn resources(group_version: &str) -> Answer {
    let resources = if group_version.starts_with(TARGET_GROUP) {
        json!([
            // Without list and delete, no controller of the cluster takes an interest in it.
            {"name": "targets", "singularName": "target", "namespaced": true, "kind": "Target", "verbs": ["get"]},
            {"name": "targets/scale", "singularName": "", "namespaced": true, "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get", "update"]},
        ])
    } else {
        json!([])
    };
    (
        200,
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}),
    )
}

fn respond((code, body): Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

// === impl Stages ===

impl Stages {
    /// Answers for a namespace from now on.
    pub(crate) fn insert(&self, namespace: &str, stage: Arc<Stage>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(namespace.to_owned(), stage);
    }

    fn get(&self, namespace: &str) -> Option<Arc<Stage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned()
    }
}
