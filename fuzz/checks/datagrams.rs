//! What the target of datagrams checks of any input. The ordinary tests run the same checks over the corpus.

use mpegts::rtp::{Came, Packet, Receiver};

/// Any bytes as datagrams of three senders. Before each stand who sends it, how long it is, and how often its number is
/// moved on: what chance does not find is a count that goes on.
pub(crate) fn datagrams(input: &[u8]) {
    let mut receiver = Receiver::default();
    let (mut rest, mut given, mut taken) = (input, 0, 0);
    let mut out = Vec::new();
    while let Some(([from, high, low, times], bytes)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]) & 0x07FF).min(bytes.len());
        let (datagram, next) = bytes.split_at(length);
        rest = next;
        let mut datagram = datagram.to_vec();
        for _ in 0..=(times & 0x3F) {
            if let Some(packet) = Packet::parse(&datagram) {
                assert!(packet.payload.len() + 12 <= datagram.len());
                assert!(packet.payload_type < 64 || packet.payload_type >= 96);
            }
            out.clear();
            let came = receiver.push(from % 3, &datagram, &mut out);
            given += datagram.len();
            taken += out.len();
            assert!(taken <= given, "no byte is used twice");
            assert!(
                came == Came::Bytes || !out.is_empty(),
                "another sender brings something"
            );
            if let Some(number) = datagram.get_mut(2..4) {
                let step = 1 + u16::from(times >> 6);
                let moved = u16::from_be_bytes([number[0], number[1]]).wrapping_add(step);
                number.copy_from_slice(&moved.to_be_bytes());
            }
        }
    }
}
