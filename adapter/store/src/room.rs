//! How much is held, against how much may be.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::Config;

/// What is held of one resource of the store, and how much of it may be.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) series: AtomicUsize,
    pub(crate) bytes: Arc<AtomicUsize>,
    series_limit: usize,
    bytes_limit: usize,
}

/// What a page takes of the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) series: usize,
    pub(crate) bytes: usize,
}

/// Bytes that are held for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

/// A page was refused because the store holds all that it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFull {
    /// Of series: [`Config::series`].
    Series(usize),
    /// Of bytes: [`Config::bytes`].
    Bytes(usize),
}

// === impl Room ===

impl Room {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            series: AtomicUsize::new(0),
            bytes: Arc::default(),
            series_limit: config.series,
            bytes_limit: config.bytes,
        }
    }

    /// Exchanges `old` for `new`, within both limits. Less than before is always granted.
    pub(crate) fn exchange(&self, old: Cost, new: Cost) -> Result<(), StoreFull> {
        exchange(&self.series, old.series, new.series, self.series_limit).map_err(StoreFull::Series)?;
        exchange(&self.bytes, old.bytes, new.bytes, self.bytes_limit).map_err(|limit| {
            self.series.fetch_add(old.series, Ordering::Relaxed);
            self.series.fetch_sub(new.series, Ordering::Relaxed);
            StoreFull::Bytes(limit)
        })
    }

    pub(crate) fn give_back(&self, cost: Cost) {
        self.series.fetch_sub(cost.series, Ordering::Relaxed);
        self.bytes.fetch_sub(cost.bytes, Ordering::Relaxed);
    }

    /// Takes bytes without asking: what they are for is there already, and what comes next is refused instead.
    pub(crate) fn hold(&self, bytes: usize) -> Held {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Held { all: Arc::clone(&self.bytes), bytes }
    }
}

fn exchange(held: &AtomicUsize, old: usize, new: usize, limit: usize) -> Result<(), usize> {
    held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
        let wanted = held.saturating_sub(old).saturating_add(new);
        (new <= old || wanted <= limit).then_some(wanted)
    })
    .map(drop)
    .map_err(|_| limit)
}

// === impl Held ===

impl Drop for Held {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

// === impl StoreFull ===

impl fmt::Display for StoreFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(limit) => write!(f, "the store already holds the {limit} series that it may"),
            Self::Bytes(limit) => write!(f, "the store already holds the {limit} bytes that it may"),
        }
    }
}

impl std::error::Error for StoreFull {}
