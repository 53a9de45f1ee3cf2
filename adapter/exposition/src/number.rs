//! Values: decimal text to 64-bit floats.
//!
//! What counts as a number is what Prometheus accepts: Go's `ParseFloat` without its hexadecimal floats and
//! underscores. So `.5`, `5.`, `+5`, `1E-3`, `inf`, `-Infinity` and `NaN` in any case are numbers; `0x1p-2`, `1_000`,
//! `-NaN` and `1e400` are not.

use crate::reject::Reason;

/// The powers of ten that a 64-bit float holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Up to here every whole number is a 64-bit float.
const EXACT_INTEGERS: u64 = 1 << 53;

/// Reads a number as it stands in values and in the labels `le` and `quantile`; `None` if the text is anything else.
pub fn parse_number(text: &str) -> Option<f64> {
    match prefix(text.as_bytes()) {
        Ok((value, length)) if length == text.len() => Some(value),
        _ => None,
    }
}

/// Reads the number at the start of `bytes`; gives it with its length, which is never 0.
///
/// The caller looks at what follows.
#[inline]
pub(crate) fn prefix(bytes: &[u8]) -> Result<(f64, usize), Reason> {
    let (negative, signed) = match bytes.first() {
        Some(b'-') => (true, 1),
        Some(b'+') => (false, 1),
        _ => (false, 0),
    };
    let (mantissa, whole_end) = digits(bytes, signed, 0);
    let mut end = whole_end;
    let mut digit_count = whole_end - signed;
    let mut mantissa = mantissa;
    let mut exponent = 0_i32;
    if bytes.get(end) == Some(&b'.') {
        let (with_fraction, fraction_end) = digits(bytes, end + 1, mantissa);
        let fraction_digits = fraction_end - (end + 1);
        mantissa = with_fraction;
        digit_count += fraction_digits;
        exponent = -i32::try_from(fraction_digits).unwrap_or(i32::MAX);
        end = fraction_end;
    }
    if digit_count == 0 {
        return special(bytes, negative, signed);
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let (power, power_end) = power(bytes, end + 1).ok_or(Reason::Value)?;
        exponent = exponent.saturating_add(power);
        end = power_end;
    }

    // Clinger's fast path: both operands are exact, so that the one rounding is the right one. 19 digits cannot
    // have overflowed the mantissa.
    if digit_count <= 19 && mantissa <= EXACT_INTEGERS {
        #[expect(clippy::cast_precision_loss, reason = "exact up to EXACT_INTEGERS")]
        let exact = mantissa as f64;
        let scale = EXACT_POWERS.get(exponent.unsigned_abs() as usize);
        if let Some(scale) = scale {
            let value = if exponent < 0 { exact / scale } else { exact * scale };
            return Ok((if negative { -value } else { value }, end));
        }
    }
    exactly(bytes, negative, signed, end)
}

/// Reads decimal digits from `from` on; gives `start` continued by them, wrapping, and where they end.
#[inline]
fn digits(bytes: &[u8], from: usize, start: u64) -> (u64, usize) {
    let mut value = start;
    let mut end = from;
    for byte in bytes.get(from..).unwrap_or_default() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    (value, end)
}

/// Reads what follows the `e` of a number: an optional sign and digits. Saturates.
#[inline]
fn power(bytes: &[u8], from: usize) -> Option<(i32, usize)> {
    let (negative, start) = match bytes.get(from) {
        Some(b'-') => (true, from + 1),
        Some(b'+') => (false, from + 1),
        _ => (false, from),
    };
    let mut value = 0_i32;
    let mut end = start;
    while let Some(byte @ b'0'..=b'9') = bytes.get(end) {
        value = value.saturating_mul(10).saturating_add(i32::from(byte - b'0'));
        end += 1;
    }
    (end > start).then_some((if negative { -value } else { value }, end))
}

/// Infinities and NaN.
#[cold]
fn special(bytes: &[u8], negative: bool, signed: usize) -> Result<(f64, usize), Reason> {
    let word = bytes.get(signed..).unwrap_or_default();
    let starts_with =
        |name: &str| word.get(..name.len()).is_some_and(|w| w.eq_ignore_ascii_case(name.as_bytes()));
    let infinity = if negative { f64::NEG_INFINITY } else { f64::INFINITY };
    if starts_with("infinity") {
        Ok((infinity, signed + "infinity".len()))
    } else if starts_with("inf") {
        Ok((infinity, signed + "inf".len()))
    } else if signed == 0 && starts_with("nan") {
        Ok((f64::NAN, "nan".len()))
    } else {
        Err(Reason::Value)
    }
}

/// Numbers with more digits or a larger power than the fast path can do.
#[cold]
fn exactly(bytes: &[u8], negative: bool, start: usize, end: usize) -> Result<(f64, usize), Reason> {
    let value: f64 =
        fast_float2::parse(bytes.get(start..end).unwrap_or_default()).map_err(|_| Reason::Value)?;
    if value.is_infinite() {
        return Err(Reason::ValueOutOfRange);
    }
    Ok((if negative { -value } else { value }, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers() {
        let cases = [
            ("0", 0.0),
            ("-0", -0.0),
            ("1", 1.0),
            ("+5", 5.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("-.5e1", -5.0),
            ("1e+06", 1e6),
            ("1E-3", 1e-3),
            ("1.7952430019242115e+09", 1.7952430019242115e9),
            ("18446744073709551615", 18446744073709551615.0),
            // Would be 1 in 64 bits.
            ("18446744073709551617", 18446744073709551616.0),
            ("99999999999999999999999999", 1e26),
            ("1e-400", 0.0),
            ("0e999999999999", 0.0),
            ("1e22", 1e22),
            ("1e23", 1e23),
            ("9007199254740993", 9007199254740992.0),
            ("1.7976931348623157e308", f64::MAX),
            ("inf", f64::INFINITY),
            ("+Inf", f64::INFINITY),
            ("-iNfInItY", f64::NEG_INFINITY),
        ];
        for (text, value) in cases {
            assert_eq!(parse_number(text).map(f64::to_bits), Some(value.to_bits()), "{text}");
        }
        for text in ["NaN", "nan", "NAN"] {
            assert!(parse_number(text).is_some_and(f64::is_nan), "{text}");
        }
    }

    #[test]
    fn not_numbers() {
        let cases = [
            "", "+", "-", ".", "e5", ".e5", "1e", "1e+", "0x1p-2", "0x10", "1_000", "1,5", "1.2.3", "--1",
            "+-1", "1e400", "-1e309", "+NaN", "-nan", "infin", "in", "na", "nano", "1 ", " 1", "1f", "½",
            "१",
        ];
        for text in cases {
            assert_eq!(parse_number(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn shortest_and_longest_text_of_any_float_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            for text in [format!("{value}"), format!("{value:e}"), format!("{value:.30e}"), format!("{value:+}")] {
                prop_assert_eq!(parse_number(&text).map(f64::to_bits), Some(bits), "{}", text);
            }
        }

        #[test]
        fn agrees_with_the_standard_library(text in "[+-]?[0-9]{0,25}(\\.[0-9]{0,25})?(e[+-]?[0-9]{0,3})?") {
            let expected = text.parse::<f64>().ok().filter(|value| value.is_finite());
            prop_assert_eq!(parse_number(&text).map(f64::to_bits), expected.map(f64::to_bits), "{}", text);
        }
    }
}
