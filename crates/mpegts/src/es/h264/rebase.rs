//! A source that is entered at an I picture, made to begin with an IDR picture: that picture is turned into one, and
//! the numbers of all that follow count from it, until the source brings an IDR picture of its own.
//!
//! Without it frame_num and the picture order count go on from another stream's, and a decoder holds back or drops
//! pictures until the count has passed the old one's.

use super::super::units;
use super::rbsp::{Writer, escape, overwrite, stop_bit, unescape};
use super::sets::Sets;
use super::slice::{Command, SliceHeader};

/// Bytes by which a PES packet may grow: real ones grow by a few for each slice. Contents that need more emulation
/// prevention than that were made to.
const GROWTH_BYTES_MAX: usize = 256 * 1024;

/// idr_pic_id of two pictures in a row differ (7.4.3): of ours, and of ours and the one before, as encoders count from 0.
const IDR_PIC_IDS: [u16; 2] = [1_001, 1_002];

/// How the numbers of one source are moved.
#[derive(Debug)]
pub(in crate::es) struct Rebase {
    sets: Sets,
    /// A slice of the picture that becomes IDR, until another picture comes.
    entry: Option<SliceHeader>,
    /// A slice of the picture behind which the numbers begin anew (memory_management_control_operation 5).
    last: Option<SliceHeader>,
    idr_pic_id: u16,
    /// What becomes 0.
    frame_num: u32,
    lsb: u32,
    /// frame_num of the present picture, counted on from the entry without an end.
    frames: u32,
    /// The first bytes of a payload, what goes out in place of a unit's begin, and the packet being written.
    payload: Vec<u8>,
    unit: Vec<u8>,
    out: Vec<u8>,
}

/// What becomes of the unit at hand.
enum Turn {
    /// It stays.
    Keep,
    /// So many bytes of it have another begin.
    Replace(usize),
    /// An IDR picture: nothing is to be moved any more.
    Over,
}

impl Rebase {
    /// Looks at the access unit in `es`, which is the first of its source; `known` are parameter sets that stood
    /// before it. `None` where its first picture has no need to become an IDR picture, or cannot.
    pub(in crate::es) fn of_entry(es: &[u8], known: &[u8], turn: u8) -> Option<Self> {
        let mut sets = Sets::default();
        for range in units::ranges(known, 0) {
            sets.take(known.get(range)?);
        }
        let before = sets.clone();
        let mut entry: Option<SliceHeader> = None;
        for range in units::ranges(es, 0) {
            let unit = es.get(range)?;
            match unit.first()? & 0x1F {
                1 => {}
                7 | 8 => {
                    sets.take(unit);
                    continue;
                }
                // IDR already; data partitions, other layers and views, an alpha plane: not read here.
                2..=5 | 14 | 15 | 19..=21 => return None,
                _ => continue,
            }
            let slice = SliceHeader::read(unit, &sets)?;
            if entry.as_ref().is_some_and(|entry| !entry.same_picture(&slice)) {
                break; // The second field, or another picture.
            }
            // Operations 4 to 6 say more than an IDR picture could.
            let plain = slice.commands.iter().all(|command| command.operation < 4);
            if !(slice.intra && slice.reference && slice.rebasable && slice.redundant == 0 && plain) {
                return None;
            }
            entry.get_or_insert(slice);
        }
        let entry = entry?;
        // The lesser count of the two fields of a frame of an IDR picture is 0 (8.2.1).
        let above = u32::try_from(-entry.delta_bottom.min(0)).ok()?;
        let lsb = entry.lsb.map_or(0, |lsb| lsb.from(above));
        Some(Self {
            sets: before,
            idr_pic_id: IDR_PIC_IDS.get(usize::from(turn % 2)).copied()?,
            entry: Some(entry.clone()),
            ..Self::moving(entry.frame_num.value, lsb)
        })
    }

    /// Makes of these numbers 0, with no picture turned into another.
    pub(super) fn moving(frame_num: u32, lsb: u32) -> Self {
        Self {
            sets: Sets::default(),
            entry: None,
            last: None,
            idr_pic_id: 0,
            frame_num,
            lsb,
            frames: 0,
            payload: Vec::new(),
            unit: Vec::new(),
            out: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn know(&mut self, unit: &[u8]) {
        self.sets.take(unit);
    }

    /// Moves the numbers in the PES packet `pes`, whose elementary stream begins at `from`. `whole` says that it holds
    /// its units to their ends. Returns whether there will be more to move.
    pub(in crate::es) fn apply(&mut self, pes: &mut Vec<u8>, from: usize, whole: bool) -> bool {
        let mut out = core::mem::take(&mut self.out);
        out.clear();
        let (mut copied, mut more) = (0, true);
        for range in units::ranges(pes, from) {
            let Some(unit) = pes.get(range.clone()) else {
                break;
            };
            match self.turn(unit, whole) {
                Turn::Keep => {}
                Turn::Replace(bytes) => {
                    out.extend_from_slice(pes.get(copied..range.start).unwrap_or_default());
                    out.extend_from_slice(&self.unit);
                    copied = range.start + bytes;
                }
                Turn::Over => {
                    more = false;
                    break;
                }
            }
        }
        out.extend_from_slice(pes.get(copied..).unwrap_or_default());
        if copied > 0 && out.len() <= pes.len() + GROWTH_BYTES_MAX {
            core::mem::swap(pes, &mut out);
        }
        self.out = out;
        more
    }

    fn turn(&mut self, unit: &[u8], whole: bool) -> Turn {
        match unit.first().map(|head| head & 0x1F) {
            Some(7 | 8) => self.sets.take(unit),
            Some(5) => return Turn::Over,
            Some(1 | 2) => return self.slice(unit, whole),
            _ => {}
        }
        Turn::Keep
    }

    fn slice(&mut self, unit: &[u8], whole: bool) -> Turn {
        // One whose header is cut off or broken cannot be decoded either.
        let Some(slice) = SliceHeader::read(unit, &self.sets) else {
            return Turn::Keep;
        };
        if self.last.as_ref().is_some_and(|last| !last.same_picture(&slice)) {
            return Turn::Over;
        }
        if self
            .entry
            .as_ref()
            .is_some_and(|entry| !entry.same_picture(&slice))
        {
            self.entry = None;
        }
        let now = slice.frame_num.from(self.frame_num);
        let mask = (1 << slice.frame_num.width) - 1;
        self.frames = self.frames.saturating_add(now.wrapping_sub(self.frames) & mask);
        if slice.commands.iter().any(|command| command.operation == 5) {
            self.last = Some(slice.clone());
        }
        if self.entry.is_some() && slice.intra && slice.reference {
            return self.rebuild(unit, &slice, true);
        }
        if whole
            && slice
                .commands
                .iter()
                .any(|command| self.reaches_back(&slice, command))
        {
            return self.rebuild(unit, &slice, false);
        }
        self.move_numbers(unit, &slice)
    }

    /// Whether the command is about a picture from before the entry, by its number (8.2.4.1): no decoder has that.
    fn reaches_back(&self, slice: &SliceHeader, command: &Command) -> bool {
        let Some(back) = command.back else { return false };
        let now = u64::from(self.frames);
        let number = if slice.field.is_some() { 2 * now + 1 } else { now };
        u64::from(back) + 1 > number
    }

    /// Writes the numbers over those that are there.
    fn move_numbers(&mut self, unit: &[u8], slice: &SliceHeader) -> Turn {
        let Some((head, body)) = unit.split_first() else {
            return Turn::Keep;
        };
        self.payload.clear();
        let end = slice.lsb.unwrap_or(slice.frame_num).end();
        // One byte more: the last one must not become zero.
        let taken = unescape(body, end.div_ceil(8) + 1, &mut self.payload);
        overwrite_numbers(&mut self.payload, slice, self.frame_num, self.lsb);
        self.unit.clear();
        self.unit.push(*head);
        escape(&self.payload, &mut self.unit);
        Turn::Replace(1 + taken)
    }

    /// Writes the header anew: as one of an IDR picture, or without the commands that reach back.
    fn rebuild(&mut self, unit: &[u8], slice: &SliceHeader, idr: bool) -> Turn {
        let Some((head, body)) = unit.split_first() else {
            return Turn::Keep;
        };
        self.payload.clear();
        // Behind a header that ends with a byte, slice data goes on as it was.
        let least = if slice.cabac {
            slice.end.div_ceil(8) + 1
        } else {
            usize::MAX
        };
        let taken = unescape(body, least, &mut self.payload);
        overwrite_numbers(&mut self.payload, slice, self.frame_num, self.lsb);
        let payload = &self.payload;
        let mut writer = Writer::default();
        writer.copy(payload, 0, slice.idr_pic_id_at);
        if idr {
            writer.unsigned(self.idr_pic_id);
        }
        writer.copy(payload, slice.idr_pic_id_at, slice.marking.start);
        if idr {
            // no_output_of_prior_pics_flag, long_term_reference_flag
            writer.bits(0, 2);
        } else {
            writer.bits(1, 1);
            for command in &slice.commands {
                if !self.reaches_back(slice, command) {
                    writer.copy(payload, command.bits.start, command.bits.end);
                }
            }
            writer.unsigned(0);
        }
        writer.copy(payload, slice.marking.end, slice.end);
        copy_data(&mut writer, payload, slice);
        self.unit.clear();
        // Type 5 in place of the slice's own.
        self.unit.push(if idr { (head & 0x60) | 5 } else { *head });
        escape(writer.bytes(), &mut self.unit);
        Turn::Replace(1 + taken)
    }
}

/// The slice data behind the header (7.3.4).
fn copy_data(writer: &mut Writer, payload: &[u8], slice: &SliceHeader) {
    if slice.cabac {
        writer.align(true); // cabac_alignment_one_bit
        writer.copy(payload, slice.end.next_multiple_of(8), payload.len() * 8);
    } else {
        let stop = stop_bit(payload).map_or(slice.end, |stop| stop + 1);
        writer.copy(payload, slice.end, stop.max(slice.end));
        writer.align(false);
    }
}

fn overwrite_numbers(payload: &mut [u8], slice: &SliceHeader, frame_num: u32, lsb: u32) {
    let numbers = [(Some(slice.frame_num), frame_num), (slice.lsb, lsb)];
    for (number, base) in numbers {
        if let Some(number) = number {
            overwrite(payload, number.at, number.width, number.from(base));
        }
    }
}
