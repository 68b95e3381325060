//! Programme specific information: sections, PAT and PMT, read and written (2.4.4).
//! Which programme is wanted, and what its streams mean, is decided elsewhere.

use crate::packet::{HEADER_BYTES, PACKET_BYTES, Packet, Pid, SYNC_BYTE};

/// table_id of the programme association section (Table 2-31).
pub const TABLE_PAT: u8 = 0x00;

/// table_id of the programme map section (Table 2-31).
pub const TABLE_PMT: u8 = 0x02;

/// Bytes in the longest section of PAT or PMT: three before the length, and a length of at most 1021 (2.4.4.5).
pub const SECTION_BYTES_MAX: usize = 1024;

/// Bytes of a section before its own fields: table_id to last_section_number (2.4.4.5).
const SECTION_HEAD_BYTES: usize = 8;

/// Bytes of the CRC at the end of a section.
const CRC_BYTES: usize = 4;

/// Why a section is not the table it was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionError {
    /// Shorter than its fields.
    Truncated,
    /// Another table.
    OtherTable,
    /// The CRC does not fit.
    Checksum,
    /// current_next_indicator is 0: not in force yet.
    NotCurrent,
    /// Too much to write into one section.
    TooLong,
}

impl core::fmt::Display for SectionError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the section is shorter than its fields",
            Self::OtherTable => "the section is of another table",
            Self::Checksum => "the section's CRC does not fit",
            Self::NotCurrent => "the section is not in force yet",
            Self::TooLong => "the table does not fit into one section",
        })
    }
}

impl core::error::Error for SectionError {}

/// CRC-32/MPEG-2 (Annex A): polynomial 0x04C11DB7, starts at all ones, no reflection, no final inversion.
/// Over a whole section with its CRC it is 0.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        let index = usize::from((crc >> 24).to_le_bytes()[0] ^ byte);
        (crc << 8) ^ CRC_TABLE.get(index).copied().unwrap_or_default()
    })
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0_u32; 256];
    let mut index = 0;
    let mut byte = 0_u32;
    while index < table.len() {
        let mut crc = byte << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000_0000 != 0 {
                (crc << 1) ^ 0x04C1_1DB7
            } else {
                crc << 1
            };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
        {
            table[index] = crc;
        }
        index += 1;
        byte += 1;
    }
    table
};

/// Puts the sections of one PID together from its packets.
#[derive(Debug, Default)]
pub struct SectionReader {
    section: Vec<u8>,
    open: bool,
    continuity: Option<u8>,
}

impl SectionReader {
    /// Takes the next packet of the PID; every section it completes goes to `section`, unchecked.
    pub fn push(&mut self, packet: &Packet<'_>, mut section: impl FnMut(&[u8])) {
        let Some(payload) = packet.payload() else { return };
        if self.continuity == Some(packet.continuity()) && !packet.unit_start() {
            return; // A duplicate (2.4.3.3).
        }
        if self
            .continuity
            .is_some_and(|last| (last + 1) & 0x0F != packet.continuity())
        {
            self.drop_open();
        }
        self.continuity = Some(packet.continuity());
        if !packet.unit_start() {
            self.extend(payload, &mut section);
            return;
        }
        let Some((pointer, rest)) = payload.split_first() else {
            return;
        };
        let Some((tail, mut fresh)) = rest.split_at_checked(usize::from(*pointer)) else {
            self.drop_open();
            return;
        };
        self.extend(tail, &mut section);
        self.drop_open();
        // Sections may follow each other in one packet; 0xFF where a table_id should be is stuffing (2.4.4).
        while fresh.first().is_some_and(|table| *table != 0xFF) {
            self.open = true;
            let used = self.extend(fresh, &mut section);
            fresh = fresh.get(used..).unwrap_or_default();
            if self.open {
                break;
            }
        }
    }

    fn drop_open(&mut self) {
        self.open = false;
        self.section.clear();
    }

    /// Adds to the open section; returns how many bytes it took.
    fn extend(&mut self, bytes: &[u8], section: &mut impl FnMut(&[u8])) -> usize {
        if !self.open {
            return bytes.len();
        }
        let had = self.section.len();
        self.section.extend_from_slice(bytes);
        let &[_, high, low, ..] = self.section.as_slice() else {
            return bytes.len();
        };
        let whole = 3 + usize::from(u16::from_be_bytes([high & 0x0F, low]));
        if self.section.len() >= whole {
            section(self.section.get(..whole).unwrap_or_default());
            self.drop_open();
            return whole.saturating_sub(had);
        }
        bytes.len()
    }
}

/// A programme association table: which programmes there are (2.4.4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pat {
    /// transport_stream_id.
    pub transport_stream_id: u16,
    /// version_number, 0 to 31.
    pub version: u8,
    /// program_number and the PID of its map; the network PID (program 0) is left out.
    pub programs: Vec<(u16, Pid)>,
}

impl Pat {
    /// Reads a section.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(section: &[u8]) -> Result<Self, SectionError> {
        let head = Head::parse(section, TABLE_PAT)?;
        let entries = head
            .body
            .chunks_exact(4)
            .filter_map(|entry| entry.first_chunk::<4>());
        let programs = entries
            .map(|[a, b, c, d]| {
                (
                    u16::from_be_bytes([*a, *b]),
                    Pid::new(u16::from_be_bytes([*c, *d])),
                )
            })
            .filter(|(number, _)| *number != 0)
            .collect();
        Ok(Self {
            transport_stream_id: head.extension,
            version: head.version,
            programs,
        })
    }

    /// Writes the section.
    ///
    /// # Errors
    /// [`SectionError::TooLong`] with more than 253 programmes.
    pub fn write(&self) -> Result<Vec<u8>, SectionError> {
        let mut body = Vec::with_capacity(self.programs.len() * 4);
        for (number, pid) in &self.programs {
            body.extend(number.to_be_bytes());
            body.extend((0xE000 | pid.value()).to_be_bytes());
        }
        write_section(TABLE_PAT, self.transport_stream_id, self.version, &body)
    }
}

/// One elementary stream of a programme map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PmtStream {
    /// stream_type (Table 2-34).
    pub stream_type: u8,
    /// elementary_PID.
    pub pid: Pid,
    /// The ES_info loop as it stands; read it with [`descriptors`].
    pub descriptors: Vec<u8>,
}

/// A programme map table: the streams of one programme (2.4.4.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pmt {
    /// program_number.
    pub program_number: u16,
    /// version_number, 0 to 31.
    pub version: u8,
    /// PCR_PID; 0x1FFF when there is none.
    pub pcr_pid: Pid,
    /// The program_info loop as it stands.
    pub descriptors: Vec<u8>,
    /// In the order of the table.
    pub streams: Vec<PmtStream>,
}

impl Pmt {
    /// Reads a section.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(section: &[u8]) -> Result<Self, SectionError> {
        let head = Head::parse(section, TABLE_PMT)?;
        let Some(([pcr_high, pcr_low, info_high, info_low], rest)) = head.body.split_first_chunk::<4>()
        else {
            return Err(SectionError::Truncated);
        };
        let (descriptors, mut rest) = rest
            .split_at_checked(length12(*info_high, *info_low))
            .ok_or(SectionError::Truncated)?;
        let mut streams = Vec::new();
        while let Some(([stream_type, pid_high, pid_low, high, low], after)) = rest.split_first_chunk::<5>() {
            let (descriptors, after) = after
                .split_at_checked(length12(*high, *low))
                .ok_or(SectionError::Truncated)?;
            streams.push(PmtStream {
                stream_type: *stream_type,
                pid: Pid::new(u16::from_be_bytes([*pid_high, *pid_low])),
                descriptors: descriptors.to_vec(),
            });
            rest = after;
        }
        Ok(Self {
            program_number: head.extension,
            version: head.version,
            pcr_pid: Pid::new(u16::from_be_bytes([*pcr_high, *pcr_low])),
            descriptors: descriptors.to_vec(),
            streams,
        })
    }

    /// Writes the section.
    ///
    /// # Errors
    /// [`SectionError::TooLong`] when the descriptors do not fit.
    pub fn write(&self) -> Result<Vec<u8>, SectionError> {
        let mut body = Vec::new();
        body.extend((0xE000 | self.pcr_pid.value()).to_be_bytes());
        write_loop(&mut body, &self.descriptors)?;
        for stream in &self.streams {
            body.push(stream.stream_type);
            body.extend((0xE000 | stream.pid.value()).to_be_bytes());
            write_loop(&mut body, &stream.descriptors)?;
        }
        write_section(TABLE_PMT, self.program_number, self.version, &body)
    }
}

/// Walks a descriptor loop: tag and contents of each (2.6). Ends where the loop stops making sense.
pub fn descriptors(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    core::iter::from_fn(move || {
        let ([tag, length], rest) = bytes.split_first_chunk::<2>()?;
        let (contents, rest) = rest.split_at_checked(usize::from(*length))?;
        bytes = rest;
        Some((*tag, contents))
    })
}

/// Appends the packets of one section to `out`. `continuity` is the counter of the last packet of this PID and is
/// moved on.
pub fn packetize(section: &[u8], pid: Pid, continuity: &mut u8, out: &mut Vec<u8>) {
    let mut rest = section;
    let mut first = true;
    while first || !rest.is_empty() {
        *continuity = (*continuity + 1) & 0x0F;
        let [pid_high, pid_low] = pid.value().to_be_bytes();
        out.extend([
            SYNC_BYTE,
            pid_high | if first { 0x40 } else { 0 },
            pid_low,
            0x10 | *continuity,
        ]);
        let mut room = PACKET_BYTES - HEADER_BYTES;
        if first {
            out.push(0); // pointer_field: the section begins at once.
            room -= 1;
        }
        let (now, later) = rest.split_at(room.min(rest.len()));
        out.extend_from_slice(now);
        out.resize(out.len() + room - now.len(), 0xFF);
        rest = later;
        first = false;
    }
}

struct Head<'a> {
    extension: u16,
    version: u8,
    body: &'a [u8],
}

impl<'a> Head<'a> {
    fn parse(section: &'a [u8], table: u8) -> Result<Self, SectionError> {
        let &[table_id, high, low, extension_high, extension_low, version, ..] = section else {
            return Err(SectionError::Truncated);
        };
        if table_id != table || high & 0x80 == 0 {
            return Err(SectionError::OtherTable);
        }
        let section = section
            .get(..3 + length12(high, low))
            .ok_or(SectionError::Truncated)?;
        let body_end = section
            .len()
            .checked_sub(CRC_BYTES)
            .ok_or(SectionError::Truncated)?;
        let body = section
            .get(SECTION_HEAD_BYTES..body_end)
            .ok_or(SectionError::Truncated)?;
        if crc32(section) != 0 {
            return Err(SectionError::Checksum);
        }
        if version & 1 == 0 {
            return Err(SectionError::NotCurrent);
        }
        let extension = u16::from_be_bytes([extension_high, extension_low]);
        Ok(Self {
            extension,
            version: (version >> 1) & 0x1F,
            body,
        })
    }
}

fn length12(high: u8, low: u8) -> usize {
    usize::from(u16::from_be_bytes([high & 0x0F, low]))
}

fn write_loop(body: &mut Vec<u8>, descriptors: &[u8]) -> Result<(), SectionError> {
    let length = u16::try_from(descriptors.len())
        .ok()
        .filter(|length| *length < 0x0400);
    body.extend((0xF000 | length.ok_or(SectionError::TooLong)?).to_be_bytes());
    body.extend_from_slice(descriptors);
    Ok(())
}

fn write_section(table: u8, extension: u16, version: u8, body: &[u8]) -> Result<Vec<u8>, SectionError> {
    let whole = SECTION_HEAD_BYTES + body.len() + CRC_BYTES;
    let length = u16::try_from(whole - 3).map_err(|_| SectionError::TooLong)?;
    if whole > SECTION_BYTES_MAX {
        return Err(SectionError::TooLong);
    }
    let mut section = Vec::with_capacity(whole);
    section.push(table);
    // section_syntax_indicator 1, '0', two reserved bits, length.
    section.extend((0xB000 | length).to_be_bytes());
    section.extend(extension.to_be_bytes());
    // Reserved bits, version, current_next_indicator 1; section_number and last_section_number 0.
    section.extend([0xC1 | ((version & 0x1F) << 1), 0, 0]);
    section.extend_from_slice(body);
    section.extend(crc32(&section).to_be_bytes());
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Xorshift;

    fn pmt(streams: usize) -> Pmt {
        Pmt {
            program_number: 7,
            version: 31,
            pcr_pid: Pid::new(0x101),
            descriptors: vec![5, 4, b'H', b'D', b'M', b'V'],
            streams: (0..streams)
                .map(|number| PmtStream {
                    stream_type: 0x1B,
                    pid: Pid::new(0x100 + u16::try_from(number).unwrap()),
                    descriptors: vec![0x0A, 4, b'e', b'n', b'g', 0],
                })
                .collect(),
        }
    }

    fn read(packets: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = SectionReader::default();
        let mut sections = Vec::new();
        for bytes in packets.chunks_exact(PACKET_BYTES) {
            let packet = Packet::new(bytes.try_into().unwrap()).unwrap();
            reader.push(&packet, |section| sections.push(section.to_vec()));
        }
        sections
    }

    #[test]
    fn checksum_is_the_standards() {
        assert_eq!(
            crc32(b"123456789"),
            0x0376_E6E7,
            "the catalogue's check value of CRC-32/MPEG-2"
        );
    }

    #[test]
    fn tables_survive_the_round_trip() {
        let pat = Pat {
            transport_stream_id: 0xBEEF,
            version: 3,
            programs: vec![(1, Pid::new(0x1000)), (2, Pid::new(0x1FFE))],
        };
        assert_eq!(Pat::parse(&pat.write().unwrap()), Ok(pat));
        for streams in [0, 1, 2, 60] {
            let section = pmt(streams).write().unwrap();
            let mut packets = Vec::new();
            let mut continuity = 14;
            packetize(&section, Pid::new(0x20), &mut continuity, &mut packets);
            packetize(&section, Pid::new(0x20), &mut continuity, &mut packets);
            assert_eq!(packets.len() % PACKET_BYTES, 0);
            assert_eq!(
                read(&packets),
                [section.clone(), section.clone()],
                "{streams} streams"
            );
            assert_eq!(Pmt::parse(&section), Ok(pmt(streams)));
        }
        assert_eq!(pmt(100).write(), Err(SectionError::TooLong));
    }

    #[test]
    fn a_lost_packet_loses_the_section_and_nothing_else() {
        let section = pmt(60).write().unwrap();
        let mut packets = Vec::new();
        let mut continuity = 0;
        packetize(&section, Pid::new(0x20), &mut continuity, &mut packets);
        packets.drain(PACKET_BYTES..2 * PACKET_BYTES);
        packetize(&section, Pid::new(0x20), &mut continuity, &mut packets);
        assert_eq!(read(&packets), [section]);
    }

    #[test]
    fn sections_may_share_a_packet() {
        let (one, two) = (pmt(1).write().unwrap(), pmt(2).write().unwrap());
        let mut packets = Vec::new();
        packetize(
            &[one.clone(), two.clone()].concat(),
            Pid::new(0x20),
            &mut 0,
            &mut packets,
        );
        assert_eq!(read(&packets), [one, two]);
    }

    #[test]
    fn mutations_are_refused_or_the_same() {
        let mut random = Xorshift::new(3);
        let good = pmt(5).write().unwrap();
        for _ in 0..20_000 {
            let mut bad = good.clone();
            let at = random.below(bad.len());
            bad[at] ^= 1 << random.below(8);
            bad.truncate(bad.len() - random.below(2) * random.below(bad.len()));
            assert!(Pmt::parse(&bad).is_err(), "a CRC finds every single flipped bit");
            assert!(Pat::parse(&bad).is_err());
            // Behind a right CRC anything may stand.
            let end = bad.len().saturating_sub(4);
            let crc = crc32(&bad[..end]).to_be_bytes();
            bad.splice(end.., crc);
            if let Ok(pmt) = Pmt::parse(&bad) {
                for stream in &pmt.streams {
                    assert!(descriptors(&stream.descriptors).count() <= stream.descriptors.len());
                }
            }
        }
    }

    #[test]
    fn mangled_packets_never_yield_an_overlong_section() {
        let mut random = Xorshift::new(4);
        for _ in 0..2_000 {
            let mut packets = Vec::new();
            let mut continuity = 0;
            for streams in [3, 60, 1, 20] {
                packetize(
                    &pmt(streams).write().unwrap(),
                    Pid::new(0x20),
                    &mut continuity,
                    &mut packets,
                );
            }
            for _ in 0..random.below(12) {
                let at = random.below(packets.len());
                if !at.is_multiple_of(PACKET_BYTES) && at % PACKET_BYTES != 3 {
                    packets[at] = random.next().to_le_bytes()[0];
                }
            }
            assert!(read(&packets).iter().all(|section| section.len() <= 4098));
        }
    }
}
