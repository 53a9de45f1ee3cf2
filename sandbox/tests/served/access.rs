//! Who may do what, the review APIs, and the faults and counts that tests of clients use.

use crate::support::{admin, get, send, start};
use http::Method;
use sandbox::apiserver::{Effect, RequestPattern, User};
use sandbox::client::ClientError;
use sandbox::kubeconfig::Credential;
use serde_json::{Value, json};

#[tokio::test]
async fn callers_and_what_they_may() {
    let cluster = start().await;
    cluster.add_token("t", User::new("bot", &[]));
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "v"}, "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "viewer", "namespace": "default"}]});
    cluster.objects().create(binding).unwrap();
    let foreign = sandbox::pki::Authority::new("x", jiff::Timestamp::now()).unwrap();
    let certificate = |identity| Credential::ClientCertificate(identity);
    let check = async |credential: Credential, path: &str, code: u16| {
        let client = cluster.client(credential).unwrap();
        assert_eq!(get(&client, path).await.0, code, "{path}");
    };
    let (pods, all_pods) = ("/api/v1/namespaces/default/pods", "/api/v1/pods");
    check(Credential::Anonymous, "/livez", 200).await;
    check(Credential::Anonymous, "/version", 200).await;
    check(Credential::Anonymous, "/apis", 403).await;
    check(Credential::Anonymous, pods, 403).await;
    check(Credential::Token("t".into()), "/apis", 200).await;
    check(Credential::Token("t".into()), pods, 403).await;
    check(Credential::Token("wrong".into()), "/livez", 401).await;
    check(certificate(foreign.client("admin", &["system:masters"]).unwrap()), "/livez", 401).await;
    check(certificate(cluster.cluster_ca().client("jane", &[]).unwrap()), pods, 403).await;
    check(certificate(cluster.cluster_ca().client("jane", &["system:masters"]).unwrap()), all_pods, 200)
        .await;
    let viewer = cluster.service_account_token("default", "viewer");
    check(Credential::Token(viewer.clone()), pods, 200).await;
    check(Credential::Token(viewer.clone()), all_pods, 403).await;
    check(Credential::Token(viewer.clone()), "/api/v1/namespaces/default/secrets", 403).await;
    cluster.revoke_token(&viewer);
    check(Credential::Token(viewer), pods, 401).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn reviews_answer_as_requests_would_be_judged() {
    let cluster = start().await;
    let client = admin(&cluster);
    let token = cluster.service_account_token("kube-system", "horizontal-pod-autoscaler");
    let review = async |path: &str, spec: Value| {
        let (code, review) = send(&client, Method::POST, path, json!({"spec": spec})).await;
        assert_eq!(code, 201, "{review}");
        review["status"].clone()
    };
    let tokens = "/apis/authentication.k8s.io/v1/tokenreviews";
    let status = review(tokens, json!({"token": token})).await;
    assert_eq!(status["authenticated"], true);
    assert_eq!(status["user"]["username"], "system:serviceaccount:kube-system:horizontal-pod-autoscaler");
    assert_eq!(
        status["user"]["groups"],
        json!(["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"])
    );
    assert_ne!(review(tokens, json!({"token": "wrong"})).await["authenticated"], true);

    let access = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let custom = json!({"namespace": "ns", "verb": "get", "group": "custom.metrics.k8s.io", "version": "v1beta2",
        "resource": "pods", "subresource": "messages", "name": "*"});
    let hpa = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
    let asked =
        |user: &str, groups: Value| json!({"user": user, "groups": groups, "resourceAttributes": custom});
    assert_eq!(review(access, asked(hpa, json!([]))).await["allowed"], true);
    assert_eq!(review(access, asked("jane", json!(["system:authenticated"]))).await["allowed"], false);
    assert_eq!(review(access, asked("jane", json!(["system:masters"]))).await["allowed"], true);
    let path = json!({"user": "jane", "groups": ["system:authenticated"],
        "nonResourceAttributes": {"path": "/apis/custom.metrics.k8s.io/v1beta1", "verb": "get"}});
    assert_eq!(review(access, path).await["allowed"], true);
    let (code, _) = send(&client, Method::POST, access, json!({"spec": {"user": "jane"}})).await;
    assert_eq!(code, 422);
    cluster.shutdown().await;
}

#[tokio::test]
async fn extension_servers_learn_whom_to_trust() {
    let cluster = start().await;
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "r", "namespace": "kube-system"},
        "roleRef": {"kind": "Role", "name": "extension-apiserver-authentication-reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "adapter", "namespace": "monitoring"}]});
    cluster.objects().create(binding).unwrap();
    let token = cluster.service_account_token("monitoring", "adapter");
    let client = cluster.client(Credential::Token(token)).unwrap();
    let config_maps = "/api/v1/namespaces/kube-system/configmaps";
    let (code, map) = get(&client, &format!("{config_maps}/extension-apiserver-authentication")).await;
    assert_eq!(code, 200);
    assert_eq!(map["data"]["client-ca-file"], cluster.ca_pem());
    assert_eq!(map["data"]["requestheader-client-ca-file"], cluster.front_proxy_ca().pem());
    assert_eq!(map["data"]["requestheader-allowed-names"], "[\"front-proxy-client\"]");
    assert_eq!(get(&client, config_maps).await.0, 403, "a list is not limited to the one name");
    cluster.shutdown().await;
}

#[tokio::test]
async fn requests_are_counted_and_faults_are_met() {
    let cluster = start().await;
    let client = admin(&cluster);
    let reviews = RequestPattern::new("POST", "/apis/authentication.k8s.io/v1/tokenreviews");
    cluster.faults().inject(reviews.clone(), Effect::Fail(500), 1);
    let body = || json!({"spec": {"token": "x"}});
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let (code, status) = send(&client, Method::POST, path, body()).await;
    assert_eq!((code, &status["reason"]), (500, &json!("InternalError")));
    assert_eq!(send(&client, Method::POST, path, body()).await.0, 201);
    cluster.faults().inject(reviews.clone(), Effect::Reset, 1);
    let broken = client.send_json(Method::POST, path, "application/json", &body()).await;
    assert!(matches!(broken, Err(ClientError::Http(_))), "{broken:?}");
    let seen: Vec<_> = cluster.requests().matching(&reviews).into_iter().map(|r| (r.code, r.user)).collect();
    assert_eq!(seen, [(500, String::new()), (201, "admin".to_owned()), (0, String::new())]);
    cluster.requests().wait_for(&reviews, 3).await;
    cluster.requests().clear();
    assert_eq!(cluster.requests().count(&reviews), 0);
    cluster.shutdown().await;
}
