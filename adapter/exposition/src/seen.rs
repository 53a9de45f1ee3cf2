//! Which series were already on the page.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState},
};

use crate::Label;

/// The series seen so far, each with its line.
///
/// Keyed by the standard library's hash with a secret of its own, so that no page can make it slow. It is computed
/// over a series written in one piece, because hashing a dozen short strings one by one takes longer.
pub(crate) struct Seen<'p, 'a> {
    lines: HashMap<Series<'p, 'a>, u32, BuildHasherDefault<AsComputed>>,
    secret: RandomState,
    piece: Vec<u8>,
}

struct Series<'p, 'a> {
    hash: u64,
    name: &'p str,
    labels: &'p [Label<'a>],
}

/// Hands on the one hash that it was given.
#[derive(Default)]
struct AsComputed(u64);

// === impl Seen ===

impl<'p, 'a> Seen<'p, 'a> {
    pub(crate) fn with_capacity(series: usize) -> Self {
        let lines = HashMap::with_capacity_and_hasher(series, BuildHasherDefault::default());
        Self { lines, secret: RandomState::new(), piece: Vec::new() }
    }

    /// The line on which a series was seen first, which is `line` if this is the first time.
    pub(crate) fn first_line(&mut self, name: &'p str, labels: &'p [Label<'a>], line: u32) -> u32 {
        // 0xFF is in no string, so that different series are written differently.
        self.piece.clear();
        self.piece.extend_from_slice(name.as_bytes());
        for label in labels {
            self.piece.push(0xFF);
            self.piece.extend_from_slice(label.name.as_bytes());
            self.piece.push(0xFF);
            self.piece.extend_from_slice(label.value.as_bytes());
        }
        let hash = self.secret.hash_one(self.piece.as_slice());
        *self.lines.entry(Series { hash, name, labels }).or_insert(line)
    }
}

// === impl Series ===

impl PartialEq for Series<'_, '_> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.name == other.name && self.labels == other.labels
    }
}

impl Eq for Series<'_, '_> {}

impl Hash for Series<'_, '_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

// === impl AsComputed ===

impl Hasher for AsComputed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u64` is ever called; this keeps any other use right, if slow.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
