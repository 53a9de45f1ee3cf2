//! One turn over one HPA: read what the algorithm needs, do what it says.

use super::pace::Conversion;
use super::target::Target;
use super::{Autoscaler, discovery, resource};
use crate::apiserver::{Key, Part, known};
use crate::local_client::EventKind;
use sandbox_hpa::metrics::{Discovery, Samples, requests};
use sandbox_hpa::normalize::History;
use sandbox_hpa::pod::Pod;
use sandbox_hpa::reconcile::{
    Event, Inputs, Outcome, Scale, Turn, needs_metrics, reconcile, rivals_for, status_not_written,
};
use sandbox_hpa::selector::Selector;
use sandbox_hpa::spec::HorizontalPodAutoscaler;
use serde::Deserialize as _;
use serde_json::Value;

/// As upstream's controller names itself in events.
const COMPONENT: &str = "horizontal-pod-autoscaler";

/// Takes the turn. Whatever fails is told in the HPA's conditions and events.
pub(super) async fn take(
    autoscaler: &Autoscaler,
    key: &Key,
    uid: &Value,
    pace: &Conversion,
    history: &mut History,
) {
    let Some(object) = autoscaler.client.get(resource(), key).filter(|it| it["metadata"]["uid"] == *uid)
    else {
        return;
    };
    let mut hpa = match HorizontalPodAutoscaler::deserialize(&*object) {
        Ok(hpa) => hpa,
        Err(error) => return tracing::warn!(%error, name = key.name, "an autoscaler cannot be read"),
    };
    hpa.apply_defaults();
    pace.hasten_status(&mut hpa.status);

    let target = Target::read(&autoscaler.api, &hpa).await;
    let scale = target.as_ref().map(|target| target.scale.clone()).map_err(Clone::clone);
    let metrics = match &scale {
        Ok(scale) if needs_metrics(&hpa, scale) => autoscaler.read_metrics(key, &hpa, scale, pace).await,
        _ => Vec::new(),
    };
    let pods = autoscaler.pods(&key.namespace, pace);
    let turn = reconcile(
        history,
        &Inputs {
            hpa: &hpa,
            scale,
            pods: &pods,
            rivals: &autoscaler.selectors.rivals_of(key),
            metrics: &metrics,
            now: pace.now(autoscaler.client.now()),
            config: &autoscaler.config.rules,
        },
    );
    let outcome = match (turn, target) {
        (Turn::Done(outcome), _) => outcome,
        (Turn::Rescale(rescale), Ok(target)) => {
            let result = target.set(&autoscaler.api, rescale.replicas()).await;
            rescale.finish(history, result)
        }
        (Turn::Rescale(rescale), Err(error)) => rescale.finish(history, Err(error)),
    };
    autoscaler.tell(key, &object, outcome, pace);
}

// === impl Autoscaler ===

impl Autoscaler {
    /// Makes the requests for every metric of the spec, one after the other.
    async fn read_metrics(
        &self,
        key: &Key,
        hpa: &HorizontalPodAutoscaler,
        scale: &Scale,
        pace: &Conversion,
    ) -> Vec<Result<Samples, String>> {
        // A selector that cannot be used is found again, and told, by the algorithm.
        let Ok(Some(selector)) = Selector::of_scale(&scale.selector) else { return Vec::new() };
        self.selectors.remember(key, selector.clone());
        // The algorithm finds these, too, and refuses to scale: nothing is read for that.
        let pods = self.pods(&key.namespace, pace);
        if !rivals_for(&selector, &pods, &self.selectors.rivals_of(key)).is_empty() {
            return Vec::new();
        }
        let needs_custom = hpa.spec.metrics.iter().any(|metric| is_custom(&metric.kind));
        let version = match needs_custom {
            true => discovery::custom_version(&self.api).await,
            false => Ok(String::new()),
        };
        let requests = {
            // Where there is no version the request is made for its words only and goes nowhere.
            let newest = Discovery::default().custom_version;
            let custom_version = version.as_deref().unwrap_or(newest);
            requests(hpa, &selector, &Discovery { custom_version, resource_of: &discovery::resource_of })
        };
        let mut read = Vec::new();
        for (metric, request) in hpa.spec.metrics.iter().zip(requests) {
            let unknown = version.as_ref().err().filter(|_| is_custom(&metric.kind));
            let samples = match (request, unknown) {
                (Err(error), _) => Err(error),
                (Ok(request), Some(error)) => Err(request.failed(error)),
                (Ok(request), None) => match self.api.get(&request.url()).await {
                    Ok(answer) => request.decode(answer.status().as_u16(), answer.body()),
                    Err(error) => Err(request.failed(&error.to_string())),
                },
            };
            read.push(samples.map(|mut samples| {
                pace.hasten_samples(&mut samples);
                samples
            }));
        }
        read
    }

    fn pods(&self, namespace: &str, pace: &Conversion) -> Vec<Pod> {
        let all = self.client.list(known("", "pods")).into_iter();
        all.filter(|(key, _)| key.namespace == namespace)
            .filter_map(|(key, object)| {
                let decoded = Pod::deserialize(&*object);
                let mut pod = decoded
                    .inspect_err(|error| tracing::warn!(%error, name = key.name, "a pod cannot be read"))
                    .ok()?;
                pace.hasten_pod(&mut pod);
                Some(pod)
            })
            .collect()
    }

    /// Writes the status and the events of a turn.
    fn tell(&self, key: &Key, object: &Value, outcome: Outcome, pace: &Conversion) {
        if let Some(error) = &outcome.error {
            tracing::debug!(error, name = key.name, namespace = key.namespace, "an autoscaler's turn failed");
        }
        for event in &outcome.events {
            self.record(object, event);
        }
        if !outcome.status_changed {
            return;
        }
        let mut status = outcome.status;
        pace.slow_status(&mut status);
        let status = match serde_json::to_value(&status) {
            Ok(status) => status,
            Err(error) => return tracing::error!(%error, "an autoscaler's status cannot be written"),
        };
        let uid = &object["metadata"]["uid"];
        let written =
            self.client.update(resource(), key, uid, Part::Status, |object| object["status"] = status);
        if let Err(error) = written {
            self.record(object, &status_not_written(&error.to_string()));
        }
    }

    fn record(&self, object: &Value, event: &Event) {
        let kind = if event.warning { EventKind::Warning } else { EventKind::Normal };
        self.client.record(COMPONENT, object, "", kind, event.reason, &event.message);
    }
}

fn is_custom(kind: &str) -> bool {
    matches!(kind, "Pods" | "Object")
}
