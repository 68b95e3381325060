//! What a provider's status means: whose fault, and what rests because of it.
//!
//! There is no standard behind these codes; the classes are what panels are seen to do.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use relay::{Failure, FailureClass};

use url::Url;

use super::http::{HttpError, Response};

/// Longest wish of a provider to be left alone that is honoured in full.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Names of the clips that panels redirect to, with a 200, in place of a refusal.
const CLIPS: [(&str, FailureClass); 8] = [
    ("black", FailureClass::Limit),
    ("limit", FailureClass::Limit),
    ("connection_limit", FailureClass::Limit),
    ("max_connections", FailureClass::Limit),
    ("expired", FailureClass::Auth),
    ("banned", FailureClass::Auth),
    ("disabled", FailureClass::Auth),
    ("offline", FailureClass::Gone),
];

/// The failure an answer stands for; `None` for one that brings a stream.
#[must_use]
pub fn failure_of_answer(asked: &Url, answer: &Response) -> Option<Failure> {
    failure_of_status(answer.status, &answer.headers).or_else(|| failure_of_redirect(asked, &answer.url))
}

/// A redirect to a clip says in pictures what a status would say in numbers. Only the clip's own name counts, and only
/// where the address did not ask for it.
fn failure_of_redirect(asked: &Url, answered: &Url) -> Option<Failure> {
    let name = |url: &Url| {
        let last = url.path_segments()?.next_back()?.to_ascii_lowercase();
        Some(last.strip_suffix(".ts")?.to_owned())
    };
    let name = name(answered).filter(|clip| name(asked).as_ref() != Some(clip))?;
    let (clip, class) = CLIPS.into_iter().find(|(clip, _)| *clip == name)?;
    Some(Failure::new(
        class,
        format!("the provider sent its clip \"{clip}\" ({})", words(class)),
    ))
}

/// The failure a status stands for; `None` for the statuses of a stream that comes.
#[must_use]
pub fn failure_of_status(status: StatusCode, headers: &HeaderMap) -> Option<Failure> {
    if status == StatusCode::OK || status == StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let class = class_of_status(status.as_u16());
    let mut failure = Failure::new(
        class,
        format!("the provider answered {} ({})", status.as_u16(), words(class)),
    );
    failure.retry_after = retry_after(headers);
    Some(failure)
}

fn class_of_status(status: u16) -> FailureClass {
    match status {
        401 => FailureClass::Auth,
        404 | 410 => FailureClass::Gone,
        // 458 and 509 are what panels answer to one connection too many.
        429 | 458 | 509 => FailureClass::Limit,
        408 => FailureClass::Transient,
        400..=499 | 511 | 512 | 513 | 551 | 884 | 999 => FailureClass::Blocked,
        _ => FailureClass::Transient,
    }
}

fn words(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Auth => "login not accepted",
        FailureClass::Gone => "no such stream",
        FailureClass::Limit => "too many connections or requests",
        FailureClass::Blocked => "refused",
        _ => "a fault on its side",
    }
}

/// Seconds of a `Retry-After` header (RFC 9110 clause 10.2.3); its date form is rare and not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let class = match error {
            HttpError::Address => FailureClass::Unusable,
            _ => FailureClass::Transient,
        };
        Self::new(class, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_blame_the_right_thing() {
        for (status, expected) in [
            (401, FailureClass::Auth),
            (403, FailureClass::Blocked),
            (404, FailureClass::Gone),
            (429, FailureClass::Limit),
            (456, FailureClass::Blocked),
            (458, FailureClass::Limit),
            (500, FailureClass::Transient),
            (503, FailureClass::Transient),
            (509, FailureClass::Limit),
            (520, FailureClass::Transient),
            (884, FailureClass::Blocked),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                failure_of_status(status, &HeaderMap::new()).unwrap().class,
                expected,
                "{status}"
            );
        }
        assert_eq!(failure_of_status(StatusCode::OK, &HeaderMap::new()), None);
    }

    #[test]
    fn a_clip_in_place_of_a_refusal_is_known_by_its_name() {
        let url = |text| Url::parse(text).unwrap();
        let asked = url("http://h.example/live/u/p/7.ts");
        for (answered, expected) in [
            ("http://h.example/live/u/p/7.ts", None),
            ("http://edge.example/live/u/p/7.ts?token=black", None),
            ("http://h.example/video/black.ts", Some(FailureClass::Limit)),
            ("http://h.example/video/Expired.ts", Some(FailureClass::Auth)),
            ("http://h.example/video/offline.ts", Some(FailureClass::Gone)),
            ("http://h.example/video/blackbird.ts", None),
        ] {
            let failure = failure_of_redirect(&asked, &url(answered));
            assert_eq!(failure.map(|failure| failure.class), expected, "{answered}");
        }
        let clip = url("http://h.example/channels/limit.ts");
        assert_eq!(failure_of_redirect(&clip, &clip), None);
    }

    #[test]
    fn a_wish_to_be_left_alone_is_read_and_bounded() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            failure_of_status(StatusCode::TOO_MANY_REQUESTS, &headers)
                .unwrap()
                .retry_after
        };
        assert_eq!(with("120"), Some(Duration::from_secs(120)));
        assert_eq!(with("9999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(with("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
