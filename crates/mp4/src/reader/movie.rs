//! The movie header: which tracks there are, how their samples are coded, in which time they count (8.2 to 8.6, 8.8.3).

use super::ReadError;
use super::entry::{Entry, entries};
use super::fragment::Sample;
use crate::boxes::{Fields, Kind, child, children, descend};
use mpegts::Track;
use mpegts::clock::TICKS_90K;

/// Tracks of one movie header; further ones are left out.
const TRACKS_MAX: usize = 32;

/// Sample entries of one track; further ones are left out.
const ENTRIES_MAX: usize = 8;

/// Entries of an edit list that are looked at.
const EDITS_MAX: usize = 16;

/// What a movie header says.
#[derive(Clone, Debug, Default)]
pub(super) struct Movie {
    pub(super) tracks: Vec<MovieTrack>,
}

/// One track of a known codec.
#[derive(Clone, Debug)]
pub(super) struct MovieTrack {
    /// track_ID, by which fragments name it.
    pub(super) id: u32,
    pub(super) track: Track,
    pub(super) time: TrackTime,
    /// By sample_description_index, which counts from 1.
    pub(super) entries: Vec<Option<Entry>>,
    pub(super) defaults: Defaults,
}

/// How the time of a track becomes that of its programme.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrackTime {
    /// Ticks in a second; at least 1.
    scale: u32,
    /// Where the presentation begins, in ticks of the track.
    starts_at: i64,
    /// How long it waits before it begins, at 90 kHz.
    delay_90k: i64,
}

/// What holds for the samples of a fragment that does not say otherwise (trex, 8.8.3; tfhd, 8.8.7).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults {
    pub(super) description: u32,
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
}

impl TrackTime {
    /// `ticks` of the track at 90 kHz; `None` for times that no programme has (above 3,000 years).
    pub(super) fn at_90k(&self, ticks: i64) -> Option<i64> {
        const TIME_MAX_90K: i128 = 1 << 53;
        let ticks = i128::from(ticks) - i128::from(self.starts_at);
        let at =
            (ticks * i128::from(TICKS_90K)).div_euclid(i128::from(self.scale)) + i128::from(self.delay_90k);
        i64::try_from(at)
            .ok()
            .filter(|at| i128::from(at.unsigned_abs()) <= TIME_MAX_90K)
    }

    /// Presentation and decoding time of a sample at 90 kHz.
    pub(super) fn of(&self, sample: &Sample) -> Option<(i64, i64)> {
        let pts = self.at_90k(sample.dts.saturating_add(sample.delay));
        pts.zip(self.at_90k(sample.dts))
    }
}

impl Movie {
    /// Reads the contents of a moov box.
    ///
    /// # Errors
    /// When tracks are encrypted, and when there is none that is known.
    pub(super) fn read(contents: &[u8]) -> Result<Self, ReadError> {
        let scale = child(contents, b"mvhd").and_then(movie_scale).unwrap_or(1);
        let mut movie = Self::default();
        let mut first = None;
        for (_, trak) in children(contents)
            .filter(|(kind, _)| kind == b"trak")
            .take(TRACKS_MAX)
        {
            let (entries, kind) = match descend(trak, &[b"mdia", b"minf", b"stbl", b"stsd"]) {
                Some(stsd) => entries(stsd, ENTRIES_MAX)?,
                None => (Vec::new(), None),
            };
            first = first.or(kind);
            movie.tracks.extend(MovieTrack::read(trak, entries, scale));
        }
        let extends = child(contents, b"mvex").unwrap_or_default();
        for (_, trex) in children(extends).filter(|(kind, _)| kind == b"trex") {
            movie.set_defaults(trex);
        }
        if movie.tracks.is_empty() {
            let first: Kind = first.unwrap_or_default();
            return Err(ReadError::NoTracks { first });
        }
        Ok(movie)
    }

    fn set_defaults(&mut self, trex: &[u8]) -> Option<()> {
        let (_, _, mut fields) = Fields::full(trex)?;
        let id = fields.u32()?;
        let defaults = Defaults {
            description: fields.u32()?,
            duration: fields.u32()?,
            size: fields.u32()?,
            flags: fields.u32()?,
        };
        let track = self.tracks.iter_mut().find(|track| track.id == id)?;
        track.defaults = defaults;
        Some(())
    }
}

impl MovieTrack {
    fn read(trak: &[u8], entries: Vec<Option<Entry>>, movie_scale: u32) -> Option<Self> {
        let codec = entries.iter().flatten().next()?.codec();
        // Samples of another codec have no place in the track.
        let of_codec = |entry: Option<Entry>| entry.filter(|entry| entry.codec() == codec);
        let entries = entries.into_iter().map(of_codec).collect();
        let (scale, language) = media_header(descend(trak, &[b"mdia", b"mdhd"])?)?;
        let (starts_at, delay) = descend(trak, &[b"edts", b"elst"])
            .and_then(edits)
            .unwrap_or_default();
        let delay_90k = delay
            .saturating_mul(TICKS_90K)
            .checked_div(i64::from(movie_scale))?;
        Some(Self {
            id: track_id(child(trak, b"tkhd")?)?,
            track: Track {
                language,
                ..Track::new(codec)
            },
            time: TrackTime {
                scale,
                starts_at,
                delay_90k,
            },
            entries,
            defaults: Defaults {
                description: 1,
                ..Defaults::default()
            },
        })
    }
}

/// timescale of mvhd (8.2.2).
fn movie_scale(contents: &[u8]) -> Option<u32> {
    let (version, _, mut fields) = Fields::full(contents)?;
    fields.take(if version == 1 { 16 } else { 8 })?; // creation_time, modification_time
    fields.u32().filter(|scale| *scale > 0)
}

/// track_ID of tkhd (8.3.2).
fn track_id(contents: &[u8]) -> Option<u32> {
    let (version, _, mut fields) = Fields::full(contents)?;
    fields.take(if version == 1 { 16 } else { 8 })?;
    fields.u32()
}

/// timescale and language of mdhd (8.4.2).
fn media_header(contents: &[u8]) -> Option<(u32, Option<[u8; 3]>)> {
    let (version, _, mut fields) = Fields::full(contents)?;
    fields.take(if version == 1 { 16 } else { 8 })?;
    let scale = fields.u32().filter(|scale| *scale > 0)?;
    fields.either(version == 1)?; // duration
    let packed = fields.u16().unwrap_or_default();
    // Three letters of five bits, less 0x60.
    let letters = [packed >> 10, packed >> 5, packed].map(|five| (five.to_le_bytes()[0] & 0x1F) + 0x60);
    let named = letters.iter().all(u8::is_ascii_lowercase) && letters != *b"und";
    Some((scale, named.then_some(letters)))
}

/// Where the presentation begins in the media, and how long it is empty before that, in ticks of the movie (8.6.6).
/// What further edits cut out or repeat is no business of a live stream.
fn edits(contents: &[u8]) -> Option<(i64, i64)> {
    let (version, _, mut fields) = Fields::full(contents)?;
    let count = fields.u32()?;
    let mut delay = 0_i64;
    for _ in 0..usize::try_from(count).ok()?.min(EDITS_MAX) {
        let span = fields.either(version == 1)?;
        let starts_at = match version {
            1 => fields.u64()?.cast_signed(),
            _ => fields.u32()?.cast_signed().into(),
        };
        fields.take(4)?; // media_rate
        if starts_at >= 0 {
            return Some((starts_at, delay));
        }
        delay = delay.saturating_add(i64::try_from(span).unwrap_or(i64::MAX));
    }
    Some((0, delay))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_lists_move_the_beginning() {
        let list = |version: u8, edits: &[(u64, i64)]| {
            let mut out = vec![version, 0, 0, 0];
            out.extend(u32::try_from(edits.len()).unwrap().to_be_bytes());
            for (span, starts_at) in edits {
                if version == 1 {
                    out.extend(span.to_be_bytes());
                    out.extend(starts_at.to_be_bytes());
                } else {
                    out.extend(u32::try_from(*span).unwrap().to_be_bytes());
                    out.extend(i32::try_from(*starts_at).unwrap().to_be_bytes());
                }
                out.extend([0, 1, 0, 0]);
            }
            out
        };
        for version in [0, 1] {
            assert_eq!(edits(&list(version, &[(0, 1_024)])), Some((1_024, 0)));
            assert_eq!(
                edits(&list(version, &[(500, -1), (0, 2_048)])),
                Some((2_048, 500))
            );
            assert_eq!(edits(&list(version, &[(500, -1)])), Some((0, 500)));
            assert_eq!(edits(&list(version, &[])), Some((0, 0)));
            let cut = list(version, &[(0, 1_024)]);
            assert_eq!(edits(cut.split_last().unwrap().1), None);
        }
    }

    #[test]
    fn time_does_not_drift() {
        let time = |scale, starts_at, delay_90k| TrackTime {
            scale,
            starts_at,
            delay_90k,
        };
        // 30000/1001 pictures a second for a year.
        let pictures = 31_536_000 * 30_000 / 1_001;
        assert_eq!(
            time(30_000, 0, 0).at_90k(pictures * 1_001),
            Some(pictures * 3_003)
        );
        assert_eq!(
            time(44_100, 1_024, 0).at_90k(0),
            Some(-2_090),
            "rounded down, below nought too"
        );
        assert_eq!(time(44_100, 1_024, 90_000).at_90k(1_024), Some(90_000));
        assert_eq!(time(1, 0, 0).at_90k(i64::MAX), None);
        assert_eq!(time(1, i64::MAX, i64::MAX).at_90k(i64::MIN), None);
        assert!(time(u32::MAX, 0, 0).at_90k(i64::MAX).is_some());
    }
}
