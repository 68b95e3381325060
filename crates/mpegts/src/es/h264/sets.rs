//! Sequence and picture parameter sets, as far as slice headers and the size of pictures depend on them.

use super::super::PictureSize;
use super::super::bits::Bits;
use super::super::size::{Crop, chroma_step};

/// Greatest seq_parameter_set_id (7.4.2.1.1).
const SPS_ID_MAX: u32 = 31;

/// Greatest pic_parameter_set_id (7.4.2.2).
const PPS_ID_MAX: u32 = 255;

/// What picture order counts are made of (pic_order_cnt_type, 8.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderCount {
    /// Their low bits are in the slice header, so many.
    Lsb(u32),
    /// A cycle of steps from frame_num to frame_num; `deltas` says that slice headers have more.
    Cycle { deltas: bool },
    /// frame_num alone.
    FrameNum,
}

/// A sequence parameter set (7.3.2.1.1).
#[derive(Clone, Copy, Debug)]
pub(in crate::es) struct Sps {
    id: u32,
    pub(super) separate_planes: bool,
    /// ChromaArrayType is not 0 (7.4.2.1.1).
    pub(super) chroma: bool,
    pub(super) frame_num_bits: u32,
    pub(super) order: OrderCount,
    pub(super) frames_only: bool,
    pub(in crate::es) size: Option<PictureSize>,
    /// chroma_format_idc
    pub(in crate::es) chroma_format: u8,
    /// Bits of a luma sample and of a chroma sample.
    pub(in crate::es) depths: [u8; 2],
}

impl Sps {
    /// Reads what stands behind the first byte of the unit.
    pub(in crate::es) fn read(body: &[u8]) -> Option<Self> {
        let bits = &mut Bits::new(body);
        let profile = bits.bits(8)?;
        bits.skip(16)?; // constraint flags, level_idc
        let id = bits.unsigned()?;
        let mut high = HighProfile::default();
        if matches!(
            profile,
            44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244
        ) {
            high = HighProfile::read(bits)?;
        }
        let frame_num_bits = bits.unsigned().filter(|more| *more <= 12)? + 4;
        let order = order_count(bits)?;
        bits.unsigned()?; // max_num_ref_frames
        bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
        let width = bits.unsigned()?.checked_add(1)?.checked_mul(16)?;
        let map_units = bits.unsigned()?.checked_add(1)?;
        let frames_only = bits.bit()?;
        if !frames_only {
            bits.skip(1)?; // mb_adaptive_frame_field_flag
        }
        // Half pictures are half as high: a map unit is a pair of macroblocks then (7.4.2.1.1).
        let fields = if frames_only { 1 } else { 2 };
        let height = map_units.checked_mul(16 * fields)?;
        bits.skip(1)?; // direct_8x8_inference_flag
        // Planes apart are three pictures without chroma.
        let chroma = if high.separate_planes {
            0
        } else {
            high.chroma_format
        };
        let (x, y) = chroma_step(chroma);
        let size = Crop::read(bits, x, y * fields)?.of(width, height);
        Some(Self {
            id,
            separate_planes: high.separate_planes,
            chroma: chroma != 0,
            frame_num_bits,
            order,
            frames_only,
            size,
            chroma_format: high.chroma_format.to_le_bytes()[0],
            depths: high.depths,
        })
    }
}

/// The fields that only some profiles have.
struct HighProfile {
    chroma_format: u32,
    separate_planes: bool,
    depths: [u8; 2],
}

impl Default for HighProfile {
    /// 4:2:0 of eight bits (7.4.2.1.1).
    fn default() -> Self {
        Self {
            chroma_format: 1,
            separate_planes: false,
            depths: [8; 2],
        }
    }
}

impl HighProfile {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let chroma_format = bits.unsigned().filter(|format| *format <= 3)?;
        let separate_planes = chroma_format == 3 && bits.bit()?;
        let depths = [depth(bits)?, depth(bits)?];
        bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
        if bits.bit()? {
            // The syntax goes by chroma_format_idc, planes apart or not.
            let lists = if chroma_format == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.bit()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Some(Self {
            chroma_format,
            separate_planes,
            depths,
        })
    }
}

/// bit_depth_minus8 plus 8: 14 at most (7.4.2.1.1).
fn depth(bits: &mut Bits<'_>) -> Option<u8> {
    let more = bits.unsigned().filter(|more| *more <= 6)?;
    Some(more.to_le_bytes()[0] + 8)
}

fn order_count(bits: &mut Bits<'_>) -> Option<OrderCount> {
    Some(match bits.unsigned()? {
        0 => OrderCount::Lsb(bits.unsigned().filter(|more| *more <= 12)? + 4),
        1 => {
            let deltas = !bits.bit()?; // delta_pic_order_always_zero_flag
            bits.signed()?;
            bits.signed()?;
            // num_ref_frames_in_pic_order_cnt_cycle is 255 at most (7.4.2.1.1).
            let cycle = bits.unsigned().filter(|cycle| *cycle <= 255)?;
            for _ in 0..cycle {
                bits.signed()?;
            }
            OrderCount::Cycle { deltas }
        }
        _ => OrderCount::FrameNum,
    })
}

/// 7.3.2.1.1.1.
fn skip_scaling_list(bits: &mut Bits<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// A picture parameter set (7.3.2.2) without slice groups.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pps {
    id: u32,
    sps: u32,
    pub(super) cabac: bool,
    /// bottom_field_pic_order_in_frame_present_flag
    pub(super) order_in_frame: bool,
    /// num_ref_idx_l0_default_active_minus1 and that of list 1, plus 1.
    pub(super) references: [u32; 2],
    pub(super) weighted: bool,
    pub(super) weighted_bipred_idc: u32,
    /// deblocking_filter_control_present_flag
    pub(super) deblocking: bool,
    /// redundant_pic_cnt_present_flag
    pub(super) redundant: bool,
}

impl Pps {
    fn read(body: &[u8]) -> Option<Self> {
        let bits = &mut Bits::new(body);
        let (id, sps) = (bits.unsigned()?, bits.unsigned()?);
        let (cabac, order_in_frame) = (bits.bit()?, bits.bit()?);
        if bits.unsigned()? > 0 {
            return None; // num_slice_groups_minus1: no broadcaster's profile has them.
        }
        let references = [reference_count(bits)?, reference_count(bits)?];
        let (weighted, weighted_bipred_idc) = (bits.bit()?, bits.bits(2)?);
        bits.signed()?; // pic_init_qp_minus26
        bits.signed()?; // pic_init_qs_minus26
        bits.signed()?; // chroma_qp_index_offset
        let deblocking = bits.bit()?;
        bits.skip(1)?; // constrained_intra_pred_flag
        Some(Self {
            id,
            sps,
            cabac,
            order_in_frame,
            references,
            weighted,
            weighted_bipred_idc,
            deblocking,
            redundant: bits.bit()?,
        })
    }
}

/// num_ref_idx_active_minus1 plus 1: 32 at most (7.4.3).
pub(super) fn reference_count(bits: &mut Bits<'_>) -> Option<u32> {
    bits.unsigned().filter(|less| *less < 32).map(|less| less + 1)
}

/// The sets last read, each under its number.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets {
    sequences: Vec<Sps>,
    pictures: Vec<Pps>,
}

impl Sets {
    /// Reads the unit if it is a parameter set. One that cannot be read is forgotten: what refers to it is not
    /// understood.
    pub(super) fn take(&mut self, unit: &[u8]) {
        let Some((head, body)) = unit.split_first() else {
            return;
        };
        match head & 0x1F {
            7 => {
                let id = body.get(3..).and_then(|rest| Bits::new(rest).unsigned());
                self.sequences.retain(|known| Some(known.id) != id);
                let readable = Sps::read(body).filter(|sps| sps.id <= SPS_ID_MAX);
                self.sequences.extend(readable);
            }
            8 => {
                let id = Bits::new(body).unsigned();
                self.pictures.retain(|known| Some(known.id) != id);
                let readable = Pps::read(body).filter(|pps| pps.id <= PPS_ID_MAX);
                self.pictures.extend(readable);
            }
            _ => {}
        }
    }

    /// The picture parameter set `id` and the sequence parameter set it refers to.
    pub(super) fn of(&self, id: u32) -> Option<(&Sps, &Pps)> {
        let pps = self.pictures.iter().find(|known| known.id == id)?;
        let sps = self.sequences.iter().find(|known| known.id == pps.sps)?;
        Some((sps, pps))
    }
}
