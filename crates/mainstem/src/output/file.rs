//! A film or another file: one upstream per viewer, ranges and bytes as the provider has them.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use catalog::{Catalog, Channel, ChannelId, StreamId};
use futures_util::Stream;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, HeaderValue};
use relay::{Failure, FailureClass};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::catchup;
use super::films::Film;
use crate::api::App;
use crate::api::error::ApiError;
use crate::audience::{Asker, Present};
use crate::server::Patience;
use crate::slot::FilmSession;
use crate::upstream::file::{Expected, FileAnswer, Reading, open_file};
use crate::upstream::open::Target;

/// Pieces that wait for a player, of 64 KiB at most.
const PIECES_WAITING_MAX: usize = 4;

/// A player that takes nothing for so long has paused: its connection goes to whoever waits for one, until it wants more.
const PAUSED_AFTER: Duration = Duration::from_secs(20);

/// Longest pause of a player before its response is ended.
const PAUSE_MAX: Duration = Duration::from_mins(10);

/// Answers from the first source that has the file.
///
/// All requests of one viewing share one connection, one after the other, at one source: each opens with what the last
/// one left.
pub(super) async fn file(
    app: &App,
    wanted: Wanted<'_>,
    (present, asker): (Present, &Asker),
    (headers, patience): (&HeaderMap, &Patience),
) -> Result<Response, ApiError> {
    let mut last = Failure::new(FailureClass::Gone, "no source has it");
    let is_seek = is_seek(headers);
    let session = session(asker, wanted.id, is_seek);
    let read = app.films.of_viewing(&session.name);
    let last_seen = app.films.get(wanted.id);
    let known = read.as_ref().or(last_seen.as_ref());
    let serves = known.map(|film| film.source.clone());
    let serves = serves.or_else(|| app.channels.pools().source_of(&session));
    let is_known = |stream: StreamId| known.is_some_and(|film| film.stream == stream);
    // In the order of the configuration, so that every seek reads the file the first request read. A part of it can
    // only come from there, or from where the same bytes are: another source's file of this name may be another file.
    let mut places = wanted.places;
    for (_, target, _) in &mut places {
        target.subject = Some(wanted.subject.to_string().into());
        target.session = Some(session.clone());
    }
    if is_seek {
        places
            .sort_by_key(|(stream, target, _)| (Some(&target.source) != serves.as_ref(), !is_known(*stream)));
    }
    let mut refused = None;
    for (place, (stream, target, form)) in places.iter().enumerate() {
        if refused == Some(*stream) {
            continue;
        }
        let expected = match known {
            Some(film) if is_known(*stream) => Expected::Known(&film.identity),
            // Who has read a part of one file gets no part of another.
            Some(film) if is_seek && (read.is_some() || place > 0) => Expected::Same(&film.identity),
            None if is_seek && place > 0 => break,
            _ => Expected::Anything,
        };
        let others = places.iter().map(|(_, other, _)| other);
        let others = others.filter(|other| other.source != target.source);
        let opened = (target, others.cloned().collect());
        match open_file(app.channels.opening(), opened, headers, expected).await {
            Ok(answer) => {
                info!(channel = wanted.name, source = %target.source, status = answer.status.as_u16(), "file");
                remember(app, (wanted.id, &session), (*stream, target), &answer);
                if let Some(form) = form
                    && answer.reading.is_some()
                {
                    catchup::learn(app, target, *form);
                }
                patience.allow(PAUSE_MAX);
                return Ok(respond(answer, present));
            }
            Err(failure) => {
                warn!(channel = wanted.name, source = %target.source, %failure, "file could not be opened; trying the next source");
                // Another form of the address helps only where this one is what was refused.
                if !matches!(
                    failure.class,
                    FailureClass::Gone | FailureClass::Unusable | FailureClass::Blocked
                ) {
                    refused = Some(*stream);
                }
                last = failure;
            }
        }
    }
    Err(ApiError::unavailable(wanted.name, &last))
}

/// A file, and where it may be.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// What people call it.
    pub(super) name: &'a str,
    /// The channel it is of.
    pub(super) subject: ChannelId,
    /// By what it is known again: the channel's id where that is all the channel is.
    pub(super) id: ChannelId,
    /// Where it may be, in the order in which to ask. Of one stream there may be several, each in a form of its own: then with
    /// that form's number.
    pub(super) places: Vec<(StreamId, Target, Option<usize>)>,
}

impl<'a> Wanted<'a> {
    /// What a channel that is a file has, at all its streams in the order of the configuration.
    pub(super) fn of(app: &App, catalog: &Catalog, channel: &'a Channel) -> Self {
        let places = channel
            .streams()
            .filter_map(|stream| Some((stream.id(), app.channels.target(catalog, stream)?, None)));
        Self {
            name: channel.name(),
            subject: channel.id(),
            id: channel.id(),
            places: places.collect(),
        }
    }
}

/// Names a viewing: by the device's token, else by address and player, which others may share.
fn session(asker: &Asker, id: ChannelId, is_seek: bool) -> FilmSession {
    FilmSession {
        name: format!("{} {id}", asker.client().device).into(),
        is_one_player: asker.device.is_some(),
        is_seek,
    }
}

/// Whether a player asks for a part that does not begin at the file's beginning.
fn is_seek(headers: &HeaderMap) -> bool {
    headers
        .get(RANGE)
        .is_some_and(|range| !range.as_bytes().starts_with(b"bytes=0-"))
}

fn remember(
    app: &App,
    (id, session): (ChannelId, &FilmSession),
    (stream, target): (StreamId, &Target),
    answer: &FileAnswer,
) {
    if answer.reading.is_none() {
        return;
    }
    let mut headers = answer.headers.clone();
    headers.remove(CONTENT_LENGTH);
    headers.remove(CONTENT_RANGE);
    let film = Film {
        source: target.source.clone(),
        stream,
        identity: answer.identity.clone(),
        headers,
    };
    app.films.learn(id, &session.name, film);
}

fn respond(answer: FileAnswer, present: Present) -> Response {
    let body = match answer.reading {
        Some(reading) => Body::from_stream(pieces(reading, present)),
        None => Body::empty(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// The bytes as a player takes them. Where they break off, so does the answer: a player must not take half a file for a
/// whole one.
///
/// They are read by a task of their own, so that a connection is given back in the middle of a pause as well, when nobody
/// asks for more.
fn pieces(reading: Reading, present: Present) -> impl Stream<Item = Result<Bytes, Failure>> + Send + 'static {
    let (sender, pieces) = mpsc::channel(PIECES_WAITING_MAX);
    let mut task = JoinSet::new();
    task.spawn(play(reading, sender, [present.stopped(), present.stopped()]));
    let state = (pieces, task, present);
    futures_util::stream::unfold(state, |(mut pieces, mut task, present)| async move {
        let piece = match pieces.recv().await {
            Some(piece) => piece,
            None => Err(ended(&mut task).await?),
        };
        Some((piece, (pieces, task, present)))
    })
}

/// Why the task ended; `None` where it was done.
async fn ended(task: &mut JoinSet<()>) -> Option<Failure> {
    let Some(Err(fault)) = task.join_next().await else {
        return None;
    };
    error!(error = %fault, "a fault in mainstem ended a file");
    Some(Failure::new(FailureClass::Transient, "a fault in mainstem"))
}

async fn play(
    mut reading: Reading,
    pieces: mpsc::Sender<Result<Bytes, Failure>>,
    [stopped, stopped_in_pause]: [impl Future<Output = ()> + Send; 2],
) {
    let mut stopped = std::pin::pin!(stopped);
    let mut stopped_in_pause = std::pin::pin!(stopped_in_pause);
    loop {
        let read = tokio::select! {
            biased;
            () = &mut stopped => {
                let text = "another stream of this client takes its place";
                Some(Err(Failure::new(FailureClass::Revoked, text)))
            }
            read = reading.next() => read,
        };
        let Some(piece) = read else { return };
        let is_last = piece.is_err();
        let stop = stopped_in_pause.as_mut();
        let Some(place) = place_for_piece(&mut reading, &pieces, stop).await else {
            return;
        };
        place.send(piece);
        if is_last {
            return;
        }
    }
}

/// Waits until the player wants more; `None` when it is gone. In a pause, whoever needs the connection more gets it.
async fn place_for_piece<'a>(
    reading: &mut Reading,
    pieces: &'a mpsc::Sender<Result<Bytes, Failure>>,
    mut stopped: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Option<mpsc::Permit<'a, Result<Bytes, Failure>>> {
    let mut place = std::pin::pin!(pieces.reserve());
    let mut paused = std::pin::pin!(sleep(PAUSED_AFTER));
    let mut revoked = std::pin::pin!(reading.revoked());
    let (mut is_paused, mut is_given_back) = (false, false);
    let place = loop {
        tokio::select! {
            biased;
            place = &mut place => break place.ok(),
            () = async { tokio::select! { () = &mut revoked => {}, () = &mut stopped => {} } }, if !is_given_back => {
                reading.give_back();
                is_given_back = true;
            }
            () = &mut paused, if !is_paused => {
                reading.set_watched(false);
                is_paused = true;
            }
        }
    };
    if is_paused {
        reading.set_watched(true);
    }
    place
}

/// What can be said of a file without asking its provider: what it said when the file was played, else what its address
/// looks like.
pub(super) fn head(app: &App, channel: &Channel) -> Response {
    let mut response = Response::new(super::no_body());
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(looks_like(channel)));
    if let Some(film) = app.films.get(channel.id()) {
        headers.extend(film.headers);
        let total = film.identity.total.map(HeaderValue::from);
        headers.extend(total.map(|total| (CONTENT_LENGTH, total)));
    }
    response
}

fn looks_like(channel: &Channel) -> &'static str {
    let url = channel.primary().url();
    let url = url.expose();
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "mkv" => "video/x-matroska",
        "webm" => "video/webm",
        "avi" => "video/x-msvideo",
        "mov" => "video/quicktime",
        "flv" => "video/x-flv",
        "ts" | "mpg" | "mpeg" => "video/mp2t",
        _ => "video/mp4",
    }
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
