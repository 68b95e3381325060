//! Viewers who stop reading, vanish or are cut off: they cost nobody else anything.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::time::{Duration, Instant};

use provider_double::{Account, Channel, Clip, Movie, Plan, Provider};
use support::process::QUICK;
use support::ts::Report;
use support::{Mainstem, Raw, SOON, Viewer, eventually, get_json};

async fn scene(speed: f64) -> (Provider, Mainstem, String) {
    scene_with(speed, QUICK).await
}

async fn scene_with(speed: f64, timing: &str) -> (Provider, Mainstem, String) {
    let provider = Provider::start(
        Plan::new()
            .account(Account::new("login", "secret").max_connections(2))
            .channel(Channel::new(1, "One", Clip::H264Closed).speed(speed))
            .channel(Channel::new(2, "Two", Clip::H264Closed))
            // More than the kernel keeps for a client.
            .movie(Movie::new("900", "Film", 60_000_000)),
    )
    .unwrap();
    let url = format!(
        "{}/get.php?username=login&password=secret&type=m3u_plus&output=ts",
        provider.base_url()
    );
    let mainstem = Mainstem::start(&format!(
        "{timing}log_level: DEBUG\nsources:\n  - {{name: one, type: m3u, url: \"{url}\"}}\n"
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

/// A client may watch one channel, and nobody is cut off for taking nothing.
fn patient() -> String {
    let timing = QUICK.replace("  viewer_stall: 2s\n", "  viewer_stall: 2m\n");
    format!("{timing}limits: {{channels_per_client: 1, client_policy: stop_oldest}}\n")
}

/// A connection that neither side has ended (proc(5): /proc/net/tcp).
const ESTABLISHED: &str = "01";

/// The other end of a client's connection on loopback: its state, and how many bytes wait in the kernel to be sent.
fn server_side(client: &Raw) -> Option<(String, usize)> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let (here, there) = client.ports();
    let (from, to) = (format!(":{there:04X}"), format!(":{here:04X}"));
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_it = fields.get(1)?.ends_with(&from) && fields.get(2)?.ends_with(&to);
        let (sending, _) = fields.get(4).filter(|_| is_it)?.split_once(':')?;
        let waiting = usize::from_str_radix(sending, 16).ok()?;
        Some(((*fields.get(3)?).to_owned(), waiting))
    })
}

/// Waits until nothing more goes into a connection that nobody reads from.
async fn is_full(stuck: &Raw) {
    let full = std::cell::Cell::new((0, Instant::now()));
    eventually("the connection is full", || async {
        let (_, now) = server_side(stuck)?;
        let (before, since) = full.get();
        if now != before {
            full.set((now, Instant::now()));
        }
        // Something comes in each quarter of that.
        (now > 0 && now == before && since.elapsed() > Duration::from_secs(1)).then_some(())
    })
    .await;
}

/// Whoever waits for more hears of it at once; so does who has no room for what there is.
#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_makes_room_like_any_other() {
    let (provider, mainstem, url) = scene_with(1.0, &patient()).await;
    let stuck = Raw::get(&url, true).await;
    is_full(&stuck).await;
    let other = Viewer::open_as(&mainstem.stream_url("Two").await, &[("User-Agent", "other")]).await;
    assert_eq!(other.status, 200);
    let login = provider.account("login");
    login
        .wait_until(|log| log.opens.len() == 2 && log.open_now == 1, SOON)
        .await
        .unwrap();
    drop(stuck);
}

/// A film is written by the HTTP library, as is every stream behind another answer of its connection.
#[tokio::test(flavor = "multi_thread")]
async fn who_pauses_a_film_makes_room_too() {
    let (_provider, mainstem, _) = scene_with(1.0, &patient()).await;
    let stuck = Raw::get(&mainstem.stream_url("Film").await, true).await;
    is_full(&stuck).await;
    let other = Viewer::open_as(&mainstem.stream_url("Two").await, &[("User-Agent", "other")]).await;
    assert_eq!(other.status, 200);
    eventually("the connection ends", || async {
        server_side(&stuck)
            .is_none_or(|(state, _)| state != ESTABLISHED)
            .then_some(())
    })
    .await;
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
            !head.contains("\r\ntransfer-encoding:") && !head.contains("\r\ncontent-length:"),
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
