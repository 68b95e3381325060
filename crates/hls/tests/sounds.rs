//! Broadcasts of several sounds: which file of a segment each packet is in, whatever the programme becomes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a surprise ends the test"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hls::segment::{Chunk, Form, Live, Numbers, Rendition, Segment};
use hls::write::Named;
use mpegts::null::NULL_PID;
use mpegts::psi::{Pat, Pmt, PmtStream, packetize};
use mpegts::{PACKET_BYTES, Packet, Pid};

const TICKS: u64 = 90_000;
const VIDEO: Pid = Pid::new(0x100);
const MAP: Pid = Pid::new(0x1000);

/// A sound: its PID, its language, and whether it is AC-3 instead of AAC.
type Sound = (u16, &'static str, bool);

/// Makes packets of one picture and a frame of each sound.
#[derive(Default)]
struct Muxer {
    counters: BTreeMap<u16, u8>,
    is_hevc: bool,
    /// The sound of the first PID is LATM.
    is_latm: bool,
}

const FIRST: u16 = 0x101;

impl Muxer {
    fn chunk(&mut self, at: u64, listed: &[Sound], heard: &[Sound]) -> Chunk {
        let mut out = Vec::new();
        let sounds = listed.iter().map(|(pid, language, ac3)| PmtStream {
            stream_type: match ac3 {
                true => 0x81,
                false if self.is_latm && *pid == FIRST => 0x11,
                false => 0x0F,
            },
            pid: Pid::new(*pid),
            descriptors: [&[0x0A, 4][..], language.as_bytes(), &[0]].concat(),
        });
        let video = PmtStream {
            stream_type: if self.is_hevc { 0x24 } else { 0x1B },
            pid: VIDEO,
            descriptors: Vec::new(),
        };
        let pat = Pat {
            transport_stream_id: 1,
            version: 0,
            programs: vec![(1, MAP)],
        };
        let pmt = Pmt {
            program_number: 1,
            version: 0,
            pcr_pid: VIDEO,
            descriptors: Vec::new(),
            streams: std::iter::once(video).chain(sounds).collect(),
        };
        for (pid, section) in [(Pid::PAT, pat.write().unwrap()), (MAP, pmt.write().unwrap())] {
            let counter = self.counters.entry(pid.value()).or_insert(15);
            packetize(&section, pid, counter, &mut out);
        }
        // Parameter sets of x264.
        let picture = [
            0x00, 0x00, 0x00, 0x01, 0x67, 0x42, 0xC0, 0x28, 0xDA, 0x01, 0xE0, 0x08, 0x9F, 0x97, 0x01, 0x10,
            0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xF1, 0x83, 0x2A, 0x00, 0x00, 0x00,
            0x01, 0x68, 0xCE, 0x3C, 0x80, 0x00, 0x00, 0x01, 0x65, 0x88,
        ];
        self.pes(VIDEO.value(), &picture, &mut out);
        for (pid, _, ac3) in heard {
            let frame: &[u8] = if *ac3 {
                &[0x0B, 0x77, 0, 0, 0x1C, 0x40, 0xE1, 0]
            } else {
                &[0xFF, 0xF1, 0x4C, 0x80, 0x12, 0x1F, 0xFC]
            };
            self.pes(*pid, frame, &mut out);
        }
        Chunk {
            bytes: Bytes::from(out),
            media_time_90k: at,
            epoch: 0,
            keyframe: true,
            discontinuity: false,
            skipped: false,
        }
    }

    fn pes(&mut self, pid: u16, data: &[u8], out: &mut Vec<u8>) {
        let mut payload = vec![0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0];
        payload.extend_from_slice(data);
        let counter = self.counters.entry(pid).or_insert(15);
        *counter = (*counter + 1) & 0x0F;
        let [high, low] = pid.to_be_bytes();
        let mut head = vec![0x47, 0x40 | high, low, 0x10 | *counter];
        if pid == VIDEO.value() {
            head[3] |= 0x20;
            head.extend([7, 0x10, 0, 0, 0, 0, 0x7E, 0]);
        }
        payload.resize(PACKET_BYTES - head.len(), 0xEE);
        out.extend(head);
        out.extend(payload);
    }
}

/// Half a minute of each programme, as sounds that are listed and those that come.
fn play(programmes: &[(&[Sound], &[Sound])]) -> (Live, Vec<Arc<Segment>>) {
    play_of(Muxer::default(), false, programmes)
}

fn play_of(
    mut muxer: Muxer,
    was_mp4: bool,
    programmes: &[(&[Sound], &[Sound])],
) -> (Live, Vec<Arc<Segment>>) {
    let form = Form {
        target: Duration::from_secs(2),
        span: Some(Duration::from_secs(600)),
        bytes: 64 << 20,
    };
    let mut live = Live::new(form, Numbers::default(), was_mp4);
    if was_mp4 {
        live.keep_to_mp4();
    }
    let mut at = 10 * TICKS;
    for (listed, heard) in programmes {
        for _ in 0..60 {
            live.push(
                &muxer.chunk(at, listed, heard),
                Duration::from_secs(1_800_000_000),
            );
            at += TICKS / 2;
        }
    }
    // Segments of few bytes are listed when the playlist would stand still otherwise.
    for seconds in 0..20 {
        live.update(Duration::from_secs(seconds), |_| {});
    }
    let segments = live.held().cloned().collect();
    (live, segments)
}

fn names(live: &Live) -> Vec<String> {
    live.renditions().map(Rendition::name).collect()
}

fn pids(chunks: &[Bytes]) -> Vec<u16> {
    let pids = packets(chunks).map(|packet| packet.pid().value());
    let mut pids: Vec<u16> = pids.filter(|pid| *pid != NULL_PID).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

fn packets(chunks: &[Bytes]) -> impl Iterator<Item = Packet<'_>> {
    let packets = chunks
        .iter()
        .flat_map(|bytes| bytes.as_chunks::<PACKET_BYTES>().0);
    packets.map(|packet| Packet::new(packet).unwrap())
}

/// The counters of one file after the other, of all segments.
fn judge_counters<'a>(files: impl Iterator<Item = &'a [Bytes]>) {
    let mut counters: BTreeMap<u16, u8> = BTreeMap::new();
    for packet in files.flat_map(packets) {
        let (pid, counter) = (packet.pid().value(), packet.continuity());
        if packet.payload().is_some() && pid != NULL_PID {
            let before = counters.insert(pid, counter);
            assert!(
                before.is_none_or(|before| (before + 1) & 0x0F == counter),
                "{pid:#x}"
            );
        }
    }
}

#[test]
fn each_sound_is_in_one_file_and_counters_go_on() {
    let sounds: [Sound; 3] = [(0x101, "deu", false), (0x102, "ENG", true), (0x103, "deu", true)];
    let (live, segments) = play(&[(&sounds, &sounds)]);
    assert_eq!(names(&live), ["audio-eng", "audio-deu"]);
    for segment in &segments {
        assert_eq!(pids(&segment.chunks), [0, 0x100, 0x101, 0x1000]);
        assert_eq!(
            segment.bytes,
            segment.chunks.iter().map(Bytes::len).sum::<usize>()
        );
        assert_eq!(segment.sounds.len(), 2);
        for sound in &segment.sounds {
            assert!(sound.bytes >= 64 * PACKET_BYTES, "{} bytes", sound.bytes);
            // The clock is that of the pictures, which are not there.
            assert_eq!(pids(&sound.chunks), [0, 0x100, 0x1000, 0x1100]);
            let clocks = packets(&sound.chunks).filter(|packet| packet.pid() == VIDEO);
            let clocks: Vec<_> = clocks.collect();
            assert!(
                clocks
                    .iter()
                    .all(|packet| packet.pcr().is_some() && packet.payload().is_none())
            );
            assert!(!clocks.is_empty());
        }
    }
    judge_counters(segments.iter().map(|segment| &segment.chunks[..]));
    for place in 0..2 {
        judge_counters(segments.iter().map(|segment| &segment.sounds[place].chunks[..]));
    }
    // Two of one language have names of their own, and a player chooses one of them.
    let text = live.multivariant(|rendition| rendition.map_or("live".to_owned(), Rendition::name));
    let media: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("#EXT-X-MEDIA"))
        .collect();
    assert_eq!(media.len(), 3, "{text}");
    assert!(
        media.iter().all(|line| line.contains("GROUP-ID=\"audio\",")),
        "{text}"
    );
    let variants: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("#EXT-X-STREAM-INF"))
        .collect();
    assert_eq!(variants.len(), 2, "{text}");
    assert!(
        variants[0].contains("CODECS=\"avc1.42C028,mp4a.40.2,ac-3\",")
            && variants[0].ends_with("AUDIO=\"audio\""),
        "{text}"
    );
    // Who cannot play AC-3 has a variant without.
    assert!(
        variants[1].contains("CODECS=\"avc1.42C028,mp4a.40.2\",") && !variants[1].contains("AUDIO="),
        "{text}"
    );
    assert!(
        media[2].contains("NAME=\"Deutsch (AC-3)\",LANGUAGE=\"de\",CHANNELS=\"6\",URI"),
        "{text}"
    );
}

#[test]
fn a_rendition_is_a_language_wherever_it_stands() {
    let one: [Sound; 2] = [(0x101, "deu", false), (0x102, "eng", false)];
    let other: [Sound; 2] = [(0x102, "eng", false), (0x101, "deu", false)];
    let single: [Sound; 1] = [(0x101, "deu", false)];
    let (live, segments) = play(&[(&one, &one), (&other, &other), (&single, &single), (&one, &[])]);
    assert_eq!(names(&live), ["audio-eng", "audio-deu"]);
    let is_own = |segment: &Segment, place: usize| segment.sounds[place].about.is_some();
    let languages = |segment: &Segment, place: usize| {
        let has = |code: &&str| {
            let mut maps = packets(&segment.sounds[place].chunks).filter(|packet| packet.pid() == MAP);
            maps.any(|packet| packet.bytes().windows(3).any(|three| three == code.as_bytes()))
        };
        ["deu", "eng"].into_iter().filter(has).collect::<Vec<_>>()
    };
    let of = |programme: u64| {
        let at = (10 + 30 * programme + 15) * TICKS;
        segments.iter().find(|segment| segment.start_90k >= at).unwrap()
    };
    assert_eq!(of(0).sounds.len(), 1, "what nobody knows yet has no file");
    assert!(is_own(of(0), 0));
    assert!(is_own(of(1), 1));
    assert!(
        !is_own(of(1), 0),
        "nobody chooses what is the first, and would stand there twice"
    );
    assert_eq!(languages(of(1), 0), ["eng"], "who has chosen it goes on with it");
    assert!(!is_own(of(2), 0) && !is_own(of(2), 1), "there is one sound");
    assert_eq!(
        [0, 1].map(|place| languages(of(2), place)),
        [["deu"], ["deu"]],
        "which stands in"
    );
    assert!(segments.last().unwrap().sounds.iter().all(|sound| sound.gap));
    // A playlist of a rendition begins where it does.
    let first = |place| {
        let text = live.rendition(place, |named| match named {
            Named::Sound(segment, _) => segment.sequence.to_string(),
            _ => String::new(),
        });
        let first = text.split("#EXT-X-MEDIA-SEQUENCE:").nth(1).unwrap();
        first.lines().next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(first(0), segments[0].sequence);
    assert!(first(1) > first(0));
}

#[test]
fn a_language_stands_in_the_menu_once() {
    let one: [Sound; 2] = [(0x101, "deu", false), (0x102, "eng", false)];
    let other: [Sound; 2] = [(0x102, "eng", false), (0x101, "deu", false)];
    for programmes in [vec![&one], vec![&one, &other], vec![&one, &other, &one]] {
        let programmes: Vec<_> = programmes
            .iter()
            .map(|sounds| (&sounds[..], &sounds[..]))
            .collect();
        let (live, _) = play(&programmes);
        let text = live.multivariant(|rendition| rendition.map_or("live".to_owned(), Rendition::name));
        let mut languages: Vec<&str> = text.split("LANGUAGE=\"").skip(1).map(|rest| &rest[..2]).collect();
        languages.sort_unstable();
        assert_eq!(languages, ["de", "en"], "{text}");
    }
}

#[test]
fn a_sound_in_another_codec_is_a_break_for_all() {
    let both: [Sound; 2] = [(0x101, "deu", false), (0x102, "eng", true)];
    let (_, segments) = play(&[(&both, &both), (&both, &both[..1]), (&both, &both)]);
    let breaks: Vec<u64> = segments
        .iter()
        .filter(|segment| segment.discontinuity)
        .map(|segment| segment.discontinuity_sequence)
        .collect();
    assert_eq!(breaks, [1, 2]);
}

/// What is left of a source that died may be so short that a sound of it is not in there: that breaks nothing by itself.
#[test]
fn a_scrap_without_a_sound_is_no_break() {
    let both: [Sound; 2] = [(0x101, "deu", false), (0x102, "eng", true)];
    for (left_of, next, heard, breaks) in [
        (&both[..1], &both[..], &both[..], 0),
        (&both[..1], &both[..1], &both[..1], 1),
        // It would be silent for as long as both last.
        (&both[..], &both[..], &both[..1], 1),
    ] {
        let mut muxer = Muxer::default();
        let form = Form {
            target: Duration::from_secs(2),
            span: Some(Duration::from_secs(600)),
            bytes: 64 << 20,
        };
        let mut live = Live::new(form, Numbers::default(), false);
        let time_of_day = Duration::from_secs(1_800_000_000);
        let died_at = (10 + 30) * TICKS;
        for half in 0..60 {
            live.push(
                &muxer.chunk(10 * TICKS + half * TICKS / 2, &both, &both),
                time_of_day,
            );
        }
        live.push(&muxer.chunk(died_at, &both, left_of), time_of_day);
        for half in 0..60 {
            let at = died_at + TICKS * 36 / 100 + half * TICKS / 2;
            let mut chunk = muxer.chunk(at, next, heard);
            chunk.discontinuity = half == 0;
            live.push(&chunk, time_of_day);
        }
        for seconds in 0..20 {
            live.update(Duration::from_secs(seconds), |_| {});
        }
        let segments: Vec<_> = live.held().collect();
        let left = segments.iter().find(|segment| segment.start_90k == died_at);
        let left = left.unwrap();
        assert!(!left.discontinuity && !left.sounds[0].gap);
        if breaks > 0 {
            assert_eq!(left.duration_90k(), TICKS * 36 / 100);
            let is_there = pids(&left.sounds[0].chunks).contains(&0x1100);
            assert_eq!(is_there, left_of.len() > 1);
        } else {
            assert!(left.duration_90k() > TICKS, "it is one with what follows");
        }
        let count = segments.iter().filter(|segment| segment.discontinuity).count();
        assert_eq!(count, breaks, "{next:?} {heard:?}");
        judge_counters(segments.iter().map(|segment| &segment.sounds[0].chunks[..]));
    }
}

/// Where all are coded alike, whoever plays one plays all.
#[test]
fn sounds_of_one_codec_need_one_variant() {
    let sounds: [Sound; 2] = [(0x101, "deu", false), (0x102, "eng", false)];
    let (live, _) = play(&[(&sounds, &sounds)]);
    let text = live.multivariant(|rendition| rendition.map_or("live".to_owned(), Rendition::name));
    assert_eq!(text.matches("#EXT-X-MEDIA:").count(), 2, "{text}");
    assert_eq!(text.matches("#EXT-X-STREAM-INF:").count(), 1, "{text}");
    assert!(text.contains("CODECS=\"avc1.42C028,mp4a.40.2\","), "{text}");
}

#[test]
fn renditions_are_counted() {
    const LANGUAGES: [&str; 12] = [
        "deu", "eng", "fra", "ita", "spa", "por", "pol", "ces", "hun", "tur", "rus", "ukr",
    ];
    let sounds: Vec<Sound> = (0x101..)
        .zip(LANGUAGES)
        .map(|(pid, language)| (pid, language, false))
        .collect();
    let (live, segments) = play(&[(&sounds, &sounds)]);
    assert_eq!(live.renditions().count(), 8);
    let left = pids(&segments.last().unwrap().chunks);
    assert_eq!(left, [0, 0x100, 0x101, 0x10A, 0x10B, 0x10C, 0x1000]);
}

/// MP4 carries no LATM: the sound that it does carry stays beside the pictures, and there is nothing to choose. It is MP4
/// for HEVC, and where it was MP4 before.
#[test]
fn in_mp4_the_first_sound_is_the_first_that_it_carries() {
    let latm: Sound = (FIRST, "deu", false);
    for (is_hevc, was_mp4) in [(true, false), (false, true)] {
        let muxer = || Muxer {
            is_hevc,
            is_latm: true,
            ..Muxer::default()
        };
        let both = [latm, (0x102, "eng", false)];
        let (live, segments) = play_of(muxer(), was_mp4, &[(&both, &both)]);
        assert_eq!(live.renditions().count(), 0);
        let pids: Vec<u16> = packets(&segments.last().unwrap().chunks)
            .map(|packet| packet.pid().value())
            .collect();
        assert!(pids.contains(&0x102), "it is where the pictures are");
        let three = [latm, (0x102, "eng", false), (0x103, "fra", true)];
        let (live, segments) = play_of(muxer(), was_mp4, &[(&three, &three)]);
        assert_eq!(names(&live), ["audio-fra"]);
        let mut sounds = segments.iter().flat_map(|segment| &segment.sounds);
        assert!(sounds.all(|sound| !sound.gap));
    }
}

/// A playlist counts its segments: one that is missing in a rendition would give each that follows another one's number.
#[test]
fn a_segment_without_tables_is_in_every_rendition() {
    let both: [Sound; 2] = [(0x101, "deu", false), (0x102, "eng", true)];
    let form = Form {
        target: Duration::from_secs(2),
        span: Some(Duration::from_secs(600)),
        bytes: 64 << 20,
    };
    let mut live = Live::new(form, Numbers::default(), false);
    let mut muxer = Muxer::default();
    for second in 0..60_u64 {
        let mut chunk = muxer.chunk((10 + second) * TICKS, &both, &both);
        if (20..40).contains(&second) {
            let packets = chunk.bytes.as_chunks::<PACKET_BYTES>().0.iter();
            let others =
                packets.filter(|packet| ![Pid::PAT, MAP].contains(&Packet::new(packet).unwrap().pid()));
            chunk.bytes = others.flatten().copied().collect();
        }
        live.push(&chunk, Duration::from_secs(1_800_000_000));
        live.update(Duration::from_secs(second), |_| {});
    }
    let segments: Vec<_> = live.held().collect();
    let gaps = segments.iter().filter(|segment| segment.sounds[0].gap).count();
    assert!(segments.iter().all(|segment| segment.sounds.len() == 1));
    assert!((5..segments.len() - 5).contains(&gaps), "{gaps}");
}
