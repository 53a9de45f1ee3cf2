//! Who a request comes from.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A caller as authentication found it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// The user name, such as `system:serviceaccount:kube-system:default`.
    pub name: String,
    /// The identifier that outlives a reuse of the name; may be empty.
    pub uid: String,
    /// The groups, in the order in which they were found.
    pub groups: Vec<String>,
    /// Whatever else the authenticator knew.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The group whose members may do anything.
pub(crate) const MASTERS: &str = "system:masters";
const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";

// === impl User ===

impl User {
    /// A user with groups and nothing else.
    pub fn new(name: &str, groups: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// The identity of a service account.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        let in_namespace = format!("system:serviceaccounts:{namespace}");
        let groups = ["system:serviceaccounts", &in_namespace];
        Self::new(&format!("system:serviceaccount:{namespace}:{name}"), &groups)
    }

    /// A caller without credentials.
    pub fn anonymous() -> Self {
        Self::new("system:anonymous", &[UNAUTHENTICATED])
    }

    /// The same user as a member of `system:authenticated`, in which every authentication ends.
    pub(crate) fn authenticated(mut self) -> Self {
        if !self.has_group(AUTHENTICATED) && !self.has_group(UNAUTHENTICATED) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }

    pub(crate) fn has_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// `authentication.k8s.io`'s `UserInfo`; empty members are left out.
    pub(crate) fn to_json(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}
