//! What the lists say: M3U and Xtream, one entry at a time, so that a list of a million takes no memory. How they are
//! sent, and how badly, is `list_answer`'s.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::clip::Clip;
use crate::fault::List;
use crate::plan::{Account, Channel, SYNTHETIC_LIVE, SYNTHETIC_MOVIES, SYNTHETIC_SERIES};
use crate::provider::Shared;

/// Groups the synthetic entries are spread over.
const SYNTHETIC_GROUPS: u32 = 40;
/// Seasons of a series, and episodes of each.
const SEASONS: u32 = 2;
const EPISODES: u32 = 3;
/// Far enough off not to expire during a test: 2100-01-01.
const EXPIRES: &str = "4102444800";

/// Pieces of a list, in order.
pub(crate) type Pieces = Box<dyn Iterator<Item = String> + Send>;

struct Entry {
    id: String,
    name: String,
    group: String,
    guide_id: String,
}

/// The channel of a synthetic id.
pub(crate) fn synthetic_channel(shared: &Shared, id: &str) -> Option<Channel> {
    let number = id.parse::<u32>().ok()?.checked_sub(SYNTHETIC_LIVE)?;
    if number >= shared.plan.synthetic.live {
        return None;
    }
    let clip = usize::try_from(number)
        .ok()
        .and_then(|n| Clip::ALL.get(n % Clip::ALL.len()))?;
    Some(Channel::new(id, &synthetic("Channel", number), *clip))
}

fn synthetic(kind: &str, number: u32) -> String {
    format!("{kind} {number:06}")
}

fn synthetic_entries(kind: &'static str, first: u32, count: u32) -> impl Iterator<Item = Entry> + Send {
    (0..count).map(move |n| Entry {
        id: (first + n).to_string(),
        name: synthetic(kind, n),
        group: format!("{kind} group {:02}", n % SYNTHETIC_GROUPS),
        guide_id: format!("{}.{n}", kind.to_lowercase()),
    })
}

fn live(shared: &Shared) -> impl Iterator<Item = Entry> + Send + use<> {
    let given = shared.plan.channels.clone().into_iter().map(|c| Entry {
        id: c.id,
        name: c.name,
        group: c.group,
        guide_id: c.guide_id,
    });
    given.chain(synthetic_entries(
        "Channel",
        SYNTHETIC_LIVE,
        shared.plan.synthetic.live,
    ))
}

fn movies(shared: &Shared) -> impl Iterator<Item = Entry> + Send + use<> {
    let given = shared.plan.movies.clone().into_iter().map(|m| Entry {
        id: m.id,
        name: m.name,
        group: "Movies".to_owned(),
        guide_id: String::new(),
    });
    given.chain(synthetic_entries(
        "Movie",
        SYNTHETIC_MOVIES,
        shared.plan.synthetic.movies,
    ))
}

fn series(shared: &Shared) -> impl Iterator<Item = Entry> + Send + use<> {
    synthetic_entries("Series", SYNTHETIC_SERIES, shared.plan.synthetic.series)
}

/// An M3U list with the login's addresses; the nameless login's lead to `/stream/ID.ts`.
pub(crate) fn m3u(shared: &Shared, account: &Account, extension: &str) -> Pieces {
    let base = format!("http://{}", shared.addr);
    let (user, password) = (account.username.clone(), account.password.clone());
    let (prefix, film_prefix) = if user.is_empty() {
        (format!("{base}/stream"), None)
    } else {
        (
            format!("{base}/live/{user}/{password}"),
            Some(format!("{base}/movie/{user}/{password}")),
        )
    };
    let extension = extension.to_owned();
    let channels = live(shared).map(move |e| m3u_entry(&e, &prefix, &extension));
    let films = movies(shared);
    let films = film_prefix
        .into_iter()
        .zip([films])
        .flat_map(|(prefix, films)| films.map(move |e| m3u_entry(&e, &prefix, "mp4")));
    Box::new(
        std::iter::once("#EXTM3U\n".to_owned())
            .chain(channels)
            .chain(films),
    )
}

fn m3u_entry(e: &Entry, prefix: &str, extension: &str) -> String {
    format!(
        "#EXTINF:-1 tvg-id=\"{}\" tvg-name=\"{}\" tvg-logo=\"\" group-title=\"{}\",{}\n{prefix}/{}.{extension}\n",
        e.guide_id, e.name, e.group, e.name, e.id
    )
}

/// An answer of `/player_api.php`, and which list it is. Unknown actions get the login's object, as panels do.
pub(crate) fn player_api(
    shared: &Arc<Shared>,
    account: &Account,
    action: &str,
    parameter: impl Fn(&str) -> Option<String>,
) -> (List, Pieces) {
    let category = parameter("category_id").filter(|c| !matches!(c.as_str(), "" | "0" | "*"));
    match action {
        "get_live_categories" => (List::Categories, categories(live(shared))),
        "get_vod_categories" => (List::Categories, categories(movies(shared))),
        "get_series_categories" => (List::Categories, categories(series(shared))),
        "get_live_streams" => (
            List::Live,
            array(filed(live(shared), category).map(|f| live_json(&f))),
        ),
        "get_vod_streams" => (
            List::Movies,
            array(filed(movies(shared), category).map(|f| movie_json(&f))),
        ),
        "get_series" => (
            List::Series,
            array(filed(series(shared), category).map(|f| series_json(&f))),
        ),
        "get_vod_info" => (List::Detail, one(&movie_info(shared, parameter("vod_id")))),
        "get_series_info" => (List::Detail, one(&series_info(parameter("series_id")))),
        "get_short_epg" | "get_simple_data_table" => (List::Detail, one(&json!({"epg_listings": []}))),
        _ => (List::Login, one(&login(shared, account))),
    }
}

/// What panels say to a wrong password: 200 and this.
pub(crate) fn refused_login() -> Pieces {
    one(&json!({"user_info": {"auth": 0}}))
}

fn one(value: &Value) -> Pieces {
    Box::new(std::iter::once(value.to_string()))
}

fn array(values: impl Iterator<Item = Value> + Send + 'static) -> Pieces {
    let items = values
        .enumerate()
        .map(|(n, v)| if n == 0 { v.to_string() } else { format!(",{v}") });
    Box::new(
        std::iter::once("[".to_owned())
            .chain(items)
            .chain(["]".to_owned()]),
    )
}

/// An entry with its place in the list and the number of its category.
struct Filed {
    entry: Entry,
    number: usize,
    category: usize,
}

/// Files entries by the order in which their groups first appear, from 1.
fn filed(
    entries: impl Iterator<Item = Entry> + Send + 'static,
    only: Option<String>,
) -> impl Iterator<Item = Filed> + Send + 'static {
    let mut groups: Vec<String> = Vec::new();
    let filed = entries.enumerate().map(move |(n, entry)| {
        let at = groups.iter().position(|g| *g == entry.group).unwrap_or_else(|| {
            groups.push(entry.group.clone());
            groups.len() - 1
        });
        Filed {
            entry,
            number: n + 1,
            category: at + 1,
        }
    });
    filed.filter(move |f| only.as_ref().is_none_or(|c| *c == f.category.to_string()))
}

fn categories(entries: impl Iterator<Item = Entry> + Send + 'static) -> Pieces {
    let mut seen = 0;
    let first = filed(entries, None).filter_map(move |f| {
        (f.category > seen).then(|| {
            seen = f.category;
            json!({"category_id": f.category.to_string(), "category_name": f.entry.group, "parent_id": 0})
        })
    });
    array(first)
}

fn id_json(id: &str) -> Value {
    id.parse::<u64>().map_or_else(|_| json!(id), |n| json!(n))
}

fn live_json(f: &Filed) -> Value {
    json!({
        "num": f.number, "name": f.entry.name, "stream_type": "live", "stream_id": id_json(&f.entry.id),
        "stream_icon": "", "epg_channel_id": f.entry.guide_id, "added": "1600000000", "is_adult": "0",
        "category_id": f.category.to_string(), "category_ids": [f.category], "custom_sid": "",
        "tv_archive": 0, "direct_source": "", "tv_archive_duration": 0, "thumbnail": "",
    })
}

fn movie_json(f: &Filed) -> Value {
    json!({
        "num": f.number, "name": f.entry.name, "stream_type": "movie", "stream_id": id_json(&f.entry.id),
        "stream_icon": "", "rating": "7", "rating_5based": 3.5, "added": "1600000000", "is_adult": "0",
        "category_id": f.category.to_string(), "category_ids": [f.category],
        "container_extension": "mp4", "custom_sid": "", "direct_source": "",
    })
}

fn series_json(f: &Filed) -> Value {
    json!({
        "num": f.number, "name": f.entry.name, "series_id": id_json(&f.entry.id), "cover": "", "plot": "",
        "cast": "", "director": "", "genre": "", "releaseDate": "2020-01-01", "release_date": "2020-01-01",
        "last_modified": "1600000000", "rating": "7", "rating_5based": 3.5, "backdrop_path": [],
        "youtube_trailer": "", "episode_run_time": "0", "category_id": f.category.to_string(),
        "category_ids": [f.category],
    })
}

fn movie_info(shared: &Shared, id: Option<String>) -> Value {
    let found = id.and_then(|id| filed(movies(shared), None).find(|f| f.entry.id == id));
    found.map_or_else(
        || json!({"info": [], "movie_data": []}),
        |f| json!({"info": {"name": f.entry.name, "duration_secs": 5400}, "movie_data": movie_json(&f)}),
    )
}

/// The id of an episode: what its address holds.
fn episode_id(series: u32, season: u32, episode: u32) -> u64 {
    u64::from(series) * 100 + u64::from(season * 10 + episode)
}

fn series_info(id: Option<String>) -> Value {
    let Some(series) = id.and_then(|id| id.parse::<u32>().ok()) else {
        return json!({"seasons": [], "info": {}, "episodes": {}});
    };
    let season = |season: u32| {
        let episode = |episode: u32| {
            json!({
                "id": episode_id(series, season, episode).to_string(), "episode_num": episode,
                "title": format!("S{season:02}E{episode:02}"), "container_extension": "mp4", "info": {},
                "custom_sid": "", "added": "1600000000", "season": season, "direct_source": "",
            })
        };
        (
            season.to_string(),
            Value::from((1..=EPISODES).map(episode).collect::<Vec<_>>()),
        )
    };
    let seasons: Vec<Value> = (1..=SEASONS).map(|n| json!({"season_number": n})).collect();
    let episodes: serde_json::Map<String, Value> = (1..=SEASONS).map(season).collect();
    json!({"seasons": seasons, "info": {"name": synthetic("Series", series - series.min(SYNTHETIC_SERIES))}, "episodes": episodes})
}

fn login(shared: &Shared, account: &Account) -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    json!({
        "user_info": {
            "username": account.username, "password": account.password, "message": "", "auth": 1,
            "status": "Active", "exp_date": EXPIRES, "is_trial": "0",
            "active_cons": shared.door.counted(account).to_string(), "created_at": "1600000000",
            "max_connections": account.max_connections.to_string(),
            "allowed_output_formats": ["m3u8", "ts"],
        },
        "server_info": {
            "url": shared.addr.ip().to_string(), "port": shared.addr.port().to_string(), "https_port": "443",
            "server_protocol": "http", "rtmp_port": "0", "timezone": "UTC", "timestamp_now": now,
            "time_now": time_now(now),
        },
    })
}

/// `Y-m-d H:M:S` in UTC.
fn time_now(unix: u64) -> String {
    let (days, second) = (unix / 86_400, unix % 86_400);
    // Days since 0000-03-01, so that the leap day ends a year; after Howard Hinnant's `civil_from_days`.
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}")
}

/// A guide that names the channels and says nothing of them.
pub(crate) fn guide(shared: &Shared) -> Pieces {
    let channels = live(shared).filter(|e| !e.guide_id.is_empty()).map(|e| {
        let name = e.name.replace('&', "&amp;").replace('<', "&lt;");
        format!(
            "<channel id=\"{}\"><display-name>{name}</display-name></channel>\n",
            e.guide_id
        )
    });
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<tv>\n".to_owned();
    Box::new(
        std::iter::once(head)
            .chain(channels)
            .chain(["</tv>\n".to_owned()]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (unix, expected) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_735_689_599, "2024-12-31 23:59:59"),
        ] {
            assert_eq!(time_now(unix), expected);
        }
    }
}
