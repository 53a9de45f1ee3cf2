//! Ascending ids of series, as runs of adjacent ones.

use std::ops::Range;

/// Some of a layout's series. Families stand on a page one after the other, so they are a few long runs, and their
/// numbers are copied run by run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    runs: Box<[Range<u32>]>,
    len: usize,
}

// === impl Runs ===

impl Runs {
    /// How many ids.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The ids, ascending.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.runs.iter().flat_map(Range::clone)
    }

    /// Copies what belongs to these ids out of `all` into `column`, which has as many places; `missing` for what is not
    /// there.
    pub(crate) fn gather<T: Copy>(&self, all: &[T], column: &mut [T], missing: T) {
        let mut rest = column;
        for run in &self.runs {
            let Some((cells, after)) = rest.split_at_mut_checked(run.len()) else { return };
            match all.get(run.start as usize..run.end as usize) {
                Some(values) => cells.copy_from_slice(values),
                None => cells.fill(missing),
            }
            rest = after;
        }
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.runs)
    }
}

/// Of ids that ascend.
impl FromIterator<u32> for Runs {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Self {
        let mut runs: Vec<Range<u32>> = Vec::new();
        for id in ids {
            match runs.last_mut() {
                Some(run) if run.end == id => run.end = id.saturating_add(1),
                _ => runs.push(id..id.saturating_add(1)),
            }
        }
        let len = runs.iter().map(ExactSizeIterator::len).sum();
        Self { runs: runs.into(), len }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Runs are the ids, and gathering is looking each of them up.
        #[test]
        fn runs_are_their_ids(ids in prop::collection::btree_set(0u32..40, 0..40), len in 40u32..50) {
            let ids: Vec<u32> = ids.into_iter().collect();
            let runs: Runs = ids.iter().copied().collect();
            prop_assert_eq!(runs.ids().collect::<Vec<_>>(), ids.clone());
            prop_assert_eq!(runs.len(), ids.len());
            prop_assert!(runs.runs.windows(2).all(|pair| pair[0].end < pair[1].start));
            let all: Vec<u32> = (0..len).collect();
            let mut column = vec![u32::MAX; ids.len()];
            runs.gather(&all, &mut column, 0);
            prop_assert_eq!(column, ids);
        }
    }

    #[test]
    fn what_is_not_there_is_missing() {
        let runs: Runs = [0, 1, 5].into_iter().collect();
        let mut column = [7; 3];
        runs.gather(&[1, 2], &mut column, 0);
        assert_eq!(column, [1, 2, 0]);
    }
}
