//! Players that watch for as long as they are left to, and what their logs say of stops.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::picture::{Picture, span};
use crate::program::find;
use crate::server::files;

/// A picture that is shown later than this was not there in time; less is a busy machine.
pub(crate) const LATE_MS: u64 = 1_000;

/// Every so many pictures VLC writes one: one a second.
const SCENE_RATIO: &str = "25";

/// A player that is installed.
pub(crate) enum Player {
    Mpv(PathBuf),
    Ffplay(PathBuf),
    /// It refuses to run as root: the second program takes that away.
    Vlc(PathBuf, PathBuf),
}

/// What one left behind.
pub(crate) struct Watched {
    /// What its log says of moments when there was nothing to show.
    pub(crate) stops: Vec<String>,
    /// Media time of the pictures it showed.
    pub(crate) shown: Duration,
}

impl Player {
    pub(crate) fn mpv() -> Option<Self> {
        find("mpv").map(Self::Mpv)
    }

    pub(crate) fn ffplay() -> Option<Self> {
        find("ffplay").map(Self::Ffplay)
    }

    pub(crate) fn vlc() -> Option<Self> {
        find("cvlc")
            .zip(find("setpriv"))
            .map(|(vlc, setpriv)| Self::Vlc(vlc, setpriv))
    }

    /// Starts it; it keeps its log in `folder`, and watches until it is ended.
    pub(crate) fn start(&self, url: &str, folder: &Path) -> Child {
        crate::card::open_to_all(folder);
        let mut command = match self {
            Self::Mpv(mpv) => {
                let mut command = Command::new(mpv);
                command.args(["--no-config", "--no-terminal", "--vo=null", "--ao=null"]);
                command.args(["--framedrop=no", "--vf=lavfi=[showinfo]"]);
                command.arg(format!("--log-file={}", folder.join("mpv.log").display()));
                command
            }
            Self::Ffplay(ffplay) => {
                let mut command = Command::new(ffplay);
                command
                    .env("SDL_VIDEODRIVER", "dummy")
                    .env("SDL_AUDIODRIVER", "dummy");
                command.args(["-v", "info", "-stats", "-vf", "showinfo"]);
                command
            }
            Self::Vlc(vlc, setpriv) => vlc_command((vlc, setpriv), folder),
        };
        let log = std::fs::File::create(folder.join("said")).expect("a file");
        command
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command.spawn().expect("the player starts")
    }

    /// What it left in `folder`.
    pub(crate) fn watched(&self, folder: &Path) -> Watched {
        match self {
            Self::Mpv(_) => {
                let log = said(folder, "mpv.log");
                let stops = lines(&log, |line| line.contains("Enter buffering"));
                Watched {
                    stops,
                    shown: shown(&log),
                }
            }
            Self::Ffplay(_) => {
                let log = said(folder, "said");
                Watched {
                    stops: ffplay_stops(&log),
                    shown: shown(&log),
                }
            }
            Self::Vlc(..) => {
                let pictures = files(&folder.join("scenes")).len();
                Watched {
                    stops: lines(&said(folder, "said"), is_vlc_stop),
                    shown: Duration::from_secs(pictures as u64),
                }
            }
        }
    }
}

impl std::fmt::Display for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Mpv(_) => "mpv",
            Self::Ffplay(_) => "ffplay",
            Self::Vlc(..) => "VLC",
        })
    }
}

impl std::fmt::Display for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stops, shown } = self;
        write!(f, "pictures for {shown:.1?}, {} stops {stops:?}", stops.len())
    }
}

/// VLC, which leaves a picture a second of what it shows in `scenes` under `folder`; the address comes last.
pub(crate) fn vlc_command((vlc, setpriv): (&Path, &Path), folder: &Path) -> Command {
    let scenes = folder.join("scenes");
    std::fs::create_dir(&scenes).expect("a folder");
    crate::card::open_to_all(&scenes);
    let mut command = crate::card::unprivileged(setpriv);
    command
        .arg(vlc)
        .env("HOME", &scenes)
        .env_remove("XDG_RUNTIME_DIR");
    command.args([
        "-I",
        "dummy",
        "-vv",
        "--no-color",
        "--aout",
        "dummy",
        "--vout",
        "dummy",
    ]);
    // A picture that hardware decoded cannot be looked at.
    command.args(["--avcodec-hw", "none"]);
    command.args(["--video-filter", "scene", "--scene-format", "png"]);
    command
        .args(["--scene-ratio", SCENE_RATIO, "--scene-path"])
        .arg(&scenes);
    command
}

fn said(folder: &Path, name: &str) -> String {
    let bytes = std::fs::read(folder.join(name)).expect("the player writes its log");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn lines(log: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    log.lines()
        .filter(|line| wanted(line))
        .map(str::to_owned)
        .collect()
}

/// Media time of the pictures of a log with `showinfo` in it.
fn shown(log: &str) -> Duration {
    let pictures: Vec<Picture> = log
        .split(['\n', '\r'])
        .filter_map(Picture::from_showinfo)
        .collect();
    span(&pictures)
}

/// Looks at its queues that found nothing left in them. At the start there is nothing yet; what counts is from the first
/// time there is.
fn ffplay_stops(log: &str) -> Vec<String> {
    let states: Vec<&str> = log
        .split(['\n', '\r'])
        .filter(|line| line.contains("vq="))
        .collect();
    let is_empty = |state: &&str| state.contains("aq=    0KB vq=    0KB");
    let playing: Vec<&str> = states.into_iter().skip_while(is_empty).collect();
    assert!(
        playing.len() > 100,
        "ffplay tells what it has: {} times",
        playing.len()
    );
    playing
        .into_iter()
        .filter(is_empty)
        .map(|state| state.trim().to_owned())
        .collect()
}

fn is_vlc_stop(line: &str) -> bool {
    line.contains("called too late")
        || late_by(line).is_some_and(|late| late > LATE_MS)
        || line.contains("buffer deadlock")
        || line.contains("ts demux warning")
        || line.contains("ts demux error")
}

/// Milliseconds, of VLC's "picture is too late to be displayed (missing 21 ms)".
pub(crate) fn late_by(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("too late to be displayed (missing ")?;
    rest.split_once(' ')?.0.parse().ok()
}
