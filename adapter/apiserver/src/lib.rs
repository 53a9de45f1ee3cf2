//! An aggregated Kubernetes API server that has never heard of metrics.
//!
//! It owns everything between the socket and the answer: TLS and its certificates, who is asking
//! (front proxy, x509, token review, anonymous), whether they may (SubjectAccessReview), which
//! representation they want, discovery, OpenAPI, limits and the drain at the end. What is answered
//! comes from implementations of [`Api`], one for each group-version.
//!
//! It promises that every request that fails leaves as a [`Status`], that a probe or a discovery
//! request never waits for anything but memory, unless the cluster has to be asked about its caller,
//! and that no peer can make it panic or allocate past a limit of its [`Config`]. The
//! exceptions come from the HTTP library, without a body: what cannot be read as HTTP gets a bare 400, and
//! over HTTP/1.1 a head beyond `max_header_bytes` or `max_header_fields` a bare 431; over HTTP/2 these reset
//! the stream or end the connection.
//!
//! | path | answer |
//! |---|---|
//! | `/livez`, `/readyz`, `/healthz`, and `/<probe>/<check>` | `ok`, or 500 and the checks |
//! | `/apis`, `/apis/<group>`, `/apis/<group>/<version>` | discovery, aggregated for who takes it |
//! | `/apis/<group>/<version>/...` | the [`Api`]'s |
//! | `/openapi/v2`, `/openapi/v3`, `/openapi/v3/apis/<group>/<version>` | the [`Api`]'s definitions |
//! | `/version`, `/metrics` | the program's |
//!
//! Use: make a [`Config`], [`Server::build`] with it, then [`Server::run`].

use std::{sync::Arc, time::SystemTime};

pub mod api;
mod authn;
mod authz;
mod body;
mod causes;
pub mod certificate;
pub mod config;
mod connection;
mod discovery;
mod etag;
mod files;
pub mod go_duration;
mod handler;
mod linger;
mod metrics;
mod negotiate;
mod openapi;
mod pools;
mod pretty;
pub mod probes;
pub mod protobuf;
mod reload;
mod request_info;
mod respond;
mod review;
mod routes;
pub mod selector;
pub mod server;
pub mod status;
pub mod table;
mod target;
mod tls;
mod user;
mod x509;
mod yaml;

pub use api::{
    Answer, Api, ApiResource, Attributes, Definition, GroupVersion, Query, Representation, Request,
};
pub use authn::{cluster::LookupError, loader::Readiness, trust::TrustError};
pub use causes::causes;
pub use certificate::{CertificateError, CertificateSource, PemPair};
pub use config::{
    AuthenticationConfig, AuthorizationConfig, Config, LimitsConfig, RequestHeaderConfig, ReviewConfig,
    ServingConfig, TlsVersion,
};
pub use probes::{Check, Probes};
pub use routes::MetricsPage;
pub use selector::Selector;
pub use server::{BuildError, Drained, Parts, Server};
pub use status::{Reason, Status};
pub use table::Table;
pub use tls::TlsError;

/// The wall clock. Only certificates' validity is measured with it.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;
