//! The series of the accounts, and their episodes, fetched when asked for.

use axum::extract::{Path, State};
use axum::response::Response;
use catalog::SourceName;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::App;
use super::error::{ApiError, ok};
use crate::source::{Command, Episode};

/// `GET /series`: every series of every source.
pub(super) async fn list(State(app): State<App>) -> Result<Response, ApiError> {
    let sources = app.channels.sources();
    let mut list = Vec::new();
    for (name, source) in sources.iter() {
        let (reply, shelf) = oneshot::channel();
        let asked = source.handle.commands.send(Command::Shelf { reply }).await;
        let Ok(shelf) = (match asked {
            Ok(()) => shelf.await,
            Err(_) => continue,
        }) else {
            continue;
        };
        list.extend(shelf.series().iter().map(|series| {
            json!({
                "source": name.as_str(), "id": series.id, "name": series.name, "group": series.group,
                "logo": series.logo, "episodes": shelf.episodes(&series.id).map(<[Episode]>::len),
                "url": format!("/series/{}/{}", name.as_str(), series.id),
            })
        }));
    }
    Ok(ok(&json!({ "series": list })))
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
    let (reply, answer) = oneshot::channel();
    let command = Command::Episodes {
        series: series.clone(),
        reply,
    };
    running
        .handle
        .commands
        .send(command)
        .await
        .map_err(|_| ApiError::unknown_source(&source))?;
    let episodes = answer
        .await
        .map_err(|_| ApiError::internal())?
        .map_err(|reason| ApiError::source_failed(&reason))?;
    let episodes = episodes.ok_or_else(|| ApiError::unknown_series(&series))?;
    let episodes: Vec<Value> = episodes
        .iter()
        .map(|episode| json!({ "id": episode.id, "season": episode.season, "episode": episode.number, "title": episode.title }))
        .collect();
    Ok(ok(
        &json!({ "source": source, "series": series, "episodes": episodes }),
    ))
}
