//! The aggregator in front of a backend of our own.

use crate::support::{PATIENCE, admin, get, parse, start};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sandbox::apiserver::{Handle, User};
use sandbox::kubeconfig::Credential;
use sandbox::pki::Authority;
use sandbox::tls;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const NAME: &str = "v1.shop.example.com";
const ROOT: &str = "/apis/shop.example.com/v1";

/// A server that answers its discovery documents, a redirect, and otherwise what it was asked.
struct Backend {
    address: SocketAddr,
    ca: Authority,
    /// User, path and query of every request.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    async fn start(http2: bool) -> Self {
        let ca = Authority::new("backend-ca", jiff::Timestamp::now()).unwrap();
        let identity = ca.server("backend", &["shop.default.svc"]).unwrap();
        let mut config = tls::server(&identity).unwrap();
        if !http2 {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let backend = Self { address, ca, seen: seen.clone() };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, seen) = (acceptor.clone(), seen.clone());
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(tcp).await else { return };
                    let certificate = tls.get_ref().1.peer_certificates().is_some();
                    let service = service_fn(|request| {
                        let answer = answer(&request, certificate, &seen);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(tls), service).await;
                });
            }
        });
        backend
    }

    fn api_service(&self, ca_pem: &str) -> Value {
        json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": NAME},
            "spec": {"group": "shop.example.com", "version": "v1", "groupPriorityMinimum": 100,
                "versionPriority": 100, "service": {"namespace": "default", "name": "shop"},
                "caBundle": BASE64_STANDARD.encode(ca_pem)},
        })
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(
    request: &Request<Incoming>,
    certificate: bool,
    seen: &Mutex<Vec<String>>,
) -> Response<Full<Bytes>> {
    let headers: Vec<String> =
        request.headers().iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect();
    let user = request.headers().get("x-remote-user").map_or("", |user| user.to_str().unwrap()).to_owned();
    seen.lock().unwrap().push(format!("{user} {}", request.uri().path_and_query().unwrap()));
    let resource = json!({"name": "carts/total", "namespaced": true, "kind": "Total", "verbs": ["get"]});
    let (code, document) = match request.uri().path() {
        "/apis" => (404, json!({})),
        ROOT => (
            200,
            json!({"kind": "APIResourceList", "groupVersion": "shop.example.com/v1", "resources": [resource]}),
        ),
        path if path.ends_with("/away") => (302, json!({})),
        path => (
            200,
            json!({"path": path, "query": request.uri().query(), "headers": headers, "certificate": certificate}),
        ),
    };
    let mut answer = Response::new(Full::new(document.to_string().into()));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
    if code == 302 {
        answer.headers_mut().insert("location", "https://elsewhere.example.com/".parse().unwrap());
    }
    answer
}

async fn available(cluster: &Handle, status: &str) -> Value {
    let waited = tokio::time::timeout(PATIENCE, cluster.wait_for_api_service(NAME, status)).await;
    waited.expect("the condition in time").expect("the APIService")["status"]["conditions"][0].clone()
}

async fn requests_are_proxied(http2: bool) {
    let cluster = start().await;
    let backend = Backend::start(http2).await;
    cluster.objects().create(backend.api_service(backend.ca.pem())).unwrap();
    assert_eq!(available(&cluster, "False").await["reason"], "ServiceNotFound");
    let client = admin(&cluster);
    let refused = parse(client.get(&format!("{ROOT}/carts")).await.unwrap());
    assert_eq!(refused, (503, json!("service unavailable\n")));
    cluster.route_service("default", "shop", backend.address);
    assert_eq!(available(&cluster, "True").await["reason"], "Passed");
    assert!(backend.seen().contains(&format!("system:kube-aggregator {ROOT}")));

    let mut user = User::new("jane", &["system:masters", "b"]);
    user.extra.insert("a/b".to_owned(), vec!["c".to_owned()]);
    cluster.add_token("t", user);
    let jane = cluster.client(Credential::Token("t".into())).unwrap();
    let request = Request::builder()
        .uri(format!("{ROOT}/namespaces/default/pods/*/messages?labelSelector=app%3Dweb&a=b"))
        .header("x-remote-user", "root")
        .header("x-remote-group", "system:masters")
        .header("accept", "application/vnd.kubernetes.protobuf, */*")
        .body(Bytes::new())
        .unwrap();
    let (code, echo) = parse(jane.send(request).await.unwrap());
    assert_eq!(code, 200);
    assert_eq!(echo["path"], format!("{ROOT}/namespaces/default/pods/%2A/messages"));
    assert_eq!(echo["query"], "a=b&labelSelector=app%3Dweb");
    assert_eq!(echo["certificate"], true);
    let headers: Vec<&str> =
        echo["headers"].as_array().unwrap().iter().map(|h| h.as_str().unwrap()).collect();
    let mut remote: Vec<&str> = headers.iter().filter(|h| h.starts_with("x-remote-")).copied().collect();
    remote.sort_unstable();
    let expected = [
        "x-remote-extra-a%2fb: c",
        "x-remote-group: b",
        "x-remote-group: system:authenticated",
        "x-remote-group: system:masters",
        "x-remote-user: jane",
    ];
    assert_eq!(remote, expected);
    assert!(headers.contains(&"accept: application/vnd.kubernetes.protobuf, */*"));
    assert!(headers.contains(&"x-forwarded-for: 127.0.0.1"));
    assert!(headers.contains(&"x-forwarded-proto: https"));
    assert!(headers.iter().any(|h| h.starts_with("audit-id: ")));
    assert!(!headers.iter().any(|h| h.starts_with("authorization")));
    let (code, status) = get(&client, &format!("{ROOT}/away")).await;
    assert_eq!((code, &status["kind"]), (502, &json!("Status")));
    cluster.shutdown().await;
}

#[tokio::test]
async fn requests_are_proxied_over_http2() {
    requests_are_proxied(true).await;
}

#[tokio::test]
async fn requests_are_proxied_over_http1() {
    requests_are_proxied(false).await;
}

#[tokio::test]
async fn the_backend_must_be_whom_the_ca_bundle_says() {
    let cluster = start().await;
    let backend = Backend::start(true).await;
    cluster.route_service("default", "shop", backend.address);
    cluster.objects().create(backend.api_service(cluster.ca_pem())).unwrap();
    let condition = available(&cluster, "False").await;
    assert_eq!(condition["reason"], "FailedDiscoveryCheck");
    assert!(condition["message"].as_str().unwrap().contains("TLS"), "{condition}");
    // Whoever repairs the bundle sees it used without waiting for the next look.
    cluster.objects().put(backend.api_service(backend.ca.pem())).unwrap();
    available(&cluster, "True").await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn endpoint_slices_lead_to_the_backend() {
    let cluster = start().await;
    let backend = Backend::start(true).await;
    let objects = cluster.objects();
    let service = |port: u16| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"},
            "spec": {"ports": [{"name": "https", "port": port}]}})
    };
    let slice = |ready: bool| {
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "shop-1", "labels": {"kubernetes.io/service-name": "shop"}},
            "ports": [{"name": "https", "port": backend.address.port()}],
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": ready}}]})
    };
    let reason = async |reason: &str| {
        let has = |object: Option<&Value>| {
            object.is_some_and(|object| object["status"]["conditions"][0]["reason"] == reason)
        };
        let waited = cluster.wait_for("apiregistration.k8s.io/v1", "APIService", "", NAME, has);
        tokio::time::timeout(PATIENCE, waited).await.expect(reason);
    };
    objects.create(backend.api_service(backend.ca.pem())).unwrap();
    reason("ServiceNotFound").await;
    objects.create(service(80)).unwrap();
    reason("ServicePortError").await;
    objects.put(service(443)).unwrap();
    reason("EndpointsNotFound").await;
    objects.create(slice(false)).unwrap();
    reason("MissingEndpoints").await;
    objects.put(slice(true)).unwrap();
    reason("Passed").await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn discovery_shows_the_backends_group() {
    let cluster = start().await;
    let backend = Backend::start(true).await;
    cluster.route_service("default", "shop", backend.address);
    cluster.objects().create(backend.api_service(backend.ca.pem())).unwrap();
    available(&cluster, "True").await;
    let client = admin(&cluster);
    let (_, groups) = get(&client, "/apis").await;
    let group = |list: &Value, name: &str| {
        let items = list.as_array().unwrap().iter();
        items.clone().find(|g| g["name"] == name || g["metadata"]["name"] == name).cloned().unwrap()
    };
    assert_eq!(group(&groups["groups"], "shop.example.com")["preferredVersion"]["version"], "v1");
    let aggregated = Request::builder()
        .uri("/apis")
        .header(
            "accept",
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
        )
        .body(Bytes::new())
        .unwrap();
    let (_, list) = parse(client.send(aggregated).await.unwrap());
    let version = &group(&list["items"], "shop.example.com")["versions"][0];
    assert_eq!(version["freshness"], "Current");
    assert_eq!(version["resources"][0]["subresources"][0]["subresource"], "total");
    assert!(list["items"].as_array().unwrap().iter().any(|g| g["metadata"]["name"] == "apps"));
    let (_, list) = get(&client, ROOT).await;
    assert_eq!(list["kind"], "APIResourceList");
    cluster.shutdown().await;
}
