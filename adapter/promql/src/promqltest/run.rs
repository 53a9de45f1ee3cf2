//! Commands to a report.

use std::collections::BTreeMap;

use super::{
    Failure, Messages, Options, Report,
    script::{Command, Eval, Expected, When, Words},
    series::Points,
};
use crate::{
    Answer, At, Expr, ExprKind, Labels, MemorySource, Point, Query, Sample, Series, Severity, Shift, Value,
    is_stale,
};

/// By how much of their sum two numbers may differ.
const TOLERANCE: f64 = 1e-6;

/// How far before and behind an instant the range query reaches that must agree with it.
const TWIN_STEP_MS: i64 = 60_000;

pub(super) fn run(commands: &[Command], options: &Options, report: &mut Report) {
    let mut source = MemorySource::default();
    for command in commands {
        match command {
            Command::Clear => source.clear(),
            Command::Load { step_ms, series } => {
                for (labels, points) in series {
                    load(&mut source, labels, points, *step_ms);
                }
            }
            Command::Eval(eval) => match check(eval, &source, options) {
                Ok(()) => report.passed += 1,
                Err(message) => {
                    report
                        .failures
                        .push(Failure { line: eval.line, message: format!("{}: {message}", eval.text) });
                }
            },
        }
    }
}

fn load(source: &mut MemorySource, labels: &Labels, points: &Points, step_ms: i64) {
    for (step, value) in (0_i64..).zip(points) {
        if let Some(value) = value {
            source.push(labels, Sample { t_ms: step.saturating_mul(step_ms), value: *value });
        }
    }
}

fn check(eval: &Eval, source: &MemorySource, options: &Options) -> Result<(), String> {
    let outcome = Query::parse(&eval.text, &options.config)
        .map_err(|error| vec![error.message.clone(), error.to_string()])
        .and_then(|query| {
            let answer = match eval.when {
                When::Instant(at) => query.instant(source, at),
                When::Range { start_ms, end_ms, step_ms } => query.range(source, start_ms, end_ms, step_ms),
            };
            let answer = answer.map_err(|error| vec![error.message.clone(), error.to_string()])?;
            Ok((query, answer))
        });
    let compares = options.messages == Messages::Compare;
    match outcome {
        Err(ways) => {
            let said = ways.last().cloned().unwrap_or_default();
            if eval.fails.is_empty() {
                return Err(format!("failed: {said}"));
            }
            let fits = !compares || eval.fails.iter().all(|words| words.match_any(&ways));
            if fits { Ok(()) } else { Err(format!("failed as expected, but with other words: {said}")) }
        }
        Ok(_) if !eval.fails.is_empty() => Err("gave an answer, and should have failed".to_owned()),
        Ok((query, answer)) => {
            check_notices(eval, &answer, compares)?;
            check_value(eval, &answer.value)?;
            match eval.when {
                When::Instant(at) => check_twin(&query, &answer.value, source, at),
                When::Range { .. } => Ok(()),
            }
        }
    }
}

fn check_notices(eval: &Eval, answer: &Answer, compares: bool) -> Result<(), String> {
    for (severity, name, expected, none) in [
        (Severity::Warning, "warning", &eval.warnings, eval.no_warning),
        (Severity::Info, "info", &eval.infos, eval.no_info),
    ] {
        let notices = answer.notices.iter().filter(|notice| notice.severity == severity);
        let ways: Vec<Vec<String>> = notices
            .map(|n| vec![n.message.clone(), format!("PromQL {name}: {}", n.message), n.to_string()])
            .collect();
        if let Some(said) = ways.iter().find_map(|ways| ways.last()).filter(|_| none) {
            return Err(format!("expected no {name}, but: {said}"));
        }
        if ways.is_empty() && !expected.is_empty() {
            return Err(format!("expected a {name}, but there is none"));
        }
        if expected.is_empty() || !compares {
            continue;
        }
        let missing = |words: &&Words| !ways.iter().any(|ways| words.match_any(ways));
        let other = ways.iter().find(|ways| !expected.iter().any(|words| words.match_any(ways)));
        if expected.iter().find(missing).is_some() || other.is_some() {
            return Err(format!("expected a {name} with other words than: {}", ways.concat().join(" | ")));
        }
    }
    Ok(())
}

fn check_value(eval: &Eval, value: &Value) -> Result<(), String> {
    match (&eval.expected, value) {
        (Expected::Scalar(want), Value::Scalar(got)) if near(*want, *got) => Ok(()),
        (Expected::Scalar(want), Value::Scalar(got)) => Err(format!("expected {want}, got {got}")),
        (Expected::Text(want), Value::Text(got)) if want == got => Ok(()),
        (Expected::Text(want), Value::Text(got)) => Err(format!("expected {want:?}, got {got:?}")),
        (Expected::Series(want), Value::Vector(got)) => check_vector(want, got, eval.ordered),
        (Expected::Series(want), Value::Matrix(got)) => {
            let steps = match (&eval.when, eval.range_vector) {
                (When::Range { start_ms, end_ms: _, step_ms }, _) => Some((*start_ms, *step_ms)),
                (When::Instant(_), Some((from_ms, _, step_ms))) => Some((from_ms, step_ms)),
                (When::Instant(_), None) => None,
            };
            let (from_ms, step_ms) =
                steps.ok_or("a range vector; write expect range vector before its values")?;
            check_matrix(want, got, from_ms, step_ms)
        }
        // One number, however many instants.
        (Expected::Scalar(want), Value::Matrix(got)) => {
            let all = got.iter().flat_map(|series| &series.samples);
            match all.map(|sample| sample.value).find(|value| !near(*want, *value)) {
                None => Ok(()),
                Some(got) => Err(format!("expected {want} at each step, got {got}")),
            }
        }
        (_, got) => Err(format!("expected a value of another kind than {got:?}")),
    }
}

fn check_vector(want: &[(Labels, Points)], got: &[Point], ordered: bool) -> Result<(), String> {
    let mut left: Vec<&Point> = got.iter().collect();
    for (labels, points) in want {
        let value = points.first().copied().flatten();
        let at = left.iter().position(|point| point.labels == *labels);
        let at = at.filter(|at| !ordered || *at == 0);
        let Some(at) = at else {
            let order = if ordered { " at its place" } else { "" };
            return Err(format!("expected {labels}{order}, which is not among {}", show(got)));
        };
        let point = left.remove(at);
        if !value.is_some_and(|value| near(value, point.value)) {
            return Err(format!("expected {labels} {}, got {}", show_value(value), point.value));
        }
    }
    match left.first() {
        None => Ok(()),
        Some(point) => Err(format!("got {} {}, which was not expected", point.labels, point.value)),
    }
}

fn check_matrix(want: &[(Labels, Points)], got: &[Series], from_ms: i64, step_ms: i64) -> Result<(), String> {
    let mut left: BTreeMap<&Labels, &Series> = got.iter().map(|series| (&series.labels, series)).collect();
    for (labels, points) in want {
        let Some(series) = left.remove(labels) else {
            return Err(format!("expected series {labels}, which is not there"));
        };
        let mut samples = series.samples.iter().peekable();
        for (step, value) in (0_i64..).zip(points) {
            let t_ms = from_ms.saturating_add(step.saturating_mul(step_ms));
            let sample = samples.next_if(|sample| sample.t_ms == t_ms).map(|sample| sample.value);
            let same = match (value, sample) {
                (Some(value), Some(sample)) => near(*value, sample),
                (value, sample) => value.is_none() && sample.is_none(),
            };
            if !same {
                let seconds = t_ms as f64 / 1_000.0;
                return Err(format!(
                    "expected {labels} {} at {seconds}s, got {}",
                    show_value(*value),
                    show_value(sample)
                ));
            }
        }
        if let Some(sample) = samples.next() {
            return Err(format!(
                "got {labels} {} at {}ms, which was not expected",
                sample.value, sample.t_ms
            ));
        }
    }
    match left.keys().next() {
        None => Ok(()),
        Some(labels) => Err(format!("got series {labels}, which was not expected")),
    }
}

/// Asks for the instant once more as the middle of a range, which must give the same elements in any order.
fn check_twin(query: &Query, value: &Value, source: &MemorySource, at_ms: i64) -> Result<(), String> {
    if names_ends(query.expr()) {
        return Ok(());
    }
    let (start, end) = (at_ms.saturating_sub(TWIN_STEP_MS), at_ms.saturating_add(TWIN_STEP_MS));
    // Another instant may well fail, or this query have no range.
    let Ok(Answer { value: Value::Matrix(matrix), .. }) = query.range(source, start, end, TWIN_STEP_MS)
    else {
        return Ok(());
    };
    let at_instant = |series: &Series| {
        let sample = series.samples.iter().find(|sample| sample.t_ms == at_ms)?;
        Some((series.labels.clone(), sample.value.to_bits()))
    };
    let twin: BTreeMap<Labels, u64> = matrix.iter().filter_map(at_instant).collect();
    let own: BTreeMap<Labels, u64> = match value {
        Value::Scalar(value) => [(Labels::empty(), value.to_bits())].into(),
        Value::Vector(points) => {
            points.iter().map(|point| (point.labels.clone(), point.value.to_bits())).collect()
        }
        Value::Text(_) | Value::Matrix(_) => return Ok(()),
    };
    if twin == own {
        Ok(())
    } else {
        Err(format!("a range query gives {twin:?} at this instant, and not {own:?}"))
    }
}

/// Whether the expression asks for the query's own start or end, which a range query moves.
fn names_ends(expr: &Expr) -> bool {
    let ends = |shift: &Shift| matches!(shift.at, Some(At::Start | At::End));
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Text(_) => false,
        ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => ends(&selector.shift),
        ExprKind::Subquery { operand, shift, .. } => ends(shift) || names_ends(operand),
        ExprKind::Unary { operand, .. } | ExprKind::Paren(operand) => names_ends(operand),
        ExprKind::Binary(binary) => names_ends(&binary.lhs) || names_ends(&binary.rhs),
        ExprKind::Aggregation(aggregation) => {
            names_ends(&aggregation.operand) || aggregation.parameter.as_deref().is_some_and(names_ends)
        }
        ExprKind::Call { arguments, .. } => arguments.iter().any(names_ends),
    }
}

/// Whether two numbers are the same but for rounding.
fn near(want: f64, got: f64) -> bool {
    if is_stale(want) || is_stale(got) {
        return is_stale(want) && is_stale(got);
    }
    if want == got || (want.is_nan() && got.is_nan()) {
        return true;
    }
    let difference = (want - got).abs();
    let size = want.abs() + got.abs();
    if want == 0.0 || got == 0.0 || size < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / size.min(f64::MAX) < TOLERANCE
}

fn show(points: &[Point]) -> String {
    let points: Vec<String> =
        points.iter().map(|point| format!("{} {}", point.labels, point.value)).collect();
    if points.is_empty() { "no series at all".to_owned() } else { points.join(", ") }
}

fn show_value(value: Option<f64>) -> String {
    value.map_or_else(|| "_".to_owned(), |value| value.to_string())
}
