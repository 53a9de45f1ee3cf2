//! How far an expression looks.
//!
//! Each selector's reach follows from the expression alone: its range or the look-back, its offset, and the windows of the
//! subqueries around it. A store needs no more history than that, and only of the series that the selector means.

use std::time::Duration;

use crate::{
    Config, Matcher,
    ast::{At, Expr, ExprKind, Selector, Shift, Span},
};

/// What one selector of an expression needs to find.
#[derive(Clone, Debug, PartialEq)]
pub struct Reach {
    /// Which series.
    pub matchers: Vec<Matcher>,
    /// The one metric name that the matchers ask for, if there is one.
    pub metric_name: Option<String>,
    /// Where the selector stands.
    pub span: Span,
    /// How long before the instant of an evaluation samples are looked at.
    pub back: Duration,
    /// Whether each series' newest sample is enough: no range, no subquery, no offset into the past. A store that keeps
    /// nothing but newest samples can answer it.
    pub newest_alone: bool,
    /// The time that an `@` names, in milliseconds since the epoch: `back` counts from there and not from the evaluation's
    /// instant. A store that forgets will soon have nothing for it.
    pub at_ms: Option<i64>,
}

/// The instants of a query, both included, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instants {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
}

/// When a part of an expression is evaluated, and between when samples are looked at.
#[derive(Clone, Copy)]
struct Window {
    from_ms: i64,
    to_ms: i64,
    /// Whether it hangs on a time that the expression names.
    fixed: Option<i64>,
    /// Whether it is the instant of the evaluation itself.
    is_now: bool,
}

// === impl Instants ===

impl Instants {
    /// The time that an `@` means.
    pub(crate) fn resolve(self, at: At) -> i64 {
        match at {
            At::Time(ms) => ms,
            At::Start => self.first_ms,
            At::End => self.last_ms,
        }
    }
}

// === impl Window ===

impl Window {
    /// The window before, moved and made longer into the past.
    fn moved(self, shift: Shift, length_ms: i64, query: Instants) -> Self {
        let at = shift.at.map(|at| query.resolve(at));
        let fixed = match shift.at {
            Some(At::Time(ms)) => Some(ms),
            Some(At::Start | At::End) => None,
            None => self.fixed,
        };
        Self {
            from_ms: at.unwrap_or(self.from_ms).saturating_sub(shift.offset_ms).saturating_sub(length_ms),
            to_ms: at.unwrap_or(self.to_ms).saturating_sub(shift.offset_ms),
            fixed,
            is_now: (self.is_now || shift.at.is_some()) && shift.offset_ms <= 0,
        }
    }
}

/// From when to when, both included, each selector of `expr` looks in a query; in the order of the selectors.
pub(crate) fn windows(expr: &Expr, selectors: usize, query: Instants, config: &Config) -> Vec<(i64, i64)> {
    let mut windows = vec![(query.first_ms, query.last_ms); selectors];
    walk(expr, Window::of(query), query, config, &mut |selector, _, window, _| {
        if let Some(place) = windows.get_mut(selector.id) {
            *place = (window.from_ms, window.to_ms);
        }
    });
    windows
}

/// How far each selector of `expr` looks back from one instant.
pub(crate) fn reaches(expr: &Expr, config: &Config) -> Vec<Reach> {
    let mut reaches = Vec::new();
    let query = Instants { first_ms: 0, last_ms: 0 };
    walk(expr, Window::of(query), query, config, &mut |selector, span, window, is_range| {
        let back_ms = window.fixed.unwrap_or(0).saturating_sub(window.from_ms);
        reaches.push(Reach {
            matchers: selector.matchers.clone(),
            metric_name: selector.metric_name().map(str::to_owned),
            span,
            back: Duration::from_millis(u64::try_from(back_ms).unwrap_or(0)),
            newest_alone: window.is_now && !is_range && window.fixed.is_none(),
            at_ms: window.fixed,
        });
    });
    reaches
}

/// All selectors of `expr`, each with the expression that it is or belongs to.
pub(crate) fn selectors(expr: &Expr) -> Vec<(&Selector, &Expr)> {
    let mut found = Vec::new();
    // The tree's depth is bounded, and so is the stack of what is left to look at.
    let mut left = vec![expr];
    while let Some(expr) = left.pop() {
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::Text(_) => {}
            ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => found.push((selector, expr)),
            ExprKind::Subquery { operand, .. }
            | ExprKind::Unary { operand, .. }
            | ExprKind::Paren(operand) => {
                left.push(operand);
            }
            ExprKind::Binary(binary) => left.extend([&*binary.rhs, &*binary.lhs]),
            ExprKind::Aggregation(aggregation) => {
                left.push(&aggregation.operand);
                left.extend(aggregation.parameter.as_deref());
            }
            ExprKind::Call { arguments, .. } => left.extend(arguments.iter().rev()),
        }
    }
    found
}

impl Window {
    fn of(query: Instants) -> Self {
        Self { from_ms: query.first_ms, to_ms: query.last_ms, fixed: None, is_now: true }
    }
}

/// Shows `visit` each selector: where it stands, its window, and whether it takes a range.
fn walk(
    expr: &Expr,
    window: Window,
    query: Instants,
    config: &Config,
    visit: &mut dyn FnMut(&Selector, Span, Window, bool),
) {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Text(_) => {}
        ExprKind::Selector(selector) => {
            visit(selector, expr.span, window.moved(selector.shift, config.lookback_ms(), query), false);
        }
        ExprKind::Range { selector, range_ms } => {
            visit(selector, expr.span, window.moved(selector.shift, *range_ms, query), true);
        }
        ExprKind::Subquery { operand, range_ms, shift, .. } => {
            let inner = Window { is_now: false, ..window.moved(*shift, *range_ms, query) };
            walk(operand, inner, query, config, visit);
        }
        ExprKind::Unary { operand, .. } | ExprKind::Paren(operand) => {
            walk(operand, window, query, config, visit)
        }
        ExprKind::Binary(binary) => {
            walk(&binary.lhs, window, query, config, visit);
            walk(&binary.rhs, window, query, config, visit);
        }
        ExprKind::Aggregation(aggregation) => {
            if let Some(parameter) = &aggregation.parameter {
                walk(parameter, window, query, config, visit);
            }
            walk(&aggregation.operand, window, query, config, visit);
        }
        ExprKind::Call { arguments, .. } => {
            for argument in arguments {
                walk(argument, window, query, config, visit);
            }
        }
    }
}
