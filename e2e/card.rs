//! The test card, as ffmpeg, ffplay, mpv and VLC see it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::picture::{Picture, assert_plays, span};
use crate::program::{find, watch, watch_until, watched};
use crate::server::{Server, files};

/// What a player may miss of the time it was told to watch: it rounds, and ends between pictures.
const ROUNDING: Duration = Duration::from_secs(1);

#[test]
fn ffmpeg_decodes_every_picture_and_every_sound() {
    let Some(ffmpeg) = find("ffmpeg") else { return };
    let (mut server, _folder) = Server::first_run();
    let seconds = watched().as_secs().to_string();
    let output = watch(
        Command::new(ffmpeg)
            .args(["-nostdin", "-v", "warning", "-i", &server.channel()])
            .args(["-t", &seconds, "-map", "0", "-fps_mode", "passthrough"])
            .args(["-f", "framemd5", "-"]),
    );
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaints, "", "ffmpeg has nothing to complain of");
    let table = String::from_utf8_lossy(&output.stdout);
    let pictures: Vec<_> = table.lines().filter_map(Picture::from_framemd5).collect();
    assert_plays(&pictures, watched() - ROUNDING);
    assert_sound_is_whole(&table);
}

/// One AAC frame after the other, each where the one before ends; the last may be cut where the watching ends.
fn assert_sound_is_whole(table: &str) {
    let sounds: Vec<(u64, u64)> = table.lines().filter_map(sound).collect();
    assert!(!sounds.is_empty(), "no sound was decoded");
    for ((at, length), (next, _)) in sounds.iter().zip(sounds.iter().skip(1)) {
        assert_eq!(at + length, *next, "a hole in the sound, in samples");
    }
    let (end, rate) = (sounds.last().map_or(0, |(at, _)| *at), 48_000);
    assert!(end / rate >= (watched() - ROUNDING).as_secs(), "sound to the end");
}

fn sound(line: &str) -> Option<(u64, u64)> {
    let columns: Vec<&str> = line.split(',').map(str::trim).collect();
    let &["1", _, pts, duration, ..] = columns.as_slice() else {
        return None;
    };
    Some((pts.parse().ok()?, duration.parse().ok()?))
}

#[test]
fn ffplay_plays() {
    let Some(ffplay) = find("ffplay") else { return };
    let (mut server, _folder) = Server::first_run();
    // At the end of what -t says it shows the last picture for ever, for the response does not end.
    let mut pictures = Vec::new();
    watch_until(
        Command::new(ffplay)
            .env("SDL_VIDEODRIVER", "dummy")
            .env("SDL_AUDIODRIVER", "dummy")
            .args(["-v", "info", "-nostats", "-noframedrop", "-vf", "showinfo"])
            .arg(server.channel()),
        |line| {
            pictures.extend(Picture::from_showinfo(line));
            span(&pictures) >= watched()
        },
    );
    assert_plays(&pictures, watched());
}

#[test]
fn mpv_plays() {
    let Some(mpv) = find("mpv") else { return };
    let (mut server, folder) = Server::first_run();
    let log = folder.path().join("mpv.log");
    watch(
        Command::new(mpv)
            .args(["--no-config", "--no-terminal", "--vo=null", "--ao=null"])
            .args(["--framedrop=no", "--vf=lavfi=[showinfo]"])
            .arg(format!("--length={}", watched().as_secs()))
            .arg(format!("--log-file={}", log.display()))
            .arg(server.channel()),
    );
    let log = std::fs::read(log).expect("mpv writes its log");
    assert_plays(&showinfo(&log), watched() - ROUNDING);
    let log = String::from_utf8_lossy(&log);
    let complaints = log
        .lines()
        .filter(|line| line.contains("][e][") || line.contains("][f]["));
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new());
}

fn showinfo(log: &[u8]) -> Vec<Picture> {
    let log = String::from_utf8_lossy(log);
    log.lines().filter_map(Picture::from_showinfo).collect()
}

/// VLC shows a picture of every second; it has no other way to tell what it shows.
#[test]
fn vlc_plays() {
    let (Some(vlc), Some(setpriv)) = (find("cvlc"), find("setpriv")) else {
        return;
    };
    let (mut server, folder) = Server::first_run();
    let scenes = folder.path().join("scenes");
    std::fs::create_dir(&scenes).expect("a folder");
    open_to_all(folder.path());
    open_to_all(&scenes);
    let mut player = unprivileged(&setpriv);
    player.arg(vlc).env("HOME", &scenes).env_remove("XDG_RUNTIME_DIR");
    player.args(["-I", "dummy", "-vv", "--no-color", "--no-audio"]);
    player.args(["--vout", "dummy", "--no-drop-late-frames", "--no-skip-frames"]);
    player.args(["--video-filter", "scene", "--scene-format", "png"]);
    player.args(["--scene-ratio", "25", "--scene-path"]).arg(&scenes);
    player.args(["--run-time", &watched().as_secs().to_string(), "--play-and-exit"]);
    player.args([server.channel().as_str(), "vlc://quit"]);
    let output = watch(&player);
    let scenes = files(&scenes);
    // It begins to show when it has buffered, and a busy machine lets it begin late.
    let least = watched().as_secs() * 8 / 10;
    assert!(
        scenes.len() as u64 >= least,
        "{} pictures in {:?}",
        scenes.len(),
        watched()
    );
    for (one, next) in scenes.iter().zip(scenes.iter().skip(1)) {
        assert_ne!(one, next, "the picture stands still");
    }
    let log = String::from_utf8_lossy(&output.stderr);
    let complaints = log.lines().filter(|line| {
        line.contains("ts demux warning")
            || line.contains("ts demux error")
            || line.contains("called too late")
            || line.contains("discontinuity")
    });
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new());
}

/// VLC refuses to run as root.
pub(crate) fn unprivileged(setpriv: &Path) -> Command {
    if !Path::new("/proc/self").metadata().is_ok_and(|me| me.uid() == 0) {
        return Command::new("env");
    }
    let mut command = Command::new(setpriv);
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command
}

pub(crate) fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o777)).expect("it is ours");
}
