//! The outcome of a page as lines of text, for tables and golden files.

use podgauge_exposition::{Format, Limits, Page, Sample};

/// What a page says, a line for each sample, rejection or refusal.
pub(crate) fn outcome(bytes: &[u8], format: Format, limits: &Limits) -> Vec<String> {
    match Page::parse(bytes, format, limits) {
        Ok(page) => {
            let mut lines: Vec<String> = page.samples.iter().map(|one| sample(&page, one)).collect();
            lines.extend(page.rejected.first.iter().map(|rejection| format!("! {rejection}")));
            if page.rejected.count > page.rejected.first.len() as u64 {
                lines.push(format!("! {} in all", page.rejected.count));
            }
            lines
        }
        Err(error) => vec![format!("!! {error}")],
    }
}

/// `name{label="value"} value @milliseconds (family type Role)`, the role left out when it is the plain value.
pub(crate) fn sample(page: &Page<'_>, sample: &Sample<'_>) -> String {
    let labels: Vec<String> =
        page.labels(sample).iter().map(|label| format!("{}={:?}", label.name, label.value)).collect();
    let braces = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let time = sample.timestamp_ms.map(|millis| format!(" @{millis}")).unwrap_or_default();
    let (family, kind) = page.family(sample);
    format!("{}{braces} {}{time} ({family} {} {:?})", sample.name, sample.value, kind.as_str(), sample.role)
}
