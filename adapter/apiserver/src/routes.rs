//! From a path to what answers it. Everything here answers from memory, without waiting; what has to be computed
//! first is handed on.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use crate::{
    api::{Answer, Api, Attributes, GroupVersion, Query, Representation, Request, Work},
    discovery::{self, Group},
    etag::Tagged,
    negotiate::{self, Encoding, Form, View},
    openapi::{self, OpenApi},
    probes::Probes,
    protobuf::{self, Message},
    request_info::RequestInfo,
    respond::{self, Reply},
    status::{Reason, Status},
    user::User,
};

/// Prometheus' text, drawn at each request.
pub type MetricsPage = Arc<dyn Fn() -> String + Send + Sync>;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What a message quotes of a path, in characters.
const MAX_QUOTED_CHARS: usize = 200;

/// Everything that can be asked for.
pub(crate) struct Routes {
    groups: Vec<Group>,
    openapi: OpenApi,
    version: Vec<u8>,
    probes: Probes,
    metrics_page: Option<MetricsPage>,
}

/// What a path leads to.
pub(crate) enum Route<'a> {
    Probe { probe: &'a str, check: Option<&'a str> },
    Metrics(&'a MetricsPage),
    Version,
    Groups,
    Group(&'a Group),
    GroupVersion(&'a dyn Api),
    Resource(&'a dyn Api, Vec<String>),
    OpenApiV2,
    OpenApiV3,
    OpenApiV3Of(GroupVersion, &'a Tagged),
    None,
}

/// What came of a route.
pub(crate) enum Outcome {
    Reply(Reply),
    /// The answer is to be computed, and then to be given this shape.
    Later(Work, Shape),
}

/// How the caller takes an API's answer, if it takes one of such a kind.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    object: Option<Encoding>,
    table: Option<Encoding>,
    message: Option<&'static Message>,
}

/// What routing looks at besides the path.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) forms: &'a [Form],
    pub(crate) query: &'a Query,
    pub(crate) info: &'a RequestInfo,
    pub(crate) user: &'a User,
}

// === impl Routes ===

impl Routes {
    pub(crate) fn new(
        apis: &[Arc<dyn Api>],
        title: &str,
        version: &str,
        probes: Probes,
        metrics_page: Option<MetricsPage>,
    ) -> Self {
        let mut numbers = version.split('.');
        let version_document = json!({
            "major": numbers.next().unwrap_or_default(),
            "minor": numbers.next().unwrap_or_default(),
            "gitVersion": format!("v{version}"),
            "gitCommit": "",
            "gitTreeState": "",
            "buildDate": "",
            "goVersion": "",
            "compiler": "rustc",
            "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        });
        Self {
            groups: discovery::groups(apis),
            openapi: OpenApi::new(apis, title, version),
            version: version_document.to_string().into_bytes(),
            probes,
            metrics_page,
        }
    }

    pub(crate) fn find<'a>(&'a self, segments: Option<&[&'a str]>) -> Route<'a> {
        let Some(segments) = segments else { return Route::None };
        match *segments {
            [probe @ ("healthz" | "livez" | "readyz")] => Route::Probe { probe, check: None },
            [probe @ ("healthz" | "livez" | "readyz"), check] => Route::Probe { probe, check: Some(check) },
            ["metrics"] => self.metrics_page.as_ref().map_or(Route::None, Route::Metrics),
            ["version"] => Route::Version,
            ["apis"] => Route::Groups,
            ["apis", group] => self.group(group).map_or(Route::None, Route::Group),
            ["apis", group, version] => self.api(group, version).map_or(Route::None, Route::GroupVersion),
            // Verbs as a path prefix are gone, and must not be taken for a resource: they were
            // authorized as something else.
            ["apis", _, _, "watch" | "proxy", ..] => Route::None,
            ["apis", group, version, ref below @ ..] => match self.api(group, version) {
                Some(api) => Route::Resource(api, below.iter().map(ToString::to_string).collect()),
                None => Route::None,
            },
            ["openapi", "v2"] => Route::OpenApiV2,
            ["openapi", "v3"] => Route::OpenApiV3,
            ["openapi", "v3", "apis", group, version] => {
                let of = self.api(group, version).map(Api::group_version);
                let document = of.and_then(|of| Some((of, self.openapi.v3.get(&of)?)));
                document.map_or(Route::None, |(of, document)| Route::OpenApiV3Of(of, document))
            }
            _ => Route::None,
        }
    }

    /// # Errors
    /// As the API's; 404 without a route, 405 for anything but a read, 406 for a form we do not have.
    pub(crate) fn answer(&self, route: Route<'_>, asked: &Asked<'_>) -> Result<Outcome, Status> {
        match route {
            Route::Resource(api, segments) => {
                only_get(asked)?;
                resource(api, segments, asked)
            }
            route => self.reply(route, asked).map(Outcome::Reply),
        }
    }

    fn reply(&self, route: Route<'_>, asked: &Asked<'_>) -> Result<Reply, Status> {
        // Probes take any method, as upstream's do.
        if let Route::Probe { probe, check } = route {
            let reply = self.probes.answer(probe, check, asked.query, !asked.user.is_anonymous());
            return reply.ok_or_else(|| self.not_found(asked.info));
        }
        if matches!(route, Route::None) {
            return Err(self.not_found(asked.info));
        }
        only_get(asked)?;
        let document = |document: Vec<u8>, message: Option<&'static Message>| match negotiate::encoding_of(
            View::Object,
            asked.forms,
            message.is_some(),
        ) {
            Some(_) => Ok(respond::document(document, message)),
            None => Err(not_acceptable(documents(message))),
        };
        let tagged = |document: &Tagged| {
            if asked.forms.contains(&Form { view: View::Object, encoding: Encoding::Json }) {
                Ok(respond::tagged(document, respond::JSON, asked.headers))
            } else {
                Err(not_acceptable(&[Encoding::Json]))
            }
        };
        match route {
            Route::Metrics(page) => Ok(respond::text(StatusCode::OK, OPENMETRICS, page())),
            Route::Version => document(self.version.clone(), None),
            Route::Groups => match asked.forms.iter().find(|form| form.view != View::Table) {
                Some(&Form { view: View::Discovery(version), encoding }) => {
                    let groups = discovery::aggregated(&self.groups, version);
                    Ok(respond::discovery(groups, version, encoding, asked.headers))
                }
                _ => {
                    let groups = discovery::group_list(&self.groups);
                    let mut reply = document(groups, Some(&protobuf::API_GROUP_LIST))?;
                    reply.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
                    Ok(reply)
                }
            },
            Route::Group(group) => document(discovery::group(group), Some(&protobuf::API_GROUP)),
            Route::GroupVersion(api) => {
                document(discovery::resource_list(api), Some(&protobuf::API_RESOURCE_LIST))
            }
            Route::OpenApiV2 => tagged(&self.openapi.v2),
            Route::OpenApiV3 => tagged(&self.openapi.v3_index),
            Route::OpenApiV3Of(of, document) => match asked.query.value("hash") {
                Some(hash) if hash != document.hash => {
                    Ok(respond::moved(&openapi::v3_url(of, &document.hash)))
                }
                hash => {
                    let mut reply = tagged(document)?;
                    if hash.is_some() {
                        // These bytes are what this URL stands for.
                        let for_ever = HeaderValue::from_static("public, immutable, max-age=31536000");
                        reply.headers_mut().insert(header::CACHE_CONTROL, for_ever);
                    }
                    Ok(reply)
                }
            },
            Route::Probe { .. } | Route::Resource(..) | Route::None => Err(self.not_found(asked.info)),
        }
    }

    fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    fn api(&self, group: &str, version: &str) -> Option<&dyn Api> {
        let mut versions = self.group(group)?.versions.iter();
        versions.find(|api| api.group_version().version == version).map(AsRef::as_ref)
    }

    fn not_found(&self, info: &RequestInfo) -> Status {
        let served: Vec<String> = self
            .groups
            .iter()
            .flat_map(|group| &group.versions)
            .map(|api| format!("/apis/{}", api.group_version()))
            .collect();
        let asked = match info {
            RequestInfo::Path { path, .. } => path.clone(),
            RequestInfo::Resource(Attributes { group, version, resource, .. }) => {
                format!("/apis/{group}/{version}/.../{resource}")
            }
        };
        let asked: String = asked.chars().take(MAX_QUOTED_CHARS).collect();
        Status::not_found(format!(
            "the server could not find the requested resource: there is no {asked:?} here; served are {}",
            served.join(", ")
        ))
    }
}

// === impl Shape ===

impl Shape {
    /// # Errors
    /// 406 for an object whose caller takes tables alone; as the work's, if it is not done yet.
    pub(crate) fn reply(self, answer: Answer) -> Result<Reply, Status> {
        match (answer, self.object) {
            (Answer::Table(table), _) => {
                Ok(respond::encoded(table.to_json(), self.table.unwrap_or(Encoding::Json), None))
            }
            (Answer::Json(document), Some(encoding)) => {
                Ok(respond::encoded(document, encoding, self.message))
            }
            // The API draws no table of this.
            (Answer::Json(_), None) => Err(not_acceptable(documents(self.message))),
            (answer @ Answer::Later(_), _) => self.reply(answer.finished()?),
        }
    }
}

// === impl Route ===

impl Route<'_> {
    /// A metric's label: one of a few words, or a group-version that is served.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Probe { .. } => "probe".to_owned(),
            Self::Metrics(_) => "metrics".to_owned(),
            Self::Version => "version".to_owned(),
            Self::Groups | Self::Group(_) | Self::GroupVersion(_) => "discovery".to_owned(),
            Self::Resource(api, _) => api.group_version().to_string(),
            Self::OpenApiV2 | Self::OpenApiV3 | Self::OpenApiV3Of(..) => "openapi".to_owned(),
            Self::None => "none".to_owned(),
        }
    }
}

fn resource(api: &dyn Api, segments: Vec<String>, asked: &Asked<'_>) -> Result<Outcome, Status> {
    let message = api.message();
    let forms = asked.forms.iter().filter(|form| form.is_available(message.is_some()));
    let representation = match forms.map(|form| form.view).find(|view| !matches!(view, View::Discovery(_))) {
        Some(View::Table) => Representation::Table,
        Some(_) => Representation::Object,
        None => return Err(not_acceptable(documents(message))),
    };
    let attributes = match asked.info {
        RequestInfo::Resource(attributes) => attributes.clone(),
        // A path with a group, a version and one more segment is a resource's, by the same rules.
        RequestInfo::Path { .. } => Attributes::default(),
    };
    let request = Request { attributes, segments, query: asked.query.clone(), representation };
    let shape = Shape {
        object: negotiate::encoding_of(View::Object, asked.forms, message.is_some()),
        table: negotiate::encoding_of(View::Table, asked.forms, false),
        message,
    };
    match api.get(&request)? {
        Answer::Later(work) => Ok(Outcome::Later(work, shape)),
        // Reading a long list and writing it as YAML takes computing, too. As protobuf it is soon done.
        Answer::Json(document) if shape.object == Some(Encoding::Yaml) => {
            Ok(Outcome::Later(Work::new(|| Ok(Answer::Json(document))), shape))
        }
        answer => shape.reply(answer).map(Outcome::Reply),
    }
}

fn only_get(asked: &Asked<'_>) -> Result<(), Status> {
    if asked.method == Method::GET {
        return Ok(());
    }
    Err(Status::new(
        Reason::MethodNotAllowed,
        "the server does not allow this method on the requested resource; everything here is read with GET",
    ))
}

/// How an object can be written that has this message, or none.
fn documents(message: Option<&Message>) -> &'static [Encoding] {
    match message {
        Some(_) => &[Encoding::Json, Encoding::Yaml, Encoding::Protobuf],
        None => &[Encoding::Json, Encoding::Yaml],
    }
}

fn not_acceptable(accepted: &[Encoding]) -> Status {
    let accepted: Vec<&str> = accepted.iter().map(|encoding| encoding.media_type()).collect();
    let accepted = accepted.join(", ");
    Status::new(Reason::NotAcceptable, format!("only the following media types are accepted: {accepted}"))
}
