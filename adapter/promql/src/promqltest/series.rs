//! Series as scripts write them: `name{label="value"} 1 2+3x4 _ stale`.

use crate::{Config, Labels, STALE, number::parse_number, parser, text::parse_text};

/// The values of a series at one step after another; `None` where there is none.
pub(super) type Points = Vec<Option<f64>>;

/// A series and its values, of which there may be `most`.
pub(super) fn parse(line: &str, config: &Config, most: usize) -> Result<(Labels, Points), String> {
    let (labels, points) = line.split_at_checked(labels_length(line)).unwrap_or((line, ""));
    let labels = parser::parse_labels(labels.trim(), config).map_err(|error| error.message)?;
    let mut values = Vec::new();
    for item in points.split_whitespace() {
        if item.starts_with("{{") {
            return Err("native histograms are not supported: {{...}}".to_owned());
        }
        let (first, increment, count) = parse_item(item).ok_or_else(|| {
            format!("{item:?} is no value; write 1.5, 1+2x3 (1 3 5 7), 1x3 (1 1 1 1), _, _x3 or stale")
        })?;
        if count > most.saturating_sub(values.len()) {
            return Err(format!("more than {most} values; load fewer"));
        }
        match first {
            None => values.extend(std::iter::repeat_n(None, count)),
            // A marker plus something would be any NaN.
            Some(first) if increment == 0.0 => values.extend(std::iter::repeat_n(Some(first), count)),
            Some(first) => values.extend((0..count).map(|step| Some(first + increment * step as f64))),
        }
    }
    Ok((labels, values))
}

/// A number with its sign.
pub(super) fn parse_signed(text: &str) -> Option<f64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let number = parse_number(digits)?;
    Some(if negative { -number } else { number })
}

/// The first value, by how much it grows, and how many values there are.
fn parse_item(item: &str) -> Option<(Option<f64>, f64, usize)> {
    let (values, times) = match item.rsplit_once('x') {
        Some((values, times)) => (values, Some(times.parse::<usize>().ok()?)),
        None => (item, None),
    };
    // The number says how many follow the first value, or how many are missing.
    let count = times.map_or(Some(1), |times| times.checked_add(1))?;
    if values == "_" {
        return Some((None, 0.0, times.unwrap_or(1)));
    }
    if values == "stale" {
        return Some((Some(STALE), 0.0, count));
    }
    if let Some(first) = parse_signed(values) {
        return Some((Some(first), 0.0, count));
    }
    // The sign that parts value and increment is not the first character, and does not belong to an exponent.
    let bytes = values.as_bytes();
    let at = (1..bytes.len()).find(|at| {
        let sign = matches!(bytes.get(*at), Some(b'+' | b'-'));
        sign && !matches!(bytes.get(at - 1), Some(b'e' | b'E'))
    })?;
    times?;
    let (first, increment) = values.split_at_checked(at)?;
    Some((Some(parse_signed(first)?), parse_signed(increment)?, count))
}

/// How many bytes of a line are its labels: up to the closing brace, or to the first blank.
fn labels_length(line: &str) -> usize {
    let mut at = 0;
    let mut in_braces = false;
    while let Some(char) = line.get(at..).and_then(|rest| rest.chars().next()) {
        match char {
            '"' | '\'' | '`' => match parse_text(line.get(at..).unwrap_or_default()) {
                Ok((_, length)) => {
                    at += length;
                    continue;
                }
                Err(_) => return line.len(),
            },
            '{' => in_braces = true,
            '}' => return at + 1,
            ' ' | '\t' if !in_braces => {
                // A blank may stand between the name and the braces.
                let rest = line.get(at..).unwrap_or_default();
                if !rest.trim_start().starts_with('{') || rest.trim_start().starts_with("{{") {
                    return at;
                }
            }
            _ => {}
        }
        at += char.len_utf8();
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read() {
        let check = |line: &str, labels: &str, points: &[Option<f64>]| {
            let (got_labels, got) = parse(line, &Config::default(), 100).unwrap();
            assert_eq!(got_labels.to_string(), labels, "{line}");
            let bits =
                |points: &[Option<f64>]| points.iter().map(|p| p.map(f64::to_bits)).collect::<Vec<_>>();
            assert_eq!(bits(&got), bits(points), "{line}");
        };
        check("m 1 2", "m", &[Some(1.0), Some(2.0)]);
        check("m", "m", &[]);
        check("{} 1", "{}", &[Some(1.0)]);
        check(r#"m{a="} 1", b='x y'} 1x2"#, r#"m{a="} 1", b="x y"}"#, &[Some(1.0); 3]);
        check(r#"m {a="b"} 7"#, r#"m{a="b"}"#, &[Some(7.0)]);
        check(r#"{"odd name", a="b"} 7"#, r#"{"odd name", a="b"}"#, &[Some(7.0)]);
        check("m -2+4x2", "m", &[Some(-2.0), Some(2.0), Some(6.0)]);
        check("m 1-2x2", "m", &[Some(1.0), Some(-1.0), Some(-3.0)]);
        check("m 1e-1+1e-1x1", "m", &[Some(0.1), Some(0.2)]);
        check("m _ _x2 stale", "m", &[None, None, None, Some(STALE)]);
        check(
            "m 0x2 Inf -Inf",
            "m",
            &[Some(0.0), Some(0.0), Some(0.0), Some(f64::INFINITY), Some(f64::NEG_INFINITY)],
        );
        check("m NaN", "m", &[Some(f64::NAN)]);
    }

    #[test]
    fn what_is_no_series_says_why() {
        let check = |line: &str, want: &str| {
            let error = parse(line, &Config::default(), 100).unwrap_err();
            assert!(error.contains(want), "{line}: {error}");
        };
        check("m 1+", "is no value");
        check("m 1+2", "is no value");
        check("m x", "is no value");
        check("m 1x-1", "is no value");
        check("m 0x100", "more than 100 values");
        check("m 0x99999999999999999999", "is no value");
        check("m {{count:1}}", "native histograms are not supported");
        check(r#"m{a=~"b"} 1"#, "is no label");
        check(r#"m{a="b" 1"#, "should be");
        check(r#"m{a="b} 1"#, "quote");
    }
}
