//! ffmpeg's word on what came: that it decodes without a complaint, how many different pictures there are, and of
//! which colour, which tells the clips of the provider apart.

use std::process::{Command, Output, Stdio};

use provider_double::Clip;
use tempfile::NamedTempFile;
use tokio::sync::Semaphore;

/// What ffmpeg made of a stream.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Pictures, repeated ones included.
    pub(crate) pictures: usize,
    /// Different pictures.
    pub(crate) distinct: usize,
    /// The colour of each picture, in order, as near as [`Colour`] knows it.
    pub(crate) colours: Vec<Colour>,
}

/// Background of a picture, one per clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colour(pub(crate) [u8; 3]);

impl Colour {
    /// Clip A, `H264Closed`.
    pub(crate) const DARK_RED: Self = Self([139, 0, 0]);
    /// Clip D, `PcrOwnPid`.
    pub(crate) const PURPLE: Self = Self([128, 0, 128]);
    /// `Black`.
    pub(crate) const BLACK: Self = Self([0, 0, 0]);

    /// The background of a clip, as its `make.sh` says; `None` for radio.
    pub(crate) fn of(clip: Clip) -> Option<Self> {
        Some(Self(match clip {
            Clip::H264Closed => [139, 0, 0],
            Clip::H264OpenWrap => [0, 100, 0],
            Clip::H264Aac24k => [0, 0, 139],
            Clip::PcrOwnPid => [128, 0, 128],
            Clip::NoRandomAccess => [0, 128, 128],
            Clip::Hevc => [139, 69, 19],
            Clip::Mpeg2 => [85, 107, 47],
            Clip::H264Ac3 => [75, 0, 130],
            Clip::H264Interlaced => [72, 61, 139],
            Clip::H264Pyramid => [210, 105, 30],
            Clip::H264Larger => [128, 128, 128],
            Clip::H264LongGop => [128, 128, 0],
            Clip::HevcEac3 => [255, 140, 0],
            Clip::Mpeg2Ac3 => [160, 82, 45],
            Clip::ThreeSounds => [220, 20, 60],
            Clip::TwoSounds => [147, 112, 219],
            Clip::Black | Clip::Limit => [0, 0, 0],
            Clip::Radio | Clip::RadioGrouped | Clip::RadioAac => return None,
        }))
    }

    /// Whether they are about the same; encoding and conversion cost a few shades.
    pub(crate) fn is_like(self, other: Self) -> bool {
        self.0.iter().zip(other.0).all(|(a, b)| a.abs_diff(b) <= 24)
    }
}

impl Decoded {
    /// Colours in order, neighbours of one colour counted once.
    pub(crate) fn scenes(&self) -> Vec<Colour> {
        let mut scenes: Vec<Colour> = Vec::new();
        for colour in &self.colours {
            if scenes.last().is_none_or(|last| !last.is_like(*colour)) {
                scenes.push(*colour);
            }
        }
        scenes
    }
}

/// Whether a tool is there.
///
/// # Panics
/// It is not, and `MAINSTEM_REQUIRE_TOOLS` says that it has to be.
pub(crate) fn has_tool(name: &str) -> bool {
    let runs = Command::new(name)
        .arg("-version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    let required = std::env::var_os("MAINSTEM_REQUIRE_TOOLS").is_some();
    assert!(
        runs || !required,
        "{name} is missing, and MAINSTEM_REQUIRE_TOOLS is set"
    );
    if !runs {
        eprintln!("skipped: {name} is missing");
    }
    runs
}

/// Decodes everything that came. `None`, with a line that says so, where there is no ffmpeg and nobody insists.
///
/// # Panics
/// ffmpeg has something to complain about.
#[track_caller]
pub(crate) fn decode(bytes: &[u8]) -> Option<Decoded> {
    decode_but_for(bytes, &[])
}

/// The same, but for complaints that the test explains.
#[track_caller]
pub(crate) fn decode_but_for(bytes: &[u8], explained: &[&str]) -> Option<Decoded> {
    if !has_tool("ffmpeg") {
        return None;
    }
    let whole = super::ts::whole_units(bytes);
    let (pictures, complaints) = pictures(&whole);
    let is_explained = |line: &&str| {
        explained.iter().any(|known| line.contains(known)) || line.contains("Last message repeated")
    };
    let complaints: Vec<&str> = complaints.lines().filter(|line| !is_explained(line)).collect();
    let complaints = complaints.join("\n");
    if !complaints.is_empty() {
        let kept = keep(&whole);
        panic!("ffmpeg complains (the stream is kept at {kept}):\n{complaints}");
    }
    Some(pictures)
}

/// The same beside whatever else the test does. One at a time, and only after the viewers have what they came for: ten
/// decoders at once would starve the provider, which is a stall like any other.
pub(crate) async fn decode_aside(bytes: Vec<u8>) -> Option<Decoded> {
    decode_aside_but_for(bytes, &[]).await
}

/// The same, but for complaints that the test explains.
pub(crate) async fn decode_aside_but_for(
    bytes: Vec<u8>,
    explained: &'static [&'static str],
) -> Option<Decoded> {
    static ONE: Semaphore = Semaphore::const_new(1);
    let _permit = ONE.acquire().await.unwrap();
    tokio::task::spawn_blocking(move || decode_but_for(&bytes, explained))
        .await
        .unwrap()
}

/// What ffmpeg says of a stream of open GOPs that it enters anywhere but at its very beginning: a picture tells the
/// decoder to forget one that came before. A file cut at a keyframe gets the same complaint, once.
const TUNED_IN: &str = "mmco: unref short failure";

/// What ffmpeg says at its level "warning"; empty is good.
fn complaints(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.as_slice() {
        [only] if only.contains(TUNED_IN) => String::new(),
        [] if !output.status.success() => output.status.to_string(),
        lines => lines.join("\n"),
    }
}

/// Decodes the pictures of an MP4 file.
///
/// # Panics
/// ffmpeg has something to complain about.
#[track_caller]
pub(crate) fn decode_mp4(bytes: &[u8]) -> Option<Decoded> {
    if !has_tool("ffmpeg") {
        return None;
    }
    let (decoded, complaints) = decode_as(".mp4", bytes, (1, 0));
    assert!(complaints.is_empty(), "ffmpeg complains:\n{complaints}");
    Some(decoded)
}

/// Decodes everything, once; the pictures are shrunk so far that a hash of each is cheap and the frame number burnt in
/// still shows.
fn pictures(bytes: &[u8]) -> (Decoded, String) {
    let report = super::ts::Report::of(bytes);
    decode_as(".ts", bytes, (report.pictures(), report.sounds()))
}

fn decode_as(suffix: &str, bytes: &[u8], (has_pictures, has_sounds): (usize, usize)) -> (Decoded, String) {
    const SIDE: usize = 64;
    const PICTURE_BYTES: usize = SIDE * SIDE * 3;
    let scale = format!("scale={SIDE}:{SIDE}:flags=area,format=rgb24");
    let audio = ["-map", "0:a?", "-f", "null", "/dev/null"];
    let video = [
        "-map",
        "0:v",
        "-vf",
        &scale,
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-",
    ];
    // ffmpeg takes an output without a stream for an error.
    let wanted = match (has_pictures, has_sounds) {
        (0, _) => audio.to_vec(),
        (_, 0) => video.to_vec(),
        _ => [video.as_slice(), audio.as_slice()].concat(),
    };
    let output = ffmpeg(suffix, bytes, &wanted);
    let (pictures, _) = output.stdout.as_chunks::<PICTURE_BYTES>();
    let distinct: std::collections::HashSet<&[u8]> =
        pictures.iter().map(<[u8; PICTURE_BYTES]>::as_slice).collect();
    // The corner holds neither letter nor counter.
    let corner = (SIDE * SIDE - 1) * 3;
    let decoded = Decoded {
        pictures: pictures.len(),
        distinct: distinct.len(),
        colours: pictures
            .iter()
            .map(|picture| Colour([picture[corner], picture[corner + 1], picture[corner + 2]]))
            .collect(),
    };
    (decoded, complaints(&output))
}

fn ffmpeg(suffix: &str, bytes: &[u8], arguments: &[&str]) -> Output {
    let file = NamedTempFile::with_suffix(suffix).unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Command::new("nice")
        .args([
            "ffmpeg",
            "-hide_banner",
            "-nostdin",
            "-v",
            "warning",
            "-threads",
            "1",
            "-i",
        ])
        .arg(file.path())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Leaves a stream for people to look at.
fn keep(bytes: &[u8]) -> String {
    let (_, path) = NamedTempFile::with_suffix(".ts").unwrap().keep().unwrap();
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

/// How loud the sound is, tenth of a second by tenth: 0 is silence, 1 as loud as can be. `None` without ffmpeg.
pub(crate) fn loudness(bytes: &[u8]) -> Option<Vec<f64>> {
    const TENTH: usize = 800;
    if !has_tool("ffmpeg") {
        return None;
    }
    let output = ffmpeg(
        ".ts",
        bytes,
        &["-map", "0:a", "-ac", "1", "-ar", "8000", "-f", "s16le", "-"],
    );
    let (samples, _) = output.stdout.as_chunks::<2>();
    let level = |tenth: &[[u8; 2]]| {
        let squares = tenth
            .iter()
            .map(|sample| (f64::from(i16::from_le_bytes(*sample)) / 32_768.0).powi(2));
        (squares.sum::<f64>() / 800.0).sqrt()
    };
    Some(samples.chunks_exact(TENTH).map(level).collect())
}

/// The first picture, shrunk to grey; empty without one. `None` without ffmpeg.
pub(crate) fn first_picture(bytes: &[u8]) -> Option<Vec<u8>> {
    let scale = "scale=160:90:flags=area,format=gray";
    let wanted = [
        "-map",
        "0:v?",
        "-frames:v",
        "1",
        "-vf",
        scale,
        "-f",
        "rawvideo",
        "-",
    ];
    has_tool("ffmpeg").then(|| ffmpeg(".ts", bytes, &wanted).stdout)
}
