//! Channels as HLS: the multivariant playlist `/stream/{id}.m3u8`, the media playlist `/stream/{id}/live.m3u8`, and the
//! segments beside that. A further sound has a folder of its own there, with the same two, `/stream/{id}/audio-eng/`.
//!
//! Lives here: what is asked for, and the answers. A `packager` makes the segments, one task per channel; `clients` are
//! those who are served by it. Where to cut, what to list and the text of it are the crate `hls`'s.

mod body;
mod clients;
mod container;
mod packager;
mod packagers;
mod shelf;
mod spool;

pub use packagers::{Packagers, PackagersTask, Settings};

use std::time::Duration;

use ::hls::segment::{Map, Rendition};
use ::hls::write::Named;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use catalog::{Catalog, Channel, ChannelId, Kind};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use relay::{Failure, FailureClass, Ready};
use tokio::time::{Instant, timeout_at};

use body::Chunks;
use packager::Playlists;

use super::no_body;
use crate::api::App;
use crate::api::error::ApiError;
use crate::audience::{Asker, DEVICE};
use crate::channels::Key;
use crate::upstream::unsupported::unplayable;

/// What a playlist is called (RFC 8216 clause 4).
const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");

/// What a segment of transport packets is called (RFC 3555 clause 4.1.11).
const TRANSPORT_STREAM: HeaderValue = HeaderValue::from_static("video/mp2t");

/// What a segment of fragmented MP4 is called, and what stands before it (RFC 4337).
const MP4: HeaderValue = HeaderValue::from_static("video/mp4");

/// How much longer than `timing.head_within` somebody waits for the first segment, should deciding take its time.
const HEAD_MARGIN: Duration = Duration::from_secs(3);

/// Joins that meet a broadcast just ending, one after the other, before it counts as one that cannot be had.
const ATTEMPTS_MAX: usize = 3;

/// What the media playlist is called.
const MEDIA: &str = "live.m3u8";

/// How the folder of a further sound begins ([`::hls::segment::Rendition::name`]).
const SOUND: &str = "audio-";

/// What is asked for under `/stream/`, where it is HLS. Channels are named by an id in any form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The multivariant playlist of a channel.
    Multivariant(String),
    /// Its media playlist, or that of a further sound.
    Media(String, Option<String>),
    /// A segment of it, or what stands before one.
    File(String, File),
}

/// The name of a segment, or of what stands before one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// The further sound it is of.
    sound: Option<String>,
    sequence: u64,
    instance: String,
    kind: FileKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    TransportStream,
    Mp4,
    Map,
}

impl Wanted {
    /// Reads what stands behind `/stream/`; `None` where it is no HLS. No id has a slash in it or such an ending: the
    /// forms of old leave out both.
    pub(super) fn read(path: &str) -> Option<Self> {
        let path = path.trim_matches('/');
        if let Some((id, name)) = path.rsplit_once('/') {
            let (id, sound) = match id.rsplit_once('/') {
                Some((id, sound)) if sound.starts_with(SOUND) => (id.to_owned(), Some(sound.to_owned())),
                _ => (id.to_owned(), None),
            };
            return match name {
                MEDIA => Some(Self::Media(id, sound)),
                _ => Some(Self::File(id, File::read(name, sound)?)),
            };
        }
        let id = path.strip_suffix(".m3u8")?;
        Some(Self::Multivariant(id.to_owned()))
    }
}

impl File {
    fn read(name: &str, sound: Option<String>) -> Option<Self> {
        let (name, ending) = name.rsplit_once('.')?;
        let (sequence, instance) = name.split_once('-')?;
        Some(Self {
            sound,
            sequence: sequence.parse().ok()?,
            instance: instance.to_owned(),
            kind: match ending {
                "ts" => FileKind::TransportStream,
                "m4s" => FileKind::Mp4,
                "mp4" => FileKind::Map,
                _ => return None,
            },
        })
    }
}

/// The address of a segment, relative to the media playlist. It means the same bytes for ever: `instance` tells apart what
/// another run of the program, or of the channel, numbers alike.
fn address(named: Named<'_>, instance: &str) -> String {
    let (sequence, map): (u64, &Option<std::sync::Arc<Map>>) = match named {
        Named::Segment(segment) => (segment.sequence, &segment.map),
        Named::Sound(segment, sound) => (segment.sequence, &sound.map),
        Named::Map(map) => return format!("{}-{instance}.mp4", map.sequence),
    };
    let ending = if map.is_some() { "m4s" } else { "ts" };
    format!("{sequence}-{instance}.{ending}")
}

/// The address of the media playlist, or of that of a further sound, relative to the multivariant one.
fn media_address(channel: ChannelId, rendition: Option<&Rendition>) -> String {
    match rendition {
        None => format!("{channel}/{MEDIA}"),
        Some(rendition) => format!("{channel}/{}/{MEDIA}", rendition.name()),
    }
}

/// Answers a request for HLS.
pub(super) async fn serve(
    app: &App,
    wanted: Wanted,
    asker: Asker,
    (method, headers): (Method, &HeaderMap),
) -> Result<Response, ApiError> {
    let (id, playlist) = match wanted {
        Wanted::File(id, wanted) => {
            let (_, channel) = app.channel(&id).await?;
            return file(app, channel, &wanted, (&method, headers));
        }
        Wanted::Multivariant(id) => (id, Playlist::Multivariant),
        Wanted::Media(id, None) => (id, Playlist::Media),
        Wanted::Media(id, Some(sound)) => (id, Playlist::Sound(sound)),
    };
    let (catalog, channel) = app.channel(&id).await?;
    let channel = catalog
        .get(channel)
        .ok_or_else(|| ApiError::unknown_channel(&id))?;
    if let Some(reason) = unplayable(channel) {
        return Err(ApiError::unsupported(channel.name(), reason));
    }
    if channel.kind() != Kind::Live {
        return Err(ApiError::not_live(channel.name()));
    }
    if method == Method::HEAD {
        return Ok(text(no_body()));
    }
    let playlists = playlists(app, &catalog, channel, &asker).await?;
    let body = match (playlist, &asker.device) {
        (Playlist::Media, _) => playlists.media,
        (Playlist::Sound(name), _) => playlists.sound(&name).ok_or_else(ApiError::no_sound)?,
        (Playlist::Multivariant, None) => playlists.multivariant,
        (Playlist::Multivariant, Some(token)) => with_device(&playlists.multivariant, token),
    };
    Ok(text(Body::from(body)))
}

/// Which one is asked for.
#[derive(Debug)]
enum Playlist {
    Multivariant,
    Media,
    Sound(String),
}

/// A device that names itself does so in each address that it asks for again and again: those of media playlists.
fn with_device(multivariant: &Text, token: &str) -> Text {
    let text = String::from_utf8_lossy(multivariant);
    let media = format!("/{MEDIA}");
    // A token has no character that an address would have to escape, and no name of a sound has a slash.
    text.replace(&media, &format!("{media}?{DEVICE}={token}")).into()
}

/// A segment, or what stands before one.
fn file(
    app: &App,
    channel: ChannelId,
    wanted: &File,
    (method, headers): (&Method, &HeaderMap),
) -> Result<Response, ApiError> {
    let packaged = app.packagers.find(channel);
    let packaged = packaged.filter(|packaged| packaged.instance() == wanted.instance);
    let packaged = packaged.ok_or_else(ApiError::no_segment)?;
    let (chunks, content_type) = if wanted.kind == FileKind::Map {
        let map = packaged.map(wanted.sequence, wanted.sound.as_deref());
        (map.map(Chunks::Map), MP4)
    } else {
        let is_mp4 = wanted.kind == FileKind::Mp4;
        let content_type = if is_mp4 { MP4 } else { TRANSPORT_STREAM };
        let sound = wanted.sound.as_deref();
        (packaged.segment(wanted.sequence, sound, is_mp4), content_type)
    };
    let chunks = chunks.ok_or_else(ApiError::no_segment)?;
    Ok(body::respond(chunks, content_type, method, headers))
}

/// The playlists of a channel, for one of its clients.
async fn playlists(
    app: &App,
    catalog: &Catalog,
    channel: &Channel,
    asker: &Asker,
) -> Result<Playlists, ApiError> {
    let until = Instant::now() + app.config().timing.head_within + HEAD_MARGIN;
    for _ in 0..ATTEMPTS_MAX {
        let packaged = match app.packagers.attend(channel.id(), asker) {
            Some(packaged) => packaged,
            None => join(app, catalog, channel, asker, until).await?,
        };
        match timeout_at(until, packaged.playlists()).await {
            Ok(Some(playlists)) => return Ok(playlists),
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
    app.packagers.zap(channel.id(), asker);
    let present = app.audience.enter_session(asker, channel.id()).await;
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
        let file = |sequence, instance: &str, kind| {
            let file = File {
                sound: None,
                sequence,
                instance: instance.to_owned(),
                kind,
            };
            Some(Wanted::File("0123456789abcdef".to_owned(), file))
        };
        for (path, expected) in [
            ("0123456789abcdef", None),
            ("0123456789abcdef.ts", None),
            ("Some_Channel/HD", None),
            ("0123456789abcdef/7.ts", None),
            ("0123456789abcdef/7-a.mkv", None),
            ("0123456789abcdef/x-a.ts", None),
            ("0123456789abcdef/other.m3u8", None),
            (
                "Some_Channel.m3u8",
                Some(Wanted::Multivariant("Some_Channel".to_owned())),
            ),
            (
                "Some_Channel/live.m3u8",
                Some(Wanted::Media("Some_Channel".to_owned(), None)),
            ),
            (
                "Some_Channel/audio-eng/live.m3u8",
                Some(Wanted::Media(
                    "Some_Channel".to_owned(),
                    Some("audio-eng".to_owned()),
                )),
            ),
            (
                "0123456789abcdef/audio-eng/7-a1.ts",
                Some(Wanted::File(
                    "0123456789abcdef".to_owned(),
                    File {
                        sound: Some("audio-eng".to_owned()),
                        sequence: 7,
                        instance: "a1".to_owned(),
                        kind: FileKind::TransportStream,
                    },
                )),
            ),
            (
                "0123456789abcdef/7-a1.ts",
                file(7, "a1", FileKind::TransportStream),
            ),
            ("0123456789abcdef/7-a1.m4s", file(7, "a1", FileKind::Mp4)),
            ("0123456789abcdef/7-a1.mp4", file(7, "a1", FileKind::Map)),
        ] {
            assert_eq!(Wanted::read(path), expected, "{path}");
        }
    }

    #[test]
    fn a_device_names_itself_in_every_address() {
        let text = Bytes::from_static(
            b"#EXTM3U\n#EXT-X-MEDIA:URI=\"1/audio-eng/live.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\n1/live.m3u8\n",
        );
        let expected = "#EXTM3U\n#EXT-X-MEDIA:URI=\"1/audio-eng/live.m3u8?device=tv\"\n\
                        #EXT-X-STREAM-INF:BANDWIDTH=1\n1/live.m3u8?device=tv\n";
        assert_eq!(with_device(&text, "tv"), expected);
    }
}
