//! A page in chunks, put together where it was received.
//!
//! The buffer holds what was decoded, and behind it what came since. Decoding moves the chunks' contents together and
//! leaves of the rest only what is not yet complete, so that a page in chunks takes no more memory than any other.

/// How far a page in chunks has come.
#[derive(Debug)]
pub(super) struct Chunks {
    /// Where the page begins in the buffer.
    start: usize,
    /// Where what was decoded ends.
    end: usize,
    /// Where what was not yet looked at begins.
    at: usize,
    state: State,
    /// Bytes that were no content.
    overhead: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The line with a chunk's size.
    Size,
    /// So many bytes of a chunk are missing.
    Data(u64),
    /// The end of line behind a chunk.
    DataEnd,
    /// The lines behind the last chunk.
    Trailers,
    Done,
}

/// The chunks are not as RFC 9112 (section 7.1) has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadChunks;

/// Bytes of a line with a size and extensions, or of a trailer.
pub(super) const LINE_BYTES: usize = 4 << 10;
/// Bytes that may be no content, besides eight times what is: chunks of one byte are legal, and endless extensions would
/// be endless work.
const OVERHEAD_BYTES: usize = 64 << 10;
/// Digits of a size; more would be a page that nobody has memory for.
const SIZE_DIGITS: usize = 15;

// === impl Chunks ===

impl Chunks {
    /// A page that begins at `start` of the buffer.
    pub(super) fn new(start: usize) -> Self {
        Self { start, end: start, at: start, state: State::Size, overhead: 0 }
    }

    /// Decodes what has come; whether that was all of it. Bytes behind it stay, behind [`end`](Self::end).
    pub(super) fn decode(&mut self, bytes: &mut Vec<u8>) -> Result<bool, BadChunks> {
        while self.step(bytes)? {}
        if self.overhead > OVERHEAD_BYTES + 8 * self.len() {
            return Err(BadChunks);
        }
        // What is left is a line that is not complete.
        let rest = bytes.len() - self.at;
        bytes.copy_within(self.at.., self.end);
        bytes.truncate(self.end + rest);
        self.at = self.end;
        Ok(self.state == State::Done)
    }

    /// Where the page ends in the buffer, as far as it has come.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Bytes of the page so far, and of the chunk that is under way.
    pub(super) fn announced(&self) -> u64 {
        let missing = if let State::Data(missing) = self.state { missing } else { 0 };
        missing.saturating_add(u64::try_from(self.len()).unwrap_or(u64::MAX))
    }

    fn len(&self) -> usize {
        self.end - self.start
    }

    /// Goes on by one part; false if that is not there yet, or there is no other.
    fn step(&mut self, bytes: &mut [u8]) -> Result<bool, BadChunks> {
        match self.state {
            State::Size => {
                let Some(line) = self.line(bytes)? else { return Ok(false) };
                self.state = match size(line)? {
                    0 => State::Trailers,
                    size => State::Data(size),
                };
                self.pass(line.len() + 1);
            }
            State::Data(missing) => {
                let here = bytes.len() - self.at;
                let taken = usize::try_from(missing).map_or(here, |missing| missing.min(here));
                bytes.copy_within(self.at..self.at + taken, self.end);
                self.at += taken;
                self.end += taken;
                self.state = match missing - u64::try_from(taken).unwrap_or(missing) {
                    0 => State::DataEnd,
                    missing => State::Data(missing),
                };
                return Ok(self.state == State::DataEnd);
            }
            State::DataEnd => match bytes.get(self.at..).unwrap_or_default() {
                [] | [b'\r'] => return Ok(false),
                [b'\n', ..] => {
                    self.state = State::Size;
                    self.pass(1);
                }
                [b'\r', b'\n', ..] => {
                    self.state = State::Size;
                    self.pass(2);
                }
                _ => return Err(BadChunks),
            },
            State::Trailers => {
                let Some(line) = self.line(bytes)? else { return Ok(false) };
                if matches!(line, [] | [b'\r']) {
                    self.state = State::Done;
                }
                self.pass(line.len() + 1);
            }
            State::Done => return Ok(false),
        }
        Ok(true)
    }

    /// The next line without its line feed, if it is complete.
    fn line<'a>(&self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, BadChunks> {
        let rest = bytes.get(self.at..).unwrap_or_default();
        match rest.iter().take(LINE_BYTES).position(|byte| *byte == b'\n') {
            Some(end) => Ok(rest.get(..end)),
            None if rest.len() >= LINE_BYTES => Err(BadChunks),
            None => Ok(None),
        }
    }

    fn pass(&mut self, len: usize) {
        self.at += len;
        self.overhead = self.overhead.saturating_add(len);
    }
}

/// Hexadecimal digits, and behind them blanks, extensions and a carriage return, which mean nothing.
fn size(line: &[u8]) -> Result<u64, BadChunks> {
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, rest) = line.split_at_checked(digits).ok_or(BadChunks)?;
    if digits.is_empty()
        || digits.len() > SIZE_DIGITS
        || !matches!(rest, [] | [b'\r' | b';' | b' ' | b'\t', ..])
    {
        return Err(BadChunks);
    }
    let rest = rest.trim_ascii();
    if !matches!(rest, [] | [b';', ..]) {
        return Err(BadChunks);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| BadChunks)?;
    u64::from_str_radix(digits, 16).map_err(|_| BadChunks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A page, and what came behind it.
    type Whole = (Vec<u8>, Vec<u8>);

    /// Decodes what comes in these pieces, behind a head of three bytes; nothing if it has not ended.
    fn decoded<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Whole>, BadChunks> {
        let mut bytes = b"xyz".to_vec();
        let mut chunks = Chunks::new(3);
        let mut is_done = false;
        for piece in pieces {
            bytes.extend_from_slice(piece);
            is_done = chunks.decode(&mut bytes)?;
        }
        assert!(bytes.starts_with(b"xyz"));
        Ok(is_done.then(|| (bytes[3..chunks.end()].to_vec(), bytes[chunks.end()..].to_vec())))
    }

    #[test]
    fn chunks_are_put_together() {
        let check = |text: &str, page: &str, rest: &str| {
            let want = Ok(Some((page.into(), rest.into())));
            assert_eq!(decoded([text.as_bytes()]), want, "{text:?}");
            assert_eq!(decoded(text.as_bytes().chunks(1)), want, "{text:?} byte by byte");
        };
        check("0\r\n\r\n", "", "");
        check("3\r\nabc\r\n0\r\n\r\n", "abc", "");
        check("00003;x=1;y\r\nabc\r\nA \r\n0123456789\r\n0\r\nT: 1\r\nU: 2\r\n\r\n", "abc0123456789", "");
        check("1\na\n0\n\n", "a", "");
        check("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", "");
        assert_eq!(decoded([b"0\r\n\r\nHTTP".as_slice()]), Ok(Some((vec![], b"HTTP".to_vec()))));
    }

    #[test]
    fn what_is_not_complete_is_not() {
        let whole = b"3\r\nabc\r\n0\r\nT: 1\r\n\r\n";
        for len in 0..whole.len() {
            assert_eq!(decoded([&whole[..len]]), Ok(None), "{len}");
        }
    }

    #[test]
    fn what_is_not_chunked_is_refused() {
        for text in [
            "x\r\n",
            "\r\n",
            "-1\r\n",
            "3\r\nabcd\r\n",
            "3 x\r\nabc\r\n",
            "3x\r\n",
            "1234567890abcdef\r\n",
            " 3\r\n",
        ] {
            assert_eq!(decoded([text.as_bytes()]), Err(BadChunks), "{text:?}");
        }
        let extension = [b"3;".as_slice(), &[b'x'; LINE_BYTES]].concat();
        assert_eq!(decoded([extension.as_slice()]), Err(BadChunks));
        let trailers = [b"0\r\n".as_slice(), &b"T: 1\r\n".repeat(20_000)].concat();
        assert_eq!(decoded([trailers.as_slice()]), Err(BadChunks));
        let extensions = [b"1;".as_slice(), &[b'x'; 1000], b"\r\na\r\n"].concat().repeat(100);
        assert_eq!(decoded([extensions.as_slice()]), Err(BadChunks));
    }

    proptest! {
        /// However a page is cut into chunks and chunks into pieces.
        #[test]
        fn pages_come_out_as_they_went_in(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..10),
            cuts in prop::collection::vec(1usize..20, 1..20),
        ) {
            let mut sent = Vec::new();
            for part in &parts {
                sent.extend(format!("{:x}\r\n", part.len()).bytes());
                sent.extend(part);
                sent.extend(b"\r\n");
            }
            sent.extend(b"0\r\n\r\n");
            let mut rest = sent.as_slice();
            let mut pieces = Vec::new();
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(decoded(pieces), Ok(Some((parts.concat(), vec![]))));
        }

        /// Whatever comes, and however it is cut: no panic, and nothing but how much came decides.
        #[test]
        fn cuts_do_not_matter(
            bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'0'), any::<u8>()], 0..60),
        ) {
            let whole = decoded([bytes.as_slice()]);
            prop_assert_eq!(decoded(bytes.chunks(1)), whole.clone());
            for cut in 0..=bytes.len() {
                prop_assert_eq!(decoded([&bytes[..cut], &bytes[cut..]]), whole.clone());
            }
        }
    }
}
