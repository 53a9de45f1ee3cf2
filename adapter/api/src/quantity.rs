//! Kubernetes quantities: the text form of every value that leaves.

use std::fmt::{self, Write as _};

/// A number in the canonical decimal form of `resource.Quantity`: an integer mantissa and one of the
/// suffixes `n u m k M G T P E`, or none (apimachinery, `api/resource/quantity.go`).
///
/// Nine decimals are kept; the rest is rounded half away from zero. What lies beyond the largest number
/// whose thousandths fit an `int64` is clamped to it, because the HPA reads every value as thousandths and
/// wraps silently past that (`api/resource/math.go`, `MaxMilliValue`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    /// No multiple of a thousand, unless it is 0 ones.
    mantissa: i128,
    /// Of the thousands that it is multiplied by, from billionths on: an index into [`SUFFIXES`].
    thousands: usize,
}

const NANOS: i128 = 1_000_000_000;
/// `MaxMilliValue`: the largest integer whose thousandths fit an `int64`.
const MAX: i128 = 9_223_372_036_854_775 * NANOS;
const SUFFIXES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
/// Where ones stand among them.
const ONES: usize = 3;
/// From here on doubles are further apart than 1.
const EXACT: f64 = 9_007_199_254_740_992.0;

// === impl Quantity ===

impl Quantity {
    /// The quantity nearest to `value`, clamped; `None` for NaN and the infinities, which no quantity can
    /// say.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        // Most values are counts of something: their digits need no search.
        if value.fract() == 0.0 && value.abs() < EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
            return Some(Self::canonical((value as i64).into(), ONES));
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "the bound is exact to the next double, which suffices"
        )]
        let limit = (MAX / NANOS) as f64;
        let nanos = match value.abs() >= limit {
            true if value < 0.0 => -MAX,
            true => MAX,
            false => nanos_of(value),
        };
        Some(Self::canonical(nanos, 0))
    }

    fn canonical(mantissa: i128, thousands: usize) -> Self {
        // Dividing 128 bits takes ten times as long, and they are seldom needed.
        match i64::try_from(mantissa) {
            Ok(0) => Self { mantissa: 0, thousands: ONES },
            Ok(mut mantissa) => {
                let mut thousands = thousands;
                while mantissa % 1000 == 0 {
                    mantissa /= 1000;
                    thousands += 1;
                }
                Self { mantissa: mantissa.into(), thousands }
            }
            Err(_) if mantissa % 1000 == 0 => Self::canonical(mantissa / 1000, thousands + 1),
            Err(_) => Self { mantissa, thousands },
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = SUFFIXES.get(self.thousands).copied().unwrap_or_default();
        let mut digits = itoa::Buffer::new();
        f.write_str(match i64::try_from(self.mantissa) {
            Ok(small) => digits.format(small),
            Err(_) => digits.format(self.mantissa),
        })?;
        f.write_str(suffix)
    }
}

/// Billionths of a finite number far from the limit.
///
/// The digits are those of the shortest decimal that reads back as the same double, so that 0.1 becomes
/// `100m` and not the neighbour that binary arithmetic would make of it.
fn nanos_of(value: f64) -> i128 {
    let mut text = Digits::default();
    if write!(text, "{:e}", value.abs()).is_err() {
        return 0;
    }
    let (mantissa, exponent) = text.as_str().split_once('e').unwrap_or(("0", "0"));
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let digits =
        mantissa.bytes().filter(u8::is_ascii_digit).fold(0i128, |n, d| n * 10 + i128::from(d - b'0'));
    let shift = exponent.parse::<i32>().unwrap_or(0) - i32::try_from(decimals).unwrap_or(0) + 9;
    let nanos = match u32::try_from(shift) {
        Ok(up) => digits.saturating_mul(10i128.saturating_pow(up)),
        Err(_) => match 10i128.checked_pow(shift.unsigned_abs()) {
            Some(divisor) => (digits + divisor / 2) / divisor,
            None => 0,
        },
    };
    if value < 0.0 { -nanos } else { nanos }
}

/// Room for the text of any double.
#[derive(Default)]
struct Digits {
    bytes: [u8; 32],
    len: usize,
}

// === impl Digits ===

impl Digits {
    fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: f64, want: &str) {
        let got = Quantity::new(value).map(|q| q.to_string());
        assert_eq!(got.as_deref(), Some(want), "{value}");
    }

    #[test]
    fn is_canonical() {
        check(0.0, "0");
        check(-0.0, "0");
        check(0.1, "100m");
        check(0.1 + 0.2, "300m");
        check(1.5, "1500m");
        check(2.0, "2");
        check(-2.5, "-2500m");
        check(1000.0, "1k");
        check(1500.0, "1500");
        check(12300.0, "12300");
        check(1_500_000.0, "1500k");
        check(1e15, "1P");
        check(1.0 / 3.0, "333333333n");
        check(2.0 / 3.0, "666666667n");
        check(0.000_4, "400u");
        check(1e-9, "1n");
        check(4e-10, "0");
        check(5e-10, "1n");
        check(f64::MIN_POSITIVE, "0");
        check(5e-324, "0");
        check(123_456_789.1, "123456789100m");
        check(9_007_199_254_740_993.0, "9007199254740992");
    }

    #[test]
    fn whole_numbers_are_what_they_are_by_their_digits() {
        for power in 0..53 {
            for value in [-1, 0, 1].map(|n: i64| (1 << power) + n).into_iter().flat_map(|n| [n, -n]) {
                #[expect(clippy::cast_precision_loss, reason = "these are exact")]
                let by_digits = nanos_of(value as f64);
                #[expect(clippy::cast_precision_loss, reason = "these are exact")]
                let quantity = Quantity::new(value as f64);
                assert_eq!(quantity, Some(Quantity::canonical(by_digits, 0)), "{value}");
            }
        }
    }

    #[test]
    fn is_clamped_and_never_wrapped() {
        check(1e16, "9223372036854775");
        check(1e300, "9223372036854775");
        check(f64::MAX, "9223372036854775");
        check(-f64::MAX, "-9223372036854775");
        check(9.223_372_036_854_775e15, "9223372036854775");
    }

    #[test]
    fn what_is_no_number_is_no_quantity() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Quantity::new(value), None);
        }
    }

    /// Reads a canonical quantity back, obviously.
    fn read(text: &str) -> f64 {
        let end = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let power = match &text[end.len()..] {
            "n" => -9,
            "u" => -6,
            "m" => -3,
            "" => 0,
            "k" => 3,
            "M" => 6,
            "G" => 9,
            "T" => 12,
            "P" => 15,
            "E" => 18,
            other => panic!("unknown suffix {other}"),
        };
        format!("{end}e{power}").parse().unwrap()
    }

    proptest! {
        #[test]
        fn reads_back_within_half_a_billionth(value in proptest::num::f64::NORMAL) {
            let quantity = Quantity::new(value).unwrap();
            let text = quantity.to_string();
            let limit = 9_223_372_036_854_775.0;
            let clamped = value.clamp(-limit, limit);
            let error = (read(&text) - clamped).abs();
            prop_assert!(error <= 5.000_001e-10 + clamped.abs() * 1e-15, "{value} became {text}");
            let digits = text.trim_start_matches('-').trim_end_matches(|c: char| c.is_ascii_alphabetic());
            prop_assert!(digits == "0" || !digits.ends_with("000"), "{text} is not canonical");
        }
    }
}
