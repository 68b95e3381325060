//! PES packets: the header and its time stamps (2.4.3.6). Putting them together from transport packets is the
//! splice's; what is inside is [`crate::es`]'s.

use crate::clock::Pts90k;
use crate::es::{Codec, Kind};

/// Bytes before the optional header: start code, stream_id, length.
const FIXED_BYTES: usize = 6;

/// Where the first time stamp stands when there is one.
const PTS_AT: usize = 9;

/// Where the DTS stands when there are both.
const DTS_AT: usize = 14;

/// stream_id of padding: carries nothing (Table 2-22).
pub const STREAM_PADDING: u8 = 0xBE;

/// What the head of a PES packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PesHeader {
    /// stream_id (Table 2-22).
    pub stream_id: u8,
    /// Bytes of the whole packet; `None` when it ends where the next one begins (video only, 2.4.3.7).
    pub packet_bytes: Option<usize>,
    /// Presentation time.
    pub pts: Option<Pts90k>,
    /// Decoding time, where it is written; otherwise it is the PTS.
    pub dts: Option<Pts90k>,
    /// Where the elementary stream begins.
    pub payload_at: usize,
}

impl PesHeader {
    /// Reads the head of `bytes`. `None` when it is no PES packet or its header is cut short.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[0, 0, 1, stream_id, high, low, ..] = bytes else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let packet_bytes = (length > 0).then_some(FIXED_BYTES + length);
        if !has_optional_header(stream_id) {
            return Some(Self {
                stream_id,
                packet_bytes,
                pts: None,
                dts: None,
                payload_at: FIXED_BYTES,
            });
        }
        let (marker, flags, header_bytes) = (*bytes.get(6)?, *bytes.get(7)?, usize::from(*bytes.get(8)?));
        let payload_at = PTS_AT + header_bytes;
        // '10' before the flags tells MPEG-2 PES from anything else (2.4.3.7).
        if marker & 0xC0 != 0x80 || bytes.len() < payload_at {
            return None;
        }
        let pts = (flags & 0x80 != 0 && header_bytes >= 5)
            .then(|| read_stamp(bytes, PTS_AT))
            .flatten();
        let dts = (flags & 0xC0 == 0xC0 && header_bytes >= 10)
            .then(|| read_stamp(bytes, DTS_AT))
            .flatten();
        Some(Self {
            stream_id,
            packet_bytes,
            pts,
            dts,
            payload_at,
        })
    }

    /// The time the unit is decoded at.
    #[must_use]
    pub fn decoding_time(&self) -> Option<Pts90k> {
        self.dts.or(self.pts)
    }
}

/// The stream_id of `codec` (Table 2-22): the first of its kind, and private_stream_1 for codecs of others.
pub(crate) const fn stream_id(codec: Codec) -> u8 {
    match codec {
        codec if matches!(codec.kind(), Kind::Video) => 0xE0,
        Codec::MpegAudio | Codec::Aac | Codec::AacLatm => 0xC0,
        _ => 0xBD,
    }
}

/// Makes `pes` a packet that holds `es` and begins with a picture or a frame of sound (data_alignment_indicator,
/// 2.4.3.7).
pub(crate) fn write(pes: &mut Vec<u8>, stream_id: u8, (pts, dts): (Pts90k, Pts90k), es: &[u8]) {
    pes.clear();
    pes.extend([0, 0, 1, stream_id, 0, 0, 0x84]);
    if pts == dts {
        pes.extend([0x80, 5, 0x21, 0, 1, 0, 1]);
    } else {
        pes.extend([0xC0, 10, 0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1]);
    }
    rewrite_stamps(pes, pts, dts);
    pes.extend_from_slice(es);
    rewrite_length(pes);
}

/// Writes new time stamps over those that are there; stamps the packet has no room for are left out.
pub fn rewrite_stamps(bytes: &mut [u8], pts: Pts90k, dts: Pts90k) {
    let Some(header) = PesHeader::parse(bytes) else {
        return;
    };
    if header.pts.is_some() {
        write_stamp(bytes, PTS_AT, pts);
    }
    if header.dts.is_some() {
        write_stamp(bytes, DTS_AT, dts);
    }
}

/// Writes the length field after the contents changed by hand: 0 when it does not fit, which video may say.
pub fn rewrite_length(bytes: &mut [u8]) {
    let length = u16::try_from(bytes.len().saturating_sub(FIXED_BYTES)).unwrap_or(0);
    if let Some(field) = bytes.get_mut(4..FIXED_BYTES) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Streams without the optional header (2.4.3.7): maps, padding, private 2, ECM, EMM, directory, DSM-CC, type E.
const fn has_optional_header(stream_id: u8) -> bool {
    !matches!(stream_id, 0xBC | 0xBE | 0xBF | 0xF0 | 0xF1 | 0xF2 | 0xF8 | 0xFF)
}

/// 33 bits in five bytes with a marker bit after each group. Wrong markers are common and harmless: not checked.
fn read_stamp(bytes: &[u8], at: usize) -> Option<Pts90k> {
    let [a, b, c, d, e] = bytes.get(at..)?.first_chunk::<5>()?.map(u64::from);
    Some(Pts90k::new(
        ((a & 0x0E) << 29) | (b << 22) | ((c & 0xFE) << 14) | (d << 7) | (e >> 1),
    ))
}

fn write_stamp(bytes: &mut [u8], at: usize, stamp: Pts90k) {
    let Some(field) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<5>()) else {
        return;
    };
    let ticks = stamp.ticks();
    let low = |value: u64| value.to_le_bytes()[0];
    // The four bits that tell PTS alone, PTS of a pair, and DTS apart stay.
    field[0] = (field[0] & 0xF0) | (low(ticks >> 29) & 0x0E) | 1;
    field[1] = low(ticks >> 22);
    field[2] = low(ticks >> 14) | 1;
    field[3] = low(ticks >> 7);
    field[4] = low(ticks << 1) | 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WRAP_90K;
    use crate::tests::Xorshift;

    fn video(flags: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, 1, 0xE0, 0, 0, 0x80, flags, 10];
        bytes.extend([0x31, 0, 1, 0, 1, 0x11, 0, 1, 0, 1]);
        bytes.extend(b"payload");
        bytes
    }

    #[test]
    fn stamps_written_are_stamps_read() {
        for ticks in [0, 1, 0x1_5555_5555, 0xAAAA_AAAA, 1 << 32, WRAP_90K - 1] {
            let mut bytes = video(0xC0);
            let (pts, dts) = (Pts90k::new(ticks), Pts90k::new(ticks).shifted(-7200));
            rewrite_stamps(&mut bytes, pts, dts);
            let header = PesHeader::parse(&bytes).unwrap();
            assert_eq!((header.pts, header.dts), (Some(pts), Some(dts)), "{ticks}");
            assert_eq!(bytes[9] >> 4, 3);
            assert_eq!(bytes[14] >> 4, 1);
            assert_eq!(&bytes[header.payload_at..], b"payload");
        }
    }

    #[test]
    fn reads_a_known_header() {
        // As ffmpeg writes it: PTS 133500 (0x2097C), DTS 126000 (0x1EC30).
        let bytes = [
            0, 0, 1, 0xE0, 0, 0, 0x80, 0xC0, 0x0A, 0x31, 0x00, 0x09, 0x12, 0xF9, 0x11, 0x00, 0x07, 0xD8, 0x61,
        ];
        let header = PesHeader::parse(&bytes).unwrap();
        assert_eq!(header.pts.map(Pts90k::ticks), Some(133_500));
        assert_eq!(header.dts.map(Pts90k::ticks), Some(126_000));
        assert_eq!((header.packet_bytes, header.payload_at), (None, 19));
    }

    #[test]
    fn what_is_absent_stays_absent() {
        let mut bytes = video(0x80);
        rewrite_stamps(&mut bytes, Pts90k::new(5), Pts90k::new(4));
        let header = PesHeader::parse(&bytes).unwrap();
        assert_eq!((header.pts.map(Pts90k::ticks), header.dts), (Some(5), None));
        let untouched = video(0);
        let mut bytes = untouched.clone();
        rewrite_stamps(&mut bytes, Pts90k::new(5), Pts90k::new(4));
        assert_eq!(bytes, untouched);
        assert!(
            PesHeader::parse(&[0, 0, 1, 0xBF, 0, 3, 1, 2, 3])
                .unwrap()
                .pts
                .is_none()
        );
        assert!(PesHeader::parse(&[0, 0, 2, 0xE0, 0, 0, 0x80, 0, 0]).is_none());
        assert!(PesHeader::parse(&[0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, 0x21]).is_none());
    }

    #[test]
    fn mangled_headers_do_not_panic() {
        let mut random = Xorshift::new(9);
        for _ in 0..20_000 {
            let mut bytes = video(0xC0);
            for _ in 0..4 {
                let at = 3 + random.below(bytes.len() - 3);
                bytes[at] = random.next().to_le_bytes()[0];
            }
            bytes.truncate(random.below(bytes.len() + 1));
            let length = bytes.len();
            rewrite_stamps(&mut bytes, Pts90k::new(1), Pts90k::new(1));
            rewrite_length(&mut bytes);
            assert_eq!(bytes.len(), length);
            if let Some(header) = PesHeader::parse(&bytes) {
                assert!(header.payload_at <= length);
            }
        }
    }
}
