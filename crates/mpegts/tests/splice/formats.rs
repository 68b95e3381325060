//! What a signature says of sound and pictures, beside what ffprobe reads.

use crate::fixtures::{record, scratch, tools};
use mpegts::es::{PictureSize, SoundFormat};
use mpegts::{Likeness, Signature, Splicer};
use std::process::Command;

fn signature(bytes: &[u8]) -> Signature {
    let mut splicer = Splicer::new();
    splicer.push(bytes);
    splicer.end_source();
    splicer.signature().unwrap().clone()
}

/// The values ffprobe gives for one stream, in its own order.
fn probed(name: &str, bytes: &[u8], stream: &str, entries: &str) -> Vec<u32> {
    let path = scratch(name).with_extension("format.ts");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-show_entries"])
        .arg(format!("stream={entries}"))
        .args(["-of", "default=noprint_wrappers=1:nokey=1"])
        .arg(&path)
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut values: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    values.truncate(entries.split(',').count());
    values
}

#[test]
fn pictures_are_as_large_as_a_player_says() {
    if !tools() {
        return;
    }
    let check = |name: &str, size: &str, coded: &str| {
        let bytes = record(name, &format!("-f lavfi -i testsrc2=s={size}:r=25:d=1 {coded}"));
        let signature = signature(&bytes);
        let PictureSize { width, height } = signature.streams[0].picture.expect("a size");
        assert_eq!(
            probed(name, &bytes, "v:0", "width,height"),
            [u32::from(width), u32::from(height)],
            "{name}"
        );
    };
    let avc = "-c:v libx264 -preset ultrafast";
    check("size-avc", "1920x1080", &format!("{avc} -pix_fmt yuv420p"));
    check(
        "size-fields",
        "720x576",
        &format!("{avc} -pix_fmt yuv420p -flags +ildct+ilme -x264-params tff=1"),
    );
    check("size-422", "326x182", &format!("{avc} -pix_fmt yuv422p10le"));
    check("size-444", "321x181", &format!("{avc} -pix_fmt yuv444p"));
    let hevc = "-c:v libx265 -preset ultrafast -x265-params log-level=none";
    check("size-hevc", "322x182", &format!("{hevc} -pix_fmt yuv420p10le"));
    check("size-mpeg2", "720x576", "-c:v mpeg2video");
}

#[test]
fn sound_is_laid_out_as_a_player_says() {
    if !tools() {
        return;
    }
    // Channels by the numbers of each codec's own headers.
    let aac: fn(u8) -> u32 = |configuration| {
        if configuration == 7 {
            8
        } else {
            configuration.into()
        }
    };
    let mpeg: fn(u8) -> u32 = |mode| if mode == 3 { 1 } else { 2 };
    let dolby: fn(u8) -> u32 =
        |layout| [2, 1, 2, 3, 3, 4, 4, 5][usize::from(layout >> 1)] + u32::from(layout & 1);
    let check = |name: &str, coded: &str, channels: fn(u8) -> u32| {
        let bytes = record(name, &format!("-f lavfi -i sine=f=440:r=48000:d=1 {coded}"));
        let signature = signature(&bytes);
        let SoundFormat { rate, layout } = signature.streams[0].sound.expect("a format");
        let expected = probed(name, &bytes, "a:0", "sample_rate,channels");
        assert_eq!(expected, [rate, channels(layout)], "{name}");
    };
    check("sound-mono", "-c:a aac -ac 1 -ar 44100", aac);
    check("sound-5.1", "-c:a aac -ac 6", aac);
    check("sound-mp2", "-c:a mp2 -ac 2", mpeg);
    check("sound-mp2-mono", "-c:a mp2 -ac 1 -ar 24000", mpeg);
    for (channels, layout) in [("1", "mono"), ("2", "stereo"), ("6", "5.1")] {
        for codec in ["ac3", "eac3"] {
            let name = format!("sound-{codec}-{layout}");
            check(&name, &format!("-c:a {codec} -ac {channels} -ar 44100"), dolby);
        }
    }
}

#[test]
fn another_format_is_told_without_another_map() {
    if !tools() {
        return;
    }
    let make = |name: &str, size: &str, sound: &str| {
        record(
            name,
            &format!(
                "-f lavfi -i testsrc2=s={size}:r=25:d=2 -f lavfi -i sine=f=440:r=48000:d=2 -c:v libx264 \
                 -preset ultrafast -pix_fmt yuv420p -g 25 -c:a aac {sound}"
            ),
        )
    };
    let one = make("format-1", "320x180", "-ac 2");
    let two = make("format-2", "640x360", "-ac 1");
    let mut splicer = Splicer::new();
    splicer.push(&one);
    splicer.begin_source();
    while splicer.take().is_some() {}
    let before = splicer.signature().unwrap().clone();
    splicer.push(&two);
    let after = splicer.signature().unwrap();
    assert_eq!(
        (before.epoch, before.pmt_version),
        (after.epoch, after.pmt_version)
    );
    assert_eq!(before.likeness(after), Likeness::SameCodecs);
    assert_eq!(after.likeness(&signature(&two)), Likeness::Same);
}
