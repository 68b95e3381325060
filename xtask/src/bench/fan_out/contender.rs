//! Who is measured: each starts on its core, and says where its channels are.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::bare::Mode;
use super::clip::Clip;
use super::cores::{self, Cores};
use super::feed::Feed;
use super::run::Shape;
use crate::bench::nginx;
use crate::bench::server::{Mainstem, PATIENCE, Running};
use crate::tools::find;

/// Somebody who serves viewers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Contender {
    /// This program.
    Mainstem,
    /// Another build of it.
    Beside,
    /// The program that only writes.
    Bare(Mode),
    /// nginx in front of the upstream: a connection there for each viewer.
    NginxProxy,
    /// nginx with a file.
    NginxFile,
    /// icecast, which a source sends its stream to.
    Icecast,
}

impl Contender {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Mainstem => "mainstem",
            Self::Beside => "mainstem, the other build",
            Self::Bare(Mode::AtOnce) => "bare write(2), at once",
            Self::Bare(Mode::Gathering) => "bare write(2), gathering 100 ms",
            Self::Bare(Mode::Sendfile) => "bare sendfile(2), gathering 100 ms",
            Self::Bare(Mode::Beat) => "bare write(2) every 120 ms",
            Self::Bare(Mode::Endless) => "bare write(2), endless",
            Self::NginxProxy => "nginx, proxying",
            Self::NginxFile => "nginx, a file",
            Self::Icecast => "icecast2",
        }
    }

    /// Why it cannot take part.
    pub(super) fn missing(&self, programs: &Programs) -> Option<&'static str> {
        match self {
            Self::Icecast if find("icecast2").is_none() => {
                Some("the Debian package icecast2 is not installed")
            }
            Self::NginxProxy | Self::NginxFile if find("nginx").is_none() => Some("nginx is not installed"),
            Self::Beside if programs.beside.is_none() => Some("no other build is named (--beside FILE)"),
            _ => None,
        }
    }

    /// How long before the crowd the first viewer of each channel comes: mainstem keeps some seconds for those who
    /// come later, and that is the usual case.
    pub(super) fn ahead(&self) -> Duration {
        match self {
            Self::Mainstem | Self::Beside => Duration::from_secs(7),
            _ => Duration::from_millis(500),
        }
    }
}

/// What there is to run.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) mainstem: PathBuf,
    pub(super) beside: Option<PathBuf>,
    pub(super) folder: PathBuf,
    pub(super) heavy_clip: PathBuf,
    pub(super) cores: Cores,
}

/// A contender that runs, and its upstream; both end with the value.
pub(super) struct Started {
    pub(super) process: u32,
    pub(super) port: u16,
    pub(super) paths: Vec<String>,
    _running: Kind,
    pub(super) feed: Feed,
}

enum Kind {
    Mainstem(Mainstem),
    Other(Running),
}

impl Contender {
    /// Starts it with the channels of `shape` behind it, each of them `clip`.
    pub(super) fn start(&self, programs: &Programs, clip: Arc<Clip>, shape: Shape) -> Result<Started> {
        let (cores, channels) = (programs.cores, shape.channels);
        let feed = Feed::start(clip, (channels, shape.burst), cores.upstream)?;
        let upstream = feed.port;
        cores::at(cores.server, || match self {
            Self::Mainstem => mainstem(&programs.mainstem, &programs.folder, upstream, channels),
            Self::Beside => {
                let program = programs.beside.as_ref().context("no other build")?;
                mainstem(program, &programs.folder, upstream, channels)
            }
            Self::Bare(mode) => bare(*mode, upstream, channels),
            Self::NginxProxy => {
                let (running, port) = nginx::start(&programs.folder, upstream)?;
                wait_for(port)?;
                Ok((Kind::Other(running), port, vec![Feed::path(1)]))
            }
            Self::NginxFile => {
                let (running, port) = nginx::start_files(&programs.folder, &programs.folder)?;
                wait_for(port)?;
                let name = programs.heavy_clip.file_name().context("a clip without a name")?;
                Ok((
                    Kind::Other(running),
                    port,
                    vec![format!("/{}", name.to_string_lossy())],
                ))
            }
            Self::Icecast => icecast(&programs.folder),
        })
        .and_then(|(running, port, paths)| {
            if *self == Self::Icecast {
                feed.push(source_client(port)?)?;
            }
            let process = match &running {
                Kind::Mainstem(mainstem) => mainstem.running.id(),
                Kind::Other(running) => running.id(),
            };
            Ok(Started {
                process,
                port,
                paths,
                _running: running,
                feed,
            })
        })
    }
}

fn mainstem(
    program: &Path,
    folder: &Path,
    upstream: u16,
    channels: usize,
) -> Result<(Kind, u16, Vec<String>)> {
    let config = format!(
        "max_total_connections: {channels}\nsources:\n  - {{ name: bench, type: m3u, \
         url: \"http://127.0.0.1:{upstream}/list.m3u\", max_connections: {channels} }}\n"
    );
    let mut server = Mainstem::start_with(program, folder, &config)?;
    server.listens()?;
    let list = server.playlist()?;
    let addresses = list.lines().filter(|line| line.starts_with("http"));
    let ids = addresses.filter_map(|address| address.rsplit_once('/'));
    let paths: Vec<_> = ids.map(|(_, id)| format!("/stream/{id}")).collect();
    if paths.len() != channels {
        bail!("{} channels in the list, not {channels}", paths.len());
    }
    let port = server.port;
    Ok((Kind::Mainstem(server), port, paths))
}

fn bare(mode: Mode, upstream: u16, channels: usize) -> Result<(Kind, u16, Vec<String>)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "bench",
        "--bare",
        mode.word(),
        &upstream.to_string(),
        &channels.to_string(),
    ]);
    let mut running = Running::start(command.stdout(Stdio::piped()))?;
    let mut line = String::new();
    BufReader::new(running.output()?).read_line(&mut line)?;
    let port = line.trim().parse().context("the bare program says no port")?;
    Ok((
        Kind::Other(running),
        port,
        (1..=channels).map(Feed::path).collect(),
    ))
}

/// icecast2 with room for its listeners, and nothing logged. It refuses to run as root: then it changes to nobody's user.
fn icecast(folder: &Path) -> Result<(Kind, u16, Vec<String>)> {
    let port = nginx::free_port()?;
    // Another user's process reads and writes here.
    let folder = folder.join("icecast");
    std::fs::create_dir_all(&folder)?;
    let here = folder.display();
    let mut config = String::new();
    write!(
        config,
        "<icecast><limits><clients>20000</clients><sources>4</sources><queue-size>4194304</queue-size>
<burst-size>262144</burst-size></limits>
<authentication><source-password>bench</source-password><admin-user>a</admin-user>
<admin-password>bench</admin-password></authentication>
<hostname>127.0.0.1</hostname>
<listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
<fileserve>0</fileserve>
<paths><basedir>/</basedir><logdir>/tmp</logdir><webroot>/usr/share/icecast2/web</webroot>
<adminroot>/usr/share/icecast2/admin</adminroot></paths>
<logging><accesslog>-</accesslog><errorlog>-</errorlog><loglevel>1</loglevel></logging>
<security><chroot>0</chroot><changeowner><user>nobody</user><group>nogroup</group></changeowner></security>
</icecast>
"
    )?;
    let path = folder.join("icecast.xml");
    std::fs::write(&path, config).with_context(|| format!("{here}"))?;
    let program = find("icecast2").context("icecast2 is not installed")?;
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let running = Running::start(&mut command)?;
    wait_for(port)?;
    Ok((Kind::Other(running), port, vec!["/live.ts".to_owned()]))
}

/// A connection that icecast takes for a source.
fn source_client(port: u16) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // "source:bench" in Base64.
    let authorization = "c291cmNlOmJlbmNo";
    write!(
        socket,
        "SOURCE /live.ts HTTP/1.0\r\nAuthorization: Basic {authorization}\r\nContent-Type: video/mp2t\r\n\r\n"
    )?;
    let mut answer = [0; 12];
    socket.read_exact(&mut answer)?;
    if !answer.ends_with(b"200") {
        bail!("icecast answers {}", String::from_utf8_lossy(&answer));
    }
    Ok(socket)
}

pub(in crate::bench) fn wait_for(port: u16) -> Result<()> {
    for _ in 0..200 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("nothing listens at port {port}")
}
