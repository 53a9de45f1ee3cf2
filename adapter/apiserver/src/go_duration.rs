//! Durations as Go writes them: `1m30s`, `500ms`, `0`.

use std::time::Duration;

/// Parses `time.ParseDuration`'s grammar.
///
/// `None` when it does not follow the grammar, is negative, or is beyond what fits.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if unsigned == "0" {
        return Some(Duration::ZERO);
    }
    if unsigned.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, tail) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (unit, tail) = tail.split_at(tail.find(is_number).unwrap_or(tail.len()));
        if !number.contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let value: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(value * seconds).ok()?)?;
        rest = tail;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn grammar() {
        for (text, expected) in [
            ("0", Some(0)),
            ("+0", Some(0)),
            ("32s", Some(32_000)),
            ("1m0s", Some(60_000)),
            ("1h2m3.5s", Some(3_723_500)),
            ("500ms", Some(500)),
            (".5s", Some(500)),
            ("5.s", Some(5_000)),
            ("1500us", Some(1)),
            ("1500µs", Some(1)),
            ("", None),
            ("5", None),
            ("s", None),
            (".s", None),
            ("1..5s", None),
            ("-5s", None),
            ("5 s", None),
            ("zz", None),
            ("1d", None),
            ("1é", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(parse(text).map(|d| d.as_millis()), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[0-9.+\\-hmsnuµ\\PC]{0,20}") {
            let _ = parse(&text);
        }

        #[test]
        fn whole_milliseconds_come_back(ms in 0_u64..1 << 40) {
            let text = format!("{}h{}ms", ms / 3_600_000, ms % 3_600_000);
            prop_assert_eq!(parse(&text), Some(Duration::from_millis(ms)));
        }
    }
}
