//! The repository's manifests, read without kubectl: files of objects, and as much of kustomize as this repository uses.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A manifest that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {reason}", .path.display())]
pub(super) struct ManifestError {
    path: PathBuf,
    reason: String,
}

/// What of a kustomization is understood; with another field it is refused rather than half done.
const KNOWN_FIELDS: [&str; 6] = ["apiVersion", "kind", "resources", "components", "labels", "images"];

/// The objects of a kustomization's folder, in its order.
///
/// `images` is read past: it says where a cluster finds an image, and a sandbox knows its images by name.
pub(super) fn kustomization(folder: &Path) -> Result<Vec<Value>, ManifestError> {
    let path = folder.join("kustomization.yaml");
    let fail = |reason: String| ManifestError { path: path.clone(), reason };
    let documents = file(&path)?;
    let [kustomization] = documents.as_slice() else {
        return Err(fail("it has more than one document".to_owned()));
    };
    let fields = kustomization.as_object().into_iter().flatten();
    if let Some((field, _)) = fields.into_iter().find(|(field, _)| !KNOWN_FIELDS.contains(&field.as_str())) {
        return Err(fail(format!("the demo does not understand its field {field:?}; apply it with kubectl")));
    }
    let mut objects = Vec::new();
    for resource in strings(&kustomization["resources"]) {
        let path = folder.join(resource);
        objects.extend(if path.is_dir() { self::kustomization(&path)? } else { file(&path)? });
    }
    // A component that only adds objects is a folder of them; one that patches is refused by its own fields.
    for component in strings(&kustomization["components"]) {
        objects.extend(self::kustomization(&folder.join(component))?);
    }
    for entry in kustomization["labels"].as_array().into_iter().flatten() {
        for (label, value) in entry["pairs"].as_object().into_iter().flatten() {
            objects.iter_mut().for_each(|object| object["metadata"]["labels"][label] = value.clone());
        }
    }
    Ok(objects)
}

/// The objects of a file.
pub(super) fn file(path: &Path) -> Result<Vec<Value>, ManifestError> {
    let fail = |reason: String| ManifestError { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| fail(error.to_string()))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// Lets what a Deployment's pods do happen `pace` times as fast: the work on an order, and the periods of the probes for
/// which somebody waits; these are whole seconds and at least one. Liveness stays as patient as it is.
pub(super) fn quicken(object: &mut Value, pace: u32) {
    let containers = object.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        for variable in container["env"].as_array_mut().into_iter().flatten() {
            if variable["name"] == "WORK_DURATION"
                && let Some(milliseconds) = variable["value"].as_str().and_then(milliseconds)
            {
                variable["value"] = format!("{}ms", milliseconds / u64::from(pace)).into();
            }
        }
        for probe in ["readinessProbe", "startupProbe"] {
            if let Some(period) = container[probe]["periodSeconds"].as_u64() {
                container[probe]["periodSeconds"] = json!((period / u64::from(pace)).max(1));
            }
        }
    }
}

/// Whether this is the object of that kind and name.
pub(super) fn is(object: &Value, kind: &str, name: &str) -> bool {
    object["kind"] == kind && object["metadata"]["name"] == name
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// A duration as the shop reads it, such as `5s` or `500ms`.
fn milliseconds(text: &str) -> Option<u64> {
    let unit_at = text.find(|char: char| char.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    (number >= 0.0).then_some((number * unit) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    fn names(objects: &[Value]) -> Vec<String> {
        let name = |object: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            format!("{} {}", text(&object["kind"]), text(&object["metadata"]["name"]))
        };
        objects.iter().map(name).collect()
    }

    #[test]
    fn the_repositorys_own_are_understood() {
        let shop = kustomization(&repository().join("demo-shop/deploy")).unwrap();
        assert_eq!(
            names(&shop),
            [
                "Deployment queue",
                "Service queue",
                "Deployment frontend",
                "Service frontend",
                "Deployment backend",
                "Service backend"
            ]
        );
        assert!(
            shop.iter()
                .all(|object| object["metadata"]["labels"]["app.kubernetes.io/part-of"] == "demo-shop")
        );
        let monitoring = names(&kustomization(&repository().join("monitoring")).unwrap());
        assert_eq!(monitoring.first().map(String::as_str), Some("Namespace podgauge"));
        assert!(
            ["APIService v1beta2.custom.metrics.k8s.io", "Secret podgauge-tls"]
                .iter()
                .all(|name| monitoring.contains(&(*name).to_owned())),
            "{monitoring:?}"
        );
        assert_eq!(
            names(&file(&repository().join("hpa.yaml")).unwrap()),
            ["HorizontalPodAutoscaler backend"]
        );
    }

    #[test]
    fn errors_name_the_file() {
        let error = file(Path::new("nowhere/x.yaml")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read nowhere/x.yaml: "), "{error}");
    }

    #[test]
    fn work_and_probes_go_faster() {
        let shop = kustomization(&repository().join("demo-shop/deploy")).unwrap();
        let mut backend = shop.into_iter().find(|object| is(object, "Deployment", "backend")).unwrap();
        let found = |object: &Value| {
            let container = &object["spec"]["template"]["spec"]["containers"][0];
            let mut env = container["env"].as_array().unwrap().iter();
            let work = env.find(|variable| variable["name"] == "WORK_DURATION").unwrap();
            let period = |probe: &str| container[probe]["periodSeconds"].clone();
            (work["value"].clone(), period("readinessProbe"), period("livenessProbe"))
        };
        assert_eq!(found(&backend), (json!("5s"), json!(5), json!(10)));
        quicken(&mut backend, 4);
        assert_eq!(found(&backend), (json!("1250ms"), json!(1), json!(10)));
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("5s", Some(5_000)),
            ("500ms", Some(500)),
            ("1.5m", Some(90_000)),
            ("5", None),
            ("x", None),
            ("-1s", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }
}
