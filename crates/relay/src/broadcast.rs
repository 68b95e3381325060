//! What a broadcast does next: which stream is opened when, when the next is opened beside it, when the slate is on,
//! when it all ends.
//!
//! Pure: events and the time go in, actions come out. The sockets, the clock and the bytes are the driver's. A
//! simulation can run it in virtual time.

use std::hash::Hash;
use std::time::{Duration, Instant};

use mpegts::slate::Message;

use crate::{Candidate, Failure, FailureClass, Timing};

/// A stream that had been healthy is asked once more at its end, but so often at most: what is cut every half minute,
/// or delivers a little less than real time, gives way to the next one.
const RENEWED_EVERY: Duration = Duration::from_secs(60);

/// How often a stream to open beside a suspect one is looked for while there is none: a connection may come free.
const HEDGE_AGAIN: Duration = Duration::from_millis(500);

/// What happened.
#[derive(Debug)]
pub enum Event<'a, S> {
    /// A viewer came; so many watch now.
    Joined(usize),
    /// A viewer left; so many watch now.
    Left(usize),
    /// What this stream sends can be read: its programme is known, and its first keyframe will come.
    Understood(S),
    /// This stream, opened in earnest or as a hedge, delivers: its media enters now.
    Entered(S),
    /// This stream could not be opened, or the one that delivers ended.
    Failed(S, &'a Failure),
    /// The stream that delivers has fallen so far behind that it may be dying.
    Suspect,
    /// It has caught up.
    Recovered,
    /// The clock reached [`Broadcast::deadline`].
    Tick,
}

/// What the driver is to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action<S> {
    /// Open this stream. Whatever was open before is closed first.
    Open(S),
    /// Open this stream beside what is open or being opened: a hedge.
    Hedge(S),
    /// Close the hedge; what it was opened beside goes on.
    CloseHedge,
    /// The hedge takes the place of what it was opened beside, which is closed now if it was not yet.
    Adopt,
    /// Close whatever is open or being opened.
    Close,
    /// Show the slate, with this message, until [`Action::SlateOff`]. Another message may follow.
    SlateOn(Message),
    /// The slate ends: a stream's media enters.
    SlateOff,
    /// Whether anybody watches has changed.
    Watched(bool),
    /// Nobody watches, nothing is open: the broadcast is over.
    Finish,
}

/// A stream and the login its connection counts at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line<S> {
    stream: S,
    login: u64,
}

impl<S: Copy> Line<S> {
    fn of(candidate: &Candidate<S>) -> Self {
        Self {
            stream: candidate.stream,
            login: candidate.login,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase<S> {
    /// Nothing was tried yet.
    New,
    /// A stream is being opened.
    Opening { line: Line<S> },
    /// A stream delivers since then.
    Live { line: Line<S>, since: Instant },
    /// Everything failed; the next round starts then.
    Resting { until: Instant },
}

/// A stream opened beside a suspect one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hedge<S> {
    line: Line<S>,
    understood: bool,
    opened: Instant,
}

/// The state of one broadcast's decisions.
#[derive(Debug)]
pub struct Broadcast<S> {
    timing: Timing,
    phase: Phase<S>,
    hedge: Option<Hedge<S>>,
    /// When the next stream is to be opened beside the present one, which has kept viewers waiting until then.
    hedge_at: Option<Instant>,
    viewers: usize,
    linger_until: Option<Instant>,
    slate: Option<Message>,
    /// When viewers have had nothing new for long enough to be shown the slate.
    slate_at: Option<Instant>,
    /// Streams that failed in this round.
    tried: Vec<S>,
    rounds_failed: u32,
    round: Round,
    /// What the last whole round amounted to.
    message: Message,
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
            hedge: None,
            hedge_at: None,
            viewers: 0,
            linger_until: None,
            slate: None,
            slate_at: None,
            tried: Vec::new(),
            rounds_failed: 0,
            round: Round::default(),
            message: Message::Offline,
            failovers: 0,
            last_live: None,
            renewed: None,
            jitter: Jitter(seed | 1),
        }
    }

    /// Takes in what happened at `now`. `candidates` is asked only when a stream must be chosen.
    pub fn handle(
        &mut self,
        event: &Event<'_, S>,
        now: Instant,
        candidates: impl FnOnce() -> Vec<Candidate<S>>,
    ) -> Vec<Action<S>> {
        let mut actions = Vec::new();
        match event {
            Event::Joined(viewers) => self.joined(*viewers, now, candidates, &mut actions),
            Event::Left(viewers) => self.left(*viewers, now, &mut actions),
            Event::Understood(stream) => self.understood(*stream),
            Event::Entered(stream) => self.entered(*stream, now, &mut actions),
            Event::Failed(stream, failure) => self.failed(*stream, failure, now, candidates, &mut actions),
            Event::Suspect => self.suspect(now, candidates, &mut actions),
            Event::Recovered => self.recovered(&mut actions),
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
        [self.linger_until, self.slate_due(), self.hedge_due(), resting]
            .into_iter()
            .flatten()
            .min()
    }

    /// Tells that so much media came, and when all that was delivered is used up in the viewer's time: from then on there
    /// is silence.
    ///
    /// Each second of media makes up for a second of silence before it, and no more: a stream that shows one picture
    /// every few seconds does not keep the slate away for ever.
    pub fn media(&mut self, gained: Duration, lasts_until: Instant) {
        if self.is_live() {
            let latest = lasts_until + self.timing.slate_after;
            self.slate_at = Some(self.slate_at.map_or(latest, |at| latest.min(at + 2 * gained)));
        }
    }

    /// The stream that delivers or is being opened; not the one opened beside it.
    #[must_use]
    pub fn stream(&self) -> Option<S> {
        self.line().map(|line| line.stream)
    }

    /// The stream opened beside it.
    #[must_use]
    pub fn hedge(&self) -> Option<S> {
        self.hedge.map(|hedge| hedge.line.stream)
    }

    /// Whether a stream's media is what viewers see.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live { .. })
    }

    /// The slate that is on.
    #[must_use]
    pub fn slate(&self) -> Option<Message> {
        self.slate
    }

    /// How often another stream took over from one that had delivered.
    #[must_use]
    pub fn failovers(&self) -> u64 {
        self.failovers
    }

    fn line(&self) -> Option<Line<S>> {
        match self.phase {
            Phase::Opening { line } | Phase::Live { line, .. } => Some(line),
            Phase::New | Phase::Resting { .. } => None,
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
            // A second connection for nobody is one too many. Whoever comes back while the first is in doubt gets it anew.
            if self.hedge.take().is_some() {
                actions.push(Action::CloseHedge);
                self.hedge_at = Some(now);
            }
        } else {
            // Nothing delivers: there is nothing worth a provider's connection, or a slate's work.
            self.finish(actions);
        }
    }

    fn understood(&mut self, stream: S) {
        match &mut self.hedge {
            Some(hedge) if hedge.line.stream == stream => hedge.understood = true,
            // Its keyframe is a matter of its group of pictures now.
            _ if matches!(self.phase, Phase::Opening { line } if line.stream == stream) => {
                self.hedge_at = None;
            }
            _ => {}
        }
    }

    fn entered(&mut self, stream: S, now: Instant, actions: &mut Vec<Action<S>>) {
        let line = match (self.phase, self.hedge) {
            (Phase::Opening { line }, _) if line.stream == stream => {
                self.close_hedge(actions);
                line
            }
            (Phase::Opening { line: loser } | Phase::Live { line: loser, .. }, Some(hedge))
                if hedge.line.stream == stream =>
            {
                // Should the winner die young, the loser is not the next one.
                self.tried.push(loser.stream);
                self.hedge = None;
                actions.push(Action::Adopt);
                hedge.line
            }
            _ => return,
        };
        if self.last_live.is_some_and(|last| last != stream) {
            self.failovers += 1;
        }
        self.last_live = Some(stream);
        self.hedge_at = None;
        self.phase = Phase::Live { line, since: now };
        if self.slate.take().is_some() {
            self.slate_at = Some(now + self.timing.slate_after);
            actions.push(Action::SlateOff);
        }
    }

    fn failed(
        &mut self,
        stream: S,
        failure: &Failure,
        now: Instant,
        candidates: impl FnOnce() -> Vec<Candidate<S>>,
        actions: &mut Vec<Action<S>>,
    ) {
        if self.hedge.is_some_and(|hedge| hedge.line.stream == stream) {
            self.hedge_failed(stream, failure, now, candidates, actions);
            return;
        }
        let again = match self.phase {
            Phase::Live { line, since } if line.stream == stream => {
                let healthy = self.has_been_healthy(since, now);
                if healthy {
                    self.forget_failures();
                }
                healthy && failure.class == FailureClass::Transient
            }
            Phase::Opening { line } if line.stream == stream => false,
            _ => return,
        };
        if self.viewers == 0 {
            self.finish(actions);
            return;
        }
        self.hedge_at = None;
        if let Some(hedge) = self.hedge.take() {
            // The next one is on its way already.
            self.note(stream, failure);
            actions.push(Action::Adopt);
            self.phase = Phase::Opening { line: hedge.line };
            self.hedge_at = (!hedge.understood).then(|| (hedge.opened + self.timing.hedge_after).max(now));
            return;
        }
        let lately = |&(renewed, at): &(S, Instant)| {
            renewed == stream && now.saturating_duration_since(at) < RENEWED_EVERY
        };
        let candidates = candidates();
        let same = candidates
            .iter()
            .find(|candidate| candidate.stream == stream)
            .map(Line::of);
        let again = same.filter(|_| again);
        if let Some(line) = again
            && !self.renewed.as_ref().is_some_and(lately)
        {
            // Providers cut and renew: what had been healthy is asked once more before the next one.
            self.renewed = Some((stream, now));
            self.open(line, now, actions);
            return;
        }
        self.note(stream, failure);
        // Cut again and again, or never quite keeping up: the others go first, if there are any.
        match self.untried(&candidates).or(again) {
            Some(next) => self.open(next, now, actions),
            None => self.rest(now, actions),
        }
    }

    fn hedge_failed(
        &mut self,
        stream: S,
        failure: &Failure,
        now: Instant,
        candidates: impl FnOnce() -> Vec<Candidate<S>>,
        actions: &mut Vec<Action<S>>,
    ) {
        self.hedge = None;
        if matches!(failure.class, FailureClass::NoSlot | FailureClass::Revoked) {
            // Its connection was needed elsewhere. That says nothing about the stream.
            self.hedge_at = Some(now + HEDGE_AGAIN);
            return;
        }
        self.note(stream, failure);
        self.open_hedge(now, candidates, actions);
    }

    fn suspect(
        &mut self,
        now: Instant,
        candidates: impl FnOnce() -> Vec<Candidate<S>>,
        actions: &mut Vec<Action<S>>,
    ) {
        let Phase::Live { since, .. } = self.phase else {
            return;
        };
        if self.hedge.is_some() {
            return;
        }
        if self.has_been_healthy(since, now) {
            // What failed before this stream took over, or beside it when it was last in doubt, is no news any more.
            self.forget_failures();
        }
        if self.viewers == 0 {
            self.hedge_at = Some(now);
            return;
        }
        self.open_hedge(now, candidates, actions);
    }

    fn recovered(&mut self, actions: &mut Vec<Action<S>>) {
        if self.is_live() {
            self.close_hedge(actions);
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
            let message = self.round.message().unwrap_or(self.message);
            self.show(message, actions);
        }
        if matches!(self.phase, Phase::Resting { until } if until <= now) && self.viewers > 0 {
            self.choose(now, candidates, actions);
        } else if self.hedge_due().is_some_and(|at| at <= now) {
            self.open_hedge(now, candidates, actions);
        }
    }

    /// When the slate goes on. Never while a stream delivers: the two would be mixed packet by packet, and a stream
    /// that has fallen silent ends first.
    fn slate_due(&self) -> Option<Instant> {
        self.slate_at.filter(|_| self.slate.is_none() && !self.is_live())
    }

    fn hedge_due(&self) -> Option<Instant> {
        self.hedge_at
            .filter(|_| self.hedge.is_none() && self.viewers > 0 && self.line().is_some())
    }

    fn choose(
        &mut self,
        now: Instant,
        candidates: impl FnOnce() -> Vec<Candidate<S>>,
        actions: &mut Vec<Action<S>>,
    ) {
        match self.untried(&candidates()) {
            Some(next) => self.open(next, now, actions),
            None => self.rest(now, actions),
        }
    }

    fn open(&mut self, line: Line<S>, now: Instant, actions: &mut Vec<Action<S>>) {
        self.phase = Phase::Opening { line };
        self.hedge_at = Some(now + self.timing.hedge_after);
        actions.push(Action::Open(line.stream));
    }

    /// Opens the next stream beside the present one: at another login, where a connection is idle, as a provider counts
    /// two connections of one login whatever they are for.
    fn open_hedge(
        &mut self,
        now: Instant,
        candidates: impl FnOnce() -> Vec<Candidate<S>>,
        actions: &mut Vec<Action<S>>,
    ) {
        let Some(present) = self.line() else { return };
        let candidates = candidates();
        let spare = candidates.iter().find(|candidate| {
            candidate.idle
                && !candidate.cooling
                && candidate.login != present.login
                // A refresh may have moved it to another login.
                && candidate.stream != present.stream
                && !self.tried.contains(&candidate.stream)
        });
        let Some(candidate) = spare else {
            self.hedge_at = Some(now + HEDGE_AGAIN);
            return;
        };
        self.hedge_at = None;
        self.hedge = Some(Hedge {
            line: Line::of(candidate),
            understood: false,
            opened: now,
        });
        actions.push(Action::Hedge(candidate.stream));
    }

    fn close_hedge(&mut self, actions: &mut Vec<Action<S>>) {
        self.hedge_at = None;
        if self.hedge.take().is_some() {
            actions.push(Action::CloseHedge);
        }
    }

    fn untried(&self, candidates: &[Candidate<S>]) -> Option<Line<S>> {
        let untried = |candidate: &&Candidate<S>| !self.tried.contains(&candidate.stream);
        // What rests is tried when nothing else is left: half-open, one attempt a round.
        let next = candidates
            .iter()
            .filter(untried)
            .find(|candidate| !candidate.cooling)
            .or_else(|| candidates.iter().find(untried));
        next.map(Line::of)
    }

    /// A stream is done with for this round.
    fn note(&mut self, stream: S, failure: &Failure) {
        self.round.note(failure.class);
        self.tried.push(stream);
    }

    fn rest(&mut self, now: Instant, actions: &mut Vec<Action<S>>) {
        let cap = if self.round.hopeless() {
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
        self.message = self.round.message().unwrap_or(self.message);
        self.tried.clear();
        self.round = Round::default();
        self.hedge_at = None;
        self.phase = Phase::Resting { until: now + wait };
        actions.push(Action::Close);
        // Who has seen a picture is better served by a short stop than by a flash of slate; who has seen nothing yet
        // gets the slate now, as the answer to the request. What it says may have changed since the last round.
        if self.slate.is_some() || self.last_live.is_none() {
            self.show(self.message, actions);
        }
    }

    fn show(&mut self, message: Message, actions: &mut Vec<Action<S>>) {
        if self.slate != Some(message) {
            self.slate = Some(message);
            actions.push(Action::SlateOn(message));
        }
    }

    fn finish(&mut self, actions: &mut Vec<Action<S>>) {
        self.phase = Phase::New;
        self.hedge = None;
        self.hedge_at = None;
        self.slate_at = None;
        self.linger_until = None;
        if self.slate.take().is_some() {
            actions.push(Action::SlateOff);
        }
        actions.push(Action::Close);
        actions.push(Action::Finish);
    }

    fn has_been_healthy(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) >= self.timing.healthy_after
    }

    fn forget_failures(&mut self) {
        self.tried.clear();
        self.rounds_failed = 0;
        self.round = Round::default();
    }
}

/// What the failures of a round amount to.
#[derive(Debug, Clone, Copy, Default)]
struct Round {
    failures: u32,
    /// Those that may pass by themselves.
    passing: u32,
    full: bool,
    expired: bool,
}

impl Round {
    fn note(&mut self, class: FailureClass) {
        self.failures = self.failures.saturating_add(1);
        match class {
            FailureClass::Transient | FailureClass::Revoked => self.passing += 1,
            FailureClass::NoSlot => {
                self.passing += 1;
                self.full = true;
            }
            FailureClass::Limit => self.full = true,
            FailureClass::Expired => self.expired = true,
            FailureClass::Auth
            | FailureClass::Blocked
            | FailureClass::Gone
            | FailureClass::Unusable
            | FailureClass::File => {}
        }
    }

    /// Every failure looked lasting.
    fn hopeless(self) -> bool {
        self.passing == 0
    }

    /// What viewers are told; `None` while nothing has failed. What somebody can do something about goes first.
    fn message(self) -> Option<Message> {
        match self {
            Self { failures: 0, .. } => None,
            Self { full: true, .. } => Some(Message::Limit),
            Self { expired: true, .. } => Some(Message::Expired),
            _ => Some(Message::Offline),
        }
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
