//! Flags as people write them.

use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};

use super::Args;
use crate::{app, certificates::Certificate};

fn config(flags: &str) -> Result<app::Config, String> {
    let args = Args::try_parse_from(std::iter::once("podgauge").chain(flags.split_whitespace()));
    args.map_err(|error| error.to_string())?.try_config()
}

#[test]
fn the_command_is_well_formed() {
    Args::command().debug_assert();
}

#[test]
fn defaults_follow_from_one_another() {
    let check = |flags: &str, timeout: u64, backoff: u64, max_age: u64, window: u64, columns: usize| {
        let config = config(flags).unwrap();
        assert_eq!(config.scrape.timeout, Duration::from_secs(timeout), "{flags}");
        assert_eq!(config.scrape.backoff_limit, Duration::from_secs(backoff), "{flags}");
        assert_eq!(config.api.max_age, Duration::from_secs(max_age), "{flags}");
        assert_eq!(config.store.window, Duration::from_secs(window), "{flags}");
        assert_eq!(config.store.columns, columns, "{flags}");
    };
    check("", 10, 60, 40, 60, 5);
    check("--metric-resolution=5s", 5, 20, 15, 60, 13);
    check("--metric-resolution 30s", 10, 120, 70, 120, 5);
    check("--metric-resolution=1m --metrics-max-age=90s --metrics-window=2m", 10, 240, 90, 120, 3);
    check("--scrapes-for-readers=0", 10, 60, 40, 60, 5);
    check("--scrapes-for-readers=3", 10, 60, 40, 60, 13);
}

#[test]
fn flags_of_the_field_are_understood() {
    let all = "--secure-port=4443 --bind-address=:: --kubeconfig=k --authentication-kubeconfig=a \
               --authorization-kubeconfig=b --authentication-skip-lookup --disable-http2-serving=true \
               --authentication-tolerate-lookup-failure=false --requestheader-client-ca-file=c \
               --requestheader-allowed-names=x,y --client-ca-file=d --tls-cert-file=e --tls-private-key-file=f \
               --tls-min-version=VersionTLS13 --max-requests-inflight=10 --request-timeout=30s \
               --http2-max-streams-per-connection=50 --shutdown-delay-duration=5s -v=4 --logging-format=json \
               --authorization-always-allow-paths=/livez \
               --authentication-token-webhook-inflight=7 --authorization-webhook-inflight=8";
    let config = config(all).unwrap();
    assert_eq!(config.serving.secure_port, 4443);
    assert!(!config.serving.http2);
    assert!(config.authentication.skip_lookup);
    assert_eq!(config.authentication.request_header.unwrap().allowed_names, ["x", "y"]);
    assert_eq!(config.authorization.always_allow_paths, ["/livez"]);
    assert_eq!(config.limits.max_requests_in_flight, 10);
    assert_eq!(config.authentication.reviews_in_flight, 7);
    assert_eq!(config.authorization.reviews_in_flight, 8);
    assert_eq!(
        self::config("--max-requests-inflight=0 --header-limit=8Ki").map(|c| c.limits.max_header_bytes),
        Ok(8192)
    );
    assert_eq!(
        self::config("--lister-kubeconfig=k").unwrap().cluster.authorization.unwrap().to_str(),
        Some("k")
    );
}

#[test]
fn prometheus_is_asked_as_prometheus_adapter_asks_it() {
    let flags = "--config=c --prometheus-url=https://p:9090/prefix/ --prometheus-ca-file=ca --prometheus-token-file=t \
                 --prometheus-client-tls-cert-file=c --prometheus-client-tls-key-file=k --prometheus-verb=GET \
                 --prometheus-header=X-Scope-OrgID=a=b --prometheus-header=Empty --metrics-relist-interval=2m \
                 --metrics-max-age=50s --rules-source=prometheus";
    let parsed = config(flags).unwrap();
    let prometheus = parsed.prometheus.unwrap();
    assert_eq!(prometheus.client.cache_ttl, Duration::from_secs(15));
    assert_eq!(prometheus.series_max_age, Duration::from_secs(120));
    let headers: Vec<_> = prometheus
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    assert_eq!(headers, ["x-scope-orgid: a=b", "empty: "]);
    assert_eq!(parsed.rules.unwrap().rules.origin, podgauge_rules::Origin::Prometheus);
    assert!(config("--metrics-relist-interval=1m").unwrap().prometheus.is_none());
}

#[test]
fn the_certificate_comes_from_where_it_should() {
    let check = |flags: &str, want: &str, api_services: Option<&[&str]>| {
        let serving = config(flags).unwrap().serving;
        let found = match &serving.certificate {
            Certificate::Files { published, .. } if published.is_some() => "files, published",
            Certificate::Files { .. } => "files",
            Certificate::Own(_) => "own",
            Certificate::Throwaway => "throwaway",
        };
        assert_eq!(found, want, "{flags}");
        let named: Option<Vec<&str>> =
            serving.api_services.as_ref().map(|names| names.iter().map(String::as_str).collect());
        assert_eq!(named.as_deref(), api_services, "{flags}");
    };
    check("--kubeconfig=k", "throwaway", None);
    check("--kubeconfig=k --namespace=", "throwaway", None);
    check("--kubeconfig=k --namespace=monitoring", "own", None);
    check("--namespace=n --apiservice=v1.a,v1.b", "own", Some(&["v1.a", "v1.b"]));
    check("--namespace=n --apiservice=", "own", Some(&[]));
    let files = "--namespace=n --tls-cert-file=x --tls-private-key-file=y";
    check(files, "files", None);
    check(&format!("{files} --tls-ca-file=z"), "files, published", None);
}

#[test]
fn contradictions_are_named() {
    let check = |flags: &str, want: &str| {
        let error = config(flags).map(drop).unwrap_err();
        assert!(error.contains(want), "{flags}: {error}");
    };
    check("--metric-resolution=15", "expected a duration such as 500ms, 15s or 1m30s");
    check("--metric-resolution=0s", "--metric-resolution must be longer than 0");
    check("--scrape-timeout=20s", "--scrape-timeout must not be longer than --metric-resolution");
    check("--metrics-max-age=10s", "--metrics-max-age must not be shorter than --metric-resolution");
    check("--metrics-window=20s", "--metrics-window must be at least twice --metric-resolution");
    check("--metrics-window=100h", "--metrics-window must be at most");
    check("--max-connections=0", "'0' for '--max-connections <COUNT>'");
    check("--authentication-token-webhook-inflight=0", "--authentication-token-webhook-inflight <COUNT>'");
    check("--authorization-webhook-inflight=0", "--authorization-webhook-inflight <COUNT>'");
    check("--request-timeout=0s", "'--request-timeout <DURATION>': must be longer than 0");
    check("--header-timeout=0", "'--header-timeout <DURATION>': must be longer than 0");
    check("--idle-timeout=0s", "'--idle-timeout <DURATION>': must be longer than 0");
    check("--max-connection-age=0s", "'--max-connection-age <DURATION>': must be longer than 0");
    check("--header-limit=8191", "'--header-limit <BYTES>': must be at least 8Ki");
    check("--header-limit=4Gi", "'--header-limit <BYTES>': must be less than 4Gi");
    check("--scrape-body-limit=16M", "expected a number of bytes");
    check("--scrape-ca-file=/does/not/exist", "--scrape-ca-file /does/not/exist: No such file");
    check("--tls-cert-file=x", "--tls-private-key-file");
    check("--tls-ca-file=x", "--tls-cert-file");
    check(
        "--kubeconfig=k --tls-cert-file=x --tls-private-key-file=y --tls-ca-file=z",
        "--tls-ca-file needs --namespace",
    );
    check("--namespace=n --tls-cert-lifetime=5m", "--tls-cert-lifetime must be at least");
    check("--namespace=n --tls-propagation-delay=10s", "--tls-propagation-delay must be at least twice");
    check("--namespace=a.b", "must be names of Kubernetes objects");
    check("--tls-sync-interval=0s", "must be longer than 0");
    check("--prometheus-url=http://p", "--prometheus-url needs --config");
    check("--prometheus-url=p:9090", "expected a URL such as https://prometheus.monitoring:9090/prefix");
    check(
        "--prometheus-url=http://u:p@h",
        "belong into a file: a kubeconfig, given as --prometheus-auth-config",
    );
    check("--prometheus-url=http://h?x=y", "without a query");
    check("--prometheus-token-file=t", "--prometheus-url <URL>");
    check("--prometheus-auth-incluster", "--prometheus-auth-incluster needs --prometheus-url");
    let url = "--config=c --prometheus-url=http://p";
    check(&format!("{url} --prometheus-auth-config=k --prometheus-token-file=t"), "cannot be used with");
    check(&format!("{url} --prometheus-client-tls-cert-file=c"), "--prometheus-client-tls-key-file");
    check(&format!("{url} --prometheus-header=a\u{1}=b"), "expected the name of a header before =");
    check(&format!("{url} --prometheus-verb=PUT"), "[possible values: GET, POST]");
    check(&format!("{url} --prometheus-timeout=0s"), "--prometheus-timeout must be longer than 0");
    check("positional", "unrecognized subcommand 'positional'");
}
