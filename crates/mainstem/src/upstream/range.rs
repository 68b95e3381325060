//! Parts of files: what a viewer's `Range` asks for, which part a provider's answer is, and whether two answers are of
//! one file (RFC 9110 clauses 8.8, 13.1.5 and 14). Pure.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderValue, StatusCode};

/// What a request asks for of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Whole,
    /// From a byte to another, both included, or to the end.
    From {
        /// The first byte, counted from 0.
        first: u64,
        /// The last byte.
        last: Option<u64>,
    },
    /// So many bytes at the end.
    Last(u64),
}

/// Bytes of a file, never none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first one, counted from 0.
    pub first: u64,
    /// The one behind the last.
    pub end: u64,
}

impl Wanted {
    /// Reads what a viewer asks for. Several ranges, or one that cannot be read, are all of the file: a server may ignore
    /// a `Range` (RFC 9110 clause 14.2), and an answer in many parts could not be taken up again where it breaks off.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut lines = headers.get_all(RANGE).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Self::Whole;
        };
        Self::parse(line.as_bytes()).unwrap_or(Self::Whole)
    }

    /// `bytes=` and one range, whatever commas stand around it (RFC 9110 clauses 5.6.1 and 14.1.2).
    fn parse(line: &[u8]) -> Option<Self> {
        let set = after_unit(line.trim_ascii(), b'=')?;
        let mut ranges = set
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .filter(|range| !range.is_empty());
        let (range, None) = (ranges.next()?, ranges.next()) else {
            return None;
        };
        let dash = range.iter().position(|byte| *byte == b'-')?;
        let (first, last) = (range.get(..dash)?, range.get(dash + 1..)?);
        match (first, last) {
            ([], last) => Some(Self::Last(number(last)?)),
            (first, []) => Some(Self::From {
                first: number(first)?,
                last: None,
            }),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From {
                    first,
                    last: Some(last),
                })
            }
        }
    }

    /// As a header; `None` for all of the file.
    #[must_use]
    pub fn header(self) -> Option<HeaderValue> {
        let text = match self {
            Self::Whole => return None,
            Self::From { first, last: None } => format!("bytes={first}-"),
            Self::From {
                first,
                last: Some(last),
            } => format!("bytes={first}-{last}"),
            Self::Last(count) => format!("bytes=-{count}"),
        };
        HeaderValue::try_from(text).ok()
    }

    /// Which bytes that is of a file of `total` bytes; `None` where it has none of them.
    #[must_use]
    pub fn of(self, total: u64) -> Option<Span> {
        let (first, end) = match self {
            Self::Whole => (0, total),
            Self::From { first, last } => {
                let end = last.map_or(total, |last| last.saturating_add(1).min(total));
                (first, end)
            }
            Self::Last(count) => (total.saturating_sub(count), total),
        };
        (first < end).then_some(Span { first, end })
    }

    /// Whether it goes to the end of the file, wherever that is.
    fn is_open(self) -> bool {
        !matches!(self, Self::From { last: Some(_), .. })
    }
}

/// A number in digits alone; one that is too long is the greatest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number.saturating_mul(10).saturating_add(digit))
    })
}

/// What stands behind `bytes`, whose letters may be of any case, and `then`.
fn after_unit(line: &[u8], then: u8) -> Option<&[u8]> {
    let (unit, rest) = line.split_at_checked(5)?;
    let (separator, rest) = rest.split_first()?;
    (unit.eq_ignore_ascii_case(b"bytes") && *separator == then).then_some(rest)
}

/// Which part of a file an answer is, as far as it says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Part {
    /// Its first byte.
    pub first: Option<u64>,
    /// The byte behind its last one.
    pub end: Option<u64>,
    /// Bytes of the whole file.
    pub total: Option<u64>,
}

impl Part {
    /// Reads which part an answer to `wanted` is.
    ///
    /// Providers leave things out. A part without its place is the one that was asked for; and where all up to the end
    /// was asked for, the part ends where the file does.
    #[must_use]
    pub fn read(status: StatusCode, headers: &HeaderMap, wanted: Wanted) -> Self {
        let length = headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| number(length.as_bytes().trim_ascii()));
        if status != StatusCode::PARTIAL_CONTENT && status != StatusCode::RANGE_NOT_SATISFIABLE {
            return Self {
                first: Some(0),
                end: length,
                total: length,
            };
        }
        let said = headers.get(CONTENT_RANGE);
        let said = said.and_then(|range| Self::parse(range.as_bytes()));
        if status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Self {
                total: said.and_then(|said| said.total),
                ..Self::default()
            };
        }
        let mut part = said.unwrap_or_else(|| {
            let first = match wanted {
                Wanted::Whole => Some(0),
                Wanted::From { first, .. } => Some(first),
                Wanted::Last(_) => None,
            };
            let end = first.zip(length);
            Self {
                first,
                end: end
                    .and_then(|(first, length)| first.checked_add(length))
                    .filter(|end| first < Some(*end)),
                total: None,
            }
        });
        if wanted.is_open() {
            part.total = part.total.or(part.end);
        }
        part
    }

    /// `bytes 0-499/1234`, with `*` for what is not known (RFC 9110 clause 14.4).
    fn parse(line: &[u8]) -> Option<Self> {
        let line = line.trim_ascii();
        let rest = after_unit(line, b' ').or_else(|| after_unit(line, b'='))?;
        let slash = rest.iter().position(|byte| *byte == b'/')?;
        let (range, total) = (rest.get(..slash)?.trim_ascii(), rest.get(slash + 1..)?);
        let total = match total.trim_ascii() {
            b"*" => None,
            total => Some(number(total)?),
        };
        if range == b"*" {
            return Some(Self {
                total,
                ..Self::default()
            });
        }
        let dash = range.iter().position(|byte| *byte == b'-')?;
        let (first, last) = (number(range.get(..dash)?)?, number(range.get(dash + 1..)?)?);
        let end = last.checked_add(1).filter(|end| first < *end)?;
        if total.is_some_and(|total| total < end) {
            return None;
        }
        Some(Self {
            first: Some(first),
            end: Some(end),
            total,
        })
    }
}

/// What tells one version of a file from another (RFC 9110 clause 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// A strong tag: the same bytes.
    etag: Option<HeaderValue>,
    /// Last-Modified.
    modified: Option<HeaderValue>,
}

impl Validators {
    /// Reads those of an answer. A weak tag tells nothing of bytes.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let strong = |tag: &&HeaderValue| tag.as_bytes().starts_with(b"\"");
        Self {
            etag: headers.get(ETAG).filter(strong).cloned(),
            modified: headers.get(LAST_MODIFIED).cloned(),
        }
    }

    /// The strongest, for `If-Range`.
    #[must_use]
    pub fn condition(&self) -> Option<&HeaderValue> {
        self.etag.as_ref().or(self.modified.as_ref())
    }

    /// Whether a viewer's `If-Range` is true of the file. A weak tag never is (RFC 9110 clause 13.1.5).
    #[must_use]
    pub fn satisfy(&self, condition: &HeaderValue) -> bool {
        let is = |own: &Option<HeaderValue>| {
            own.as_ref()
                .is_some_and(|own| own.as_bytes() == condition.as_bytes().trim_ascii())
        };
        is(&self.etag) || is(&self.modified)
    }

    fn contradict(&self, other: &Self) -> bool {
        let differ = |one: &Option<HeaderValue>, other: &Option<HeaderValue>| {
            one.as_ref().zip(other.as_ref()).map(|(one, other)| one != other)
        };
        // A tag says more than a date, which a host may give for the day it copied the file.
        differ(&self.etag, &other.etag)
            .or_else(|| differ(&self.modified, &other.modified))
            .unwrap_or(false)
    }

    fn have_same_etag(&self, other: &Self) -> bool {
        self.etag.is_some() && self.etag == other.etag
    }

    fn have_same_date(&self, other: &Self) -> bool {
        self.modified.is_some() && self.modified == other.modified
    }
}

/// By what a file is known again in another answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its bytes.
    pub total: Option<u64>,
    /// Its version.
    pub validators: Validators,
}

impl Identity {
    /// Whether there is anything to know it by.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.total.is_some() || self.validators.condition().is_some()
    }

    /// Whether what the same address answers a moment later is the same file still.
    #[must_use]
    pub fn goes_on_as(&self, other: &Self) -> bool {
        let totals = self.totals_agree(other);
        let validators = &self.validators;
        totals != Some(false)
            && !validators.contradict(&other.validators)
            && (totals == Some(true)
                || validators.have_same_etag(&other.validators)
                || validators.have_same_date(&other.validators))
    }

    /// Whether what another source has under the same name is the same bytes.
    #[must_use]
    pub fn is_same_bytes(&self, other: &Self) -> bool {
        self.totals_agree(other) == Some(true) && self.validators.have_same_etag(&other.validators)
    }

    fn totals_agree(&self, other: &Self) -> Option<bool> {
        Some(self.total? == other.total?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        pairs
            .iter()
            .map(|(name, text)| (name.clone(), value(text)))
            .collect()
    }

    fn span(first: u64, end: u64) -> Option<Span> {
        Some(Span { first, end })
    }

    #[test]
    fn ranges_of_a_hundred_bytes() {
        for (line, expected) in [
            ("bytes=0-", span(0, 100)),
            ("Bytes=10-19", span(10, 20)),
            ("bytes= 10-19 ,", span(10, 20)),
            ("bytes=90-1000", span(90, 100)),
            ("bytes=99-99999999999999999999999", span(99, 100)),
            ("bytes=-5", span(95, 100)),
            ("bytes=-500", span(0, 100)),
            ("bytes=100-", None),
            ("bytes=99999999999999999999999-", None),
            ("bytes=-0", None),
            // Not understood: all of it.
            ("bytes=5-4", span(0, 100)),
            ("bytes=x-4", span(0, 100)),
            ("bytes=+1-4", span(0, 100)),
            ("bytes=-", span(0, 100)),
            ("bytes=", span(0, 100)),
            ("bytes 1-4", span(0, 100)),
            ("lines=1-2", span(0, 100)),
            ("bytes=0-1,5-6", span(0, 100)),
            ("", span(0, 100)),
        ] {
            let wanted = Wanted::read(&headers(&[(RANGE, line)]));
            assert_eq!(wanted.of(100), expected, "{line}");
            if let Some(header) = wanted.header() {
                let again = Wanted::read(&HeaderMap::from_iter([(RANGE, header)]));
                assert_eq!(again, wanted, "{line}");
            }
        }
        assert_eq!(Wanted::Whole.of(0), None);
        let mut twice = headers(&[(RANGE, "bytes=0-1")]);
        twice.append(RANGE, HeaderValue::from_static("bytes=5-6"));
        assert_eq!(Wanted::read(&twice), Wanted::Whole);
    }

    #[test]
    fn a_part_is_what_it_says_or_what_was_asked_for() {
        let partial = StatusCode::PARTIAL_CONTENT;
        let from = |first, last| Wanted::From { first, last };
        let part = |first, end, total| Part { first, end, total };
        for (range, length, wanted, expected) in [
            (
                "bytes 5-9/100",
                "5",
                from(5, Some(9)),
                part(Some(5), Some(10), Some(100)),
            ),
            (
                "bytes 5-9/*",
                "5",
                from(5, Some(9)),
                part(Some(5), Some(10), None),
            ),
            (
                "bytes 5-99/*",
                "95",
                from(5, None),
                part(Some(5), Some(100), Some(100)),
            ),
            (
                "bytes 95-99/*",
                "5",
                Wanted::Last(5),
                part(Some(95), Some(100), Some(100)),
            ),
            (
                "bytes 0-99/100",
                "100",
                Wanted::Whole,
                part(Some(0), Some(100), Some(100)),
            ),
            (
                "BYTES=5-9/100",
                "5",
                from(5, Some(9)),
                part(Some(5), Some(10), Some(100)),
            ),
            // Nothing that could be true: the part that was asked for.
            (
                "bytes 9-5/100",
                "5",
                from(5, Some(9)),
                part(Some(5), Some(10), None),
            ),
            (
                "bytes 5-9/8",
                "5",
                from(5, Some(9)),
                part(Some(5), Some(10), None),
            ),
            (
                "bytes 5-18446744073709551615/*",
                "5",
                from(5, Some(9)),
                part(Some(5), Some(10), None),
            ),
            ("x", "5", Wanted::Last(5), part(None, None, None)),
            ("x", "x", from(5, None), part(Some(5), None, None)),
        ] {
            let headers = headers(&[(CONTENT_RANGE, range), (CONTENT_LENGTH, length)]);
            assert_eq!(Part::read(partial, &headers, wanted), expected, "{range}");
        }
        let beyond = headers(&[(CONTENT_RANGE, "bytes */100")]);
        let beyond = Part::read(StatusCode::RANGE_NOT_SATISFIABLE, &beyond, from(100, None));
        assert_eq!(beyond, part(None, None, Some(100)));
        let whole = headers(&[(CONTENT_LENGTH, "100")]);
        let whole = Part::read(StatusCode::OK, &whole, from(5, None));
        assert_eq!(whole, part(Some(0), Some(100), Some(100)));
    }

    #[test]
    fn a_file_is_known_again_by_length_and_validators() {
        let file = |total: u64, etag: &str, date: &str| {
            let mut map = HeaderMap::new();
            for (name, text) in [(ETAG, etag), (LAST_MODIFIED, date)] {
                if !text.is_empty() {
                    map.insert(name, HeaderValue::from_str(text).unwrap());
                }
            }
            Identity {
                total: Some(total).filter(|total| *total > 0),
                validators: Validators::read(&map),
            }
        };
        for (one, other, goes_on, same_bytes) in [
            (file(9, "\"a\"", "d"), file(9, "\"a\"", "d"), true, true),
            (file(9, "\"a\"", "d"), file(9, "\"a\"", "e"), true, true),
            (file(9, "\"a\"", ""), file(9, "\"b\"", ""), false, false),
            (file(9, "\"a\"", ""), file(8, "\"a\"", ""), false, false),
            (file(9, "\"a\"", ""), file(0, "\"a\"", ""), true, false),
            (file(9, "W/\"a\"", ""), file(9, "W/\"a\"", ""), true, false),
            (file(9, "", "d"), file(9, "", "d"), true, false),
            (file(9, "", "d"), file(9, "", "e"), false, false),
            (file(0, "", "d"), file(0, "", "d"), true, false),
            (file(9, "", ""), file(9, "", ""), true, false),
            (file(0, "", ""), file(9, "", ""), false, false),
        ] {
            assert_eq!(one.goes_on_as(&other), goes_on, "{one:?} {other:?}");
            assert_eq!(one.is_same_bytes(&other), same_bytes, "{one:?} {other:?}");
        }
        let known = file(9, "\"a\"", "Wed, 21 Oct 2026 07:28:00 GMT").validators;
        for (condition, holds) in [
            ("\"a\"", true),
            ("Wed, 21 Oct 2026 07:28:00 GMT", true),
            ("W/\"a\"", false),
            ("\"b\"", false),
            ("Wed, 21 Oct 2026 07:28:01 GMT", false),
            ("a", false),
        ] {
            let condition = HeaderValue::from_str(condition).unwrap();
            assert_eq!(known.satisfy(&condition), holds, "{condition:?}");
        }
    }

    #[test]
    fn mangled_ranges_do_no_harm() {
        let good: [&[u8]; 3] = [
            b"bytes=0-499",
            b"bytes 0-499/1234",
            b"bytes=-18446744073709551615",
        ];
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        for _ in 0..50_000 {
            let mut line = good[next(3)].to_vec();
            for _ in 0..next(5) {
                let at = next(line.len());
                match next(3) {
                    0 => line[at] = u8::try_from(next(256)).unwrap(),
                    1 => line.insert(at, b"0123456789-/,=* "[next(16)]),
                    _ => line.truncate(at.max(1)),
                }
            }
            let Ok(value) = HeaderValue::from_bytes(&line) else {
                continue;
            };
            let map = HeaderMap::from_iter([(RANGE, value.clone()), (CONTENT_RANGE, value)]);
            let wanted = Wanted::read(&map);
            for total in [0, 1, 500, u64::MAX] {
                if let Some(span) = wanted.of(total) {
                    assert!(span.first < span.end && span.end <= total);
                }
            }
            let part = Part::read(StatusCode::PARTIAL_CONTENT, &map, wanted);
            if let (Some(first), Some(end)) = (part.first, part.end) {
                assert!(first < end && part.total.is_none_or(|total| end <= total));
            }
        }
    }
}
