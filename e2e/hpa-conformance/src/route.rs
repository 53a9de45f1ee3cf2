//! What a request asks for.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::registration::TARGET_GROUP;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// The scale of a target: a turn of the controller begins.
    ReadScale {
        /// The target's namespace.
        namespace: &'a str,
        /// Its name.
        target: &'a str,
    },
    /// To change the scale of a target.
    WriteScale {
        /// The target's namespace.
        namespace: &'a str,
        /// Its name.
        target: &'a str,
    },
    /// A metric of a namespace.
    Metric {
        /// The namespace.
        namespace: &'a str,
    },
    /// Which resources a version of a group has.
    Resources {
        /// `group/version`.
        group_version: String,
    },
    /// Something that is not here.
    Nothing,
}

/// Reads method and path.
pub(crate) fn route<'a>(method: &Method, path: &'a str) -> Route<'a> {
    let segments: Vec<_> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["apis", group, version] => Route::Resources { group_version: format!("{group}/{version}") },
        ["apis", group, "v1", "namespaces", namespace, "targets", target, "scale"]
            if *group == TARGET_GROUP =>
        {
            match *method {
                Method::GET => Route::ReadScale { namespace, target },
                Method::PUT => Route::WriteScale { namespace, target },
                _ => Route::Nothing,
            }
        }
        ["apis", group, _, "namespaces", namespace, _, ..]
            if group.ends_with("metrics.k8s.io") && method == Method::GET =>
        {
            Route::Metric { namespace }
        }
        _ => Route::Nothing,
    }
}

/// A path and query in which it does not matter how they were escaped: a proxy may have escaped them anew.
pub(crate) fn plain(url: &str) -> String {
    percent_decode_str(&url.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart() {
        let check =
            |method: Method, path: &str, want: Route<'_>| assert_eq!(route(&method, path), want, "{path}");
        let scale = format!("/apis/{TARGET_GROUP}/v1/namespaces/a/targets/web/scale");
        check(Method::GET, &scale, Route::ReadScale { namespace: "a", target: "web" });
        check(Method::PUT, &scale, Route::WriteScale { namespace: "a", target: "web" });
        check(Method::DELETE, &scale, Route::Nothing);
        check(Method::GET, "/apis", Route::Nothing);
        let resources = Route::Resources { group_version: "metrics.k8s.io/v1beta1".into() };
        check(Method::GET, "/apis/metrics.k8s.io/v1beta1", resources);
        for path in [
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/a/pods/*/messages",
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/a/depth",
            "/apis/metrics.k8s.io/v1beta1/namespaces/a/pods",
        ] {
            check(Method::GET, path, Route::Metric { namespace: "a" });
            check(Method::POST, path, Route::Nothing);
        }
    }

    #[test]
    fn escaping_does_not_matter() {
        assert_eq!(
            plain("/pods/%2A/m?labelSelector=tier+in+%28a%2Cb%29"),
            "/pods/*/m?labelSelector=tier in (a,b)"
        );
        assert_eq!(
            plain("/pods/*/m?labelSelector=tier%20in%20(a,b)"),
            "/pods/*/m?labelSelector=tier in (a,b)"
        );
    }
}
