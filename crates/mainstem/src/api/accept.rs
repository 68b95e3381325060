//! `POST /sources/{name}/accept`: what a source lists now is right, however little it is.

use axum::extract::State;
use axum::response::Response;
use catalog::SourceName;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::App;
use super::error::{ApiError, json_response};
use super::path::Path;
use crate::source::Command;

/// Has the source refreshed at once, and what comes believed.
///
/// A browser lets any page post to any server, but not with this type without asking first (Fetch standard, clause
/// 3.3.2, CORS-safelisted request headers), and mainstem answers no such question.
pub(super) async fn accept(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        return Err(ApiError::not_json());
    }
    let sources = app.channels.sources();
    let running = sources
        .get(&SourceName::new(&name))
        .ok_or_else(|| ApiError::unknown_source(&name))?;
    running
        .handle
        .commands
        .try_send(Command::Accept)
        .map_err(|_| ApiError::source_failed("it is busy; ask again later"))?;
    let told = json!({ "source": name, "accepted": true });
    Ok(json_response(StatusCode::ACCEPTED, &told))
}
