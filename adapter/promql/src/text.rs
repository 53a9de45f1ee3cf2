//! Quoted text: escapes in, escapes out.

/// Why a quoted text is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextError {
    /// The text ends, or its line does, before the quote.
    Unterminated,
    /// A backslash stands before something that it cannot; the offset in bytes from the opening quote.
    BadEscape(usize),
}

/// Reads the quoted text with which `source` begins: its value, and how many bytes it took with its quotes.
///
/// Double and single quotes know Go's escapes; between backticks everything stands for itself.
pub(crate) fn parse_text(source: &str) -> Result<(String, usize), TextError> {
    let mut chars = source.char_indices();
    let quote = chars.next().map_or('"', |(_, quote)| quote);
    let mut value = String::new();
    while let Some((at, char)) = chars.next() {
        match char {
            _ if char == quote => return Ok((value, at + quote.len_utf8())),
            '\\' if quote != '`' => {
                let rest = source.get(at + 1..).unwrap_or_default();
                let (char, taken) = escape(rest, quote).ok_or(TextError::BadEscape(at))?;
                value.push(char);
                for _ in 0..taken {
                    chars.next();
                }
            }
            '\n' if quote != '`' => return Err(TextError::Unterminated),
            _ => value.push(char),
        }
    }
    Err(TextError::Unterminated)
}

/// Writes `value` between double quotes, as a text of an expression.
pub fn quote(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for char in value.chars() {
        match char {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            _ if char.is_control() => text.push_str(&format!("\\u{:04x}", u32::from(char))),
            _ => text.push(char),
        }
    }
    text.push('"');
    text
}

/// What stands behind a backslash: its character, and how many characters it took.
fn escape(rest: &str, quote: char) -> Option<(char, usize)> {
    let first = rest.chars().next()?;
    let number = |from: usize, digits: usize, radix: u32| {
        let text = rest.get(from..from + digits)?;
        let code =
            text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(text, radix).ok())??;
        Some((code, from + digits))
    };
    // A byte escape beyond ASCII would be half a character; text here is UTF-8 always.
    let byte = |found: Option<(u32, usize)>| found.filter(|(code, _)| *code < 0x80);
    let (code, taken) = match first {
        'a' => (0x07, 1),
        'b' => (0x08, 1),
        'f' => (0x0c, 1),
        'n' => (0x0a, 1),
        'r' => (0x0d, 1),
        't' => (0x09, 1),
        'v' => (0x0b, 1),
        '\\' => (0x5c, 1),
        _ if first == quote => (u32::from(quote), 1),
        'x' => byte(number(1, 2, 16))?,
        'u' => number(1, 4, 16)?,
        'U' => number(1, 8, 16)?,
        '0'..='7' => byte(number(0, 3, 8))?,
        _ => return None,
    };
    Some((char::from_u32(code)?, taken))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quoted_text() {
        let check = |source: &str, want: Result<(&str, usize), TextError>| {
            assert_eq!(parse_text(source), want.map(|(text, taken)| (text.to_owned(), taken)), "{source}");
        };
        check(r#""a" + b"#, Ok(("a", 3)));
        check(r#"'it''s'"#, Ok(("it", 4)));
        check(r#""\"\\\n\t""#, Ok(("\"\\\n\t", 10)));
        check(r#"'\'"'"#, Ok(("'\"", 5)));
        check(r"`a\n`", Ok(("a\\n", 5)));
        check("`a\nb`", Ok(("a\nb", 5)));
        check(r#""\x41\101\u00e4\U0001F600ä""#, Ok(("AAä😀ä", 28)));
        check(r#""a"#, Err(TextError::Unterminated));
        check("\"a\nb\"", Err(TextError::Unterminated));
        check(r#""ab\q""#, Err(TextError::BadEscape(3)));
        check(r#""\'""#, Err(TextError::BadEscape(1)));
        check(r#""\xff""#, Err(TextError::BadEscape(1)));
        check(r#""\ud800""#, Err(TextError::BadEscape(1)));
        check(r#""\x4""#, Err(TextError::BadEscape(1)));
        check(r#""\777""#, Err(TextError::BadEscape(1)));
    }

    #[test]
    fn reads_what_it_writes() {
        for text in ["", "a", "\"", "\\", "a\nb\r\t\u{7f}\u{1}", "ä😀", "'`"] {
            let quoted = quote(text);
            assert_eq!(parse_text(&quoted), Ok((text.to_owned(), quoted.len())), "{quoted}");
        }
    }
}
