//! One transport packet as a checked view (2.4.3.2 to 2.4.3.5). Finding packets in bytes is [`crate::align`]'s.

use crate::clock::Pcr27m;

/// Bytes in a transport packet (2.4.3.1).
pub const PACKET_BYTES: usize = 188;

/// The first byte of every packet (2.4.3.3).
pub const SYNC_BYTE: u8 = 0x47;

/// Bytes before the adaptation field or the payload (2.4.3.2).
pub const HEADER_BYTES: usize = 4;

/// A packet identifier: 13 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(u16);

impl Pid {
    /// The PID of the programme association table (Table 2-3).
    pub const PAT: Self = Self(0);

    /// The low 13 bits of `value`.
    #[must_use]
    pub const fn new(value: u16) -> Self {
        Self(value & 0x1FFF)
    }

    /// 0 to 8191.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }
}

/// A view of one packet whose header and adaptation field have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8; PACKET_BYTES],
    /// Where the payload begins; `PACKET_BYTES` when there is none.
    payload_at: usize,
}

impl<'a> Packet<'a> {
    /// `None` when the sync byte is missing, the adaptation field control is reserved, or the adaptation field
    /// claims more than the packet holds (2.4.3.4, 2.4.3.5).
    #[must_use]
    pub fn new(bytes: &'a [u8; PACKET_BYTES]) -> Option<Self> {
        if bytes[0] != SYNC_BYTE {
            return None;
        }
        let has_field = bytes[3] & 0x20 != 0;
        let has_payload = bytes[3] & 0x10 != 0;
        let field_end = HEADER_BYTES + if has_field { 1 + usize::from(bytes[4]) } else { 0 };
        match (has_field, has_payload) {
            (false, false) => None,
            _ if field_end > PACKET_BYTES => None,
            (_, true) => Some(Self {
                bytes,
                payload_at: field_end,
            }),
            (true, false) => Some(Self {
                bytes,
                payload_at: PACKET_BYTES,
            }),
        }
    }

    /// The packet itself.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8; PACKET_BYTES] {
        self.bytes
    }

    /// transport_error_indicator: somebody before us lost bits of this packet.
    #[must_use]
    pub const fn transport_error(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    /// payload_unit_start_indicator: a PES packet or a section begins here.
    #[must_use]
    pub const fn unit_start(&self) -> bool {
        self.bytes[1] & 0x40 != 0
    }

    /// The packet identifier.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        Pid::new(u16::from_be_bytes([self.bytes[1], self.bytes[2]]))
    }

    /// transport_scrambling_control is not zero: the payload cannot be read.
    #[must_use]
    pub const fn scrambled(&self) -> bool {
        self.bytes[3] & 0xC0 != 0
    }

    /// continuity_counter, 0 to 15.
    #[must_use]
    pub const fn continuity(&self) -> u8 {
        self.bytes[3] & 0x0F
    }

    /// The payload; `None` in a packet that has only an adaptation field.
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        if self.bytes[3] & 0x10 == 0 {
            None
        } else {
            self.bytes.get(self.payload_at..)
        }
    }

    /// The flags byte of the adaptation field, 0 when there is none.
    const fn flags(&self) -> u8 {
        if self.bytes[3] & 0x20 != 0 && self.bytes[4] > 0 {
            self.bytes[5]
        } else {
            0
        }
    }

    /// discontinuity_indicator: the counter, or on the PCR PID the time base, may jump here (2.4.3.5).
    #[must_use]
    pub const fn discontinuity(&self) -> bool {
        self.flags() & 0x80 != 0
    }

    /// random_access_indicator: decoding may start here. Optional, and often missing where it would be true.
    #[must_use]
    pub const fn random_access(&self) -> bool {
        self.flags() & 0x40 != 0
    }

    /// The programme clock reference, when this packet carries one.
    #[must_use]
    pub const fn pcr(&self) -> Option<Pcr27m> {
        let b = self.bytes;
        // Flags (1) and the six bytes of the PCR have to be inside the field.
        if self.flags() & 0x10 == 0 || b[4] < 7 {
            return None;
        }
        let base = ((b[6] as u64) << 25)
            | ((b[7] as u64) << 17)
            | ((b[8] as u64) << 9)
            | ((b[9] as u64) << 1)
            | ((b[10] as u64) >> 7);
        let extension = (((b[10] & 1) as u16) << 8) | b[11] as u16;
        Some(Pcr27m::from_fields(base, extension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(head: &[u8]) -> [u8; PACKET_BYTES] {
        let mut bytes = [0xFF; PACKET_BYTES];
        bytes[..head.len()].copy_from_slice(head);
        bytes
    }

    #[test]
    fn reads_a_payload_packet() {
        let bytes = packet(&[0x47, 0x41, 0x23, 0x1A]);
        let view = Packet::new(&bytes).unwrap();
        assert!(view.unit_start() && !view.transport_error() && !view.scrambled());
        assert_eq!((view.pid().value(), view.continuity()), (0x123, 10));
        assert_eq!(view.payload().unwrap().len(), 184);
        assert!(!view.random_access() && view.pcr().is_none());
    }

    #[test]
    fn reads_an_adaptation_field() {
        let bytes = packet(&[0x47, 0x01, 0x00, 0xB5, 7, 0xD0, 0x80, 0, 0, 0, 0xFF, 0x2B]);
        let view = Packet::new(&bytes).unwrap();
        assert!(view.discontinuity() && view.random_access() && view.scrambled());
        assert_eq!(view.pcr(), Some(Pcr27m::from_fields((1 << 32) | 1, 0x12B)));
        assert_eq!(view.payload().unwrap().len(), 176);
    }

    #[test]
    fn refuses_what_cannot_be_a_packet() {
        assert!(
            Packet::new(&packet(&[0x46, 0, 0, 0x10])).is_none(),
            "no sync byte"
        );
        assert!(
            Packet::new(&packet(&[0x47, 0, 0, 0x00])).is_none(),
            "reserved control"
        );
        assert!(
            Packet::new(&packet(&[0x47, 0, 0, 0x30, 184])).is_none(),
            "field past the end"
        );
        assert!(
            Packet::new(&packet(&[0x47, 0, 0, 0x20, 183, 0]))
                .unwrap()
                .payload()
                .is_none()
        );
        let full = packet(&[0x47, 0, 0, 0x30, 183, 0]);
        assert_eq!(Packet::new(&full).unwrap().payload(), Some(&[][..]));
        assert!(
            Packet::new(&packet(&[0x47, 0, 0, 0x30, 0, 0xFF]))
                .unwrap()
                .pcr()
                .is_none()
        );
        assert!(
            Packet::new(&packet(&[0x47, 0, 0, 0x30, 6, 0x10]))
                .unwrap()
                .pcr()
                .is_none(),
            "PCR cut short"
        );
    }
}
