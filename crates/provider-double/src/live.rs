//! A live stream on its way to one connection: where it stands, how it is paced, what it is told meanwhile. What went
//! before the first byte of body is `session`'s.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::door::Order;
use crate::fault::Now;
use crate::http::{Body, Ended, Stop};
use crate::plan::{Channel, Join};
use crate::reel::{LAPS_BEFORE, Reel, nanos};
use crate::ts::PACKET;

/// Packets of one write where much is due at once: 64 kB.
const CATCH_UP_PACKETS: u64 = 340;
/// Bounds of a channel's speed; what lies outside would overflow a duration or never move.
const SPEED: std::ops::RangeInclusive<f64> = 0.001..=10_000.0;

/// Where an endless stream stands at which moment; the same for all its connections.
#[derive(Clone)]
pub(crate) struct Clock {
    pub(crate) reel: Arc<Reel>,
    /// Added to all clocks, 90 kHz.
    pub(crate) shift: u64,
    started: Instant,
    start_nanos: u64,
    speed: f64,
}

impl Clock {
    pub(crate) fn new(channel: &Channel, started: Instant) -> Self {
        let reel = Reel::of(channel.clip);
        let speed = if channel.speed.is_nan() {
            1.0
        } else {
            channel.speed
        };
        Self {
            shift: channel
                .time_base
                .map_or(0, |base| base.wrapping_sub(reel.first_stamp())),
            started,
            start_nanos: LAPS_BEFORE * reel.lap_nanos() + nanos(channel.phase),
            speed: speed.clamp(*SPEED.start(), *SPEED.end()),
            reel,
        }
    }

    /// Media time that is present at a moment, nanoseconds since packet 0.
    pub(crate) fn media_at(&self, moment: Instant) -> u64 {
        let elapsed = moment.saturating_duration_since(self.started);
        self.start_nanos
            .saturating_add(nanos(elapsed.mul_f64(self.speed)))
    }
}

/// How a body is paced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// At this fraction of the stream's rate.
    Steady(f64),
    /// So much media at once, every so long.
    Bursts(Duration),
    /// As fast as it goes.
    Wire,
    /// Not at all.
    Stopped,
}

/// A pace with its beginning.
struct Pacer {
    pace: Pace,
    since: Instant,
    /// Media time due at `since`.
    from: u64,
    speed: f64,
}

impl Pacer {
    /// Media time that may have been sent by `now`.
    fn allowed(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.since);
        let media = match self.pace {
            Pace::Steady(rate) => elapsed.mul_f64(self.speed * rate.clamp(0.0, 1000.0)),
            Pace::Bursts(every) => {
                let every = every.max(Duration::from_millis(1));
                let begun = elapsed.as_nanos() / every.as_nanos() + 1;
                every.mul_f64(self.speed) * u32::try_from(begun).unwrap_or(u32::MAX)
            }
            Pace::Wire => return u64::MAX,
            Pace::Stopped => return 0,
        };
        self.from.saturating_add(nanos(media))
    }

    /// When `media` may be sent; `None`: never, unless told otherwise.
    fn due(&self, media: u64) -> Option<Instant> {
        let ahead = Duration::from_nanos(media.saturating_sub(self.from));
        match self.pace {
            Pace::Steady(rate) if rate > 0.0 => {
                let wait = ahead.as_secs_f64() / (self.speed * rate.clamp(0.0, 1000.0));
                Duration::try_from_secs_f64(wait)
                    .ok()
                    .and_then(|wait| self.since.checked_add(wait))
            }
            Pace::Bursts(every) => {
                let every = every.max(Duration::from_millis(1));
                let bursts = ahead.as_nanos() / every.mul_f64(self.speed).as_nanos().max(1);
                self.since
                    .checked_add(every.checked_mul(u32::try_from(bursts).ok()?)?)
            }
            Pace::Wire => Some(self.since),
            Pace::Steady(_) | Pace::Stopped => None,
        }
    }
}

/// What a stream is spoilt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoilt {
    /// Random bytes in its place.
    Garbage,
    /// Random bytes between its packets.
    SyncLoss,
}

/// One connection's way through the stream.
pub(crate) struct Live {
    clock: Clock,
    pacer: Pacer,
    next: u64,
    piece: u64,
    spoilt: Option<Spoilt>,
    /// State of the random bytes.
    noise: u64,
    stall_at: Option<Instant>,
}

impl Live {
    /// Enters the stream where it is now.
    pub(crate) fn join(
        clock: Clock,
        channel: &Channel,
        piece: usize,
        pace: Pace,
        spoilt: Option<Spoilt>,
    ) -> Self {
        let now = Instant::now();
        let present = clock.media_at(now);
        let mut next = clock.reel.index_at(present.saturating_sub(nanos(channel.burst)));
        match channel.join {
            Join::MidGop => {}
            Join::Keyframe => next = clock.reel.cut_before(next),
            Join::Lap => next -= next % clock.reel.len(),
        }
        let pacer = Pacer {
            pace,
            since: now,
            from: present,
            speed: clock.speed,
        };
        let piece = u64::try_from(piece).unwrap_or(1).clamp(1, CATCH_UP_PACKETS);
        Self {
            clock,
            pacer,
            next,
            piece,
            spoilt,
            noise: 1,
            stall_at: None,
        }
    }

    /// Stops sending at a moment.
    pub(crate) fn stall_at(&mut self, moment: Instant) {
        self.stall_at = Some(moment);
    }

    /// Sends until told to end; a limit of the body that means a stall stops it until it is told to go on.
    pub(crate) async fn run(mut self, body: &mut Body<'_>, mut orders: watch::Receiver<Order>) -> Ended {
        let mut bytes = Vec::new();
        loop {
            if orders.has_changed().unwrap_or(false) {
                let order = *orders.borrow_and_update();
                self.obey(order, body);
            }
            let last = self.clock.reel.nanos_at(self.next + self.piece - 1);
            let due = self.pacer.due(last);
            if due.is_none_or(|due| due > Instant::now()) {
                self.wait(due, &mut orders).await;
                continue;
            }
            bytes.clear();
            self.fill(&mut bytes);
            match body.send(&bytes).await {
                Ok(()) => {}
                Err(Ended::Stop(Stop::Stall)) => self.pacer.pace = Pace::Stopped,
                Err(ended) => return ended,
            }
            if self.stall_at.is_some_and(|at| at <= Instant::now()) {
                self.pacer.pace = Pace::Stopped;
                self.stall_at = None;
            }
        }
    }

    async fn wait(&mut self, due: Option<Instant>, orders: &mut watch::Receiver<Order>) {
        let stall_at = self.stall_at;
        tokio::select! {
            () = moment(due) => {}
            () = moment(stall_at) => {
                self.pacer.pace = Pace::Stopped;
                self.stall_at = None;
            }
            changed = orders.changed() => {
                if changed.is_err() {
                    // Cut: whoever cut it ends this connection too.
                    std::future::pending::<()>().await;
                }
                orders.mark_changed();
            }
        }
    }

    fn fill(&mut self, bytes: &mut Vec<u8>) {
        let allowed = self.pacer.allowed(Instant::now());
        let most = self.next + CATCH_UP_PACKETS;
        let end = if allowed == u64::MAX {
            most
        } else {
            self.clock.reel.index_at(allowed)
        };
        let end = end.clamp(self.next + self.piece, most);
        match self.spoilt {
            Some(Spoilt::Garbage) => {
                for _ in 0..(end - self.next) * (PACKET as u64) / 8 {
                    bytes.extend_from_slice(&xorshift(&mut self.noise).to_le_bytes());
                }
            }
            Some(Spoilt::SyncLoss) => {
                for n in self.next..end {
                    self.clock.reel.write(n, n + 1, self.clock.shift, bytes);
                    let noise = xorshift(&mut self.noise).to_le_bytes();
                    // One to eight of them: no two packets are a packet's length apart.
                    let count = 1 + usize::from(noise[7] & 7);
                    bytes.extend_from_slice(noise.get(..count).unwrap_or_default());
                }
            }
            None => self.clock.reel.write(self.next, end, self.clock.shift, bytes),
        }
        self.next = end;
    }

    fn obey(&mut self, order: Order, body: &mut Body<'_>) {
        let now = Instant::now();
        let anchor = |live: &mut Self, pace| {
            live.pacer.from = live.clock.reel.nanos_at(live.next);
            live.pacer.since = now;
            live.pacer.pace = pace;
        };
        match order {
            Order::Now(Now::Stall) => self.pacer.pace = Pace::Stopped,
            Order::Now(Now::Resume) => {
                body.limit = None;
                self.spoilt = None;
                self.stall_at = None;
                self.next = self.clock.reel.index_at(self.clock.media_at(now));
                anchor(self, Pace::Steady(1.0));
            }
            Order::Now(Now::Trickle(rate)) => anchor(self, Pace::Steady(rate)),
            Order::Now(Now::Garbage) => self.spoilt = Some(Spoilt::Garbage),
            Order::Now(Now::SyncLoss) => self.spoilt = Some(Spoilt::SyncLoss),
            Order::Now(Now::Jump(ticks)) => self.clock.shift = self.clock.shift.wrapping_add_signed(ticks),
            Order::Now(Now::Lose(packets)) => self.next += u64::from(packets),
            // The rest ends the connection: `session` sees to it.
            Order::Now(Now::Eof | Now::Rst) | Order::Cut | Order::Carry => {}
        }
    }
}

async fn moment(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}
