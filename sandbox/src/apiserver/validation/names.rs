//! Which names and labels are legal, in the words of `k8s.io/apimachinery/pkg/util/validation`.

use super::Problem;
use crate::apiserver::resources::Resource;
use serde_json::Value;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SERVICE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
     validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_KEY: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
     an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
     and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
     validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
/// The most characters of a label, its key's name part and its value.
const MAX_LABEL: usize = 63;
/// The most characters of any name.
const MAX_NAME: usize = 253;

/// What is wrong with the name of an object.
///
/// Names of roles and APIServices may hold anything that a path segment may; those of namespaces and Services are
/// labels, all others DNS subdomains.
pub(super) fn problem(resource: &Resource, name: &str) -> Option<String> {
    let refuse = |why: &str| Some(format!("Invalid value: {name:?}: {why}"));
    match (resource.group, resource.plural) {
        ("rbac.authorization.k8s.io" | "apiregistration.k8s.io", _) => {
            let legal = !matches!(name, "" | "." | "..") && !name.contains(['/', '%']);
            (!legal).then(|| format!("Invalid value: {name:?}: may not be '.', '..' or contain '/' or '%'"))
        }
        ("", "namespaces") => label(name),
        ("", "services") if name.starts_with(|c: char| c.is_ascii_digit()) || !is_label(name) => {
            refuse(SERVICE)
        }
        _ if name.len() > MAX_NAME => refuse("must be no more than 253 characters"),
        _ if !name.split('.').all(is_dns) => refuse(SUBDOMAIN),
        _ => None,
    }
}

/// What is wrong with a name that must be a DNS label.
pub(super) fn label(name: &str) -> Option<String> {
    if name.len() > MAX_LABEL {
        return Some(format!("Invalid value: {name:?}: must be no more than 63 characters"));
    }
    (!is_dns(name)).then(|| format!("Invalid value: {name:?}: {LABEL}"))
}

/// Adds what is wrong with the labels at `path`.
pub(super) fn label_problems(path: &str, labels: &Value, problems: &mut Vec<Problem>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let name = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
        let value = value.as_str().unwrap_or_default();
        if !is_qualified(name) {
            problems.push((path.to_owned(), format!("Invalid value: {key:?}: {LABEL_KEY}")));
        }
        if !value.is_empty() && !is_qualified(value) {
            problems.push((path.to_owned(), format!("Invalid value: {value:?}: {LABEL_VALUE}")));
        }
    }
}

fn is_label(name: &str) -> bool {
    name.len() <= MAX_LABEL && is_dns(name)
}

fn is_dns(part: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !part.is_empty() && part.chars().all(inner) && !part.starts_with('-') && !part.ends_with('-')
}

fn is_qualified(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= MAX_LABEL
        && text.chars().all(inner)
        && outer(text.chars().next())
        && outer(text.chars().next_back())
}
