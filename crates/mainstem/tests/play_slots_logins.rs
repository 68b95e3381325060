//! One provider, several logins and several hosts: every login keeps its own limit, and a dead host stops nobody.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

#[path = "support/slots.rs"]
mod slots;
mod support;

use std::time::Duration;

use provider_double::{Account, Extent, Fault, List, ListFault, OnLimit, Plan, Provider};
use slots::{is_all_live, is_live, plan};
use support::process::QUICK;
use support::{Mainstem, SOON, Viewer, eventually, get_json};

const LOGINS: [&str; 3] = ["first", "second", "third"];

fn three_logins(channels: usize) -> Plan {
    let login = |name: &str| Account::new(name, "secret").max_connections(1);
    let plan = plan(login(LOGINS[0]), channels);
    LOGINS[1..]
        .iter()
        .fold(plan, |plan, name| plan.account(login(name)))
}

fn source(kind: &str, url: &str, more: &str) -> String {
    format!(
        "{QUICK}sources:\n  - {{name: one, type: {kind}, url: \"{url}\", logins: [{{username: second, password: secret{more}}}, {{username: third, password: secret{more}}}]"
    )
}

/// Four channels, of which three can play.
async fn three_of_four_play(provider: &Provider, mainstem: &Mainstem) {
    let mut viewers = Vec::new();
    for number in 1..=4 {
        let viewer = Viewer::open(&mainstem.stream_url(&format!("Channel {number}")).await).await;
        viewer.media(Duration::from_secs(1), SOON).await;
        viewers.push(viewer);
    }
    for viewer in &viewers[..3] {
        assert!(is_all_live(viewer).await);
    }
    assert!(!is_live(&viewers[3]).await);
    for name in LOGINS {
        let login = provider.account(name);
        assert_eq!(
            (login.open_now(), login.peak(), login.over_limit()),
            (1, 1, 0),
            "{name}"
        );
    }
    // Whichever comes free serves the fourth.
    viewers.remove(1);
    let fourth = viewers.pop().unwrap();
    eventually("the fourth plays", || async {
        let active = get_json(&mainstem.url("/active-streams")).await;
        let broadcasts = active["broadcasts"].as_array()?;
        broadcasts
            .iter()
            .any(|one| one["name"] == "Channel 4" && one["live"] == true)
            .then_some(())
    })
    .await;
    fourth.more_media(Duration::from_secs(4), SOON).await;
    assert!(is_live(&fourth).await);
    for name in LOGINS {
        assert_eq!(
            (provider.account(name).peak(), provider.account(name).over_limit()),
            (1, 0),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_logins_of_an_account_play_three_channels_each_within_its_own_limit() {
    let provider = Provider::start(three_logins(4)).unwrap();
    let config = source("xtream", &provider.base_url(), "") + ", username: first, password: secret}\n";
    let mainstem = Mainstem::start(&config).await;
    // Nobody but the accounts says how many connections they allow.
    let pools = eventually("every account was asked", || async {
        let pools = get_json(&mainstem.url("/status")).await["pools"]
            .as_array()?
            .clone();
        let known = pools
            .iter()
            .all(|pool| pool["limit"] == 1 && pool["limit_from"] == "account");
        (pools.len() == 3 && known).then_some(pools)
    })
    .await;
    assert_eq!(pools.len(), 3);
    three_of_four_play(&provider, &mainstem).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_logins_of_a_list_play_three_channels_each_within_its_own_limit() {
    let provider = Provider::start(three_logins(4)).unwrap();
    let url = format!("{}&output=ts", provider.m3u_url("first"));
    let config = source("m3u", &url, ", max_connections: 1") + ", max_connections: 1}\n";
    let mainstem = Mainstem::start(&config).await;
    three_of_four_play(&provider, &mainstem).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_answer_of_one_login_is_followed_by_another_login_at_once() {
    // Somebody else uses the first login: it has no connection left.
    let busy = Account::new("first", "secret")
        .max_connections(1)
        .on_limit(OnLimit::Refuse { status: 458 });
    let second = Account::new("second", "secret").max_connections(2);
    let provider = Provider::start(plan(busy, 2).account(second)).unwrap();
    provider.account("first").fault(Fault::Status {
        code: 458,
        body: String::new(),
        retry_after: None,
    });
    let config = format!(
        "{QUICK}sources:\n  - {{name: one, type: xtream, url: \"{}\", username: first, password: secret, max_connections: 5, logins: [{{username: second, password: secret, max_connections: 2}}]}}\n",
        provider.base_url()
    );
    let mainstem = Mainstem::start(&config).await;
    let viewer = Viewer::open(&mainstem.stream_url("Channel 1").await).await;
    viewer.media(Duration::from_secs(4), SOON).await;
    eventually("it plays at the second login", || async {
        (provider.account("second").open_now() == 1).then_some(())
    })
    .await;
    viewer.more_media(Duration::from_secs(4), SOON).await;
    assert!(is_live(&viewer).await);
    let asked = provider.account("first").requests();
    let streams = asked
        .iter()
        .filter(|request| request.path.starts_with("/live/"))
        .count();
    assert_eq!(streams, 1, "the first login was asked once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_in_doubt_gets_the_next_beside_it_at_a_further_login_of_its_source() {
    let provider = Provider::start(three_logins(1)).unwrap();
    // Both sources begin with the same login, and whichever is opened first has it.
    provider
        .stream(1)
        .fault_times(Fault::Stall(Extent::After(Duration::from_secs(3))), 1);
    let source = |name: &str, further: &str| {
        format!(
            "  - {{name: {name}, type: xtream, url: \"{}\", username: first, password: secret, logins: [{{username: {further}, password: secret}}]}}\n",
            provider.base_url()
        )
    };
    let config = format!(
        "{QUICK}sources:\n{}{}",
        source("one", "third"),
        source("two", "second")
    );
    let mainstem = Mainstem::start(&config).await;
    eventually("every account was asked, and both lists are there", || async {
        let status = get_json(&mainstem.url("/status")).await;
        let pools = status["pools"].as_array()?.clone();
        let known = pools.iter().all(|pool| pool["limit"] == 1);
        let streams = |source: &str| status["source_details"][source]["streams"] == 1;
        (pools.len() == 3 && known && streams("one") && streams("two")).then_some(())
    })
    .await;
    let viewer = Viewer::open(&mainstem.stream_url("Channel 1").await).await;
    viewer.media(Duration::from_secs(8), SOON).await;
    assert!(is_all_live(&viewer).await, "nobody saw a slate");
    // Whichever of the sources began, the other one's further login is beside it.
    let first = provider.account("first").log();
    let further = LOGINS[1..]
        .iter()
        .flat_map(|name| provider.account(name).log().opens);
    let further: Vec<_> = further.collect();
    assert_eq!((first.opens.len(), further.len()), (1, 1), "{further:?}");
    assert!(
        further[0].at < first.closes[0].at,
        "beside it, before it was given up"
    );
    for name in LOGINS {
        assert!(provider.account(name).peak() <= 1, "{name}");
        assert_eq!(provider.account(name).over_limit(), 0, "{name}");
    }
}

/// A port of loopback at which nobody listens.
fn dead_host() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_host_gives_way_to_the_next_for_lists_and_streams_and_ids_stay() {
    let provider = Provider::start(plan(Account::new("first", "secret"), 2)).unwrap();
    let alone = format!(
        "{QUICK}sources:\n  - {{name: one, type: xtream, url: \"{}\", username: first, password: secret}}\n",
        provider.base_url()
    );
    let before = Mainstem::start(&alone).await.channel_id("Channel 1").await;
    let config = format!(
        "{QUICK}sources:\n  - {{name: one, type: xtream, url: \"{}\", username: first, password: secret, hosts: [\"{}\"]}}\n",
        dead_host(),
        provider.base_url()
    );
    let mainstem = Mainstem::start(&config).await;
    assert_eq!(mainstem.channel_id("Channel 1").await, before);
    for number in 1..=2 {
        let viewer = Viewer::open(&mainstem.stream_url(&format!("Channel {number}")).await).await;
        viewer.media(Duration::from_secs(1), SOON).await;
        assert!(is_all_live(&viewer).await, "channel {number}");
    }
    let login = provider.account("first");
    assert_eq!(
        (login.peak(), login.over_limit()),
        (1, 0),
        "one provider, one limit"
    );
    assert_eq!(
        get_json(&mainstem.url("/status")).await["pools"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_further_logins_account_is_told_and_shown_as_its_own() {
    let provider = Provider::start(three_logins(1)).unwrap();
    let ended = "{\"user_info\":{\"auth\":1,\"status\":\"Expired\",\"exp_date\":\"1700000000\",\"max_connections\":\"3\"}}";
    provider
        .account(LOGINS[1])
        .list_fault_on(List::Login, ListFault::Body(ended.to_owned()));
    let own = format!(
        "{}, username: first, password: secret}}\n",
        source("xtream", &provider.base_url(), "")
    );
    let mainstem = Mainstem::start(&own).await;
    mainstem
        .wait_log("a further login: the account expired on 2023-11-14; it will be refused")
        .await;
    let pools = get_json(&mainstem.url("/status")).await["pools"].clone();
    let accounts: Vec<_> = pools
        .as_array()
        .unwrap()
        .iter()
        .map(|pool| &pool["account"])
        .collect();
    let is_ended = |account: &&&serde_json::Value| account["ended"] == "the account expired on 2023-11-14";
    assert_eq!(accounts.len(), 3, "{pools}");
    assert_eq!(accounts.iter().filter(is_ended).count(), 1, "{pools}");
    let of_ended = accounts.iter().find(is_ended).unwrap();
    assert_eq!(of_ended["max_connections"], 3);
}
