//! The limit: a program that does nothing but write the same bytes to many sockets.
//!
//! It runs as a process of its own, so that it is measured as the servers are.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create, sendfile};
use rustix::io::{Errno, pwrite};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::feed::Feed;

/// How long bytes are gathered.
const GATHER: Duration = Duration::from_millis(100);

/// How often what came is read and written in [`Mode::Beat`].
const BEAT: Duration = Duration::from_millis(120);

/// Bytes kept for those who are behind; who is further behind goes on at the newest.
const KEPT: usize = 32 << 20;

/// Bytes of one arrival at most.
const READ_BYTES: usize = 256 << 10;

/// Bytes of one write where there is always more: whole packets, about a megabyte.
const ENDLESS_BYTES: usize = 188 * 5_578;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// write(2) of each arrival at once.
    AtOnce,
    /// write(2) of what came within 100 ms.
    Gathering,
    /// sendfile(2) from a memory file, of what came within 100 ms.
    Sendfile,
    /// write(2) to many channels' viewers on the beat that mainstem has. Nothing is asked of the kernel but reading and
    /// writing.
    Beat,
    /// write(2) of the same megabyte for ever, to whoever takes it.
    Endless,
}

impl Mode {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::AtOnce => "at-once",
            Self::Gathering => "gathering",
            Self::Sendfile => "sendfile",
            Self::Beat => "beat",
            Self::Endless => "endless",
        }
    }
}

/// Runs until it is killed: the first of `channels` streams of the upstream at `port`, to all who connect, or all of
/// them, each to who asks for it. Prints its own port.
///
/// # Errors
/// The system or the upstream refuses.
pub(crate) fn run(word: &str, port: &str, channels: &str) -> Result<()> {
    let modes = [
        Mode::AtOnce,
        Mode::Gathering,
        Mode::Sendfile,
        Mode::Beat,
        Mode::Endless,
    ];
    let mode = modes.into_iter().find(|mode| mode.word() == word);
    let mode = mode.context("no such mode")?;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    rustix::net::listen(&listener, 4096)?;
    println!("{}", listener.local_addr()?.port());
    if mode == Mode::Endless {
        return endless(&listener);
    }
    let port = port.parse()?;
    let writer = |number| Writer::new(mode, port, number);
    if mode == Mode::Beat {
        let writers = (1..=channels.parse()?).map(writer).collect::<Result<_>>()?;
        return beat(&listener, writers);
    }
    writer(1)?.run(&listener)
}

/// Reads to the end of a head, and no further.
fn head(socket: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8(head)?)
}

struct Writer {
    mode: Mode,
    upstream: TcpStream,
    kept: Kept,
    clients: Vec<(TcpStream, u64)>,
}

/// The bytes, in memory or in a memory file.
struct Kept {
    memory: Vec<u8>,
    file: Option<OwnedFd>,
    /// Where in the stream `memory` begins; a file begins at 0, as it is written round and round.
    from: u64,
    end: u64,
}

impl Kept {
    fn new(mode: Mode) -> Result<Self> {
        let file = (mode == Mode::Sendfile).then(|| memfd_create("kept", MemfdFlags::CLOEXEC));
        let file = file.transpose()?;
        if let Some(file) = &file {
            ftruncate(file, KEPT as u64)?;
        }
        Ok(Self {
            memory: Vec::with_capacity(2 * KEPT),
            file,
            from: 0,
            end: 0,
        })
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        let Some(file) = &self.file else {
            if self.memory.len() + bytes.len() > 2 * KEPT {
                let old = self.memory.len() - KEPT;
                self.memory.drain(..old);
                self.from += old as u64;
            }
            self.memory.extend_from_slice(bytes);
            self.end += bytes.len() as u64;
            return Ok(());
        };
        while !bytes.is_empty() {
            let at = self.end % KEPT as u64;
            let room = KEPT - usize::try_from(at)?;
            let written = pwrite(file, &bytes[..bytes.len().min(room)], at)?;
            self.end += written as u64;
            self.from = self.end.saturating_sub(KEPT as u64);
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Forgets what nobody waits for.
    fn forget(&mut self, before: u64) {
        if before == self.end {
            self.memory.clear();
            self.from = self.end;
        }
    }

    /// Writes what follows `at` to `socket`; where it got to, `None` if nobody is there any more.
    fn write(&self, socket: &TcpStream, at: u64) -> Option<u64> {
        let mut at = if at < self.from { self.end } else { at };
        while at < self.end {
            let written = match &self.file {
                None => {
                    let start = usize::try_from(at - self.from).ok()?;
                    rustix::net::send(socket, &self.memory[start..], rustix::net::SendFlags::NOSIGNAL)
                }
                Some(file) => {
                    let mut offset = at % KEPT as u64;
                    let length = (self.end - at).min(KEPT as u64 - offset);
                    sendfile(socket, file, Some(&mut offset), usize::try_from(length).ok()?)
                }
            };
            match written {
                Ok(written) => at += written as u64,
                Err(Errno::AGAIN) => break,
                Err(_) => return None,
            }
        }
        Some(at)
    }
}

impl Writer {
    fn new(mode: Mode, port: u16, number: usize) -> Result<Self> {
        let mut upstream = TcpStream::connect(("127.0.0.1", port))?;
        let path = Feed::path(number);
        write!(upstream, "GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n")?;
        head(&mut upstream)?;
        upstream.set_nonblocking(true)?;
        Ok(Self {
            mode,
            upstream,
            kept: Kept::new(mode)?,
            clients: Vec::new(),
        })
    }

    fn run(mut self, listener: &TcpListener) -> Result<()> {
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, listener, EventData::new_u64(0), EventFlags::IN)?;
        epoll::add(&epoll, &self.upstream, EventData::new_u64(1), EventFlags::IN)?;
        let mut events = Vec::with_capacity(16);
        let mut piece = vec![0; READ_BYTES];
        let mut flushed = Instant::now();
        loop {
            let left = GATHER.saturating_sub(flushed.elapsed());
            wait(&epoll, &mut events, left)?;
            while let Ok((socket, _)) = listener.accept() {
                self.welcome(socket)?;
            }
            while self.read(&mut piece)? == piece.len() {}
            if self.mode == Mode::AtOnce || flushed.elapsed() >= GATHER {
                flushed = Instant::now();
                self.write();
            }
        }
    }

    /// How much came.
    fn read(&mut self, piece: &mut [u8]) -> Result<usize> {
        match self.upstream.read(piece) {
            Ok(0) => bail!("the upstream has ended"),
            Ok(read) => {
                self.kept.push(&piece[..read])?;
                Ok(read)
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&mut self) {
        let kept = &self.kept;
        self.clients.retain_mut(|(socket, at)| {
            let now = kept.write(socket, *at);
            *at = now.unwrap_or(*at);
            now.is_some()
        });
    }

    fn welcome(&mut self, mut socket: TcpStream) -> Result<()> {
        socket.set_nodelay(true)?;
        socket.write_all(HEAD)?;
        socket.set_nonblocking(true)?;
        self.clients.push((socket, self.kept.end));
        Ok(())
    }
}

/// All channels: what came is read and written every 120 ms.
fn beat(listener: &TcpListener, mut writers: Vec<Writer>) -> Result<()> {
    listener.set_nonblocking(true)?;
    let mut piece = vec![0; READ_BYTES];
    loop {
        while let Ok((mut socket, _)) = listener.accept() {
            let asked = head(&mut socket)?;
            let number = (1..=writers.len()).find(|number| asked.contains(&Feed::path(*number)));
            let number = number.context("no such channel")?;
            writers[number - 1].welcome(socket)?;
        }
        for writer in &mut writers {
            writer.read(&mut piece)?;
            writer.write();
            let behind = writer.clients.iter().map(|(_, at)| *at).min();
            writer.kept.forget(behind.unwrap_or(writer.kept.end));
        }
        std::thread::sleep(BEAT);
    }
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n";

/// A packet that looks like a keyframe, so that the viewers are content: the bytes mean nothing here.
fn endless(listener: &TcpListener) -> Result<()> {
    let mut packet = [0xFF; 188];
    packet[..6].copy_from_slice(&[0x47, 0x41, 0x00, 0x30, 1, 0xC0]);
    let bytes: Vec<u8> = packet.iter().copied().cycle().take(ENDLESS_BYTES).collect();
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, EventData::new_u64(0), EventFlags::IN)?;
    let mut clients: HashMap<u64, (TcpStream, usize)> = HashMap::new();
    let mut seen = 0;
    let mut events = Vec::with_capacity(1024);
    loop {
        wait(&epoll, &mut events, GATHER)?;
        while let Ok((mut socket, _)) = listener.accept() {
            seen += 1;
            socket.set_nodelay(true)?;
            socket.write_all(HEAD)?;
            socket.set_nonblocking(true)?;
            epoll::add(&epoll, &socket, EventData::new_u64(seen), EventFlags::OUT)?;
            clients.insert(seen, (socket, 0));
        }
        for event in &events {
            let data = event.data;
            let id = data.u64();
            let Some((client, at)) = clients.get_mut(&id) else {
                continue;
            };
            match rustix::net::send(client, &bytes[*at..], rustix::net::SendFlags::NOSIGNAL) {
                Ok(written) => *at = (*at + written) % ENDLESS_BYTES,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => drop(clients.remove(&id)),
            }
        }
    }
}

fn wait(epoll: &OwnedFd, events: &mut Vec<epoll::Event>, patience: Duration) -> Result<()> {
    events.clear();
    let patience = Timespec {
        tv_sec: i64::try_from(patience.as_secs())?,
        tv_nsec: patience.subsec_nanos().into(),
    };
    match epoll::wait(epoll, spare_capacity(events), Some(&patience)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
