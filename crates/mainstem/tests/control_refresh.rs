//! Lists that fail, break off, hang or come back: what was known stays, `/status` says why, a restart loses nothing.

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

use std::time::{Duration, Instant};

use control::{details, names, playlist, refresh, until_details, until_names};
use provider_double::{Account, Channel, Clip, List, ListFault, Plan, Provider, Synthetic};
use support::process::QUICK;
use support::{Launch, get, within};

fn plan() -> Plan {
    Plan::new()
        .account(Account::new("u", "p").max_connections(2))
        .channel(Channel::new(1, "One", Clip::H264Closed).group("News"))
        .channel(Channel::new(2, "Two", Clip::H264Closed).group("Sport"))
        .channel(Channel::new(3, "Three", Clip::H264Closed).group("News"))
}

/// Quick, and a list may be silent for 2 s only.
fn quick() -> String {
    format!("{QUICK}  list_silence: 2s\nlog_level: DEBUG\n")
}

fn m3u(provider: &Provider) -> String {
    format!(
        "{}sources:\n  - {{name: s, type: m3u, url: \"{}\", refresh_interval: 4h}}\n",
        quick(),
        provider.m3u_url("u")
    )
}

fn xtream(provider: &Provider, series: &str) -> String {
    format!(
        "{}sources:\n  - {{name: s, type: xtream, url: \"{}\", username: u, password: p, refresh_interval: 4h, series: {series}}}\n",
        quick(),
        provider.base_url()
    )
}

fn status(code: u16) -> ListFault {
    ListFault::Status {
        code,
        body: "<html>sorry</html>".to_owned(),
    }
}

fn body(text: &str) -> ListFault {
    ListFault::Body(text.to_owned())
}

/// The faults of a list, with the code and a word of the sentence that `/status` must show.
fn faults() -> Vec<(ListFault, &'static str, &'static str)> {
    vec![
        (status(500), "status", "500"),
        (status(503), "status", "503"),
        (status(401), "status", "login"),
        (ListFault::Html, "not_a_list", "web page"),
        (body("[]"), "not_a_list", "JSON"),
        (body("{}"), "not_a_list", "JSON"),
        (body("#EXTM3U\n"), "empty", "empty"),
        (body(""), "empty", "empty"),
        (ListFault::Refuse, "unreachable", ""),
        (ListFault::CutAt(150), "not_a_list", "broke off"),
        (ListFault::TruncatedAt(150), "not_a_list", "breaks off"),
        (ListFault::Hang, "unreachable", "within"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_m3u_changes_no_byte_of_the_playlist_and_status_says_why() {
    let provider = Provider::start(plan()).unwrap();
    let mainstem = support::Mainstem::start(&m3u(&provider)).await;
    let good = until_names(&mainstem, &["One", "Two", "Three"]).await;
    for (fault, code, word) in faults() {
        provider.account("u").list_fault(fault.clone());
        let found = refresh(&mainstem, "s").await;
        assert_eq!(found["last_error"]["code"], code, "{fault:?}: {found}");
        let sentence = found["last_error"]["detail"].as_str().unwrap();
        assert!(sentence.contains(word), "{fault:?}: {sentence}");
        assert_eq!(found["streams"], 3, "{fault:?}");
        assert_eq!(found["stale"], true, "{fault:?}");
        assert_eq!(playlist(&mainstem).await, good, "{fault:?}");
    }
    provider.account("u").clear();
    let list = "#EXTM3U\n#EXTINF:-1,New\nhttp://127.0.0.1:9/new.ts\n";
    provider.account("u").list_fault(body(list));
    let found = refresh(&mainstem, "s").await;
    assert_eq!(found["last_error"], serde_json::Value::Null);
    assert_eq!(found["stale"], false);
    until_names(&mainstem, &["New"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_account_answer_changes_no_byte_of_the_playlist_and_status_says_why() {
    let provider = Provider::start(plan().synthetic(Synthetic {
        movies: 2,
        ..Synthetic::default()
    }))
    .unwrap();
    let mainstem = support::Mainstem::start(&xtream(&provider, "off")).await;
    let good = until_names(
        &mainstem,
        &["One", "Two", "Three", "Movie 000000", "Movie 000001"],
    )
    .await;
    assert!(
        good.contains("group-title=\"Sport\""),
        "categories are joined: {good}"
    );
    // Channels are there before the first refresh is over: one asked for meanwhile would be taken for it.
    support::eventually("the first refresh is over", || async {
        (control::refreshes(&mainstem, "s") > 0).then_some(())
    })
    .await;
    let refused = r#"{"user_info":{"auth":0}}"#;
    let expired = r#"{"user_info":{"auth":1,"status":"Expired"},"server_info":{}}"#;
    let banned = r#"{"user_info":{"auth":1,"status":"Banned"},"server_info":{}}"#;
    let cases = [
        (None, status(500), "status", "500"),
        (None, status(401), "status", "login"),
        (None, ListFault::Html, "not_a_list", ""),
        (None, body("null"), "not_a_list", ""),
        (None, body("{}"), "not_a_list", ""),
        (None, body("[]"), "not_a_list", ""),
        (None, body(""), "not_a_list", ""),
        (None, ListFault::Hang, "unreachable", "within"),
        (Some(List::Login), body(refused), "account", "wrong"),
        (Some(List::Login), body(expired), "account", "Expired"),
        (Some(List::Login), body(banned), "account", "Banned"),
        (Some(List::Live), body("[]"), "empty", "empty"),
        (Some(List::Live), body("null"), "not_a_list", ""),
        (Some(List::Live), body(refused), "not_a_list", ""),
        (Some(List::Live), ListFault::TruncatedAt(200), "not_a_list", ""),
        (Some(List::Live), ListFault::CutAt(200), "not_a_list", ""),
        (Some(List::Movies), body("[]"), "empty", "empty"),
        (Some(List::Movies), status(502), "status", "502"),
        (Some(List::Categories), ListFault::Html, "not_a_list", ""),
        (Some(List::Categories), body("[]"), "not_a_list", "categories"),
    ];
    for (list, fault, code, word) in cases {
        match list {
            Some(list) => provider.account("u").list_fault_on(list, fault.clone()),
            None => provider.account("u").list_fault(fault.clone()),
        }
        let found = refresh(&mainstem, "s").await;
        // Without its categories a kind comes all the same.
        let why = match list {
            Some(List::Categories) => &found["stale_groups"],
            _ => &found["last_error"],
        };
        assert_eq!(why["code"], code, "{list:?} {fault:?}: {found}");
        let sentence = why["detail"].as_str().unwrap();
        assert!(sentence.contains(word), "{list:?} {fault:?}: {sentence}");
        assert_eq!(playlist(&mainstem).await, good, "{list:?} {fault:?}");
        provider.account("u").clear();
    }
    let found = refresh(&mainstem, "s").await;
    assert_eq!(found["last_error"], serde_json::Value::Null);
    assert_eq!(playlist(&mainstem).await, good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_film_list_costs_a_newcomer_no_live_channel() {
    let provider = Provider::start(plan()).unwrap();
    provider.account("u").list_fault_on(List::Movies, status(500));
    let mainstem = support::Mainstem::start(&xtream(&provider, "off")).await;
    until_names(&mainstem, &["One", "Two", "Three"]).await;
    let found = until_details(&mainstem, "s", "says why", |found| !found["last_error"].is_null()).await;
    assert_eq!(found["last_error"]["code"], "status");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_and_a_start_without_the_provider_lose_nothing() {
    let provider = Provider::start(plan().synthetic(Synthetic {
        series: 2,
        ..Synthetic::default()
    }))
    .unwrap();
    let address = provider.addr();
    let launch = Launch::new(&xtream(&provider, "expand"));
    let (config, folder) = (xtream(&provider, "expand"), tempfile::tempdir().unwrap());
    let data = folder.path().join("data").display().to_string();
    let mut first = launch.env("MAINSTEM_DATA_DIR", &data).ready().await;
    let found = until_details(&first, "s", "all series are expanded", |found| {
        found["series"] == 2 && found["series_unexpanded"] == 0
    })
    .await;
    assert_eq!(found["limit_from"], "account", "{found}");
    assert_eq!(found["connections"]["max"], 2);
    let base = first.base_url().to_owned();
    let before = within(support::SOON, "the episodes are listed", || async {
        let list = playlist(&first).await;
        (names(&list).len() == 3 + 12).then_some(list)
    })
    .await;
    first.signal("KILL");
    first.exit().await;
    provider.stop().await;
    // Nobody answers at the provider's address now.
    assert!(tokio::net::TcpStream::connect(address).await.is_err());

    let second = Launch::new(&config).env("MAINSTEM_DATA_DIR", &data).ready().await;
    let after = playlist(&second).await;
    assert_eq!(after.replace(second.base_url(), &base), before);
    let found = until_details(&second, "s", "says why", |found| !found["last_error"].is_null()).await;
    assert_eq!(found["last_error"]["code"], "unreachable");
    assert_eq!(
        (&found["from_disk"], &found["stale"]),
        (&true.into(), &true.into())
    );
    assert_eq!(
        found["connections"]["max"], 2,
        "the account's limit is not forgotten: {found}"
    );
    assert_eq!(found["limit_from"], "account");
    assert_eq!(playlist(&second).await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_hangs_delays_nobody() {
    // Another login: one login's calls wait for each other.
    let other = plan().account(Account::new("other", "p"));
    let (hanging, good) = (Provider::start(other).unwrap(), Provider::start(plan()).unwrap());
    hanging.account("other").list_fault(ListFault::Hang);
    let config = format!(
        "sources:\n  - {{name: hangs, type: xtream, url: \"{}\", username: other, password: p}}\n  - {{name: good, type: xtream, url: \"{}\", username: u, password: p}}\n",
        hanging.base_url(),
        good.base_url()
    );
    let started = Instant::now();
    let mainstem = support::Mainstem::start(&config).await;
    until_names(&mainstem, &["One", "Two", "Three"]).await;
    for path in ["/status", "/streams", "/series", "/active-streams", "/readyz"] {
        assert_eq!(get(&mainstem.url(path)).await.status, 200, "{path}");
    }
    // The hanging list is given up after 30 s; all of this happened while it hung.
    let found = details(&mainstem, "hangs").await;
    assert!(
        found["last_error"].is_null() && started.elapsed() < Duration::from_secs(25),
        "{found} after {:?}",
        started.elapsed()
    );
    let viewer = support::Viewer::open(&mainstem.stream_url("One").await).await;
    assert_eq!(viewer.status, 200);
    viewer.more(188 * 100).await;
}
