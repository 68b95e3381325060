//! Players that watch a channel as HLS, and do not notice that its source dies: their pictures go on changing.
//!
//! Each watches two channels of its own, whose sources are at two logins: one ends, one falls silent, and the next source of
//! that one has larger pictures. Beside the players a strict reader of RFC 8216 looks at every version of the playlists,
//! from the first to the last.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use provider_double::{Account, Channel, Clip, Fault, Now, Plan, Provider};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::browser::{Browser, Player, Video};
use crate::card::open_to_all;
use crate::picture::{PICTURES_PER_SECOND, Picture, span};
use crate::player::{LATE_MS, late_by, vlc_command};
use crate::program::{find, terminate, watch};
use crate::server::{List, PATIENCE, Server};
use crate::strict_reader::StrictReader;
use crate::ts::{PACKET, is_random_access, starts_unit};

/// How long the players have watched when the sources die.
const WATCHED: Duration = Duration::from_secs(9);
/// How long they watch on. Where the first source falls silent, some 5 s pass until the next is listed (2.5 s until that is
/// noticed, the keyframe, a segment of a second or two), and VLC shows what was listed up to 17 s before.
const AFTER: Duration = Duration::from_secs(36);
/// What a busy machine may need to start a player and to show the first picture.
const START_MAX: Duration = Duration::from_secs(6);

/// Pause between two looks at a playlist or another process.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Longest step from one picture to the next, at the point where the source changes: what the first had not sent of its last
/// group of pictures, and what comes of the next before its first whole one.
const HOLE_MAX: Duration = Duration::from_secs(1);

/// VLC writes one picture of each second. It waits for a second of reserve behind a discontinuity.
const SCENE_STEP_MAX: Duration = Duration::from_secs(4);

/// Mean colours of pictures of one clip are closer to each other than this, of 255; those of two clips are not.
const COLOUR_DIFFERS: u8 = 16;

/// A browser leaves out pictures when the machine is busy; this many a second are still a film.
const SHOWN_PER_SECOND_MIN: f64 = 5.0;

/// A way to die, and what the next source shows, in which size.
const SCENES: [(&str, Now, Clip, &str); 2] = [
    ("eof", Now::Eof, Clip::H264Closed, "320x180"),
    ("stall", Now::Stall, Clip::H264Larger, "480x270"),
];

/// A channel of the stage.
#[derive(Clone)]
struct Scene {
    name: &'static str,
    id: usize,
    death: Now,
    next_size: &'static str,
    url: String,
}

/// Two providers, a mainstem before them, and a strict reader of every playlist.
struct Stage {
    first: Provider,
    _second: Provider,
    _server: Server,
    scenes: Vec<Scene>,
    folder: TempDir,
    _runtime: Runtime,
}

impl Stage {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let inside = runtime.enter();
        let plan = |second: bool| {
            (1..)
                .zip(SCENES)
                .fold(Plan::new(), |plan, (id, (name, _, next, _))| {
                    let clip = if second { next } else { Clip::PcrOwnPid };
                    plan.account(Account::new(name, "secret").max_connections(1))
                        .channel(Channel::new(id, name, clip))
                })
        };
        let [first, second] = [false, true].map(|second| Provider::start(plan(second)).expect("a provider"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let list = |name, provider: &Provider| List {
            name,
            max_connections: SCENES.len(),
            entries: (1..)
                .zip(SCENES)
                .map(|(id, (name, ..))| (name.to_owned(), provider.live_url(name, id)))
                .collect(),
        };
        let lists = [list("first", &first), list("second", &second)];
        let server = Server::of_lists(folder.path(), &lists);
        let scenes = (1..).zip(SCENES).map(|(id, (name, death, _, next_size))| Scene {
            name,
            id,
            death,
            next_size,
            url: format!("{}.m3u8", server.channel_of_name(name)),
        });
        let scenes = scenes.collect();
        drop(inside);
        open_to_all(folder.path());
        Self {
            first,
            _second: second,
            _server: server,
            scenes,
            folder,
            _runtime: runtime,
        }
    }

    /// Plays both scenes at once, beside a strict reader of each: `start` starts players, and `stop` ends them.
    fn play<P, L>(&self, start: impl FnOnce(&Self) -> P, stop: impl FnOnce(P) -> L) -> L {
        let readers: Vec<StrictReader> = self
            .scenes
            .iter()
            .map(|scene| StrictReader::start(&scene.url))
            .collect();
        let began = Instant::now();
        while readers.iter().any(|reader| !reader.has_filled()) {
            assert!(began.elapsed() < PATIENCE, "the playlists do not fill");
            thread::sleep(LOOK_EVERY);
        }
        let players = start(self);
        thread::sleep(WATCHED);
        for scene in &self.scenes {
            let stream = self.first.stream(scene.id);
            stream.fault(Fault::Refuse);
            stream.now(scene.death);
        }
        thread::sleep(AFTER);
        let left = stop(players);
        for (scene, reader) in self.scenes.iter().zip(readers) {
            reader.finish(scene.name);
        }
        left
    }

    /// Plays each scene with a program of its own; gives what they left behind.
    fn play_each(&self, start: impl Fn(&Scene, &Path) -> Command) -> Vec<(Scene, TempDir)> {
        let start = |scene: &Scene| {
            let folder = tempfile::tempdir_in(self.folder.path()).expect("a folder");
            open_to_all(folder.path());
            let player = Running::start(&mut start(scene, folder.path()), folder.path());
            (scene.clone(), player, folder)
        };
        self.play(
            |stage| stage.scenes.iter().map(start).collect::<Vec<_>>(),
            |players| {
                let stop = |(scene, player, folder): (Scene, Running, TempDir)| {
                    player.stop(scene.name);
                    (scene, folder)
                };
                players.into_iter().map(stop).collect()
            },
        )
    }
}

/// A program that plays; ended when dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, folder: &Path) -> Self {
        let log = std::fs::File::create(folder.join("said")).expect("a file");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        Self(child.expect("the player starts"))
    }

    /// Asks it to end; fails when it ended before.
    fn stop(mut self, name: &str) {
        let ended = self.0.try_wait().expect("it is ours");
        assert!(ended.is_none(), "{name}: the player ended");
        terminate(self.0.id());
        self.0.wait().expect("it ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

fn said(folder: &Path, name: &str) -> String {
    let bytes = std::fs::read(folder.join(name)).expect("the player writes its log");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The pictures of a log with `showinfo` in it are one film to the end of the scene, those of the next source in it.
fn assert_played(player: &str, scene: &Scene, log: &str) {
    let lines = || log.split(['\n', '\r']).filter(|line| line.contains("pts_time:"));
    let pictures: Vec<Picture> = lines().filter_map(Picture::from_showinfo).collect();
    let pairs = || pictures.iter().zip(pictures.iter().skip(1));
    let hole = pairs().map(|(one, next)| next.at.saturating_sub(one.at)).max();
    let hole = hole.unwrap_or_default();
    let same = pairs()
        .filter(|(one, next)| one.checksum == next.checksum)
        .count();
    let shown = span(&pictures);
    eprintln!(
        "{player}, {}: {} pictures for {shown:.1?}, the longest step {hole:?}, {same} as the one before",
        scene.name,
        pictures.len()
    );
    let name = format!("{player}, {}", scene.name);
    assert!(
        shown + START_MAX >= WATCHED + AFTER,
        "{name}: pictures for {shown:?}"
    );
    assert!(
        pairs().all(|(one, next)| one.at < next.at),
        "{name}: the time goes back"
    );
    assert!(hole <= HOLE_MAX, "{name}: no picture for {hole:?}");
    assert_eq!(same, 0, "{name}: the picture stands still");
    let next = lines()
        .filter(|line| line.contains(&format!(" s:{} ", scene.next_size)))
        .count();
    assert!(next > 0, "{name}: no picture of the next source");
}

#[test]
fn ffmpeg_plays_on() {
    let Some(ffmpeg) = find("ffmpeg") else { return };
    let stage = Stage::new();
    let left = stage.play_each(|scene, _| {
        let mut command = Command::new(&ffmpeg);
        command.args([
            "-nostdin",
            "-nostats",
            "-v",
            "repeat+level+info",
            "-i",
            &scene.url,
        ]);
        command.args([
            "-map",
            "0",
            "-vf",
            "showinfo",
            "-fps_mode",
            "passthrough",
            "-f",
            "null",
            "-",
        ]);
        command
    });
    for (scene, folder) in left {
        let log = said(folder.path(), "said");
        assert_eq!(complaints(&log), Vec::<&str>::new(), "ffmpeg, {}", scene.name);
        assert_played("ffmpeg", &scene, &log);
    }
}

/// Lines of ffmpeg that say that something is wrong.
fn complaints(log: &str) -> Vec<&str> {
    let is_wrong = |line: &&str| {
        ["[warning]", "[error]", "[fatal]"]
            .iter()
            .any(|mark| line.contains(mark))
    };
    log.lines().filter(is_wrong).collect()
}

#[test]
fn mpv_plays_on() {
    let Some(mpv) = find("mpv") else { return };
    let stage = Stage::new();
    let left = stage.play_each(|scene, folder| {
        let mut command = Command::new(&mpv);
        command.args(["--no-config", "--no-terminal", "--vo=null", "--ao=null"]);
        command.args(["--framedrop=no", "--vf=lavfi=[showinfo]"]);
        command.arg(format!("--log-file={}", folder.join("mpv.log").display()));
        command.arg(&scene.url);
        command
    });
    for (scene, folder) in left {
        let log = said(folder.path(), "mpv.log");
        let stops: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("Enter buffering"))
            .collect();
        assert!(stops.is_empty(), "mpv, {}: {stops:?}", scene.name);
        assert_played("mpv", &scene, &log);
    }
}

#[test]
fn vlc_plays_on() {
    let (Some(vlc), Some(setpriv), Some(ffmpeg)) = (find("cvlc"), find("setpriv"), find("ffmpeg")) else {
        return;
    };
    let stage = Stage::new();
    let left = stage.play_each(|scene, folder| {
        let mut command = vlc_command((&vlc, &setpriv), folder);
        command.arg(&scene.url);
        command
    });
    for (scene, folder) in left {
        let name = format!("VLC, {}", scene.name);
        let log = said(folder.path(), "said");
        let is_stop = |line: &&str| {
            line.contains("called too late")
                || late_by(line).is_some_and(|late| late > LATE_MS)
                || line.contains("buffer deadlock")
                || line.contains("ts demux warning")
                || line.contains("ts demux error")
        };
        let stops: Vec<&str> = log.lines().filter(is_stop).collect();
        let pictures = scenes(&folder.path().join("scenes"));
        let pairs = || pictures.iter().zip(pictures.iter().skip(1));
        let steps = pairs().filter_map(|((one, _), (next, _))| next.duration_since(*one).ok());
        let step = steps.max().unwrap_or_default();
        let colour = |picture: Option<&(SystemTime, Vec<u8>)>| {
            let (_, picture) = picture.expect("it shows some");
            colour(&ffmpeg, folder.path(), picture)
        };
        let (first, last) = (colour(pictures.first()), colour(pictures.last()));
        eprintln!(
            "{name}: {} pictures, {step:.1?} between two at most, from the colour {first:?} to {last:?}; {stops:?}",
            pictures.len()
        );
        assert!(stops.is_empty(), "{name}: {stops:?}");
        // Those before the discontinuity or those behind it, whichever are more.
        let least = (WATCHED + AFTER - START_MAX).as_secs() / 2;
        assert!(
            pictures.len() as u64 >= least,
            "{name}: {} pictures",
            pictures.len()
        );
        assert!(step <= SCENE_STEP_MAX, "{name}: no picture for {step:?}");
        let differs = pairs().all(|((_, one), (_, next))| one != next);
        assert!(differs, "{name}: the picture stands still");
        let colours = || first.iter().zip(&last);
        let differs = colours().any(|(one, other)| one.abs_diff(*other) > COLOUR_DIFFERS);
        assert!(differs, "{name}: no picture of the next source");
    }
}

/// The pictures that VLC wrote, by time: at a discontinuity their numbers begin anew, and the first ones are written over.
fn scenes(folder: &Path) -> Vec<(SystemTime, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("the folder is there").flatten();
    let scenes = entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "png"));
    let mut scenes: Vec<_> = scenes
        .map(|entry| {
            let written = entry.metadata().and_then(|file| file.modified());
            let picture = std::fs::read(entry.path()).expect("a file that is there");
            (written.expect("files have times"), picture)
        })
        .collect();
    scenes.sort();
    scenes
}

/// The mean red, green and blue of a picture: each clip has a background of its own.
fn colour(ffmpeg: &Path, folder: &Path, picture: &[u8]) -> Vec<u8> {
    let file = folder.join("picture.png");
    std::fs::write(&file, picture).expect("it is ours");
    let mut command = Command::new(ffmpeg);
    command.args(["-nostdin", "-v", "error", "-i"]).arg(&file);
    command.args([
        "-vf",
        "scale=1:1:flags=area",
        "-pix_fmt",
        "rgb24",
        "-f",
        "rawvideo",
        "-",
    ]);
    watch(&command).stdout
}

#[test]
fn streamlink_plays_on() {
    let (Some(streamlink), Some(ffmpeg)) = (find("streamlink"), find("ffmpeg")) else {
        return;
    };
    let stage = Stage::new();
    let left = stage.play_each(|scene, folder| {
        let mut command = Command::new(&streamlink);
        command
            .env("HOME", folder)
            .args(["--loglevel", "error", "--output"]);
        command.arg(folder.join("watched.ts"));
        command.args([&format!("hls://{}", scene.url), "best"]);
        command
    });
    for (scene, folder) in left {
        let file = folder.path().join("watched.ts");
        let mut bytes = std::fs::read(&file).expect("it writes");
        bytes.truncate(last_picture_begins(&bytes));
        std::fs::write(&file, bytes).expect("it is ours");
        let mut command = Command::new(&ffmpeg);
        command
            .args(["-nostdin", "-nostats", "-v", "repeat+level+info", "-i"])
            .arg(&file);
        command.args([
            "-map",
            "0",
            "-vf",
            "showinfo",
            "-fps_mode",
            "passthrough",
            "-f",
            "null",
            "-",
        ]);
        let log = watch(&command).stderr;
        let log = String::from_utf8_lossy(&log);
        assert_eq!(complaints(&log), Vec::<&str>::new(), "Streamlink, {}", scene.name);
        assert_played("Streamlink", &scene, &log);
    }
}

/// Where the last keyframe begins: what was written after it ends in the middle of something.
fn last_picture_begins(bytes: &[u8]) -> usize {
    let (packets, _) = bytes.as_chunks::<PACKET>();
    let last = packets
        .iter()
        .rposition(|packet| is_random_access(packet) && starts_unit(packet));
    last.expect("there is a keyframe") * PACKET
}

#[test]
fn browser_plays_on() {
    if !Browser::is_here() {
        return;
    }
    let stage = Stage::new();
    let told = stage.play(
        |stage| {
            let videos = stage.scenes.iter().flat_map(|scene| {
                [Player::HlsJs, Player::Browser].map(|player| Video {
                    scene: scene.name,
                    player,
                    url: scene.url.clone(),
                    sound: None,
                })
            });
            Browser::open(videos.collect(), stage.folder.path())
        },
        Browser::close,
    );
    assert_eq!(told.len(), 2 * SCENES.len(), "each video told something");
    for (video, seen) in told {
        let scene = stage.scenes.iter().find(|scene| scene.name == video.scene);
        let scene = scene.expect("it is one of them");
        let name = format!("{}, {}", video.player.name(), scene.name);
        eprintln!("{name}: {seen:#?}");
        assert_eq!(seen.errors, Vec::<String>::new(), "{name}");
        let first = seen.first_picture_ms.expect("it shows a picture");
        assert!(
            first <= millis(START_MAX),
            "{name}: the first picture after {first} ms"
        );
        let most = millis(video.player.stop_max());
        assert!(
            seen.longest_stop_ms.max(seen.standing_ms) <= most,
            "{name}: it stands still"
        );
        let shown = seen.last_time_s - seen.first_time_s;
        let least = (WATCHED + AFTER - START_MAX - video.player.stop_max()).as_secs_f64();
        assert!(shown >= least, "{name}: pictures for {shown} s");
        assert!(
            seen.decoded as f64 >= least * PICTURES_PER_SECOND as f64,
            "{name}: pictures are missing"
        );
        assert!(
            seen.pictures as f64 >= least * SHOWN_PER_SECOND_MIN,
            "{name}: few pictures are shown"
        );
        assert_eq!(seen.looked_same, 0, "{name}: the picture stands still");
        assert!(
            seen.sizes.iter().any(|size| size == scene.next_size),
            "{name}: {:?}",
            seen.sizes
        );
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
