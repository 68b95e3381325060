//! Sound: how long a frame is, in bytes and in time, and how it is coded. Used to cut audio to fit at a splice.

use super::{Codec, SoundFormat};

/// Layer II in the layer field of MPEG audio (ISO 11172-3 2.4.2.3): the layer of broadcasting.
pub(crate) const MPEG_LAYER_2: u8 = 2;

/// One frame of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFrame {
    /// Bytes, header included.
    pub bytes: usize,
    /// Samples per channel.
    pub samples: u32,
    /// Samples per second.
    pub rate: u32,
    /// Channels, as [`SoundFormat::layout`] says.
    pub layout: u8,
}

impl AudioFrame {
    /// `samples` samples at this frame's rate, in 90 kHz ticks, rounded down.
    #[must_use]
    pub fn ticks(self, samples: u64) -> i64 {
        i64::try_from(samples.saturating_mul(90_000) / u64::from(self.rate.max(1))).unwrap_or(i64::MAX)
    }

    /// What a decoder is set up for.
    #[must_use]
    pub const fn format(self) -> SoundFormat {
        SoundFormat {
            rate: self.rate,
            layout: self.layout,
        }
    }
}

/// Reads the frame header at the start of `es`. `None` when there is none, or the codec is one whose frames are not
/// read here.
#[must_use]
pub fn audio_frame(codec: Codec, es: &[u8]) -> Option<AudioFrame> {
    match codec {
        Codec::Aac => adts(es),
        Codec::MpegAudio => mpeg(es),
        Codec::Ac3 | Codec::Eac3 => ac3(es),
        _ => None,
    }
}

/// ISO 14496-3 1.A.2.2.
fn adts(es: &[u8]) -> Option<AudioFrame> {
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
    ];
    let &[0xFF, second, third, fourth, fifth, sixth, seventh, ..] = es else {
        return None;
    };
    if second & 0xF6 != 0xF0 {
        return None;
    }
    let rate = *RATES.get(usize::from((third >> 2) & 0x0F))?;
    let bytes = usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth >> 5);
    let blocks = u32::from(seventh & 3) + 1;
    (bytes >= 7).then_some(AudioFrame {
        bytes,
        samples: 1024 * blocks,
        rate,
        layout: (third & 1) << 2 | fourth >> 6,
    })
}

/// ISO 11172-3 2.4.2.3 and 13818-3 2.4.2.3.
fn mpeg(es: &[u8]) -> Option<AudioFrame> {
    const LAYER_1: [usize; 15] = [
        0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
    ];
    const LAYER_2: [usize; 15] = [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
    const LAYER_3: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const LOW_1: [usize; 15] = [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256];
    const LOW_23: [usize; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let &[0xFF, second, third, fourth, ..] = es else {
        return None;
    };
    if second & 0xE0 != 0xE0 {
        return None;
    }
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    let divisor = match version {
        3 => 1,
        2 => 2,
        0 => 4,
        _ => return None,
    };
    let low = version != 3;
    let rates = match (low, layer) {
        (false, 3) => LAYER_1,
        (false, 2) => LAYER_2,
        (false, 1) => LAYER_3,
        (true, 3) => LOW_1,
        (true, 1 | 2) => LOW_23,
        _ => return None,
    };
    let bits_per_second = rates
        .get(usize::from(third >> 4))
        .copied()
        .filter(|rate| *rate > 0)?
        * 1000;
    let rate = [44_100_u32, 48_000, 32_000].get(usize::from((third >> 2) & 3))? / divisor;
    let padding = usize::from((third >> 1) & 1);
    let hertz = usize::try_from(rate).ok()?;
    let (samples, bytes) = match (layer, low) {
        (3, _) => (384, (12 * bits_per_second / hertz + padding) * 4),
        (1, true) => (576, 72 * bits_per_second / hertz + padding),
        _ => (1152, 144 * bits_per_second / hertz + padding),
    };
    (bytes >= 4).then_some(AudioFrame {
        bytes,
        samples,
        rate,
        layout: if layer == MPEG_LAYER_2 { 0 } else { layer << 2 } | fourth >> 6,
    })
}

/// ETSI TS 102 366: 4.4.1 and Table 4.13 for AC-3, E.1.3.1 for E-AC-3.
fn ac3(es: &[u8]) -> Option<AudioFrame> {
    const RATES: [u32; 3] = [48_000, 44_100, 32_000];
    const KILOBITS: [usize; 19] = [
        32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640,
    ];
    let &[0x0B, 0x77, third, fourth, fifth, sixth, ref rest @ ..] = es else {
        return None;
    };
    if sixth >> 3 <= 10 {
        let rate = *RATES.get(usize::from(fifth >> 6))?;
        let kilobits = *KILOBITS.get(usize::from((fifth & 0x3F) >> 1))?;
        let words = match rate {
            48_000 => kilobits * 2,
            32_000 => kilobits * 3,
            _ => kilobits * 1536 * 1000 / 44_100 / 16 + usize::from(fifth & 1),
        };
        return Some(AudioFrame {
            bytes: words * 2,
            samples: 1536,
            rate,
            layout: ac3_layout(*rest.first()?, *rest.get(1).unwrap_or(&0)),
        });
    }
    let bytes = ((usize::from(third & 7) << 8 | usize::from(fourth)) + 1) * 2;
    let (rate, blocks) = match (fifth >> 6, (fifth >> 4) & 3) {
        (3, half) => (*RATES.get(usize::from(half))? / 2, 6),
        (code, 0) => (*RATES.get(usize::from(code))?, 1),
        (code, 1) => (*RATES.get(usize::from(code))?, 2),
        (code, 2) => (*RATES.get(usize::from(code))?, 3),
        (code, _) => (*RATES.get(usize::from(code))?, 6),
    };
    // strmtyp 1: a dependent substream sounds together with the frame before it.
    let samples = if third >> 6 == 1 { 0 } else { blocks * 256 };
    (bytes >= 6).then_some(AudioFrame {
        bytes,
        samples,
        rate,
        // acmod and lfeon follow the rate and the number of blocks (E.1.2.2).
        layout: fifth & 0x0F,
    })
}

/// acmod and lfeon of AC-3: between them lie two bits for each of the mix levels that acmod calls for (4.3).
const fn ac3_layout(seventh: u8, eighth: u8) -> u8 {
    let acmod = seventh >> 5;
    let centre = if acmod & 1 != 0 && acmod != 1 { 2 } else { 0 };
    let surround = if acmod & 4 != 0 { 2 } else { 0 };
    let dolby_surround = if acmod == 2 { 2 } else { 0 };
    let before = 3 + centre + surround + dolby_surround;
    let both = u16::from_be_bytes([seventh, eighth]);
    let lfeon = (both >> (15 - before)) & 1 != 0;
    acmod << 1 | lfeon as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Xorshift;

    #[test]
    fn frames_of_known_headers() {
        let check = |codec, head: &[u8], expected: Option<(usize, u32, u32, u8)>| {
            let frame =
                audio_frame(codec, head).map(|frame| (frame.bytes, frame.samples, frame.rate, frame.layout));
            assert_eq!(frame, expected, "{codec:?} {head:x?}");
        };
        // 48 kHz stereo AAC-LC, 371 bytes.
        check(
            Codec::Aac,
            &[0xFF, 0xF1, 0x4C, 0x80, 0x2E, 0x7F, 0xFC],
            Some((371, 1024, 48_000, 2)),
        );
        check(Codec::Aac, &[0xFF, 0xF1, 0x4C, 0x80, 0x00, 0x3F, 0xFC], None);
        // 192 kbit/s Layer II at 48 kHz is 576 bytes; 128 kbit/s Layer III at 44.1 kHz 417.
        check(
            Codec::MpegAudio,
            &[0xFF, 0xFD, 0xA4, 0x00],
            Some((576, 1152, 48_000, 0)),
        );
        check(
            Codec::MpegAudio,
            &[0xFF, 0xFB, 0x90, 0x40],
            Some((417, 1152, 44_100, 4 | 1)),
        );
        check(
            Codec::MpegAudio,
            &[0xFF, 0xF3, 0x90, 0xC0],
            Some((261, 576, 22_050, 4 | 3)),
        );
        check(Codec::MpegAudio, &[0xFF, 0xFB, 0xF0, 0x00], None);
        // 384 kbit/s AC-3 at 48 kHz is 1536 bytes.
        check(
            Codec::Ac3,
            &[0x0B, 0x77, 0, 0, 0x1C, 0x40, 0xE1, 0],
            Some((1536, 1536, 48_000, 15)),
        );
        check(
            Codec::Ac3,
            &[0x0B, 0x77, 0, 0, 0x5D, 0x40, 0x40, 0],
            Some((1672, 1536, 44_100, 4)),
        );
        check(
            Codec::Eac3,
            &[0x0B, 0x77, 0x02, 0xFF, 0x34, 0x80],
            Some((1536, 1536, 48_000, 4)),
        );
        check(
            Codec::Eac3,
            &[0x0B, 0x77, 0x42, 0xFF, 0x34, 0x80],
            Some((1536, 0, 48_000, 4)),
        );
        check(Codec::AacLatm, &[0x56, 0xE0], None);
    }

    #[test]
    fn anything_else_is_no_frame_of_no_bytes() {
        let mut random = Xorshift::new(5);
        for _ in 0..50_000 {
            let mut head: Vec<u8> = (0..random.below(9))
                .map(|_| random.next().to_le_bytes()[0])
                .collect();
            let sync: &[u8] = [&[0xFF, 0xF1][..], &[0xFF, 0xFB], &[0x0B, 0x77], &[]][random.below(4)];
            head.splice(..sync.len().min(head.len()), sync.iter().copied());
            for codec in [Codec::Aac, Codec::MpegAudio, Codec::Ac3, Codec::Eac3, Codec::Opus] {
                assert!(audio_frame(codec, &head).is_none_or(|frame| frame.bytes > 0 && frame.rate > 0));
            }
        }
    }
}
