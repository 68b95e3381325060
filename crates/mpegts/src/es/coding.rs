//! How pictures are coded, as their sequence parameter set says it: what playlists and other containers tell of them.

use super::{Codec, PictureSize, h264, hevc, units};
use core::fmt::Write as _;

/// What the sequence parameter set of H.264 or HEVC says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureCoding {
    /// How large the pictures are; `None` for sizes that no picture has.
    pub size: Option<PictureSize>,
    /// chroma_format_idc: 1 for 4:2:0.
    pub chroma_format: u8,
    /// Bits of a luma sample and of a chroma sample.
    pub depths: [u8; 2],
    /// Profile and level.
    pub profile: Profile,
}

/// Profile and level, as they stand in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// profile_idc, the constraint flags, level_idc (H.264 7.3.2.1.1).
    H264([u8; 3]),
    /// H.265 7.3.2.2.1 and 7.3.3.
    Hevc {
        /// Space, tier and profile (1 byte); compatibility (4); constraints (6); level (1).
        general: [u8; 12],
        /// Temporal sub-layers, 1 to 7.
        sub_layers: u8,
        /// sps_temporal_id_nesting_flag.
        nested: bool,
    },
}

impl PictureCoding {
    /// Reads a unit, without its start code. `None` when it is no sequence parameter set of `codec`, or unreadable.
    #[must_use]
    pub fn read(codec: Codec, unit: &[u8]) -> Option<Self> {
        match (codec, unit) {
            (Codec::H264, [head, body @ ..]) if head & 0x1F == 7 => {
                let set = h264::Sps::read(body)?;
                Some(Self {
                    size: set.size,
                    chroma_format: set.chroma_format,
                    depths: set.depths,
                    profile: Profile::H264(*body.first_chunk()?),
                })
            }
            (Codec::Hevc, [head, _, body @ ..]) if (head >> 1) & 0x3F == 33 => {
                let set = hevc::Sps::read(body)?;
                Some(Self {
                    size: set.size,
                    chroma_format: set.chroma_format,
                    depths: set.depths?,
                    profile: Profile::Hevc {
                        general: set.general,
                        sub_layers: set.sub_layers,
                        nested: set.nested,
                    },
                })
            }
            _ => None,
        }
    }

    /// The first that is found in `es`: an access unit that begins with parameter sets, or
    /// [`super::ParameterSets::bytes`].
    #[must_use]
    pub fn find(codec: Codec, es: &[u8]) -> Option<Self> {
        units::leading(codec, es).find_map(|unit| Self::read(codec, unit))
    }

    /// As CODECS has it: `avc1.` and three bytes (RFC 6381 3.3), `hvc1.` and what ISO 14496-15 Annex E.3 says.
    #[must_use]
    pub fn codec_string(&self) -> String {
        match self.profile {
            Profile::H264([profile, constraints, level]) => {
                format!("avc1.{profile:02X}{constraints:02X}{level:02X}")
            }
            Profile::Hevc { general, .. } => hevc_string(general),
        }
    }
}

fn hevc_string(general: [u8; 12]) -> String {
    let [first, a, b, c, d, constraints @ .., level] = general;
    let space = match first >> 6 {
        0 => "",
        1 => "A",
        2 => "B",
        _ => "C",
    };
    let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
    let profile = first & 0x1F;
    // The flag of profile 0 is the lowest bit here.
    let compatible = u32::from_be_bytes([a, b, c, d]).reverse_bits();
    let mut string = format!("hvc1.{space}{profile}.{compatible:X}.{tier}{level}");
    let last = constraints.iter().rposition(|byte| *byte != 0);
    for byte in constraints.iter().take(last.map_or(0, |last| last + 1)) {
        // Writing to a string cannot fail.
        _ = write!(string, ".{byte:X}");
    }
    string
}
