//! Bodies as objects: what is none of its kind is refused; what the kind lacks is refused or left out with a warning.
//!
//! Follows `k8s.io/apiserver/pkg/endpoints/handlers` in what `fieldValidation` means and in every message.

use super::call::Call;
use super::respond::Answer;
use super::schema::{self, Misfit};
use super::status::Status;
use http::header::{HeaderValue, WARNING};
use serde_json::Value;
use std::fmt::Write as _;

/// The media types that objects may be sent in.
const OBJECT_TYPES: &str = "application/json, application/vnd.kubernetes.protobuf";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// How much of a body that is no JSON its refusal shows, in bytes: as upstream.
const SHOWN_BYTES: usize = 30;

/// What a client is told beside its answer, a line each.
pub(crate) type Warnings = Vec<String>;

/// What to do about fields that the kind does not have.
#[derive(Clone, Copy, Debug, PartialEq)]
enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// The body as an object of this kind.
///
/// An object that says it is of another kind is left for the registry to refuse.
pub(crate) fn body(call: &Call, api_version: &str, kind: &str) -> Result<(Value, Warnings), Status> {
    let validation = FieldValidation::of(call)?;
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let unreadable = |problem: &dyn std::fmt::Display| {
        Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {problem}"))
    };
    let mut object = match call.content_type() {
        "" | "application/json" => serde_json::from_slice(&call.body).map_err(|error| {
            let (error, shown) = (json_error(&error), summary(&call.body));
            let error = format!("couldn't get version/kind; json parse error: {error}");
            Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): {error} ({shown})"
            ))
        })?,
        PROTOBUF => schema::decode_protobuf(&call.body).map_err(|error| unreadable(&error))?,
        _ => return Err(Status::unsupported_media_type(OBJECT_TYPES)),
    };
    let says = |field: &str, expected: &str| match object[field].as_str() {
        None | Some("") => true,
        Some(found) => found == expected,
    };
    // Options are of whichever group they are sent to.
    let is_meant = (says("apiVersion", api_version) || kind == "DeleteOptions") && says("kind", kind);
    let Some(message) = schema::of(api_version, kind).filter(|_| is_meant || !object.is_object()) else {
        return Ok((object, Vec::new()));
    };
    let unknown = schema::check(message, &mut object).map_err(|misfit| unreadable(&misfit))?;
    let warnings = validation.judge(&unknown, |problem| unreadable(&problem))?;
    Ok((object, warnings))
}

/// The object that a patch has made, as one of its kind. `patch` is what a refusal shows of the patch.
pub(crate) fn patched(
    call: &Call,
    object: &mut Value,
    patch: impl Fn() -> String,
) -> Result<Warnings, Status> {
    let validation = FieldValidation::of(call)?;
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let Some(message) = schema::of(text("apiVersion"), text("kind")) else { return Ok(Vec::new()) };
    let refuse = |problem: String| Status::invalid_patch(&patch(), &problem);
    let unknown = schema::check(message, object).map_err(|misfit| refuse(misfit.to_string()))?;
    validation.judge(&unknown, refuse)
}

/// Refuses an object to apply that has fields that its kind lacks: who owns them could not be said.
pub(crate) fn applied(object: &Value) -> Result<(), Status> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let Some(message) = schema::of(&version, &kind) else { return Ok(()) };
    let problem = match schema::check(message, &mut object.clone()) {
        Ok(unknown) => match unknown.first() {
            None => return Ok(()),
            Some(path) => format!(".{path}: field not declared in schema"),
        },
        Err(Misfit(problem)) => problem,
    };
    let name = text(&object["metadata"]["name"]);
    let path = match text(&object["metadata"]["namespace"]).as_str() {
        "" => format!("/{name}"),
        namespace => format!("{namespace}/{name}"),
    };
    Err(Status::with_code(
        500,
        format!("failed to create typed patch object ({path}; {version}, Kind={kind}): {problem}"),
    ))
}

/// Adds warnings to an answer.
pub(crate) fn warn(mut answer: Answer, warnings: &[String]) -> Answer {
    for warning in warnings {
        let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
        // A field name that no header can hold goes unmentioned.
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
            answer.headers_mut().append(WARNING, value);
        }
    }
    answer
}

// === impl FieldValidation ===

impl FieldValidation {
    fn of(call: &Call) -> Result<Self, Status> {
        match call.parameter("fieldValidation") {
            Some("Ignore") => Ok(Self::Ignore),
            None | Some("Warn") => Ok(Self::Warn),
            Some("Strict") => Ok(Self::Strict),
            Some(other) => Err(Status::with_code(
                422,
                format!(
                    "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
                ),
            )),
        }
    }

    fn judge(self, unknown: &[String], refuse: impl Fn(String) -> Status) -> Result<Warnings, Status> {
        let named = unknown.iter().map(|path| format!("unknown field {path:?}"));
        match self {
            Self::Strict if !unknown.is_empty() => {
                let all = named.collect::<Vec<_>>().join(", ");
                Err(refuse(format!("strict decoding error: {all}")))
            }
            Self::Warn => Ok(named.collect()),
            Self::Ignore | Self::Strict => Ok(Vec::new()),
        }
    }
}

/// A value as Go prints a map of anything: what refused strategic merge patches are shown as.
pub(crate) fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_text).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let mut entries: Vec<_> = fields.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries: Vec<String> =
                entries.into_iter().map(|(key, value)| format!("{key}:{}", go_text(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}

/// What the parser says; upstream's words where both know the case.
pub(crate) fn json_error(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    error.to_string()
}

fn summary(body: &[u8]) -> String {
    let front = body.get(..SHOWN_BYTES).unwrap_or(body);
    let more = if body.len() > SHOWN_BYTES { " ..." } else { "" };
    match front {
        [] => "<empty>".to_owned(),
        [b'{', ..] => format!("{}{more}", String::from_utf8_lossy(front)),
        _ => {
            let hex = front.iter().fold(String::new(), |mut text, byte| {
                // Writing to a string does not fail.
                let _ = write!(text, "{byte:02x}");
                text
            });
            format!("{hex}{more}")
        }
    }
}
