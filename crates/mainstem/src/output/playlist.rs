//! The one M3U of all channels. It is written piece by piece while it is sent, so that its size costs no memory.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use catalog::{Catalog, Channel};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Uri};
use m3u::{Attributes, Entry, Header, Writer};

use crate::api::App;
use crate::audience::{DEVICE, device};
use crate::server::Peer;

/// Channels written at a time.
const CHANNELS_PER_PIECE: usize = 500;

/// What stands around the id in every link.
struct Links {
    base: String,
    /// The token of the device that asked: its streams are known as its own.
    ending: String,
}

/// `GET /playlist.m3u8`.
pub async fn playlist(
    State(app): State<App>,
    axum::Extension(peer): axum::Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let links: Arc<Links> = Arc::new(Links {
        base: app.links().base(&headers, peer.0),
        ending: device(&uri).map_or_else(String::new, |token| format!("?{DEVICE}={token}")),
    });
    let catalog = app.channels.catalog();
    let pieces = futures_util::stream::unfold((catalog, links, 0), |(catalog, links, at)| async move {
        let piece = piece(&catalog, &links, at)?;
        Some((
            Ok::<_, Infallible>(piece),
            (catalog, links, at + CHANNELS_PER_PIECE),
        ))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/vnd.apple.mpegurl"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The lines of the channels from `at` on; with the header line before the first ones. `None` past the last.
fn piece(catalog: &Catalog, links: &Links, at: usize) -> Option<Bytes> {
    let channels = catalog.channels();
    if at > 0 && at >= channels.len() {
        return None;
    }
    // Writing into a string cannot fail.
    let mut writer = match at {
        0 => Writer::new(String::new(), &Header::default()).ok()?,
        _ => Writer::after_header(String::new()),
    };
    for channel in channels.iter().skip(at).take(CHANNELS_PER_PIECE) {
        writer.entry(&entry(channel, links)).ok()?;
    }
    Some(Bytes::from(writer.into_inner()))
}

fn entry(channel: &Channel, links: &Links) -> Entry {
    let own = |text: Option<&str>| text.map(str::to_owned);
    let extra = channel.primary().entry().extra();
    let others = [
        ("audio-track", &extra.audio_track),
        ("aspect-ratio", &extra.aspect_ratio),
    ];
    Entry {
        name: channel.display_name().to_owned(),
        attributes: Attributes {
            tvg_id: own(channel.tvg_id()),
            tvg_name: Some(channel.name().to_owned()),
            tvg_logo: own(channel.logo()),
            tvg_chno: own(channel.tvg_chno()),
            tvg_language: own(channel.tvg_language()),
            tvg_country: own(channel.tvg_country()),
            group_title: own(channel.group()),
            radio: channel.radio() == Some("true"),
            others: others
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value.as_deref()?.to_owned())))
                .collect(),
            ..Attributes::default()
        },
        url: format!("{}/stream/{}{}", links.base, channel.id(), links.ending),
        ..Entry::default()
    }
}
