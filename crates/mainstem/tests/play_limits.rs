//! Connection limits, as the provider counts them.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::time::Duration;

use provider_double::{Account, Channel, Clip, Join, Plan, Provider};
use support::decode::{Colour, decode_aside};
use support::process::QUICK;
use support::ts::Report;
use support::{Mainstem, SOON, Viewer, eventually, get_json};
use tokio::task::JoinSet;

/// A provider with one login of so many connections and so many channels named `Channel 1`, … Each begins at a keyframe,
/// with two seconds of media at once.
fn provider(connections: u32, channels: usize) -> Provider {
    let account = Account::new("limited", "secret").max_connections(connections);
    let plan = (1..=channels).fold(Plan::new().account(account), |plan, number| {
        let channel = Channel::new(number, &format!("Channel {number}"), Clip::H264Closed);
        plan.channel(channel.join(Join::Keyframe).burst(Duration::from_secs(2)))
    });
    Provider::start(plan).unwrap()
}

async fn mainstem(provider: &Provider, connections: u32, more: &str) -> Mainstem {
    let url = format!(
        "{}/get.php?username=limited&password=secret&type=m3u_plus&output=ts",
        provider.base_url()
    );
    Mainstem::start(&format!(
        "{QUICK}log_level: DEBUG\n{more}\nsources:\n  - {{name: one, type: m3u, url: \"{url}\", max_connections: {connections}}}\n"
    ))
    .await
}

/// mainstem's own count and the provider's are the same, and it is this.
async fn in_use(mainstem: &Mainstem, provider: &Provider, count: usize) {
    let url = mainstem.url("/status");
    let login = provider.account("limited");
    eventually(&format!("{count} connections in use, by both counts"), || async {
        let status = get_json(&url).await;
        let own = status["connections"]["total_connections"].as_u64();
        (own == Some(count as u64) && login.open_now() == count).then_some(())
    })
    .await;
}

async fn is_live(viewer: &Viewer) -> bool {
    let decoded = decode_aside(viewer.bytes()).await;
    decoded.is_none_or(|decoded| {
        decoded
            .colours
            .last()
            .is_some_and(|colour| colour.is_like(Colour::DARK_RED))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_channel_of_a_full_login_waits_on_the_slate_and_gets_the_connection_that_comes_free() {
    let provider = provider(1, 2);
    let login = provider.account("limited");
    let mainstem = mainstem(&provider, 1, "").await;
    let first = Viewer::open(&mainstem.stream_url("Channel 1").await).await;
    first.media(Duration::from_secs(2), SOON).await;
    let second = Viewer::open(&mainstem.stream_url("Channel 2").await).await;
    assert_eq!(second.status, 200);
    second.media(Duration::from_secs(2), SOON).await;
    assert!(
        !is_live(&second).await,
        "the slate, not somebody else's connection"
    );
    assert!(is_live(&first).await);
    in_use(&mainstem, &provider, 1).await;

    drop(first);
    login
        .wait_until(|log| log.opens.iter().any(|open| open.stream == "2"), SOON)
        .await
        .unwrap();
    second.more_media(Duration::from_secs(4), SOON).await;
    assert!(is_live(&second).await, "the connection that came free");
    Report::of(&second.bytes()).assert_clean("slate, then the channel");
    assert_eq!((login.peak(), login.over_limit()), (1, 0));
    drop(second);
    in_use(&mainstem, &provider, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_lingers_is_given_up_to_whoever_zaps() {
    let provider = provider(1, 6);
    let login = provider.account("limited");
    // It would linger for the whole test.
    let config = "limits: {redirects: 3}";
    let mainstem = mainstem_lingering(&provider, config).await;
    for number in 1..=6 {
        let url = mainstem.stream_url(&format!("Channel {number}")).await;
        let viewer = Viewer::open(&url).await;
        viewer.media(Duration::from_secs(2), SOON).await;
        assert!(is_live(&viewer).await, "channel {number}");
        assert_eq!(viewer.status, 200);
    }
    assert_eq!((login.peak(), login.over_limit()), (1, 0));
    assert_eq!(login.log().opens.len(), 6, "each channel was opened once");
}

async fn mainstem_lingering(provider: &Provider, more: &str) -> Mainstem {
    let url = format!(
        "{}/get.php?username=limited&password=secret&type=m3u_plus&output=ts",
        provider.base_url()
    );
    let quick = QUICK
        .replace("linger: 500ms", "linger: 300s")
        .replace("zap_hold: 500ms", "zap_hold: 2s");
    Mainstem::start(&format!(
        "{quick}log_level: DEBUG\n{more}\nsources:\n  - {{name: one, type: m3u, url: \"{url}\", max_connections: 1}}\n"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_starts_at_once_stay_within_the_limit_and_so_does_the_total() {
    for (of_login, total, allowed) in [(2, 100, 2), (100, 3, 3)] {
        let provider = provider(allowed, 30);
        let login = provider.account("limited");
        let mainstem = mainstem(&provider, of_login, &format!("max_total_connections: {total}")).await;
        let mut opening = JoinSet::new();
        for number in 1..=30 {
            let url = mainstem.stream_url(&format!("Channel {number}")).await;
            opening.spawn(async move { Viewer::open(&url).await });
        }
        let viewers = opening.join_all().await;
        assert!(
            viewers.iter().all(|viewer| viewer.status == 200),
            "everybody sees something"
        );
        let limit = usize::try_from(allowed).unwrap();
        in_use(&mainstem, &provider, limit).await;
        for viewer in &viewers {
            viewer.media(Duration::from_secs(2), SOON).await;
        }
        assert!(login.peak() <= limit, "{} at once", login.peak());
        assert_eq!(login.over_limit(), 0);
        drop(viewers);
        in_use(&mainstem, &provider, 0).await;
    }
}
