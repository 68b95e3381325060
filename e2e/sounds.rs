//! A channel of three sounds as HLS: a viewer in a browser chooses another one than the first.

use std::thread;
use std::time::{Duration, Instant};

use provider_double::{Account, Channel, Clip, Plan, Provider};
use tokio::runtime::Runtime;

use crate::browser::{Browser, Player, Video};
use crate::server::{List, PATIENCE, Server, get};

/// Segments that are listed when players come: as many short ones as a playlist has at first, and three.
const SEGMENTS_BEFORE: usize = 6;
/// How long the players watch.
const WATCHED: Duration = Duration::from_secs(16);
/// Of that, what a busy machine may need to start.
const START_MAX: f64 = 6.0;

#[test]
fn browser_plays_another_sound() {
    if !Browser::is_here() {
        return;
    }
    let runtime = Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let plan = Plan::new()
        .account(Account::new("one", "secret").max_connections(1))
        .channel(Channel::new(1, "three", Clip::ThreeSounds));
    let provider = Provider::start(plan).expect("a provider");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list = List {
        name: "one",
        max_connections: 1,
        entries: vec![("three".to_owned(), provider.live_url("one", 1))],
    };
    let server = Server::of_lists(folder.path(), &[list]);
    let url = format!("{}.m3u8", server.channel_of_name("three"));
    // Players begin three segments from the end of a playlist, and come when they are there.
    let path = format!("/{}", url.splitn(4, '/').nth(3).expect("an address has a path"));
    let media = path.replace(".m3u8", "/live.m3u8");
    let began = Instant::now();
    while get(server.port(), &media).matches("#EXTINF").count() < SEGMENTS_BEFORE {
        assert!(began.elapsed() < PATIENCE, "the playlist does not fill");
        thread::sleep(Duration::from_secs(1));
    }
    assert!(get(server.port(), &path).contains("audio-fra/live.m3u8"));
    let video = |player, sound| Video {
        scene: "three",
        player,
        url: url.clone(),
        sound,
    };
    let videos = vec![video(Player::HlsJs, Some("fr")), video(Player::Browser, None)];
    let browser = Browser::open(videos, folder.path());
    thread::sleep(WATCHED);
    let told = browser.close();
    assert_eq!(told.len(), 2, "each video told something");
    for (video, seen) in &told {
        let name = video.player.name();
        eprintln!("{name}: {seen:#?}");
        assert_eq!(seen.errors, Vec::<String>::new(), "{name}");
        let shown = seen.last_time_s - seen.first_time_s;
        let least = WATCHED.as_secs_f64() - START_MAX;
        assert!(shown >= least, "{name}: pictures for {shown} s");
        assert_eq!(seen.looked_same, 0, "{name}: the picture stands still");
    }
    let (_, seen) = &told[0];
    // Chromium has no AC-3, and the variant without it is there for that.
    assert_eq!(seen.sounds, ["Deutsch", "Fran\u{e7}ais"]);
    assert_eq!(seen.sound.as_deref(), Some("Fran\u{e7}ais"));
    assert!(seen.sound_segments >= 3, "{} segments", seen.sound_segments);
}
