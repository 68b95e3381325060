//! What is said about a splice: the promise to viewers and the account of the present source.

use crate::es::{Codec, PictureSize, SoundFormat};
use crate::packet::{PACKET_BYTES, Pid};

/// One elementary stream promised to viewers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureStream {
    /// The outgoing PID; it never changes its codec.
    pub pid: Pid,
    /// stream_type as it stands in the outgoing PMT (Table 2-34).
    pub stream_type: u8,
    /// What the stream type and the descriptors together mean.
    pub codec: Codec,
    /// ISO 639-2 code, three lower-case letters in ASCII, when the source told it.
    pub language: Option<[u8; 3]>,
    /// The descriptors of its PMT entry that say how to decode or present it, whole ones one after the other.
    pub descriptors: Vec<u8>,
    /// How its sound is coded, once a frame of it was seen; `None` for anything but sound.
    pub sound: Option<SoundFormat>,
    /// How large its pictures are, once parameters were seen; `None` for anything but pictures.
    pub picture: Option<PictureSize>,
}

/// The streams promised to viewers: what the outgoing PMT lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// In the order of the PMT.
    pub streams: Vec<SignatureStream>,
    /// The PID that carries the programme clock.
    pub pcr_pid: Pid,
    /// Goes up by one when a promised codec changed.
    pub epoch: u32,
    /// version_number of the outgoing PMT, 0 to 31.
    pub pmt_version: u8,
}

impl Signature {
    /// The codec of the first video stream.
    #[must_use]
    pub fn video(&self) -> Option<Codec> {
        self.streams
            .iter()
            .map(|stream| stream.codec)
            .find(|codec| codec.is_video())
    }

    /// The codec of the first audio stream.
    #[must_use]
    pub fn audio(&self) -> Option<Codec> {
        self.streams
            .iter()
            .map(|stream| stream.codec)
            .find(|codec| codec.is_audio())
    }

    /// How alike the first picture and the first sound of both are. What is not known of one counts as the same.
    #[must_use]
    pub fn likeness(&self, other: &Self) -> Likeness {
        if (self.video(), self.audio()) != (other.video(), other.audio()) {
            return Likeness::Other;
        }
        let first = |signature: &Self, of: fn(Codec) -> bool| {
            let found = signature.streams.iter().find(|stream| of(stream.codec));
            found.map(|stream| (stream.sound, stream.picture))
        };
        let both = |of| first(self, of).zip(first(other, of));
        let sounds = both(Codec::is_audio).and_then(|((one, _), (two, _))| one.zip(two));
        let pictures = both(Codec::is_video).and_then(|((_, one), (_, two))| one.zip(two));
        if sounds.is_some_and(|(one, two)| one != two) {
            Likeness::SameCodecs
        } else if pictures.is_some_and(|(one, two)| one != two) {
            Likeness::SameFormats
        } else {
            Likeness::Same
        }
    }
}

/// How alike two signatures are to a player; the greater, the less it notices of a change from one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Likeness {
    /// The first picture or the first sound has another codec, or is there in only one of them.
    Other,
    /// The codecs are the same; the first sound is sampled or laid out differently.
    SameCodecs,
    /// The sound is the same, too; the pictures have another size.
    SameFormats,
    /// As far as is known nothing differs.
    Same,
}

/// What is known of the present source since [`crate::Splicer::begin_source`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceReport {
    /// Whole packets read.
    pub packets: u64,
    /// Bytes thrown away because they were no packets.
    pub bytes_skipped: u64,
    /// Times the packet grid was lost after it had been found.
    pub sync_losses: u64,
    /// Packets of the programme dropped because they were scrambled.
    pub scrambled_packets: u64,
    /// Packets whose transport_error_indicator was set.
    pub transport_errors: u64,
    /// Breaks of the continuity counter in the programme's streams.
    pub continuity_errors: u64,
    /// PES packets dropped because part of them was missing or unreadable.
    pub damaged_pes: u64,
    /// Jumps of the source's own timeline that were joined.
    pub timeline_jumps: u64,
    /// How many of them led back to a picture of this source that was sent within the last minute: it is a clip that is
    /// shown over and over.
    pub repeats: u64,
    /// A programme association table has been read.
    pub pat_seen: bool,
    /// The codecs the source's programme map lists, in its order; empty until it was read.
    pub programme: Vec<Codec>,
    /// Output of this source has begun.
    pub entered: bool,
    /// The source was recognised as the previous one on the same timeline, and joined without repeating.
    pub rejoined: bool,
}

/// Bytes of a source within which its packets and its tables have to be found: a second at 64 Mbit/s, where the tables
/// come twice in a second (TR 101 290 1.3 and 1.5). Slower sources run into a bound of time first.
const TABLES_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Scrambled packets of the programme before nothing else is expected any more: 94 kB.
const SCRAMBLED_PACKETS_MAX: u64 = 500;

/// Why a source is of no use, as far as its bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// No grid of packets.
    NoPackets,
    /// Packets without a programme association table.
    NoPat,
    /// A programme association table, and none of the maps it names.
    NoPmt,
    /// The programme's streams are scrambled.
    Scrambled,
}

impl core::fmt::Display for Unusable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoPackets => "this is no transport stream",
            Self::NoPat => "the stream has no programme association table (PAT)",
            Self::NoPmt => "the stream has no programme map (PMT)",
            Self::Scrambled => "the stream is scrambled",
        })
    }
}

impl SourceReport {
    /// What is wrong with a source that has not entered, once enough of it was read to give it up.
    #[must_use]
    pub fn unusable(&self) -> Option<Unusable> {
        self.lacks()
            .filter(|lack| *lack == Unusable::Scrambled || self.bytes() > TABLES_BYTES_MAX)
    }

    /// What has kept the source from entering so far; `None` when it has, and when it only lacks a picture to start
    /// with.
    #[must_use]
    pub fn lacks(&self) -> Option<Unusable> {
        if self.entered {
            None
        } else if self.scrambled_packets > SCRAMBLED_PACKETS_MAX {
            Some(Unusable::Scrambled)
        } else if !self.programme.is_empty() {
            None
        } else if self.pat_seen {
            Some(Unusable::NoPmt)
        } else if self.packets * PACKET_BYTES as u64 > self.bytes_skipped {
            Some(Unusable::NoPat)
        } else {
            Some(Unusable::NoPackets)
        }
    }

    fn bytes(&self) -> u64 {
        self.packets * PACKET_BYTES as u64 + self.bytes_skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(video: Option<(Codec, u16)>, audio: Option<(Codec, u8)>) -> Signature {
        let stream = |codec, sound, picture| SignatureStream {
            pid: Pid::new(0x100),
            stream_type: 0,
            codec,
            language: None,
            descriptors: Vec::new(),
            sound,
            picture,
        };
        let size = |height| (height > 0).then_some(PictureSize { width: 1280, height });
        let sound = |layout| (layout > 0).then_some(SoundFormat { rate: 48_000, layout });
        let pictures = video.map(|(codec, height)| stream(codec, None, size(height)));
        let sounds = audio.map(|(codec, layout)| stream(codec, sound(layout), None));
        Signature {
            streams: pictures.into_iter().chain(sounds).collect(),
            pcr_pid: Pid::new(0x100),
            epoch: 0,
            pmt_version: 0,
        }
    }

    #[test]
    fn codecs_count_before_sounds_and_sounds_before_sizes() {
        use Codec::{Aac, Ac3, H264, Hevc};
        let hd = signature(Some((H264, 720)), Some((Aac, 2)));
        let check = |video, audio, expected| {
            let other = signature(video, audio);
            assert_eq!(hd.likeness(&other), expected, "{other:?}");
            assert_eq!(other.likeness(&hd), expected, "the other way round");
        };
        check(Some((H264, 720)), Some((Aac, 2)), Likeness::Same);
        check(Some((H264, 0)), Some((Aac, 0)), Likeness::Same);
        check(Some((H264, 576)), Some((Aac, 2)), Likeness::SameFormats);
        check(Some((H264, 720)), Some((Aac, 6)), Likeness::SameCodecs);
        check(Some((H264, 576)), Some((Aac, 6)), Likeness::SameCodecs);
        check(Some((Hevc, 720)), Some((Aac, 2)), Likeness::Other);
        check(Some((H264, 720)), Some((Ac3, 2)), Likeness::Other);
        check(None, Some((Aac, 2)), Likeness::Other);
        check(Some((H264, 720)), None, Likeness::Other);
        assert!(Likeness::Other < Likeness::SameCodecs && Likeness::SameFormats < Likeness::Same);
    }
}
