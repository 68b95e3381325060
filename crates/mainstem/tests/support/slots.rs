//! What the tests of connection limits share: a provider with one tight login, and two counts that are not mainstem's:
//! the provider's own, and the kernel's table of sockets.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    reason = "each test file uses a part of it; a test may panic"
)]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use provider_double::{Account, AccountHandle, AccountLog, Channel, Clip, Join, Movie, Plan, Provider};

use super::support::decode::{Colour, decode_aside};
use super::support::{Mainstem, Viewer, eventually, get_json};

/// Waits as an installation has them, only the linger is longer: it ends where the slot is wanted, not by itself.
pub(crate) const PATIENT: &str =
    "timing: {linger: 300s, join_back: 1s, cool_down_min: 1s, cool_down_max: 2s, api_interval: 0s}\n";

/// The name of the login.
pub(crate) const LOGIN: &str = "limited";

/// A provider with one login, and a mainstem that has it as a source.
pub(crate) struct Scene {
    pub(crate) provider: Provider,
    pub(crate) started: Instant,
    pub(crate) mainstem: Mainstem,
}

/// A login of so many connections.
pub(crate) fn account(connections: u32) -> Account {
    Account::new(LOGIN, "secret").max_connections(connections)
}

/// `account`, with so many channels named `Channel 1`, … A connection begins at a keyframe, with two seconds of media at
/// once: a test that waits for a picture waits for the connection and not for the clip.
pub(crate) fn plan(account: Account, channels: usize) -> Plan {
    (1..=channels).fold(Plan::new().account(account), |plan, number| {
        let channel = Channel::new(number, &format!("Channel {number}"), Clip::H264Closed);
        plan.channel(channel.join(Join::Keyframe).burst(Duration::from_secs(2)))
    })
}

/// `plan`, with a film named `Film`.
pub(crate) fn with_film(plan: Plan, bytes: u64, bytes_per_second: u64) -> Plan {
    plan.movie(Movie::new("900", "Film", bytes).bytes_per_second(bytes_per_second))
}

impl Scene {
    /// Starts both. `config` is everything but the sources; `keys` are further keys of the source.
    pub(crate) async fn start(plan: Plan, config: &str, keys: &str) -> Self {
        let started = Instant::now();
        let provider = Provider::start(plan).unwrap();
        let url = format!("{}&output=ts", provider.m3u_url(LOGIN));
        let mainstem = Mainstem::start(&format!(
            "{config}log_level: DEBUG\nsources:\n  - {{name: one, type: m3u, url: \"{url}\"{keys}}}\n"
        ))
        .await;
        Self {
            provider,
            started,
            mainstem,
        }
    }

    pub(crate) fn login(&self) -> AccountHandle {
        self.provider.account(LOGIN)
    }

    /// The time on the provider's clock.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) async fn urls(&self, channels: usize) -> Vec<String> {
        let mut urls = Vec::new();
        for number in 1..=channels {
            urls.push(self.mainstem.stream_url(&format!("Channel {number}")).await);
        }
        urls
    }

    /// mainstem's own count, the provider's and the kernel's are the same, and it is this.
    pub(crate) async fn in_use(&self, count: usize) {
        let url = self.mainstem.url("/status");
        let login = self.login();
        let port = self.provider.addr().port();
        eventually(&format!("{count} connections in use, by all counts"), || async {
            let status = get_json(&url).await;
            let own = status["connections"]["total_connections"].as_u64();
            let same = own == Some(count as u64) && login.open_now() == count && sockets_at(port) == count;
            same.then_some(())
        })
        .await;
    }

    /// The login was never used above its limit, by the provider's count.
    pub(crate) fn assert_within(&self, limit: usize) {
        let login = self.login();
        assert!(
            login.peak() <= limit && login.over_limit() == 0,
            "{} at once, {} refused:\n{}",
            login.peak(),
            login.over_limit(),
            crowd(&login.log(), limit)
        );
    }

    /// The pool of the login, from `/status`.
    pub(crate) async fn pool(&self) -> serde_json::Value {
        let status = get_json(&self.mainstem.url("/status")).await;
        let pools = status["pools"].as_array().unwrap().clone();
        assert_eq!(pools.len(), 1, "{pools:?}");
        pools.into_iter().next().unwrap()
    }
}

/// Who was open when there were too many, and when each came and went.
pub(crate) fn crowd(log: &AccountLog, limit: usize) -> String {
    let closed = |connection| log.closes.iter().find(|close| close.connection == connection);
    let mut text = String::new();
    for open in &log.opens {
        let there = log.opens.iter().filter(|other| {
            other.at <= open.at && closed(other.connection).is_none_or(|close| close.at > open.at)
        });
        let there: Vec<_> = there.collect();
        if there.len() <= limit {
            continue;
        }
        for other in there {
            text.push_str(&format!("{other:?} {:?}\n", closed(other.connection)));
        }
        text.push('\n');
    }
    text
}

/// Sockets whose other end is at a port of loopback and that this end has not closed, as the kernel has them: not yet
/// connected (02), connected (01), or closed by the other end alone (08). See proc_net_tcp in the kernel's manual.
pub(crate) fn sockets_at(port: u16) -> usize {
    open_sockets(port).len()
}

/// The same by their own addresses.
fn open_sockets(port: u16) -> HashSet<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let wanted = format!(":{port:04X}");
    let open = table.lines().skip(1).filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let is_open = words[2].ends_with(&wanted) && ["01", "02", "08"].contains(&words[3]);
        is_open.then(|| words[1].to_owned())
    });
    open.collect()
}

/// Looks at the kernel's table all the time, on a thread of its own. The table changes while it is read; what is in two
/// readings, one after the other, was open at the same time in between.
pub(crate) struct SocketWatch {
    peak: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl SocketWatch {
    /// Watches the sockets to a port.
    pub(crate) fn start(port: u16) -> Self {
        let (peak, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, end) = (Arc::clone(&peak), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            let mut before = HashSet::new();
            while !end.load(Ordering::Relaxed) {
                let now = open_sockets(port);
                seen.fetch_max(now.intersection(&before).count(), Ordering::Relaxed);
                before = now;
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self {
            peak,
            over,
            thread: Some(thread),
        }
    }

    /// The most there were at any look.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}

impl Drop for SocketWatch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Whether the newest picture is the channel's and not the slate's.
pub(crate) async fn is_live(viewer: &Viewer) -> bool {
    let decoded = decode_aside(viewer.bytes()).await;
    decoded.is_none_or(|decoded| {
        let last = decoded.colours.last();
        last.is_some_and(|colour| colour.is_like(Colour::DARK_RED))
    })
}

/// Whether every picture is the channel's: no slate at any time.
pub(crate) async fn is_all_live(viewer: &Viewer) -> bool {
    let decoded = decode_aside(viewer.bytes()).await;
    decoded.is_none_or(|decoded| {
        decoded
            .scenes()
            .iter()
            .all(|colour| colour.is_like(Colour::DARK_RED))
    })
}

/// xorshift64: the same lives in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}
