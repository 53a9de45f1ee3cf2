//! From text to requirements: a lexer and a recursive-descent parser.
//!
//! Both follow apimachinery's step by step, so that what kube-apiserver accepts is accepted here and
//! nothing else is, down to the oddities: `in` and `notin` are also good keys, and `(a,,)` is refused
//! although `(a,,b)` is not.

use super::{Operator, Requirement, SelectorError};

/// The longest label value, and the longest name part of a key, in bytes.
const MAX_NAME_BYTES: usize = 63;
/// The longest prefix part of a key, in bytes.
const MAX_PREFIX_BYTES: usize = 253;
/// What an error quotes of an offending literal, in characters.
const MAX_QUOTED_CHARS: usize = 80;

/// A parser over the tokens of one selector.
pub(super) struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    position: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Identifier(&'a str),
    Open,
    Close,
    Comma,
    Not,
    Equals,
    DoubleEquals,
    NotEquals,
    Greater,
    Less,
    End,
}

// === impl Parser ===

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, SelectorError> {
        Ok(Self { tokens: tokens(text)?, position: 0 })
    }

    pub(super) fn parse(mut self) -> Result<Vec<Requirement>, SelectorError> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::Identifier(_) | Token::Not => {
                    requirements.push(self.requirement()?);
                    match self.next() {
                        Token::End => return Ok(requirements),
                        Token::Comma => {
                            if !matches!(self.peek(), Token::Identifier(_) | Token::Not) {
                                return Err(expected(self.peek(), "an identifier or '!' after ','"));
                            }
                        }
                        found => return Err(expected(found, "',' or the end of the selector")),
                    }
                }
                Token::End => return Ok(requirements),
                found => return Err(expected(found, "'!', an identifier or the end of the selector")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let mut token = self.next();
        let negated = token == Token::Not;
        if negated {
            token = self.next();
        }
        let Token::Identifier(key) = token else {
            return Err(expected(token, "an identifier"));
        };
        check_key(key)?;
        let operator = if negated {
            Operator::DoesNotExist
        } else if matches!(self.peek(), Token::End | Token::Comma) {
            Operator::Exists
        } else {
            self.binary(key)?
        };
        Ok(Requirement { key: key.to_owned(), operator })
    }

    /// What follows a key: an operator and its operand.
    fn binary(&mut self, key: &str) -> Result<Operator, SelectorError> {
        match self.next() {
            Token::Identifier("in") => Ok(Operator::In(self.set(key)?)),
            Token::Identifier("notin") => Ok(Operator::NotIn(self.set(key)?)),
            Token::Equals | Token::DoubleEquals => Ok(Operator::In(vec![self.exact(key)?])),
            Token::NotEquals => Ok(Operator::NotIn(vec![self.exact(key)?])),
            Token::Greater => Ok(Operator::GreaterThan(self.integer(key)?)),
            Token::Less => Ok(Operator::LessThan(self.integer(key)?)),
            found => Err(expected(found, "one of in, notin, =, ==, !=, >, <")),
        }
    }

    fn exact(&mut self, key: &str) -> Result<String, SelectorError> {
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.next() {
            Token::Identifier(value) => checked_value(key, value),
            found => Err(expected(found, "an identifier")),
        }
    }

    fn integer(&mut self, key: &str) -> Result<i64, SelectorError> {
        let value = self.exact(key)?;
        value.parse().map_err(|_| {
            SelectorError(format!("{}: the operand of '>' and '<' must be an integer", quote(&value)))
        })
    }

    fn set(&mut self, key: &str) -> Result<Vec<String>, SelectorError> {
        match self.next() {
            Token::Open => {}
            found => return Err(expected(found, "'('")),
        }
        let mut values = match self.peek() {
            Token::Identifier(_) | Token::Comma => self.list(key)?,
            Token::Close => Vec::new(),
            found => return Err(expected(found, "',', ')' or an identifier")),
        };
        match self.next() {
            Token::Close => {}
            found => return Err(expected(found, "')'")),
        }
        if values.is_empty() {
            return Err(SelectorError(format!(
                "{}: for the operators in and notin the set of values cannot be empty",
                quote(key)
            )));
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    /// The inside of a non-empty pair of parentheses; leaves the `)`.
    fn list(&mut self, key: &str) -> Result<Vec<String>, SelectorError> {
        let mut values = Vec::new();
        loop {
            match self.next() {
                Token::Identifier(value) => {
                    values.push(checked_value(key, value)?);
                    match self.peek() {
                        Token::Comma => {}
                        Token::Close => return Ok(values),
                        found => return Err(expected(found, "',' or ')'")),
                    }
                }
                Token::Comma => {
                    if values.is_empty() {
                        values.push(String::new());
                    }
                    match self.peek() {
                        Token::Close => {
                            values.push(String::new());
                            return Ok(values);
                        }
                        Token::Comma => {
                            self.next();
                            values.push(String::new());
                        }
                        _ => {}
                    }
                }
                found => return Err(expected(found, "',' or an identifier")),
            }
        }
    }

    fn peek(&self) -> Token<'a> {
        self.tokens.get(self.position).copied().unwrap_or(Token::End)
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.position += 1;
        token
    }
}

// === impl Token ===

impl Token<'_> {
    fn literal(&self) -> &str {
        match self {
            Self::Identifier(name) => name,
            Self::Open => "(",
            Self::Close => ")",
            Self::Comma => ",",
            Self::Not => "!",
            Self::Equals => "=",
            Self::DoubleEquals => "==",
            Self::NotEquals => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::End => "",
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, SelectorError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let token = match rest.as_bytes() {
            [] => break,
            [0, ..] => return Err(SelectorError("a selector holds no NUL bytes".to_owned())),
            [b'(', ..] => Token::Open,
            [b')', ..] => Token::Close,
            [b',', ..] => Token::Comma,
            [b'>', ..] => Token::Greater,
            [b'<', ..] => Token::Less,
            [b'=', b'=', ..] => Token::DoubleEquals,
            [b'=', ..] => Token::Equals,
            [b'!', b'=', ..] => Token::NotEquals,
            [b'!', ..] => Token::Not,
            _ => Token::Identifier(&rest[..rest.find(ends_identifier).unwrap_or(rest.len())]),
        };
        rest = &rest[token.literal().len()..];
        tokens.push(token);
    }
    Ok(tokens)
}

fn ends_identifier(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<' | ' ' | '\t' | '\r' | '\n' | '\0')
}

/// A qualified name: an optional DNS subdomain and a slash, then a name (`IsQualifiedName`).
fn check_key(key: &str) -> Result<(), SelectorError> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix
        && !is_subdomain(prefix)
    {
        return Err(SelectorError(format!(
            "key {}: the part before '/' must be a lower-case DNS subdomain of at most {MAX_PREFIX_BYTES} characters",
            quote(key)
        )));
    }
    if name.is_empty() || !is_name(name) {
        return Err(SelectorError(format!(
            "key {}: the name must be 1 to {MAX_NAME_BYTES} letters, digits, '-', '_' or '.', and start and end with a letter or digit",
            quote(key)
        )));
    }
    Ok(())
}

fn checked_value(key: &str, value: &str) -> Result<String, SelectorError> {
    if !is_name(value) {
        return Err(SelectorError(format!(
            "value {} of key {}: must be empty or at most {MAX_NAME_BYTES} letters, digits, '-', '_' or '.', and start and end with a letter or digit",
            quote(value),
            quote(key)
        )));
    }
    Ok(value.to_owned())
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let outer = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
    bytes.len() <= MAX_NAME_BYTES && bytes.iter().all(inner) && outer(bytes.first()) && outer(bytes.last())
}

fn is_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= MAX_PREFIX_BYTES && text.split('.').all(label)
}

fn expected(found: Token<'_>, wanted: &str) -> SelectorError {
    match found {
        Token::End => SelectorError(format!("the selector ends where {wanted} was expected")),
        found => SelectorError(format!("found {}, expected {wanted}", quote(found.literal()))),
    }
}

/// The literal in quotes, shortened: it may be as long as the peer likes.
fn quote(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
