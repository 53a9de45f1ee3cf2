//! The functions: their names, what they take, what they give; and the names that are known and not supported.

use crate::{
    eval::{date, math, over_time, rate, trend, window::Window},
    value::Type,
};

/// A function of PromQL.
#[derive(Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub arguments: &'static [Type],
    /// How many of the last arguments may be left out.
    pub optional: usize,
    /// Whether the last argument may be given any number of times, also none.
    pub variadic: bool,
    /// What it gives.
    pub returns: Type,
    pub(crate) body: Body,
}

/// How a function works.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// Each element's value by itself; the metric's name goes.
    Map(fn(f64) -> f64),
    /// The same over seconds since the epoch; of the instant itself without an argument.
    Date(fn(i64) -> f64),
    /// Each series' samples in a window; the metric's name goes.
    Window(fn(&Window<'_>) -> Option<f64>),
    /// As said.
    Special(Special),
}

/// Functions with rules of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMax,
    ClampMin,
    HistogramQuantile,
    LabelJoin,
    LabelReplace,
    LastOverTime,
    FirstOverTime,
    NativeHistogram,
    Pi,
    PredictLinear,
    QuantileOverTime,
    Round,
    Scalar,
    Sort,
    SortDesc,
    SortByLabel,
    SortByLabelDesc,
    Time,
    Timestamp,
    Vector,
}

// === impl Function ===

impl Function {
    /// The function of that name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        let at = FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok()?;
        FUNCTIONS.get(at)
    }

    /// All functions, by name.
    pub fn all() -> &'static [Self] {
        FUNCTIONS
    }

    /// Whether `name` is Prometheus' word for something that is not supported here: and what to write instead.
    pub(crate) fn unsupported(name: &str) -> Option<&'static str> {
        UNSUPPORTED.iter().find(|(known, _)| *known == name).map(|(_, instead)| *instead)
    }

    /// The type of the argument at `index`.
    pub(crate) fn argument(&self, index: usize) -> Option<Type> {
        let last = self.arguments.last().filter(|_| self.variadic);
        self.arguments.get(index).or(last).copied()
    }

    /// The least number of arguments.
    pub(crate) fn fewest(&self) -> usize {
        self.arguments.len() - self.optional - usize::from(self.variadic)
    }

    /// The greatest number of arguments, if there is one.
    pub(crate) fn most(&self) -> Option<usize> {
        (!self.variadic).then_some(self.arguments.len())
    }

    /// How it is called, for messages: `round(instant vector, [scalar])`.
    pub(crate) fn signature(&self) -> String {
        let required = self.arguments.len() - self.optional;
        let argument = |(index, of): (usize, &Type)| {
            let name = of.name();
            match (self.variadic && index + 1 == self.arguments.len(), index >= required) {
                (true, _) => format!("{name}..."),
                (_, true) => format!("[{name}]"),
                (_, false) => name.to_owned(),
            }
        };
        let arguments: Vec<String> = self.arguments.iter().enumerate().map(argument).collect();
        format!("{}({})", self.name, arguments.join(", "))
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn function(name: &'static str, arguments: &'static [Type], returns: Type, body: Body) -> Function {
    Function { name, arguments, optional: 0, variadic: false, returns, body }
}

const fn map(name: &'static str, body: fn(f64) -> f64) -> Function {
    function(name, &[Type::Vector], Type::Vector, Body::Map(body))
}

const fn date(name: &'static str, body: fn(i64) -> f64) -> Function {
    Function { optional: 1, ..function(name, &[Type::Vector], Type::Vector, Body::Date(body)) }
}

const fn window(name: &'static str, body: fn(&Window<'_>) -> Option<f64>) -> Function {
    function(name, &[Type::Matrix], Type::Vector, Body::Window(body))
}

const fn special(name: &'static str, arguments: &'static [Type], body: Special) -> Function {
    function(name, arguments, Type::Vector, Body::Special(body))
}

const V: Type = Type::Vector;
const M: Type = Type::Matrix;
const S: Type = Type::Scalar;
const T: Type = Type::Text;

/// By name, for the binary search.
static FUNCTIONS: &[Function] = &[
    map("abs", f64::abs),
    special("absent", &[V], Special::Absent),
    special("absent_over_time", &[M], Special::AbsentOverTime),
    map("acos", f64::acos),
    map("acosh", f64::acosh),
    map("asin", f64::asin),
    map("asinh", f64::asinh),
    map("atan", f64::atan),
    map("atanh", f64::atanh),
    window("avg_over_time", over_time::avg),
    map("ceil", f64::ceil),
    window("changes", over_time::changes),
    special("clamp", &[V, S, S], Special::Clamp),
    special("clamp_max", &[V, S], Special::ClampMax),
    special("clamp_min", &[V, S], Special::ClampMin),
    map("cos", f64::cos),
    map("cosh", f64::cosh),
    window("count_over_time", over_time::count),
    date("day_of_month", date::day_of_month),
    date("day_of_week", date::day_of_week),
    date("day_of_year", date::day_of_year),
    date("days_in_month", date::days_in_month),
    map("deg", f64::to_degrees),
    window("delta", rate::delta),
    window("deriv", trend::deriv),
    map("exp", f64::exp),
    special("first_over_time", &[M], Special::FirstOverTime),
    map("floor", f64::floor),
    special("histogram_avg", &[V], Special::NativeHistogram),
    special("histogram_count", &[V], Special::NativeHistogram),
    special("histogram_quantile", &[S, V], Special::HistogramQuantile),
    special("histogram_sum", &[V], Special::NativeHistogram),
    date("hour", date::hour),
    window("idelta", rate::idelta),
    window("increase", rate::increase),
    window("irate", rate::irate),
    Function { variadic: true, ..special("label_join", &[V, T, T, T], Special::LabelJoin) },
    special("label_replace", &[V, T, T, T, T], Special::LabelReplace),
    special("last_over_time", &[M], Special::LastOverTime),
    map("ln", f64::ln),
    map("log10", f64::log10),
    map("log2", f64::log2),
    window("max_over_time", over_time::max),
    window("min_over_time", over_time::min),
    date("minute", date::minute),
    date("month", date::month),
    function("pi", &[], Type::Scalar, Body::Special(Special::Pi)),
    special("predict_linear", &[M, S], Special::PredictLinear),
    window("present_over_time", over_time::present),
    special("quantile_over_time", &[S, M], Special::QuantileOverTime),
    map("rad", f64::to_radians),
    window("rate", rate::rate),
    window("resets", over_time::resets),
    Function { optional: 1, ..special("round", &[V, S], Special::Round) },
    function("scalar", &[V], Type::Scalar, Body::Special(Special::Scalar)),
    map("sgn", math::sgn),
    map("sin", f64::sin),
    map("sinh", f64::sinh),
    special("sort", &[V], Special::Sort),
    Function { variadic: true, ..special("sort_by_label", &[V, T], Special::SortByLabel) },
    Function { variadic: true, ..special("sort_by_label_desc", &[V, T], Special::SortByLabelDesc) },
    special("sort_desc", &[V], Special::SortDesc),
    map("sqrt", f64::sqrt),
    window("stddev_over_time", over_time::stddev),
    window("stdvar_over_time", over_time::stdvar),
    window("sum_over_time", over_time::sum),
    map("tan", f64::tan),
    map("tanh", f64::tanh),
    function("time", &[], Type::Scalar, Body::Special(Special::Time)),
    special("timestamp", &[V], Special::Timestamp),
    special("vector", &[S], Special::Vector),
    date("year", date::year),
];

/// Names of Prometheus' that are not supported: each with what to write instead, as the end of a sentence.
static UNSUPPORTED: &[(&str, &str)] = &[
    ("double_exponential_smoothing", "it is experimental; use deriv, predict_linear or avg_over_time"),
    ("end", "write @ end() behind a selector"),
    (
        "histogram_fraction",
        "divide the rate of the bucket by the rate of the count: rate(x_bucket{le=\"...\"}[5m])",
    ),
    ("histogram_quantiles", "it is experimental; write histogram_quantile once for each quantile"),
    ("histogram_stddev", "it works on native histograms alone, which pages in text do not have"),
    ("histogram_stdvar", "it works on native histograms alone, which pages in text do not have"),
    ("holt_winters", "Prometheus 3 has it no more; use deriv, predict_linear or avg_over_time"),
    ("info", "it is experimental; write * on (...) group_left (...) target_info"),
    ("limit_ratio", "it is experimental; choose series by their labels"),
    ("limitk", "it is experimental; use topk or bottomk, or choose series by their labels"),
    ("mad_over_time", "it is experimental; use stddev_over_time or quantile_over_time"),
    ("max_of", "it is experimental; use clamp_min"),
    ("min_of", "it is experimental; use clamp_max"),
    ("range", "it is experimental; write the range itself"),
    ("start", "write @ start() behind a selector"),
    ("start_timestamp", "it is experimental; pages' start times are not kept"),
    ("step", "it is experimental; write the step itself"),
    ("ts_of_first_over_time", "it is experimental; use min_over_time(timestamp(x)[5m:15s])"),
    ("ts_of_last_over_time", "it is experimental; use timestamp"),
    ("ts_of_max_over_time", "it is experimental; only max_over_time, the value itself, is supported"),
    ("ts_of_min_over_time", "it is experimental; only min_over_time, the value itself, is supported"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        for function in FUNCTIONS {
            assert_eq!(Function::find(function.name), Some(function));
            assert!(Function::unsupported(function.name).is_none(), "{}", function.name);
        }
    }

    #[test]
    fn signatures_say_what_may_be_left_out() {
        let check = |name: &str, want: &str| {
            assert_eq!(Function::find(name).map(Function::signature).as_deref(), Some(want))
        };
        check("time", "time()");
        check("round", "round(instant vector, [scalar])");
        check("label_join", "label_join(instant vector, string, string, string...)");
    }
}
