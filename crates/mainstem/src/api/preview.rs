//! What the rules do, or others would: `GET /api/preview`, and `POST` with rules that are not in force. Nothing is
//! changed by either.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use catalog::{ChannelRules, Filters, Listing, SourceRules};
use serde::Deserialize;

use super::App;
use super::error::{ApiError, ok};
use super::path::Query;
use crate::config::parse_candidate;

/// Previews made at one time: each takes as long as a refresh of all channels, and as much memory.
pub const PREVIEWS_MAX: usize = 1;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// An entry to be traced: a part of its name, or an id.
    entry: Option<String>,
    /// Rules to be tried, as in a `POST`'s body.
    rules: Option<String>,
}

/// `GET /api/preview`: the rules in force, or those of the query.
pub(super) async fn current(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiError> {
    report(&app, asked.rules.as_deref(), asked.entry).await
}

/// `POST /api/preview`: the rules of the body, YAML or JSON with the keys `channels` and `filters`.
pub(super) async fn candidate(
    State(app): State<App>,
    Query(asked): Query<Asked>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let text = str::from_utf8(&body).map_err(|_| ApiError::bad_rules("The rules are not UTF-8 text."))?;
    report(&app, Some(text), asked.entry).await
}

async fn report(app: &App, rules: Option<&str>, entry: Option<String>) -> Result<Response, ApiError> {
    let _turn = app.previews.try_acquire().map_err(|_| ApiError::busy())?;
    let config = app.config();
    let (channels, filters): (Arc<ChannelRules>, Filters) = match rules {
        None => (Arc::clone(&config.channels), config.filters.filters().clone()),
        Some(text) => {
            let tried = parse_candidate(text).map_err(ApiError::bad_rules)?;
            let filters = tried.filters.as_ref().unwrap_or(&config.filters);
            (Arc::new(tried.channels), filters.filters().clone())
        }
    };
    let material = Arc::clone(&app.material.borrow());
    let made = tokio::task::spawn_blocking(move || {
        let listings: Vec<(SourceRules, &Listing)> = material
            .listings
            .iter()
            .map(|(rules, listing)| (rules.clone(), &**listing))
            .collect();
        let mut memory = material.memory.clone();
        let (_, report) =
            catalog::preview::preview(&listings, &filters, &channels, &mut memory, entry.as_deref());
        serde_json::to_value(report)
    });
    match made.await {
        Ok(Ok(report)) => Ok(ok(&report)),
        _ => Err(ApiError::internal()),
    }
}
