//! Numbers as PromQL writes them.

/// Reads a number: decimal with exponent and underscores, `0x` hexadecimal, a leading zero for octal, `Inf`, `NaN`.
///
/// Without a sign. `None` when it is no number, or one that does not fit.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    if text.eq_ignore_ascii_case("inf") {
        return Some(f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let text = without_underscores(text)?;
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with(['+', '-'])).map(|n| n as f64);
    }
    // As in Go, from which Prometheus has it: a leading zero means octal where the digits allow it.
    if text.len() > 1 && text.starts_with('0') && text.bytes().all(|byte| matches!(byte, b'0'..=b'7')) {
        return i64::from_str_radix(&text, 8).ok().map(|n| n as f64);
    }
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A number as `count_values` writes it into a label: shortest decimal that reads back the same, never with an exponent.
pub(crate) fn plain(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    number.to_string()
}

/// A number as expressions write it.
pub(crate) fn format_number(number: f64) -> String {
    let size = number.abs();
    if number.is_infinite() || number.is_nan() || number == 0.0 || (1e-6..1e21).contains(&size) {
        return plain(number);
    }
    format!("{number:e}")
}

/// Underscores stand between digits alone, and mean nothing.
fn without_underscores(text: &str) -> Option<String> {
    let mut before = None;
    let mut chars = text.chars().peekable();
    let mut plain = String::with_capacity(text.len());
    while let Some(char) = chars.next() {
        if char == '_' {
            // 0x_1 is hexadecimal with an underscore behind its prefix.
            let prefix = matches!(before, Some('x' | 'X'));
            let digits = |char: Option<char>| char.is_some_and(|char| char.is_ascii_hexdigit());
            if !(prefix || digits(before)) || !digits(chars.peek().copied()) {
                return None;
            }
        } else {
            plain.push(char);
        }
        before = Some(char);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers() {
        let check = |text: &str, want: Option<f64>| assert_eq!(parse_number(text), want, "{text:?}");
        check("0", Some(0.0));
        check("42", Some(42.0));
        check(".5", Some(0.5));
        check("5.", Some(5.0));
        check("1e3", Some(1000.0));
        check("1.5E-1", Some(0.15));
        check("1_000_000", Some(1e6));
        check("0x1F", Some(31.0));
        check("0x_ff", Some(255.0));
        check("010", Some(8.0));
        check("09", Some(9.0));
        check("iNf", Some(f64::INFINITY));
        assert!(parse_number("NaN").is_some_and(f64::is_nan));
        for wrong in
            ["", "_1", "1_", "1__0", "1e", "0x", "0xg", "0x+1", "1.2.3", "1e999", "-1", "infinity", "5m", "."]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn writes_numbers() {
        let check = |number: f64, want: &str| assert_eq!(format_number(number), want);
        check(-1.5, "-1.5");
        check(1e300, "1e300");
        check(1e-9, "1e-9");
        check(-0.0, "-0");
        check(f64::NEG_INFINITY, "-Inf");
        assert_eq!(plain(1e22), "10000000000000000000000");
    }
}
