//! What one source offers, as its list said it: the hand-over from a source to the catalogue, and what the store
//! keeps of it on disk.
//!
//! Not here: channels, filters, and how any list is parsed.
//!
//! Big accounts list hundreds of thousands of entries, so a list keeps all of its text in a few long pieces, and what
//! many entries have in common once ([`Entries`]): an entry costs 44 bytes and the text that is its own.

mod entries;
mod stored;

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::secret::{Secret, StreamUrl};

pub use entries::{Entries, Entry};

/// Bytes kept of any one text of an entry; what is longer is cut at a character.
pub const TEXT_BYTES_MAX: usize = (64 << 10) - 2;

/// The name the operator gave a source; cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceName(Arc<str>);

impl SourceName {
    /// Wraps `name`.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl From<&str> for SourceName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl Borrow<str> for SourceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for SourceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SourceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self(name.into()))
    }
}

/// What an entry plays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Television or radio that is on now.
    #[default]
    Live,
    /// A film, with a beginning and an end.
    Film,
    /// One episode of a series.
    Episode,
}

impl Kind {
    /// One word, as in files and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Film => "film",
            Self::Episode => "episode",
        }
    }
}

/// A request header the source asks for, such as `User-Agent` or `Referer`. The value may be a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Header {
    /// As in HTTP; case does not matter.
    pub name: Box<str>,
    /// As in HTTP.
    pub value: Secret,
}

/// Attributes few entries have, or many the same; all absent by default. Kept once for all entries that have the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Extra {
    /// `tvg-language`.
    pub tvg_language: Option<Box<str>>,
    /// `tvg-country`.
    pub tvg_country: Option<Box<str>>,
    /// `tvg-url`: address of a guide; it may carry credentials.
    pub tvg_url: Option<Secret>,
    /// `radio`, as written ("true").
    pub radio: Option<Box<str>>,
    /// `category` or Xtream's `category_id`.
    pub category: Option<Box<str>>,
    /// `parent-code`: the PIN a player asks for.
    pub parent_code: Option<Box<str>>,
    /// `audio-track`: preferred language.
    pub audio_track: Option<Box<str>>,
    /// `aspect-ratio`.
    pub aspect_ratio: Option<Box<str>>,
    /// How past programmes are played, where they are.
    pub catchup: Option<Box<Catchup>>,
    /// Attributes without a field here, in the list's order: name, value.
    pub other: Vec<(Box<str>, Box<str>)>,
    /// Headers to send upstream.
    pub headers: Vec<Header>,
}

/// How past programmes of an entry are played, as its list says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Catchup {
    /// `catchup` or `catchup-type`: `default`, `append`, `shift`, `flussonic`, `xc` …, as written. Xtream's own is `xc`.
    pub mode: Option<Box<str>>,
    /// Days that its provider keeps.
    pub days: Option<u32>,
    /// `catchup-source`: an address with gaps for the times. It may carry credentials.
    pub source: Option<Secret>,
    /// `catchup-correction`: hours to add to the times, as a number.
    pub correction: Option<Box<str>>,
}

/// Everything an [`Entry`] is made of: what a source fills in from its list. Absent and empty texts are the same.
#[derive(Debug, Clone, Default)]
pub struct Fields<'a> {
    /// `tvg-name`; empty is the same as absent.
    pub tvg_name: Option<&'a str>,
    /// The text after the comma of `#EXTINF`, or Xtream's `name`.
    pub title: &'a str,
    /// `group-title`, or the Xtream category's name.
    pub group: Option<&'a str>,
    /// `tvg-logo`, or Xtream's `stream_icon`: a URL.
    pub logo: Option<&'a str>,
    /// `tvg-id`, or Xtream's `epg_channel_id`.
    pub tvg_id: Option<&'a str>,
    /// What it plays.
    pub kind: Kind,
    /// Where it plays.
    pub url: StreamUrl,
    /// Where it plays if the provider has no such stream there, such as Xtream's `direct_source`.
    pub direct: Option<StreamUrl>,
    /// The provider's own id of the stream, such as Xtream's `stream_id`; empty where it has none. Never a URL.
    pub stream_key: &'a str,
    /// `tvg-chno`: the channel number, which may be decimal ("5.1") or anything else.
    pub tvg_chno: Option<&'a str>,
    /// The rest.
    pub extra: Extra,
}

/// What one source offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Whose it is.
    pub source: SourceName,
    /// In the list's order; shared with the catalogues built of them.
    pub entries: Arc<Entries>,
    /// Records of the list that could not be read.
    pub malformed: u64,
}

impl Listing {
    /// An empty listing of `source`.
    pub fn new(source: SourceName) -> Self {
        Self {
            source,
            entries: Arc::default(),
            malformed: 0,
        }
    }

    /// Adds an entry at the end. Where a catalogue shares the entries, this copies all of them first.
    pub fn push(&mut self, fields: Fields<'_>) {
        Arc::make_mut(&mut self.entries).push(fields);
    }

    /// Adds an entry of another listing at the end.
    pub fn push_copy(&mut self, entry: Entry<'_>) {
        Arc::make_mut(&mut self.entries).push_copy(entry);
    }

    /// Adds all entries of another listing at the end. Their text is taken over, not copied.
    pub fn append(&mut self, other: Self) {
        if self.entries.is_empty() {
            self.entries = other.entries;
        } else {
            Arc::make_mut(&mut self.entries).append(Arc::unwrap_or_clone(other.entries));
        }
        self.malformed += other.malformed;
    }

    /// Gives back the memory that further entries would have needed.
    pub fn finish(&mut self) {
        Arc::make_mut(&mut self.entries).finish();
    }
}
