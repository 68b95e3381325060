//! The calls of a login: conditional where the provider tells versions, and none while it wants to be left alone.

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

use provider_double::{Account, Channel, Clip, ListFault, Plan, Provider};

use control::{Web, details, names, playlist, refresh, until_details};
use support::Mainstem;
use support::process::QUICK;

const LIST: &str =
    "#EXTM3U\n#EXTINF:-1,One\nhttp://127.0.0.1:9/1.ts\n#EXTINF:-1,Two\nhttp://127.0.0.1:9/2.ts\n";

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_has_not_changed_is_not_sent_again() {
    let web = Web::start().await;
    let versioned = "ETag: \"v1\"\r\nLast-Modified: Wed, 21 Oct 2026 07:28:00 GMT\r\n";
    web.raw("/list.m3u", answer("200 OK", versioned, LIST));
    let mainstem = Mainstem::start(&format!(
        "{QUICK}sources:\n  - {{name: s, type: m3u, url: \"{}\"}}\n",
        web.url("/list.m3u")
    ))
    .await;
    // The first refresh is over when the log says so; channels are there a moment before.
    mainstem.wait_log("list refreshed").await;
    let before = details(&mainstem, "s").await;
    assert!(!web.heads()[0].to_lowercase().contains("if-none-match"));

    web.raw("/list.m3u", answer("304 Not Modified", "", ""));
    let after = refresh(&mainstem, "s").await;
    let asked = web.heads().last().unwrap().to_lowercase();
    assert!(asked.contains("if-none-match: \"v1\""), "{asked}");
    assert!(
        asked.contains("if-modified-since: wed, 21 oct 2026 07:28:00 gmt"),
        "{asked}"
    );
    assert_eq!(
        (&after["streams"], &after["last_error"]),
        (&before["streams"], &serde_json::Value::Null)
    );
    assert_eq!(names(&playlist(&mainstem).await), ["One", "Two"]);

    let shorter = LIST.split("#EXTINF:-1,Two").next().unwrap();
    web.raw("/list.m3u", answer("200 OK", "ETag: \"v2\"\r\n", shorter));
    refresh(&mainstem, "s").await;
    assert_eq!(names(&playlist(&mainstem).await), ["One"]);
    web.raw("/list.m3u", answer("304 Not Modified", "", ""));
    refresh(&mainstem, "s").await;
    let asked = web.heads().last().unwrap().to_lowercase();
    assert!(
        asked.contains("if-none-match: \"v2\"") && !asked.contains("if-modified-since"),
        "{asked}"
    );
}

/// X17: who asks too often is banned.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_provider_wants_to_be_left_alone_is_not_asked_by_anybody() {
    let web = Web::start().await;
    web.raw(
        "/get.php?username=u&password=p&list=1",
        answer("429 Too Many Requests", "Retry-After: 3600\r\n", ""),
    );
    let url = |list: u32| web.url(&format!("/get.php?username=u&password=p&list={list}"));
    let config = format!(
        "{QUICK}sources:\n  - {{name: a, type: m3u, url: \"{}\"}}\n",
        url(1)
    );
    let mainstem = support::Launch::new(&config).listening().await;
    until_details(&mainstem, "a", "was told", |found| {
        found["last_error"]["code"] == "status"
    })
    .await;
    let asked = web.heads().len();
    let more = format!("  - {{name: b, type: m3u, url: \"{}\"}}\n", url(2));
    std::fs::write(mainstem.folder().join("config.yaml"), config + &more).unwrap();
    mainstem.signal("HUP");
    until_details(&mainstem, "b", "was told", |found| {
        found["last_error"]["code"] == "left_alone"
    })
    .await;
    until_details(&mainstem, "a", "keeps to it", |found| {
        found["last_error"]["code"] == "left_alone"
    })
    .await;
    assert_eq!(web.heads().len(), asked, "nobody asked");
}

/// Two sources of one login begin at the same time. The provider takes half a second for each answer, so that no call is
/// over before the other source wants the same.
#[tokio::test(flavor = "multi_thread")]
async fn two_sources_that_want_the_same_of_a_login_at_once_ask_once() {
    let slow = ListFault::Slow {
        bytes_per_second: 400,
    };
    for (kind, calls) in [("m3u", 1), ("xtream", 3)] {
        let plan = Plan::new()
            .account(Account::new("u", "p"))
            .channel(Channel::new(1, "One", Clip::H264Closed).group("News"));
        let provider = Provider::start(plan).unwrap();
        let login = provider.account("u");
        login.list_fault(slow.clone());
        let keys = match kind {
            "m3u" => format!("url: \"{}\"", provider.m3u_url("u")),
            _ => format!(
                "url: \"{}\", username: u, password: p, vod: false, series: off",
                provider.base_url()
            ),
        };
        let mainstem = Mainstem::start(&format!(
            "{QUICK}log_level: DEBUG\nsources:\n  - {{name: a, type: {kind}, {keys}}}\n  - {{name: b, type: {kind}, {keys}}}\n"
        ))
        .await;
        for source in ["a", "b"] {
            until_details(&mainstem, source, "has its list", |found| found["streams"] == 1).await;
        }
        let asked: Vec<_> = login.requests().into_iter().map(|asked| asked.query).collect();
        assert_eq!(asked.len(), calls, "{asked:?}");
    }
}
