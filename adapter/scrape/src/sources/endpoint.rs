//! An endpoint of a PodMonitor or a ServiceMonitor.
//!
//! | field of an endpoint | here |
//! |---|---|
//! | `port`, `portNumber`, `targetPort` | which ports; all without any of them |
//! | `path`, `scheme` | as they are |
//! | `interval`, `scrapeTimeout` | within [`Settings`] |
//! | `metricRelabelings` | [`Relabeling`]; a rule that cannot be kept is left out |
//! | `relabelings` | those of labels are passed over, as targets have none here; any other refuses the endpoint |
//! | credentials, `params`, `proxyUrl` and its kin | refuse the endpoint |
//! | others | passed over, or named as a problem |
//!
//! An endpoint that is refused is not scraped: without what was asked for it would be another page.

use std::{sync::Arc, time::Duration};

use podgauge_promql::parse_duration;
use podgauge_store::Scheme;
use serde_json::Value;

use super::monitor::{Settings, name_unknown};
use crate::{
    ask::scrape_path,
    relabel::{RegexRoom, Relabeling},
    terms::Terms,
    text::quoted,
};

/// An endpoint of a monitor.
#[derive(Clone, Debug)]
pub(super) struct MonitorEndpoint {
    pub(super) scheme: Scheme,
    pub(super) path: Box<str>,
    pub(super) port: Port,
    pub(super) terms: Option<Arc<Terms>>,
}

/// Which ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// All that the pod declares, or its Service leads to.
    All,
    /// The one of this name, of the pod or of the Service.
    Named(Box<str>),
    /// The one that the pod calls so, in spite of the Service.
    OfPod(Box<str>),
    /// This one.
    Number(u16),
}

/// Fields of an endpoint that would have podgauge show a credential or ask something else than the pod, and why not.
const REFUSED: [(&str, &str); 10] = [
    ("authorization", "podgauge carries no credential"),
    ("basicAuth", "podgauge carries no credential"),
    ("bearerTokenFile", "podgauge carries no credential"),
    ("bearerTokenSecret", "podgauge carries no credential"),
    ("oauth2", "podgauge carries no credential"),
    ("noProxy", "podgauge asks pods directly"),
    ("proxyConnectHeader", "podgauge asks pods directly"),
    ("proxyFromEnvironment", "podgauge asks pods directly"),
    ("proxyUrl", "podgauge asks pods directly"),
    ("params", "podgauge does not know it; put the query into path"),
];

/// Client certificates, in `tlsConfig`.
const CLIENT_CERTIFICATE: [&str; 4] = ["cert", "certFile", "keyFile", "keySecret"];

// === impl MonitorEndpoint ===

impl MonitorEndpoint {
    /// Reads an endpoint. What is not kept of it goes to `problems`.
    ///
    /// # Errors
    /// Why it is not scraped.
    pub(super) fn read(
        endpoint: &Value,
        settings: &Settings,
        room: &mut RegexRoom,
        problems: &mut Vec<String>,
    ) -> Result<Self, String> {
        if let Some((field, why)) = REFUSED.iter().find(|(field, _)| is_set(&endpoint[*field])) {
            return Err(format!("it has {field}, and {why}"));
        }
        if let Some(field) = CLIENT_CERTIFICATE.iter().find(|field| is_set(&endpoint["tlsConfig"][**field])) {
            return Err(format!("it has tlsConfig.{field}, and podgauge carries no credential"));
        }
        for rule in endpoint["relabelings"].as_array().into_iter().flatten() {
            check_relabeling(rule)?;
        }
        if endpoint["honorLabels"] == true {
            problems.push("honorLabels is not kept: labels of a page stay as they are, and rules of --config see them as without it".to_owned());
        }
        if endpoint["honorTimestamps"] == false {
            problems.push("honorTimestamps: false is not kept: a sample's own time counts".to_owned());
        }
        let known = [
            "port",
            "portNumber",
            "targetPort",
            "path",
            "scheme",
            "interval",
            "scrapeTimeout",
            "metricRelabelings",
            "relabelings",
            "honorLabels",
            "honorTimestamps",
        ];
        let refused = REFUSED.map(|(field, _)| field);
        name_unknown(endpoint, &[known.as_slice(), refused.as_slice()].concat(), problems);
        let scheme = match endpoint["scheme"].as_str().map(str::to_ascii_lowercase).as_deref() {
            None | Some("http" | "") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(other) => return Err(format!("its scheme is {}", quoted(other))),
        };
        let path = endpoint["path"].as_str().filter(|path| !path.is_empty());
        let path = scrape_path(path)
            .map_err(|advice| format!("its path is {}; {advice}", quoted(path.unwrap_or_default())))?;
        Ok(Self {
            scheme,
            path,
            port: port(endpoint)?,
            terms: terms(endpoint, settings, room, problems)?.map(Arc::new),
        })
    }
}

/// Whether there is anything in a value: Go's clients write empty structures where nothing was said.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(is_set),
        Value::Object(fields) => fields.values().any(is_set),
    }
}

fn terms(
    endpoint: &Value,
    settings: &Settings,
    room: &mut RegexRoom,
    problems: &mut Vec<String>,
) -> Result<Option<Terms>, String> {
    let duration = |field: &str| match endpoint[field].as_str().filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => parse_duration(text)
            .and_then(|millis| u64::try_from(millis).ok())
            .map(|millis| Some(Duration::from_millis(millis)))
            .ok_or_else(|| format!("its {field} is {}", quoted(text))),
    };
    let (shortest, longest) = settings.interval;
    let interval = duration("interval")?
        .map(|interval| interval.clamp(shortest, longest))
        .filter(|interval| *interval != shortest);
    let longest = settings.timeout.min(interval.unwrap_or(shortest));
    let timeout = duration("scrapeTimeout")?.filter(|timeout| !timeout.is_zero() && *timeout < longest);
    let rules = endpoint["metricRelabelings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let relabeling = Relabeling::read(rules, &settings.relabeling, room, problems);
    if interval.is_none() && timeout.is_none() && relabeling.is_none() {
        return Ok(None);
    }
    Ok(Some(Terms::new(&endpoint["metricRelabelings"].to_string(), interval, timeout, relabeling)))
}

fn port(endpoint: &Value) -> Result<Port, String> {
    let number = |value: &Value| {
        value.as_u64().and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0)
    };
    let bad = |field: &str| format!("its {field} is no port");
    if let Some(name) = endpoint["port"].as_str().filter(|name| !name.is_empty()) {
        return Ok(Port::Named(name.into()));
    }
    match (&endpoint["portNumber"], &endpoint["targetPort"]) {
        (Value::Null, Value::Null) => Ok(Port::All),
        (Value::Null, Value::String(name)) => Ok(Port::OfPod(name.as_str().into())),
        (Value::Null, target) => number(target).map(Port::Number).ok_or_else(|| bad("targetPort")),
        (port, _) => number(port).map(Port::Number).ok_or_else(|| bad("portNumber")),
    }
}

/// Relabelling of targets decides which they are and where, or which labels they have. The latter nobody has here.
fn check_relabeling(rule: &Value) -> Result<(), String> {
    let action = rule["action"].as_str().unwrap_or("replace").to_ascii_lowercase();
    let target = rule["targetLabel"].as_str().unwrap_or_default();
    let refuse = |what: &str| Err(format!("its relabelings {what}, which podgauge does not do"));
    match action.as_str() {
        "replace" | "lowercase" | "uppercase" | "hashmod"
            if target.starts_with("__") && !target.starts_with("__tmp") =>
        {
            refuse(&format!("set {}", quoted(target)))
        }
        "replace" | "lowercase" | "uppercase" | "hashmod" | "labeldrop" | "labelkeep" | "labelmap" => Ok(()),
        _ => refuse(&format!("have the action {}", quoted(&action))),
    }
}
