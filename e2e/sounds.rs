//! Channels of several sounds as HLS: a viewer in a browser chooses another one than the first, and where one of the
//! sounds is of a codec that the browser lacks it plays the first.

use std::thread;
use std::time::{Duration, Instant};

use provider_double::{Account, Channel, Clip, Plan, Provider};
use tokio::runtime::Runtime;

use crate::browser::{Browser, Player, Seen, Video};
use crate::server::{List, PATIENCE, Server, get};

/// Segments that are listed when players come: as many short ones as a playlist has at first, and three.
const SEGMENTS_BEFORE: usize = 6;
/// How long the players watch.
const WATCHED: Duration = Duration::from_secs(16);
/// Of that, what a busy machine may need to start.
const START_MAX: f64 = 6.0;

/// Names of channels, and what they have. Chromium has no AC-3.
const TWO: &str = "two";
const THREE: &str = "three";
const CHANNELS: [(&str, Clip); 2] = [(TWO, Clip::TwoSounds), (THREE, Clip::ThreeSounds)];

#[test]
fn browser_plays_another_sound() {
    if !Browser::is_here() {
        return;
    }
    let runtime = Runtime::new().expect("a runtime");
    let _inside = runtime.enter();
    let numbered = || (1_u32..).zip(CHANNELS);
    let plan = numbered().fold(Plan::new(), |plan, (id, (name, clip))| {
        plan.account(Account::new(name, "secret").max_connections(1))
            .channel(Channel::new(id, name, clip))
    });
    let provider = Provider::start(plan).expect("a provider");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let list = List {
        name: "one",
        max_connections: 2,
        entries: numbered()
            .map(|(id, (name, _))| (name.to_owned(), provider.live_url(name, id)))
            .collect(),
    };
    let server = Server::of_lists(folder.path(), &[list]);
    let urls = CHANNELS.map(|(name, _)| format!("{}.m3u8", server.channel_of_name(name)));
    wait_until_filled(&server, &urls);
    let videos = CHANNELS.iter().zip(&urls).flat_map(|((name, _), url)| {
        let video = |player, sound| Video {
            scene: name,
            player,
            url: url.clone(),
            sound,
        };
        [video(Player::HlsJs, Some("fr")), video(Player::Browser, None)]
    });
    let videos: Vec<Video> = videos.collect();
    let browser = Browser::open(videos, folder.path());
    thread::sleep(WATCHED);
    let told = browser.close();
    assert_eq!(told.len(), 2 * CHANNELS.len(), "each video told something");
    for (video, seen) in &told {
        let name = format!("{}, {}", video.player.name(), video.scene);
        eprintln!("{name}: {seen:#?}");
        assert_eq!(seen.errors, Vec::<String>::new(), "{name}");
        let shown = seen.last_time_s - seen.first_time_s;
        let least = WATCHED.as_secs_f64() - START_MAX;
        assert!(shown >= least, "{name}: pictures for {shown} s");
        assert_eq!(seen.looked_same, 0, "{name}: the picture stands still");
    }
    let by_hls_js = |scene: &str| -> &Seen {
        let is_it = |(video, _): &&(Video, Seen)| video.player == Player::HlsJs && video.scene == scene;
        &told.iter().find(is_it).expect("hls.js plays each").1
    };
    let seen = by_hls_js(TWO);
    assert_eq!(seen.sounds, ["Deutsch", "Fran\u{e7}ais"]);
    assert_eq!(seen.sound.as_deref(), Some("Fran\u{e7}ais"));
    assert!(seen.sound_segments >= 3, "{} segments", seen.sound_segments);
    // There is a variant without AC-3 for it, which has the first sound alone.
    let seen = by_hls_js(THREE);
    assert_eq!((&seen.sounds[..], &seen.sound), (&[][..], &None));
}

/// Waits until the playlists have what players begin with, three segments from the end. All at once: a channel that nobody
/// asks for is given up.
fn wait_until_filled(server: &Server, urls: &[String]) {
    let began = Instant::now();
    let is_filled = |url: &String| {
        let path = format!("/{}", url.splitn(4, '/').nth(3).expect("an address has a path"));
        let media = get(server.port(), &path.replace(".m3u8", "/live.m3u8"));
        media.matches("#EXTINF").count() >= SEGMENTS_BEFORE
            && get(server.port(), &path).contains("audio-fra/live.m3u8")
    };
    while urls.iter().filter(|url| is_filled(url)).count() < urls.len() {
        assert!(began.elapsed() < PATIENCE, "the playlists do not fill");
        thread::sleep(Duration::from_secs(1));
    }
}
