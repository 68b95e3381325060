//! Frames from one container into the other, judged by others: the strict reader of transport streams, and ffmpeg, to which
//! every picture and every sample of sound is what it was before.
//!
//! The clips are those of `mp4`'s own tests.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at what it does not expect, and says what it skips"
)]

#[path = "support/ts/mod.rs"]
mod ts;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mpegts::{Interleaver, Muxer};
use ts::Report;

/// Shapes of fragmented MP4, each with the transport stream of the same frames.
const SHAPES: [(&str, &str); 7] = [
    ("avc.plain", "avc"),
    ("avc.dash", "avc"),
    ("avc.separate", "avc"),
    ("ntsc.odd", "ntsc"),
    ("hevc.hvc1", "hevc"),
    ("hevc.hev1", "hevc"),
    ("ac3.plain", "ac3"),
];

fn clip(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mp4/tests/shapes");
    folder.join(name)
}

/// Fragmented MP4 as a transport stream.
fn to_ts(mp4: &[u8]) -> Vec<u8> {
    let mut reader = mp4::Reader::self_initialising();
    reader.push(mp4).unwrap();
    let mut interleaver = Interleaver::new(reader.tracks(), Duration::from_secs(15));
    let mut muxer = Muxer::new(reader.tracks()).unwrap();
    let mut out = Vec::new();
    while let Some(frame) = reader.take() {
        interleaver.push(frame);
    }
    interleaver.flush();
    while let Some(frame) = interleaver.take() {
        muxer.write(&frame, &mut out);
    }
    muxer.flush(&mut out);
    out
}

/// What a strict player would say.
#[test]
fn what_is_muxed_has_no_fault() {
    for (shape, _) in SHAPES {
        let report = Report::of(&to_ts(&std::fs::read(clip(&format!("{shape}.mp4"))).unwrap()));
        report.assert_clean(shape);
        assert_eq!(report.pictures(), 30, "{shape}");
        assert!(report.sounds() > 10, "{shape}");
    }
}

#[test]
fn decoders_see_and_hear_the_same_of_h264_and_aac() {
    decoders_agree("avc");
}

#[test]
fn decoders_see_and_hear_the_same_of_h264_and_mp3() {
    decoders_agree("ntsc");
}

#[test]
fn decoders_see_and_hear_the_same_of_hevc_and_eac3() {
    decoders_agree("hevc");
}

#[test]
fn decoders_see_and_hear_the_same_of_h264_and_ac3() {
    decoders_agree("ac3");
}

/// MP4 → TS, and TS → MP4: ffmpeg decodes the same.
fn decoders_agree(of: &str) {
    let runs = Command::new("ffmpeg")
        .arg("-version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    let required = std::env::var_os("MAINSTEM_REQUIRE_TOOLS").is_some();
    assert!(
        runs || !required,
        "ffmpeg is missing, and MAINSTEM_REQUIRE_TOOLS is set"
    );
    if !runs {
        eprintln!("skipped: ffmpeg is missing");
        return;
    }
    let made_of = decoded(&clip(&format!("{of}.ts")));
    assert!(made_of.pictures.len() == 30 && made_of.sounds.len() > 30, "{of}");
    let segment = mp4::from_ts(&std::fs::read(clip(&format!("{of}.ts"))).unwrap(), None, None).unwrap();
    let whole = [&segment.init[..], &segment.media[..]].concat();
    assert!(written(&whole, ".mp4") == made_of, "{of} as fragmented MP4");
    for (shape, _) in SHAPES.iter().filter(|(_, made_of)| *made_of == of) {
        let muxed = to_ts(&std::fs::read(clip(&format!("{shape}.mp4"))).unwrap());
        assert!(written(&muxed, ".ts") == made_of, "{shape} as a transport stream");
    }
}

/// What comes out of the decoders, each frame as its checksum, and what they have to say.
#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    pictures: Vec<String>,
    sounds: Vec<String>,
    complaints: String,
}

fn written(bytes: &[u8], suffix: &str) -> Decoded {
    let file = tempfile::NamedTempFile::with_suffix(suffix).unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    decoded(file.path())
}

fn decoded(path: &Path) -> Decoded {
    let mut ffmpeg = Command::new("nice");
    ffmpeg.args([
        "ffmpeg",
        "-hide_banner",
        "-nostdin",
        "-v",
        "warning",
        "-threads",
        "1",
        "-i",
    ]);
    ffmpeg.arg(path).args([
        "-map",
        "0:v",
        "-map",
        "0:a",
        "-fps_mode",
        "passthrough",
        "-f",
        "framemd5",
        "-",
    ]);
    let output = ffmpeg.output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    // Stream, times, size, sum.
    let sums = |stream: &str| {
        let lines = lines.lines().filter(|line| line.starts_with(stream));
        lines
            .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
            .collect()
    };
    Decoded {
        pictures: sums("0,"),
        sounds: sums("1,"),
        complaints: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
