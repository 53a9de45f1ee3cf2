//! One line: a sample or a `# TYPE` line.

use std::borrow::Cow;

use crate::{
    FamilyType, Format, Label, Limits,
    cursor::{Cursor, METRIC_NAME},
    labels, number,
    reject::{Fault, Reason},
    timestamp,
};

/// A line that means something, borrowed from its page.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    /// A sample.
    Sample(SampleLine<'a>),
    /// A `# TYPE` line.
    Type {
        /// The family's name.
        name: Cow<'a, str>,
        /// The family's type.
        kind: FamilyType,
    },
    /// `# EOF` on a page of OpenMetrics.
    Eof,
}

/// What a line says about one sample. Its labels are where the scanner was told to put them.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleLine<'a> {
    /// The series as it stands on the line, from the name to the closing brace.
    pub series: &'a str,
    /// The metric's name.
    pub name: Cow<'a, str>,
    /// The value.
    pub value: f64,
    /// The sample's own time in milliseconds since 1970, if the line has one.
    pub timestamp_ms: Option<i64>,
    /// Bytes of the line before the value.
    pub(crate) value_at: usize,
}

/// Reads a line that is not a comment.
///
/// Appends the labels to `labels`. On a fault, what was appended means nothing.
pub(crate) fn sample<'a>(
    line: &'a str,
    format: Format,
    limits: &Limits,
    labels: &mut Vec<Label<'a>>,
) -> Result<SampleLine<'a>, Fault> {
    let mut cursor = Cursor::new(line);
    cursor.skip_blanks();
    let from = cursor.at();
    let bare = cursor.name(&METRIC_NAME);
    if bare.is_empty() && cursor.peek() != Some(b'{') {
        return Err(Fault { at: from, reason: Reason::MetricName });
    }
    let mut series = cursor.since(from);
    cursor.skip_blanks();
    let mut name = None;
    if cursor.eat(b'{') {
        name = labels::braces(&mut cursor, limits, labels)?;
        series = cursor.since(from);
        cursor.skip_blanks();
    }
    let name = match (bare, name) {
        ("", None) => return Err(Fault { at: from, reason: Reason::NoMetricName }),
        ("", Some(quoted)) => quoted,
        (bare, None) => Cow::Borrowed(bare),
        (_, Some(_)) => return Err(Fault { at: from, reason: Reason::SecondMetricName }),
    };
    let value_at = cursor.at();
    let value = value(&mut cursor)?;
    let timestamp_ms = tail(&mut cursor, format, limits)?;
    Ok(SampleLine { series, name, value, timestamp_ms, value_at })
}

/// Reads what may follow a value: a timestamp, a start timestamp, an exemplar. Gives the timestamp.
///
/// OpenMetrics' exemplars and start timestamps (`st@`, OpenMetrics 2) are checked and forgotten. They are taken on
/// pages of text, too: libraries write them for whoever asks, proxies change content types, and a line that has one
/// cannot be misread.
#[inline]
pub(crate) fn tail(cursor: &mut Cursor<'_>, format: Format, limits: &Limits) -> Result<Option<i64>, Fault> {
    cursor.skip_blanks();
    if cursor.is_at_end() { Ok(None) } else { long_tail(cursor, format, limits) }
}

/// Reads a line that starts with `#`; `None` if it is a comment.
pub(crate) fn comment(line: &str, format: Format) -> Result<Option<Line<'_>>, Fault> {
    let mut cursor = Cursor::new(line);
    cursor.skip_blanks();
    cursor.advance(1);
    let after_hash = cursor.at();
    cursor.skip_blanks();
    if cursor.at() == after_hash {
        return Ok(None);
    }
    match cursor.token() {
        "TYPE" => type_line(&mut cursor).map(Some),
        "EOF" if format == Format::OpenMetrics => {
            cursor.skip_blanks();
            Ok(cursor.is_at_end().then_some(Line::Eof))
        }
        _ => Ok(None),
    }
}

fn type_line<'a>(cursor: &mut Cursor<'a>) -> Result<Line<'a>, Fault> {
    cursor.skip_blanks();
    let at = cursor.at();
    let name = if cursor.eat(b'"') {
        labels::quoted(cursor, at)?.text()
    } else {
        Cow::Borrowed(cursor.name(&METRIC_NAME))
    };
    let after_name = cursor.at();
    cursor.skip_blanks();
    if name.is_empty() || cursor.at() == after_name {
        return Err(Fault { at, reason: Reason::Type });
    }
    let word_at = cursor.at();
    let kind = FamilyType::from_word(cursor.token());
    cursor.skip_blanks();
    match kind {
        Some(kind) if cursor.is_at_end() => Ok(Line::Type { name, kind }),
        _ => Err(Fault { at: word_at, reason: Reason::Type }),
    }
}

fn long_tail(cursor: &mut Cursor<'_>, format: Format, limits: &Limits) -> Result<Option<i64>, Fault> {
    let mut timestamp_ms = None;
    if cursor.peek() != Some(b'#') && !cursor.rest().starts_with(b"st@") {
        let at = cursor.at();
        let stamp = timestamp::parse(cursor.token(), format).map_err(|reason| Fault { at, reason })?;
        timestamp_ms = Some(stamp);
        cursor.skip_blanks();
    }
    if cursor.rest().starts_with(b"st@") {
        cursor.advance(3);
        seconds(cursor)?;
    }
    if cursor.eat(b'#') {
        exemplar(cursor, limits)?;
    }
    if cursor.is_at_end() {
        Ok(timestamp_ms)
    } else {
        Err(Fault { at: cursor.at(), reason: Reason::TrailingText })
    }
}

/// Reads what follows an exemplar's `#`: labels, a value and perhaps a timestamp.
fn exemplar(cursor: &mut Cursor<'_>, limits: &Limits) -> Result<(), Fault> {
    let after_hash = cursor.at();
    cursor.skip_blanks();
    let at = cursor.at();
    if at == after_hash || !cursor.eat(b'{') {
        return Err(Fault { at, reason: Reason::Exemplar });
    }
    if labels::braces(cursor, limits, &mut Vec::new())?.is_some() {
        return Err(Fault { at, reason: Reason::Exemplar });
    }
    cursor.skip_blanks();
    value(cursor)?;
    cursor.skip_blanks();
    if cursor.is_at_end() { Ok(()) } else { seconds(cursor) }
}

fn seconds(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let at = cursor.at();
    timestamp::seconds(cursor.token()).map_err(|reason| Fault { at, reason })?;
    cursor.skip_blanks();
    Ok(())
}

/// Reads a number that must end at a blank or with the line.
#[inline]
fn value(cursor: &mut Cursor<'_>) -> Result<f64, Fault> {
    let at = cursor.at();
    if cursor.is_at_end() {
        return Err(Fault { at, reason: Reason::NoValue });
    }
    let (value, length) = number::prefix(cursor.rest()).map_err(|reason| Fault { at, reason })?;
    cursor.advance(length);
    match cursor.peek() {
        None | Some(b' ' | b'\t') => Ok(value),
        Some(_) => Err(Fault { at, reason: Reason::Value }),
    }
}
