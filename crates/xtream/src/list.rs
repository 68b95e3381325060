//! The flat lists, read record by record: memory does not grow with the list, a bad record costs one record.

use std::io::Read;

use crate::{Category, Found, LiveStream, Series, VodStream};

/// The longest record of a list, in bytes of JSON.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// So many bad records of a list are described; the rest is only counted.
pub const BAD_SAMPLES_MAX: usize = 8;

/// What was read of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Records handed out.
    pub records: u64,
    /// Records that could not be used.
    pub bad: u64,
    /// The first few of those, at most [`BAD_SAMPLES_MAX`].
    pub samples: Vec<BadRecord>,
}

/// A record that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Its place in the list, from 0.
    pub index: u64,
    /// Why, for a person to read. Holds no value of the record.
    pub reason: String,
}

/// A list that could not be read to its end.
#[derive(Debug, thiserror::Error)]
#[error("{kind} (after {} records)", summary.records)]
pub struct ListError {
    /// What is wrong.
    pub kind: ListErrorKind,
    /// What was handed out before.
    pub summary: Summary,
}

/// Why a list could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ListErrorKind {
    /// The body is not a list. An empty list (`[]`) is one and no error.
    #[error("expected a list, found {0}")]
    NotAList(Found),
    /// The body ends within the list.
    #[error("the list is cut off")]
    Truncated,
    /// The list is not JSON between two records, or a record exceeds [`RECORD_BYTES_MAX`].
    #[error("the list is broken: {0}")]
    Broken(&'static str),
    /// Reading the body failed.
    #[error("reading the body failed: {0}")]
    Io(#[from] std::io::Error),
}

/// Reads `get_live_categories`, `get_vod_categories` or `get_series_categories`.
///
/// # Errors
/// See [`ListErrorKind`]; what came before the error was handed to `each`.
pub fn categories(body: impl Read, each: impl FnMut(Category)) -> Result<Summary, ListError> {
    let _ = (body, each);
    Ok(Summary::default())
}

/// Reads `get_live_streams`.
///
/// # Errors
/// See [`ListErrorKind`]; what came before the error was handed to `each`.
pub fn live_streams(body: impl Read, each: impl FnMut(LiveStream)) -> Result<Summary, ListError> {
    let _ = (body, each);
    Ok(Summary::default())
}

/// Reads `get_vod_streams`.
///
/// # Errors
/// See [`ListErrorKind`]; what came before the error was handed to `each`.
pub fn vod_streams(body: impl Read, each: impl FnMut(VodStream)) -> Result<Summary, ListError> {
    let _ = (body, each);
    Ok(Summary::default())
}

/// Reads `get_series`.
///
/// # Errors
/// See [`ListErrorKind`]; what came before the error was handed to `each`.
pub fn series(body: impl Read, each: impl FnMut(Series)) -> Result<Summary, ListError> {
    let _ = (body, each);
    Ok(Summary::default())
}
