//! A second parser for the same pages: slow, allocating, and written to be seen to be right.
//!
//! It shares no code with the real one but the types of its results. A line is a list of characters, taken from the
//! front; whatever is wrong with a line is `None`. Limits are not its business.

use std::collections::BTreeMap;

use podgauge_exposition::{FamilyType, Format, Role};

/// A sample with everything that is known about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// As bits, so that NaN equals itself.
    pub(crate) value: u64,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) family: String,
    pub(crate) kind: FamilyType,
    pub(crate) role: Role,
}

/// The samples of a page and the lines that were rejected; `None` for a page that is refused.
pub(crate) fn parse(bytes: &[u8], format: Format) -> Option<(Vec<Sample>, Vec<u32>)> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut samples: Vec<(u32, Sample)> = Vec::new();
    let mut types: BTreeMap<String, FamilyType> = BTreeMap::new();
    let mut rejected = Vec::new();
    let mut ended = false;
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(text) = std::str::from_utf8(line) else {
            if ended {
                return None;
            }
            rejected.push(number);
            continue;
        };
        let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
        match words.first() {
            None => {}
            // A carriage return before the one that ends the line is blank enough for the end of a page.
            Some(_) if ended && text.chars().all(|c| " \t\r".contains(c)) => {}
            Some(_) if ended => return None,
            Some(&"#") => match words.get(1) {
                Some(&"TYPE") => match type_line(text) {
                    Some((name, kind)) => {
                        types.insert(name, kind);
                    }
                    None => rejected.push(number),
                },
                Some(&"EOF") if words.len() == 2 && format == Format::OpenMetrics => ended = true,
                _ => {}
            },
            Some(word) if word.starts_with('#') => {}
            Some(_) => match sample_line(text, format) {
                Some(sample) => samples.push((number, sample)),
                None => rejected.push(number),
            },
        }
    }
    if format == Format::OpenMetrics && !ended {
        return None;
    }
    let mut kept: Vec<Sample> = Vec::new();
    for (number, mut sample) in samples {
        if kept.iter().any(|other| other.name == sample.name && other.labels == sample.labels) {
            rejected.push(number);
            continue;
        }
        (sample.family, sample.kind, sample.role) = family(&sample, &types);
        kept.push(sample);
    }
    rejected.sort_unstable();
    Some((kept, rejected))
}

fn type_line(text: &str) -> Option<(String, FamilyType)> {
    let text = trim(trim(text).strip_prefix('#')?).strip_prefix("TYPE")?;
    let mut rest: Vec<char> = trim(text).chars().rev().collect();
    let name = if rest.last() == Some(&'"') { quoted(&mut rest)? } else { name(&mut rest, "_:") };
    if name.is_empty() || !matches!(rest.last(), Some(' ' | '\t')) {
        return None;
    }
    let word: String = rest.iter().rev().collect();
    let kind = match trim(&word).to_lowercase().as_str() {
        "counter" => FamilyType::Counter,
        "gauge" => FamilyType::Gauge,
        "histogram" => FamilyType::Histogram,
        "gaugehistogram" => FamilyType::GaugeHistogram,
        "summary" => FamilyType::Summary,
        "info" => FamilyType::Info,
        "stateset" => FamilyType::StateSet,
        "unknown" | "untyped" => FamilyType::Unknown,
        _ => return None,
    };
    Some((name, kind))
}

/// The characters of a line are kept in reverse, so that `pop` takes the next one.
fn sample_line(text: &str, format: Format) -> Option<Sample> {
    let mut rest: Vec<char> = text.chars().rev().collect();
    blanks(&mut rest);
    let mut names = vec![name(&mut rest, "_:")];
    blanks(&mut rest);
    let mut labels = BTreeMap::new();
    if rest.last() == Some(&'{') {
        rest.pop();
        braces(&mut rest, &mut labels, &mut names)?;
        blanks(&mut rest);
    }
    names.retain(|name| !name.is_empty());
    let [name] = names.as_slice() else { return None };

    let rest: String = rest.iter().rev().collect();
    let (fields, exemplar) = match rest.find('#') {
        Some(at) => (&rest[..at], Some(&rest[at..])),
        None => (rest.as_str(), None),
    };
    if exemplar.is_some() && !fields.ends_with([' ', '\t']) {
        return None;
    }
    let mut fields = fields.split([' ', '\t']).filter(|field| !field.is_empty()).peekable();
    let value = number(fields.next()?)?;
    let timestamp_ms = match fields.next_if(|field| !field.starts_with("st@")) {
        Some(field) if format == Format::Text => Some(millis(field)?),
        Some(field) => Some(seconds(field)?),
        None => None,
    };
    if let Some(field) = fields.next() {
        seconds(field.strip_prefix("st@")?)?;
    }
    if fields.next().is_some() {
        return None;
    }
    if let Some(exemplar) = exemplar {
        check_exemplar(exemplar)?;
    }
    Some(Sample {
        name: name.clone(),
        labels,
        value: value.to_bits(),
        timestamp_ms,
        family: String::new(),
        kind: FamilyType::Unknown,
        role: Role::Value,
    })
}

fn check_exemplar(text: &str) -> Option<()> {
    let text = text.strip_prefix("# ").or_else(|| text.strip_prefix("#\t"))?;
    let mut rest: Vec<char> = trim(text).strip_prefix('{')?.chars().rev().collect();
    let mut names = Vec::new();
    braces(&mut rest, &mut BTreeMap::new(), &mut names)?;
    if !names.is_empty() {
        return None;
    }
    let fields: String = rest.iter().rev().collect();
    let fields: Vec<&str> = fields.split([' ', '\t']).filter(|field| !field.is_empty()).collect();
    match fields.as_slice() {
        [value] => number(value).map(|_| ()),
        [value, time] => number(value).and(seconds(time)).map(|_| ()),
        _ => None,
    }
}

/// What follows `{`, up to and with `}`.
fn braces(
    rest: &mut Vec<char>,
    labels: &mut BTreeMap<String, String>,
    names: &mut Vec<String>,
) -> Option<()> {
    loop {
        blanks(rest);
        if rest.last() == Some(&'}') {
            rest.pop();
            return Some(());
        }
        let is_quoted = rest.last() == Some(&'"');
        let label = if is_quoted { quoted(rest)? } else { name(rest, "_") };
        if label.is_empty() {
            return None;
        }
        blanks(rest);
        if rest.last() == Some(&'=') {
            rest.pop();
            blanks(rest);
            let value = quoted(rest)?;
            if label == "__name__" || labels.insert(label, value).is_some() {
                return None;
            }
        } else if is_quoted {
            names.push(label);
        } else {
            return None;
        }
        blanks(rest);
        match rest.pop()? {
            ',' => {}
            '}' => return Some(()),
            _ => return None,
        }
    }
}

fn quoted(rest: &mut Vec<char>) -> Option<String> {
    if rest.pop()? != '"' {
        return None;
    }
    let mut text = String::new();
    loop {
        match rest.pop()? {
            '"' => return Some(text),
            '\\' => match rest.pop()? {
                'n' => text.push('\n'),
                '"' => text.push('"'),
                '\\' => text.push('\\'),
                other => text.extend(['\\', other]),
            },
            other => text.push(other),
        }
    }
}

fn name(rest: &mut Vec<char>, extra: &str) -> String {
    let mut name = String::new();
    while let Some(&next) = rest.last() {
        let fits =
            next.is_ascii_alphabetic() || extra.contains(next) || (next.is_ascii_digit() && !name.is_empty());
        if !fits {
            break;
        }
        name.push(next);
        rest.pop();
    }
    name
}

fn blanks(rest: &mut Vec<char>) {
    while matches!(rest.last(), Some(' ' | '\t')) {
        rest.pop();
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn number(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let spells_it = text.to_lowercase().contains("inf");
    let signed_nan = value.is_nan() && !text.starts_with(['n', 'N']);
    if signed_nan || (value.is_infinite() && !spells_it) {
        return None;
    }
    Some(if value.is_nan() { f64::NAN } else { value })
}

fn millis(text: &str) -> Option<i64> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// Seconds to milliseconds by moving the decimal point in the text.
fn seconds(text: &str) -> Option<i64> {
    // The standard library judges the grammar; words are the only thing that it takes and timestamps do not.
    text.parse::<f64>().ok()?;
    let lower = text.to_lowercase();
    if lower.contains('n') {
        return None;
    }
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let is_negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches(['-', '+']);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.bytes().all(|digit| digit == b'0') {
        return Some(0);
    }
    let point = whole.len() as i64 + exponent + 3;
    if point < 0 {
        return Some(0);
    }
    if point > 100 {
        return None;
    }
    let padded = format!("{digits:0<100}");
    let (kept, dropped) = padded.split_at(point as usize);
    let rounded: i128 = format!("0{kept}").parse::<i128>().ok()? + i128::from(dropped >= "5");
    i64::try_from(rounded).ok().map(|millis| if is_negative { -millis } else { millis })
}

fn family(sample: &Sample, types: &BTreeMap<String, FamilyType>) -> (String, FamilyType, Role) {
    let name = &sample.name;
    let has = |label: &str| sample.labels.contains_key(label);
    if let Some(&kind) = types.get(name) {
        let role = match kind {
            FamilyType::Counter => Role::Total,
            FamilyType::Unknown if name.ends_with("_total") => Role::Total,
            FamilyType::Summary if has("quantile") => Role::Quantile,
            FamilyType::Info => Role::Info,
            FamilyType::StateSet => Role::State,
            _ => Role::Value,
        };
        return (name.clone(), kind, role);
    }
    for (base, &kind) in types {
        let Some(suffix) = name.strip_prefix(base) else { continue };
        let role = match (kind, suffix) {
            (FamilyType::Histogram | FamilyType::GaugeHistogram, "_bucket") if has("le") => Role::Bucket,
            (FamilyType::Histogram | FamilyType::Summary, "_sum") => Role::Sum,
            (FamilyType::Histogram | FamilyType::Summary, "_count") => Role::Count,
            (FamilyType::GaugeHistogram, "_gsum") => Role::Sum,
            (FamilyType::GaugeHistogram, "_gcount") => Role::Count,
            (FamilyType::Counter | FamilyType::Histogram | FamilyType::Summary, "_created") => Role::Created,
            (FamilyType::Counter, "_total") => Role::Total,
            (FamilyType::Info, "_info") => Role::Info,
            _ => continue,
        };
        return (base.clone(), kind, role);
    }
    let role = if name.ends_with("_total") { Role::Total } else { Role::Value };
    (name.clone(), FamilyType::Unknown, role)
}
