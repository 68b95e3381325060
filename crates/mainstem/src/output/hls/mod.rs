//! Channels as HLS: `GET /stream/{id}.m3u8`, and the segments under `/stream/{id}/`.
//!
//! Lives here: what is asked for, and the answers. A `packager` makes the segments, one task per channel; `clients` are
//! those who are served by it. Where to cut, what to list and the text of it are the crate `hls`'s.

mod body;
mod clients;
mod packager;
mod packagers;

pub use packagers::{Packagers, PackagersTask, Settings};

use std::time::Duration;

use ::hls::segment::Segment;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use catalog::{Catalog, Channel, ChannelId, Kind};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use relay::{Failure, FailureClass, Ready};
use tokio::time::{Instant, timeout_at};

use super::no_body;
use crate::api::App;
use crate::api::error::ApiError;
use crate::audience::Asker;
use crate::channels::Key;
use crate::upstream::unsupported::unplayable;

/// What a playlist is called (RFC 8216 clause 4).
const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");

/// What a segment of transport packets is called (RFC 3555 clause 4.1.11).
const TRANSPORT_STREAM: HeaderValue = HeaderValue::from_static("video/mp2t");

/// How much longer than `timing.head_within` somebody waits for the first segment, should deciding take its time.
const HEAD_MARGIN: Duration = Duration::from_secs(3);

/// Joins that meet a broadcast just ending, one after the other, before it counts as one that cannot be had.
const ATTEMPTS_MAX: usize = 3;

/// What is asked for under `/stream/`, where it is HLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The playlist of the channel with this id, in any form.
    Playlist(String),
    /// A segment.
    Segment {
        channel: ChannelId,
        sequence: u64,
        instance: String,
    },
}

impl Wanted {
    /// Reads what stands behind `/stream/`; `None` where it is no HLS. No id has a slash in it or such an ending: the
    /// forms of old leave out both.
    pub(super) fn read(path: &str) -> Option<Self> {
        let path = path.trim_matches('/');
        if let Some(id) = path.strip_suffix(".m3u8") {
            return Some(Self::Playlist(id.to_owned()));
        }
        let (channel, name) = path.split_once('/')?;
        let (sequence, instance) = name.strip_suffix(".ts")?.split_once('-')?;
        Some(Self::Segment {
            channel: channel.parse().ok()?,
            sequence: sequence.parse().ok()?,
            instance: instance.to_owned(),
        })
    }
}

/// The address of a segment, relative to the playlist of a channel. It means the same bytes for ever: `instance` tells
/// apart what another run of the program, or of the channel, numbers alike.
fn address(segment: &Segment, channel: ChannelId, instance: &str) -> String {
    format!("{channel}/{}-{instance}.ts", segment.sequence)
}

/// Answers a request for HLS.
pub(super) async fn serve(
    app: &App,
    wanted: Wanted,
    asker: Asker,
    (method, headers): (Method, &HeaderMap),
) -> Result<Response, ApiError> {
    match wanted {
        Wanted::Playlist(id) => {
            let (catalog, channel) = app.channel(&id).await?;
            let channel = catalog
                .get(channel)
                .ok_or_else(|| ApiError::unknown_channel(&id))?;
            if let Some(reason) = unplayable(channel) {
                return Err(ApiError::unsupported(channel.name(), reason));
            }
            playlist(app, &catalog, channel, (&asker, &method)).await
        }
        Wanted::Segment {
            channel,
            sequence,
            instance,
        } => {
            let packaged = app.packagers.find(channel);
            let segment = packaged
                .filter(|packaged| packaged.instance() == instance)
                .and_then(|packaged| packaged.segment(sequence));
            let segment = segment.ok_or_else(ApiError::no_segment)?;
            Ok(body::respond(&segment, TRANSPORT_STREAM, &method, headers))
        }
    }
}

/// The playlist of a channel. HEAD opens nothing upstream.
async fn playlist(
    app: &App,
    catalog: &Catalog,
    channel: &Channel,
    (asker, method): (&Asker, &Method),
) -> Result<Response, ApiError> {
    if channel.kind() != Kind::Live {
        return Err(ApiError::not_live(channel.name()));
    }
    if method == Method::HEAD {
        return Ok(text(no_body()));
    }
    let until = Instant::now() + app.config().timing.head_within + HEAD_MARGIN;
    for _ in 0..ATTEMPTS_MAX {
        let packaged = match app.packagers.attend(channel.id(), asker) {
            Some(packaged) => packaged,
            None => join(app, catalog, channel, asker, until).await?,
        };
        match timeout_at(until, packaged.playlist()).await {
            Ok(Some(playlist)) => return Ok(text(Body::from(playlist))),
            // The broadcast ended meanwhile; its successor says why, or plays.
            Ok(None) => {}
            Err(_) => break,
        }
    }
    Err(late(channel))
}

/// Somebody new: he enters the audience, and joins the broadcast.
async fn join(
    app: &App,
    catalog: &Catalog,
    channel: &Channel,
    asker: &Asker,
    until: Instant,
) -> Result<std::sync::Arc<packager::Packaged>, ApiError> {
    let present = app.audience.enter(asker, channel.id()).await;
    let present = present.map_err(ApiError::not_served)?;
    let key = Key {
        channel: channel.id(),
    };
    let claim = relay::Claim {
        client: format!("{} (HLS)", asker.shown()),
        user: None,
        follows_pmt: true,
    };
    let joined = app.hub.join(key, claim).await;
    let mut viewer = joined.map_err(|_| ApiError::shutting_down())?;
    match timeout_at(until, viewer.ready()).await {
        Ok(Ready::TransportStream | Ready::RawSound(_)) => {}
        Ok(Ready::File) => return Err(ApiError::not_live(channel.name())),
        Ok(Ready::Unavailable(failure)) => return Err(ApiError::unavailable(channel.name(), &failure)),
        Err(_) => return Err(late(channel)),
    }
    let name = catalog.get(channel.id()).map_or("", Channel::name);
    let joined = app.packagers.join((channel.id(), name), asker, (present, viewer));
    joined.ok_or_else(ApiError::shutting_down)
}

fn late(channel: &Channel) -> ApiError {
    let late = Failure::new(FailureClass::Transient, "no segment was ready in time");
    ApiError::unavailable(channel.name(), &late)
}

fn text(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PLAYLIST);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Text that is sent to many.
type Text = Bytes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_no_id_is_hls() {
        let id: ChannelId = "0123456789abcdef".parse().unwrap();
        for (path, expected) in [
            ("0123456789abcdef", None),
            ("0123456789abcdef.ts", None),
            ("Some_Channel/HD", None),
            ("0123456789abcdef/7.ts", None),
            ("0123456789abcdef/7-a.mp4", None),
            ("other/7-a.ts", None),
            (
                "Some_Channel.m3u8",
                Some(Wanted::Playlist("Some_Channel".to_owned())),
            ),
            (
                "0123456789abcdef/7-a1.ts",
                Some(Wanted::Segment {
                    channel: id,
                    sequence: 7,
                    instance: "a1".to_owned(),
                }),
            ),
        ] {
            assert_eq!(Wanted::read(path), expected, "{path}");
        }
    }
}
