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

use crate::api::App;
use crate::api::error::ApiError;
use crate::audience::{Asker, Present};
use crate::slot::FilmSession;
use crate::upstream::file::{FileAnswer, open_file};
use crate::upstream::http::{Body as UpstreamBody, HttpError};
use crate::upstream::open::Target;

/// Longest silence of a provider in a file; past it, its connection is given back.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long a connection is kept for a player's next request after its last one: a seek comes within moments, and who
/// needs it more takes it at once.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// Answers from the first source that has the file.
///
/// All requests of one viewing share one connection, one after the other, at one source: each opens with what the last
/// one left.
pub(super) async fn file(
    app: &App,
    catalog: &Catalog,
    channel: &Channel,
    (present, asker): (Present, &Asker),
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let mut last = Failure::new(FailureClass::Gone, "no source has it");
    let session = session(asker, channel);
    // In the order of the configuration, so that every seek reads the file the first request read. A part of it can
    // only come from there: another source's file of this name may be another file.
    let mut targets: Vec<Target> = channel
        .streams()
        .filter_map(|stream| app.channels.target(catalog, stream))
        .collect();
    if is_seek(headers) {
        let serves = app.channels.pools().source_of(&session);
        targets.sort_by_key(|target| Some(&target.source) != serves.as_ref());
        targets.truncate(1);
    }
    for target in &mut targets {
        target.subject = Some(channel.id().to_string().into());
        target.session = Some(session.clone());
        match open_file(app.channels.opening(), target, headers).await {
            Ok(answer) => {
                info!(channel = channel.name(), source = %target.source, status = answer.status.as_u16(), "file");
                return Ok(respond(answer, present));
            }
            Err(failure) => {
                warn!(channel = channel.name(), source = %target.source, %failure, "file could not be opened; trying the next source");
                last = failure;
            }
        }
    }
    Err(ApiError::unavailable(channel.name(), &last))
}

/// Names a viewing: by the device's token, else by address and player, which others may share.
fn session(asker: &Asker, channel: &Channel) -> FilmSession {
    FilmSession {
        name: format!("{} {}", asker.client().device, channel.id()).into(),
        is_one_player: asker.device.is_some(),
    }
}

/// Whether a player asks for a part that does not begin at the file's beginning.
fn is_seek(headers: &HeaderMap) -> bool {
    headers
        .get(RANGE)
        .is_some_and(|range| !range.as_bytes().starts_with(b"bytes=0-"))
}

fn respond(answer: FileAnswer, present: Present) -> Response {
    let head = Some(answer.head).filter(|head| !head.is_empty());
    let body = answer.body.map_or_else(Body::empty, |body| {
        Body::from_stream(pass(head, Playing(Some(body)), present))
    });
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// A file's body. At its end, however it comes, the socket is closed and the connection kept for a moment.
struct Playing(Option<UpstreamBody>);

impl Playing {
    /// The next bytes; `None` at the end.
    async fn read(&mut self) -> Option<Result<Bytes, HttpError>> {
        let body = self.0.as_mut()?;
        let read = match timeout(SILENCE_MAX, body.read_unless_revoked()).await {
            Ok(Some(read)) => read.transpose()?,
            Ok(None) => Err(HttpError::Broken(
                "the connection was needed more elsewhere".to_owned(),
            )),
            Err(_) => Err(HttpError::Late(SILENCE_MAX)),
        };
        if read.is_err() {
            self.close();
        }
        Some(read)
    }

    fn close(&mut self) {
        if let Some(slot) = self.0.take().and_then(UpstreamBody::into_slot) {
            slot.keep(KEPT_FOR);
        }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.close();
    }
}

/// The body as it comes. Where it breaks off, so does the answer: a player must not take half a file for a whole one.
fn pass(
    head: Option<Bytes>,
    playing: Playing,
    present: Present,
) -> impl futures_util::Stream<Item = Result<Bytes, HttpError>> {
    let stopped = Box::pin(present.stopped());
    let state = (head, playing, stopped, present);
    futures_util::stream::unfold(state, |(head, mut playing, mut stopped, present)| async {
        if let Some(head) = head {
            return Some((Ok(head), (None, playing, stopped, present)));
        }
        let read = tokio::select! {
            biased;
            () = &mut stopped => {
                playing.close();
                Some(Err(HttpError::Broken("another stream of this client takes its place".to_owned())))
            }
            read = playing.read() => read,
        };
        Some((read?, (None, playing, stopped, present)))
    })
}

/// What can be said of a file without asking its provider.
pub(super) fn head(channel: &Channel) -> Response {
    let url = channel.primary().url();
    let url = url.expose();
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
