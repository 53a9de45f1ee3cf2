//! Which representation the caller takes.
//!
//! This server writes JSON, YAML and Kubernetes' protobuf, and of some objects a `Table` or an
//! `APIGroupDiscoveryList`. It is more lenient than upstream in one place: `application/*` means JSON here.

use http::{HeaderMap, HeaderValue, header};

/// A representation that this server can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) view: View,
    pub(crate) encoding: Encoding,
}

/// What is shown of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// The object itself.
    Object,
    /// `as=Table;g=meta.k8s.io;v=v1`. Kubernetes has no protobuf for it.
    Table,
    /// `as=APIGroupDiscoveryList;g=apidiscovery.k8s.io` and this `v`.
    Discovery(&'static str),
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    Yaml,
    /// Of the kinds that have such a form alone.
    Protobuf,
}

/// The forms that the caller takes, best first; empty when it takes none that we have.
///
/// No `Accept` at all takes JSON.
pub(crate) fn accepted(headers: &HeaderMap) -> Vec<Form> {
    let values = headers.get_all(header::ACCEPT);
    let values: Vec<&str> = values.iter().map(HeaderValue::to_str).filter_map(Result::ok).collect();
    if values.iter().all(|value| value.trim().is_empty()) {
        return vec![Form { view: View::Object, encoding: Encoding::Json }];
    }
    let clauses = values.iter().flat_map(|value| value.split(','));
    let mut forms: Vec<(f32, Form)> = clauses.filter_map(clause).collect();
    forms.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    forms.into_iter().map(|(_, form)| form).collect()
}

/// How the caller likes this view to be written best.
pub(crate) fn encoding_of(view: View, forms: &[Form], has_protobuf: bool) -> Option<Encoding> {
    let form = forms.iter().find(|form| form.view == view && form.is_available(has_protobuf));
    form.map(|form| form.encoding)
}

/// A clause's weight and form, if it is one of ours.
fn clause(text: &str) -> Option<(f32, Form)> {
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next()?;
    let is = |ours: &str| media_type.eq_ignore_ascii_case(ours);
    let encoding = if is(Encoding::Json.media_type()) || is("application/*") || is("*/*") {
        Encoding::Json
    } else {
        [Encoding::Yaml, Encoding::Protobuf].into_iter().find(|encoding| is(encoding.media_type()))?
    };
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
    let view = match (kind, group, version) {
        ("", "", "") => View::Object,
        ("Table", "meta.k8s.io", "v1") if encoding != Encoding::Protobuf => View::Table,
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => View::Discovery("v2"),
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2beta1") => View::Discovery("v2beta1"),
        _ => return None,
    };
    (weight > 0.0).then_some((weight, Form { view, encoding }))
}

// === impl Form ===

impl Form {
    /// Whether an object has this form, which has one in protobuf or not.
    pub(crate) fn is_available(&self, has_protobuf: bool) -> bool {
        has_protobuf || self.encoding != Encoding::Protobuf
    }
}

// === impl Encoding ===

impl Encoding {
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Encoding::*, View::*, *};

    #[test]
    fn clauses() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let kubectl = format!("{table},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json");
        let discovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let aggregator =
            format!("{discovery},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList");
        let protobuf = "application/vnd.kubernetes.protobuf";
        for (accept, expected) in [
            ("", &[(Object, Json)][..]),
            ("application/json", &[(Object, Json)]),
            ("Application/JSON; charset=utf-8", &[(Object, Json)]),
            ("application/vnd.kubernetes.protobuf, */*", &[(Object, Protobuf), (Object, Json)]),
            ("application/vnd.kubernetes.protobuf,application/json", &[(Object, Protobuf), (Object, Json)]),
            (protobuf, &[(Object, Protobuf)]),
            ("application/cbor, application/json;q=0.9", &[(Object, Json)]),
            ("application/*", &[(Object, Json)]),
            (&kubectl, &[(Table, Json), (Object, Json)]),
            (table, &[(Table, Json)]),
            ("application/json;as=\"Table\";v=v1;g=meta.k8s.io", &[(Table, Json)]),
            ("application/yaml;as=Table;v=v1;g=meta.k8s.io", &[(Table, Yaml)]),
            ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", &[]),
            (&aggregator, &[(Discovery("v2"), Json), (Discovery("v2beta1"), Json)]),
            (&discovery.replace("application/json", protobuf), &[(Discovery("v2"), Protobuf)]),
            (
                "application/json;q=0.5, application/json;as=Table;v=v1;g=meta.k8s.io;q=0.9",
                &[(Table, Json), (Object, Json)],
            ),
            ("application/json;q=0", &[]),
            ("application/xml", &[]),
            ("text/html", &[]),
            ("application/yaml", &[(Object, Yaml)]),
            ("application/yaml;q=0.9, application/json;q=0.8", &[(Object, Yaml), (Object, Json)]),
            ("application/json, Application/YAML", &[(Object, Json), (Object, Yaml)]),
            ("application/x-yaml", &[]),
            ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", &[]),
            ("application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v3", &[]),
            (",;,", &[]),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            let found: Vec<_> = accepted(&headers).iter().map(|form| (form.view, form.encoding)).collect();
            assert_eq!(found, expected, "{accept:?}");
        }
        assert_eq!(accepted(&HeaderMap::new()), [Form { view: Object, encoding: Json }]);
    }

    #[test]
    fn what_has_no_protobuf_is_written_in_the_next_best() {
        let forms = [(Table, Json), (Object, Protobuf), (Object, Yaml), (Object, Json)];
        let forms = forms.map(|(view, encoding)| Form { view, encoding });
        assert_eq!(encoding_of(Object, &forms, true), Some(Protobuf));
        assert_eq!(encoding_of(Object, &forms, false), Some(Yaml));
        assert_eq!(encoding_of(Object, &forms[..2], false), None);
    }
}
