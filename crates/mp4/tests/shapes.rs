//! Fragmented MP4 as packagers write it (made by ffmpeg, see `shapes/make.sh`): every frame is that of the transport stream
//! beside it, at the same time but for one constant.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "shapes/clip.rs"]
mod clip;

use clip::{SHAPES, essence, file, of_mp4, of_ts, sets, shift, track};
use mp4::{ReadError, Reader};
use mpegts::{Codec, Frame, Interleaver, Muxer, Track};
use std::time::Duration;

/// Rounding to 90 kHz, once in either file.
const ROUNDING_90K: i64 = 2;

fn pts(frame: &Frame) -> i64 {
    frame.pts.as_90k()
}

fn dts(frame: &Frame) -> i64 {
    frame.dts.as_90k()
}

/// Holds the frames of one reading to those of another.
#[track_caller]
fn assert_alike(name: &str, ours: &(Vec<Track>, Vec<Frame>), theirs: &(Vec<Track>, Vec<Frame>)) {
    let codecs = |tracks: &[Track]| tracks.iter().map(|track| track.codec).collect::<Vec<_>>();
    assert_eq!(codecs(&ours.0), codecs(&theirs.0), "{name}");
    let each = name == "avc.each";
    let mut shifts = Vec::new();
    for (index, Track { codec, .. }) in ours.0.iter().enumerate() {
        let (our, their) = (track(&ours.1, index), track(&theirs.1, index));
        assert_eq!(our.len(), their.len(), "{name}: {codec:?}");
        assert!(our.len() >= 30, "{name}: there are frames");
        for (our, their) in our.iter().zip(&their) {
            let what = || format!("{name}: {codec:?} at {}", pts(our));
            assert_eq!(
                essence(*codec, &our.data),
                essence(*codec, &their.data),
                "{}",
                what()
            );
            assert_eq!(our.random_access, their.random_access, "{}", what());
            assert!(our.dts <= our.pts, "{}: shown before it is decoded", what());
            if codec.is_video() && our.random_access {
                assert_eq!(sets(*codec, &our.data), sets(*codec, &their.data), "{}", what());
            }
        }
        // Without an edit list ffmpeg has no place for the time before the first picture, in which the encoder's delay of
        // the sound lies: it makes the first frame longer.
        // And with a fragment for each frame it counts two frames of sound as one.
        if each && codec.is_audio() {
            continue;
        }
        let skip = usize::from(codec.is_audio());
        let (our, their) = (&our[skip..], &their[skip..]);
        shifts.push(shift(our, their, pts));
        // A fragment of one picture does not tell how long the next may be held back.
        if !each {
            assert!(our.is_sorted_by_key(|frame| frame.dts), "{name}: {codec:?}");
            let (least, most) = shift(our, their, dts);
            assert!(
                most - least <= ROUNDING_90K,
                "{name}: {codec:?} is decoded {least} to {most} later"
            );
        }
    }
    assert!(
        shifts.iter().all(|(least, most)| most - least <= ROUNDING_90K),
        "{name}: {shifts:?}"
    );
    // ffmpeg's `cmaf` begins every track at nought, as players confirm.
    if matches!(name, "avc.cmaf" | "hevc.hev1") {
        return;
    }
    let least = shifts.iter().map(|(least, _)| *least).min().unwrap();
    let most = shifts.iter().map(|(_, most)| *most).max().unwrap();
    assert!(
        most - least <= ROUNDING_90K,
        "{name} is shown {least} to {most} later"
    );
}

#[test]
fn every_shape_has_the_frames_it_was_made_of() {
    for (name, of) in SHAPES {
        let made_of = of_ts(&file(&format!("{of}.ts")));
        let whole = of_mp4(&file(&format!("{name}.mp4")), usize::MAX);
        assert_alike(name, &whole, &made_of);
    }
}

#[test]
fn how_bytes_are_divided_makes_no_difference() {
    for (name, _) in SHAPES {
        let bytes = file(&format!("{name}.mp4"));
        let whole = of_mp4(&bytes, usize::MAX);
        for step in [1, 7, 188, 1_000, 4_096] {
            assert!(of_mp4(&bytes, step) == whole, "{name} by {step}");
        }
    }
}

/// The movie header apart, as EXT-X-MAP has it, and one fragment after the other as a segment of its own.
#[test]
fn init_and_segments_apart() {
    for (name, _) in SHAPES {
        let bytes = file(&format!("{name}.mp4"));
        let places: Vec<usize> = boxes(&bytes)
            .filter(|(kind, _)| kind == b"moof")
            .map(|(_, at)| at)
            .collect();
        let (init, _) = bytes.split_at(places[0]);
        let mut reader = Reader::new(init).unwrap();
        let mut frames = Vec::new();
        for (number, from) in places.iter().enumerate() {
            let to = places.get(number + 1).copied().unwrap_or(bytes.len());
            reader.begin_segment();
            reader.push(&bytes[*from..to]).unwrap();
            frames.extend(core::iter::from_fn(|| reader.take()));
        }
        let whole = of_mp4(&bytes, usize::MAX).1;
        assert!(frames == whole, "{name}");
    }
}

/// Kind and place of each box of a file.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], usize)> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let size = u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?);
        let kind = *bytes.get(at + 4..)?.first_chunk()?;
        let here = at;
        at += usize::try_from(size).unwrap();
        Some((kind, here))
    })
}

/// Into a transport stream and out of it again.
#[test]
fn frames_pass_through_a_transport_stream() {
    for (name, _) in SHAPES {
        let read = of_mp4(&file(&format!("{name}.mp4")), usize::MAX);
        let again = of_ts(&mux(&read));
        assert_alike(name, &again, &read);
        for (index, Track { codec, .. }) in read.0.iter().enumerate() {
            let data = |frames: &[Frame]| {
                track(frames, index)
                    .into_iter()
                    .map(|frame| frame.data.clone())
                    .collect::<Vec<_>>()
            };
            assert!(
                data(&again.1) == data(&read.1),
                "{name}: {codec:?} is the same byte by byte"
            );
        }
    }
}

fn mux((tracks, frames): &(Vec<Track>, Vec<Frame>)) -> Vec<u8> {
    let mut interleaver = Interleaver::new(tracks, Duration::from_secs(10));
    let mut muxer = Muxer::new(tracks).unwrap();
    let mut out = Vec::new();
    frames.iter().for_each(|frame| interleaver.push(frame.clone()));
    interleaver.flush();
    let mut last = None;
    while let Some(frame) = interleaver.take() {
        assert!(
            last.replace(frame.dts).is_none_or(|last| last <= frame.dts),
            "in order"
        );
        muxer.write(&frame, &mut out);
    }
    muxer.flush(&mut out);
    out
}

/// From a transport stream into MP4 and out of it again.
#[test]
fn frames_pass_through_mp4() {
    for of in ["avc", "ntsc", "hevc", "ac3"] {
        let ts = file(&format!("{of}.ts"));
        let made_of = of_ts(&ts);
        let segment = mp4::from_ts(&ts, None, None).unwrap();
        let again = of_mp4(&[&segment.init[..], &segment.media[..]].concat(), usize::MAX);
        assert_alike(of, &again, &made_of);
        let first = made_of.1.iter().map(|frame| frame.pts).min();
        assert_eq!(Some(segment.begins), first, "{of}");
        for (index, track_of) in again.0.iter().enumerate() {
            let (our, their) = (track(&again.1, index), track(&made_of.1, index));
            let (least, most) = shift(&our, &their, pts);
            assert!(
                least >= -1 && most <= 1,
                "{of}: {:?} stays where it was",
                track_of.codec
            );
        }
    }
}

/// What ffprobe calls the streams of the same clips.
#[test]
fn codecs_and_sizes_are_told() {
    let check = |of: &str, codecs: &[&str]| {
        let segment = mp4::from_ts(&file(&format!("{of}.ts")), None, None).unwrap();
        assert_eq!(segment.codecs, codecs, "{of}");
        let size = segment.picture.unwrap();
        assert_eq!((size.width, size.height), (96, 64), "{of}");
    };
    check("avc", &["avc1.64000A", "mp4a.40.2"]);
    check("ntsc", &["avc1.64000A", "mp4a.40.34"]);
    check("hevc", &["hvc1.1.6.L30.90", "ec-3"]);
    check("ac3", &["avc1.64000A", "ac-3"]);
}

#[test]
fn what_is_protected_is_refused_with_its_scheme() {
    let refused = Reader::new(&file("avc.encrypted.mp4")).unwrap_err();
    assert_eq!(refused, ReadError::Encrypted { scheme: *b"cenc" });
    assert!(refused.to_string().contains("DRM"), "{refused}");
}

#[test]
fn a_fragment_cut_short_gives_what_is_there() {
    let bytes = file("avc.plain.mp4");
    let whole = of_mp4(&bytes, usize::MAX).1;
    let mut reader = Reader::self_initialising();
    reader.push(&bytes[..bytes.len() - 600]).unwrap();
    let mut frames: Vec<_> = core::iter::from_fn(|| reader.take()).collect();
    let before = frames.len();
    reader.finish();
    frames.extend(core::iter::from_fn(|| reader.take()));
    assert!(before < frames.len() && frames.len() < whole.len());
    assert!(frames.iter().all(|frame| whole.contains(frame)));
}

/// Segments of a live stream without decode times of their own go on where the one before ended.
#[test]
fn without_a_decode_time_the_timeline_goes_on() {
    let bytes = file("avc.plain.mp4");
    let whole = of_mp4(&bytes, usize::MAX);
    let mut without = bytes;
    let places: Vec<usize> = without
        .windows(4)
        .enumerate()
        .filter(|(_, four)| four == b"tfdt")
        .map(|(at, _)| at)
        .collect();
    assert!(places.len() >= 4);
    for at in places {
        without[at..at + 4].copy_from_slice(b"free");
    }
    let went_on = of_mp4(&without, usize::MAX);
    assert_eq!(went_on.0, whole.0);
    let pictures = |frames: &[Frame]| track(frames, 0).into_iter().map(pts).collect::<Vec<_>>();
    assert_eq!(pictures(&went_on.1), pictures(&whole.1));
}

#[test]
fn other_formats_are_told_apart() {
    let check = |bytes: &[u8], expected| assert_eq!(Reader::self_initialising().push(bytes), Err(expected));
    check(&file("avc.ts"), ReadError::NotMp4);
    check(b"\xFF\xF1\x4C\x80\x2E\x7F\xFC\x00\x00", ReadError::NotMp4);
    check(b"#EXTM3U\n#EXT-X-VERSION:3\n", ReadError::NotMp4);
    check(b"<html><body>404 Not Found</body></html>", ReadError::NotMp4);
    let bytes = file("avc.plain.mp4");
    let at = boxes(&bytes).find(|(kind, _)| kind == b"moof").unwrap().1;
    check(&bytes[at..], ReadError::NoMovie);
    assert_eq!(Reader::new(&bytes[..24]).unwrap_err(), ReadError::NoMovie);
    assert_eq!(Codec::H264, of_mp4(&bytes, 100).0[0].codec);
}
