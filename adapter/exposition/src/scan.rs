//! A page, line by line.

use memchr::memchr;

use crate::{
    Format, Label, Limits,
    line::{self, Line},
    reject::{Fault, Reason, Rejection},
};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a page line by line, without copying: what [`Page`](crate::Page) is made with.
///
/// It knows one line at a time. Whatever concerns several of them (families, duplicates, the number of series, the
/// end of an OpenMetrics page) is left to its caller.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    /// The page as text, if all of it is UTF-8. Otherwise every line is looked at on its own.
    text: Option<&'a str>,
    format: Format,
    limits: Limits,
    /// Where the next line starts.
    next: usize,
    /// Lines begun so far.
    line: u32,
    /// Where the current line starts and ends, its end-of-line bytes excluded but for a carriage return.
    start: usize,
    end: usize,
}

// === impl Scanner ===

impl<'a> Scanner<'a> {
    /// Starts at the top of a page. A byte order mark is passed over.
    pub fn new(bytes: &'a [u8], format: Format, limits: &Limits) -> Self {
        let next = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let text = std::str::from_utf8(bytes).ok();
        Self { bytes, text, format, limits: limits.clone(), next, line: 0, start: next, end: next }
    }

    /// Reads on to the next line that says something or is malformed; `None` at the end of the page.
    ///
    /// A sample's labels are appended to `labels`, sorted by name; a rejected line appends none.
    pub fn next_line(&mut self, labels: &mut Vec<Label<'a>>) -> Option<Result<Line<'a>, Rejection>> {
        let before = labels.len();
        while self.advance() {
            let found = self.current(labels);
            match found {
                Ok(None) => {}
                Ok(Some(line)) => return Some(Ok(line)),
                Err(fault) => {
                    labels.truncate(before);
                    return Some(Err(self.rejection(fault)));
                }
            }
        }
        None
    }

    /// The number of the line that was read last, from 1.
    pub fn line_number(&self) -> u32 {
        self.line
    }

    /// Where the line that was read last starts in the page.
    pub(crate) fn line_start(&self) -> usize {
        self.start
    }

    /// Where the line that was read last ends in the page: at its line feed, or at the end of the page.
    pub(crate) fn line_end(&self) -> usize {
        self.end
    }

    /// Whether nothing but blank lines is left; stands on the first other line if not.
    pub(crate) fn only_blanks_left(&mut self) -> bool {
        while self.advance() {
            let line = self.bytes.get(self.start..self.end).unwrap_or_default();
            if !line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
                return false;
            }
        }
        true
    }

    #[inline]
    fn advance(&mut self) -> bool {
        let rest = self.bytes.get(self.next..).unwrap_or_default();
        if rest.is_empty() {
            return false;
        }
        self.start = self.next;
        self.end = self.start + memchr(b'\n', rest).unwrap_or(rest.len());
        self.next = self.end + 1;
        self.line = self.line.saturating_add(1);
        true
    }

    #[inline]
    fn current(&self, labels: &mut Vec<Label<'a>>) -> Result<Option<Line<'a>>, Fault> {
        let mut end = self.end;
        if end > self.start && self.bytes.get(end - 1) == Some(&b'\r') {
            end -= 1;
        }
        if end - self.start > self.limits.line_bytes {
            return Err(Fault::of_line(Reason::LineTooLong { limit: self.limits.line_bytes }));
        }
        let text = match self.text {
            Some(text) => text.get(self.start..end),
            None => self.bytes.get(self.start..end).and_then(|line| std::str::from_utf8(line).ok()),
        };
        let text = text.ok_or(Fault::of_line(Reason::NotUtf8))?;
        match text.trim_start_matches([' ', '\t']).as_bytes().first() {
            None => Ok(None),
            Some(b'#') => line::comment(text, self.format),
            Some(_) => {
                line::sample(text, self.format, &self.limits, labels).map(|sample| Some(Line::Sample(sample)))
            }
        }
    }

    #[cold]
    fn rejection(&self, fault: Fault) -> Rejection {
        // `usize::MAX` marks a fault of the whole line, and wraps to the 0 that says so.
        let column = u32::try_from(fault.at.wrapping_add(1)).unwrap_or(u32::MAX);
        Rejection { line: self.line, column, reason: fault.reason }
    }
}
