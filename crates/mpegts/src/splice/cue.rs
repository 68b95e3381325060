//! Splice information sections: where a broadcaster's own splices lie, such as advertisements (ANSI/SCTE 35).
//! Only their time is moved; what they say is not looked at.

use crate::clock::WRAP_90K;
use crate::psi::crc32;

/// stream_type of the streams that carry them (SCTE 35 8.2).
pub(super) const STREAM_TYPE: u8 = 0x86;

/// The registration descriptor by which a programme says that stream_type 0x86 means this (SCTE 35 8.1).
pub(super) const REGISTRATION: [u8; 6] = [0x05, 4, b'C', b'U', b'E', b'I'];

/// table_id (SCTE 35 9.6).
const TABLE: u8 = 0xFC;

/// Bytes of a section without a command: 14 before it, descriptor_loop_length, CRC.
const SECTION_BYTES_MIN: usize = 20;

/// Moves every time in a section by `offset` ticks: pts_adjustment is there for those who restamp a stream, and is not
/// encrypted (SCTE 35 9.6.1). `false` when it is no whole section.
pub(super) fn shift(section: &mut [u8], offset: i64) -> bool {
    if section.len() < SECTION_BYTES_MIN || section.first() != Some(&TABLE) || crc32(section) != 0 {
        return false;
    }
    let Some((body, crc)) = section.split_last_chunk_mut::<4>() else {
        return false;
    };
    // The last bit of the fifth byte and the four behind it.
    let Some(field) = body.get_mut(4..9).and_then(|rest| rest.first_chunk_mut::<5>()) else {
        return false;
    };
    let [high, low @ ..] = *field;
    let old = (u64::from(high & 1) << 32) | u64::from(u32::from_be_bytes(low));
    let moved = (old.cast_signed() + offset.rem_euclid(WRAP_90K.cast_signed())).cast_unsigned() % WRAP_90K;
    let [.., top, a, b, c, d] = moved.to_be_bytes();
    *field = [(high & 0xFE) | top, a, b, c, d];
    *crc = crc32(body).to_be_bytes();
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Xorshift;

    /// splice_null with an adjustment.
    fn section(adjustment: u64) -> Vec<u8> {
        let [.., top, a, b, c, d] = adjustment.to_be_bytes();
        let mut section = vec![TABLE, 0x30, 17, 0, top, a, b, c, d, 0, 0xFF, 0xF0, 0, 0, 0, 0];
        section.extend(crc32(&section).to_be_bytes());
        section
    }

    #[test]
    fn the_adjustment_goes_round_with_the_stamps() {
        let check = |before: u64, offset: i64, after: u64| {
            let mut bytes = section(before);
            assert!(shift(&mut bytes, offset));
            assert_eq!(bytes, section(after), "{before} by {offset}");
        };
        check(0, 900_000, 900_000);
        check(WRAP_90K - 1, 1, 0);
        check(5, -6, WRAP_90K - 1);
        check(WRAP_90K / 2, (WRAP_90K / 2).cast_signed() + 7, 7);
        check(1, 3 * WRAP_90K.cast_signed() + 1, 2);
        check(0, -900_000, WRAP_90K - 900_000);
    }

    #[test]
    fn anything_else_is_left_alone() {
        let mut random = Xorshift::new(31);
        for _ in 0..20_000 {
            let mut bytes = section(random.next() % WRAP_90K);
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            bytes.truncate(bytes.len() - random.below(2) * random.below(bytes.len()));
            let before = bytes.clone();
            assert!(!shift(&mut bytes, 1), "a CRC finds every single flipped bit");
            assert_eq!(bytes, before);
        }
    }
}
