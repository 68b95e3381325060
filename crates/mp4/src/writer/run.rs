//! The samples of one track in a segment: when they are decoded, and how they are stored (8.8.6 to 8.8.12).

use super::form::Form;
use super::out::{boxed, full, put32, put64};
use mpegts::clock::TICKS_90K;
use mpegts::es::{audio_frame, ranges};
use mpegts::{Codec, Frame, MediaTime};

/// Bytes that tell of a sample in the fragment's header, and what it may grow by.
pub(super) const SAMPLE_BYTES: usize = 16 + 16;

/// Sound whose stamp is so near to where the frame before ended follows it without a gap: 2 ms, in parts of a second.
const ROUNDING_PARTS: i64 = 500;

/// A picture lasts this long where nothing tells: 25 a second.
const PICTURE_90K: i64 = 3_600;

/// No picture lasts longer: what comes behind is a jump.
const PICTURE_MAX_90K: i64 = 10 * TICKS_90K;

/// sample_depends_on 2, and 1 with sample_is_non_sync_sample (8.8.3.1).
const SYNC: u32 = 0x0200_0000;
const NOT_SYNC: u32 = 0x0101_0000;

/// The samples of one track.
#[derive(Debug)]
pub(super) struct Run {
    number: u32,
    begins: i64,
    samples: Vec<Sample>,
    pictures: bool,
    data_bytes: usize,
    /// Where its data offset stands in what was written.
    offset_at: usize,
}

#[derive(Debug)]
struct Sample {
    duration: u32,
    bytes: u32,
    sync: bool,
    /// What the presentation time is later than the decoding time.
    delay: i32,
}

impl Sample {
    /// What the fragment's header says of it.
    fn write(&self, picture: bool, out: &mut Vec<u8>) {
        put32(out, self.duration);
        put32(out, self.bytes);
        if picture {
            put32(out, if self.sync { SYNC } else { NOT_SYNC });
            put32(out, self.delay.cast_unsigned());
        }
    }
}

impl Run {
    /// Times the frames of a track; `None` when there are none. `ended` is where the segment before ended.
    pub(super) fn new<'a>(
        number: u32,
        form: &Form,
        frames: impl Iterator<Item = &'a Frame>,
        ended: Option<i64>,
        until: Option<MediaTime>,
    ) -> Option<Self> {
        let mut run = Self {
            number,
            begins: 0,
            samples: Vec::new(),
            pictures: form.is_picture(),
            data_bytes: 0,
            offset_at: 0,
        };
        // Of the sample before: when it is decoded, and when it ends at the latest.
        let mut last: Option<(i64, i64)> = None;
        let mut step = PICTURE_90K;
        for frame in frames {
            let (begins, lasts) = match form {
                Form::Picture { .. } | Form::Mpeg2 { .. } => (frame.dts.as_90k().max(0), None),
                Form::Sound { codec, rate, .. } => {
                    let expected = last.map(|(_, ends)| ends).or(ended);
                    let samples = samples_of(*codec, &frame.data);
                    (sound_time(frame.pts, *rate, expected), Some(samples))
                }
            };
            match last {
                None => run.begins = begins,
                Some((before, _)) => {
                    step = (begins - before).max(0);
                    run.lasts(step);
                }
            }
            let begins = last.map_or(begins, |(before, _)| begins.max(before));
            let delay = frame.pts.as_90k().saturating_sub(frame.dts.as_90k());
            run.samples.push(Sample {
                duration: 0,
                bytes: 0,
                sync: frame.random_access,
                delay: if run.pictures {
                    i32::try_from(delay).unwrap_or_default()
                } else {
                    0
                },
            });
            last = Some((begins, begins + lasts.unwrap_or(step)));
        }
        let (begins, mut ends) = last?;
        if run.pictures {
            let until = until.map(|until| until.as_90k() - begins);
            let known = until.filter(|lasts| (1..=PICTURE_MAX_90K).contains(lasts));
            ends = begins + known.unwrap_or(step.clamp(1, PICTURE_MAX_90K));
        }
        run.lasts(ends - begins);
        Some(run)
    }

    /// The last sample so far lasts `ticks`.
    fn lasts(&mut self, ticks: i64) {
        if let Some(sample) = self.samples.last_mut() {
            sample.duration = u32::try_from(ticks).unwrap_or_default();
        }
    }

    /// Where it ends, in ticks of the track.
    pub(super) fn ends(&self) -> i64 {
        let lasts: i64 = self.samples.iter().map(|sample| i64::from(sample.duration)).sum();
        self.begins + lasts
    }

    /// Appends the samples; the frames are those that they were made of.
    pub(super) fn write_data<'a>(
        &mut self,
        form: &Form,
        frames: impl Iterator<Item = &'a Frame>,
        out: &mut Vec<u8>,
    ) {
        let first = out.len();
        for (sample, frame) in self.samples.iter_mut().zip(frames) {
            let begins = out.len();
            match form {
                Form::Picture { .. } => write_units(form, &frame.data, out),
                Form::Mpeg2 { .. } => out.extend_from_slice(&frame.data),
                Form::Sound { codec, .. } => {
                    out.extend_from_slice(
                        frame
                            .data
                            .get(header_bytes(*codec, &frame.data)..)
                            .unwrap_or_default(),
                    );
                }
            }
            sample.bytes = u32::try_from(out.len() - begins).unwrap_or_default();
        }
        self.data_bytes = out.len() - first;
    }

    pub(super) const fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    pub(super) const fn offset_at(&self) -> usize {
        self.offset_at
    }

    /// Appends its traf box; the data offset is to be patched.
    pub(super) fn write_head(&mut self, out: &mut Vec<u8>) {
        /// default-base-is-moof (8.8.7.1).
        const BASE_IS_HEAD: u32 = 0x0002_0000;
        const DEFAULT_FLAGS: u32 = 0x20;
        /// data-offset, and of each sample duration, size (8.8.8.1).
        const SOUND: u32 = 0x1 | 0x100 | 0x200;
        /// And flags and composition time offset.
        const PICTURES: u32 = SOUND | 0x400 | 0x800;
        boxed(out, b"traf", |out| {
            full(out, b"tfhd", (0, BASE_IS_HEAD | DEFAULT_FLAGS), |out| {
                put32(out, self.number);
                put32(out, if self.pictures { NOT_SYNC } else { SYNC });
            });
            full(out, b"tfdt", (1, 0), |out| {
                put64(out, self.begins.max(0).cast_unsigned());
            });
            let flags = if self.pictures { PICTURES } else { SOUND };
            full(out, b"trun", (1, flags), |out| {
                put32(out, u32::try_from(self.samples.len()).unwrap_or_default());
                self.offset_at = out.len();
                put32(out, 0);
                for sample in &self.samples {
                    sample.write(self.pictures, out);
                }
            });
        });
    }
}

/// Appends the units of a picture, each behind its length (14496-15 5.3.3.2).
fn write_units(form: &Form, data: &[u8], out: &mut Vec<u8>) {
    for range in ranges(data, 0) {
        let unit = data.get(range).filter(|unit| form.keeps(unit));
        let length = unit.and_then(|unit| u32::try_from(unit.len()).ok());
        if let (Some(unit), Some(length)) = (unit, length) {
            put32(out, length);
            out.extend_from_slice(unit);
        }
    }
}

/// `pts` in ticks of a sound's rate; `expected` where it is that but for rounding.
fn sound_time(pts: MediaTime, rate: u32, expected: Option<i64>) -> i64 {
    let rate = i64::from(rate);
    let ticks = i128::from(pts.as_90k()) * i128::from(rate) + i128::from(TICKS_90K / 2);
    let told = i64::try_from(ticks.div_euclid(TICKS_90K.into()))
        .unwrap_or_default()
        .max(0);
    expected
        .filter(|expected| (told - expected).abs() <= rate / ROUNDING_PARTS)
        .unwrap_or(told)
}

/// Samples in all frames of `data`; more than one where short ones sound together.
fn samples_of(codec: Codec, data: &[u8]) -> i64 {
    let mut samples = 0;
    let mut rest = data;
    while let Some(frame) = audio_frame(codec, rest) {
        samples += i64::from(frame.samples);
        rest = rest.get(frame.bytes..).unwrap_or_default();
    }
    samples
}

/// Bytes of the ADTS header, which MP4 tells once and for all: nine where there is a CRC (14496-3 1.A.2.2.1).
fn header_bytes(codec: Codec, data: &[u8]) -> usize {
    match (codec, data.get(1)) {
        (Codec::Aac, Some(second)) if second & 1 == 0 => 9,
        (Codec::Aac, _) => 7,
        _ => 0,
    }
}
