//! Services: who is behind them, and the way there.

use crate::support::{Cluster, address, deployment, eventually, get, is_ready, name, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

/// A Service `web` on port 8081 and a node port.
fn service(node_port: u16) -> Value {
    let port = json!({"name": "http", "port": 8081, "targetPort": "http", "nodePort": node_port});
    json!({"metadata": {"name": "web"}, "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [port]}})
}

/// Where the Service is served inside the cluster, once it has an address.
async fn cluster_address(cluster: &Cluster) -> SocketAddr {
    let ip = || async {
        let service = cluster.api.objects().get("v1", "Service", "default", "web").unwrap_or_default();
        text(&service["spec"]["clusterIP"]).parse::<IpAddr>().ok()
    };
    SocketAddr::new(eventually("a cluster IP", ip, Option::is_some).await.unwrap(), 8081)
}

/// Who answers at an address in the next few connections.
async fn answering(address: SocketAddr) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for _ in 0..6 {
        if let Ok((200, who)) = get(address, "/who").await {
            found.insert(who);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_go_in_turn_to_those_that_are_ready() {
    let cluster = Cluster::start().await;
    cluster.create(SERVICES, &service(0)).await;
    cluster.create(DEPLOYMENTS, &deployment("web", 2)).await;
    let pods = cluster.ready_pods("web", 2).await;
    let names: BTreeSet<_> = pods.iter().map(name).collect();
    let inside = cluster_address(&cluster).await;
    eventually("both by the cluster IP", || answering(inside), |found| *found == names).await;
    let stored = cluster.api.objects().get("v1", "Service", "default", "web").unwrap();
    let node_port = u16::try_from(stored["spec"]["ports"][0]["nodePort"].as_u64().unwrap()).unwrap();
    let outside = SocketAddr::new(cluster.node_ip.into(), node_port);
    eventually("both by the node port", || answering(outside), |found| *found == names).await;

    let mut ips: Vec<_> = pods.iter().map(|pod| text(&pod["status"]["podIP"])).collect();
    ips.sort();
    eventually("both endpoints", || async { cluster.ready_endpoints("web") }, |ready| *ready == ips).await;
    get(address(&pods[0]), "/unready").await.unwrap();
    let one = |ready: &Vec<String>| ready.len() == 1;
    eventually("one endpoint", || async { cluster.ready_endpoints("web") }, one).await;
    let other = BTreeSet::from([name(&pods[1])]);
    eventually("the other alone", || answering(inside), |found| *found == other).await;
    let endpoints = || async { cluster.api.objects().get("v1", "Endpoints", "default", "web").unwrap() };
    let tells = |endpoints: &Value| {
        endpoints["subsets"][0]["notReadyAddresses"][0]["ip"] == pods[0]["status"]["podIP"]
    };
    eventually("an address that is not ready", endpoints, tells).await;
    get(address(&pods[0]), "/ready").await.unwrap();
    eventually("both again", || answering(inside), |found| *found == names).await;
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_has_the_same_address_when_it_is_made_anew() {
    let cluster = Cluster::start().await;
    cluster.create(SERVICES, &service(0)).await;
    let first = cluster_address(&cluster).await;
    let listens = || async { tokio::net::TcpStream::connect(first).await.is_ok() };
    eventually("a listener", listens, |listens| *listens).await;
    cluster.delete(&format!("{SERVICES}/web")).await;
    eventually("no listener", listens, |listens| !listens).await;
    eventually("no endpoints", || async { cluster.ready_endpoints("web") }, Vec::is_empty).await;
    cluster.create(SERVICES, &service(0)).await;
    assert_eq!(cluster_address(&cluster).await, first);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clusters_on_one_machine_keep_apart() {
    let (one, two) = (Cluster::start().await, Cluster::start().await);
    // The same port for both: the second cannot have it on 127.0.0.1, and says so.
    for cluster in [&one, &two] {
        cluster.create(SERVICES, &service(31_999)).await;
        cluster.create(DEPLOYMENTS, &deployment("web", 1)).await;
    }
    for cluster in [&one, &two] {
        let pod = cluster.ready_pods("web", 1).await.remove(0);
        assert!(is_ready(&pod));
        let own = SocketAddr::new(cluster.node_ip.into(), 31_999);
        eventually("only its own", || answering(own), |found| *found == BTreeSet::from([name(&pod)])).await;
    }
    let complaints =
        || async { one.event_reasons("web").into_iter().chain(two.event_reasons("web")).collect::<Vec<_>>() };
    eventually("a complaint", complaints, |reasons| reasons.contains(&"FailedListen".to_owned())).await;
    one.end().await;
    two.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_listens_where_a_service_has_no_business() {
    let cluster = Cluster::start().await;
    let mut foreign = service(0);
    foreign["spec"] = json!({"clusterIP": "127.0.0.1", "ports": [{"port": 31_998}]});
    cluster.create(SERVICES, &foreign).await;
    cluster
        .create(SERVICES, &{
            let mut other = service(0);
            other["metadata"]["name"] = "other".into();
            other
        })
        .await;
    let other = || async { cluster.api.objects().get("v1", "Service", "default", "other").unwrap() };
    let other = eventually("another service", other, |other| other["spec"]["clusterIP"].is_string()).await;
    let other = SocketAddr::new(text(&other["spec"]["clusterIP"]).parse().unwrap(), 8081);
    let listens = |address| async move { tokio::net::TcpStream::connect(address).await.is_ok() };
    // Both were looked at together.
    eventually("a listener", || listens(other), |listens| *listens).await;
    assert!(!listens(SocketAddr::from(([127, 0, 0, 1], 31_998))).await);
    cluster.end().await;
}
