//! Natural numbers of any size, with the few operations that quantities need.
//!
//! Their size is bounded by [`super::MAX_TEXT_BYTES`] and the exponents that the parser lets through.

use std::fmt;

/// A natural number in base 2^32, lowest digit first, without leading zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Natural(Vec<u32>);

// === impl Natural ===

impl Natural {
    /// The number that these decimal digits write; anything else is passed over.
    pub(super) fn from_digits(digits: &str) -> Self {
        digits
            .bytes()
            .filter(u8::is_ascii_digit)
            .fold(Self::default(), |number, digit| number.times(10).plus(u32::from(digit - b'0')))
    }

    pub(super) fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_less_than(&self, bound: u64) -> bool {
        self.0.len() <= 2 && self.low_64_bits() < bound
    }

    pub(super) fn low_64_bits(&self) -> u64 {
        let digit = |index| self.0.get(index).copied().map_or(0, u64::from);
        digit(0) | digit(1) << 32
    }

    pub(super) fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::INFINITY)
    }

    pub(super) fn times(mut self, factor: u32) -> Self {
        let mut carry = 0;
        for digit in &mut self.0 {
            let product = u64::from(*digit) * u64::from(factor) + carry;
            *digit = low_half(product);
            carry = product >> 32;
        }
        if carry != 0 {
            self.0.push(low_half(carry));
        }
        self.trimmed()
    }

    pub(super) fn plus(mut self, term: u32) -> Self {
        let mut carry = u64::from(term);
        for digit in &mut self.0 {
            let sum = u64::from(*digit) + carry;
            *digit = low_half(sum);
            carry = sum >> 32;
        }
        if carry != 0 {
            self.0.push(low_half(carry));
        }
        self
    }

    /// Quotient and remainder; `divisor` is one of the constants in this crate and never 0.
    pub(super) fn divided_by(mut self, divisor: u32) -> (Self, u32) {
        let mut remainder = 0;
        for digit in self.0.iter_mut().rev() {
            let dividend = remainder << 32 | u64::from(*digit);
            *digit = low_half(dividend / u64::from(divisor));
            remainder = dividend % u64::from(divisor);
        }
        (self.trimmed(), low_half(remainder))
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }
}

impl From<u64> for Natural {
    fn from(number: u64) -> Self {
        Self(vec![low_half(number), low_half(number >> 32)]).trimmed()
    }
}

impl fmt::Display for Natural {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = Vec::new();
        let mut rest = self.clone();
        loop {
            let (quotient, digit) = rest.divided_by(10);
            digits.push(char::from_digit(digit, 10).unwrap_or('0'));
            if quotient.is_zero() {
                break;
            }
            rest = quotient;
        }
        f.write_str(&digits.iter().rev().collect::<String>())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low_half(number: u64) -> u32 {
    number as u32
}
