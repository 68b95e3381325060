//! What a broadcast does next: which stream is opened when, when the slate is on, when it all ends.
//!
//! Pure: events and the time go in, actions come out. The sockets, the clock and the bytes are the driver's. A
//! simulation can run it in virtual time.

use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::{Candidate, Failure, FailureClass, Timing};

/// A stream that had been healthy is asked once more at its end, but so often at most: what is cut every half minute,
/// or delivers a little less than real time, gives way to the next one.
const RENEWED_EVERY: Duration = Duration::from_secs(60);

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A viewer came; so many watch now.
    Joined(usize),
    /// A viewer left; so many watch now.
    Left(usize),
    /// The stream being opened delivers: its media enters now.
    Entered,
    /// The stream being opened could not be, or the one that delivers ended.
    Failed(&'a Failure),
    /// The clock reached [`Broadcast::deadline`].
    Tick,
}

/// What the driver is to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<S> {
    /// Open this stream. The one open before is closed first.
    Open(S),
    /// Close whatever is open or being opened.
    Close,
    /// Show the slate until [`Action::SlateOff`].
    SlateOn,
    /// The slate ends: a stream's media enters.
    SlateOff,
    /// Whether anybody watches has changed.
    Watched(bool),
    /// Nobody watches, nothing is open: the broadcast is over.
    Finish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase<S> {
    /// Nothing was tried yet.
    New,
    /// A stream is being opened.
    Opening { stream: S },
    /// A stream delivers since then.
    Live { stream: S, since: Instant },
    /// Everything failed; the next round starts then.
    Resting { until: Instant },
}

/// The state of one broadcast's decisions.
#[derive(Debug)]
pub struct Broadcast<S> {
    timing: Timing,
    phase: Phase<S>,
    viewers: usize,
    linger_until: Option<Instant>,
    slate: bool,
    /// When viewers have had nothing new for long enough to be shown the slate.
    slate_at: Option<Instant>,
    /// Streams that failed in this round.
    tried: Vec<S>,
    rounds_failed: u32,
    /// Whether every failure of this round looked lasting.
    hopeless: bool,
    /// Switches from one delivering stream to another, for the status page.
    failovers: u64,
    last_live: Option<S>,
    /// The stream that was last asked once more after it had been healthy, and when.
    renewed: Option<(S, Instant)>,
    jitter: Jitter,
}

impl<S: Copy + Eq + Hash> Broadcast<S> {
    /// A broadcast nobody watches yet. `seed` spreads the retries of many broadcasts.
    #[must_use]
    pub fn new(timing: Timing, seed: u64) -> Self {
        Self {
            timing,
            phase: Phase::New,
            viewers: 0,
            linger_until: None,
            slate: false,
            slate_at: None,
            tried: Vec::new(),
            rounds_failed: 0,
            hopeless: true,
            failovers: 0,
            last_live: None,
            renewed: None,
            jitter: Jitter(seed | 1),
        }
    }

    /// Takes in what happened at `now`. `candidates` is asked only when a stream must be chosen.
    pub fn handle(
        &mut self,
        event: &Event<'_>,
        now: Instant,
        candidates: impl FnOnce() -> Vec<Candidate<S>>,
    ) -> Vec<Action<S>> {
        let mut actions = Vec::new();
        match event {
            Event::Joined(viewers) => self.joined(*viewers, now, candidates, &mut actions),
            Event::Left(viewers) => self.left(*viewers, now, &mut actions),
            Event::Entered => self.entered(now, &mut actions),
            Event::Failed(failure) => self.failed(failure, now, candidates, &mut actions),
            Event::Tick => self.tick(now, candidates, &mut actions),
        }
        actions
    }

    /// When [`Event::Tick`] is due, if at all.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let resting = match self.phase {
            Phase::Resting { until } if self.viewers > 0 => Some(until),
            _ => None,
        };
        [self.linger_until, self.slate_due(), resting]
            .into_iter()
            .flatten()
            .min()
    }

    /// Tells when the media delivered so far is used up, in the viewer's time: from then on there is silence.
    pub fn media_lasts_until(&mut self, until: Instant) {
        if let Phase::Live { .. } = self.phase {
            self.slate_at = Some(until + self.timing.slate_after);
        }
    }

    /// The stream that delivers or is being opened.
    #[must_use]
    pub fn stream(&self) -> Option<S> {
        match self.phase {
            Phase::Opening { stream } | Phase::Live { stream, .. } => Some(stream),
            Phase::New | Phase::Resting { .. } => None,
        }
    }

    /// Whether a stream's media is what viewers see.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live { .. })
    }

    /// Whether the slate is on.
    #[must_use]
    pub fn slate(&self) -> bool {
        self.slate
    }

    /// How often another stream took over from one that had delivered.
    #[must_use]
    pub fn failovers(&self) -> u64 {
        self.failovers
    }

    /// For how long the present stream has delivered.
    #[must_use]
    pub fn healthy_for(&self, now: Instant) -> Duration {
        match self.phase {
            Phase::Live { since, .. } => now.saturating_duration_since(since),
            _ => Duration::ZERO,
        }
    }

    fn joined(
        &mut self,
        viewers: usize,
        now: Instant,
        candidates: impl FnOnce() -> Vec<Candidate<S>>,
        actions: &mut Vec<Action<S>>,
    ) {
        let was_watched = self.viewers > 0;
        self.viewers = viewers;
        self.linger_until = None;
        if was_watched {
            return;
        }
        actions.push(Action::Watched(true));
        match self.phase {
            Phase::New => {
                self.slate_at = Some(now + self.timing.slate_after);
                self.choose(now, candidates, actions);
            }
            Phase::Resting { .. } => self.choose(now, candidates, actions),
            Phase::Opening { .. } | Phase::Live { .. } => {}
        }
    }

    fn left(&mut self, viewers: usize, now: Instant, actions: &mut Vec<Action<S>>) {
        let was_watched = self.viewers > 0;
        self.viewers = viewers;
        if viewers > 0 || !was_watched {
            return;
        }
        actions.push(Action::Watched(false));
        if self.is_live() {
            self.linger_until = Some(now + self.timing.linger);
        } else {
            // Nothing delivers: there is nothing worth a provider's connection, or a slate's work.
            self.finish(actions);
        }
    }

    fn entered(&mut self, now: Instant, actions: &mut Vec<Action<S>>) {
        let Phase::Opening { stream } = self.phase else {
            return;
        };
        if self.last_live.is_some_and(|last| last != stream) {
            self.failovers += 1;
        }
        self.last_live = Some(stream);
        self.phase = Phase::Live { stream, since: now };
        self.slate_at = Some(now + self.timing.slate_after);
        if self.slate {
            self.slate = false;
            actions.push(Action::SlateOff);
        }
    }

    fn failed(
        &mut self,
        failure: &Failure,
        now: Instant,
        candidates: impl FnOnce() -> Vec<Candidate<S>>,
        actions: &mut Vec<Action<S>>,
    ) {
        let (stream, again) = match self.phase {
            Phase::Live { stream, since } => {
                let healthy = now.saturating_duration_since(since) >= self.timing.healthy_after;
                if healthy {
                    self.forget_failures();
                }
                (stream, healthy && failure.class == FailureClass::Transient)
            }
            Phase::Opening { stream } => (stream, false),
            Phase::New | Phase::Resting { .. } => return,
        };
        if self.viewers == 0 {
            self.finish(actions);
            return;
        }
        let lately = |&(renewed, at): &(S, Instant)| {
            renewed == stream && now.saturating_duration_since(at) < RENEWED_EVERY
        };
        if again && !self.renewed.as_ref().is_some_and(lately) {
            // Providers cut and renew: what had been healthy is asked once more before the next one.
            self.renewed = Some((stream, now));
            self.open(stream, actions);
            return;
        }
        self.hopeless &= !matches!(
            failure.class,
            FailureClass::Transient | FailureClass::NoSlot | FailureClass::Revoked
        );
        self.tried.push(stream);
        // Cut again and again, or never quite keeping up: the others go first, if there are any.
        match self.untried(candidates).or(again.then_some(stream)) {
            Some(next) => self.open(next, actions),
            None => self.rest(now, actions),
        }
    }

    fn tick(
        &mut self,
        now: Instant,
        candidates: impl FnOnce() -> Vec<Candidate<S>>,
        actions: &mut Vec<Action<S>>,
    ) {
        if self.linger_until.is_some_and(|until| until <= now) && self.viewers == 0 {
            self.finish(actions);
            return;
        }
        if self.slate_due().is_some_and(|at| at <= now) {
            self.slate = true;
            actions.push(Action::SlateOn);
        }
        if matches!(self.phase, Phase::Resting { until } if until <= now) && self.viewers > 0 {
            self.choose(now, candidates, actions);
        }
    }

    /// When the slate goes on. Never while a stream delivers: the two would be mixed packet by packet, and a stream
    /// that has fallen silent ends first.
    fn slate_due(&self) -> Option<Instant> {
        self.slate_at.filter(|_| !self.slate && !self.is_live())
    }

    fn choose(
        &mut self,
        now: Instant,
        candidates: impl FnOnce() -> Vec<Candidate<S>>,
        actions: &mut Vec<Action<S>>,
    ) {
        match self.untried(candidates) {
            Some(next) => self.open(next, actions),
            None => self.rest(now, actions),
        }
    }

    fn open(&mut self, stream: S, actions: &mut Vec<Action<S>>) {
        self.phase = Phase::Opening { stream };
        actions.push(Action::Open(stream));
    }

    fn untried(&self, candidates: impl FnOnce() -> Vec<Candidate<S>>) -> Option<S> {
        let candidates = candidates();
        let untried = |candidate: &&Candidate<S>| !self.tried.contains(&candidate.stream);
        // What rests is tried when nothing else is left: half-open, one attempt a round.
        let next = candidates
            .iter()
            .filter(untried)
            .find(|candidate| !candidate.cooling)
            .or_else(|| candidates.iter().find(untried));
        next.map(|candidate| candidate.stream)
    }

    fn rest(&mut self, now: Instant, actions: &mut Vec<Action<S>>) {
        let cap = if self.hopeless {
            self.timing.backoff_max_hopeless
        } else {
            self.timing.backoff_max
        };
        let wait = self
            .timing
            .backoff_min
            .saturating_mul(1 << self.rounds_failed.min(16))
            .min(cap);
        let wait = self.jitter.spread(wait);
        self.rounds_failed = self.rounds_failed.saturating_add(1);
        self.tried.clear();
        self.hopeless = true;
        self.phase = Phase::Resting { until: now + wait };
        actions.push(Action::Close);
        // Who has seen a picture is better served by a short stop than by a flash of slate; who has seen nothing yet
        // gets the slate now, as the answer to the request.
        if !self.slate && self.last_live.is_none() {
            self.slate = true;
            actions.push(Action::SlateOn);
        }
    }

    fn finish(&mut self, actions: &mut Vec<Action<S>>) {
        self.phase = Phase::New;
        self.slate_at = None;
        self.linger_until = None;
        if self.slate {
            self.slate = false;
            actions.push(Action::SlateOff);
        }
        actions.push(Action::Close);
        actions.push(Action::Finish);
    }

    fn forget_failures(&mut self) {
        self.tried.clear();
        self.rounds_failed = 0;
        self.hopeless = true;
    }
}

/// A small generator (xorshift64) for the spread of retries; nothing secret depends on it.
#[derive(Debug)]
struct Jitter(u64);

impl Jitter {
    /// Between 75 % and 125 % of `wait`, so that many broadcasts of one dead provider do not return in step.
    fn spread(&mut self, wait: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let percent = u32::try_from(75 + self.0 % 51).unwrap_or(100);
        wait * percent / 100
    }
}
