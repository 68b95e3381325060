//! Segments of fragmented MP4 in, frames out.

mod entry;
mod fragment;
mod movie;
mod sample;

use crate::boxes::{Begin, Kind, begin};
use bytes::{Buf as _, BytesMut};
use entry::Entry;
use fragment::Fragment;
use movie::Movie;
use mpegts::clock::TICKS_90K;
use mpegts::es::{ParameterSets, inspect};
use mpegts::{Frame, MediaTime, Track};
use std::collections::VecDeque;

/// Bytes of a movie header: real ones have a thousand, and pictures of their makers in them at times.
const MOVIE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of the header of a fragment.
const FRAGMENT_HEAD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of the frames of one fragment: all that it may have, and its parameter sets before some hundred pictures more. A
/// picture of two bytes with sets of thousands before it is made to fill memory; what is beyond is left out.
const OUT_BYTES_MAX: usize = fragment::FRAGMENT_BYTES_MAX + 32 * 1024 * 1024;

/// No picture is decoded so much later than it is shown: 16 of them may be held back (H.264 A.3.1), three a second.
const EARLIER_MAX_90K: i64 = 5 * TICKS_90K;

/// What a segment begins with; anything else is another format (8.16.2, 8.16.3; CMAF 7.3).
const BEGINNINGS: [&Kind; 15] = [
    b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"ssix", b"emsg", b"prft", b"free", b"skip", b"wide",
    b"mdat", b"uuid", b"pdin", b"meta",
];

/// Why a segment cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Protected by a DRM system (14496-12 8.12, 23001-7): a key would be needed that nobody gives us.
    #[error("the media is encrypted (DRM, scheme {})", .scheme.escape_ascii())]
    Encrypted {
        /// The protection scheme: `cenc`, `cbcs`; the name of the sample entry where none is told.
        scheme: [u8; 4],
    },
    /// The bytes do not begin with a box of a kind that segments begin with.
    #[error("this is no fragmented MP4")]
    NotMp4,
    /// A media segment, and no initialisation segment (EXT-X-MAP) that says what is in it.
    #[error("there is no movie header (moov) to read the segment by")]
    NoMovie,
    /// Nothing in it is of a codec that a transport stream carries. The first one that is not, if there is any.
    #[error("there is no track of a known codec (the first is {})", .first.escape_ascii())]
    NoTracks {
        /// The name of the first sample entry; zeros where there is none.
        first: [u8; 4],
    },
    /// A box claims more than it can have.
    #[error("{what} is larger than {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its limit, in bytes or pieces.
        limit: usize,
    },
    /// A box that is needed is missing or cut short.
    #[error("the box {} is missing or broken", .0.escape_ascii())]
    Broken([u8; 4]),
}

/// Reads segments of fragmented MP4.
///
/// Segments go in in any division; frames come out when the fragment they are in is complete, in the order of the file:
/// in the order of decoding times only within a track ([`mpegts::Interleaver`] puts them in order). A segment may bring
/// its own movie header, which takes the place of the one before it. Boxes that are not needed (`styp`, `sidx`, `emsg`,
/// `prft`, `free`) are skipped.
///
/// Times are those of the segments, minus what edit lists cut off the beginning. A fragment without a decode time goes
/// on where the one before it ended. Memory is bounded by one fragment (64 MiB) and its frames as long as [`Self::take`]
/// is called until it gives nothing after every [`Self::push`].
#[derive(Debug, Default)]
pub struct Reader {
    movie: Movie,
    /// The contents of the moov box in force: it is often repeated.
    movie_read: Vec<u8>,
    tracks: Vec<Track>,
    states: Vec<State>,
    /// For each track, the decoding time at which its last fragment ended.
    next: Vec<i64>,
    /// From the begin of a box on that is needed whole.
    held: BytesMut,
    /// A fragment that waits for its data; its header begins where `held` does.
    fragment: Option<(Fragment, usize)>,
    /// Bytes of a box that nobody needs, still to come.
    skip: u64,
    /// Where `held` begins in the segment.
    position: u64,
    ready: VecDeque<Frame>,
}

#[derive(Debug, Default)]
struct State {
    /// The sample entry in use.
    description: u32,
    sets: ParameterSets,
    order: Order,
}

/// Decoding times that are never later than presentation times. MP4 may have pictures presented before they are decoded
/// (CMAF shows the first one at its decoding time); transport streams may not, so that all are decoded earlier.
#[derive(Debug, Default)]
struct Order {
    earlier_90k: i64,
    /// The last decoding time given out.
    last: Option<i64>,
}

impl Reader {
    /// A reader for the segments that `init` describes: the bytes that EXT-X-MAP names.
    ///
    /// # Errors
    /// Says why their media cannot be read.
    pub fn new(init: &[u8]) -> Result<Self, ReadError> {
        let mut reader = Self::default();
        reader.push(init)?;
        if reader.tracks.is_empty() {
            return Err(ReadError::NoMovie);
        }
        reader.begin_segment();
        Ok(reader)
    }

    /// A reader for segments that bring their movie header themselves.
    #[must_use]
    pub fn self_initialising() -> Self {
        Self::default()
    }

    /// The tracks of the movie header in force, which frames name by their index; those of unknown codecs are left out.
    /// Empty before the first movie header. Another one takes the frames with it that have not been taken by then.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Another segment begins: with a box. What is incomplete of the one before it is dropped; the timeline stays.
    pub fn begin_segment(&mut self) {
        self.held.clear();
        self.fragment = None;
        self.skip = 0;
        self.position = 0;
    }

    /// Feeds bytes as they were read, in any division.
    ///
    /// # Errors
    /// Says why the segment cannot be read; what follows of it is skipped. The reader goes on with the next
    /// [`Self::begin_segment`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let now = self.skip_from(bytes.len());
        let bytes = bytes.get(now..).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        self.held.extend_from_slice(bytes);
        let read = self.read();
        if read.is_err() {
            self.held.clear();
            self.fragment = None;
            self.skip = u64::MAX;
        }
        read
    }

    /// The segment was cut short: frames of its last fragment that are there are given out.
    pub fn finish(&mut self) {
        if let Some((fragment, _)) = self.fragment.take() {
            self.write_frames(&fragment);
        }
        self.begin_segment();
    }

    /// The next frame.
    pub fn take(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// How many of `bytes` are of a box that nobody needs; they count as read.
    fn skip_from(&mut self, bytes: usize) -> usize {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes);
        self.skip -= skipped as u64;
        self.position += skipped as u64;
        skipped
    }

    /// Reads the boxes that are there.
    fn read(&mut self) -> Result<(), ReadError> {
        loop {
            let skipped = self.skip_from(self.held.len());
            self.held.advance(skipped);
            if let Some((fragment, _)) = &self.fragment {
                if self.held.len() < fragment.bytes {
                    return Ok(());
                }
                self.finish_fragment();
                continue;
            }
            let head = match begin(&self.held) {
                Begin::Box(head) => head,
                Begin::Short => return Ok(()),
                Begin::Nonsense(kind) => return Err(self.unknown(kind)),
            };
            if self.position == 0 && !BEGINNINGS.contains(&&head.kind) {
                return Err(ReadError::NotMp4);
            }
            let limit = match &head.kind {
                b"moov" => MOVIE_BYTES_MAX,
                b"moof" => FRAGMENT_HEAD_BYTES_MAX,
                _ => {
                    self.skip = head.whole.unwrap_or(u64::MAX);
                    continue;
                }
            };
            let whole = head.whole.ok_or(ReadError::Broken(head.kind))?;
            let whole = usize::try_from(whole).ok().filter(|whole| *whole <= limit);
            let whole = whole.ok_or(ReadError::TooLarge {
                what: "a header box",
                limit,
            })?;
            if self.held.len() < whole {
                return Ok(());
            }
            if &head.kind == b"moov" {
                self.read_movie(head.bytes, whole)?;
                self.skip = whole as u64;
            } else {
                self.read_fragment(head.bytes, whole)?;
            }
        }
    }

    /// What cannot be a box: at the begin of a segment it is none, later on one is damaged.
    const fn unknown(&self, kind: Kind) -> ReadError {
        if self.position == 0 {
            ReadError::NotMp4
        } else {
            ReadError::Broken(kind)
        }
    }

    fn read_movie(&mut self, head: usize, whole: usize) -> Result<(), ReadError> {
        let contents = self.held.get(head..whole).unwrap_or_default();
        if contents == self.movie_read {
            return Ok(());
        }
        let movie = Movie::read(contents)?;
        self.movie_read = contents.to_vec();
        // They name tracks that are no longer there; who takes them would take them for others.
        self.ready.clear();
        self.tracks = movie.tracks.iter().map(|track| track.track.clone()).collect();
        self.states = movie.tracks.iter().map(|_| State::default()).collect();
        self.next = vec![0; movie.tracks.len()];
        self.movie = movie;
        Ok(())
    }

    fn read_fragment(&mut self, head: usize, whole: usize) -> Result<(), ReadError> {
        if self.movie.tracks.is_empty() {
            return Err(ReadError::NoMovie);
        }
        let contents = self.held.get(head..whole).unwrap_or_default();
        let fragment = Fragment::read(contents, &self.movie, &mut self.next, (whole, self.position))?;
        self.fragment = Some((fragment, whole));
        Ok(())
    }

    /// All data of the fragment are there: its frames are given out, and what follows its header is read on.
    fn finish_fragment(&mut self) {
        if let Some((fragment, head)) = self.fragment.take() {
            self.write_frames(&fragment);
            self.skip = head as u64;
        }
    }

    fn write_frames(&mut self, fragment: &Fragment) {
        let mut written = 0;
        for run in fragment.runs.iter().filter(|run| !run.samples.is_empty()) {
            let (Some(track), Some(state)) =
                (self.movie.tracks.get(run.track), self.states.get_mut(run.track))
            else {
                continue;
            };
            let index = usize::try_from(run.description)
                .unwrap_or_default()
                .wrapping_sub(1);
            let Some(Some(entry)) = track.entries.get(index) else {
                continue;
            };
            if state.description != run.description {
                state.description = run.description;
                state.sets = ParameterSets::new();
                if let Entry::Picture { codec, sets, .. } = entry {
                    inspect(*codec, sets, &mut state.sets);
                }
            }
            let times: Vec<_> = run.samples.iter().map(|sample| track.time.of(sample)).collect();
            state.order.learn(&times);
            let bytes: usize = run.samples.iter().map(|sample| sample.bytes).sum();
            // What a header says of its data is believed as far as there are any.
            let bytes = bytes.min(self.held.len());
            let mut out = BytesMut::with_capacity(bytes + run.samples.len() * sample::GROWTH_BYTES);
            for (sample, times) in run.samples.iter().zip(times) {
                let data = self.held.get(sample.at..sample.at.saturating_add(sample.bytes));
                let (Some(data), Some((pts, dts))) = (data, times) else {
                    continue;
                };
                let dts = state.order.decoded(pts, dts);
                if let Some(random_access) =
                    sample::write(entry, data, sample.intra, &mut state.sets, &mut out)
                {
                    written += out.len();
                    if written > OUT_BYTES_MAX {
                        return;
                    }
                    self.ready.push_back(Frame {
                        track: run.track,
                        pts: MediaTime::from_90k(pts),
                        dts: MediaTime::from_90k(dts),
                        random_access,
                        data: out.split().freeze(),
                    });
                }
            }
        }
    }
}

impl Order {
    /// Takes up how early pictures of a fragment, each with its presentation and decoding times, have to be decoded.
    fn learn(&mut self, times: &[Option<(i64, i64)>]) {
        let earlier = times.iter().flatten().map(|(pts, dts)| dts - pts).max();
        let earlier = earlier.unwrap_or_default().min(EARLIER_MAX_90K);
        self.earlier_90k = self.earlier_90k.max(earlier);
    }

    /// When a picture is decoded. Where others turn out to need more time than was known, it is the least that keeps the
    /// order.
    fn decoded(&mut self, pts: i64, dts: i64) -> i64 {
        let dts = dts - self.earlier_90k;
        let in_order = self
            .last
            .filter(|last| (0..=self.earlier_90k).contains(&(last - dts)));
        let dts = in_order.map_or(dts, |last| last + 1).min(pts);
        self.last = Some(dts);
        dts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_decoded_before_they_are_shown_and_in_order() {
        let check = |fragments: &[&[(i64, i64)]], expected: &[i64]| {
            let mut order = Order::default();
            let mut decoded = Vec::new();
            for fragment in fragments {
                let times: Vec<_> = fragment.iter().copied().map(Some).collect();
                order.learn(&times);
                decoded.extend(fragment.iter().map(|(pts, dts)| order.decoded(*pts, *dts)));
            }
            assert_eq!(decoded, expected, "{fragments:?}");
        };
        // Nothing to do.
        check(&[&[(20, 0), (60, 20), (40, 40)]], &[0, 20, 40]);
        // The first is shown at its decoding time: all are decoded one picture earlier, in the next fragment too.
        check(
            &[&[(0, 0), (60, 20), (20, 40), (40, 60)], &[(80, 80)]],
            &[-20, 0, 20, 40, 60],
        );
        // It turns out late: times keep rising.
        check(
            &[&[(0, 0), (40, 20)], &[(20, 40), (60, 60), (100, 80)]],
            &[0, 20, 20, 40, 60],
        );
        // Nonsense does not last.
        check(&[&[(-9_000_000, 0), (20, 20)]], &[-9_000_000, -449_980]);
    }

    /// A box of that kind.
    fn boxed(kind: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        let length = u32::try_from(contents.len() + 8).unwrap();
        [&length.to_be_bytes()[..], kind, contents].concat()
    }

    /// The movie header of a clip, its first track with a picture parameter set of so many bytes.
    fn movie_with_set(bytes: u16) -> Vec<u8> {
        let clip = include_bytes!("../../tests/shapes/avc.plain.mp4");
        let at = |kind: &[u8; 4]| clip.windows(4).position(|four| four == kind).unwrap() - 4;
        let length = |at: usize| u32::from_be_bytes(clip[at..at + 4].try_into().unwrap());
        let end = |kind| at(kind) + length(at(kind)) as usize;
        let mut movie = clip[..end(b"moov")].to_vec();
        // Version, profile, compatibility, level, bytes of lengths; a sequence parameter set, and one for pictures.
        let mut record = vec![1, 0x42, 0xC0, 0x1E, 0xFF];
        record.extend([0xE1, 0, 5, 0x67, 0x42, 0xC0, 0x1E, 0xDA]);
        record.push(1);
        record.extend(bytes.to_be_bytes());
        record.push(0x68);
        record.resize(record.len() + usize::from(bytes) - 1, 0x55);
        let record = boxed(b"avcC", &record);
        let more = u32::try_from(record.len()).unwrap() - length(at(b"avcC"));
        for kind in [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"] {
            let at = at(kind);
            movie[at..at + 4].copy_from_slice(&(length(at) + more).to_be_bytes());
        }
        movie.splice(at(b"avcC")..end(b"avcC"), record);
        movie
    }

    /// Five bytes each, and 16 thousand of parameter sets before every one: three times what there may be.
    #[test]
    fn pictures_of_nothing_fill_no_memory() {
        const PICTURES: u32 = 18_000;
        const PICTURE: [u8; 5] = [0, 0, 0, 1, 0x65];
        let mut reader = Reader::new(&movie_with_set(16_000)).unwrap();
        // Of track 1, each of so many bytes and depending on no other; counted from the header.
        let flags = 0x0002_0030_u32.to_be_bytes();
        let head = [flags, [0, 0, 0, 1], [0, 0, 0, 5], [2, 0, 0, 0]].concat();
        let run = [[0; 4], PICTURES.to_be_bytes()].concat();
        let traf = [boxed(b"tfhd", &head), boxed(b"trun", &run)].concat();
        let mut segment = boxed(b"moof", &boxed(b"traf", &traf));
        segment.extend(boxed(b"mdat", &PICTURE.repeat(PICTURES as usize)));
        reader.push(&segment).unwrap();
        let frames = core::iter::from_fn(|| reader.take());
        let bytes: usize = frames.map(|frame| frame.data.len()).sum();
        assert!(bytes > OUT_BYTES_MAX / 2 && bytes <= OUT_BYTES_MAX, "{bytes}");
    }
}
