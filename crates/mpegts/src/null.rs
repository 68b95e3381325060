//! Null packets (2.4.3.3, Table 2-3): what keeps a connection busy without meaning anything to a decoder.

use crate::packet::PACKET_BYTES;

/// The PID of packets without meaning.
pub const NULL_PID: u16 = 0x1FFF;

/// One null packet. Its continuity counter has no rule (2.4.3.3) and stays 0.
pub const NULL_PACKET: [u8; PACKET_BYTES] = {
    let mut packet = [0xFF; PACKET_BYTES];
    packet[0] = 0x47;
    packet[1] = 0x1F;
    packet[3] = 0x10;
    packet
};

/// Appends `count` null packets to `out`.
pub fn write(out: &mut Vec<u8>, count: usize) {
    out.reserve(count.saturating_mul(PACKET_BYTES));
    for _ in 0..count {
        out.extend_from_slice(&NULL_PACKET);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Packet;

    #[test]
    fn null_packets_are_whole_and_on_the_null_pid() {
        let mut out = Vec::new();
        write(&mut out, 3);
        assert_eq!(out.len(), 3 * PACKET_BYTES);
        for bytes in out.chunks(PACKET_BYTES) {
            let packet = Packet::new(bytes.try_into().unwrap()).unwrap();
            assert_eq!(packet.pid().value(), NULL_PID);
            assert_eq!(packet.payload().unwrap().len(), 184);
        }
    }
}
