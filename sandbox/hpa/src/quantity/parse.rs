//! From text to quantity.
//!
//! The grammar is apimachinery's (`api/resource/quantity.go`): `[+-]digits[.digits][suffix]`, with its
//! oddities: `.5` and `5.` are numbers, and where there are no digits the number is 0.

use super::natural::Natural;
use super::{Format, Held, MAX_TEXT_BYTES, NANO, Quantity, QuantityError};

/// Powers of ten past this change no reading: the low 64 bits of a multiple of 10^200 are 0, and a number of
/// [`MAX_TEXT_BYTES`] digits divided by 10^200 rounds up to one billionth.
const MAX_EXPONENT: i32 = 200;
/// Upstream's `maxInt64Factors`: so many decimal digits always fit an `int64`.
const INT64_DIGITS: usize = 18;

/// What a suffix multiplies with.
#[derive(Clone, Copy)]
enum Suffix {
    PowerOfTen(i32, Format),
    PowerOfTwo(u32),
}

pub(super) fn quantity(text: &str) -> Result<Quantity, QuantityError> {
    if text.is_empty() {
        return Err(QuantityError::Form);
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(QuantityError::Long);
    }
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, rest) = digits(rest);
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), digits);
    let suffix = read_suffix(suffix)?;
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        stripped => stripped,
    };
    Ok(match suffix {
        Suffix::PowerOfTen(exponent, format) => decimal(negative, whole, fraction, exponent, format),
        Suffix::PowerOfTwo(exponent) => binary(negative, whole, fraction, exponent),
    })
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn read_suffix(text: &str) -> Result<Suffix, QuantityError> {
    use Format::DecimalSi;
    Ok(match text {
        "n" => Suffix::PowerOfTen(-9, DecimalSi),
        "u" => Suffix::PowerOfTen(-6, DecimalSi),
        "m" => Suffix::PowerOfTen(-3, DecimalSi),
        "" => Suffix::PowerOfTen(0, DecimalSi),
        "k" => Suffix::PowerOfTen(3, DecimalSi),
        "M" => Suffix::PowerOfTen(6, DecimalSi),
        "G" => Suffix::PowerOfTen(9, DecimalSi),
        "T" => Suffix::PowerOfTen(12, DecimalSi),
        "P" => Suffix::PowerOfTen(15, DecimalSi),
        "E" => Suffix::PowerOfTen(18, DecimalSi),
        "Ki" => Suffix::PowerOfTwo(10),
        "Mi" => Suffix::PowerOfTwo(20),
        "Gi" => Suffix::PowerOfTwo(30),
        "Ti" => Suffix::PowerOfTwo(40),
        "Pi" => Suffix::PowerOfTwo(50),
        "Ei" => Suffix::PowerOfTwo(60),
        _ => {
            let looks_like_one = |byte: u8| byte.is_ascii_digit() || b"eEinumkKMGTP+-".contains(&byte);
            if !text.bytes().all(looks_like_one) {
                return Err(QuantityError::Form);
            }
            let exponent = text.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
            let exponent: i64 = exponent.parse().map_err(|_| QuantityError::Suffix)?;
            let limit = i64::from(MAX_EXPONENT);
            let exponent = i32::try_from(exponent.clamp(-limit, limit)).unwrap_or(MAX_EXPONENT);
            Suffix::PowerOfTen(exponent, Format::DecimalExponent)
        }
    })
}

fn decimal(negative: bool, whole: &str, fraction: &str, exponent: i32, format: Format) -> Quantity {
    let places = i32::try_from(fraction.len()).unwrap_or(MAX_EXPONENT);
    let mantissa = Natural::from_digits(&format!("{whole}{fraction}"));
    let exponent = exponent - places;
    if whole.len() + fraction.len() <= INT64_DIGITS && exponent >= NANO {
        return Quantity { negative, mantissa, exponent, format, held: Held::Int64 };
    }
    Quantity { negative, mantissa: in_nanos(mantissa, exponent), exponent: NANO, format, held: Held::Big }
}

fn binary(negative: bool, whole: &str, fraction: &str, power: u32) -> Quantity {
    let mantissa = Natural::from_digits(&format!("{whole}{fraction}"));
    let mantissa = (0..power).fold(mantissa, |mantissa, _| mantissa.times(2));
    // Ten bits are about three digits; upstream keeps one digit more in reserve.
    let digits = whole.len() + (power as usize) * 3 / 10 + 1;
    if fraction.is_empty() && digits <= 15 {
        return Quantity { negative, mantissa, exponent: 0, format: Format::BinarySi, held: Held::Int64 };
    }
    let places = i32::try_from(fraction.len()).unwrap_or(MAX_EXPONENT);
    let nanos = in_nanos(mantissa, -places);
    let (units, rest) = nanos.clone().divided_by(1_000_000_000);
    let largest = i64::MAX.cast_unsigned();
    let above_largest = !units.is_less_than(largest) && (units != Natural::from(largest) || rest != 0);
    let nanos = if above_largest { Natural::from(largest).times(1_000_000_000) } else { nanos };
    let format = if units.is_zero() && rest != 0 { Format::DecimalSi } else { Format::BinarySi };
    Quantity { negative, mantissa: nanos, exponent: NANO, format, held: Held::Big }
}

/// `mantissa` x 10^`exponent` in billionths, rounded up.
fn in_nanos(mantissa: Natural, exponent: i32) -> Natural {
    let up = exponent - NANO;
    let mut nanos = (0..up).fold(mantissa, |nanos, _| nanos.times(10));
    let mut cut = false;
    for _ in up..0 {
        let (quotient, remainder) = nanos.divided_by(10);
        cut |= remainder != 0;
        nanos = quotient;
    }
    if cut { nanos.plus(1) } else { nanos }
}
