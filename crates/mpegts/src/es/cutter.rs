//! Cuts the sound of PES packets into frames, and puts those together that were cut at the ends of packets.

use super::{AudioFrame, Codec, audio_frame};
use crate::clock::MediaTime;
use bytes::Bytes;

/// Bytes that tell a frame and how long it is: the header of ADTS (ISO 14496-3 1.A.2.2), and AC-3 up to its channels.
const HEADER_BYTES: usize = 8;

/// One elementary stream of sound.
#[derive(Debug, Default)]
pub(crate) struct SoundCutter {
    /// The beginning of a frame, and the time stamp of the packet it began in, where that is its own.
    carry: Vec<u8>,
    carry_stamp: Option<MediaTime>,
    /// A frame ended where the next bytes begin.
    in_step: bool,
    /// From where samples are counted, and how many came since.
    counted: Option<(MediaTime, u64)>,
}

impl SoundCutter {
    /// Takes the contents of the next PES packet and its time stamp; gives its whole frames to `frame`, each with the
    /// time it sounds at. What comes before the first time stamp has none, and is left out.
    pub(crate) fn push(
        &mut self,
        codec: Codec,
        es: Bytes,
        pts: Option<MediaTime>,
        mut frame: impl FnMut(MediaTime, Bytes),
    ) {
        let joint = self.carry.len();
        let bytes = if joint == 0 {
            es
        } else {
            let mut both = core::mem::take(&mut self.carry);
            both.extend_from_slice(&es);
            Bytes::from(both)
        };
        // The time stamp is that of the first frame that begins in the packet (2.4.3.7).
        let mut stamp = pts;
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER_BYTES) {
            match whole_frame(codec, rest) {
                Some(Ok((header, length))) if self.believes(codec, rest.get(length..), (at, joint)) => {
                    let own = if at < joint {
                        &mut self.carry_stamp
                    } else {
                        &mut stamp
                    };
                    if let Some(own) = own.take() {
                        self.counted = Some((own, 0));
                    }
                    self.in_step = true;
                    let whole = bytes.slice(at..at + length);
                    at += length;
                    if let Some((from, samples)) = &mut self.counted {
                        let time = from.as_90k().saturating_add(header.ticks(*samples));
                        *samples += u64::from(header.samples);
                        frame(MediaTime::from_90k(time), whole);
                    }
                }
                // The rest comes with the next packet.
                Some(Err(Cut)) => break,
                // The rest of a cut frame is missing: the packet begins with another one.
                _ if at < joint => {
                    at = joint;
                    self.carry_stamp = None;
                }
                _ => {
                    self.in_step = false;
                    at += 1;
                }
            }
        }
        self.carry = bytes.get(at..).unwrap_or_default().to_vec();
        if at >= joint {
            self.carry_stamp = stamp;
        }
    }

    /// Whether a frame is one that `next` follows. Where the frame before it ended, and at the begin of a packet,
    /// nothing else is expected; a cut frame is checked by what follows, and one found in a search has to be.
    fn believes(&self, codec: Codec, next: Option<&[u8]>, (at, joint): (usize, usize)) -> bool {
        let next = next.unwrap_or_default();
        let followed = next.len() >= HEADER_BYTES && audio_frame(codec, next).is_some();
        let may_follow = followed || next.len() < HEADER_BYTES;
        if at < joint {
            may_follow
        } else {
            self.in_step || followed || (at == joint && may_follow)
        }
    }
}

/// A frame that is not there whole.
struct Cut;

/// The frame at the begin of `bytes` and its length with all that sounds together with it: the dependent substreams of
/// E-AC-3 (TS 102 366 E.1.3.1.1).
fn whole_frame(codec: Codec, bytes: &[u8]) -> Option<Result<(AudioFrame, usize), Cut>> {
    let header = audio_frame(codec, bytes)?;
    let mut length = header.bytes;
    while let Some(dependent) = bytes.get(length..).and_then(|rest| audio_frame(codec, rest)) {
        if dependent.samples > 0 {
            break;
        }
        length += dependent.bytes;
    }
    Some(if length <= bytes.len() {
        Ok((header, length))
    } else {
        Err(Cut)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AAC frames of 32 bytes at 48 kHz: 1,920 ticks each.
    fn sound(count: u8) -> Vec<u8> {
        let frame = |number| [&[0xFF, 0xF1, 0x4C, 0x80, 0x04, 0x1F, 0xFC][..], &[number; 25]].concat();
        (0..count).flat_map(frame).collect()
    }

    fn cut(parts: &[(&[u8], Option<i64>)]) -> Vec<(i64, u8)> {
        let mut cutter = SoundCutter::default();
        let mut frames = Vec::new();
        for (part, pts) in parts {
            let part = Bytes::copy_from_slice(part);
            cutter.push(Codec::Aac, part, pts.map(MediaTime::from_90k), |time, frame| {
                assert_eq!(frame.len(), 32);
                frames.push((time.as_90k(), frame[31]));
            });
        }
        frames
    }

    #[test]
    fn a_stamp_is_of_the_first_frame_that_begins_in_its_packet() {
        let all = sound(4);
        let whole = [(1_000, 0), (2_920, 1), (4_840, 2), (6_760, 3)];
        assert_eq!(cut(&[(&all, Some(1_000))]), whole);
        assert_eq!(cut(&[(&all[..64], Some(1_000)), (&all[64..], None)]), whole);
        // Half of the second frame lies in the first packet: the next stamp is the third frame's.
        assert_eq!(
            cut(&[(&all[..50], Some(1_000)), (&all[50..], Some(4_840))]),
            whole
        );
        // After a jump the cut frame still belongs to what was before.
        let jump = [(1_000, 0), (2_920, 1), (90_000, 2), (91_920, 3)];
        assert_eq!(
            cut(&[(&all[..50], Some(1_000)), (&all[50..], Some(90_000))]),
            jump
        );
        // A frame that begins in a packet which ends before it keeps that packet's stamp.
        let thirds = cut(&[
            (&all[..20], Some(1_000)),
            (&all[20..70], Some(2_920)),
            (&all[70..], Some(6_760)),
        ]);
        assert_eq!(thirds, whole);
        // What comes before the first stamp sounds at no time.
        assert_eq!(
            cut(&[(&all[..64], None), (&all[64..], Some(5))]),
            [(5, 2), (1_925, 3)]
        );
    }

    #[test]
    fn dependent_substreams_sound_with_their_frame() {
        // 48 kHz, six blocks; strmtyp 0, and 1 of the dependent one; 64 bytes each.
        let frame = |kind: u8| [&[0x0B, 0x77, kind << 6, 31, 0x34, 0x80, 0, 0][..], &[7; 56]].concat();
        let es = [frame(0), frame(1), frame(0), frame(1), frame(1)].concat();
        for split in [64, 128, 100, 200, 319] {
            let mut cutter = SoundCutter::default();
            let mut frames = Vec::new();
            for (part, pts) in [(&es[..split], Some(0)), (&es[split..], None)] {
                let part = Bytes::copy_from_slice(part);
                cutter.push(Codec::Eac3, part, pts.map(MediaTime::from_90k), |time, frame| {
                    frames.push((time.as_90k(), frame.len()));
                });
            }
            let joined: usize = frames.iter().map(|(_, bytes)| bytes).sum();
            assert!(
                joined <= 320 && frames.iter().all(|(_, bytes)| bytes % 64 == 0),
                "{split}"
            );
            if split == 128 {
                assert_eq!(frames, [(0, 128), (2_880, 192)]);
            }
        }
    }
}
