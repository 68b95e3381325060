//! Reading a unit of H.264 or H.265 bit by bit.

/// Leading zero bits of the longest Exp-Golomb code: values of 32 bits (H.264 9.1).
const ZEROS_MAX: u32 = 31;

/// The bits of a unit, without the emulation prevention bytes (H.264 7.4.1.1, H.265 7.4.2.1).
#[derive(Debug)]
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    byte: u8,
    left: u8,
    /// Zero bytes in a row so far.
    zeros: u8,
    /// Bytes taken up, without those left out.
    taken: usize,
}

impl<'a> Bits<'a> {
    pub(super) const fn new(unit: &'a [u8]) -> Self {
        Self {
            rest: unit,
            byte: 0,
            left: 0,
            zeros: 0,
            taken: 0,
        }
    }

    /// Bits read so far.
    pub(super) const fn position(&self) -> usize {
        self.taken * 8 - self.left as usize
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.next_byte()?;
        }
        self.left -= 1;
        Some((self.byte >> self.left) & 1 == 1)
    }

    /// u(n) for n up to 32.
    pub(super) fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some((value << 1) | u32::from(self.bit()?)))
    }

    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.bit().map(drop))
    }

    /// ue(v), H.264 9.1.
    pub(super) fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > ZEROS_MAX {
                return None;
            }
        }
        let low = self.bits(zeros)?;
        Some(((1_u32 << zeros) - 1).wrapping_add(low))
    }

    /// se(v), H.264 9.1.1.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let code = i64::from(self.unsigned()?);
        Some(if code % 2 == 0 { -(code / 2) } else { code / 2 + 1 })
    }

    fn next_byte(&mut self) -> Option<()> {
        let (mut byte, mut rest) = self.rest.split_first()?;
        if self.zeros >= 2 && *byte == 3 {
            self.zeros = 0;
            (byte, rest) = rest.split_first()?;
        }
        self.zeros = if *byte == 0 {
            self.zeros.saturating_add(1)
        } else {
            0
        };
        (self.byte, self.rest, self.left) = (*byte, rest, 8);
        self.taken += 1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_standards_table() {
        // H.264 Table 9-2 and 9-3: 1, 010, 011, 00100, 00101.
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let read: Vec<_> = core::iter::from_fn(|| bits.unsigned()).take(5).collect();
        assert_eq!(read, [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let read: Vec<_> = core::iter::from_fn(|| bits.signed()).take(5).collect();
        assert_eq!(read, [0, 1, -1, 2, -2]);
        assert_eq!(
            Bits::new(&[0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]).unsigned(),
            Some(u32::MAX - 1)
        );
        assert_eq!(Bits::new(&[0; 10]).unsigned(), None);
    }

    #[test]
    fn emulation_prevention_is_left_out() {
        let mut bits = Bits::new(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3, 3]);
        let read: Vec<_> = core::iter::from_fn(|| bits.bits(8)).collect();
        assert_eq!(read, [0, 0, 1, 0, 0, 0, 0, 3, 3]);
        assert_eq!(Bits::new(&[0, 0, 3]).bits(17), None);
    }
}
