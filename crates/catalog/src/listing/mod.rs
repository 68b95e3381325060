//! What one source offers, as its list said it: the hand-over from a source to the catalogue, and what the store
//! keeps of it on disk.
//!
//! Not here: channels, filters, and how any list is parsed.
//!
//! A big account lists 100,000 entries, so an [`Entry`] keeps its short texts in one allocation, about 330 bytes in
//! all.

mod stored;

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::secret::{Secret, StreamUrl};

pub use stored::Stored;

/// Bytes kept of any one text of an entry; what is longer is cut at a character.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

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

/// A request header the source asks for, such as `User-Agent` or `Referer`. The value may be a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// As in HTTP; case does not matter.
    pub name: Box<str>,
    /// As in HTTP.
    pub value: Secret,
}

/// Attributes few entries have; all absent by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra {
    /// `tvg-chno`: the channel number, which may be decimal ("5.1") or anything else.
    pub tvg_chno: Option<Box<str>>,
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
    /// Attributes without a field here, in the list's order: name, value.
    pub other: Vec<(Box<str>, Box<str>)>,
    /// Headers to send upstream.
    pub headers: Vec<Header>,
}

/// Everything an [`Entry`] is made of: what a source fills in from its list.
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
    /// The provider's own id of the stream, such as Xtream's `stream_id`; empty where it has none. Never a URL.
    pub stream_key: &'a str,
    /// The rest.
    pub extra: Extra,
}

/// One playable entry of a source's list. Absent and empty texts are the same.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// title, `tvg-name`, group, logo, `tvg-id`, key: one after the other.
    text: Box<str>,
    /// Where each of them ends in `text`, in bytes.
    ends: [u32; TEXTS],
    kind: Kind,
    url: StreamUrl,
    extra: Option<Box<Extra>>,
}

const TEXTS: usize = 6;
const TITLE: usize = 0;
const TVG_NAME: usize = 1;
const GROUP: usize = 2;
const LOGO: usize = 3;
const TVG_ID: usize = 4;
const STREAM_KEY: usize = 5;

impl Entry {
    /// Packs `fields`.
    pub fn new(fields: Fields<'_>) -> Self {
        let texts: [&str; TEXTS] = [
            fields.title,
            fields.tvg_name.unwrap_or(""),
            fields.group.unwrap_or(""),
            fields.logo.unwrap_or(""),
            fields.tvg_id.unwrap_or(""),
            fields.stream_key,
        ];
        let mut text = String::with_capacity(texts.iter().map(|t| t.len().min(TEXT_BYTES_MAX)).sum());
        let mut ends = [0; TEXTS];
        for (part, end) in texts.iter().zip(&mut ends) {
            text.push_str(cut(part));
            // Six texts of 64 KiB at most: always fits.
            *end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        }
        let extra = (fields.extra != Extra::default()).then(|| Box::new(fields.extra));
        Self {
            text: text.into(),
            ends,
            kind: fields.kind,
            url: fields.url,
            extra,
        }
    }

    /// What the channel is called and identified by: `tvg-name` if present, else the title.
    pub fn name(&self) -> &str {
        self.tvg_name().unwrap_or(self.title())
    }

    /// The text after the comma of `#EXTINF`, or Xtream's `name`.
    pub fn title(&self) -> &str {
        self.part(TITLE)
    }

    /// `tvg-name`.
    pub fn tvg_name(&self) -> Option<&str> {
        self.present(TVG_NAME)
    }

    /// `group-title`, or the Xtream category's name.
    pub fn group(&self) -> Option<&str> {
        self.present(GROUP)
    }

    /// A logo's URL.
    pub fn logo(&self) -> Option<&str> {
        self.present(LOGO)
    }

    /// `tvg-id`, or Xtream's `epg_channel_id`.
    pub fn tvg_id(&self) -> Option<&str> {
        self.present(TVG_ID)
    }

    /// The provider's own id of the stream.
    pub fn stream_key(&self) -> Option<&str> {
        self.present(STREAM_KEY)
    }

    /// What it plays.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it plays.
    pub fn url(&self) -> &StreamUrl {
        &self.url
    }

    /// The rarer attributes.
    pub fn extra(&self) -> &Extra {
        static NONE: Extra = Extra {
            tvg_chno: None,
            tvg_language: None,
            tvg_country: None,
            tvg_url: None,
            radio: None,
            category: None,
            parent_code: None,
            audio_track: None,
            aspect_ratio: None,
            other: Vec::new(),
            headers: Vec::new(),
        };
        self.extra.as_deref().unwrap_or(&NONE)
    }

    /// Headers to send upstream.
    pub fn headers(&self) -> &[Header] {
        &self.extra().headers
    }

    fn present(&self, index: usize) -> Option<&str> {
        Some(self.part(index)).filter(|text| !text.is_empty())
    }

    fn part(&self, index: usize) -> &str {
        let end_at = |index: usize| self.ends.get(index).map_or(0, |&end| end as usize);
        let start = index.checked_sub(1).map_or(0, end_at);
        self.text.get(start..end_at(index)).unwrap_or("")
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX))
        .unwrap_or(text)
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name())
            .field("kind", &self.kind)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What one source offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Whose it is.
    pub source: SourceName,
    /// In the list's order; shared with the catalogues built of them.
    pub entries: Vec<Arc<Entry>>,
    /// Records of the list that could not be read.
    pub malformed: u64,
}

impl Listing {
    /// An empty listing of `source`.
    pub fn new(source: SourceName) -> Self {
        Self {
            source,
            entries: Vec::new(),
            malformed: 0,
        }
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, fields: Fields<'_>) {
        self.entries.push(Arc::new(Entry::new(fields)));
    }
}
