//! Whoever wants to know what is read.

use std::sync::Arc;

use podgauge_store::Pod;

/// Is told of every question that was answered.
pub trait Audience: Send + Sync + 'static {
    /// `question` was answered, and is about `pods`. This is on the way of the answer, so it only takes a note.
    fn answered(&self, question: &Question<'_>, pods: &[Arc<Pod>]);
}

/// What tells one question from another: two that are equal have the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Question<'a> {
    /// The namespace; empty for what is in none.
    pub namespace: &'a str,
    /// The resource: `pods`, `namespaces`, `deployments.apps`.
    pub resource: &'a str,
    /// The object's name, or `*` for all pods that the selectors pick.
    pub name: &'a str,
    /// Which pods, as a label selector.
    pub labels: &'a str,
    /// Which pods, as a field selector.
    pub fields: &'a str,
    /// The metric's name.
    pub metric: &'a str,
    /// Which of its series, as a label selector.
    pub series: &'a str,
}

/// Nobody wants to know.
impl Audience for () {
    fn answered(&self, _: &Question<'_>, _: &[Arc<Pod>]) {}
}
