//! Cuts the sound of PES packets into frames, and puts those together that were cut at the ends of packets.

use super::{AudioFrame, Codec, audio_frame};
use crate::clock::MediaTime;
use bytes::Bytes;

/// Bytes that tell a frame and how long it is: the header of ADTS (ISO 14496-3 1.A.2.2), and AC-3 up to its channels.
const HEADER_BYTES: usize = 8;

/// One elementary stream of sound.
#[derive(Debug, Default)]
pub(crate) struct SoundCutter {
    /// The beginning of a frame.
    carry: Vec<u8>,
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
                    if at >= joint
                        && let Some(stamp) = stamp.take()
                    {
                        self.counted = Some((stamp, 0));
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
                _ if at < joint => at = joint,
                _ => {
                    self.in_step = false;
                    at += 1;
                }
            }
        }
        self.carry = bytes.get(at..).unwrap_or_default().to_vec();
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
