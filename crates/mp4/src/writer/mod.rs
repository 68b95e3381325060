//! Frames in, segments of fragmented MP4 out, as HLS wants them.

mod form;
mod movie;
mod out;
mod run;

use bytes::Bytes;
use form::Form;
use mpegts::es::PictureSize;
use mpegts::{Codec, Frame, MediaTime, Track};
use out::{boxed, full, patch, put, put32};
use run::Run;

/// Frames of one segment.
const FRAMES_MAX: usize = 65_536;

/// Why frames cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// There is nothing to write, or nothing that tells how it is coded: no picture to start with, no frame of sound.
    #[error("there is no frame to start with")]
    NoFrames,
    /// The parameter sets of the pictures cannot be read.
    #[error("the parameter sets of the {0:?} pictures cannot be read")]
    Parameters(Codec),
    /// More than 65,536 frames, or 4 GiB.
    #[error("the segment is too large")]
    TooLarge,
}

/// Writes segments of H.264, HEVC, MPEG-2 video, AAC, AC-3, E-AC-3 and MPEG audio; frames of other codecs are left out.
///
/// Decode times are those of the frames in a time scale of the track: 90 kHz for pictures, the sampling rate for sound,
/// whose durations are exact. A frame of sound whose time is where the one before it ended, but for rounding, goes on there.
#[derive(Debug)]
pub struct Writer {
    tracks: Vec<Track>,
    states: Vec<State>,
    init: Bytes,
    /// A track has left it.
    is_stale: bool,
    sequence: u32,
}

/// What is known of one track.
#[derive(Debug, Default)]
struct State {
    form: Option<Form>,
    /// Where its last segment ended, in ticks of the track.
    ended: Option<i64>,
}

impl Writer {
    /// A writer for frames of `tracks`, of which it takes those that MP4 carries.
    #[must_use]
    pub fn new(tracks: Vec<Track>) -> Self {
        let states = tracks.iter().map(|_| State::default()).collect();
        Self {
            tracks,
            states,
            init: Bytes::new(),
            is_stale: false,
            sequence: 0,
        }
    }

    /// The tracks that frames name by their index.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Tracks that `listed` does not name are over: they leave the initialisation segment until frames of them come again.
    pub fn keep(&mut self, listed: &[usize]) {
        for (index, state) in self.states.iter_mut().enumerate() {
            if state.form.is_some() && !listed.contains(&index) {
                *state = State::default();
                self.is_stale = true;
            }
        }
    }

    /// The initialisation segment (`ftyp`, `moov`) that the last segment needs: what EXT-X-MAP names. Compare it with the
    /// one before: it is another one when parameter sets or the form of a sound changed, or a track came that was silent
    /// so far. Empty before the first segment.
    #[must_use]
    pub fn init(&self) -> Bytes {
        self.init.clone()
    }

    /// The codecs of the tracks in it as RFC 6381 writes them: the elements of CODECS.
    #[must_use]
    pub fn codecs(&self) -> Vec<String> {
        let forms = self.states.iter().filter_map(|state| state.form.as_ref());
        forms.map(Form::codec_string).collect()
    }

    /// How large the pictures are: RESOLUTION.
    #[must_use]
    pub fn picture(&self) -> Option<PictureSize> {
        let mut forms = self.states.iter().filter_map(|state| state.form.as_ref());
        forms.find_map(Form::size)
    }

    /// One media segment (`styp`, `moof`, `mdat`) of `frames`, each track's in its decoding order. `until` is when the
    /// first picture behind the segment is decoded; without it the last one is taken to last as long as the one before it.
    /// Times below zero count as zero.
    ///
    /// What a segment needs is taken from its first picture with parameter sets, or stays as it was before; where they
    /// change within it, they stay in the samples. A segment that needs another [`Self::init`] is best begun there.
    ///
    /// # Errors
    /// Says why they cannot be written.
    pub fn segment(&mut self, frames: &[Frame], until: Option<MediaTime>) -> Result<Bytes, WriteError> {
        if frames.len() > FRAMES_MAX {
            return Err(WriteError::TooLarge);
        }
        self.learn(frames)?;
        let mut runs = Vec::new();
        for (index, state) in self.states.iter_mut().enumerate() {
            let Some(form) = &state.form else { continue };
            let of_track = frames.iter().filter(|frame| frame.track == index);
            let number = number(index);
            if let Some(run) = Run::new(number, form, of_track, state.ended, until) {
                state.ended = Some(run.ends());
                runs.push((run, index));
            }
        }
        if runs.is_empty() {
            return Err(WriteError::NoFrames);
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.write(frames, &mut runs)
    }

    /// Takes up how the frames are coded.
    fn learn(&mut self, frames: &[Frame]) -> Result<(), WriteError> {
        let mut told = vec![false; self.states.len()];
        let mut news = core::mem::take(&mut self.is_stale);
        let mut unreadable = None;
        for frame in frames {
            let (Some(track), Some(state), Some(told)) = (
                self.tracks.get(frame.track),
                self.states.get_mut(frame.track),
                told.get_mut(frame.track),
            ) else {
                continue;
            };
            if *told || !track.codec.fits_mp4() {
                continue;
            }
            match Form::of(track.codec, frame) {
                Ok(Some(form)) => {
                    *told = true;
                    news |= state.form.as_ref() != Some(&form);
                    state.form = Some(form);
                }
                Ok(None) => {}
                Err(error) => {
                    *told = true;
                    unreadable = Some(error);
                }
            }
        }
        if news {
            let tracks = self.tracks.iter().zip(&self.states).enumerate();
            let tracks = tracks
                .filter_map(|(index, (track, state))| Some((number(index), track, state.form.as_ref()?)));
            self.init = movie::init(tracks).into();
        }
        // Only now: what the other tracks told is known for the next segment.
        unreadable.map_or(Ok(()), Err)
    }

    fn write(&self, frames: &[Frame], runs: &mut [(Run, usize)]) -> Result<Bytes, WriteError> {
        let bytes: usize = frames
            .iter()
            .map(|frame| frame.data.len() + run::SAMPLE_BYTES)
            .sum();
        let mut out = Vec::with_capacity(bytes + 1024);
        boxed(&mut out, b"styp", |out| {
            put(out, b"msdh");
            put32(out, 0);
            put(out, b"msdhmsix");
        });
        // The data come first here, so that the sizes of samples are known; the header is put before them.
        let mut data = Vec::with_capacity(bytes);
        for (run, index) in &mut *runs {
            let form = self.states.get(*index).and_then(|state| state.form.as_ref());
            let of_track = frames.iter().filter(|frame| frame.track == *index);
            if let Some(form) = form {
                run.write_data(form, of_track, &mut data);
            }
        }
        let head = out.len();
        boxed(&mut out, b"moof", |out| {
            full(out, b"mfhd", (0, 0), |out| put32(out, self.sequence));
            runs.iter_mut().for_each(|(run, _)| run.write_head(out));
        });
        let data_at = out.len() - head + 8;
        let mut offset = data_at;
        for (run, _) in &*runs {
            patch(
                &mut out,
                run.offset_at(),
                u32::try_from(offset).map_err(|_| WriteError::TooLarge)?,
            );
            offset += run.data_bytes();
        }
        u32::try_from(data.len() + 8).map_err(|_| WriteError::TooLarge)?;
        boxed(&mut out, b"mdat", |out| out.append(&mut data));
        Ok(out.into())
    }
}

/// The track_ID of a track.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or_default() + 1
}
