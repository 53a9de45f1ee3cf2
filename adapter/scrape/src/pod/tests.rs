use kube::core::WatchEvent;
use serde_json::{Value, json};

use super::*;

/// A pod as a cluster has it: two containers with twelve environment variables each, two managed fields, five
/// conditions; some 7 kB.
fn realistic() -> Value {
    let env: Vec<Value> = (0..12)
        .map(|n| {
            json!({
                "name": format!("SETTING_NUMBER_{n}"),
                "valueFrom": {"configMapKeyRef": {"name": "backend-settings", "key": format!("setting-{n}")}}
            })
        })
        .collect();
    let container = |name: &str, port: u16| {
        json!({
            "name": name,
            "image": "registry.example/shop/backend:1.42.0",
            "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
            "env": env,
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "volumeMounts": [{
                "name": "kube-api-access-x7k2p",
                "readOnly": true,
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"
            }],
            "livenessProbe": {"httpGet": {"path": "/health", "port": port, "scheme": "HTTP"}, "periodSeconds": 10},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent"
        })
    };
    let managed = |manager: &str| {
        json!({
            "manager": manager, "operation": "Update", "apiVersion": "v1", "time": "2026-11-01T10:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:app": {}, "f:pod-template-hash": {}}}, "f:spec": {
                "f:containers": {"k:{\"name\":\"backend\"}": {"f:env": {"f:a": {}, "f:b": {}, "f:c": {}}}}}}
        })
    };
    let conditions: Vec<Value> =
        ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
            .map(|kind| {
                json!({"type": kind, "status": "True", "lastTransitionTime": "2026-11-01T10:00:07Z",
                       "lastProbeTime": null})
            })
            .into();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "backend-7c9d8b6f5-x2x7k",
            "generateName": "backend-7c9d8b6f5-",
            "namespace": "default",
            "uid": "0d4f3f0e-4f7e-4a53-9f0a-2f6a3d0c9b11",
            "resourceVersion": "4711",
            "creationTimestamp": "2026-11-01T10:00:00Z",
            "labels": {"app": "backend", "tier": "worker", "pod-template-hash": "7c9d8b6f5"},
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/path": "/metrics",
                "kubectl.kubernetes.io/restartedAt": "2026-11-01T09:59:59Z",
                "example.com/notes": "x".repeat(600)
            },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "backend-7c9d8b6f5",
                "uid": "7a7a1c37-6cbd-4a2b-a8a7-8a4b1f7e2b10", "controller": true, "blockOwnerDeletion": true
            }],
            "managedFields": [managed("kube-controller-manager"), managed("kubelet")]
        },
        "spec": {
            "containers": [container("backend", 8080), container("proxy", 9090)],
            "nodeName": "node-17",
            "serviceAccountName": "default",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}]
        },
        "status": {
            "phase": "Running",
            "conditions": conditions,
            "hostIP": "192.168.1.17",
            "podIP": "10.42.0.17",
            "podIPs": [{"ip": "10.42.0.17"}],
            "containerStatuses": [{"name": "backend", "ready": true, "restartCount": 0}]
        }
    })
}

#[test]
fn what_the_rules_need_is_kept() {
    let pod: PodObject = serde_json::from_str(&realistic().to_string()).unwrap();
    assert_eq!(pod.metadata.name.as_deref(), Some("backend-7c9d8b6f5-x2x7k"));
    assert_eq!(pod.metadata.namespace.as_deref(), Some("default"));
    assert_eq!(pod.metadata.uid.as_deref(), Some("0d4f3f0e-4f7e-4a53-9f0a-2f6a3d0c9b11"));
    assert_eq!(pod.metadata.resource_version.as_deref(), Some("4711"));
    assert!(pod.metadata.managed_fields.is_none());
    let facts = pod.wanted.unwrap();
    assert_eq!(facts.labels.get("tier"), Some("worker"));
    assert_eq!(facts.labels.iter().count(), 3);
    assert_eq!(facts.annotations.scrape.as_deref(), Some("true"));
    assert_eq!(facts.annotations.path.as_deref(), Some("/metrics"));
    assert_eq!(facts.annotations.port, None);
    assert_eq!(facts.phase.as_deref(), Some("Running"));
    assert_eq!(facts.ip.as_deref(), Some("10.42.0.17"));
    assert_eq!(facts.host_ip.as_deref(), Some("192.168.1.17"));
    assert_eq!(facts.tcp_ports, [8080, 9090]);
    assert!(facts.is_ready && !facts.is_terminating && !facts.has_host_network);
}

#[test]
fn a_decoded_pod_is_small() {
    // As API servers write it, the type first; otherwise the object would have to be set aside until it is known.
    let event = format!(r#"{{"type":"ADDED","object":{}}}"#, realistic());
    assert!(event.len() > 6_000, "{} bytes are no realistic pod", event.len());
    let mut decoded = None;
    let heap = allocation_counter::measure(|| {
        decoded = Some(serde_json::from_str::<WatchEvent<PodObject>>(&event).unwrap());
    });
    assert!(matches!(&decoded, Some(WatchEvent::Added(pod)) if pod.wanted.is_ok()));
    let held = usize::try_from(heap.bytes_current).unwrap() + size_of::<PodObject>();
    println!("a decoded pod: {held} bytes, {} on the heap at most while decoding", heap.bytes_max);
    assert!(held <= 1_500, "{held} bytes");
    assert!(heap.bytes_max <= 3_000, "{} bytes while decoding", heap.bytes_max);
}

#[test]
fn ports_are_those_that_take_connections() {
    let check = |spec: Value, expected: &[u16]| {
        let pod: PodObject =
            serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        assert_eq!(pod.wanted.map(|facts| facts.tcp_ports).as_deref(), Ok(expected));
    };
    let ports = |ports: Value| json!({"containers": [{"ports": ports}]});
    check(json!({}), &[]);
    check(json!({"containers": null}), &[]);
    check(ports(json!([{"containerPort": 80}])), &[80]);
    check(
        ports(json!([{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 81, "protocol": "SCTP"}])),
        &[],
    );
    check(
        ports(json!([{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}])),
        &[53],
    );
    check(ports(json!([{"containerPort": 80}, {"containerPort": 80}])), &[80]);
    check(
        json!({
            "containers": [{"ports": [{"containerPort": 80}]}],
            "initContainers": [
                {"ports": [{"containerPort": 1}]},
                {"restartPolicy": "OnFailure", "ports": [{"containerPort": 2}]},
                {"restartPolicy": "Always", "ports": [{"containerPort": 15020}, {"containerPort": 80}]}
            ]
        }),
        &[80, 15020],
    );
}

#[test]
fn a_broken_part_is_named_and_costs_only_its_pod() {
    let check = |broken: &str, expected: &str| {
        let good = |name| format!(r#"{{"metadata":{{"name":"{name}","namespace":"ns"}}}}"#);
        let list = format!(r#"[{},{broken},{}]"#, good("a"), good("c"));
        let pods: Vec<PodObject> = serde_json::from_str(&list).unwrap();
        let names: Vec<_> = pods.iter().map(|pod| pod.metadata.name.as_deref()).collect();
        assert_eq!((names.len(), names[0], names[2]), (3, Some("a"), Some("c")), "{broken}");
        assert!(pods[0].wanted.is_ok() && pods[2].wanted.is_ok());
        let error = pods[1].wanted.as_ref().unwrap_err();
        assert!(error.starts_with(expected), "{broken}: {error}");
    };
    let cases = [
        (r#"{"metadata":"x"}"#, "metadata: invalid type: string"),
        (r#"{"metadata":[1,[2]]}"#, "metadata.name: invalid type: integer"),
        (r#"{"metadata":{"name":{"deep":[1]}}}"#, "metadata.name: invalid type: map"),
        (r#"{"metadata":{"labels":{"a":{"b":[{}]},"c":"d"}}}"#, "metadata.labels: invalid type: map"),
        (r#"{"metadata":{"labels":["a"]}}"#, "metadata.labels: invalid type: sequence"),
        (
            r#"{"metadata":{"annotations":{"prometheus.io/port":8080}}}"#,
            "annotation prometheus.io/port: invalid type",
        ),
        (r#"{"spec":{"containers":"not-a-list"}}"#, "spec.containers: invalid type: string"),
        (r#"{"spec":{"containers":[{"ports":{"a":[]}},{}]}}"#, "ports: invalid type: map"),
        (
            r#"{"spec":{"containers":[{"ports":[{"containerPort":65536}]}]}}"#,
            "ports.containerPort: invalid value",
        ),
        (
            r#"{"spec":{"containers":[{"ports":[{"containerPort":-1}]}]}}"#,
            "ports.containerPort: invalid value",
        ),
        (r#"{"spec":{"containers":[7]}}"#, "spec.containers: invalid type: integer"),
        (r#"{"spec":{"hostNetwork":"yes"}}"#, "spec.hostNetwork: invalid type: string"),
        (r#"{"spec":1.5,"status":{"phase":[]}}"#, "spec: invalid type: floating point"),
        (r#"{"status":{"podIP":true}}"#, "status.podIP: invalid type: boolean"),
    ];
    for (broken, expected) in cases {
        check(broken, expected);
    }
}

#[test]
fn a_broken_pod_can_be_named() {
    let pod: PodObject = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "1", "resourceVersion": "9"},
        "spec": {"containers": {}}
    }))
    .unwrap();
    assert!(pod.wanted.is_err());
    assert_eq!(pod.metadata.name.as_deref(), Some("web"));
    assert_eq!(pod.metadata.resource_version.as_deref(), Some("9"));
}
