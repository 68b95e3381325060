//! `GET /playlist.m3u8`: the one M3U of all channels.
//!
//! The list is rendered once for each catalogue and each beginning of links ([`super::rendering`]) and sent from a
//! file. Where its links carry a device's token, or no file can be written, it is written piece by piece while it is
//! sent: either way its size costs no memory.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use catalog::{Catalog, Kind};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::lines::{self, Links};
use super::rendering::{Form, Written};
use crate::api::App;
use crate::audience::{DEVICE, device};
use crate::config::Output;
use crate::server::Peer;

/// What lists of channels are sent as.
const M3U: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");

/// `GET /playlist.m3u8`, all of it or, with `?kind=`, one kind of channels; with `?output=hls`, with links to HLS.
pub async fn playlist(
    State(app): State<App>,
    axum::Extension(peer): axum::Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let links = Links {
        base: app.links().base(&headers, peer.0),
        ending: device(&uri).map_or_else(String::new, |token| format!("?{DEVICE}={token}")),
        kind: uri.query().and_then(wanted_kind),
        output: wanted_output(&uri).unwrap_or(app.config().playlist_output),
    };
    let catalog = app.channels.catalog();
    if !links.ending.is_empty() {
        return while_sent(catalog, links);
    }
    let form = if takes_gzip(&headers) {
        Form::Gzip
    } else {
        Form::Plain
    };
    let rendering = app.renderings.of(&catalog, &links);
    match rendering.written(form).await {
        Some(written) if names(&headers, &written.etag) => not_modified(&written.etag),
        Some(written) => from_file(written, form),
        None => while_sent(catalog, links),
    }
}

/// The kind a query asks for; anything else is no wish.
fn wanted_kind(query: &str) -> Option<Kind> {
    let wanted = query.split('&').find_map(|pair| pair.strip_prefix("kind="))?;
    [Kind::Live, Kind::Film, Kind::Episode]
        .into_iter()
        .find(|kind| kind.as_str().eq_ignore_ascii_case(wanted))
}

/// The form of streams a query asks for, in our words or those of Xtream's `get.php`; anything else is no wish.
fn wanted_output(uri: &Uri) -> Option<Output> {
    let pairs = url::form_urlencoded::parse(uri.query()?.as_bytes());
    let (_, wanted) = pairs.into_iter().find(|(name, _)| name == "output")?;
    match wanted.to_ascii_lowercase().as_str() {
        "ts" | "mpegts" => Some(Output::Ts),
        "hls" | "m3u8" => Some(Output::Hls),
        _ => None,
    }
}

fn from_file(written: &Written, form: Form) -> Response {
    let mut response = Response::new(Body::from_stream(written.pieces()));
    describe(response.headers_mut(), &written.etag);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, M3U);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(written.length));
    if form == Form::Gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn not_modified(etag: &HeaderValue) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    describe(response.headers_mut(), etag);
    response
}

/// What an answer and the news that it is the same have in common (RFC 9110 clause 15.4.5).
fn describe(headers: &mut HeaderMap, etag: &HeaderValue) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(ETAG, etag.clone());
}

fn while_sent(catalog: Arc<Catalog>, links: Links) -> Response {
    let links = Arc::new(links);
    let pieces = futures_util::stream::unfold((catalog, links, 0), |(catalog, links, at)| async move {
        let mut text = String::new();
        let next = lines::write(&catalog, &links, at, &mut text)?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), (catalog, links, next)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, M3U);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Whether the client takes gzip (RFC 9110 clause 12.5.3): named, or everything is, and not with a weight of zero.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT_ENCODING).iter();
    let codings: Vec<(&str, bool)> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|coding| {
            let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = parameters.trim().strip_prefix("q=").map(str::parse::<f32>);
            (name.trim(), !matches!(weight, Some(Ok(0.0))))
        })
        .collect();
    let named = |wanted: &str| {
        let mut found = codings
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.next().map(|(_, taken)| *taken)
    };
    named("gzip").or(named("x-gzip")).or(named("*")).unwrap_or(false)
}

/// Whether `If-None-Match` names the list (RFC 9110 clause 13.1.2, where `W/` makes no difference).
fn names(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let lines = headers.get_all(IF_NONE_MATCH).iter();
    let mut known = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"));
    known.any(|tag| tag == "*" || tag.as_bytes() == etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_in_which_form_streams_come() {
        for (uri, expected) in [
            ("/playlist.m3u8?output=hls", Some(Output::Hls)),
            ("/playlist.m3u8?kind=live&output=M3U8", Some(Output::Hls)),
            ("/playlist.m3u8?output=mpegts", Some(Output::Ts)),
            ("/playlist.m3u8?output=t%73", Some(Output::Ts)),
            ("/playlist.m3u8?output=rtmp", None),
            ("/playlist.m3u8?output=", None),
            ("/playlist.m3u8?xoutput=hls", None),
            ("/playlist.m3u8", None),
        ] {
            assert_eq!(wanted_output(&uri.parse().unwrap()), expected, "{uri}");
        }
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for (line, expected) in [
            ("gzip", true),
            ("deflate, GZip;q=0.5", true),
            ("*", true),
            ("identity", false),
            ("gzip;q=0, *", false),
            ("br;q=1.0, gzip; q=0", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
            assert_eq!(takes_gzip(&headers), expected, "{line}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_list_is_known_by_its_tag() {
        let etag = HeaderValue::from_static("\"a-1\"");
        for (line, expected) in [
            ("\"a-1\"", true),
            ("W/\"a-1\"", true),
            ("\"x\", \"a-1\"", true),
            ("*", true),
            ("\"a-1-gzip\"", false),
            ("a-1", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_str(line).unwrap());
            assert_eq!(names(&headers, &etag), expected, "{line}");
        }
    }
}
