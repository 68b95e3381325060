//! What the tests of the splice stand on: recordings made with ffmpeg, and a judge of what comes out.
//! The judge reads packets by itself, so that a mistake in the splice's own reading cannot hide.

use mpegts::pes::PesHeader;
use mpegts::psi::{Pat, Pmt, SectionReader};
use mpegts::{Codec, PACKET_BYTES, Packet, Pid, Piece, Splicer, es};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether ffmpeg and ffprobe are there. Without them a test is skipped, unless MAINSTEM_REQUIRE_TOOLS is set.
pub(crate) fn tools() -> bool {
    let there = ["ffmpeg", "ffprobe"]
        .iter()
        .all(|tool| Command::new(tool).arg("-version").output().is_ok());
    assert!(
        there || std::env::var_os("MAINSTEM_REQUIRE_TOOLS").is_none(),
        "ffmpeg and ffprobe are required here and not found"
    );
    if !there {
        eprintln!("SKIPPED: ffmpeg and ffprobe are not installed");
    }
    there
}

pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(folder).unwrap();
    folder.join(format!("{name}-{}", std::process::id()))
}

/// A recording made with these ffmpeg arguments.
pub(crate) fn record(name: &str, arguments: &str) -> Vec<u8> {
    let path = scratch(name).with_extension("ts");
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y"])
        .args(arguments.split_whitespace())
        .args(["-f", "mpegts"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    bytes
}

pub(crate) const PICTURE: &str = "-f lavfi -i testsrc2=s=320x180:r=25:d=6";
pub(crate) const SOUND: &str = "-f lavfi -i sine=f=440:r=48000:d=6";

/// H.264 with two B-frames and AAC, groups of one second.
pub(crate) fn h264(name: &str, more: &str) -> Vec<u8> {
    record(
        name,
        &format!(
            "{PICTURE} {SOUND} -c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p -c:a aac -ac 2 {more}"
        ),
    )
}

/// Everything that is ready.
pub(crate) fn drain(splicer: &mut Splicer) -> Vec<Piece> {
    std::iter::from_fn(|| splicer.take()).collect()
}

/// One PES packet of the output.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) pts: i64,
    pub(crate) dts: i64,
    pub(crate) es: Vec<u8>,
}

/// What the judge saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) pmt: Option<Pmt>,
    pub(crate) units: BTreeMap<u16, Vec<Unit>>,
    pub(crate) clocks: Vec<i64>,
}

impl Seen {
    pub(crate) fn of(&self, wanted: impl Fn(Codec) -> bool) -> &[Unit] {
        let streams = &self.pmt.as_ref().unwrap().streams;
        let stream = streams
            .iter()
            .find(|s| wanted(Codec::of(s.stream_type, &s.descriptors).unwrap()))
            .unwrap();
        self.units.get(&stream.pid.value()).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn video(&self) -> &[Unit] {
        self.of(Codec::is_video)
    }

    pub(crate) fn audio(&self) -> &[Unit] {
        self.of(Codec::is_audio)
    }
}

/// Holds the pieces of one epoch to the rules; panics where one is broken.
pub(crate) fn judge(pieces: &[Piece]) -> Seen {
    for pair in pieces.windows(2) {
        assert!(pair[1].media_time >= pair[0].media_time, "media time goes back");
    }
    for piece in pieces {
        assert!(
            !piece.bytes.is_empty() && piece.bytes.len().is_multiple_of(PACKET_BYTES),
            "broken packets"
        );
        if piece.keyframe {
            judge_keyframe(piece);
        }
    }
    let bytes: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| piece.bytes.iter().copied())
        .collect();
    judge_bytes(&bytes)
}

fn judge_keyframe(piece: &Piece) {
    let packets: Vec<Packet<'_>> = piece
        .bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| Packet::new(bytes).unwrap())
        .collect();
    assert_eq!(packets[0].pid(), Pid::PAT);
    let rest = packets[1..]
        .iter()
        .skip_while(|packet| packet.pid().value() == 0x1000)
        .collect::<Vec<_>>();
    assert!(rest.len() < packets.len() - 1, "no map");
    assert!(
        rest[0].random_access() && rest[0].unit_start(),
        "no random-access packet behind the tables"
    );
}

pub(crate) fn judge_bytes(bytes: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut counters: BTreeMap<u16, u8> = BTreeMap::new();
    let mut open: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    let mut map = SectionReader::default();
    let mut pat_at = 0_i64;
    for packet in bytes.as_chunks::<PACKET_BYTES>().0 {
        let packet = Packet::new(packet).expect("a packet");
        let pid = packet.pid().value();
        assert!(!packet.scrambled() && !packet.transport_error());
        let last = counters.insert(pid, packet.continuity());
        let step = u8::from(packet.payload().is_some());
        assert!(
            last.is_none_or(|last| (last + step) & 15 == packet.continuity()),
            "continuity of {pid:#x}"
        );
        if let Some(pcr) = packet.pcr() {
            assert_eq!(Some(packet.pid()), seen.pmt.as_ref().map(|pmt| pmt.pcr_pid));
            let now = i64::try_from(pcr.ticks()).unwrap();
            if let Some(last) = seen.clocks.last() {
                assert!(now > *last, "the clock goes back: {last} {now}");
                assert!(
                    now - last <= 100 * 27_000,
                    "the clock leaps {} ms",
                    (now - last) / 27_000
                );
            }
            seen.clocks.push(now);
        }
        if pid == 0 {
            SectionReader::default().push(&packet, |section| drop(Pat::parse(section).unwrap()));
            pat_at = *seen.clocks.last().unwrap_or(&0);
        } else if pid == 0x1000 {
            map.push(&packet, |section| seen.pmt = Some(Pmt::parse(section).unwrap()));
        } else if let Some(payload) = packet.payload() {
            let now = *seen.clocks.last().unwrap_or(&0);
            assert!(pat_at == 0 || now - pat_at <= 200 * 27_000, "tables are overdue");
            if packet.unit_start() {
                let due = PesHeader::parse(payload).and_then(|header| header.decoding_time());
                assert!(
                    due.is_none_or(|due| i64::try_from(due.ticks()).unwrap() * 300 >= now),
                    "late for the clock"
                );
                let done = open.insert(pid, Vec::new());
                close(&mut seen, pid, done);
            }
            open.get_mut(&pid)
                .expect("a PES packet without its begin")
                .extend_from_slice(payload);
        }
    }
    for (pid, bytes) in open {
        close(&mut seen, pid, Some(bytes));
    }
    let listed: Vec<u16> = seen
        .pmt
        .iter()
        .flat_map(|pmt| &pmt.streams)
        .map(|stream| stream.pid.value())
        .collect();
    assert!(
        seen.units.keys().all(|pid| listed.contains(pid)),
        "a PID that no table lists"
    );
    seen
}

fn close(seen: &mut Seen, pid: u16, bytes: Option<Vec<u8>>) {
    let Some(bytes) = bytes else { return };
    let header = PesHeader::parse(&bytes).expect("a PES header");
    assert!(
        header.packet_bytes.is_none_or(|whole| whole == bytes.len()),
        "half a PES packet on {pid:#x}"
    );
    let Some(pts) = header.pts else { return };
    let ticks = |stamp: mpegts::Pts90k| i64::try_from(stamp.ticks()).unwrap();
    let (pts, dts) = (ticks(pts), ticks(header.decoding_time().unwrap()));
    assert!(pts >= dts, "shown before it is decoded");
    let units = seen.units.entry(pid).or_default();
    assert!(
        units.last().is_none_or(|last| last.dts < dts),
        "decoding times of {pid:#x} go back to {dts}"
    );
    let clock = seen.clocks.first().copied().unwrap_or(0);
    assert!(dts * 300 > clock, "decoded before the clock began");
    units.push(Unit {
        pts,
        dts,
        es: bytes[header.payload_at..].to_vec(),
    });
}

/// Checks that no sound is missing or said twice: holes up to `hole_max` ticks. Returns the greatest.
pub(crate) fn judge_sound(units: &[Unit], codec: Codec) -> i64 {
    let mut greatest = 0;
    let mut until: Option<i64> = None;
    for unit in units {
        let mut rest = unit.es.as_slice();
        let (mut samples, mut rate) = (0_i64, 48_000);
        while let Some(frame) = es::audio_frame(codec, rest) {
            samples += i64::from(frame.samples);
            rate = i64::from(frame.rate);
            rest = &rest[frame.bytes.min(rest.len())..];
        }
        if let Some(until) = until {
            assert!(unit.pts - until >= -180, "sound overlaps by {}", until - unit.pts);
            greatest = greatest.max(unit.pts - until);
        }
        until = Some(unit.pts + samples * 90_000 / rate);
    }
    greatest
}

/// Decodes with ffmpeg and expects not a word of complaint; returns how many pictures came out.
pub(crate) fn decodes_clean(name: &str, bytes: &[u8]) -> usize {
    let path = scratch(name).with_extension("out.ts");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&path)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && complaints.is_empty(),
        "{name} ({}): {complaints}",
        path.display()
    );
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v",
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames",
        ])
        .args(["-of", "csv=p=0"])
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.trim_matches(',').parse().ok())
        .unwrap_or(0)
}

/// Stamps of the packets as ffprobe reads them: (stream kind, pts, dts) in 90 kHz ticks.
pub(crate) fn probe(name: &str, bytes: &[u8]) -> Vec<(String, i64, i64)> {
    let path = scratch(name).with_extension("probe.ts");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "packet=codec_type,pts,dts",
            "-of",
            "csv=p=0",
        ])
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(',');
            let kind = fields.next()?.to_owned();
            Some((kind, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .collect()
}
