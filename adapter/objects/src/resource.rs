//! The names of resources, as flags and paths have them.

use std::{fmt, str::FromStr};

/// A resource: `services`, or `deployments.apps`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// The plural, in lower case.
    pub(crate) plural: String,
    /// Empty for the core group.
    pub(crate) group: String,
}

/// The text names no resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no resource; expected one such as services or rollouts.argoproj.io")]
pub struct InvalidResource(String);

/// The longest name of a resource with its group: a DNS name.
const LONGEST: usize = 253;

// === impl Resource ===

impl Resource {
    /// The resource `plural` of `group`; the core group is empty.
    #[must_use]
    pub fn new(plural: &str, group: &str) -> Self {
        Self { plural: plural.into(), group: group.into() }
    }

    /// Services, and what `apps` and `batch` have that runs pods.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let known = [
            ("services", ""),
            ("daemonsets", "apps"),
            ("deployments", "apps"),
            ("replicasets", "apps"),
            ("statefulsets", "apps"),
            ("jobs", "batch"),
        ];
        known.into_iter().map(|(plural, group)| Self::new(plural, group)).collect()
    }
}

impl FromStr for Resource {
    type Err = InvalidResource;

    fn from_str(text: &str) -> Result<Self, InvalidResource> {
        let invalid = || InvalidResource(text.chars().take(64).collect());
        let (plural, group) = text.split_once('.').unwrap_or((text, ""));
        let is_name = |part: &str| {
            let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !part.is_empty() && part.bytes().all(is_legal) && !part.starts_with('-') && !part.ends_with('-')
        };
        let is_group = text.len() == plural.len() || group.split('.').all(is_name);
        // Pods, namespaces and nodes have paths of their own.
        let is_taken = matches!(text, "pods" | "namespaces" | "nodes");
        if text.len() > LONGEST || !is_name(plural) || !is_group || is_taken {
            return Err(invalid());
        }
        Ok(Self::new(plural, group))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let read = text.parse::<Resource>().ok();
            let parts = read.as_ref().map(|resource| (resource.plural.as_str(), resource.group.as_str()));
            assert_eq!(parts, expected, "{text}");
            assert!(read.is_none_or(|resource| resource.to_string() == text), "{text}");
        };
        check("services", Some(("services", "")));
        check("deployments.apps", Some(("deployments", "apps")));
        check("rollouts.argoproj.io", Some(("rollouts", "argoproj.io")));
        for wrong in
            ["", ".", "a.", ".a", "a..b", "Services", "a/b", "a b", "-a", "pods", "namespaces", "nodes"]
        {
            check(wrong, None);
        }
        check(&"a".repeat(254), None);
        for resource in Resource::defaults() {
            assert_eq!(resource.to_string().parse(), Ok(resource));
        }
    }
}
