//! One probe: what a container's spec says about it, and one attempt.

use crate::client::{Client, ClientConfig};
use crate::kubeconfig::Credential;
use crate::local_client::seconds;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// How a container is asked whether it is well.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probe {
    action: Action,
    /// How long after the start the first attempt comes.
    pub(super) initial_delay: Duration,
    /// The time between attempts. Default 10 s.
    pub(super) period: Duration,
    /// How long one attempt may take. Default 1 s.
    timeout: Duration,
    /// How many successes in a row make it well. Default 1.
    success_threshold: u64,
    /// How many failures in a row make it unwell. Default 3.
    failure_threshold: u64,
    /// The grace period of a container that this probe ends, if it is not the pod's.
    pub(super) grace: Option<Duration>,
}

/// Attempts in a row with the same result.
#[derive(Debug, Default)]
pub(super) struct Tally {
    successes: u64,
    failures: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Http { tls: bool, host: Option<IpAddr>, port: u16, path: String, headers: Vec<(HeaderName, HeaderValue)> },
    Tcp { host: Option<IpAddr>, port: u16 },
}

// === impl Probe ===

impl Probe {
    /// Reads a probe of a spec. `ports` are the container's named ports. `Null` is none.
    pub(super) fn parse(probe: &Value, ports: &BTreeMap<String, u16>) -> Result<Option<Self>, String> {
        if probe.is_null() {
            return Ok(None);
        }
        let action = if probe["httpGet"].is_object() {
            http_action(&probe["httpGet"], ports)?
        } else if probe["tcpSocket"].is_object() {
            let socket = &probe["tcpSocket"];
            Action::Tcp { host: host(&socket["host"])?, port: port(&socket["port"], ports)? }
        } else {
            return Err("the sandbox knows httpGet and tcpSocket probes alone".to_owned());
        };
        let number = |field: &str, default: u64| probe[field].as_u64().unwrap_or(default);
        let time = |field: &str, default: u64| seconds(number(field, default));
        Ok(Some(Self {
            action,
            initial_delay: time("initialDelaySeconds", 0),
            period: time("periodSeconds", 10).max(Duration::from_secs(1)),
            timeout: time("timeoutSeconds", 1).max(Duration::from_secs(1)),
            success_threshold: number("successThreshold", 1).max(1),
            failure_threshold: number("failureThreshold", 3).max(1),
            grace: probe["terminationGracePeriodSeconds"].as_u64().map(seconds),
        }))
    }

    /// Asks once. The error is what the event says.
    pub(super) async fn attempt(&self, pod_ip: Ipv4Addr) -> Result<(), String> {
        let (host, port) = match self.action {
            Action::Http { host, port, .. } | Action::Tcp { host, port } => (host, port),
        };
        let address = SocketAddr::new(host.unwrap_or(pod_ip.into()), port);
        let attempt = async {
            match &self.action {
                Action::Tcp { .. } => connect(address).await.map(drop),
                Action::Http { tls, path, headers, .. } => match get(address, *tls, path, headers).await? {
                    200..400 => Ok(()),
                    code => Err(format!("HTTP probe failed with statuscode: {code}")),
                },
            }
        };
        let deadline = tokio::time::timeout(self.timeout, attempt).await;
        deadline.unwrap_or_else(|_| Err(format!("no answer from {address} within {:?}", self.timeout)))
    }
}

fn http_action(get: &Value, ports: &BTreeMap<String, u16>) -> Result<Action, String> {
    let mut headers = Vec::new();
    for header in get["httpHeaders"].as_array().into_iter().flatten() {
        let text = |field: &str| header[field].as_str().unwrap_or_default();
        let name = text("name").parse::<HeaderName>().map_err(|_| format!("{header} is no header"))?;
        let value = HeaderValue::from_str(text("value")).map_err(|_| format!("{header} is no header"))?;
        headers.push((name, value));
    }
    let path = get["path"].as_str().unwrap_or("/");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let path = format!("{slash}{path}");
    if path.parse::<http::uri::PathAndQuery>().is_err() {
        return Err(format!("{path:?} is no path"));
    }
    Ok(Action::Http {
        tls: get["scheme"] == "HTTPS",
        host: host(&get["host"])?,
        port: port(&get["port"], ports)?,
        path,
        headers,
    })
}

fn host(host: &Value) -> Result<Option<IpAddr>, String> {
    match host.as_str() {
        None | Some("") => Ok(None),
        Some("localhost") => Ok(Some(Ipv4Addr::LOCALHOST.into())),
        Some(text) => {
            text.parse().map(Some).map_err(|_| format!("the probe's host {text:?} is no IP address"))
        }
    }
}

fn port(port: &Value, ports: &BTreeMap<String, u16>) -> Result<u16, String> {
    let number = match port.as_str() {
        Some(name) => ports.get(name).copied().or_else(|| name.parse().ok()),
        None => port.as_u64().and_then(|number| u16::try_from(number).ok()),
    };
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("the probe's port {port} is none of the container's"))
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|error| format!("dial tcp {address}: {error}"))
}

/// The code of the answer to a GET. No redirect is followed; a certificate is not verified, as a kubelet does not.
async fn get(
    address: SocketAddr,
    tls: bool,
    path: &str,
    headers: &[(HeaderName, HeaderValue)],
) -> Result<u16, String> {
    let scheme = if tls { "https" } else { "http" };
    let broken = |error: &dyn std::fmt::Display| format!("Get \"{scheme}://{address}{path}\": {error}");
    let mut request = Request::builder()
        .uri(path)
        .header(http::header::HOST, address.to_string())
        .header(http::header::USER_AGENT, concat!("kube-probe/1.33 sandbox/", env!("CARGO_PKG_VERSION")))
        .header(http::header::ACCEPT, "*/*")
        .header(http::header::CONNECTION, "close")
        .body(())
        .map_err(|error| broken(&error))?;
    for (name, value) in headers {
        request.headers_mut().insert(name, value.clone());
    }
    if tls {
        let client = Client::new(&ClientConfig {
            address,
            server_name: address.ip().to_string(),
            ca_pem: None,
            credential: Credential::Anonymous,
            max_response_bytes: 0,
        });
        let client = client.map_err(|error| broken(&error))?;
        let answer = client.open(request.map(|()| Bytes::new())).await.map_err(|error| broken(&error))?;
        return Ok(answer.status().as_u16());
    }
    let stream = connect(address).await.map_err(|error| broken(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    // The connection ends here together with the attempt, read to its end or not.
    let answer = async move {
        tokio::select! {
            answer = sender.send_request(request.map(|()| Empty::<Bytes>::new())) => answer,
            Err(error) = connection => Err(error),
        }
    };
    Ok(answer.await.map_err(|error| broken(&error))?.status().as_u16())
}

// === impl Tally ===

impl Tally {
    /// Counts an attempt; answers whether the container is well, as soon as that is decided.
    pub(super) fn count(&mut self, probe: &Probe, success: bool) -> Option<bool> {
        if success {
            *self = Self { successes: self.successes.saturating_add(1), failures: 0 };
            (self.successes >= probe.success_threshold).then_some(true)
        } else {
            *self = Self { successes: 0, failures: self.failures.saturating_add(1) };
            (self.failures >= probe.failure_threshold).then_some(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn parse(probe: Value) -> Result<Probe, String> {
        let ports = BTreeMap::from([("http".to_owned(), 8080)]);
        Probe::parse(&probe, &ports).map(Option::unwrap)
    }

    #[test]
    fn probes_are_read_with_a_kubelets_defaults() {
        let probe = parse(json!({"tcpSocket": {"port": 1}})).unwrap();
        let seconds = Duration::from_secs;
        assert_eq!((probe.initial_delay, probe.period, probe.timeout), (seconds(0), seconds(10), seconds(1)));
        assert_eq!((probe.success_threshold, probe.failure_threshold), (1, 3));
        let port = |port: Value| match parse(json!({"httpGet": {"port": port}})).map(|probe| probe.action) {
            Ok(Action::Http { port, .. }) => Some(port),
            _ => None,
        };
        assert_eq!(port(json!("http")), Some(8080));
        assert_eq!(port(json!(80)), Some(80));
        assert_eq!(port(json!("81")), Some(81));
        for refused in [json!("grpc"), json!(0), json!(65_536), json!(null)] {
            assert_eq!(port(refused), None);
        }
        assert_eq!(Probe::parse(&json!(null), &BTreeMap::new()), Ok(None));
        for refused in [
            json!({"exec": {"command": ["true"]}}),
            json!({"tcpSocket": {"port": 1, "host": "example.com"}}),
            json!({"httpGet": {"port": 1, "path": "/a b"}}),
            json!({"httpGet": {"port": 1, "httpHeaders": [{"name": "a b", "value": ""}]}}),
        ] {
            assert!(parse(refused.clone()).is_err(), "{refused}");
        }
    }

    #[test]
    fn thresholds_count_results_in_a_row() {
        let probe =
            parse(json!({"tcpSocket": {"port": 1}, "successThreshold": 2, "failureThreshold": 3})).unwrap();
        let mut tally = Tally::default();
        let verdicts: Vec<_> = "+-++--+---+".chars().map(|sign| tally.count(&probe, sign == '+')).collect();
        let (well, unwell) = (Some(true), Some(false));
        assert_eq!(verdicts, [None, None, None, well, None, None, None, None, None, unwell, None]);
    }

    /// A port that answers each connection with these bytes; nothing means that it never answers.
    async fn server(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                if answer.is_empty() {
                    open.push(stream);
                    continue;
                }
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        port
    }

    #[tokio::test]
    async fn any_code_from_200_to_399_is_a_success() {
        let check = async |answer: &'static str, expected: Result<(), &str>| {
            let port = server(answer).await;
            let probe = parse(json!({"httpGet": {"port": port, "path": "health"}})).unwrap();
            match (probe.attempt(Ipv4Addr::LOCALHOST).await, expected) {
                (Ok(()), Ok(())) => {}
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{answer}: {found:?} instead of {expected:?}"),
            }
        };
        check("HTTP/1.1 200 OK\r\n\r\n", Ok(())).await;
        check("HTTP/1.1 399 x\r\n\r\n", Ok(())).await;
        check("HTTP/1.1 503 x\r\n\r\n", Err("HTTP probe failed with statuscode: 503")).await;
        check("garbage\r\n\r\n", Err("/health")).await;
    }

    #[tokio::test]
    async fn silence_is_a_failure_and_so_is_a_closed_port() {
        let port = server("").await;
        // With the clock paused the time-out comes as soon as nothing else can happen.
        tokio::time::pause();
        let http = parse(json!({"httpGet": {"port": port}})).unwrap();
        let silent = http.attempt(Ipv4Addr::LOCALHOST).await.unwrap_err();
        assert!(silent.contains("within 1s"), "{silent}");
        tokio::time::resume();
        let tcp = parse(json!({"tcpSocket": {"port": port}})).unwrap();
        assert_eq!(tcp.attempt(Ipv4Addr::LOCALHOST).await, Ok(()));
        let closed = tcp.attempt(Ipv4Addr::new(127, 0, 0, 2)).await.unwrap_err();
        assert!(closed.contains("dial tcp 127.0.0.2"), "{closed}");
    }
}
