//! What the operator and programs ask: status, streams, tests. The reference's endpoints with its keys and their
//! types, and more beside them; errors are JSON with a stable code and a sentence.

mod accept;
pub mod error;
mod health;
pub(crate) mod path;
mod pools;
mod preview;
mod redirect;
mod series;
mod status;
mod streams;
mod test;
mod unsupported;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::routing::{get, post};
use catalog::{Catalog, ChannelId};
use relay::Hub;
use tokio::sync::{Semaphore, watch};

use crate::audience::Audience;
use crate::channels::{Channels, Key};
use crate::config::Config;
use crate::library::Material;
use crate::links::Links;
use crate::output;
use crate::output::catchup::Forms;
use crate::output::films::Films;
use crate::output::hls::Packagers;
use crate::output::rendering::Renderings;
use crate::server::cors::cors;
use error::ApiError;
pub use preview::PREVIEWS_MAX;
pub use unsupported::Unsupported;

/// What every handler can reach.
#[derive(Debug, Clone)]
pub struct App {
    /// The channels, and the way to their streams.
    pub channels: Arc<Channels>,
    /// The broadcasts.
    pub hub: Hub<Key>,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
    /// Those who watch.
    pub audience: Audience,
    /// What the channels were made of.
    pub material: watch::Receiver<Arc<Material>>,
    /// Previews that may be made at one time.
    pub previews: Arc<Semaphore>,
    /// The channels that are made into HLS.
    pub packagers: Arc<Packagers>,
    /// The channel lists that are ready to be sent.
    pub renderings: Arc<Renderings>,
    /// What is remembered of files that were played.
    pub films: Films,
    /// In which form each login's provider had something past.
    pub forms: Forms,
    /// How many entries can never be played.
    pub unsupported: Unsupported,
    /// Where mainstem listens, as the last resort for links.
    pub listening: Arc<str>,
    /// When the program started.
    pub started: Instant,
}

impl App {
    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    /// What links begin with.
    #[must_use]
    pub fn links(&self) -> Links {
        let config = self.config.borrow();
        Links {
            public_url: config.public_url.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            fallback: self.listening.to_string(),
        }
    }

    /// The channel an id means today, in whatever form the reference ever gave it out.
    ///
    /// # Errors
    /// 404 for an id that means nothing.
    pub async fn channel(&self, id: &str) -> Result<(Arc<Catalog>, ChannelId), ApiError> {
        let catalog = self.channels.catalog();
        let id = id.trim_matches('/').to_owned();
        if let Some(channel) = id
            .parse()
            .ok()
            .and_then(|parsed| catalog.get_own(parsed))
            .map(catalog::Channel::id)
        {
            return Ok((catalog, channel));
        }
        // The first look-up of an old form builds their table, which takes a moment with very long lists.
        let (searched, wanted) = (Arc::clone(&catalog), id.clone());
        let found = tokio::task::spawn_blocking(move || {
            let without_ending = wanted.strip_suffix(".ts").unwrap_or(&wanted);
            searched
                .resolve(&wanted)
                .or_else(|| searched.resolve(without_ending))
                .map(catalog::Channel::id)
        });
        match found.await {
            Ok(Some(channel)) => Ok((catalog, channel)),
            Ok(None) => Err(ApiError::unknown_channel(&id)),
            Err(_) => Err(ApiError::internal()),
        }
    }
}

/// Every endpoint.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(status::root))
        .route("/playlist.m3u8", get(output::playlist::playlist))
        .route("/playlist.m3u", get(output::playlist::playlist))
        .route("/stream/{*id}", get(output::stream))
        .route("/status", get(status::status))
        .route("/active-streams", get(status::active_streams))
        .route("/streams", get(streams::streams))
        .route("/test", get(test::test))
        .route("/debug/mappings", get(streams::mappings))
        .route("/debug/grouped-streams", get(streams::grouped))
        .route("/debug/streams/{source}", get(streams::of_source))
        .route("/debug/{*id}", get(test::debug))
        .route("/direct/{*id}", get(redirect::direct))
        .route("/sources/{source}/accept", post(accept::accept))
        .route("/series", get(series::list))
        .route("/series/{source}/{series}", get(series::episodes))
        .route("/api/preview", get(preview::current).post(preview::candidate))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(axum::middleware::from_fn(cors))
        .with_state(app)
}
