//! Paths of `custom.metrics.k8s.io`, below the version.

use podgauge_apiserver::Status;

/// What a path asks for.
pub(crate) enum Route<'a> {
    Pods { namespace: &'a str, name: &'a str, metric: &'a str },
    Namespace { name: &'a str, metric: &'a str },
    Node { name: &'a str, metric: &'a str },
    Owner { namespace: &'a str, resource: &'a str, name: &'a str, metric: &'a str },
}

// === impl Route ===

impl<'a> Route<'a> {
    pub(crate) fn of(segments: &'a [String]) -> Result<Self, Status> {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match *segments {
            ["namespaces", name, "metrics", metric] => Ok(Self::Namespace { name, metric }),
            ["namespaces", namespace, "pods", name, metric] => Ok(Self::Pods { namespace, name, metric }),
            ["namespaces", _, _, "*", _] => Err(Status::bad_request(
                "only pods can be asked for all at once; name one object: \
                 namespaces/NAMESPACE/RESOURCE/NAME/METRIC",
            )),
            ["namespaces", namespace, resource, name, metric] => {
                Ok(Self::Owner { namespace, resource, name, metric })
            }
            ["nodes", name, metric] => Ok(Self::Node { name, metric }),
            [resource, _, _] if !matches!(resource, "namespaces" | "pods") => {
                Err(Status::not_found(format!(
                    "podgauge has no metrics for {resource:?} outside namespaces: it answers for \
                     nodes/NAME/METRIC and namespaces/NAMESPACE/RESOURCE/NAME/METRIC"
                )))
            }
            ["namespaces", _, _] => Err(Status::bad_request(
                "the path has too few parts: ask for namespaces/NAMESPACE/pods/NAME/METRIC or \
                 namespaces/NAMESPACE/metrics/METRIC",
            )),
            ["pods", _, _] => Err(Status::bad_request(
                "pods live in namespaces: ask for namespaces/NAMESPACE/pods/NAME/METRIC",
            )),
            _ => Err(Status::not_found("the server could not find the requested resource")),
        }
    }
}
