//! Why a refresh brought no new list. The texts hold no addresses: addresses carry credentials.

use std::io;
use std::time::Duration;

use super::collapse::Held;
use super::in_flight::Unheard;
use crate::upstream::http::HttpError;

/// A provider's answer that brings no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Its status.
    pub(super) status: u16,
    /// How long it wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl From<Refusal> for RefreshError {
    fn from(refusal: Refusal) -> Self {
        Self::Status {
            status: refusal.status,
            retry_after: refusal.retry_after,
        }
    }
}

impl From<Unheard> for RefreshError {
    fn from(unheard: Unheard) -> Self {
        match unheard {
            Unheard::Refused(refusal) => refusal.into(),
            Unheard::NoAnswer(error) => error.into(),
        }
    }
}

/// A refresh that failed; what was known before stays.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The provider could not be asked.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It answered with an error.
    #[error("the provider answered {status}{}", if matches!(status, 401 | 403) { ": it does not accept this login" } else { "" })]
    Status {
        /// Its status.
        status: u16,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It asked to be left alone, and that is not over.
    #[error("the provider asked to be left alone; it is not asked for {} s yet", .0.as_secs() + 1)]
    LeftAlone(Duration),
    /// The file cannot be read.
    #[error("the list file cannot be read: {0}")]
    File(io::Error),
    /// What came is no list.
    #[error("{0}")]
    NotAList(String),
    /// The list has no entries.
    #[error("the list is empty")]
    Empty,
    /// The list has far fewer entries than were known.
    #[error(
        "the list has {} entries where {} were known; it is held back until the next refresh brings about as many, or it is accepted (POST /sources/NAME/accept)",
        .0.entries, .0.known
    )]
    Collapsed(Held),
    /// The account does not work.
    #[error("the provider does not accept this account ({0})")]
    Account(String),
    /// All connections are in use, and the source says that lists count.
    #[error("no connection was free for the list: {0}")]
    NoSlot(String),
    /// It took too long.
    #[error("the list did not arrive within {} s", .0.as_secs())]
    Late(Duration),
    /// mainstem's own fault.
    #[error("mainstem could not read the list: {0}")]
    Internal(String),
}

impl RefreshError {
    /// A stable word for API answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Http(_) => "unreachable",
            Self::Status { .. } => "status",
            Self::LeftAlone(_) => "left_alone",
            Self::File(_) => "file",
            Self::NotAList(_) => "not_a_list",
            Self::Empty => "empty",
            Self::Collapsed(_) => "collapsed",
            Self::Account(_) => "account",
            Self::NoSlot(_) => "busy",
            Self::Late(_) => "late",
            Self::Internal(_) => "internal",
        }
    }

    /// Whether it may be over in a moment, as a thing that is not there at all is not.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Http(_) | Self::LeftAlone(_) | Self::NoSlot(_) | Self::Late(_) => true,
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            Self::File(_)
            | Self::NotAList(_)
            | Self::Empty
            | Self::Collapsed(_)
            | Self::Account(_)
            | Self::Internal(_) => false,
        }
    }

    /// How long the provider asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::LeftAlone(rest) => Some(*rest),
            _ => None,
        }
    }
}
