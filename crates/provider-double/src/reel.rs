//! A clip loaded for looping. Packet `n` of the endless stream is a pure function of `n`: the clip's packet with its
//! clocks moved on by whole laps and its continuity counter moved on by what each lap holds. So connections share one
//! copy and can start anywhere. No sockets, no pacing.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clip::{CLIPS, Clip};
use crate::ts::{self, CLOCK_MASK, PACKET, Packet};

/// Laps that lie behind the position at the start, so that a burst or an HLS window has a past to draw on.
pub(crate) const LAPS_BEFORE: u64 = 16;
/// PID that carries the PCR alone in [`Clip::PcrOwnPid`].
const PCR_PID: u16 = 0x1ffe;
/// Radio has no key frames: places to cut are so far apart.
const RADIO_CUT_NANOS: u64 = 500_000_000;

/// One packet of a clip and what the looper must know of it.
struct Cell {
    packet: Packet,
    /// Media time in the lap, from the PCR.
    at_nanos: u64,
    /// Continuity counter in lap 0, counted from 0.
    counter: u8,
    /// Packets with payload of its PID in a lap, modulo 16.
    counter_per_lap: u8,
}

/// A clip ready to loop.
pub(crate) struct Reel {
    cells: Vec<Cell>,
    lap_nanos: u64,
    /// 90 kHz.
    lap_ticks: u64,
    /// PTS or DTS of the first picture (or sound) of lap 0, 90 kHz.
    first_stamp: u64,
    /// Indices of the PAT before each key frame: places to join or to cut at.
    cuts: Vec<usize>,
}

impl Reel {
    /// The clip, loaded once per process.
    pub(crate) fn of(clip: Clip) -> Arc<Self> {
        static REELS: [OnceLock<Arc<Reel>>; CLIPS] = [const { OnceLock::new() }; CLIPS];
        let load = || Arc::new(Self::load(clip));
        REELS
            .get(clip.index())
            .map_or_else(load, |once| once.get_or_init(load).clone())
    }

    /// Packets in a lap.
    pub(crate) fn len(&self) -> u64 {
        self.cells.len() as u64
    }

    pub(crate) fn lap_nanos(&self) -> u64 {
        self.lap_nanos
    }

    pub(crate) fn first_stamp(&self) -> u64 {
        self.first_stamp
    }

    /// Media time of packet `n` since packet 0, nanoseconds.
    pub(crate) fn nanos_at(&self, n: u64) -> u64 {
        let (lap, cell) = self.locate(n);
        lap * self.lap_nanos + cell.map_or(0, |c| c.at_nanos)
    }

    /// The first packet at or after a media time.
    pub(crate) fn index_at(&self, nanos: u64) -> u64 {
        let (lap, rest) = (nanos / self.lap_nanos, nanos % self.lap_nanos);
        lap * self.len() + self.cells.partition_point(|c| c.at_nanos < rest) as u64
    }

    /// The last packet at or before `n` where a picture can begin.
    pub(crate) fn cut_before(&self, n: u64) -> u64 {
        let (lap, rest) = (n / self.len(), n % self.len());
        let at = self.cuts.iter().rev().find(|cut| **cut as u64 <= rest);
        lap * self.len() + at.map_or(0, |cut| *cut as u64)
    }

    /// Indices in a lap where a picture can begin; the first is 0.
    pub(crate) fn cuts(&self) -> &[usize] {
        &self.cuts
    }

    /// Appends packets `from..to`, all clocks moved by `shift` (90 kHz, modulo 2^33).
    pub(crate) fn write(&self, from: u64, to: u64, shift: u64, out: &mut Vec<u8>) {
        for n in from..to {
            let (lap, Some(cell)) = self.locate(n) else {
                continue;
            };
            // Lap LAPS_BEFORE has the clip's own clock: that is where a provider starts.
            let laps = lap.wrapping_sub(LAPS_BEFORE).wrapping_mul(self.lap_ticks);
            let mut packet = cell.packet;
            ts::shift_clocks(&mut packet, shift.wrapping_add(laps) & CLOCK_MASK);
            let counter = u64::from(cell.counter) + lap.wrapping_mul(u64::from(cell.counter_per_lap));
            ts::set_counter(&mut packet, counter);
            out.extend_from_slice(&packet);
        }
    }

    fn locate(&self, n: u64) -> (u64, Option<&Cell>) {
        let index = usize::try_from(n % self.len()).ok();
        (n / self.len(), index.and_then(|i| self.cells.get(i)))
    }

    fn load(clip: Clip) -> Self {
        let facts = clip.facts();
        let (whole, _) = facts.bytes.as_chunks::<PACKET>();
        let mut packets = whole.to_vec();
        let key_frames = key_frames(&packets);
        if facts.no_random_access {
            packets.iter_mut().for_each(ts::clear_random_access);
        }
        let mut kept: Vec<bool> = (0..packets.len()).map(|i| key_frames.contains(&i)).collect();
        if facts.pcr_own_pid {
            (packets, kept) = move_pcr(&packets, &kept);
        }
        let lap_nanos = facts.lap_ms * 1_000_000;
        let times = times(&packets, lap_nanos);
        let mut cuts = cuts(&packets, &kept);
        if cuts.is_empty() {
            cuts = radio_cuts(&times);
        }
        Self {
            first_stamp: packets.iter().find_map(ts::stamp).unwrap_or(0),
            cells: cells(packets, &times),
            lap_nanos,
            lap_ticks: facts.lap_ms * 90,
            cuts,
        }
    }
}

/// The media time at a duration, saturating after 584 years.
pub(crate) fn nanos(media: Duration) -> u64 {
    u64::try_from(media.as_nanos()).unwrap_or(u64::MAX)
}

fn cells(packets: Vec<Packet>, times: &[u64]) -> Vec<Cell> {
    let mut counts: HashMap<u16, u8> = HashMap::new();
    let mut cells: Vec<Cell> = Vec::with_capacity(packets.len());
    for (packet, at_nanos) in packets.into_iter().zip(times) {
        let count = counts.entry(ts::pid(&packet)).or_default();
        // A packet without payload repeats the counter of the one before it (ISO 13818-1, 2.4.3.3).
        let counter = if ts::has_payload(&packet) {
            *count
        } else {
            count.wrapping_sub(1) & 0x0f
        };
        if ts::has_payload(&packet) {
            *count = (*count + 1) & 0x0f;
        }
        cells.push(Cell {
            packet,
            at_nanos: *at_nanos,
            counter,
            counter_per_lap: 0,
        });
    }
    for cell in &mut cells {
        cell.counter_per_lap = counts.get(&ts::pid(&cell.packet)).copied().unwrap_or(0);
    }
    cells
}

/// Indices of packets that begin a random access point; the muxer flags each.
fn key_frames(packets: &[Packet]) -> Vec<usize> {
    let video = ts::video_pid(packets);
    let starts = packets.iter().enumerate();
    starts
        .filter(|(_, p)| Some(ts::pid(p)) == video && ts::is_random_access(p))
        .map(|(i, _)| i)
        .collect()
}

/// For each key frame, the start of the run of PSI packets right before it.
fn cuts(packets: &[Packet], key_frame: &[bool]) -> Vec<usize> {
    let mut cuts = Vec::new();
    let mut table_run = None;
    let mut previous_cut = None;
    for (i, (packet, key)) in packets.iter().zip(key_frame).enumerate() {
        if *key {
            let cut = table_run.unwrap_or(i);
            if previous_cut != Some(cut) {
                // The first lap's first packets belong to its first key frame whatever they are.
                cuts.push(if cuts.is_empty() { 0 } else { cut });
                previous_cut = Some(cut);
            }
        }
        table_run = match (ts::is_table(packet) || ts::pid(packet) == PCR_PID, table_run) {
            (true, None) => Some(i),
            (true, run) => run,
            (false, _) => None,
        };
    }
    cuts
}

fn radio_cuts(times: &[u64]) -> Vec<usize> {
    let mut cuts: Vec<usize> = Vec::new();
    let mut next = 0;
    for (i, at) in times.iter().enumerate() {
        if *at >= next || i == 0 {
            cuts.push(i);
            next = at + RADIO_CUT_NANOS;
        }
    }
    cuts
}

/// Media time of each packet: the PCR's, and in between by position.
fn times(packets: &[Packet], lap_nanos: u64) -> Vec<u64> {
    let pcrs: Vec<(usize, u64)> = packets
        .iter()
        .enumerate()
        .filter_map(|(i, p)| ts::pcr_base(p).map(|pcr| (i, pcr)))
        .collect();
    let first = pcrs.first().map_or(0, |(_, pcr)| *pcr);
    let mut marks = vec![(0_usize, 0_u64)];
    marks.extend(
        pcrs.iter()
            .map(|(i, pcr)| (*i, (pcr.wrapping_sub(first) & CLOCK_MASK) * 100_000 / 9)),
    );
    marks.push((packets.len(), lap_nanos));
    let mut times = Vec::with_capacity(packets.len());
    for pair in marks.windows(2) {
        let [(from, t0), (to, t1)] = pair else { continue };
        let count = (to - from) as u64;
        let span = t1.saturating_sub(*t0);
        times.extend((0..count).map(|k| t0 + span * k / count));
    }
    times
}

/// Takes the PCR off every packet, puts it into packets of its own before them, and says so in the PMT.
fn move_pcr(packets: &[Packet], marks: &[bool]) -> (Vec<Packet>, Vec<bool>) {
    let pmt_pid = ts::pmt_pid(packets);
    let mut out = Vec::new();
    let mut kept = Vec::new();
    for (packet, mark) in packets.iter().zip(marks) {
        let mut packet = *packet;
        if let Some(pcr) = ts::take_pcr(&mut packet) {
            out.push(ts::pcr_packet(PCR_PID, pcr));
            kept.push(false);
        }
        if Some(ts::pid(&packet)) == pmt_pid {
            ts::set_pcr_pid(&mut packet, PCR_PID);
        }
        out.push(packet);
        kept.push(*mark);
    }
    (out, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lap(reel: &Reel, lap: u64) -> Vec<u8> {
        let mut out = Vec::new();
        reel.write(lap * reel.len(), (lap + 1) * reel.len(), 0, &mut out);
        out
    }

    #[test]
    fn every_clip_has_tables_times_and_cuts() {
        for clip in Clip::ALL.iter().chain([&Clip::Black, &Clip::Limit]) {
            let reel = Reel::of(*clip);
            assert!(reel.len() > 100, "{clip:?}");
            assert_eq!(reel.cuts().first(), Some(&0), "{clip:?}");
            let least = if *clip == Clip::H264LongGop { 1 } else { 2 };
            assert!(reel.cuts().len() >= least, "{clip:?}: {:?}", reel.cuts());
            let times: Vec<u64> = (0..3 * reel.len()).map(|n| reel.nanos_at(n)).collect();
            assert!(times.is_sorted(), "{clip:?}");
            assert!(clip.facts().bytes.len() <= 250_000, "{clip:?}");
            for n in [0, 5, reel.len(), 2 * reel.len() + 17] {
                assert!(reel.index_at(reel.nanos_at(n)) <= n, "{clip:?} {n}");
            }
        }
    }

    #[test]
    fn counters_and_pcr_go_on_from_lap_to_lap() {
        for clip in Clip::ALL {
            let reel = Reel::of(*clip);
            let mut counters: HashMap<u16, u8> = HashMap::new();
            let mut last_pcr: Option<u64> = None;
            for n in 14..19 {
                for packet in lap(&reel, n).as_chunks::<PACKET>().0 {
                    let counter = packet[3] & 0x0f;
                    if ts::has_payload(packet) {
                        let before = counters.insert(ts::pid(packet), counter);
                        assert!(before.is_none_or(|b| (b + 1) & 0x0f == counter), "{clip:?}");
                    }
                    let Some(pcr) = ts::pcr_base(packet) else { continue };
                    let step = last_pcr.map_or(1, |last| pcr.wrapping_sub(last) & CLOCK_MASK);
                    // ffmpeg writes the PCR of radio where a PES packet begins, however seldom that is.
                    let most = if clip == &Clip::RadioGrouped {
                        36_000
                    } else {
                        9_000
                    };
                    assert!((1..=most).contains(&step), "{clip:?}: PCR step of {step}/90000 s");
                    last_pcr = Some(pcr);
                }
            }
        }
    }

    #[test]
    fn oddities_are_where_they_are_promised() {
        let flagged = |clip| {
            let bytes = lap(&Reel::of(clip), 0);
            bytes
                .as_chunks::<PACKET>()
                .0
                .iter()
                .filter(|p| ts::is_random_access(p))
                .count()
        };
        assert!(flagged(Clip::H264Closed) > 0);
        assert_eq!(flagged(Clip::NoRandomAccess), 0);
        let bytes = lap(&Reel::of(Clip::PcrOwnPid), 0);
        let with_pcr = bytes
            .as_chunks::<PACKET>()
            .0
            .iter()
            .filter(|p| ts::pcr_base(p).is_some());
        assert!(with_pcr.clone().count() > 100 && with_pcr.clone().all(|p| ts::pid(p) == PCR_PID));
        let wraps = lap(&Reel::of(Clip::H264OpenWrap), LAPS_BEFORE);
        let pcrs: Vec<u64> = wraps
            .as_chunks::<PACKET>()
            .0
            .iter()
            .filter_map(ts::pcr_base)
            .collect();
        assert!(!pcrs.is_sorted(), "clip B wraps in lap 0");
    }
}
