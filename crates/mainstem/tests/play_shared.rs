//! One channel from two sources: a single connection however many watch, and pictures for all of them.

mod support;

use std::time::Duration;

use provider_double::{Account, Channel, Clip, Plan, Provider};
use support::ts::Report;
use support::{SOON, Viewer, decode};

fn plan(user: &str, clip: Clip) -> Plan {
    Plan::new()
        .account(Account::new(user, "secret").max_connections(5))
        .channel(Channel::new(1, "One", clip))
}

fn config(providers: &[(&Provider, &str)]) -> String {
    let mut text = String::from(support::process::QUICK);
    text.push_str("log_level: DEBUG\nsources:\n");
    for (provider, user) in providers {
        text.push_str(&format!(
            "  - {{name: {user}, type: m3u, url: \"{}/get.php?username={user}&password=secret&type=m3u_plus&output=ts\", max_connections: 5}}\n",
            provider.base_url()
        ));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn many_viewers_share_one_connection() {
    let first = Provider::start(plan("first", Clip::H264Closed)).unwrap();
    let second = Provider::start(plan("second", Clip::PcrOwnPid)).unwrap();
    let mainstem = support::Mainstem::start(&config(&[(&first, "first"), (&second, "second")])).await;
    let url = mainstem.stream_url("One").await;

    let alone = Viewer::open(&url).await;
    assert_eq!(alone.status, 200);
    alone.media(Duration::from_secs(2), SOON).await;
    assert_eq!(first.account("first").open_now(), 1);

    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(Viewer::open(&url).await);
    }
    for viewer in others.iter().chain([&alone]) {
        viewer.media(Duration::from_secs(4), SOON).await;
        let report = Report::of(&viewer.bytes());
        report.assert_clean("a viewer of many");
    }
    assert_eq!(first.account("first").peak(), 1, "one connection serves all");
    assert_eq!(
        second.account("second").log().opens.len(),
        0,
        "nobody needs the second source"
    );
    for viewer in others.iter().chain([&alone]).step_by(7) {
        let bytes = viewer.bytes();
        if let Some(decoded) = decode::decode(&bytes) {
            assert!(decoded.distinct >= 75, "moving pictures: {}", decoded.distinct);
        }
    }
}
