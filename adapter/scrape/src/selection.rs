//! What rules leave of a page: the layout of it, and which of the page's samples those series are.
//!
//! Rules look at names and labels, which are the same from scrape to scrape, so that this is worked out when a page is
//! parsed. Reading the next page of that shape is what it is without rules, and then a move of the numbers that stay.

use std::collections::HashSet;

use podgauge_exposition::{Page, Values};
use podgauge_store::{Layout, LayoutBuilder};

use crate::{
    failure::ScrapeError,
    ingest::kind,
    relabel::{Labels, NAME, Relabeling},
};

/// Which samples of a page are kept, in the page's order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    samples: Box<[u32]>,
    /// Samples that are not kept because rules made them equal to others.
    pub(crate) equal: u64,
}

/// What is said of samples that are not kept because rules made them equal to others.
pub(crate) const EQUAL: &str = "metricRelabelings make several series equal; the first one is kept";

// === impl Selection ===

impl Selection {
    /// What rules leave of a page.
    ///
    /// # Errors
    /// They look at more text of it, or make more of it, than they may.
    pub(crate) fn of(page: &Page<'_>, relabeling: &Relabeling) -> Result<(Layout, Self), ScrapeError> {
        let mut builder = LayoutBuilder::default();
        let mut samples = Vec::new();
        let mut seen: HashSet<Labels> = HashSet::new();
        let mut equal = 0;
        let (mut on_page, mut looked, mut bytes) = (0, 0, 0);
        let text =
            |labels: &Labels| labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        for (id, sample) in (0u32..).zip(&page.samples) {
            let own = page.labels(sample).iter();
            let mut labels: Labels =
                own.map(|label| (label.name.to_string(), label.value.to_string())).collect();
            labels.insert(NAME.to_owned(), sample.name.to_string());
            on_page += text(&labels);
            let is_kept = relabeling.apply(&mut labels, &mut looked);
            if looked > relabeling.looked_bytes(on_page) {
                return Err(ScrapeError::pored_over());
            }
            if !is_kept {
                continue;
            }
            if seen.contains(&labels) {
                equal += 1;
                continue;
            }
            bytes += text(&labels);
            if bytes > relabeling.page_bytes() {
                return Err(ScrapeError::relabeled(relabeling.page_bytes()));
            }
            let name = labels.get(NAME).map_or("", String::as_str);
            let others = labels.iter().filter(|(label, _)| *label != NAME);
            builder.push(
                name,
                kind(page.family(sample).1, sample.role),
                others.map(|(label, value)| (label.as_str(), value.as_str())),
            );
            samples.push(id);
            seen.insert(labels);
        }
        Ok((builder.build(), Self { samples: samples.into(), equal }))
    }

    /// Leaves the numbers of the samples that are kept.
    pub(crate) fn apply(&self, values: &mut Values) {
        keep(&mut values.values, &self.samples);
        if !values.timestamps_ms.is_empty() {
            keep(&mut values.timestamps_ms, &self.samples);
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.samples)
    }
}

/// Each is moved to its new place, which is never behind its old one.
fn keep<T: Copy>(column: &mut Vec<T>, samples: &[u32]) {
    for (to, from) in samples.iter().enumerate() {
        let from = column.get(*from as usize).copied();
        if let (Some(place), Some(number)) = (column.get_mut(to), from) {
            *place = number;
        }
    }
    column.truncate(samples.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_moved_to_their_places() {
        let check = |samples: &[u32], expected: &[f64], times: &[Option<i64>]| {
            let selection = Selection { samples: samples.into(), equal: 0 };
            let mut values = Values {
                values: vec![1.0, 2.0, 3.0, 4.0],
                timestamps_ms: vec![None, Some(2), None, Some(4)],
            };
            selection.apply(&mut values);
            assert_eq!(values.values, expected);
            assert_eq!(values.timestamps_ms, times);
        };
        check(&[0, 1, 2, 3], &[1.0, 2.0, 3.0, 4.0], &[None, Some(2), None, Some(4)]);
        check(&[1, 3], &[2.0, 4.0], &[Some(2), Some(4)]);
        check(&[], &[], &[]);
    }
}
