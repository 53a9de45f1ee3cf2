//! The kinds of object that the sandbox serves, once.
//!
//! Discovery, routing, OpenAPI and storage all read this table; a kind that stands here is served everywhere.

/// One kind of stored object and how it is addressed.
#[derive(Debug)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// The one version served.
    pub version: &'static str,
    /// Lower-case plural: the path segment.
    pub plural: &'static str,
    /// Lower-case singular.
    pub singular: &'static str,
    /// The `kind` in the object.
    pub kind: &'static str,
    /// What `kubectl get` takes for short.
    pub short_names: &'static [&'static str],
    /// Groups such as `all` that `kubectl get` expands.
    pub categories: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Whether `/status` exists; if so, the main resource does not write `.status`.
    pub status: bool,
    /// Whether `/scale` exists.
    pub scale: bool,
}

/// Every kind served, ordered by group as `kubectl api-resources` lists them.
pub static RESOURCES: &[Resource] = &[
    Resource::core("configmaps", "configmap", "ConfigMap").short(&["cm"]),
    Resource::core("endpoints", "endpoints", "Endpoints").short(&["ep"]),
    Resource::core("events", "event", "Event").short(&["ev"]),
    Resource::core("limitranges", "limitrange", "LimitRange").short(&["limits"]),
    Resource::core("namespaces", "namespace", "Namespace").short(&["ns"]).cluster().status(),
    Resource::core("nodes", "node", "Node").short(&["no"]).cluster().status(),
    Resource::core("pods", "pod", "Pod").short(&["po"]).all().status(),
    Resource::core("replicationcontrollers", "replicationcontroller", "ReplicationController")
        .short(&["rc"])
        .all()
        .status()
        .scale(),
    Resource::core("resourcequotas", "resourcequota", "ResourceQuota").short(&["quota"]).status(),
    Resource::core("secrets", "secret", "Secret"),
    Resource::core("serviceaccounts", "serviceaccount", "ServiceAccount").short(&["sa"]),
    Resource::core("services", "service", "Service").short(&["svc"]).all().status(),
    Resource::new("apiregistration.k8s.io", "v1", "apiservices", "apiservice", "APIService")
        .cluster()
        .status(),
    Resource::new("apps", "v1", "daemonsets", "daemonset", "DaemonSet").short(&["ds"]).all().status(),
    Resource::new("apps", "v1", "deployments", "deployment", "Deployment")
        .short(&["deploy"])
        .all()
        .status()
        .scale(),
    Resource::new("apps", "v1", "replicasets", "replicaset", "ReplicaSet")
        .short(&["rs"])
        .all()
        .status()
        .scale(),
    Resource::new("apps", "v1", "statefulsets", "statefulset", "StatefulSet")
        .short(&["sts"])
        .all()
        .status()
        .scale(),
    Resource::new(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "horizontalpodautoscaler",
        "HorizontalPodAutoscaler",
    )
    .short(&["hpa"])
    .all()
    .status(),
    Resource::new("coordination.k8s.io", "v1", "leases", "lease", "Lease"),
    Resource::new("discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice"),
    Resource::new("networking.k8s.io", "v1", "networkpolicies", "networkpolicy", "NetworkPolicy")
        .short(&["netpol"]),
    Resource::new("policy", "v1", "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget")
        .short(&["pdb"])
        .status(),
    Resource::new(
        "rbac.authorization.k8s.io",
        "v1",
        "clusterrolebindings",
        "clusterrolebinding",
        "ClusterRoleBinding",
    )
    .cluster(),
    Resource::new("rbac.authorization.k8s.io", "v1", "clusterroles", "clusterrole", "ClusterRole").cluster(),
    Resource::new("rbac.authorization.k8s.io", "v1", "rolebindings", "rolebinding", "RoleBinding"),
    Resource::new("rbac.authorization.k8s.io", "v1", "roles", "role", "Role"),
    Resource::new("scheduling.k8s.io", "v1", "priorityclasses", "priorityclass", "PriorityClass")
        .short(&["pc"])
        .cluster(),
];

/// Finds a resource by its address: group, version and plural.
pub(crate) fn by_path(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// Finds a resource by what its objects say of themselves.
pub(crate) fn by_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.kind == kind && r.api_version() == api_version)
}

/// Finds a resource by group and plural, in whichever version is served.
///
/// # Panics
/// If the table lacks it: callers name resources of the table with literals.
pub(crate) fn known(group: &str, plural: &str) -> &'static Resource {
    RESOURCES
        .iter()
        .find(|r| r.group == group && r.plural == plural)
        .expect("callers name resources that stand in the table above")
}

// === impl Resource ===

impl Resource {
    const fn core(plural: &'static str, singular: &'static str, kind: &'static str) -> Self {
        Self::new("", "v1", plural, singular, kind)
    }

    const fn new(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        singular: &'static str,
        kind: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            plural,
            singular,
            kind,
            short_names: &[],
            categories: &[],
            namespaced: true,
            status: false,
            scale: false,
        }
    }

    const fn short(mut self, names: &'static [&'static str]) -> Self {
        self.short_names = names;
        self
    }

    const fn all(mut self) -> Self {
        self.categories = &["all"];
        self
    }

    const fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    const fn status(mut self) -> Self {
        self.status = true;
        self
    }

    const fn scale(mut self) -> Self {
        self.scale = true;
        self
    }

    /// `v1`, or `group/version`: the `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        api_version(self.group, self.version)
    }

    /// `pods`, or `deployments.apps`: how messages name the resource.
    pub fn qualified(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }
}

/// Joins a group and a version as objects write them; the core group is left out.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        _ => format!("{group}/{version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_resources_share_an_address_or_a_kind() {
        for (i, a) in RESOURCES.iter().enumerate() {
            for b in &RESOURCES[i + 1..] {
                assert_ne!((a.group, a.plural), (b.group, b.plural));
                assert_ne!((a.group, a.kind), (b.group, b.kind));
            }
        }
    }

    #[test]
    fn finds_by_path_and_kind() {
        assert_eq!(by_path("apps", "v1", "deployments").map(|r| r.kind), Some("Deployment"));
        assert_eq!(by_kind("v1", "Pod").map(|r| r.plural), Some("pods"));
        assert!(by_path("apps", "v2", "deployments").is_none());
    }
}
