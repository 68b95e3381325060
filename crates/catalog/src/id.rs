//! What a channel and a stream are called in links: derived from names, so that the same lists give the same links
//! on every start.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    fmt,
    str::FromStr,
};

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization as _;

use crate::listing::{Entry, Kind, SourceName};

/// The first 8 bytes of the SHA-256 of a channel's name in UTF-8; 16 lower-case hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId(u64);

impl ChannelId {
    /// What stands where there is no id yet.
    pub(crate) const UNNAMED: Self = Self(0);

    /// The id of the channel called `name`.
    pub fn of_name(name: &str) -> Self {
        Self(hash_head(&[name]))
    }

    /// The id of a channel whose plain id another channel has: one of another `kind` with the same name, or, what
    /// nobody will live to see, one whose name has the same hash. `attempt` counts from 0.
    pub fn of_name_and_kind(name: &str, kind: Kind, attempt: u32) -> Self {
        let attempt = if attempt == 0 {
            String::new()
        } else {
            attempt.to_string()
        };
        Self(hash_head(&[name, "\0", kind_word(kind), &attempt]))
    }

    /// The id as a number, big-endian.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Live => "live",
        Kind::Film => "film",
        Kind::Episode => "episode",
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
    pub fn of_entry(source: &SourceName, entry: Entry<'_>) -> Self {
        let key = match entry.stream_key() {
            Some(key) => Cow::Borrowed(key),
            None => Cow::Owned(without_credentials(entry.url().expose())),
        };
        // A provider numbers its films and its live streams apart, from the same 1 on.
        Self(hash_head(&[
            source.as_str(),
            "\0",
            kind_word(entry.kind()),
            "\0",
            &key,
        ]))
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

/// Query parameters that say who asks or until when they may, not what is asked for.
const CREDENTIAL_PARAMETERS: [&str; 20] = [
    "username",
    "user",
    "u",
    "login",
    "password",
    "pass",
    "passwd",
    "pwd",
    "p",
    "token",
    "auth",
    "authorization",
    "key",
    "api_key",
    "apikey",
    "sid",
    "session",
    "sig",
    "signature",
    "expires",
];

/// What is left of `url` when the account changes: no scheme, no user info, no credentials in the query, and none in
/// a path of Xtream's form, `[/live|/movie|/series]/user/password/number[.extension]`.
fn without_credentials(url: &str) -> String {
    let url = url.split('#').next().unwrap_or(url);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = location.split_once('/').unwrap_or((location, ""));
    let host = authority
        .rsplit('@')
        .next()
        .unwrap_or(authority)
        .to_ascii_lowercase();
    let mut kept = format!("{host}/{}", without_account(path));
    let parameters = query.split('&').filter(|parameter| {
        let name = parameter.split('=').next().unwrap_or(parameter);
        !parameter.is_empty()
            && !CREDENTIAL_PARAMETERS
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret))
    });
    for parameter in parameters {
        kept.push('?');
        kept.push_str(parameter);
    }
    kept
}

fn without_account(path: &str) -> Cow<'_, str> {
    let is_number = |segment: &str| {
        let number = segment.split('.').next().unwrap_or(segment);
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut segments = path.split('/');
    match [(); 5].map(|()| segments.next()) {
        [Some(_), Some(_), Some(number), None, _] if is_number(number) => Cow::Borrowed(number),
        [
            Some(section @ ("live" | "movie" | "series")),
            Some(_),
            Some(_),
            Some(number),
            None,
        ] if is_number(number) => Cow::Owned(format!("{section}/{number}")),
        _ => Cow::Borrowed(path),
    }
}
