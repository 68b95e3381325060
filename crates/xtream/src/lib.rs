//! Answers of the Xtream Codes player API, read leniently; the addresses it is asked at.
//!
//! Here live body bytes → values and values → address strings. Sending requests, deciding what an answer may
//! replace and building channels is the callers' business.
//!
//! The API has no specification; the shapes are those that panels in the field send: any number may be a string,
//! `""`, `null`, a float or a bool, any object `[]`, any list an object with numbered keys.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

mod account;
mod body;
mod episode;
mod lenient;
mod list;
mod stream;
pub mod url;

pub use account::{ACCOUNT_BYTES_MAX, Account, Server, Status, account};
pub use body::Found;
pub use episode::{Episode, SERIES_INFO_BYTES_MAX, SeriesInfo, series_info};
pub use list::{BAD_SAMPLES_MAX, BadRecord, ListError, ListErrorKind, RECORD_BYTES_MAX, Summary};
pub use list::{categories, live_streams, series, vod_streams};
pub use stream::{Category, LiveStream, Series, VodStream};
pub use url::{Login, credentials_in};

/// Why an answer that is one object could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is something else; nothing in it can be used.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What was asked for, for a person to read.
        expected: &'static str,
        /// What came.
        found: Found,
    },
    /// The body starts as JSON and is not, or ends early.
    #[error("broken JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// The body is longer than the bound of this answer, in bytes.
    #[error("answer longer than {0} bytes")]
    TooLong(u64),
    /// Reading the body failed.
    #[error("reading the body failed: {0}")]
    Io(#[from] std::io::Error),
}
