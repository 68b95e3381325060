//! Programs that watch: whether they are here, and running them with a deadline.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Set by `cargo xtask test`, which installs what is missing: a program that is not here is then a failure.
const REQUIRE: &str = "MAINSTEM_REQUIRE_TOOLS";

/// Set by `cargo xtask test --full`: players watch for longer.
const FULL: &str = "MAINSTEM_TEST_FULL";

/// Media time a player watches: two loop points of the card (at 12.48 s and 24.96 s), or in the full form five.
pub(crate) fn watched() -> Duration {
    Duration::from_secs(if std::env::var_os(FULL).is_some() { 66 } else { 30 })
}

/// How long a player may take on a busy machine to start, beyond what it watches.
const START_MAX: Duration = Duration::from_secs(40);

/// A program by name, or `None` when it is not here and need not be.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/bin"].map(PathBuf::from);
    let mut folders = std::env::split_paths(&path).chain(system);
    let found = folders
        .find(|folder| folder.join(program).is_file())
        .map(|folder| folder.join(program));
    if found.is_none() {
        skip(program);
    }
    found
}

/// A file that npm installs, or `None` when it is not here and need not be.
pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    let read = std::fs::read(path).ok();
    if read.is_none() {
        skip(&path.display().to_string());
    }
    read
}

fn skip(what: &str) {
    assert!(std::env::var_os(REQUIRE).is_none(), "{what} is not installed");
    eprintln!("skipped: {what} is not installed");
}

/// Runs a player to its end; one that hangs is killed, and fails the test.
pub(crate) fn watch(player: &Command) -> Output {
    let output = limited(player).output().expect("timeout of coreutils is here");
    assert!(
        output.status.success(),
        "{:?} ends with {}:\n{}",
        player.get_program(),
        output.status,
        last_lines(&String::from_utf8_lossy(&output.stderr))
    );
    output
}

/// Runs a player that ends by itself never, until `enough` of a line of its standard error; gives all lines.
pub(crate) fn watch_until(player: &Command, mut enough: impl FnMut(&str) -> bool) -> String {
    let mut child = limited(player)
        .stderr(Stdio::piped())
        .spawn()
        .expect("timeout of coreutils is here");
    let stderr = child.stderr.take().expect("standard error is piped");
    let mut said = String::new();
    let mut seen = false;
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        said.push_str(&line);
        said.push('\n');
        seen = enough(&line);
        if seen {
            break;
        }
    }
    // To `timeout`, which hands it on.
    terminate(child.id());
    child.wait().expect("it ends");
    assert!(
        seen,
        "{:?} shows too little:\n{}",
        player.get_program(),
        last_lines(&said)
    );
    said
}

/// Sends SIGTERM. The shell's own `kill`: the program of that name is not installed everywhere.
pub(crate) fn terminate(process: u32) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -TERM {process}")])
        .status();
    assert!(
        sent.is_ok_and(|status| status.success()),
        "{process} can be sent a signal"
    );
}

/// The same command, killed when it hangs.
fn limited(player: &Command) -> Command {
    let limit = (watched() + START_MAX).as_secs().to_string();
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &limit]).arg(player.get_program());
    command.args(player.get_args()).stdin(Stdio::null());
    for (name, value) in player.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(30).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
