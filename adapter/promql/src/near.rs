//! The name that was probably meant.

/// The name that takes the fewest changed, added or lost letters to become `name`, if it takes few.
pub fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // No name that anything has is longer; a longer one was not mistyped.
    if name.len() > 40 {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let near = names.map(|known| (distance(&name, known), known)).min()?;
    (near.0 <= (name.len() / 3).max(1)).then_some(near.1)
}

/// Levenshtein's distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, above) in b.bytes().zip(row.iter_mut().skip(1)) {
            let cost = (diagonal + usize::from(x != y)).min(*above + 1).min(left + 1);
            diagonal = *above;
            *above = cost;
            left = cost;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let check = |name: &str, want: Option<&str>| {
            assert_eq!(nearest(name, ["rate", "irate", "increase", "sum"].into_iter()), want, "{name}");
        };
        check("rat", Some("rate"));
        check("increases", Some("increase"));
        check("SUM", Some("sum"));
        check("frobnicate", None);
        check("", None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
