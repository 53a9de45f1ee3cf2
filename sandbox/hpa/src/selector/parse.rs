//! From text to requirements.

use super::{MAX_SELECTOR_BYTES, Operator, Requirement, SelectorError};

/// The longest label value, and the longest name part of a key, in bytes.
const MAX_NAME_BYTES: usize = 63;
/// The longest prefix part of a key, in bytes.
const MAX_PREFIX_BYTES: usize = 253;

pub(super) fn requirements(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    if text.len() > MAX_SELECTOR_BYTES {
        let found = text.len();
        return Err(SelectorError(format!(
            "the selector has {found} bytes, at most {MAX_SELECTOR_BYTES} are read"
        )));
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    split_at_commas(text).into_iter().map(requirement).collect()
}

/// A key, as Kubernetes takes them: `[prefix/]name`.
pub(super) fn check_key(key: &str) -> Result<(), SelectorError> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    let prefix_is_good = prefix.is_none_or(|prefix| {
        (1..=MAX_PREFIX_BYTES).contains(&prefix.len())
            && prefix.split('.').all(|part| {
                is_framed(part)
                    && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            })
    });
    if prefix_is_good && is_name(name) {
        return Ok(());
    }
    Err(SelectorError(format!(
        "{:?} is no label key: letters, digits, '-', '_' and '.', at most 63",
        shortened(key)
    )))
}

/// A value, as Kubernetes takes them: empty or a name.
pub(super) fn check_value(value: &str) -> Result<(), SelectorError> {
    if value.is_empty() || is_name(value) {
        return Ok(());
    }
    Err(SelectorError(format!(
        "{:?} is no label value: letters, digits, '-', '_' and '.', at most 63",
        shortened(value)
    )))
}

fn requirement(text: &str) -> Result<Requirement, SelectorError> {
    let text = text.trim();
    let (key, operator, values) = if let Some(key) = text.strip_prefix('!') {
        (key, Operator::DoesNotExist, Vec::new())
    } else if let Some(at) = text.find(['=', '!', '<', '>']) {
        let (key, rest) = text.split_at_checked(at).unwrap_or((text, ""));
        let (operator, value) = comparison(rest).ok_or_else(|| unreadable(text))?;
        (key, operator, vec![value.trim().to_owned()])
    } else if let Some((key, rest)) = text.split_once(char::is_whitespace) {
        let rest = rest.trim_start();
        let (operator, list) = match (rest.strip_prefix("notin"), rest.strip_prefix("in")) {
            (Some(list), _) => (Operator::NotIn, list),
            (None, Some(list)) => (Operator::In, list),
            (None, None) => return Err(unreadable(text)),
        };
        let list = list.trim().strip_prefix('(').and_then(|list| list.strip_suffix(')'));
        let list = list.ok_or_else(|| unreadable(text))?;
        let mut values: Vec<_> = list.split(',').map(|value| value.trim().to_owned()).collect();
        values.sort();
        values.dedup();
        (key, operator, values)
    } else {
        (text, Operator::Exists, Vec::new())
    };
    let key = key.trim();
    check_key(key)?;
    values.iter().try_for_each(|value| check_value(value))?;
    let is_order = matches!(operator, Operator::GreaterThan | Operator::LessThan);
    if is_order && values.iter().any(|value| value.parse::<i64>().is_err()) {
        return Err(SelectorError(format!("{text:?} compares with what is no integer")));
    }
    Ok(Requirement { key: key.to_owned(), operator, values })
}

fn comparison(text: &str) -> Option<(Operator, &str)> {
    let operators = [
        ("==", Operator::DoubleEquals),
        ("!=", Operator::NotEquals),
        ("=", Operator::Equals),
        (">", Operator::GreaterThan),
        ("<", Operator::LessThan),
    ];
    operators.into_iter().find_map(|(sign, operator)| text.strip_prefix(sign).map(|value| (operator, value)))
}

/// Splits at the commas outside parentheses.
fn split_at_commas(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|c| {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            _ => {}
        }
        c == ',' && !inside
    })
    .collect()
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES
        && is_framed(text)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Begins and ends with a letter or a digit.
fn is_framed(text: &str) -> bool {
    let is_end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    is_end(text.bytes().next()) && is_end(text.bytes().last())
}

fn unreadable(text: &str) -> SelectorError {
    SelectorError(format!(
        "{:?} is no selector requirement such as app=web, app in (a,b), app or !app",
        shortened(text)
    ))
}

/// What an error quotes of a text.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
