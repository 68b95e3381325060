//! Transport-stream segments without tables: RFC 8216 §3.2 wants PAT and PMT in each or in EXT-X-MAP, and packagers
//! leave them out all the same.

use mpegts::psi::{Pat, Pmt, SectionReader, packetize};
use mpegts::{Aligner, PACKET_BYTES, Packet, Pid};

/// Packets at the beginning of a segment among which its tables are.
const LOOKED_AT: usize = 32;

/// Remembers the tables of a stream's segments, and gives them to those that come without.
#[derive(Debug, Default)]
pub struct Tables {
    /// Sections as they were last seen.
    pat: Vec<u8>,
    pmt: Option<(Pid, Vec<u8>)>,
}

impl Tables {
    /// Looks at the first bytes of a segment, a few kilobytes where there are as many. Returns the packets to be sent
    /// before them: empty where the segment has its own tables, or none are known.
    pub fn before(&mut self, head: &[u8]) -> Vec<u8> {
        let (mut aligner, mut packets) = (Aligner::new(), Vec::new());
        aligner.push(head, |packet| {
            if packets.len() < LOOKED_AT {
                packets.push(*packet);
            }
        });
        let has_pat = self.read_pat(&packets);
        let has_pmt = self.read_pmt(&packets);
        let mut out = Vec::new();
        let Some((pid, pmt)) = self.pmt.as_ref().filter(|_| !has_pat || !has_pmt) else {
            return out;
        };
        if self.pat.is_empty() {
            // A map that came without its PAT.
            let number = Pmt::parse(pmt).map_or(1, |pmt| pmt.program_number);
            let pat = Pat {
                transport_stream_id: 1,
                version: 0,
                programs: vec![(number, *pid)],
            };
            self.pat = pat.write().unwrap_or_default();
        }
        let (mut continuity, mut of_map) = (0, 0);
        if !has_pat {
            packetize(&self.pat, Pid::PAT, &mut continuity, &mut out);
        }
        if !has_pmt {
            packetize(pmt, *pid, &mut of_map, &mut out);
        }
        out
    }

    fn read_pat(&mut self, packets: &[[u8; PACKET_BYTES]]) -> bool {
        let mut reader = SectionReader::default();
        let mut found = false;
        for packet in packets.iter().filter_map(Packet::new) {
            if packet.pid() == Pid::PAT {
                reader.push(&packet, |section| {
                    if Pat::parse(section).is_ok_and(|pat| !pat.programs.is_empty()) {
                        found = true;
                        section.clone_into(&mut self.pat);
                    }
                });
            }
        }
        found
    }

    /// The map the PAT names; without a PAT any section that is one, which its CRC vouches for.
    fn read_pmt(&mut self, packets: &[[u8; PACKET_BYTES]]) -> bool {
        let named: Vec<Pid> = Pat::parse(&self.pat)
            .map(|pat| pat.programs.into_iter().map(|(_, pid)| pid).collect())
            .unwrap_or_default();
        let mut candidates: Vec<Pid> = Vec::new();
        for packet in packets.iter().filter_map(Packet::new) {
            let pid = packet.pid();
            let may_be = named.is_empty() || named.contains(&pid);
            if may_be && packet.unit_start() && pid != Pid::PAT && !candidates.contains(&pid) {
                candidates.push(pid);
            }
        }
        for pid in candidates {
            let mut reader = SectionReader::default();
            let mut found = None;
            for packet in packets
                .iter()
                .filter_map(Packet::new)
                .filter(|packet| packet.pid() == pid)
            {
                reader.push(&packet, |section| {
                    if Pmt::parse(section).is_ok() {
                        found = Some(section.to_vec());
                    }
                });
            }
            if let Some(section) = found {
                self.pmt = Some((pid, section));
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mpegts::psi::PmtStream;

    const MAP_PID: Pid = Pid::new(0x1000);

    fn packets(pat: bool, pmt: bool) -> Vec<u8> {
        let tables = Pat {
            transport_stream_id: 7,
            version: 0,
            programs: vec![(3, MAP_PID)],
        };
        let map = Pmt {
            program_number: 3,
            version: 0,
            pcr_pid: Pid::new(0x100),
            descriptors: Vec::new(),
            streams: vec![PmtStream {
                stream_type: 0x1B,
                pid: Pid::new(0x100),
                descriptors: Vec::new(),
            }],
        };
        let mut out = Vec::new();
        if pat {
            packetize(&tables.write().unwrap(), Pid::PAT, &mut 15, &mut out);
        }
        if pmt {
            packetize(&map.write().unwrap(), MAP_PID, &mut 15, &mut out);
        }
        for count in 0..10 {
            let mut packet = vec![0x47, 0x41, 0, 0x10 | count];
            packet.extend([0, 0, 1, 0xE0]);
            packet.resize(PACKET_BYTES, 0xFF);
            out.extend(packet);
        }
        out
    }

    #[test]
    fn a_segment_without_tables_gets_those_of_the_one_before() {
        let mut tables = Tables::default();
        assert!(tables.before(&packets(false, false)).is_empty(), "none are known");
        assert!(tables.before(&packets(true, true)).is_empty(), "it has its own");
        let given = tables.before(&packets(false, false));
        assert_eq!(given.len(), 2 * PACKET_BYTES);
        let mut others = Tables::default();
        assert!(others.before(&[given, packets(false, false)].concat()).is_empty());
        assert_eq!(
            tables.before(&packets(true, false)).len(),
            PACKET_BYTES,
            "the map alone"
        );
    }

    #[test]
    fn a_map_without_a_pat_gets_one() {
        let mut tables = Tables::default();
        let given = tables.before(&packets(false, true));
        assert_eq!(given.len(), PACKET_BYTES);
        let mut reader = SectionReader::default();
        let mut programs = Vec::new();
        reader.push(&Packet::new(given.first_chunk().unwrap()).unwrap(), |section| {
            programs = Pat::parse(section).unwrap().programs;
        });
        assert_eq!(programs, [(3, MAP_PID)]);
    }
}
