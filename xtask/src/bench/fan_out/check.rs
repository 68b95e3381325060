//! What a viewer gets, read: the response head, its framing, and the transport packets, as far as to find the first
//! keyframe and faults of continuity.

use std::collections::HashMap;

/// Bytes of a packet (ISO 13818-1 clause 2.4.3.2).
const PACKET: usize = 188;
const SYNC: u8 = 0x47;
const NULL_PID: u16 = 0x1FFF;

/// Ticks of the 90 kHz part of a PCR between which a clock has jumped: 1 s, ten times what clause 2.7.2 allows.
const PCR_STEP_MAX: u64 = 90_000;

/// The PCR's 90 kHz part counts up to 2³³ (clause 2.4.3.5).
const PCR_WRAP: u64 = 1 << 33;

/// The body of one response, from its head on.
#[derive(Debug, Default)]
pub(super) struct Body {
    head: Vec<u8>,
    frame: Frame,
    packets: Packets,
    pub(super) refused: bool,
}

#[derive(Debug, Default)]
enum Frame {
    /// The head is not over.
    #[default]
    Head,
    /// Up to the end of the connection.
    Plain,
    /// In the size line of a chunk (RFC 9112 clause 7.1).
    Size(usize),
    /// So many bytes of the chunk are left, and the line's end behind it.
    Chunk(usize),
}

impl Body {
    /// Takes what was received.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.step(bytes);
        }
    }

    fn step<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        match self.frame {
            Frame::Head => {
                let before = self.head.len();
                self.head.extend_from_slice(bytes);
                let Some(end) = find(&self.head, b"\r\n\r\n") else {
                    return &[];
                };
                let used = end + 4 - before;
                self.head.truncate(end);
                let head = String::from_utf8_lossy(&self.head).to_ascii_lowercase();
                self.refused = !head.lines().next().unwrap_or_default().contains(" 200 ");
                self.frame = if head.contains("transfer-encoding: chunked") {
                    Frame::Size(0)
                } else {
                    Frame::Plain
                };
                self.head = Vec::new();
                &bytes[used..]
            }
            Frame::Plain => {
                self.packets.push(bytes);
                &[]
            }
            Frame::Size(size) => {
                let (first, rest) = (bytes[0], &bytes[1..]);
                self.frame = match char::from(first).to_digit(16) {
                    Some(digit) => Frame::Size(size * 16 + digit as usize),
                    None if first == b'\n' && size > 0 => Frame::Chunk(size),
                    None => Frame::Size(size),
                };
                rest
            }
            Frame::Chunk(left) => {
                let (now, rest) = bytes.split_at(left.min(bytes.len()));
                self.packets.push(now);
                self.frame = match left - now.len() {
                    0 => Frame::Size(0),
                    left => Frame::Chunk(left),
                };
                rest
            }
        }
    }

    /// Whether a packet came that a decoder can start at.
    pub(super) fn has_keyframe(&self) -> bool {
        self.packets.keyframe
    }

    /// Packets out of order, clocks that step back or jump, bytes that are no packets.
    pub(super) fn faults(&self) -> u64 {
        self.packets.faults
    }
}

#[derive(Debug, Default)]
struct Packets {
    part: Vec<u8>,
    synced: bool,
    keyframe: bool,
    faults: u64,
    counters: HashMap<u16, u8>,
    clocks: HashMap<u16, u64>,
}

impl Packets {
    fn push(&mut self, bytes: &[u8]) {
        if self.part.is_empty() && self.synced {
            let (packets, rest) = bytes.as_chunks::<PACKET>();
            packets.iter().for_each(|packet| self.packet(packet));
            self.part.extend_from_slice(rest);
            return;
        }
        self.part.extend_from_slice(bytes);
        let part = std::mem::take(&mut self.part);
        let mut from = 0;
        if !self.synced {
            // A stream that is entered anywhere: two beginnings of packets tell where they are.
            let starts = |at: usize| part.get(at) == Some(&SYNC) && part.get(at + PACKET) == Some(&SYNC);
            match (0..part.len().saturating_sub(PACKET)).find(|at| starts(*at)) {
                Some(at) => from = at,
                None => {
                    self.part = part;
                    return;
                }
            }
            self.synced = true;
        }
        let (packets, rest) = part[from..].as_chunks::<PACKET>();
        packets.iter().for_each(|packet| self.packet(packet));
        self.part.extend_from_slice(rest);
    }

    fn packet(&mut self, packet: &[u8; PACKET]) {
        if packet[0] != SYNC {
            self.faults += 1;
            return;
        }
        let pid = u16::from(packet[1] & 0x1F) << 8 | u16::from(packet[2]);
        if pid == NULL_PID {
            return;
        }
        let has_payload = packet[3] & 0x10 != 0;
        let flags = (packet[3] & 0x20 != 0 && packet[4] > 0).then_some(packet[5]);
        let discontinuous = flags.is_some_and(|flags| flags & 0x80 != 0);
        // A table's packets carry no such flag; a picture's do.
        self.keyframe |= flags.is_some_and(|flags| flags & 0x40 != 0);
        let counter = packet[3] & 0x0F;
        if let Some(last) = self.counters.insert(pid, counter) {
            let expected = if has_payload { (last + 1) & 0x0F } else { last };
            if counter != expected && !discontinuous {
                self.faults += 1;
            }
        }
        if flags.is_some_and(|flags| flags & 0x10 != 0) {
            let base = packet[6..11]
                .iter()
                .fold(0, |base, byte| base << 8 | u64::from(*byte))
                >> 7;
            if let Some(last) = self.clocks.insert(pid, base)
                && !discontinuous
                && (base + PCR_WRAP - last) % PCR_WRAP > PCR_STEP_MAX
            {
                self.faults += 1;
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(counter: u8, flags: u8, pcr: u64) -> [u8; PACKET] {
        let mut packet = [0xFF; PACKET];
        packet[..6].copy_from_slice(&[SYNC, 0x41, 0x00, 0x30 | counter, 7, flags]);
        packet[6..11].copy_from_slice(&(pcr << 7).to_be_bytes()[3..]);
        packet
    }

    fn read(head: &str, pieces: &[&[u8]]) -> Body {
        let mut body = Body::default();
        body.push(head.as_bytes());
        pieces.iter().for_each(|piece| body.push(piece));
        body
    }

    const PLAIN: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

    #[test]
    fn faults_and_keyframes_are_seen_whole_or_in_pieces() {
        let clean = [packet(15, 0x50, 9_000), packet(0, 0x10, 12_000)].concat();
        let lost = [packet(3, 0x10, 9_000), packet(5, 0x10, 12_000)].concat();
        let back = [packet(3, 0x10, 12_000), packet(4, 0x10, 9_000)].concat();
        let told = [packet(3, 0x10, 12_000), packet(9, 0x90, 9_000)].concat();
        for (bytes, keyframe, faults) in [
            (clean, true, 0),
            (lost, false, 1),
            (back, false, 1),
            (told, false, 0),
        ] {
            let whole = read(PLAIN, &[&bytes]);
            assert_eq!((whole.has_keyframe(), whole.faults()), (keyframe, faults));
            let pieces: Vec<&[u8]> = bytes.chunks(7).collect();
            let pieces = read(PLAIN, &pieces);
            assert_eq!((pieces.has_keyframe(), pieces.faults()), (keyframe, faults));
        }
    }

    #[test]
    fn framing_is_taken_off() {
        let packet = [packet(1, 0x50, 1), packet(2, 0, 0)].concat();
        let (first, second) = packet.split_at(100);
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n";
        let body = read(head, &[first, b"\r\n11", b"4\r\n", second, b"\r\n"]);
        assert_eq!(
            (body.has_keyframe(), body.faults(), body.refused),
            (true, 0, false)
        );
        assert!(read("HTTP/1.1 503 Busy\r\n\r\n", &[]).refused);
    }
}
