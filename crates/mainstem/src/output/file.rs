//! A film or another file: one upstream per viewer, ranges and bytes as the provider has them.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use catalog::{Catalog, Channel};
use http::header::{ACCEPT_RANGES, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use relay::{Failure, FailureClass};
use tracing::{info, warn};

use crate::api::App;
use crate::api::error::ApiError;
use crate::upstream::file::{FileAnswer, open_file};
use crate::upstream::http::{Body as UpstreamBody, HttpError};

/// Answers from the first source that has the file.
pub(super) async fn file(
    app: &App,
    catalog: &Catalog,
    channel: &Channel,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    if method == Method::HEAD {
        return Ok(head(channel));
    }
    let mut last = Failure::new(FailureClass::Gone, "no source has it");
    for (_, target) in app.channels.targets(catalog, channel) {
        match open_file(app.channels.opening(), &target, headers).await {
            Ok(answer) => {
                info!(channel = channel.name(), source = %target.source, status = answer.status.as_u16(), "file");
                return Ok(respond(answer));
            }
            Err(failure) => {
                warn!(channel = channel.name(), source = %target.source, %failure, "file could not be opened; trying the next source");
                last = failure;
            }
        }
    }
    Err(ApiError::unavailable(channel.name(), &last))
}

fn respond(answer: FileAnswer) -> Response {
    let head = answer.head;
    let body = answer
        .body
        .map_or_else(Body::empty, |body| Body::from_stream(pass(head, body)));
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// The body as it comes. Where it breaks off, so does the answer: a player must not take half a file for a whole one.
fn pass(head: Bytes, body: UpstreamBody) -> impl futures_util::Stream<Item = Result<Bytes, HttpError>> {
    let first = Some(head).filter(|head| !head.is_empty());
    futures_util::stream::unfold((first, Some(body)), |(first, body)| async {
        let mut body = body?;
        if let Some(first) = first {
            return Some((Ok(first), (None, Some(body))));
        }
        match body.read().await {
            Ok(Some(bytes)) => Some((Ok(bytes), (None, Some(body)))),
            Ok(None) => None,
            Err(error) => Some((Err(error), (None, None))),
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
    let mut response = Response::new(Body::empty());
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content));
    response
        .headers_mut()
        .insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response
}
