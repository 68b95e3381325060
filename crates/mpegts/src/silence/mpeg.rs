//! MPEG audio of all layers: a header, and zeros for the allocation or the side information, which say that nothing
//! follows.

use super::MPEG_MODE_BITS;
use crate::es::{self, Codec, MPEG_LAYER_2 as LAYER_2, SoundFormat};

/// Layer III in the layer field of a header (ISO 11172-3 2.4.2.3).
const LAYER_3: u8 = 1;

/// Layer I.
const LAYER_1: u8 = 3;

/// The single-channel mode.
const MONO: u8 = 3;

/// Bytes that the allocation of layer II takes at most at the lowest bit rates: 75 bits a channel (ISO 13818-3
/// Table B.1), and the header.
const LAYER_2_BYTES: usize = 4 + 19;

/// The frame at the lowest bit rate that may be; `None` where MPEG audio has no such rate, layer or mode.
pub(super) fn frame(format: SoundFormat) -> Option<Vec<u8>> {
    let (version, rate) = header_rate(format.rate)?;
    let mode = format.layout & MPEG_MODE_BITS;
    let layer = match format.layout >> 2 {
        0 => LAYER_2,
        layer @ (LAYER_3 | LAYER_2 | LAYER_1) => layer,
        _ => return None,
    };
    (1..15)
        .filter(|bit_rate| allowed(version, layer, mode, *bit_rate))
        .find_map(|bit_rate| {
            // protection_bit 1: no checksum.
            let head = [
                0xFF,
                0xE0 | (version << 3) | (layer << 1) | 1,
                (bit_rate << 4) | (rate << 2),
                mode << 6,
            ];
            let bytes = es::audio_frame(Codec::MpegAudio, &head)?.bytes;
            let mut frame = head.to_vec();
            frame.resize(bytes, 0);
            (bytes >= needed(version, layer, mode)).then_some(frame)
        })
}

/// The ID field with its extension of MPEG 2.5 (3 is MPEG-1, 2 is MPEG-2, 0 is 2.5), and sampling_frequency.
fn header_rate(rate: u32) -> Option<(u8, u8)> {
    Some(match rate {
        44_100 => (3, 0),
        48_000 => (3, 1),
        32_000 => (3, 2),
        22_050 => (2, 0),
        24_000 => (2, 1),
        16_000 => (2, 2),
        11_025 => (0, 0),
        12_000 => (0, 1),
        8_000 => (0, 2),
        _ => return None,
    })
}

/// Layer II of MPEG-1 does not have every mode at every bit rate (ISO 11172-3 Table 2.4.2.3): 32, 48, 56 and 80 kbit/s
/// are for one channel, 224 and above for two.
const fn allowed(version: u8, layer: u8, mode: u8, bit_rate: u8) -> bool {
    match (version, layer, mode) {
        (3, LAYER_2, MONO) => bit_rate <= 10,
        (3, LAYER_2, _) => !matches!(bit_rate, 1 | 2 | 3 | 5),
        _ => true,
    }
}

/// Bytes of header and allocation (layer I: four bits for each of 32 subbands) or side information (layer III).
const fn needed(version: u8, layer: u8, mode: u8) -> usize {
    match (layer, version, mode) {
        (LAYER_1, _, MONO) => 4 + 16,
        (LAYER_1, _, _) => 4 + 32,
        (LAYER_3, 3, MONO) => 4 + 17,
        (LAYER_3, 3, _) => 4 + 32,
        (LAYER_3, _, MONO) => 4 + 9,
        (LAYER_3, _, _) => 4 + 17,
        _ => LAYER_2_BYTES,
    }
}
