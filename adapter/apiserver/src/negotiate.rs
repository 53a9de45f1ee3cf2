//! Which representation the caller takes.
//!
//! This server speaks JSON and, for those who ask, the `Table` and `APIGroupDiscoveryList` forms of it, and YAML.
//! It is more lenient than upstream in one place: `application/*` means JSON here.

use http::{HeaderMap, HeaderValue, header};

/// A representation that this server can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The object as JSON.
    Json,
    /// The same as YAML.
    Yaml,
    /// `application/json;as=Table;g=meta.k8s.io;v=v1`.
    Table,
    /// `application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2`.
    Discovery,
}

/// The forms that the caller takes, best first; empty when it takes none that we have.
///
/// No `Accept` at all takes JSON.
pub(crate) fn accepted(headers: &HeaderMap) -> Vec<Form> {
    let values = headers.get_all(header::ACCEPT);
    let values: Vec<&str> = values.iter().map(HeaderValue::to_str).filter_map(Result::ok).collect();
    if values.iter().all(|value| value.trim().is_empty()) {
        return vec![Form::Json];
    }
    let clauses = values.iter().flat_map(|value| value.split(','));
    let mut forms: Vec<(f32, Form)> = clauses.filter_map(clause).collect();
    forms.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    forms.into_iter().map(|(_, form)| form).collect()
}

/// Whether the caller likes documents better as YAML than as JSON. Costs nothing with whoever never heard of YAML.
pub(crate) fn prefers_yaml(headers: &HeaderMap) -> bool {
    let names_yaml =
        |value: &HeaderValue| value.as_bytes().windows(4).any(|window| window.eq_ignore_ascii_case(b"yaml"));
    headers.get_all(header::ACCEPT).iter().any(names_yaml)
        && accepted(headers).into_iter().find(|form| form.is_document()) == Some(Form::Yaml)
}

/// A clause's weight and form, if it is one of ours.
fn clause(text: &str) -> Option<(f32, Form)> {
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next()?;
    let is = |ours: &[&str]| ours.iter().any(|ours| media_type.eq_ignore_ascii_case(ours));
    let is_yaml = is(&["application/yaml"]);
    if !is_yaml && !is(&["application/json", "application/*", "*/*"]) {
        return None;
    }
    let (mut weight, mut kind, mut group, mut version) = (1.0, "", "", "");
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim_matches('"');
        match key {
            "q" => weight = value.parse().unwrap_or(1.0),
            "as" => kind = value,
            "g" => group = value,
            "v" => version = value,
            _ => {}
        }
    }
    let form = match (kind, group, version) {
        ("", "", "") if is_yaml => Form::Yaml,
        ("", "", "") => Form::Json,
        _ if is_yaml => return None,
        ("Table", "meta.k8s.io", "v1") => Form::Table,
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => Form::Discovery,
        _ => return None,
    };
    (weight > 0.0).then_some((weight, form))
}

// === impl Form ===

impl Form {
    /// Whether it is how any document can be written.
    pub(crate) fn is_document(self) -> bool {
        matches!(self, Self::Json | Self::Yaml)
    }
}

#[cfg(test)]
mod tests {
    use super::{Form::*, *};

    #[test]
    fn clauses() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let kubectl = format!("{table},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json");
        let discovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let aggregator =
            format!("{discovery},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList");
        for (accept, expected) in [
            ("", &[Json][..]),
            ("application/json", &[Json]),
            ("Application/JSON; charset=utf-8", &[Json]),
            ("application/vnd.kubernetes.protobuf, */*", &[Json]),
            ("application/vnd.kubernetes.protobuf,application/json", &[Json]),
            ("application/*", &[Json]),
            (&kubectl, &[Table, Json]),
            (table, &[Table]),
            ("application/json;as=\"Table\";v=v1;g=meta.k8s.io", &[Table]),
            (&aggregator, &[Discovery]),
            ("application/json;q=0.5, application/json;as=Table;v=v1;g=meta.k8s.io;q=0.9", &[Table, Json]),
            ("application/json;q=0", &[]),
            ("application/xml", &[]),
            ("text/html", &[]),
            ("application/yaml", &[Yaml]),
            ("application/yaml;q=0.9, application/json;q=0.8", &[Yaml, Json]),
            ("application/json, Application/YAML", &[Json, Yaml]),
            ("application/yaml;as=Table;v=v1;g=meta.k8s.io", &[]),
            ("application/x-yaml", &[]),
            ("application/vnd.kubernetes.protobuf", &[]),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", &[]),
            ("application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2beta1", &[]),
            (",;,", &[]),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(accepted(&headers), expected, "{accept:?}");
            let document = expected.iter().find(|form| form.is_document());
            assert_eq!(prefers_yaml(&headers), document == Some(&Yaml), "{accept:?}");
        }
        assert_eq!(accepted(&HeaderMap::new()), [Json]);
    }
}
