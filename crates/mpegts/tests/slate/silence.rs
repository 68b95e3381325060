//! Silence decodes: without a complaint, to the rate and channels it claims, and to nothing that can be heard.

use crate::fixtures::{scratch, tools};
use mpegts::Codec;
use mpegts::es::{SoundFormat, audio_frame};
use mpegts::silence::silent_frame;
use std::path::{Path, PathBuf};
use std::process::Command;

/// -80 dB of the full scale of 16 bits.
const INAUDIBLE: u16 = 3;

/// What decoding one file gave.
struct Sound {
    rate: u32,
    channels: u16,
    samples: usize,
    loudest: u16,
}

/// Decodes files to WAV in one run; panics where ffmpeg says a word.
fn decode(files: &[PathBuf]) -> Vec<Sound> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]);
    for file in files {
        command.arg("-i").arg(file);
    }
    for (number, file) in files.iter().enumerate() {
        command.args(["-map", &format!("{number}:a"), "-c:a", "pcm_s16le", "-bitexact"]);
        command.arg(file.with_extension("wav"));
    }
    let output = command.output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{files:?}: {complaints}"
    );
    files
        .iter()
        .map(|file| read_wav(&file.with_extension("wav")))
        .collect()
}

fn read_wav(path: &Path) -> Sound {
    let bytes = std::fs::read(path).unwrap();
    std::fs::remove_file(path).unwrap();
    let data = bytes.windows(4).position(|word| word == b"data").unwrap() + 8;
    let samples = bytes[data..].as_chunks::<2>().0;
    let channels = u16::from_le_bytes([bytes[22], bytes[23]]);
    Sound {
        rate: u32::from_le_bytes(bytes[24..28].try_into().unwrap()),
        channels,
        samples: samples.len() / usize::from(channels),
        loudest: samples
            .iter()
            .map(|sample| i16::from_le_bytes(*sample).unsigned_abs())
            .max()
            .unwrap(),
    }
}

fn extension(codec: Codec, layout: u8) -> &'static str {
    match codec {
        Codec::Aac => "aac",
        Codec::Ac3 => "ac3",
        Codec::Eac3 => "eac3",
        _ if layout >> 2 == 1 => "mp3",
        _ => "mp2",
    }
}

/// What a decoder makes of a format: rate and channels.
fn heard(codec: Codec, format: SoundFormat) -> (u32, u16) {
    let SoundFormat { rate, layout } = format;
    match codec {
        // HE-AAC; of one channel ffmpeg makes two, in case parametric stereo follows.
        Codec::Aac if (8_000..=24_000).contains(&rate) && layout <= 2 => (rate * 2, 2),
        Codec::Aac => (rate, if layout == 7 { 8 } else { layout.into() }),
        Codec::MpegAudio => (rate, if layout & 3 == 3 { 1 } else { 2 }),
        _ => {
            let channels = [2, 1, 2, 3, 3, 4, 4, 5][usize::from(layout >> 1)] + u16::from(layout & 1);
            (rate, if layout == 13 { 6 } else { channels })
        }
    }
}

#[test]
fn every_format_decodes_to_silence() {
    const FRAMES: usize = 12;
    if !tools() {
        return;
    }
    let check = |codec: Codec, rate: u32, layouts: &[u8]| {
        let formats: Vec<SoundFormat> = layouts
            .iter()
            .map(|layout| SoundFormat {
                rate,
                layout: *layout,
            })
            .collect();
        let mut files = Vec::new();
        for format in &formats {
            let frame = silent_frame(codec, *format).unwrap();
            let path = scratch(&format!("silence-{codec:?}-{rate}-{}", format.layout))
                .with_extension(extension(codec, format.layout));
            std::fs::write(&path, frame.bytes.repeat(FRAMES)).unwrap();
            files.push(path);
        }
        for ((sound, format), file) in decode(&files).iter().zip(&formats).zip(&files) {
            let frame = silent_frame(codec, *format).unwrap();
            let (rate, channels) = heard(codec, *format);
            assert_eq!(
                (sound.rate, sound.channels),
                (rate, channels),
                "{codec:?} {format:?}"
            );
            assert!(
                sound.loudest <= INAUDIBLE,
                "{codec:?} {format:?}: {}",
                sound.loudest
            );
            let samples = FRAMES * usize::try_from(frame.samples * (rate / frame.rate)).unwrap();
            // The decoder of layer III gives the first frame no sound.
            assert!(
                sound.samples.abs_diff(samples) <= usize::try_from(frame.samples).unwrap(),
                "{codec:?} {format:?}: {} of {samples} samples",
                sound.samples
            );
            std::fs::remove_file(file).unwrap();
        }
    };
    for rate in [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
    ] {
        check(Codec::Aac, rate, &[1, 2, 3, 4, 5, 6, 7]);
    }
    for rate in [
        48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    ] {
        check(Codec::MpegAudio, rate, &[0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15]);
    }
    for rate in [48_000, 44_100, 32_000] {
        let layouts: Vec<u8> = (0..16).collect();
        check(Codec::Ac3, rate, &layouts);
        check(Codec::Eac3, rate, &layouts);
    }
}

pub(crate) fn frames(codec: Codec, mut es: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some(frame) = audio_frame(codec, es) {
        let Some((bytes, rest)) = es.split_at_checked(frame.bytes) else {
            break;
        };
        frames.push(bytes);
        es = rest;
    }
    frames
}

/// A tone as `codec` codes it.
pub(crate) fn tone(name: &str, arguments: &str) -> Vec<u8> {
    let path = scratch(name);
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "sine=f=440:r=48000:d=2"])
        .args(arguments.split_whitespace())
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    bytes
}

#[test]
fn sound_around_silence_decodes() {
    if !tools() {
        return;
    }
    let check = |codec: Codec, name: &str, es: &[u8], format: SoundFormat| {
        let silence = silent_frame(codec, format).unwrap();
        let sound = frames(codec, es);
        assert!(sound.len() > 40, "{name}: {}", sound.len());
        assert_eq!(audio_frame(codec, sound[0]).unwrap().rate, format.rate, "{name}");
        let (head, tail) = sound.split_at(sound.len() / 2);
        let quiet = vec![silence.bytes.as_slice(); 20];
        let all = [&quiet[..], head, &quiet, tail, &quiet].concat();
        let path = scratch(name).with_extension(extension(codec, format.layout));
        std::fs::write(&path, all.concat()).unwrap();
        let decoded = decode(core::slice::from_ref(&path));
        let (rate, channels) = heard(codec, format);
        assert_eq!((decoded[0].rate, decoded[0].channels), (rate, channels), "{name}");
        let samples = all.len() * usize::try_from(silence.samples * (rate / silence.rate)).unwrap();
        assert!(decoded[0].samples.abs_diff(samples) <= 2_048, "{name}");
        assert!(decoded[0].loudest > 1_000, "{name}");
        std::fs::remove_file(&path).unwrap();
    };
    let of = |rate, layout| SoundFormat { rate, layout };
    let made =
        |codec, name: &str, arguments: &str, format| check(codec, name, &tone(name, arguments), format);
    made(Codec::Aac, "aac-stereo", "-c:a aac -ac 2 -f adts", of(48_000, 2));
    made(
        Codec::Aac,
        "aac-mono",
        "-c:a aac -ac 1 -ar 44100 -f adts",
        of(44_100, 1),
    );
    made(Codec::Aac, "aac-5.1", "-c:a aac -ac 6 -f adts", of(48_000, 6));
    let he_aac = include_bytes!("../../../provider-double/clips/c.adts");
    check(Codec::Aac, "he-aac", he_aac, of(24_000, 2));
    made(
        Codec::MpegAudio,
        "mp2-stereo",
        "-c:a mp2 -ac 2 -f mp2",
        of(48_000, 0),
    );
    made(
        Codec::MpegAudio,
        "mp2-mono",
        "-c:a mp2 -ac 1 -ar 32000 -f mp2",
        of(32_000, 3),
    );
    made(
        Codec::MpegAudio,
        "mp3-stereo",
        "-c:a libmp3lame -ac 2 -joint_stereo 0 -write_xing 0 -id3v2_version 0 -f mp3",
        of(48_000, 4),
    );
    made(Codec::Ac3, "ac3-stereo", "-c:a ac3 -ac 2 -f ac3", of(48_000, 4));
    made(
        Codec::Ac3,
        "ac3-5.1",
        "-c:a ac3 -ac 6 -ar 44100 -f ac3",
        of(44_100, 15),
    );
    made(
        Codec::Eac3,
        "eac3-stereo",
        "-c:a eac3 -ac 2 -f eac3",
        of(48_000, 4),
    );
    made(Codec::Eac3, "eac3-5.1", "-c:a eac3 -ac 6 -f eac3", of(48_000, 15));
}
