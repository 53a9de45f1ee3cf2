//! Inflates pages of pods that compress unasked, a little at a time.
//!
//! A few bytes of gzip can stand for much work and no output at all: empty members, empty blocks with tables of their
//! own. So one member is all that is taken, and between two slices everybody else has a turn, the deadline included.

use std::io::Write;

use flate2::write::GzDecoder;
use tokio::task::yield_now;

use crate::{
    buffer::{Budget, Buffer},
    failure::ScrapeError,
};

/// Bytes that are inflated in one go; the output of one go is bounded by the decoder's own 32 KiB. The worst such
/// slice, empty blocks each with its tables, costs a millisecond or two.
const SLICE_BYTES: usize = 4 << 10;

/// Inflates `packed` into `page`, which may become `limit` bytes long.
///
/// # Errors
/// It is no gzip, is damaged, goes on after its first member, or is too long.
pub(super) async fn inflate(
    packed: &[u8],
    page: &mut Buffer,
    limit: usize,
    budget: &Budget,
) -> Result<(), ScrapeError> {
    let mut decoder = GzDecoder::new(Vec::new());
    let mut rest = packed;
    while !rest.is_empty() {
        let slice = rest.get(..SLICE_BYTES).unwrap_or(rest);
        let taken = decoder.write(slice).map_err(|_| ScrapeError::inflate())?;
        if taken == 0 {
            return Err(ScrapeError::more_than_one_member());
        }
        rest = rest.get(taken..).unwrap_or_default();
        append(page, decoder.get_mut(), limit, budget).await?;
        yield_now().await;
    }
    decoder.try_finish().map_err(|_| ScrapeError::inflate())?;
    append(page, decoder.get_mut(), limit, budget).await
}

async fn append(
    page: &mut Buffer,
    inflated: &mut Vec<u8>,
    limit: usize,
    budget: &Budget,
) -> Result<(), ScrapeError> {
    let len = page.bytes.len().saturating_add(inflated.len());
    if len > limit {
        return Err(ScrapeError::body_limit(limit));
    }
    page.make_room(len, limit, budget).await;
    page.bytes.append(inflated);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flate2::{Compression, write::GzEncoder};
    use podgauge_store::FailureKind;
    use tokio::time::{advance, timeout};

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// One member that holds nothing, in this many bits: each block says that it is not the last, has the fixed
    /// codes, and ends.
    fn empty_blocks(bytes: usize) -> Vec<u8> {
        let mut packed = gzip(b"");
        packed.truncate(10);
        // Ten bits a block: 0 (more follow), 01 (fixed codes), 0000000 (end of block), least bit first.
        packed.extend([0b0000_0010, 0b0000_1000, 0b0010_0000, 0b1000_0000, 0].repeat(bytes / 5));
        // The last block, empty and stored, and the checksum and length of nothing.
        packed.extend([1, 0, 0, 0xff, 0xff]);
        packed.extend([0; 8]);
        packed
    }

    async fn inflated(packed: &[u8]) -> Result<Vec<u8>, ScrapeError> {
        let mut page = Buffer::default();
        inflate(packed, &mut page, LIMIT, &Budget::new(2 * LIMIT)).await?;
        Ok(page.bytes)
    }

    #[tokio::test]
    async fn what_was_packed_comes_out() {
        let noise: Vec<u8> = (0..500_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for bytes in [b"".as_slice(), b"a 1\n", &vec![b'\n'; LIMIT], &noise] {
            assert!(inflated(&gzip(bytes)).await.unwrap() == bytes, "{} bytes", bytes.len());
        }
        assert_eq!(inflated(&empty_blocks(100_000)).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn what_is_not_one_whole_member_is_refused() {
        let page = gzip(b"a 1\n");
        let damaged: Vec<u8> = page.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 20)).collect();
        let not_gzip = "the page is said to be gzip and is not";
        let goes_on = "the page goes on after its first gzip member; one is all that is read";
        let cases = [
            (b"".to_vec(), not_gzip),
            (b"a 1\n".to_vec(), not_gzip),
            (page[..page.len() - 1].to_vec(), not_gzip),
            (damaged, not_gzip),
            ([page.clone(), page.clone()].concat(), goes_on),
            ([page, vec![0]].concat(), goes_on),
            (gzip(b"").repeat(100_000), goes_on),
        ];
        for (packed, message) in cases {
            let error = inflated(&packed).await.unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (FailureKind::Protocol, message));
        }
        let error = inflated(&gzip(&vec![b'\n'; LIMIT + 1])).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Limit);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_ends_it() {
        let deadline = Duration::from_secs(10);
        for packed in [empty_blocks(1 << 20), gzip(&vec![b'\n'; LIMIT])] {
            let (ended, ()) = tokio::join!(timeout(deadline, inflated(&packed)), advance(2 * deadline));
            assert!(ended.is_err(), "nobody else had a turn");
        }
    }
}
