//! Thousands of viewers in one thread: they read, are timed, and some of them look at what they read.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::check::Body;
use super::cores;
use super::load::Load;

/// Every so many-th viewer looks at all it gets; the others let the kernel throw it away behind the first keyframe.
const SAMPLE: usize = 50;

/// Bytes one read takes at most.
const READ_BYTES: usize = 256 << 10;

/// Viewers that have asked and not been answered, at one time: servers have a bound for those who wait at the door.
const ASKING_MAX: usize = 200;

/// Viewers that begin within a millisecond at most: 2,000 a second.
const BEGIN_PER_MS: usize = 2;

/// How often it is read, once all have begun.
const TICK: Duration = Duration::from_millis(4);

/// Gaps that are counted.
const GAP: Duration = Duration::from_millis(200);
const LONG_GAP: Duration = Duration::from_secs(1);

/// What a viewer asks for, and how.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) path: String,
    /// When it comes, from the beginning.
    pub(super) after: Duration,
    /// Whether its start is a figure: the first of a channel waits for the upstream, not for the server.
    pub(super) timed: bool,
    /// Bytes per second it reads at most.
    pub(super) limit: Option<u64>,
}

/// What was seen.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    /// Time from asking to the first byte, and to the first packet that a decoder can start at; seconds.
    pub(super) first_byte: Vec<f64>,
    pub(super) first_keyframe: Vec<f64>,
    /// The longest time without a byte, of those who read all they get.
    pub(super) gap_worst: Duration,
    /// Viewers with a gap of more than 200 ms, and of more than a second.
    pub(super) gap_viewers: usize,
    pub(super) long_gap_viewers: usize,
    /// Viewers whose response ended, or was none.
    pub(super) lost: usize,
    /// Faults of the sample, all together.
    pub(super) faults: u64,
}

#[derive(Debug, Default)]
struct Shared {
    bytes: AtomicU64,
    ready: AtomicU64,
    lost: AtomicU64,
    stop: AtomicBool,
    /// Whether gaps count.
    measuring: AtomicBool,
}

/// A crowd of viewers, in a thread of its own.
pub(super) struct Clients {
    shared: Arc<Shared>,
    pub(super) load: Arc<Load>,
    thread: Option<JoinHandle<Result<Seen>>>,
}

impl Clients {
    /// Lets viewers come to the server at `port`.
    pub(super) fn start(port: u16, asks: Vec<Ask>, core: usize) -> Self {
        let (shared, load) = (Arc::new(Shared::default()), Arc::new(Load::default()));
        let thread = {
            let (shared, load) = (Arc::clone(&shared), Arc::clone(&load));
            std::thread::spawn(move || {
                cores::pin(core)?;
                Crowd::new(port, asks, shared)?.run(&load)
            })
        };
        Self {
            shared,
            load,
            thread: Some(thread),
        }
    }

    /// Bytes that all have read.
    pub(super) fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Viewers that have seen a keyframe, or are lost.
    pub(super) fn settled(&self) -> usize {
        let settled = self.shared.ready.load(Ordering::Relaxed) + self.shared.lost.load(Ordering::Relaxed);
        usize::try_from(settled).unwrap_or(usize::MAX)
    }

    /// From now on gaps count, or do no longer.
    pub(super) fn measure(&self, measuring: bool) {
        self.shared.measuring.store(measuring, Ordering::Relaxed);
    }

    /// Lets all go.
    pub(super) fn end(mut self) -> Result<Seen> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("ended twice")?;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

struct Viewer {
    socket: Option<OwnedFd>,
    asked: Instant,
    timed: bool,
    limit: Option<u64>,
    first_byte: Option<Instant>,
    keyframe: Option<Instant>,
    body: Body,
    samples: bool,
    last: Instant,
    gap: Duration,
    bytes: u64,
}

struct Crowd {
    port: u16,
    asks: std::vec::IntoIter<Ask>,
    next: Option<Ask>,
    shared: Arc<Shared>,
    epoll: OwnedFd,
    viewers: Vec<Viewer>,
    slow: Vec<usize>,
    asking: usize,
    buffer: Vec<u8>,
    began: Instant,
    measuring: bool,
    began_in_ms: (u128, usize),
}

impl Crowd {
    fn new(port: u16, asks: Vec<Ask>, shared: Arc<Shared>) -> Result<Self> {
        let mut asks = asks.into_iter();
        Ok(Self {
            port,
            next: asks.next(),
            asks,
            shared,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            viewers: Vec::new(),
            slow: Vec::new(),
            asking: 0,
            buffer: vec![0; READ_BYTES],
            began: Instant::now(),
            measuring: false,
            began_in_ms: (0, 0),
        })
    }

    fn run(mut self, load: &Load) -> Result<Seen> {
        let mut events = Vec::with_capacity(4096);
        while !self.shared.stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            self.begin(began)?;
            events.clear();
            let patience = Timespec {
                tv_sec: 0,
                tv_nsec: if self.is_starting() { 500_000 } else { 10_000_000 },
            };
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&patience)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            self.mark(now);
            for event in &events {
                let data = event.data;
                self.read(usize::try_from(data.u64())?, now, None);
            }
            self.read_slowly(now);
            load.update()?;
            if !self.is_starting() {
                // Nobody waits for a first picture: gathered reads leave the core to the upstream.
                std::thread::sleep(TICK.saturating_sub(began.elapsed()));
            }
        }
        Ok(self.seen())
    }

    fn is_starting(&self) -> bool {
        self.asking > 0
            || self
                .next
                .as_ref()
                .is_some_and(|next| self.began.elapsed() >= next.after)
    }

    /// Lets those begin whose time has come.
    fn begin(&mut self, now: Instant) -> Result<()> {
        let ms = self.began.elapsed().as_millis();
        if self.began_in_ms.0 != ms {
            self.began_in_ms = (ms, 0);
        }
        while let Some(ask) = self
            .next
            .take_if(|ask| now.duration_since(self.began) >= ask.after)
        {
            if self.asking >= ASKING_MAX || self.began_in_ms.1 >= BEGIN_PER_MS {
                self.next = Some(ask);
                return Ok(());
            }
            self.began_in_ms.1 += 1;
            self.next = self.asks.next();
            self.ask(&ask)?;
        }
        Ok(())
    }

    fn ask(&mut self, ask: &Ask) -> Result<()> {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        let asked = Instant::now();
        rustix::net::connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port))?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        let head = format!(
            "GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nUser-Agent: bench\r\n\r\n",
            ask.path, self.port
        );
        rustix::net::send(&socket, head.as_bytes(), SendFlags::NOSIGNAL)?;
        let index = self.viewers.len();
        let data = EventData::new_u64(index as u64);
        if ask.limit.is_some() {
            self.slow.push(index);
        } else {
            epoll::add(&self.epoll, &socket, data, EventFlags::IN | EventFlags::RDHUP)?;
        }
        self.asking += 1;
        self.viewers.push(Viewer {
            socket: Some(socket),
            asked,
            timed: ask.timed,
            limit: ask.limit,
            first_byte: None,
            keyframe: None,
            body: Body::default(),
            samples: index.is_multiple_of(SAMPLE) && ask.limit.is_none(),
            last: asked,
            gap: Duration::ZERO,
            bytes: 0,
        });
        Ok(())
    }

    /// Gaps count from the moment that is measured to its end, which may be in the middle of one.
    fn mark(&mut self, now: Instant) {
        let measuring = self.shared.measuring.load(Ordering::Relaxed);
        if measuring == self.measuring {
            return;
        }
        self.measuring = measuring;
        for viewer in &mut self.viewers {
            if !measuring {
                viewer.gap = viewer.gap.max(now.duration_since(viewer.last));
            }
            viewer.last = now;
        }
    }

    fn read_slowly(&mut self, now: Instant) {
        for index in self.slow.clone() {
            let viewer = &self.viewers[index];
            let Some(limit) = viewer.limit else { continue };
            let due = u128::from(limit) * now.duration_since(viewer.asked).as_millis() / 1_000;
            let due = u64::try_from(due)
                .unwrap_or(u64::MAX)
                .saturating_sub(viewer.bytes);
            if due > 0 {
                self.read(index, now, Some(due));
            }
        }
    }

    fn read(&mut self, index: usize, now: Instant, at_most: Option<u64>) {
        let viewer = &mut self.viewers[index];
        let Some(socket) = &viewer.socket else { return };
        let looks = viewer.samples || viewer.keyframe.is_none();
        let flags = if looks {
            RecvFlags::empty()
        } else {
            RecvFlags::TRUNC
        };
        let length = at_most.map_or(READ_BYTES, |most| {
            READ_BYTES.min(usize::try_from(most).unwrap_or(usize::MAX))
        });
        let read = match rustix::net::recv(socket, &mut self.buffer[..length], flags) {
            Ok((_, read @ 1..)) => read,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Ok((_, 0)) | Err(_) => {
                self.lose(index);
                return;
            }
        };
        self.shared.bytes.fetch_add(read as u64, Ordering::Relaxed);
        viewer.bytes += read as u64;
        if viewer.first_byte.is_none() {
            viewer.first_byte = Some(now);
            self.asking = self.asking.saturating_sub(1);
        }
        if self.measuring {
            viewer.gap = viewer.gap.max(now.duration_since(viewer.last));
        }
        viewer.last = now;
        if !looks {
            return;
        }
        viewer.body.push(&self.buffer[..read]);
        if viewer.keyframe.is_none() && viewer.body.has_keyframe() {
            viewer.keyframe = Some(now);
            self.shared.ready.fetch_add(1, Ordering::Relaxed);
        }
        if viewer.body.refused {
            self.lose(index);
        }
    }

    fn lose(&mut self, index: usize) {
        let viewer = &mut self.viewers[index];
        viewer.socket = None;
        if viewer.first_byte.is_none() {
            self.asking = self.asking.saturating_sub(1);
        }
        if viewer.keyframe.is_none() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn seen(&self) -> Seen {
        let timed = self.viewers.iter().filter(|viewer| viewer.timed);
        let after =
            |viewer: &Viewer, at: Option<Instant>| at.map(|at| at.duration_since(viewer.asked).as_secs_f64());
        let reading = self.viewers.iter().filter(|viewer| viewer.limit.is_none());
        let gaps: Vec<Duration> = reading.map(|viewer| viewer.gap).collect();
        Seen {
            first_byte: timed
                .clone()
                .filter_map(|viewer| after(viewer, viewer.first_byte))
                .collect(),
            first_keyframe: timed
                .filter_map(|viewer| after(viewer, viewer.keyframe))
                .collect(),
            gap_worst: gaps.iter().copied().max().unwrap_or_default(),
            gap_viewers: gaps.iter().filter(|gap| **gap > GAP).count(),
            long_gap_viewers: gaps.iter().filter(|gap| **gap > LONG_GAP).count(),
            lost: self
                .viewers
                .iter()
                .filter(|viewer| viewer.socket.is_none())
                .count(),
            faults: self.viewers.iter().map(|viewer| viewer.body.faults()).sum(),
        }
    }
}
