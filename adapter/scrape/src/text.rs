//! Text from outside, made fit for one line of a message.

/// Characters of foreign text that a message repeats.
const FOREIGN_CHARS: usize = 120;

/// `text` without control characters, and cut short.
pub(crate) fn tame(text: &str) -> String {
    let mut tame: String =
        text.chars().take(FOREIGN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(FOREIGN_CHARS).is_some() {
        tame.push('…');
    }
    tame
}

/// `text` made tame, in double quotes.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", tame(text))
}

/// A number of bytes in the largest binary unit that divides it.
pub(crate) fn bytes(count: usize) -> String {
    const UNITS: [(usize, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    UNITS
        .iter()
        .find(|(unit, _)| count >= *unit && count.is_multiple_of(*unit))
        .map_or_else(|| format!("{count} bytes"), |(unit, name)| format!("{} {name}", count / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_tamed() {
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("two\r\nlines\u{1b}[31m\u{85}", "two  lines [31m "),
            ("größer", "größer"),
        ];
        for (text, expected) in cases {
            assert_eq!(tame(text), expected);
        }
        assert_eq!(tame(&"é".repeat(1000)).chars().count(), FOREIGN_CHARS + 1);
        assert_eq!(tame(&"é".repeat(FOREIGN_CHARS)).chars().count(), FOREIGN_CHARS);
    }

    #[test]
    fn bytes_have_units() {
        let cases =
            [(0, "0 bytes"), (1000, "1000 bytes"), (1024, "1 KiB"), (16 << 20, "16 MiB"), (3 << 30, "3 GiB")];
        for (count, expected) in cases {
            assert_eq!(bytes(count), expected);
        }
    }
}
