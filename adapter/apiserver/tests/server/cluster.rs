//! A kube-apiserver that is a function: it reviews tokens and access and has one ConfigMap.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// The cluster's state, as the test sets it.
pub(crate) struct Cluster {
    /// The data of the authentication ConfigMap; `None` refuses reading it with `refuse_with`.
    pub(crate) authentication: Mutex<Option<BTreeMap<String, String>>>,
    pub(crate) refuse_with: AtomicU16,
    /// When not 0, reviews are answered with this code.
    pub(crate) fail_with: AtomicU16,
    /// Reviews of users and tokens whose name starts with `slow` wait for a permit.
    pub(crate) gate: Semaphore,
    pub(crate) token_reviews: AtomicUsize,
    pub(crate) access_reviews: AtomicUsize,
    /// The spec of the last access review.
    pub(crate) last_access: Mutex<Value>,
}

// === impl Cluster ===

impl Cluster {
    pub(crate) fn new(authentication: BTreeMap<String, String>) -> Arc<Self> {
        Arc::new(Self {
            authentication: Mutex::new(Some(authentication)),
            refuse_with: AtomicU16::new(403),
            fail_with: AtomicU16::new(0),
            gate: Semaphore::new(0),
            token_reviews: AtomicUsize::new(0),
            access_reviews: AtomicUsize::new(0),
            last_access: Mutex::new(Value::Null),
        })
    }

    pub(crate) fn client(self: &Arc<Self>) -> kube::Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request| {
            let cluster = cluster.clone();
            async move { Ok::<_, std::convert::Infallible>(cluster.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        match path.as_str() {
            "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication" => {
                match &*self.authentication.lock().unwrap() {
                    Some(data) => reply(
                        200,
                        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": data}),
                    ),
                    None => failure(self.refuse_with.load(Ordering::SeqCst), "as the test wishes"),
                }
            }
            "/apis/authentication.k8s.io/v1/tokenreviews" => {
                self.token_reviews.fetch_add(1, Ordering::SeqCst);
                self.review(body, |review| {
                    let token = review["spec"]["token"].as_str().unwrap_or_default().to_owned();
                    let user = token.strip_prefix("token-of-").map(|name| {
                        let name = name.split('#').next().unwrap_or_default();
                        json!({"username": name, "uid": "uid-1", "groups": ["tokens"], "extra": {"k": ["v"]}})
                    });
                    // A user alone is no word that the token is good.
                    let is_good = user.is_some() && !token.ends_with("#revoked");
                    let status = json!({"authenticated": is_good, "user": user});
                    (token.trim_start_matches("token-of-").to_owned(), status)
                })
                .await
            }
            "/apis/authorization.k8s.io/v1/subjectaccessreviews" => {
                self.access_reviews.fetch_add(1, Ordering::SeqCst);
                self.review(body, |review| {
                    let spec = &review["spec"];
                    *self.last_access.lock().unwrap() = spec.clone();
                    let user = spec["user"].as_str().unwrap_or_default().to_owned();
                    let status = match user.as_str() {
                        "denied" => json!({"allowed": false, "denied": true, "reason": "by a rule"}),
                        "contradicted" => json!({"allowed": true, "denied": true}),
                        _ => json!({"allowed": is_allowed(spec), "reason": ""}),
                    };
                    (user, status)
                })
                .await
            }
            path => failure(404, path),
        }
    }

    async fn review(
        &self,
        body: bytes::Bytes,
        answer: impl FnOnce(&Value) -> (String, Value),
    ) -> Response<Body> {
        let mut review: Value = serde_json::from_slice(&body).unwrap();
        let (whose, status) = answer(&review);
        if whose.starts_with("slow") {
            self.gate.acquire().await.unwrap().forget();
        }
        match self.fail_with.load(Ordering::SeqCst) {
            0 => {
                review["status"] = status;
                reply(201, &review)
            }
            code => failure(code, "as the test wishes"),
        }
    }
}

/// `system:discovery` for whoever is authenticated; `worker` may also read gears.
fn is_allowed(spec: &Value) -> bool {
    if let Some(path) = spec["nonResourceAttributes"]["path"].as_str() {
        let is_open = ["/apis", "/openapi", "/version"].iter().any(|open| path.starts_with(open));
        let is_authenticated =
            spec["groups"].as_array().is_some_and(|groups| groups.contains(&"system:authenticated".into()));
        return is_open && is_authenticated;
    }
    let user = spec["user"].as_str().unwrap_or_default();
    user == "worker" && spec["resourceAttributes"]["group"] == crate::api::GROUP
}

fn reply(code: u16, document: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(document.to_string().into_bytes()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn failure(code: u16, message: &str) -> Response<Body> {
    reply(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": "", "code": code}),
    )
}
