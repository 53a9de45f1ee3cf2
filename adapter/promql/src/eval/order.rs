//! Elements in order.

use std::cmp::Ordering;

use crate::Point;

/// From the least to the greatest; NaN is last.
pub(super) fn ascending(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// From the greatest to the least; NaN is last here too.
pub(super) fn descending(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// By the labels `names`, one after another, and where these are the same by all labels.
pub(super) fn by_labels(a: &Point, b: &Point, names: &[&str]) -> Ordering {
    let named = names.iter().map(|name| natural(a.labels.get(name), b.labels.get(name)));
    named.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels))
}

/// As people sort: numbers inside text by their value, `a9` before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let (x, y) = (chunk(a), chunk(b));
        let digits = |text: &str| text.starts_with(|char: char| char.is_ascii_digit());
        let order = if digits(x) && digits(y) {
            let (value, other) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
            value.len().cmp(&other.len()).then_with(|| value.cmp(other)).then_with(|| x.len().cmp(&y.len()))
        } else {
            x.cmp(y)
        };
        if order != Ordering::Equal {
            return order;
        }
        a = a.get(x.len()..).unwrap_or_default();
        b = b.get(y.len()..).unwrap_or_default();
    }
}

/// The digits, or all but digits, with which a text begins.
fn chunk(text: &str) -> &str {
    let digits = text.starts_with(|char: char| char.is_ascii_digit());
    let end = text.find(|char: char| char.is_ascii_digit() != digits).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_sort_numbers_by_value() {
        let check = |a: &str, b: &str, want: Ordering| {
            assert_eq!(natural(a, b), want, "{a} {b}");
            assert_eq!(natural(b, a), want.reverse(), "{b} {a}");
        };
        check("a9", "a10", Ordering::Less);
        check("a09", "a9", Ordering::Greater);
        check("a", "a1", Ordering::Less);
        check("", "a", Ordering::Less);
        check("10a2", "10a10", Ordering::Less);
        check("99999999999999999999998", "99999999999999999999999", Ordering::Less);
        check("a", "b", Ordering::Less);
        check("ä1", "ä1", Ordering::Equal);
    }

    #[test]
    fn nan_is_last_both_ways() {
        let sorted = |order: fn(f64, f64) -> Ordering| {
            let mut numbers = [2.0, f64::NAN, f64::INFINITY, 1.0];
            numbers.sort_by(|a, b| order(*a, *b));
            numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(sorted(ascending), "1 2 inf NaN");
        assert_eq!(sorted(descending), "inf 2 1 NaN");
    }
}
