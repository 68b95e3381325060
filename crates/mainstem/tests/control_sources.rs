//! What sources bring and what their providers see: Xtream accounts, M3U lists of every make, request headers.

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

use std::collections::HashSet;
use std::io::Write as _;
use std::time::Duration;

use control::{Web, channels, details, names, playlist, until_details, until_names};
use flate2::Compression;
use flate2::write::GzEncoder;
use provider_double::{Account, Channel, Clip, ListFault, Plan, Provider, Synthetic};
use support::process::QUICK;
use support::{Launch, Mainstem, SOON, Viewer, get, get_json, request, within};

fn one() -> Plan {
    Plan::new()
        .account(Account::new("u", "p").max_connections(3))
        .channel(
            Channel::new(1, "One", Clip::H264Closed)
                .group("News")
                .guide_id("one.id"),
        )
}

fn synthetic(movies: u32, series: u32) -> Synthetic {
    Synthetic {
        movies,
        series,
        ..Synthetic::default()
    }
}

fn xtream(provider: &Provider, more: &str) -> String {
    format!(
        "sources:\n  - {{name: s, type: xtream, url: \"{}\", username: u, password: p{more}}}\n",
        provider.base_url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_brings_live_films_and_series_with_their_categories() {
    let provider = Provider::start(one().synthetic(synthetic(2, 3))).unwrap();
    let config =
        xtream(&provider, ", series: expand") + "filters: {exclude_name_patterns: [\"Series 000001\"]}\n";
    let mainstem = Mainstem::start(&config).await;
    // Two of three series pass the filters; each has two seasons of three episodes.
    let list = within(SOON, "the episodes are listed", || async {
        let list = playlist(&mainstem).await;
        (channels(&list).len() == 3 + 12).then_some(list)
    })
    .await;
    let found = names(&list);
    for name in [
        "One",
        "Movie 000000",
        "Movie 000001",
        "Series 000000 S01E01",
        "Series 000002 S02E03",
    ] {
        assert!(found.iter().any(|found| found == name), "{name}: {found:?}");
    }
    for (line, _) in channels(&list) {
        let group = match line.rsplit(',').next().unwrap().split(' ').next().unwrap() {
            "One" => "News",
            "Movie" => "Movie group",
            _ => "Series group",
        };
        assert!(line.contains(&format!("group-title=\"{group}")), "{line}");
    }
    let report = details(&mainstem, "s").await;
    assert_eq!(
        (&report["series"], &report["series_unexpanded"]),
        (&3.into(), &1.into())
    );
    assert_eq!(
        (&report["limit_from"], &report["connections"]["max"]),
        (&"account".into(), &3.into())
    );
    assert_eq!(report["account"]["max_connections"], 3);
    assert!(
        report["account"]["expires"]
            .as_str()
            .unwrap()
            .starts_with("2100-01-01")
    );

    // Films and episodes play, whole or in ranges.
    let id = mainstem.channel_id("Movie 000001").await;
    let part = request(
        "GET",
        &mainstem.url(&format!("/stream/{id}")),
        &[("Range", "bytes=10-19")],
    )
    .await;
    assert_eq!((part.status, part.body.len()), (206, 10));
    assert!(
        part.header("content-range").starts_with("bytes 10-19/"),
        "{:?}",
        part.headers
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn api_calls_come_one_at_a_time_and_slowly() {
    let provider = Provider::start(one().synthetic(synthetic(1, 12))).unwrap();
    let mainstem = Mainstem::start(&xtream(&provider, ", series: expand")).await;
    let account = provider.account("u");
    let calls = |log: &provider_double::AccountLog| {
        log.requests
            .iter()
            .filter(|call| call.path.contains("player_api"))
            .count()
    };
    account
        .wait_until(|log| calls(log) >= 7 + 12, Duration::from_secs(60))
        .await
        .unwrap();
    let log = account.log();
    let expansions: Vec<_> = log
        .requests
        .iter()
        .filter(|call| call.query.contains("get_series_info"))
        .collect();
    assert_eq!(expansions.len(), 12, "each series once");
    let ids: HashSet<_> = expansions.iter().map(|call| call.query.clone()).collect();
    assert_eq!(ids.len(), 12);
    // A refresh may take seven calls at once; what follows comes about one a second.
    let took = expansions[11].at - expansions[1].at;
    assert!(took >= Duration::from_secs(9), "ten calls in {took:?}");
    let list = within(SOON, "all episodes are listed", || async {
        let list = playlist(&mainstem).await;
        (channels(&list).len() == 2 + 72).then_some(list)
    });
    list.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sources_of_one_login_never_call_at_once() {
    // The double answers slowly: its calls would overlap if anybody made two.
    let provider = Provider::start(one().synthetic(synthetic(40, 0))).unwrap();
    provider.account("u").list_fault(ListFault::Slow {
        bytes_per_second: 60_000,
    });
    // Two players' names: what is the same would be asked for once.
    let source = |name: &str| {
        format!(
            "  - {{name: {name}, type: xtream, url: \"{}\", username: u, password: p, user_agent: {name}}}\n",
            provider.base_url()
        )
    };
    let config = format!(
        "timing: {{api_interval: 0s}}\nsources:\n{}{}",
        source("a"),
        source("b")
    );
    let mainstem = Mainstem::start(&config).await;
    for name in ["a", "b"] {
        until_details(&mainstem, name, "has its list", |found| found["streams"] == 41).await;
    }
    // A call's connection ends with its answer, so that a later request on a lower connection number would be an overlap;
    // the double's log has every request in order of its arrival, each on a connection of its own.
    let log = provider.account("u").log();
    let connections: HashSet<_> = log.requests.iter().map(|call| call.connection).collect();
    assert_eq!(connections.len(), log.requests.len());
    // 41 entries of some 300 bytes take a fifth of a second at this rate: two lists side by side would be asked for
    // within that time.
    let lists: Vec<_> = log
        .requests
        .iter()
        .filter(|call| call.query.contains("get_vod_streams"))
        .collect();
    assert_eq!(lists.len(), 2);
    for pair in log.requests.iter().collect::<Vec<_>>().windows(2) {
        if pair[0].query.contains("get_vod_streams") {
            let gap = pair[1].at - pair[0].at;
            assert!(
                gap >= Duration::from_millis(150),
                "the next call came {gap:?} after a list began"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn episodes_on_demand_are_fetched_when_asked_for() {
    let provider = Provider::start(one().synthetic(synthetic(0, 2))).unwrap();
    let mainstem = Mainstem::start(&xtream(&provider, "")).await;
    until_details(&mainstem, "s", "knows its series", |found| found["series"] == 2).await;
    let list = get_json(&mainstem.url("/series")).await;
    let first = &list["series"][0];
    assert_eq!(
        (&first["source"], &first["name"]),
        (&"s".into(), &"Series 000000".into())
    );
    assert_eq!(
        names(&playlist(&mainstem).await),
        ["One"],
        "no series is listed before its episodes are known"
    );
    let path = first["url"].as_str().unwrap();
    let answer = get_json(&mainstem.url(path)).await;
    assert_eq!(answer["episodes"].as_array().unwrap().len(), 6, "{answer}");
    within(SOON, "the episodes are listed", || async {
        (channels(&playlist(&mainstem).await).len() == 7).then_some(())
    })
    .await;
    assert_eq!(details(&mainstem, "s").await["series_unexpanded"], 1);
    get(&mainstem.url(path)).await;
    let asked = provider.account("u").requests();
    let asked = asked
        .iter()
        .filter(|call| call.query.contains("get_series_info"))
        .count();
    assert_eq!(asked, 1, "what is known is not asked for again");
    let unknown = get(&mainstem.url("/series/s/424242")).await;
    assert_eq!(
        (unknown.status, &unknown.json()["error"]),
        (404, &"unknown_series".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_sees_the_sources_headers_and_never_the_viewers() {
    let provider = Provider::start(one()).unwrap();
    let more = ", user_agent: \"Source/1.0\", headers: {X-Device: box, Referer: \"http://r.example/\"}";
    let mainstem = Mainstem::start(&xtream(&provider, more)).await;
    let url = mainstem.stream_url("One").await;
    let viewer = Viewer::open_as(
        &url,
        &[
            ("User-Agent", "SecretViewer/9"),
            ("Referer", "http://viewer.example/"),
            ("Cookie", "a=b"),
            ("X-Forwarded-For", "1.2.3.4"),
        ],
    )
    .await;
    viewer.more(188 * 10).await;
    let requests = provider.account("u").requests();
    assert!(requests.iter().any(|request| request.path.starts_with("/live/")));
    assert!(requests.iter().any(|request| request.path.contains("player_api")));
    for request in &requests {
        let of = |name: &str| request.header(name).map(str::to_owned);
        assert_eq!(of("user-agent").as_deref(), Some("Source/1.0"), "{request:?}");
        assert_eq!(of("x-device").as_deref(), Some("box"), "{request:?}");
        assert_eq!(of("referer").as_deref(), Some("http://r.example/"), "{request:?}");
        let everything = format!("{:?}", request.headers);
        assert!(
            !everything.contains("viewer")
                && !everything.contains("Viewer")
                && !everything.contains("1.2.3.4"),
            "{everything}"
        );
        assert_eq!(of("cookie"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entrys_own_headers_reach_its_stream_request() {
    let provider = Provider::start(one()).unwrap();
    let stream = |id: u32| provider.live_url("", id);
    let list = format!(
        "#EXTM3U\n#EXTINF:-1,Vlc\n#EXTVLCOPT:http-user-agent=Entry/1\n#EXTVLCOPT:http-referrer=http://e.example/\n{}?a=vlc\n#EXTINF:-1,Pipe\n{}?a=pipe|User-Agent=Entry%2F2&Referer=http://p.example/\n#EXTINF:-1,Plain\n{}?a=plain\n",
        stream(1),
        stream(1),
        stream(1)
    );
    let launch = Launch::new(
        "sources:\n  - {name: s, type: m3u, url: list.m3u, user_agent: \"Source/1.0\", max_connections: 5}\n",
    )
    .file("list.m3u", &list);
    let mainstem = launch.ready().await;
    for (name, query, agent, referer) in [
        ("Vlc", "a=vlc", "Entry/1", Some("http://e.example/")),
        ("Pipe", "a=pipe", "Entry/2", Some("http://p.example/")),
        ("Plain", "a=plain", "Source/1.0", None),
    ] {
        let viewer = Viewer::open(&mainstem.stream_url(name).await).await;
        assert_eq!(viewer.status, 200);
        viewer.more(188).await;
        let requests = provider.account("").requests();
        let asked = requests.iter().rev().find(|request| request.query == query);
        let asked = asked.unwrap_or_else(|| panic!("{name}: {requests:?}"));
        assert_eq!(
            (asked.header("user-agent"), asked.header("referer")),
            (Some(agent), referer),
            "{name}"
        );
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_every_make_are_read() {
    let web = Web::start().await;
    let text = "#EXTM3U\n#EXTINF:-1,One\nhttp://127.0.0.1:9/1.ts\n";
    let packed = gzip(text.as_bytes());
    let mut announced = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        packed.len()
    )
    .into_bytes();
    announced.extend_from_slice(&packed);
    web.raw("/announced", announced);
    web.page("/packed", &gzip(text.replace("One", "Two").as_bytes()));
    web.page(
        "/bom",
        format!("\u{feff}{}", text.replace("One", "Three").replace('\n', "\r\n")).as_bytes(),
    );
    web.page(
        "/latin1",
        b"#EXTM3U\n#EXTINF:-1 group-title=\"Fran\xe7ais\",T\xe9l\xe9\nhttp://127.0.0.1:9/4.ts\n",
    );
    let malformed = "#EXTM3U\n#EXTINF:-1,Lost\n#EXTINF:-1,Five\nhttp://127.0.0.1:9/5.ts\nwhat is this\n#EXTINF:-1,Also lost\n";
    web.page("/malformed", malformed.as_bytes());
    web.page("/relative", b"#EXTM3U\n#EXTINF:-1,Six\nsub/6.ts\n");
    let source = |name: &str| {
        format!(
            "  - {{name: {name}, type: m3u, url: \"{}\"}}\n",
            web.url(&format!("/{name}"))
        )
    };
    let config = ["announced", "packed", "bom", "latin1", "malformed", "relative"]
        .map(source)
        .concat();
    let file = text.replace("One", "Seven");
    let launch = Launch::new(&format!(
        "sources:\n{config}  - {{name: file, type: m3u, url: list.m3u}}\n"
    ))
    .file("list.m3u", &file);
    let mainstem = launch.ready().await;
    let list = until_names(
        &mainstem,
        &["One", "Two", "Three", "Télé", "Five", "Six", "Seven"],
    )
    .await;
    assert!(list.contains("group-title=\"Français\""), "{list}");
    let found = details(&mainstem, "malformed").await;
    assert_eq!(
        (&found["streams"], &found["malformed"]),
        (&1.into(), &3.into()),
        "{found}"
    );
    assert_eq!(details(&mainstem, "packed").await["malformed"], 0);
    let packed = std::fs::read(mainstem.folder().join("list.m3u")).unwrap();
    std::fs::write(
        mainstem.folder().join("list.m3u"),
        gzip(
            &String::from_utf8(packed)
                .unwrap()
                .replace("Seven", "Eight")
                .into_bytes(),
        ),
    )
    .unwrap();
    mainstem.signal("HUP");
    until_names(
        &mainstem,
        &["One", "Two", "Three", "Télé", "Five", "Six", "Eight"],
    )
    .await;
    // The list file is gone, then a pipe that nobody writes to: neither costs a channel, and both are said.
    std::fs::remove_file(mainstem.folder().join("list.m3u")).unwrap();
    assert_eq!(
        control::refresh(&mainstem, "file").await["last_error"]["code"],
        "file"
    );
    let made = std::process::Command::new("mkfifo")
        .arg(mainstem.folder().join("list.m3u"))
        .status()
        .unwrap();
    assert!(made.success());
    assert_eq!(
        control::refresh(&mainstem, "file").await["last_error"]["code"],
        "file"
    );
    assert_eq!(names(&playlist(&mainstem).await).len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_20_000_is_served_whole() {
    let provider = Provider::start(one().synthetic(Synthetic {
        live: 19_999,
        ..Synthetic::default()
    }))
    .unwrap();
    let config = format!(
        "{QUICK}sources:\n  - {{name: s, type: m3u, url: \"{}\"}}\n",
        provider.m3u_url("u")
    );
    let mainstem = Mainstem::start(&config).await;
    let list = playlist(&mainstem).await;
    let found = channels(&list);
    assert_eq!(found.len(), 20_000);
    let names: HashSet<_> = names(&list).into_iter().collect();
    assert_eq!(names.len(), 20_000, "every entry once");
    let addresses: HashSet<_> = found.iter().map(|(_, address)| address).collect();
    assert_eq!(addresses.len(), 20_000);
    let streams = get_json(&mainstem.url("/streams")).await;
    assert_eq!(streams["streams"].as_array().unwrap().len(), 20_000);
    let last = names.contains("Channel 019998");
    assert!(last);
    assert_eq!(get_json(&mainstem.url("/status")).await["total_streams"], 20_000);
    assert_eq!(
        get_json(&mainstem.url("/debug/mappings")).await["total_unique_ids"],
        20_000
    );
    let of_source = get_json(&mainstem.url("/debug/streams/s")).await;
    assert_eq!(of_source["streams"].as_array().unwrap().len(), 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_is_said_in_words() {
    let provider = Provider::start(one()).unwrap();
    let config = xtream(&provider, "").replace("password: p", "password: wrong");
    let mainstem = Launch::new(&config).listening().await;
    let found = until_details(&mainstem, "s", "says why", |found| !found["last_error"].is_null()).await;
    assert_eq!(found["last_error"]["code"], "account");
    let sentence = found["last_error"]["detail"].as_str().unwrap();
    assert!(sentence.contains("name or password is wrong"), "{sentence}");
    mainstem.wait_log("name or password is wrong").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_login_configured_twice_has_one_limit() {
    let plan = Plan::new()
        .account(Account::new("u", "p").max_connections(1))
        .channel(Channel::new(1, "One", Clip::H264Closed))
        .channel(Channel::new(2, "Two", Clip::H264Closed));
    let provider = Provider::start(plan).unwrap();
    // The account is known to the first source only, and only the second has films and so on left to open.
    let config = format!(
        "{QUICK}filters: {{include_stream_patterns: [\"/1.ts\", \"/2.ts.list=2\"]}}\nsources:\n  - {{name: s, type: xtream, url: \"{}\", username: u, password: p}}\n  - {{name: m, type: m3u, url: list.m3u}}\n",
        provider.base_url()
    );
    let list = format!("#EXTM3U\n#EXTINF:-1,Two\n{}?list=2\n", provider.live_url("u", 2));
    let mainstem = Launch::new(&config).file("list.m3u", &list).ready().await;
    until_names(&mainstem, &["One", "Two"]).await;
    until_details(&mainstem, "s", "has the account's limit", |found| {
        found["limit_from"] == "account"
    })
    .await;
    let first = Viewer::open(&mainstem.stream_url("One").await).await;
    first.more(188 * 50).await;
    let second = Viewer::open(&mainstem.stream_url("Two").await).await;
    first.more_media(Duration::from_secs(2), SOON).await;
    let account = provider.account("u");
    assert_eq!(
        (account.peak(), account.over_limit()),
        (1, 0),
        "the provider counts both sources together"
    );
    drop((first, second));
}

/// X9, X10, X11: what addresses end in is the account's word or the operator's, and no id depends on it. X12: a film is
/// asked for with the ending its record says.
#[tokio::test(flavor = "multi_thread")]
async fn streams_are_asked_for_in_the_form_the_panel_has_them() {
    let web = Web::start().await;
    let page = |action: &str, body: &str| {
        let action = if action.is_empty() {
            String::new()
        } else {
            format!("&action={action}")
        };
        web.page(
            &format!("/player_api.php?username=u&password=p{action}"),
            body.as_bytes(),
        );
    };
    page("get_live_categories", "[]");
    page("get_vod_categories", "[]");
    page("get_live_streams", r#"[{"stream_id":1,"name":"One"}]"#);
    page(
        "get_vod_streams",
        r#"[{"stream_id":2,"name":"Two","container_extension":".mkv"},{"stream_id":3,"name":"Three"}]"#,
    );
    let mut ids = HashSet::new();
    for (formats, more, ending) in [
        ("[\"ts\",\"m3u8\"]", "", "/live/u/p/1.ts"),
        ("[]", "", "/live/u/p/1.ts"),
        ("[\"m3u8\",\"rtmp\"]", "", "/live/u/p/1.m3u8"),
        ("[\"m3u8\"]", ", live_format: ts", "/live/u/p/1.ts"),
        ("[\"ts\"]", ", live_format: m3u8", "/live/u/p/1.m3u8"),
        ("[\"ts\"]", ", live_format: none", "/live/u/p/1"),
    ] {
        page(
            "",
            &format!("{{\"user_info\":{{\"auth\":1,\"allowed_output_formats\":{formats}}}}}"),
        );
        let config = format!(
            "{QUICK}sources:\n  - {{name: s, type: xtream, url: \"{}\", username: u, password: p, series: off{more}}}\n",
            web.url("")
        );
        let mainstem = Mainstem::start(&config).await;
        until_names(&mainstem, &["One", "Two", "Three"]).await;
        let list = get_json(&mainstem.url("/streams")).await["streams"].clone();
        let id = |at: usize| list[at]["id"].as_str().unwrap().to_owned();
        ids.insert(id(0));
        for (at, expected) in [(0, ending), (1, "/movie/u/p/2.mkv"), (2, "/movie/u/p/3.mp4")] {
            let answer = get(&mainstem.url(&format!("/direct/{}", id(at)))).await;
            let found = answer.header("location").to_owned();
            assert_eq!(found, web.url(expected), "{formats}{more}");
        }
    }
    assert_eq!(ids.len(), 1, "one link whatever the form");
}
