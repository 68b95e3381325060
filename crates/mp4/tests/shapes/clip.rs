//! The clips in `shapes/`, and what two readings of one clip have in common.

use std::path::Path;

use mp4::Reader;
use mpegts::es::{leading, ranges};
use mpegts::{Codec, Demuxer, Frame, Track};

/// Shapes of fragmented MP4, each with the transport stream of the same frames.
pub(crate) const SHAPES: [(&str, &str); 11] = [
    ("avc.plain", "avc"),
    ("avc.cmaf", "avc"),
    ("avc.dash", "avc"),
    ("avc.offsets", "avc"),
    ("avc.separate", "avc"),
    ("avc.each", "avc"),
    ("ntsc.plain", "ntsc"),
    ("ntsc.odd", "ntsc"),
    ("hevc.hvc1", "hevc"),
    ("hevc.hev1", "hevc"),
    ("ac3.plain", "ac3"),
];

/// One file of the folder.
pub(crate) fn file(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shapes");
    std::fs::read(folder.join(name)).unwrap()
}

/// Tracks and frames of a transport stream.
pub(crate) fn of_ts(bytes: &[u8]) -> (Vec<Track>, Vec<Frame>) {
    let mut demuxer = Demuxer::new();
    demuxer.push(bytes);
    demuxer.finish();
    let frames = core::iter::from_fn(|| demuxer.take()).collect();
    (demuxer.tracks().to_vec(), frames)
}

/// Tracks and frames of fragmented MP4 that begins with its movie header.
pub(crate) fn of_mp4(bytes: &[u8], step: usize) -> (Vec<Track>, Vec<Frame>) {
    let mut reader = Reader::self_initialising();
    let mut frames = Vec::new();
    for part in bytes.chunks(step) {
        reader.push(part).unwrap();
        frames.extend(core::iter::from_fn(|| reader.take()));
    }
    (reader.tracks().to_vec(), frames)
}

/// The frames of one track.
pub(crate) fn track(frames: &[Frame], track: usize) -> Vec<&Frame> {
    frames.iter().filter(|frame| frame.track == track).collect()
}

/// What a decoder gets to see of a frame, whatever container it was in: units but for delimiters and parameter sets.
pub(crate) fn essence(codec: Codec, data: &[u8]) -> Vec<&[u8]> {
    let units = ranges(data, 0).map(|range| &data[range]);
    match codec {
        Codec::H264 => units.filter(|unit| !matches!(unit[0] & 0x1F, 7..=9)).collect(),
        Codec::Hevc => units
            .filter(|unit| !matches!((unit[0] >> 1) & 0x3F, 32..=35))
            .collect(),
        // The level of a decoder's buffer is a matter of the container, as are the bits that nobody defined.
        Codec::Aac => vec![&data[7..]],
        _ => vec![data],
    }
}

/// The parameter sets before the picture.
pub(crate) fn sets(codec: Codec, data: &[u8]) -> Vec<&[u8]> {
    let is_set = |unit: &&[u8]| match codec {
        Codec::H264 => matches!(unit[0] & 0x1F, 7 | 8),
        _ => matches!((unit[0] >> 1) & 0x3F, 32..=34),
    };
    leading(codec, data).filter(is_set).collect()
}

/// By how much the times of `ours` and `theirs` differ, in 90 kHz ticks: the least and the most.
pub(crate) fn shift(ours: &[&Frame], theirs: &[&Frame], time: fn(&Frame) -> i64) -> (i64, i64) {
    let shifts = ours
        .iter()
        .zip(theirs)
        .map(|(our, their)| time(our) - time(their));
    let (least, most) = (shifts.clone().min().unwrap(), shifts.max().unwrap());
    (least, most)
}
