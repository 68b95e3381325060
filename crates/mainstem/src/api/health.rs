//! Whether the program lives, and whether it has channels to serve.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use super::App;
use super::error::{json_response, ok};

/// `GET /healthz`: the program answers.
pub(super) async fn healthz() -> Response {
    ok(&json!({ "status": "ok" }))
}

/// `GET /readyz`: there are channels, or no source that could bring any.
pub(super) async fn readyz(State(app): State<App>) -> Response {
    let channels = app.channels.catalog().channels().len();
    let ready = channels > 0 || app.channels.sources().is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json_response(
        status,
        &json!({ "status": if ready { "ready" } else { "waiting for the first list" }, "channels": channels }),
    )
}
