//! The little of MPEG-TS (ISO/IEC 13818-1) that looping a known clip takes: fields of one packet, read and patched. The
//! packets are our own clips'; this is no parser for foreign ones.

/// Bytes of a packet (2.4.3.2).
pub(crate) const PACKET: usize = 188;
/// PTS, DTS and PCR base are 33 bits of 90 kHz.
pub(crate) const CLOCK_MASK: u64 = (1 << 33) - 1;

/// One packet.
pub(crate) type Packet = [u8; PACKET];

/// Flags of the adaptation field (2.4.3.5).
const RANDOM_ACCESS: u8 = 0x40;
const PCR: u8 = 0x10;
/// First byte of the PCR, and of the optional fields, in a packet.
const OPTIONAL: usize = 6;
const PCR_BYTES: usize = 6;

pub(crate) fn pid(p: &Packet) -> u16 {
    u16::from_be_bytes([p[1] & 0x1f, p[2]])
}

pub(crate) fn has_payload(p: &Packet) -> bool {
    p[3] & 0x10 != 0
}

fn starts_unit(p: &Packet) -> bool {
    p[1] & 0x40 != 0
}

fn has_flags(p: &Packet) -> bool {
    p[3] & 0x20 != 0 && p[4] > 0
}

fn payload_at(p: &Packet) -> usize {
    if p[3] & 0x20 != 0 {
        5 + usize::from(p[4])
    } else {
        4
    }
}

pub(crate) fn set_counter(p: &mut Packet, counter: u64) {
    p[3] = (p[3] & 0xf0) | (counter & 0x0f).to_le_bytes()[0];
}

pub(crate) fn is_random_access(p: &Packet) -> bool {
    has_flags(p) && p[5] & RANDOM_ACCESS != 0
}

pub(crate) fn clear_random_access(p: &mut Packet) {
    if has_flags(p) {
        p[5] &= !RANDOM_ACCESS;
    }
}

/// PAT, SDT and the like, and what the PAT names: the PIDs below 0x20 and those whose payload starts with a section of
/// table id 2 (PMT).
pub(crate) fn is_table(p: &Packet) -> bool {
    pid(p) < 0x20 || (starts_unit(p) && section(p).first() == Some(&0x02))
}

fn section(p: &Packet) -> &[u8] {
    let payload = p.get(payload_at(p)..).unwrap_or_default();
    let pointer = payload.first().map_or(0, |b| usize::from(*b));
    payload.get(1 + pointer..).unwrap_or_default()
}

/// PCR base of a packet that has one, 90 kHz.
pub(crate) fn pcr_base(p: &Packet) -> Option<u64> {
    (has_flags(p) && p[5] & PCR != 0).then(|| read_pcr(p))
}

fn read_pcr(p: &Packet) -> u64 {
    u64::from(u32::from_be_bytes([p[6], p[7], p[8], p[9]])) << 1 | u64::from(p[10] >> 7)
}

fn write_pcr(p: &mut Packet, base: u64) {
    // 33 bits of base, the first byte of eight bytes' worth holding its top; bit 7 of byte 10 its last.
    let bytes = (base << 31).to_be_bytes();
    p[6] = bytes[0];
    p[7] = bytes[1];
    p[8] = bytes[2];
    p[9] = bytes[3];
    p[10] = (p[10] & 0x7f) | (bytes[4] & 0x80);
}

/// Takes the PCR field out of a packet; stuffing takes its place.
pub(crate) fn take_pcr(p: &mut Packet) -> Option<[u8; PCR_BYTES]> {
    pcr_base(p)?;
    let pcr = [p[6], p[7], p[8], p[9], p[10], p[11]];
    let end = 5 + usize::from(p[4]);
    p[5] &= !PCR;
    if let Some(rest) = p.get_mut(OPTIONAL..end) {
        rest.rotate_left(PCR_BYTES);
        rest.iter_mut().rev().take(PCR_BYTES).for_each(|b| *b = 0xff);
    }
    Some(pcr)
}

/// A packet of adaptation field alone that carries a PCR.
pub(crate) fn pcr_packet(pid: u16, pcr: [u8; PCR_BYTES]) -> Packet {
    let mut p = [0xff; PACKET];
    let [high, low] = pid.to_be_bytes();
    let head = [0x47, high, low, 0x20, 183, PCR];
    for (to, from) in p.iter_mut().zip(head.into_iter().chain(pcr)) {
        *to = from;
    }
    p
}

/// Where PTS and DTS stand in a packet that starts a PES with them (2.4.3.6).
fn stamps_at(p: &Packet) -> (Option<usize>, Option<usize>) {
    let at = payload_at(p);
    let head = p.get(at..at + 9).unwrap_or_default();
    let [0, 0, 1, id, _, _, _, flags, _] = head else {
        return (None, None);
    };
    // Program stream map, private stream 2 and padding have no such header.
    if !starts_unit(p) || matches!(id, 0xbc | 0xbe | 0xbf) {
        return (None, None);
    }
    let pts = (flags & 0x80 != 0).then_some(at + 9);
    let dts = (flags & 0xc0 == 0xc0).then_some(at + 14);
    (pts, dts)
}

/// DTS of a packet that starts a PES, else its PTS, 90 kHz.
pub(crate) fn stamp(p: &Packet) -> Option<u64> {
    let (pts, dts) = stamps_at(p);
    let field = p.get(dts.or(pts)?..)?.first_chunk::<5>()?;
    Some(read_stamp(field))
}

fn read_stamp(f: &[u8; 5]) -> u64 {
    let [top, a, b, c, d] = f.map(u64::from);
    (top >> 1 & 7) << 30 | a << 22 | (b >> 1) << 15 | c << 7 | d >> 1
}

fn write_stamp(f: &mut [u8; 5], stamp: u64) {
    // Three runs of 3, 15 and 15 bits, a marker bit after each; the first four bits are a prefix that stays.
    let byte = |v: u64| v.to_le_bytes()[0];
    f[0] = (f[0] & 0xf1) | byte(stamp >> 30 & 7) << 1;
    f[1] = byte(stamp >> 22);
    f[2] = byte(stamp >> 15) << 1 | 1;
    f[3] = byte(stamp >> 7);
    f[4] = byte(stamp) << 1 | 1;
}

/// Adds to PCR, PTS and DTS, 90 kHz modulo 2^33.
pub(crate) fn shift_clocks(p: &mut Packet, by: u64) {
    if let Some(base) = pcr_base(p) {
        write_pcr(p, base.wrapping_add(by) & CLOCK_MASK);
    }
    let (pts, dts) = stamps_at(p);
    for at in [pts, dts].into_iter().flatten() {
        if let Some(field) = p.get_mut(at..).and_then(|f| f.first_chunk_mut::<5>()) {
            write_stamp(field, read_stamp(field).wrapping_add(by) & CLOCK_MASK);
        }
    }
}

/// The PID the first PAT gives for the program (2.4.4.3); our clips have one.
pub(crate) fn pmt_pid(packets: &[Packet]) -> Option<u16> {
    let pat = packets.iter().find(|p| pid(p) == 0)?;
    let [high, low] = *section(pat).get(10..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes([high & 0x1f, low]))
}

/// The PID of the first video stream of the PMT (2.4.4.8).
pub(crate) fn video_pid(packets: &[Packet]) -> Option<u16> {
    let pmt_pid = pmt_pid(packets)?;
    let pmt = section(packets.iter().find(|p| pid(p) == pmt_pid)?);
    let skip = usize::from(u16::from_be_bytes([pmt.get(10)? & 0x0f, *pmt.get(11)?]));
    let mut streams = pmt.get(12 + skip..)?;
    while let Some([kind, high, low, info_high, info_low]) = streams.first_chunk::<5>() {
        if matches!(kind, 0x01 | 0x02 | 0x1b | 0x24) {
            return Some(u16::from_be_bytes([high & 0x1f, *low]));
        }
        let info = usize::from(u16::from_be_bytes([info_high & 0x0f, *info_low]));
        streams = streams.get(5 + info..)?;
    }
    None
}

/// Writes `PCR_PID` into a PMT packet and its CRC anew.
pub(crate) fn set_pcr_pid(p: &mut Packet, pcr_pid: u16) {
    let at = payload_at(p) + 1;
    let Some(section) = p.get_mut(at..) else { return };
    let Some([_, high, low]) = section.first_chunk::<3>() else {
        return;
    };
    let length = 3 + usize::from(u16::from_be_bytes([high & 0x0f, *low]));
    let Some((body, crc)) = section
        .get_mut(..length)
        .and_then(|s| s.split_last_chunk_mut::<4>())
    else {
        return;
    };
    if let Some(field) = body.get_mut(8..10) {
        field.copy_from_slice(&(0xe000 | pcr_pid).to_be_bytes());
    }
    *crc = crc32(body).to_be_bytes();
}

/// CRC-32/MPEG-2 (annex A): polynomial 04C11DB7, all ones at first, not reflected, not inverted.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc & 0x8000_0000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x04c1_1db7
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_survive_a_round_trip() {
        for stamp in [0, 1, 90_000, 0x1_2345_6789, CLOCK_MASK] {
            let mut field = [0x21, 0, 1, 0, 1];
            write_stamp(&mut field, stamp);
            assert_eq!((read_stamp(&field), field[0] & 0xf1), (stamp, 0x21));
            let mut packet = pcr_packet(7, [0, 0, 0, 0, 0x7e, 0]);
            write_pcr(&mut packet, stamp);
            assert_eq!(
                (pcr_base(&packet), packet[10] & 0x7f, pid(&packet)),
                (Some(stamp), 0x7e, 7)
            );
        }
    }

    #[test]
    fn crc_is_the_one_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }
}
