//! Regular expressions as Prometheus means them: RE2's language, anchored at both ends.
//!
//! The `regex` crate matches in linear time as RE2 does, but reads a few things differently; [`translate`] writes a pattern
//! of RE2's so that the crate takes it to mean the same. A pattern that only lists values (`a|b|c`, what matchers for many
//! pods look like) is a set, and needs no regular expression.

use std::{collections::HashSet, fmt::Write as _, sync::Arc};

use regex::{Captures, Regex, RegexBuilder};

use crate::{Bounds, Dialect};

/// A regular expression that must match a whole text.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// A list of values.
    Values(Arc<HashSet<Box<str>>>),
    /// Anything else.
    Regex(Regex),
}

/// Why a pattern is none, in words that end a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatternError(pub(crate) String);

// === impl PatternError ===

impl PatternError {
    fn new(error: &regex::Error) -> Self {
        if let regex::Error::CompiledTooBig(limit) = error {
            return Self(format!(
                "it needs more than {limit} bytes of memory; write it with fewer and smaller repetitions"
            ));
        }
        // The crate draws the pattern over several lines; its last one says what is wrong.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        Self(reason.trim().trim_start_matches("error: ").to_owned())
    }
}

// === impl Pattern ===

impl Pattern {
    /// Reads a pattern.
    pub(crate) fn new(text: &str, bounds: &Bounds, dialect: Dialect) -> Result<Self, PatternError> {
        if let Some(values) = values(text) {
            return Ok(Self::Values(Arc::new(values)));
        }
        Ok(Self::Regex(compile(text, bounds, dialect)?))
    }

    /// Whether the pattern is a regular expression proper, which costs memory beyond its text.
    pub(crate) fn is_regex(&self) -> bool {
        matches!(self, Self::Regex(_))
    }

    /// Whether the whole of `text` matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Values(values) => values.contains(text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// A compiled, anchored regular expression, for those who need its groups.
pub(crate) fn compile(text: &str, bounds: &Bounds, dialect: Dialect) -> Result<Regex, PatternError> {
    let translated = translate(text);
    // The pattern must be one by itself, or `a)(b` would become one between our parentheses.
    RegexBuilder::new(&translated)
        .size_limit(bounds.regex_bytes)
        .build()
        .and_then(|_| {
            RegexBuilder::new(&format!("^(?:{translated})$"))
                .dot_matches_new_line(dialect == Dialect::Prometheus3)
                .size_limit(bounds.regex_bytes)
                .dfa_size_limit(bounds.regex_bytes)
                .build()
        })
        .map_err(|error| PatternError::new(&error))
}

/// A compiled regular expression that may match any part of a text, and its groups.
pub(crate) fn unanchored(text: &str, bytes: usize) -> Result<Regex, PatternError> {
    let regex = RegexBuilder::new(&translate(text)).size_limit(bytes).dfa_size_limit(bytes).build();
    regex.map_err(|error| PatternError::new(&error))
}

/// Appends `template` with `$1`, `${name}` and `$$` replaced, as Go's and the crate's expansion have it, as long as the
/// text stays within `limit` bytes.
pub(crate) fn expand(captures: &Captures<'_>, template: &str, limit: usize) -> Option<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('$') {
        text.push_str(before);
        let (part, taken) = match reference(behind) {
            Some(Reference::Dollar) => ("$", 1),
            Some(Reference::Group { name, taken }) => {
                let group = match name.parse::<usize>() {
                    Ok(number) => captures.get(number),
                    Err(_) => captures.name(name),
                };
                (group.map_or("", |group| group.as_str()), taken)
            }
            None => ("$", 0),
        };
        text.push_str(part);
        rest = behind.get(taken..).unwrap_or_default();
        if text.len() > limit {
            return None;
        }
    }
    text.push_str(rest);
    (text.len() <= limit).then_some(text)
}

/// What stands behind a dollar sign.
enum Reference<'t> {
    Dollar,
    Group { name: &'t str, taken: usize },
}

fn reference(behind: &str) -> Option<Reference<'_>> {
    if behind.starts_with('$') {
        return Some(Reference::Dollar);
    }
    let word =
        |text: &str| text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    if let Some(braced) = behind.strip_prefix('{') {
        let length = word(braced);
        let name = braced.get(..length)?;
        let closed = !name.is_empty() && braced.get(length..)?.starts_with('}');
        return closed.then_some(Reference::Group { name, taken: length + 2 });
    }
    let length = word(behind);
    (length > 0).then_some(Reference::Group { name: behind.get(..length)?, taken: length })
}

/// The values of a pattern that only lists some, as `a|b\.c` does.
fn values(text: &str) -> Option<HashSet<Box<str>>> {
    let mut values = HashSet::new();
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '|' => {
                values.insert(std::mem::take(&mut value).into_boxed_str());
            }
            '\\' => value.push(chars.next().filter(char::is_ascii_punctuation)?),
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            _ => value.push(char),
        }
    }
    values.insert(value.into_boxed_str());
    Some(values)
}

/// Writes a pattern of RE2's for the `regex` crate: ASCII classes (`\d` is `[0-9]` in RE2), `\Q...\E`, escaped punctuation,
/// and brackets, ampersands and tildes inside classes, which are set operators to the crate.
fn translate(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.char_indices().peekable();
    let mut in_class = false;
    while let Some((at, char)) = chars.next() {
        let rest = text.get(at + char.len_utf8()..).unwrap_or_default();
        match char {
            '\\' => {
                let Some((_, escaped)) = chars.next() else {
                    out.push('\\');
                    continue;
                };
                match (escaped, in_class) {
                    ('d', true) => out.push_str("0-9"),
                    ('w', true) => out.push_str("0-9A-Za-z_"),
                    ('s', true) => out.push_str(r"\t\n\x0C\r "),
                    ('d', false) => out.push_str("[0-9]"),
                    ('w', false) => out.push_str("[0-9A-Za-z_]"),
                    ('s', false) => out.push_str(r"[\t\n\x0C\r ]"),
                    ('D', _) => out.push_str("[^0-9]"),
                    ('W', _) => out.push_str("[^0-9A-Za-z_]"),
                    ('S', _) => out.push_str(r"[^\t\n\x0C\r ]"),
                    ('b', false) => out.push_str(r"(?-u:\b)"),
                    // The crate has no bytes between characters to offer, so that ASCII's notion is spelt out.
                    ('B', false) => out.push_str(r"(?:\B)"),
                    ('Q', _) => {
                        let rest = text.get(at + 2..).unwrap_or_default();
                        let quoted = rest.split_once(r"\E").map_or(rest, |(quoted, _)| quoted);
                        out.push_str(&regex::escape(quoted));
                        let end = at + 2 + quoted.len() + if quoted.len() < rest.len() { 2 } else { 0 };
                        while chars.next_if(|(next, _)| *next < end).is_some() {}
                    }
                    _ if escaped.is_ascii_punctuation() => {
                        // Code points: the crate gives meaning to some escaped punctuation, such as `\<`.
                        let _ = write!(out, r"\x{:02X}", u32::from(escaped));
                    }
                    _ => {
                        out.push('\\');
                        out.push(escaped);
                    }
                }
            }
            '[' if in_class && !rest.starts_with(':') => out.push_str(r"\["),
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(char);
            }
            '[' if in_class => {
                // A named class, [:alpha:]: copied up to its end, which is no end of the class around it.
                out.push('[');
                if let Some(end) = rest.find(":]") {
                    let end = at + 1 + end + 2;
                    while let Some((_, char)) = chars.next_if(|(next, _)| *next < end) {
                        out.push(char);
                    }
                }
            }
            '[' => {
                in_class = true;
                out.push('[');
                if chars.next_if(|(_, next)| *next == '^').is_some() {
                    out.push('^');
                }
                // A closing bracket in the first place stands for itself.
                if chars.next_if(|(_, next)| *next == ']').is_some() {
                    out.push_str(r"\]");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern, &Bounds::default(), Dialect::Prometheus3).unwrap().matches(text)
    }

    #[test]
    fn patterns_mean_what_re2_means() {
        let check = |pattern: &str, yes: &[&str], no: &[&str]| {
            for text in yes {
                assert!(matches(pattern, text), "{pattern} should match {text:?}");
            }
            for text in no {
                assert!(!matches(pattern, text), "{pattern} should not match {text:?}");
            }
        };
        check("", &[""], &["a"]);
        check("a|b", &["a", "b"], &["", "ab", "a|b"]);
        check("a|", &["a", ""], &["b"]);
        check(r"a\.b|c", &["a.b", "c"], &["aXb", r"a\.b"]);
        check("a.*", &["a", "abc", "a\nb"], &["ba"]);
        check("a|b.*", &["a", "bc"], &["ac", "xb"]);
        check(r"\d+", &["12"], &["٣", "a", ""]);
        check(r"\w", &["a", "_", "0"], &["ä", "-"]);
        check(r"[\d.]+", &["1.2"], &["a"]);
        check(r"\S+", &["a"], &["a b"]);
        check("[[]a", &["[a"], &["a"]);
        check("[]]", &["]"], &["["]);
        check("[^]]", &["a"], &["]"]);
        check("[a&&b]", &["&", "a", "b"], &["c"]);
        check("[[:alpha:]]+", &["abc"], &["a1"]);
        check(r"\<a\>", &["<a>"], &["a"]);
        check(r"\Qa.b\E.c", &["a.bXc"], &["aXbXc"]);
        check(r"\Qa|b", &["a|b"], &["a"]);
        check("(?i)ab", &["AB"], &["a"]);
        check(r"\ba\b", &["a"], &["b"]);
        check("(?P<x>a)+", &["aa"], &["b"]);
        check("^a$", &["a"], &["ab"]);
        check(r"\pL+", &["ä"], &["1"]);
    }

    #[test]
    fn a_dot_and_a_line_feed_depend_on_the_dialect() {
        let old = Pattern::new("a.b", &Bounds::default(), Dialect::Prometheus2).unwrap();
        assert!(!old.matches("a\nb"));
        assert!(old.matches("axb"));
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        let check = |pattern: &str, want: &str| {
            let error = Pattern::new(pattern, &Bounds::default(), Dialect::Prometheus3).unwrap_err();
            assert!(error.0.contains(want), "{pattern}: {}", error.0);
        };
        check("a(", "unclosed group");
        check("a)(b", "unopened group");
        check("*", "repetition operator");
        check("(a{1000}){1000}", "more than 1048576 bytes");
        check(r"(a)\1", "backreferences are not supported");
        check("(?=a)", "look-around");
        check("\\", "incomplete escape");
    }

    #[test]
    fn templates_expand_as_in_go() {
        let regex = Regex::new("(a)(?P<name>b)?").unwrap();
        let check = |template: &str, want: &str| {
            let captures = regex.captures("ab").unwrap();
            assert_eq!(expand(&captures, template, 100).as_deref(), Some(want), "{template}");
        };
        check("x", "x");
        check("$1-$2", "a-b");
        check("${1}1$name", "a1b");
        check("$11", "");
        check("$1x", "");
        check("$$1", "$1");
        check("$ ${ ${} $-", "$ ${ ${} $-");
        check("$0", "ab");
        let captures = regex.captures("ab").unwrap();
        assert_eq!(expand(&captures, "$0$0$0", 5), None);
        assert_eq!(expand(&captures, "abcdef", 5), None);
    }
}
