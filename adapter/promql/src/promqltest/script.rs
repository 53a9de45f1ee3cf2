//! Lines to commands.

use regex::Regex;

use super::{
    Failure, Options,
    series::{self, Points, parse_signed},
};
use crate::{Labels, parse_duration, text::parse_text};

pub(super) enum Command {
    Clear,
    Load { step_ms: i64, series: Vec<(Labels, Points)> },
    Eval(Eval),
}

pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) when: When,
    pub(super) expected: Expected,
    /// What the answer must be beside its value.
    pub(super) fails: Vec<Words>,
    pub(super) warnings: Vec<Words>,
    pub(super) infos: Vec<Words>,
    pub(super) no_warning: bool,
    pub(super) no_info: bool,
    pub(super) ordered: bool,
    /// The times that the samples of a range vector must have: from, to, step.
    pub(super) range_vector: Option<(i64, i64, i64)>,
}

pub(super) enum When {
    Instant(i64),
    Range { start_ms: i64, end_ms: i64, step_ms: i64 },
}

pub(super) enum Expected {
    Series(Vec<(Labels, Points)>),
    Scalar(f64),
    Text(String),
}

/// What a message must say.
pub(super) enum Words {
    Any,
    Exactly(String),
    Matching(Regex),
}

/// The commands of a script.
pub(super) fn parse(script: &str, options: &Options) -> Result<Vec<Command>, Failure> {
    let mut lines =
        script.lines().map(str::trim).enumerate().map(|(index, line)| (index + 1, line)).peekable();
    let mut commands = Vec::new();
    let mut room = options.config.bounds.samples;
    while let Some((line, text)) = lines.next() {
        if ends_block(text) {
            continue;
        }
        // What belongs to the command are the lines below it.
        let mut block = Vec::new();
        while let Some(line) = lines.next_if(|(_, text)| !ends_block(text)) {
            block.push(line);
        }
        let (word, rest) = split_word(text);
        commands.push(match word {
            "clear" if block.is_empty() => Command::Clear,
            "clear" => {
                // A command may follow without an empty line; it would be lost as a part of this one.
                return Err(failure(line + 1, "an empty line must follow clear".to_owned()));
            }
            "load" => parse_load(line, rest, &block, options, &mut room)?,
            "load_with_nhcb" => {
                let message =
                    "load_with_nhcb is not supported, for it makes native histograms; use load".to_owned();
                return Err(failure(line, message));
            }
            "eval" | "eval_fail" | "eval_warn" | "eval_info" | "eval_ordered" => {
                Command::Eval(parse_eval(line, word, rest, &block, options)?)
            }
            _ => {
                let message = format!("{word:?} is no command; there are load, eval and clear");
                return Err(failure(line, message));
            }
        });
    }
    Ok(commands)
}

fn parse_load(
    line: usize,
    step: &str,
    block: &[(usize, &str)],
    options: &Options,
    room: &mut usize,
) -> Result<Command, Failure> {
    let step_ms = parse_duration(step).filter(|step| *step > 0).ok_or_else(|| {
        failure(line, format!("load {step:?}: write the time from sample to sample as 30s or 5m"))
    })?;
    let mut loaded = Vec::new();
    for (line, text) in block {
        let (labels, points) =
            series::parse(text, &options.config, *room).map_err(|message| failure(*line, message))?;
        *room -= points.len();
        loaded.push((labels, points));
    }
    Ok(Command::Load { step_ms, series: loaded })
}

fn parse_eval(
    line: usize,
    word: &str,
    rest: &str,
    block: &[(usize, &str)],
    options: &Options,
) -> Result<Eval, Failure> {
    let (when, text) = parse_when(rest).map_err(|message| failure(line, message))?;
    let mut eval = Eval {
        line,
        text: text.to_owned(),
        when,
        expected: Expected::Series(Vec::new()),
        fails: Vec::new(),
        warnings: Vec::new(),
        infos: Vec::new(),
        no_warning: false,
        no_info: false,
        ordered: word == "eval_ordered",
        range_vector: None,
    };
    match word {
        "eval_fail" => eval.fails.push(Words::Any),
        "eval_warn" => eval.warnings.push(Words::Any),
        "eval_info" => eval.infos.push(Words::Any),
        _ => {}
    }
    let mut series = Vec::new();
    for (line, text) in block {
        let wrong = |message: String| failure(*line, message);
        if let Some(message) = text.strip_prefix("expected_fail_message") {
            eval.fails = vec![Words::Exactly(message.trim().to_owned())];
        } else if let Some(pattern) = text.strip_prefix("expected_fail_regexp") {
            eval.fails = vec![Words::Matching(regex(pattern).map_err(wrong)?)];
        } else if split_word(text).0 == "expect" {
            eval.expect(split_word(text).1).map_err(wrong)?;
        } else if let Some(number) = parse_signed(text) {
            eval.expected = Expected::Scalar(number);
        } else {
            let most = options.config.bounds.samples;
            let (labels, points) = series::parse(text, &options.config, most).map_err(wrong)?;
            if matches!(eval.when, When::Instant(_)) && eval.range_vector.is_none() && points.len() > 1 {
                return Err(wrong(
                    "an instant has one value; write expect range vector before several".to_owned(),
                ));
            }
            series.push((labels, points));
        }
    }
    if !series.is_empty() {
        eval.expected = Expected::Series(series);
    }
    Ok(eval)
}

// === impl Eval ===

impl Eval {
    /// Reads what stands behind `expect`.
    fn expect(&mut self, text: &str) -> Result<(), String> {
        let (what, rest) = split_word(text);
        let bare = || {
            if rest.is_empty() {
                Ok(true)
            } else {
                Err(format!("nothing follows expect {what}, but {rest:?} does"))
            }
        };
        match what {
            "fail" => self.fails.push(words(rest)?),
            "warn" => self.warnings.push(words(rest)?),
            "info" => self.infos.push(words(rest)?),
            "no_warn" => self.no_warning = bare()?,
            "no_info" => self.no_info = bare()?,
            "ordered" => self.ordered = bare()?,
            "string" => {
                let (value, length) =
                    parse_text(rest).map_err(|_| "expect string takes a quoted text".to_owned())?;
                if length < rest.len() {
                    return Err("something follows the text of expect string".to_owned());
                }
                self.expected = Expected::Text(value);
            }
            "range" => {
                let usage = || "write expect range vector from 0 to 1m step 30s".to_owned();
                let rest = rest.strip_prefix("vector").ok_or_else(usage)?;
                self.range_vector = Some(parse_steps(rest.trim()).ok_or_else(usage)?);
            }
            _ => {
                return Err(format!(
                    "expect {what} is not known; there are fail, warn, info, no_warn, no_info, ordered, \
                                     string and range vector"
                ));
            }
        }
        Ok(())
    }
}

// === impl Words ===

impl Words {
    /// Whether one of the ways to write a message is what was expected.
    pub(super) fn match_any(&self, ways: &[String]) -> bool {
        ways.iter().any(|way| match self {
            Self::Any => true,
            Self::Exactly(message) => way == message,
            Self::Matching(regex) => regex.is_match(way),
        })
    }
}

fn parse_when(text: &str) -> Result<(When, &str), String> {
    let usage =
        || "write eval instant at 5m EXPRESSION, or eval range from 0 to 5m step 30s EXPRESSION".to_owned();
    let (kind, rest) = split_word(text);
    match kind {
        "instant" => {
            let (word, at) = split_word(rest);
            if word != "at" {
                return Err(usage());
            }
            let (at, expression) = split_word(at);
            Ok((When::Instant(parse_time(at).ok_or_else(usage)?), expression))
        }
        "range" => {
            // Six words and the expression behind them.
            let mut expression = rest;
            for _ in 0..6 {
                expression = split_word(expression).1;
            }
            let steps = rest.get(..rest.len() - expression.len()).unwrap_or_default();
            let (start_ms, end_ms, step_ms) = parse_steps(steps.trim()).ok_or_else(usage)?;
            Ok((When::Range { start_ms, end_ms, step_ms }, expression))
        }
        _ => Err(usage()),
    }
}

/// `from 0 to 5m step 30s`
fn parse_steps(text: &str) -> Option<(i64, i64, i64)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["from", from, "to", to, "step", step] => {
            let step = parse_time(step).filter(|step| *step > 0)?;
            Some((parse_time(from)?, parse_time(to)?, step))
        }
        _ => None,
    }
}

/// A duration since the epoch, or a number of seconds, in milliseconds.
fn parse_time(text: &str) -> Option<i64> {
    if let Some(negative) = text.strip_prefix('-') {
        return parse_time(negative).map(|time| -time);
    }
    parse_duration(text).or_else(|| {
        let millis = parse_number_of_seconds(text)?;
        (millis.abs() < 1e15).then_some(millis as i64)
    })
}

fn parse_number_of_seconds(text: &str) -> Option<f64> {
    parse_signed(text).map(|seconds| (seconds * 1_000.0).round())
}

/// `msg: words`, `regex: pattern`, or nothing.
fn words(text: &str) -> Result<Words, String> {
    if text.is_empty() {
        return Ok(Words::Any);
    }
    if let Some(message) = text.strip_prefix("msg:") {
        return Ok(Words::Exactly(message.trim().to_owned()));
    }
    match text.strip_prefix("regex:") {
        Some(pattern) => Ok(Words::Matching(regex(pattern)?)),
        None => Err(format!("{text:?} is neither msg: WORDS nor regex: PATTERN")),
    }
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern.trim()).map_err(|_| format!("{:?} is no regular expression", pattern.trim()))
}

/// Empty lines and comments part commands.
fn ends_block(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn failure(line: usize, message: String) -> Failure {
    Failure { line, message }
}
