//! One of two servers of the metrics APIs, asked as an autoscaler would.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use http::{Request, Uri};
use podgauge_apiserver::causes;
use serde_json::Value;

use super::{
    quantity,
    question::{Api, Question},
};

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On its own.
    Url(Uri),
    /// Where this version of custom.metrics.k8s.io leads to on the cluster.
    Version(String),
}

/// A server.
pub(super) struct Side {
    client: kube::Client,
    /// Of custom.metrics.k8s.io.
    version: String,
}

/// A value for each object; of an external metric the sum, which is what the HPA makes of it.
pub(super) type Values = BTreeMap<String, f64>;

/// How long a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

// === impl Place ===

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(url) = text.parse::<Uri>()
            && matches!(url.scheme_str(), Some("http" | "https"))
        {
            return Ok(Self::Url(url));
        }
        let is_version = text.starts_with('v') && text.chars().all(|c| c.is_ascii_alphanumeric());
        is_version.then(|| Self::Version(text.to_owned())).ok_or_else(|| {
            "expected a URL such as https://localhost:6443, or a version such as v1beta1".to_owned()
        })
    }
}

// === impl Side ===

impl Side {
    /// The server at `place`, or the one that the cluster prefers; `config` is that of the cluster.
    pub(super) async fn build(config: &kube::Config, place: Option<&Place>) -> Result<Self, String> {
        let mut config = config.clone();
        config.default_retry = false;
        if let Some(Place::Url(url)) = place {
            let is_here = matches!(url.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
            if !is_here && url.scheme_str() == Some("http") {
                return Err("the cluster's credentials are not sent in clear text; use https://".to_owned());
            }
            config.cluster_url = url.clone();
            config.tls_server_name = None;
            // Behind a port-forward, which the API server vouches for, the certificate is for another name.
            config.accept_invalid_certs = is_here;
        }
        let client = kube::Client::try_from(config).map_err(|error| causes(&error))?;
        let version = match place {
            Some(Place::Version(version)) => version.clone(),
            Some(Place::Url(_)) | None => {
                let group = get(&client, "/apis/custom.metrics.k8s.io").await?;
                let preferred =
                    group.as_ref().and_then(|group| group["preferredVersion"]["version"].as_str());
                preferred.ok_or("nobody serves custom.metrics.k8s.io there")?.to_owned()
            }
        };
        Ok(Self { client, version })
    }

    /// What it answers; nothing if it says that there is nothing.
    pub(super) async fn values(&self, question: &Question) -> Result<Values, String> {
        let Question { api, path } = question;
        let path = match api {
            Api::Custom => format!("/apis/custom.metrics.k8s.io/{}/{path}", self.version),
            Api::External => format!("/apis/external.metrics.k8s.io/v1beta1/{path}"),
        };
        let mut values = Values::new();
        let list = get(&self.client, &path).await?.unwrap_or_default();
        for item in list["items"].as_array().into_iter().flatten() {
            let value = item["value"].as_str().and_then(quantity::number);
            let value = value.ok_or_else(|| format!("{} is no quantity", item["value"]))?;
            match (api, item["describedObject"]["name"].as_str()) {
                (Api::Custom, Some(name)) => {
                    values.insert(name.to_owned(), value);
                }
                _ => *values.entry("sum".to_owned()).or_default() += value,
            }
        }
        Ok(values)
    }
}

/// A document; nothing if there is none.
pub(super) async fn get(client: &kube::Client, path: &str) -> Result<Option<Value>, String> {
    let request = Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
    match tokio::time::timeout(PATIENCE, client.request(request)).await {
        Ok(Ok(document)) => Ok(Some(document)),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(None),
        Ok(Err(kube::Error::Api(status))) => Err(format!("HTTP {}: {}", status.code, status.message)),
        Ok(Err(error)) => Err(causes(&error)),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_urls_or_versions() {
        assert_eq!("v1beta1".parse(), Ok(Place::Version("v1beta1".to_owned())));
        assert_eq!("https://h:1/p".parse(), Ok(Place::Url(Uri::from_static("https://h:1/p"))));
        for wrong in ["", "localhost:6443", "ftp://h", "v1/../x"] {
            let error = wrong.parse::<Place>().unwrap_err();
            assert!(error.starts_with("expected a URL such as"), "{wrong}: {error}");
        }
    }

    #[tokio::test]
    async fn credentials_are_not_sent_in_clear_text() {
        let config = kube::Config::new(Uri::from_static("http://127.0.0.1:1"));
        let place = Place::Url(Uri::from_static("http://192.0.2.1"));
        let error = Side::build(&config, Some(&place)).await.err();
        assert!(error.is_some_and(|error| error.contains("not sent in clear text")));
    }
}
