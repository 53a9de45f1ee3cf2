//! A disk for tests: small, able to lose what was not flushed, to tear what was being written, and to fail.

use super::disk::Disk;
use crate::random::Random;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cheap to clone: all clones are the same disk.
#[derive(Clone, Debug)]
pub(in crate::broker) struct Simulated(Arc<Mutex<State>>);

#[derive(Debug)]
pub(in crate::broker) struct State {
    /// Bytes of all files together.
    pub(in crate::broker) capacity: u64,
    /// The next flush fails.
    pub(in crate::broker) broken: bool,
    pub(in crate::broker) files: BTreeMap<u64, File>,
}

#[derive(Debug, Default)]
pub(in crate::broker) struct File {
    /// What a reader sees now.
    pub(in crate::broker) now: Vec<u8>,
    /// What is there after a crash, at least.
    flushed: Vec<u8>,
}

/// What is written whole or not at all.
const SECTOR: usize = 16;

// === impl Simulated ===

impl Simulated {
    pub(in crate::broker) fn new(capacity: u64) -> Self {
        Self(Arc::new(Mutex::new(State { capacity, broken: false, files: BTreeMap::new() })))
    }

    pub(in crate::broker) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Power fails: of what was written and not flushed, some sectors are there and some are not.
    pub(in crate::broker) fn crash(&self, random: &mut Random) {
        let mut state = self.state();
        state.broken = false;
        for file in state.files.values_mut() {
            for at in (0..file.now.len()).step_by(SECTOR) {
                let sector = at..file.now.len().min(at + SECTOR);
                if random.next_u64().is_multiple_of(2) {
                    file.flushed[sector.clone()].copy_from_slice(&file.now[sector]);
                }
            }
            file.now = file.flushed.clone();
        }
    }
}

impl Disk for Simulated {
    fn list(&mut self) -> io::Result<Vec<u64>> {
        Ok(self.state().files.keys().copied().collect())
    }

    fn read(&mut self, file: u64) -> io::Result<Vec<u8>> {
        Ok(self.state().files[&file].now.clone())
    }

    fn create(&mut self, file: u64, bytes: u64) -> io::Result<()> {
        let mut state = self.state();
        let used: u64 = state.files.values().map(|file| file.now.len() as u64).sum();
        if used + bytes > state.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let zeros = vec![0; bytes as usize];
        state.files.insert(file, File { now: zeros.clone(), flushed: zeros });
        Ok(())
    }

    fn write(&mut self, file: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let file = state.files.get_mut(&file).expect("it was created");
        let offset = offset as usize;
        file.now[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self, file: u64) -> io::Result<()> {
        let mut state = self.state();
        if state.broken {
            return Err(io::Error::other("the disk is broken"));
        }
        let file = state.files.get_mut(&file).expect("it was created");
        file.flushed = file.now.clone();
        Ok(())
    }

    fn truncate(&mut self, file: u64, bytes: u64) -> io::Result<()> {
        let mut state = self.state();
        let file = state.files.get_mut(&file).expect("it was created");
        file.now.truncate(bytes as usize);
        file.flushed.truncate(bytes as usize);
        Ok(())
    }

    fn remove(&mut self, file: u64) -> io::Result<()> {
        self.state().files.remove(&file);
        Ok(())
    }
}
