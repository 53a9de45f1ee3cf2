//! A place in a line.

/// Which bytes an unquoted name may go on with.
pub(crate) type Class = [bool; 256];

/// `[a-zA-Z0-9_:]`
pub(crate) const METRIC_NAME: Class = class(b"_:");
/// `[a-zA-Z0-9_]`
pub(crate) const LABEL_NAME: Class = class(b"_");

/// Reads a line from left to right. Everything that it stops at is ASCII, so that it never stands inside a
/// character.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes already read.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    pub(crate) fn is_at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// What is left of the line.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// What was read since `from`.
    #[inline]
    pub(crate) fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Goes past `byte` if that is what comes next.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    pub(crate) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes an unquoted name; an empty one if no name starts here.
    #[inline]
    pub(crate) fn name(&mut self, class: &Class) -> &'a str {
        let from = self.at;
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            let rest = self.rest();
            self.at += rest.iter().position(|byte| !class[usize::from(*byte)]).unwrap_or(rest.len());
        }
        self.since(from)
    }

    /// Takes everything up to the next blank.
    #[inline]
    pub(crate) fn token(&mut self) -> &'a str {
        let from = self.at;
        let rest = self.rest();
        self.at += rest.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(rest.len());
        self.since(from)
    }
}

const fn class(extra: &[u8]) -> Class {
    let mut class = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < extra.len() {
        class[extra[index] as usize] = true;
        index += 1;
    }
    class
}
