//! What was on: every dialect of catch-up plays, in the provider's own zone, and says why where it cannot.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use support::origin::{Origin, Page};
use support::process::QUICK;
use support::ts::Report;
use support::{Launch, Mainstem, eventually, get, get_json, request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CLIP: &[u8] = include_bytes!("../../../assets/slate/offline.h264.ts");
const HOUR: u64 = 3_600;

/// What a panel is asked for an account.
const PANEL: &str = "/player_api.php?username=u&password=p";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn clip() -> Page {
    Page::file(CLIP.to_vec())
}

async fn of_list(lists: &[&str]) -> Mainstem {
    let sources = (0..lists.len()).map(|n| format!("  - {{name: s{n}, type: m3u, url: s{n}.m3u}}\n"));
    let config = format!(
        "{QUICK}log_level: DEBUG\nsources:\n{}",
        sources.collect::<String>()
    );
    let launch = lists
        .iter()
        .enumerate()
        .fold(Launch::new(&config), |launch, (n, list)| {
            launch.file(&format!("s{n}.m3u"), &format!("#EXTM3U\n{list}"))
        });
    launch.ready().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_of_a_list_plays_and_our_list_says_how_to_ask() {
    let origin = Origin::start().await;
    let (start, end) = (now() - 5 * HOUR, now() - 4 * HOUR);
    let day = Timestamp::from_second(i64::try_from(start).unwrap())
        .unwrap()
        .strftime("%Y-%m-%d")
        .to_string();
    let dialects = [
        (
            "Default",
            format!(
                r#"catchup="default" catchup-days="3" catchup-source="{}/$day/{{Y}}-{{m}}-{{d}}/${{start}}-{{utcend}}.ts""#,
                origin.url("/d")
            ),
            format!("/d/$day/{day}/{start}-{end}.ts"),
        ),
        (
            "Append",
            r#"catchup="append" catchup-source="?from={utc}&minutes={duration:60}""#.to_owned(),
            format!("/live/Append.ts?from={start}&minutes=60"),
        ),
        (
            "Flussonic",
            r#"catchup="flussonic""#.to_owned(),
            format!("/live/archive-{start}-3600.ts"),
        ),
    ];
    let list: String = dialects
        .iter()
        .map(|(name, attributes, _)| {
            format!(
                "#EXTINF:-1 {attributes},{name}\n{}\n",
                origin.url(&format!("/live/{name}.ts"))
            )
        })
        .collect();
    for (name, _, path) in &dialects {
        origin.put(path, clip());
        origin.put(&format!("/live/{name}.ts"), clip());
    }
    let mainstem = of_list(&[&list]).await;
    let ours = get(&mainstem.url("/playlist.m3u8?device=tv")).await.text();
    for (name, _, path) in &dialects {
        origin.forget();
        let line = ours
            .lines()
            .find(|line| line.ends_with(&format!(",{name}")))
            .unwrap();
        assert!(line.contains(r#"catchup="default""#), "{line}");
        assert_eq!(line.contains(r#"catchup-days="3""#), *name == "Default", "{line}");
        let (_, template) = line.split_once("catchup-source=\"").unwrap();
        let template = template.split('"').next().unwrap();
        assert!(template.contains("device=tv"), "{template}");
        // As a player fills it in.
        let url = template
            .replace("{utc}", &start.to_string())
            .replace("{utcend}", &end.to_string());
        let answer = get(&url).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "video/mp2t"),
            "{name}"
        );
        assert!(answer.body == CLIP, "{name}: {} bytes", answer.body.len());
        let part = request("GET", &url, &[("Range", "bytes=188-375")]).await;
        assert_eq!(part.status, 206, "{name}");
        assert!(part.body == CLIP[188..376], "{name}");
        let asked: Vec<_> = origin.asked().into_iter().map(|asked| asked.target).collect();
        assert!(asked.iter().all(|asked| asked == path), "{name}: {asked:?}");
        assert_eq!(origin.peak(), 1, "{name}");
    }
    assert!(!ours.contains(&origin.url("")), "no address of the provider");
}

/// The player's own clock goes with the address, so that nobody knows it before.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_shifts_is_told_both_clocks() {
    let origin = Origin::start().await;
    let start = now() - 2 * HOUR;
    let list = format!("#EXTINF:-1 catchup=\"shift\",News\n{}\n", origin.url("/news.ts"));
    let mainstem = of_list(&[&list]).await;
    let stream = mainstem.stream_url("News").await;
    let before = now();
    let answer = get(&format!("{stream}?utc={start}&lutc={before}")).await;
    assert_ne!(answer.status, 200, "nothing is there");
    let asked = origin.asked();
    let (path, clock) = asked[0].target.split_once("&lutc=").unwrap();
    assert_eq!((asked.len(), path), (1, format!("/news.ts?utc={start}").as_str()));
    let clock: u64 = clock.parse().unwrap();
    assert!((before..=now()).contains(&clock), "{clock}");
    let hls = get(&format!("{stream}.m3u8?utc={start}")).await;
    assert_eq!(hls.status, 400, "{}", hls.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_as_a_playlist_comes_as_one_transport_stream() {
    let origin = Origin::start().await;
    let start = now() - 5 * HOUR;
    let segment = "#EXTINF:4,\n/segment.ts\n";
    let playlist =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n{segment}#EXT-X-DISCONTINUITY\n{segment}#EXT-X-ENDLIST\n");
    origin.put(&format!("/news/index-{start}-600.m3u8"), Page::text(&playlist));
    origin.put("/segment.ts", clip());
    let list = format!(
        "#EXTINF:-1 catchup=\"flussonic\",News\n{}\n",
        origin.url("/news/index.m3u8")
    );
    let mainstem = of_list(&[&list]).await;
    let stream = mainstem.stream_url("News").await;
    let answer = get(&format!("{stream}?utc={start}&duration=600")).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "video/mp2t"),
        "{}",
        answer.text()
    );
    let (twice, once) = (Report::of(&answer.body), Report::of(CLIP));
    assert!(once.pictures() > 0);
    assert_eq!(twice.pictures(), 2 * once.pictures());
    twice.assert_clean("the past");
    assert_eq!(origin.peak(), 1);
}

/// A panel in `zone` with one channel whose past it keeps.
fn panel(origin: &Origin, zone: &str) {
    let account = format!(
        r#"{{"user_info":{{"auth":1,"status":"Active","max_connections":"1"}},"server_info":{{"timezone":"{zone}"}}}}"#
    );
    origin.put(PANEL, Page::text(&account));
    origin.put(
        &format!("{PANEL}&action=get_live_categories"),
        Page::text(r#"[{"category_id":"1","category_name":"All"}]"#),
    );
    origin.put(
        &format!("{PANEL}&action=get_live_streams"),
        Page::text(
            r#"[{"num":1,"name":"News","stream_id":7,"category_id":"1","tv_archive":1,"tv_archive_duration":2}]"#,
        ),
    );
}

fn of_panel(origin: &Origin) -> String {
    format!(
        "{QUICK}sources:\n  - {{name: panel, type: xtream, url: \"{}\", username: u, password: p, vod: false, series: off}}\n",
        origin.url("")
    )
}

async fn news_is_there(mainstem: &Mainstem) {
    let streams = mainstem.url("/streams");
    eventually("the channel is there", || async {
        (get_json(&streams).await["streams"][0]["name"] == "News").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_is_asked_in_its_zone_and_in_the_form_that_it_reads() {
    let origin = Origin::start().await;
    let start = (now() - 30 * HOUR) / 60 * 60;
    let zone = "America/St_Johns";
    let local = Timestamp::from_second(i64::try_from(start).unwrap())
        .unwrap()
        .to_zoned(TimeZone::get(zone).unwrap());
    panel(&origin, zone);
    let path = format!("/timeshift/u/p/60/{}/7.ts", local.strftime("%Y-%m-%d:%H-%M-%S"));
    origin.put(&path, clip());
    let mainstem = Mainstem::start(&of_panel(&origin)).await;
    news_is_there(&mainstem).await;
    let stream = mainstem.stream_url("News").await;
    let url = format!("{stream}?utc={start}&duration={HOUR}");
    // One that has nothing under an address may say so with an empty answer.
    let usual = local.strftime("%Y-%m-%d:%H-%M");
    origin.put(&format!("/timeshift/u/p/60/{usual}/7.ts"), Page::file(Vec::new()));
    for others in [2, 0] {
        origin.forget();
        let answer = get(&url).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.body == CLIP);
        let asked = origin.asked();
        assert_eq!(asked.len(), others + 1, "{asked:?}");
        assert_eq!(asked.last().unwrap().target, path);
        assert_eq!(origin.peak(), 1);
    }
    let long_ago = get(&format!("{stream}?utc={}&duration=600", now() - 100 * HOUR)).await;
    assert_eq!(long_ago.status, 404);
    assert!(long_ago.text().contains("no_longer_kept"), "{}", long_ago.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_source_has_it_where_one_has_not_and_what_cannot_be_had_is_told() {
    let origin = Origin::start().await;
    let start = now() - 2 * HOUR;
    let entry = |host: &str| {
        format!(
            "#EXTINF:-1 catchup=\"append\" catchup-source=\"?utc={{utc}}\",News\n{}\n",
            origin.url(&format!("/{host}/news.ts"))
        )
    };
    let none = format!("#EXTINF:-1,Other\n{}\n", origin.url("/first/other.ts"));
    origin.put(&format!("/second/news.ts?utc={start}"), clip());
    let mainstem = of_list(&[&(entry("first") + &none), &entry("second")]).await;
    let streams = mainstem.url("/streams");
    eventually("both sources are there", || async {
        let list = get_json(&streams).await;
        let mut channels = list["streams"].as_array()?.iter();
        channels.any(|channel| channel["sources"] == 2).then_some(())
    })
    .await;
    let news = mainstem.stream_url("News").await;
    let answer = get(&format!("{news}?utc={start}&duration=600")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.body == CLIP);
    let asked: Vec<_> = origin
        .asked()
        .into_iter()
        .map(|asked| (asked.target, asked.status))
        .collect();
    assert_eq!(
        asked,
        [
            (format!("/first/news.ts?utc={start}"), 404),
            (format!("/second/news.ts?utc={start}"), 200)
        ]
    );
    let other = mainstem.stream_url("Other").await;
    for (url, status, word) in [
        (format!("{other}?utc={start}"), 404, "no_catch_up"),
        (format!("{news}?utc=noon"), 400, "utc"),
        (format!("{news}?utc={start}&utcend={}", start - 1), 400, "utcend"),
    ] {
        let answer = get(&url).await;
        assert_eq!(answer.status, status, "{url}");
        assert!(answer.text().contains(word), "{url}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panels_zone_is_known_after_a_restart_though_it_answers_nothing_then() {
    let origin = Origin::start().await;
    let zone = "Asia/Kathmandu";
    panel(&origin, zone);
    let data = tempfile::tempdir().unwrap();
    let data = data.path().display().to_string();
    let config = of_panel(&origin);
    let launch = || Launch::new(&config).env("MAINSTEM_DATA_DIR", &data);
    let mainstem = launch().ready().await;
    news_is_there(&mainstem).await;
    drop(mainstem);
    origin.remove(PANEL);
    let mainstem = launch().ready().await;
    news_is_there(&mainstem).await;
    let start = (now() - 5 * HOUR) / 60 * 60;
    let local = Timestamp::from_second(i64::try_from(start).unwrap())
        .unwrap()
        .to_zoned(TimeZone::get(zone).unwrap());
    let path = format!("/timeshift/u/p/60/{}/7.ts", local.strftime("%Y-%m-%d:%H-%M"));
    origin.put(&path, clip());
    let stream = mainstem.stream_url("News").await;
    let answer = get(&format!("{stream}?utc={start}&duration={HOUR}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.body == CLIP);
}

/// A player that has asked and reads nothing but the head of the answer.
async fn holds(url: &str) -> TcpStream {
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap());
    let mut socket = TcpStream::connect(authority).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    socket.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    socket
}

/// A list with two logins of one connection each, and what is asked of its archive while the first is in use.
async fn asked_beside_another(catchup: impl Fn(&Origin) -> String, paths: [String; 2]) -> (u16, Vec<String>) {
    let origin = Origin::start().await;
    let list = format!(
        "#EXTM3U\n#EXTINF:-1 {},News\n{}\n",
        catchup(&origin),
        origin.url("/live/u/p/7.ts")
    );
    origin.put(
        "/get.php?username=u&password=p&type=m3u_plus&output=ts",
        Page::text(&list),
    );
    // More than sockets hold: the connection stays in use.
    origin.put(&paths[0], Page::file(CLIP.repeat((48 << 20) / CLIP.len())));
    origin.put(&paths[1], clip());
    let mainstem = Mainstem::start(&format!(
        "{QUICK}sources:\n  - {{name: one, type: m3u, url: \"{}\", max_connections: 1, logins: [{{username: u2, password: p2, max_connections: 1}}]}}\n",
        origin.url("/get.php?username=u&password=p&type=m3u_plus&output=ts")
    ))
    .await;
    let stream = mainstem.stream_url("News").await;
    origin.forget();
    let held = holds(&format!(
        "{stream}?utc={FIRST}&utcend={}&device=one",
        FIRST + HOUR
    ))
    .await;
    let answer = get(&format!(
        "{stream}?utc={SECOND}&utcend={}&device=two",
        SECOND + HOUR
    ))
    .await;
    drop(held);
    let asked = origin.asked().into_iter().map(|asked| asked.target);
    (answer.status, asked.collect())
}

/// Two stretches, long ago: these lists do not say how long they are kept.
const FIRST: u64 = 1_700_000_000;
const SECOND: u64 = 1_700_010_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_further_login_is_asked_at_its_own_address_and_only_there() {
    let paths = [
        format!("/live/u/p/7.ts?utc={FIRST}"),
        format!("/live/u2/p2/7.ts?utc={SECOND}"),
    ];
    let own = |_: &Origin| r#"catchup="append" catchup-source="?utc={utc}""#.to_owned();
    let (status, asked) = asked_beside_another(own, paths.clone()).await;
    assert_eq!((status, &asked[..]), (200, &paths[..]));
    // Whose address it is does not depend on the login: it is that of the list's own.
    let paths = [FIRST, SECOND].map(|start| format!("/archive/{start}.ts"));
    let shared = |origin: &Origin| {
        format!(
            r#"catchup="default" catchup-source="{}/archive/{{utc}}.ts""#,
            origin.url("")
        )
    };
    let (status, asked) = asked_beside_another(shared, paths.clone()).await;
    assert_eq!(status, 503);
    assert_eq!(asked, paths[..1]);
}
