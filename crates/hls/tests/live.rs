//! Live playlists of broadcasts of every shape, in virtual time: each version is judged by a reader that shares no code with
//! the writer, and every packet that came is in exactly one segment.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a surprise ends the test"
)]

#[path = "../../mainstem/tests/support/playlist.rs"]
mod playlist;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hls::segment::{Chunk, Form, Live, Numbers, Segment};
use hls::write::Named;
use mpegts::null::NULL_PID;
use mpegts::psi::{Pat, Pmt, PmtStream, packetize};
use mpegts::{PACKET_BYTES, Pid};
use playlist::Watch;

const TICKS: u64 = 90_000;
const VIDEO: Pid = Pid::new(0x100);
const TIME_OF_DAY: Duration = Duration::from_secs(1_800_000_000);

/// Chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.next().is_multiple_of(count)
    }
}

/// Makes packets: pictures that carry a number, with parameter sets of a kind.
#[derive(Default)]
struct Muxer {
    counters: BTreeMap<u16, u8>,
    sent: u64,
}

impl Muxer {
    fn tables(&mut self, stream_type: u8, out: &mut Vec<u8>) {
        let pat = Pat {
            transport_stream_id: 1,
            version: 0,
            programs: vec![(1, Pid::new(0x1000))],
        };
        let pmt = Pmt {
            program_number: 1,
            version: 0,
            pcr_pid: VIDEO,
            descriptors: Vec::new(),
            streams: vec![PmtStream {
                stream_type,
                pid: VIDEO,
                descriptors: Vec::new(),
            }],
        };
        for (pid, section) in [
            (Pid::PAT, pat.write().unwrap()),
            (Pid::new(0x1000), pmt.write().unwrap()),
        ] {
            let counter = self.counters.entry(pid.value()).or_insert(15);
            packetize(&section, pid, counter, out);
        }
    }

    /// A packet that begins a picture, and one that goes on with it.
    fn picture(&mut self, sets: Option<u8>, out: &mut Vec<u8>) {
        self.sent += 1;
        let mut payload = vec![0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0];
        if let Some(kind) = sets {
            payload.extend([
                0, 0, 0, 1, 0x67, 0x42, 0, kind, 0x80, 0, 0, 0, 1, 0x68, kind, 0x80,
            ]);
        }
        payload.extend([0, 0, 1, if sets.is_some() { 0x65 } else { 0x41 }, 0x88]);
        payload.extend(self.sent.to_be_bytes());
        payload.resize(184, 0xEE);
        let rest = [0xEE; 184];
        for (start, payload) in [(0x40, &payload[..]), (0, &rest[..])] {
            let counter = self.counters.entry(VIDEO.value()).or_insert(15);
            *counter = (*counter + 1) & 0x0F;
            out.extend([0x47, start | 1, 0, 0x10 | *counter]);
            out.extend_from_slice(payload);
        }
    }

    fn chunk(&mut self, at: u64, keyframe: Option<u8>, stream_type: u8) -> Chunk {
        let mut out = Vec::new();
        if keyframe.is_some() || self.sent.is_multiple_of(3) {
            self.tables(stream_type, &mut out);
        }
        self.picture(keyframe, &mut out);
        Chunk {
            bytes: Bytes::from(out),
            media_time_90k: at,
            epoch: 0,
            keyframe: keyframe.is_some(),
            discontinuity: false,
            skipped: false,
        }
    }
}

fn name(named: Named<'_>) -> String {
    match named {
        Named::Segment(segment) => format!("{}.ts", segment.sequence),
        Named::Sound(segment, _) => format!("sound-{}.ts", segment.sequence),
        Named::Map(map) => format!("{}.mp4", map.sequence),
    }
}

/// A playlist, who watches it, and what came.
struct Scene {
    live: Live,
    watch: Watch,
    sent: Vec<Bytes>,
    got: BTreeMap<u64, Arc<Segment>>,
    /// When each was listed.
    listed_at: BTreeMap<u64, Duration>,
    now: Duration,
    looks_at: Duration,
}

const FORM: Form = Form {
    target: Duration::from_secs(4),
    span: None,
    bytes: 64 << 20,
};

impl Scene {
    fn new(form: Form) -> Self {
        let numbers = Numbers {
            sequence: 7,
            discontinuity_sequence: 3,
            target_duration: None,
        };
        Self::after(form, numbers, false)
    }

    /// Where another playlist of the channel ended.
    fn after(form: Form, numbers: Numbers, goes_on: bool) -> Self {
        Self {
            live: Live::new(form, numbers, goes_on),
            watch: Watch::default(),
            sent: Vec::new(),
            got: BTreeMap::new(),
            listed_at: BTreeMap::new(),
            now: Duration::ZERO,
            looks_at: Duration::ZERO,
        }
    }

    /// Time passes; what is due is done when it is due.
    fn pass(&mut self, until: Duration) {
        while let Some(due) = self.live.due(self.now).filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.look();
        }
        self.now = until;
    }

    fn push(&mut self, chunk: Chunk) {
        self.live.push(&chunk, TIME_OF_DAY + self.now);
        self.sent.push(chunk.bytes);
    }

    fn look(&mut self) {
        // Without a new version, a look now and then tells whether one is overdue.
        if !self.live.update(self.now, |_| {}) && self.now < self.looks_at {
            return;
        }
        self.looks_at = self.now + Duration::from_millis(500);
        let text = self.live.media(name);
        if text.is_empty() {
            return;
        }
        for fresh in self.watch.see(self.now, &text).unwrap() {
            let segment = self.live.held().find(|held| held.sequence == fresh.sequence);
            self.got.insert(fresh.sequence, segment.unwrap().clone());
            self.listed_at.insert(fresh.sequence, self.now);
        }
        for kept in self.watch.still_there(self.now) {
            let held = self.live.held().find(|held| held.sequence == kept.sequence);
            assert!(held.is_some(), "{} was let go of too early", kept.sequence);
        }
        let listing = self.watch.last().unwrap();
        // VLC takes the end of a playlist that it runs over for the end of the stream.
        let last = listing.entries.last().unwrap();
        assert!(
            last.micros >= 500_000,
            "it ends with {} microseconds",
            last.micros
        );
        // Whoever says so says it of all that will ever be listed.
        assert!(!listing.independent);
    }

    /// Every packet is in one segment, in order; each begins with tables, and with a keyframe where it says so.
    fn judge(&self) -> usize {
        let mut sent = self
            .sent
            .iter()
            .flat_map(|bytes| bytes.as_chunks::<PACKET_BYTES>().0);
        let mut expected = None;
        for segment in self.got.values() {
            assert_eq!(
                expected.replace(segment.sequence + 1).unwrap_or(segment.sequence),
                segment.sequence
            );
            let packets: Vec<_> = segment
                .chunks
                .iter()
                .flat_map(|bytes| bytes.as_chunks::<PACKET_BYTES>().0)
                .collect();
            assert_eq!(packets.len() * PACKET_BYTES, segment.bytes);
            let pid = |packet: &[u8; PACKET_BYTES]| u16::from_be_bytes([packet[1] & 0x1F, packet[2]]);
            assert_eq!((pid(packets[0]), pid(packets[1])), (0, 0x1000), "tables first");
            let idr = packets[2].windows(4).any(|window| window == [0, 0, 1, 0x65]);
            assert_eq!(idr, segment.independent, "segment {}", segment.sequence);
            let mut packets = packets.into_iter().peekable();
            while let Some(packet) = packets.peek() {
                let next = sent.clone().next().unwrap();
                if *packet == next {
                    sent.next();
                } else {
                    assert!(
                        [0, 0x1000, NULL_PID].contains(&pid(packet)),
                        "only tables may be said again"
                    );
                }
                packets.next();
            }
        }
        self.got.len()
    }
}

/// How the keyframes of a source lie.
fn gops(chance: &mut Chance) -> (u64, u64) {
    match chance.next() % 4 {
        0 => (12, 12),
        1 => (48, 50),
        2 => (5, 90),
        _ => (100, 260),
    }
}

#[test]
fn whatever_comes_every_version_is_as_the_standard_says() {
    for seed in 1..25 {
        let mut chance = Chance(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut scene = Scene::new(FORM);
        let mut muxer = Muxer::default();
        let (low, high) = gops(&mut chance);
        let (mut at, mut kind, mut epoch, mut until_key) = (10 * TICKS, 1, 0, 0);
        // A burst at the beginning, as a ring holds one.
        let mut ahead = chance.between(0, 10) * 25;
        for _ in 0..(25 * 300) {
            let mut keyframe = until_key == 0;
            let mut discontinuity = false;
            if chance.one_in(700) {
                // Another source, of another kind or not, after a while of nothing or at once.
                kind = u8::try_from(chance.between(1, 3)).unwrap();
                (keyframe, discontinuity) = (true, true);
                epoch += u32::from(chance.one_in(3));
                let silence = Duration::from_millis(chance.between(0, 5_000));
                scene.pass(scene.now + silence);
            }
            if keyframe {
                until_key = chance.between(low, high);
            }
            until_key -= 1;
            let mut chunk = muxer.chunk(at, keyframe.then_some(kind), 0x1B);
            chunk.discontinuity = discontinuity;
            chunk.epoch = epoch;
            scene.push(chunk);
            at += TICKS / 25;
            if ahead > 0 {
                ahead -= 1;
            } else {
                scene.look();
                scene.pass(scene.now + Duration::from_millis(40));
            }
        }
        let segments = scene.judge();
        assert!(segments > 30, "seed {seed}: {segments}");
    }
}

/// A form of segments, and the numbers that follow from the keyframes seen.
#[test]
fn segments_end_at_the_first_keyframe_past_the_target() {
    for (pictures, target_duration, micros) in [
        (25, 4, 4_000_000),
        (50, 4, 4_000_000),
        (48, 4, 3_840_000),
        (12, 4, 4_320_000),
        (26, 4, 4_160_000),
        (75, 6, 6_000_000),
        (250, 12, 10_000_000),
    ] {
        let mut scene = Scene::new(FORM);
        let mut muxer = Muxer::default();
        for number in 0..25 * 120 {
            let keyframe = (number % pictures == 0).then_some(1);
            scene.push(muxer.chunk((10 * 25 + number) * TICKS / 25, keyframe, 0x1B));
            scene.look();
            // What is listed is no further behind what came than a segment and a GOP.
            let newest = scene.got.values().last().map_or(0, |segment| segment.end_90k);
            let behind = (10 * 25 + number) * TICKS / 25 - newest.max(10 * TICKS);
            assert!(
                behind <= (4 + 2) * TICKS + pictures * TICKS / 25,
                "{behind} ticks behind, GOP of {pictures}"
            );
            scene.pass(scene.now + Duration::from_millis(40));
        }
        scene.judge();
        let listing = scene.watch.last().unwrap();
        assert_eq!(listing.target, target_duration, "GOP of {pictures}");
        let last = listing.entries.last().unwrap();
        assert_eq!(last.micros, micros, "GOP of {pictures}");
        assert!(listing.duration() <= Duration::from_secs(9 * target_duration));
        assert!(listing.duration() >= Duration::from_secs(7 * target_duration));
    }
}

#[test]
fn a_successor_goes_on_with_what_players_know() {
    let mut last: Option<(Numbers, u64)> = None;
    for pictures in [75, 25] {
        let before = last.map(|(numbers, _)| numbers);
        let mut scene = Scene::after(FORM, before.unwrap_or_default(), before.is_some());
        let mut muxer = Muxer::default();
        for number in 0..25 * 60 {
            let keyframe = (number % pictures == 0).then_some(1);
            scene.push(muxer.chunk((10 * 25 + number) * TICKS / 25, keyframe, 0x1B));
            scene.look();
            scene.pass(scene.now + Duration::from_millis(40));
        }
        let first = scene.watch.seen().next().unwrap().clone();
        let target = scene.watch.last().unwrap().target;
        if let Some((numbers, target_before)) = last {
            assert_eq!(first.sequence, numbers.sequence);
            assert!(first.discontinuity);
            assert_eq!(target, target_before);
        }
        last = Some((scene.live.numbers(), target));
    }
}

#[test]
fn a_segment_that_cannot_be_had_is_a_gap() {
    let mut live = Live::new(FORM, Numbers::default(), false);
    let mut muxer = Muxer::default();
    let mut watch = Watch::default();
    for number in 0..25 * 40 {
        let keyframe = (number % 50 == 0).then_some(1);
        live.push(&muxer.chunk(number * TICKS / 25, keyframe, 0x1B), TIME_OF_DAY);
    }
    live.update(Duration::ZERO, |segment| {
        segment.gap = segment.sequence == 3;
        if segment.gap {
            segment.bytes = 0;
        }
    });
    let text = live.media(name);
    watch.see(Duration::ZERO, &text).unwrap();
    for entry in &watch.last().unwrap().entries {
        assert_eq!(entry.gap, entry.sequence == 3, "{text}");
    }
    // What cannot be had has no bit rate.
    let attribute = |name: &str| -> u64 {
        let text = live.multivariant(|_| "uri".to_owned());
        let (_, rest) = text
            .split_once(&format!(":{name}="))
            .or(text.split_once(&format!(",{name}=")))
            .unwrap();
        rest.split([',', '\n']).next().unwrap().parse().unwrap()
    };
    assert!(attribute("AVERAGE-BANDWIDTH") * 11 / 10 > attribute("BANDWIDTH"));
}

#[test]
fn durations_add_up_exactly() {
    let mut scene = Scene::new(FORM);
    let mut muxer = Muxer::default();
    // 30000/1001 pictures a second: no duration is whole in any unit.
    for number in 0..18_000 {
        let keyframe = (number % 60 == 0).then_some(1);
        scene.push(muxer.chunk(number * 3_003, keyframe, 0x1B));
        scene.look();
        scene.pass(scene.now + Duration::from_nanos(33_366_667));
    }
    let sum: u64 = scene.watch.seen().map(|entry| entry.micros).sum();
    let first = scene.got.values().next().unwrap().start_90k;
    let last = scene.got.values().last().unwrap().end_90k;
    let exact = (last - first) * 100 / 9;
    assert!(sum.abs_diff(exact) <= 1, "{sum} is not {exact}");
}

#[test]
fn a_silent_source_is_no_playlist_that_stands_still() {
    let mut scene = Scene::new(FORM);
    let mut muxer = Muxer::default();
    let mut play = |scene: &mut Scene, from: u64, to: u64, kind: u8, epoch: u32| {
        for number in from..to {
            let keyframe = (number == from || number % 50 == 0).then_some(kind);
            let mut chunk = muxer.chunk(number * TICKS / 25, keyframe, 0x1B);
            chunk.discontinuity = number == from && from > 0;
            chunk.epoch = epoch;
            scene.push(chunk);
            scene.look();
            scene.pass(scene.now + Duration::from_millis(40));
        }
    };
    // The slate comes after five seconds, and the source again after thirty.
    play(&mut scene, 0, 25 * 21 + 20, 1, 0);
    let before = scene.now;
    scene.pass(scene.now + Duration::from_secs(5));
    let last = scene.watch.last().unwrap();
    assert_eq!(
        last.entries.last().unwrap().sequence + 1,
        last.sequence + last.entries.len() as u64
    );
    play(&mut scene, 25 * 21 + 20, 25 * 51, 2, 0);
    play(&mut scene, 25 * 51, 25 * 80, 1, 1);
    scene.judge();
    let breaks: Vec<_> = scene
        .got
        .values()
        .filter(|segment| segment.discontinuity)
        .collect();
    assert_eq!(breaks.len(), 2, "the slate, and the source again");
    assert!(breaks.iter().all(|segment| segment.independent));
    let times: Vec<_> = breaks.iter().map(|segment| segment.program_date_time).collect();
    assert!(
        times[0] >= TIME_OF_DAY + before + Duration::from_secs(4),
        "{times:?}"
    );
}

/// What is cut before the next chunk is there ends where that one is expected; it may begin sooner.
#[test]
fn what_comes_sooner_than_expected_behind_a_cut_is_no_segment_of_its_own() {
    let mut scene = Scene::new(FORM);
    let mut muxer = Muxer::default();
    for number in 0..21 * 25 + 20 {
        scene.push(muxer.chunk(number * TICKS / 25, (number % 50 == 0).then_some(1), 0x1B));
        scene.look();
        scene.pass(scene.now + Duration::from_millis(40));
    }
    scene.pass(scene.now + Duration::from_secs(6));
    let cut = scene.got.values().last().unwrap().end_90k;
    scene.push(muxer.chunk(cut - TICKS / 50, None, 0x1B));
    // Until another version is owed.
    while scene.now < scene.listed_at.values().last().copied().unwrap() + Duration::from_secs(7) {
        scene.now += Duration::from_millis(100);
        scene.live.update(scene.now, |_| {});
    }
    assert!(scene.live.held().all(|segment| segment.end_90k <= cut));
}

/// Players stop that run over a file of a few packets at the end of a playlist.
#[test]
fn a_segment_of_few_bytes_is_filled_and_listed_like_any_other() {
    let mut scene = Scene::new(FORM);
    let mut muxer = Muxer::default();
    for number in 0..2 * 120 {
        scene.push(muxer.chunk(number * TICKS / 2, (number % 4 == 0).then_some(1), 0x1B));
        scene.look();
        scene.pass(scene.now + Duration::from_millis(500));
    }
    assert!(scene.judge() > 25);
    for (number, segment) in &scene.got {
        assert_eq!(segment.bytes, 64 * PACKET_BYTES);
        // 2 s long, each is there when the keyframe behind it came.
        let at = Duration::from_micros(segment.end_90k * 100 / 9);
        let late = scene.listed_at[number].saturating_sub(at);
        assert!(late <= Duration::from_secs(1), "{number}: {late:?} late");
    }
}

#[test]
fn behind_a_silence_the_first_segment_comes_soon() {
    for (played, silence, tail) in [
        (21 * 25, 4_000, 3),
        (21 * 25 + 10, 3_000, 3),
        (21 * 25 + 20, 1_500, 0),
        (21 * 25 + 31, 6_000, 3),
        (23 * 25, 3_000, 3),
        (24 * 25 + 20, 3_500, 1),
    ] {
        let mut scene = Scene::new(FORM);
        let mut muxer = Muxer::default();
        for number in 0..played {
            scene.push(muxer.chunk(number * TICKS / 25, (number % 25 == 0).then_some(1), 0x1B));
            scene.look();
            scene.pass(scene.now + Duration::from_millis(40));
        }
        scene.pass(scene.now + Duration::from_millis(silence));
        let (switched, version) = (scene.now, *scene.listed_at.values().last().unwrap());
        // What the splice had not let go of comes with the next source.
        for number in played..played + tail {
            scene.push(muxer.chunk(number * TICKS / 25, None, 0x1B));
        }
        let begins = played + tail;
        for number in begins..begins + 25 * 30 {
            let mut chunk = muxer.chunk(
                number * TICKS / 25,
                ((number - begins) % 25 == 0).then_some(2),
                0x1B,
            );
            chunk.discontinuity = number == begins;
            scene.push(chunk);
            scene.look();
            scene.pass(scene.now + Duration::from_millis(40));
        }
        scene.judge();
        let (number, first) = scene
            .got
            .iter()
            .find(|(_, segment)| segment.discontinuity)
            .unwrap();
        assert!(
            first.independent && first.duration_90k() <= TICKS,
            "{played} {silence}"
        );
        // No new version comes earlier than half a target duration after the one before, which may have listed what was left.
        let left = scene.listed_at[&(number - 1)];
        let version = if left < scene.listed_at[number] {
            left
        } else {
            version
        };
        let soonest = (switched + Duration::from_secs(1)).max(version + Duration::from_millis(2_080));
        let late = scene.listed_at[number].saturating_sub(soonest);
        assert!(
            late <= Duration::from_millis(160),
            "{played} {silence}: {late:?} late"
        );
        // They are short until as much is there as at the beginning, and then as long as ever.
        let mut lengths = scene
            .got
            .range(number..)
            .map(|(_, segment)| segment.duration_90k() / TICKS);
        let first: Vec<u64> = lengths.by_ref().take(7).collect();
        assert_eq!(first, [1, 2, 2, 2, 2, 2, 2], "{played} {silence}");
        assert!(lengths.all(|length| length == 4));
    }
}

/// What is left of a source that died just behind a cut is one segment with the next source, if a decoder goes on there.
#[test]
fn no_segment_is_a_scrap_where_the_next_source_goes_on() {
    let mut scraps = 0;
    for played in 20 * 25..24 * 25_u64 {
        for kind in [1, 2] {
            let mut scene = Scene::new(FORM);
            let mut muxer = Muxer::default();
            for number in 0..played + 25 * 10 {
                let (is_other, since) = match number.checked_sub(played) {
                    Some(since) => (true, since),
                    None => (false, number),
                };
                let keyframe = (since % 25 == 0).then_some(if is_other { kind } else { 1 });
                let mut chunk = muxer.chunk(number * TICKS / 25, keyframe, 0x1B);
                chunk.discontinuity = number == played;
                scene.push(chunk);
                scene.look();
                scene.pass(scene.now + Duration::from_millis(40));
            }
            scene.judge();
            let is_scrap = |segment: &&Arc<Segment>| segment.duration_90k() < TICKS / 2;
            let count = scene.got.values().filter(is_scrap).count();
            assert!(kind == 2 || count == 0, "{played}");
            let breaks = scene.got.values().filter(|segment| segment.discontinuity);
            assert_eq!(breaks.count(), usize::from(kind == 2), "{played}");
            scraps += count;
        }
    }
    assert!(scraps > 5, "another format cannot be joined: {scraps}");
}

#[test]
fn another_source_of_the_same_form_is_no_discontinuity_and_another_format_is_one() {
    for (kind, stream_type, skipped, expected) in [
        (1, 0x1B, false, 0),
        (2, 0x1B, false, 1),
        (1, 0x24, false, 1),
        (1, 0x1B, true, 1),
    ] {
        let mut scene = Scene::new(FORM);
        let mut muxer = Muxer::default();
        for number in 0..25 * 30 {
            let is_other = number >= 25 * 17;
            let keyframe = (number % 50 == 0 || number == 25 * 17).then_some(if is_other { kind } else { 1 });
            let kind_of_stream = if is_other { stream_type } else { 0x1B };
            let mut chunk = muxer.chunk(number * TICKS / 25, keyframe, kind_of_stream);
            chunk.discontinuity = number == 25 * 17;
            chunk.skipped = skipped && number == 25 * 17;
            scene.push(chunk);
            scene.look();
            scene.pass(scene.now + Duration::from_millis(40));
        }
        let breaks = scene.got.values().filter(|segment| segment.discontinuity).count();
        assert_eq!(breaks, expected, "{kind} {stream_type:#x} {skipped}");
        assert!(
            scene.got.values().any(|segment| segment.start_90k == 17 * TICKS),
            "a cut at the splice"
        );
    }
}

#[test]
fn memory_is_bounded_however_fast_a_channel_is() {
    let form = Form {
        bytes: 1 << 20,
        ..FORM
    };
    let mut scene = Scene::new(form);
    let mut muxer = Muxer::default();
    let filling = Bytes::from(muxer.chunk(0, None, 0x1B).bytes.repeat(200));
    for number in 0..25 * 120 {
        let mut chunk = muxer.chunk(number * TICKS / 25, (number % 50 == 0).then_some(1), 0x1B);
        if !chunk.keyframe {
            chunk.bytes = filling.clone();
        }
        scene.live.push(&chunk, TIME_OF_DAY);
        scene.now += Duration::from_millis(40);
        scene.live.update(scene.now, |_| {});
        let held: usize = scene.live.held().map(|segment| segment.bytes).sum();
        assert!(held <= 4 * form.bytes + (16 << 20), "{held}");
    }
    assert!(scene.live.held().count() > 0);
}

/// A flood that never moves on in time is cut like any other.
#[test]
fn a_segment_is_bounded_though_time_stands_still() {
    let mut scene = Scene::new(FORM);
    let mut muxer = Muxer::default();
    let filling = Bytes::from(muxer.chunk(0, None, 0x1B).bytes.repeat(10_000));
    for number in 0..100 {
        let mut chunk = muxer.chunk(10 * TICKS, (number == 0).then_some(1), 0x1B);
        if number > 0 {
            chunk.bytes = filling.clone();
        }
        scene.live.push(&chunk, TIME_OF_DAY);
        scene.now += Duration::from_millis(40);
        scene.live.update(scene.now, |_| {});
    }
    let largest = scene.live.held().map(|segment| segment.bytes).max();
    let largest = largest.expect("it was cut");
    assert!(largest <= (64 << 20) + filling.len(), "{largest}");
}
