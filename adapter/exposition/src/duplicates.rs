//! Which samples of a page repeat a series.

use crate::{Label, Sample, text_hash::TextHash};

/// A sample that has the name and labels of an earlier one, both as indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Duplicate {
    pub(crate) sample: usize,
    pub(crate) first: usize,
}

/// A sample's hash above its index, to be sorted as one number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry(u64);

/// The samples whose series stands on the page before, in the page's order. `labels` gives a sample's labels, sorted by
/// name.
///
/// Series are put in order by a hash, and in full where hashes are alike. So the hash may be a quick one without a
/// secret: a page that makes them all alike takes as long as sorting its series does, and no longer.
pub(crate) fn duplicates<'p, 'a: 'p>(
    samples: &'p [Sample<'a>],
    labels: impl Fn(&'p Sample<'a>) -> &'p [Label<'a>],
) -> Vec<Duplicate> {
    let mut entries: Vec<Entry> = samples
        .iter()
        .zip(0..)
        .map(|(sample, index)| Entry::new(hash(&sample.name, labels(sample)), index))
        .collect();
    entries.sort_unstable();

    let series = |entry: &Entry| samples.get(entry.index()).map(|sample| (&sample.name, labels(sample)));
    let mut duplicates = Vec::new();
    for alike in entries.chunk_by_mut(|a, b| a.hash() == b.hash()).filter(|alike| alike.len() > 1) {
        alike.sort_unstable_by(|a, b| series(a).cmp(&series(b)).then(a.cmp(b)));
        for same in alike.chunk_by(|a, b| series(a) == series(b)) {
            if let [first, repeated @ ..] = same {
                let first = first.index();
                duplicates.extend(repeated.iter().map(|entry| Duplicate { sample: entry.index(), first }));
            }
        }
    }
    duplicates.sort_unstable_by_key(|duplicate| duplicate.sample);
    duplicates
}

/// Of the name and the labels' values. Series that differ in labels' names alone are so rare that they are compared.
fn hash(name: &str, labels: &[Label<'_>]) -> u32 {
    let mut hash = TextHash::of(name);
    for label in labels {
        hash.add(&label.value);
    }
    hash.finish()
}

// === impl Entry ===

impl Entry {
    fn new(hash: u32, index: u32) -> Self {
        Self(u64::from(hash) << 32 | u64::from(index))
    }

    fn hash(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn index(self) -> usize {
        self.0 as u32 as usize
    }
}
