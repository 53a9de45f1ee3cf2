//! What can be wrong with an expression, and where.

use std::fmt;

/// A stretch of an expression's text, in bytes, end excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte behind the last one.
    pub end: usize,
}

/// A place in an expression as editors count: lines and characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// An expression that is not one, or that is outside what is supported. Says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {message}")]
pub struct ParseError {
    /// The offending text.
    pub span: Span,
    /// Where it begins.
    pub position: Position,
    /// What is wrong and what to write.
    pub message: String,
}

/// An evaluation that gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({position})")]
pub struct EvalError {
    /// What kind of failure it was.
    pub kind: EvalErrorKind,
    /// The part of the expression that failed.
    pub span: Span,
    /// Where that part begins.
    pub position: Position,
    /// What is wrong and what to change.
    pub message: String,
}

/// What kind of failure an [`EvalError`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalErrorKind {
    /// A bound of the configuration was reached: [`crate::Bounds`].
    Bound,
    /// The series do not fit the expression: ambiguous matches, or several results with the same labels.
    Series,
    /// An argument's value is not one that the function takes, or a query of this kind cannot be asked.
    Argument,
}

// === impl Span ===

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From where `self` begins to where `other` ends.
    pub(crate) fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end.max(self.end) }
    }

    /// Where the span begins in `text`.
    pub fn position(self, text: &str) -> Position {
        let before = text.get(..self.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Position {
            line: 1 + before.bytes().filter(|byte| *byte == b'\n').count(),
            column: 1 + before.get(line_start..).unwrap_or_default().chars().count(),
        }
    }
}

// === impl Position ===

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

// === impl ParseError ===

impl ParseError {
    /// An error about `span` of `text`.
    pub(crate) fn new(text: &str, span: Span, message: String) -> Self {
        Self { span, position: span.position(text), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let check = |text: &str, start: usize, want: &str| {
            assert_eq!(Span::new(start, start).position(text).to_string(), want, "{text:?} at {start}");
        };
        check("", 0, "1:1");
        check("sum(x)", 4, "1:5");
        check("a +\n  b", 6, "2:3");
        check("\"ä\" + b", 6, "1:6");
        check("a", 99, "1:2");
    }
}
