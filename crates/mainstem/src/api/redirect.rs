//! `GET /direct/{id}`: sends a client to the provider itself, for testing. The one place that shows credentials.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, StatusCode};
use tracing::warn;

use super::App;
use super::error::ApiError;
use crate::upstream::open::CARD_URL;

pub(super) async fn direct(State(app): State<App>, Path(id): Path<String>) -> Result<Response, ApiError> {
    if !app.config().direct {
        return Err(ApiError::direct_disabled());
    }
    let (catalog, channel) = app.channel(&id).await?;
    let channel = catalog
        .get(channel)
        .ok_or_else(|| ApiError::unknown_channel(&id))?;
    let url = channel.primary().url().expose();
    let location = if url == CARD_URL {
        format!("/stream/{}", channel.id())
    } else {
        url.to_owned()
    };
    let location = HeaderValue::try_from(location).map_err(|_| ApiError::internal())?;
    warn!(
        channel = channel.name(),
        "a client was redirected to the provider and saw its credentials"
    );
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(LOCATION, location);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
