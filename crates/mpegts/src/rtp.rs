//! Transport streams in datagrams: bare packets, or in RTP (RFC 3550, with the payload of RFC 2250 clause 2).
//!
//! Datagrams in, in whatever order and from whomever they came; the bytes of one sender's stream out, in order. What is
//! lost stays lost: the packets' own counters tell the splice.

use std::collections::VecDeque;

use crate::packet::{PACKET_BYTES, SYNC_BYTE};

/// Bytes of the fixed header (RFC 3550 clause 5.1).
const HEADER_BYTES: usize = 12;

/// Datagrams that may come before one that is missing until it is lost: some 20 ms of television, a second of radio.
/// Networks turn over neighbours, not more.
pub const REORDERED_MAX: u16 = 16;

/// A step ahead up to which numbers are a loss, and beyond which they are another count (`MAX_DROPOUT`, RFC 3550 A.1).
const DROPOUT_MAX: u16 = 3_000;

/// A step back up to which a datagram is merely late (`MAX_MISORDER`, RFC 3550 A.1).
const MISORDER_MAX: u16 = 100;

/// Datagrams of another sender in a row, with none of ours between them, by which ours is gone.
const STRANGERS_MAX: u32 = 64;

/// From one packet to the next: plain, with a time stamp before each, and with parity behind each.
const STRIDES: [usize; 3] = [PACKET_BYTES, 192, 204];

/// One RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'d> {
    /// What the payload is; 33 for a transport stream (RFC 3551 clause 6), though senders give it dynamic numbers too.
    pub payload_type: u8,
    /// One more than that of the packet before.
    pub sequence: u16,
    /// Who sends (`SSRC`).
    pub source: u32,
    /// Without header, list of contributors, extension and padding.
    pub payload: &'d [u8],
}

impl<'d> Packet<'d> {
    /// Reads one; `None` where the datagram is something else, or one of RTCP (RFC 5761 clause 4).
    #[must_use]
    pub fn parse(datagram: &'d [u8]) -> Option<Self> {
        let (header, rest) = datagram.split_first_chunk::<HEADER_BYTES>()?;
        let [first, second, high, low, _, _, _, _, s0, s1, s2, s3] = *header;
        let payload_type = second & 0x7F;
        if first >> 6 != 2 || (64..96).contains(&payload_type) {
            return None;
        }
        let contributors = usize::from(first & 0x0F) * 4;
        let mut payload = rest.get(contributors..)?;
        if first & 0x10 != 0 {
            let ([_, _, high, low], behind) = payload.split_first_chunk::<4>()?;
            payload = behind.get(usize::from(u16::from_be_bytes([*high, *low])) * 4..)?;
        }
        if first & 0x20 != 0 {
            // The count counts itself.
            let padding = usize::from(*payload.last()?);
            let length = payload.len().checked_sub(padding).filter(|_| padding > 0)?;
            payload = payload.get(..length)?;
        }
        Some(Self {
            payload_type,
            sequence: u16::from_be_bytes([high, low]),
            source: u32::from_be_bytes([s0, s1, s2, s3]),
            payload,
        })
    }

    /// Whether it carries packets of a transport stream, whatever its number says.
    fn is_transport_stream(&self) -> bool {
        STRIDES.iter().any(|stride| begins(self.payload, 0, *stride))
    }
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Came {
    /// What is its turn was written.
    Bytes,
    /// Likewise, and it is the first of another sender: on another time base.
    OtherSender,
}

/// How many datagrams were not what they should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Never came, or too late.
    pub lost: u64,
    /// Came twice, or when they were given up.
    pub late: u64,
    /// Of another sender, or no transport stream.
    pub foreign: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Packets as they are.
    Bare,
    /// In RTP, of this `SSRC`.
    Rtp(u32),
}

/// One sender's stream, out of the datagrams that come. `S` names who sent one: his address.
#[derive(Debug)]
pub struct Receiver<S> {
    sender: Option<(S, Form)>,
    /// Who sends instead of ours, and how many in a row.
    stranger: Option<((S, Form), u32)>,
    queue: Queue,
    foreign: u64,
    payload_type: Option<u8>,
}

impl<S> Default for Receiver<S> {
    fn default() -> Self {
        Self {
            sender: None,
            stranger: None,
            queue: Queue::default(),
            foreign: 0,
            payload_type: None,
        }
    }
}

impl<S: Copy + Eq> Receiver<S> {
    /// Takes a datagram, and writes to `out` what now is its turn.
    ///
    /// Where several send at once, the first one is heard until he is gone. A sender of bare packets may cut them as he
    /// likes, but not the first ones.
    pub fn push(&mut self, from: S, datagram: &[u8], out: &mut Vec<u8>) -> Came {
        let packet = Packet::parse(datagram).filter(Packet::is_transport_stream);
        let is_ours_bare = self.sender == Some((from, Form::Bare));
        let form = match &packet {
            // Bare packets that begin in their middle may look like anything.
            _ if is_ours_bare => Form::Bare,
            Some(packet) => Form::Rtp(packet.source),
            None if has_packets(datagram) => Form::Bare,
            None => {
                self.foreign += 1;
                let other = Packet::parse(datagram).map(|packet| packet.payload_type);
                self.payload_type = other.or(self.payload_type);
                return Came::Bytes;
            }
        };
        let sender = (from, form);
        let is_other = self.sender.is_some_and(|ours| ours != sender);
        if is_other && !self.has_taken_over(sender) {
            self.foreign += 1;
            return Came::Bytes;
        }
        self.stranger = None;
        self.sender = Some(sender);
        if is_other {
            self.queue.begin();
        }
        match packet.filter(|_| form != Form::Bare) {
            Some(packet) => self.queue.push(packet.sequence, packet.payload, out),
            None => out.extend_from_slice(datagram),
        }
        if is_other { Came::OtherSender } else { Came::Bytes }
    }

    fn has_taken_over(&mut self, sender: (S, Form)) -> bool {
        let before = self.stranger.filter(|(stranger, _)| *stranger == sender);
        let count = before.map_or(0, |(_, count)| count) + 1;
        self.stranger = Some((sender, count));
        count > STRANGERS_MAX
    }

    /// What was not as it should be, so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            foreign: self.foreign,
            ..self.queue.counts
        }
    }

    /// The number of what RTP carries in place of a transport stream, where it does.
    #[must_use]
    pub fn other_payload(&self) -> Option<u8> {
        self.payload_type
    }
}

/// Three packets in a row, or what there is of them from the very beginning.
fn has_packets(datagram: &[u8]) -> bool {
    STRIDES.iter().any(|stride| {
        let is_row =
            |at: usize| begins(datagram, at, *stride) && datagram.get(at + 2 * stride) == Some(&SYNC_BYTE);
        begins(datagram, 0, *stride) || (1..*stride).any(is_row)
    })
}

/// A packet, and what there is of the next.
fn begins(bytes: &[u8], at: usize, stride: usize) -> bool {
    let next = bytes.get(at + stride);
    bytes.get(at) == Some(&SYNC_BYTE) && next.is_none_or(|next| *next == SYNC_BYTE)
}

/// The order of the datagrams of one sender.
#[derive(Debug, Default)]
struct Queue {
    /// The number whose turn it is.
    next: Option<u16>,
    /// What came before its turn, from the number behind `next` on.
    early: VecDeque<Option<Vec<u8>>>,
    /// The number that says that a jump was meant, if it is the next to come.
    jumps_to: Option<u16>,
    counts: Counts,
}

impl Queue {
    /// Another sender begins.
    fn begin(&mut self) {
        *self = Self {
            counts: self.counts,
            ..Self::default()
        };
    }

    fn push(&mut self, sequence: u16, payload: &[u8], out: &mut Vec<u8>) {
        let ahead = self.next.map_or(0, |next| sequence.wrapping_sub(next));
        let behind = ahead.wrapping_neg();
        if ahead > DROPOUT_MAX && behind > MISORDER_MAX {
            // Two in a row make a new count (RFC 3550 A.1).
            if self.jumps_to != Some(sequence) {
                self.jumps_to = Some(sequence.wrapping_add(1));
                self.counts.lost += 1;
                return;
            }
            self.give_up_all(out);
            self.next = Some(sequence);
        } else if ahead > DROPOUT_MAX {
            self.counts.late += 1;
            return;
        }
        self.jumps_to = None;
        let next = *self.next.get_or_insert(sequence);
        let mut ahead = sequence.wrapping_sub(next);
        while ahead >= REORDERED_MAX && !self.early.is_empty() {
            self.give_up(out);
            ahead = sequence.wrapping_sub(self.next.unwrap_or(sequence));
        }
        if ahead >= REORDERED_MAX {
            self.counts.lost += u64::from(ahead);
            ahead = 0;
        }
        if ahead == 0 {
            out.extend_from_slice(payload);
            self.next = Some(sequence.wrapping_add(1));
            // The place of the number whose turn is next.
            if let Some(early) = self.early.pop_front() {
                self.deliver(early, out);
            }
            return;
        }
        let place = usize::from(ahead) - 1;
        if self.early.len() <= place {
            self.early.resize(place + 1, None);
        }
        match self.early.get_mut(place) {
            Some(place @ None) => *place = Some(payload.to_vec()),
            _ => self.counts.late += 1,
        }
    }

    /// `first` is what came early of the number whose turn it is: it, and all that follows without a hole.
    fn deliver(&mut self, first: Option<Vec<u8>>, out: &mut Vec<u8>) {
        let mut early = first;
        while let Some(payload) = early {
            out.extend_from_slice(&payload);
            self.next = self.next.map(|next| next.wrapping_add(1));
            match self.early.pop_front() {
                Some(next) => early = next,
                None => return,
            }
        }
        // The hole: what is behind it is counted from it.
    }

    /// The number whose turn it is does not come any more.
    fn give_up(&mut self, out: &mut Vec<u8>) {
        self.counts.lost += 1;
        self.next = self.next.map(|next| next.wrapping_add(1));
        if let Some(early) = self.early.pop_front() {
            self.deliver(early, out);
        }
    }

    fn give_up_all(&mut self, out: &mut Vec<u8>) {
        while !self.early.is_empty() {
            self.give_up(out);
        }
    }
}

#[cfg(test)]
mod tests;
