//! What is read from and written to the cluster, and what can go wrong with it.

pub(crate) mod kube;

use std::{collections::BTreeMap, future::Future};

use thiserror::Error;

use crate::state::Data;

/// The two kinds of objects, wherever they are. Reads give what is newest, never what some cache remembers.
pub(crate) trait Cluster: Send + Sync {
    /// An APIService; `None` if there is none of that name.
    fn api_service(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<ApiService>, ClusterError>> + Send;

    /// Writes an APIService's `caBundle`, if its version is still `version`.
    fn write_bundle(
        &self,
        name: &str,
        version: &str,
        pem: &str,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;

    /// The Secret; `None` if there is none.
    fn secret(&self) -> impl Future<Output = Result<Option<Secret>, ClusterError>> + Send;

    /// Writes these keys of the Secret, removing those without a value, if its version is still `version`; with no version,
    /// creates it.
    fn write_secret(
        &self,
        version: Option<&str>,
        data: &BTreeMap<&'static str, Option<Vec<u8>>>,
    ) -> impl Future<Output = Result<(), ClusterError>> + Send;
}

/// What matters of an APIService.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiService {
    pub(crate) version: String,
    /// Namespace and name of the Service that it leads to; `None` if the API server answers itself.
    pub(crate) service: Option<(String, String)>,
    /// PEM, or whatever stands there instead.
    pub(crate) ca_bundle: Vec<u8>,
    pub(crate) is_unverified: bool,
}

/// What matters of the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) version: String,
    pub(crate) data: Data,
}

/// Why something was not read or written. The text says what to do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum ClusterError {
    /// Somebody else was quicker.
    #[error("{0} has been changed by somebody else in the meantime")]
    Conflict(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}
