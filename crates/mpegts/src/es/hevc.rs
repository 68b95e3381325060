//! H.265 below the access unit: the fields of a sequence parameter set that lie before and at the depth of its samples.
//! All clause numbers are those of ITU-T H.265.

use super::PictureSize;
use super::bits::Bits;
use super::size::{Crop, chroma_step};

/// Bytes of the general part of profile_tier_level: space, tier and profile; compatibility; constraints; level (7.3.3).
pub(super) const GENERAL_BYTES: usize = 12;

/// A sequence parameter set (7.3.2.2.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Sps {
    /// sps_max_sub_layers_minus1 plus 1.
    pub(super) sub_layers: u8,
    /// sps_temporal_id_nesting_flag
    pub(super) nested: bool,
    pub(super) general: [u8; GENERAL_BYTES],
    pub(super) chroma_format: u8,
    pub(super) size: Option<PictureSize>,
    /// Bits of a luma sample and of a chroma sample; `None` where the set ends before.
    pub(super) depths: Option<[u8; 2]>,
}

impl Sps {
    /// Reads what stands behind the two bytes of the unit's header.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let bits = &mut Bits::new(body);
        bits.skip(4)?; // sps_video_parameter_set_id
        let sub_layers = bits.bits(3)?;
        let nested = bits.bit()?;
        let mut general = [0; GENERAL_BYTES];
        for byte in &mut general {
            *byte = bits.bits(8)?.to_le_bytes()[0];
        }
        skip_sub_layers(bits, sub_layers)?;
        bits.unsigned()?; // sps_seq_parameter_set_id
        let chroma_format = bits.unsigned().filter(|format| *format <= 3)?;
        // Planes apart are three pictures without chroma.
        let chroma = if chroma_format == 3 && bits.bit()? {
            0
        } else {
            chroma_format
        };
        let (width, height) = (bits.unsigned()?, bits.unsigned()?);
        let (x, y) = chroma_step(chroma);
        let size = Crop::read(bits, x, y)?.of(width, height);
        Some(Self {
            sub_layers: sub_layers.to_le_bytes()[0] + 1,
            nested,
            general,
            chroma_format: chroma_format.to_le_bytes()[0],
            size,
            depths: depth(bits).zip(depth(bits)).map(|(luma, chroma)| [luma, chroma]),
        })
    }
}

/// bit_depth_minus8 plus 8: 16 at most (7.4.3.2.1).
fn depth(bits: &mut Bits<'_>) -> Option<u8> {
    let more = bits.unsigned().filter(|more| *more <= 8)?;
    Some(more.to_le_bytes()[0] + 8)
}

/// What profile_tier_level has of sub-layers (7.3.3).
fn skip_sub_layers(bits: &mut Bits<'_>, sub_layers: u32) -> Option<()> {
    const PROFILE_BITS: u32 = 88;
    const LEVEL_BITS: u32 = 8;
    if sub_layers == 0 {
        return Some(());
    }
    let mut more = 0;
    for _ in 0..sub_layers {
        more += if bits.bit()? { PROFILE_BITS } else { 0 };
        more += if bits.bit()? { LEVEL_BITS } else { 0 };
    }
    bits.skip(2 * 8_u32.checked_sub(sub_layers)?)?; // reserved_zero_2bits
    bits.skip(more)
}
