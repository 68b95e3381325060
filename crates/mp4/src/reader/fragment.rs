//! A movie fragment: where its samples lie and when they are decoded (8.8.4 to 8.8.12).

use super::ReadError;
use super::movie::{Defaults, Movie, MovieTrack};
use crate::boxes::{Fields, child, children};

/// Samples of one fragment: ten minutes of pictures, or of sound.
const SAMPLES_MAX: usize = 65_536;

/// Bytes from the begin of a fragment's header to the end of its last sample, and of all samples together.
pub(super) const FRAGMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// sample_is_non_sync_sample (8.8.3.1).
const NOT_SYNC: u32 = 0x0001_0000;

/// The samples of one track in a fragment.
#[derive(Debug)]
pub(super) struct Run {
    /// The index of its track.
    pub(super) track: usize,
    /// sample_description_index, from 1.
    pub(super) description: u32,
    pub(super) samples: Vec<Sample>,
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Bytes from the begin of the fragment's header.
    pub(super) at: usize,
    pub(super) bytes: usize,
    /// Decoding time, in ticks of the track.
    pub(super) dts: i64,
    /// What the presentation time is later than that.
    pub(super) delay: i64,
    /// Said to depend on no other.
    pub(super) intra: bool,
}

/// A fragment whose header has been read.
#[derive(Debug, Default)]
pub(super) struct Fragment {
    pub(super) runs: Vec<Run>,
    /// Bytes from the begin of its header to the end of its last sample.
    pub(super) bytes: usize,
    samples: usize,
    sample_bytes: usize,
    /// Bytes of its header box.
    head: usize,
    /// Where the data of the track before ended.
    ended: usize,
    /// What offsets from the begin of a file are counted from here, once one was seen.
    origin: Option<u64>,
}

/// What a track fragment says of itself (tfhd, 8.8.7).
#[derive(Clone, Copy, Debug)]
struct TrackHead {
    id: u32,
    base: Option<u64>,
    base_is_head: bool,
    defaults: [Option<u32>; 4],
}

impl Fragment {
    /// Reads the contents of a moof box of `head` bytes, which begins `position` bytes into the segment. `next` has for each track the decoding
    /// time at which the fragment before it ended.
    ///
    /// # Errors
    /// When boxes that are needed are missing or cut short, and when it has more than fits.
    pub(super) fn read(
        contents: &[u8],
        movie: &Movie,
        next: &mut [i64],
        (head, position): (usize, u64),
    ) -> Result<Self, ReadError> {
        let mut fragment = Self {
            head,
            ..Self::default()
        };
        for (_, traf) in children(contents).filter(|(kind, _)| kind == b"traf") {
            let header = child(traf, b"tfhd").and_then(TrackHead::read);
            let header = header.ok_or(ReadError::Broken(*b"tfhd"))?;
            let tracks = &mut movie.tracks.iter().zip(next.iter_mut()).enumerate();
            let Some((index, (track, next))) = tracks.find(|(_, (track, _))| track.id == header.id) else {
                continue;
            };
            fragment.read_track(traf, (index, track), header, next, position)?;
        }
        Ok(fragment)
    }

    fn read_track(
        &mut self,
        traf: &[u8],
        (index, track): (usize, &MovieTrack),
        header: TrackHead,
        next: &mut i64,
        position: u64,
    ) -> Result<(), ReadError> {
        let [description, duration, size, flags] = header.defaults;
        let defaults = Defaults {
            description: description.unwrap_or(track.defaults.description),
            duration: duration.unwrap_or(track.defaults.duration),
            size: size.unwrap_or(track.defaults.size),
            flags: flags.unwrap_or(track.defaults.flags),
        };
        if let Some(tfdt) = child(traf, b"tfdt") {
            let time = decode_time(tfdt).filter(|time| track.time.at_90k(*time).is_some());
            *next = time.ok_or(ReadError::Broken(*b"tfdt"))?;
        }
        let base = match header.base {
            Some(base) => self.base(base, position),
            None if header.base_is_head => 0,
            None => self.ended,
        };
        let mut at = base;
        let mut run = Run {
            track: index,
            description: defaults.description,
            samples: Vec::new(),
        };
        for (_, trun) in children(traf).filter(|(kind, _)| kind == b"trun") {
            at = self.read_run(trun, defaults, (base, at), next, &mut run.samples)?;
        }
        self.ended = at;
        self.runs.push(run);
        Ok(())
    }

    /// An offset into the file as one from the header on. The file it was counted in need not be the one at hand, of which
    /// only a piece may have come: where the first one leads neither to the header nor to the data behind it, it is taken for
    /// the header's.
    fn base(&mut self, base: u64, position: u64) -> usize {
        let data = position + self.head as u64;
        let here = [position, data + 8, data + 16].contains(&base);
        let origin = *self.origin.get_or_insert(if here { position } else { base });
        let base = base
            .checked_sub(origin)
            .and_then(|base| usize::try_from(base).ok());
        base.filter(|base| *base <= FRAGMENT_BYTES_MAX)
            .unwrap_or_default()
    }

    /// Reads a trun box (8.8.8); returns where its data end.
    fn read_run(
        &mut self,
        trun: &[u8],
        defaults: Defaults,
        (base, at): (usize, usize),
        next: &mut i64,
        samples: &mut Vec<Sample>,
    ) -> Result<usize, ReadError> {
        const BROKEN: ReadError = ReadError::Broken(*b"trun");
        let (_, flags, mut fields) = Fields::full(trun).ok_or(BROKEN)?;
        let count = usize::try_from(fields.u32().ok_or(BROKEN)?).unwrap_or(usize::MAX);
        self.samples = self.samples.saturating_add(count);
        check("the samples of a fragment", self.samples, SAMPLES_MAX)?;
        let offset = fields.u32_if(flags & 0x1 != 0).ok_or(BROKEN)?;
        let mut at = match offset {
            Some(offset) => base
                .checked_add_signed(offset.cast_signed() as isize)
                .ok_or(BROKEN)?,
            None => at,
        };
        if at < self.head {
            at = self.head + 8; // Behind the head of the media data box that follows.
        }
        let first_flags = fields.u32_if(flags & 0x4 != 0).ok_or(BROKEN)?;
        for number in 0..count {
            let mut field = |bit| fields.u32_if(flags & bit != 0).ok_or(BROKEN);
            let duration = field(0x100)?.unwrap_or(defaults.duration);
            let size = field(0x200)?.unwrap_or(defaults.size);
            let own_flags = field(0x400)?;
            // Unsigned in version 0; but whoever writes 2^31 and above there means less than nothing.
            let delay = field(0x800)?.unwrap_or_default().cast_signed();
            let sample_flags = first_flags
                .filter(|_| number == 0)
                .or(own_flags)
                .unwrap_or(defaults.flags);
            let bytes = usize::try_from(size).unwrap_or(usize::MAX);
            self.sample_bytes = self.sample_bytes.saturating_add(bytes);
            check("the data of a fragment", self.sample_bytes, FRAGMENT_BYTES_MAX)?;
            samples.push(Sample {
                at,
                bytes,
                dts: *next,
                delay: delay.into(),
                intra: sample_flags & NOT_SYNC == 0 && (sample_flags >> 24) & 3 == 2,
            });
            at += bytes;
            *next = next.saturating_add(duration.into());
        }
        check("a fragment", at, FRAGMENT_BYTES_MAX)?;
        self.bytes = self.bytes.max(at);
        Ok(at)
    }
}

fn check(what: &'static str, size: usize, limit: usize) -> Result<(), ReadError> {
    if size > limit {
        return Err(ReadError::TooLarge { what, limit });
    }
    Ok(())
}

/// baseMediaDecodeTime (8.8.12).
fn decode_time(tfdt: &[u8]) -> Option<i64> {
    let (version, _, mut fields) = Fields::full(tfdt)?;
    i64::try_from(fields.either(version == 1)?).ok()
}

impl TrackHead {
    fn read(contents: &[u8]) -> Option<Self> {
        let (_, flags, mut fields) = Fields::full(contents)?;
        let id = fields.u32()?;
        let base = if flags & 0x1 != 0 {
            Some(fields.u64()?)
        } else {
            None
        };
        let mut field = |bit| fields.u32_if(flags & bit != 0);
        Some(Self {
            id,
            base,
            base_is_head: flags & 0x0002_0000 != 0,
            defaults: [field(0x2)?, field(0x8)?, field(0x10)?, field(0x20)?],
        })
    }
}
