//! Segments of sounds apart, and what becomes of the programme.

use super::*;
use mpegts::Codec;

const TARGET: Duration = Duration::from_secs(4);

/// A keyframe of H.264, and frames of sound at 48 kHz.
const PICTURE: &[u8] = &[
    0, 0, 0, 1, 0x09, 0xF0, 0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xF6, 0x84, 0, 0, 0, 1,
    0x68, 0xCE, 0x3C, 0x80, 0, 0, 0, 1, 0x65, 0x88, 0x55, 0x55,
];
const AAC: &[u8] = &[0xFF, 0xF1, 0x4C, 0x80, 0x20, 0x1F, 0xFC];
const MPEG_AUDIO: &[u8] = &[0xFF, 0xFD, 0x84, 0x00];

fn frame(codec: Codec, track: usize, at: MediaTime) -> Frame {
    let (head, bytes) = match codec {
        Codec::H264 => (PICTURE, PICTURE.len()),
        Codec::Aac => (AAC, 256),
        // Layer II, 128 kbit/s.
        _ => (MPEG_AUDIO, 384),
    };
    let mut data = head.to_vec();
    data.resize(bytes, 0x55);
    Frame {
        track,
        pts: at,
        dts: at,
        random_access: true,
        data: data.into(),
    }
}

/// So many seconds of these tracks as a transport stream, four frames of each a second.
fn stretch(codecs: &[Codec], seconds: std::ops::Range<i64>) -> Bytes {
    let tracks: Vec<Track> = codecs.iter().copied().map(Track::new).collect();
    let mut muxer = Muxer::new(&tracks).unwrap();
    let mut out = Vec::new();
    for quarter in 4 * seconds.start..4 * seconds.end {
        for (track, codec) in codecs.iter().enumerate() {
            let at = MediaTime::from_90k(quarter * 22_500);
            muxer.write(&frame(*codec, track, at), &mut out);
        }
    }
    muxer.flush(&mut out);
    out.into()
}

/// Takes a segment of a lane; what comes of it.
fn take(programme: &mut Programme, lane: usize, segment: Bytes) -> Vec<Input> {
    let mut out = VecDeque::new();
    let begun = programme.begin_segment(lane, (&segment, None), false, &mut out);
    begun.unwrap();
    programme.push(lane, segment, &mut out).unwrap();
    programme.end_segment(lane, &mut out).unwrap();
    out.into()
}

/// What the programme map lists that came last, and how many pictures came.
fn listed(inputs: &[Input]) -> (Vec<Codec>, usize) {
    let (mut demuxer, mut pictures) = (Demuxer::new(), 0);
    for input in inputs {
        match input {
            Input::Bytes(bytes) => demuxer.push(bytes),
            Input::Restart => {
                demuxer.finish();
                pictures += count(&mut demuxer);
                demuxer = Demuxer::new();
            }
        }
        pictures += count(&mut demuxer);
    }
    demuxer.finish();
    pictures += count(&mut demuxer);
    let codecs = demuxer.programme().map(|track| demuxer.tracks()[track].codec);
    (codecs.collect(), pictures)
}

fn count(demuxer: &mut Demuxer) -> usize {
    let frames = std::iter::from_fn(|| demuxer.take());
    frames.filter(|frame| frame.track == 0).count()
}

#[test]
fn a_sound_that_became_another_is_no_longer_listed() {
    let mut programme = Programme::new(&[None], TARGET);
    let mut inputs = take(&mut programme, 1, stretch(&[Codec::Aac], 0..4));
    inputs.extend(take(&mut programme, 0, stretch(&[Codec::H264], 0..4)));
    assert_eq!(listed(&inputs).0, [Codec::H264, Codec::Aac]);
    inputs.extend(take(&mut programme, 1, stretch(&[Codec::MpegAudio], 4..8)));
    inputs.extend(take(&mut programme, 0, stretch(&[Codec::H264], 4..8)));
    assert_eq!(listed(&inputs).0, [Codec::H264, Codec::MpegAudio]);
}

#[test]
fn a_sound_that_is_gone_is_not_waited_for() {
    let mut programme = Programme::new(&[None], TARGET);
    let sounds = [Codec::Aac, Codec::MpegAudio];
    let mut inputs = take(&mut programme, 1, stretch(&sounds, 0..4));
    inputs.extend(take(&mut programme, 0, stretch(&[Codec::H264], 0..4)));
    let (codecs, before) = listed(&inputs);
    assert_eq!(codecs, [Codec::H264, Codec::Aac, Codec::MpegAudio]);
    inputs.extend(take(&mut programme, 1, stretch(&[Codec::Aac], 4..8)));
    inputs.extend(take(&mut programme, 0, stretch(&[Codec::H264], 4..8)));
    let (codecs, pictures) = listed(&inputs);
    assert_eq!(codecs.len(), 3, "it may come back");
    assert_eq!(pictures - before, 16, "all four seconds");
}
