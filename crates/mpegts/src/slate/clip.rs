//! A recording read for showing over and over: its pictures in decoding order, and its first sound.

use crate::clock::Pts90k;
use crate::es::{self, Codec, ParameterSets, SoundFormat, audio_frame};
use crate::splice::{SourceReport, Splicer};
use crate::units::{OutgoingUnit, UnitReader};
use core::ops::Range;

/// Bytes of a clip: it is kept in memory whole.
pub const CLIP_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes read at a time.
const STEP_BYTES: usize = 64 * 1024;

/// A picture lasts this long where only one is known: 25 a second.
const PICTURE_90K: i64 = 3_600;

/// No picture lasts longer: the splice would take a second for a jump of the timeline.
const PICTURE_MAX_90K: i64 = 45_000;

/// No picture is shown later than this after it was decoded.
const DELAY_MAX_90K: i64 = 90_000;

/// Why a recording makes no slate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlateClipError {
    /// More than [`CLIP_BYTES_MAX`].
    TooLarge,
    /// There are no transport packets in it.
    NoTransportStream,
    /// There is no programme map in it.
    NoProgramme,
    /// Its packets are scrambled.
    Scrambled,
    /// Its programme has no H.264, HEVC or MPEG-2 pictures.
    NoPictures,
    /// There is no picture that decoding can start with.
    NoKeyframe,
}

impl core::fmt::Display for SlateClipError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLarge => write!(f, "larger than {} MiB", CLIP_BYTES_MAX / (1024 * 1024)),
            Self::NoTransportStream => f.write_str("not an MPEG transport stream"),
            Self::NoProgramme => f.write_str("there is no programme in it (PAT and PMT)"),
            Self::Scrambled => f.write_str("it is scrambled"),
            Self::NoPictures => f.write_str("there are no H.264, HEVC or MPEG-2 pictures in it"),
            Self::NoKeyframe => f.write_str("there is no keyframe in it"),
        }
    }
}

impl core::error::Error for SlateClipError {}

/// A recording in memory, read and checked. Playing it twice in a row needs nothing but its pictures' times.
#[derive(PartialEq)]
pub struct SlateClip {
    codec: Codec,
    bytes: Vec<u8>,
    pictures: Vec<Place>,
    sound: Option<Sound>,
    duration_90k: i64,
}

#[derive(Clone, Debug, PartialEq)]
struct Place {
    at: Range<usize>,
    /// From the first picture's decoding time.
    dts: i64,
    pts: i64,
    keyframe: bool,
}

/// One picture: an access unit, and when it is decoded and shown since the first one was decoded, in 90 kHz ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture<'a> {
    pub(super) es: &'a [u8],
    pub(super) dts: i64,
    pub(super) pts: i64,
    pub(super) keyframe: bool,
}

/// The clip's first sound.
#[derive(Debug, PartialEq)]
pub(super) struct Sound {
    codec: Codec,
    format: SoundFormat,
    bytes: Vec<u8>,
    frames: Vec<(Range<usize>, u32)>,
    /// When it begins, since the first picture was decoded.
    pub(super) begins: i64,
}

impl Sound {
    pub(super) fn is_of(&self, codec: Codec, format: SoundFormat) -> bool {
        (self.codec, self.format) == (codec, format)
    }

    /// A frame and its samples.
    pub(super) fn frame(&self, number: usize) -> Option<(&[u8], u32)> {
        let (at, samples) = self.frames.get(number)?;
        Some((self.bytes.get(at.clone())?, *samples))
    }
}

/// Without its bytes: megabytes of numbers tell nobody anything.
impl core::fmt::Debug for SlateClip {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SlateClip")
            .field("codec", &self.codec)
            .field("bytes", &self.bytes.len())
            .field("pictures", &self.pictures.len())
            .field(
                "sound",
                &self.sound.as_ref().map(|sound| (sound.codec, sound.format)),
            )
            .field("duration_90k", &self.duration_90k)
            .finish()
    }
}

impl SlateClip {
    /// Reads a whole transport stream: the pictures of its first programme from the first keyframe on, and its first
    /// sound, if that is one whose frames are known.
    ///
    /// # Errors
    /// Says why it cannot be shown.
    pub fn parse(bytes: &[u8]) -> Result<Self, SlateClipError> {
        if bytes.len() > CLIP_BYTES_MAX {
            return Err(SlateClipError::TooLarge);
        }
        let mut splicer = Splicer::new();
        let mut units = UnitReader::default();
        let mut recording = Recording::default();
        let mut collect = |splicer: &mut Splicer| {
            while let Some(piece) = splicer.take() {
                // Behind a change of codecs it is another clip.
                if piece.epoch == 0 {
                    units.push(&piece.bytes, |unit| recording.take(&unit));
                }
            }
        };
        for step in bytes.chunks(STEP_BYTES) {
            splicer.push(step);
            collect(&mut splicer);
        }
        splicer.end_source();
        collect(&mut splicer);
        units.finish(|unit| recording.take(&unit));
        recording.finish().ok_or_else(|| reason(splicer.source()))
    }

    /// The codec of its pictures: H.264, HEVC or MPEG-2.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// How long showing it once takes, in 90 kHz ticks.
    #[must_use]
    pub const fn duration_90k(&self) -> i64 {
        self.duration_90k
    }

    /// Pictures in it.
    #[must_use]
    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// How long after it was decoded the first picture is shown.
    pub(super) fn delay(&self) -> i64 {
        self.pictures.first().map_or(0, |first| first.pts)
    }

    pub(super) fn picture(&self, number: usize) -> Option<Picture<'_>> {
        let place = self.pictures.get(number)?;
        Some(Picture {
            es: self.bytes.get(place.at.clone())?,
            dts: place.dts,
            pts: place.pts,
            keyframe: place.keyframe,
        })
    }

    pub(super) const fn sound(&self) -> Option<&Sound> {
        self.sound.as_ref()
    }
}

fn reason(report: &SourceReport) -> SlateClipError {
    let shown = |codec: &Codec| matches!(codec, Codec::H264 | Codec::Hevc | Codec::Mpeg2Video);
    if report.packets == 0 {
        SlateClipError::NoTransportStream
    } else if report.programme.is_empty() {
        SlateClipError::NoProgramme
    } else if !report.programme.iter().any(shown) {
        SlateClipError::NoPictures
    } else if report.scrambled_packets > 0 {
        SlateClipError::Scrambled
    } else {
        SlateClipError::NoKeyframe
    }
}

/// The clip as it comes out of the splicer.
#[derive(Debug, Default)]
struct Recording {
    codec: Option<Codec>,
    bytes: Vec<u8>,
    pictures: Vec<Place>,
    /// The last decoding time, as it was written and as it counts from the first.
    last: Option<(Pts90k, i64)>,
    sound: Option<Sound>,
}

impl Recording {
    fn take(&mut self, unit: &OutgoingUnit<'_>) {
        if !unit.first_of_kind {
            return;
        }
        match unit.codec {
            Codec::H264 | Codec::Hevc | Codec::Mpeg2Video => self.picture(unit),
            codec if codec.is_audio() => self.sound(unit),
            _ => {}
        }
    }

    fn picture(&mut self, unit: &OutgoingUnit<'_>) {
        let Some(stamp) = unit.header.decoding_time() else {
            // The rest of a picture that began in the packet before.
            if let Some(last) = self.pictures.last_mut() {
                self.bytes.extend_from_slice(unit.es);
                last.at.end = self.bytes.len();
            }
            return;
        };
        if self.pictures.is_empty() {
            let access = es::inspect(unit.codec, unit.es, &mut ParameterSets::new());
            if !access.random_access {
                return;
            }
            self.codec = Some(unit.codec);
        }
        let dts = self.last.map_or(0, |(last, dts)| {
            dts + stamp.distance_from(last).clamp(1, PICTURE_MAX_90K)
        });
        self.last = Some((stamp, dts));
        let delay = unit.header.pts.map_or(0, |pts| pts.distance_from(stamp));
        let begins = self.bytes.len();
        self.bytes.extend_from_slice(unit.es);
        self.pictures.push(Place {
            at: begins..self.bytes.len(),
            dts,
            pts: dts + delay.clamp(0, DELAY_MAX_90K),
            keyframe: unit.random_access,
        });
    }

    fn sound(&mut self, unit: &OutgoingUnit<'_>) {
        let (Some((clock, now)), Some(pts)) = (self.last, unit.header.pts) else {
            return; // Sound before the first picture has no place.
        };
        let mut es = unit.es;
        while let Some(frame) = audio_frame(unit.codec, es) {
            let Some((bytes, rest)) = es.split_at_checked(frame.bytes) else {
                return;
            };
            es = rest;
            let format = frame.format();
            let sound = self.sound.get_or_insert_with(|| Sound {
                codec: unit.codec,
                format,
                bytes: Vec::new(),
                frames: Vec::new(),
                begins: now + pts.distance_from(clock),
            });
            if sound.is_of(unit.codec, format) {
                let begins = sound.bytes.len();
                sound.bytes.extend_from_slice(bytes);
                sound.frames.push((begins..sound.bytes.len(), frame.samples));
            }
        }
    }

    fn finish(self) -> Option<SlateClip> {
        let codec = self.codec?;
        let first = self.pictures.first()?;
        let mut steps: Vec<i64> = self
            .pictures
            .windows(2)
            .filter_map(|pair| Some(pair.get(1)?.dts - pair.first()?.dts))
            .collect();
        steps.sort_unstable();
        let step = steps.get(steps.len() / 2).copied().unwrap_or(PICTURE_90K);
        // The next turn is neither decoded nor shown before the last picture of this one is over.
        let decoded = self.pictures.last()?.dts;
        let shown = self.pictures.iter().map(|picture| picture.pts).max()? - first.pts;
        Some(SlateClip {
            codec,
            duration_90k: decoded.max(shown) + step,
            bytes: self.bytes,
            pictures: self.pictures,
            sound: self.sound.filter(|sound| !sound.frames.is_empty()),
        })
    }
}
