//! Durations as people write them in an environment variable: `5s`, `500ms`, `1.5m`.

use std::time::Duration;
use thiserror::Error;

/// Longer than any setting makes sense, short enough that deadlines cannot overflow.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DurationError {
    /// Neither number nor unit as expected.
    #[error("expected a number with a unit, such as 500ms, 5s, 2m or 1h")]
    Malformed,
    /// Longer than a day.
    #[error("longer than a day")]
    TooLong,
}

/// Reads a number with the unit `ms`, `s`, `m` or `h`. A bare `0` is a duration, other bare numbers are not,
/// because nobody can tell seconds from milliseconds.
///
/// # Errors
/// [`DurationError`].
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit_at = text.find(|char: char| char.is_ascii_alphabetic()).ok_or(DurationError::Malformed)?;
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(DurationError::Malformed),
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(DurationError::Malformed);
    }
    let number: f64 = number.parse().map_err(|_| DurationError::Malformed)?;
    let duration = Duration::try_from_secs_f64(number * unit).map_err(|_| DurationError::TooLong)?;
    if duration > LONGEST { Err(DurationError::TooLong) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let cases = [
            ("5s", Ok(5000)),
            ("500ms", Ok(500)),
            ("1.5m", Ok(90_000)),
            ("1h", Ok(3_600_000)),
            ("0", Ok(0)),
            ("0s", Ok(0)),
            (" 2s ", Ok(2000)),
            ("", Err(DurationError::Malformed)),
            ("5", Err(DurationError::Malformed)),
            ("s", Err(DurationError::Malformed)),
            ("-5s", Err(DurationError::Malformed)),
            ("5 s", Err(DurationError::Malformed)),
            ("1.2.3s", Err(DurationError::Malformed)),
            ("5d", Err(DurationError::Malformed)),
            ("1e9s", Err(DurationError::Malformed)),
            ("infs", Err(DurationError::Malformed)),
            ("25h", Err(DurationError::TooLong)),
            ("99999999999999999999999999h", Err(DurationError::TooLong)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected.map(Duration::from_millis), "{text:?}");
        }
    }
}
