//! Radio without a container: raw MPEG audio or AAC in ADTS, as internet radio sends it.
//!
//! Lives here: raw frames wrapped into a transport stream, so that a radio source is spliced, paced, kept in a ring and
//! stood in for by silence like any other ([`Wrapper`]), and raw frames taken out of the channel's programme again for
//! a listener whose player wants what the source sent ([`Unwrapper`]). Both work on whole frames and keep time by
//! counting samples. Stream titles (ICY metadata) are taken out before.

use crate::clock::{MediaTime, TICKS_90K};
use crate::es::{AudioFrame, Codec, SoundCutter, audio_frame};
use crate::own_stream::{Stamped, StreamWriter, Tables};
use crate::packet::Pid;
use crate::psi::PmtStream;
use crate::splice::Signature;
use crate::units::UnitReader;
use bytes::Bytes;

/// The PID of the sound.
const PID: Pid = Pid::new(0x0100);

/// Sound in one PES packet: a server's burst of seconds is cut into pieces that can be paced.
const PES_90K: i64 = 9_000;

/// Tables come at least this often.
const TABLES_PERIOD_90K: i64 = 45_000;

/// The registration descriptor (2.6.8) that tells sound which came raw from sound that came in a transport stream. The
/// splice and the slate keep it, so that a channel's promise says in which form its listeners get it. The format
/// identifier is one of our own, not registered: it stays in this program.
const RAW_SOUND: [u8; 6] = [0x05, 4, b'm', b'R', b'A', b'W'];

/// Bytes that tell a frame and how long it is: a header of ADTS (ISO 14496-3 1.A.2.2); one of MPEG audio is shorter.
const HEADER_BYTES: usize = 7;

/// Bytes of the head of an ID3v2 tag, and of its foot where it has one (id3.org, ID3v2.4.0 section 3).
const TAG_HEAD_BYTES: usize = 10;

/// Bytes of a tag that is skipped as one: with a cover picture. What claims more is looked at like anything else.
const TAG_BYTES_MAX: usize = 1024 * 1024;

/// Bytes taken in at once, so that memory stays bounded whatever the caller hands over.
const STEP_BYTES: usize = 64 * 1024;

/// Raw frames in, a transport stream out.
///
/// A frame is believed when another one like it follows; as long as one follows the other, each is passed on as soon
/// as it is whole. Tags and rubbish are left out. The codec of the first frame is that of the stream: frames of another
/// one are rubbish, as a programme does not change its map in the middle.
#[derive(Debug)]
pub struct Wrapper {
    begin_90k: i64,
    carry: Vec<u8>,
    /// Bytes of a tag still to come.
    tag_left: usize,
    /// Frames like this one follow each other.
    alike: Option<Likeness>,
    stream: Option<RadioStream>,
    bytes_skipped: u64,
}

/// What all frames of a stream have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Likeness {
    codec: Codec,
    rate: u32,
    /// Version and layer of MPEG audio; version and profile of ADTS.
    kind: u8,
}

/// The transport stream in progress.
#[derive(Debug)]
struct RadioStream {
    codec: Codec,
    tables: Tables,
    tables_at: Option<i64>,
    writer: StreamWriter,
    rate: u32,
    /// Where `samples` began to count: anew where the rate changes.
    counted_from: i64,
    samples: u64,
    /// Frames of the PES packet in progress.
    es: Vec<u8>,
    es_at: i64,
}

impl Wrapper {
    /// A wrapper that has seen nothing, whose first frame sounds at `begin`, at least a second after zero.
    ///
    /// Two connections of a channel are to begin at different times, minutes apart: a [`crate::Splicer`] knows the
    /// replay of a broken source by its stamps and contents, and many a radio greets everybody with the same jingle.
    #[must_use]
    pub fn new(begin: MediaTime) -> Self {
        Self {
            begin_90k: begin.as_90k().max(TICKS_90K),
            carry: Vec::new(),
            tag_left: 0,
            alike: None,
            stream: None,
            bytes_skipped: 0,
        }
    }

    /// Takes raw bytes in any division; returns whole transport packets with the frames they complete, tables first.
    /// Empty while no frame is complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for step in bytes.chunks(STEP_BYTES) {
            let in_tag = self.tag_left.min(step.len());
            self.tag_left -= in_tag;
            self.carry
                .extend_from_slice(step.get(in_tag..).unwrap_or_default());
            let used = self.consume(&mut out);
            self.carry.drain(..used.min(self.carry.len()));
        }
        if let Some(stream) = &mut self.stream {
            stream.flush(&mut out);
        }
        out
    }

    /// Bytes so far that were part of no frame and of no tag.
    #[must_use]
    pub const fn bytes_skipped(&self) -> u64 {
        self.bytes_skipped
    }

    /// The codec, once a frame was found: AAC or MPEG audio.
    #[must_use]
    pub fn codec(&self) -> Option<Codec> {
        self.stream.as_ref().map(|stream| stream.codec)
    }

    /// Walks the carry as far as it can be judged; returns how many bytes are done with.
    fn consume(&mut self, out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        loop {
            let rest = self.carry.get(at..).unwrap_or_default();
            if let Some(tag) = tag_bytes(rest) {
                self.tag_left = tag.saturating_sub(rest.len());
                at += tag.min(rest.len());
                continue;
            }
            if rest.len() < HEADER_BYTES.max(TAG_HEAD_BYTES) {
                return at;
            }
            match self.judge(rest) {
                Verdict::Frame { frame, alike } => {
                    let (frame_bytes, _) = rest.split_at(frame.bytes.min(rest.len()));
                    self.alike = Some(alike);
                    if self.stream.is_none() {
                        self.stream = RadioStream::new(alike, self.begin_90k);
                    }
                    if let Some(stream) = &mut self.stream {
                        stream.frame(frame_bytes, frame, out);
                    }
                    at += frame_bytes.len();
                }
                Verdict::More => return at,
                Verdict::Rubbish => {
                    self.alike = None;
                    self.bytes_skipped += 1;
                    at += 1;
                }
            }
        }
    }

    /// What stands at the beginning of `rest`.
    fn judge(&self, rest: &[u8]) -> Verdict {
        let Some((frame, alike)) = header(rest) else {
            return Verdict::Rubbish;
        };
        if self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.codec != alike.codec)
        {
            return Verdict::Rubbish;
        }
        if self.alike == Some(alike) {
            return if rest.len() < frame.bytes {
                Verdict::More
            } else {
                Verdict::Frame { frame, alike }
            };
        }
        match rest.get(frame.bytes..).filter(|next| next.len() >= HEADER_BYTES) {
            None => Verdict::More,
            Some(next) if header(next).is_some_and(|(_, next)| next == alike) => {
                Verdict::Frame { frame, alike }
            }
            Some(_) => Verdict::Rubbish,
        }
    }
}

enum Verdict {
    /// A whole frame that is believed.
    Frame { frame: AudioFrame, alike: Likeness },
    /// More bytes are needed to tell.
    More,
    /// No frame begins here.
    Rubbish,
}

/// The frame whose header `bytes` begin with. The layer field, zero in ADTS only, tells the two codecs apart.
fn header(bytes: &[u8]) -> Option<(AudioFrame, Likeness)> {
    let &[_, second, third, ..] = bytes else {
        return None;
    };
    [Codec::Aac, Codec::MpegAudio].into_iter().find_map(|codec| {
        let frame = audio_frame(codec, bytes)?;
        let kind = match codec {
            // ID; profile.
            Codec::Aac => (second & 0x08) | (third >> 6),
            _ => second & 0x1E,
        };
        let alike = Likeness {
            codec,
            rate: frame.rate,
            kind,
        };
        Some((frame, alike))
    })
}

/// Bytes of the ID3v2 tag that `bytes` begin with; `None` when they begin with none, or too little of it is there.
fn tag_bytes(bytes: &[u8]) -> Option<usize> {
    let &[b'I', b'D', b'3', version, revision, flags, a, b, c, d, ..] = bytes else {
        return None;
    };
    if version == 0xFF || revision == 0xFF || (a | b | c | d) & 0x80 != 0 {
        return None;
    }
    // The size has seven bits in each byte, and counts neither head nor foot.
    let size = [a, b, c, d]
        .into_iter()
        .fold(0, |size, byte| (size << 7) | usize::from(byte));
    let foot = if flags & 0x10 != 0 { TAG_HEAD_BYTES } else { 0 };
    Some(TAG_HEAD_BYTES + size + foot).filter(|bytes| *bytes <= TAG_BYTES_MAX)
}

impl RadioStream {
    fn new(alike: Likeness, begin_90k: i64) -> Option<Self> {
        let stream_type = match alike {
            Likeness {
                codec: Codec::Aac, ..
            } => 0x0F,
            // ID 1 with the bit before it: MPEG-1 (ISO 11172-3); everything else is of lower rates (ISO 13818-3).
            Likeness { kind, .. } if kind & 0x18 == 0x18 => 0x03,
            _ => 0x04,
        };
        let listed = PmtStream {
            stream_type,
            pid: PID,
            descriptors: RAW_SOUND.to_vec(),
        };
        Some(Self {
            codec: alike.codec,
            tables: Tables::new(PID, vec![listed]).ok()?,
            tables_at: None,
            writer: StreamWriter::new(PID, alike.codec),
            rate: alike.rate,
            counted_from: begin_90k,
            samples: 0,
            es: Vec::new(),
            es_at: begin_90k,
        })
    }

    /// When the next frame begins.
    fn now(&self) -> i64 {
        let ticks = self.samples.saturating_mul(TICKS_90K.cast_unsigned()) / u64::from(self.rate.max(1));
        self.counted_from.saturating_add_unsigned(ticks)
    }

    fn frame(&mut self, bytes: &[u8], frame: AudioFrame, out: &mut Vec<u8>) {
        if frame.rate != self.rate {
            self.counted_from = self.now();
            self.samples = 0;
            self.rate = frame.rate;
        }
        if self.es.is_empty() {
            self.es_at = self.now();
        }
        self.es.extend_from_slice(bytes);
        self.samples += u64::from(frame.samples);
        if self.now() - self.es_at >= PES_90K {
            self.flush(out);
        }
    }

    /// Writes the frames gathered so far as one PES packet.
    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.es.is_empty() {
            return;
        }
        let at = self.es_at;
        if self.tables_at.is_none_or(|last| at - last >= TABLES_PERIOD_90K) {
            self.tables.write(out);
            self.tables_at = Some(at);
        }
        let stamped = Stamped {
            pts: at,
            dts: at,
            random_access: true,
            carries_clock: true,
        };
        self.writer.write(&self.es, stamped, out);
        self.es.clear();
    }
}

/// The codec in which a channel's listeners get raw frames: that of its only stream, where it was promised as raw sound.
#[must_use]
pub fn raw_sound(promised: &Signature) -> Option<Codec> {
    match promised.streams.as_slice() {
        [only] if only.codec.is_audio() && only.descriptors.starts_with(&RAW_SOUND) => Some(only.codec),
        _ => None,
    }
}

/// A channel's programme in, the raw frames of its first sound out.
///
/// What comes out begins and ends with whole frames, whatever PES packets they were cut into. Sounds other than AAC in
/// ADTS and MPEG audio give nothing.
#[derive(Debug, Default)]
pub struct Unwrapper {
    units: UnitReader,
    cutter: SoundCutter,
    codec: Option<Codec>,
}

impl Unwrapper {
    /// An unwrapper that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes whole packets as a [`crate::Splicer`] gave them out ([`crate::Piece::bytes`]), from tables on; returns the
    /// frames they complete, one behind the other.
    pub fn push(&mut self, packets: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let (cutter, codec) = (&mut self.cutter, &mut self.codec);
        self.units.push(packets, |unit| {
            if unit.first_of_kind && matches!(unit.codec, Codec::Aac | Codec::MpegAudio) {
                // When they sound nobody asks.
                let stamp = Some(MediaTime::default());
                cutter.push(unit.codec, Bytes::copy_from_slice(unit.es), stamp, |_, frame| {
                    out.extend_from_slice(&frame);
                    *codec = Some(unit.codec);
                });
            }
        });
        out
    }

    /// The codec of the frames, once the first one was seen.
    #[must_use]
    pub const fn codec(&self) -> Option<Codec> {
        self.codec
    }
}

#[cfg(test)]
mod tests;
