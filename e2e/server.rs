//! A mainstem that runs for one test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program::terminate;

/// Longest wait for the program to listen, and for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What stands before the playlist's address in the line that tells a newcomer where it is.
const ADDRESS_MARK: &str = "the playlist is ";

/// Pause between two looks at what the program has read.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A source that is an M3U, which has every channel once.
pub(crate) struct List {
    pub(crate) name: &'static str,
    pub(crate) max_connections: usize,
    /// Names and addresses.
    pub(crate) entries: Vec<(String, String)>,
}

/// A running program; killed when dropped.
pub(crate) struct Server {
    child: Child,
    playlist: String,
    log: mpsc::Receiver<String>,
    said: Vec<String>,
}

impl Server {
    /// Starts the program in an empty folder, with no configuration: it writes its own, whose test card plays.
    pub(crate) fn first_run() -> (Self, TempDir) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstem"));
        command.current_dir(folder.path()).args(["--host", "127.0.0.1"]);
        alone(&mut command, folder.path());
        let server = Self::start(&mut command);
        assert!(
            folder.path().join("config.yaml").is_file(),
            "a first configuration is written"
        );
        (server, folder)
    }

    /// Starts the program in `folder` with these sources, and waits until every channel has a stream of each.
    pub(crate) fn of_lists(folder: &Path, lists: &[List]) -> Self {
        let mut config = "sources:\n".to_owned();
        for List {
            name,
            max_connections,
            entries,
        } in lists
        {
            let entries = entries
                .iter()
                .map(|(channel, url)| format!("#EXTINF:-1,{channel}\n{url}\n"));
            let text = format!("#EXTM3U\n{}", entries.collect::<String>());
            std::fs::write(folder.join(format!("{name}.m3u")), text).expect("it is ours");
            config += &format!(
                "  - {{name: {name}, type: m3u, url: {name}.m3u, max_connections: {max_connections}}}\n"
            );
        }
        std::fs::write(folder.join("config.yaml"), config).expect("it is ours");
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstem"));
        command
            .current_dir(folder)
            .args(["-c", "config.yaml", "--host", "127.0.0.1"]);
        alone(&mut command, folder);
        let mut server = Self::start(&mut command);
        server.ready();
        // The lists come in any order.
        let (began, whole) = (Instant::now(), format!("\"sources\":{}", lists.len()));
        let channels = lists.first().map_or(0, |list| list.entries.len());
        while get(server.port(), "/streams").matches(&whole).count() < channels {
            assert!(
                began.elapsed() < PATIENCE,
                "not every channel has all its sources"
            );
            thread::sleep(LOOK_EVERY);
        }
        server
    }

    /// Starts `command` at a free port, and waits until it says where its playlist is.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .args(["--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("standard error is piped");
        let (lines, log) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                eprintln!("mainstem: {line}");
                // The test may have ended.
                lines.send(line).unwrap_or_default();
            }
        });
        let mut server = Self {
            child,
            playlist: String::new(),
            log,
            said: Vec::new(),
        };
        server.playlist = server.said(ADDRESS_MARK);
        server
    }

    /// Waits for a line of the log with `mark` in it, said already or to come; gives what follows.
    pub(crate) fn said(&mut self, mark: &str) -> String {
        loop {
            let found = self.said.iter().find_map(|line| line.split_once(mark));
            if let Some((_, rest)) = found {
                return rest.trim().to_owned();
            }
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(_) => panic!("mainstem never says {mark:?}"),
            }
        }
    }

    /// Waits until the lists are read.
    pub(crate) fn ready(&mut self) {
        self.said("channels ready");
    }

    /// The port it listens at.
    pub(crate) fn port(&self) -> u16 {
        let (authority, _) = self.playlist.split_once("/playlist").expect("an address");
        let port = authority.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("a port")
    }

    /// The address of the one channel of the playlist.
    pub(crate) fn channel(&mut self) -> String {
        self.ready();
        let list = get(self.port(), "/playlist.m3u8");
        let mut addresses = list.lines().filter(|line| line.starts_with("http://"));
        let address = addresses.next().expect("the playlist lists a channel").to_owned();
        assert_eq!(addresses.next(), None, "and no other");
        address
    }

    /// The address of a channel, as the playlist has it.
    pub(crate) fn channel_of_name(&self, name: &str) -> String {
        let list = get(self.port(), "/playlist.m3u8");
        let mut lines = list
            .lines()
            .skip_while(|line| !line.ends_with(&format!(",{name}")));
        lines.nth(1).expect("the playlist lists the channel").to_owned()
    }

    /// Sends SIGTERM, and gives the exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        terminate(self.child.id());
        self.child.wait().expect("it ends").code()
    }
}

/// What it keeps is kept in `folder`, and no other program helps it.
fn alone(command: &mut Command, folder: &Path) {
    command.env("PATH", folder.join("nothing"));
    command.env("MAINSTEM_DATA_DIR", folder.join("data"));
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// The body of an answer to `GET path`; it must be a 200.
pub(crate) fn get(port: u16, path: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(
        socket,
        "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    )
    .expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.lines().next().unwrap_or_default();
    assert!(status.contains(" 200 "), "{path}: {status}");
    body.to_owned()
}

/// Everything in a folder, as bytes, in the order of names.
pub(crate) fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let files = paths.iter().filter(|path| path.is_file());
    files
        .map(|path| std::fs::read(path).expect("a file that is there"))
        .collect()
}
