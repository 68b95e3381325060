//! The upstream: lists, and a clip in real time to whoever asks, all from one thread.
//!
//! The provider-double and the bench's other upstream take a thread for each connection; at some hundred of them they
//! would be what is measured.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::clip::Clip;
use super::cores;
use super::load::Load;

/// How often a stream is written: 50 times a second, some 10 KB each at 4 Mbit/s.
const TICK: Duration = Duration::from_millis(20);

/// How often it is looked for streams whose turn it is. They take turns, as streams of real providers do.
const LOOK: Duration = Duration::from_millis(2);

/// Bytes of a request head.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// The thread; it ends with the value.
pub(super) struct Feed {
    pub(super) port: u16,
    pub(super) load: Arc<Load>,
    pushed: mpsc::Sender<TcpStream>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Feed {
    /// Serves a list of `channels` and the clip as each of them, of which `burst` is sent at once.
    pub(super) fn start(clip: Arc<Clip>, (channels, burst): (usize, Duration), core: usize) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let (stop, load) = (Arc::new(AtomicBool::new(false)), Arc::new(Load::default()));
        let (pushed, sockets) = mpsc::channel();
        let ends = Arc::clone(&stop);
        let loaded = Arc::clone(&load);
        let mut serving = Serving {
            listener,
            clip,
            list: list(channels, port),
            burst,
            streams: Vec::new(),
        };
        let thread = std::thread::spawn(move || {
            cores::pin(core)?;
            while !ends.load(Ordering::Relaxed) {
                let began = Instant::now();
                serving.accept()?;
                serving.streams.extend(sockets.try_iter().map(Stream::playing));
                serving.turn(began);
                loaded.update()?;
                std::thread::sleep(LOOK.saturating_sub(began.elapsed()));
            }
            Ok(())
        });
        Ok(Self {
            port,
            load,
            pushed,
            stop,
            thread: Some(thread),
        })
    }

    /// Where channel `number`, from 1, is.
    pub(super) fn path(number: usize) -> String {
        format!("/live/bench/bench/{number}.ts")
    }

    /// Writes the stream to a server that takes it from whoever sends it.
    pub(super) fn push(&self, socket: TcpStream) -> Result<()> {
        socket.set_nonblocking(true)?;
        self.pushed.send(socket).ok().context("the upstream has ended")
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the upstream failed: {error:#}");
        }
    }
}

struct Serving {
    listener: TcpListener,
    clip: Arc<Clip>,
    list: String,
    burst: Duration,
    streams: Vec<Stream>,
}

struct Stream {
    socket: TcpStream,
    request: Vec<u8>,
    began: Option<Instant>,
    sent: usize,
    due: Instant,
}

impl Stream {
    fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            request: Vec::new(),
            began: None,
            sent: 0,
            due: Instant::now(),
        }
    }

    fn playing(socket: TcpStream) -> Self {
        Self {
            began: Some(Instant::now()),
            ..Self::new(socket)
        }
    }

    /// Goes on with it; `false` at its end.
    fn go_on(&mut self, clip: &Clip, (list, burst): (&str, Duration), now: Instant) -> bool {
        let Some(began) = self.began else {
            return self.read(list);
        };
        if now < self.due {
            return true;
        }
        self.due = self.due.max(now - TICK) + TICK;
        let played = (burst + now.duration_since(began)).as_secs_f64() / clip.plays.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a position in a clip of some megabytes"
        )]
        let due = (clip.bytes.len() as f64 * played) as usize;
        // Whole packets.
        let due = (due - due % 188).min(clip.bytes.len());
        while self.sent < due {
            match self.socket.write(&clip.bytes[self.sent..due]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        self.sent < clip.bytes.len()
    }

    fn read(&mut self, list: &str) -> bool {
        let mut piece = [0; 1024];
        match self.socket.read(&mut piece) {
            Ok(0) => return false,
            Ok(read) => self.request.extend_from_slice(&piece[..read]),
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        let head = String::from_utf8_lossy(&self.request).into_owned();
        if !head.contains("\r\n\r\n") {
            return head.len() < HEAD_BYTES_MAX;
        }
        if head.contains("/live/") {
            let answer = "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n";
            self.began = Some(Instant::now());
            self.due = Instant::now();
            return self.socket.write_all(answer.as_bytes()).is_ok();
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: audio/x-mpegurl\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{list}",
            list.len()
        );
        // A list of some hundred channels fits into the socket's buffer or is waited for.
        self.socket
            .set_nonblocking(false)
            .and_then(|()| self.socket.write_all(answer.as_bytes()))
            .unwrap_or_default();
        false
    }
}

impl Serving {
    fn accept(&mut self) -> Result<()> {
        loop {
            match self.listener.accept() {
                Ok((socket, _)) => {
                    socket.set_nonblocking(true)?;
                    socket.set_nodelay(true)?;
                    self.streams.push(Stream::new(socket));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn turn(&mut self, now: Instant) {
        let (clip, list) = (&self.clip, (&*self.list, self.burst));
        self.streams.retain_mut(|stream| stream.go_on(clip, list, now));
    }
}

fn list(channels: usize, port: u16) -> String {
    let mut list = String::from("#EXTM3U\n");
    for number in 1..=channels {
        let path = Feed::path(number);
        list.push_str(&format!(
            "#EXTINF:-1 group-title=\"Bench\",Channel {number}\nhttp://127.0.0.1:{port}{path}\n"
        ));
    }
    list
}
