//! What stands between braces: labels, and possibly the metric's name.

use std::{borrow::Cow, cmp::Ordering};

use memchr::memchr2;

use crate::{
    Limits,
    cursor::{Cursor, LABEL_NAME},
    reject::{Fault, Reason},
};

/// One label of a series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its value, without quotes and escapes; borrowed unless it had escapes.
    pub value: Cow<'a, str>,
}

/// What stood between two double quotes.
#[derive(Clone, Copy)]
pub(crate) struct Quoted<'a> {
    raw: &'a str,
    has_escapes: bool,
}

/// Reads the rest of a pair of braces, whose `{` was just read.
///
/// Appends the labels to `labels`, sorted by name, and gives the quoted metric name if there is one among them. On a
/// fault, what was appended means nothing.
pub(crate) fn braces<'a>(
    cursor: &mut Cursor<'a>,
    limits: &Limits,
    labels: &mut Vec<Label<'a>>,
) -> Result<Option<Cow<'a, str>>, Fault> {
    let first = labels.len();
    let mut metric_name = None;
    // Of labels as they stand; a name with escapes is left to sorting. No name is before the empty one.
    let mut sorted = true;
    let mut previous = "";
    loop {
        cursor.skip_blanks();
        if cursor.eat(b'}') {
            break;
        }
        let at = cursor.at();
        let is_quoted = cursor.eat(b'"');
        let name = if is_quoted { quoted(cursor, at)? } else { Quoted::plain(cursor.name(&LABEL_NAME)) };
        if name.raw.is_empty() {
            let reason = if cursor.is_at_end() { Reason::UnclosedBraces } else { Reason::LabelName };
            return Err(Fault { at, reason });
        }
        cursor.skip_blanks();
        if cursor.eat(b'=') {
            cursor.skip_blanks();
            let value_at = cursor.at();
            if !cursor.eat(b'"') {
                return Err(Fault { at: value_at, reason: Reason::UnquotedValue });
            }
            let value = quoted(cursor, value_at)?;
            let before = labels.len() - first;
            let label = Label { name: name.text(), value: value.text() };
            check(&label, before, limits).map_err(|reason| Fault { at, reason })?;
            labels.push(label);
            sorted &= is_before(previous, name.raw) && !name.has_escapes;
            previous = name.raw;
        } else if !is_quoted {
            return Err(Fault { at: cursor.at(), reason: Reason::NoEqualsSign });
        } else if metric_name.replace(name.text()).is_some() {
            return Err(Fault { at, reason: Reason::SecondMetricName });
        }
        cursor.skip_blanks();
        if !cursor.eat(b',') {
            if cursor.eat(b'}') {
                break;
            }
            return Err(Fault { at: cursor.at(), reason: Reason::UnclosedBraces });
        }
    }
    if !sorted {
        sort(labels.get_mut(first..).unwrap_or_default()).map_err(Fault::of_line)?;
    }
    Ok(metric_name)
}

/// Reads the rest of a quoted string, whose quote at `opened` was just read.
///
/// `\\`, `\"` and `\n` stand for one character; a backslash before anything else stands for itself, as in Prometheus.
#[inline]
pub(crate) fn quoted<'a>(cursor: &mut Cursor<'a>, opened: usize) -> Result<Quoted<'a>, Fault> {
    let unclosed = Fault { at: opened, reason: Reason::UnclosedQuote };
    let from = cursor.at();
    let mut has_escapes = false;
    loop {
        let rest = cursor.rest();
        let stop = memchr2(b'"', b'\\', rest).ok_or(unclosed)?;
        cursor.advance(stop);
        if rest.get(stop) == Some(&b'"') {
            break;
        }
        has_escapes = true;
        // The escaped character may have several bytes, of which the later ones are neither quote nor backslash. If
        // there is none, nothing is left to find a quote in.
        cursor.advance(2);
    }
    let raw = cursor.since(from);
    cursor.advance(1);
    Ok(Quoted { raw, has_escapes })
}

/// Undoes the escapes of a quoted string.
#[cold]
fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut characters = escaped.chars();
        match characters.next() {
            Some('n') => text.push('\n'),
            Some(character @ ('"' | '\\')) => text.push(character),
            Some(character) => text.extend(['\\', character]),
            None => text.push('\\'),
        }
        rest = characters.as_str();
    }
    text.push_str(rest);
    text
}

// === impl Quoted ===

impl<'a> Quoted<'a> {
    fn plain(raw: &'a str) -> Self {
        Self { raw, has_escapes: false }
    }

    /// What it stands for.
    pub(crate) fn text(self) -> Cow<'a, str> {
        if self.has_escapes { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }
}

#[inline]
fn check(label: &Label<'_>, before: usize, limits: &Limits) -> Result<(), Reason> {
    if before >= limits.labels {
        Err(Reason::TooManyLabels { limit: limits.labels })
    } else if label.name.len() > limits.label_name_bytes {
        Err(Reason::LabelNameTooLong { limit: limits.label_name_bytes })
    } else if label.value.len() > limits.label_value_bytes {
        Err(Reason::LabelValueTooLong { limit: limits.label_value_bytes })
    } else if label.name == "__name__" {
        Err(Reason::ReservedLabelName)
    } else {
        Ok(())
    }
}

/// Whether `a < b`. Nearly always the first bytes say so.
#[inline]
fn is_before(a: &str, b: &str) -> bool {
    match a.as_bytes().first().cmp(&b.as_bytes().first()) {
        Ordering::Less => true,
        Ordering::Equal => a < b,
        Ordering::Greater => false,
    }
}

fn sort(labels: &mut [Label<'_>]) -> Result<(), Reason> {
    labels.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let twice = labels.windows(2).any(|pair| matches!(pair, [a, b] if a.name == b.name));
    if twice { Err(Reason::DuplicateLabel) } else { Ok(()) }
}
