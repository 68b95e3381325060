//! Fields of a transport packet and of a PES header, and the arithmetic of 33-bit clocks.

/// Bytes of a packet (clause 2.4.3.2).
pub(crate) const PACKET: usize = 188;
pub(crate) const SYNC: u8 = 0x47;
pub(crate) const NULL_PID: u16 = 0x1FFF;
/// PIDs below hold tables of the system and of the network (Table 2-3; EN 300 468 Table 1).
pub(crate) const FIRST_FREE_PID: u16 = 0x20;
/// PTS, DTS and the PCR's base count 90 kHz in 33 bits (clause 2.4.3.5).
const CLOCK_MODULO: u64 = 1 << 33;
const TICKS_PER_SECOND: f64 = 90_000.0;

pub(crate) fn pid(packet: &[u8]) -> u16 {
    u16::from(packet[1] & 0x1F) << 8 | u16::from(packet[2])
}

pub(crate) fn starts_unit(packet: &[u8]) -> bool {
    packet[1] & 0x40 != 0
}

pub(crate) fn counter(packet: &[u8]) -> u8 {
    packet[3] & 0x0F
}

pub(crate) fn has_payload(packet: &[u8]) -> bool {
    packet[3] & 0x10 != 0
}

/// The adaptation field without its length.
pub(crate) fn adaptation(packet: &[u8]) -> &[u8] {
    let has_field = packet[3] & 0x20 != 0;
    let length = if has_field { usize::from(packet[4]) } else { 0 };
    packet.get(5..5 + length).unwrap_or_default()
}

fn flag(packet: &[u8], bit: u8) -> bool {
    adaptation(packet).first().is_some_and(|flags| flags & bit != 0)
}

pub(crate) fn is_discontinuity(packet: &[u8]) -> bool {
    flag(packet, 0x80)
}

pub(crate) fn is_random_access(packet: &[u8]) -> bool {
    flag(packet, 0x40)
}

/// Where the payload begins; the packet's end without one.
pub(crate) fn payload_at(packet: &[u8]) -> usize {
    match (has_payload(packet), packet[3] & 0x20 != 0) {
        (false, _) => PACKET,
        (true, false) => 4,
        (true, true) => (5 + usize::from(packet[4])).min(PACKET),
    }
}

pub(crate) fn payload(packet: &[u8]) -> &[u8] {
    &packet[payload_at(packet)..]
}

/// The PCR's base in 90 kHz (clause 2.4.3.5).
pub(crate) fn pcr(packet: &[u8]) -> Option<u64> {
    let [flags, a, b, c, d, e, ..] = *adaptation(packet) else {
        return None;
    };
    let base =
        u64::from(a) << 25 | u64::from(b) << 17 | u64::from(c) << 9 | u64::from(d) << 1 | u64::from(e >> 7);
    (flags & 0x10 != 0 && pid(packet) != NULL_PID).then_some(base)
}

/// The same packet without what a repetition may have anew: its PCR (clause 2.4.3.3).
pub(crate) fn without_pcr(packet: &[u8; PACKET]) -> [u8; PACKET] {
    let mut copy = *packet;
    if pcr(packet).is_some() {
        copy[6..12].fill(0);
    }
    copy
}

/// PTS or DTS (clause 2.4.3.6); `None` where a marker bit is not one.
pub(crate) fn stamp(bytes: Option<&[u8]>) -> Option<u64> {
    let [a, b, c, d, e] = *bytes?.as_array::<5>()?;
    let is_marked = a & c & e & 1 == 1;
    is_marked.then_some(
        u64::from(a >> 1 & 0x07) << 30
            | u64::from(b) << 22
            | u64::from(c >> 1) << 15
            | u64::from(d) << 7
            | u64::from(e >> 1),
    )
}

pub(crate) fn forward(from: u64, to: u64) -> u64 {
    to.wrapping_sub(from) % CLOCK_MODULO
}

#[expect(clippy::cast_precision_loss, reason = "33 bits fit a double exactly")]
pub(crate) fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}

pub(crate) fn signed_seconds(from: u64, to: u64) -> f64 {
    let ahead = forward(from, to);
    if ahead < CLOCK_MODULO / 2 {
        seconds(ahead)
    } else {
        -seconds(CLOCK_MODULO - ahead)
    }
}
