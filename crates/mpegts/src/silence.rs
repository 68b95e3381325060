//! One encoded frame of digital silence for each codec, rate and layout: what a promised sound carries while nothing
//! delivers it. Writing such frames into a stream is [`crate::slate`]'s.

mod aac;
mod mpeg;
mod recorded;

use crate::clock::TICKS_90K;
use crate::es::{Codec, SoundFormat, audio_frame};

/// A frame that decodes to silence, whole and without need of any frame before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilentFrame {
    /// As it stands in the elementary stream, header included.
    pub bytes: Vec<u8>,
    /// Samples per channel, counted at `rate`.
    pub samples: u32,
    /// Samples per second as the header says: for HE-AAC that of its core.
    pub rate: u32,
}

impl SilentFrame {
    fn new(codec: Codec, bytes: Vec<u8>) -> Option<Self> {
        let frame = audio_frame(codec, &bytes).filter(|frame| frame.bytes == bytes.len())?;
        Some(Self {
            samples: frame.samples,
            rate: frame.rate,
            bytes,
        })
    }

    /// How long so many samples last, in 90 kHz ticks, rounded down. Sums of frames' durations would drift.
    pub(crate) fn ticks(&self, samples: u64) -> i64 {
        let ticks = samples.saturating_mul(TICKS_90K.cast_unsigned()) / u64::from(self.rate.max(1));
        i64::try_from(ticks).unwrap_or(i64::MAX)
    }
}

/// Bits of [`SoundFormat::layout`] that hold the mode of MPEG audio.
const MPEG_MODE_BITS: u8 = 3;

/// The frame of silence for `codec` in `format`; `None` where there is none: DTS, LATM and Opus, and formats that the
/// codec cannot have.
///
/// AAC at 24 kHz and below, in mono and stereo, is HE-AAC: that is what such headers mean on air, where the signalling
/// is implicit. Its frame carries an SBR header of its own, so that a decoder that begins with it plays the same rate
/// as before and after. MPEG audio is layer II unless `format.layout` says otherwise in the bits above its mode, in the
/// code of the header's layer field (ISO 11172-3 2.4.2.3: 1 is layer III, 3 is layer I). Two layouts of AC-3 that
/// hardly anybody uses get the frame of another one: two programmes in one (acmod 0) that of stereo, which decodes to
/// as many channels, and 2/2 with a low-frequency channel that of 5.1.
#[must_use]
pub fn silent_frame(codec: Codec, format: SoundFormat) -> Option<SilentFrame> {
    let bytes = match codec {
        Codec::Aac => recorded::he_aac(format).or_else(|| aac::frame(format))?,
        Codec::MpegAudio => mpeg::frame(format)?,
        Codec::Ac3 => recorded::ac3(format)?,
        Codec::Eac3 => recorded::eac3(format)?,
        _ => return None,
    };
    SilentFrame::new(codec, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::es::{AudioFrame, MPEG_LAYER_2};

    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
    ];

    fn formats(codec: Codec) -> Vec<SoundFormat> {
        let (rates, layouts) = match codec {
            Codec::Aac => (&RATES[..], 1..=7),
            Codec::MpegAudio => (&RATES[3..12], 0..=15),
            _ => (&RATES[3..6], 0..=15),
        };
        let mut all = Vec::new();
        for rate in rates {
            all.extend(layouts.clone().map(|layout| SoundFormat { rate: *rate, layout }));
        }
        all
    }

    #[test]
    fn every_format_has_a_frame_of_that_format() {
        for codec in [Codec::Aac, Codec::MpegAudio, Codec::Ac3, Codec::Eac3] {
            for format in formats(codec) {
                let frame = silent_frame(codec, format);
                let unused_layer = codec == Codec::MpegAudio && format.layout >> 2 == MPEG_LAYER_2;
                let expected = match codec {
                    // The layer's own code is the same as none.
                    Codec::MpegAudio if unused_layer => SoundFormat {
                        layout: format.layout & MPEG_MODE_BITS,
                        ..format
                    },
                    Codec::Ac3 | Codec::Eac3 if format.layout < 2 => SoundFormat {
                        layout: format.layout | 4,
                        ..format
                    },
                    Codec::Ac3 | Codec::Eac3 if format.layout == 13 => SoundFormat { layout: 15, ..format },
                    _ => format,
                };
                let frame = frame.unwrap_or_else(|| panic!("{codec:?} {format:?}"));
                assert_eq!(
                    audio_frame(codec, &frame.bytes).map(AudioFrame::format),
                    Some(expected),
                    "{codec:?}"
                );
                assert_eq!(frame.rate, format.rate);
                assert!(frame.samples > 0 && frame.bytes.len() <= 2_000);
            }
        }
    }

    #[test]
    fn what_a_codec_cannot_have_has_no_frame() {
        let check = |codec, rate, layout| {
            assert_eq!(
                silent_frame(codec, SoundFormat { rate, layout }),
                None,
                "{codec:?} {rate} {layout}"
            );
        };
        check(Codec::Aac, 48_000, 0);
        check(Codec::Aac, 48_000, 8);
        check(Codec::Aac, 47_999, 2);
        check(Codec::MpegAudio, 96_000, 0);
        check(Codec::MpegAudio, 48_000, 16);
        check(Codec::Ac3, 96_000, 4);
        check(Codec::Eac3, 48_000, 16);
        check(Codec::Dts, 48_000, 2);
        check(Codec::AacLatm, 48_000, 2);
        check(Codec::H264, 48_000, 2);
    }
}
