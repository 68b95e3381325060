//! The series of the accounts, and their episodes, fetched when asked for.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use catalog::SourceName;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::App;
use super::error::{ApiError, ok};
use super::path::Path;
use crate::channels::RunningSource;
use crate::source::{Command, Episode};

/// Longest wait for a source to fetch a series' episodes: it may be busy with a list that hangs.
const EPISODES_WITHIN: Duration = Duration::from_secs(20);

/// `GET /series`: every series of every source.
pub(super) async fn list(State(app): State<App>) -> Response {
    let sources = app.channels.sources();
    let mut list = Vec::new();
    for (name, source) in sources.iter() {
        let shelf = source.handle.shelf.borrow().clone();
        list.extend(shelf.series().iter().map(|series| {
            json!({
                "source": name.as_str(), "id": series.id, "name": series.name, "group": series.group,
                "logo": series.logo, "episodes": shelf.episodes(&series.id).map(<[Episode]>::len),
                "url": format!("/series/{}/{}", name.as_str(), series.id),
            })
        }));
    }
    ok(&json!({ "series": list }))
}

/// `GET /series/{source}/{id}`: one series' episodes.
pub(super) async fn episodes(
    State(app): State<App>,
    Path((source, series)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let sources = app.channels.sources();
    let running = sources
        .get(&SourceName::new(&source))
        .ok_or_else(|| ApiError::unknown_source(&source))?;
    let known = running
        .handle
        .shelf
        .borrow()
        .episodes(&series)
        .map(<[Episode]>::to_vec);
    let episodes = match known {
        Some(known) => known,
        None => timeout(EPISODES_WITHIN, fetched(running, &source, &series))
            .await
            .unwrap_or_else(|_| Err(ApiError::source_failed("it is busy; ask again later")))?,
    };
    let episodes: Vec<Value> = episodes
        .iter()
        .map(|episode| json!({ "id": episode.id, "season": episode.season, "episode": episode.number, "title": episode.title }))
        .collect();
    Ok(ok(
        &json!({ "source": source, "series": series, "episodes": episodes }),
    ))
}

/// Episodes the source has to ask its provider for.
async fn fetched(running: &RunningSource, source: &str, series: &str) -> Result<Vec<Episode>, ApiError> {
    let (reply, answer) = oneshot::channel();
    let command = Command::Episodes {
        series: series.to_owned(),
        reply,
    };
    running
        .handle
        .commands
        .send(command)
        .await
        .map_err(|_| ApiError::unknown_source(source))?;
    let episodes = answer
        .await
        .map_err(|_| ApiError::source_failed("it was stopped"))?
        .map_err(|reason| ApiError::source_failed(&reason))?;
    episodes.ok_or_else(|| ApiError::unknown_series(series))
}
