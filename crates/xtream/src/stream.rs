//! The records of the flat lists: categories, live streams, films, series.
//!
//! Each has a raw twin that takes any JSON type in any field; a record is bad only without a usable id.

use serde::Deserialize;

use crate::lenient;

/// A category of one of the three kinds. `Group` in the rest of the project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Category {
    /// `category_id`, whatever its JSON type.
    pub id: String,
    /// `category_name`; may be empty.
    pub name: String,
}

/// A record of `get_live_streams`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LiveStream {
    /// `num`: the provider's order. Restarts within some lists.
    pub num: Option<u64>,
    /// `name`; may be empty.
    pub name: String,
    /// `stream_id`, whatever its JSON type; never empty.
    pub stream_id: String,
    /// `stream_icon`: the address of a picture.
    pub icon: Option<String>,
    /// `epg_channel_id`: the id of the channel in the guide.
    pub epg_channel_id: Option<String>,
    /// `category_id` first, then what `category_ids` adds; empty where the panel does not say.
    pub category_ids: Vec<String>,
    /// `added`, Unix seconds.
    pub added: Option<i64>,
    /// `tv_archive`: whether past programmes can be played.
    pub tv_archive: bool,
    /// `tv_archive_duration`, days.
    pub tv_archive_days: Option<u32>,
    /// `direct_source`: an address beside the panel's own, to be asked where that brings nothing.
    pub direct_source: Option<String>,
    /// `is_adult`.
    pub is_adult: bool,
}

/// A record of `get_vod_streams`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VodStream {
    /// `num`: the provider's order.
    pub num: Option<u64>,
    /// `name`; may be empty.
    pub name: String,
    /// `stream_id`; never empty.
    pub stream_id: String,
    /// `stream_icon`.
    pub icon: Option<String>,
    /// `category_id` first, then what `category_ids` adds.
    pub category_ids: Vec<String>,
    /// `added`, Unix seconds.
    pub added: Option<i64>,
    /// `container_extension` without the dot; `mp4` where the panel does not say.
    pub container_extension: String,
    /// `rating`, 0 to 10.
    pub rating: Option<f64>,
    /// `direct_source`.
    pub direct_source: Option<String>,
    /// `is_adult`.
    pub is_adult: bool,
}

/// A record of `get_series`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// `num`: the provider's order.
    pub num: Option<u64>,
    /// `name`; may be empty.
    pub name: String,
    /// `series_id`; never empty.
    pub series_id: String,
    /// `cover`: the address of a picture.
    pub cover: Option<String>,
    /// `category_id` first, then what `category_ids` adds.
    pub category_ids: Vec<String>,
    /// `plot`.
    pub plot: Option<String>,
    /// `cast`.
    pub cast: Option<String>,
    /// `director`.
    pub director: Option<String>,
    /// `genre`.
    pub genre: Option<String>,
    /// `releaseDate` or `release_date`, as written.
    pub release_date: Option<String>,
    /// `last_modified`, Unix seconds.
    pub last_modified: Option<i64>,
    /// `rating`, 0 to 10.
    pub rating: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct RawCategory {
    #[serde(deserialize_with = "lenient::id")]
    category_id: Option<String>,
    #[serde(deserialize_with = "lenient::name")]
    category_name: String,
}

impl RawCategory {
    pub(crate) fn record(self) -> Option<Category> {
        Some(Category {
            id: self.category_id?,
            name: self.category_name,
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct RawLiveStream {
    #[serde(deserialize_with = "lenient::count")]
    num: Option<u64>,
    #[serde(deserialize_with = "lenient::name")]
    name: String,
    #[serde(deserialize_with = "lenient::id")]
    stream_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    stream_icon: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    epg_channel_id: Option<String>,
    #[serde(deserialize_with = "lenient::id")]
    category_id: Option<String>,
    #[serde(deserialize_with = "lenient::ids")]
    category_ids: Vec<String>,
    #[serde(deserialize_with = "lenient::time")]
    added: Option<i64>,
    #[serde(deserialize_with = "lenient::flag")]
    tv_archive: bool,
    #[serde(deserialize_with = "lenient::count")]
    tv_archive_duration: Option<u32>,
    #[serde(deserialize_with = "lenient::text")]
    direct_source: Option<String>,
    #[serde(deserialize_with = "lenient::flag")]
    is_adult: bool,
}

impl RawLiveStream {
    pub(crate) fn record(self) -> Option<LiveStream> {
        Some(LiveStream {
            num: self.num,
            name: self.name,
            stream_id: self.stream_id?,
            icon: self.stream_icon,
            epg_channel_id: self.epg_channel_id,
            category_ids: joined(self.category_id, self.category_ids),
            added: self.added,
            tv_archive: self.tv_archive,
            tv_archive_days: self.tv_archive_duration,
            direct_source: self.direct_source,
            is_adult: self.is_adult,
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct RawVodStream {
    #[serde(deserialize_with = "lenient::count")]
    num: Option<u64>,
    #[serde(deserialize_with = "lenient::name")]
    name: String,
    #[serde(deserialize_with = "lenient::id")]
    stream_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    stream_icon: Option<String>,
    #[serde(deserialize_with = "lenient::id")]
    category_id: Option<String>,
    #[serde(deserialize_with = "lenient::ids")]
    category_ids: Vec<String>,
    #[serde(deserialize_with = "lenient::time")]
    added: Option<i64>,
    #[serde(deserialize_with = "lenient::text")]
    container_extension: Option<String>,
    #[serde(deserialize_with = "lenient::float")]
    rating: Option<f64>,
    #[serde(deserialize_with = "lenient::text")]
    direct_source: Option<String>,
    #[serde(deserialize_with = "lenient::flag")]
    is_adult: bool,
}

impl RawVodStream {
    pub(crate) fn record(self) -> Option<VodStream> {
        Some(VodStream {
            num: self.num,
            name: self.name,
            stream_id: self.stream_id?,
            icon: self.stream_icon,
            category_ids: joined(self.category_id, self.category_ids),
            added: self.added,
            container_extension: extension(self.container_extension),
            rating: self.rating,
            direct_source: self.direct_source,
            is_adult: self.is_adult,
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct RawSeries {
    #[serde(deserialize_with = "lenient::count")]
    num: Option<u64>,
    #[serde(deserialize_with = "lenient::name")]
    name: String,
    #[serde(deserialize_with = "lenient::id")]
    series_id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    cover: Option<String>,
    #[serde(deserialize_with = "lenient::id")]
    category_id: Option<String>,
    #[serde(deserialize_with = "lenient::ids")]
    category_ids: Vec<String>,
    #[serde(deserialize_with = "lenient::text")]
    plot: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    cast: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    director: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    genre: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    release_date: Option<String>,
    #[serde(rename = "releaseDate", deserialize_with = "lenient::text")]
    release_date_camel: Option<String>,
    #[serde(deserialize_with = "lenient::time")]
    last_modified: Option<i64>,
    #[serde(deserialize_with = "lenient::float")]
    rating: Option<f64>,
}

impl RawSeries {
    pub(crate) fn record(self) -> Option<Series> {
        Some(self.info()).filter(|series| !series.series_id.is_empty())
    }

    /// The series as `get_series_info` describes it, where the id is mostly missing.
    pub(crate) fn info(self) -> Series {
        Series {
            num: self.num,
            name: self.name,
            series_id: self.series_id.unwrap_or_default(),
            cover: self.cover,
            category_ids: joined(self.category_id, self.category_ids),
            plot: self.plot,
            cast: self.cast,
            director: self.director,
            genre: self.genre,
            release_date: self.release_date_camel.or(self.release_date),
            last_modified: self.last_modified,
            rating: self.rating,
        }
    }
}

/// The category that is always there on top, then the further ones of newer panels.
fn joined(first: Option<String>, further: Vec<String>) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in first.into_iter().chain(further) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// The file name extension of a film or an episode, without the dot.
pub(crate) fn extension(written: Option<String>) -> String {
    let written = written.unwrap_or_default();
    let bare = written.trim_start_matches('.');
    // It becomes part of an address.
    let usable = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if usable { bare.to_owned() } else { "mp4".to_owned() }
}
