//! The channels as data: `GET /streams` and the lists under `/debug`. Long ones are written piece by piece, like the
//! M3U.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use catalog::{Catalog, Channel, SourceName};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

use super::App;
use super::error::{ApiError, ok};
use super::path::Path;
use crate::server::Peer;

/// Items written at a time.
const ITEMS_PER_PIECE: usize = 500;

/// `GET /streams`.
pub(super) async fn streams(
    State(app): State<App>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let base = app.links().base(&headers, peer.0);
    let catalog = app.channels.catalog();
    let count = catalog.channels().len();
    pieces("{\"streams\": [", "]}", count, move |at| {
        let channel = catalog.channels().get(at)?;
        Some(stream(&catalog, channel, &base).to_string())
    })
}

/// One channel. `sources` is a number, as it was; the names are beside it.
fn stream(catalog: &Catalog, channel: &Channel, base: &str) -> Value {
    let id = channel.id().to_string();
    let group = channel.group().unwrap_or_default();
    let extra = channel.primary().entry().extra();
    json!({
        "id": id,
        "hash": id,
        "name": channel.name(),
        "display_name": channel.display_name(),
        "url": format!("/stream/{id}"),
        "full_url": format!("{base}/stream/{id}"),
        "sources": channel.streams().len(),
        "source_names": source_names(catalog, channel),
        "category": extra.category.as_deref().unwrap_or(group),
        "group": group,
        "logo": channel.logo().unwrap_or_default(),
        "kind": format!("{:?}", channel.kind()).to_lowercase(),
    })
}

fn source_names(catalog: &Catalog, channel: &Channel) -> Vec<String> {
    let name = |index: usize| catalog.sources().get(index).map(|source| source.name.to_string());
    channel
        .streams()
        .filter_map(|stream| name(stream.source()))
        .collect()
}

/// `GET /debug/mappings`: names and ids, both ways.
pub(super) async fn mappings(State(app): State<App>) -> Response {
    let catalog = app.channels.catalog();
    let pairs = || {
        catalog
            .channels()
            .iter()
            .map(|channel| (channel.name().to_owned(), channel.id().to_string()))
    };
    let name_to_id: Map<String, Value> = pairs().map(|(name, id)| (name, id.into())).collect();
    let id_to_name: Map<String, Value> = pairs().map(|(name, id)| (id, name.into())).collect();
    ok(&json!({
        "total_streams": name_to_id.len(),
        "total_unique_ids": id_to_name.len(),
        "name_to_id": name_to_id,
        "id_to_name": id_to_name,
    }))
}

/// `GET /debug/grouped-streams`: which streams are one channel. Addresses are shortened to their host.
pub(super) async fn grouped(State(app): State<App>) -> Response {
    let catalog = app.channels.catalog();
    let count = catalog.channels().len();
    pieces("{", "}", count, move |at| {
        let channel = catalog.channels().get(at)?;
        let urls: Vec<String> = channel.streams().map(|stream| stream.url().redacted()).collect();
        let value = json!({ "id": channel.id().to_string(), "sources": source_names(&catalog, channel), "urls": urls });
        Some(format!("{}: {value}", json!(channel.name())))
    })
}

/// `GET /debug/streams/{source}`: what one source contributes.
pub(super) async fn of_source(
    State(app): State<App>,
    Path(source): Path<String>,
) -> Result<Response, ApiError> {
    let catalog = app.channels.catalog();
    let name = SourceName::new(&source);
    let index = catalog.sources().iter().position(|known| known.name == name);
    let known = index.is_some() || app.channels.sources().contains_key(&name);
    if !known {
        return Err(ApiError::unknown_source(&source));
    }
    let start = format!("{{\"source\": {}, \"streams\": [", json!(source));
    let streams: Vec<(usize, usize)> = catalog
        .channels()
        .iter()
        .enumerate()
        .flat_map(|(channel, entry)| {
            entry
                .streams()
                .enumerate()
                .filter(|(_, stream)| Some(stream.source()) == index)
                .map(move |(at, _)| (channel, at))
        })
        .collect();
    Ok(pieces(&start, "]}", streams.len(), move |at| {
        let &(channel, stream) = streams.get(at)?;
        let channel = catalog.channels().get(channel)?;
        let stream = channel.streams().nth(stream)?;
        Some(json!({ "name": channel.name(), "url": stream.url().redacted() }).to_string())
    }))
}

/// A JSON text of many items, a piece at a time.
fn pieces(
    start: &str,
    end: &str,
    count: usize,
    item: impl Fn(usize) -> Option<String> + Send + Sync + 'static,
) -> Response {
    let (start, end, item): (Arc<str>, Arc<str>, _) = (start.into(), end.into(), Arc::new(item));
    let text = futures_util::stream::unfold(Some(0), move |at| {
        let (start, end, item) = (Arc::clone(&start), Arc::clone(&end), Arc::clone(&item));
        async move {
            let at = at?;
            let mut text = String::new();
            if at == 0 {
                text.push_str(&start);
            }
            let last = (at + ITEMS_PER_PIECE).min(count);
            for index in at..last {
                let Some(item) = item(index) else { continue };
                text.push_str(if index == 0 { "" } else { ",\n" });
                text.push_str(&item);
            }
            if last == count {
                text.push_str(&end);
            }
            Some((
                Ok::<_, Infallible>(Bytes::from(text)),
                (last < count).then_some(last),
            ))
        }
    });
    let mut response = Response::new(Body::from_stream(text));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
