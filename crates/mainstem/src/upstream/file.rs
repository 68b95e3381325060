//! Files of a provider (films, episodes): one upstream per viewer, byte for byte what the provider has.
//!
//! Lives here: the request for a file or a part of it, and what an answer to that comes to, whatever the provider leaves
//! out or gets wrong. What is read of it, and how it goes on where it breaks off, is in [`reading`]; a film that comes in
//! segments is in [`segments`].

pub mod reading;
pub mod segments;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE,
    LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use relay::{Failure, FailureClass};

use super::http::Response;
use super::open::{Opening, Target};
use super::range::{Identity, Part, Validators, Wanted};
use super::sniff::Content;
use crate::slot::Purpose;
use reading::{ByteReading, Stretch};
use segments::SegmentReading;

/// Headers of a provider that a viewer sees; everything else stays between us. Lengths and ranges are our own to say.
const TOLD: [HeaderName; 5] = [ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_TYPE, ETAG, LAST_MODIFIED];

/// Bytes that are read and thrown away to come to a part, where a provider sends all of a file whatever is asked for:
/// what comes in the five seconds that players wait, at 50 Mbit/s. A part further on is answered with the whole file,
/// as a server without ranges does.
pub const SKIP_BYTES_MAX: u64 = 32 << 20;

/// A provider's answer for a file.
#[derive(Debug)]
pub struct FileAnswer {
    /// 200, 206 or 416.
    pub status: StatusCode,
    /// The headers a viewer gets.
    pub headers: HeaderMap,
    /// By what the file is known again.
    pub identity: Identity,
    /// What follows; `None` for 416.
    pub reading: Option<Reading>,
}

/// The bytes of a film for one viewer.
pub enum Reading {
    /// Those of the file, or of a part of it.
    Bytes(Box<ByteReading>),
    /// All of one that comes in segments.
    Segments(Box<SegmentReading>),
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

impl Reading {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// When the film breaks off and does not go on anywhere. Nothing comes after that.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        match self {
            Self::Bytes(reading) => reading.next().await,
            Self::Segments(reading) => reading.next().await,
        }
    }

    /// Resolves when the connection is needed more elsewhere.
    pub fn revoked(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let (of_bytes, of_segments) = match self {
            Self::Bytes(reading) => (Some(reading.revoked()), None),
            Self::Segments(reading) => (None, Some(reading.revoked())),
        };
        async move {
            match (of_bytes, of_segments) {
                (Some(revoked), _) => revoked.await,
                (_, Some(revoked)) => revoked.await,
                (None, None) => {}
            }
        }
    }

    /// Says whether anybody wants the next bytes now. A connection nobody wants goes to whoever waits for one.
    pub fn set_watched(&mut self, watched: bool) {
        match self {
            Self::Bytes(reading) => reading.set_watched(watched),
            Self::Segments(reading) => reading.set_watched(watched),
        }
    }

    /// Closes the connection and gives it back.
    pub fn give_back(&mut self) {
        match self {
            Self::Bytes(reading) => reading.give_back(),
            Self::Segments(reading) => reading.give_back(),
        }
    }
}

/// What is known of a file from an earlier answer.
#[derive(Debug, Clone, Copy)]
pub enum Expected<'a> {
    /// Nothing, or nothing that matters.
    Anything,
    /// The same source sent this before.
    Known(&'a Identity),
    /// Another source sent this before, and only the same bytes will do.
    Same(&'a Identity),
}

/// Asks for a file, or the part of it the viewer's headers ask for. `others` may have the same file, for when this one
/// breaks off.
///
/// # Errors
/// A [`Failure`] that says whose fault it is.
pub async fn open_file(
    opening: &Opening,
    (target, others): (&Target, Vec<Target>),
    viewer: &HeaderMap,
    expected: Expected<'_>,
) -> Result<FileAnswer, Failure> {
    let mut asked = Asked::read(viewer);
    if is_playlist(target.url.expose()) {
        // There is nothing to seek in, and a part of a playlist is known for one by nothing.
        if !matches!(asked.wanted, Wanted::Whole | Wanted::From { first: 0, .. }) {
            return Ok(out_of_range(None, Identity::default()));
        }
        asked = Asked::read(&HeaderMap::new());
    }
    let answer = opening.ask(target, Purpose::File, &asked.headers()).await?;
    let (mut answer, mut found) = (answer, Found::default());
    let mut decision = found.judge(&asked, asked.wanted, &answer, expected);
    if decision == Decision::AskWhole {
        let slot = answer.body.into_slot();
        let whole = HeaderMap::new();
        answer = opening.ask_again(target, Purpose::File, &whole, slot).await?;
        decision = found.judge(&asked, Wanted::Whole, &answer, expected);
    }
    if let Expected::Same(known) = expected
        && !known.is_same_bytes(&found.identity)
    {
        let text = "it is not known to be the file that was played so far";
        return Err(Failure::new(FailureClass::Unusable, text));
    }
    let sent = match decision {
        Decision::Send(sent) => sent,
        Decision::OutOfRange(total) => return Ok(out_of_range(total, found.identity)),
        Decision::AskWhole => {
            let text = "the provider sends another part of the file than was asked for";
            return Err(Failure::new(FailureClass::Unusable, text));
        }
    };
    if found.begins != Some(0) && is_playlist(answer.url.path()) {
        return Ok(out_of_range(None, Identity::default()));
    }
    let mut headers = told(&answer.headers);
    // A part from the middle of a file may begin with anything.
    let head = if found.begins == Some(0) {
        let (head, content) = opening.first_bytes(&mut answer.body).await?;
        let is_all =
            answer.status == StatusCode::OK || (sent.end.is_some() && sent.end == found.identity.total);
        if content == Content::HlsPlaylist && sent.first == 0 && is_all {
            let reading = SegmentReading::begin(opening, target, answer, head).await?;
            return Ok(in_segments(reading));
        }
        must_be_film(content)?;
        name_content(&mut headers, content);
        head
    } else {
        Bytes::new()
    };
    sent.describe(&mut headers, found.identity.total);
    let stretch = Stretch {
        head,
        body: answer.body,
        skip: sent.skip,
        at: sent.first,
        end: sent.end,
    };
    let identity = found.identity;
    Ok(FileAnswer {
        status: sent.status,
        headers,
        reading: Some(Reading::Bytes(Box::new(ByteReading::new(
            opening.clone(),
            (target.clone(), others),
            identity.clone(),
            stretch,
        )))),
        identity,
    })
}

/// What a viewer asks for.
#[derive(Debug)]
struct Asked {
    wanted: Wanted,
    condition: Option<HeaderValue>,
}

impl Asked {
    fn read(viewer: &HeaderMap) -> Self {
        let wanted = Wanted::read(viewer);
        Self {
            wanted,
            condition: viewer.get(IF_RANGE).filter(|_| wanted != Wanted::Whole).cloned(),
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(range) = self.wanted.header() {
            headers.insert(RANGE, range);
        }
        if let Some(condition) = &self.condition {
            headers.insert(IF_RANGE, condition.clone());
        }
        headers
    }
}

/// What a viewer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Send(Sent),
    /// Nothing: the file has no such part. With its length, where that is known.
    OutOfRange(Option<u64>),
    /// What came is of no use; all of the file is.
    AskWhole,
}

/// An answer with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    /// 200 or 206.
    status: StatusCode,
    first: u64,
    /// The byte behind the last one; `None` where nobody knows.
    end: Option<u64>,
    /// Bytes of the provider's answer before the first one.
    skip: u64,
}

/// What an answer says of its file.
#[derive(Debug, Default)]
struct Found {
    identity: Identity,
    /// The first byte that came.
    begins: Option<u64>,
}

impl Found {
    fn judge(
        &mut self,
        asked: &Asked,
        requested: Wanted,
        answer: &Response,
        expected: Expected<'_>,
    ) -> Decision {
        let mut part = Part::read(answer.status, &answer.headers, requested);
        let validators = Validators::read(&answer.headers);
        // A provider that leaves the length out may have told it before.
        let is_refusal = answer.status == StatusCode::RANGE_NOT_SATISFIABLE;
        if let Expected::Known(known) | Expected::Same(known) = expected
            && part.total.is_none()
            && (is_refusal || (validators.condition().is_some() && validators == known.validators))
        {
            part.total = known.total.filter(|total| part.end <= Some(*total));
        }
        self.begins = part.first;
        self.identity = Identity {
            total: part.total,
            validators,
        };
        let condition = asked.condition.as_ref();
        let holds = condition.is_none_or(|condition| self.identity.validators.satisfy(condition));
        decide(answer.status, (asked.wanted, holds), requested, part)
    }
}

/// What a viewer who wants a part, under a condition that `holds` or not, is sent when a request for `requested` was
/// answered with `part`.
fn decide(status: StatusCode, (wanted, holds): (Wanted, bool), requested: Wanted, part: Part) -> Decision {
    match status {
        StatusCode::RANGE_NOT_SATISFIABLE => {
            // Some refuse every range. What a file must have, it has.
            let must_have = match (wanted, part.total) {
                (wanted, Some(total)) => wanted.of(total).is_some(),
                (Wanted::From { first, .. }, None) => first == 0,
                (Wanted::Last(count), None) => count > 0,
                (Wanted::Whole, None) => true,
            };
            if must_have && requested != Wanted::Whole {
                Decision::AskWhole
            } else {
                Decision::OutOfRange(part.total)
            }
        }
        StatusCode::PARTIAL_CONTENT if holds => decide_part(wanted, part),
        StatusCode::PARTIAL_CONTENT if requested == Wanted::Whole => decide_part(Wanted::Whole, part),
        StatusCode::PARTIAL_CONTENT => Decision::AskWhole,
        _ => decide_whole(wanted, holds, part.total),
    }
}

/// From a part of the file: where it begins no later than what is wanted.
fn decide_part(wanted: Wanted, part: Part) -> Decision {
    let Some(begins) = part.first else {
        return Decision::AskWhole;
    };
    let (first, end) = match (wanted, part.total) {
        (Wanted::Whole, total) => (0, total.or(part.end)),
        (wanted, Some(total)) => match wanted.of(total) {
            Some(span) => (span.first, Some(span.end)),
            None => return Decision::OutOfRange(part.total),
        },
        (Wanted::From { first, last }, None) => {
            let wanted_end = last.map_or(u64::MAX, |last| last.saturating_add(1));
            (first, part.end.map(|end| end.min(wanted_end)))
        }
        (Wanted::Last(_), None) => (begins, part.end),
    };
    let is_whole = wanted == Wanted::Whole;
    match first.checked_sub(begins) {
        Some(skip) if skip <= SKIP_BYTES_MAX && (is_whole || end > Some(first)) => Decision::Send(Sent {
            status: if is_whole {
                StatusCode::OK
            } else {
                StatusCode::PARTIAL_CONTENT
            },
            first,
            end,
            skip,
        }),
        _ => Decision::AskWhole,
    }
}

/// From all of the file: the part where it is near enough to the beginning, else all.
fn decide_whole(wanted: Wanted, holds: bool, total: Option<u64>) -> Decision {
    let whole = Decision::Send(Sent {
        status: StatusCode::OK,
        first: 0,
        end: total,
        skip: 0,
    });
    let Some(total) = total.filter(|_| holds && wanted != Wanted::Whole) else {
        return whole;
    };
    match wanted.of(total) {
        None => Decision::OutOfRange(Some(total)),
        Some(span) if span.first <= SKIP_BYTES_MAX => Decision::Send(Sent {
            status: StatusCode::PARTIAL_CONTENT,
            first: span.first,
            end: Some(span.end),
            skip: span.first,
        }),
        Some(_) => whole,
    }
}

impl Sent {
    /// Says which bytes follow.
    fn describe(self, headers: &mut HeaderMap, total: Option<u64>) {
        if let Some(end) = self.end {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(end - self.first));
        }
        if self.status == StatusCode::PARTIAL_CONTENT {
            let last = self.end.unwrap_or_default().saturating_sub(1);
            let total = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
            let range = format!("bytes {}-{last}/{total}", self.first);
            if let Ok(range) = HeaderValue::try_from(range) {
                headers.insert(CONTENT_RANGE, range);
            }
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
    }
}

/// Whether an address is that of a playlist by its name.
fn is_playlist(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.ends_with(".m3u8")
}

/// All of a film, of which nobody knows how long it is.
fn in_segments(reading: SegmentReading) -> FileAnswer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("video/mp2t"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    FileAnswer {
        status: StatusCode::OK,
        headers,
        identity: Identity::default(),
        reading: Some(Reading::Segments(Box::new(reading))),
    }
}

fn out_of_range(total: Option<u64>, identity: Identity) -> FileAnswer {
    let mut headers = HeaderMap::new();
    let range = total.and_then(|total| HeaderValue::try_from(format!("bytes */{total}")).ok());
    if let Some(range) = range {
        headers.insert(CONTENT_RANGE, range);
    }
    FileAnswer {
        status: StatusCode::RANGE_NOT_SATISFIABLE,
        headers,
        identity,
        reading: None,
    }
}

/// Panels answer with a page, an error object or nothing and 200 where they mean no. A playlist is no part of a file either:
/// its addresses carry the login.
fn must_be_film(content: Content) -> Result<(), Failure> {
    match content {
        Content::Html | Content::Json | Content::HlsPlaylist | Content::Dash => Err(Failure::new(
            FailureClass::Unusable,
            format!(
                "the provider answered with {} instead of a file",
                content.as_str()
            ),
        )),
        Content::Empty => Err(Failure::new(FailureClass::Unusable, "the file was empty")),
        _ => Ok(()),
    }
}

fn told(from: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in TOLD {
        if let Some(value) = from.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let called = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_media = called.is_some_and(|called| {
        let called = called.to_ascii_lowercase();
        called.starts_with("video/") || called.starts_with("audio/")
    });
    if !is_media {
        // A browser would run a page that a provider sends in place of a film as one of ours.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    }
    headers
}

/// Calls the file what its bytes say where its provider calls it something that it cannot be.
fn name_content(headers: &mut HeaderMap, content: Content) {
    let bytes_say = match content {
        Content::Mp4 => "video/mp4",
        Content::Matroska => "video/x-matroska",
        Content::Flv => "video/x-flv",
        Content::TransportStream => "video/mp2t",
        _ => return,
    };
    let called = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let called = called.unwrap_or_default().to_ascii_lowercase();
    let is_other_form = ["video/mp2t", "mpegurl"]
        .iter()
        .any(|form| called.contains(form) && *form != bytes_say);
    if is_other_form || !(called.starts_with("video/") || called.starts_with("audio/")) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(bytes_say));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: u64 = 10 * SKIP_BYTES_MAX;

    fn sent(status: u16, first: u64, end: Option<u64>, skip: u64) -> Decision {
        Decision::Send(Sent {
            status: StatusCode::from_u16(status).unwrap(),
            first,
            end,
            skip,
        })
    }

    fn part(first: u64, end: u64, total: Option<u64>) -> Part {
        Part {
            first: Some(first),
            end: Some(end),
            total,
        }
    }

    fn whole(total: Option<u64>) -> Part {
        Part {
            first: Some(0),
            end: total,
            total,
        }
    }

    fn from(first: u64, last: Option<u64>) -> Wanted {
        Wanted::From { first, last }
    }

    fn check(what: &str, status: StatusCode, wanted: Wanted, given: Part, expected: Decision) {
        let decided = decide(status, (wanted, true), wanted, given);
        assert_eq!(decided, expected, "{what}");
    }

    #[test]
    fn a_part_is_passed_on_cut_or_made_whole() {
        let partial = StatusCode::PARTIAL_CONTENT;
        let hundred = Some(100);
        let inner = from(5, Some(9));
        let sent_inner = |skip| sent(206, 5, Some(10), skip);
        check("as asked", partial, inner, part(5, 10, hundred), sent_inner(0));
        check(
            "of no known whole",
            partial,
            inner,
            part(5, 10, None),
            sent_inner(0),
        );
        check("too early", partial, inner, part(0, 100, hundred), sent_inner(5));
        check(
            "too late",
            partial,
            inner,
            part(6, 10, hundred),
            Decision::AskWhole,
        );
        let rest = sent(206, 5, hundred, 0);
        check(
            "less than asked",
            partial,
            from(5, None),
            part(5, 10, hundred),
            rest,
        );
        let nowhere = Part::default();
        check(
            "of no known place",
            partial,
            Wanted::Last(5),
            nowhere,
            Decision::AskWhole,
        );
        let all = sent(200, 0, hundred, 0);
        check("unasked", partial, Wanted::Whole, part(0, 100, hundred), all);
        check(
            "unasked, and less",
            partial,
            Wanted::Whole,
            part(0, 10, hundred),
            all,
        );
        let middle = part(5, 10, hundred);
        check(
            "unasked, the middle",
            partial,
            Wanted::Whole,
            middle,
            Decision::AskWhole,
        );
    }

    #[test]
    fn what_comes_whole_is_cut_where_the_part_is_near() {
        let ok = StatusCode::OK;
        check(
            "all",
            ok,
            Wanted::Whole,
            whole(Some(100)),
            sent(200, 0, Some(100), 0),
        );
        check(
            "without end",
            ok,
            Wanted::Whole,
            whole(None),
            sent(200, 0, None, 0),
        );
        let near = sent(206, 5, Some(10), 5);
        check("near", ok, from(5, Some(9)), whole(Some(100)), near);
        let far = sent(200, 0, Some(MANY), 0);
        check("far", ok, from(MANY / 2, None), whole(Some(MANY)), far);
        check("no length", ok, from(5, None), whole(None), sent(200, 0, None, 0));
        let beyond = Decision::OutOfRange(Some(100));
        check("beyond", ok, from(100, None), whole(Some(100)), beyond);
    }

    #[test]
    fn a_refusal_is_believed_where_it_can_be_true() {
        let refused = StatusCode::RANGE_NOT_SATISFIABLE;
        let of = |total| Part {
            total,
            ..Part::default()
        };
        let out = Decision::OutOfRange;
        check("beyond", refused, from(100, None), of(Some(100)), out(Some(100)));
        check(
            "of no known length",
            refused,
            from(100, None),
            of(None),
            out(None),
        );
        check(
            "from the beginning",
            refused,
            from(0, None),
            of(None),
            Decision::AskWhole,
        );
        check(
            "within",
            refused,
            from(5, None),
            of(Some(100)),
            Decision::AskWhole,
        );
        check("the end", refused, Wanted::Last(5), of(None), Decision::AskWhole);
        check("empty", refused, from(0, None), of(Some(0)), out(Some(0)));
    }

    #[test]
    fn a_condition_that_does_not_hold_makes_it_the_whole() {
        let wanted = Wanted::From { first: 5, last: None };
        let decided = |status, requested, part| decide(status, (wanted, false), requested, part);
        let all = sent(200, 0, Some(100), 0);
        assert_eq!(decided(StatusCode::OK, wanted, whole(Some(100))), all);
        let ignored = decided(StatusCode::PARTIAL_CONTENT, wanted, part(5, 100, Some(100)));
        assert_eq!(
            ignored,
            Decision::AskWhole,
            "a provider that does not look at If-Range"
        );
        let again = part(0, 100, Some(100));
        assert_eq!(decided(StatusCode::PARTIAL_CONTENT, Wanted::Whole, again), all);
    }

    #[test]
    fn files_are_called_what_their_bytes_say() {
        for (called, content, expected) in [
            ("video/mp4", Content::Mp4, "video/mp4"),
            ("video/webm", Content::Matroska, "video/webm"),
            ("video/mp2t", Content::Flv, "video/x-flv"),
            ("application/x-mpegURL", Content::Matroska, "video/x-matroska"),
            ("application/octet-stream", Content::Mp4, "video/mp4"),
            ("", Content::TransportStream, "video/mp2t"),
            ("video/mp2t", Content::TransportStream, "video/mp2t"),
            (
                "application/octet-stream",
                Content::Unknown,
                "application/octet-stream",
            ),
        ] {
            let mut headers = HeaderMap::new();
            if !called.is_empty() {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(called));
            }
            name_content(&mut headers, content);
            assert_eq!(headers[CONTENT_TYPE], expected, "{called}");
        }
    }
}
