//! One channel as HLS, many players: processor time per gigabyte beside nginx, which has the same segments as files; and how
//! long the first playlist of a channel takes that somebody watches.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::load::Crowd;
use super::process::{cpu_time, mib, resident};
use super::server::{Mainstem, PATIENCE};
use super::{Row, fan_out, nginx, upstream};
use crate::step::Steps;

/// Players of the one channel.
const PLAYERS: usize = 1_000;

/// Stack of a player's thread: a thousand of the usual ones are more than is needed.
const STACK_BYTES: usize = 256 << 10;

/// How often a player asks for the playlist.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// How long is measured.
const MEASURED: Duration = Duration::from_secs(20);

/// How long a viewer of the transport stream is there before the first playlist is asked for.
const RUNNING: Duration = Duration::from_secs(12);

/// For figures that people read.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn float(number: u64) -> f64 {
    number as f64
}

/// What the players get of one server.
#[derive(Clone, Copy)]
struct Used {
    cpu: Duration,
    bytes: u64,
    memory: u64,
}

impl Used {
    /// Processor seconds per 10⁹ bytes.
    fn per_gigabyte(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e9 / float(self.bytes)
    }

    fn megabits_per_player(&self) -> f64 {
        float(self.bytes) * 8.0 / 1e6 / MEASURED.as_secs_f64() / float(PLAYERS as u64)
    }
}

/// Measures mainstem, then nginx with what mainstem gave.
pub(super) fn measure(program: &Path, folder: &Path, steps: &mut Steps) -> Result<Vec<Row>> {
    let clip = fan_out::clip(folder, steps)?;
    let upstream = upstream::start(upstream::Content {
        clip,
        plays: fan_out::CLIP,
        entries: 1,
        pages: Vec::new(),
    })?;
    let (ours, proxied, first, recorded) = mainstem(program, folder, upstream)?;
    let theirs = files(folder, &recorded)?;
    let ratio = ours.per_gigabyte() / theirs.per_gigabyte();
    let behind = |(caches, (nginx, behind)): (&str, &(Used, Used))| {
        let both = nginx.per_gigabyte() + behind.cpu.as_secs_f64() * 1e9 / float(nginx.bytes);
        Row::new(
            format!("HLS, the same through nginx, proxy_cache {caches}: CPU s per GB of both"),
            format!("{both:.2}"),
            format!(
                "nginx alone {:.2}, mainstem alone to players {:.2}",
                nginx.per_gigabyte(),
                ours.per_gigabyte()
            ),
        )
    };
    let proxied = ["off", "on"].into_iter().zip(&proxied).map(behind);
    let rows = vec![
        Row::new(
            format!(
                "HLS, 1 channel × {PLAYERS} players, {:.1} Mbit/s each: CPU s per GB",
                ours.megabits_per_player()
            ),
            format!("{:.2}", ours.per_gigabyte()),
            format!(
                "nginx with the same files {:.2} ({:.1} Mbit/s): ratio {ratio:.2}",
                theirs.per_gigabyte(),
                theirs.megabits_per_player()
            ),
        ),
        Row::new(
            format!("HLS, 1 channel × {PLAYERS} players: resident memory"),
            mib(ours.memory),
            format!("nginx {}", mib(theirs.memory)),
        ),
        Row::new(
            "HLS: first playlist of a channel that is watched",
            format!("{:.1} ms", first.as_secs_f64() * 1e3),
            "with its connection".to_owned(),
        ),
    ];
    Ok(rows.into_iter().chain(proxied).collect())
}

/// Versions of a playlist and when they came, and the segments.
#[derive(Default)]
struct Recorded {
    versions: Vec<(Duration, String)>,
    segments: BTreeMap<String, Vec<u8>>,
}

/// What mainstem takes by itself; nginx before it and it behind that, without a cache and with one; how long the first
/// playlist took; and what was served.
type Measured = (Used, Vec<(Used, Used)>, Duration, Recorded);

fn mainstem(program: &Path, folder: &Path, upstream: u16) -> Result<Measured> {
    let server = Mainstem::start(program, folder, &format!("http://127.0.0.1:{upstream}/list.m3u"))?;
    let list = server.playlist()?;
    let address = list.lines().find(|line| line.starts_with("http"));
    let (_, id) = address
        .and_then(|address| address.rsplit_once('/'))
        .context("an empty list")?;
    let path = format!("/stream/{id}/live.m3u8");
    let viewer = Crowd::join(1, server.port, &format!("/stream/{id}"));
    viewer.settle(500_000, Duration::from_secs(30))?;
    std::thread::sleep(RUNNING);
    let asked = Instant::now();
    Connection::open(server.port)?.get(&path)?;
    let first = asked.elapsed();
    let players = Players::join(server.port, &path);
    let mut recorded = Recorded::default();
    let used = watch("mainstem", server.running.id(), &players, |until| {
        record(server.port, &path, until, &mut recorded)
    })?;
    drop(players);
    let proxied = [false, true].map(|caches| behind_nginx(folder, &server, &path, caches));
    let proxied = proxied.into_iter().collect::<Result<_>>()?;
    Ok((used, proxied, first, recorded))
}

/// nginx before mainstem: what each of the two takes.
fn behind_nginx(folder: &Path, server: &Mainstem, path: &str, caches: bool) -> Result<(Used, Used)> {
    let (nginx, port) = nginx::start_hls(folder, server.port, caches)?;
    fan_out::wait_for(port)?;
    let players = Players::join(port, path);
    let before = cpu_time(server.running.id())?;
    let wait = |until: Instant| {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Ok(())
    };
    let name = if caches {
        "nginx with proxy_cache"
    } else {
        "nginx without proxy_cache"
    };
    let used = watch(name, nginx.id(), &players, wait)?;
    let behind = Used {
        cpu: cpu_time(server.running.id())?.saturating_sub(before),
        memory: resident(server.running.id())?,
        ..used
    };
    Ok((used, behind))
}

/// nginx with the segments as files, and the playlist as it came to be.
fn files(folder: &Path, recorded: &Recorded) -> Result<Used> {
    let root = folder.join("hls");
    if root.exists() {
        std::fs::remove_dir_all(&root)?;
    }
    std::fs::create_dir_all(&root)?;
    for (name, bytes) in &recorded.segments {
        std::fs::write(root.join(name), bytes)?;
    }
    let replay = |until: Instant| -> Result<()> {
        let began = Instant::now();
        for (at, text) in &recorded.versions {
            std::thread::sleep(at.saturating_sub(began.elapsed()));
            // A reader sees the old one or the new one.
            std::fs::write(root.join("making"), text)?;
            std::fs::rename(root.join("making"), root.join("live.m3u8"))?;
        }
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Ok(())
    };
    let (_, first) = recorded.versions.first().context("no playlist was recorded")?;
    std::fs::write(root.join("live.m3u8"), first)?;
    let (nginx, port) = nginx::start_files(folder, &root)?;
    fan_out::wait_for(port)?;
    let players = Players::join(port, "/live.m3u8");
    watch("nginx", nginx.id(), &players, replay)
}

/// Measures one server while `beside` goes on.
fn watch(
    name: &str,
    process: u32,
    players: &Players,
    beside: impl FnOnce(Instant) -> Result<()>,
) -> Result<Used> {
    let (cpu, bytes) = (cpu_time(process)?, players.bytes());
    println!("{name}: {PLAYERS} players of HLS for {MEASURED:?}");
    beside(Instant::now() + MEASURED)?;
    Ok(Used {
        cpu: cpu_time(process)?.saturating_sub(cpu),
        bytes: players.bytes() - bytes,
        memory: resident(process)?,
    })
}

fn record(port: u16, path: &str, until: Instant, recorded: &mut Recorded) -> Result<()> {
    let (began, mut connection) = (Instant::now(), Connection::open(port)?);
    let (folder, _) = path.rsplit_once('/').context("a path")?;
    while Instant::now() < until {
        let text = String::from_utf8(connection.get(path)?)?;
        if recorded.versions.last().is_none_or(|(_, last)| *last != text) {
            for name in text.lines().filter(|line| !line.starts_with('#')) {
                if !recorded.segments.contains_key(name) {
                    let bytes = connection.get(&format!("{folder}/{name}"))?;
                    recorded.segments.insert(name.to_owned(), bytes);
                }
            }
            recorded.versions.push((began.elapsed(), text));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Players that fetch every segment and throw it away, each in a thread of its own; they leave when dropped.
struct Players {
    seen: Arc<AtomicU64>,
    leave: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Players {
    fn join(port: u16, path: &str) -> Self {
        let (seen, leave) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let threads = (0..PLAYERS).filter_map(|player| {
            let (seen, leave, path) = (Arc::clone(&seen), Arc::clone(&leave), path.to_owned());
            let playing = move || {
                if let Err(error) = play(port, &path, player, &seen, &leave) {
                    eprintln!("a player leaves early: {error}");
                }
            };
            std::thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn(playing)
                .ok()
        });
        let threads = threads.collect();
        Self { seen, leave, threads }
    }

    fn bytes(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }
}

impl Drop for Players {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap_or_default();
        }
    }
}

fn play(port: u16, path: &str, player: usize, seen: &AtomicU64, leave: &AtomicBool) -> Result<()> {
    // Not all at the same moment.
    let part = u32::try_from(player)?;
    std::thread::sleep(ASK_EVERY * part / u32::try_from(PLAYERS)?);
    let mut connection = Connection::open(port)?;
    let (folder, _) = path.rsplit_once('/').context("a path")?;
    let mut last = String::new();
    while !leave.load(Ordering::Relaxed) {
        let text = String::from_utf8(connection.get(&format!("{path}?device=player-{player}"))?)?;
        let names: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        // A player begins at the last segment here, so that all of what is measured is what the channel delivers.
        let next = names.iter().position(|name| *name == last).map(|at| at + 1);
        for name in names.iter().skip(next.unwrap_or(names.len().saturating_sub(1))) {
            let bytes = connection.get(&format!("{folder}/{name}"))?.len();
            seen.fetch_add(bytes as u64, Ordering::Relaxed);
            (*name).clone_into(&mut last);
        }
        std::thread::sleep(ASK_EVERY);
    }
    Ok(())
}

/// A connection that asks one thing after the other.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(port: u16) -> Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(64 << 10, socket)))
    }

    /// The body of the answer.
    fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        self.0.get_mut().write_all(request.as_bytes())?;
        let (mut line, mut length) = (String::new(), None);
        self.0.read_line(&mut line)?;
        if !line.contains(" 200 ") {
            bail!("{path}: {line}");
        }
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse::<usize>()?);
            }
        }
        let mut body = vec![0; length.context("an answer without its length")?];
        self.0.read_exact(&mut body)?;
        Ok(body)
    }
}
