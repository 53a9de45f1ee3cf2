//! Custom metrics by rules: the names that a configuration file makes, for pods and for whatever else its labels name.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use podgauge_apiserver::{Answer, ApiResource, Request, Status};
use podgauge_rules::{Ask, GroupResource};
use podgauge_store::{ObjectKind, Pod, Timestamp};

use crate::{
    CustomMetrics,
    discovery::is_addressable,
    document::Object,
    draft::Draft,
    fields::FieldSelector,
    rules::{Found, conditions},
    tally::Value,
};

/// What a path asks for, of whatever resource.
struct Asked<'a> {
    /// Of the path; none for what is in none.
    namespace: Option<&'a str>,
    resource: GroupResource,
    name: &'a str,
    metric: &'a str,
}

// === impl Asked ===

impl<'a> Asked<'a> {
    fn of(segments: &'a [String]) -> Option<Self> {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (namespace, segment, name, metric) = match *segments {
            ["namespaces", name, "metrics", metric] => (None, "namespaces", name, metric),
            ["namespaces", namespace, resource, name, metric] => (Some(namespace), resource, name, metric),
            [resource, name, metric] => (None, resource, name, metric),
            _ => return None,
        };
        let resource = GroupResource::of_segment(segment).ok()?;
        // The HPA asks for nodes by way of its own namespace, which says nothing about them.
        let namespace = namespace.filter(|_| !resource.is_rooted());
        (namespace.is_some() || resource.is_rooted()).then_some(Self { namespace, resource, name, metric })
    }
}

// === impl CustomMetrics ===

impl CustomMetrics {
    /// The answer, if a rule has this name for what is asked: its query is evaluated later.
    pub(crate) fn ruled(&self, request: &Request) -> Option<Result<Answer, Status>> {
        if !self.shared.rules.are_in_force() {
            return None;
        }
        let asked = Asked::of(&request.segments)?;
        let is_pods = asked.resource == GroupResource::pods();
        // Objects of other kinds cannot be listed here, so that one of them must be named.
        if asked.name == "*" && !is_pods {
            return None;
        }
        let found = self.shared.rules.custom(&asked.resource, asked.metric)?;
        let pods = match asked
            .namespace
            .filter(|_| is_pods)
            .map(|namespace| self.picked(request, namespace, asked.name))
        {
            Some(Ok(pods)) if pods.is_empty() => return None,
            Some(Ok(pods)) => pods,
            Some(Err(status)) => return Some(Err(status)),
            None => Vec::new(),
        };
        let label = found.rule()?.label(&asked.resource)?;
        let (api, request) = (self.clone(), request.clone());
        Some(Ok(Answer::later(move || {
            let answer = api.evaluated(&request, &found, &label, &pods);
            if answer.as_ref().is_err_and(|status| status.code == 404) {
                api.shared.metrics.unavailable();
            }
            answer
        })))
    }

    /// What the rule that was found answers; `pods` are those that are asked about, and `label` names the objects.
    fn evaluated(
        &self,
        request: &Request,
        found: &Found,
        label: &str,
        pods: &[Arc<Pod>],
    ) -> Result<Answer, Status> {
        // It was read once already.
        let asked = Asked::of(&request.segments).ok_or_else(|| Status::not_found("there is no such path"))?;
        let (rules, now) = (&self.shared.rules, (self.shared.clock)());
        let is_pods = asked.resource == GroupResource::pods();
        let names: Vec<&str> =
            if is_pods { pods.iter().map(|pod| &*pod.key.name).collect() } else { vec![asked.name] };
        let wanted: HashSet<&str> = names.iter().copied().collect();
        self.ask(request, &asked, pods, now, |conditions| {
            let objects = Some((&asked.resource, names.as_slice()));
            let ask = Ask { series: &found.series, objects, namespace: asked.namespace, conditions };
            let elements = rules.answer(found, &ask, self.shared.config.max_age, now)?;
            // Of several values for one object the last one counts.
            let values =
                elements.into_iter().map(|element| (element.labels.get(label).to_owned(), element.value));
            let values: BTreeMap<String, Value> = values.collect();
            Ok(values.into_iter().filter(|(name, _)| wanted.contains(&**name)).collect())
        })
    }

    fn ask(
        &self,
        request: &Request,
        asked: &Asked<'_>,
        pods: &[Arc<Pod>],
        now: Timestamp,
        values: impl FnOnce(&[podgauge_rules::Condition]) -> Result<BTreeMap<String, Value>, String>,
    ) -> Result<Answer, Status> {
        let Asked { namespace, resource, name, metric } = asked;
        let series = self.shared.selectors.of(&request.query, "metricLabelSelector")?;
        let of = match namespace {
            Some(namespace) => format!("{resource} {namespace}/{name}"),
            None => format!("{resource} {name}"),
        };
        let nothing = |why: &str| Status::not_found(format!("no value of metric {metric:?} for {of}: {why}"));
        let values = values(&conditions(&series)?).map_err(|why| nothing(&why))?;
        let mut draft = Draft::new(self.version, request, metric, &series, values.len());
        let kind = resource.kind();
        let kind = ObjectKind { kind: kind.kind.into(), api_version: kind.api_version.into() };
        let namespace = namespace.unwrap_or_default();
        let mut any = false;
        for (name, value) in &values {
            any |= self.push(&mut draft, Object::Owner { kind: &kind, namespace, name }, metric, value, now);
        }
        if !any {
            return Err(nothing("the rule's query gives values for other objects alone; see its labels"));
        }
        if !pods.is_empty() {
            self.tell(request, [namespace, "pods", name], metric, pods);
        }
        Ok(draft.finish())
    }

    /// The pods that are asked about.
    fn picked(&self, request: &Request, namespace: &str, name: &str) -> Result<Vec<Arc<Pod>>, Status> {
        let query = &request.query;
        let fields = FieldSelector::parse(query.value("fieldSelector").unwrap_or_default())?;
        if name != "*" {
            let pod = self.shared.reader.pod(namespace, name);
            return Ok(pod
                .filter(|pod| fields.matches(&pod.key.namespace, &pod.key.name))
                .into_iter()
                .collect());
        }
        let selected = self.shared.selectors.of(query, "labelSelector")?;
        Ok(self.shared.reader.labelled_pods(namespace, selected.labels(), |pod| {
            selected.matches(|key| pod.labels.get(key)) && fields.matches(&pod.key.namespace, &pod.key.name)
        }))
    }

    /// Adds the names that rules have to what discovery lists.
    pub(crate) fn add_ruled(&self, resources: &mut Vec<ApiResource>) {
        let names = self.shared.rules.custom_names();
        if names.is_empty() {
            return;
        }
        let names = names.into_iter().filter(|(_, metric)| is_addressable(metric));
        for (resource, metric) in names.take(self.shared.config.discovery_metrics) {
            resources.push(ApiResource {
                name: format!("{resource}/{metric}"),
                singular_name: String::new(),
                namespaced: !resource.is_rooted(),
                kind: "MetricValueList",
                verbs: &["get"],
            });
        }
        resources.sort_by(|a, b| a.name.cmp(&b.name));
        resources.dedup_by(|a, b| a.name == b.name);
    }
}
