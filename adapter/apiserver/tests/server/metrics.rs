//! The server's own numbers, literally.

use crate::fixture::start;

#[tokio::test]
async fn page() {
    let server = start(|_| {}).await;
    let mut proxy = server.front_proxy().connect().await.unwrap();
    let worker = [("x-remote-user", "worker")];
    for path in [
        "/apis",
        "/apis",
        "/apis/gears.example.com/v1/wheels/w",
        "/apis/gears.example.com/v1/wheels/missing",
        "/apis/anything.example.com/v9/at/all",
        "/nonsense",
    ] {
        proxy.get(path, &worker).await;
    }
    proxy.send("BREW", "/apis", &worker).await.unwrap();
    server.nobody().get("/healthz", &[("authorization", "Bearer rubbish")]).await;
    let page = server.metrics();
    for line in [
        "apiserver_requests_total{verb=\"get\",route=\"discovery\",code=\"200\"} 2",
        "apiserver_requests_total{verb=\"get\",route=\"gears.example.com/v1\",code=\"200\"} 1",
        "apiserver_requests_total{verb=\"get\",route=\"gears.example.com/v1\",code=\"404\"} 1",
        "apiserver_requests_total{verb=\"get\",route=\"none\",code=\"403\"} 2",
        "apiserver_requests_total{verb=\"other\",route=\"discovery\",code=\"405\"} 1",
        "apiserver_requests_total{verb=\"get\",route=\"probe\",code=\"401\"} 1",
        "apiserver_request_duration_seconds_count{route=\"discovery\"} 3",
        "apiserver_requests_in_flight 0",
        "apiserver_requests_shed_total 0",
        "apiserver_evaluations_waiting 0",
        "apiserver_connections_accepted_total 2",
        "apiserver_connections_at_limit_total 0",
        "apiserver_tls_handshake_failures_total 0",
        "apiserver_authentication_attempts_total{method=\"front_proxy\",result=\"success\"} 7",
        "apiserver_authentication_attempts_total{method=\"token\",result=\"failure\"} 1",
        "apiserver_authorization_decisions_total{decision=\"allowed\",source=\"cache\"} 1",
        "apiserver_authorization_decisions_total{decision=\"denied\",source=\"review\"} 2",
        "apiserver_reviews_total{kind=\"token\",result=\"success\"} 1",
        "apiserver_authentication_configuration_loaded 1",
        "apiserver_reloads_total{what=\"authentication\",result=\"success\"} 1",
        "# EOF",
    ] {
        assert!(page.lines().any(|found| found == line), "no {line} in\n{page}");
    }
    let expiry = server.metric("apiserver_serving_certificate_expiry_timestamp_seconds");
    assert!(expiry > 4e9, "rcgen's certificates end in 4096: {expiry}");
}
