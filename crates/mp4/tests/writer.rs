//! Segments that follow each other: their times, their initialisation segments, what they need of each other.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "shapes/clip.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod clip;

use clip::{essence, file, of_mp4, of_ts};
use mp4::{Remuxer, WriteError, Writer, from_ts};
use mpegts::{Codec, Frame, MediaTime, Track};

/// A clip of MPEG-2 video and layer II, of the provider that other tests use.
const MPEG_2: &str = "../../../provider-double/clips/g.ts";

/// The frames of a clip in segments, each from a keyframe on.
fn segments(of: &str) -> (Vec<Track>, Vec<Vec<Frame>>) {
    let (tracks, frames) = of_ts(&file(of));
    let starts: Vec<MediaTime> = frames
        .iter()
        .filter(|frame| frame.track == 0 && frame.random_access)
        .map(|frame| frame.dts)
        .collect();
    assert!(starts.len() >= 3);
    let within = |number: usize| {
        let until = starts
            .get(number + 1)
            .copied()
            .unwrap_or(MediaTime::from_90k(i64::MAX));
        let from = if number == 0 {
            MediaTime::from_90k(0)
        } else {
            starts[number]
        };
        frames
            .iter()
            .filter(move |frame| (from..until).contains(&frame.dts))
            .cloned()
            .collect()
    };
    (tracks, (0..starts.len()).map(within).collect())
}

/// The same media without decode times: where a reader then goes on is where the durations led.
fn without_decode_times(media: &[u8]) -> Vec<u8> {
    let mut media = media.to_vec();
    for at in 0..media.len() - 4 {
        if &media[at..at + 4] == b"tfdt" {
            media[at..at + 4].copy_from_slice(b"free");
        }
    }
    media
}

#[test]
fn segments_join_without_gaps_and_overlaps() {
    for of in ["avc.ts", "ntsc.ts", "hevc.ts", "ac3.ts"] {
        let (tracks, segments) = segments(of);
        let mut writer = Writer::new(tracks);
        let (mut told, mut counted) = (Vec::new(), Vec::new());
        for (number, frames) in segments.iter().enumerate() {
            let until = segments.get(number + 1).map(|next| next[0].dts);
            let media = writer.segment(frames, until).unwrap();
            counted.extend(if number == 0 {
                media.to_vec()
            } else {
                without_decode_times(&media)
            });
            told.extend(media);
        }
        let init = writer.init();
        let [told, counted] = [told, counted].map(|media| of_mp4(&[&init[..], &media].concat(), 1_000).1);
        let times = |frames: &[Frame]| {
            frames
                .iter()
                .map(|frame| (frame.track, frame.pts, frame.dts))
                .collect::<Vec<_>>()
        };
        assert_eq!(times(&told), times(&counted), "{of}");
        assert_eq!(told.len(), segments.iter().map(Vec::len).sum::<usize>(), "{of}");
    }
}

#[test]
fn the_init_changes_with_the_parameter_sets_only() {
    let (tracks, segments) = segments("avc.ts");
    let mut writer = Writer::new(tracks.clone());
    assert!(writer.init().is_empty());
    writer.segment(&segments[0], None).unwrap();
    let first = writer.init();
    writer.segment(&segments[1], None).unwrap();
    assert_eq!(writer.init(), first);
    // The same sizes by another encoder: another level.
    let mut other = segments[2].clone();
    let data = other
        .iter_mut()
        .find(|frame| frame.track == 0)
        .map(|frame| &mut frame.data)
        .unwrap();
    let mut changed = data.to_vec();
    let set = changed
        .windows(5)
        .position(|five| five == [0, 0, 0, 1, 0x67])
        .unwrap();
    changed[set + 7] = 0x1E;
    *data = changed.into();
    writer.segment(&other, None).unwrap();
    assert_ne!(writer.init(), first);
    assert_eq!(writer.codecs(), ["avc1.64001E", "mp4a.40.2"]);
    // A stateless writer makes the same of the same.
    let mut alone = Writer::new(tracks);
    alone.segment(&segments[1], None).unwrap();
    assert_eq!(alone.init(), first);
}

#[test]
fn what_cannot_be_read_is_refused_and_costs_the_next_nothing() {
    let (tracks, segments) = segments("avc.ts");
    let mut broken = segments[0].clone();
    // The sound comes first, so that it is known when the pictures turn out to be unreadable.
    broken.sort_by_key(|frame| core::cmp::Reverse(frame.track));
    let first = broken.iter_mut().find(|frame| frame.track == 0).unwrap();
    first.data = b"\0\0\0\x01\x67\x64\0\0\0\x01\x65\x88".as_slice().into();
    let mut writer = Writer::new(tracks);
    let refused = writer.segment(&broken, None);
    assert_eq!(refused, Err(WriteError::Parameters(Codec::H264)));
    let sound: Vec<Frame> = segments[1]
        .iter()
        .filter(|frame| frame.track == 1)
        .cloned()
        .collect();
    let media = writer.segment(&sound, None).unwrap();
    assert_eq!(
        of_mp4(&[&writer.init()[..], &media].concat(), 100).1.len(),
        sound.len()
    );
}

#[test]
fn a_segment_without_a_keyframe_needs_one_before_it() {
    let (tracks, segments) = segments("hevc.ts");
    let without: Vec<Frame> = segments[1]
        .iter()
        .filter(|frame| frame.track == 0)
        .skip(1)
        .cloned()
        .collect();
    assert_eq!(
        Writer::new(tracks.clone()).segment(&without, None),
        Err(WriteError::NoFrames)
    );
    let mut writer = Writer::new(tracks);
    writer.segment(&segments[0], None).unwrap();
    let media = writer.segment(&without, None).unwrap();
    assert_eq!(
        of_mp4(&[&writer.init()[..], &media].concat(), 100).1.len(),
        without.len()
    );
    assert_eq!(writer.segment(&[], None), Err(WriteError::NoFrames));
}

/// Nothing else takes its place where a backup has other pictures than the source before it.
#[test]
fn mpeg_2_video_is_carried_as_it_is() {
    let ts = file(MPEG_2);
    let segment = from_ts(&ts, None, None).unwrap();
    assert_eq!(segment.codecs, ["mp4v.61", "mp4a.40.33"]);
    let size = segment.picture.map(|size| (size.width, size.height));
    assert_eq!(size, Some((160, 90)));
    let (tracks, frames) = of_ts(&ts);
    let (read, again) = of_mp4(&[&segment.init[..], &segment.media].concat(), 1_000);
    let codecs = |tracks: &[Track]| tracks.iter().map(|track| track.codec).collect::<Vec<_>>();
    assert_eq!(codecs(&read), codecs(&tracks));
    let pictures = |frames: &[Frame]| -> Vec<_> {
        let pictures = frames.iter().filter(|frame| frame.track == 0).cloned();
        pictures.collect()
    };
    assert!(pictures(&again) == pictures(&frames));
}

#[test]
fn what_the_programme_lists_no_more_is_in_no_init() {
    let mut remuxer = Remuxer::new();
    let [hevc, mpeg_2] = [file("hevc.ts"), file(MPEG_2)];
    let mut inits = Vec::new();
    for ts in [&hevc, &mpeg_2, &hevc] {
        let segment = remuxer.segment(ts, None).unwrap();
        assert_eq!(segment.codecs.len(), 2, "{:?}", segment.codecs);
        inits.push(segment.init);
    }
    assert_eq!(inits[0], inits[2]);
    assert_ne!(inits[0], inits[1]);
}

#[test]
fn times_of_a_transport_stream_are_those_near_by() {
    let ts = file("avc.ts");
    let plain = from_ts(&ts, None, None).unwrap();
    let later = from_ts(&ts, Some(MediaTime::from_90k((3 << 33) + 5)), None).unwrap();
    assert_eq!(later.begins.as_90k() - plain.begins.as_90k(), 3 << 33);
    assert_eq!(later.init, plain.init);
    let times = |segment: &mp4::Segment| {
        let frames = of_mp4(&[&segment.init[..], &segment.media].concat(), 100).1;
        frames.iter().map(|frame| frame.pts.as_90k()).min().unwrap()
    };
    for segment in [&later, &plain] {
        let rounded = times(segment) - segment.begins.as_90k();
        assert!((-1..=1).contains(&rounded), "sound counts at its own rate");
    }
    assert_eq!(from_ts(b"no packets", None, None), Err(WriteError::NoFrames));
    let mut remuxer = Remuxer::new();
    assert_eq!(remuxer.segment(&ts, None).unwrap(), plain);
}

/// Chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.cast_unsigned()).cast_signed()
    }
}

/// Frames of any size, at any distance, in any number of units.
#[test]
fn whatever_is_written_is_read_again() {
    let keyframe = of_ts(&file("avc.ts"))
        .1
        .into_iter()
        .find(|frame| frame.track == 0)
        .unwrap();
    let mut chance = Chance(0x2545_F491_4F6C_DD1D);
    for _ in 0..60 {
        let mut writer = Writer::new([Codec::H264, Codec::Ac3].map(Track::new).to_vec());
        let mut at = chance.below(1 << 40);
        let mut frames = Vec::new();
        for number in 0..1 + chance.below(40) {
            let mut data = vec![0, 0, 0, 1, 0x09, 0xF0];
            for _ in 0..1 + chance.below(3) {
                data.extend([0, 0, 0, 1, 0x41, 0x9B]);
                data.extend((0..chance.below(300)).map(|byte| byte.to_le_bytes()[0] | 1));
            }
            let data = if number == 0 {
                keyframe.data.clone()
            } else {
                data.into()
            };
            frames.push(Frame {
                track: 0,
                pts: MediaTime::from_90k(at + chance.below(20_000)),
                dts: MediaTime::from_90k(at),
                random_access: number == 0,
                data,
            });
            at += 1 + chance.below(100_000);
        }
        let media = writer.segment(&frames, Some(MediaTime::from_90k(at))).unwrap();
        let read = of_mp4(&[&writer.init()[..], &media].concat(), 997).1;
        assert_eq!(read.len(), frames.len());
        for (read, frame) in read.iter().zip(&frames) {
            let told = |frame: &Frame| (frame.pts, frame.dts, frame.random_access);
            assert_eq!(told(read), told(frame));
            assert!(essence(Codec::H264, &read.data) == essence(Codec::H264, &frame.data));
        }
    }
}
