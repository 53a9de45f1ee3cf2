//! The kept messages on disk: an append-only log in numbered files, of which the oldest go when nobody needs them.
//!
//! **Promise**: what [`Journal::commit`] returned for is there after a crash, whole records only and in order; what it
//! refused or never returned for is either there as a whole (then nobody was told anything) or not at all.
//!
//! **Files.** `00000000000000000001.log` and so on hold records ([`record`]) back to back, then zeros. A file is made
//! of zeros before it is used, so its space is taken in advance. The newest is written; older ones only shrink to what
//! they hold, and are removed oldest first. `lock` keeps a second process out.
//!
//! **A full disk.** Every kept message has the room for its acknowledgement reserved in the newest file, so that
//! a queue on a full disk can still be worked off, which is how room comes back. Whatever else finds no room is
//! refused ([`Committed::Refused`]) and leaves no trace.
//!
//! **Compaction.** A file whose messages are all settled is removed. When more than half of all files is about settled
//! messages, [`Journal::tidy`] names the messages that still live in the oldest file; committing them once more moves
//! them to the newest.
//!
//! **Recovery** reads all records. The last may be torn: it was never confirmed, and is cut off. Damage anywhere else
//! ends the start with an error that names the file, because orders that were confirmed are missing.

pub(super) mod disk;
mod record;
#[cfg(test)]
pub(super) mod simulated;

pub(super) use record::Entry;

use super::queue::Message;
use disk::Disk;
use record::{HEAD, Record, SETTLE};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use thiserror::Error;

/// The log of one broker.
pub(super) struct Journal {
    disk: Box<dyn Disk>,
    segment_bytes: u64,
    /// What the next file has beyond the record that it is made for: the usual length, or less on a full disk.
    spare: u64,
    /// Oldest first; the last is being written.
    segments: VecDeque<Segment>,
    /// Where each kept message is.
    places: HashMap<u64, Place>,
    /// What those messages take in the files together.
    live_bytes: u64,
    next_number: u64,
    /// The last attempt to make a file failed.
    full: bool,
    record: Vec<u8>,
}

/// What the log held when it was opened.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// The messages, by id, and their queues.
    pub(super) messages: BTreeMap<u64, (Arc<str>, Arc<Message>)>,
    /// The highest id that was ever used.
    pub(super) last_id: u64,
    /// Bytes of a torn record that were cut off.
    pub(super) torn: usize,
}

/// Entries that happen together or not at all.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) entries: Vec<Entry>,
    /// It needs room on the disk, and may be told that there is none.
    pub(super) refusable: bool,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Committed {
    /// All of it is on the disk.
    All,
    /// There is no room for those that may be refused; the others are on the disk.
    Refused(io::Error),
}

/// Why a log cannot be opened.
#[derive(Debug, Error)]
pub(super) enum RecoverError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error(
        "file {file:020}.log is damaged at byte {offset}, and confirmed messages follow; restore it from a backup, or move the files from this one on away to go on without their messages"
    )]
    Damaged { file: u64, offset: usize },
    #[error(
        "records {expected} to {found} are missing before file {file:020}.log; restore the files, or move the ones from this one on away to go on without their messages"
    )]
    Missing { file: u64, expected: u64, found: u64 },
}

#[derive(Debug)]
struct Segment {
    file: u64,
    capacity: u64,
    used: u64,
    /// Messages that are kept here.
    live: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    file: u64,
    bytes: u64,
}

/// The part of a file's usual length that one must have beyond the record that it is made for.
const SMALLEST: u64 = 256;

/// Most bytes of messages that compaction moves at once.
const MOVED_AT_ONCE: u64 = 1 << 20;

// === impl Journal ===

impl Journal {
    /// Reads what there is, and makes the first file if there is none.
    pub(super) fn open(
        mut disk: Box<dyn Disk>,
        segment_bytes: u64,
    ) -> Result<(Self, Recovered), RecoverError> {
        let files = disk.list()?;
        let mut journal = Self {
            disk,
            segment_bytes,
            spare: segment_bytes,
            segments: VecDeque::new(),
            places: HashMap::new(),
            live_bytes: 0,
            next_number: 1,
            full: false,
            record: Vec::new(),
        };
        let mut recovered = Recovered::default();
        // The first record that is not whole: file, offset, and how many bytes are behind it.
        let mut torn: Option<(u64, usize, usize)> = None;
        for file in files {
            let bytes = journal.disk.read(file)?;
            if let Some((file, offset, _)) = torn
                && record::search(&bytes, journal.next_number).is_some()
            {
                return Err(RecoverError::Damaged { file, offset });
            }
            let used = journal.replay(file, &bytes, &mut recovered)?;
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.iter().any(|&byte| byte != 0) {
                if record::search(rest, journal.next_number).is_some() {
                    return Err(RecoverError::Damaged { file, offset: used });
                }
                torn.get_or_insert((file, used, rest.len()));
            }
            if let Some(segment) = journal.segments.back_mut() {
                segment.used = used as u64;
            }
        }
        if let Some((file, offset, length)) = torn {
            // Its bytes must not be taken for the rest of what is written there next.
            recovered.torn = length;
            journal.disk.write(file, offset as u64, &vec![0; length])?;
            journal.disk.sync(file)?;
        }
        if journal.segments.is_empty() {
            journal.extend(0, 0)?;
        }
        Ok((journal, recovered))
    }

    /// Makes the operations durable, in one record with one flush. An error means that the disk cannot be trusted any
    /// more; whether the operations are on it is then unknown until the log is opened anew.
    pub(super) fn commit(&mut self, ops: &[Op]) -> io::Result<Committed> {
        let puts = self.encode(ops.iter());
        let Err(full) = self.make_room(puts) else {
            self.append(ops.iter())?;
            return Ok(Committed::All);
        };
        self.encode(ops.iter().filter(|op| !op.refusable));
        self.append(ops.iter().filter(|op| !op.refusable))?;
        Ok(Committed::Refused(full))
    }

    /// Removes files that nobody needs. Returns messages that should be committed again, because the file that they
    /// are in is mostly of no use any more.
    pub(super) fn tidy(&mut self) -> Vec<u64> {
        while self.segments.len() > 1
            && let Some(oldest) = self.segments.front()
            && oldest.live == 0
        {
            // A file that stays is read at the next start, and says nothing that later files do not take back.
            if self.disk.remove(oldest.file).is_err() {
                return Vec::new();
            }
            self.segments.pop_front();
        }
        let Some(oldest) = self.segments.front().filter(|_| self.segments.len() > 1) else {
            return Vec::new();
        };
        let used: u64 = self.segments.iter().map(|segment| segment.used).sum();
        let spare = if self.full { 0 } else { 4 * self.segment_bytes };
        if used <= 2 * self.live_bytes + spare {
            return Vec::new();
        }
        let in_oldest = self.places.iter().filter(|(_, place)| place.file == oldest.file);
        let mut bytes = 0;
        let some = in_oldest.take_while(|(_, place)| {
            bytes += place.bytes;
            bytes <= MOVED_AT_ONCE || bytes == place.bytes
        });
        some.map(|(&id, _)| id).collect()
    }

    /// Bytes of all files that hold something.
    #[cfg(test)]
    fn used(&self) -> u64 {
        self.segments.iter().map(|segment| segment.used).sum()
    }

    /// Applies a file's records; the bytes that they take.
    fn replay(&mut self, file: u64, bytes: &[u8], recovered: &mut Recovered) -> Result<usize, RecoverError> {
        self.segments.push_back(Segment { file, capacity: bytes.len() as u64, used: 0, live: 0 });
        let first = self.segments.len() == 1;
        let mut used = 0;
        while let Some(rest) = bytes.get(used..)
            && let Some(Record { number, entries, length }) = record::read(rest)
        {
            let expected = self.next_number;
            if number != expected && !(first && used == 0) {
                return Err(RecoverError::Missing { file, expected, found: number });
            }
            self.next_number = number + 1;
            for entry in entries {
                self.place(&entry);
                recovered.apply(entry);
            }
            used += length;
        }
        Ok(used)
    }

    /// Fills `record` with the entries; how many of them are new messages.
    fn encode<'a>(&mut self, ops: impl Iterator<Item = &'a Op>) -> usize {
        record::begin(&mut self.record);
        let mut puts = 0;
        for entry in ops.flat_map(|op| &op.entries) {
            puts += usize::from(matches!(entry, Entry::Put { .. }));
            entry.encode(&mut self.record);
        }
        puts
    }

    /// Sees to it that `record` can be written and leaves the room that is reserved.
    fn make_room(&mut self, puts: usize) -> io::Result<()> {
        let length = self.record.len() as u64;
        let reserve = self.reserve(puts);
        let room = self.segments.back().map_or(0, |segment| segment.capacity - segment.used);
        if self.record.len() == HEAD || length + reserve <= room {
            return Ok(());
        }
        let extended = self.extend(length, reserve);
        self.full = extended.is_err();
        extended
    }

    /// What the acknowledgements of all kept messages, and of that many more, take at most.
    fn reserve(&self, more: usize) -> u64 {
        ((self.places.len() + more) * SETTLE) as u64
    }

    /// Begins a new file, which has that much room and more.
    fn extend(&mut self, length: u64, reserve: u64) -> io::Result<()> {
        let file = self.segments.back().map_or(1, |segment| segment.file + 1);
        let smallest = self.segment_bytes / SMALLEST;
        let capacity = loop {
            let capacity = length + reserve + self.spare;
            match self.disk.create(file, capacity) {
                Ok(()) => break capacity,
                Err(error) if self.spare <= smallest => return Err(error),
                // Smaller next time as well: on a nearly full disk, large attempts take what room others have left.
                Err(_) => self.spare = (self.spare / 4).max(smallest),
            }
        };
        self.spare = (self.spare * 2).min(self.segment_bytes);
        if let Some(old) = self.segments.back_mut() {
            // Where it cannot be shortened it stays as long as it is.
            if self.disk.truncate(old.file, old.used).is_ok() {
                old.capacity = old.used;
            }
        }
        self.segments.push_back(Segment { file, capacity, used: 0, live: 0 });
        Ok(())
    }

    /// Writes `record`, flushes, and notes what the entries say.
    fn append<'a>(&mut self, ops: impl Iterator<Item = &'a Op>) -> io::Result<()> {
        if self.record.len() == HEAD {
            return Ok(());
        }
        record::seal(&mut self.record, self.next_number);
        let length = self.record.len() as u64;
        let Some(segment) =
            self.segments.back_mut().filter(|segment| segment.used + length <= segment.capacity)
        else {
            return Err(io::ErrorKind::StorageFull.into());
        };
        self.disk.write(segment.file, segment.used, &self.record)?;
        self.disk.sync(segment.file)?;
        segment.used += length;
        self.next_number += 1;
        for entry in ops.flat_map(|op| &op.entries) {
            self.place(entry);
        }
        Ok(())
    }

    /// Notes where messages are from now on: what is said now is said in the newest file.
    fn place(&mut self, entry: &Entry) {
        match entry {
            Entry::Put { id, .. } => {
                self.displace(*id);
                if let Some(segment) = self.segments.back_mut() {
                    segment.live += 1;
                    let place = Place { file: segment.file, bytes: entry.length() as u64 };
                    self.live_bytes += place.bytes;
                    self.places.insert(*id, place);
                }
            }
            Entry::Settle { id } => drop(self.displace(*id)),
            Entry::Move { id, to, .. } => {
                if let Some(place) = self.places.remove(id) {
                    self.places.insert(*to, place);
                }
            }
        }
    }

    fn displace(&mut self, id: u64) -> Option<Place> {
        let place = self.places.remove(&id)?;
        self.live_bytes -= place.bytes;
        if let Some(segment) = self.segments.iter_mut().find(|segment| segment.file == place.file) {
            segment.live -= 1;
        }
        Some(place)
    }
}

// === impl Recovered ===

impl Recovered {
    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Put { id, queue, message } => {
                self.last_id = self.last_id.max(id);
                self.messages.insert(id, (queue, message));
            }
            Entry::Settle { id } => {
                self.last_id = self.last_id.max(id);
                self.messages.remove(&id);
            }
            Entry::Move { id, to, queue } => {
                self.last_id = self.last_id.max(to);
                if let Some((_, message)) = self.messages.remove(&id) {
                    self.messages.insert(to, (queue, message));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
