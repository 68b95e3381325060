//! HLS sessions at a login of one connection: a provider counts them from their last request, for as long as it likes, and
//! what it imposes is learned and not assumed.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect, and prints what it measured"
)]

#[path = "support/slots.rs"]
mod slots;
mod support;

use std::time::{Duration, Instant};

use provider_double::{AccountLog, Open, Provider};
use slots::{LOGIN, PATIENT, Scene, account, is_all_live, plan};
use support::{Mainstem, SOON, Viewer};

/// The bounds for what is our own of a switch.
const OWN_DELAY_MAX: Duration = Duration::from_millis(300);
const OWN_DELAY_MAX_WHERE_NOTHING_IS_IMPOSED: Duration = Duration::from_millis(20);

/// A provider that counts an HLS session for so long after its last request, and a mainstem that has four of its
/// channels as HLS.
async fn scene(counted_for: Duration) -> Scene {
    let started = Instant::now();
    let provider = Provider::start(plan(account(1).hls_idle(counted_for), 4)).unwrap();
    let url = format!("{}&output=m3u8", provider.m3u_url(LOGIN));
    let mainstem = Mainstem::start(&format!(
        "{PATIENT}log_level: DEBUG\nsources:\n  - {{name: one, type: m3u, url: \"{url}\", max_connections: 1}}\n"
    ))
    .await;
    Scene {
        provider,
        started,
        mainstem,
    }
}

/// One switch of channels, as the provider saw it.
#[derive(Debug)]
struct Zap {
    /// How much later than possible the new channel was served.
    late: Duration,
    /// Requests that were refused.
    refused: usize,
}

/// One device switches channels, again and again.
async fn zaps(scene: &Scene, times: usize, counted_for: Duration) -> Vec<Zap> {
    let urls = scene.urls(4).await;
    let mut zaps = Vec::new();
    for zap in 0..=times {
        let stream = (zap % 4 + 1).to_string();
        let (asked, refused) = (scene.now(), scene.login().over_limit());
        let viewer = Viewer::open(&urls[zap % 4]).await;
        assert_eq!(viewer.status, 200);
        // Where nobody is let in for long, the slate comes first.
        let is_its = |open: &&Open| open.at >= asked && open.stream == stream;
        let login = scene.login();
        let is_open = |log: &AccountLog| log.opens.iter().any(|open| is_its(&open));
        login.wait_until(is_open, SOON).await.unwrap();
        let log = login.log();
        let opened = log.opens.iter().find(is_its).unwrap().at;
        viewer.more_media(Duration::from_secs(1), SOON).await;
        // What was asked of the channel before it, up to the switch.
        let before = (zap + 3) % 4 + 1;
        let of_before = |path: &str| {
            path.contains(&format!("/{before}.m3u8")) || path.contains(&format!("/secret/{before}/"))
        };
        let last = log.requests.iter().rfind(|request| of_before(&request.path));
        if zap > 0 {
            let possible = asked.max(last.unwrap().at + counted_for);
            zaps.push(Zap {
                late: opened.saturating_sub(possible),
                refused: log.over_limit - refused,
            });
        }
        if counted_for < Duration::from_secs(5) {
            assert!(is_all_live(&viewer).await, "zap {zap} showed the slate");
        }
        assert!(scene.login().peak() <= 1);
        drop(viewer);
    }
    zaps
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zap_between_hls_channels_costs_nothing_where_the_provider_forgets_at_once() {
    let scene = scene(Duration::ZERO).await;
    let mut zaps = zaps(&scene, if support::full() { 50 } else { 10 }, Duration::ZERO).await;
    println!("{zaps:?}");
    assert_eq!(scene.login().over_limit(), 0);
    zaps.sort_by_key(|zap| zap.late);
    // The machine may be busy with other tests: the median tells what mainstem itself takes.
    let median = zaps[zaps.len() / 2].late;
    assert!(median <= OWN_DELAY_MAX_WHERE_NOTHING_IS_IMPOSED, "{zaps:?}");
    let pool = scene.pool().await;
    assert_eq!(pool["release_delay"]["learned_hls_seconds"], 0.0, "{pool}");
}

/// The first switch is the lesson: refused until the provider has forgotten. After it nobody is refused.
async fn learns(counted_for: Duration, times: usize, lesson_max: usize) {
    let scene = scene(counted_for).await;
    let zaps = zaps(&scene, times, counted_for).await;
    println!("{counted_for:?}: {zaps:?}");
    // The machine may be busy with other tests: the median tells what mainstem itself takes.
    let mut late: Vec<_> = zaps.iter().map(|zap| zap.late).collect();
    late.sort_unstable();
    assert!(late[(late.len() - 1) / 2] <= OWN_DELAY_MAX, "{zaps:?}");
    let lesson = zaps.iter().position(|zap| zap.refused > 0).unwrap();
    assert!((1..=lesson_max).contains(&zaps[lesson].refused), "{zaps:?}");
    assert!(
        zaps[lesson + 1..].iter().all(|zap| zap.refused == 0),
        "refused after the lesson: {zaps:?}"
    );
    let pool = scene.pool().await;
    let learned = pool["release_delay"]["learned_hls_seconds"].as_f64().unwrap();
    let counted = counted_for.as_secs_f64();
    assert!((counted..=counted + 0.4).contains(&learned), "{pool}");
    assert_eq!(pool["release_delay"]["learned_seconds"], 0.0, "{pool}");
    assert_eq!(
        (&pool["cooling"], &pool["lowered"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_counts_a_session_for_two_seconds_teaches_it_once() {
    learns(Duration::from_secs(2), if support::full() { 30 } else { 5 }, 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_counts_a_session_for_eight_seconds_teaches_it_once() {
    learns(Duration::from_secs(8), if support::full() { 12 } else { 2 }, 34).await;
}
