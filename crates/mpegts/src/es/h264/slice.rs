//! Slice headers (7.3.3): what they say, and at which bit of the payload.

use super::super::bits::Bits;
use super::sets::{OrderCount, Pps, Sets, Sps, reference_count};
use core::ops::Range;

/// Commands on the marking of reference pictures in one header: one for every field and a few more.
const COMMANDS_MAX: usize = 70;

/// Entries of one list of modifications: one for every field, and the end.
const MODIFICATIONS_MAX: usize = 70;

/// A number of fixed width (u(v)) in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) at: usize,
    pub(super) width: u32,
    pub(super) value: u32,
}

impl Number {
    fn read(bits: &mut Bits<'_>, width: u32) -> Option<Self> {
        Some(Self {
            at: bits.position(),
            width,
            value: bits.bits(width)?,
        })
    }

    /// How far it is from `base`, going up, in the numbers of its width.
    pub(super) const fn from(self, base: u32) -> u32 {
        self.value.wrapping_sub(base) & ((1 << self.width) - 1)
    }

    /// The bit behind it.
    pub(super) const fn end(self) -> usize {
        self.at + self.width as usize
    }
}

/// memory_management_control_operation with its operands (7.3.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) operation: u32,
    /// difference_of_pic_nums_minus1, where there is one.
    pub(super) back: Option<u32>,
    pub(super) bits: Range<usize>,
}

/// A slice that is not of an IDR picture.
#[derive(Clone, Debug)]
pub(super) struct SliceHeader {
    /// nal_ref_idc is not 0.
    pub(super) reference: bool,
    /// slice_type I, alone or for the whole picture.
    pub(super) intra: bool,
    pub(super) frame_num: Number,
    /// Of a field: whether it is the bottom field.
    pub(super) field: Option<bool>,
    /// Where idr_pic_id would stand.
    pub(super) idr_pic_id_at: usize,
    /// pic_order_cnt_lsb; without it, picture order counts are made of frame_num alone where `rebasable` says so.
    pub(super) lsb: Option<Number>,
    pub(super) rebasable: bool,
    pub(super) delta_bottom: i64,
    pub(super) redundant: u32,
    /// dec_ref_pic_marking; empty in a picture that is no reference.
    pub(super) marking: Range<usize>,
    pub(super) commands: Vec<Command>,
    /// Where the header ends.
    pub(super) end: usize,
    pub(super) cabac: bool,
}

impl SliceHeader {
    /// Reads a unit of type 1 or 2.
    pub(super) fn read(unit: &[u8], sets: &Sets) -> Option<Self> {
        let (head, body) = unit.split_first()?;
        let bits = &mut Bits::new(body);
        bits.unsigned()?; // first_mb_in_slice
        let kind = bits.unsigned().filter(|kind| *kind <= 9)? % 5;
        let (sps, pps) = sets.of(bits.unsigned()?)?;
        if sps.separate_planes {
            bits.skip(2)?; // colour_plane_id
        }
        let frame_num = Number::read(bits, sps.frame_num_bits)?;
        let field = if !sps.frames_only && bits.bit()? {
            Some(bits.bit()?)
        } else {
            None
        };
        let idr_pic_id_at = bits.position();
        let (mut lsb, mut delta_bottom) = (None, 0);
        match sps.order {
            OrderCount::Lsb(width) => {
                lsb = Some(Number::read(bits, width)?);
                if pps.order_in_frame && field.is_none() {
                    delta_bottom = bits.signed()?;
                }
            }
            OrderCount::Cycle { deltas: true } => {
                bits.signed()?;
                if pps.order_in_frame && field.is_none() {
                    bits.signed()?;
                }
            }
            OrderCount::Cycle { .. } | OrderCount::FrameNum => {}
        }
        let redundant = if pps.redundant { bits.unsigned()? } else { 0 };
        skip_references(bits, kind, sps, pps)?;
        let reference = head & 0x60 != 0;
        let from = bits.position();
        let commands = if reference { marking(bits)? } else { Vec::new() };
        let marking = from..bits.position();
        skip_rest(bits, kind, pps)?;
        Some(Self {
            reference,
            intra: kind == I,
            frame_num,
            field,
            idr_pic_id_at,
            lsb,
            rebasable: !matches!(sps.order, OrderCount::Cycle { .. }),
            delta_bottom,
            redundant,
            marking,
            commands,
            end: bits.position(),
            cabac: pps.cabac,
        })
    }

    /// Whether both are slices of one picture (7.4.1.2.4).
    pub(super) fn same_picture(&self, other: &Self) -> bool {
        let picture = |slice: &Self| {
            let lsb = slice.lsb.map(|lsb| lsb.value);
            (
                slice.frame_num.value,
                slice.field,
                slice.reference,
                lsb,
                slice.delta_bottom,
            )
        };
        picture(self) == picture(other)
    }
}

/// slice_type modulo 5 (Table 7-6).
const P: u32 = 0;
const B: u32 = 1;
const I: u32 = 2;
const SP: u32 = 3;
const SI: u32 = 4;

/// From direct_spatial_mv_pred_flag to pred_weight_table.
fn skip_references(bits: &mut Bits<'_>, kind: u32, sps: &Sps, pps: &Pps) -> Option<()> {
    if kind == B {
        bits.skip(1)?; // direct_spatial_mv_pred_flag
    }
    let lists = match kind {
        P | SP => 1,
        B => 2,
        _ => return Some(()),
    };
    let mut references = pps.references;
    if bits.bit()? {
        for count in references.iter_mut().take(lists) {
            *count = reference_count(bits)?;
        }
    }
    for _ in 0..lists {
        skip_modifications(bits)?;
    }
    let weighted = if kind == B {
        pps.weighted_bipred_idc == 1
    } else {
        pps.weighted
    };
    if weighted {
        bits.unsigned()?; // luma_log2_weight_denom
        if sps.chroma {
            bits.unsigned()?;
        }
        for count in references.into_iter().take(lists) {
            for _ in 0..count {
                skip_weights(bits, sps.chroma)?;
            }
        }
    }
    Some(())
}

/// One list of 7.3.3.1.
fn skip_modifications(bits: &mut Bits<'_>) -> Option<()> {
    if !bits.bit()? {
        return Some(());
    }
    for _ in 0..MODIFICATIONS_MAX {
        match bits.unsigned()? {
            0..=2 => drop(bits.unsigned()?),
            3 => return Some(()),
            _ => return None,
        }
    }
    None
}

/// One entry of 7.3.3.2.
fn skip_weights(bits: &mut Bits<'_>, chroma: bool) -> Option<()> {
    if bits.bit()? {
        bits.signed()?;
        bits.signed()?;
    }
    if chroma && bits.bit()? {
        for _ in 0..4 {
            bits.signed()?;
        }
    }
    Some(())
}

/// 7.3.3.3 of a picture that is not IDR.
fn marking(bits: &mut Bits<'_>) -> Option<Vec<Command>> {
    let mut commands = Vec::new();
    if !bits.bit()? {
        return Some(commands);
    }
    while commands.len() < COMMANDS_MAX {
        let from = bits.position();
        let operation = bits.unsigned()?;
        let mut back = None;
        match operation {
            0 => return Some(commands),
            1 => back = Some(bits.unsigned()?),
            2 | 4 | 6 => drop(bits.unsigned()?),
            3 => {
                back = Some(bits.unsigned()?);
                bits.unsigned()?; // long_term_frame_idx
            }
            5 => {}
            _ => return None,
        }
        commands.push(Command {
            operation,
            back,
            bits: from..bits.position(),
        });
    }
    None
}

/// From cabac_init_idc to the end.
fn skip_rest(bits: &mut Bits<'_>, kind: u32, pps: &Pps) -> Option<()> {
    if pps.cabac && !matches!(kind, I | SI) {
        bits.unsigned()?; // cabac_init_idc
    }
    bits.signed()?; // slice_qp_delta
    if kind == SP {
        bits.skip(1)?; // sp_for_switch_flag
    }
    if matches!(kind, SP | SI) {
        bits.signed()?; // slice_qs_delta
    }
    if pps.deblocking && bits.unsigned()? != 1 {
        bits.signed()?; // slice_alpha_c0_offset_div2
        bits.signed()?; // slice_beta_offset_div2
    }
    Some(())
}
