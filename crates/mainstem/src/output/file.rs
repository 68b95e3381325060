//! A film or another file: one upstream per viewer, ranges and bytes as the provider has them.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use catalog::{Catalog, Channel};
use http::header::{ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue};
use relay::{Failure, FailureClass};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::api::error::ApiError;
use crate::api::{App, Counted};
use crate::upstream::file::{FileAnswer, open_file};
use crate::upstream::http::{Body as UpstreamBody, HttpError};

/// Longest silence of a provider in a file; past it, its connection is given back.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Answers from the first source that has the file.
pub(super) async fn file(
    app: &App,
    catalog: &Catalog,
    channel: &Channel,
    counted: Option<Counted>,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    // Only those who watch are counted; HEAD asks nobody.
    let Some(counted) = counted else {
        return Ok(head(channel));
    };
    let mut last = Failure::new(FailureClass::Gone, "no source has it");
    // In the order of the configuration, so that every seek reads the file the first request read. A part of it can
    // only come from there: another source's file of this name may be another file.
    let targets = channel
        .streams()
        .filter_map(|stream| app.channels.target(catalog, stream));
    let sources_max = if is_seek(headers) { 1 } else { usize::MAX };
    for target in targets.take(sources_max) {
        match open_file(app.channels.opening(), &target, headers).await {
            Ok(answer) => {
                info!(channel = channel.name(), source = %target.source, status = answer.status.as_u16(), "file");
                return Ok(respond(answer, counted));
            }
            Err(failure) => {
                warn!(channel = channel.name(), source = %target.source, %failure, "file could not be opened; trying the next source");
                last = failure;
            }
        }
    }
    Err(ApiError::unavailable(channel.name(), &last))
}

/// Whether a player asks for a part that does not begin at the file's beginning.
fn is_seek(headers: &HeaderMap) -> bool {
    headers
        .get(RANGE)
        .is_some_and(|range| !range.as_bytes().starts_with(b"bytes=0-"))
}

fn respond(answer: FileAnswer, counted: Counted) -> Response {
    let head = answer.head;
    let body = answer
        .body
        .map_or_else(Body::empty, |body| Body::from_stream(pass(head, body, counted)));
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// The body as it comes. Where it breaks off, so does the answer: a player must not take half a file for a whole one.
fn pass(
    head: Bytes,
    body: UpstreamBody,
    counted: Counted,
) -> impl futures_util::Stream<Item = Result<Bytes, HttpError>> {
    let first = Some(head).filter(|head| !head.is_empty());
    futures_util::stream::unfold((first, Some(body), counted), |(first, body, counted)| async {
        let mut body = body?;
        if let Some(first) = first {
            return Some((Ok(first), (None, Some(body), counted)));
        }
        match timeout(SILENCE_MAX, body.read()).await {
            Ok(Ok(Some(bytes))) => Some((Ok(bytes), (None, Some(body), counted))),
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some((Err(error), (None, None, counted))),
            Err(_) => Some((Err(HttpError::Late(SILENCE_MAX)), (None, None, counted))),
        }
    })
}

/// What can be said of a file without asking its provider.
fn head(channel: &Channel) -> Response {
    let url = channel.primary().url().expose();
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let content = match ending.as_str() {
        "mkv" => "video/x-matroska",
        "webm" => "video/webm",
        "avi" => "video/x-msvideo",
        "mov" => "video/quicktime",
        "flv" => "video/x-flv",
        "ts" | "mpg" | "mpeg" => "video/mp2t",
        _ => "video/mp4",
    };
    let mut response = Response::new(super::no_body());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content));
    response
        .headers_mut()
        .insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_part_from_the_middle_is_a_seek() {
        for (range, seek) in [
            ("bytes=0-", false),
            ("bytes=0-499", false),
            ("bytes=500-", true),
            ("bytes=-5", true),
        ] {
            let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_static(range))]);
            assert_eq!(is_seek(&headers), seek, "{range}");
        }
        assert!(!is_seek(&HeaderMap::new()));
    }
}
