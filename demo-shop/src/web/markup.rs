//! Text to HTML: what is escaped, what is filled in where, how numbers look.

use std::fmt::{self, Display};

/// A text that is safe between tags and in quoted attributes.
pub(super) struct Escaped<'a>(pub(super) &'a str);

// === impl Escaped ===

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => write!(f, "{other}"),
        })
    }
}

/// Puts values in place of each `{{name}}`. Values are not looked at again, so a visitor's text cannot name a place.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (place, after) = after.split_once("}}").unwrap_or((after, ""));
        let value = values.iter().find(|(name, _)| *name == place).map(|(_, value)| *value);
        page.push_str(before);
        page.push_str(value.unwrap_or_default());
        rest = after;
    }
    page.push_str(rest);
    page
}

/// A number with a comma between groups of three digits.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number, or that there is none.
pub(super) fn known(number: Option<u64>) -> String {
    number.map_or_else(|| "unknown".into(), thousands)
}

/// As many widgets.
pub(super) fn widgets(number: u64) -> String {
    format!("{} {}", thousands(number), if number == 1 { "widget" } else { "widgets" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
        assert_eq!((widgets(1), widgets(1000)), ("1 widget".into(), "1,000 widgets".into()));
    }

    #[test]
    fn places_are_filled_once() {
        let check = |template: &str, expected: &str| {
            assert_eq!(fill(template, &[("a", "{{b}}"), ("b", "x")]), expected, "{template}");
        };
        check("", "");
        check("<{{a}}|{{b}}|{{c}}>", "<{{b}}|x|>");
        check("{{nope", "");
        check("{ {b} }}", "{ {b} }}");
    }

    #[test]
    fn markup_is_escaped() {
        assert_eq!(Escaped("<a b=\"c\" d='e'>&").to_string(), "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;");
    }
}
