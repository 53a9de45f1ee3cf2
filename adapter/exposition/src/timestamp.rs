//! Timestamps, as milliseconds since 1970.

use crate::{Format, reject::Reason};

/// Reads a timestamp of `format`.
pub(crate) fn parse(token: &str, format: Format) -> Result<i64, Reason> {
    match format {
        Format::Text => milliseconds(token),
        Format::OpenMetrics => seconds(token),
    }
}

/// Whole milliseconds with an optional minus sign.
fn milliseconds(token: &str) -> Result<i64, Reason> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reason::Timestamp);
    }
    token.parse().map_err(|_| Reason::TimestampOutOfRange)
}

/// Seconds as a decimal number, also with an exponent: Go's OpenMetrics encoder writes `1.520879607789e+09`.
///
/// The decimal digits are shifted, not multiplied as a float, so that every whole millisecond comes out exact;
/// further digits are rounded, halves away from zero. (Prometheus multiplies a float by 1,000 and truncates, which
/// loses a millisecond now and then.)
pub(crate) fn seconds(token: &str) -> Result<i64, Reason> {
    let unsigned = token.strip_prefix(['-', '+']).unwrap_or(token);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, power(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = whole.len() + fraction.len();
    if digits == 0 || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err(Reason::Timestamp);
    }

    // So many digits belong to whole milliseconds; the one after them decides the rounding.
    let kept = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(exponent).saturating_add(3);
    let mut millis = 0_i64;
    for (position, byte) in (0_i64..).zip(whole.bytes().chain(fraction.bytes())) {
        let digit = i64::from(byte - b'0');
        if position < kept {
            millis = shift(millis)?.checked_add(digit).ok_or(Reason::TimestampOutOfRange)?;
        } else {
            if position == kept && digit >= 5 {
                millis = millis.checked_add(1).ok_or(Reason::TimestampOutOfRange)?;
            }
            break;
        }
    }
    // Zeros that the text left to its exponent. Zero stays zero however far it is shifted.
    let mut missing = kept.saturating_sub(i64::try_from(digits).unwrap_or(i64::MAX));
    while missing > 0 && millis != 0 {
        millis = shift(millis)?;
        missing -= 1;
    }
    Ok(if token.starts_with('-') { -millis } else { millis })
}

fn shift(millis: i64) -> Result<i64, Reason> {
    millis.checked_mul(10).ok_or(Reason::TimestampOutOfRange)
}

/// The digits after `e`, saturating.
fn power(text: &str) -> Result<i64, Reason> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Reason::Timestamp);
    }
    let value = digits.parse().unwrap_or(i64::MAX / 4);
    let value = i64::min(value, i64::MAX / 4);
    Ok(if text.starts_with('-') { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_whole_milliseconds() {
        let cases = [
            ("0", Ok(0)),
            ("1395066363000", Ok(1_395_066_363_000)),
            ("-3982045", Ok(-3_982_045)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775808", Err(Reason::TimestampOutOfRange)),
            ("", Err(Reason::Timestamp)),
            ("-", Err(Reason::Timestamp)),
            ("+1", Err(Reason::Timestamp)),
            ("1.5", Err(Reason::Timestamp)),
            ("1e3", Err(Reason::Timestamp)),
            ("abc", Err(Reason::Timestamp)),
            ("१", Err(Reason::Timestamp)),
        ];
        for (token, expected) in cases {
            assert_eq!(parse(token, Format::Text), expected, "{token}");
        }
    }

    #[test]
    fn open_metrics_has_seconds() {
        let cases = [
            ("0", Ok(0)),
            ("1", Ok(1_000)),
            ("-1.5", Ok(-1_500)),
            ("+1.5", Ok(1_500)),
            ("1520879607.789", Ok(1_520_879_607_789)),
            ("1.520879607789e+09", Ok(1_520_879_607_789)),
            ("1520879607789E-3", Ok(1_520_879_607_789)),
            ("0.0005", Ok(1)),
            ("0.0004999999999999999999999999999", Ok(0)),
            ("-0.0005", Ok(-1)),
            ("5e-4", Ok(1)),
            ("5e-5", Ok(0)),
            ("1e-99999999999999999999", Ok(0)),
            ("0e99999999999999999999", Ok(0)),
            (".5", Ok(500)),
            ("5.", Ok(5_000)),
            ("9223372036854775.807", Ok(i64::MAX)),
            ("9223372036854775.8074", Ok(i64::MAX)),
            ("9223372036854775.8075", Err(Reason::TimestampOutOfRange)),
            ("9223372036854775.808", Err(Reason::TimestampOutOfRange)),
            ("1e99999999999999999999", Err(Reason::TimestampOutOfRange)),
            ("", Err(Reason::Timestamp)),
            (".", Err(Reason::Timestamp)),
            ("e5", Err(Reason::Timestamp)),
            ("1e", Err(Reason::Timestamp)),
            ("NaN", Err(Reason::Timestamp)),
            ("+Inf", Err(Reason::Timestamp)),
            ("--1", Err(Reason::Timestamp)),
            ("abc", Err(Reason::Timestamp)),
        ];
        for (token, expected) in cases {
            assert_eq!(parse(token, Format::OpenMetrics), expected, "{token}");
        }
    }
}
