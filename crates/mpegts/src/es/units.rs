//! Units between start codes (H.264 and H.265 Annex B; 13818-2 6.2.1 calls them by their start codes).

use super::Codec;
use core::ops::Range;

/// Where the next 00 00 01 stands.
pub(super) fn start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += without_zeros(bytes.get(at..)?);
        // Of three bytes of a start code the last is 1 and the others 0: any larger third byte skips three.
        match bytes.get(at..)?.first_chunk::<3>()? {
            [0, 0, 1] => return Some(at),
            [_, _, third] if *third > 0 => at += 3,
            _ => at += 1,
        }
    }
}

/// Bytes at the begin, in steps of eight, none of which is zero: most of what an entropy coder writes.
fn without_zeros(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    let words = bytes.as_chunks::<8>().0;
    let zero = words.iter().position(|word| {
        let word = u64::from_ne_bytes(*word);
        // A byte of nought, and no other before the first such byte, borrows its top bit.
        word.wrapping_sub(ONES) & !word & TOPS != 0
    });
    8 * zero.unwrap_or(words.len())
}

/// The units of an access unit, without their start codes: those before its first slice, and that, which is all the rest.
pub fn leading(codec: Codec, es: &[u8]) -> impl Iterator<Item = &[u8]> {
    until(es, move |head| match codec {
        Codec::H264 => matches!(head & 0x1F, 1 | 2 | 5),
        Codec::Hevc => (head >> 1) & 0x3F < 32,
        _ => head == 0,
    })
}

/// The units between start codes, without the codes and without the zero bytes before the next one. The first one whose
/// first byte is a `slice`'s is the last: where it ends nobody asks, and to find out costs a look at every byte.
pub(super) fn until(es: &[u8], slice: impl Fn(u8) -> bool) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(es);
    core::iter::from_fn(move || {
        let unit = rest?;
        if unit.first().is_some_and(|head| slice(*head)) {
            rest = None;
            return Some(unit);
        }
        let next = start_code(unit);
        rest = next.and_then(|at| unit.get(at + 3..));
        let mut unit = next.and_then(|at| unit.get(..at)).unwrap_or(unit);
        while let [shorter @ .., 0] = unit {
            unit = shorter;
        }
        Some(unit)
    })
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(start_code(bytes)? + 3..)
}

/// Where the units that begin at or behind `from` stand, without start codes and the zero bytes before the next one.
pub fn ranges(bytes: &[u8], from: usize) -> impl Iterator<Item = Range<usize>> {
    let mut next = code_end(bytes, from);
    core::iter::from_fn(move || {
        let start = next?;
        let rest = bytes.get(start..)?;
        let code = start_code(rest);
        next = code.map(|at| start + at + 3);
        let mut unit = rest.get(..code.unwrap_or(rest.len()))?;
        while let [shorter @ .., 0] = unit {
            unit = shorter;
        }
        Some(start..start + unit.len())
    })
}

fn code_end(bytes: &[u8], from: usize) -> Option<usize> {
    Some(from + start_code(bytes.get(from..)?)? + 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Xorshift;

    #[test]
    fn start_codes_are_where_they_are() {
        let mut random = Xorshift::new(41);
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..random.below(60))
                .map(|_| random.next().to_le_bytes()[0] | 2)
                .collect();
            for _ in 0..random.below(6) {
                let at = random.below(bytes.len() + 1);
                let code = [&[0, 0, 1][..], &[0], &[0, 0], &[1]][random.below(4)];
                bytes.splice(at..at, code.iter().copied());
            }
            let expected = bytes.windows(3).position(|three| three == [0, 0, 1]);
            assert_eq!(start_code(&bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn units_end_before_the_zeros_in_front_of_the_next() {
        let bytes = [9, 0, 0, 1, 5, 6, 0, 0, 0, 1, 7, 0, 0, 1, 0, 0, 1, 8, 0];
        let check = |from, expected: &[Range<usize>]| {
            assert_eq!(ranges(&bytes, from).collect::<Vec<_>>(), expected, "{from}");
        };
        check(0, &[4..6, 10..11, 14..14, 17..18]);
        check(2, &[10..11, 14..14, 17..18]);
        check(15, &[]);
        check(50, &[]);
    }
}
