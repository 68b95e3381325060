//! Frames through a transport stream of our own and out of it: what a receiver may ask of the stream, and that nothing
//! changes on the way.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use mpegts::psi::{Pmt, SectionReader};
use mpegts::{
    Codec, Demuxer, Frame, MediaTime, MuxError, Muxer, PACKET_BYTES, Packet, Pcr27m, Pid, Track, Unusable,
};
use std::collections::BTreeMap;

const SETS: &[u8] = &[
    0, 0, 0, 1, 0x09, 0xF0, 0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xF6, 0x84, 0, 0, 0, 1,
    0x68, 0xCE, 0x3C, 0x80,
];

/// A picture: a keyframe or not, of about so many bytes.
fn picture(dts: i64, keyframe: bool, bytes: usize) -> Frame {
    let slice: &[u8] = if keyframe {
        &[0, 0, 0, 1, 0x65, 0x88]
    } else {
        &[0, 0, 0, 1, 0x41, 0x9B]
    };
    let head = if keyframe { SETS } else { &SETS[..6] };
    Frame {
        track: 0,
        pts: MediaTime::from_90k(dts + 3_600),
        dts: MediaTime::from_90k(dts),
        random_access: keyframe,
        data: [head, slice, &vec![0x55; bytes]].concat().into(),
    }
}

/// AAC at 48 kHz: 1,920 ticks.
fn sound(track: usize, at: i64, fill: u8) -> Frame {
    let at = MediaTime::from_90k(at);
    Frame {
        track,
        pts: at,
        dts: at,
        random_access: true,
        data: [&[0xFF, 0xF1, 0x4C, 0x80, 0x20, 0x1F, 0xFC][..], &vec![fill; 249]]
            .concat()
            .into(),
    }
}

/// Pictures `step` apart in groups of `group`, and two sounds, in order.
fn film(step: i64, group: i64, count: i64, begins: i64) -> Vec<Frame> {
    let mut frames: Vec<Frame> = (0..count)
        .map(|number| {
            picture(
                begins + number * step,
                number % group == 0,
                usize::try_from(number * 977 % 5_000).unwrap(),
            )
        })
        .collect();
    for track in [1, 2] {
        let count = count * step / 1_920;
        frames
            .extend((0..count).map(|number| sound(track, begins + number * 1_920, number.to_le_bytes()[0])));
    }
    frames.sort_by_key(|frame| frame.dts);
    frames
}

fn tracks() -> Vec<Track> {
    let mut tracks = [Codec::H264, Codec::Aac, Codec::Aac].map(Track::new).to_vec();
    tracks[1].language = Some(*b"deu");
    tracks[2].language = Some(*b"eng");
    tracks
}

fn mux(frames: &[Frame]) -> Vec<u8> {
    let mut muxer = Muxer::new(&tracks()).unwrap();
    let mut out = Vec::new();
    frames.iter().for_each(|frame| muxer.write(frame, &mut out));
    muxer.flush(&mut out);
    out
}

fn demux(bytes: &[u8]) -> (Vec<Track>, Vec<Frame>) {
    let mut demuxer = Demuxer::new();
    demuxer.push(bytes);
    demuxer.finish();
    let mut frames: Vec<Frame> = core::iter::from_fn(|| demuxer.take()).collect();
    frames.sort_by_key(|frame| (frame.dts, frame.track));
    (demuxer.tracks().to_vec(), frames)
}

#[test]
fn frames_come_out_as_they_went_in() {
    for (step, group) in [(3_600, 25), (3_003, 7), (1_800, 50), (45_000, 3), (90_000, 1)] {
        let mut frames = film(step, group, 60, 900_000);
        let (tracks_out, out) = demux(&mux(&frames));
        frames.sort_by_key(|frame| (frame.dts, frame.track));
        assert_eq!(out.len(), frames.len(), "{step}");
        for (out, frame) in out.iter().zip(&frames) {
            assert!(out == frame, "{step}: track {} at {:?}", frame.track, frame.dts);
        }
        let languages: Vec<_> = tracks_out.iter().map(|track| track.language).collect();
        assert_eq!(languages, [None, Some(*b"deu"), Some(*b"eng")]);
    }
}

#[test]
fn tables_and_clock_come_in_time() {
    for (step, group) in [(3_600, 25), (1_800, 500), (45_000, 30), (90_000, 30)] {
        let bytes = mux(&film(step, group, 60, 900_000));
        let mut counters = BTreeMap::new();
        let (mut tables_at, mut clock, mut tables) = (None, None::<Pcr27m>, 0);
        let mut next_is_entry = false;
        for packet in bytes
            .as_chunks::<PACKET_BYTES>()
            .0
            .iter()
            .map(|bytes| Packet::new(bytes).unwrap())
        {
            let pid = packet.pid().value();
            if packet.payload().is_some()
                && let Some(last) = counters.insert(pid, packet.continuity())
            {
                assert_eq!(packet.continuity(), (last + 1) & 15, "{pid:#x}");
            }
            if let Some(pcr) = packet.pcr() {
                assert_eq!(pid, 0x100);
                let gap = clock.map_or(0, |last| pcr.ticks() - last.ticks());
                assert!(gap <= 2_700_000, "{gap} without a clock at {step}");
                clock = Some(pcr);
            }
            if packet.pid() == Pid::PAT {
                tables += 1;
                next_is_entry = true;
                if let (Some(now), Some(last)) = (clock, tables_at) {
                    let gap = now.ticks() - Pcr27m::ticks(last);
                    // Where there is nothing to send there are no tables either: a picture late.
                    let most = 27_000_000 / 2 + step.cast_unsigned() * 300;
                    assert!(gap <= most, "{gap} without tables at {step}");
                }
                tables_at = clock.or(tables_at);
            } else if pid == 0x100 && packet.unit_start() && packet.random_access() {
                assert!(next_is_entry, "a keyframe comes behind tables");
                next_is_entry = false;
            } else if pid != 0x1000 {
                next_is_entry = false;
            }
        }
        assert!(tables >= 4);
    }
}

/// A picture that comes behind sound of a later time, as where somebody stopped waiting for it.
#[test]
fn what_comes_late_does_not_turn_the_clock_back() {
    let mut frames = film(3_600, 25, 50, 900_000);
    let late = frames
        .iter()
        .position(|frame| frame.track == 0 && frame.dts.as_90k() > 960_000)
        .unwrap();
    let picture = frames.remove(late);
    frames.insert(late + 20, picture);
    let bytes = mux(&frames);
    let packets = bytes.as_chunks::<PACKET_BYTES>().0.iter().filter_map(Packet::new);
    let clocks: Vec<u64> = packets
        .filter_map(|packet| packet.pcr())
        .map(Pcr27m::ticks)
        .collect();
    assert!(clocks.len() > 40 && clocks.is_sorted());
}

#[test]
fn sound_is_gathered_and_gaps_are_kept() {
    let mut frames: Vec<Frame> = (0..30)
        .map(|number| sound(0, 900_000 + number * 1_920, 1))
        .collect();
    frames.extend((0..30).map(|number| sound(0, 990_123 + number * 1_920, 2)));
    let mut muxer = Muxer::new(&[Track::new(Codec::Aac)]).unwrap();
    let mut out = Vec::new();
    frames.iter().for_each(|frame| muxer.write(frame, &mut out));
    muxer.flush(&mut out);
    let packets = out.as_chunks::<PACKET_BYTES>().0.iter().filter_map(Packet::new);
    let starts = packets
        .filter(|packet| packet.unit_start() && packet.pid().value() == 0x100)
        .count();
    assert_eq!(starts, 20, "three frames of sound in a PES packet");
    assert_eq!(demux(&out).1, frames);
}

#[test]
fn what_cannot_be_carried_is_told() {
    let check = |codecs: &[Codec], expected| {
        let tracks: Vec<_> = codecs.iter().copied().map(Track::new).collect();
        assert_eq!(Muxer::new(&tracks).err(), expected, "{codecs:?}");
    };
    check(&[], Some(MuxError::NoTracks));
    check(&[Codec::Teletext], Some(MuxError::NoTracks));
    check(&[Codec::H264, Codec::Opus], Some(MuxError::Codec(Codec::Opus)));
    check(&[Codec::Aac; 33], Some(MuxError::TooMany));
    check(
        &[
            Codec::Hevc,
            Codec::Ac3,
            Codec::Eac3,
            Codec::MpegAudio,
            Codec::Dts,
            Codec::AacLatm,
        ],
        None,
    );
}

#[test]
fn a_segment_may_come_without_tables_and_behind_rubbish() {
    let frames = film(3_600, 25, 100, 900_000);
    let whole = mux(&frames);
    let (packets, _) = whole.as_chunks::<PACKET_BYTES>();
    let keyframes: Vec<usize> = packets
        .iter()
        .enumerate()
        .filter(|(_, bytes)| Packet::new(bytes).is_some_and(|packet| packet.pid() == Pid::PAT))
        .map(|(at, _)| at)
        .collect();
    let cut = keyframes[keyframes.len() / 2];
    let (first, second) = packets.split_at(cut);
    let bare: Vec<u8> = second
        .iter()
        .filter(|bytes| !matches!(Packet::new(bytes).unwrap().pid().value(), 0 | 0x1000))
        .flatten()
        .copied()
        .collect();
    let mut demuxer = Demuxer::new();
    demuxer.push(b"not a packet at all");
    demuxer.push(&first.concat());
    demuxer.begin_segment();
    demuxer.push(&[b"rubbish".as_slice(), &bare].concat());
    demuxer.finish();
    let mut out: Vec<Frame> = core::iter::from_fn(|| demuxer.take()).collect();
    out.sort_by_key(|frame| (frame.dts, frame.track));
    let mut expected = frames;
    expected.sort_by_key(|frame| (frame.dts, frame.track));
    assert!(out == expected);

    let mut alone = Demuxer::new();
    alone.push(&bare);
    alone.finish();
    assert_eq!((alone.take(), alone.lacks()), (None, Some(Unusable::NoPat)));
}

#[test]
fn time_goes_on_behind_the_wrap() {
    const WRAP: i64 = 1 << 33;
    let frames = film(3_600, 25, 100, WRAP - 180_000);
    let bytes = mux(&frames);
    let (_, out) = demux(&bytes);
    let rises = |track| {
        out.iter()
            .filter(move |frame| frame.track == track)
            .map(|frame| frame.dts)
    };
    for track in 0..3 {
        assert!(rises(track).is_sorted() && rises(track).max() > Some(MediaTime::from_90k(WRAP)));
    }
    let mut demuxer = Demuxer::new();
    demuxer.set_near(MediaTime::from_90k(5 * WRAP - 90_000));
    demuxer.push(&bytes);
    let first = demuxer.take().unwrap();
    assert_eq!(first.dts, MediaTime::from_90k(5 * WRAP - 180_000));
}

/// The packets of `bytes` with the map changed.
fn with_map(bytes: &[u8], change: impl Fn(&mut Pmt)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut continuity = 15;
    for bytes in bytes.as_chunks::<PACKET_BYTES>().0 {
        let packet = Packet::new(bytes).unwrap();
        if packet.pid().value() != 0x1000 {
            out.extend_from_slice(bytes);
            continue;
        }
        SectionReader::default().push(&packet, |section| {
            let mut map = Pmt::parse(section).unwrap();
            change(&mut map);
            mpegts::psi::packetize(&map.write().unwrap(), packet.pid(), &mut continuity, &mut out);
        });
    }
    out
}

#[test]
fn a_track_keeps_its_index_under_another_map() {
    let first = mux(&film(3_600, 25, 50, 900_000));
    let second = with_map(&mux(&film(3_600, 25, 50, 1_080_000)), |map| {
        map.version = 1;
        map.streams.swap(1, 2);
    });
    let third = with_map(&mux(&film(3_600, 25, 50, 1_260_000)), |map| {
        map.version = 2;
        map.streams.truncate(2);
        map.streams[1].stream_type = 0x03;
    });
    let mut demuxer = Demuxer::new();
    let mut programmes = Vec::new();
    for segment in [&first, &second, &third] {
        demuxer.begin_segment();
        demuxer.push(segment);
        demuxer.finish();
        programmes.push(demuxer.programme().collect::<Vec<_>>());
    }
    assert_eq!(programmes, [vec![0, 1, 2], vec![0, 2, 1], vec![0, 3]]);
    assert_eq!(demuxer.tracks()[3].codec, Codec::MpegAudio);
}

/// Two PES packets of one picture: the second has no time stamp.
#[test]
fn what_has_no_stamp_belongs_to_the_picture_before() {
    let frames = [
        picture(900_000, true, 300),
        picture(903_600, false, 300),
        picture(907_200, false, 300),
    ];
    let mut bytes = mux(&frames);
    let begin = [0, 0, 1, 0xE0, 0, 0, 0x84, 0xC0];
    let at: Vec<usize> = (0..bytes.len() - 8)
        .filter(|at| bytes[*at..].starts_with(&begin[..4]) && bytes[at + 7] == 0xC0)
        .collect();
    assert_eq!(at.len(), 3);
    bytes[at[1] + 7] = 0;
    let (_, out) = demux(&bytes);
    assert_eq!(out.len(), 2);
    assert!(out[0].data == [&frames[0].data[..], &frames[1].data[..]].concat());
}

/// A stream that never stamps again is no picture without end.
#[test]
fn a_picture_has_a_bound() {
    const MEGABYTE: usize = 1 << 20;
    let frames: Vec<Frame> = (0..4)
        .map(|number| picture(900_000 + number * 3_600, number == 0, 5 * MEGABYTE))
        .collect();
    let mut bytes = mux(&frames);
    let at: Vec<usize> = (0..bytes.len() - 8)
        .filter(|at| bytes[*at..].starts_with(&[0, 0, 1, 0xE0]) && bytes[at + 7] == 0xC0)
        .collect();
    for at in &at[1..] {
        bytes[at + 7] = 0;
    }
    let (_, out) = demux(&bytes);
    assert_eq!(out.len(), 1);
    assert!(out[0].data.len() <= 6 * MEGABYTE, "{} bytes", out[0].data.len());
}
