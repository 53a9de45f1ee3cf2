//! A page's numbers alone.

/// The numbers of a page in its order: what is left of a page whose layout is known. Meant to be reused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// The value of each sample.
    pub values: Vec<f64>,
    /// The time of each sample in milliseconds since 1970, `None` for one without; empty if no sample has one.
    pub timestamps_ms: Vec<Option<i64>>,
}

// === impl Values ===

impl Values {
    /// Forgets the numbers and keeps the memory.
    pub fn clear(&mut self) {
        self.values.clear();
        self.timestamps_ms.clear();
    }

    #[inline]
    pub(crate) fn push(&mut self, value: f64, timestamp_ms: Option<i64>) {
        if timestamp_ms.is_some() || !self.timestamps_ms.is_empty() {
            self.timestamps_ms.resize(self.values.len(), None);
            self.timestamps_ms.push(timestamp_ms);
        }
        self.values.push(value);
    }
}
