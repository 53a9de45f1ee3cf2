//! What asks for a pod to be scraped.
//!
//! The annotations are those that users of Prometheus know from its Kubernetes jobs, on the pod itself or on a Service in
//! front of it:
//!
//! | annotation | meaning | default |
//! |---|---|---|
//! | `prometheus.io/scrape` | `"true"`: scrape | not scraped |
//! | `prometheus.io/port` | the one port to ask | every TCP port that the pod declares, or that the Service leads to |
//! | `prometheus.io/path` | the page's path, with its query if it has one | `/metrics` |
//! | `prometheus.io/scheme` | `http` or `https` | `http` |

use std::sync::Arc;

use http::uri::PathAndQuery;
use podgauge_store::{Scheme, WhyNot};

use crate::{object::Annotations, terms::Terms, text::quoted};

/// Pages of a pod that something asks for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) scheme: Scheme,
    /// The path, with its query if it has one; begins with `/`.
    pub(crate) path: Box<str>,
    pub(crate) ports: Vec<u16>,
    /// On which terms, if not podgauge's own.
    pub(crate) terms: Option<Arc<Terms>>,
}

/// Whose annotations they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose<'a> {
    /// The pod's own.
    Pod,
    /// Those of the Service of this name.
    Service(&'a str),
}

/// Bytes of a path and its query. Longer ones are some mistake.
const PATH_BYTES: usize = 1024;

// === impl Ask ===

impl Ask {
    /// What annotations ask for; nothing without `prometheus.io/scrape`. `ports` are scraped if they name none.
    pub(crate) fn annotated(
        whose: Whose<'_>,
        annotations: &Annotations,
        ports: &[u16],
    ) -> Option<Result<Self, WhyNot>> {
        match annotations.scrape.as_deref() {
            Some("true") => Some(Self::read(whose, annotations, ports)),
            None | Some("false") => None,
            Some(other) => Some(Err(whose.bad("scrape", other, "set it to \"true\""))),
        }
    }

    fn read(whose: Whose<'_>, annotations: &Annotations, ports: &[u16]) -> Result<Self, WhyNot> {
        let scheme = scheme(whose, annotations.scheme.as_deref())?;
        let path = annotations.path.as_deref();
        let path = scrape_path(path).map_err(|advice| whose.bad("path", path.unwrap_or_default(), advice))?;
        let ports = match annotations.port.as_deref() {
            Some(text) => match text.parse() {
                Ok(port) if port > 0 => vec![port],
                _ => return Err(whose.bad("port", text, "set it to a number from 1 to 65535")),
            },
            None => ports.to_vec(),
        };
        Ok(Self { scheme, path, ports, terms: None })
    }
}

// === impl Whose ===

impl Whose<'_> {
    fn bad(self, annotation: &str, value: &str, advice: &str) -> WhyNot {
        let value = quoted(value);
        let what = match self {
            Self::Pod => format!("its annotation prometheus.io/{annotation} is {value}; {advice}"),
            Self::Service(name) => {
                format!(
                    "the annotation prometheus.io/{annotation} of its Service {name} is {value}; {advice}"
                )
            }
        };
        WhyNot::BadAnnotation(what.into())
    }
}

fn scheme(whose: Whose<'_>, annotation: Option<&str>) -> Result<Scheme, WhyNot> {
    match annotation {
        None | Some("http") => Ok(Scheme::Http),
        Some("https") => Ok(Scheme::Https),
        Some(other) => Err(whose.bad("scheme", other, "set it to \"http\" or \"https\"")),
    }
}

/// The path to ask for, `/metrics` if nothing is said. A missing slash in front is forgiven, as in Prometheus.
///
/// # Errors
/// What to write instead.
pub(crate) fn scrape_path(text: Option<&str>) -> Result<Box<str>, &'static str> {
    let Some(text) = text else { return Ok("/metrics".into()) };
    if text.contains("://") {
        return Err("set it to a path such as \"/metrics\", not to a URL");
    }
    let path = if text.starts_with('/') { text.to_owned() } else { format!("/{text}") };
    // What the HTTP library takes for a fragment it drops silently; a request for another page than written would be
    // a riddle.
    let is_clean = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if path.len() > PATH_BYTES || !is_clean || path.parse::<PathAndQuery>().is_err() {
        return Err("set it to a path such as \"/metrics\", percent-encoded where needed");
    }
    Ok(path.into())
}
