//! The one M3U of all channels. It is written piece by piece while it is sent, so that its size costs no memory.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use catalog::{Catalog, Channel};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use m3u::{Attributes, Entry, Header, Writer};

use crate::api::App;
use crate::server::Peer;

/// Channels written at a time.
const CHANNELS_PER_PIECE: usize = 500;

/// `GET /playlist.m3u8`.
pub async fn playlist(
    State(app): State<App>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let base: Arc<str> = app.links().base(&headers, peer.0).into();
    let catalog = app.channels.catalog();
    let pieces = futures_util::stream::unfold((catalog, base, 0), |(catalog, base, at)| async move {
        let piece = piece(&catalog, &base, at)?;
        Some((
            Ok::<_, Infallible>(piece),
            (catalog, base, at + CHANNELS_PER_PIECE),
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
fn piece(catalog: &Catalog, base: &str, at: usize) -> Option<Bytes> {
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
        writer.entry(&entry(channel, base)).ok()?;
    }
    Some(Bytes::from(writer.into_inner()))
}

fn entry(channel: &Channel, base: &str) -> Entry {
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
        url: format!("{base}/stream/{}", channel.id()),
        ..Entry::default()
    }
}
