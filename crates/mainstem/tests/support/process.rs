//! The real binary, started with a configuration in a folder of its own and ended with the test.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{SOON, eventually, get};

/// What mainstem is started with.
pub(crate) struct Launch {
    folder: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// A configuration in YAML, and any free port of loopback.
    pub(crate) fn new(config: &str) -> Self {
        let launch = Self {
            folder: TempDir::new().unwrap(),
            arguments: ["--host", "127.0.0.1", "--port", "0"].map(str::to_owned).to_vec(),
            environment: Vec::new(),
        };
        launch.file("config.yaml", config)
    }

    /// A configuration in YAML, and any free port of every address this machine has.
    pub(crate) fn everywhere(config: &str) -> Self {
        let mut launch = Self::new(config);
        launch.arguments = ["--host", "0.0.0.0", "--port", "0"].map(str::to_owned).to_vec();
        launch
    }

    /// Puts a file beside the configuration.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    /// Adds a command line argument.
    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder that the configuration and the data folder are in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(self) -> Mainstem {
        let config = self.folder.path().join("config.yaml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstem"));
        command
            .arg("-c")
            .arg(&config)
            .args(&self.arguments)
            .env_remove("MAINSTEM_CONFIG")
            // No other program helps it.
            .env("PATH", self.folder.path().join("nothing"))
            .env("MAINSTEM_DATA_DIR", self.folder.path().join("data"))
            .envs(self.environment)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let log = Log::default();
        let mut reading = JoinSet::new();
        let lines = BufReader::new(child.stderr.take().unwrap());
        reading.spawn(log.clone().fill(lines));
        Mainstem {
            child,
            folder: self.folder,
            log,
            base: String::new(),
            _reading: reading,
        }
    }

    /// Starts it and waits until it listens; its sources may not have been read.
    pub(crate) async fn listening(self) -> Mainstem {
        let mut mainstem = self.spawn();
        let line = mainstem.wait_log("listening at ").await;
        let address = line.split("listening at ").nth(1).unwrap();
        let address = address.split([';', ' ', '"']).next().unwrap();
        mainstem.base = format!("http://{address}");
        mainstem
    }

    /// Starts it and waits until it has channels.
    pub(crate) async fn ready(self) -> Mainstem {
        let mainstem = self.listening().await;
        let url = mainstem.url("/readyz");
        eventually("/readyz says ready", || async {
            (get(&url).await.status == 200).then_some(())
        })
        .await;
        mainstem
    }
}

/// A running mainstem. Dropping it kills it.
pub(crate) struct Mainstem {
    child: Child,
    folder: TempDir,
    log: Log,
    base: String,
    _reading: JoinSet<()>,
}

impl Mainstem {
    /// Starts it with a configuration and waits until it has channels.
    pub(crate) async fn start(config: &str) -> Self {
        Launch::new(config).ready().await
    }

    /// `http://127.0.0.1:port`, without a slash at the end.
    pub(crate) fn base_url(&self) -> &str {
        &self.base
    }

    /// The address of a path that begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Waits for a line of the log that holds `text`, and returns it.
    pub(crate) async fn wait_log(&self, text: &str) -> String {
        self.log.wait(text).await
    }

    /// The folder of configuration and data.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal by its name without SIG: `TERM`, `HUP`, `KILL`, …
    pub(crate) fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status();
        assert!(sent.unwrap().success(), "kill -s {name}");
    }

    /// Waits for its end.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        timeout(SOON, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("it does not end; its log:\n{}", self.log.text()))
            .unwrap()
    }

    /// The id of the channel with that name.
    pub(crate) async fn channel_id(&self, name: &str) -> String {
        let url = self.url("/streams");
        eventually(&format!("a channel named {name}"), || async {
            let list = super::get_json(&url).await;
            let channels = list.get("streams")?.as_array()?.clone();
            let found = channels.iter().find(|channel| channel["name"] == name)?;
            found["id"].as_str().map(str::to_owned)
        })
        .await
    }

    /// The address at which a channel plays.
    pub(crate) async fn stream_url(&self, name: &str) -> String {
        let id = self.channel_id(name).await;
        self.url(&format!("/stream/{id}"))
    }
}

impl Drop for Mainstem {
    fn drop(&mut self) {
        // Failed tests are read by people: the log is what they need.
        if std::thread::panicking() {
            eprintln!("--- log of mainstem\n{}---", self.log.text());
        }
        // What was already waited for cannot be killed, and that is fine.
        self.child.start_kill().unwrap_or_default();
    }
}

/// Lines of standard error, and a bell.
#[derive(Clone, Default)]
struct Log {
    text: Arc<Mutex<String>>,
    bell: watch::Sender<()>,
}

impl Log {
    async fn fill(self, from: BufReader<tokio::process::ChildStderr>) {
        let mut lines = from.lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&line);
            text.push('\n');
            drop(text);
            self.bell.send_replace(());
        }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn wait(&self, wanted: &str) -> String {
        let mut bell = self.bell.subscribe();
        let looking = async {
            loop {
                let text = self.text();
                if let Some(line) = text.lines().find(|line| line.contains(wanted)) {
                    return line.to_owned();
                }
                bell.changed().await.unwrap();
            }
        };
        timeout(SOON, looking)
            .await
            .unwrap_or_else(|_| panic!("no `{wanted}` in the log:\n{}", self.text()))
    }
}

/// Times that make failures quick to see, for tests that wait for them.
pub(crate) const QUICK: &str = "timing:
  connect: 2s
  first_bytes: 2s
  stall: 2s500ms
  backoff_min: 100ms
  backoff_max: 500ms
  cool_down_min: 1s
  cool_down_max: 2s
  join_back: 1s
  viewer_stall: 2s
  linger: 500ms
  zap_hold: 500ms
  keep_alive_after: 500ms
  slate_after: 3s
  head_within: 4s
  api_interval: 0s
";

/// Lines of `QUICK`, and others in whose place no slate comes before six seconds of silence.
pub(crate) const NO_SLATE: (&str, &str) = (
    "slate_after: 3s\n  head_within: 4s",
    "slate_after: 6s\n  head_within: 7s",
);

/// How long a `QUICK` mainstem may take until viewers notice that a source is gone: a stall, one attempt at the same
/// source that hangs, and the opening of the next; and as much again for a machine that is busy.
pub(crate) const QUICK_SWITCH: Duration = Duration::from_secs(10);
