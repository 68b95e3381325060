//! Samples made frames: in the form that transport streams carry.

use super::entry::Entry;
use bytes::{BufMut, BytesMut};
use mpegts::Codec;
use mpegts::es::{ParameterSets, inspect};

/// Bytes that a sample grows by besides its parameter sets: start codes of short units, a delimiter, a header.
pub(super) const GROWTH_BYTES: usize = 32;

/// An access unit delimiter that allows any picture behind it (H.264 7.3.2.4, Table 7-5: primary_pic_type 7).
const H264_DELIMITER: [u8; 6] = [0, 0, 0, 1, 0x09, 0xF0];

/// The same of HEVC (H.265 7.3.2.5, Table 7-2: pic_type 2; nal_unit_type 35).
const HEVC_DELIMITER: [u8; 7] = [0, 0, 0, 1, 0x46, 0x01, 0x50];

/// The longest frame that ADTS can tell: aac_frame_length has 13 bits.
const ADTS_BYTES_MAX: usize = (1 << 13) - 1;

/// Appends `sample` as a frame to `out`; says whether decoding may start at it. `None` when there is nothing in it that
/// could be one. `intra` says what the container thinks of it.
pub(super) fn write(
    entry: &Entry,
    sample: &[u8],
    intra: bool,
    sets: &mut ParameterSets,
    out: &mut BytesMut,
) -> Option<bool> {
    match entry {
        Entry::Picture {
            codec, length_bytes, ..
        } => picture(*codec, units(sample, *length_bytes), intra, sets, out),
        Entry::Mpeg2 => {
            out.put_slice(sample);
            let access = inspect(Codec::Mpeg2Video, sample, sets);
            (!sample.is_empty()).then_some(access.random_access)
        }
        Entry::Aac(head) => {
            let length = head.len() + sample.len();
            if sample.is_empty() || length > ADTS_BYTES_MAX {
                return None;
            }
            let mut head = *head;
            // aac_frame_length, from the last two bits of the fourth byte on (ISO 14496-3 1.A.2.2.1).
            let [_, _, _, fourth, fifth, sixth, _] = &mut head;
            let [high, low] = u16::try_from(length << 3).ok()?.to_be_bytes();
            // 13 bits in 16, three to the left: two of them go to the fourth byte.
            *fourth |= high >> 6;
            *fifth = (high << 2) | (low >> 6);
            *sixth |= (low << 2) & 0xE0;
            out.put_slice(&head);
            out.put_slice(sample);
            Some(true)
        }
        Entry::Sound(_) => {
            out.put_slice(sample);
            (!sample.is_empty()).then_some(true)
        }
    }
}

/// The units of a sample (14496-15 5.3.3.2); ends where a length leads out of it.
fn units(mut sample: &[u8], length_bytes: usize) -> impl Iterator<Item = &[u8]> + Clone {
    core::iter::from_fn(move || {
        loop {
            let (length, rest) = sample.split_at_checked(length_bytes)?;
            let length = length
                .iter()
                .fold(0, |length, byte| (length << 8) | usize::from(*byte));
            let (unit, rest) = rest.split_at_checked(length)?;
            sample = rest;
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    })
}

fn picture<'a>(
    codec: Codec,
    units: impl Iterator<Item = &'a [u8]> + Clone,
    intra: bool,
    sets: &mut ParameterSets,
    out: &mut BytesMut,
) -> Option<bool> {
    let begins = out.len();
    let delimiter: &[u8] = if codec == Codec::Hevc {
        &HEVC_DELIMITER
    } else {
        &H264_DELIMITER
    };
    let mut starts = intra;
    let mut brings_sets = false;
    for head in units.clone().filter_map(|unit| unit.first()) {
        let (start, set, _) = meaning(codec, *head);
        starts |= start;
        brings_sets |= set;
    }
    out.put_slice(delimiter);
    if starts && !brings_sets {
        out.put_slice(sets.bytes());
    }
    let empty = out.len();
    for unit in units {
        let is_delimiter = unit.first().is_some_and(|head| meaning(codec, *head).2);
        if !is_delimiter {
            out.put_slice(&[0, 0, 0, 1]);
            out.put_slice(unit);
        }
    }
    if out.len() == empty {
        out.truncate(begins);
        return None;
    }
    let access = inspect(codec, out.get(begins..)?, sets);
    Some(access.random_access)
}

/// Whether a unit is of a picture to start with, whether it is a sequence parameter set, whether it is a delimiter
/// (H.264 Table 7-1, H.265 Table 7-1).
const fn meaning(codec: Codec, head: u8) -> (bool, bool, bool) {
    if matches!(codec, Codec::Hevc) {
        let kind = (head >> 1) & 0x3F;
        (kind >= 16 && kind <= 21, kind == 33, kind == 35)
    } else {
        let kind = head & 0x1F;
        (kind == 5, kind == 7, kind == 9)
    }
}
