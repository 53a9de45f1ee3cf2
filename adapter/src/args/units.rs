//! Units on the command line.

use std::time::Duration;

use podgauge_apiserver::go_duration;

/// A duration as Go writes it: `500ms`, `15s`, `1m30s`, `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    go_duration::parse(text).ok_or_else(|| "expected a duration such as 500ms, 15s or 1m30s".to_owned())
}

/// A number of bytes, plain or with Ki, Mi or Gi behind it.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    const UNITS: [(&str, u32); 4] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("", 0)];
    let text = text.strip_suffix('B').unwrap_or(text);
    UNITS
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?.parse::<usize>().ok()?, *shift)))
        .and_then(|(number, shift)| number.checked_mul(1 << shift))
        .ok_or_else(|| "expected a number of bytes such as 65536, 64Ki or 16Mi".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_bytes() {
        let check = |text: &str, want: Option<usize>| assert_eq!(bytes(text).ok(), want, "{text}");
        check("0", Some(0));
        check("65536", Some(65536));
        check("64Ki", Some(65536));
        check("64KiB", Some(65536));
        check("16Mi", Some(16 << 20));
        check("2Gi", Some(2 << 30));
        for wrong in ["", "Ki", "-1", "1.5Mi", "1M", "1kb", "99999999999999Gi"] {
            check(wrong, None);
        }
    }
}
