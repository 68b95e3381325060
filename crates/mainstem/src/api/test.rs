//! Whether streams can be opened: `GET /test` and `GET /debug/{id}`. A test reads a stream's first bytes under a slot,
//! as a viewer would; where none is free it says so and opens nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use catalog::{Catalog, Channel, ChannelId};
use futures_util::StreamExt as _;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, StatusCode};
use relay::{Failure, FailureClass};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::App;
use super::error::{ApiError, ok};
use super::path::{Path, Query};
use crate::slot::Purpose;
use crate::upstream::datagram;
use crate::upstream::open::{CARD_URL, Opening, Target};
use crate::upstream::sniff::Content;

/// Channels tested where the query does not say how many.
const LIMIT_DEFAULT: usize = 10;

/// Channels tested in one request at most.
const LIMIT_MAX: usize = 100;

/// Channels tested side by side: one, as streams of one login would only report each other as busy.
const AT_ONCE: usize = 1;

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    limit: Option<String>,
    offset: Option<String>,
}

/// What a test of one stream found.
struct Finding {
    status: Option<u16>,
    content_type: Option<String>,
    content_length: Option<String>,
    content: Option<Content>,
    failure: Option<Failure>,
}

/// `GET /test`: the first channels, or those the query asks for.
pub(super) async fn test(State(app): State<App>, Query(page): Query<Page>) -> Result<Response, ApiError> {
    let offset = number("offset", page.offset.as_deref(), 0)?;
    let limit = number("limit", page.limit.as_deref(), LIMIT_DEFAULT)?.min(LIMIT_MAX);
    let catalog = app.channels.catalog();
    let channels: Vec<ChannelId> = catalog
        .channels()
        .iter()
        .skip(offset)
        .take(limit)
        .map(Channel::id)
        .collect();
    let tested: Vec<(String, Value)> = stream::iter(
        channels
            .into_iter()
            .map(|channel| test_channel(app.clone(), Arc::clone(&catalog), channel)),
    )
    .buffered(AT_ONCE)
    .collect()
    .await;
    Ok(ok(&Value::Object(tested.into_iter().collect::<Map<_, _>>())))
}

fn number(name: &str, text: Option<&str>, default: usize) -> Result<usize, ApiError> {
    match text {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| ApiError::bad_query(format!("'{name}' must be a whole number."))),
    }
}

async fn test_channel(app: App, catalog: Arc<Catalog>, channel: ChannelId) -> (String, Value) {
    let id = channel.to_string();
    let Some(channel) = catalog.get(channel) else {
        return (id, Value::Null);
    };
    let mut streams = Vec::new();
    for target in targets(&app, &catalog, channel) {
        let finding = probe(app.channels.opening(), &target).await;
        let mut found = json!({ "source": target.source.as_str(), "url": target.url.redacted() });
        finding.tell(&mut found);
        streams.push(found);
    }
    let value = json!({
        "original_name": channel.name(),
        "hash": id,
        "our_stream_url": format!("/stream/{id}"),
        "direct_test_url": format!("/direct/{id}"),
        "streams": streams,
    });
    (id, value)
}

/// `GET /debug/{id}`: one channel, every stream of it.
pub(super) async fn debug(State(app): State<App>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let (catalog, channel) = app.channel(&id).await?;
    let channel = catalog
        .get(channel)
        .ok_or_else(|| ApiError::unknown_channel(&id))?;
    let mut streams = Vec::new();
    for (index, stream) in channel.streams().enumerate() {
        let Some(target) = app.channels.target(&catalog, stream) else {
            continue;
        };
        // Asked before the test, which may be a failure of its own.
        let last_failure = app.channels.last_failure(stream.id());
        let finding = probe(app.channels.opening(), &target).await;
        let mut found = json!({
            "index": index,
            "source_id": target.source.as_str(),
            "url": target.url.redacted(),
            "content_length": finding.content_length.clone().unwrap_or_else(|| "unknown".to_owned()),
            "last_failure": last_failure.map(|last| json!({
                "error": last.failure.text,
                "code": last.failure.class.as_str(),
                "seconds_ago": last.ago.as_secs(),
                "rests_for": last.rests_for.as_secs(),
            })),
        });
        finding.tell(&mut found);
        streams.push(found);
    }
    Ok(ok(&json!({
        "original_name": channel.name(),
        "hash": channel.id().to_string(),
        "stream_count": streams.len(),
        "streams": streams,
    })))
}

/// A channel's streams in the order of the configuration.
fn targets(app: &App, catalog: &Catalog, channel: &Channel) -> Vec<Target> {
    channel
        .streams()
        .filter_map(|stream| app.channels.target(catalog, stream))
        .collect()
}

async fn probe(opening: &Opening, target: &Target) -> Finding {
    let mut finding = Finding {
        status: None,
        content_type: None,
        content_length: None,
        content: None,
        failure: None,
    };
    if target.url.expose() == CARD_URL {
        finding.content = Some(Content::TransportStream);
        return finding;
    }
    let tested = timeout(TEST_WITHIN, open(opening, target, &mut finding)).await;
    finding.failure = match tested {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure),
        Err(_) => Some(Failure::new(
            FailureClass::Transient,
            "nothing that can be understood came in time",
        )),
    };
    finding
}

/// Longest test of one stream.
const TEST_WITHIN: Duration = Duration::from_secs(5);

async fn open(opening: &Opening, target: &Target, finding: &mut Finding) -> Result<(), Failure> {
    if let Some(opened) = datagram::open(target, opening.timing.first_bytes_within).await {
        finding.content = opened.map(|_| Some(Content::TransportStream))?;
        return Ok(());
    }
    // A test waits for nobody and takes nothing from anybody; a viewer who needs the connection gets it.
    let mut answer = match opening.ask(target, Purpose::Test, &HeaderMap::new()).await {
        Ok(answer) => answer,
        Err(no) => {
            if let Some((status, headers)) = &no.head {
                finding.answered(*status, headers);
            }
            return Err(no.failure);
        }
    };
    finding.answered(answer.status, &answer.headers);
    let (_, content) = opening.first_bytes(&mut answer.body).await?;
    finding.content = Some(content);
    Ok(())
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

impl Finding {
    fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status = Some(status.as_u16());
        self.content_type = text(headers, &CONTENT_TYPE);
        self.content_length = text(headers, &CONTENT_LENGTH);
    }

    fn tell(&self, into: &mut Value) {
        let playable = matches!(self.content, Some(content) if content.is_file())
            || matches!(
                self.content,
                Some(Content::TransportStream | Content::HlsPlaylist)
            );
        let Value::Object(into) = into else { return };
        into.insert("accessible".to_owned(), json!(playable));
        into.insert(
            "stream_type".to_owned(),
            json!(self.content.map_or("Unknown", Content::as_str)),
        );
        into.insert("found".to_owned(), json!(self.found()));
        into.insert(
            "content_type".to_owned(),
            json!(self.content_type.as_deref().unwrap_or("unknown")),
        );
        if let Some(status) = self.status {
            into.insert("status_code".to_owned(), json!(status));
        }
        if let Some(failure) = &self.failure {
            into.insert("error".to_owned(), json!(failure.text));
            into.insert("code".to_owned(), json!(failure.class.as_str()));
        }
    }

    /// In words: what is there.
    fn found(&self) -> &'static str {
        match (&self.failure, self.content) {
            (Some(failure), _) if failure.class == FailureClass::NoSlot => {
                "busy: no free connection; nothing was opened"
            }
            (_, Some(Content::TransportStream)) => "transport stream",
            (_, Some(Content::HlsPlaylist)) => "HLS playlist",
            (_, Some(Content::Html)) => "HTML page instead of a stream",
            (_, Some(Content::Json)) => "JSON instead of a stream",
            (_, Some(Content::Empty)) => "nothing",
            (_, Some(content)) if content.is_file() => "file",
            (_, Some(_)) => "something that is no stream",
            (Some(_), None) => "nothing",
            (None, None) => "nothing",
        }
    }
}
