//! A page whose layout is known: compare the text between the numbers, read the numbers.

use memchr::memchr;

use crate::{Format, Limits, Page, Values, cursor::Cursor, line, number};

/// The longest text of a number that is read the short way. Longer ones are legal, and nobody writes them.
const NUMBER_BYTES: usize = 64;

/// A page with its numbers cut out: a known layout.
///
/// What is compared is everything but the samples' values, timestamps and exemplars: names, labels, their order and
/// spelling, `# TYPE` and `# HELP` lines, comments, blank lines. A page that matches has the same series as the one
/// that the template was made of, in the same order, with the same types.
///
/// Shareable and hashable, so that pods of one workload can use one. Two templates are equal if they were made of
/// pages that match each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    /// The text before each value, one after the other, and the text after the last line with a sample.
    text: Box<[u8]>,
    /// Where in `text` each value's own text ends.
    ends: Box<[u32]>,
    format: Format,
    /// What exemplars are held to, as when the page was parsed.
    limits: Limits,
    /// Bytes that a value and what follows it on its line may have before the line could be too long.
    room: usize,
}

// === impl Template ===

impl Template {
    /// Cuts the numbers out of a page that was parsed from `bytes` as `format`.
    ///
    /// `None` if the page has rejected lines, because those must be judged anew each time; if it has no samples; or if a
    /// series is about as long as a line may be. Such pages are parsed in full every time.
    pub fn of(bytes: &[u8], page: &Page<'_>, format: Format) -> Option<Self> {
        if page.rejected.count > 0 || page.samples.is_empty() {
            return None;
        }
        let longest = page.samples.iter().map(|sample| sample.value_at - sample.line_start).max()?;
        let room = page.limits.line_bytes.checked_sub(longest).filter(|room| *room >= NUMBER_BYTES)?;

        let mut text = Vec::with_capacity(bytes.len());
        let mut ends = Vec::with_capacity(page.samples.len());
        let mut from = 0;
        for sample in &page.samples {
            text.extend_from_slice(bytes.get(from..sample.value_at)?);
            ends.push(u32::try_from(text.len()).ok()?);
            from = sample.line_end;
        }
        text.extend_from_slice(bytes.get(from..)?);
        Some(Self { text: text.into(), ends: ends.into(), format, limits: page.limits.clone(), room })
    }

    /// Reads the numbers of a page that has this layout into `out`, whose earlier content is dropped.
    ///
    /// `true` means that [`Page::parse`] would find the same series with exactly these numbers, and nothing to reject.
    /// `false` means that the page is different or unusual and wants to be parsed; `out` is then empty. Allocates only
    /// while `out` grows.
    pub fn read(&self, bytes: &[u8], out: &mut Values) -> bool {
        out.clear();
        out.values.reserve(self.ends.len());
        let matches = self.read_all(bytes, out).is_some();
        if !matches {
            out.clear();
        }
        matches
    }

    /// The number of samples on a page of this layout.
    pub fn samples(&self) -> usize {
        self.ends.len()
    }

    /// Bytes on the heap: the page's text without its numbers, and four bytes a sample.
    pub fn heap_bytes(&self) -> usize {
        self.text.len() + std::mem::size_of_val(&*self.ends)
    }

    fn read_all(&self, bytes: &[u8], out: &mut Values) -> Option<()> {
        let mut rest = bytes;
        let mut from = 0;
        for &end in &self.ends {
            let end = end as usize;
            rest = rest.strip_prefix(self.text.get(from..end)?)?;
            from = end;
            let (value, length) = number::prefix(rest).ok()?;
            let (number, after) = rest.split_at_checked(length)?;
            rest = after;
            match rest.first() {
                Some(b'\n') | None if number.len() <= NUMBER_BYTES => out.push(value, None),
                Some(b' ' | b'\t' | b'\r') => {
                    let tail = rest.get(..memchr(b'\n', rest).unwrap_or(rest.len()))?;
                    if number.len() + tail.len() > self.room {
                        return None;
                    }
                    out.push(value, self.timestamp(tail)?);
                    rest = rest.get(tail.len()..)?;
                }
                _ => return None,
            }
        }
        (rest == self.text.get(from..)?).then_some(())
    }

    /// Reads what follows a value on its line; `None` if the line is not in order.
    fn timestamp(&self, tail: &[u8]) -> Option<Option<i64>> {
        let text = std::str::from_utf8(tail).ok()?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        line::tail(&mut Cursor::new(text), self.format, &self.limits).ok()
    }
}
