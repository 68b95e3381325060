//! The payload of a unit as bits to copy and to write, without and with its emulation prevention bytes (7.4.1.1).

/// Appends the payload that `raw` holds until `least` bytes of it are there and the last one is not zero: what follows
/// such a byte is written the same, whatever stands before it. Returns how many bytes of `raw` these were.
pub(super) fn unescape(raw: &[u8], least: usize, payload: &mut Vec<u8>) -> usize {
    let mut zeros = 0_u32;
    for (at, byte) in raw.iter().enumerate() {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        payload.push(*byte);
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        if zeros == 0 && payload.len() >= least {
            return at + 1;
        }
    }
    raw.len()
}

/// Appends `payload` with emulation prevention bytes. One that ends with a zero byte (cabac_zero_word) gets another
/// behind it, so that no unit ends with zero.
pub(super) fn escape(payload: &[u8], raw: &mut Vec<u8>) {
    let mut zeros = 0_u32;
    for byte in payload {
        if zeros >= 2 && *byte <= 3 {
            raw.push(3);
            zeros = 0;
        }
        raw.push(*byte);
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
    }
    if zeros > 0 {
        raw.push(3);
    }
}

/// Writes `width` bits of `value` at bit `at`.
pub(super) fn overwrite(payload: &mut [u8], at: usize, width: u32, value: u32) {
    for (step, shift) in (0..width).rev().enumerate() {
        let bit = at + step;
        let mask = 0x80_u8 >> (bit % 8);
        if let Some(byte) = payload.get_mut(bit / 8) {
            if (value >> shift) & 1 == 1 {
                *byte |= mask;
            } else {
                *byte &= !mask;
            }
        }
    }
}

/// Where the trailing bits begin (7.3.2.11): the last bit that is set. `None` when none is.
pub(super) fn stop_bit(payload: &[u8]) -> Option<usize> {
    let at = payload.iter().rposition(|byte| *byte != 0)?;
    let low = payload.get(at)?.trailing_zeros() as usize;
    Some(at * 8 + 7 - low)
}

/// Bits one after another.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// Bits free in the last byte.
    free: usize,
}

impl Writer {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// u(n) for n up to 32.
    pub(super) fn bits(&mut self, value: u32, count: u32) {
        for shift in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::from((value >> shift) & 1 == 1) << self.free;
            }
        }
    }

    /// ue(v), 9.1, of a value below 2^16.
    pub(super) fn unsigned(&mut self, value: u16) {
        let code = u32::from(value) + 1;
        let width = u32::BITS - code.leading_zeros();
        self.bits(0, width - 1);
        self.bits(code, width);
    }

    /// The bits `from..to` of `payload`.
    pub(super) fn copy(&mut self, payload: &[u8], from: usize, to: usize) {
        let mut at = from;
        while at < to {
            let count = (8 - at % 8).min(to - at);
            let Some(byte) = payload.get(at / 8) else { return };
            let value = u32::from(*byte) >> (8 - at % 8 - count);
            self.part(value, count);
            at += count;
        }
    }

    /// Up to eight bits at a time: a picture is copied like that.
    fn part(&mut self, value: u32, count: usize) {
        let value = value & ((1 << count) - 1);
        if self.free == 0 {
            self.bytes.push(0);
            self.free = 8;
        }
        let now = count.min(self.free);
        let later = count - now;
        self.free -= now;
        let low = |value: u32| value.to_le_bytes()[0];
        if let Some(last) = self.bytes.last_mut() {
            *last |= low((value >> later) << self.free);
        }
        if later > 0 {
            self.free = 8 - later;
            self.bytes.push(low(value << self.free));
        }
    }

    /// Fills the last byte up.
    pub(super) fn align(&mut self, ones: bool) {
        if self.free > 0 {
            self.part(if ones { 0xFF } else { 0 }, self.free);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Xorshift;

    fn both(payload: &[u8]) -> Vec<u8> {
        let mut raw = Vec::new();
        escape(payload, &mut raw);
        raw
    }

    #[test]
    fn the_rows_of_the_standard() {
        assert_eq!(both(&[1, 0, 0, 0]), [1, 0, 0, 3, 0, 3]);
        assert_eq!(
            both(&[0, 0, 1, 0, 0, 2, 0, 0, 3]),
            [0, 0, 3, 1, 0, 0, 3, 2, 0, 0, 3, 3]
        );
        assert_eq!(both(&[0, 0, 4, 0, 1]), [0, 0, 4, 0, 1]);
        // cabac_zero_words.
        assert_eq!(both(&[0x80, 0, 0, 0, 0]), [0x80, 0, 0, 3, 0, 0, 3]);
    }

    #[test]
    fn what_is_escaped_is_read_again_and_no_start_code() {
        let mut random = Xorshift::new(31);
        for _ in 0..20_000 {
            let mut payload: Vec<u8> = (0..random.below(24))
                .map(|_| [0, 0, 0, 1, 2, 3, 4, 0xFF][random.below(8)])
                .collect();
            // Trailing bits or cabac_zero_words stand at the end.
            payload.extend([&[0x80][..], &[0x80, 0, 0], &[0x80, 0, 0, 0, 0]][random.below(3)]);
            let raw = both(&payload);
            assert!(!raw.windows(3).any(|three| three[..2] == [0, 0] && three[2] < 3));
            assert_ne!(raw.last(), Some(&0));
            let mut read = Vec::new();
            assert_eq!(unescape(&raw, usize::MAX, &mut read), raw.len());
            assert_eq!(read, payload);
            // A begin, written again, in front of the untouched rest.
            let mut begin = Vec::new();
            let taken = unescape(&raw, random.below(24), &mut begin);
            let mut again = both(&begin);
            again.extend(&raw[taken..]);
            assert_eq!(again, raw);
        }
    }

    #[test]
    fn bits_are_copied_from_anywhere_to_anywhere() {
        let mut random = Xorshift::new(32);
        let payload: Vec<u8> = (0..40).map(|_| random.next().to_le_bytes()[0]).collect();
        let bit = |bytes: &[u8], at: usize| (bytes[at / 8] >> (7 - at % 8)) & 1;
        for _ in 0..5_000 {
            let (lead, from) = (random.below(9), random.below(160));
            let to = from + random.below(160);
            let mut writer = Writer::default();
            (0..lead).for_each(|_| writer.bits(1, 1));
            writer.copy(&payload, from, to);
            for at in from..to {
                assert_eq!(bit(writer.bytes(), lead + at - from), bit(&payload, at));
            }
            writer.align(true);
            assert_eq!(writer.bytes().len(), (lead + to - from).div_ceil(8));
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for value in [0, 1, 2, 6, 7, 1_000, u16::MAX] {
            let mut writer = Writer::default();
            writer.unsigned(value);
            writer.bits(0x2A, 7);
            writer.align(false);
            let mut bits = super::super::super::bits::Bits::new(writer.bytes());
            assert_eq!(bits.unsigned(), Some(u32::from(value)));
            assert_eq!(bits.bits(7), Some(0x2A));
        }
        let mut bytes = [0xFF, 0, 0xFF];
        overwrite(&mut bytes, 6, 12, 0b1001_0001_0001);
        assert_eq!(bytes, [0xFE, 0x44, 0x7F]);
        assert_eq!(stop_bit(&[1, 0x50, 0, 0]), Some(11));
        assert_eq!(stop_bit(&[0, 0]), None);
    }
}
