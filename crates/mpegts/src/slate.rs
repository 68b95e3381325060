//! The slate: what viewers see and hear while no source delivers, in exactly the form they were promised.
//!
//! Lives here: a clip read for showing over and over ([`SlateClip`]), and the endless stream made of its pictures and
//! of encoded silence ([`Slate`]). Its bytes go through the channel's [`crate::Splicer`] like those of any source;
//! when they do is the broadcast's to decide, which clip is shown the program's.

mod clip;

pub use clip::{CLIP_BYTES_MAX, SlateClip, SlateClipError};

use crate::clock::MediaTime;
use crate::es::{self, Codec, SoundFormat};
use crate::own_stream::{BEGIN_90K, Stamped, StreamWriter, Tables};
use crate::packet::Pid;
use crate::psi::PmtStream;
use crate::silence::{SilentFrame, silent_frame};
use crate::splice::{Signature, SignatureStream};
use clip::Sound;
use core::time::Duration;
use std::sync::Arc;

/// A step of a slate without pictures.
const RADIO_STEP_90K: i64 = 9_000;

/// Tables come at least this often, and at every keyframe.
const TABLES_PERIOD_90K: i64 = 45_000;

/// How far sound is ahead of the pictures. A source that comes back with reordered pictures shows its first one later
/// than it decodes it; the sound reaches that far.
const SOUND_AHEAD_90K: i64 = 7_200;

/// Bytes of sound in one PES packet: far from what its length field can say (2.4.3.7).
const SOUND_BYTES_MAX: usize = 32 * 1024;

/// What a slate tells the viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// No source of the channel delivers.
    Offline,
    /// All connections that the provider allows are in use.
    Limit,
    /// The account has expired.
    Expired,
}

impl Message {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Offline, Self::Limit, Self::Expired];

    /// A word for names of files and keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Limit => "limit",
            Self::Expired => "expired",
        }
    }
}

/// What is promised where nothing was promised yet and nothing is remembered of the channel: H.264, and AAC-LC of
/// 48 kHz in stereo, which every player takes.
#[must_use]
pub fn default_signature() -> Signature {
    let stream = |pid, stream_type, codec, sound| SignatureStream {
        pid: Pid::new(pid),
        stream_type,
        codec,
        language: None,
        descriptors: Vec::new(),
        sound,
        picture: None,
    };
    let sound = SoundFormat {
        rate: 48_000,
        layout: 2,
    };
    Signature {
        streams: vec![
            stream(0x0100, 0x1B, Codec::H264, None),
            stream(0x0101, 0x0F, Codec::Aac, Some(sound)),
        ],
        pcr_pid: Pid::new(0x0100),
        epoch: 0,
        pmt_version: 0,
    }
}

/// An endless transport stream in the form a channel has promised: the same streams in the same order, the pictures
/// of a clip over and over on one rising timeline, silence on every sound. Subtitles and data stay silent.
///
/// It begins with tables and a keyframe, and always at the same time stamps. A [`crate::Splicer`] that is given a
/// second slate must have been told that the first one ended ([`crate::Splicer::end_source`]); otherwise it takes
/// the second for a replay of the first.
#[derive(Debug)]
pub struct Slate {
    tables: Tables,
    tables_at: Option<i64>,
    pictures: Option<Pictures>,
    sounds: Vec<SoundTrack>,
    /// Up to here everything was handed out: the next decoding time.
    now: i64,
    out: Vec<u8>,
}

/// The clip's pictures on their way.
#[derive(Debug)]
struct Pictures {
    clip: Arc<SlateClip>,
    writer: StreamWriter,
    next: usize,
    /// When this turn of the clip began.
    turn_at: i64,
}

/// One promised sound.
#[derive(Debug)]
struct SoundTrack {
    writer: StreamWriter,
    silence: SilentFrame,
    /// Where it began, and the samples since, which do not drift as summed durations would.
    began_at: i64,
    samples: u64,
    /// The next frame of the clip's own sound, where that is heard.
    own: Option<usize>,
    es: Vec<u8>,
}

impl Slate {
    /// A slate in the form of `signature`, with the pictures of `clip`, and its sound if it is of the first sound's
    /// codec and format. A programme without pictures needs no clip and uses none.
    ///
    /// `None` when it cannot be shown: the clip is missing or of another codec than the promised pictures, or there is
    /// nothing but sounds that have no silent frame ([`silent_frame`]). Beside others, such a sound stays silent. A
    /// sound whose format was never seen is taken for 48 kHz in stereo.
    #[must_use]
    pub fn new(signature: &Signature, clip: Option<Arc<SlateClip>>) -> Option<Self> {
        let first_video = signature.streams.iter().find(|stream| stream.codec.is_video());
        let pictures = match first_video {
            None => None,
            Some(promised) => Some(Pictures {
                clip: clip.filter(|clip| clip.codec() == promised.codec)?,
                writer: StreamWriter::new(promised.pid, promised.codec),
                next: 0,
                turn_at: BEGIN_90K,
            }),
        };
        let delay = pictures.as_ref().map_or(0, |pictures| pictures.clip.delay());
        let first_audio = signature.streams.iter().find(|stream| stream.codec.is_audio());
        let own_sound = pictures.as_ref().and_then(|pictures| pictures.clip.sound());
        let sounds: Vec<SoundTrack> = signature
            .streams
            .iter()
            .filter(|stream| stream.codec.is_audio())
            .filter_map(|stream| {
                let format = stream.sound.unwrap_or_else(|| usual_format(stream.codec));
                let is_first = first_audio.is_some_and(|first| first.pid == stream.pid);
                let own = own_sound.filter(|own| is_first && own.is_of(stream.codec, format));
                Some(SoundTrack {
                    writer: StreamWriter::new(stream.pid, stream.codec),
                    silence: silent_frame(stream.codec, format)?,
                    began_at: BEGIN_90K + delay,
                    samples: 0,
                    own: own.map(|_| 0),
                    es: Vec::new(),
                })
            })
            .collect();
        let video_pid = pictures.as_ref().map(|pictures| pictures.writer.pid());
        let clock_pid = video_pid.or_else(|| sounds.first().map(|sound| sound.writer.pid()))?;
        let listed = signature.streams.iter().map(|stream| PmtStream {
            stream_type: stream.stream_type,
            pid: stream.pid,
            descriptors: with_language(stream),
        });
        Some(Self {
            tables: Tables::new(clock_pid, listed.collect()).ok()?,
            tables_at: None,
            pictures,
            sounds,
            now: BEGIN_90K,
            out: Vec::new(),
        })
    }

    /// The next packets: one picture, or 100 ms of radio, with the sound that goes with it.
    pub fn step(&mut self) -> &[u8] {
        self.out.clear();
        let begins = self.now;
        let keyframe = self.pictures.as_ref().is_none_or(Pictures::at_keyframe);
        let due = self.tables_at.is_none_or(|at| begins - at >= TABLES_PERIOD_90K);
        if due || (keyframe && self.pictures.is_some()) {
            self.tables.write(&mut self.out);
            self.tables_at = Some(begins);
        }
        let Some(pictures) = &mut self.pictures else {
            self.now += RADIO_STEP_90K;
            for (number, sound) in self.sounds.iter_mut().enumerate() {
                sound.write(self.now, number == 0, None, &mut self.out);
            }
            return &self.out;
        };
        let turn_at = pictures.turn_at;
        let begins_anew = pictures.next == 0;
        self.now = pictures.write(keyframe, &mut self.out);
        let until = self.now + pictures.clip.delay() + SOUND_AHEAD_90K;
        for sound in &mut self.sounds {
            if begins_anew {
                sound.own = sound.own.map(|_| 0);
            }
            let own = pictures.clip.sound().map(|own| (own, turn_at));
            sound.write(until, false, own, &mut self.out);
        }
        &self.out
    }

    /// How much was handed out, in media time.
    #[must_use]
    pub fn shown(&self) -> Duration {
        MediaTime::from_90k(self.now).since(MediaTime::from_90k(BEGIN_90K))
    }
}

impl Pictures {
    fn at_keyframe(&self) -> bool {
        self.clip
            .picture(self.next)
            .is_some_and(|picture| picture.keyframe)
    }

    /// Writes the next picture; returns when the one after it is decoded.
    fn write(&mut self, keyframe: bool, out: &mut Vec<u8>) -> i64 {
        if let Some(picture) = self.clip.picture(self.next) {
            let stamped = Stamped {
                pts: self.turn_at + picture.pts,
                dts: self.turn_at + picture.dts,
                random_access: keyframe,
                carries_clock: true,
            };
            self.writer.write(picture.es, stamped, out);
        }
        self.next += 1;
        if let Some(following) = self.clip.picture(self.next) {
            return self.turn_at + following.dts;
        }
        self.next = 0;
        self.turn_at += self.clip.duration_90k();
        self.turn_at
    }
}

impl SoundTrack {
    /// Writes the frames that begin before `until`. `own` is the clip's sound, and when this turn of it began.
    fn write(&mut self, until: i64, carries_clock: bool, own: Option<(&Sound, i64)>, out: &mut Vec<u8>) {
        let mut begins = self.next_at();
        let mut carries_clock = carries_clock;
        while self.next_at() < until {
            let at = self.next_at();
            let recorded = own
                .zip(self.own)
                .filter(|((own, turn_at), _)| at >= turn_at + own.begins)
                .and_then(|((own, _), next)| own.frame(next));
            if let Some((frame, samples)) = recorded {
                self.es.extend_from_slice(frame);
                self.samples += u64::from(samples);
                self.own = self.own.map(|next| next + 1);
            } else {
                self.es.extend_from_slice(&self.silence.bytes);
                self.samples += u64::from(self.silence.samples.max(1));
            }
            if self.next_at() >= until || self.es.len() >= SOUND_BYTES_MAX {
                let stamped = Stamped {
                    pts: begins,
                    dts: begins,
                    random_access: true,
                    carries_clock,
                };
                self.writer.write(&self.es, stamped, out);
                self.es.clear();
                begins = self.next_at();
                carries_clock = false;
            }
        }
    }

    /// When its next frame begins.
    fn next_at(&self) -> i64 {
        self.began_at.saturating_add(self.silence.ticks(self.samples))
    }
}

/// What a sound of unknown format is taken for: 48 kHz in stereo, as each codec numbers it.
const fn usual_format(codec: Codec) -> SoundFormat {
    let layout = match codec {
        Codec::MpegAudio => 0,
        Codec::Ac3 | Codec::Eac3 => 4,
        _ => 2,
    };
    SoundFormat { rate: 48_000, layout }
}

/// The descriptors of a promised stream, and its language where they do not tell it: the splice finds a stream's place
/// by that.
fn with_language(stream: &SignatureStream) -> Vec<u8> {
    let mut descriptors = stream.descriptors.clone();
    if let Some(language) = stream.language
        && es::language(&descriptors) != Some(language)
    {
        let [a, b, c] = language;
        // ISO_639_language_descriptor (2.6.18); audio_type 0 is undefined.
        descriptors.splice(0..0, [0x0A, 4, a, b, c, 0]);
    }
    descriptors
}
