//! Kubernetes quantities, as the HorizontalPodAutoscaler controller reads and writes them.
//!
//! [`Quantity::milli`] is the reading: an `int64` of thousandths, rounded away from zero. [`Quantity`]'s
//! `Display` is the writing: the canonical form. Both follow apimachinery (`api/resource/quantity.go`,
//! `math.go`, `scale_int.go`) in what they do past the limits, because that is what decides how many replicas
//! there will be:
//!
//! - A number of at most 18 digits whose thousandths do not fit an `int64` wraps silently when it has no
//!   fraction and the suffix `""`, `k` or `M`, and reads as 0 otherwise: `10P` is 0, `10000000000000000` is a
//!   wrapped number.
//! - A number of more digits, or of a binary suffix with a fraction, is kept to the billionth, rounded up,
//!   and the low 64 bits of its thousandths are read. A binary one is capped at 2^63-1 before that.
//! - Rounding such a number up means away from zero for a positive one only; a negative one goes one
//!   thousandth towards zero after truncation. That is upstream's, and kept.
//!
//! What it leaves out: texts of more than [`MAX_TEXT_BYTES`] bytes are refused, where upstream has no limit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use self::natural::Natural;

mod natural;
mod parse;
#[cfg(test)]
mod tests;

/// The longest text of a quantity that is read, in bytes.
pub const MAX_TEXT_BYTES: usize = 128;

/// A number with its notation.
#[derive(Clone, Debug)]
pub struct Quantity {
    negative: bool,
    mantissa: Natural,
    /// The power of ten that the mantissa is multiplied with.
    exponent: i32,
    format: Format,
    /// How upstream holds the number, which decides what happens past the limits.
    held: Held,
}

/// The notation of a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `n u m k M G T P E`.
    DecimalSi,
    /// `Ki Mi Gi Ti Pi Ei`.
    BinarySi,
    /// `e3`.
    DecimalExponent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// An `int64` mantissa.
    Int64,
    /// A big number of billionths.
    Big,
}

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It does not look like one.
    #[error(
        "a quantity is a number and one suffix of n u m k M G T P E Ki Mi Gi Ti Pi Ei or an exponent, such as 1500m"
    )]
    Form,
    /// The number is good, what follows it is not.
    #[error("the suffix of the quantity is none of n u m k M G T P E Ki Mi Gi Ti Pi Ei and no exponent")]
    Suffix,
    /// It exceeds [`MAX_TEXT_BYTES`].
    #[error("the quantity has more than {MAX_TEXT_BYTES} bytes")]
    Long,
}

const MILLI: i32 = -3;
const NANO: i32 = -9;

// === impl Quantity ===

impl Quantity {
    /// The quantity of `milli` thousandths.
    #[must_use]
    pub fn from_milli(milli: i64, format: Format) -> Self {
        Self {
            negative: milli < 0,
            mantissa: Natural::from(milli.unsigned_abs()),
            exponent: MILLI,
            format,
            held: Held::Int64,
        }
    }

    /// Thousandths, rounded away from zero; past the limits, see the module.
    #[must_use]
    pub fn milli(&self) -> i64 {
        match self.held {
            Held::Int64 => self.milli_of_int64(),
            Held::Big => self.milli_of_big(),
        }
    }

    /// The nearest double of the canonical form, computed as upstream computes a tolerance: mantissa times a
    /// power of ten.
    #[must_use]
    pub fn approximate(&self) -> f64 {
        let (mantissa, exponent) = self.decimal();
        let magnitude = mantissa.to_f64() * 10f64.powi(exponent);
        if self.negative { -magnitude } else { magnitude }
    }

    /// -1, 0 or 1.
    #[must_use]
    pub fn sign(&self) -> i32 {
        match (self.mantissa.is_zero(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn milli_of_int64(&self) -> i64 {
        let magnitude = self.mantissa.low_64_bits().cast_signed();
        let value = if self.negative { magnitude.wrapping_neg() } else { magnitude };
        let up = self.exponent - MILLI;
        let power = |up: i32| 10i64.wrapping_pow(up.unsigned_abs());
        match up {
            ..0 => {
                let Some(divisor) = 10i64.checked_pow(up.unsigned_abs()) else {
                    return value.signum();
                };
                value / divisor + if value % divisor == 0 { 0 } else { value.signum() }
            }
            // The multiplications that upstream writes out return the wrapped product; its loop returns 0.
            0..=3 | 6 | 9 => value.wrapping_mul(power(up)),
            _ => (0..up).try_fold(value, |value, _| value.checked_mul(10)).unwrap_or(0),
        }
    }

    fn milli_of_big(&self) -> i64 {
        const NANOS_IN_MILLI: u32 = 1_000_000;
        let low = self.mantissa.low_64_bits().cast_signed();
        if self.negative || self.mantissa.is_less_than(i64::MAX.cast_unsigned()) {
            let low = if self.negative { low.wrapping_neg() } else { low };
            let divisor = i64::from(NANOS_IN_MILLI);
            return low / divisor + i64::from(low % divisor != 0);
        }
        let (quotient, remainder) = self.mantissa.clone().divided_by(NANOS_IN_MILLI);
        quotient.low_64_bits().cast_signed().wrapping_add(i64::from(remainder != 0))
    }

    /// Mantissa and exponent of the canonical decimal form: no trailing zero but those that make the exponent
    /// a multiple of three.
    fn decimal(&self) -> (Natural, i32) {
        let mut mantissa = self.mantissa.clone();
        let mut exponent = self.exponent;
        while !mantissa.is_zero() {
            let (quotient, remainder) = mantissa.clone().divided_by(10);
            if remainder != 0 {
                break;
            }
            mantissa = quotient;
            exponent += 1;
        }
        let surplus = exponent.rem_euclid(3);
        for _ in 0..surplus {
            mantissa = mantissa.times(10);
        }
        (mantissa, exponent - surplus)
    }

    /// The number as an integer, if it is one.
    fn integer(&self) -> Option<Natural> {
        let mut mantissa = self.mantissa.clone();
        for _ in 0..self.exponent {
            mantissa = mantissa.times(10);
        }
        for _ in self.exponent..0 {
            let (quotient, remainder) = mantissa.divided_by(10);
            if remainder != 0 {
                return None;
            }
            mantissa = quotient;
        }
        Some(mantissa)
    }
}

impl Default for Quantity {
    fn default() -> Self {
        Self::from_milli(0, Format::DecimalSi)
    }
}

impl PartialEq for Quantity {
    /// Equal numbers are equal, whatever their notation.
    fn eq(&self, other: &Self) -> bool {
        self.sign() == other.sign() && (self.sign() == 0 || self.decimal() == other.decimal())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mantissa.is_zero() {
            return f.write_str("0");
        }
        let sign = if self.negative { "-" } else { "" };
        let binary = match self.format {
            Format::BinarySi => self.integer().filter(|integer| !integer.is_less_than(1024)),
            _ => None,
        };
        if let Some(mut integer) = binary {
            let mut power = 0;
            loop {
                let (quotient, remainder) = integer.clone().divided_by(1024);
                if remainder != 0 {
                    break;
                }
                integer = quotient;
                power += 1;
            }
            let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].get(power).copied().unwrap_or_default();
            return write!(f, "{sign}{integer}{suffix}");
        }
        let (mantissa, exponent) = self.decimal();
        write!(f, "{sign}{mantissa}")?;
        match self.format {
            Format::DecimalExponent if exponent != 0 => write!(f, "e{exponent}"),
            Format::DecimalExponent => Ok(()),
            Format::DecimalSi | Format::BinarySi => f.write_str(match exponent {
                -9 => "n",
                -6 => "u",
                -3 => "m",
                3 => "k",
                6 => "M",
                9 => "G",
                12 => "T",
                15 => "P",
                18 => "E",
                // 0, and what has no suffix: upstream prints the mantissa alone.
                _ => "",
            }),
        }
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse::quantity(text)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber)
    }
}

/// A quantity may stand in JSON as a string or as a bare number.
struct TextOrNumber;

impl de::Visitor<'_> for TextOrNumber {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity such as \"1500m\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }
}
