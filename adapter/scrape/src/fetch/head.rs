//! The head of an answer: what it says of the page that follows.
//!
//! Only what scraping needs is kept, and nothing is allocated for it. How the page is delimited is decided as RFC 9112
//! (section 6.3) has it; what the sections before it call an error is one here.

use std::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Response, Status};
use podgauge_exposition::Format;
use podgauge_store::Endpoint;

use crate::failure::ScrapeError;

/// The head of an answer that has a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the head itself.
    pub(super) len: usize,
    pub(super) framing: Framing,
    /// Whether the pod keeps the connection for the next request.
    pub(super) is_reusable: bool,
    pub(super) format: Format,
    pub(super) is_packed: bool,
}

/// Where a page ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked,
    /// When the pod closes the connection.
    UntilClose,
}

/// What there is of an answer so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Not all of its head.
    Part,
    /// An interim answer of this length; the one that counts follows.
    Interim(usize),
    /// The head of an answer with a page.
    Head(Head),
}

/// Headers of an answer at most.
const HEADERS: usize = 100;
/// What every answer begins with that is one.
const PREFIX: &[u8] = b"HTTP/1.";

/// Reads the head at the start of `bytes`, of which `checked` have been looked at in vain before; `limit` is how long it
/// may be.
///
/// # Errors
/// It is no head, is too large, or is that of an answer without a page.
pub(super) fn read(
    bytes: &[u8],
    checked: usize,
    limit: usize,
    endpoint: &Endpoint,
) -> Result<Seen, ScrapeError> {
    if !PREFIX.iter().zip(bytes).all(|(want, byte)| want == byte) {
        return Err(ScrapeError::not_http(endpoint));
    }
    let Some(len) = end(bytes, checked) else {
        return if bytes.len() > limit { Err(ScrapeError::head_limit(limit)) } else { Ok(Seen::Part) };
    };
    if len > limit {
        return Err(ScrapeError::head_limit(limit));
    }
    let mut headers = [const { MaybeUninit::<Header<'_>>::uninit() }; HEADERS];
    let mut response = Response::new(&mut []);
    let head = bytes.get(..len).unwrap_or_default();
    match ParserConfig::default().parse_response_with_uninit_headers(&mut response, head, &mut headers) {
        Ok(Status::Complete(_)) => understand(&response, len, endpoint),
        Ok(Status::Partial) => Err(ScrapeError::head("invalid HTTP header parsed")),
        Err(httparse::Error::TooManyHeaders) => Err(ScrapeError::head_limit(limit)),
        Err(httparse::Error::Version) => Err(ScrapeError::not_http(endpoint)),
        Err(httparse::Error::Status) => Err(ScrapeError::head("invalid HTTP status-code parsed")),
        Err(_) => Err(ScrapeError::head("invalid HTTP header parsed")),
    }
}

/// Where the empty line ends that ends a head.
fn end(bytes: &[u8], checked: usize) -> Option<usize> {
    let mut from = checked.saturating_sub(2);
    loop {
        let line_end = from + bytes.get(from..)?.iter().position(|byte| *byte == b'\n')? + 1;
        match bytes.get(line_end..)? {
            [b'\n', ..] => return Some(line_end + 1),
            [b'\r', b'\n', ..] => return Some(line_end + 2),
            _ => from = line_end,
        }
    }
}

fn understand(response: &Response<'_, '_>, len: usize, endpoint: &Endpoint) -> Result<Seen, ScrapeError> {
    let is_modern = response.version == Some(1);
    let mut length = None;
    let mut coding: Option<&[u8]> = None;
    let (mut closes, mut keeps) = (false, false);
    let (mut content_type, mut encoding, mut location) = (None, None, None);
    for header in response.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let this = content_length(header.value);
            if this.is_none() || length.is_some_and(|other| Some(other) != this) {
                return Err(ScrapeError::head("invalid content-length parsed"));
            }
            length = this;
        } else if is("transfer-encoding") {
            coding = tokens(header.value).last().or(coding);
        } else if is("connection") {
            closes |= tokens(header.value).any(|token| token.eq_ignore_ascii_case(b"close"));
            keeps |= tokens(header.value).any(|token| token.eq_ignore_ascii_case(b"keep-alive"));
        } else if is("content-type") {
            content_type = content_type.or(Some(header.value));
        } else if is("content-encoding") {
            encoding = encoding.or(Some(header.value));
        } else if is("location") {
            location = location.or(Some(header.value));
        }
    }
    match response.code.unwrap_or_default() {
        200 => {}
        // 101 changes to a protocol that was not asked for; others announce the answer.
        code @ 100..200 if code != 101 => return Ok(Seen::Interim(len)),
        code => return Err(ScrapeError::status(code, location.and_then(text), endpoint)),
    }
    let framing = match (coding, length) {
        (Some(_), _) if !is_modern => {
            return Err(ScrapeError::head("unexpected transfer-encoding parsed"));
        }
        (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
        (None, Some(length)) => Framing::Length(length),
        (Some(_), _) | (None, None) => Framing::UntilClose,
    };
    Ok(Seen::Head(Head {
        len,
        framing,
        is_reusable: framing != Framing::UntilClose && !closes && (is_modern || keeps),
        format: Format::from_content_type(content_type.and_then(text)),
        is_packed: is_packed(encoding)?,
    }))
}

/// Whether the page is gzip.
fn is_packed(encoding: Option<&[u8]>) -> Result<bool, ScrapeError> {
    let encoding = encoding.map_or("", |encoding| text(encoding).unwrap_or("?").trim());
    let is = |name: &str| encoding.eq_ignore_ascii_case(name);
    match () {
        () if encoding.is_empty() || is("identity") => Ok(false),
        () if is("gzip") || is("x-gzip") => Ok(true),
        () => Err(ScrapeError::encoding(encoding)),
    }
}

/// Digits, once or, as RFC 9110 (section 8.6) allows to accept, the same ones several times.
fn content_length(value: &[u8]) -> Option<u64> {
    let mut all = value.split(|byte| *byte == b',').map(|part| {
        let digits = part.trim_ascii();
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        text(digits).filter(|_| is_number)?.parse::<u64>().ok()
    });
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}

/// The parts of a list without their parameters and blanks.
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Visible ASCII, as far as a header should have it.
fn text(value: &[u8]) -> Option<&str> {
    let is_plain = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    std::str::from_utf8(value).ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use podgauge_store::Scheme;
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1 << 10;

    fn endpoint() -> Endpoint {
        Endpoint {
            scheme: Scheme::Http,
            address: [10, 0, 0, 7].into(),
            port: 80,
            path: "/m".into(),
            terms: 0,
        }
    }

    fn seen(bytes: &[u8]) -> Result<Seen, String> {
        read(bytes, 0, LIMIT, &endpoint()).map_err(|error| error.message)
    }

    fn head(version: u8, headers: &str) -> Result<(Framing, bool), String> {
        let answer = format!("HTTP/1.{version} 200 OK\r\n{headers}\r\npage");
        match seen(answer.as_bytes())? {
            Seen::Head(head) => {
                assert_eq!(head.len, answer.len() - "page".len());
                Ok((head.framing, head.is_reusable))
            }
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn pages_are_delimited_as_the_standard_has_it() {
        use Framing::{Chunked, Length, UntilClose};
        let check = |version, headers: &str, want| assert_eq!(head(version, headers), Ok(want), "{headers}");
        check(1, "", (UntilClose, false));
        check(1, "content-LENGTH: 4\r\n", (Length(4), true));
        check(1, "Content-Length:4 \r\n", (Length(4), true));
        check(1, "Content-Length: 4, 4\r\nContent-Length: 4\r\n", (Length(4), true));
        check(1, "Content-Length: 4\r\nConnection: Close\r\n", (Length(4), false));
        check(1, "Content-Length: 4\r\nConnection: x, close\r\n", (Length(4), false));
        check(1, "Content-Length: 18446744073709551615\r\n", (Length(u64::MAX), true));
        check(1, "Transfer-Encoding: Chunked\r\n", (Chunked, true));
        // Chunks win over a length, and what is not chunked at its end goes on to the end.
        check(1, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", (Chunked, true));
        check(1, "Transfer-Encoding: gzip, chunked\r\n", (Chunked, true));
        check(1, "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", (Chunked, true));
        check(1, "Transfer-Encoding: chunked, gzip\r\n", (UntilClose, false));
        check(0, "Content-Length: 4\r\n", (Length(4), false));
        check(0, "Content-Length: 4\r\nConnection: keep-alive\r\n", (Length(4), true));
        check(0, "", (UntilClose, false));
        // Bare line feeds are accepted, as everybody does.
        check(1, "Content-Length: 4\n", (Length(4), true));
    }

    #[test]
    fn heads_that_are_none() {
        let check = |version, headers: &str, want: &str| {
            let error = head(version, headers).expect_err(want);
            assert!(error.contains(want), "{headers}: {error}");
        };
        for length in ["", "-1", "+1", "4x", "4, 5", "0x4", "18446744073709551616", "4,"] {
            check(1, &format!("Content-Length: {length}\r\n"), "invalid content-length");
        }
        check(1, "Content-Length: 4\r\nContent-Length: 5\r\n", "invalid content-length");
        check(0, "Transfer-Encoding: chunked\r\n", "unexpected transfer-encoding");
        check(1, "no colon\r\n", "invalid HTTP header");
        check(1, "a : b\r\n", "invalid HTTP header");
        check(1, "a: b\r\n folded\r\n", "invalid HTTP header");
        check(1, "a\0: b\r\n", "invalid HTTP header");
        check(1, &"a: b\r\n".repeat(101), "100 headers");
        check(1, &format!("a: {}\r\n", "b".repeat(LIMIT)), "1 KiB");
        check(2, "", "not HTTP/1");
        check(1, "Content-Encoding: br\r\n", "encoded as \"br\"");
    }

    #[test]
    fn beginnings() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
        for len in 0..whole.len() {
            assert_eq!(seen(&whole[..len]), Ok(Seen::Part), "{len}");
        }
        // Wherever it was cut the last time.
        for checked in 0..whole.len() {
            assert!(matches!(read(whole, checked, LIMIT, &endpoint()), Ok(Seen::Head(_))), "{checked}");
        }
        assert_eq!(seen(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1"), Ok(Seen::Interim(37)));
        for other in [b"SSH-2.0".as_slice(), b"\x15\x03", b"HTTP/2.0 200", b"h", b"\r\nHTTP/1.1 200"] {
            assert!(seen(other).is_err_and(|error| error.contains("not HTTP/1")), "{other:?}");
        }
        let endless = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; LIMIT]].concat();
        assert!(seen(&endless).is_err_and(|error| error.contains("larger than 1 KiB")));
    }
    #[test]
    fn first_lines_that_are_none() {
        for (line, want) in [
            ("HTTP/1.1 2xx OK", "status-code"),
            ("HTTP/1.1 20 OK", "status-code"),
            ("HTTP/1.1 2000 OK", "not valid"),
            ("HTTP/1.1  200 OK", "status-code"),
            ("HTTP/1.1\t200 OK", "not HTTP/1"),
            ("HTTP/1.1", "not HTTP/1"),
            ("HTTP/1.x 200 OK", "not HTTP/1"),
            ("HTTP/1.10 200 OK", "not HTTP/1"),
            ("HTTP/1.1 200 O\0K", "not valid"),
            ("HTTP/1.1 200 O\rK", "not valid"),
            ("HTTP/1.1 999 Odd", "HTTP 999"),
            ("HTTP/1.1 101 Switching Protocols", "HTTP 101"),
            ("HTTP/1.1 206 Partial Content", "HTTP 206"),
        ] {
            let error = seen(format!("{line}\r\n\r\n").as_bytes()).expect_err(line);
            assert!(error.contains(want), "{line}: {error}");
        }
    }

    /// Reads as a scrape does, with what has come after each of these cuts.
    fn seen_in_pieces(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Result<Seen, String> {
        let mut checked = 0;
        for cut in cuts {
            match read(&bytes[..cut], checked, LIMIT, &endpoint()).map_err(|error| error.message)? {
                Seen::Part => checked = cut,
                done => return Ok(done),
            }
        }
        read(bytes, checked, LIMIT, &endpoint()).map_err(|error| error.message)
    }

    /// Heads, and what is nearly one: right parts, in any order, with garbage among them.
    fn near_heads() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(b"Content-Length: 4\r\n".to_vec()),
            Just(b"Content-Length: 5\n".to_vec()),
            Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
            Just(b"Connection: close, keep-alive\r\n".to_vec()),
            Just(b"Content-Encoding: gzip\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..8),
        ];
        let first = prop_oneof![
            4 => Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
            1 => Just(b"HTTP/1.0 200\n".to_vec()),
            1 => Just(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..20),
        ];
        (first, prop::collection::vec(part, 0..10)).prop_map(|(first, rest)| [first, rest.concat()].concat())
    }

    proptest! {
        /// Cut at any byte, or at each: the same head, or the same refusal.
        #[test]
        fn cuts_do_not_matter(bytes in near_heads()) {
            let whole = seen(&bytes);
            prop_assert_eq!(&seen_in_pieces(&bytes, 0..bytes.len()), &whole);
            for cut in 0..bytes.len() {
                prop_assert_eq!(&seen_in_pieces(&bytes, [cut]), &whole);
            }
            if let Ok(Seen::Head(Head { len, .. }) | Seen::Interim(len)) = whole {
                prop_assert!(len <= bytes.len());
                prop_assert!(bytes[..len].ends_with(b"\n"));
            }
        }
    }
}
