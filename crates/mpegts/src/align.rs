//! Finds the packet grid in a run of bytes. What the packets mean is not looked at.

use crate::packet::{PACKET_BYTES, SYNC_BYTE};

/// Sync bytes that have to agree before a grid is believed (TR 101 290 1.1: five in a row regain sync).
pub const LOCK_PACKETS: usize = 5;

/// Distances between sync bytes in use: plain; with 16 bytes of Reed-Solomon parity behind each packet (EN 300 429);
/// with a 4-byte time stamp before each packet (Blu-ray, AVCHD).
const STRIDES: [usize; 3] = [PACKET_BYTES, 204, 192];

/// Bytes that have to be at hand to judge one place: the last of five sync bytes at the widest stride.
const LOCK_WINDOW_BYTES: usize = (LOCK_PACKETS - 1) * 204 + 1;

/// Bytes in any division in, whole packets out.
#[derive(Debug, Default)]
pub struct Aligner {
    /// What could not be judged yet; less than two windows.
    carry: Vec<u8>,
    /// The distance between sync bytes, once found.
    stride: Option<usize>,
    /// Bytes between this packet and the next that have not arrived yet.
    gap: usize,
    /// Nothing has been skipped yet: the data may begin on a packet.
    at_start: bool,
    began: bool,
    bytes_skipped: u64,
    sync_losses: u64,
}

impl Aligner {
    /// An aligner that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that were part of no packet.
    #[must_use]
    pub const fn bytes_skipped(&self) -> u64 {
        self.bytes_skipped
    }

    /// Times the grid was lost after it had been found.
    #[must_use]
    pub const fn sync_losses(&self) -> u64 {
        self.sync_losses
    }

    /// The grid is known.
    #[must_use]
    pub const fn locked(&self) -> bool {
        self.stride.is_some()
    }

    /// Takes `bytes` and hands every packet they complete to `packet`, in order.
    pub fn push(&mut self, bytes: &[u8], mut packet: impl FnMut(&[u8; PACKET_BYTES])) {
        if !self.began && !bytes.is_empty() {
            self.began = true;
            self.at_start = true;
        }
        let mut fresh = bytes;
        while !self.carry.is_empty() && !fresh.is_empty() {
            fresh = self.finish_carry(fresh, &mut packet);
        }
        // The bulk is read where it lies.
        let used = self.consume(fresh, &mut packet);
        self.carry
            .extend_from_slice(fresh.get(used..).unwrap_or_default());
    }

    /// Completes what was carried over with the begin of `fresh`; returns what is still to be read of it.
    fn finish_carry<'a>(
        &mut self,
        fresh: &'a [u8],
        packet: &mut impl FnMut(&[u8; PACKET_BYTES]),
    ) -> &'a [u8] {
        let mut carry = core::mem::take(&mut self.carry);
        let had = carry.len();
        let (begin, rest) = fresh.split_at(fresh.len().min(LOCK_WINDOW_BYTES));
        carry.extend_from_slice(begin);
        let used = self.consume(&carry, packet);
        let unread = match used.checked_sub(had) {
            Some(taken) => {
                carry.clear();
                fresh.get(taken..).unwrap_or_default()
            }
            None => {
                carry.drain(..used);
                rest
            }
        };
        self.carry = carry;
        unread
    }

    /// Walks `bytes` as far as they can be judged; returns how many are done with.
    fn consume(&mut self, bytes: &[u8], packet: &mut impl FnMut(&[u8; PACKET_BYTES])) -> usize {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(stride) = self.stride else {
                match find_grid(rest, self.at_start) {
                    Search::Found { offset, stride } => {
                        self.skip(offset);
                        at += offset;
                        self.stride = Some(stride);
                        continue;
                    }
                    Search::NotIn { judged } => {
                        self.skip(judged);
                        return at + judged;
                    }
                }
            };
            let gap = self.gap.min(rest.len());
            self.gap -= gap;
            let rest = rest.get(gap..).unwrap_or_default();
            at += gap;
            let Some((candidate, after)) = rest.split_first_chunk::<PACKET_BYTES>() else {
                return at;
            };
            if candidate[0] == SYNC_BYTE {
                packet(candidate);
            } else {
                // One bad sync byte on an intact grid is one bad packet; two are a lost grid (TR 101 290 1.1).
                let Some(next) = after.get(stride - PACKET_BYTES) else {
                    return at;
                };
                if *next != SYNC_BYTE {
                    self.sync_losses += 1;
                    self.stride = None;
                    continue;
                }
                self.skip(PACKET_BYTES);
            }
            at += PACKET_BYTES;
            self.gap = stride - PACKET_BYTES;
        }
    }

    fn skip(&mut self, bytes: usize) {
        if bytes > 0 {
            self.at_start = false;
            self.bytes_skipped += bytes as u64;
        }
    }
}

enum Search {
    Found {
        offset: usize,
        stride: usize,
    },
    /// No grid begins in the first `judged` bytes.
    NotIn {
        judged: usize,
    },
}

fn find_grid(bytes: &[u8], at_start: bool) -> Search {
    if at_start && let Some(stride) = STRIDES.into_iter().find(|stride| begins_on_grid(bytes, *stride)) {
        return Search::Found { offset: 0, stride };
    }
    let judgeable = (bytes.len() + 1).saturating_sub(LOCK_WINDOW_BYTES);
    for offset in 0..judgeable {
        let rest = bytes.get(offset..).unwrap_or_default();
        if rest.first() != Some(&SYNC_BYTE) {
            continue;
        }
        if let Some(stride) = STRIDES
            .into_iter()
            .find(|stride| agreeing(rest, *stride) == LOCK_PACKETS)
        {
            return Search::Found { offset, stride };
        }
    }
    Search::NotIn { judged: judgeable }
}

/// At the very start the data is expected to begin on a packet: then the sync bytes at hand, at least two, suffice.
fn begins_on_grid(bytes: &[u8], stride: usize) -> bool {
    let at_hand = bytes.len().div_ceil(stride).min(LOCK_PACKETS);
    at_hand >= 2 && agreeing(bytes, stride) == at_hand
}

fn agreeing(bytes: &[u8], stride: usize) -> usize {
    bytes
        .iter()
        .step_by(stride)
        .take(LOCK_PACKETS)
        .take_while(|byte| **byte == SYNC_BYTE)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(count: u8) -> Vec<[u8; PACKET_BYTES]> {
        (0..count)
            .map(|number| {
                let mut packet = [number ^ 0x55; PACKET_BYTES];
                packet[..4].copy_from_slice(&[SYNC_BYTE, 1, 0, 0x10 | (number & 15)]);
                packet
            })
            .collect()
    }

    fn align(input: &[u8], step: usize) -> (Vec<[u8; PACKET_BYTES]>, Aligner) {
        let mut aligner = Aligner::new();
        let mut out = Vec::new();
        for bytes in input.chunks(step) {
            aligner.push(bytes, |packet| out.push(*packet));
        }
        (out, aligner)
    }

    #[test]
    fn every_stride_in_every_division() {
        let expected = packets(20);
        for (before, after) in [(0, 0), (4, 0), (0, 16)] {
            let input: Vec<u8> = expected
                .iter()
                .flat_map(|packet| [vec![0xEE; before], packet.to_vec(), vec![0xDD; after]].concat())
                .collect();
            for step in [1, 7, 187, 188, 189, 1000, usize::MAX] {
                let (out, aligner) = align(&input, step);
                assert_eq!(out, expected, "{before}+188+{after} by {step}");
                assert_eq!(
                    (aligner.bytes_skipped(), aligner.sync_losses()),
                    (before as u64, 0)
                );
            }
        }
    }

    #[test]
    fn leading_rubbish_is_skipped_even_when_it_holds_sync_bytes() {
        let mut input = b"ID3\x47\x47GGGG".to_vec();
        input.extend([SYNC_BYTE; 300]);
        let rubbish = input.len() as u64;
        input.extend(packets(12).concat());
        let (out, aligner) = align(&input, 50);
        assert!(out.ends_with(&packets(12)[6..]), "the grid is found in the end");
        assert!(aligner.bytes_skipped() > 0 && aligner.bytes_skipped() <= rubbish + 6 * 188);
    }

    #[test]
    fn a_few_packets_at_the_start_suffice() {
        let (out, _) = align(&packets(2).concat(), 1);
        assert_eq!(out.len(), 2);
        let (out, _) = align(&packets(1).concat(), 1);
        assert_eq!(out.len(), 0, "one sync byte proves nothing");
    }

    #[test]
    fn lost_bytes_cost_one_packet_or_a_search() {
        let good = packets(40);
        let mut flat = good.concat();
        flat[10 * 188] = 0;
        let (out, aligner) = align(&flat, 100);
        assert_eq!(out.len(), 39);
        assert_eq!((aligner.sync_losses(), aligner.bytes_skipped()), (0, 188));

        let mut flat = good.concat();
        flat.drain(10 * 188 + 50..10 * 188 + 90);
        let (out, aligner) = align(&flat, 100);
        assert!(out.ends_with(&good[12..]), "everything after the hole arrives");
        assert_eq!(aligner.sync_losses(), 1);
    }

    #[test]
    fn rubbish_for_ever_stays_bounded() {
        let mut aligner = Aligner::new();
        for _ in 0..100 {
            aligner.push(&[0x46; 10_000], |_| panic!("there is no packet"));
            assert!(aligner.carry.len() < LOCK_WINDOW_BYTES);
        }
        assert!(!aligner.locked());
    }

    #[test]
    fn mangled_input_never_yields_a_packet_without_sync() {
        let mut random = crate::tests::Xorshift::new(7);
        for _ in 0..500 {
            let mut flat = packets(30).concat();
            for _ in 0..random.below(6) {
                let at = random.below(flat.len());
                match random.below(3) {
                    0 => flat[at] ^= 1 << random.below(8),
                    1 => drop(flat.drain(at..(at + random.below(300)).min(flat.len()))),
                    _ => drop(flat.splice(at..at, vec![0x47; random.below(300)])),
                }
            }
            let (out, aligner) = align(&flat, 1 + random.below(400));
            assert!(out.iter().all(|packet| packet[0] == SYNC_BYTE));
            let used = out.len() * PACKET_BYTES + usize::try_from(aligner.bytes_skipped()).unwrap();
            assert!(used <= flat.len(), "no byte is used twice");
        }
    }
}
