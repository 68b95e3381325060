//! Players that joined while others watched, and do not notice that the source dies: no buffering, no stop.
//!
//! Each watches six channels of its own: a source that ends, one that resets, one that falls silent; and of each one
//! where the next source is at another login, and one where it is at the same login of a single connection, so that
//! nothing can be opened before the first is closed. Who joined at the channel's start has no reserve: what it sees is
//! printed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use provider_double::{Account, Channel, Clip, Fault, Now, Plan, Provider};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::player::Player;
use crate::program::terminate;
use crate::server::{List, PATIENCE, Server};
use crate::ts::{NULL_PID, PACKET, Report, pid};

/// How long a channel has been watched when the player comes.
const BEFORE: Duration = Duration::from_millis(10_500);
/// How long the player has watched when the source dies.
const WATCHED: Duration = Duration::from_secs(7);
/// How long it watches on.
const AFTER: Duration = Duration::from_secs(12);
/// What a busy machine may need to start a player and to show the first picture.
const START_MAX: Duration = Duration::from_secs(4);

/// A way to die.
const DEATHS: [(&str, Now); 3] = [("eof", Now::Eof), ("rst", Now::Rst), ("stall", Now::Stall)];
/// Where the next source is.
const LOGINS: [&str; 2] = ["two-logins", "one-login"];

/// A channel of the stage, and what kills it.
#[derive(Clone)]
struct Scene {
    name: String,
    id: usize,
    death: Now,
    is_one_login: bool,
    url: String,
}

/// Two providers, and a mainstem before them.
struct Stage {
    first: Provider,
    _server: Server,
    scenes: Vec<Scene>,
    folder: TempDir,
    _second: Provider,
    _runtime: Runtime,
}

impl Stage {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let _inside = runtime.enter();
        let mut scenes = Vec::new();
        for (death, now) in DEATHS {
            for logins in LOGINS {
                scenes.push(Scene {
                    name: format!("{death}-{logins}"),
                    id: scenes.len() + 1,
                    death: now,
                    is_one_login: logins == "one-login",
                    url: String::new(),
                });
            }
        }
        let plan = |ending: &str, clip| {
            scenes.iter().fold(Plan::new(), |plan, scene| {
                let login = format!("{}{ending}", scene.name);
                plan.account(Account::new(&login, "secret").max_connections(1))
                    .channel(Channel::new(scene.id, &scene.name, clip))
                    .channel(Channel::new(scene.id + 100, &scene.name, Clip::H264Closed))
            })
        };
        let first = Provider::start(plan("", Clip::PcrOwnPid)).expect("a provider");
        let second = Provider::start(plan("-2", Clip::H264Closed)).expect("a provider");
        let list = |name, address: &dyn Fn(&Scene) -> String| List {
            name,
            max_connections: 1,
            entries: scenes
                .iter()
                .map(|scene| (scene.name.clone(), address(scene)))
                .collect(),
        };
        let lists = [
            list("first", &|scene| first.live_url(&scene.name, scene.id)),
            list("second", &|scene| match scene.is_one_login {
                true => first.live_url(&scene.name, scene.id + 100),
                false => second.live_url(&format!("{}-2", scene.name), scene.id),
            }),
        ];
        let folder = tempfile::tempdir().expect("a temporary folder");
        crate::card::open_to_all(folder.path());
        let server = Server::of_lists(folder.path(), &lists);
        for scene in &mut scenes {
            scene.url = server.channel_of_name(&scene.name);
        }
        drop(_inside);
        Self {
            first,
            _server: server,
            scenes,
            folder,
            _second: second,
            _runtime: runtime,
        }
    }

    /// Plays all scenes at once; gives each with what its player left behind.
    fn play(&self, player: &Player) -> Vec<(Scene, TempDir)> {
        let (gone, first_viewers) = mpsc::channel();
        for scene in &self.scenes {
            let (url, name, gone) = (scene.url.clone(), scene.name.clone(), gone.clone());
            thread::spawn(move || gone.send((name, first_viewer(&url))).unwrap_or_default());
        }
        thread::sleep(BEFORE);
        let mut players = Vec::new();
        for scene in &self.scenes {
            let folder = tempfile::tempdir_in(self.folder.path()).expect("a folder");
            players.push((scene.clone(), player.start(&scene.url, folder.path()), folder));
        }
        thread::sleep(WATCHED);
        for scene in &self.scenes {
            let stream = self.first.stream(scene.id);
            stream.fault(Fault::Refuse);
            stream.now(scene.death);
        }
        thread::sleep(AFTER);
        let mut left = Vec::new();
        for (scene, mut child, folder) in players {
            assert!(
                child.try_wait().expect("it is ours").is_none(),
                "{}: the player ended",
                scene.name
            );
            terminate(child.id());
            child.wait().expect("it ends");
            left.push((scene, folder));
        }
        drop(gone);
        // They are told by their own clock when to go.
        for (name, (bytes, silence)) in first_viewers.iter() {
            eprintln!("{name}: who joined at the start had nothing new for {silence:.1?}");
            Report::of(&bytes).assert_clean(&name);
        }
        left
    }
}

/// Watches from the channel's start to the end of the scene; gives what came, and the longest time without anything but
/// null packets after the first picture's.
fn first_viewer(url: &str) -> (Vec<u8>, Duration) {
    let rest = url.strip_prefix("http://").expect("an address");
    let (authority, path) = rest.split_at(rest.find('/').expect("a path"));
    let mut socket = TcpStream::connect(authority).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(socket, "GET {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n").expect("it reads");
    let ends = Instant::now() + BEFORE + WATCHED + AFTER;
    let (mut last, mut longest) = (None::<Instant>, Duration::ZERO);
    let (mut all, mut piece) = (Vec::new(), vec![0; 1 << 16]);
    let mut in_head = true;
    while Instant::now() < ends {
        let count = socket.read(&mut piece).expect("the response goes on");
        assert!(count > 0, "{url}: the response ended");
        let from = all.len();
        all.extend_from_slice(&piece[..count]);
        if in_head {
            let end = all.windows(4).position(|bytes| bytes == b"\r\n\r\n");
            in_head = end.is_none();
            all.drain(..end.map_or(0, |end| end + 4));
            continue;
        }
        let (packets, _) = all[from / PACKET * PACKET..].as_chunks::<PACKET>();
        if packets.iter().all(|packet| pid(packet) == NULL_PID) {
            continue;
        }
        let now = Instant::now();
        longest = longest.max(last.map_or(Duration::ZERO, |last| now - last));
        last = Some(now);
    }
    (all, longest)
}

fn plays_on(player: Option<Player>) {
    let Some(player) = player else { return };
    for (scene, folder) in Stage::new().play(&player) {
        let watched = player.watched(folder.path());
        let name = format!("{player}, {}", scene.name);
        eprintln!("{name}: {watched}");
        assert!(watched.shown + START_MAX >= WATCHED + AFTER, "{name}: {watched}");
        assert!(watched.stops.is_empty(), "{name}: {watched}");
    }
}

#[test]
fn mpv_plays_on() {
    plays_on(Player::mpv());
}

#[test]
fn ffplay_plays_on() {
    plays_on(Player::ffplay());
}

#[test]
fn vlc_plays_on() {
    plays_on(Player::vlc());
}
