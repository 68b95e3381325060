//! Reads PES packets back out of the programme that a [`crate::Splicer`] wrote: constant PIDs, whole packets, counters
//! in order. Foreign streams go through a splicer first; none of their faults are looked for here.

use crate::es::Codec;
use crate::packet::{PACKET_BYTES, Packet, Pid};
use crate::pes::PesHeader;
use crate::psi::{Pat, Pmt, SectionReader};

/// Bytes of one PES packet; the splice sends none that are larger.
const PES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Reads the streams of one programme.
#[derive(Debug, Default)]
pub(crate) struct UnitReader {
    map_pid: Option<Pid>,
    map: SectionReader,
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    pid: Pid,
    codec: Codec,
    pes: Vec<u8>,
    random_access: bool,
}

/// A PES packet of the programme.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutgoingUnit<'a> {
    pub(crate) codec: Codec,
    /// No other stream of its kind stands before its stream in the table.
    pub(crate) first_of_kind: bool,
    pub(crate) random_access: bool,
    pub(crate) header: PesHeader,
    pub(crate) es: &'a [u8],
}

impl UnitReader {
    /// Takes whole packets; every PES packet they complete goes to `unit`.
    pub(crate) fn push(&mut self, packets: &[u8], mut unit: impl FnMut(OutgoingUnit<'_>)) {
        for bytes in packets.as_chunks::<PACKET_BYTES>().0 {
            if let Some(packet) = Packet::new(bytes) {
                self.packet(&packet, &mut unit);
            }
        }
    }

    /// Nothing follows: PES packets that end where the next begins are complete.
    pub(crate) fn finish(&mut self, mut unit: impl FnMut(OutgoingUnit<'_>)) {
        for index in 0..self.streams.len() {
            self.close(index, &mut unit);
        }
    }

    fn packet(&mut self, packet: &Packet<'_>, unit: &mut impl FnMut(OutgoingUnit<'_>)) {
        let pid = packet.pid();
        if pid == Pid::PAT {
            // A table of one programme fits into one packet.
            SectionReader::default().push(packet, |section| {
                if let Ok(pat) = Pat::parse(section) {
                    self.map_pid = pat.programs.first().map(|(_, pid)| *pid);
                }
            });
        } else if self.map_pid == Some(pid) {
            self.read_map(packet);
        } else if let Some(index) = self.streams.iter().position(|stream| stream.pid == pid)
            && let Some(payload) = packet.payload()
        {
            if packet.unit_start() {
                self.close(index, unit);
            }
            let Some(stream) = self.streams.get_mut(index) else {
                return;
            };
            if packet.unit_start() {
                stream.pes.clear();
                stream.random_access = packet.random_access();
            } else if stream.pes.is_empty() {
                return; // The begin was not seen.
            }
            if stream.pes.len() < PES_BYTES_MAX {
                stream.pes.extend_from_slice(payload);
            }
            let whole = PesHeader::parse(&stream.pes).and_then(|header| header.packet_bytes);
            if whole.is_some_and(|whole| stream.pes.len() >= whole) {
                self.close(index, unit);
            }
        }
    }

    fn read_map(&mut self, packet: &Packet<'_>) {
        let streams = &mut self.streams;
        self.map.push(packet, |section| {
            let Ok(map) = Pmt::parse(section) else { return };
            let mut old = core::mem::take(streams);
            for listed in map.streams {
                let Some(codec) = Codec::of(listed.stream_type, &listed.descriptors) else {
                    continue;
                };
                let known = old.iter().position(|stream| stream.pid == listed.pid);
                let fresh = || Stream {
                    pid: listed.pid,
                    codec,
                    pes: Vec::new(),
                    random_access: false,
                };
                streams.push(known.map_or_else(fresh, |at| old.swap_remove(at)));
            }
        });
    }

    fn close(&mut self, index: usize, unit: &mut impl FnMut(OutgoingUnit<'_>)) {
        let Some((before, [stream, ..])) = self.streams.split_at_mut_checked(index) else {
            return;
        };
        if let Some(header) = PesHeader::parse(&stream.pes) {
            let end = header.packet_bytes.unwrap_or(stream.pes.len());
            if let Some(es) = stream.pes.get(header.payload_at..end) {
                unit(OutgoingUnit {
                    codec: stream.codec,
                    first_of_kind: before
                        .iter()
                        .all(|other| other.codec.kind() != stream.codec.kind()),
                    random_access: stream.random_access,
                    header,
                    es,
                });
            }
        }
        stream.pes.clear();
    }
}
