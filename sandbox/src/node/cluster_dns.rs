//! Names of Services in environment values, since there is no DNS on the machine.
//!
//! In a cluster a program that is told `stomp://queue:61613` looks `queue` up when it connects. Here the node looks it up
//! when it starts the container, and writes the Service's cluster IP in its place: in every `scheme://[user@]host[:port]`
//! of an environment value whose host is `service`, `service.namespace`, or either with `.svc` or `.svc.cluster.local`.
//!
//! A host that can only be a Service's (one label, or a `.svc` name) and is none is an error, upon which the container
//! waits; any other host stays as it is. An address does not follow a Service that gets another one later, which is why
//! a Service that is made anew gets the same.

use std::net::IpAddr;

/// The Service that a value names does not exist, or has no address.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error(
    "{host:?} in the environment names no Service with a cluster IP yet; the sandbox has no DNS and puts addresses in \
     the place of names before a container starts"
)]
pub(super) struct UnknownService {
    host: String,
}

/// What a host in a URL may mean.
enum Meaning<'a> {
    Service {
        name: &'a str,
        namespace: &'a str,
        /// Whether it can be nothing else.
        certain: bool,
    },
    Other,
}

/// Puts addresses in the place of Services' names. `lookup` answers the address of a Service (namespace, name).
pub(super) fn substitute(
    value: &str,
    namespace: &str,
    lookup: impl Fn(&str, &str) -> Option<String>,
) -> Result<String, UnknownService> {
    let mut result = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find("://") {
        let (before, authority) = rest.split_at(at + 3);
        result.push_str(before);
        let ends_host_and_port = |c: char| !(c.is_ascii_alphanumeric() || "-._~:@%!$&*+=[]".contains(c));
        let end = authority.find(ends_host_and_port).unwrap_or(authority.len());
        let (authority, after) = authority.split_at(end);
        let (user, address) = match authority.rfind('@') {
            Some(at) => authority.split_at(at + 1),
            None => ("", authority),
        };
        let (host, port) = address.split_at(address.find(':').unwrap_or(address.len()));
        result.push_str(user);
        match meaning(host, namespace) {
            Meaning::Service { name, namespace, certain } => match lookup(namespace, name) {
                Some(address) => result.push_str(&address),
                None if certain => return Err(UnknownService { host: host.to_owned() }),
                None => result.push_str(host),
            },
            Meaning::Other => result.push_str(host),
        }
        result.push_str(port);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

fn meaning<'a>(host: &'a str, own_namespace: &'a str) -> Meaning<'a> {
    let is_label = |label: &str| {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !label.is_empty() && label.chars().all(legal)
    };
    if host == "localhost" || host.parse::<IpAddr>().is_ok() || !host.split('.').all(is_label) {
        return Meaning::Other;
    }
    let short = host.strip_suffix(".cluster.local").unwrap_or(host);
    let (short, is_svc) = match short.strip_suffix(".svc") {
        Some(short) => (short, true),
        None => (short, false),
    };
    if short.len() < host.len() && !is_svc {
        return Meaning::Other;
    }
    match short.split('.').collect::<Vec<_>>()[..] {
        [name] if !is_svc => Meaning::Service { name, namespace: own_namespace, certain: true },
        [name, namespace] => Meaning::Service { name, namespace, certain: is_svc },
        _ => Meaning::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services_become_addresses_and_all_else_stays() {
        let lookup = |namespace: &str, name: &str| match (namespace, name) {
            ("default", "queue") => Some("127.64.128.1".to_owned()),
            ("shop", "queue") => Some("127.64.128.2".to_owned()),
            _ => None,
        };
        let check = |value: &str, expected: Result<&str, &str>| {
            let found = substitute(value, "default", lookup);
            let expected =
                expected.map(str::to_owned).map_err(|host| UnknownService { host: host.to_owned() });
            assert_eq!(found, expected, "{value}");
        };
        check("stomp://queue:61613", Ok("stomp://127.64.128.1:61613"));
        check("http://queue", Ok("http://127.64.128.1"));
        check("https://queue.shop/a?b=queue", Ok("https://127.64.128.2/a?b=queue"));
        check("tcp://me:secret@queue.shop.svc:1/", Ok("tcp://me:secret@127.64.128.2:1/"));
        check("http://queue.default.svc.cluster.local", Ok("http://127.64.128.1"));
        check(
            "failover:(tcp://queue:1,tcp://queue.shop:2)?x=1",
            Ok("failover:(tcp://127.64.128.1:1,tcp://127.64.128.2:2)?x=1"),
        );
        check("http://other:80", Err("other"));
        check("http://queue.other.svc", Err("queue.other.svc"));
        // These may be names of the world outside.
        for value in [
            "",
            "queue",
            "queue:61613",
            "http://example.com/",
            "http://queue.cluster.local",
            "http://a.b.c.svc",
            "http://127.0.0.1:80",
            "http://[::1]:80",
            "http://localhost:1",
            "http://Queue",
            "://",
            "http://",
            "a://b_c",
        ] {
            check(value, Ok(value));
        }
    }
}
