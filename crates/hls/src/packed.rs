//! Packed audio: segments of bare frames of sound, with a tag in front that says when they begin (RFC 8216 §3.4).

use std::collections::VecDeque;

use bytes::Bytes;
use mpegts::es::{AudioFrame, audio_frame};
use mpegts::{Codec, Frame, MediaTime, Pts90k};

/// Who owns the PRIV frame of the tag that holds the time stamp (RFC 8216 §3.4).
const STAMP_OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";

/// Bytes of the head of an ID3v2 tag, and of the head of a frame in it (id3.org, ID3v2.4.0 clauses 3.1 and 4).
const TAG_HEAD_BYTES: usize = 10;

/// Bytes of a tag that are read; of a longer one (with a cover picture) the rest is skipped.
const TAG_READ_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a frame's head by which all codecs can tell how long it is.
const HEADER_BYTES: usize = 8;

/// Codecs of packed audio (RFC 8216 §3.4; E-AC-3 by rfc8216bis §3.1.4).
const CODECS: [Codec; 4] = [Codec::Aac, Codec::MpegAudio, Codec::Ac3, Codec::Eac3];

/// The largest bsid of AC-3 (A/52 clause 5.4.2.1); E-AC-3 has 11 to 16 (annex E).
const AC3_BSID_MAX: u8 = 10;

/// Cuts segments of packed audio into frames, all of one codec: that of the first one.
///
/// A segment without a time stamp goes on where the one before it ended. Memory is bounded by a frame and by what is
/// pushed at once, as long as [`Self::take`] is called until it gives nothing.
#[derive(Debug)]
pub struct Packed {
    codec: Option<Codec>,
    carry: Vec<u8>,
    /// Bytes of a tag still to be skipped.
    tag_left: usize,
    /// When the next frame begins: counted from the last time stamp by samples.
    begins: MediaTime,
    samples: u64,
    rate: u32,
    bytes_skipped: u64,
    ready: VecDeque<Frame>,
}

impl Default for Packed {
    fn default() -> Self {
        Self::new()
    }
}

impl Packed {
    /// A reader whose first frame begins at zero unless a tag says otherwise.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            codec: None,
            carry: Vec::new(),
            tag_left: 0,
            begins: MediaTime::from_90k(0),
            samples: 0,
            rate: 0,
            bytes_skipped: 0,
            ready: VecDeque::new(),
        }
    }

    /// The next time stamp is taken for the one nearest to `near`.
    pub fn set_near(&mut self, near: MediaTime) {
        self.restart(near);
    }

    /// Another segment begins: with a tag or a frame.
    pub fn begin_segment(&mut self) {
        self.carry.clear();
        self.tag_left = 0;
    }

    /// Feeds bytes as they were read, in any division.
    pub fn push(&mut self, bytes: &[u8]) {
        let skipped = self.tag_left.min(bytes.len());
        self.tag_left -= skipped;
        self.carry
            .extend_from_slice(bytes.get(skipped..).unwrap_or_default());
        let carry = Bytes::from(std::mem::take(&mut self.carry));
        let mut rest = carry.clone();
        while !rest.is_empty() {
            match self.step(&rest) {
                Some(used) => rest = rest.slice(used.clamp(1, rest.len())..),
                None => break,
            }
        }
        self.carry.extend_from_slice(&rest);
    }

    /// The next frame; its track is 0.
    pub fn take(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// The codec, once a frame was found.
    #[must_use]
    pub const fn codec(&self) -> Option<Codec> {
        self.codec
    }

    /// Bytes so far that were part of no frame and of no tag.
    #[must_use]
    pub const fn bytes_skipped(&self) -> u64 {
        self.bytes_skipped
    }

    /// Takes what stands at the beginning of `rest`, which is not empty: how many bytes it was; `None` when more are
    /// needed to tell.
    fn step(&mut self, rest: &Bytes) -> Option<usize> {
        if b"ID3".starts_with(rest.get(..3).unwrap_or(rest)) {
            return self.tag(rest);
        }
        if rest.len() < HEADER_BYTES {
            return None;
        }
        let codec = self.codec.filter(|codec| is_frame(*codec, rest));
        let codec = codec.or_else(|| {
            // Only at the very beginning is another codec believed.
            let mut codecs = CODECS.into_iter().filter(|_| self.codec.is_none());
            codecs.find(|codec| is_frame(*codec, rest))
        });
        let frame = codec.and_then(|codec| Some((codec, audio_frame(codec, rest)?)));
        let Some((codec, frame)) = frame else {
            self.bytes_skipped += 1;
            return Some(1);
        };
        if rest.len() < frame.bytes {
            return None;
        }
        self.codec = Some(codec);
        self.frame(frame, rest.slice(..frame.bytes));
        Some(frame.bytes)
    }

    fn frame(&mut self, frame: AudioFrame, data: Bytes) {
        if frame.rate != self.rate {
            self.restart(self.now());
            self.rate = frame.rate;
        }
        let begins = MediaTime::from_90k(self.begins.as_90k().saturating_add(frame.ticks(self.samples)));
        self.samples = self.samples.saturating_add(u64::from(frame.samples));
        self.ready.push_back(Frame {
            track: 0,
            pts: begins,
            dts: begins,
            random_access: true,
            data,
        });
    }

    /// When the next frame begins.
    fn now(&self) -> MediaTime {
        let ticks = self.samples.saturating_mul(90_000) / u64::from(self.rate.max(1));
        MediaTime::from_90k(self.begins.as_90k().saturating_add_unsigned(ticks))
    }

    fn restart(&mut self, at: MediaTime) {
        self.begins = at;
        self.samples = 0;
    }

    fn tag(&mut self, rest: &[u8]) -> Option<usize> {
        let &[_, _, _, _, _, flags, a, b, c, d] = rest.first_chunk::<TAG_HEAD_BYTES>()?;
        // The size has seven bits in each byte, and counts neither head nor foot.
        let size = [a, b, c, d]
            .into_iter()
            .fold(0, |size, byte| (size << 7) | usize::from(byte & 0x7F));
        let foot = if flags & 0x10 != 0 { TAG_HEAD_BYTES } else { 0 };
        let whole = TAG_HEAD_BYTES + size + foot;
        if rest.len() < whole.min(TAG_READ_BYTES_MAX) {
            return None;
        }
        let frames = rest.get(TAG_HEAD_BYTES..(TAG_HEAD_BYTES + size).min(rest.len()));
        if let Some(stamp) = frames.and_then(time_stamp) {
            let now = self.now();
            let at = now.as_90k().saturating_add(stamp.distance_from(now.wrapped()));
            self.restart(MediaTime::from_90k(at));
        }
        self.tag_left = whole.saturating_sub(rest.len());
        Some(whole)
    }
}

/// Whether `bytes` begin with a frame of `codec`. AC-3 and E-AC-3 are told apart by bsid.
fn is_frame(codec: Codec, bytes: &[u8]) -> bool {
    let bsid = bytes.get(5).map_or(0, |byte| byte >> 3);
    let fits = match codec {
        Codec::Ac3 => bsid <= AC3_BSID_MAX,
        Codec::Eac3 => bsid > AC3_BSID_MAX,
        _ => true,
    };
    fits && audio_frame(codec, bytes).is_some()
}

/// The time stamp among the frames of a tag.
fn time_stamp(mut frames: &[u8]) -> Option<Pts90k> {
    while let Some((head, rest)) = frames.split_at_checked(TAG_HEAD_BYTES) {
        let (name, size) = (head.get(..4)?, head.get(4..8)?);
        // Seven bits in each byte or eight (ID3v2.3): the same for what is as short as this.
        let size = size
            .iter()
            .fold(0, |size, byte| (size << 7) | usize::from(*byte & 0x7F));
        let body = rest.get(..size)?;
        if name == b"PRIV"
            && let Some(stamp) = body.strip_prefix(STAMP_OWNER)
        {
            return Some(Pts90k::new(u64::from_be_bytes(*stamp.first_chunk()?)));
        }
        frames = rest.get(size..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of silence in ADTS: 48 kHz, two channels, 1024 samples.
    fn adts(length: usize) -> Vec<u8> {
        let [high, middle, low] =
            [length >> 11, (length >> 3) & 0xFF, length & 7].map(|part| u8::try_from(part).unwrap());
        let mut frame = vec![0xFF, 0xF1, 0x4C, 0x80 | high, middle, (low << 5) | 0x1F, 0xFC];
        frame.resize(length, 0);
        frame
    }

    fn tag(stamp: u64) -> Vec<u8> {
        let body = [STAMP_OWNER, &stamp.to_be_bytes()].concat();
        let size = u8::try_from(body.len()).unwrap();
        let mut tag = b"ID3\x04\0\0\0\0\0".to_vec();
        tag.push(size + 10);
        tag.extend(b"PRIV\0\0\0");
        tag.extend([size, 0, 0]);
        tag.extend(body);
        tag
    }

    fn times(packed: &mut Packed) -> Vec<i64> {
        std::iter::from_fn(|| packed.take())
            .map(|frame| frame.pts.as_90k())
            .collect()
    }

    #[test]
    fn frames_are_timed_by_the_tag_and_by_samples() {
        let bytes = [tag(900_000), adts(100), adts(50), adts(200)].concat();
        for step in [1, 7, bytes.len()] {
            let mut packed = Packed::new();
            for part in bytes.chunks(step) {
                packed.push(part);
            }
            assert_eq!(packed.codec(), Some(Codec::Aac));
            assert_eq!(times(&mut packed), [900_000, 901_920, 903_840], "{step}");
            // Without a tag the next one goes on; with one behind the wrap of 33 bits, too.
            packed.begin_segment();
            packed.push(&adts(60));
            assert_eq!(times(&mut packed), [905_760]);
            assert_eq!(packed.bytes_skipped(), 0);
        }
        let mut packed = Packed::new();
        packed.set_near(MediaTime::from_90k(1 << 33));
        packed.push(&[tag(500), adts(60)].concat());
        assert_eq!(times(&mut packed), [(1 << 33) + 500]);
    }

    #[test]
    fn rubbish_is_skipped_and_counted() {
        let mut packed = Packed::new();
        packed.push(&[b"rubbish".as_slice(), &adts(60), b"more", &adts(60)].concat());
        assert_eq!((times(&mut packed).len(), packed.bytes_skipped()), (2, 11));
        packed.push(b"ID3");
        packed.begin_segment();
        packed.push(&adts(60));
        assert_eq!(
            times(&mut packed).len(),
            1,
            "what a segment leaves behind is not the next one's"
        );
    }

    #[test]
    fn a_long_tag_is_skipped() {
        let mut packed = Packed::new();
        // 2 MiB of a picture.
        packed.push(b"ID3\x04\0\0\x01\0\0\0");
        let picture = vec![0xFF; 1 << 16];
        for _ in 0..32 {
            packed.push(&picture);
            assert!(packed.carry.len() <= TAG_READ_BYTES_MAX + picture.len());
        }
        packed.push(&adts(60));
        assert_eq!((times(&mut packed).len(), packed.bytes_skipped()), (1, 0));
    }
}
