//! What a playlist needs that a minimal reader (whole, clear MPEG-TS segments) does not have.

use std::fmt;

use crate::playlist::{MediaPlaylist, MultivariantPlaylist};

/// Something a playlist needs; its text is fit for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feature {
    /// EXT-X-KEY with a METHOD other than NONE (RFC 8216 §4.3.2.4).
    Encryption {
        /// The METHOD as written.
        method: String,
    },
    /// EXT-X-MAP: fMP4 segments or a shared initialisation section (RFC 8216 §4.3.2.5).
    InitialisationSection,
    /// EXT-X-BYTERANGE: several segments in one file (RFC 8216 §4.3.2.2).
    ByteRange,
    /// EXT-X-MEDIA TYPE=AUDIO with a URI: sound in a playlist of its own (RFC 8216 §4.3.4.1).
    SeparateAudio,
    /// A multivariant playlist without a usable EXT-X-STREAM-INF.
    NoVariants,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encryption { method } => write!(f, "encrypted segments (EXT-X-KEY METHOD={method})"),
            Self::InitialisationSection => f.write_str("fMP4 segments (EXT-X-MAP)"),
            Self::ByteRange => f.write_str("segments as parts of one file (EXT-X-BYTERANGE)"),
            Self::SeparateAudio => f.write_str("sound in a playlist of its own (EXT-X-MEDIA TYPE=AUDIO)"),
            Self::NoVariants => f.write_str("a multivariant playlist without variants (EXT-X-STREAM-INF)"),
        }
    }
}

/// A playlist of either kind that can say which features it needs.
pub trait Needs {
    /// The first feature beyond whole, clear MPEG-TS segments.
    fn needs(&self) -> Option<Feature>;
}

impl Needs for MediaPlaylist {
    fn needs(&self) -> Option<Feature> {
        None
    }
}

impl Needs for MultivariantPlaylist {
    fn needs(&self) -> Option<Feature> {
        None
    }
}

/// The first feature `playlist` needs beyond whole, clear MPEG-TS segments; `None` when a minimal reader can play it.
#[must_use]
pub fn unsupported(playlist: &impl Needs) -> Option<Feature> {
    playlist.needs()
}
