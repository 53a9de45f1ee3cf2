//! What a form says: `application/x-www-form-urlencoded` text to a quantity and a token.

use super::once::Token;
use percent_encoding::percent_decode;
use std::num::NonZeroU32;
use thiserror::Error;

/// Most items of one order.
pub(super) const MOST: u32 = 10_000;

/// Why a form is no order. The messages are for the buyer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum FormError {
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
    /// The token is none that this shop makes, nor one that a program may.
    #[error("The form's token is damaged. Nothing was ordered; please load the page again.")]
    Token,
}

// === impl FormError ===

impl FormError {
    /// What was typed in place of a quantity, so that it can be mended.
    pub(super) fn typed(&self) -> Option<&str> {
        match self {
            Self::Invalid(typed) => Some(typed),
            _ => None,
        }
    }
}

/// What is ordered, and the token that it is ordered with. `key` stands in for a token in the form.
pub(super) fn order(form: &[u8], key: Option<&str>) -> Result<(NonZeroU32, Option<Token>), FormError> {
    let quantity = quantity(form)?;
    let written = fields(form).find(|(name, _)| name == "token").map(|(_, value)| value);
    let token = match written.as_deref().or(key) {
        Some(text) => Some(Token::parse(text).ok_or(FormError::Token)?),
        None => None,
    };
    Ok((quantity, token))
}

/// The quantity in a form or query.
pub(super) fn quantity(form: &[u8]) -> Result<NonZeroU32, FormError> {
    let mut found = fields(form).filter(|(name, _)| name == "quantity").map(|(_, value)| value);
    let text = found.next().ok_or(FormError::Missing)?;
    if found.next().is_some() {
        return Err(FormError::Repeated);
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(FormError::Empty);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (1..=MOST).contains(number));
    number.and_then(NonZeroU32::new).ok_or_else(|| FormError::Invalid(shortened(text)))
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
        let invalid = |text: &str| Err(FormError::Invalid(text.into()));
        let cases: &[(&str, Result<u32, FormError>)] = &[
            ("quantity=1", Ok(1)),
            ("quantity=10000", Ok(10_000)),
            ("quantity=007", Ok(7)),
            ("quantity=+5+", Ok(5)),
            ("quantity=%35", Ok(5)),
            ("a=b&quantity=3&c", Ok(3)),
            ("", Err(FormError::Missing)),
            ("Quantity=1", Err(FormError::Missing)),
            ("quantity", Err(FormError::Empty)),
            ("quantity=", Err(FormError::Empty)),
            ("quantity=++", Err(FormError::Empty)),
            ("quantity=1&quantity=1", Err(FormError::Repeated)),
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

    #[test]
    fn tokens_are_read_from_the_form_or_else_from_the_header() {
        let key = "abcdefgh-12345678";
        let check = |form: &str, key: Option<&str>, expected: Result<Option<&str>, FormError>| {
            let token = order(form.as_bytes(), key).map(|(_, token)| token);
            assert_eq!(token, expected.map(|text| text.and_then(Token::parse)), "{form} {key:?}");
        };
        check("quantity=1", None, Ok(None));
        check("quantity=1", Some(key), Ok(Some(key)));
        check("quantity=1&token=0123456789abcdef", Some(key), Ok(Some("0123456789abcdef")));
        check("quantity=1&token=", None, Err(FormError::Token));
        check("quantity=1&token=%3Cscript%3Ealert(1)", Some(key), Err(FormError::Token));
        check("quantity=1", Some("short"), Err(FormError::Token));
        check("quantity=0&token=", None, Err(FormError::Invalid("0".into())));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(form in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = quantity(&[b"quantity=", form.as_slice()].concat());
            fields(&form).for_each(drop);
        }
    }
}
