//! PAT and PMT: sections put together from packets, their checksum, and what they say.

use std::collections::BTreeMap;

/// Bytes of the longest section (clause 2.4.4.3).
const SECTION_MAX: usize = 1024;

/// A section on its way.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    bytes: Vec<u8>,
    is_open: bool,
}

/// What a packet of a table brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// More is to come.
    Open,
    /// A whole section, its checksum being right.
    Whole(Vec<u8>),
    /// A whole section, its checksum being wrong.
    Broken,
}

impl Gathering {
    /// Takes the payload of one packet.
    pub(crate) fn take(&mut self, payload: &[u8], starts: bool) -> Section {
        let part = if starts {
            let pointer = payload.first().map_or(0, |pointer| usize::from(*pointer));
            self.bytes.clear();
            self.is_open = true;
            payload.get(1 + pointer..).unwrap_or_default()
        } else {
            payload
        };
        if !self.is_open || self.bytes.len() > SECTION_MAX {
            return Section::Open;
        }
        self.bytes.extend_from_slice(part);
        let Some([_, high, low]) = self.bytes.first_chunk::<3>() else {
            return Section::Open;
        };
        let length = 3 + (usize::from(high & 0x0F) << 8 | usize::from(*low));
        let Some(section) = self.bytes.get(..length) else {
            return Section::Open;
        };
        self.is_open = false;
        if crc32(section) == 0 {
            Section::Whole(section.to_vec())
        } else {
            Section::Broken
        }
    }
}

/// CRC-32/MPEG-2 (annex A): 0 over a section with its own.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            let carry = crc & 0x8000_0000 != 0;
            crc << 1 ^ if carry { 0x04C1_1DB7 } else { 0 }
        })
    })
}

/// The PID of the first programme's map (clause 2.4.4.3); number 0 is the network's.
pub(crate) fn map_pid(pat: &[u8]) -> Option<u16> {
    let entries = pat.get(8..pat.len().saturating_sub(4))?;
    let programme = entries
        .chunks_exact(4)
        .find(|entry| entry[0] != 0 || entry[1] != 0)?;
    Some(u16::from(programme[2] & 0x1F) << 8 | u16::from(programme[3]))
}

/// A programme's map (clause 2.4.4.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) version: u8,
    pub(crate) pcr_pid: u16,
    /// stream_type by PID.
    pub(crate) streams: BTreeMap<u16, u8>,
    /// All of it but version and checksum.
    content: Vec<u8>,
}

impl Map {
    pub(crate) fn of(section: &[u8]) -> Option<Self> {
        let version = section.get(5)? >> 1 & 0x1F;
        let pcr_pid = u16::from(section.get(8)? & 0x1F) << 8 | u16::from(*section.get(9)?);
        let skip = usize::from(section.get(10)? & 0x0F) << 8 | usize::from(*section.get(11)?);
        let mut rest = section.get(12 + skip..section.len().checked_sub(4)?)?;
        let mut streams = BTreeMap::new();
        while let [kind, a, b, c, d, ..] = *rest {
            streams.insert(u16::from(a & 0x1F) << 8 | u16::from(b), kind);
            let length = usize::from(c & 0x0F) << 8 | usize::from(d);
            rest = rest.get(5 + length..)?;
        }
        Some(Self {
            version,
            pcr_pid,
            streams,
            content: section.get(8..section.len() - 4)?.to_vec(),
        })
    }

    /// Whether the other says something else under the same version.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        self.version == other.version && self.content != other.content
    }
}
