//! Objects that stand for many pods: which pods, and one value from all of theirs.

use std::sync::Arc;

use podgauge_apiserver::{Answer, Request, Status};
use podgauge_store::{NoPodSet, Pod, PodSet, Timestamp};

use crate::{CustomMetrics, document::Object, draft::Draft, explain::Subject, merge::merged, names::Metric};

/// Something that stands for many pods: what the answer calls it, and what a message does.
#[derive(Clone, Copy)]
pub(crate) struct Whole<'a> {
    /// Namespace, resource and name; what there is none of is empty.
    named: [&'a str; 3],
    subject: Subject<'a>,
    object: Object<'a>,
}

// === impl Whole ===

impl<'a> Whole<'a> {
    pub(crate) fn namespace(name: &'a str) -> Self {
        let named = ["", "namespaces", name];
        Self { named, subject: Subject::Namespace { name }, object: Object::Namespace { name } }
    }

    pub(crate) fn node(name: &'a str) -> Self {
        let named = ["", "nodes", name];
        Self { named, subject: Subject::Node { name }, object: Object::Node { name } }
    }
}

// === impl CustomMetrics ===

impl CustomMetrics {
    /// One value from the pods that an object selects.
    pub(crate) fn owner(
        &self,
        request: &Request,
        [namespace, resource, name]: [&str; 3],
        metric: &str,
        now: Timestamp,
    ) -> Result<Answer, Status> {
        let found = self.shared.objects.find(resource, namespace, name);
        let PodSet { kind, selector } =
            found.map_err(|why| no_pod_set(&why, &format!("{resource} {namespace}/{name}"), resource))?;
        let picks = self.shared.selectors.parse(&selector).map_err(|error| {
            Status::not_found(format!(
                "{resource} {namespace}/{name} has a selector that cannot be read: {error}"
            ))
        })?;
        let wanted = |pod: &Pod| picks.matches(|key| pod.labels.get(key));
        let pods = self.shared.reader.labelled_pods(namespace, picks.labels(), wanted);
        let whole = Whole {
            named: [namespace, resource, name],
            subject: Subject::Owner { kind: &kind, namespace, name, selector: &selector },
            object: Object::Owner { kind: &kind, namespace, name },
        };
        self.together(request, whole, &pods, metric, now)
    }

    /// One value from the pods of a whole.
    pub(crate) fn together(
        &self,
        request: &Request,
        whole: Whole<'_>,
        pods: &[Arc<Pod>],
        metric: &str,
        now: Timestamp,
    ) -> Result<Answer, Status> {
        let series = self.shared.selectors.of(&request.query, "metricLabelSelector")?;
        let asked = Metric::new(metric);
        let question = self.question(&asked, &series, now);
        let mut draft = Draft::new(self.version, request, metric, &series, 1);
        match merged(pods, &question) {
            Ok(value) if self.push(&mut draft, whole.object, metric, &value, now) => {
                self.tell(request, whole.named, metric, pods);
                Ok(draft.finish())
            }
            Ok(_) => Err(self.unavailable(whole.subject, request, &question, &[])),
            Err(lacking) => Err(self.unavailable(whole.subject, request, &question, &lacking)),
        }
    }
}

/// Why an object has no pods to ask, for its reader.
fn no_pod_set(why: &NoPodSet, object: &str, resource: &str) -> Status {
    let message = match why {
        NoPodSet::Resource { known } => format!(
            "podgauge has no metrics for {resource:?}: it answers for pods, namespaces, nodes and {} \
             (--object-resources names more)",
            known.join(", ")
        ),
        NoPodSet::NotListed => format!("{resource} have not been listed yet; ask again in a moment"),
        NoPodSet::Unavailable(why) => format!("{object} is not known: {why}"),
        NoPodSet::Missing => format!("there is no {object}"),
        NoPodSet::SelectsNothing => format!("{object} selects no pods by labels, so there is nobody to ask"),
    };
    Status::not_found(message)
}
