//! The seam between this server and what it serves: one [`Api`] for each group-version.
//!
//! An [`Api`] answers from memory, synchronously, for a caller who has already been authenticated
//! and authorized. It never sees a socket, a header or a credential. What takes more than a moment it hands
//! back as [`Work`], which is done where it holds up nobody else.

use std::{fmt, pin::Pin, time::Duration};

use serde::Serialize;
use serde_json::Value;

use crate::{
    protobuf::Message,
    status::{Reason, Status},
    table::Table,
};

/// One group-version, served under `/apis/<group>/<version>`.
pub trait Api: Send + Sync + 'static {
    /// The group-version that this implementation answers for. Constant.
    fn group_version(&self) -> GroupVersion;

    /// What `GET /apis/<group>/<version>` lists: sorted by name, never empty, and consistent:
    /// entries that share the part before the `/` agree on `namespaced`, or kube-apiserver marks
    /// the whole group-version stale.
    fn resources(&self) -> Vec<ApiResource>;

    /// The kinds of this group-version, for OpenAPI.
    fn definitions(&self) -> Vec<Definition>;

    /// How the kind that it answers with is written in protobuf; `None` if that is never so.
    fn message(&self) -> Option<&'static Message>;

    /// Answers a `GET` of a path below the group-version, in less than a millisecond or so: all other requests
    /// wait as long.
    ///
    /// # Errors
    /// Any [`Status`]; its message is what `kubectl` and `kubectl describe hpa` show, so it says
    /// what to do next.
    fn get(&self, request: &Request) -> Result<Answer, Status>;
}

/// A group and a version, such as `custom.metrics.k8s.io/v1beta2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupVersion {
    /// The API group.
    pub group: &'static str,
    /// The version within the group.
    pub version: &'static str,
}

/// An entry of an `APIResourceList`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiResource {
    /// `resource` or `resource/subresource`.
    pub name: String,
    /// The singular name; may be empty.
    pub singular_name: String,
    /// Whether the resource lives in namespaces.
    pub namespaced: bool,
    /// The kind that a read of it returns.
    pub kind: &'static str,
    /// The verbs that it knows.
    pub verbs: &'static [&'static str],
}

/// A kind as OpenAPI publishes it.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The definition's name, such as `io.k8s.metrics.pkg.apis.custom_metrics.v1beta2.MetricValueList`.
    pub name: &'static str,
    /// The kind when the definition is a top-level object of this group-version, else `None`.
    pub kind: Option<&'static str>,
    /// An OpenAPI schema object. References are written `#/definitions/<name>`.
    pub schema: Value,
}

/// An authenticated and authorized read.
#[derive(Clone, Debug)]
pub struct Request {
    /// The attributes that were authorized.
    pub attributes: Attributes,
    /// The decoded path segments below the group-version, as sent.
    pub segments: Vec<String>,
    /// The decoded query.
    pub query: Query,
    /// What the caller would like to see.
    pub representation: Representation,
}

/// What a resource path means, by the rules of kube-apiserver's `RequestInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list` or `watch`.
    pub verb: &'static str,
    /// The API group of the path.
    pub group: String,
    /// The version of the path.
    pub version: String,
    /// The namespace, if the path has one.
    pub namespace: Option<String>,
    /// The resource, such as `pods` or `deployments.apps`.
    pub resource: String,
    /// The object's name, or `*`.
    pub name: Option<String>,
    /// The subresource: for a custom metric, the metric's name.
    pub subresource: Option<String>,
}

/// A decoded query string: every pair, in the order sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(pub Vec<(String, String)>);

/// The representation that content negotiation chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Representation {
    /// The object itself.
    #[default]
    Object,
    /// A `meta.k8s.io/v1` `Table`, if the API can draw one.
    Table,
}

/// A successful answer.
#[derive(Debug)]
pub enum Answer {
    /// A complete JSON document, compact, with `kind` and `apiVersion`.
    Json(Vec<u8>),
    /// A table, for a request whose representation is [`Representation::Table`].
    Table(Table),
    /// What has to be computed first, or asked of somebody else.
    Later(Work),
}

/// An answer that is not there yet.
pub struct Work(Step);

enum Step {
    Compute(Box<dyn FnOnce() -> Result<Answer, Status> + Send>),
    Ask(Box<dyn FnOnce(Duration) -> Asking + Send>),
}

type Asking = Pin<Box<dyn Future<Output = Result<Answer, Status>> + Send>>;

// === impl GroupVersion ===

impl fmt::Display for GroupVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.version)
    }
}

// === impl Answer ===

impl Answer {
    /// An answer that `compute` gives, on a thread where it may take its time.
    pub fn later(compute: impl FnOnce() -> Result<Self, Status> + Send + 'static) -> Self {
        Self::Later(Work::new(compute))
    }

    /// An answer that somebody else is asked for, who is told how much time is left. It takes no turn from those that
    /// are computed, and is given up with the request.
    pub fn asked<F>(ask: impl FnOnce(Duration) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Self, Status>> + Send + 'static,
    {
        Self::Later(Work(Step::Ask(Box::new(|left| Box::pin(ask(left))))))
    }

    /// The answer itself, computed here and now if need be: a document or a table.
    ///
    /// # Errors
    /// As the work's; or somebody else is to be asked, which takes [`settled`](Self::settled).
    pub fn finished(self) -> Result<Self, Status> {
        let mut answer = self;
        while let Self::Later(Work(step)) = answer {
            answer = match step {
                Step::Compute(compute) => compute()?,
                Step::Ask(_) => {
                    return Err(Status::new(Reason::InternalError, "the answer is still to be asked for"));
                }
            };
        }
        Ok(answer)
    }

    /// The answer once whoever has to be asked for it was; what there is to compute is left.
    ///
    /// # Errors
    /// As the work's.
    pub async fn settled(self, left: Duration) -> Result<Self, Status> {
        match self {
            Self::Later(Work(Step::Ask(ask))) => ask(left).await,
            settled => Ok(settled),
        }
    }
}

// === impl Work ===

impl Work {
    pub(crate) fn new(compute: impl FnOnce() -> Result<Answer, Status> + Send + 'static) -> Self {
        Self(Step::Compute(Box::new(compute)))
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}

// === impl Query ===

impl Query {
    /// The first value of `key`; an absent and an empty parameter are the same to Kubernetes.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }
}
