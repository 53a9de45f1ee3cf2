//! Regular expressions in RE2's language for whoever works beside expressions: with groups and Go's expansion.

use regex::Regex;

use crate::{
    Bounds, Dialect,
    matcher::{compile, expand, unanchored},
};

/// A regular expression. Matches in linear time.
#[derive(Clone, Debug)]
pub struct Re2(Regex);

// === impl Re2 ===

impl Re2 {
    /// Reads a regular expression that may match any part of a text, and may take `bytes` of memory.
    ///
    /// # Errors
    /// What is wrong with it, in words that end a sentence.
    pub fn new(text: &str, bytes: usize) -> Result<Self, String> {
        unanchored(text, bytes).map(Self).map_err(|error| error.0)
    }

    /// The same, to match a whole text only, as Prometheus' relabelling has it.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn whole(text: &str, bytes: usize) -> Result<Self, String> {
        let bounds = Bounds { regex_bytes: bytes, ..Bounds::default() };
        compile(text, &bounds, Dialect::Prometheus3).map(Self).map_err(|error| error.0)
    }

    /// Whether the text, or any part of it, matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// How many groups it has, the whole match not counted.
    pub fn groups(&self) -> usize {
        self.0.captures_len() - 1
    }

    /// `template` with `$1`, `${name}` and `$$` replaced by what the first match in `text` has, as Go's `Expand` does;
    /// `None` without a match, or when the result is longer than `limit` bytes.
    pub fn expand(&self, text: &str, template: &str, limit: usize) -> Option<String> {
        expand(&self.0.captures(text)?, template, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_is_expanded() {
        let check = |pattern: &str, text: &str, template: &str, want: Option<&str>| {
            let pattern = Re2::new(pattern, 1 << 20).unwrap();
            assert_eq!(pattern.expand(text, template, 20).as_deref(), want, "{text} {template}");
        };
        check("^(.*)_total$", "x_total", "${1}_per_second", Some("x_per_second"));
        check("b+", "abba", "$0", Some("bb"));
        check("c", "abba", "$0", None);
        check("a", "a", "123456789012345678901", None);
        assert_eq!(Re2::new("(a)(?P<b>b)", 1 << 20).unwrap().groups(), 2);
        let whole = Re2::whole("a|b.", 1 << 20).unwrap();
        assert_eq!(["a", "b\n", "ab", "xa"].map(|text| whole.is_match(text)), [true, true, false, false]);
        assert!(Re2::new("a(", 1 << 20).unwrap_err().contains("unclosed group"));
        assert!(Re2::new("(a{1000}){1000}", 1 << 20).unwrap_err().contains("memory"));
    }
}
