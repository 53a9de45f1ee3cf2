//! A quick hash of several texts, with no secret: whoever uses it must bear texts whose hashes are alike.

/// Any numbers with ones and zeros well mixed; these are the fractions of the golden ratio and of the square root of 3.
const FACTORS: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];

/// The hash of the texts that were added so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextHash(u64);

// === impl TextHash ===

impl TextHash {
    /// The hash of one text.
    pub(crate) fn of(text: &str) -> Self {
        Self(folded(text.as_bytes()))
    }

    /// Adds a text after the others.
    pub(crate) fn add(&mut self, text: &str) {
        self.0 = mixed(self.0, folded(text.as_bytes()));
    }

    /// 32 bits of all texts.
    pub(crate) fn finish(self) -> u32 {
        self.0 as u32
    }
}

/// A text in 64 bits. Where it has no whole number of words, its last word overlaps the one before, which costs less than
/// taking the rest byte by byte; the length sets apart what would look alike for that.
fn folded(text: &[u8]) -> u64 {
    let length = text.len() as u64;
    if let Some(last) = text.last_chunk() {
        let (words, _) = text.as_chunks();
        let state = words.iter().fold(length, |state, word| mixed(state, u64::from_le_bytes(*word)));
        mixed(state, u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        mixed(length, u64::from(first) << 32 | u64::from(last))
    } else {
        mixed(length, text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    }
}

/// Takes a word into a state: the upper half of a product over its lower half, so that all bits hang on all bits.
fn mixed(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word ^ FACTORS[0]) * u128::from(FACTORS[1]);
    (product >> 64) as u64 ^ product as u64
}
