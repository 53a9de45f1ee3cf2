//! External metrics without a rule: the newest value of each series of a name, on the pages of a namespace.

use std::{borrow::Cow, time::Duration};

use podgauge_apiserver::Selector;
use podgauge_promql::Labels;
use podgauge_store::{Page, Pod, Sample, Target, Timestamp};

use crate::{
    rules::{Element, target_labels},
    tally::Value,
};

/// Which series, and how old they may be.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Any case will do.
    pub(super) metric: &'a str,
    pub(super) selector: &'a Selector,
    pub(super) max_age: Duration,
    pub(super) now: Timestamp,
}

/// The most series of one answer; the HPA adds them up, so that an answer has all or none.
const SERIES: usize = 10_000;

struct Search<'a> {
    wanted: Wanted<'a>,
    /// The metric's name in lower case.
    name: String,
    is_name_known: bool,
    found: Vec<Element>,
}

/// What the pods' pages have. One value that is missing or too old spoils the whole: the HPA adds the values up, and part of
/// a sum is a wrong sum.
///
/// # Errors
/// Why there is nothing.
pub(super) fn scraped(pods: &[impl AsRef<Pod>], wanted: Wanted<'_>) -> Result<Vec<Element>, String> {
    let name = wanted.metric.to_lowercase();
    let mut search = Search { wanted, name, is_name_known: false, found: Vec::new() };
    for pod in pods.iter().map(AsRef::as_ref) {
        for target in pod.targets() {
            target.page(|page| search.page(pod, target, page)).unwrap_or(Ok(()))?;
        }
    }
    match (search.found.is_empty(), search.is_name_known) {
        (false, _) => Ok(search.found),
        (true, true) => Err("its selector leaves no series that has a value".to_owned()),
        (true, false) => Err(format!(
            "no external rule has this name, and none of the {} pods there has series called so",
            pods.len()
        )),
    }
}

// === impl Search ===

impl Search<'_> {
    fn page(&mut self, pod: &Pod, target: &Target, page: &Page) -> Result<(), String> {
        let layout = page.layout();
        let mut labels = None;
        for name in layout.names() {
            if in_lower_case(name.text) != self.name {
                continue;
            }
            self.is_name_known = true;
            let target = labels.get_or_insert_with(|| target_labels(pod, target));
            for id in name.series {
                let Some(series) = layout.series(*id) else { continue };
                let labels = target.series(name.text, series.labels.iter());
                if self.picks(&labels) {
                    self.add(labels, pod, page.taken(), page.newest(*id))?;
                }
            }
        }
        Ok(())
    }

    fn picks(&self, labels: &Labels) -> bool {
        self.wanted.selector.matches(|key| Some(labels.get(key)).filter(|value| !value.is_empty()))
    }

    fn add(
        &mut self,
        labels: Labels,
        pod: &Pod,
        taken: Timestamp,
        newest: Option<Sample>,
    ) -> Result<(), String> {
        let Wanted { max_age, now, .. } = self.wanted;
        let pod = &pod.key.name;
        let Some(Sample { value: number, at }) = newest else {
            return Err(format!(
                "pod {pod} has a series of it that is NaN; what the others add up to would be too little"
            ));
        };
        if taken > now || now.since(taken) > max_age {
            return Err(format!(
                "pod {pod} has it, but its page is {} s old, and older than {} s is not served (--metrics-max-age); \
                 what the other pods add up to would be too little",
                now.since(taken).as_secs(),
                max_age.as_secs()
            ));
        }
        // By its own time on the page it has passed: it is over, and not missing.
        if now.since(at) > max_age {
            return Ok(());
        }
        if self.found.len() == SERIES {
            return Err(format!("it has more than {SERIES} series; add labels to its selector"));
        }
        self.found.push(Element { labels, value: Value { number, at, window: None } });
        Ok(())
    }
}

fn in_lower_case(name: &str) -> Cow<'_, str> {
    if name.chars().any(char::is_uppercase) { Cow::Owned(name.to_lowercase()) } else { Cow::Borrowed(name) }
}
