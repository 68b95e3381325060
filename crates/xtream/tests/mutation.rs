//! Every field of every kind of record through every kind of value: nothing but the field itself changes, and a record is
//! lost only with its id.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a test panics where it fails"
)]

use std::fmt::Debug;

use xtream::{Account, Category, Episode, LiveStream, Series, Summary, VodStream};

/// What stands in place of a field's own value, as bytes: JSON that is no UTF-8 is sent, too. `None`: nothing does.
const VALUES: [Option<&[u8]>; 34] = [
    None,
    Some(b"null"),
    Some(b"true"),
    Some(b"false"),
    Some(b"0"),
    Some(b"7"),
    Some(b"-7"),
    Some(b"2.5"),
    Some(b"-2.5"),
    Some(b"12.0"),
    Some(b"9223372036854775807"),
    Some(b"18446744073709551616"),
    Some(b"99999999999999999999999999999999"),
    Some(b"-99999999999999999999999999999999"),
    Some(b"1e400"),
    Some(b"-1e400"),
    Some(b"1e-400"),
    Some(b"\"\""),
    Some(b"\" \""),
    Some(b"\"x\""),
    Some(b"\" 7 \""),
    Some(b"\"7.5\""),
    Some(b"\"N/A\""),
    Some(b"\"1e400\""),
    Some(b"\"T\xe9l\xe9\""),
    Some(b"\"\xff\xfe\""),
    Some(b"\"a\tb\nc\""),
    Some(br#""\ud83d""#),
    Some(br#""\ud83d\ude00 \u0000""#),
    Some(b"[]"),
    Some(b"{}"),
    Some(b"[1,[2],{\"a\":3},\"x\",null,1e400]"),
    Some(b"{\"0\":\"1\",\"7\":{\"a\":[]}}"),
    Some(b"{\"id\":{\"id\":[[[[]]]]}}"),
];

/// Fields that are read as one: key, usual value.
type Fields = &'static [(&'static str, &'static str)];

/// What was read of a record: the keys that say it, and the value.
type Read = Vec<(&'static [&'static str], String)>;

fn says(keys: &'static [&'static str], value: &impl Debug) -> (&'static [&'static str], String) {
    (keys, format!("{value:?}"))
}

/// An object of `fields` in which `changed` has another value.
fn object(fields: Fields, changed: Option<(&str, Option<&[u8]>)>) -> Vec<u8> {
    let mut bytes = b"{".to_vec();
    for (name, usual) in fields {
        let value = match changed {
            Some((changed, value)) if changed == *name => value,
            _ => Some(usual.as_bytes()),
        };
        if let Some(value) = value {
            if bytes.len() > 1 {
                bytes.push(b',');
            }
            bytes.extend_from_slice(format!("\"{name}\":").as_bytes());
            bytes.extend_from_slice(value);
        }
    }
    bytes.push(b'}');
    bytes
}

/// Whether a value of an id names anything.
fn is_id(value: Option<&[u8]>) -> bool {
    let Some(value) = value else { return false };
    let is_number = value
        .first()
        .is_some_and(|byte| *byte == b'-' || byte.is_ascii_digit());
    let is_endless = value.ends_with(b"e400");
    let is_blank = value
        .strip_prefix(b"\"")
        .is_some_and(|rest| rest.trim_ascii_start() == b"\"");
    (is_number && !is_endless) || (value.starts_with(b"\"") && !is_blank)
}

fn shown(value: Option<&[u8]>) -> String {
    value.map_or_else(
        || "missing".to_owned(),
        |value| String::from_utf8_lossy(value).into_owned(),
    )
}

/// Nothing differs but what the changed key says.
fn check_rest(usual: &Read, found: &Read, key: &str, value: Option<&[u8]>) {
    for ((keys, usual), (_, found)) in usual.iter().zip(found) {
        assert!(
            usual == found || keys.contains(&key),
            "{key}: {}: {keys:?} is {found} in place of {usual}",
            shown(value)
        );
    }
}

/// Three records in a list, of which the middle one is changed.
fn check_list<T>(
    fields: Fields,
    id: &str,
    read: impl Fn(&[u8], &mut dyn FnMut(T)) -> Summary,
    rest: impl Fn(&T) -> Read,
) {
    let all = |changed| {
        let (usual, odd) = (object(fields, None), object(fields, changed));
        let list = [b"[", &*usual, b",", &odd, b",", &usual, b"]"].concat();
        let mut records = Vec::new();
        let summary = read(&list, &mut |record| records.push(record));
        (records.iter().map(&rest).collect::<Vec<Read>>(), summary)
    };
    let (records, _) = all(None);
    let usual = records.first().expect("a record").clone();
    assert!(
        usual.iter().all(|(_, value)| value != "None"),
        "{usual:?}: a sample that says nothing"
    );
    for (key, _) in fields.iter().chain(&[("unknown", "")]) {
        for value in VALUES {
            let (mut records, summary) = all(Some((*key, value)));
            let is_lost = *key == id && !is_id(value);
            let counts = (summary.records, summary.bad);
            let expected = if is_lost { (2, 1) } else { (3, 0) };
            assert_eq!(counts, expected, "{key}: {}", shown(value));
            assert_eq!(
                records.remove(0),
                usual,
                "{key}: {}: the record before",
                shown(value)
            );
            assert_eq!(
                records.pop().as_ref(),
                Some(&usual),
                "{key}: {}: the record behind",
                shown(value)
            );
            if let Some(odd) = records.first() {
                check_rest(&usual, odd, key, value);
            }
        }
    }
}

#[test]
fn live_streams() {
    const FIELDS: Fields = &[
        ("num", "1"),
        ("name", "\"Télé\""),
        ("stream_type", "\"live\""),
        ("stream_id", "11"),
        ("stream_icon", "\"http://i/1\""),
        ("epg_channel_id", "\"one.uk\""),
        ("added", "\"1600000000\""),
        ("is_adult", "\"1\""),
        ("category_id", "\"5\""),
        ("category_ids", "[5,6]"),
        ("custom_sid", "\"\""),
        ("tv_archive", "1"),
        ("direct_source", "\"http://d/1\""),
        ("tv_archive_duration", "7"),
        ("thumbnail", "\"\""),
    ];
    let read =
        |list: &[u8], each: &mut dyn FnMut(LiveStream)| xtream::live_streams(list, each).expect("a list");
    check_list(FIELDS, "stream_id", read, |live| {
        vec![
            says(&["num"], &live.num),
            says(&["name"], &live.name),
            says(&["stream_id"], &live.stream_id),
            says(&["stream_icon"], &live.icon),
            says(&["epg_channel_id"], &live.epg_channel_id),
            says(&["added"], &live.added),
            says(&["is_adult"], &live.is_adult),
            says(&["category_id", "category_ids"], &live.category_ids),
            says(&["tv_archive"], &live.tv_archive),
            says(&["tv_archive_duration"], &live.tv_archive_days),
            says(&["direct_source"], &live.direct_source),
        ]
    });
}

#[test]
fn films() {
    const FIELDS: Fields = &[
        ("num", "1"),
        ("name", "\"Été\""),
        ("stream_id", "\"11\""),
        ("stream_icon", "\"http://i/1\""),
        ("rating", "\"7.5\""),
        ("rating_5based", "3.5"),
        ("added", "\"1600000000\""),
        ("is_adult", "1"),
        ("category_id", "\"5\""),
        ("category_ids", "[5,6]"),
        ("container_extension", "\"mkv\""),
        ("direct_source", "\"http://d/1\""),
    ];
    let read =
        |list: &[u8], each: &mut dyn FnMut(VodStream)| xtream::vod_streams(list, each).expect("a list");
    check_list(FIELDS, "stream_id", read, |film| {
        vec![
            says(&["num"], &film.num),
            says(&["name"], &film.name),
            says(&["stream_id"], &film.stream_id),
            says(&["stream_icon"], &film.icon),
            says(&["rating"], &film.rating),
            says(&["added"], &film.added),
            says(&["is_adult"], &film.is_adult),
            says(&["category_id", "category_ids"], &film.category_ids),
            says(&["container_extension"], &film.container_extension),
            says(&["direct_source"], &film.direct_source),
        ]
    });
}

const SERIES: Fields = &[
    ("num", "1"),
    ("name", "\"Série\""),
    ("series_id", "11"),
    ("cover", "\"http://i/1\""),
    ("plot", "\"p\""),
    ("cast", "\"c\""),
    ("director", "\"d\""),
    ("genre", "\"g\""),
    ("releaseDate", "\"2020-01-01\""),
    ("release_date", "\"2020-01-01\""),
    ("last_modified", "\"1600000000\""),
    ("rating", "\"7\""),
    ("rating_5based", "3.5"),
    ("backdrop_path", "[]"),
    ("youtube_trailer", "\"\""),
    ("episode_run_time", "\"0\""),
    ("category_id", "\"5\""),
    ("category_ids", "[5,6]"),
];

fn of_series(series: &Series) -> Read {
    vec![
        says(&["num"], &series.num),
        says(&["name"], &series.name),
        says(&["series_id"], &series.series_id),
        says(&["cover"], &series.cover),
        says(&["plot"], &series.plot),
        says(&["cast"], &series.cast),
        says(&["director"], &series.director),
        says(&["genre"], &series.genre),
        says(&["releaseDate", "release_date"], &series.release_date),
        says(&["last_modified"], &series.last_modified),
        says(&["rating"], &series.rating),
        says(&["category_id", "category_ids"], &series.category_ids),
    ]
}

#[test]
fn series() {
    let read = |list: &[u8], each: &mut dyn FnMut(Series)| xtream::series(list, each).expect("a list");
    check_list(SERIES, "series_id", read, of_series);
}

#[test]
fn categories() {
    const FIELDS: Fields = &[
        ("category_id", "\"5\""),
        ("category_name", "\"Actualités\""),
        ("parent_id", "0"),
    ];
    let read = |list: &[u8], each: &mut dyn FnMut(Category)| xtream::categories(list, each).expect("a list");
    check_list(FIELDS, "category_id", read, |category| {
        vec![
            says(&["category_id"], &category.id),
            says(&["category_name"], &category.name),
        ]
    });
}

const USER: Fields = &[
    ("username", "\"u\""),
    ("password", "\"p\""),
    ("message", "\"Grüße\""),
    ("auth", "1"),
    ("status", "\"Active\""),
    ("exp_date", "\"1893456000\""),
    ("is_trial", "\"1\""),
    ("active_cons", "\"1\""),
    ("created_at", "\"1600000000\""),
    ("max_connections", "\"2\""),
    ("allowed_output_formats", "[\"m3u8\",\"ts\"]"),
];

const SERVER: Fields = &[
    ("xui", "true"),
    ("version", "\"1.5\""),
    ("revision", "2"),
    ("url", "\"h\""),
    ("port", "\"80\""),
    ("https_port", "\"443\""),
    ("server_protocol", "\"http\""),
    ("rtmp_port", "\"0\""),
    ("timezone", "\"Europe/London\""),
    ("timestamp_now", "1700000000"),
    ("time_now", "\"2023-11-14 22:13:20\""),
    ("process", "true"),
];

fn of_account(account: &Account) -> Read {
    let server = &account.server;
    vec![
        says(&["username", "user_info"], &account.username),
        says(&["message", "user_info"], &account.message),
        says(&["auth", "user_info"], &account.auth),
        says(&["status", "user_info"], &account.status),
        says(&["exp_date", "user_info"], &account.expires_at),
        says(&["is_trial", "user_info"], &account.is_trial),
        says(&["active_cons", "user_info"], &account.active_connections),
        says(&["created_at", "user_info"], &account.created_at),
        says(&["max_connections", "user_info"], &account.max_connections),
        says(
            &["allowed_output_formats", "user_info"],
            &account.allowed_output_formats,
        ),
        says(&["url", "server_info"], &server.host),
        says(&["port", "server_info"], &server.port),
        says(&["https_port", "server_info"], &server.https_port),
        says(&["server_protocol", "server_info"], &server.protocol),
        says(&["timezone", "server_info"], &server.timezone),
        says(&["timestamp_now", "server_info"], &server.timestamp_now),
        says(&["time_now", "server_info"], &server.time_now),
    ]
}

#[test]
fn accounts() {
    let read = |user: Option<&[u8]>, server: Option<&[u8]>| {
        let part = |name: &str, value: Option<&[u8]>| {
            value.map(|value| [format!("\"{name}\":").as_bytes(), value].concat())
        };
        let parts: Vec<Vec<u8>> = [part("user_info", user), part("server_info", server)]
            .into_iter()
            .flatten()
            .collect();
        let body = [b"{", &*parts.join(&b','), b"}"].concat();
        let account = xtream::account(&*body);
        of_account(&account.unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(&body))))
    };
    let (user, server) = (object(USER, None), object(SERVER, None));
    let usual = read(Some(&user), Some(&server));
    assert!(
        usual.iter().all(|(_, value)| value != "None"),
        "{usual:?}: a sample that says nothing"
    );
    for value in VALUES {
        for (key, _) in USER {
            let changed = object(USER, Some((*key, value)));
            check_rest(&usual, &read(Some(&changed), Some(&server)), key, value);
        }
        for (key, _) in SERVER {
            let changed = object(SERVER, Some((*key, value)));
            check_rest(&usual, &read(Some(&user), Some(&changed)), key, value);
        }
        check_rest(&usual, &read(value, Some(&server)), "user_info", value);
        check_rest(&usual, &read(Some(&user), value), "server_info", value);
    }
}

const EPISODE: Fields = &[
    ("id", "\"11\""),
    ("episode_num", "2"),
    ("title", "\"Épisode\""),
    ("container_extension", "\"mkv\""),
    ("info", "{}"),
    ("custom_sid", "\"\""),
    ("added", "\"1600000000\""),
    ("season", "3"),
    ("direct_source", "\"http://d/1\""),
];

fn of_episode(episode: &Episode) -> Read {
    vec![
        says(&["id"], &episode.id),
        says(&["episode_num"], &episode.episode_num),
        says(&["title"], &episode.title),
        says(&["container_extension"], &episode.container_extension),
        says(&["added"], &episode.added),
        says(&["season"], &episode.season),
        says(&["direct_source"], &episode.direct_source),
    ]
}

#[test]
fn episodes() {
    let read = |info: Option<&[u8]>, episodes: Option<&[u8]>| {
        let info = info.map(|info| [b"\"info\":", info].concat());
        let episodes = episodes.map(|episodes| [b"\"episodes\":", episodes].concat());
        let parts: Vec<Vec<u8>> = [Some(b"\"seasons\":[]".to_vec()), info, episodes]
            .into_iter()
            .flatten()
            .collect();
        let body = [b"{", &*parts.join(&b','), b"}"].concat();
        xtream::series_info(&*body)
            .unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(&body)))
    };
    let season = |changed| {
        let (usual, odd) = (object(EPISODE, None), object(EPISODE, changed));
        [b"{\"3\":[", &*usual, b",", &odd, b",", &usual, b"]}"].concat()
    };
    let (info, whole) = (object(SERIES, None), season(None));
    let found = read(Some(&info), Some(&whole));
    let usual = (of_series(&found.series), of_episode(&found.episodes[0]));
    for value in VALUES {
        for (key, _) in SERIES {
            let changed = object(SERIES, Some((*key, value)));
            let found = read(Some(&changed), Some(&whole));
            check_rest(&usual.0, &of_series(&found.series), key, value);
            assert!(
                found
                    .episodes
                    .iter()
                    .all(|episode| of_episode(episode) == usual.1),
                "{key}"
            );
        }
        for (key, _) in EPISODE {
            let found = read(Some(&info), Some(&season(Some((*key, value)))));
            let is_lost = *key == "id" && !is_id(value);
            let expected = if is_lost { (2, 1) } else { (3, 0) };
            assert_eq!(
                (found.episodes.len(), found.bad),
                expected,
                "{key}: {}",
                shown(value)
            );
            let same = found
                .episodes
                .iter()
                .filter(|episode| of_episode(episode) == usual.1);
            assert!(same.count() >= 2, "{key}: {}", shown(value));
            for episode in &found.episodes {
                check_rest(&usual.1, &of_episode(episode), key, value);
            }
            assert_eq!(of_series(&found.series), usual.0, "{key}: {}", shown(value));
        }
        assert_eq!(
            read(value, Some(&whole)).episodes.len(),
            3,
            "info: {}",
            shown(value)
        );
        assert_eq!(
            of_series(&read(Some(&info), value).series),
            usual.0,
            "episodes: {}",
            shown(value)
        );
    }
}
