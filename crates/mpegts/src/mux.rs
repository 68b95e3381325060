//! Frames in, a transport stream out: one programme, tables in time, the clock in time.
//! In which order frames of several tracks come is [`crate::interleave`]'s.

use crate::clock::{MediaTime, TICKS_90K};
use crate::es::{self, AudioFrame, Codec, Kind};
use crate::frame::{Frame, Track};
use crate::own_stream::{Stamped, StreamWriter, Tables};
use crate::packet::Pid;
use crate::psi::{self, PmtStream};

/// The PID of the first track; the others follow.
const FIRST_PID: u16 = 0x0100;

/// Tracks of one programme; real ones have a dozen.
pub const TRACKS_MAX: usize = 32;

/// Tables come at least this often, and at every random-access point (TR 101 290 1.3 and 1.5).
const TABLES_PERIOD_90K: i64 = TICKS_90K / 2;

/// The clock comes at least this often (2.7.2: 100 ms), with room for what goes between.
const CLOCK_PERIOD_90K: i64 = 8_100;

/// A longer hole between frames is a jump, in which no clock runs.
const CLOCK_HOLE_MAX_90K: i64 = 2 * TICKS_90K;

/// Sound gathered into one PES packet: a packet for each frame would waste a tenth in stuffing.
const SOUND_PES_90K: i64 = 5_400;

/// Bytes of sound in one PES packet: far from what its length field can say (2.4.3.7).
const SOUND_BYTES_MAX: usize = 32 * 1024;

/// Stamps of frames that follow each other without a gap may differ so much from the count of samples.
const ROUNDING_90K: i64 = 90;

/// Why tracks cannot go into one programme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MuxError {
    /// There is neither picture nor sound to carry the clock.
    NoTracks,
    /// More than [`TRACKS_MAX`], or more descriptors than fit into a programme map.
    TooMany,
    /// Transport streams carry this codec only with descriptors that are not there.
    Codec(Codec),
}

impl core::fmt::Display for MuxError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoTracks => f.write_str("there is neither picture nor sound"),
            Self::TooMany => f.write_str("there are more streams than fit into a programme map"),
            Self::Codec(codec) => write!(f, "{codec:?} cannot be put into a transport stream"),
        }
    }
}

impl core::error::Error for MuxError {}

/// Writes the frames of one programme as transport packets.
///
/// Frames are taken in the order of their decoding times, as an [`crate::Interleaver`] gives them; what comes late is
/// written where it comes. Sound is gathered into PES packets of some 60 ms, so that its frames may follow pictures that
/// are decoded so much later. The clock runs 0.7 s behind decoding times.
#[derive(Debug)]
pub struct Muxer {
    tables: Tables,
    tables_at: Option<i64>,
    streams: Vec<Stream>,
    /// The index of the track that carries the clock.
    clock: usize,
    clock_at: Option<i64>,
}

#[derive(Debug)]
struct Stream {
    codec: Codec,
    writer: StreamWriter,
    sound: Gathered,
}

/// Frames of sound that go into one PES packet.
#[derive(Debug, Default)]
struct Gathered {
    es: Vec<u8>,
    begins: i64,
    /// Where the next frame is expected.
    ends: i64,
    samples: u64,
}

impl Muxer {
    /// A programme of `tracks`, which frames name by their index; the clock goes with the first video track, without
    /// one with the first audio track.
    ///
    /// # Errors
    /// When a transport stream cannot carry them.
    pub fn new(tracks: &[Track]) -> Result<Self, MuxError> {
        if tracks.len() > TRACKS_MAX {
            return Err(MuxError::TooMany);
        }
        let first_of = |kind| tracks.iter().position(|track| track.codec.kind() == kind);
        let clock = first_of(Kind::Video)
            .or_else(|| first_of(Kind::Audio))
            .ok_or(MuxError::NoTracks)?;
        let pids = (FIRST_PID..).map(Pid::new);
        let mut listed = Vec::with_capacity(tracks.len());
        let mut streams = Vec::with_capacity(tracks.len());
        for (pid, track) in pids.zip(tracks) {
            listed.push(entry(pid, track)?);
            streams.push(Stream {
                codec: track.codec,
                writer: StreamWriter::new(pid, track.codec),
                sound: Gathered::default(),
            });
        }
        let clock_pid = streams
            .get(clock)
            .map_or(Pid::new(FIRST_PID), |stream| stream.writer.pid());
        Ok(Self {
            tables: Tables::new(clock_pid, listed).map_err(|_| MuxError::TooMany)?,
            tables_at: None,
            streams,
            clock,
            clock_at: None,
        })
    }

    /// Appends the packets that `frame` completes to `out`; a frame of a track that is not there is left out.
    pub fn write(&mut self, frame: &Frame, out: &mut Vec<u8>) {
        let at = frame.dts.as_90k();
        let Some(stream) = self.streams.get(frame.track) else {
            return;
        };
        let codec = stream.codec;
        let key = frame.random_access && (codec.is_video() || self.is_radio());
        self.keep_time(at, out);
        let Some(sound) = es::audio_frame(codec, &frame.data).filter(|_| codec.is_audio()) else {
            self.write_unit(frame.track, &frame.data, (frame.pts, frame.dts), key, out);
            return;
        };
        let begins_anew = self
            .streams
            .get(frame.track)
            .is_some_and(|stream| !stream.sound.continues(frame));
        if begins_anew {
            self.flush_sound(frame.track, out);
        }
        let full = self
            .streams
            .get_mut(frame.track)
            .is_some_and(|stream| stream.sound.add(frame, sound));
        if full {
            self.flush_sound(frame.track, out);
        }
    }

    /// Appends what is still gathered: at the end, and where a segment is to be whole.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        for track in 0..self.streams.len() {
            self.flush_sound(track, out);
        }
    }

    /// No pictures: every frame of sound is a place to start.
    fn is_radio(&self) -> bool {
        self.streams
            .get(self.clock)
            .is_some_and(|stream| stream.codec.is_audio())
    }

    /// The clock up to `at`, in packets of its own where pictures are too far apart.
    fn keep_time(&mut self, at: i64, out: &mut Vec<u8>) {
        let Some(mut last) = self.clock_at else { return };
        if !(0..=CLOCK_HOLE_MAX_90K).contains(&at.saturating_sub(last)) {
            return;
        }
        while at - last > CLOCK_PERIOD_90K {
            last += CLOCK_PERIOD_90K;
            if let Some(stream) = self.streams.get(self.clock) {
                stream.writer.write_clock(last, out);
            }
            self.clock_at = Some(last);
        }
    }

    fn flush_sound(&mut self, track: usize, out: &mut Vec<u8>) {
        let Some(stream) = self.streams.get_mut(track) else {
            return;
        };
        if stream.sound.es.is_empty() {
            return;
        }
        let es = core::mem::take(&mut stream.sound.es);
        let at = MediaTime::from_90k(stream.sound.begins);
        self.write_unit(track, &es, (at, at), true, out);
        if let Some(stream) = self.streams.get_mut(track) {
            stream.sound.es = es;
            stream.sound.es.clear();
        }
    }

    fn write_unit(
        &mut self,
        track: usize,
        es: &[u8],
        (pts, dts): (MediaTime, MediaTime),
        key: bool,
        out: &mut Vec<u8>,
    ) {
        let at = dts.as_90k();
        let is_radio = self.is_radio();
        let Some(stream) = self.streams.get_mut(track) else {
            return;
        };
        let enters = key && (stream.codec.is_video() || is_radio);
        let due = self
            .tables_at
            .is_none_or(|last| !(0..TABLES_PERIOD_90K).contains(&at.saturating_sub(last)));
        if due || (enters && !is_radio) {
            self.tables.write(out);
            self.tables_at = Some(at);
        }
        // What comes late does not turn the clock back; what comes long before it is another stretch of time.
        let back = self.clock_at.map_or(0, |last| last.saturating_sub(at));
        let carries_clock = track == self.clock && !(1..=CLOCK_HOLE_MAX_90K).contains(&back);
        let stamped = Stamped {
            pts: pts.as_90k(),
            dts: at,
            random_access: key,
            carries_clock,
        };
        stream.writer.write(es, stamped, out);
        if carries_clock {
            self.clock_at = Some(at);
        }
    }
}

impl Gathered {
    fn continues(&self, frame: &Frame) -> bool {
        self.es.is_empty() || frame.pts.as_90k().saturating_sub(self.ends).saturating_abs() <= ROUNDING_90K
    }

    /// Says whether it is enough for a packet.
    fn add(&mut self, frame: &Frame, sound: AudioFrame) -> bool {
        if self.es.is_empty() {
            self.begins = frame.pts.as_90k();
            self.samples = 0;
        }
        self.es.extend_from_slice(&frame.data);
        self.samples += u64::from(sound.samples);
        self.ends = self.begins.saturating_add(sound.ticks(self.samples));
        self.ends - self.begins >= SOUND_PES_90K || self.es.len() >= SOUND_BYTES_MAX
    }
}

/// The entry of a track in the programme map.
fn entry(pid: Pid, track: &Track) -> Result<PmtStream, MuxError> {
    let registration = |name: &[u8; 4]| [&[0x05, 4], name.as_slice()].concat();
    let (stream_type, own) = match track.codec {
        Codec::Mpeg2Video => (0x02, Vec::new()),
        Codec::H264 => (0x1B, Vec::new()),
        Codec::Hevc => (0x24, Vec::new()),
        Codec::MpegAudio => (0x03, Vec::new()),
        Codec::Aac => (0x0F, Vec::new()),
        Codec::AacLatm => (0x11, Vec::new()),
        Codec::Ac3 => (0x81, registration(b"AC-3")),
        Codec::Eac3 => (0x87, registration(b"EAC3")),
        Codec::Dts => (0x82, Vec::new()),
        Codec::OtherVideo(stream_type) | Codec::Data(stream_type) => (stream_type, Vec::new()),
        Codec::Opus | Codec::DvbSubtitle | Codec::Teletext => (0x06, Vec::new()),
    };
    let mut descriptors = track.descriptors.clone();
    if psi::descriptors(&descriptors).all(|(tag, _)| tag != 0x05) {
        descriptors.extend(own);
    }
    if let Some([a, b, c]) = track.language
        && es::language(&descriptors).is_none()
    {
        descriptors.extend([0x0A, 4, a, b, c, 0]);
    }
    if Codec::of(stream_type, &descriptors) != Some(track.codec) {
        return Err(MuxError::Codec(track.codec));
    }
    Ok(PmtStream {
        stream_type,
        pid,
        descriptors,
    })
}
