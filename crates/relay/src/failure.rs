//! Why a stream could not be opened or went away: whose fault, and what follows.

use std::fmt;
use std::time::Duration;

/// What kind of failure ended an attempt. The class decides what rests: the stream or the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// No permitted connection was free at the stream's login. Nobody's fault; nothing rests.
    NoSlot,
    /// The provider says that the login's connections are used up.
    Limit,
    /// The provider does not accept the login.
    Auth,
    /// The provider refuses, and the account has ended.
    Expired,
    /// The provider refuses this client, address or country.
    Blocked,
    /// The stream does not exist (any more).
    Gone,
    /// The answer is no stream that can be relayed: a page, an encrypted list, a missing feature.
    Unusable,
    /// The entry is a file (MP4, Matroska…), to be passed through and not relayed.
    File,
    /// Anything that may be better in a moment: refused, reset, silent, ended, 5xx.
    Transient,
    /// The permitted connection was taken back for somebody who needs it more.
    Revoked,
}

impl FailureClass {
    /// A stable word for logs and API answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSlot => "no_slot",
            Self::Limit => "limit",
            Self::Auth => "auth",
            Self::Expired => "expired",
            Self::Blocked => "blocked",
            Self::Gone => "gone",
            Self::Unusable => "unusable",
            Self::File => "file",
            Self::Transient => "transient",
            Self::Revoked => "revoked",
        }
    }

    /// Whether the stream itself is to blame, so that it rests before it is tried again.
    #[must_use]
    pub fn blames_stream(self) -> bool {
        matches!(
            self,
            Self::Gone | Self::Blocked | Self::Unusable | Self::Transient
        )
    }
}

/// One failed attempt, or the end of one that worked. The text names no credentials: it is for logs and people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub class: FailureClass,
    /// What happened, in words without addresses or credentials.
    pub text: String,
    /// How long the provider asked to be left alone, where it did.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure without a wish of the provider's.
    pub fn new(class: FailureClass, text: impl Into<String>) -> Self {
        Self {
            class,
            text: text.into(),
            retry_after: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.class.as_str())
    }
}

impl std::error::Error for Failure {}
