//! A reader of transport streams for tests, written without a look at `mpegts`: it accepts what ISO 13818-1 allows and
//! this program promises, and names everything else. `tests/reader.rs` shows it broken files.
//!
//! `problem` says what can be wrong and where the bounds come from.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "each test uses a part of it; a surprise ends the test"
)]

mod entry;
mod packet;
mod problem;
mod reader;
mod tables;

use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use self::entry::is_video;
pub(crate) use self::packet::{
    NULL_PID, PACKET, adaptation, counter, has_payload, is_random_access, payload, payload_at, pcr, pid,
    starts_unit,
};
use self::packet::{forward, seconds};
pub(crate) use self::problem::{Kind, Problem};
use self::reader::Reader;
pub(crate) use self::tables::crc32;

/// What a stream holds, and everything that is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Whole packets.
    pub(crate) packets: usize,
    /// Null packets among them.
    pub(crate) nulls: usize,
    /// Bytes after the last whole packet: what a viewer who leaves has of the next.
    pub(crate) tail: usize,
    /// Elementary streams by PID that any PMT listed: stream_type.
    pub(crate) streams: BTreeMap<u16, u8>,
    /// PES packets by PID.
    pub(crate) units: BTreeMap<u16, usize>,
    /// Versions of the PMT, in order of their appearance.
    pub(crate) pmt_versions: Vec<u8>,
    /// PCR_PID of each PMT version.
    pub(crate) pcr_pids: Vec<u16>,
    /// From the first to the last PCR.
    pub(crate) media: Duration,
    /// Largest step from one PCR to the next, in seconds.
    pub(crate) largest_clock_gap: f64,
    /// Largest step from one PTS of video to the next larger one, in seconds.
    pub(crate) largest_step: f64,
    /// PTS of the last unit by PID, from the first PTS of the stream, in seconds.
    pub(crate) last_shown: BTreeMap<u16, f64>,
    /// Everything a strict player would complain about.
    pub(crate) problems: Vec<Problem>,
}

impl Report {
    /// Reads a stream.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut reader = Reader::default();
        let mut rest = bytes;
        while let Some((packet, after)) = rest.split_first_chunk::<PACKET>() {
            rest = if packet[0] == packet::SYNC {
                reader.packet(packet);
                after
            } else {
                reader.lost_alignment();
                realign(rest)
            };
        }
        reader.finish(rest.len())
    }

    /// Video PES packets: pictures.
    pub(crate) fn pictures(&self) -> usize {
        self.units_of(is_video)
    }

    /// Audio PES packets.
    pub(crate) fn sounds(&self) -> usize {
        self.units_of(|kind| !is_video(kind))
    }

    fn units_of(&self, wanted: impl Fn(u8) -> bool) -> usize {
        let count = |pid: &u16| self.units.get(pid).copied().unwrap_or(0);
        self.streams
            .iter()
            .filter(|(_, kind)| wanted(**kind))
            .map(|(pid, _)| count(pid))
            .sum()
    }

    /// What kinds of things are wrong.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.problems.iter().map(|problem| problem.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// Everything that is wrong, as text; empty is good.
    pub(crate) fn complaints(&self) -> String {
        let shown: Vec<String> = self.problems.iter().take(20).map(ToString::to_string).collect();
        let count = self.problems.len();
        match count {
            0 => String::new(),
            _ => format!(
                "{count} problems in {} packets:\n{}",
                self.packets,
                shown.join("\n")
            ),
        }
    }

    /// Fails the test with everything that is wrong.
    #[track_caller]
    pub(crate) fn assert_clean(&self, whose: &str) {
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "{whose}: {complaints}");
    }
}

/// What follows the next place at which three packets in a row begin.
fn realign(bytes: &[u8]) -> &[u8] {
    let begins = |at: &usize| {
        (0..3)
            .map(|n| at + n * PACKET)
            .all(|at| bytes.get(at).is_none_or(|b| *b == packet::SYNC))
    };
    let next = (1..bytes.len()).find(begins).unwrap_or(bytes.len());
    &bytes[next..]
}

/// What came, without the picture and the sound at its end that a viewer who leaves has only a part of.
pub(crate) fn whole_units(bytes: &[u8]) -> Vec<u8> {
    let (packets, _) = bytes.as_chunks::<PACKET>();
    let mut last_start = BTreeMap::new();
    for (number, packet) in packets.iter().enumerate() {
        if starts_unit(packet) {
            last_start.insert(pid(packet), number);
        }
    }
    let streams = Report::of(bytes).streams;
    let is_whole = |(number, packet): &(usize, &[u8; PACKET])| {
        let pid = pid(*packet);
        !streams.contains_key(&pid) || last_start.get(&pid).is_some_and(|last| number < last)
    };
    let whole = packets.iter().enumerate().filter(is_whole);
    whole.flat_map(|(_, packet)| *packet).collect()
}

/// The packets from which on another version of the PMT holds: each is that of the PAT before it.
pub(crate) fn changes_of_pmt(bytes: &[u8]) -> Vec<usize> {
    let (packets, _) = bytes.as_chunks::<PACKET>();
    let (mut pat, mut pmt_pid, mut version, mut changes) = (0, None, None, Vec::new());
    for (number, packet) in packets
        .iter()
        .enumerate()
        .filter(|(_, packet)| starts_unit(*packet))
    {
        let section = payload(packet).get(1..).unwrap_or_default();
        if pid(packet) == 0 {
            pat = number;
            pmt_pid = section
                .get(10..12)
                .map(|p| u16::from(p[0] & 0x1F) << 8 | u16::from(p[1]));
        } else if Some(pid(packet)) == pmt_pid {
            let now = section.get(5).map(|byte| byte >> 1 & 0x1F);
            if version.is_some() && version != now {
                changes.push(pat);
            }
            version = now;
        }
    }
    changes
}

/// Media time seen, read on from where the last look ended.
#[derive(Debug, Default)]
pub(crate) struct MediaMeter {
    at: usize,
    pcr: Option<u64>,
    ticks: u64,
}

impl MediaMeter {
    /// Media time from the first to the last PCR of what was seen; `bytes` is all of it.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Duration {
        while let Some(packet) = bytes.get(self.at..self.at + PACKET) {
            self.at += PACKET;
            let Some(now) = pcr(packet) else { continue };
            if let Some(before) = self.pcr {
                self.ticks += forward(before, now);
            }
            self.pcr = Some(now);
        }
        Duration::from_secs_f64(seconds(self.ticks))
    }
}
