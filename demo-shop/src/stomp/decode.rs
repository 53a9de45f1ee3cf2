//! Bytes to frames, without I/O.
//!
//! [`Decoder`] is fed whatever a read returned and hands out whole frames. It keeps at most one head and one body
//! more than it has handed out, both within [`Limits`], and looks at each byte once however small the pieces are.
//! An error is final: a peer that broke the framing cannot be followed any further.

use super::frame::{Command, Frame, Headers};
use bytes::{Buf, BytesMut};
use std::str;
use thiserror::Error;

/// How large a frame may be. Beyond it the frame is refused before it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of command and headers together. Default 16 KiB.
    pub head_bytes: usize,
    /// Number of headers. Default 64.
    pub headers: usize,
    /// Bytes of the body. Default 1 MiB.
    pub body_bytes: usize,
}

/// Collects bytes and hands out frames.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    buffer: BytesMut,
    /// Bytes at the buffer's start that were searched already.
    searched: usize,
    /// The head of the frame whose body is still coming.
    head: Option<Head>,
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// Command and headers exceed [`Limits::head_bytes`].
    #[error("frame head exceeds {0} bytes")]
    HeadTooLarge(usize),
    /// More headers than [`Limits::headers`].
    #[error("frame has more than {0} headers")]
    TooManyHeaders(usize),
    /// The body exceeds [`Limits::body_bytes`].
    #[error("frame body exceeds {0} bytes")]
    BodyTooLarge(usize),
    /// The first line names no command of STOMP 1.2.
    #[error("unknown command {0:?}")]
    UnknownCommand(String),
    /// A header line without colon or name, with a bare carriage return, or not UTF-8.
    #[error("malformed header line {0:?}")]
    MalformedHeader(String),
    /// A backslash followed by something other than `r`, `n`, `c` or a backslash.
    #[error("undefined escape in header line {0:?}")]
    UndefinedEscape(String),
    /// A NUL before the empty line that ends the head.
    #[error("frame ends within its head")]
    NulInHead,
    /// `content-length` is not a number.
    #[error("content-length {0:?} is not a number")]
    ContentLength(String),
    /// The byte after a body of `content-length` bytes is not NUL.
    #[error("body is not followed by NUL where content-length ends it")]
    MissingNul,
}

#[derive(Debug)]
struct Head {
    command: Command,
    headers: Headers,
    content_length: Option<usize>,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { head_bytes: 16 << 10, headers: 64, body_bytes: 1 << 20 }
    }
}

// === impl Decoder ===

impl Decoder {
    /// A decoder that has seen nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: BytesMut::new(), searched: 0, head: None }
    }

    /// Where a read may append its bytes.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole frame, or none until more bytes are appended. Line breaks between frames (heart-beats) are
    /// skipped.
    ///
    /// # Errors
    /// The bytes are no frame or exceed a limit; the connection is of no further use.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        if self.head.is_none() {
            self.head = self.take_head()?;
        }
        let Some(head) = &self.head else { return Ok(None) };
        let Some(length) = self.body_length(head.content_length)? else { return Ok(None) };
        let body = self.buffer.split_to(length).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        Ok(self.head.take().map(|head| Frame { command: head.command, headers: head.headers, body }))
    }

    fn take_head(&mut self) -> Result<Option<Head>, DecodeError> {
        if self.searched == 0 {
            let blank = self.buffer.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            self.buffer.advance(blank);
        }
        let Some(end) = self.find_head_end()? else { return Ok(None) };
        let bytes = self.buffer.split_to(end);
        self.searched = 0;
        parse_head(&bytes, &self.limits).map(Some)
    }

    /// The position after the empty line that ends the head.
    fn find_head_end(&mut self) -> Result<Option<usize>, DecodeError> {
        let window = &self.buffer[..self.buffer.len().min(self.limits.head_bytes)];
        for at in memchr::memchr2_iter(b'\n', 0, &window[self.searched..]).map(|at| at + self.searched) {
            if window[at] == 0 {
                return Err(DecodeError::NulInHead);
            }
            if matches!(window[..at], [.., b'\n'] | [.., b'\n', b'\r']) {
                return Ok(Some(at + 1));
            }
        }
        if self.buffer.len() >= self.limits.head_bytes {
            return Err(DecodeError::HeadTooLarge(self.limits.head_bytes));
        }
        self.searched = window.len();
        Ok(None)
    }

    /// The body's length once the buffer holds it and its NUL.
    fn body_length(&mut self, content_length: Option<usize>) -> Result<Option<usize>, DecodeError> {
        let too_large = DecodeError::BodyTooLarge(self.limits.body_bytes);
        let Some(length) = content_length else {
            if let Some(at) = memchr::memchr(0, &self.buffer[self.searched..]) {
                let length = self.searched + at;
                return if length > self.limits.body_bytes { Err(too_large) } else { Ok(Some(length)) };
            }
            self.searched = self.buffer.len();
            return if self.searched > self.limits.body_bytes { Err(too_large) } else { Ok(None) };
        };
        if length > self.limits.body_bytes {
            return Err(too_large);
        }
        match self.buffer.get(length) {
            Some(0) => Ok(Some(length)),
            Some(_) => Err(DecodeError::MissingNul),
            None => Ok(None),
        }
    }
}

fn parse_head(bytes: &[u8], limits: &Limits) -> Result<Head, DecodeError> {
    let mut lines = bytes.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let name = lines.next().unwrap_or_default();
    let command = Command::parse(name).ok_or_else(|| DecodeError::UnknownCommand(excerpt(name)))?;
    let mut headers = Headers::default();
    let mut content_length = None;
    let mut count = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        count += 1;
        if count > limits.headers {
            return Err(DecodeError::TooManyHeaders(limits.headers));
        }
        let (name, value) = parse_header(line, command.escapes())?;
        if name == "content-length" {
            let length = value.parse().map_err(|_| DecodeError::ContentLength(excerpt(value.as_bytes())))?;
            content_length.get_or_insert(length);
        } else {
            headers.push(name, value);
        }
    }
    Ok(Head { command, headers, content_length })
}

fn parse_header(line: &[u8], escaped: bool) -> Result<(String, String), DecodeError> {
    let malformed = || DecodeError::MalformedHeader(excerpt(line));
    let text = str::from_utf8(line).map_err(|_| malformed())?;
    let (name, value) = text.split_once(':').ok_or_else(malformed)?;
    if name.is_empty() || text.contains('\r') {
        return Err(malformed());
    }
    if !escaped {
        return Ok((name.to_owned(), value.to_owned()));
    }
    let undefined = || DecodeError::UndefinedEscape(excerpt(line));
    Ok((unescape(name).ok_or_else(undefined)?, unescape(value).ok_or_else(undefined)?))
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next()? {
                'r' => '\r',
                'n' => '\n',
                'c' => ':',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

/// Enough of what a peer sent to recognise it in a log line.
fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 64;
    String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]).into_owned()
}

#[cfg(test)]
mod tests;
