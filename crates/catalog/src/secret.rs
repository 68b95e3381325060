//! Strings that must not reach a log, an API answer or an error message: they print as `[redacted]`.
//!
//! Reading one in is open to everybody (a config file holds passwords); writing one out takes an explicit word:
//! [`Secret::expose`], or `#[serde(with = "catalog::secret::exposed")]` on a field of the on-disk store.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// What every secret prints and serialises as.
pub const REDACTED: &str = "[redacted]";

/// A string that prints and serialises as [`REDACTED`].
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The real text. Whoever calls this answers for where it goes.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is any text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

/// Takes the real value, and refuses [`REDACTED`]: a document that was written redacted must not come back as an
/// account whose password is that word.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == REDACTED {
            return Err(D::Error::custom(
                "a redacted value cannot be read back: give the real one",
            ));
        }
        Ok(Self(text.into()))
    }
}

/// The address of one stream at a provider. It carries credentials in user info, path or query, so all of it is
/// secret except the scheme, host and port.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamUrl(Secret);

impl StreamUrl {
    /// Wraps `url`; it need not be a valid URL.
    pub fn new(url: impl Into<Box<str>>) -> Self {
        Self(Secret::new(url))
    }

    /// The real address. Whoever calls this answers for where it goes.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// `scheme://host[:port]/…`, fit for logs and the API: user info, path, query and fragment are gone. What is
    /// not of that form is [`REDACTED`] whole.
    pub fn redacted(&self) -> String {
        redact(self.expose()).unwrap_or_else(|| REDACTED.to_owned())
    }
}

/// `None` where no scheme and host can be told apart from the rest with certainty.
fn redact(url: &str) -> Option<String> {
    let (scheme, rest) = url.trim_start().split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !is_scheme {
        return None;
    }
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    // The last @ ends the user info: a password may hold others.
    let host = authority.rsplit('@').next()?;
    if !is_host(host) {
        return None;
    }
    // A password with a raw `/` or `?` ends the authority early and leaves an `@` behind it: the "host" would be a
    // user name. An address with an `@` in its query is taken for one, too: losing a host name is the lesser evil.
    let is_ambiguous = !authority.contains('@') && rest.contains('@');
    (!is_ambiguous).then(|| format!("{scheme}://{host}/…"))
}

/// A name or address, and a port if it is a number: what stands there otherwise is half of somebody's user info.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    let is_name = if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        address
            .chars()
            .all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'))
    } else {
        name.chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    is_name && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Debug for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Display for StreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl From<String> for StreamUrl {
    fn from(url: String) -> Self {
        Self(url.into())
    }
}

impl From<&str> for StreamUrl {
    fn from(url: &str) -> Self {
        Self(url.into())
    }
}

/// A type whose real text can be asked for, and made of text again.
pub trait Expose: From<String> {
    /// The real text.
    fn expose(&self) -> &str;
}

impl Expose for Secret {
    fn expose(&self) -> &str {
        self.expose()
    }
}

impl Expose for StreamUrl {
    fn expose(&self) -> &str {
        self.expose()
    }
}

/// For `#[serde(with = "catalog::secret::exposed")]`: the real value, for files only the owner can read.
pub mod exposed {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Expose;

    /// Writes the real text.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<T: Expose, S: Serializer>(secret: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    /// Reads text, whatever it is.
    ///
    /// # Errors
    /// Those of `deserializer`; not a string.
    pub fn deserialize<'de, T: Expose, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer).map(T::from)
    }
}
