//! One run: a contender, a crowd, and what it took while it delivered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::clients::{Ask, Clients, Seen};
use super::clip::{Clip, Rate};
use super::contender::{Contender, Programs, Started};
use super::syscalls::Counter;
use crate::bench::process::{context_switches, resident, run_time};

/// How long is measured.
const MEASURED: Duration = Duration::from_secs(6);

/// What passes between the last viewer's first picture and the measuring: the start is not what is measured. The ring is
/// full then (its 10 s, or its bytes): while it fills, a quarter of a channel's processor time is the system's, which
/// hands out memory for the first time.
const SETTLES: Duration = Duration::from_secs(12);

/// The same for [`Rate::Heavy`], which fills it in a moment and has a short clip.
const SETTLES_HEAVY: Duration = Duration::from_secs(2);

/// Longest wait for the last viewer's first picture, once it has come.
const STARTS_WITHIN: Duration = Duration::from_secs(40);

/// The clients' core may be so busy, others on it included. Above it, the clients are what is measured.
const BUSY_MAX: f64 = 0.9;

/// How many watch what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) channels: usize,
    /// Viewers of each channel.
    pub(super) viewers: usize,
    pub(super) rate: Rate,
    /// One more viewer takes so many bytes per second.
    pub(super) slow: Option<u64>,
    /// Media that the upstream sends at once, as panels do: whoever comes first has a reserve then.
    pub(super) burst: Duration,
}

impl Shape {
    pub(super) const fn new(channels: usize, viewers: usize, rate: Rate) -> Self {
        Self {
            channels,
            viewers,
            rate,
            slow: None,
            burst: Duration::ZERO,
        }
    }

    /// For people.
    pub(super) fn label(&self) -> String {
        let burst = match self.burst.as_secs() {
            0 => String::new(),
            seconds => format!(", {seconds} s at once"),
        };
        format!("{} × {}{burst}", self.channels, self.viewers)
    }

    fn asks(&self, paths: &[String], ahead: Duration) -> Vec<Ask> {
        let ask = |path: &String, after, timed| Ask {
            path: path.clone(),
            after,
            timed,
            limit: None,
        };
        let mut asks: Vec<_> = paths
            .iter()
            .map(|path| ask(path, Duration::ZERO, false))
            .collect();
        for _ in 1..self.viewers {
            asks.extend(paths.iter().map(|path| ask(path, ahead, true)));
        }
        if self.slow.is_some() {
            let slow = paths.first().map(|path| Ask {
                limit: self.slow,
                ..ask(path, ahead, false)
            });
            asks.extend(slow);
        }
        asks
    }
}

/// What one run found.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    /// Processor seconds for 10⁹ bytes.
    pub(super) cpu_per_gb: f64,
    /// 10⁹ bytes a second.
    pub(super) gb_per_s: f64,
    /// 10⁹ bytes for each second that the server was given a core.
    pub(super) gb_per_core_s: f64,
    pub(super) switches_per_s: f64,
    pub(super) syscalls_per_mb: Option<f64>,
    /// KiB.
    pub(super) resident: f64,
    /// How much of the time the clients' core was taken, by whomever.
    pub(super) client_busy: f64,
    pub(super) seen: Seen,
}

impl Figures {
    /// Whether the clients were the limit.
    pub(super) fn is_void(&self) -> bool {
        self.client_busy > BUSY_MAX
    }
}

/// Starts a contender, and its viewers; returns when all of them have watched for a moment.
pub(super) fn watching(
    contender: &Contender,
    shape: Shape,
    (programs, clip): (&Programs, Arc<Clip>),
) -> Result<(Started, Clients)> {
    let started = contender.start(programs, clip, shape)?;
    let asks = shape.asks(&started.paths, contender.ahead());
    let viewers = asks.len();
    let clients = Clients::start(started.port, asks, programs.cores.clients);
    wait(&clients, viewers)?;
    std::thread::sleep(match shape.rate {
        Rate::Heavy => SETTLES_HEAVY,
        Rate::Low | Rate::Usual => SETTLES,
    });
    Ok((started, clients))
}

/// Runs it once.
pub(super) fn run(
    contender: &Contender,
    shape: Shape,
    (programs, clip, counter): (&Programs, Arc<Clip>, Counter),
) -> Result<Figures> {
    let (started, clients) = watching(contender, shape, (programs, clip))?;
    let mut figures = measure(&started, &clients, programs)?;
    let (bytes, calls) = (clients.bytes(), counter.count(started.process)?);
    figures.syscalls_per_mb = calls.map(|calls| float(calls) * 1e6 / float(clients.bytes() - bytes).max(1.0));
    figures.seen = clients.end()?;
    Ok(figures)
}

fn wait(clients: &Clients, viewers: usize) -> Result<()> {
    let (mut settled, mut at) = (0, Instant::now());
    while settled < viewers {
        if clients.settled() > settled {
            (settled, at) = (clients.settled(), Instant::now());
        }
        if at.elapsed() > STARTS_WITHIN {
            bail!("{settled} of {viewers} viewers have a picture, and no further one in {STARTS_WITHIN:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn measure(started: &Started, clients: &Clients, programs: &Programs) -> Result<Figures> {
    let process = started.process;
    let shares = programs.cores.upstream == programs.cores.clients;
    let busy = || {
        let (ran, waited) = clients.load.so_far();
        let (upstream, _) = if shares {
            started.feed.load.so_far()
        } else {
            (0, 0)
        };
        // What the clients waited for their core somebody else ran, and that may have been the upstream.
        ran + upstream.max(waited)
    };
    clients.measure(true);
    let (began, bytes, cpu) = (Instant::now(), clients.bytes(), run_time(process)?);
    let (switches, client) = (context_switches(process)?, busy());
    std::thread::sleep(MEASURED);
    clients.measure(false);
    let (took, bytes) = (began.elapsed().as_secs_f64(), float(clients.bytes() - bytes));
    let cpu = run_time(process)?.saturating_sub(cpu).as_secs_f64();
    let switches = context_switches(process)?.saturating_sub(switches);
    Ok(Figures {
        cpu_per_gb: cpu * 1e9 / bytes,
        gb_per_s: bytes / 1e9 / took,
        gb_per_core_s: bytes / 1e9 / cpu,
        switches_per_s: float(switches) / took,
        syscalls_per_mb: None,
        resident: float(resident(process)?),
        client_busy: float(busy().saturating_sub(client)) / 1e9 / took,
        seen: Seen::default(),
    })
}

/// For figures that people read.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}
