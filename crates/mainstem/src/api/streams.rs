//! The channels as data: `GET /streams` and the lists under `/debug`. Long ones are written piece by piece, like the
//! M3U.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use catalog::{Catalog, Channel, Kind, SourceName};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::App;
use super::error::{ApiError, ok};
use super::path::{Path, Query};
use crate::server::Peer;
use crate::upstream::unsupported::unplayable;

/// Items written at a time.
const ITEMS_PER_PIECE: usize = 500;

/// Channels of one page where the query does not say how many.
const LIMIT_DEFAULT: usize = 100;

/// Channels of one page at most.
const LIMIT_MAX: usize = 1_000;

/// Which channels are asked for; without any of these, all.
#[derive(Debug, Default, PartialEq, Deserialize)]
pub(super) struct Wanted {
    limit: Option<String>,
    offset: Option<String>,
    /// A piece of the name, in any case of letters.
    search: Option<String>,
    /// The whole name of a group, in any case of letters.
    group: Option<String>,
    /// The name of a source.
    source: Option<String>,
    /// `live`, `film` or `episode`.
    kind: Option<String>,
}

/// `GET /streams`: all channels as the reference lists them, or a page of those the query asks for.
pub(super) async fn streams(
    State(app): State<App>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response, ApiError> {
    let base = app.links().base(&headers, peer.0);
    let catalog = app.channels.catalog();
    if wanted != Wanted::default() {
        return page(&app, catalog, &wanted, base).await;
    }
    let count = catalog.channels().len();
    Ok(pieces("{\"streams\": [", "]}", count, move |at| {
        let channel = catalog.channels().get(at)?;
        Some(stream(&catalog, channel, &base).to_string())
    }))
}

/// A page, how many channels there are, and how many the query means.
async fn page(app: &App, catalog: Arc<Catalog>, wanted: &Wanted, base: String) -> Result<Response, ApiError> {
    let offset = number("offset", wanted.offset.as_deref(), 0)?;
    let limit = number("limit", wanted.limit.as_deref(), LIMIT_DEFAULT)?.min(LIMIT_MAX);
    let filter = Filter::new(app, &catalog, wanted)?;
    let found = tokio::task::spawn_blocking(move || {
        let (mut matched, mut streams) = (0, Vec::new());
        for channel in filter.of(&catalog) {
            if matched >= offset && streams.len() < limit {
                streams.push(stream(&catalog, channel, &base));
            }
            matched += 1;
        }
        json!({
            "streams": streams,
            "total": catalog.channels().len(),
            "matched": matched,
            "offset": offset,
            "limit": limit,
        })
    });
    Ok(ok(&found.await.map_err(|_| ApiError::internal())?))
}

/// The channels a query means.
struct Filter {
    search: String,
    group: Option<String>,
    source: Option<usize>,
    kind: Option<Kind>,
}

impl Filter {
    fn new(app: &App, catalog: &Catalog, wanted: &Wanted) -> Result<Self, ApiError> {
        let kind = |word: &String| {
            let kinds = [Kind::Live, Kind::Film, Kind::Episode];
            let found = kinds
                .into_iter()
                .find(|kind| kind.as_str().eq_ignore_ascii_case(word));
            found.ok_or_else(|| ApiError::bad_query("kind is live, film or episode"))
        };
        let place = |name: &String| {
            let named = SourceName::new(name);
            let place = catalog.sources().iter().position(|source| source.name == named);
            match place {
                None if !app.channels.sources().contains_key(&named) => Err(ApiError::unknown_source(name)),
                // A source without a list yet is no source of any channel.
                place => Ok(place.unwrap_or(usize::MAX)),
            }
        };
        Ok(Self {
            search: wanted.search.as_deref().unwrap_or_default().to_lowercase(),
            group: wanted.group.as_ref().map(|group| group.to_lowercase()),
            source: wanted.source.as_ref().map(place).transpose()?,
            kind: wanted.kind.as_ref().map(kind).transpose()?,
        })
    }

    /// The channels it means; nobody who looks for live ones walks past the films.
    fn of<'a>(&'a self, catalog: &'a Catalog) -> impl Iterator<Item = &'a Channel> {
        let is_live = self.kind == Some(Kind::Live);
        let live = is_live.then(|| catalog.live(0));
        let all = if is_live { &[] } else { catalog.channels() };
        let channels = live.into_iter().flatten().chain(all);
        channels.filter(|channel| self.admits(channel))
    }

    fn admits(&self, channel: &Channel) -> bool {
        self.kind.is_none_or(|kind| channel.kind() == kind)
            && self
                .source
                .is_none_or(|source| channel.streams().any(|stream| stream.source() == source))
            && self.group.as_ref().is_none_or(|group| {
                let of_channel = channel.group().unwrap_or_default();
                of_channel.to_lowercase() == *group
            })
            && self.is_named(channel)
    }

    fn is_named(&self, channel: &Channel) -> bool {
        let (shown, name) = (channel.display_name(), channel.name());
        self.search.is_empty() || holds(shown, &self.search) || (shown != name && holds(name, &self.search))
    }
}

/// Whether `text` holds `piece`, which is not empty and in lower case, in any case of letters.
fn holds(text: &str, piece: &str) -> bool {
    if text.is_ascii() {
        let (text, piece) = (text.as_bytes(), piece.as_bytes());
        return text
            .windows(piece.len())
            .any(|window| window.eq_ignore_ascii_case(piece));
    }
    text.to_lowercase().contains(piece)
}

fn number(name: &str, text: Option<&str>, default: usize) -> Result<usize, ApiError> {
    text.map_or(Ok(default), |text| {
        text.parse()
            .map_err(|_| ApiError::bad_query(format!("{name} must be a whole number")))
    })
}

/// One channel. `sources` is a number, as it was; the names are beside it.
fn stream(catalog: &Catalog, channel: &Channel, base: &str) -> Value {
    let id = channel.id().to_string();
    let group = channel.group().unwrap_or_default();
    let extra = channel.primary().entry().extra();
    let catchup = channel
        .catchup()
        .map(|catchup| json!({ "mode": catchup.mode, "days": catchup.days }));
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
        "kind": channel.kind().as_str(),
        "event": channel.event().unwrap_or_default(),
        "catchup": catchup,
        "unsupported": unplayable(channel),
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
