//! Durations as Prometheus writes them: `5m`, `1h30m`, `500ms`.

use std::fmt::Write as _;

/// The units from the longest to the shortest, in milliseconds. A year has 365 days.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration, in milliseconds: Prometheus counts nanoseconds in 64 bits.
pub(crate) const LONGEST_MS: i64 = i64::MAX / 1_000_000;

/// Reads a duration, in milliseconds. Units go from long to short, each at most once.
pub fn parse_duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total = 0_i64;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at_checked(digits)?;
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, more) = behind.split_at_checked(letters)?;
        let (_, millis) = units.find(|(name, _)| *name == unit)?;
        let part = number.parse::<i64>().ok()?.checked_mul(*millis)?;
        total = total.checked_add(part).filter(|total| *total <= LONGEST_MS)?;
        if more.is_empty() {
            return Some(total);
        }
        rest = more;
    }
}

/// Writes a duration of milliseconds, negative ones with a sign before them.
pub(crate) fn format_duration(millis: i64) -> String {
    let mut text = String::new();
    let mut rest = millis.unsigned_abs();
    if millis < 0 {
        text.push('-');
    }
    if rest == 0 {
        text.push_str("0s");
    }
    // Years and weeks read worse than days where they are no round number; days are exact always.
    for (unit, length) in UNITS.iter().skip(2) {
        let length = length.unsigned_abs();
        if rest >= length {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}{unit}", rest / length);
            rest %= length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_prometheus_writes() {
        let check = |text: &str, want: Option<i64>| assert_eq!(parse_duration(text), want, "{text:?}");
        check("5m", Some(300_000));
        check("1h30m", Some(5_400_000));
        check("1y2w3d4h5m6s7ms", Some(31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_706_007));
        check("0s", Some(0));
        check("500ms", Some(500));
        check("292y", Some(292 * 31_536_000_000));
        for wrong in
            ["", "5", "m", "5m1h", "5m5m", "1.5m", "5M", "-5m", "5m ", "293y", "99999999999999999999s", "5µs"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let check = |millis: i64, want: &str| {
            assert_eq!(format_duration(millis), want);
            assert_eq!(parse_duration(want.trim_start_matches('-')), Some(millis.abs()), "{want}");
        };
        check(0, "0s");
        check(90_000, "1m30s");
        check(-300_000, "-5m");
        check(694_861_001, "8d1h1m1s1ms");
    }
}
