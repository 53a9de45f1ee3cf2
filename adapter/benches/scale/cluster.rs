//! A cluster with podgauge's roles and as many pods as wanted, none of which runs.

use std::{fs, path::PathBuf};

use sandbox::apiserver::{ApiServer, Config, Handle};
use serde_json::{Value, json};

use crate::farm;

pub(crate) async fn start() -> Handle {
    let cluster = ApiServer::start(Config::default()).await.unwrap();
    for file in ["namespace.yaml", "rbac.yaml", "service.yaml"] {
        for object in shipped(file) {
            cluster.objects().put(object).unwrap();
        }
    }
    cluster
}

/// The objects of a file in `monitoring/`, which is what a real cluster gets.
pub(crate) fn shipped(file: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../monitoring/base").join(file);
    serde_saphyr::from_multiple(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Puts the nth pod there, ready: one of ten services, and in each hundredth part of `all` one sample.
pub(crate) fn add_pod(cluster: &Handle, n: usize, all: usize, port: u16) {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(n),
            "namespace": "default",
            "labels": {"app": "backend", "service": format!("s{}", n % 10), "sample": n.is_multiple_of(all / 100).to_string()},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": port.to_string()},
        },
        "spec": {"containers": [{"name": "app", "image": "app"}]},
        "status": {
            "phase": "Running",
            "podIP": farm::address(n).to_string(),
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    cluster.objects().create(pod).unwrap();
}

pub(crate) fn remove_pod(cluster: &Handle, n: usize) {
    cluster.objects().delete("v1", "Pod", "default", &pod_name(n)).unwrap();
}

pub(crate) fn pod_name(n: usize) -> String {
    format!("backend-{n:06}")
}
