//! The cluster's own account of whom to believe: ConfigMap
//! `kube-system/extension-apiserver-authentication`, which every kube-apiserver keeps current.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use thiserror::Error;

use crate::causes::causes;

use super::trust::{CaBundle, HeaderLists, RequestHeader, Trust, TrustError};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// Why the cluster's authentication configuration could not be had. The text says what to do.
#[derive(Debug, Error)]
pub enum LookupError {
    /// This server may not read the ConfigMap.
    #[error(
        "this server may not read ConfigMap {NAMESPACE}/{NAME}: a RoleBinding in namespace {NAMESPACE} to Role \
         extension-apiserver-authentication-reader is missing; create it with: kubectl -n {NAMESPACE} create \
         rolebinding NAME --role=extension-apiserver-authentication-reader --serviceaccount=NAMESPACE:ACCOUNT \
         ({0})"
    )]
    Forbidden(String),
    /// This server is nobody to the API server.
    #[error(
        "the API server does not accept this server's own credentials (reading ConfigMap {NAMESPACE}/{NAME}: 401 {0}): \
         its service-account token or kubeconfig is expired, revoked or of another cluster; no role is missing"
    )]
    Unauthorized(String),
    /// There is no such ConfigMap.
    #[error(
        "ConfigMap {NAMESPACE}/{NAME} does not exist: kube-apiserver makes it unless started with neither \
         --client-ca-file nor --requestheader-client-ca-file; give both as flags here instead"
    )]
    NotFound,
    /// The cluster did not answer in time.
    #[error("reading ConfigMap {NAMESPACE}/{NAME} took longer than {0:?}: is the API server reachable?")]
    Timeout(Duration),
    /// The cluster gave another answer, or none.
    #[error("reading ConfigMap {NAMESPACE}/{NAME}: {0}")]
    Other(String),
    /// The ConfigMap holds something that cannot be used.
    #[error("ConfigMap {NAMESPACE}/{NAME}: {0}")]
    Content(#[from] TrustError),
}

/// Reads the ConfigMap.
pub(crate) async fn read(client: &kube::Client, timeout: Duration) -> Result<Trust, LookupError> {
    let maps = kube::Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    let map = match tokio::time::timeout(timeout, maps.get(NAME)).await {
        Err(_) => return Err(LookupError::Timeout(timeout)),
        Ok(Err(kube::Error::Api(status))) => {
            return Err(match status.code {
                401 => LookupError::Unauthorized(status.message),
                403 => LookupError::Forbidden(status.message),
                404 => LookupError::NotFound,
                _ => LookupError::Other(format!("{} {}", status.code, status.message)),
            });
        }
        Ok(Err(error)) => return Err(LookupError::Other(causes(&error))),
        Ok(Ok(map)) => map,
    };
    Ok(decode(&map.data.unwrap_or_default())?)
}

/// An absent, empty, `null` or `[]` value is none; a half without a CA is absent.
fn decode(data: &BTreeMap<String, String>) -> Result<Trust, TrustError> {
    let ca = |key: &str| -> Result<Option<CaBundle>, TrustError> {
        let pem = data.get(key).filter(|pem| !pem.trim().is_empty());
        pem.map(|pem| CaBundle::from_pem(key, pem.as_bytes())).transpose()
    };
    let list = |key: &'static str| -> Result<Vec<String>, TrustError> {
        let Some(text) = data.get(key).filter(|text| !text.trim().is_empty()) else {
            return Ok(Vec::new());
        };
        serde_json::from_str::<Option<Vec<String>>>(text)
            .map(Option::unwrap_or_default)
            .map_err(|error| TrustError::List { key, reason: error.to_string() })
    };
    let request_header = match ca("requestheader-client-ca-file")? {
        None => None,
        Some(ca) => {
            let lists = HeaderLists {
                allowed_names: &list("requestheader-allowed-names")?,
                username_headers: &list("requestheader-username-headers")?,
                uid_headers: &list("requestheader-uid-headers")?,
                group_headers: &list("requestheader-group-headers")?,
                extra_headers_prefix: &list("requestheader-extra-headers-prefix")?,
            };
            Some(Arc::new(RequestHeader::new(ca, &lists)?))
        }
    };
    Ok(Trust { request_header, client_ca: ca("client-ca-file")?.map(Arc::new) })
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;

    fn ca_pem() -> String {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn check(data: &[(&str, &str)]) -> Result<Trust, String> {
        let data = data.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        decode(&data).map_err(|error| error.to_string())
    }

    #[test]
    fn as_kube_apiserver_writes_it() {
        let ca = ca_pem();
        let trust = check(&[
            ("client-ca-file", &ca),
            ("requestheader-client-ca-file", &ca),
            ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#),
            ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
            ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
        ])
        .unwrap();
        let header = trust.request_header.unwrap();
        assert_eq!(header.allowed_names, ["front-proxy-client"]);
        assert_eq!(header.username_headers, ["x-remote-user"]);
        assert_eq!(header.group_headers, ["x-remote-group"]);
        assert_eq!(header.extra_prefixes, ["x-remote-extra-"]);
        assert!(header.uid_headers.is_empty());
        assert!(trust.client_ca.is_some());
    }

    #[test]
    fn what_is_missing_and_what_is_wrong() {
        let ca = ca_pem();
        assert_eq!(check(&[]), Ok(Trust::default()));
        assert_eq!(
            check(&[("client-ca-file", " "), ("requestheader-allowed-names", "x")]),
            Ok(Trust::default())
        );
        for none in ["", "null", "[]"] {
            let trust =
                check(&[("requestheader-client-ca-file", &ca), ("requestheader-allowed-names", none)]);
            assert_eq!(trust.unwrap().request_header.unwrap().allowed_names, [""; 0], "{none:?}");
        }
        for (data, expected) in [
            (vec![("client-ca-file", "rubbish")], "client-ca-file is not a bundle"),
            (
                vec![
                    ("requestheader-client-ca-file", ca.as_str()),
                    ("requestheader-allowed-names", "front-proxy"),
                ],
                "requestheader-allowed-names should be a JSON list",
            ),
            (
                vec![
                    ("requestheader-client-ca-file", ca.as_str()),
                    ("requestheader-group-headers", "[\"a b\"]"),
                ],
                "\"a b\" cannot be the name of an HTTP header",
            ),
        ] {
            let found = check(&data).unwrap_err();
            assert!(found.contains(expected), "{found}");
        }
    }
}
