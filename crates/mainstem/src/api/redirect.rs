//! `GET /direct/{id}`: sends a client to the provider itself, for testing. The one place that shows credentials.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use tracing::warn;

use super::App;
use super::error::ApiError;
use super::path::Path;
use crate::server::Peer;
use crate::upstream::open::CARD_URL;

pub(super) async fn direct(
    State(app): State<App>,
    Path(id): Path<String>,
    axum::Extension(peer): axum::Extension<Peer>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if !app.config().direct {
        return Err(ApiError::direct_disabled());
    }
    let (catalog, channel) = app.channel(&id).await?;
    let channel = catalog
        .get(channel)
        .ok_or_else(|| ApiError::unknown_channel(&id))?;
    let url = channel.primary().url();
    let url = url.expose();
    let location = if url == CARD_URL {
        format!("{}/stream/{}", app.links().base(&headers, peer.0), channel.id())
    } else {
        warn!(
            channel = channel.name(),
            "a client was redirected to the provider and saw its credentials"
        );
        url.to_owned()
    };
    let location = HeaderValue::try_from(location).map_err(|_| ApiError::internal())?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(LOCATION, location);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
