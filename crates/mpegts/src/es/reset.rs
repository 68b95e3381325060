//! The picture at which a source follows another in the same stream, made one at which decoders begin anew.
//!
//! A source may be entered where its pictures allow a start and its encoder meant none: there pictures, counts and
//! references of the source before would go on. In each codec there is a mark for it: an IDR picture (H.264), a BLA
//! picture (H.265), a broken link (13818-2). Which picture that is the splice decides.

use super::h264::Rebase;
use super::{Codec, units};

/// A PES packet that says this length or more may be one of several that make up a picture.
const PARTED_BYTES: usize = 60_000;

/// What is to be done to the pictures behind the entry.
#[derive(Debug)]
pub struct DecoderReset(Kind);

#[derive(Debug)]
enum Kind {
    H264(Box<Rebase>),
    Hevc,
}

impl DecoderReset {
    /// Marks the picture in the PES packet `pes`, whose elementary stream begins at `from`, as a new begin; `sets` are
    /// the parameter sets from before it, and `turn` counts the entries of the stream. The length field of the packet
    /// is the caller's. `None` when what follows needs no change.
    #[must_use]
    pub fn enter(codec: Codec, pes: &mut Vec<u8>, from: usize, sets: &[u8], turn: u8) -> Option<Self> {
        match codec {
            Codec::H264 => {
                let whole = is_whole(pes);
                let entry = Rebase::of_entry(pes.get(from..)?, sets, turn).filter(|_| whole)?;
                let mut reset = Self(Kind::H264(Box::new(entry)));
                reset.follow(pes, from, false).then_some(reset)
            }
            Codec::Hevc => break_chain(pes, from).then_some(Self(Kind::Hevc)),
            Codec::Mpeg2Video => {
                break_link(pes, from);
                None
            }
            _ => None,
        }
    }

    /// Makes the next PES packet of the stream fit; `begins` says that it begins a picture. Returns whether there will
    /// be more to do.
    #[must_use]
    pub fn follow(&mut self, pes: &mut Vec<u8>, from: usize, begins: bool) -> bool {
        match &mut self.0 {
            Kind::H264(rebase) => {
                let whole = is_whole(pes);
                rebase.apply(pes, from, whole)
            }
            Kind::Hevc => {
                if !begins {
                    break_chain(pes, from);
                }
                !begins
            }
        }
    }
}

/// Whether the packet holds its units to their ends, as far as its length tells.
fn is_whole(pes: &[u8]) -> bool {
    let length = pes.get(4..6).and_then(|field| field.first_chunk::<2>());
    length.is_none_or(|length| usize::from(u16::from_be_bytes(*length)) < PARTED_BYTES)
}

/// Turns CRA_NUT (21) into BLA_W_RADL (17): its RASL pictures are dropped, and the count begins anew with it as it
/// does not with a CRA picture in the middle (H.265 8.1.3, Table 7-1). The slice header is the same for both. Says
/// whether there was one.
fn break_chain(pes: &mut [u8], from: usize) -> bool {
    const CRA: u8 = 21 << 1;
    const BLA_W_RADL: u8 = 17 << 1;
    let mut at = from;
    let mut found = false;
    while let Some(code) = pes.get(at..).and_then(units::start_code) {
        at += code + 3;
        if let Some(head) = pes.get_mut(at).filter(|head| **head & 0x7E == CRA) {
            *head = (*head & !0x7E) | BLA_W_RADL;
            found = true;
        }
    }
    found
}

/// Sets broken_link in the header of the group that is open: the pictures that lead are dropped (13818-2 6.3.8).
fn break_link(pes: &mut [u8], from: usize) {
    let mut at = from;
    while let Some(code) = pes.get(at..).and_then(units::start_code) {
        at += code + 3;
        match pes.get_mut(at..) {
            // closed_gop and broken_link follow the 25 bits of the time code.
            Some([0xB8, _, _, _, flags, ..]) if *flags & 0x40 == 0 => {
                *flags |= 0x20;
                return;
            }
            Some([0x00 | 0xB8, ..]) => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pes(es: &[u8]) -> Vec<u8> {
        [&[0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0], es].concat()
    }

    #[test]
    fn a_chain_of_hevc_pictures_is_broken_at_cra_only() {
        let unit = |kind: u8| [0, 0, 1, (kind << 1) | 0x80, 1, 0xAF, 0x55];
        for kind in 0..64 {
            // The two bits around the type are not its own.
            let before = pes(&[unit(35), unit(kind), unit(kind)].concat());
            let mut after = before.clone();
            let reset = DecoderReset::enter(Codec::Hevc, &mut after, 9, &[], 0);
            assert_eq!(reset.is_some(), kind == 21, "{kind}");
            let expected = if kind == 21 { 17 } else { kind };
            assert_eq!(
                after,
                pes(&[unit(35), unit(expected), unit(expected)].concat()),
                "{kind}"
            );
            // The rest of the picture is of its kind, the next one stays what it is.
            if let Some(mut reset) = reset {
                let mut rest = pes(&unit(21));
                assert!(reset.follow(&mut rest, 9, false));
                assert_eq!(rest, pes(&unit(17)));
                let mut next = pes(&unit(21));
                assert!(!reset.follow(&mut next, 9, true));
                assert_eq!(next, pes(&unit(21)));
            }
        }
    }

    #[test]
    fn the_link_is_broken_in_an_open_group() {
        let group = |flags: u8| {
            pes(&[
                0, 0, 1, 0xB3, 9, 9, 0, 0, 1, 0xB8, 0, 8, 0, flags, 0, 0, 1, 0, 0, 8, 0xFF,
            ])
        };
        for (before, expected) in [
            (0x00, 0x20),
            (0x80, 0xA0),
            (0x20, 0x20),
            (0x40, 0x40),
            (0xC0, 0xC0),
        ] {
            let mut bytes = group(before);
            assert!(DecoderReset::enter(Codec::Mpeg2Video, &mut bytes, 9, &[], 0).is_none());
            assert_eq!(bytes, group(expected), "{before:#x}");
        }
        // Behind the first picture there is another group.
        let late = pes(&[0, 0, 1, 0, 0, 8, 0xFF, 0, 0, 1, 0xB8, 0, 8, 0, 0]);
        let mut bytes = late.clone();
        assert!(DecoderReset::enter(Codec::Mpeg2Video, &mut bytes, 9, &[], 0).is_none());
        assert_eq!(bytes, late);
    }
}
