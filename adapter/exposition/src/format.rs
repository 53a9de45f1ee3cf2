//! Which of the two text formats a page is written in.

/// The format that a page is written in.
///
/// The grammar of a line is read the same way in both; what differs is the unit of timestamps and whether
/// `# EOF` has a meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text 0.0.4: timestamps are whole milliseconds, `# EOF` is a comment.
    #[default]
    Text,
    /// OpenMetrics: timestamps are seconds with a fraction, and `# EOF` ends the page. A page without it was cut
    /// off on its way.
    OpenMetrics,
}

// === impl Format ===

impl Format {
    /// Decides by the value of a `Content-Type` header.
    ///
    /// `application/openmetrics-text` with any parameters is OpenMetrics. A missing header and any other type are
    /// text, because plenty of programs serve metrics as `text/html` or `application/octet-stream`.
    pub fn from_content_type(content_type: Option<&str>) -> Self {
        let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
        if media_type.trim().eq_ignore_ascii_case("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_type_decides() {
        let cases = [
            (None, Format::Text),
            (Some(""), Format::Text),
            (Some("text/plain; version=0.0.4"), Format::Text),
            (Some("text/html"), Format::Text),
            (Some("application/openmetrics-text-2"), Format::Text),
            (Some("text/plain; x=application/openmetrics-text"), Format::Text),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), Format::OpenMetrics),
            (Some(" Application/OpenMetrics-Text ;version=0.0.1"), Format::OpenMetrics),
        ];
        for (header, format) in cases {
            assert_eq!(Format::from_content_type(header), format, "{header:?}");
        }
    }
}
