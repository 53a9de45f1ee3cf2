//! Looks at the cluster, one sample at a time.

use super::api::Api;
use super::logs::Logs;
use super::observe::{self, SeenEvents};
use super::record::{Decision, Sample};
use super::shop::Shop;
use crate::clock::Clock;
use serde_json::Value;

/// Where the demo lives, as its manifests have it.
pub(super) const NAMESPACE: &str = "default";
/// The Deployment that is scaled, its container, and its autoscaler.
pub(super) const WORKER: &str = "backend";
/// The Deployments of the shop, in the order in which they need each other.
pub(super) const SHOP: [&str; 3] = ["queue", "frontend", WORKER];

/// Everything that a sample is taken from.
pub(super) struct Watch {
    pub(super) api: Api,
    pub(super) shop: Shop,
    pub(super) logs: Logs,
    clock: Clock,
    events: SeenEvents,
    /// The workers' pods that were there at the last look.
    pub(super) alive: Vec<String>,
}

// === impl Watch ===

impl Watch {
    pub(super) fn new(api: Api, shop: Shop, logs: Logs) -> Self {
        Self { api, shop, logs, clock: Clock::system(), events: SeenEvents::default(), alive: Vec::new() }
    }

    /// A sample, and what the autoscaler has said since the last. What does not answer is left out.
    pub(super) async fn look(&mut self, at: f64) -> (Sample, Vec<Decision>) {
        let (api, clock) = (&self.api, &self.clock);
        let get = async |path: String| api.get(&path).await.unwrap_or_default();
        let served = async {
            let list =
                get(format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/{NAMESPACE}/pods/*/messages"))
                    .await;
            observe::served(&list, clock.now())
        };
        let core = format!("/api/v1/namespaces/{NAMESPACE}");
        let (page, served, deployment, hpa, pods, events) = tokio::join!(
            self.shop.page(),
            served,
            get(format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{WORKER}")),
            get(format!("/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers/{WORKER}")),
            get(format!("{core}/pods")),
            get(format!("{core}/events")),
        );
        let all = of_shop(&pods);
        let workers: Vec<&Value> =
            all.iter().filter(|(app, _)| *app == WORKER).map(|(_, pod)| *pod).collect();
        self.logs.notice(&workers, WORKER);
        let name = |pod: &&Value| pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.alive = workers.iter().map(name).collect();
        let everyone: Vec<&Value> = all.iter().map(|(_, pod)| *pod).collect();
        let sample = Sample {
            at,
            queue: page.as_ref().and_then(observe::queue),
            served,
            workers: observe::workers(&deployment, &workers),
            autoscaler: observe::autoscaler(&hpa),
            troubles: observe::troubles(&everyone),
        };
        (sample, self.events.new_ones(&events, WORKER, at))
    }
}

/// The pods of the shop, each with the Deployment that it is of.
pub(super) fn of_shop(pods: &Value) -> Vec<(&'static str, &Value)> {
    let all = pods["items"].as_array().into_iter().flatten();
    let app = |pod: &Value| SHOP.into_iter().find(|app| pod["metadata"]["labels"]["app"] == *app);
    all.filter_map(|pod| Some((app(pod)?, pod))).collect()
}
