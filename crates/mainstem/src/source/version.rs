//! What tells a list from the same list later: the validators its provider gave with it, and of what it was made.
//!
//! A version belongs to the list it came with. It is committed when that list is believed and not before, is kept in the
//! same file, and means nothing without it.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::{ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use serde::{Deserialize, Serialize};

use crate::config::{Origin, SourceConfig};

/// What a provider says of one answer's version (RFC 9110 clause 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    etag: Option<Box<str>>,
    last_modified: Option<Box<str>>,
}

impl Validators {
    /// Those of an answer.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            (!value.is_empty()).then(|| value.into())
        };
        Self {
            etag: text(ETAG),
            last_modified: text(LAST_MODIFIED),
        }
    }

    /// Makes a request one for a later version only.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        for (name, value) in [
            (IF_NONE_MATCH, &self.etag),
            (IF_MODIFIED_SINCE, &self.last_modified),
        ] {
            let value = value
                .as_deref()
                .and_then(|value| HeaderValue::from_str(value).ok());
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
    }

    /// Whether they make no request conditional.
    pub(super) fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }
}

/// One kind of an account's lists: its categories, and the list itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KindVersion {
    /// The categories' answer.
    pub(super) categories: Validators,
    /// Names by id, as the list's groups were made of them. Where they are others, the list must be read again, changed or
    /// not.
    pub(super) names: BTreeMap<String, String>,
    /// The list's answer.
    pub(super) list: Validators,
    /// Entries of it that could not be read.
    pub(super) malformed: u64,
}

impl KindVersion {
    /// Nothing but the names: of a list that is to be read again in any case, whose categories may not come.
    pub(super) fn names_only(&self) -> Self {
        Self {
            names: self.names.clone(),
            ..Self::default()
        }
    }
}

/// All that a source's list was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Versions {
    /// What was asked, and by which program: see [`asked`].
    pub(super) asked: String,
    /// An M3U list's answer.
    pub(super) list: Validators,
    /// The live streams of an account.
    pub(super) live: KindVersion,
    /// The films of an account.
    pub(super) films: KindVersion,
}

impl Versions {
    /// Nothing known of what is asked like this.
    pub(super) fn new(asked: String) -> Self {
        Self {
            asked,
            ..Self::default()
        }
    }

    /// What is left of it where something else is asked, or by another program: the names of categories.
    pub(super) fn names_only(&self, asked: String) -> Self {
        Self {
            live: self.live.names_only(),
            films: self.films.names_only(),
            ..Self::new(asked)
        }
    }
}

/// A digest of what a source's list depends on beside what its provider has: whom is asked, and the program, which may
/// read the same answer better than the one before it.
pub(super) fn asked(config: &SourceConfig) -> String {
    let (base, user, pass) = match &config.origin {
        Origin::Xtream {
            base,
            username,
            password,
        } => (base.expose(), username.expose(), password.expose()),
        Origin::M3uUrl(url) => (url.expose(), "", ""),
        Origin::M3uFile(_) | Origin::Testcard => ("", "", ""),
    };
    let version = env!("CARGO_PKG_VERSION");
    catalog::ChannelId::of_name(&format!("{version}\n{base}\n{user}\n{pass}")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validators_come_back_as_they_were_said() {
        let mut said = HeaderMap::new();
        said.insert(ETAG, HeaderValue::from_static("W/\"a b\""));
        said.insert(LAST_MODIFIED, HeaderValue::from_static("yesterday"));
        let known = Validators::of(&said);
        let known: Validators = serde_json::from_str(&serde_json::to_string(&known).unwrap()).unwrap();
        let mut asked = HeaderMap::new();
        known.ask(&mut asked);
        assert_eq!(
            (&asked[IF_NONE_MATCH], &asked[IF_MODIFIED_SINCE]),
            (&said[ETAG], &said[LAST_MODIFIED])
        );
    }

    #[test]
    fn what_cannot_be_said_again_makes_nothing_conditional() {
        let mut said = HeaderMap::new();
        said.insert(ETAG, HeaderValue::from_bytes(b"\xE9").unwrap());
        said.insert(LAST_MODIFIED, HeaderValue::from_static(""));
        assert!(Validators::of(&said).is_empty());
        let damaged: Validators = serde_json::from_str(r#"{"etag":"a\nb","last_modified":null}"#).unwrap();
        let mut asked = HeaderMap::new();
        damaged.ask(&mut asked);
        assert!(asked.is_empty());
    }
}
