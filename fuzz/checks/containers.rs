//! What the targets of `mp4` and of the demuxer of transport streams check of any input. The ordinary tests run the same
//! checks over the corpus.

use std::time::Duration;

use mp4::{Reader, Remuxer, Writer};
use mpegts::{Demuxer, Frame, Interleaver, MediaTime, Muxer, PACKET_BYTES, SYNC_BYTE, Track};

/// What comes out of one fragment at the most: 64 MiB, where each unit of one byte gets a start code in place of its length.
const OUT_BYTES_MAX: usize = 200 * 1024 * 1024;

/// Any bytes as segments of fragmented MP4. The first byte says how they are divided, and whether there is a second segment
/// of the same bytes.
pub(crate) fn mp4_reader(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let step = 1 + usize::from(first >> 1) * 61;
    let mut reader = Reader::self_initialising();
    for _ in 0..1 + (first & 1) {
        let (mut frames, mut tracks) = (Vec::new(), reader.tracks().to_vec());
        for part in bytes.chunks(step) {
            let is_read = reader.push(part).is_ok();
            // Another movie header names other tracks.
            if reader.tracks() != tracks {
                pass_on(&tracks, &std::mem::take(&mut frames));
                tracks = reader.tracks().to_vec();
            }
            if !is_read {
                break;
            }
            frames.extend(core::iter::from_fn(|| reader.take()));
            assert!(frames.iter().all(|frame| frame.track < tracks.len()));
        }
        reader.finish();
        frames.extend(core::iter::from_fn(|| reader.take()));
        assert!(frames.iter().all(|frame| frame.dts <= frame.pts));
        let out: usize = frames.iter().map(|frame| frame.data.len()).sum();
        assert!(out <= OUT_BYTES_MAX);
        pass_on(reader.tracks(), &frames);
        reader.begin_segment();
    }
}

/// Any bytes as segments of a transport stream. The first byte says how they are divided, and whether they are one segment
/// or two.
pub(crate) fn ts_demux(input: &[u8]) {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let step = 1 + usize::from(first >> 1) * 61;
    let mut demuxer = Demuxer::new();
    demuxer.set_near(MediaTime::from_90k(i64::from(*first) << 30));
    let mut frames = Vec::new();
    for part in bytes.chunks(step) {
        demuxer.push(part);
        frames.extend(core::iter::from_fn(|| demuxer.take()));
        if first & 1 != 0 && part.first() == Some(&SYNC_BYTE) {
            demuxer.begin_segment();
        }
    }
    demuxer.finish();
    frames.extend(core::iter::from_fn(|| demuxer.take()));
    let out: usize = frames.iter().map(|frame| frame.data.len()).sum();
    assert!(out <= bytes.len());
    pass_on(demuxer.tracks(), &frames);
    let mut remuxer = Remuxer::new();
    for _ in 0..2 {
        if let Ok(segment) = remuxer.segment(bytes, None) {
            read_again(&[&segment.init[..], &segment.media[..]].concat());
        }
    }
}

/// Whatever frames there are: they can be put in order, into packets, and into MP4.
fn pass_on(tracks: &[Track], frames: &[Frame]) {
    let mut interleaver = Interleaver::new(tracks, Duration::from_secs(2));
    let mut ordered = Vec::new();
    for frame in frames {
        interleaver.push(frame.clone());
        ordered.extend(core::iter::from_fn(|| interleaver.take()));
    }
    interleaver.flush();
    ordered.extend(core::iter::from_fn(|| interleaver.take()));
    assert_eq!(ordered.len(), frames.len(), "no frame is lost");
    if let Ok(mut muxer) = Muxer::new(tracks) {
        let mut out = Vec::new();
        for frame in &ordered {
            muxer.write(frame, &mut out);
        }
        muxer.flush(&mut out);
        let (packets, rest) = out.as_chunks::<PACKET_BYTES>();
        assert!(rest.is_empty() && packets.iter().all(|packet| packet[0] == SYNC_BYTE));
    }
    let mut writer = Writer::new(tracks.to_vec());
    if let Ok(media) = writer.segment(&ordered, None) {
        read_again(&[&writer.init()[..], &media[..]].concat());
    }
}

/// What was written is read.
fn read_again(bytes: &[u8]) {
    let mut reader = Reader::self_initialising();
    reader.push(bytes).expect("what was written is read");
    while reader.take().is_some() {}
}
