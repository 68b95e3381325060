//! Viewers who stop reading, vanish or are cut off: they cost nobody else anything.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::time::Duration;

use provider_double::{Account, Channel, Clip, Plan, Provider};
use support::process::QUICK;
use support::ts::Report;
use support::{Mainstem, Raw, SOON, Viewer, eventually, get_json};

async fn scene(speed: f64) -> (Provider, Mainstem, String) {
    let provider = Provider::start(
        Plan::new()
            .account(Account::new("login", "secret").max_connections(2))
            .channel(Channel::new(1, "One", Clip::H264Closed).speed(speed)),
    )
    .unwrap();
    let url = format!(
        "{}/get.php?username=login&password=secret&type=m3u_plus&output=ts",
        provider.base_url()
    );
    let mainstem = Mainstem::start(&format!(
        "{QUICK}log_level: DEBUG\nsources:\n  - {{name: one, type: m3u, url: \"{url}\"}}\n"
    ))
    .await;
    let url = mainstem.stream_url("One").await;
    (provider, mainstem, url)
}

async fn watching(mainstem: &Mainstem, count: u64) {
    let url = mainstem.url("/active-streams");
    eventually(&format!("{count} viewers"), || async {
        let broadcasts = get_json(&url).await["broadcasts"].as_array()?.clone();
        let viewers: u64 = broadcasts.iter().filter_map(|b| b["viewers"].as_u64()).sum();
        (viewers == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_reading_is_cut_and_others_do_not_notice() {
    let (provider, mainstem, url) = scene(1.0).await;
    let good = Viewer::open(&url).await;
    good.media(Duration::from_secs(2), SOON).await;
    // Everything they would read fits into the kernel's buffers for a while at this rate, so there are signs of life of
    // all sorts: the first reads nothing at all, the second a little, the third says goodbye in one direction.
    let mut stuck = Raw::get(&url, true).await;
    let mut half_read = Raw::get(&url, true).await;
    half_read.read(4_000).await;
    let mut half_open = Raw::get(&url, true).await;
    half_open.half_close().await;
    watching(&mainstem, 1).await;
    stuck.drain().await;
    half_read.drain().await;
    half_open.drain().await;
    good.more_media(Duration::from_secs(2), SOON).await;
    let report = Report::of(&good.bytes());
    report.assert_clean("who went on reading");
    assert!(report.largest_step < 0.5, "{}", report.largest_step);
    assert_eq!(provider.account("login").peak(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_who_is_gone_frees_the_providers_connection() {
    let (provider, mainstem, url) = scene(1.0).await;
    let login = provider.account("login");
    for round in 0..3 {
        let mut raw = Raw::get(&url, false).await;
        raw.read(30_000).await;
        assert_eq!(login.open_now(), 1, "round {round}");
        if round % 2 == 0 {
            raw.reset();
        } else {
            drop(raw);
        }
        login.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
        watching(&mainstem, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_the_whole_machine_is_nobodys_failure() {
    let (provider, mainstem, url) = scene(1.0).await;
    let viewer = Viewer::open(&url).await;
    viewer.media(Duration::from_secs(3), SOON).await;
    mainstem.signal("STOP");
    // Longer than the bound of a stall. Nothing can be waited for: time itself is what happens.
    tokio::time::sleep(Duration::from_secs(4)).await;
    mainstem.signal("CONT");
    viewer.more_media(Duration::from_secs(6), SOON).await;
    assert_eq!(
        provider.account("login").log().opens.len(),
        1,
        "the stream was never opened again"
    );
    Report::of(&viewer.bytes()).assert_clean("across a pause");
}

/// The head of an answer, in small letters, read byte by byte: what follows it is left.
async fn head(raw: &mut Raw) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(raw.read(1).await);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_connection_and_behind_another_answer_it_is_framed() {
    let (_provider, mainstem, url) = scene(1.0).await;
    let (authority, path) = support::http::split(&url);
    for version in ["1.1", "1.0"] {
        let mut raw = Raw::connect(&url, false).await;
        let request = format!("GET {path} HTTP/{version}\r\nHost: {authority}\r\n\r\n");
        raw.send(request.as_bytes()).await;
        let head = head(&mut raw).await;
        assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
        for line in [
            "connection: close",
            "content-type: video/mp2t",
            "x-accel-buffering: no",
        ] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
        }
        assert!(
            !head.contains("transfer-encoding") && !head.contains("content-length"),
            "{head}"
        );
        // Whole packets from the first byte on, and no sizes between them.
        let packets = raw.read(100 * 188).await;
        assert!(packets.chunks(188).all(|packet| packet[0] == 0x47));
    }
    let mut raw = Raw::connect(&url, false).await;
    let requests = format!(
        "GET /healthz HTTP/1.1\r\nHost: {authority}\r\n\r\nGET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n"
    );
    raw.send(requests.as_bytes()).await;
    let health = head(&mut raw).await;
    let length = health.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    raw.read(length).await;
    let framed = head(&mut raw).await;
    assert!(framed.contains("\r\ntransfer-encoding: chunked\r\n"), "{framed}");
    raw.read(100 * 188).await;
    watching(&mainstem, 1).await;
}
