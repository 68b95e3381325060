//! What a segment is, by its first bytes: its name and its content type say nothing.

use crate::upstream::sniff::{Content, sniff};

/// What a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SegmentKind {
    /// MPEG-TS packets.
    TransportStream,
    /// Boxes of fragmented MP4 (ISO 14496-12).
    Fragments,
    /// Bare frames of sound, most often with an ID3 tag in front.
    Packed,
}

/// Boxes that segments and initialisation segments begin with.
const BOXES: [&[u8; 4]; 10] = [
    b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"emsg", b"prft", b"free", b"skip", b"mdat",
];

/// The syncword of AC-3 and E-AC-3 (A/52 clause 5.4.1.1).
const AC3: [u8; 2] = [0x0B, 0x77];

/// What a segment is that begins with `head`; in a word what it is instead, where it is none.
pub(super) fn segment_kind(head: &[u8]) -> Result<SegmentKind, &'static str> {
    let is_box = head
        .get(4..8)
        .is_some_and(|name| BOXES.iter().any(|known| name == known.as_slice()));
    if is_box {
        return Ok(SegmentKind::Fragments);
    }
    match sniff(head, true) {
        Some(Content::TransportStream) => Ok(SegmentKind::TransportStream),
        Some(Content::Audio) => Ok(SegmentKind::Packed),
        Some(Content::Mp4) => Ok(SegmentKind::Fragments),
        _ if head.starts_with(&AC3) => Ok(SegmentKind::Packed),
        // Less than three packets.
        _ if head.first() == Some(&mpegts::SYNC_BYTE) && head.len() < 3 * mpegts::PACKET_BYTES => {
            Ok(SegmentKind::TransportStream)
        }
        other => Err(other.unwrap_or(Content::Unknown).as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_and_names_do_not() {
        let packets = |count: usize| [&[0x47_u8][..], &[0; 187]].concat().repeat(count);
        let cases: [(&[u8], Result<SegmentKind, &str>); 8] = [
            (&packets(8), Ok(SegmentKind::TransportStream)),
            (&packets(1), Ok(SegmentKind::TransportStream)),
            (b"\0\0\0\x18styp", Ok(SegmentKind::Fragments)),
            (b"\0\0\x05\x18moofmore", Ok(SegmentKind::Fragments)),
            (b"ID3\x04\0\0\0\0\0\x3f", Ok(SegmentKind::Packed)),
            (b"\x0b\x77\x12\x34\0\x40", Ok(SegmentKind::Packed)),
            (b"<html>", Err("HTML")),
            (b"gone", Err("unknown")),
        ];
        for (head, expected) in cases {
            assert_eq!(segment_kind(head), expected, "{head:?}");
        }
    }
}
