//! Testing streams by hand, and who gets to see a provider's credentials: nobody but the `Location` of `/direct`.

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

use control::{refresh, until_details};
use provider_double::{Account, Channel, Clip, Extent, Fault, List, ListFault, Plan, Provider, RedirectForm};
use support::process::QUICK;
use support::{Launch, Mainstem, SOON, Viewer, eventually, get, get_json, request};

fn plan(channels: u32, connections: u32) -> Plan {
    let plan = Plan::new().account(Account::new("u", "p").max_connections(connections));
    (1..=channels).fold(plan, |plan, id| {
        plan.channel(Channel::new(id, &format!("Channel {id:02}"), Clip::H264Closed))
    })
}

fn config(provider: &Provider, more: &str) -> String {
    format!(
        "{QUICK}sources:\n  - {{name: s, type: xtream, url: \"{}\", username: u, password: p, vod: false, series: off{more}}}\n",
        provider.base_url()
    )
}

fn streams(provider: &Provider) -> Vec<provider_double::Request> {
    let requests = provider.account("u").requests();
    requests
        .into_iter()
        .filter(|request| request.path.starts_with("/live/"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_what_is_there() {
    let provider = Provider::start(plan(6, 0)).unwrap();
    let mainstem = Mainstem::start(&config(&provider, ", max_connections: 6")).await;
    provider.stream(2).fault(Fault::Html);
    provider.stream(3).fault(Fault::EmptyBody);
    provider.stream(4).fault(Fault::Status {
        code: 404,
        body: String::new(),
        retry_after: None,
    });
    provider.stream(5).fault(Fault::Redirect {
        hops: 2,
        form: RedirectForm::OtherHost,
    });
    provider.stream(6).fault(Fault::Silence);
    let found = get_json(&mainstem.url("/test")).await;
    let of = |name: &str| {
        let all = found.as_object().unwrap().values();
        let one = all
            .clone()
            .find(|channel| channel["original_name"] == name)
            .unwrap();
        one["streams"][0].clone()
    };
    for (name, accessible, words, kind) in [
        ("Channel 01", true, "transport stream", "TS"),
        ("Channel 02", false, "HTML", "HTML"),
        ("Channel 03", false, "nothing", "nothing"),
        ("Channel 04", false, "nothing", "Unknown"),
        ("Channel 05", true, "transport stream", "TS"),
        ("Channel 06", false, "nothing", "Unknown"),
    ] {
        let stream = of(name);
        assert_eq!(stream["accessible"], accessible, "{name}: {stream}");
        assert!(
            stream["found"].as_str().unwrap().contains(words),
            "{name}: {stream}"
        );
        assert_eq!(stream["stream_type"], kind, "{name}: {stream}");
    }
    assert_eq!(of("Channel 04")["status_code"], 404);
    assert!(of("Channel 04")["error"].as_str().unwrap().contains("404"));
    assert!(
        streams(&provider).iter().all(|request| request.method == "GET"),
        "never HEAD"
    );
    provider
        .account("u")
        .wait_until(|log| log.open_now == 0, SOON)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hls_stream_is_called_hls() {
    let provider = Provider::start(plan(1, 0)).unwrap();
    let list = format!("#EXTM3U\n#EXTINF:-1,Hls\n{}\n", provider.hls_url("u", 1));
    let launch = Launch::new("sources: [{name: s, type: m3u, url: list.m3u}]\n").file("list.m3u", &list);
    let mainstem = launch.ready().await;
    let id = mainstem.channel_id("Hls").await;
    let found = get_json(&mainstem.url(&format!("/debug/{id}"))).await;
    let stream = &found["streams"][0];
    assert_eq!(
        (&stream["stream_type"], &stream["accessible"]),
        (&"HLS".into(), &true.into()),
        "{found}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_takes_pages() {
    let provider = Provider::start(plan(25, 0)).unwrap();
    let mainstem = Mainstem::start(&config(&provider, ", max_connections: 25")).await;
    for (query, first, count) in [
        ("", 1, 10),
        ("?limit=3", 1, 3),
        ("?limit=4&offset=20", 21, 4),
        ("?offset=24", 25, 1),
        ("?offset=99", 0, 0),
        ("?limit=0", 0, 0),
    ] {
        let found = get_json(&mainstem.url(&format!("/test{query}"))).await;
        let all = found.as_object().unwrap();
        assert_eq!(all.len(), count, "{query}");
        let mut names: Vec<_> = all
            .values()
            .map(|channel| channel["original_name"].as_str().unwrap())
            .collect();
        names.sort_unstable();
        if count > 0 {
            assert_eq!(names[0], format!("Channel {first:02}"), "{query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_without_a_free_connection_is_busy_and_opens_nothing() {
    let provider = Provider::start(plan(3, 1)).unwrap();
    let mainstem = Mainstem::start(&config(&provider, "")).await;
    until_details(&mainstem, "s", "has the account's limit", |found| {
        found["limit_from"] == "account"
    })
    .await;
    let viewer = Viewer::open(&mainstem.stream_url("Channel 01").await).await;
    viewer.more(188 * 50).await;
    let id = mainstem.channel_id("Channel 02").await;
    for path in ["/test".to_owned(), format!("/debug/{id}")] {
        let found = get(&mainstem.url(&path)).await;
        assert!(
            found
                .text()
                .contains("busy: no free connection; nothing was opened"),
            "{}",
            found.text()
        );
    }
    let found = get_json(&mainstem.url(&format!("/debug/{id}"))).await;
    assert_eq!(
        (&found["streams"][0]["accessible"], &found["streams"][0]["code"]),
        (&false.into(), &"no_slot".into()),
        "{found}"
    );
    assert_eq!(
        streams(&provider).len(),
        1,
        "only the viewer's own request was ever made"
    );
    assert_eq!(
        (provider.account("u").peak(), provider.account("u").over_limit()),
        (1, 0)
    );
    viewer.more_media(Duration::from_secs(1), SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_shows_credentials_only_where_it_is_on() {
    let provider = Provider::start(plan(1, 1)).unwrap();
    let on = Mainstem::start(&config(&provider, "")).await;
    let id = on.channel_id("Channel 01").await;
    let answer = get(&on.url(&format!("/direct/{id}"))).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, provider.live_url("u", 1).as_str())
    );
    assert!(answer.body.is_empty());
    let off = Mainstem::start(&format!("direct: false\n{}", config(&provider, ""))).await;
    for method in ["GET", "HEAD"] {
        let answer = request(method, &off.url(&format!("/direct/{id}")), &[]).await;
        assert_eq!((answer.status, answer.header("location")), (403, ""), "{method}");
    }
    let answer = get(&off.url(&format!("/direct/{id}"))).await;
    assert_eq!(answer.json()["error"], "direct_disabled");
}

/// What must never be seen: each stands in one place a credential can stand.
const CANARIES: [&str; 7] = [
    "canaryuser",
    "canarypass",
    "canarym3u",
    "canaryheader",
    "canaryentry",
    "canarypath",
    "canaryuserinfo",
];

fn assert_no_canary(text: &str, whence: &str) {
    let text = text.to_lowercase();
    for canary in CANARIES {
        if let Some(at) = text.find(canary) {
            let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
            panic!(
                "{canary} in {whence}: {}",
                text[start..].lines().next().unwrap_or_default()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_in_no_answer_and_no_line_of_the_log() {
    let plan = Plan::new()
        .account(Account::new("canaryuser", "canarypass").max_connections(1))
        .channel(Channel::new(1, "One", Clip::H264Closed))
        .channel(Channel::new(2, "Two", Clip::H264Closed));
    let provider = Provider::start(plan).unwrap();
    let base = provider.base_url();
    let authority = base.strip_prefix("http://").unwrap();
    let list = format!(
        "#EXTM3U\n#EXTINF:-1,Dead\n#EXTVLCOPT:http-user-agent=canaryentry\nhttp://canaryuserinfo:canarypass@{authority}/canarypath/x.ts?token=canarym3u\n#EXTINF:-1,Odd\nrtmp://canaryuser:canarypass@127.0.0.1/canarypath\n#EXTINF:-1,One\n{}\n",
        provider.live_url("canaryuser", 1)
    );
    let config = format!(
        "{QUICK}  list_silence: 1s\nlog_level: DEBUG\ndirect: false\nsources:\n  - {{name: x, type: xtream, url: \"{base}\", username: canaryuser, password: canarypass, headers: {{X-Token: canaryheader}}}}\n  - {{name: m, type: m3u, url: \"{}&token=canarym3u\"}}\n  - {{name: f, type: m3u, url: list.m3u}}\n  - {{name: gone, type: m3u, url: \"http://canaryuserinfo:canarypass@127.0.0.1:9/canarypath?token=canarym3u\"}}\n",
        provider.m3u_url("canaryuser")
    );
    let mainstem = Launch::new(&config).file("list.m3u", &list).ready().await;
    for name in ["x", "m", "f"] {
        until_details(&mainstem, name, "has its list", |found| {
            found["streams"].as_u64() >= Some(2)
        })
        .await;
    }
    until_details(&mainstem, "gone", "has failed", |found| {
        !found["last_error"].is_null()
    })
    .await;
    let mut answers = Vec::new();
    for name in ["One", "Two", "Dead", "Odd"] {
        let id = mainstem.channel_id(name).await;
        answers.push(get(&mainstem.url(&format!("/debug/{id}"))).await);
        answers.push(get(&mainstem.url(&format!("/direct/{id}"))).await);
        answers.push(request("HEAD", &mainstem.url(&format!("/stream/{id}")), &[]).await);
        if matches!(name, "Dead" | "Odd") {
            let viewer = Viewer::open(&mainstem.url(&format!("/stream/{id}"))).await;
            assert_no_canary(&format!("{:?}", viewer.headers), name);
        }
    }
    // Every way a stream can fail, with somebody watching.
    let account = provider.account("canaryuser");
    for fault in stream_faults() {
        account.fault(fault.clone());
        let before = account.requests().len();
        let viewer = Viewer::open(&mainstem.stream_url("Two").await).await;
        assert_no_canary(&format!("{:?}", viewer.headers), "a viewer's head");
        eventually(&format!("it was tried with {fault:?}"), || async {
            (account.requests().len() > before).then_some(())
        })
        .await;
        drop(viewer);
        account.clear();
        // Where a source could be opened after all, its connection lingers for a moment.
        account.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    }
    for fault in list_faults() {
        account.list_fault(fault.clone());
        account.list_fault_on(List::M3u, fault);
        refresh(&mainstem, "m").await;
        refresh(&mainstem, "x").await;
        answers.push(get(&mainstem.url("/status")).await);
        account.clear();
    }
    for path in [
        "/",
        "/playlist.m3u8",
        "/status",
        "/streams",
        "/active-streams",
        "/test",
        "/debug/mappings",
        "/debug/grouped-streams",
        "/debug/streams/x",
        "/debug/streams/m",
        "/debug/streams/f",
        "/series",
        "/healthz",
        "/readyz",
    ] {
        answers.push(get(&mainstem.url(path)).await);
    }
    for answer in &answers {
        assert_no_canary(&format!("{:?}\n{}", answer.headers, answer.text()), "an answer");
    }
    let log = mainstem.log();
    assert!(log.contains("DEBUG"), "{log}");
    assert_no_canary(&log, "the log");
}

fn stream_faults() -> Vec<Fault> {
    vec![
        Fault::Rst(Extent::Bytes(50_000)),
        Fault::Refuse,
        Fault::Status {
            code: 401,
            body: "canarypass".to_owned(),
            retry_after: None,
        },
        Fault::Redirect {
            hops: 1,
            form: RedirectForm::OtherHost,
        },
        Fault::Html,
        Fault::HangBeforeHead,
    ]
}

fn list_faults() -> Vec<ListFault> {
    vec![
        ListFault::Html,
        ListFault::Status {
            code: 403,
            body: "canarypass".to_owned(),
        },
        ListFault::Body("{\"error\": \"no canarypass at canaryuser\"}".to_owned()),
        ListFault::CutAt(100),
        ListFault::Refuse,
    ]
}
