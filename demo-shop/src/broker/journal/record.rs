//! What one record is, in bytes, and back. All numbers are little-endian.
//!
//! ```text
//! record   length u64 | number u64 | crc u32 | entries (length bytes)
//! put      1u8 | id u64 | queue u16+text | headers u16, each u32+text u32+text | body u32+bytes
//! settle   2u8 | id u64
//! move     3u8 | id u64 | new id u64 | queue u16+text
//! ```
//!
//! The checksum (CRC-32, as in gzip) is over the text `demo-shop queue 1`, length, number and entries. A record is whole or it is nothing: what it
//! says happens together. Numbers count up by one from record to record over all files.

use crate::broker::queue::Message;
use crate::stomp::Headers;
use bytes::Bytes;
use std::sync::Arc;

/// Bytes before a record's entries.
pub(super) const HEAD: usize = 8 + 8 + 4;

/// Bytes of a record that settles one message.
pub(super) const SETTLE: usize = HEAD + 1 + 8;

/// One change to the messages that are kept.
#[derive(Clone, Debug)]
pub(in crate::broker) enum Entry {
    /// A message is in a queue from now on. One that has this id already is the same message.
    Put { id: u64, queue: Arc<str>, message: Arc<Message> },
    /// A message is gone for good.
    Settle { id: u64 },
    /// A message is at the end of another queue from now on, under a new id.
    Move { id: u64, to: u64, queue: Arc<str> },
}

/// A whole record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) entries: Vec<Entry>,
    /// Its bytes, head included.
    pub(super) length: usize,
}

/// Goes into every checksum, so that files of another format, or of a later version, are not taken for ours.
const FORMAT: &[u8] = b"demo-shop queue 1";

const PUT: u8 = 1;
const SETTLED: u8 = 2;
const MOVED: u8 = 3;

// === impl Entry ===

impl Entry {
    /// How many bytes it has.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Put { queue, message, .. } => {
                let headers = message.headers.iter().map(|(name, value)| 8 + name.len() + value.len());
                1 + 8 + 2 + queue.len() + 2 + headers.sum::<usize>() + 4 + message.body.len()
            }
            Self::Settle { .. } => 1 + 8,
            Self::Move { queue, .. } => 1 + 8 + 8 + 2 + queue.len(),
        }
    }

    /// Appends the entry's bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Put { id, queue, message } => {
                out.push(PUT);
                out.extend_from_slice(&id.to_le_bytes());
                put_short(out, queue);
                out.extend_from_slice(&(message.headers.len() as u16).to_le_bytes());
                for (name, value) in message.headers.iter() {
                    put_long(out, name.as_bytes());
                    put_long(out, value.as_bytes());
                }
                put_long(out, &message.body);
            }
            Self::Settle { id } => {
                out.push(SETTLED);
                out.extend_from_slice(&id.to_le_bytes());
            }
            Self::Move { id, to, queue } => {
                out.push(MOVED);
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&to.to_le_bytes());
                put_short(out, queue);
            }
        }
    }
}

/// Makes room for a record's head; entries are appended after it, and [`seal`] writes it.
pub(super) fn begin(out: &mut Vec<u8>) {
    out.clear();
    out.resize(HEAD, 0);
}

/// Writes the head of a record whose entries are complete.
pub(super) fn seal(record: &mut [u8], number: u64) {
    let Some((head, entries)) = record.split_at_mut_checked(HEAD) else { return };
    head[..8].copy_from_slice(&(entries.len() as u64).to_le_bytes());
    head[8..16].copy_from_slice(&number.to_le_bytes());
    let crc = checksum(&head[..16], entries);
    head[16..].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the record at the beginning of `bytes`, if there is a whole one.
pub(super) fn read(bytes: &[u8]) -> Option<Record> {
    let (number, entries) = head(bytes)?;
    Some(Record { number, entries: parse(entries)?, length: HEAD + entries.len() })
}

/// The number of the first whole record, not before `after`, anywhere in `bytes`.
pub(super) fn search(bytes: &[u8], after: u64) -> Option<u64> {
    // The checksum alone would do. The number first, because it is cheap and hardly ever plausible by chance.
    const PLAUSIBLE: u64 = 1 << 32;
    (0..bytes.len().saturating_sub(HEAD - 1)).find_map(|at| {
        let rest = &bytes[at..];
        let mut reader = Reader(rest.get(8..)?);
        let number = reader.u64()?;
        let plausible = number >= after && number - after < PLAUSIBLE;
        plausible.then(|| head(rest)).flatten().map(|(number, _)| number)
    })
}

/// Number and entries of the record at the beginning of `bytes`, if its checksum says that it is one.
fn head(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut reader = Reader(bytes);
    let (length, number, crc) = (reader.u64()?, reader.u64()?, reader.u32()?);
    // No record is empty, and none has the number 0: zeros are no record.
    if length == 0 || number == 0 {
        return None;
    }
    let entries = reader.take(usize::try_from(length).ok()?)?;
    (checksum(bytes.get(..16)?, entries) == crc).then_some((number, entries))
}

fn parse(bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut reader = Reader(bytes);
    let mut entries = Vec::new();
    while !reader.0.is_empty() {
        entries.push(match reader.u8()? {
            PUT => Entry::Put {
                id: reader.u64()?,
                queue: reader.short()?.into(),
                message: Arc::new(Message { headers: reader.headers()?, body: reader.long()? }),
            },
            SETTLED => Entry::Settle { id: reader.u64()? },
            MOVED => Entry::Move { id: reader.u64()?, to: reader.u64()?, queue: reader.short()?.into() },
            _ => return None,
        });
    }
    Some(entries)
}

fn checksum(head: &[u8], entries: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(FORMAT);
    hasher.update(head);
    hasher.update(entries);
    hasher.finalize()
}

/// Queue names are at most 128 bytes.
fn put_short(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Headers and bodies are bounded by the decoder's limits, far below what 32 bits count.
fn put_long(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Takes bytes from the front; none when there are too few.
struct Reader<'a>(&'a [u8]);

// === impl Reader ===

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self, length: usize) -> Option<&'a str> {
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn short(&mut self) -> Option<&'a str> {
        let length = self.u16()?;
        self.text(length.into())
    }

    fn long(&mut self) -> Option<Bytes> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?).map(Bytes::copy_from_slice)
    }

    fn headers(&mut self) -> Option<Headers> {
        let count = self.u16()?;
        let mut headers = Headers::default();
        for _ in 0..count {
            let (name, value) = (self.long()?, self.long()?);
            headers.push(std::str::from_utf8(&name).ok()?, std::str::from_utf8(&value).ok()?);
        }
        Some(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(id: u64, queue: &str, headers: &[(String, String)], body: &[u8]) -> Entry {
        let headers = headers.iter().cloned().collect();
        let message = Message { headers, body: Bytes::copy_from_slice(body) };
        Entry::Put { id, queue: queue.into(), message: Arc::new(message) }
    }

    fn sealed(entries: &[Entry], number: u64) -> Vec<u8> {
        let mut record = Vec::new();
        begin(&mut record);
        entries.iter().for_each(|entry| entry.encode(&mut record));
        seal(&mut record, number);
        record
    }

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        let headers = proptest::collection::vec((".{0,9}", ".{0,9}"), 0..4);
        let body = proptest::collection::vec(any::<u8>(), 0..40);
        let entry = prop_oneof![
            (any::<u64>(), "[a-z]{1,9}", headers, body)
                .prop_map(|(id, queue, headers, body)| put(id, &queue, &headers, &body)),
            any::<u64>().prop_map(|id| Entry::Settle { id }),
            (any::<u64>(), any::<u64>(), "[a-z]{1,9}").prop_map(|(id, to, queue)| Entry::Move {
                id,
                to,
                queue: queue.as_str().into()
            }),
        ];
        proptest::collection::vec(entry, 1..5)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(entries in entries(), number in 1..u64::MAX, after in 0..50_usize) {
            let mut bytes = sealed(&entries, number);
            let whole = bytes.len();
            bytes.resize(whole + after, 0xee);
            let record = read(&bytes).expect("a record");
            prop_assert_eq!((record.number, record.length), (number, whole));
            prop_assert_eq!(record.entries.iter().map(Entry::length).sum::<usize>(), whole - HEAD);
            prop_assert_eq!(format!("{:?}", record.entries), format!("{entries:?}"));
        }

        #[test]
        fn a_record_with_a_wrong_bit_or_cut_short_is_none(entries in entries(), place in any::<usize>(), bit in 0..8_u32) {
            let mut bytes = sealed(&entries, 7);
            let place = place % bytes.len();
            prop_assert!(read(&bytes[..place]).is_none(), "cut short");
            bytes[place] ^= 1 << bit;
            prop_assert!(read(&bytes).is_none(), "wrong bit");
        }

        #[test]
        fn garbage_is_no_record(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(read(&bytes).is_none());
            prop_assert_eq!(search(&bytes, 1), None);
        }
    }

    #[test]
    fn zeros_are_nothing_and_a_record_behind_damage_is_found() {
        assert!(read(&[0; 100]).is_none() && read(&[]).is_none());
        let mut bytes = vec![0xee; 33];
        bytes.extend(sealed(&[Entry::Settle { id: 5 }], 9));
        assert_eq!(search(&bytes, 9), Some(9));
        assert_eq!(search(&bytes, 10), None, "an older one says nothing");
    }
}
