//! An aggregated Kubernetes API server that has never heard of metrics.
//!
//! It owns everything between the socket and the answer: TLS and its certificates, who is asking
//! (front proxy, x509, token review, anonymous), whether they may (SubjectAccessReview), which
//! representation they want, discovery, OpenAPI, limits and the drain at the end. What is answered
//! comes from implementations of [`Api`], one for each group-version.
//!
//! It promises that every request that fails leaves as a [`Status`], that a probe or a discovery
//! request never waits for anything but memory, and that no peer can make it panic or allocate past
//! a limit of its `Config`.

pub mod api;
pub mod selector;
pub mod status;
pub mod table;

pub use api::{
    Answer, Api, ApiResource, Attributes, Definition, GroupVersion, Query, Representation, Request,
};
pub use selector::Selector;
pub use status::{Reason, Status};
pub use table::Table;
