//! Protobuf's wire format, as much as Kubernetes' kinds need of it: numbers, bytes, and messages inside messages.

/// The fields of a message, being written.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

/// How a field's value is written, in the lowest three bits of its key.
#[derive(Clone, Copy)]
enum WireType {
    Varint = 0,
    LengthDelimited = 2,
}

/// The most bytes of a varint.
const MAX_VARINT: usize = 10;

// === impl Writer ===

impl Writer {
    /// Goes on behind `bytes`, with room for about `more`.
    pub(super) fn starting(bytes: &[u8], more: usize) -> Self {
        let mut buffer = Vec::with_capacity(bytes.len() + more + 4 * MAX_VARINT);
        buffer.extend_from_slice(bytes);
        Self(buffer)
    }

    /// An integer or a truth value; negative ones as their 64-bit two's complement.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.key(field, WireType::Varint);
        self.varint(value);
    }

    /// A text, or a message that is written already.
    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, WireType::LengthDelimited);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// A message, whose fields `write` writes.
    pub(super) fn message<T>(&mut self, field: u32, write: impl FnOnce(&mut Self) -> T) -> T {
        self.key(field, WireType::LengthDelimited);
        let start = self.0.len();
        let written = write(self);
        // The length is known only now, and belongs before what it counts.
        let end = self.0.len();
        self.varint((end - start) as u64);
        let width = self.0.len() - end;
        if let Some(message) = self.0.get_mut(start..) {
            message.rotate_right(width);
        }
        written
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, field: u32, wire_type: WireType) {
        self.varint(u64::from(field) << 3 | wire_type as u64);
    }

    /// Seven bits a byte, the lowest first; the highest bit says that there are more.
    #[expect(clippy::cast_possible_truncation, reason = "what is cast fits seven bits")]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of protobuf's own description of the format, and what lies at the edges.
    #[test]
    fn fields() {
        let check = |write: &dyn Fn(&mut Writer), expected: &[u8]| {
            let mut writer = Writer::default();
            write(&mut writer);
            assert_eq!(writer.into_bytes(), expected);
        };
        check(&|w| w.number(1, 150), &[0x08, 0x96, 0x01]);
        check(&|w| w.number(1, 0), &[0x08, 0]);
        check(&|w| w.number(16, 127), &[0x80, 0x01, 0x7f]);
        let minus_two = [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        check(&|w| w.number(1, (-2_i64).cast_unsigned()), &minus_two);
        check(&|w| w.bytes(2, b"testing"), b"\x12\x07testing");
        check(&|w| w.bytes(2, b""), &[0x12, 0]);
        check(&|w| w.message(3, |w| w.number(1, 150)), &[0x1a, 0x03, 0x08, 0x96, 0x01]);
        check(&|w| w.message(1, |w| w.message(1, |_| ())), &[0x0a, 0x02, 0x0a, 0x00]);
        let long = [b'x'; 200];
        let expected = [&[0x0a, 0xcb, 0x01, 0x0a, 0xc8, 0x01], &long[..]].concat();
        check(&|w| w.message(1, |w| w.bytes(1, &long)), &expected);
    }
}
