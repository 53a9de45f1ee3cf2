//! Names without rules: what a metric's name means on a given page.
//!
//! | asked for | answered |
//! |---|---|
//! | `F`, a name on the page | its newest value, summed over the series |
//! | `X_per_second`, with a counter `X_total` or `X` | its rate |
//! | `F_per_second`, with a histogram or summary `F` | observations per second |
//! | `F_avg`, with a histogram or summary `F` | the mean of the observations |
//! | `F_p50`, `F_p90`, `F_p95`, `F_p99`, with a histogram `F` | that quantile of the observations |
//!
//! A name that the page really has wins over a derived one.

use std::{cell::RefCell, ops::ControlFlow, rc::Rc, sync::Arc};

use podgauge_store::{Kind, Layout};

/// What to do with which series of a layout. Series are ids of that layout.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plan {
    /// Add up the newest values.
    Sum(Box<[u32]>),
    /// Add up the rates.
    Rate(Box<[u32]>),
    /// Divide the rise of the sums by the rise of the counts.
    Mean { sums: Box<[u32]>, counts: Box<[u32]> },
    /// Find the quantile in the rises of the buckets.
    Quantile { quantile: f64, buckets: Box<[u32]> },
}

/// A layout that was looked at, and what was found.
type Looked = (Arc<Layout>, Option<Rc<Plan>>);

/// A metric's name, and what it means on the pages that were looked at last: the pods of a workload share a layout, so
/// that a name is looked up once for all of them.
#[derive(Debug)]
pub(crate) struct Metric<'a> {
    /// The name.
    pub(crate) name: &'a str,
    last: RefCell<Option<Looked>>,
}

// === impl Metric ===

impl<'a> Metric<'a> {
    pub(crate) fn new(name: &'a str) -> Self {
        Self { name, last: RefCell::default() }
    }

    /// What it means on a page of this layout; `None` if nothing.
    pub(crate) fn plan(&self, layout: &Arc<Layout>) -> Option<Rc<Plan>> {
        let mut last = self.last.borrow_mut();
        match &*last {
            Some((known, plan)) if Arc::ptr_eq(known, layout) => plan.clone(),
            _ => {
                let plan = resolve(layout, self.name).map(Rc::new);
                *last = Some((Arc::clone(layout), plan.clone()));
                plan
            }
        }
    }
}

/// How an object that stands for many pods puts their values together, if not by adding them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Across {
    Min,
    Max,
    Avg,
}

const PER_SECOND: &str = "_per_second";
const AVG: &str = "_avg";
const QUANTILES: [(&str, f64); 4] = [("_p50", 0.5), ("_p90", 0.9), ("_p95", 0.95), ("_p99", 0.99)];
const ACROSS: [(&str, Across); 3] = [("_min", Across::Min), ("_max", Across::Max), ("_avg", Across::Avg)];

/// What `metric` means on a page of this layout; `None` if nothing.
pub(crate) fn resolve(layout: &Layout, metric: &str) -> Option<Plan> {
    if let Some(name) = layout.name(metric) {
        return Some(Plan::Sum(name.series.into()));
    }
    if let Some(base) = metric.strip_suffix(PER_SECOND) {
        let counter = || of_kind(layout, &format!("{base}_total"), Kind::Counter);
        let plain = || of_kind(layout, base, Kind::Counter);
        let count = || of_kind(layout, &format!("{base}_count"), Kind::Count);
        return counter().or_else(plain).or_else(count).map(Plan::Rate);
    }
    if let Some(base) = metric.strip_suffix(AVG) {
        let sums = of_kind(layout, &format!("{base}_sum"), Kind::Sum)?;
        let counts = of_kind(layout, &format!("{base}_count"), Kind::Count)?;
        return Some(Plan::Mean { sums, counts });
    }
    QUANTILES.iter().find_map(|(suffix, quantile)| {
        let base = metric.strip_suffix(suffix)?;
        let buckets = of_kind(layout, &format!("{base}_bucket"), Kind::Bucket)?;
        Some(Plan::Quantile { quantile: *quantile, buckets })
    })
}

/// Splits `F_min`, `F_max` and `F_avg` into `F` and how to put pods together.
pub(crate) fn split_across(metric: &str) -> Option<(&str, Across)> {
    ACROSS.iter().find_map(|(suffix, across)| Some((metric.strip_suffix(suffix)?, *across)))
}

/// Calls `found` with every name that a page of this layout answers to, real ones and derived ones, until it
/// breaks off.
pub(crate) fn each_answered(
    layout: &Layout,
    mut found: impl FnMut(&str) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut derived = String::new();
    for name in layout.names() {
        found(name.text)?;
        let (base, suffixes): (_, &[&str]) = match name.kind {
            Kind::Counter => (name.text.strip_suffix("_total").unwrap_or(name.text), &[PER_SECOND]),
            Kind::Count => (name.text.strip_suffix("_count").unwrap_or(name.text), &[PER_SECOND, AVG]),
            Kind::Bucket => {
                (name.text.strip_suffix("_bucket").unwrap_or(name.text), &["_p50", "_p90", "_p95", "_p99"])
            }
            Kind::Gauge | Kind::Sum | Kind::Quantile => continue,
        };
        for suffix in suffixes {
            derived.clear();
            derived.push_str(base);
            derived.push_str(suffix);
            if layout.name(&derived).is_none() && resolve(layout, &derived).is_some() {
                found(&derived)?;
            }
        }
    }
    ControlFlow::Continue(())
}

fn of_kind(layout: &Layout, name: &str, kind: Kind) -> Option<Box<[u32]>> {
    layout.name(name).filter(|name| name.kind == kind).map(|name| name.series.into())
}

#[cfg(test)]
mod tests {
    use podgauge_store::LayoutBuilder;

    use super::*;

    fn layout() -> Layout {
        let mut layout = LayoutBuilder::default();
        let none: [(&str, &str); 0] = [];
        layout.push("messages", Kind::Gauge, none); // 0
        layout.push("http_requests_total", Kind::Counter, [("code", "200")]); // 1
        layout.push("http_requests_total", Kind::Counter, [("code", "500")]); // 2
        layout.push("ticks", Kind::Counter, none); // 3
        layout.push("wait_seconds_bucket", Kind::Bucket, [("le", "1")]); // 4
        layout.push("wait_seconds_bucket", Kind::Bucket, [("le", "+Inf")]); // 5
        layout.push("wait_seconds_sum", Kind::Sum, none); // 6
        layout.push("wait_seconds_count", Kind::Count, none); // 7
        layout.push("rpc_seconds", Kind::Quantile, [("quantile", "0.5")]); // 8
        layout.push("rpc_seconds_sum", Kind::Sum, none); // 9
        layout.push("rpc_seconds_count", Kind::Count, none); // 10
        layout.push("wait_seconds_p99", Kind::Gauge, none); // 11: a real name that looks derived
        layout.push("jobs_count", Kind::Gauge, none); // 12: no histogram
        layout.build()
    }

    #[test]
    fn names_mean() {
        let layout = layout();
        let check = |metric: &str, want: Option<Plan>| assert_eq!(resolve(&layout, metric), want, "{metric}");
        check("messages", Some(Plan::Sum([0].into())));
        check("http_requests_total", Some(Plan::Sum([1, 2].into())));
        check("http_requests_per_second", Some(Plan::Rate([1, 2].into())));
        check("http_requests_total_per_second", Some(Plan::Rate([1, 2].into())));
        check("ticks_per_second", Some(Plan::Rate([3].into())));
        check("wait_seconds_per_second", Some(Plan::Rate([7].into())));
        check("wait_seconds_avg", Some(Plan::Mean { sums: [6].into(), counts: [7].into() }));
        check("wait_seconds_p95", Some(Plan::Quantile { quantile: 0.95, buckets: [4, 5].into() }));
        check("wait_seconds_p99", Some(Plan::Sum([11].into())));
        check("rpc_seconds", Some(Plan::Sum([8].into())));
        check("rpc_seconds_avg", Some(Plan::Mean { sums: [9].into(), counts: [10].into() }));
        check("rpc_seconds_per_second", Some(Plan::Rate([10].into())));
        for unknown in [
            "",
            "_per_second",
            "messages_per_second",
            "jobs_per_second",
            "jobs_avg",
            "rpc_seconds_p95",
            "p95",
        ] {
            check(unknown, None);
        }
    }

    #[test]
    fn a_name_means_what_it_means_on_each_layout() {
        let other = |kind| {
            let mut layout = LayoutBuilder::default();
            layout.push("first", Kind::Gauge, [("a", "b")]);
            layout.push("ticks", kind, [("a", "b")]);
            Arc::new(layout.build())
        };
        let (first, second, none) = (Arc::new(layout()), other(Kind::Counter), other(Kind::Gauge));
        let metric = Metric::new("ticks_per_second");
        for _ in 0..2 {
            for layout in [&first, &first, &second, &second, &none, &none] {
                assert_eq!(metric.plan(layout).as_deref(), resolve(layout, metric.name).as_ref());
            }
        }
    }

    #[test]
    fn lists_what_it_answers() {
        let layout = layout();
        let mut names = Vec::new();
        let all = each_answered(&layout, |name| {
            names.push(name.to_owned());
            ControlFlow::Continue(())
        });
        assert_eq!(all, ControlFlow::Continue(()));
        names.sort();
        assert_eq!(
            names,
            [
                "http_requests_per_second",
                "http_requests_total",
                "jobs_count",
                "messages",
                "rpc_seconds",
                "rpc_seconds_avg",
                "rpc_seconds_count",
                "rpc_seconds_per_second",
                "rpc_seconds_sum",
                "ticks",
                "ticks_per_second",
                "wait_seconds_avg",
                "wait_seconds_bucket",
                "wait_seconds_count",
                "wait_seconds_p50",
                "wait_seconds_p90",
                "wait_seconds_p95",
                "wait_seconds_p99",
                "wait_seconds_per_second",
                "wait_seconds_sum",
            ]
        );
        for name in names {
            assert!(resolve(&layout, &name).is_some(), "{name} is listed but not answered");
        }
    }

    #[test]
    fn across_pods() {
        assert_eq!(split_across("messages_max"), Some(("messages", Across::Max)));
        assert_eq!(split_across("a_avg_min"), Some(("a_avg", Across::Min)));
        assert_eq!(split_across("messages"), None);
    }
}
