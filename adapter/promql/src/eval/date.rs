//! What the calendar says of a time, in UTC: proleptic Gregorian, without leap seconds.

const DAY: i64 = 86_400;

/// 0 to 59.
pub(crate) fn minute(seconds: i64) -> f64 {
    (seconds.rem_euclid(3_600) / 60) as f64
}

/// 0 to 23.
pub(crate) fn hour(seconds: i64) -> f64 {
    (seconds.rem_euclid(DAY) / 3_600) as f64
}

/// 0 for Sunday to 6 for Saturday.
pub(crate) fn day_of_week(seconds: i64) -> f64 {
    // The epoch was a Thursday.
    (seconds.div_euclid(DAY) + 4).rem_euclid(7) as f64
}

/// 1 to 31.
pub(crate) fn day_of_month(seconds: i64) -> f64 {
    Date::of(seconds).day as f64
}

/// 1 to 366.
pub(crate) fn day_of_year(seconds: i64) -> f64 {
    let date = Date::of(seconds);
    ((1..date.month).map(|month| month_length(date.year, month)).sum::<i64>() + date.day) as f64
}

/// 28 to 31.
pub(crate) fn days_in_month(seconds: i64) -> f64 {
    let date = Date::of(seconds);
    month_length(date.year, date.month) as f64
}

/// 1 to 12.
pub(crate) fn month(seconds: i64) -> f64 {
    Date::of(seconds).month as f64
}

/// Such as 2026.
pub(crate) fn year(seconds: i64) -> f64 {
    Date::of(seconds).year as f64
}

struct Date {
    year: i64,
    month: i64,
    day: i64,
}

// === impl Date ===

impl Date {
    /// The date of a time, by counting in eras of 400 years that begin on the first of March, so that the leap day is the
    /// last of its year.
    fn of(seconds: i64) -> Self {
        const ERA: i64 = 146_097;
        let days = seconds.div_euclid(DAY) + 719_468;
        let day_of_era = days.rem_euclid(ERA);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: days.div_euclid(ERA) * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
        }
    }
}

fn month_length(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar() {
        let check = |seconds: i64, want: [i64; 8]| {
            let functions =
                [year, month, day_of_month, hour, minute, day_of_week, day_of_year, days_in_month]
                    .map(|f| f(seconds) as i64);
            assert_eq!(functions, want, "{seconds}");
        };
        check(0, [1970, 1, 1, 0, 0, 4, 1, 31]);
        check(-1, [1969, 12, 31, 23, 59, 3, 365, 31]);
        check(951_782_400, [2000, 2, 29, 0, 0, 2, 60, 29]);
        check(978_220_799, [2000, 12, 30, 23, 59, 6, 365, 31]);
        check(1_709_251_199, [2024, 2, 29, 23, 59, 4, 60, 29]);
        check(4_107_542_400, [2100, 3, 1, 0, 0, 1, 60, 31]);
        check(1_763_736_223, [2025, 11, 21, 14, 43, 5, 325, 30]);
    }
}
