//! The cluster behind a kube client.

use std::{collections::BTreeMap, future::Future, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use k8s_openapi::{api::core::v1, kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{ApiService, Cluster, ClusterError, Secret};

/// The API server, as this program's service account sees it.
pub(crate) struct KubeCluster {
    api_services: Api<apiregistration::APIService>,
    secrets: Api<v1::Secret>,
    namespace: String,
    secret: String,
    timeout: Duration,
}

// === impl KubeCluster ===

impl KubeCluster {
    pub(crate) fn new(client: Client, namespace: &str, secret: &str, timeout: Duration) -> Self {
        Self {
            api_services: Api::all(client.clone()),
            secrets: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            secret: secret.to_owned(),
            timeout,
        }
    }

    /// What a request came to. `advice` is for those who have been refused.
    async fn ask<T>(
        &self,
        what: &str,
        advice: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ClusterError> {
        match timeout(self.timeout, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Err(_) => Err(ClusterError::Failed(format!("{what}: no answer within {:?}", self.timeout))),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
                Err(ClusterError::Conflict(what.to_owned()))
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                Err(ClusterError::Failed(format!("{what}: {advice} (403 {})", status.message)))
            }
            Ok(Err(kube::Error::Api(status))) => {
                Err(ClusterError::Failed(format!("{what}: {} {}", status.code, status.message)))
            }
            Ok(Err(error)) => Err(ClusterError::Failed(format!("{what}: {}", causes(&error)))),
        }
    }
}

impl Cluster for KubeCluster {
    async fn api_service(&self, name: &str) -> Result<Option<ApiService>, ClusterError> {
        let what = format!("reading APIService {name}");
        let advice = "a ClusterRole that allows get and patch on it, and its binding, are missing";
        let found = self.ask(&what, advice, self.api_services.get_opt(name)).await?;
        Ok(found.map(|found| {
            let spec = found.spec.unwrap_or_default();
            let service = spec.service.map(|s| (s.namespace.unwrap_or_default(), s.name.unwrap_or_default()));
            ApiService {
                version: found.metadata.resource_version.unwrap_or_default(),
                service,
                ca_bundle: spec.ca_bundle.map(|bundle| bundle.0).unwrap_or_default(),
                is_unverified: spec.insecure_skip_tls_verify.unwrap_or_default(),
            }
        }))
    }

    async fn write_bundle(&self, name: &str, version: &str, pem: &str) -> Result<(), ClusterError> {
        // The API server takes no bundle beside the flag that turns verification off.
        let patch = json!({
            "metadata": {"resourceVersion": version},
            "spec": {"caBundle": BASE64_STANDARD.encode(pem), "insecureSkipTLSVerify": null},
        });
        let what = format!("writing caBundle of APIService {name}");
        let advice = "a ClusterRole that allows get and patch on it, and its binding, are missing";
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        self.ask(&what, advice, self.api_services.patch(name, &parameters, &patch)).await.map(drop)
    }

    async fn secret(&self) -> Result<Option<Secret>, ClusterError> {
        let what = format!("reading Secret {}/{}", self.namespace, self.secret);
        let advice = "a Role that allows get and patch on it, and its RoleBinding, are missing";
        let found = self.ask(&what, advice, self.secrets.get_opt(&self.secret)).await?;
        Ok(found.map(|found| Secret {
            version: found.metadata.resource_version.unwrap_or_default(),
            data: found.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect(),
        }))
    }

    async fn write_secret(
        &self,
        version: Option<&str>,
        data: &BTreeMap<&'static str, Option<Vec<u8>>>,
    ) -> Result<(), ClusterError> {
        let encode = |value: &Vec<u8>| Value::String(BASE64_STANDARD.encode(value));
        let Some(version) = version else {
            let what = format!("creating Secret {}/{}", self.namespace, self.secret);
            let advice =
                "it is gone, and podgauge is not allowed to create Secrets; apply the manifests again";
            let data: BTreeMap<&str, Value> =
                data.iter().filter_map(|(key, value)| Some((*key, encode(value.as_ref()?)))).collect();
            let labels =
                json!({"app.kubernetes.io/name": "podgauge", "app.kubernetes.io/part-of": "podgauge"});
            let object = json!({"metadata": {"name": self.secret, "labels": labels}, "data": data});
            let object: v1::Secret = serde_json::from_value(object)
                .map_err(|error| ClusterError::Failed(format!("{what}: {error}")))?;
            let parameters = PostParams::default();
            return self.ask(&what, advice, self.secrets.create(&parameters, &object)).await.map(drop);
        };
        let what = format!("writing Secret {}/{}", self.namespace, self.secret);
        let advice = "a Role that allows get and patch on it, and its RoleBinding, are missing";
        let data: BTreeMap<&str, Option<Value>> =
            data.iter().map(|(key, value)| (*key, value.as_ref().map(encode))).collect();
        let patch = json!({"metadata": {"resourceVersion": version}, "data": data});
        let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
        self.ask(&what, advice, self.secrets.patch(&self.secret, &parameters, &patch)).await.map(drop)
    }
}

/// The error with what caused it, which kube's own text leaves out.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
