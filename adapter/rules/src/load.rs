//! From a file's text to rules that work and problems that say what does not.

mod fields;
mod rule;

use self::fields::Fields;
use crate::{
    Config, Problem, Rule, RuleSet, Serves, Severity,
    yaml::{self, Node, Place, Value},
};

/// Reads a configuration file: the rules that work, and what is wrong with the others.
///
/// # Errors
/// Nothing of the file can be read.
pub fn load(text: &str, config: &Config) -> Result<(RuleSet, Vec<Problem>), Problem> {
    let root = yaml::read(text, config)?;
    let mut report =
        Report { source: text, problems: Vec::new(), place: String::new(), regexes_left: config.regexes };
    let mut set = RuleSet::default();
    let file_problem = |message: String| Problem {
        severity: Severity::Error,
        line: root.place.line,
        column: root.place.column,
        place: String::new(),
        message,
    };
    let entries = match &root.value {
        Value::Map(entries) => entries,
        Value::Null => {
            report.note(root.place, "the file has no rules".to_owned());
            return Ok((set, report.problems));
        }
        other => {
            return Err(file_problem(format!("the file is {}; write a map with rules: in it", other.noun())));
        }
    };
    if entries.iter().any(|(key, _)| key.text == "apiVersion") {
        let message =
            "this is a Kubernetes object; give the text that stands in its data (config.yaml of a ConfigMap)";
        return Err(file_problem(message.to_owned()));
    }
    let mut left = config.rules;
    for (key, node) in entries {
        match &*key.text {
            "rules" => set.custom = rules(node, Serves::Custom, config, &mut left, &mut report),
            "externalRules" => set.external = rules(node, Serves::External, config, &mut left, &mut report),
            "resourceRules" if matches!(node.value, Value::Null) => {}
            "resourceRules" => {
                report.place = "resourceRules".to_owned();
                let message =
                    "podgauge does not serve metrics.k8s.io; keep metrics-server for CPU and memory";
                report.note(key.place, message.to_owned());
            }
            other => {
                report.place.clear();
                let known = ["rules", "externalRules", "resourceRules"];
                report.error(key.place, fields::unknown(other, &known));
            }
        }
        report.place.clear();
    }
    Ok((set, report.problems))
}

/// Collects problems, each with the rule and field that it is about.
#[derive(Debug)]
struct Report<'s> {
    source: &'s str,
    problems: Vec<Problem>,
    place: String,
    regexes_left: usize,
}

// === impl Report ===

impl Report<'_> {
    fn error(&mut self, at: Place, message: String) {
        self.push(Severity::Error, at, message);
    }

    fn note(&mut self, at: Place, message: String) {
        self.push(Severity::Note, at, message);
    }

    fn push(&mut self, severity: Severity, at: Place, message: String) {
        let place = self.place.clone();
        self.problems.push(Problem { severity, line: at.line, column: at.column, place, message });
    }

    /// The place of the byte `at` of a text that stands at `place`. Exact for texts in one line without escapes and for
    /// literal blocks (`|`); of others, where they begin.
    fn inside(&self, place: Place, text: &str, at: usize) -> Place {
        let Some(before) = text.get(..at) else { return place };
        let line = |number: u64| {
            let number = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
            self.source.lines().nth(number).unwrap_or_default()
        };
        let column = usize::try_from(place.column.saturating_sub(1)).unwrap_or(usize::MAX);
        let written: String = line(place.line).chars().skip(column).collect();
        let chars = |text: &str| text.chars().count() as u64;
        if let Some(quote) = written.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let is_same = written.strip_prefix(quote).is_some_and(|inner| inner.starts_with(text));
            return if is_same { Place { column: place.column + 1 + chars(before), ..place } } else { place };
        }
        // A literal block begins at its first line, and each of its lines is a line of the file.
        if text.contains('\n') && text.lines().next().is_some_and(|first| written == first) {
            let number = place.line + before.matches('\n').count() as u64;
            let start = before.rfind('\n').map_or(0, |at| at + 1);
            return Place {
                line: number,
                column: place.column + chars(before.get(start..).unwrap_or_default()),
            };
        }
        if written.starts_with(text) {
            Place { column: place.column + chars(before), ..place }
        } else {
            place
        }
    }

    /// Counts regular expressions; false, and reported, when there are too many.
    fn count_regexes(&mut self, count: usize, at: Place, config: &Config) -> bool {
        let left = self.regexes_left.checked_sub(count);
        if left.is_none() {
            let most = config.regexes;
            self.error(
                at,
                format!("all rules together have more than {most} regular expressions; write fewer"),
            );
        }
        self.regexes_left = left.unwrap_or(0);
        left.is_some()
    }

    /// Does `what` for the field `name`, which problems then name.
    fn within<R>(&mut self, name: &str, what: impl FnOnce(&mut Self) -> R) -> R {
        let before = self.place.len();
        if before > 0 && !name.starts_with('[') {
            self.place.push('.');
        }
        self.place.push_str(name);
        let result = what(self);
        self.place.truncate(before);
        result
    }
}

/// The rules of one list that work.
fn rules(
    node: &Node,
    serves: Serves,
    config: &Config,
    left: &mut usize,
    report: &mut Report<'_>,
) -> Vec<Rule> {
    let list_name = match serves {
        Serves::Custom => "rules",
        Serves::External => "externalRules",
    };
    report.place = list_name.to_owned();
    let list = match &node.value {
        Value::List(list) => list,
        Value::Null => return Vec::new(),
        other => {
            report.error(
                node.place,
                format!(
                    "this is {}; write a list: a line \"- seriesQuery: ...\" for each rule",
                    other.noun()
                ),
            );
            return Vec::new();
        }
    };
    let mut rules = Vec::new();
    for (n, node) in list.iter().enumerate() {
        let Some(fewer) = left.checked_sub(1) else {
            let most = config.rules;
            report.error(
                node.place,
                format!("there are more than the {most} rules of --rules-limit; this one and those behind it are left out"),
            );
            break;
        };
        *left = fewer;
        let rule = report.within(&format!("[{n}]"), |report| {
            let fields = Fields::of(node, config, report)?;
            rule::compile(fields, serves, config, report)
        });
        rules.extend(rule);
    }
    rules
}
