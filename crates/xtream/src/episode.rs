//! The answer of `get_series_info`: the episodes of one series, in every shape panels nest them.

use std::io::Read;

use serde::Deserialize;
use serde_json::Value;

use crate::stream::{RawSeries, extension};
use crate::{Error, Found, Series, account, body, lenient};

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
    let unexpected = |found| Error::Unexpected {
        expected: "the episodes of a series",
        found,
    };
    let json = match body::object(body, SERIES_INFO_BYTES_MAX)? {
        Ok(json) => json,
        Err(Found::EmptyList | Found::Null | Found::False) => return Ok(SeriesInfo::default()),
        Err(found) => return Err(unexpected(found)),
    };
    let answer: Answer = body::parse(&json)?;
    if answer.info.is_none() && answer.episodes.is_none() {
        return match account::in_object(&json)? {
            Some(account) => Err(unexpected(Found::Login(Box::new(account)))),
            None => match account::not_a_login(&json) {
                Found::EmptyObject => Ok(SeriesInfo::default()),
                Found::Object(key) if key == "seasons" => Ok(SeriesInfo::default()),
                found => Err(unexpected(found)),
            },
        };
    }
    let series = answer.info.unwrap_or_default().info();
    let mut found = SeriesInfo {
        series,
        ..SeriesInfo::default()
    };
    collect(answer.episodes.unwrap_or_default(), None, DEPTH_MAX, &mut found);
    found
        .episodes
        .sort_by_key(|episode| (episode.season, episode.episode_num));
    Ok(found)
}

/// Series, season and one level more that some panels put in between.
const DEPTH_MAX: usize = 4;

/// Takes the episodes out of any nesting of lists and objects. `season` is the key they are filed under.
fn collect(value: Value, season: Option<u32>, depth: usize, found: &mut SeriesInfo) {
    match value {
        Value::Object(fields) if is_episode(&fields) => match episode(Value::Object(fields), season) {
            Some(episode) => found.episodes.push(episode),
            None => found.bad += 1,
        },
        Value::Object(fields) if depth > 0 => {
            for (key, value) in fields {
                let filed_under = season.or_else(|| key.trim().parse().ok());
                let is_one = value.as_object().is_some_and(is_episode);
                // The keys of a flat list are places, not seasons.
                collect(value, if is_one { season } else { filed_under }, depth - 1, found);
            }
        }
        // The place in a list says nothing about the season.
        Value::Array(items) if depth > 0 => {
            for item in items {
                collect(item, season, depth - 1, found);
            }
        }
        Value::Null | Value::Bool(_) => {}
        _ => found.bad += 1,
    }
}

fn is_episode(fields: &serde_json::Map<String, Value>) -> bool {
    ["id", "episode_num", "container_extension"]
        .iter()
        .any(|key| fields.contains_key(*key))
}

fn episode(value: Value, season: Option<u32>) -> Option<Episode> {
    let raw: RawEpisode = serde_json::from_value(value).ok()?;
    Some(Episode {
        id: raw.id?,
        season: raw.season.or(season),
        episode_num: raw.episode_num,
        title: raw.title,
        container_extension: extension(raw.container_extension),
        added: raw.added,
        direct_source: raw.direct_source,
    })
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "lenient::object")]
    info: Option<RawSeries>,
    episodes: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawEpisode {
    #[serde(deserialize_with = "lenient::id")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient::count")]
    season: Option<u32>,
    #[serde(deserialize_with = "lenient::count")]
    episode_num: Option<u32>,
    #[serde(deserialize_with = "lenient::name")]
    title: String,
    #[serde(deserialize_with = "lenient::text")]
    container_extension: Option<String>,
    #[serde(deserialize_with = "lenient::time")]
    added: Option<i64>,
    #[serde(deserialize_with = "lenient::text")]
    direct_source: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (id, season) of every episode, and the bad ones.
    fn check(episodes: &str, expected: &[(&str, Option<u32>)], bad: u64) {
        let json = format!(r#"{{"seasons":[],"info":{{"name":"S","cover":""}},"episodes":{episodes}}}"#);
        let info = series_info(json.as_bytes()).unwrap();
        let found: Vec<_> = info.episodes.iter().map(|e| (e.id.as_str(), e.season)).collect();
        assert_eq!((found.as_slice(), info.bad), (expected, bad), "{episodes}");
        assert_eq!((info.series.name.as_str(), info.series.cover), ("S", None));
    }

    #[test]
    fn every_nesting_of_episodes() {
        check(
            r#"{"1":[{"id":"10","season":1}],"2":[{"id":20}]}"#,
            &[("10", Some(1)), ("20", Some(2))],
            0,
        );
        check(
            r#"[[{"id":1,"season":3}],[{"id":2,"season":"4"}]]"#,
            &[("1", Some(3)), ("2", Some(4))],
            0,
        );
        check(
            r#"[{"id":1,"season":3},{"id":2}]"#,
            &[("2", None), ("1", Some(3))],
            0,
        );
        check(
            r#"{"0":{"id":1,"season":3},"1":{"id":2,"season":3}}"#,
            &[("1", Some(3)), ("2", Some(3))],
            0,
        );
        check(
            r#"{"2":{"0":{"id":1},"1":{"id":2}}}"#,
            &[("1", Some(2)), ("2", Some(2))],
            0,
        );
        check("[]", &[], 0);
        check("{}", &[], 0);
        check("null", &[], 0);
        check("\"\"", &[], 1);
        check(
            r#"{"1":[{"id":null,"episode_num":1},7,{"id":1,"info":[]}]}"#,
            &[("1", Some(1))],
            2,
        );
    }

    #[test]
    fn answers_without_episodes() {
        for body in [
            "[]",
            "{}",
            "null",
            "false",
            r#"{"info":[],"episodes":[]}"#,
            r#"{"seasons":[]}"#,
        ] {
            assert_eq!(
                series_info(body.as_bytes()).unwrap(),
                SeriesInfo::default(),
                "{body}"
            );
        }
        for body in [
            "",
            r#"{"user_info":{"auth":0}}"#,
            "<html>",
            r#"{"error":1}"#,
            r#"[{"id":1}]"#,
        ] {
            assert!(
                matches!(series_info(body.as_bytes()), Err(Error::Unexpected { .. })),
                "{body}"
            );
        }
    }

    #[test]
    fn extensions_are_safe_in_an_address() {
        for (json, expected) in [
            ("\".mkv\"", "mkv"),
            ("null", "mp4"),
            ("\"a/b\"", "mp4"),
            ("5", "5"),
        ] {
            let body = format!(r#"{{"episodes":[{{"id":1,"container_extension":{json}}}]}}"#);
            let info = series_info(body.as_bytes()).unwrap();
            assert_eq!(info.episodes[0].container_extension, expected, "{json}");
        }
    }
}
