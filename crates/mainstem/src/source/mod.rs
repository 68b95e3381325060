//! One task per source: fetches its list on its own interval and hands it on as a [`Listing`].
//!
//! Lives here: when to refresh, what a failed refresh means (what was known stays), and the requests of each kind of
//! source. Does not live here: channels, viewers, which entries the operator wants.

mod addresses;
mod body;
mod bucket;
mod collapse;
mod failure;
mod fetch;
mod in_flight;
mod m3u;
mod report;
mod series;
mod task;
mod testcard;
mod version;
mod xtream;

pub use addresses::Addresses;
pub(crate) use addresses::{is_of_same_login, is_of_same_user};
pub use collapse::Held;
pub use failure::RefreshError;
pub use fetch::FetchBounds;
pub use fetch::Fetcher;
pub use m3u::read_file;
pub use report::{AccountReport, GroupsReport, SourceReport};
pub use series::SeriesShelf;
pub use series::{Episode, Series};
pub use task::{Command, SourceHandle, SourceTask, Surroundings, Update};

pub use catalog::Listing;

use http::HeaderMap;

use crate::config::SourceConfig;

/// The headers every request to a source carries.
#[must_use]
pub fn request_headers(config: &SourceConfig) -> HeaderMap {
    let own = std::iter::once(("User-Agent", config.user_agent.as_str()));
    let further = config
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()));
    crate::upstream::http::headers(own.chain(further))
}
