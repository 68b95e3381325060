//! What the store keeps of a listing on disk. Nothing in [`listing`](super) can be serialised with its secrets but
//! through [`Stored`].

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Entry, Extra, Fields, Header, Kind, Listing};
use crate::secret::{Secret, StreamUrl, exposed};

/// The on-disk form of an [`Entry`], with its secrets in the clear, to write. For files only the owner can read.
#[derive(Debug, Clone, Copy)]
pub struct Stored<T>(pub T);

/// An entry as it was written by [`Stored`]; see [`Listing::push_stored`].
#[derive(Deserialize)]
#[serde(transparent)]
pub struct StoredEntry<'a>(#[serde(borrow)] EntryRecord<'a>);

#[derive(Serialize, Deserialize)]
struct EntryRecord<'a> {
    #[serde(borrow)]
    title: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    tvg_name: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    group: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    logo: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    tvg_id: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    key: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    chno: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "is_live")]
    kind: Kind,
    #[serde(with = "exposed")]
    url: StreamUrl,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    extra: Option<ExtraRecord>,
}

#[derive(Serialize, Deserialize)]
struct ExtraRecord(#[serde(with = "ExtraFields")] Extra);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Extra")]
struct ExtraFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tvg_language: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tvg_country: Option<Box<str>>,
    #[serde(default, with = "secret_option", skip_serializing_if = "Option::is_none")]
    tvg_url: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    radio: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    category: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_code: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio_track: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aspect_ratio: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    other: Vec<(Box<str>, Box<str>)>,
    #[serde(default, with = "header_list", skip_serializing_if = "Vec::is_empty")]
    headers: Vec<Header>,
}

mod secret_option {
    use super::{Deserialize, Deserializer, Secret, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(deserializer)?.map(Secret::from))
    }
}

/// As pairs of name and value.
mod header_list {
    use super::{Deserialize, Deserializer, Header, Serializer};

    pub(super) fn serialize<S: Serializer>(headers: &[Header], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(headers.iter().map(|header| (&header.name, header.value.expose())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Header>, D::Error> {
        let pairs = Vec::<(Box<str>, String)>::deserialize(deserializer)?;
        Ok(pairs
            .into_iter()
            .map(|(name, value)| Header {
                name,
                value: value.into(),
            })
            .collect())
    }
}

/// Borrowed where the document allows it: `Option<Cow>` alone would always copy.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_live(kind: &Kind) -> bool {
    *kind == Kind::Live
}

impl Serialize for Stored<Entry<'_>> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = self.0;
        let text = |text| Text(Cow::Borrowed(text));
        let extra = entry.extra();
        EntryRecord {
            title: text(entry.title()),
            tvg_name: entry.tvg_name().map(text),
            group: entry.group().map(text),
            logo: entry.logo().map(Text),
            tvg_id: entry.tvg_id().map(text),
            key: entry.stream_key().map(text),
            chno: entry.tvg_chno().map(text),
            kind: entry.kind(),
            url: entry.url(),
            extra: (*extra != Extra::default()).then(|| ExtraRecord(extra.clone())),
        }
        .serialize(serializer)
    }
}

impl EntryRecord<'_> {
    fn fields(&mut self) -> Fields<'_> {
        fn text<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
            text.as_ref().map(|text| &*text.0)
        }
        Fields {
            tvg_name: text(&self.tvg_name),
            title: &self.title.0,
            group: text(&self.group),
            logo: text(&self.logo),
            tvg_id: text(&self.tvg_id),
            kind: self.kind,
            url: std::mem::take(&mut self.url),
            stream_key: text(&self.key).unwrap_or(""),
            tvg_chno: text(&self.chno),
            extra: self
                .extra
                .take()
                .map(|ExtraRecord(extra)| extra)
                .unwrap_or_default(),
        }
    }
}

impl Listing {
    /// Adds an entry from disk at the end.
    pub fn push_stored(&mut self, mut entry: StoredEntry<'_>) {
        self.push(entry.0.fields());
    }
}
