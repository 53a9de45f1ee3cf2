//! Custom metrics by rules: the names that a configuration file makes, for pods and for whatever else its labels name.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
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
    rules::{Element, Found, NoAnswer, conditions},
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

/// A rule that answers, and what it is asked about.
struct Question {
    found: Found,
    /// Names the objects.
    label: String,
    /// Those that are asked about; none for other objects.
    pods: Vec<Arc<Pod>>,
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

    /// Of a request that was read once already.
    fn again(request: &'a Request) -> Result<Self, Status> {
        Self::of(&request.segments).ok_or_else(|| Status::not_found("there is no such path"))
    }

    /// What there may be no value of.
    fn what(&self) -> String {
        let Self { namespace, resource, name, metric } = self;
        match namespace {
            Some(namespace) => format!("metric {metric:?} for {resource} {namespace}/{name}"),
            None => format!("metric {metric:?} for {resource} {name}"),
        }
    }
}

// === impl Question ===

impl Question {
    /// The objects that are asked about.
    fn names<'a>(&'a self, asked: &Asked<'a>) -> Vec<&'a str> {
        if asked.resource == GroupResource::pods() {
            self.pods.iter().map(|pod| &*pod.key.name).collect()
        } else {
            vec![asked.name]
        }
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
        let question = Question { found, label, pods };
        if question.found.is_upstream() {
            return Some(Ok(Answer::asked(|left| async move {
                let answer = api.asked_upstream(&request, &question, left).await;
                api.shared.metrics.answered(&answer);
                answer
            })));
        }
        Some(Ok(Answer::later(move || {
            let answer = api.evaluated(&request, &question);
            api.shared.metrics.answered(&answer);
            answer
        })))
    }

    /// What the rule that was found answers.
    fn evaluated(&self, request: &Request, question: &Question) -> Result<Answer, Status> {
        let (asked, now) = (Asked::again(request)?, (self.shared.clock)());
        let max_age = self.shared.config.max_age;
        let elements = self.ask(request, &asked, question, |ask| {
            self.shared.rules.answer(&question.found, &ask, max_age, now).map_err(NoAnswer::Absent)
        })?;
        let answer = self.said(request, &asked, question, elements, now)?;
        if !question.pods.is_empty() {
            let namespace = asked.namespace.unwrap_or_default();
            self.tell(request, [namespace, "pods", asked.name], asked.metric, &question.pods);
        }
        Ok(answer)
    }

    /// The same of a rule that asks upstream.
    async fn asked_upstream(
        &self,
        request: &Request,
        question: &Question,
        left: Duration,
    ) -> Result<Answer, Status> {
        let (asked, now) = (Asked::again(request)?, (self.shared.clock)());
        let query = self.ask(request, &asked, question, |ask| Ok(question.found.query(&ask)))?;
        let elements = self.shared.rules.asked(&question.found, query, left, now).await;
        let elements = elements.map_err(|why| why.status(&asked.what()))?;
        self.said(request, &asked, question, elements, now)
    }

    /// Does `ask` for what the request asks.
    fn ask<T>(
        &self,
        request: &Request,
        asked: &Asked<'_>,
        question: &Question,
        ask: impl FnOnce(Ask<'_>) -> Result<T, NoAnswer>,
    ) -> Result<T, Status> {
        let series = self.shared.selectors.of(&request.query, "metricLabelSelector")?;
        let conditions = conditions(&series)?;
        let names = question.names(asked);
        let objects = Some((&asked.resource, names.as_slice()));
        let series = &question.found.series;
        let answer = ask(Ask { series, objects, namespace: asked.namespace, conditions: &conditions });
        answer.map_err(|why| why.status(&asked.what()))
    }

    /// The answer that the elements make.
    fn said(
        &self,
        request: &Request,
        asked: &Asked<'_>,
        question: &Question,
        elements: Vec<Element>,
        now: Timestamp,
    ) -> Result<Answer, Status> {
        let Asked { namespace, resource, metric, .. } = asked;
        let series = self.shared.selectors.of(&request.query, "metricLabelSelector")?;
        let wanted: HashSet<&str> = question.names(asked).into_iter().collect();
        // Of several values for one object the last one counts.
        let values = elements
            .into_iter()
            .map(|element| (element.labels.get(&question.label).to_owned(), element.value))
            .filter(|(name, _)| wanted.contains(&**name));
        let values: BTreeMap<String, Value> = values.collect();
        let mut draft = Draft::new(self.version, request, metric, &series, values.len());
        let kind = resource.kind();
        let kind = ObjectKind { kind: kind.kind.into(), api_version: kind.api_version.into() };
        let namespace = namespace.unwrap_or_default();
        let mut any = false;
        for (name, value) in &values {
            any |= self.push(&mut draft, Object::Owner { kind: &kind, namespace, name }, metric, value, now);
        }
        if !any {
            let why = "the rule's query gives values for other objects alone; see its labels";
            return Err(NoAnswer::Absent(why.to_owned()).status(&asked.what()));
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
