//! The records of the flat lists: categories, live streams, films, series.

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
    /// `direct_source`: an address that bypasses the panel; to be used only where configured.
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
