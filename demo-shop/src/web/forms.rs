//! What a form says: `application/x-www-form-urlencoded` text to a quantity.

use percent_encoding::percent_decode;
use std::num::NonZeroU32;
use thiserror::Error;

/// Most items of one order.
pub(super) const MOST: u32 = 10_000;

/// Why a form is no order. The messages are for the buyer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum QuantityError {
    /// The field is not there.
    #[error("Say how many you want: the field “quantity” is missing.")]
    Missing,
    /// The field is there more than once.
    #[error("Say only once how many you want: the field “quantity” is repeated.")]
    Repeated,
    /// The field is empty.
    #[error("Say how many you want: a whole number from 1 to 10,000.")]
    Empty,
    /// Anything but a whole number within bounds.
    #[error("“{0}” is not a whole number from 1 to 10,000.")]
    Invalid(String),
}

/// The quantity in a form or query.
pub(super) fn quantity(form: &[u8]) -> Result<NonZeroU32, QuantityError> {
    let mut found = fields(form).filter(|(name, _)| name == "quantity").map(|(_, value)| value);
    let text = found.next().ok_or(QuantityError::Missing)?;
    if found.next().is_some() {
        return Err(QuantityError::Repeated);
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(QuantityError::Empty);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (1..=MOST).contains(number));
    number.and_then(NonZeroU32::new).ok_or_else(|| QuantityError::Invalid(shortened(text)))
}

/// Names and values of a form; bytes that are not UTF-8 are replaced.
pub(super) fn fields(form: &[u8]) -> impl Iterator<Item = (String, String)> {
    form.split(|&byte| byte == b'&').filter(|field| !field.is_empty()).map(|field| {
        let mut parts = field.splitn(2, |&byte| byte == b'=');
        let mut next = || decode(parts.next().unwrap_or_default());
        (next(), next())
    })
}

fn decode(text: &[u8]) -> String {
    let blanks: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_decode(&blanks).decode_utf8_lossy().into_owned()
}

/// What was typed, short enough to be shown again.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 20;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_read() {
        let invalid = |text: &str| Err(QuantityError::Invalid(text.into()));
        let cases: &[(&str, Result<u32, QuantityError>)] = &[
            ("quantity=1", Ok(1)),
            ("quantity=10000", Ok(10_000)),
            ("quantity=007", Ok(7)),
            ("quantity=+5+", Ok(5)),
            ("quantity=%35", Ok(5)),
            ("a=b&quantity=3&c", Ok(3)),
            ("", Err(QuantityError::Missing)),
            ("Quantity=1", Err(QuantityError::Missing)),
            ("quantity", Err(QuantityError::Empty)),
            ("quantity=", Err(QuantityError::Empty)),
            ("quantity=++", Err(QuantityError::Empty)),
            ("quantity=1&quantity=1", Err(QuantityError::Repeated)),
            ("quantity=0", invalid("0")),
            ("quantity=10001", invalid("10001")),
            ("quantity=-1", invalid("-1")),
            ("quantity=%2B1", invalid("+1")),
            ("quantity=1.0", invalid("1.0")),
            ("quantity=1e3", invalid("1e3")),
            ("quantity=ten", invalid("ten")),
            ("quantity=%D9%A3", invalid("٣")),
            ("quantity=%ff", invalid("\u{fffd}")),
            ("quantity=1=2", invalid("1=2")),
            ("quantity=99999999999999999999999", invalid("99999999999999999999…")),
        ];
        for (form, expected) in cases {
            assert_eq!(quantity(form.as_bytes()).map(NonZeroU32::get), *expected, "{form}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(form in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = quantity(&[b"quantity=", form.as_slice()].concat());
            fields(&form).for_each(drop);
        }
    }
}
