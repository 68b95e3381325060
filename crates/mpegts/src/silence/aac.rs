//! AAC-LC in ADTS, written bit by bit: a raw data block whose elements have no spectrum at all.

use crate::es::SoundFormat;

/// sampling_frequency_index in the order of its values (ISO 14496-3 Table 1.18).
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

/// Bytes of an ADTS header without a checksum (ISO 14496-3 1.A.2.2).
const HEADER_BYTES: usize = 7;

/// A syntactic element, by its id_syn_ele (ISO 14496-3 Table 4.85).
#[derive(Clone, Copy)]
enum Element {
    /// One channel.
    Single = 0,
    /// Two channels.
    Pair = 1,
    /// The low-frequency channel.
    Low = 3,
}

/// The elements of each channel_configuration (ISO 14496-3 Table 1.19).
const fn elements(configuration: u8) -> &'static [Element] {
    use Element::{Low, Pair, Single};
    match configuration {
        1 => &[Single],
        2 => &[Pair],
        3 => &[Single, Pair],
        4 => &[Single, Pair, Single],
        5 => &[Single, Pair, Pair],
        6 => &[Single, Pair, Pair, Low],
        7 => &[Single, Pair, Pair, Pair, Low],
        _ => &[],
    }
}

/// The frame; `None` where ADTS has no such rate or no such layout.
pub(super) fn frame(format: SoundFormat) -> Option<Vec<u8>> {
    let rate = u32::try_from(RATES.iter().position(|rate| *rate == format.rate)?).ok()?;
    let elements = elements(format.layout);
    if elements.is_empty() {
        return None;
    }
    let block = raw_data_block(elements);
    let bytes = u32::try_from(HEADER_BYTES + block.len()).ok()?;
    let mut bits = Bits::default();
    bits.put(12, 0xFFF);
    // ID (MPEG-4), layer, protection_absent; profile (LC), rate, private_bit.
    bits.put(4, 1);
    bits.put(2, 1);
    bits.put(4, rate);
    bits.put(1, 0);
    bits.put(3, format.layout.into());
    // original_copy, home and the two copyright bits.
    bits.put(4, 0);
    bits.put(13, bytes);
    // adts_buffer_fullness says "variable"; one raw data block.
    bits.put(11, 0x7FF);
    bits.put(2, 0);
    let mut frame = bits.bytes;
    frame.extend_from_slice(&block);
    Some(frame)
}

fn raw_data_block(elements: &[Element]) -> Vec<u8> {
    let mut bits = Bits::default();
    let mut tags = [0; 4];
    for element in elements {
        let id = *element as u32;
        bits.put(3, id);
        if let Some(tag) = tags.get_mut(*element as usize) {
            bits.put(4, *tag);
            *tag += 1;
        }
        match element {
            Element::Pair => {
                // common_window, one ics_info for both, ms_mask_present.
                bits.put(1, 1);
                ics_info(&mut bits);
                bits.put(2, 0);
                for _ in 0..2 {
                    bits.put(8, 0);
                    no_tools(&mut bits);
                }
            }
            Element::Single | Element::Low => {
                bits.put(8, 0);
                ics_info(&mut bits);
                no_tools(&mut bits);
            }
        }
    }
    bits.put(3, 7); // ID_END
    bits.bytes
}

/// ics_reserved_bit, window_sequence (only long), window_shape, max_sfb 0: no section, no scale factor, no spectrum
/// follows; predictor_data_present (ISO 14496-3 Table 4.6).
fn ics_info(bits: &mut Bits) {
    bits.put(1 + 2 + 1, 0);
    bits.put(6, 0);
    bits.put(1, 0);
}

/// pulse_data_present, tns_data_present, gain_control_data_present (ISO 14496-3 Table 4.50).
fn no_tools(bits: &mut Bits) {
    bits.put(3, 0);
}

/// Bits behind each other, the most significant first; the last byte is filled with zeros.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits used of the last byte, 0 when it is full.
    used: u32,
}

impl Bits {
    /// Appends the low `count` bits of `value`.
    fn put(&mut self, count: u32, value: u32) {
        for shift in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut()
                && (value >> shift) & 1 == 1
            {
                *last |= 0x80 >> self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }
}
