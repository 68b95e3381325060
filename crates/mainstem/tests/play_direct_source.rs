//! Films and channels that a panel has not where it says, and has under the address it names beside that.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test panics where it fails"
)]

#[path = "support/control.rs"]
mod control;
mod support;

use std::time::Duration;

use control::{Web, details, until_details, until_names};
use provider_double::{Account, Channel, Clip, Plan, Provider};
use support::process::QUICK;
use support::{Mainstem, SOON, Viewer, get, get_json, request};

/// Bytes that begin like a film.
const FILM: &[u8] = b"\0\0\0\x18ftypisom\0\0\0\0isomiso2 a film";

/// An account of one connection.
fn panel(web: &Web, live: &str, films: &str) -> String {
    for (action, body) in [
        ("", r#"{"user_info":{"auth":1,"max_connections":"1"}}"#),
        ("&action=get_live_categories", "[]"),
        ("&action=get_vod_categories", "[]"),
        ("&action=get_live_streams", live),
        ("&action=get_vod_streams", films),
    ] {
        let path = format!("/player_api.php?username=u&password=p{action}");
        web.page(&path, body.as_bytes());
    }
    format!(
        "{QUICK}log_level: DEBUG\nsources:\n  - {{name: s, type: xtream, url: \"{}\", username: u, password: p, series: off}}\n",
        web.url("")
    )
}

/// What was asked for so far, without the lists.
fn asked(web: &Web) -> Vec<String> {
    let heads = web.heads();
    let paths = heads.iter().filter_map(|head| head.split(' ').nth(1));
    paths
        .filter(|path| !path.contains("player_api"))
        .map(str::to_owned)
        .collect()
}

async fn link(mainstem: &Mainstem, name: &str) -> String {
    mainstem.stream_url(name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_comes_from_where_its_panel_says_it_is_if_not_from_the_panel() {
    let web = Web::start().await;
    let other = Web::start().await;
    other.page("/cdn/SECRET/1.mkv", FILM);
    other.page("/movie/someone/else/3.mkv", FILM);
    web.page("/movie/u/p/4.mkv", FILM);
    let films = [
        format!(
            r#"{{"stream_id":1,"name":"Beside","container_extension":"mkv","direct_source":"{}"}}"#,
            other.url("/cdn/SECRET/1.mkv")
        ),
        format!(
            r#"{{"stream_id":2,"name":"Nowhere","container_extension":"mkv","direct_source":"{}"}}"#,
            other.url("/cdn/SECRET/2.mkv")
        ),
        format!(
            r#"{{"stream_id":3,"name":"Foreign","container_extension":"mkv","direct_source":"{}"}}"#,
            other.url("/movie/someone/else/3.mkv")
        ),
        format!(
            r#"{{"stream_id":4,"name":"Usual","container_extension":"mkv","direct_source":"{}"}}"#,
            other.url("/cdn/SECRET/4.mkv")
        ),
    ];
    let config = panel(&web, "[]", &format!("[{}]", films.join(",")));
    let mainstem = Mainstem::start(&config).await;
    until_names(&mainstem, &["Beside", "Nowhere", "Foreign", "Usual"]).await;

    // In order, and remembered: the panel is not asked for every part of a film it has not.
    let url = link(&mainstem, "Beside").await;
    for round in 0..3 {
        let film = request("GET", &url, &[("Range", "bytes=0-")]).await;
        assert!(film.body == FILM, "{round}: {} {}", film.status, film.text());
    }
    assert_eq!(asked(&web), ["/movie/u/p/1.mkv"]);
    assert_eq!(asked(&other), ["/cdn/SECRET/1.mkv"; 3]);

    // Where neither has it, the panel's answer stands; and the other address is left alone for a while.
    let url = link(&mainstem, "Nowhere").await;
    for _ in 0..2 {
        let answer = get(&url).await;
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("404"), "{}", answer.text());
    }
    assert_eq!(asked(&web)[1..], ["/movie/u/p/2.mkv"; 2]);
    assert_eq!(asked(&other)[3..], ["/cdn/SECRET/2.mkv"]);

    // Nobody knows how many connections another login has.
    assert_eq!(get(&link(&mainstem, "Foreign").await).await.status, 404);
    assert!(get(&link(&mainstem, "Usual").await).await.body == FILM);
    assert_eq!(asked(&other).len(), 4);

    let status = get(&mainstem.url("/status")).await.text();
    let streams = get(&mainstem.url("/streams")).await.text();
    for text in [mainstem.log(), status, streams] {
        assert!(!text.contains("SECRET") && !text.contains("someone"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_from_beside_counts_at_the_login_of_its_panel() {
    let provider = Provider::start(
        Plan::new()
            .account(Account::new("", "").max_connections(0))
            .channel(Channel::new(1, "One", Clip::H264Closed))
            .channel(Channel::new(2, "Two", Clip::H264Closed)),
    )
    .unwrap();
    let web = Web::start().await;
    let stream = |id: u32, name: &str| {
        let direct = provider.live_url("", id);
        format!(r#"{{"stream_id":{id},"name":"{name}","direct_source":"{direct}"}}"#)
    };
    let live = format!("[{},{}]", stream(1, "One"), stream(2, "Two"));
    let mainstem = Mainstem::start(&panel(&web, &live, "[]")).await;
    until_names(&mainstem, &["One", "Two"]).await;
    let first = Viewer::open(&link(&mainstem, "One").await).await;
    assert_eq!(first.status, 200);
    first.more_media(Duration::from_secs(1), SOON).await;
    assert_eq!(asked(&web), ["/live/u/p/1.ts"]);
    let found = until_details(&mainstem, "s", "has one connection in use", |found| {
        found["connections"]["current"] == 1
    })
    .await;
    assert_eq!(found["connections"]["max"], 1, "{found}");
    // The account allows one, whoever sends the bytes.
    let second = Viewer::open(&link(&mainstem, "Two").await).await;
    first.more_media(Duration::from_secs(1), SOON).await;
    assert_eq!(provider.account("").peak(), 1);
    assert_eq!(details(&mainstem, "s").await["connections"]["current"], 1);
    assert_eq!(
        get_json(&mainstem.url("/streams")).await["streams"][0]["sources"],
        1
    );
    drop((first, second));
}
