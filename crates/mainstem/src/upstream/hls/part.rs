//! One segment as it comes in: the part of the file that was asked for, in the clear.

use std::time::Duration;

use bytes::Bytes;
use hls::follow::Range;
use http::header::CONTENT_RANGE;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::decryption::Decryption;
use crate::upstream::http::{Body, HttpError, Response};

/// A segment that is being read. Dropping it closes the socket.
pub(super) struct Part {
    body: Body,
    /// Bytes of the file still in front of what was asked for: a server that knows no ranges sends all of it.
    before: u64,
    /// Bytes of what was asked for still to come; `None`: as many as there are.
    left: Option<u64>,
    decryption: Option<Decryption>,
    over: bool,
    spent: Duration,
}

impl Part {
    /// `range` is what was asked for.
    pub(super) fn new(answer: Response, range: Option<Range>, decryption: Option<Decryption>) -> Self {
        let from = if answer.status == StatusCode::PARTIAL_CONTENT {
            first_byte(&answer.headers).or(range.map(|range| range.first))
        } else {
            None
        };
        Self {
            before: range.map_or(0, |range| range.first.saturating_sub(from.unwrap_or(0))),
            left: range.map(Range::length),
            body: answer.body,
            decryption,
            over: false,
            spent: Duration::ZERO,
        }
    }

    /// The next bytes, never empty; `None` at the end.
    ///
    /// # Errors
    /// The connection broke, or the body was cut short.
    pub(super) async fn read(&mut self) -> Result<Option<Bytes>, HttpError> {
        while !self.over {
            let asked = Instant::now();
            let read = self.body.read().await;
            self.spent += asked.elapsed();
            let bytes = match read? {
                Some(bytes) => {
                    let bytes = self.cut(bytes);
                    self.over = self.left == Some(0);
                    self.decrypt(bytes)
                }
                None => {
                    self.over = true;
                    self.last()
                }
            };
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
        Ok(Some(self.last()).filter(|bytes| !bytes.is_empty()))
    }

    /// How long the network was waited for, which is less than the time gone by where the reader has a rest.
    pub(super) const fn spent(&self) -> Duration {
        self.spent
    }

    fn cut(&mut self, mut bytes: Bytes) -> Bytes {
        let before = usize::try_from(self.before)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        bytes = bytes.slice(before..);
        self.before -= before as u64;
        if let Some(left) = &mut self.left {
            bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= bytes.len() as u64;
        }
        bytes
    }

    fn decrypt(&mut self, bytes: Bytes) -> Bytes {
        match &mut self.decryption {
            Some(decryption) => decryption.push(&bytes),
            None => bytes,
        }
    }

    fn last(&mut self) -> Bytes {
        let decryption = self.decryption.take();
        decryption.map_or_else(Bytes::new, |mut decryption| decryption.finish())
    }
}

/// Where a 206 begins: `Content-Range: bytes FIRST-LAST/LENGTH`, whose length may be missing (RFC 9110 clause 14.4).
fn first_byte(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let range = value.trim().strip_prefix("bytes")?.trim_start();
    range.split_once('-')?.0.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_where_it_begins() {
        for (value, expected) in [
            ("bytes 100-199/1000", Some(100)),
            ("bytes 0-99/*", Some(0)),
            ("bytes 7-", Some(7)),
            ("bytes */1000", None),
            ("rubbish", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, value.parse().unwrap());
            assert_eq!(first_byte(&headers), expected, "{value}");
        }
    }
}
