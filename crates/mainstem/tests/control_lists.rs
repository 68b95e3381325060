//! Long answers: the playlist from its file, plain and packed, asked for anew only where it changed; pages of channels.

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

use std::io::Read as _;

use control::{Web, names, refresh, until_names};
use support::{Mainstem, get, get_json, request};

const LIST: &str = concat!(
    "#EXTM3U\n#EXTINF:-1 group-title=\"News\",Alpha One\nhttp://127.0.0.1:9/live/u/p/1.ts\n",
    "#EXTINF:-1 group-title=\"Films\",Beta\nhttp://127.0.0.1:9/movie/u/p/2.mkv\n",
    "#EXTINF:-1 group-title=\"Séries\",Gamma Été\nhttp://127.0.0.1:9/series/u/p/3.mkv\n",
    "#EXTINF:-1 group-title=\"News\",Delta\nhttp://127.0.0.1:9/live/u/p/4.ts\n",
);

const ALL: [&str; 4] = ["Alpha One", "Beta", "Gamma Été", "Delta"];

async fn start() -> (Web, Mainstem) {
    let web = Web::start().await;
    web.page("/list.m3u", LIST.as_bytes());
    let url = web.url("/list.m3u");
    let mainstem = Mainstem::start(&format!(
        "trusted_proxies: [127.0.0.1]\nsources:\n  - {{name: s, type: m3u, url: \"{url}\"}}\n"
    ))
    .await;
    until_names(&mainstem, &ALL).await;
    (web, mainstem)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playlist_has_a_length_a_tag_and_a_packed_form() {
    let (web, mainstem) = start().await;
    let url = mainstem.url("/playlist.m3u8");
    let plain = get(&url).await;
    assert_eq!(plain.header("content-length"), plain.body.len().to_string());
    assert_eq!(plain.header("vary"), "accept-encoding");
    let packed = request("GET", &url, &[("Accept-Encoding", "gzip")]).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(packed.header("content-length"), packed.body.len().to_string());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed.body[..])
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, plain.text());
    for (answer, coding) in [(&plain, "identity"), (&packed, "gzip")] {
        let tag = answer.header("etag").to_owned();
        let known = [("If-None-Match", tag.as_str()), ("Accept-Encoding", coding)];
        let same = request("GET", &url, &known).await;
        assert_eq!(
            (same.status, same.body.len(), same.header("etag")),
            (304, 0, &*tag)
        );
        let head = request("HEAD", &url, &[("Accept-Encoding", coding)]).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), answer.body.len().to_string());
        assert_eq!(head.header("etag"), tag);
    }
    assert_ne!(plain.header("etag"), packed.header("etag"));
    // The same list changes nothing, another one does.
    refresh(&mainstem, "s").await;
    assert_eq!(get(&url).await.header("etag"), plain.header("etag"));
    web.page("/list.m3u", LIST.replace("Delta", "Epsilon").as_bytes());
    refresh(&mainstem, "s").await;
    until_names(&mainstem, &["Alpha One", "Beta", "Gamma Été", "Epsilon"]).await;
    let known = [("If-None-Match", plain.header("etag"))];
    assert_eq!(request("GET", &url, &known).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_the_server_has_a_playlist_of_its_own() {
    let (_web, mainstem) = start().await;
    let url = mainstem.url("/playlist.m3u8");
    let mut tags = std::collections::HashSet::new();
    for round in 0..2 {
        // More of them than are kept.
        for host in [
            "a.example",
            "b.example:81",
            "c.example",
            "d.example",
            "e.example",
            "f.example",
        ] {
            let list = request("GET", &url, &[("X-Forwarded-Host", host)]).await;
            let text = list.text();
            assert_eq!(
                text.matches(&format!("http://{host}/stream/")).count(),
                ALL.len(),
                "{text}"
            );
            let is_new = tags.insert(list.header("etag").to_owned());
            assert_eq!(
                is_new,
                round == 0,
                "{host}: a list that was forgotten comes back the same"
            );
        }
    }
    let device = get(&mainstem.url("/playlist.m3u8?device=abc")).await.text();
    assert_eq!(device.matches("?device=abc").count(), ALL.len(), "{device}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_kind_of_channels_can_be_asked_for() {
    let (_web, mainstem) = start().await;
    for (kind, expected) in [
        ("live", &["Alpha One", "Delta"][..]),
        ("film", &["Beta"]),
        ("episode", &["Gamma Été"]),
        ("other", &ALL),
    ] {
        let list = get(&mainstem.url(&format!("/playlist.m3u8?kind={kind}"))).await;
        assert_eq!(names(&list.text()), expected, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_come_in_pages_searched_and_filtered() {
    let (_web, mainstem) = start().await;
    let whole = get_json(&mainstem.url("/streams")).await;
    assert_eq!(
        whole.as_object().unwrap().len(),
        1,
        "as the reference answers: {whole}"
    );
    for (query, expected, matched) in [
        ("limit=2", &["Alpha One", "Beta"][..], 4),
        ("limit=2&offset=3", &["Delta"], 4),
        ("offset=9", &[], 4),
        ("limit=0", &[], 4),
        ("search=ONE", &["Alpha One"], 1),
        ("search=%C3%89T%C3%89", &["Gamma Été"], 1),
        ("search=ta&limit=1", &["Beta"], 2),
        ("group=news", &["Alpha One", "Delta"], 2),
        ("group=s%C3%A9ries", &["Gamma Été"], 1),
        ("kind=live&search=del", &["Delta"], 1),
        ("kind=film", &["Beta"], 1),
        ("source=s&limit=1", &["Alpha One"], 4),
    ] {
        let page = get_json(&mainstem.url(&format!("/streams?{query}"))).await;
        let names: Vec<_> = page["streams"]
            .as_array()
            .unwrap()
            .iter()
            .map(|stream| stream["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{query}");
        assert_eq!(
            (&page["matched"], &page["total"]),
            (&matched.into(), &4.into()),
            "{query}"
        );
    }
    for (query, status) in [
        ("limit=x", 400),
        ("offset=-1", 400),
        ("kind=x", 400),
        ("source=x", 404),
    ] {
        assert_eq!(
            get(&mainstem.url(&format!("/streams?{query}"))).await.status,
            status,
            "{query}"
        );
    }
    let page = &get_json(&mainstem.url("/streams?search=beta")).await["streams"][0];
    assert_eq!(page, &whole["streams"][1]);
}
