//! The store's series for expressions, with the labels of their targets.

use podgauge_promql::{Full, METRIC_NAME, MatchOp, Matcher, Request, Sample, Sink, Source};
use podgauge_rules::TargetLabels;
use podgauge_store::{Endpoint, Page, Pod, Reader, Target};

/// Everything that was scraped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreSource<'a> {
    pub(crate) reader: &'a Reader,
}

// === impl StoreSource ===

impl Source for StoreSource<'_> {
    fn select(&self, request: &Request<'_>, sink: &mut Sink) -> Result<(), Full> {
        // What a pod is called is known before its pages are looked at.
        let fits = |pod: &Pod| {
            request.matchers.iter().all(|matcher| match matcher.name() {
                "namespace" | "kubernetes_namespace" => matcher.matches(&pod.key.namespace),
                "pod" | "kubernetes_pod_name" => matcher.matches(&pod.key.name),
                "node" => matcher.matches(pod.node.as_deref().unwrap_or_default()),
                _ => true,
            })
        };
        let namespace = request.matchers.iter().find(|matcher| {
            matcher.op() == MatchOp::Equal && matches!(matcher.name(), "namespace" | "kubernetes_namespace")
        });
        let pods = match namespace {
            Some(namespace) => self.reader.pods(namespace.value(), fits),
            None => self.reader.all_pods(fits),
        };
        for pod in &pods {
            for target in pod.targets() {
                if let Some(result) = target.page(|page| select_page(pod, target, page, request, sink)) {
                    result?;
                }
            }
        }
        Ok(())
    }
}

/// The labels of whatever is scraped from a target.
pub(crate) fn target_labels(pod: &Pod, target: &Target) -> TargetLabels {
    let Endpoint { address, port, .. } = target.endpoint();
    let instance = std::net::SocketAddr::from((*address, *port)).to_string();
    TargetLabels::new(&pod.key.namespace, &pod.key.name, pod.node.as_deref(), &instance, pod.labels.iter())
}

fn select_page(
    pod: &Pod,
    target: &Target,
    page: &Page,
    request: &Request<'_>,
    sink: &mut Sink,
) -> Result<(), Full> {
    let of_name: Vec<&Matcher> =
        request.matchers.iter().filter(|matcher| matcher.name() == METRIC_NAME).collect();
    let exact = of_name.iter().find(|matcher| matcher.op() == MatchOp::Equal);
    let layout = page.layout();
    let names: Vec<_> = match exact {
        Some(exact) => layout.name(exact.value()).into_iter().collect(),
        None => layout.names().collect(),
    };
    let mut labels = None;
    for name in names {
        if !of_name.iter().all(|matcher| matcher.matches(name.text)) {
            continue;
        }
        let target = labels.get_or_insert_with(|| target_labels(pod, target));
        for id in name.series {
            let Some(series) = layout.series(*id) else { continue };
            let labels = target.series(name.text, series.labels.iter());
            if request.matches(&labels) {
                let samples = page.samples(*id).map(|sample| (sample.at, sample.value));
                // The store leaves out what is no number; a sum with it is none either, and not the sum of the rest.
                let nan = page.newest(*id).is_none().then_some((page.taken(), f64::NAN));
                let samples = samples.chain(nan);
                sink.push(labels, samples.map(|(at, value)| Sample { t_ms: at.millis(), value }))?;
            }
        }
    }
    Ok(())
}
