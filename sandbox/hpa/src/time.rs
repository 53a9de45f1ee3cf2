//! Instants, as the API writes them: RFC 3339 in whole seconds, UTC.
//!
//! Nothing here reads a clock. An instant is a number that the caller brings.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// The text is no RFC 3339 instant between the years 1678 and 2262.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no RFC 3339 time such as 2026-08-21T11:29:11Z")]
pub struct TimeError(String);

const NANOS: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

// === impl Time ===

impl Time {
    /// The instant `seconds` after 1970-01-01T00:00:00Z, clamped to what nanoseconds in an `i64` can say.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS))
    }

    /// The instant `nanos` nanoseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// This instant, `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This instant, `duration` earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This instant, `seconds` earlier; later when negative.
    #[must_use]
    pub const fn minus_seconds(self, seconds: i32) -> Self {
        Self(self.0.saturating_sub(seconds as i64 * NANOS))
    }
}

impl fmt::Display for Time {
    /// Whole seconds; the fraction is cut, as `metav1.Time` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(NANOS);
        let (year, month, day) = date_of(seconds.div_euclid(DAY_SECONDS));
        let of_day = seconds.rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse(text).ok_or_else(|| TimeError(text.chars().take(64).collect()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn parse(text: &str) -> Option<Time> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at_checked(zone_at)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
    let days_in_month = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    seconds
        .checked_sub(offset(zone)?)?
        .checked_mul(NANOS)?
        .checked_add(nanos_of_fraction(fraction)?)
        .map(Time)
}

/// Three numbers of exactly these many digits.
fn fields(text: &str, separator: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn nanos_of_fraction(digits: &str) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(digits.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |n, d| n * 10 + i64::from(d - b'0')))
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0),
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let [hours, minutes, _] = fields(&format!("{rest}:00"), ':', [2, 2, 2])?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
///
/// Years begin in March here, so that the leap day is the last one; an era is the 400 years after which the
/// calendar repeats.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_since_epoch`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, want: Option<i64>) {
        let got = text.parse::<Time>().ok().map(Time::nanos);
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn reads_rfc_3339() {
        check("1970-01-01T00:00:00Z", Some(0));
        check("2026-08-21T11:29:11Z", Some(1_787_311_751 * NANOS));
        check("2024-02-29T12:00:00Z", Some(1_709_208_000 * NANOS));
        check("2026-08-21T13:29:11+02:00", Some(1_787_311_751 * NANOS));
        check("2026-08-21T11:29:11.5Z", Some(1_787_311_751 * NANOS + NANOS / 2));
        check("1969-12-31T23:59:59Z", Some(-NANOS));
        for wrong in
            ["", "now", "2026-08-21", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-08-21T24:00:00Z"]
        {
            check(wrong, None);
        }
        for wrong in [
            "2026-08-21T11:29:11",
            "2026-08-21T11:29:11.Z",
            "2026-08-21T11:29:11Zx",
            "2026-08-21T1:29:11Z",
            "9999-01-01T00:00:00Z",
        ] {
            check(wrong, None);
        }
    }

    proptest! {
        #[test]
        fn writes_what_it_reads(seconds in -9_000_000_000i64..9_000_000_000) {
            let time = Time::from_seconds(seconds);
            prop_assert_eq!(time.to_string().parse::<Time>().unwrap(), time);
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}|[0-9T:.Z+-]{0,30}") {
            let _ = text.parse::<Time>();
        }
    }
}
