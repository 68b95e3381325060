//! What a channel and a stream are called in links: derived from names, so that the same lists give the same links
//! on every start.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    str::FromStr,
};

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization as _;

use crate::listing::{Entry, SourceName};

/// The first 8 bytes of the SHA-256 of a channel's name in UTF-8; 16 lower-case hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(u64);

impl ChannelId {
    /// The id of the channel called `name`.
    pub fn of_name(name: &str) -> Self {
        Self(hash_head(&[name]))
    }

    /// The id as a number, big-endian.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

fn hash_head(parts: &[&str]) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |head, &byte| head << 8 | u64::from(byte))
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a channel id is 16 hex digits")]
pub struct NotAnId;

impl FromStr for ChannelId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        // from_str_radix takes a sign, too.
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAnId);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| NotAnId)
    }
}

/// What a name that has no usable character is called in the reference's links.
const UNNAMED: &str = "unknownstream";

/// The id the reference's 2025 releases gave a name: its ASCII letters and digits.
///
/// Names that share one are told apart by [`Numbered`].
pub fn slug_2025(name: &str) -> String {
    or_unnamed(name.chars().filter(char::is_ascii_alphanumeric).collect())
}

/// The id the reference's 2026 releases give a name: NFKD, each run of white space and `|` one `_`, ASCII letters,
/// digits and `_` kept, runs of `_` made one, none at the ends.
///
/// Names that share one are told apart by [`Numbered`].
pub fn slug_2026(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in name.nfkd() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if (c == '_' || c == '|' || is_python_space(c)) && !slug.is_empty() && !slug.ends_with('_') {
            slug.push('_');
        }
    }
    slug.truncate(slug.trim_end_matches('_').len());
    or_unnamed(slug)
}

/// The id the reference's very first releases (September 2025) gave a name: every character but ASCII letters,
/// digits, `-` and `_` made one `_`. Of names that share one, the first had it.
pub fn slug_first(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

fn or_unnamed(slug: String) -> String {
    if slug.is_empty() { UNNAMED.to_owned() } else { slug }
}

/// `\s` of Python's `re` on text: `str.isspace()`, which has the four separators of ASCII on top of Unicode's
/// `White_Space`.
pub(crate) fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Hands out slugs the way the reference did: the first name to ask has the slug as it is, later ones have 1, 2, …
/// behind it, skipping what is taken.
#[derive(Debug, Default)]
pub struct Numbered {
    taken: HashSet<String>,
    /// The next number to try per slug, so that ten thousand names without letters take no quadratic time.
    next: HashMap<String, u32>,
}

impl Numbered {
    /// The slug for the next name, which must be a new one.
    pub fn take(&mut self, slug: String) -> String {
        if self.taken.insert(slug.clone()) {
            return slug;
        }
        let next = self.next.entry(slug.clone()).or_insert(1);
        loop {
            let numbered = format!("{slug}{next}");
            *next += 1;
            if self.taken.insert(numbered.clone()) {
                return numbered;
            }
        }
    }
}

/// Identity of one entry of one source across refreshes: a hash of the source's name and the provider's id, or,
/// where there is none, of the URL without its credentials.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u64);

impl StreamId {
    /// The id of `entry` at `source`.
    pub fn of_entry(source: &SourceName, entry: &Entry) -> Self {
        let key = entry.stream_key().unwrap_or(entry.url().expose());
        Self(hash_head(&[source.as_str(), "\0", key]))
    }

    /// The id as a number.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
