use podgauge_store::Scheme;

use super::*;
use crate::{ask::Whose, object::Annotations};

const RULES: TargetRules =
    TargetRules { allow_node_addresses: false, allow_loopback: false, targets_per_pod: 3 };

/// A pod that is scraped at `http://10.0.0.1:8080/metrics`.
fn pod() -> Facts {
    Facts {
        annotations: Annotations { scrape: Some("true".into()), ..Annotations::default() },
        phase: Some("Running".into()),
        ip: Some("10.0.0.1".into()),
        host_ip: Some("192.168.1.17".into()),
        tcp_ports: vec![8080],
        ..Facts::default()
    }
}

/// What the pod asks for itself.
fn asks(pod: &Facts) -> Vec<Result<Ask, WhyNot>> {
    Ask::annotated(Whose::Pod, &pod.annotations, &pod.tcp_ports).into_iter().collect()
}

/// With the query, which an endpoint does not show.
fn url(endpoint: &Endpoint) -> String {
    let scheme = match endpoint.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
    };
    format!("{scheme}://{}{}", std::net::SocketAddr::new(endpoint.address, endpoint.port), endpoint.path)
}

#[track_caller]
fn check_with(rules: &TargetRules, change: impl FnOnce(&mut Facts), expected: Result<&[&str], &str>) {
    let mut pod = pod();
    change(&mut pod);
    let found = rules.endpoints(&pod, asks(&pod));
    match (&found, expected) {
        (Ok(places), Ok(expected)) => {
            let endpoints: Vec<String> = places.iter().map(|(endpoint, _)| url(endpoint)).collect();
            assert_eq!(endpoints, expected);
        }
        (Err(why), Err(expected)) => assert_eq!(why.to_string(), expected),
        _ => panic!("{found:?} where {expected:?} was expected"),
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut Facts), expected: Result<&[&str], &str>) {
    check_with(&RULES, change, expected);
}

#[test]
fn scrape_must_be_true() {
    let not_annotated =
        Err("it has no annotation prometheus.io/scrape: \"true\", and nothing else asks for it");
    check(|_| {}, Ok(&["http://10.0.0.1:8080/metrics"]));
    check(|pod| pod.annotations.scrape = None, not_annotated);
    check(|pod| pod.annotations.scrape = Some("false".into()), not_annotated);
    check(
        |pod| pod.annotations.scrape = Some("True".into()),
        Err("its annotation prometheus.io/scrape is \"True\"; set it to \"true\""),
    );
}

#[test]
fn the_pod_must_run() {
    check(|pod| pod.is_terminating = true, Err("it is terminating"));
    check(|pod| pod.phase = Some("Pending".into()), Err("its phase is Pending, not Running"));
    check(|pod| pod.phase = None, Err("its phase is unknown, not Running"));
    check(|pod| pod.ip = None, Err("it has no IP address yet"));
    check(|pod| pod.ip = Some("".into()), Err("it has no IP address yet"));
    check(
        |pod| pod.ip = Some("10.0.0.1:80\n".into()),
        Err("its address (status.podIP) is \"10.0.0.1:80 \", which is no IP address"),
    );
}

#[test]
fn ports() {
    check(|pod| pod.annotations.port = Some("9102".into()), Ok(&["http://10.0.0.1:9102/metrics"]));
    check(
        |pod| {
            pod.annotations.port = Some("9102".into());
            pod.tcp_ports.clear();
        },
        Ok(&["http://10.0.0.1:9102/metrics"]),
    );
    check(
        |pod| pod.tcp_ports = vec![8080, 9090],
        Ok(&["http://10.0.0.1:8080/metrics", "http://10.0.0.1:9090/metrics"]),
    );
    check(
        |pod| pod.tcp_ports.clear(),
        Err("it declares no TCP container port; declare one or set the annotation prometheus.io/port"),
    );
    check(
        |pod| pod.tcp_ports = vec![1, 2, 3, 4],
        Err("there are more than 3 ports to scrape (--scrape-ports-limit); \
             set the annotation prometheus.io/port to the one to scrape"),
    );
    for bad in ["", "0", "65536", "http", "-1", " 80", "8080/metrics"] {
        check(
            |pod| pod.annotations.port = Some(bad.into()),
            Err(&format!(
                "its annotation prometheus.io/port is \"{bad}\"; set it to a number from 1 to 65535"
            )),
        );
    }
}

#[test]
fn paths() {
    let cases = [
        ("/", "http://10.0.0.1:8080/"),
        ("/stats/prometheus", "http://10.0.0.1:8080/stats/prometheus"),
        ("actuator/prometheus", "http://10.0.0.1:8080/actuator/prometheus"),
        ("/m?format=prometheus&x=%20", "http://10.0.0.1:8080/m?format=prometheus&x=%20"),
        ("//other.example/", "http://10.0.0.1:8080//other.example/"),
    ];
    for (path, expected) in cases {
        check(|pod| pod.annotations.path = Some(path.into()), Ok(&[expected]));
    }
    let advice = "set it to a path such as \"/metrics\", percent-encoded where needed";
    for (bad, shown) in [
        ("/a b", "/a b"),
        ("/a#b", "/a#b"),
        ("/a\r\nHost: x", "/a  Host: x"),
        ("/ä", "/ä"),
        ("/\u{7f}", "/ "),
    ] {
        check(
            |pod| pod.annotations.path = Some(bad.into()),
            Err(&format!("its annotation prometheus.io/path is \"{shown}\"; {advice}")),
        );
    }
    check(
        |pod| pod.annotations.path = Some("http://other.example/metrics".into()),
        Err("its annotation prometheus.io/path is \"http://other.example/metrics\"; \
             set it to a path such as \"/metrics\", not to a URL"),
    );
    let long = format!("/{}", "x".repeat(1024));
    check(
        |pod| pod.annotations.path = Some(long.as_str().into()),
        Err(&format!("its annotation prometheus.io/path is \"{}…\"; {advice}", &long[..120])),
    );
}

#[test]
fn schemes() {
    check(|pod| pod.annotations.scheme = Some("https".into()), Ok(&["https://10.0.0.1:8080/metrics"]));
    check(|pod| pod.annotations.scheme = Some("http".into()), Ok(&["http://10.0.0.1:8080/metrics"]));
    check(
        |pod| pod.annotations.scheme = Some("HTTPS".into()),
        Err("its annotation prometheus.io/scheme is \"HTTPS\"; set it to \"http\" or \"https\""),
    );
}

#[test]
fn addresses() {
    let loopback = "loopback, which is scraped only with --scrape-loopback";
    let nodes = "its node's (hostNetwork), which is scraped only with --scrape-host-network";
    let cases = [
        ("10.0.0.1", None),
        ("100.64.0.1", None),
        ("203.0.113.9", None),
        ("2001:db8::7", None),
        ("fd00::1", None),
        ("::ffff:10.0.0.1", None),
        ("127.0.0.1", Some(loopback)),
        ("127.8.8.8", Some(loopback)),
        ("::1", Some(loopback)),
        ("::ffff:127.0.0.1", Some(loopback)),
        ("169.254.169.254", Some("link-local, which is never scraped")),
        ("::ffff:169.254.169.254", Some("link-local, which is never scraped")),
        ("fe80::1", Some("link-local, which is never scraped")),
        ("::ffff:169.254.170.2", Some("link-local, which is never scraped")),
        ("::169.254.169.254", Some("link-local, which is never scraped")),
        ("64:ff9b::169.254.169.254", Some("link-local, which is never scraped")),
        ("::127.0.0.1", Some(loopback)),
        ("64:ff9b::127.0.0.1", Some(loopback)),
        ("64:ff9b::192.168.1.17", Some(nodes)),
        ("64:ff9b::10.0.0.1", None),
        ("::2", Some("of this host, which is never scraped")),
        ("64:ff9b::", Some("unspecified, which is never scraped")),
        ("fd00:ec2::254", Some("the metadata service of AWS, which is never scraped")),
        ("fd00:ec2::23", Some("the credential service of AWS, which is never scraped")),
        ("fd20:ce::254", Some("the metadata service of Google Cloud, which is never scraped")),
        ("100.100.100.200", Some("the metadata service of Alibaba Cloud, which is never scraped")),
        ("64:ff9b::100.100.100.200", Some("the metadata service of Alibaba Cloud, which is never scraped")),
        ("168.63.129.16", Some("the host service of Azure, which is never scraped")),
        ("100.100.100.201", None),
        ("fd00:ec2::253", None),
        ("224.0.0.1", Some("multicast, which is never scraped")),
        ("ff02::1", Some("multicast, which is never scraped")),
        ("0.0.0.0", Some("unspecified, which is never scraped")),
        ("::", Some("unspecified, which is never scraped")),
        ("255.255.255.255", Some("broadcast, which is never scraped")),
        ("0.1.2.3", Some("of this host, which is never scraped")),
        ("192.168.1.17", Some(nodes)),
        ("::ffff:192.168.1.17", Some(nodes)),
    ];
    for (ip, refused) in cases {
        let refused = refused.map(|what| format!("its address {} is {what}", ip.parse::<IpAddr>().unwrap()));
        let endpoint = if ip.contains(':') {
            format!("http://[{}]:8080/metrics", ip.parse::<Ipv6Addr>().unwrap())
        } else {
            format!("http://{ip}:8080/metrics")
        };
        let expected = match &refused {
            Some(refused) => Err(refused.as_str()),
            None => Ok(endpoint.as_str()),
        };
        let expected = expected.as_ref().map(std::slice::from_ref).map_err(|why| *why);
        check(|pod| pod.ip = Some(ip.into()), expected);
    }
    check(|pod| pod.has_host_network = true, Err(&format!("its address 10.0.0.1 is {nodes}")));
}

#[test]
fn flags_allow_addresses() {
    let lab = TargetRules { allow_loopback: true, ..RULES };
    let on_loopback = |pod: &mut Facts| {
        pod.ip = Some("127.0.0.1".into());
        pod.host_ip = Some("127.0.0.1".into());
    };
    check_with(&lab, on_loopback, Ok(&["http://127.0.0.1:8080/metrics"]));
    check_with(
        &lab,
        |pod| pod.has_host_network = true,
        Err(
            "its address 10.0.0.1 is its node's (hostNetwork), which is scraped only with --scrape-host-network",
        ),
    );
    let nodes = TargetRules { allow_node_addresses: true, ..RULES };
    check_with(&nodes, |pod| pod.has_host_network = true, Ok(&["http://10.0.0.1:8080/metrics"]));
    check_with(&nodes, |pod| pod.ip = Some("192.168.1.17".into()), Ok(&["http://192.168.1.17:8080/metrics"]));
    check_with(
        &nodes,
        on_loopback,
        Err("its address 127.0.0.1 is loopback, which is scraped only with --scrape-loopback"),
    );
}
