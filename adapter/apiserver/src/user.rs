//! Who is asking.

use std::collections::BTreeMap;

/// The group of whoever was authenticated.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
/// The group of whoever was not.
pub(crate) const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The group that may do anything, without being asked.
pub(crate) const MASTERS: &str = "system:masters";
/// The user without credentials.
pub(crate) const ANONYMOUS: &str = "system:anonymous";

/// A caller, as Kubernetes knows users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    /// Empty when unknown.
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    pub(crate) extra: BTreeMap<String, Vec<String>>,
}

// === impl User ===

impl User {
    pub(crate) fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Self::default() }
    }

    /// Adds `system:authenticated`, unless the credential itself says that the caller is nobody.
    pub(crate) fn authenticated(mut self) -> Self {
        let settled = |group: &String| group == AUTHENTICATED || group == UNAUTHENTICATED;
        if self.name != ANONYMOUS && !self.groups.iter().any(settled) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS
    }

    pub(crate) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authenticated_group() {
        for (name, groups, expected) in [
            ("u", &[][..], &["system:authenticated"][..]),
            ("u", &["g"], &["g", "system:authenticated"]),
            ("u", &["system:authenticated", "g"], &["system:authenticated", "g"]),
            ("u", &["system:unauthenticated"], &["system:unauthenticated"]),
            ("system:anonymous", &["system:unauthenticated"], &["system:unauthenticated"]),
            ("system:anonymous", &[], &[]),
        ] {
            let groups = groups.iter().map(ToString::to_string).collect();
            let user = User { name: name.to_owned(), groups, ..User::default() }.authenticated();
            assert_eq!(user.groups, expected, "{name}");
        }
    }
}
