//! Text to tokens.

use crate::{
    duration::parse_duration,
    error::{ParseError, Span},
    number::parse_number,
    text::{TextError, parse_text},
};

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// A name or a word: which of the two depends on where it stands.
    Word,
    Number(f64),
    /// In milliseconds.
    Duration(i64),
    Text(String),
    /// Punctuation and operators, as they are written.
    Sign(&'static str),
    End,
}

/// Signs, longer ones before those with which they begin.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "=~", "!~", "<", ">", "=", "+", "-", "*", "/", "%", "^", "@", "(", ")", "{", "}",
    "[", "]", ",", ":",
];

/// Reads tokens one after another.
#[derive(Debug)]
pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// Between brackets a colon parts range and step; elsewhere it belongs to names.
    in_brackets: bool,
}

// === impl Lexer ===

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0, in_brackets: false }
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Token, ParseError> {
        self.skip_blanks();
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let Some(first) = rest.chars().next() else {
            return Ok(Token { kind: TokenKind::End, span: Span::new(start, start) });
        };
        let (kind, length) = if first.is_ascii_alphabetic()
            || first == '_'
            || (first == ':' && !self.in_brackets)
        {
            (TokenKind::Word, self.word(rest))
        } else if first.is_ascii_digit() || (first == '.' && rest.get(1..).is_some_and(starts_with_digit)) {
            let length = number_length(rest);
            (self.number(start, rest.get(..length).unwrap_or_default())?, length)
        } else if matches!(first, '"' | '\'' | '`') {
            let (value, length) = parse_text(rest).map_err(|error| self.text_error(error))?;
            (TokenKind::Text(value), length)
        } else {
            let sign =
                SIGNS.iter().find(|sign| rest.starts_with(**sign)).ok_or_else(|| self.unexpected(first))?;
            match *sign {
                "[" => self.in_brackets = true,
                "]" => self.in_brackets = false,
                _ => {}
            }
            (TokenKind::Sign(sign), sign.len())
        };
        self.at = start + length;
        Ok(Token { kind, span: Span::new(start, self.at) })
    }

    /// Whether a bracket is open.
    pub(crate) fn in_brackets(&self) -> bool {
        self.in_brackets
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
            let comment = match rest.get(blanks..) {
                Some(rest) if rest.starts_with('#') => rest.find('\n').unwrap_or(rest.len()),
                _ => 0,
            };
            self.at += blanks + comment;
            if comment == 0 {
                return;
            }
        }
    }

    fn word(&self, rest: &str) -> usize {
        let part =
            |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b':' && !self.in_brackets);
        rest.bytes().take_while(|byte| part(*byte)).count()
    }

    fn number(&self, start: usize, text: &str) -> Result<TokenKind, ParseError> {
        if let Some(number) = parse_number(text) {
            return Ok(TokenKind::Number(number));
        }
        if let Some(millis) = parse_duration(text) {
            return Ok(TokenKind::Duration(millis));
        }
        let message = format!(
            "{text:?} is neither a number nor a duration; write numbers as 1.5, 1e6 or 0x1f and durations as 5m, 1h30m or \
             500ms, units from long to short (y w d h m s ms)"
        );
        Err(ParseError::new(self.text, Span::new(start, start + text.len()), message))
    }

    fn text_error(&self, error: TextError) -> ParseError {
        let (offset, message) = match error {
            TextError::Unterminated => (
                0,
                "the quote is not closed on its line; close it, write a line feed as \\n, or use backticks".to_owned(),
            ),
            TextError::BadEscape(offset) => (
                offset,
                "unknown escape; known are \\a \\b \\f \\n \\r \\t \\v \\\\, the quote itself, \\x41, \\101, \\u00e4 and \
                 \\U0001f600 (UTF-8 text alone); write a backslash as \\\\"
                    .to_owned(),
            ),
        };
        ParseError::new(self.text, Span::new(self.at + offset, self.at + offset + 1), message)
    }

    fn unexpected(&self, char: char) -> ParseError {
        let instead = match char {
            '!' => "; \"not equal\" is written !=, \"does not match\" !~, \"without those in\" unless",
            '&' | '|' => "; the set operators are written and, or, unless",
            '$' => "; a template's variable must be replaced before the expression is read",
            ';' => "; an expression has no end mark",
            _ => "",
        };
        let message = format!("unexpected character {char:?}{instead}");
        ParseError::new(self.text, Span::new(self.at, self.at + char.len_utf8()), message)
    }
}

/// How far what begins as a number reaches: letters included, for they make durations, hexadecimals or mistakes.
fn number_length(text: &str) -> usize {
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    let mut before = b' ';
    text.bytes()
        .take_while(|byte| {
            let sign = matches!(byte, b'+' | b'-') && matches!(before, b'e' | b'E') && !hexadecimal;
            before = *byte;
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || sign
        })
        .count()
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}
