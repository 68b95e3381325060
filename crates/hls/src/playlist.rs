//! Playlists as values. How they are read is in `parse`.

use std::sync::Arc;

use crate::define::Definitions;

/// The longest playlist that is read, in bytes.
pub const PLAYLIST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Either kind of playlist.
#[derive(Debug, Clone, PartialEq)]
pub enum Playlist {
    /// Names the variants of a stream.
    Multivariant(MultivariantPlaylist),
    /// Names the segments of one variant.
    Media(MediaPlaylist),
    /// Neither: a list whose first entry is what was meant, as a list of channels with only one is. The address as
    /// written.
    Leads(String),
}

/// Why text is not a playlist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No `#EXTM3U` and no HLS tag.
    #[error("not an HLS playlist")]
    NotAPlaylist,
    /// It begins like a playlist and holds neither a segment, nor a variant, nor a target duration.
    #[error("a playlist without segments, variants or target duration")]
    Empty,
    /// A variable that is not defined before it is used (RFC 8216bis §4.3); its name, shortened.
    #[error("a playlist that uses the variable \"{0}\", which is not defined before (EXT-X-DEFINE)")]
    Undefined(String),
    /// Beyond [`PLAYLIST_BYTES_MAX`].
    #[error("playlist longer than {PLAYLIST_BYTES_MAX} bytes")]
    TooLong,
}

/// RFC 8216 §4.3.4.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MultivariantPlaylist {
    /// EXT-X-STREAM-INF, in order.
    pub variants: Vec<Variant>,
    /// EXT-X-MEDIA TYPE=AUDIO, in order.
    pub audio: Vec<AudioRendition>,
    /// EXT-X-DEFINE: what its media playlists may import.
    pub definitions: Definitions,
}

/// EXT-X-STREAM-INF (RFC 8216 §4.3.4.2).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variant {
    /// As written; may be relative.
    pub uri: String,
    /// BANDWIDTH, bits per second; 0 where missing or unreadable.
    pub bandwidth: u64,
    /// CODECS, split at the commas.
    pub codecs: Vec<String>,
    /// RESOLUTION, width and height in pixels.
    pub resolution: Option<(u32, u32)>,
    /// AUDIO: the group of [`AudioRendition`]s that belongs to it.
    pub audio_group: Option<String>,
}

/// EXT-X-MEDIA with TYPE=AUDIO (RFC 8216 §4.3.4.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AudioRendition {
    /// GROUP-ID.
    pub group: String,
    /// NAME.
    pub name: String,
    /// LANGUAGE.
    pub language: Option<String>,
    /// URI; `None` means that the sound is in the variant's own segments.
    pub uri: Option<Arc<str>>,
    /// DEFAULT=YES.
    pub is_default: bool,
    /// AUTOSELECT=YES.
    pub is_autoselect: bool,
}

/// RFC 8216 §4.3.3.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MediaPlaylist {
    /// EXT-X-TARGETDURATION, whole seconds, at least 1; the longest segment rounded where the tag is missing.
    pub target_duration: u64,
    /// EXT-X-MEDIA-SEQUENCE: the number of the first segment; 0 where missing.
    pub media_sequence: u64,
    /// EXT-X-DISCONTINUITY-SEQUENCE; `None` where missing.
    pub discontinuity_sequence: Option<u64>,
    /// In order; the number of each is `media_sequence` + its place.
    pub segments: Vec<Segment>,
    /// EXT-X-ENDLIST: no segment will follow.
    pub ended: bool,
}

/// One media segment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segment {
    /// As written; may be relative.
    pub uri: String,
    /// EXTINF, seconds; never negative.
    pub duration: f64,
    /// EXT-X-DISCONTINUITY before it.
    pub discontinuity: bool,
    /// EXT-X-GAP: not to be fetched.
    pub gap: bool,
    /// EXT-X-BYTERANGE.
    pub byte_range: Option<ByteRange>,
    /// EXT-X-KEY in force; `None` for clear segments (METHOD=NONE included).
    pub key: Option<Arc<Key>>,
    /// EXT-X-MAP in force.
    pub map: Option<Arc<Map>>,
    /// EXT-X-PROGRAM-DATE-TIME as written.
    pub program_date_time: Option<String>,
}

/// Part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Bytes.
    pub length: u64,
    /// Bytes from the start. Where a segment has none it goes on behind the one before it of the same address; `None`
    /// where the playlist does not hold that one.
    pub offset: Option<u64>,
}

/// EXT-X-KEY (RFC 8216 §4.3.2.4): of those that hold, one that can be used, if there is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// METHOD as written, never `NONE`.
    pub method: String,
    /// URI.
    pub uri: Option<String>,
    /// IV; `None` where it is missing or unreadable: then it is the media sequence number.
    pub iv: Option<[u8; 16]>,
    /// KEYFORMAT; "identity" where missing.
    pub format: String,
}

/// The KEYFORMAT of a key that is 16 bytes at its address (RFC 8216 §4.3.2.4).
const IDENTITY: &str = "identity";

impl Key {
    /// Whole segments under AES-128, with a key that anybody may ask for.
    #[must_use]
    pub fn is_plain_aes(&self) -> bool {
        self.method.eq_ignore_ascii_case("AES-128")
            && self.format.eq_ignore_ascii_case(IDENTITY)
            && self.uri.is_some()
    }
}

/// EXT-X-MAP (RFC 8216 §4.3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// URI.
    pub uri: Arc<str>,
    /// BYTERANGE; one without an offset begins at 0.
    pub byte_range: Option<ByteRange>,
    /// The EXT-X-KEY in force where it stands: it is encrypted as well.
    pub key: Option<Arc<Key>>,
}

pub use crate::parse::{parse, parse_from};
