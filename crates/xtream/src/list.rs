//! The flat lists, read record by record: memory does not grow with the list, a bad record costs one record.
//!
//! The list is cut into records by its brackets before any of them is parsed, so that nothing inside a record, not
//! even broken JSON, can end the list; `serde_json` reading the whole list would stop at the first fault.

use std::io::Read;

use serde::de::DeserializeOwned;

use crate::body::{self, Begin, Body};
use crate::stream::{RawCategory, RawLiveStream, RawSeries, RawVodStream};
use crate::{ACCOUNT_BYTES_MAX, Category, Error, Found, LiveStream, Series, VodStream, account};

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
    pub reason: &'static str,
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
pub fn categories(body: impl Read, mut each: impl FnMut(Category)) -> Result<Summary, ListError> {
    read(body, |raw: RawCategory| raw.record().map(&mut each))
}

/// Reads `get_live_streams`.
///
/// # Errors
/// See [`ListErrorKind`]; what came before the error was handed to `each`.
pub fn live_streams(body: impl Read, mut each: impl FnMut(LiveStream)) -> Result<Summary, ListError> {
    read(body, |raw: RawLiveStream| raw.record().map(&mut each))
}

/// Reads `get_vod_streams`.
///
/// # Errors
/// See [`ListErrorKind`]; what came before the error was handed to `each`.
pub fn vod_streams(body: impl Read, mut each: impl FnMut(VodStream)) -> Result<Summary, ListError> {
    read(body, |raw: RawVodStream| raw.record().map(&mut each))
}

/// Reads `get_series`.
///
/// # Errors
/// See [`ListErrorKind`]; what came before the error was handed to `each`.
pub fn series(body: impl Read, mut each: impl FnMut(Series)) -> Result<Summary, ListError> {
    read(body, |raw: RawSeries| raw.record().map(&mut each))
}

/// Parses every record of a list; `take` hands it on, or has no use for it without an id.
fn read<T: DeserializeOwned>(
    body: impl Read,
    mut take: impl FnMut(T) -> Option<()>,
) -> Result<Summary, ListError> {
    let mut summary = Summary::default();
    let mut records = match Records::begin(body) {
        Ok(records) => records,
        Err(kind) => return Err(ListError { kind, summary }),
    };
    loop {
        let record = match records.next() {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(summary),
            Err(kind) => return Err(ListError { kind, summary }),
        };
        let outcome = if record.starts_with(b"{") {
            body::parse(record)
                .map_err(|_| "broken JSON")
                .and_then(|raw| take(raw).ok_or("no usable id"))
        } else {
            Err("not an object")
        };
        match outcome {
            Ok(()) => summary.records += 1,
            Err(reason) => summary.bad(reason),
        }
    }
}

impl Summary {
    fn bad(&mut self, reason: &'static str) {
        if self.samples.len() < BAD_SAMPLES_MAX {
            self.samples.push(BadRecord {
                index: self.records + self.bad,
                reason,
            });
        }
        self.bad += 1;
    }
}

/// The records of a list, uncut and unparsed.
struct Records<R> {
    body: Body<R>,
    /// The list is an object whose keys are the places.
    keyed: bool,
    /// The first key was read while telling the list from other objects.
    in_key: bool,
    record: Vec<u8>,
}

impl<R: Read> Records<R> {
    fn begin(reader: R) -> Result<Self, ListErrorKind> {
        let mut body = Body::new(reader);
        let keyed = match body.begin()? {
            Begin::List => false,
            Begin::Object => true,
            Begin::Neither(found) => return Err(ListErrorKind::NotAList(found)),
        };
        let mut records = Self {
            body,
            keyed,
            in_key: false,
            record: Vec::new(),
        };
        if !keyed {
            return Ok(records);
        }
        match records.between()? {
            b'}' => return Err(ListErrorKind::NotAList(Found::EmptyObject)),
            byte => records.value(byte)?,
        }
        let key = records.record.iter().filter(|byte| **byte != b'"');
        if key.clone().count() > 0 && key.clone().all(u8::is_ascii_digit) {
            records.in_key = true;
            return Ok(records);
        }
        Err(records.another_object())
    }

    /// The object is no list: the login answer or something else.
    fn another_object(self) -> ListErrorKind {
        let start = [b"{", self.record.as_slice()].concat();
        let other = |json: &[u8]| ListErrorKind::NotAList(account::not_a_login(json));
        match self.body.rest(&start, ACCOUNT_BYTES_MAX) {
            Ok(json) => match account::in_object(&json) {
                Ok(Some(account)) => ListErrorKind::NotAList(Found::Login(Box::new(account))),
                _ => other(&json),
            },
            Err(Error::Io(error)) => ListErrorKind::Io(error),
            Err(_) => other(&start),
        }
    }

    /// The next record; `None` behind the last.
    fn next(&mut self) -> Result<Option<&[u8]>, ListErrorKind> {
        let mut byte = if self.in_key { b'"' } else { self.between()? };
        if self.keyed && byte == b'"' {
            if !std::mem::take(&mut self.in_key) {
                self.value(byte)?;
            }
            if self.between()? != b':' {
                return Err(ListErrorKind::Broken("a key without a value"));
            }
            byte = self.between()?;
        }
        match byte {
            b']' | b'}' => Ok(None),
            b':' => Err(ListErrorKind::Broken("a value without a key")),
            _ => {
                self.value(byte)?;
                Ok(Some(&self.record))
            }
        }
    }

    /// The next byte that is neither blank nor a comma: missing and doubled commas do not matter.
    fn between(&mut self) -> Result<u8, ListErrorKind> {
        loop {
            let byte = self.byte()?;
            if byte != b',' && !byte.is_ascii_whitespace() {
                return Ok(byte);
            }
        }
    }

    /// Reads the value that begins with `first` into `record`.
    fn value(&mut self, first: u8) -> Result<(), ListErrorKind> {
        self.record.clear();
        let (mut depth, mut byte) = (0_usize, first);
        loop {
            self.push(byte)?;
            match byte {
                b'"' => self.string()?,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
                return Ok(());
            }
            // A bare value ends before what parts it from the next one.
            if depth == 0
                && matches!(
                    self.body.peek()?,
                    None | Some(b',' | b']' | b'}' | b':' | b' ' | b'\n' | b'\r' | b'\t')
                )
            {
                return Ok(());
            }
            byte = self.byte()?;
        }
    }

    /// Reads the rest of a string.
    fn string(&mut self) -> Result<(), ListErrorKind> {
        loop {
            let byte = self.byte()?;
            self.push(byte)?;
            match byte {
                b'"' => return Ok(()),
                b'\\' => {
                    let escaped = self.byte()?;
                    self.push(escaped)?;
                }
                _ => {}
            }
        }
    }

    fn byte(&mut self) -> Result<u8, ListErrorKind> {
        self.body.next_byte()?.ok_or(ListErrorKind::Truncated)
    }

    fn push(&mut self, byte: u8) -> Result<(), ListErrorKind> {
        if self.record.len() >= RECORD_BYTES_MAX {
            return Err(ListErrorKind::Broken("a record is too long"));
        }
        self.record.push(byte);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
