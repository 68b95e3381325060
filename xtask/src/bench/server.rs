//! A mainstem or an nginx that runs while it is measured, and ends with the value.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Longest wait for a server to start or to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// A process, killed when dropped.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).spawn();
        Ok(Self(child.with_context(|| format!("{program} does not start"))?))
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Its standard output, where that was asked to be piped.
    pub(super) fn output(&mut self) -> Result<ChildStdout> {
        self.0.stdout.take().context("standard output is not piped")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

/// A mainstem that serves one list.
pub(super) struct Mainstem {
    pub(super) running: Running,
    pub(super) port: u16,
    log: mpsc::Receiver<String>,
    pub(super) started: Instant,
}

impl Mainstem {
    /// Starts `program` in `folder` with the list at `list`, keeping nothing of an earlier run.
    pub(super) fn start(program: &Path, folder: &Path, list: &str) -> Result<Self> {
        let source = format!("type: m3u, url: \"{list}\", max_connections: 1");
        let mut server = Self::start_source(program, folder, &source)?;
        server.listens()?;
        Ok(server)
    }

    /// Starts `program` in `folder` with one source, keeping nothing of an earlier run. It may not listen yet.
    pub(super) fn start_source(program: &Path, folder: &Path, source: &str) -> Result<Self> {
        Self::start_with(
            program,
            folder,
            &format!("sources:\n  - {{ name: bench, {source} }}\n"),
        )
    }

    /// Starts `program` in `folder` with a whole configuration, keeping nothing of an earlier run. It may not listen yet.
    pub(super) fn start_with(program: &Path, folder: &Path, config: &str) -> Result<Self> {
        let data = folder.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        std::fs::write(folder.join("config.yaml"), config)?;
        Self::start_again(program, folder)
    }

    /// Starts `program` in `folder` with what an earlier run left. It may not listen yet.
    pub(super) fn start_again(program: &Path, folder: &Path) -> Result<Self> {
        let (data, config) = (folder.join("data"), folder.join("config.yaml"));
        let started = Instant::now();
        let mut running = Running::start(
            Command::new(program)
                .arg("--config")
                .arg(&config)
                .args(["--host", "127.0.0.1", "--port", "0"])
                .env("MAINSTEM_DATA_DIR", &data)
                .stderr(Stdio::piped()),
        )?;
        let stderr = running.0.stderr.take().context("standard error is piped")?;
        let (lines, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.send(line).unwrap_or_default();
            }
        });
        Ok(Self {
            running,
            port: 0,
            log,
            started,
        })
    }

    /// Waits until it listens and has its channels, in whichever order it says so.
    pub(super) fn listens(&mut self) -> Result<()> {
        let mut ready = false;
        while self.port == 0 || !ready {
            let line = self.log.recv_timeout(PATIENCE).context("mainstem says nothing")?;
            if let Some((_, address)) = line.split_once("listening at ") {
                let address = address.split(';').next().unwrap_or_default();
                let port = address.rsplit(':').next().unwrap_or_default();
                self.port = port.parse().with_context(|| line.clone())?;
            }
            ready |= line.contains("channels ready");
        }
        Ok(())
    }

    /// Reads the playlist to its end.
    pub(super) fn playlist(&self) -> Result<String> {
        get(self.port, "/playlist.m3u8")
    }
}

/// The body of the answer to `GET path`.
pub(super) fn get(port: u16, path: &str) -> Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    write!(
        socket,
        "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    if !head.lines().next().unwrap_or_default().contains(" 200 ") {
        bail!("{path}: {head}");
    }
    Ok(body.to_owned())
}
