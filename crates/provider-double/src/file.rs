//! Files: bytes that follow from their place, in ranges, as a film is asked for (RFC 9110, 14).

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::fault::RangeStyle;
use crate::http::{Answer, Body, Ended, Head, reason};
use crate::plan::Movie;

/// What every file begins with: an `ftyp` box of 24 bytes and the head of an `mdat` without end (ISO 14496-12).
const BEGINNING: &[u8; 32] = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42\0\0\0\0mdat";
/// Bytes of a write.
const PIECE: usize = 64 * 1024;
/// Writes of a throttled file per second.
const PIECES_PER_SECOND: u64 = 20;
/// The rate a trickle is a fraction of where the file has none: 1 MB/s.
const USUAL_BYTES_PER_SECOND: u64 = 1_000_000;

/// The bytes of every file at `from`: a known beginning, then noise that follows from the position.
pub(crate) fn bytes(from: u64, count: usize) -> Vec<u8> {
    (from..).take(count).map(byte_at).collect()
}

fn byte_at(at: u64) -> u8 {
    if let Some(byte) = usize::try_from(at).ok().and_then(|i| BEGINNING.get(i)) {
        return *byte;
    }
    // SplitMix64's finaliser: neighbours look unrelated, and no state is carried along.
    let mut x = (at / 8).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x >> (8 * (at % 8))).to_le_bytes()[0]
}

/// The head of an answer, and which bytes follow it.
pub(crate) struct Reply {
    pub(crate) head: Vec<u8>,
    /// First byte and count.
    pub(crate) body: Option<(u64, u64)>,
}

/// How a file is answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileStyle {
    pub(crate) ranges: Option<RangeStyle>,
    /// In chunks, so that it does not say how long it is.
    pub(crate) chunked: bool,
}

/// The day on which every file was made.
const LAST_MODIFIED: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

/// Answers a request for a file.
pub(crate) fn reply(movie: &Movie, head: &Head, style: FileStyle) -> Reply {
    let without_body = |answer: Answer| Reply {
        head: answer.bytes(false, false),
        body: None,
    };
    if head.method != "GET" && head.method != "HEAD" {
        return without_body(Answer::new(405, "text/html", ""));
    }
    let etag = movie
        .etag
        .clone()
        .unwrap_or_else(|| format!("\"{}-{:x}\"", movie.id, movie.bytes));
    let is_fresh =
        |condition: &str| !condition.is_empty() && (condition == etag || condition == LAST_MODIFIED);
    let unconditional = style.ranges == Some(RangeStyle::Unconditional);
    let fresh = unconditional || head.header("if-range").is_none_or(is_fresh);
    let range = head.header("range").filter(|_| fresh);
    let asked = match (style.ranges, range) {
        (Some(RangeStyle::Ignored), _) => Asked::Whole,
        (Some(RangeStyle::Refused), Some(_)) => Asked::Unsatisfiable,
        (Some(RangeStyle::Unasked), None) => parse_range("bytes=0-", movie.bytes),
        (_, range) => range.map_or(Asked::Whole, |range| parse_range(range, movie.bytes)),
    };
    let (status, from, count, place) = match asked {
        Asked::Unsatisfiable => {
            let answer = Answer::new(416, "", "");
            return without_body(match style.ranges {
                Some(RangeStyle::Refused) => answer,
                _ => answer.with("Content-Range", format!("bytes */{}", movie.bytes)),
            });
        }
        Asked::Bytes { from, to } => {
            let place = match style.ranges {
                Some(RangeStyle::NoTotal) => format!("Content-Range: bytes {from}-{to}/*\r\n"),
                Some(RangeStyle::NoPlace) => String::new(),
                _ => format!("Content-Range: bytes {from}-{to}/{}\r\n", movie.bytes),
            };
            (206, from, to - from + 1, place)
        }
        Asked::Whole => (200, 0, movie.bytes, String::new()),
    };
    let validators = if etag.is_empty() {
        String::new()
    } else {
        format!("ETag: {etag}\r\nLast-Modified: {LAST_MODIFIED}\r\n")
    };
    let kind = match movie.content_type.as_str() {
        "" => String::new(),
        kind => format!("Content-Type: {kind}\r\n"),
    };
    let length = if style.chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {count}")
    };
    let text = format!(
        "HTTP/1.1 {status} {}\r\n{kind}Accept-Ranges: bytes\r\n{validators}{place}{length}\r\nConnection: close\r\n\r\n",
        reason(status)
    );
    let body = (head.method == "GET" && count > 0).then_some((from, count));
    Reply {
        head: text.into_bytes(),
        body,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// No range that is understood: all of it (RFC 9110, 14.2).
    Whole,
    /// Both ends included.
    Bytes {
        from: u64,
        to: u64,
    },
    Unsatisfiable,
}

fn parse_range(range: &str, length: u64) -> Asked {
    let Some((first, last)) = range
        .trim()
        .strip_prefix("bytes=")
        .and_then(|r| r.split_once('-'))
    else {
        return Asked::Whole;
    };
    let (from, to) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(from), Ok(to)) if to < from => return Asked::Whole,
        (Ok(from), Ok(to)) => (from, to),
        (Ok(from), Err(_)) if last.is_empty() => (from, u64::MAX),
        (Err(_), Ok(0)) if first.is_empty() => return Asked::Unsatisfiable,
        (Err(_), Ok(suffix)) if first.is_empty() => (length.saturating_sub(suffix), u64::MAX),
        _ => return Asked::Whole,
    };
    if from >= length {
        Asked::Unsatisfiable
    } else {
        Asked::Bytes {
            from,
            to: to.min(length - 1),
        }
    }
}

/// Sends a range at the file's rate; `fraction` slows it further.
pub(crate) async fn send(
    body: &mut Body<'_>,
    movie: &Movie,
    (from, count): (u64, u64),
    fraction: Option<f64>,
) -> Result<(), Ended> {
    let rate = match (movie.bytes_per_second, fraction) {
        (None, None) => None,
        (rate, fraction) => Some(Throttle::new(rate, fraction.unwrap_or(1.0))),
    };
    let mut sent = 0;
    while sent < count {
        let piece = rate
            .as_ref()
            .map_or(PIECE as u64, Throttle::piece)
            .min(count - sent);
        let piece_bytes = usize::try_from(piece).unwrap_or(PIECE);
        match &movie.content {
            None => body.send(&bytes(from + sent, piece_bytes)).await?,
            Some(content) => {
                let from = usize::try_from(from + sent).unwrap_or(usize::MAX);
                let piece = content.get(from..).unwrap_or_default();
                body.send(piece.get(..piece_bytes).unwrap_or(piece)).await?;
            }
        }
        sent += piece;
        if let Some(throttle) = &rate {
            sleep_until(throttle.due(sent)).await;
        }
    }
    Ok(())
}

struct Throttle {
    since: Instant,
    bytes_per_second: u64,
    fraction: f64,
}

impl Throttle {
    fn new(bytes_per_second: Option<u64>, fraction: f64) -> Self {
        Self {
            since: Instant::now(),
            bytes_per_second: bytes_per_second.unwrap_or(USUAL_BYTES_PER_SECOND).max(1),
            fraction: fraction.clamp(0.001, 1.0),
        }
    }

    fn piece(&self) -> u64 {
        (self.bytes_per_second / PIECES_PER_SECOND).clamp(1, PIECE as u64)
    }

    fn due(&self, sent: u64) -> Instant {
        let whole = Duration::from_secs(sent / self.bytes_per_second);
        let rest = Duration::from_nanos(sent % self.bytes_per_second * 1_000_000_000 / self.bytes_per_second);
        self.since + (whole + rest).div_f64(self.fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_hundred_bytes() {
        let bytes = |from, to| Asked::Bytes { from, to };
        for (range, expected) in [
            ("bytes=0-", bytes(0, 99)),
            ("bytes=10-19", bytes(10, 19)),
            ("bytes=90-1000", bytes(90, 99)),
            ("bytes=-5", bytes(95, 99)),
            ("bytes=-500", bytes(0, 99)),
            ("bytes=100-", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=5-4", Asked::Whole),
            ("bytes=x-4", Asked::Whole),
            ("lines=1-2", Asked::Whole),
        ] {
            assert_eq!(parse_range(range, 100), expected, "{range}");
        }
    }

    #[test]
    fn bytes_do_not_depend_on_where_reading_begins() {
        let all = bytes(0, 5000);
        assert_eq!(all.get(4..8), Some(b"ftyp".as_slice()));
        for from in [0, 1, 31, 33, 4000] {
            assert_eq!(bytes(from, 900), all[usize::try_from(from).unwrap()..][..900]);
        }
    }
}
