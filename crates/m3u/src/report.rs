//! What reading a list revealed besides its entries: enough to decide whether to believe it.

use std::fmt;

use crate::Header;

/// So many malformed places of a list are described; the rest is only counted.
pub const MALFORMED_SAMPLES_MAX: usize = 8;

/// What reading a list revealed besides its entries.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Entries handed out.
    pub entries: u64,
    /// Places that cost an entry.
    pub malformed: Malformed,
    /// Whether `#EXTM3U` was there.
    pub saw_header: bool,
    /// What `#EXTM3U` said.
    pub header: Header,
    /// Set where the bytes are something else than a channel list; the entries, if any, mean nothing then.
    pub looks_like: Option<LooksLike>,
    /// How the bytes end; a truncated list must not replace a whole one.
    pub ending: Ending,
    /// Lines read.
    pub lines: u64,
}

/// Places that cost an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Malformed {
    /// How many.
    pub count: u64,
    /// The first few, at most [`MALFORMED_SAMPLES_MAX`].
    pub samples: Vec<Sample>,
}

/// One malformed place. It holds no text of the list, which may carry credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Line number, from 1.
    pub line: u64,
    /// What is wrong there.
    pub reason: Reason,
}

/// Why a place costs an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `#EXTINF` followed by another `#EXTINF`, or by the end.
    MissingUrl,
    /// A line that is neither a comment nor an address.
    NotAnAddress,
    /// A line beyond [`crate::LINE_BYTES_MAX`].
    LineTooLong,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingUrl => "#EXTINF without an address",
            Self::NotAnAddress => "neither a comment nor an address",
            Self::LineTooLong => "line too long",
        })
    }
}

/// What the bytes are when they are no channel list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LooksLike {
    /// An HLS playlist: one stream (RFC 8216 §4.3.3.1, §4.3.4.2).
    Hls,
    /// A page or another markup document, such as a provider's block page.
    Html,
    /// JSON, such as an API's error.
    Json,
}

/// How the bytes end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// With a line end, or no bytes at all.
    #[default]
    Clean,
    /// Within a line. Many lists end so; where the length is unknown it may also be a cut.
    MidLine,
    /// After `#EXTINF` and before its address: cut off.
    MidEntry,
}
