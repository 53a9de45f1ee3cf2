//! How much of a page is believed.

/// What a page may hold. Beyond a limit a line is rejected or, for [`series`](Self::series), the whole page.
///
/// There is no limit on the page's bytes here: whoever fetches it stops reading in time. All that parsing
/// allocates is bounded by these limits and by the page's length.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Samples on a page, and families on a page, each. One more refuses the page. Default: 50,000.
    pub series: usize,
    /// Labels of one series. One more rejects the line. Default: 64.
    pub labels: usize,
    /// Bytes of a label's name. Default: 256.
    pub label_name_bytes: usize,
    /// Bytes of a label's value, after unescaping. Default: 4,096.
    pub label_value_bytes: usize,
    /// Bytes of a line, without the end of line. A longer one is rejected unread. Default: 65,536.
    pub line_bytes: usize,
    /// Rejections kept with line and reason; further ones are only counted. Default: 8.
    pub kept_rejections: usize,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            series: 50_000,
            labels: 64,
            label_name_bytes: 256,
            label_value_bytes: 4_096,
            line_bytes: 65_536,
            kept_rejections: 8,
        }
    }
}
