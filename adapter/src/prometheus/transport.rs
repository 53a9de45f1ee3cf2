//! How Prometheus is reached: the client that also talks to the cluster, with another address and other credentials. It
//! reads tokens and CAs again when their files change, follows no redirects, and here tries nothing twice.

use std::{io, path::PathBuf, sync::Arc};

use http::Response;
use http_body_util::BodyExt as _;
use kube::config::AuthInfo;
use podgauge_apiserver::causes;
use podgauge_prometheus::{Exchange, Transport};

use super::{Config, Credentials};
use crate::cluster::{self, ClusterError};

/// Why there is no way to Prometheus.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("--prometheus-auth-config: {0}")]
    Kubeconfig(ClusterError),
    #[error("--prometheus-auth-incluster: {0}")]
    ServiceAccount(kube::config::InClusterError),
    #[error("--prometheus-ca-file {}: {source}", path.display())]
    Ca { path: PathBuf, source: io::Error },
    #[error("the client for --prometheus-url cannot be made: {}", causes(.0))]
    Client(kube::Error),
}

/// Reads what the configuration names. Connects to nothing yet.
pub(super) async fn build(config: &Config) -> Result<Transport, TransportError> {
    let client = kube::Client::try_from(reached(config).await?).map_err(TransportError::Client)?;
    Ok(Arc::new(move |request| -> Exchange {
        let client = client.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let request = http::Request::from_parts(head, body.to_vec().into());
            let response = client.send(request).await.map_err(|error| io::Error::other(causes(&error)))?;
            let (head, body) = response.into_parts();
            let body = body.map_err(|error| io::Error::other(causes(&error)));
            Ok(Response::from_parts(head, body.boxed_unsync()))
        })
    }))
}

async fn reached(config: &Config) -> Result<kube::Config, TransportError> {
    let mut reached = match &config.credentials {
        Credentials::Kubeconfig(file) => cluster::of_file(file).await.map_err(TransportError::Kubeconfig)?,
        Credentials::ServiceAccount => kube::Config::incluster().map_err(TransportError::ServiceAccount)?,
        Credentials::Files { token } => {
            let mut reached = kube::Config::new(config.url.clone());
            let path = |file: &PathBuf| file.to_string_lossy().into_owned();
            reached.auth_info = AuthInfo { token_file: token.as_ref().map(path), ..AuthInfo::default() };
            reached
        }
    };
    reached.cluster_url = config.url.clone();
    if let Some((certificate, key)) = &config.certificate {
        reached.auth_info.client_certificate = Some(certificate.to_string_lossy().into_owned());
        reached.auth_info.client_key = Some(key.to_string_lossy().into_owned());
    }
    if let Some(file) = &config.ca_file {
        let unread = |source| TransportError::Ca { path: file.clone(), source };
        std::fs::metadata(file).map_err(unread)?;
        (reached.root_cert, reached.root_cert_file) = (None, Some(file.clone()));
    }
    if config.url.scheme_str() == Some("http") {
        // Nothing is verified, so that no system's CAs have to be there.
        (reached.root_cert, reached.root_cert_file) = (Some(Vec::new()), None);
    }
    reached.headers.extend(config.headers.iter().cloned());
    reached.connect_timeout = Some(config.client.timeout);
    reached.default_retry = false;
    Ok(reached)
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use podgauge_prometheus::{Client, Verb};
    use prometheus_client::registry::Registry;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Takes one request, answers it so, and gives what came.
    async fn once(listener: &TcpListener, answer: &str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        // The form's last value is the time that is left.
        while !request.ends_with(b"ms") {
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    }

    fn config(port: u16, token: Option<PathBuf>) -> Config {
        Config {
            url: format!("http://127.0.0.1:{port}/prefix/").parse().unwrap(),
            credentials: Credentials::Files { token },
            ca_file: None,
            certificate: None,
            headers: vec![("x-scope-orgid".parse().unwrap(), "shop".parse().unwrap())],
            client: podgauge_prometheus::Config {
                verb: Verb::Post,
                timeout: Duration::from_secs(60),
                body_bytes: 1_000,
                in_flight: 1,
                cache_ttl: Duration::ZERO,
                cache_bytes: 0,
                failures: 10,
                pause: Duration::from_secs(1),
            },
            relist_interval: Duration::from_secs(60),
            series_max_age: Duration::from_secs(60),
        }
    }

    #[tokio::test]
    async fn requests_have_path_headers_and_token_and_redirects_are_not_followed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let token = std::env::temp_dir().join(format!("podgauge-token-{}", std::process::id()));
        fs::write(&token, "secret").unwrap();
        let config = config(listener.local_addr().unwrap().port(), Some(token.clone()));
        let client =
            Client::new(config.client.clone(), build(&config).await.unwrap(), &mut Registry::default());
        let elsewhere = "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n";
        let (request, answer) =
            tokio::join!(once(&listener, elsewhere), client.instant("up", config.client.timeout));
        let answer = answer.unwrap_err().to_string();
        assert!(answer.starts_with("Prometheus answers HTTP 302; redirects are not followed"), "{answer}");
        let request = request.to_lowercase();
        for line in
            ["post /prefix/api/v1/query http/1.1\r\n", "x-scope-orgid: shop", "authorization: bearer secret"]
        {
            assert!(request.contains(line), "{line}: {request}");
        }
        drop(listener);
        let refused = client.instant("up", config.client.timeout).await.unwrap_err().to_string();
        assert!(refused.contains("Connection refused"), "{refused}");
        fs::remove_file(token).unwrap();
    }

    #[tokio::test]
    async fn files_that_cannot_be_read_are_named() {
        let check = async |change: fn(&mut Config), want: &str| {
            let mut config = config(1, None);
            config.url = "https://localhost/".parse().unwrap();
            config.ca_file = None;
            change(&mut config);
            let said = build(&config).await.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.contains(want) && said.contains("/does/not/exist"), "{said}");
        };
        check(|config| config.ca_file = Some("/does/not/exist".into()), "--prometheus-ca-file").await;
        check(
            |config| config.credentials = Credentials::Kubeconfig("/does/not/exist".into()),
            "--prometheus-auth-config",
        )
        .await;
        check(
            |config| config.credentials = Credentials::Files { token: Some("/does/not/exist".into()) },
            "token",
        )
        .await;
        check(
            |config| config.certificate = Some(("/does/not/exist".into(), "/does/not/exist".into())),
            "client",
        )
        .await;
    }
}
