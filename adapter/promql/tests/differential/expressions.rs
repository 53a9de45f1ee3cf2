//! Random expressions that are well typed, over the samples' names and labels.

use super::data::Random;

/// Functions from vector to vector whose answers are exact enough to compare, each with what stands behind the vector.
const MAPS: [(&str, &str); 22] = [
    ("abs", ""),
    ("ceil", ""),
    ("floor", ""),
    ("round", ""),
    ("round", ", 0.5"),
    ("sgn", ""),
    ("sqrt", ""),
    ("exp", ""),
    ("ln", ""),
    ("log2", ""),
    ("log10", ""),
    ("clamp", ", -2, 10"),
    ("clamp_min", ", 3"),
    ("clamp_max", ", 3"),
    ("deg", ""),
    ("rad", ""),
    ("atan", ""),
    ("tanh", ""),
    ("timestamp", ""),
    ("sort", ""),
    ("sort_desc", ""),
    ("ceil", " / 4"),
];

const OVER_RANGES: [&str; 21] = [
    "rate",
    "irate",
    "increase",
    "delta",
    "idelta",
    "deriv",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "last_over_time",
    "present_over_time",
    "changes",
    "resets",
    "rate",
    "increase",
    "absent_over_time",
    "rate",
];

pub(crate) struct Grammar(Random);

impl Grammar {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    pub(crate) fn below(&mut self, limit: i64) -> i64 {
        self.0.below(limit.unsigned_abs()) as i64
    }

    /// An expression that is a vector or a number.
    pub(crate) fn expression(&mut self) -> String {
        match self.0.below(12) {
            0 => self.scalar(3),
            1 => {
                let (op, by) = (self.one_of(&["topk", "bottomk"]), self.grouping());
                let k = 1 + self.0.below(4);
                format!("{op}{by}({k}, {})", self.vector(2))
            }
            _ => self.vector(3),
        }
    }

    fn vector(&mut self, depth: u64) -> String {
        if depth == 0 {
            return self.selector();
        }
        match self.0.below(16) {
            0 => self.selector(),
            1..=3 => {
                let function = self.one_of(&OVER_RANGES);
                format!("{function}({})", self.range(depth - 1))
            }
            4 => {
                let (quantile, range) = (self.quantile(), self.range(depth - 1));
                format!("quantile_over_time({quantile}, {range})")
            }
            // Before version 3, predict_linear of what @ fixes went wrong where there are several steps.
            5 => format!("predict_linear({}[{}], {})", self.name(), self.duration(), self.0.below(600)),
            6 | 7 => {
                let (function, behind) = MAPS[self.0.below(MAPS.len() as u64) as usize];
                format!("({function}({}{behind}))", self.vector(depth - 1))
            }
            8 | 9 => {
                let op = self.one_of(&["sum", "min", "max", "avg", "count", "group", "stddev", "stdvar"]);
                format!("{op}{}({})", self.grouping(), self.vector(depth - 1))
            }
            10 => {
                let (quantile, by) = (self.quantile(), self.grouping());
                format!("quantile{by}({quantile}, {})", self.vector(depth - 1))
            }
            11 => {
                let by = self.grouping();
                format!("count_values{by}(\"value\", {})", self.selector())
            }
            12 => {
                let (op, number) = (self.operator(), self.scalar(1));
                let vector = self.vector(depth - 1);
                if self.0.below(2) == 0 {
                    format!("({vector} {op} {number})")
                } else {
                    format!("({number} {op} {vector})")
                }
            }
            13 => self.matched(depth - 1),
            14 => match self.0.below(10) {
                // The calendar of NaN differs, so that it is asked about times alone.
                7 => {
                    let functions = [
                        "hour",
                        "minute",
                        "year",
                        "month",
                        "day_of_month",
                        "day_of_week",
                        "day_of_year",
                        "days_in_month",
                    ];
                    let (function, days) = (self.one_of(&functions), self.0.below(40_000));
                    format!("{function}(timestamp({}) - {days} * 86399)", self.selector())
                }
                0 => format!(
                    "label_replace({}, \"short\", \"$1\", \"pod\", \"[a-z]+-(.*)\")",
                    self.vector(depth - 1)
                ),
                1 => format!("label_join({}, \"both\", \"/\", \"job\", \"pod\")", self.vector(depth - 1)),
                8 => format!("({} % {})", self.selector(), self.one_of(&["4", "-2.5", "0"])),
                9 => format!("vector(scalar({}) atan2 3)", self.selector()),
                2 => format!("absent({})", self.vector(depth - 1)),
                3 => format!("-{}", self.selector()),
                4 => format!("vector({})", self.scalar(depth - 1)),
                _ => {
                    let quantile = self.quantile();
                    let inner = match self.0.below(3) {
                        0 => "seconds_bucket".to_owned(),
                        1 => format!("rate(seconds_bucket[{}])", self.duration()),
                        _ => format!("sum by (le) (increase(seconds_bucket[{}]))", self.duration()),
                    };
                    format!("histogram_quantile({quantile}, {inner})")
                }
            },
            _ => {
                let op = self.one_of(&["and", "or", "unless"]);
                let on = self.one_of(&["", " on (job)", " ignoring (pod)", " on (job, pod)", " on ()"]);
                format!("({} {op}{on} {})", self.vector(depth - 1), self.vector(depth - 1))
            }
        }
    }

    /// Two vectors that may meet.
    fn matched(&mut self, depth: u64) -> String {
        let op = self.operator();
        match self.0.below(6) {
            5 => format!("({} {op} on (job) {})", self.selector(), self.vector(depth)),
            0 => format!("(load {op} on (job, pod) requests_total)"),
            1 => format!(
                "({} {op} on (job) group_left (team) info)",
                self.one_of(&["load", "requests_total", "rate(load[2m])"])
            ),
            2 => format!("(info {op} on (job) group_right () {})", self.one_of(&["load", "requests_total"])),
            3 => format!("(sum by (job) ({}) {op} ignoring (team) info)", self.vector(depth)),
            _ => format!("({} {op} {})", self.vector(depth), self.vector(depth)),
        }
    }

    fn range(&mut self, depth: u64) -> String {
        if depth > 0 && self.0.below(5) == 0 {
            let step = self.one_of(&["", "15s", "1m", "7s", "20s"]);
            let shift = self.shift();
            return format!("({})[{}:{step}]{shift}", self.vector(depth - 1), self.duration());
        }
        let (name, duration) = (self.name(), self.duration());
        format!("{name}[{duration}]{}", self.shift())
    }

    fn selector(&mut self) -> String {
        let name = self.name();
        format!("{name}{}", self.shift())
    }

    fn name(&mut self) -> String {
        let name = self.one_of(&[
            "requests_total",
            "requests_total",
            "requests_total",
            "load",
            "load",
            "load",
            "seconds_bucket",
            "info",
            "steady",
        ]);
        if self.0.below(16) == 0 {
            return self
                .one_of(&[
                    "{__name__=~\"load|steady\"}",
                    "{__name__=~\"load|requests_.*\", pod!=\"\"}",
                    "once",
                    "missing",
                    "missing{job=\"api\", pod!=\"x\"}",
                ])
                .to_owned();
        }
        if name == "steady" {
            return name.to_owned();
        }
        let matchers = self.one_of(&[
            "",
            "",
            "",
            "",
            "",
            "",
            "{job=\"api\"}",
            "{job!=\"api\"}",
            "{pod=~\"web-[12]\"}",
            "{pod!~\".*-0\"}",
            "{pod=\"\"}",
            "{job=~\"api|web\", pod=~\".+[13]\"}",
        ]);
        format!("{name}{matchers}")
    }

    fn shift(&mut self) -> String {
        match self.0.below(10) {
            0 => format!(" offset {}", self.duration()),
            1 => format!(" offset -{}", self.duration()),
            2 => format!(" @ {}", 1_700_000_000 + self.0.below(3_600)),
            3 => self.one_of(&[" @ start()", " @ end()", " @ end() offset 1m"]).to_owned(),
            _ => String::new(),
        }
    }

    fn scalar(&mut self, depth: u64) -> String {
        match self.0.below(if depth == 0 { 3 } else { 6 }) {
            0 => "time()".to_owned(),
            1 | 2 => self.one_of(&["0", "1", "2.5", "-3", "10", "1e3", "NaN", "Inf"]).to_owned(),
            3 => format!("scalar({})", self.vector(depth - 1)),
            4 => format!("({} {} {})", self.scalar(depth - 1), self.arithmetic(), self.scalar(depth - 1)),
            _ => {
                let op = self.one_of(&["==", "!=", "<", ">", "<=", ">="]);
                format!("({} {op} bool {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
        }
    }

    fn operator(&mut self) -> &'static str {
        match self.0.below(2) {
            0 => self.arithmetic(),
            _ => self.one_of(&["==", "!=", "<", ">", "<=", ">=", "> bool", "<= bool", "== bool"]),
        }
    }

    fn arithmetic(&mut self) -> &'static str {
        // A remainder jumps where rounding differs, and atan2 kept the metric's name before version 3: both have a rule of
        // their own.
        self.one_of(&["+", "-", "*", "/", "^"])
    }

    fn grouping(&mut self) -> &'static str {
        self.one_of(&[
            "",
            " by (job) ",
            " by (pod, job) ",
            " without (pod) ",
            " without (le) ",
            " by (le) ",
            " by (__name__) ",
        ])
    }

    fn quantile(&mut self) -> &'static str {
        self.one_of(&["0", "0.25", "0.5", "0.9", "1", "1.5", "-1"])
    }

    fn duration(&mut self) -> &'static str {
        self.one_of(&["15s", "30s", "1m", "90s", "2m", "5m", "7m30s", "20m"])
    }

    fn one_of(&mut self, choices: &[&'static str]) -> &'static str {
        choices[self.0.below(choices.len() as u64) as usize]
    }
}
