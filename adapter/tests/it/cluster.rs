//! A cluster with podgauge's roles, some callers, and pods that point at pages.

use std::{fs, net::SocketAddr, path::PathBuf};

use sandbox::{
    apiserver::{ApiServer, Config, Handle, User},
    pki::Authority,
};
use serde_json::{Value, json};

/// Users that the tests know, by token: one may do nothing, one may read custom metrics in `default`.
pub(crate) const NO_ROLE: &str = "token-without-a-role";
pub(crate) const READER: &str = "token-of-a-reader";

/// The cluster, with everything but podgauge.
pub(crate) async fn start() -> Handle {
    let cluster = ApiServer::start(Config::default()).await.unwrap();
    let own = ["secret.yaml", "rbac.yaml"].map(|file| format!("components/own-certificates/{file}"));
    let base = ["namespace.yaml", "rbac.yaml", "service.yaml"].map(|file| format!("base/{file}"));
    for file in base.iter().chain(&own) {
        for object in shipped(file) {
            cluster.objects().put(object).unwrap();
        }
    }
    cluster.add_token(NO_ROLE, User::new("nobody-special", &[]));
    cluster.add_token(READER, User::new("reader", &[]));
    for object in reader_role() {
        cluster.objects().put(object).unwrap();
    }
    cluster
}

/// The objects of a file in `monitoring/`, which is what a real cluster gets.
pub(crate) fn shipped(file: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../monitoring").join(file);
    serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A pod in `default` that serves a page at `address`.
pub(crate) fn pod(name: &str, app: &str, address: SocketAddr) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"app": app},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": address.port().to_string()},
        },
        "spec": {"containers": [{"name": "app", "image": "app"}]},
        "status": {"phase": "Running", "podIP": address.ip().to_string()},
    })
}

/// An authority that the cluster does not know.
pub(crate) fn foreign_authority() -> Authority {
    Authority::new("foreign-ca", sandbox::clock::Clock::system().now()).unwrap()
}

fn reader_role() -> [Value; 2] {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "metrics", "namespace": "default"},
        "rules": [{"apiGroups": ["custom.metrics.k8s.io"], "resources": ["pods/messages", "metrics"], "verbs": ["get"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "metrics", "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "metrics"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}],
    });
    [role, binding]
}
