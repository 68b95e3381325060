//! What panels in the field answer, quirk by quirk, with what is read of it.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a test panics where it fails"
)]

use xtream::{Account, Found, ListErrorKind, Status, account, live_streams, series_info, vod_streams};

fn account_of(user: &str, server: &str) -> Account {
    let json = format!("{{\"user_info\":{{{user}}},\"server_info\":{{{server}}}}}");
    account(json.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"))
}

#[test]
fn what_accounts_say_of_themselves() {
    // X1: a count that is none is unknown.
    for active in ["\"N/A\"", "\"\"", "null", "[]", "-1"] {
        let found = account_of(&format!("\"auth\":1,\"active_cons\":{active}"), "");
        assert_eq!(
            (found.auth, found.active_connections),
            (Some(true), None),
            "{active}"
        );
    }
    // X2: numbers bare and quoted.
    for (auth, max) in [("1", "6"), ("\"1\"", "\"6\""), ("true", "6.0")] {
        let found = account_of(&format!("\"auth\":{auth},\"max_connections\":{max}"), "");
        assert_eq!(
            (found.auth, found.max_connections),
            (Some(true), Some(6)),
            "{auth} {max}"
        );
    }
    // X3: an account without an end; one without a limit.
    let found = account_of(
        "\"exp_date\":null,\"is_trial\":\"0\",\"max_connections\":\"0\"",
        "",
    );
    assert_eq!(
        (found.expires_at, found.is_trial, found.max_connections),
        (None, false, None)
    );
    // X7: ports of any kind, and fields nobody knows.
    for (server, expected) in [
        (
            "\"https_port\":\"\",\"port\":\"8080\",\"xui\":true",
            (Some(8080), None),
        ),
        (
            "\"https_port\":2087,\"port\":80,\"version\":\"1\",\"revision\":null",
            (Some(80), Some(2087)),
        ),
        (
            "\"https_port\":\"x\",\"port\":99999,\"process\":true",
            (None, None),
        ),
    ] {
        let found = account_of("\"auth\":1", server).server;
        assert_eq!((found.port, found.https_port), expected, "{server}");
    }
    // X9: what can be asked for.
    for (formats, expected) in [
        ("[\"ts\"]", &["ts"][..]),
        ("[\"M3U8\",\"ts\"]", &["m3u8", "ts"]),
        ("null", &[]),
    ] {
        let found = account_of(&format!("\"allowed_output_formats\":{formats}"), "");
        assert_eq!(found.allowed_output_formats, expected, "{formats}");
    }
    // X19: accounts that ended say so in one word or another.
    for (user, auth, status) in [
        ("\"auth\":0", Some(false), Status::Unknown),
        ("\"auth\":1,\"status\":\"Banned\"", Some(true), Status::Banned),
        (
            "\"auth\":\"1\",\"status\":\"expired\"",
            Some(true),
            Status::Expired,
        ),
        ("\"auth\":1,\"status\":\"Disabled\"", Some(true), Status::Disabled),
    ] {
        let found = account_of(user, "");
        assert_eq!((found.auth, found.status), (auth, status), "{user}");
    }
}

#[test]
fn what_series_look_like() {
    // X4, X5, X6, and every nesting of episodes.
    for (body, ids) in [
        ("[]", &[][..]),
        ("null", &[]),
        ("{\"info\":[],\"episodes\":[]}", &[]),
        (
            "{\"info\":[],\"episodes\":{\"1\":[{\"id\":\"7\",\"info\":[]}]}}",
            &["7"],
        ),
        (
            "{\"info\":{},\"episodes\":[[{\"id\":7,\"info\":null}],[{\"id\":8}]]}",
            &["7", "8"],
        ),
        (
            "{\"info\":{},\"episodes\":[{\"id\":\"9\",\"info\":{\"video\":[]}}]}",
            &["9"],
        ),
        ("{\"info\":{},\"episodes\":null}", &[]),
    ] {
        let found = series_info(body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error}"));
        let found: Vec<&str> = found.episodes.iter().map(|episode| episode.id.as_str()).collect();
        assert_eq!(found, ids, "{body}");
    }
}

#[test]
fn what_lists_look_like() {
    // X2, X8: ids of any kind; categories that are missing, blank or listed nowhere. One bad record costs one record.
    for (record, expected) in [
        (
            "{\"stream_id\":1,\"name\":\"A\",\"category_id\":null}",
            Some(("1", &[][..])),
        ),
        (
            "{\"stream_id\":\"1\",\"name\":\"A\",\"category_id\":\"\"}",
            Some(("1", &[])),
        ),
        (
            "{\"stream_id\":1.0,\"name\":null,\"category_id\":5,\"category_ids\":[5,\"6\"]}",
            Some(("1", &["5", "6"])),
        ),
        ("{\"stream_id\":\"1\"}", Some(("1", &[]))),
        ("{\"stream_id\":null,\"name\":\"A\"}", None),
        ("{\"name\":\"A\"}", None),
        ("[]", None),
        ("null", None),
        ("\"text\"", None),
        ("{\"stream_id\":1,broken}", None),
    ] {
        let body = format!(
            "[{{\"stream_id\":8,\"name\":\"Before\"}},{record},{{\"stream_id\":9,\"name\":\"Behind\"}}]"
        );
        let mut found = Vec::new();
        let summary = live_streams(body.as_bytes(), |stream| found.push(stream))
            .unwrap_or_else(|error| panic!("{record}: {error}"));
        let (first, last) = (found.remove(0), found.pop().expect("the record behind"));
        assert_eq!(
            (first.name.as_str(), last.name.as_str()),
            ("Before", "Behind"),
            "{record}"
        );
        let odd = found
            .first()
            .map(|stream| (stream.stream_id.as_str(), stream.category_ids.as_slice()));
        let expected = expected
            .map(|(id, categories)| (id, categories.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>()));
        assert_eq!(
            odd.map(|(id, categories)| (id, categories.to_vec())),
            expected,
            "{record}"
        );
        assert_eq!(summary.bad, u64::from(found.is_empty()), "{record}");
    }
}

#[test]
fn what_films_are_asked_for_with() {
    // X12: a path that needs the ending of its record; the panel's other address is read and left to the caller.
    for (record, extension, direct) in [
        ("\"container_extension\":\"mkv\"", "mkv", None),
        ("\"container_extension\":\".AVI\"", "AVI", None),
        ("\"container_extension\":null", "mp4", None),
        ("\"container_extension\":\"a/b?c\"", "mp4", None),
        (
            "\"container_extension\":[],\"direct_source\":\"http://cdn.example/7.mkv\"",
            "mp4",
            Some("http://cdn.example/7.mkv"),
        ),
        ("\"direct_source\":\"\"", "mp4", None),
        // X10: segments instead of a file.
        ("\"container_extension\":\"m3u8\"", "m3u8", None),
    ] {
        let body = format!("[{{\"stream_id\":7,\"name\":\"A\",{record}}}]");
        let mut found = Vec::new();
        vod_streams(body.as_bytes(), |film| found.push(film))
            .unwrap_or_else(|error| panic!("{record}: {error}"));
        let film = found.pop().expect("a film");
        assert_eq!(
            (film.container_extension.as_str(), film.direct_source.as_deref()),
            (extension, direct),
            "{record}"
        );
    }
}

#[test]
fn what_past_programmes_look_like() {
    // X18: whether there are any, in every type; their addresses count at the login they hold, whatever form the time
    // has.
    for (record, expected) in [
        ("\"tv_archive\":1,\"tv_archive_duration\":\"7\"", (true, Some(7))),
        (
            "\"tv_archive\":\"1\",\"tv_archive_duration\":7.0",
            (true, Some(7)),
        ),
        ("\"tv_archive\":\"0\",\"tv_archive_duration\":null", (false, None)),
        ("\"tv_archive\":null,\"tv_archive_duration\":\"\"", (false, None)),
    ] {
        let body = format!("[{{\"stream_id\":7,\"name\":\"A\",{record}}}]");
        let mut found = Vec::new();
        live_streams(body.as_bytes(), |stream| found.push(stream))
            .unwrap_or_else(|error| panic!("{record}: {error}"));
        let stream = found.pop().expect("a stream");
        assert_eq!((stream.tv_archive, stream.tv_archive_days), expected, "{record}");
    }
    for time in [
        "2026-01-31:20-00",
        "2026-01-31:20:00",
        "2026-01-31_20-00",
        "2026-01-31%2020:00:00",
        "1769889600",
    ] {
        let url = format!("http://h/timeshift/U/P/60/{time}/1.ts");
        let login = xtream::url::credentials_in(&url).unwrap_or_else(|| panic!("{url}"));
        assert_eq!(login.pool_key(), "U@h", "{url}");
    }
}

#[test]
fn what_comes_in_place_of_a_list() {
    // X13, X19: none of it is an empty list, which only `[]` is.
    assert_eq!(live_streams(&b"[]"[..], drop).expect("a list").records, 0);
    for body in [
        "",
        "null",
        "false",
        "{}",
        "<html>",
        "{\"user_info\":{\"auth\":0}}",
        "Too many requests",
    ] {
        let error = live_streams(body.as_bytes(), drop).expect_err(body);
        assert!(
            matches!(error.kind, ListErrorKind::NotAList(_)),
            "{body}: {error}"
        );
        let is_login = matches!(error.kind, ListErrorKind::NotAList(Found::Login(_)));
        assert_eq!(is_login, body.contains("user_info"), "{body}");
    }
    for body in ["[{\"stream_id\":1}", "[{\"stream_id\":1},{\"stream_i", "["] {
        let error = live_streams(body.as_bytes(), drop).expect_err(body);
        assert!(matches!(error.kind, ListErrorKind::Truncated), "{body}: {error}");
    }
}
