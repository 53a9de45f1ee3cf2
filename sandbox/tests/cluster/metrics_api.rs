//! A custom metrics API whose answer the test chooses.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sandbox::apiserver::Handle;
use sandbox::pki::Authority;
use sandbox::tls;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const VERSION: &str = "v1beta2";
const GROUP: &str = "custom.metrics.k8s.io";

/// The API; it serves until the test ends.
#[derive(Clone)]
pub(crate) struct MetricsApi(Arc<Mutex<State>>);

struct State {
    code: u16,
    document: Value,
    /// User, path and query of every read of a metric.
    reads: Vec<String>,
}

// === impl MetricsApi ===

impl MetricsApi {
    /// Serves, and registers the APIService. No pod has a value yet.
    pub(crate) async fn start(cluster: &Handle) -> Self {
        let ca = Authority::new("metrics-ca", jiff::Timestamp::now()).unwrap();
        let identity = ca.server("metrics", &["metrics.default.svc"]).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(tls::server(&identity).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        cluster.route_service("default", "metrics", listener.local_addr().unwrap());
        let state = State { code: 200, document: Value::Null, reads: Vec::new() };
        let api = Self(Arc::new(Mutex::new(state)));
        api.answer_with(&[]);
        let served = api.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, api) = (acceptor.clone(), served.clone());
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let service = service_fn(|request| {
                        let answer = api.answer(&request);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(tls), service).await;
                });
            }
        });
        let name = format!("{VERSION}.{GROUP}");
        let service = json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name},
            "spec": {"group": GROUP, "version": VERSION, "groupPriorityMinimum": 100, "versionPriority": 100,
                "service": {"namespace": "default", "name": "metrics"},
                "caBundle": BASE64_STANDARD.encode(ca.pem())},
        });
        cluster.objects().create(service).unwrap();
        cluster.wait_for_api_service(&name, "True").await.unwrap();
        api
    }

    /// From now on these pods have these numbers.
    pub(crate) fn answer_with(&self, values: &[(&str, &str)]) {
        let item = |(pod, value): &(&str, &str)| {
            json!({
                "describedObject": {"kind": "Pod", "namespace": "default", "name": pod, "apiVersion": "v1"},
                "metric": {"name": "messages"}, "timestamp": "2026-08-21T11:29:11Z", "value": value,
            })
        };
        let items: Vec<Value> = values.iter().map(item).collect();
        let api_version = format!("{GROUP}/{VERSION}");
        self.set(
            200,
            json!({"kind": "MetricValueList", "apiVersion": api_version, "metadata": {}, "items": items}),
        );
    }

    /// From now on every read is refused so.
    pub(crate) fn refuse_with(&self, code: u16, message: &str) {
        self.set(
            code,
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message,
            "code": code}),
        );
    }

    pub(crate) fn reads(&self) -> Vec<String> {
        self.0.lock().unwrap().reads.clone()
    }

    fn set(&self, code: u16, document: Value) {
        let mut state = self.0.lock().unwrap();
        (state.code, state.document) = (code, document);
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let mut state = self.0.lock().unwrap();
        let (code, document) = if request.uri().path().contains("/namespaces/") {
            let user = request.headers()["x-remote-user"].to_str().unwrap();
            state.reads.push(format!("{user} {}", request.uri().path_and_query().unwrap()));
            (state.code, state.document.clone())
        } else {
            let group_version = format!("{GROUP}/{VERSION}");
            (200, json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": []}))
        };
        let answer = Response::builder().status(code).header("content-type", "application/json");
        answer.body(Full::new(document.to_string().into())).unwrap()
    }
}
