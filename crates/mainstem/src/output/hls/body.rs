//! A segment as an answer: whole, or a range of it (RFC 9110 clause 14), from chunks that are not copied.

use std::convert::Infallible;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::hls::segment::{Map, Segment};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::{Frame, SizeHint};

use super::spool::Spooled;
use crate::upstream::range::Wanted;

/// A year: what is found at a segment's address never changes (RFC 8246).
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// What is sent, wherever it is held.
#[derive(Debug, Clone)]
pub(super) enum Chunks {
    /// A segment.
    Segment(Arc<Segment>),
    /// A further sound of one.
    Sound(Arc<Segment>, usize),
    /// What stands before one.
    Map(Arc<Map>),
    /// A segment that is on disk, too.
    Memory(Arc<[Bytes]>),
    /// A segment that is on disk alone.
    Spooled(Spooled),
}

impl Chunks {
    fn all(&self) -> &[Bytes] {
        match self {
            Self::Segment(segment) => &segment.chunks,
            Self::Sound(segment, place) => segment.sounds.get(*place).map_or(&[], |sound| &sound.chunks),
            Self::Map(map) => std::slice::from_ref(&map.bytes),
            Self::Memory(chunks) => chunks,
            Self::Spooled(_) => &[],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Spooled(spooled) => spooled.len(),
            _ => self.all().iter().map(Bytes::len).sum(),
        }
    }

    fn body(self, range: Range<usize>) -> Body {
        match self {
            Self::Spooled(spooled) => Body::from_stream(spooled.read(range)),
            _ => Body::new(Part::new(self, range)),
        }
    }
}

/// Answers with all of it, or with the part that is asked for.
pub(super) fn respond(
    chunks: Chunks,
    content_type: HeaderValue,
    method: &Method,
    headers: &HeaderMap,
) -> Response {
    let all = chunks.len();
    // Ranges are of GET only (RFC 9110 clause 14.2), and no validator was ever told that If-Range could name.
    let may_be_part = method == Method::GET && !headers.contains_key(IF_RANGE);
    let wanted = if may_be_part {
        Wanted::read(headers)
    } else {
        Wanted::Whole
    };
    let (status, range, said) = match (wanted, part(wanted, all)) {
        (Wanted::Whole, _) => (StatusCode::OK, 0..all, None),
        (_, Some(range)) => {
            let said = format!("bytes {}-{}/{all}", range.start, range.end - 1);
            (StatusCode::PARTIAL_CONTENT, range, Some(said))
        }
        (_, None) => {
            let said = format!("bytes */{all}");
            (StatusCode::RANGE_NOT_SATISFIABLE, 0..0, Some(said))
        }
    };
    let length = range.len();
    let body = match *method {
        Method::HEAD => super::no_body(),
        _ => chunks.body(range),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let cached = match status {
        StatusCode::RANGE_NOT_SATISFIABLE => HeaderValue::from_static("no-store"),
        _ => FOR_EVER,
    };
    headers.insert(CACHE_CONTROL, cached);
    if let Some(said) = said.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(CONTENT_RANGE, said);
    }
    response
}

/// Which of `all` bytes are wanted; `None` where there are none of them.
fn part(wanted: Wanted, all: usize) -> Option<Range<usize>> {
    let span = wanted.of(all as u64)?;
    Some(usize::try_from(span.first).ok()?..usize::try_from(span.end).ok()?)
}

/// Bytes that are still to be sent.
struct Part {
    chunks: Chunks,
    /// The chunk that is sent next, and where in it.
    chunk: usize,
    skip: usize,
    left: usize,
}

impl Part {
    fn new(chunks: Chunks, range: Range<usize>) -> Self {
        let (mut chunk, mut skip) = (0, range.start);
        for bytes in chunks.all() {
            if skip < bytes.len() {
                break;
            }
            skip -= bytes.len();
            chunk += 1;
        }
        Self {
            chunks,
            chunk,
            skip,
            left: range.len(),
        }
    }

    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let bytes = self.chunks.all().get(self.chunk)?;
        let from = std::mem::take(&mut self.skip);
        let bytes = bytes.slice(from..bytes.len().min(from + self.left));
        self.chunk += 1;
        self.left -= bytes.len();
        Some(bytes)
    }
}

impl http_body::Body for Part {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::hls::segment::Contents;
    use http::header::RANGE;

    #[test]
    fn every_part_of_a_segment_can_be_had() {
        let chunks: Vec<Bytes> = [&b"abc"[..], b"", b"defg", b"h"].map(Bytes::from_static).to_vec();
        let segment = Arc::new(Segment {
            sequence: 0,
            discontinuity_sequence: 0,
            discontinuity: false,
            independent: true,
            gap: false,
            start_90k: 0,
            end_90k: 1,
            program_date_time: std::time::Duration::ZERO,
            chunks,
            bytes: 8,
            map: None,
            sounds: Vec::new(),
            contents: Contents::default(),
        });
        for start in 0..8 {
            for end in start..=8 {
                let mut part = Part::new(Chunks::Segment(Arc::clone(&segment)), start..end);
                let mut got = Vec::new();
                while let Some(bytes) = part.next() {
                    got.extend_from_slice(&bytes);
                }
                assert_eq!(got, b"abcdefgh"[start..end], "{start}..{end}");
            }
        }
    }

    #[test]
    fn caches_keep_what_is_and_head_has_no_ranges() {
        let answer = |method: &Method, names: &[http::HeaderName], range: &'static str| {
            let map = ::hls::segment::Map {
                sequence: 1,
                bytes: Bytes::from_static(b"0123456789"),
            };
            let value = HeaderValue::from_static(range);
            let headers = names.iter().map(|name| (name.clone(), value.clone())).collect();
            let chunks = Chunks::Map(Arc::new(map));
            respond(chunks, HeaderValue::from_static("video/mp4"), method, &headers)
        };
        for (range, status, said, length, cached) in [
            ("bytes=2-4", 206, "bytes 2-4/10", 3, FOR_EVER.to_str().unwrap()),
            ("bytes=-3", 206, "bytes 7-9/10", 3, FOR_EVER.to_str().unwrap()),
            ("bytes=8-", 206, "bytes 8-9/10", 2, FOR_EVER.to_str().unwrap()),
            ("bytes=10-", 416, "bytes */10", 0, "no-store"),
            ("bytes=0-1,4-5", 200, "", 10, FOR_EVER.to_str().unwrap()),
        ] {
            let part = answer(&Method::GET, &[RANGE], range);
            assert_eq!(part.status(), status, "{range}");
            let header = |name| {
                part.headers()
                    .get(name)
                    .map_or("", |value| value.to_str().unwrap())
            };
            assert_eq!(header(CONTENT_RANGE), said, "{range}");
            assert_eq!(header(CONTENT_LENGTH), length.to_string(), "{range}");
            assert_eq!(header(CACHE_CONTROL), cached, "{range}");
        }
        let head = answer(&Method::HEAD, &[RANGE], "bytes=2-4");
        assert_eq!(
            (head.status().as_u16(), &head.headers()[CONTENT_LENGTH]),
            (200, &"10".parse().unwrap())
        );
        assert_eq!(
            answer(&Method::GET, &[RANGE, IF_RANGE], "bytes=2-4").status(),
            200
        );
    }
}
