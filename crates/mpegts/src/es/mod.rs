//! Elementary streams: what a codec is called, where decoding may start, how long a frame of sound is.
//! Nothing is decoded; only what the splice has to know is read.

mod audio;
mod bits;
mod codec_string;
mod coding;
mod cutter;
mod format;
mod h264;
mod hevc;
mod reset;
mod size;
mod units;
mod video;

pub(crate) use audio::MPEG_LAYER_2;
pub use audio::{AudioFrame, audio_frame};
pub use codec_string::codec_string;
pub use coding::{PictureCoding, Profile};
pub(crate) use cutter::SoundCutter;
pub use format::{PictureSize, SoundFormat};
pub use reset::DecoderReset;
pub use units::{leading, ranges};
pub use video::{Access, ParameterSets, inspect};

use crate::psi;

/// What a stream carries, from its stream_type and its descriptors together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// ISO/IEC 11172-2 or 13818-2 video (stream_type 0x01, 0x02).
    Mpeg2Video,
    /// H.264 / AVC (0x1B).
    H264,
    /// H.265 / HEVC (0x24).
    Hevc,
    /// Video of another kind, known by its stream_type only.
    OtherVideo(u8),
    /// MPEG-1 or MPEG-2 audio, layers I to III (0x03, 0x04).
    MpegAudio,
    /// AAC in ADTS (0x0F).
    Aac,
    /// AAC in LATM/LOAS (0x11).
    AacLatm,
    /// AC-3 (0x81, or private with descriptor 0x6A).
    Ac3,
    /// Enhanced AC-3 (0x87, or private with descriptor 0x7A).
    Eac3,
    /// DTS (private with descriptor 0x7B, or 0x82).
    Dts,
    /// Opus (private with registration `Opus`).
    Opus,
    /// DVB subtitles (private with descriptor 0x59).
    DvbSubtitle,
    /// DVB teletext (private with descriptor 0x56).
    Teletext,
    /// Any other stream in PES packets, known by its stream_type only; and 0x86, the sections of SCTE 35, where the
    /// programme says that it is that.
    Data(u8),
}

/// What a stream is for: the splice joins like with like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles and teletext.
    Subtitle,
    /// Anything else.
    Data,
}

impl Codec {
    /// The codec a programme map entry names (Table 2-34; EN 300 468 6.2 and 6.4 for the private streams).
    /// `None` for streams that are not carried in PES packets: sections, and what travels in them.
    #[must_use]
    pub fn of(stream_type: u8, descriptors: &[u8]) -> Option<Self> {
        Some(match stream_type {
            0x01 | 0x02 | 0x80 => Self::Mpeg2Video,
            0x03 | 0x04 => Self::MpegAudio,
            0x06 => Self::of_private(descriptors),
            0x0F => Self::Aac,
            0x11 => Self::AacLatm,
            0x1B => Self::H264,
            0x24 => Self::Hevc,
            0x10 | 0x1E | 0x1F | 0x20 | 0x21 | 0x25 | 0x33 | 0x42 | 0xD1 | 0xD2 | 0xEA => {
                Self::OtherVideo(stream_type)
            }
            0x81 => Self::Ac3,
            0x82 => Self::Dts,
            0x87 => Self::Eac3,
            // Private sections, DSM-CC, ISO 14496 sections, IPMP, SCTE 35.
            0x00 | 0x05 | 0x08 | 0x0A..=0x0D | 0x13 | 0x14 | 0x16 | 0x17 | 0x1A | 0x86 => return None,
            other => Self::Data(other),
        })
    }

    fn of_private(descriptors: &[u8]) -> Self {
        psi::descriptors(descriptors)
            .find_map(|(tag, contents)| match (tag, contents) {
                (0x05, b"AC-3") | (0x6A, _) => Some(Self::Ac3),
                (0x05, b"EAC3") | (0x7A, _) => Some(Self::Eac3),
                (0x05, b"Opus") => Some(Self::Opus),
                (0x05, b"HEVC") => Some(Self::Hevc),
                (0x05, [b'D', b'T', b'S', _]) | (0x7B, _) => Some(Self::Dts),
                (0x56, _) => Some(Self::Teletext),
                (0x59, _) => Some(Self::DvbSubtitle),
                _ => None,
            })
            .unwrap_or(Self::Data(0x06))
    }

    /// What the stream is for.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Mpeg2Video | Self::H264 | Self::Hevc | Self::OtherVideo(_) => Kind::Video,
            Self::MpegAudio | Self::Aac | Self::AacLatm | Self::Ac3 | Self::Eac3 | Self::Dts | Self::Opus => {
                Kind::Audio
            }
            Self::DvbSubtitle | Self::Teletext => Kind::Subtitle,
            Self::Data(_) => Kind::Data,
        }
    }

    /// Whether it has a place in fragmented MP4 as HLS uses it: what is packed, and what may be chosen there, has to agree.
    #[must_use]
    pub const fn fits_mp4(self) -> bool {
        matches!(
            self,
            Self::H264 | Self::Hevc | Self::Mpeg2Video | Self::Aac | Self::Ac3 | Self::Eac3 | Self::MpegAudio
        )
    }

    /// A picture.
    #[must_use]
    pub fn is_video(self) -> bool {
        self.kind() == Kind::Video
    }

    /// A sound whose frames [`audio_frame`] reads.
    #[must_use]
    pub const fn is_framed(self) -> bool {
        matches!(self, Self::Aac | Self::MpegAudio | Self::Ac3 | Self::Eac3)
    }

    /// A sound.
    #[must_use]
    pub fn is_audio(self) -> bool {
        self.kind() == Kind::Audio
    }
}

/// The language a stream's descriptors name (2.6.18; EN 300 468 6.2.41 and 6.2.43), in lower case.
#[must_use]
pub fn language(descriptors: &[u8]) -> Option<[u8; 3]> {
    psi::descriptors(descriptors)
        .filter(|(tag, _)| matches!(tag, 0x0A | 0x56 | 0x59))
        .filter_map(|(_, contents)| contents.first_chunk::<3>())
        .find(|code| code.iter().all(u8::is_ascii_alphabetic))
        .map(|code| code.map(|letter| letter.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_by_type_and_descriptor() {
        let check = |stream_type, descriptors: &[u8], expected| {
            assert_eq!(
                Codec::of(stream_type, descriptors),
                expected,
                "{stream_type:#x} {descriptors:x?}"
            );
        };
        check(0x1B, &[], Some(Codec::H264));
        check(
            0x06,
            &[0x0A, 4, b'e', b'n', b'g', 0, 0x6A, 1, 0],
            Some(Codec::Ac3),
        );
        check(0x06, &[0x05, 4, b'O', b'p', b'u', b's'], Some(Codec::Opus));
        check(
            0x06,
            &[0x59, 8, b'e', b'n', b'g', 0x10, 0, 1, 0, 1],
            Some(Codec::DvbSubtitle),
        );
        check(0x06, &[0x59, 200], Some(Codec::Data(6)));
        check(0x86, &[], None);
        check(0x15, &[], Some(Codec::Data(0x15)));
    }

    #[test]
    fn languages_are_three_letters() {
        assert_eq!(language(&[0x0A, 4, b'F', b'R', b'A', 0]), Some(*b"fra"));
        assert_eq!(language(&[0x0A, 4, 0, 0, 0, 0]), None);
        assert_eq!(language(&[0x0A, 2, b'f', b'r']), None);
        assert_eq!(
            language(&[0x52, 1, 7, 0x56, 5, b'd', b'e', b'u', 9, 0]),
            Some(*b"deu")
        );
    }
}
