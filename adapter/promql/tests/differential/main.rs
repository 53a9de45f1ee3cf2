//! Random expressions, answered by podgauge-promql and by a real Prometheus over the same samples.
//!
//! Runs where `prometheus` and `promtool` are on PATH, which is required when `PODGAUGE_REQUIRE_PROMETHEUS` is set. The
//! expressions follow from a seed, so that a difference that was seen is seen again. The real one decides the dialect by its
//! version. Ties at the edge of topk and bottomk are broken differently, which is why only their values are compared.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod compare;
mod data;
mod expressions;
#[expect(dead_code, reason = "others let it scrape, and stop it")]
mod prometheus;

use podgauge_promql::{Config, Query};

use self::{compare::Verdict, expressions::Grammar, prometheus::Prometheus};

/// From which expressions follow unless `PODGAUGE_PROMQL_SEED` is another number.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// How many expressions are evaluated at an instant, and over a range.
const INSTANTS: usize = 4_000;
const RANGES: usize = 400;

#[test]
fn random_expressions_have_prometheus_answers() {
    let Some(real) = Prometheus::start(&data::page()) else {
        assert!(
            std::env::var_os("PODGAUGE_REQUIRE_PROMETHEUS").is_none(),
            "PODGAUGE_REQUIRE_PROMETHEUS is set, and prometheus or promtool is not on PATH; install Debian's prometheus"
        );
        eprintln!("skipped: prometheus and promtool are not on PATH");
        return;
    };
    let config = Config { dialect: real.dialect(), ..Config::default() };
    let source = data::source();
    // Another seed finds other differences.
    let seed = std::env::var("PODGAUGE_PROMQL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let mut grammar = Grammar::new(seed);
    let mut tally = Tally::default();
    for _ in 0..INSTANTS {
        let text = grammar.expression();
        let at_ms = data::START_MS + grammar.below(data::LENGTH_MS + 600_000);
        let ours = Query::parse(&text, &config).map_err(|error| error.to_string());
        let ours = ours.and_then(|query| query.instant(&source, at_ms).map_err(|error| error.to_string()));
        let theirs = real.instant(&text, at_ms);
        tally.count(&format!("{text}   at {at_ms}"), compare::instant(&text, ours, theirs));
    }
    for _ in 0..RANGES {
        let text = grammar.expression();
        let start_ms = data::START_MS + grammar.below(data::LENGTH_MS);
        let step_ms = 1_000 * (1 + grammar.below(120));
        let end_ms = start_ms + step_ms * grammar.below(20);
        let ours = Query::parse(&text, &config).map_err(|error| error.to_string());
        let ours = ours.and_then(|query| {
            query.range(&source, start_ms, end_ms, step_ms).map_err(|error| error.to_string())
        });
        let theirs = real.range(&text, start_ms, end_ms, step_ms);
        tally.count(
            &format!("{text}   from {start_ms} to {end_ms} step {step_ms}"),
            compare::range(&text, ours, theirs),
        );
    }
    eprintln!(
        "{} expressions: {} same answers that are not empty, {} empty, {} refused by both",
        INSTANTS + RANGES,
        tally.same,
        tally.empty,
        tally.refused
    );
    assert!(
        tally.different.is_empty(),
        "{} of {} expressions differ:\n{}",
        tally.different.len(),
        INSTANTS + RANGES,
        tally.different.iter().take(25).cloned().collect::<Vec<_>>().join("\n")
    );
    // A grammar that yields next to nothing would pass as well.
    assert!(tally.same > (INSTANTS + RANGES) / 2, "only {} answers were not empty", tally.same);
}

#[derive(Default)]
struct Tally {
    same: usize,
    empty: usize,
    refused: usize,
    different: Vec<String>,
}

impl Tally {
    fn count(&mut self, what: &str, verdict: Verdict) {
        match verdict {
            Verdict::Same => self.same += 1,
            Verdict::Empty => self.empty += 1,
            Verdict::Refused => self.refused += 1,
            Verdict::Different(how) => self.different.push(format!("{what}\n    {how}")),
        }
    }
}
