//! Runs one broadcast: one task that owns its state. It waits for an event, applies it, and restores the invariants.
//!
//! What to do next is decided in [`crate::broadcast`]; here are the waiting, the bytes, and nothing else.

mod slate;

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mpegts::Splicer;
use mpegts::radio::raw_sound;
use mpegts::slate::Slate;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;
use tokio::time::{Sleep, sleep_until};
use tracing::{debug, info, warn};

use crate::attempt::{Attempt, Progress};
use crate::broadcast::{Action, Broadcast, Event};
use crate::lag::Finding;
use crate::live::Live;
use crate::pace::Pace;
use crate::ring::{Bounds, Chunk, Ring};
use crate::viewer::{Bell, Over, Shared};
use crate::{BroadcastStatus, Claim, Failure, FailureClass, Input, Opener, Role, Timing, Upstream, Viewer};

/// Bytes taken from a stream in one turn: a second at 4 Mbit/s. One that always has more (a flood, what gathered in a
/// pause of the machine) gives way to others between turns.
const TURN_BYTES: usize = 512 << 10;

/// What a look counts for at least: one may find a single packet, or that the stream begins again.
const LOOK_BYTES_MIN: usize = mpegts::PACKET_BYTES;

/// How often counters on the status page move.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// What the hub and viewers ask of a broadcast.
#[derive(Debug)]
pub(crate) enum Command {
    Join {
        claim: Claim,
        reply: oneshot::Sender<Viewer>,
    },
    Leave(u64),
}

/// Which of the two connections a broadcast may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// The one that delivers, or is to.
    Main,
    /// The one opened beside it.
    Hedge,
}

enum Wake<U> {
    Command(Option<Command>),
    Opened(Which, Result<U, Failure>),
    Read(Which, Result<Input, Failure>),
    Tick,
}

pub(crate) struct Driver<O: Opener> {
    key: O::Key,
    opener: Arc<O>,
    timing: Timing,
    decisions: Broadcast<O::StreamId>,
    live: Option<Live<O::StreamId, O::Upstream>>,
    attempt: Option<Attempt<O::StreamId, O::Upstream>>,
    hedge: Option<Attempt<O::StreamId, O::Upstream>>,
    splicer: Splicer,
    pace: Option<Pace>,
    slate: Option<Slate>,
    shared: Arc<Shared>,
    bell: Bell,
    viewers: BTreeMap<u64, Arc<Claim>>,
    viewers_seen: u64,
    leave: mpsc::WeakUnboundedSender<Command>,
    /// Declared behind the connections, as a panic drops them in this order: the hub starts a successor when this is
    /// gone, and the old sockets must be closed by then.
    commands: mpsc::UnboundedReceiver<Command>,
    status: watch::Sender<BroadcastStatus>,
    status_at: Instant,
    bytes_in: u64,
    last_failure: Option<String>,
    /// Whether a stream of this channel turned out to be a file.
    is_file: bool,
    finished: bool,
}

impl<O: Opener> Driver<O> {
    pub(crate) fn new(
        key: O::Key,
        opener: Arc<O>,
        timing: Timing,
        seed: u64,
        (leave, commands): (
            mpsc::WeakUnboundedSender<Command>,
            mpsc::UnboundedReceiver<Command>,
        ),
        status: watch::Sender<BroadcastStatus>,
    ) -> Self {
        let ring = Ring::new(Bounds {
            span: timing.ring_span,
            bytes: timing.ring_bytes,
            bytes_max: timing.ring_bytes_max,
            join_behind: timing.join_behind,
        });
        Self {
            decisions: Broadcast::new(timing.clone(), seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
            live: None,
            attempt: None,
            hedge: None,
            splicer: Splicer::new(),
            pace: None,
            slate: None,
            shared: Arc::new(Shared::new(ring)),
            bell: Bell::new(timing.keep_alive_after, now()),
            viewers: BTreeMap::new(),
            viewers_seen: 0,
            leave,
            commands,
            status,
            status_at: now(),
            bytes_in: 0,
            last_failure: None,
            is_file: false,
            finished: false,
            key,
            opener,
            timing,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut timer = pin!(sleep_until(tokio::time::Instant::now()));
        while !self.finished {
            // An upstream that always has something (a clip, a flood) must not keep its worker from everybody else.
            consume_budget().await;
            let wake = self.wait(timer.as_mut()).await;
            let now = now();
            let has_more = self.apply(wake, now);
            self.publish_status(now);
            if has_more {
                yield_now().await;
            }
        }
        // Joins that came in meanwhile are answered by dropping their reply: the caller asks the hub again.
        self.commands.close();
    }

    async fn wait(&mut self, mut timer: Pin<&mut Sleep>) -> Wake<O::Upstream> {
        let now = now();
        let reading = self.may_read(now);
        let deadline = self.deadline(now).into();
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        let main = async {
            match (&mut self.live, &mut self.attempt) {
                (Some(live), _) if reading => Wake::Read(Which::Main, live.read(now).await),
                (None, Some(attempt)) => progress(Which::Main, attempt).await,
                _ => std::future::pending().await,
            }
        };
        let hedge = async {
            match &mut self.hedge {
                Some(hedge) => progress(Which::Hedge, hedge).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            command = self.commands.recv() => Wake::Command(command),
            wake = hedge => wake,
            wake = main => wake,
            () = timer => Wake::Tick,
        }
    }

    fn may_read(&self, now: Instant) -> bool {
        self.pace
            .as_ref()
            .is_none_or(|pace| pace.ahead(now) <= self.timing.ahead_max)
    }

    fn deadline(&self, now: Instant) -> Instant {
        let mut deadline = self.status_at + STATUS_EVERY;
        let mut sooner = |instant: Option<Instant>| {
            if let Some(instant) = instant {
                deadline = deadline.min(instant);
            }
        };
        sooner(self.decisions.deadline());
        sooner(self.bell.deadline());
        sooner(self.attempt.as_ref().map(|attempt| attempt.until));
        sooner(self.hedge.as_ref().map(|hedge| hedge.until));
        sooner(self.live.as_ref().and_then(|live| live.shows_until));
        sooner(self.live.as_ref().and_then(|live| live.read_again_at(now)));
        if let Some(pace) = &self.pace {
            match &self.live {
                Some(_) if pace.ahead(now) > self.timing.ahead_max => {
                    sooner(Some(pace.ahead_until(self.timing.ahead_max)));
                }
                Some(live) => {
                    let bounds = live.bounds(&self.timing, now);
                    sooner(Some(live.looks_at(bounds, now, |behind| pace.behind_at(behind))));
                }
                None => {}
            }
            if self.slate.is_some() {
                sooner(Some(slate::fed_again_at(pace)));
            }
        }
        deadline
    }

    /// Whether there is more to read at once.
    fn apply(&mut self, wake: Wake<O::Upstream>, now: Instant) -> bool {
        match wake {
            Wake::Command(None) => self.finished = true,
            Wake::Command(Some(Command::Join { claim, reply })) => self.join(claim, reply),
            Wake::Command(Some(Command::Leave(id))) => self.leave(id),
            Wake::Opened(which, Ok(upstream)) => self.opened(which, upstream),
            Wake::Opened(which, Err(failure)) | Wake::Read(which, Err(failure)) => self.fail(which, &failure),
            Wake::Read(which, Ok(input)) => self.read(which, &input, now),
            Wake::Tick => {}
        }
        let has_more = self.look_on(now);
        self.watch_clock(now);
        self.feed_slate(now);
        self.end_if_hopeless();
        // Viewers are told when all that is there has been read: what came behind it would be told a beat later.
        if !has_more {
            self.bell.ring(now);
        }
        has_more
    }

    fn join(&mut self, claim: Claim, reply: oneshot::Sender<Viewer>) {
        let Some(leave) = self.leave.upgrade() else { return };
        self.viewers_seen += 1;
        let id = self.viewers_seen;
        let viewer = Viewer::new(id, Arc::clone(&self.shared), &self.bell, &claim, leave);
        debug!(
            client = claim.client,
            viewers = self.viewers.len() + 1,
            "viewer joins"
        );
        self.viewers.insert(id, Arc::new(claim));
        // A caller that gave up drops the viewer, whose end is then reported like any other.
        drop(reply.send(viewer));
        self.decide(&Event::Joined(self.viewers.len()));
    }

    fn leave(&mut self, id: u64) {
        if let Some(claim) = self.viewers.remove(&id) {
            debug!(
                client = claim.client,
                viewers = self.viewers.len(),
                "viewer leaves"
            );
            self.decide(&Event::Left(self.viewers.len()));
        }
    }

    fn attempt(&mut self, which: Which) -> &mut Option<Attempt<O::StreamId, O::Upstream>> {
        match which {
            Which::Main => &mut self.attempt,
            Which::Hedge => &mut self.hedge,
        }
    }

    fn opened(&mut self, which: Which, upstream: O::Upstream) {
        let until = now() + self.timing.open_within;
        if let Some(attempt) = self.attempt(which) {
            debug!(source = &*attempt.label, "opened; waiting for a keyframe");
            attempt.opened(upstream, now(), until);
            if which == Which::Main {
                attempt.take_over();
            }
        }
    }

    fn read(&mut self, which: Which, input: &Input, now: Instant) {
        if let Input::Bytes(bytes) = input {
            self.bytes_in += bytes.len() as u64;
        }
        if which == Which::Main && self.live.is_some() {
            self.read_live(input, now);
        } else {
            self.read_attempt(which, input);
        }
    }

    /// Takes what is there, up to [`TURN_BYTES`]; whether there may be more.
    fn look_on(&mut self, now: Instant) -> bool {
        let mut taken = 0;
        while taken < TURN_BYTES {
            if !self.may_read(now) {
                return false;
            }
            match self.live.as_mut().and_then(|live| live.look_on(now)) {
                Some(Ok(input)) => {
                    taken += bytes(&input).max(LOOK_BYTES_MIN);
                    self.read(Which::Main, &input, now);
                }
                Some(Err(failure)) => {
                    self.fail(Which::Main, &failure);
                    return false;
                }
                None => return false,
            }
        }
        true
    }

    fn read_live(&mut self, input: &Input, now: Instant) {
        feed(&mut self.splicer, input);
        let shows = self.drain(now);
        let bytes = bytes(input);
        let cadence = self.shared.cadence();
        let Some(live) = &mut self.live else { return };
        live.rest(now, cadence, shows);
        if live.becomes_known(now)
            && let Some(signature) = self.splicer.carried()
        {
            self.opener.shows(live.stream, &signature);
        }
        if let Some(failure) = live.judge((bytes, shows), self.splicer.source(), now) {
            self.fail(Which::Main, &failure);
        }
    }

    fn read_attempt(&mut self, which: Which, input: &Input) {
        let stall_behind = self.timing.stall_behind;
        let Some(attempt) = self.attempt(which) else {
            return;
        };
        let stream = attempt.stream;
        let Some(audition) = attempt.audition() else {
            return;
        };
        let understood = audition.understood();
        if audition.take(input) {
            self.enter(which);
            if let Input::Restart = input {
                feed(&mut self.splicer, input);
                self.drain(now());
            }
        } else if let Some(failure) = audition.hopeless() {
            self.fail(which, &failure);
        } else {
            let news = !understood && audition.understood();
            if let Some(patience) = audition.patience(now(), stall_behind) {
                attempt.until = attempt.until.max(patience);
            }
            if news {
                self.decide(&Event::Understood(stream));
            }
        }
    }

    /// The new stream has a keyframe: what viewers saw until now ends at its last whole picture, and it takes over.
    fn enter(&mut self, which: Which) {
        let Some(stream) = self.attempt(which).as_ref().map(|attempt| attempt.stream) else {
            return;
        };
        // Whatever it was beside is closed by this, and a hedge is the main attempt afterwards.
        self.decide(&Event::Entered(stream));
        let entering = self.attempt.take().and_then(Attempt::into_audition);
        let Some((stream, label, audition)) = entering else {
            return;
        };
        self.opener.delivers(stream, audition.signature());
        info!(source = &*label, viewers = self.viewers.len(), "delivers");
        let (mut upstream, waiting) = audition.into_parts();
        upstream.set_watched(!self.viewers.is_empty());
        let alone = self.opener.candidates(&self.key, self.splicer.signature()).len() <= 1;
        let mut live = Live::new((stream, alone), label, upstream, now());
        if let Some(pace) = &mut self.pace {
            pace.resume(now());
        }
        self.splicer.begin_source();
        self.splicer.push(&waiting);
        live.shows_until = (!self.drain(now())).then(|| now() + live.patience(&self.timing));
        self.live = Some(live);
    }

    fn fail(&mut self, which: Which, failure: &Failure) {
        let now = now();
        let live = if which == Which::Main {
            self.live.take()
        } else {
            None
        };
        let (stream, label, healthy) = match live {
            Some(live) => {
                let healthy = now.saturating_duration_since(live.since);
                (live.stream, live.label, Some(healthy))
            }
            None => match self.attempt(which).take() {
                Some(attempt) => (attempt.stream, attempt.label, None),
                None => return,
            },
        };
        match healthy {
            _ if failure.class == FailureClass::Revoked => debug!(source = &*label, %failure, "given up"),
            _ if self.viewers.is_empty() => debug!(source = &*label, %failure, "ended while nobody watched"),
            Some(healthy) => {
                warn!(source = &*label, %failure, after_s = healthy.as_secs(), "the stream broke off; moving on");
            }
            // What all sources have failed with was told when the slate came; now they are tried for as long as it takes.
            None if self.slate.is_some() => debug!(source = &*label, %failure, "still cannot be opened"),
            None => info!(source = &*label, %failure, "could not be opened; moving on"),
        }
        self.last_failure = Some(format!("{label}: {failure}"));
        self.opener.ended(stream, failure, healthy.unwrap_or_default());
        // Another stream may be a live one. Those who already have a response of transport packets cannot be given a
        // file at all: it is one more that failed.
        self.is_file |= failure.class == FailureClass::File;
        self.decide(&Event::Failed(stream, failure));
    }

    /// Time alone ends attempts that deliver nothing and streams that fall behind.
    fn watch_clock(&mut self, now: Instant) {
        for which in [Which::Main, Which::Hedge] {
            let late = self
                .attempt(which)
                .as_ref()
                .filter(|attempt| attempt.until <= now);
            if let Some(failure) = late.map(Attempt::late) {
                self.fail(which, &failure);
            }
        }
        if self
            .live
            .as_ref()
            .is_some_and(|live| live.shows_until.is_some_and(|until| until <= now))
        {
            let text = "connected again, but nothing new came in time";
            self.fail(Which::Main, &Failure::new(FailureClass::Transient, text));
        }
        self.watch_pace(now);
        if self.decisions.deadline().is_some_and(|deadline| deadline <= now) {
            self.decide(&Event::Tick);
        }
    }

    fn watch_pace(&mut self, now: Instant) {
        let (Some(live), Some(pace)) = (&mut self.live, &self.pace) else {
            return;
        };
        let behind = pace.behind(now);
        let bounds = live.bounds(&self.timing, now);
        match live.look(behind, bounds, now) {
            Some(Finding::Stalled) => {
                let text = format!("{:.1} s behind real time", behind.as_secs_f32());
                self.fail(Which::Main, &Failure::new(FailureClass::Transient, text));
            }
            Some(Finding::Suspect) => self.decide(&Event::Suspect),
            Some(Finding::Recovered) => self.decide(&Event::Recovered),
            None => {}
        }
    }

    fn decide(&mut self, event: &Event<'_, O::StreamId>) {
        let mut labels = Vec::new();
        let actions = self.decisions.handle(event, now(), || {
            let candidates = self.opener.candidates(&self.key, self.splicer.signature());
            labels = candidates
                .iter()
                .map(|c| (c.stream, Arc::clone(&c.label)))
                .collect();
            candidates
        });
        let label = |stream: O::StreamId| {
            let known = labels.iter().find(|(known, _)| *known == stream);
            known.map_or_else(|| "unknown".into(), |(_, label)| Arc::clone(label))
        };
        for action in actions {
            match action {
                Action::Open(stream) => self.open(stream, label(stream)),
                Action::Hedge(stream) => self.open_hedge(stream, label(stream)),
                Action::CloseHedge => self.close_hedge(),
                Action::Adopt => self.adopt(),
                Action::Close => {
                    self.live = None;
                    self.attempt = None;
                    self.hedge = None;
                }
                Action::SlateOn(message) => self.start_slate(message),
                Action::SlateOff => self.end_slate(),
                Action::Watched(watched) => {
                    if let Some(live) = &mut self.live {
                        live.upstream.set_watched(watched);
                    }
                }
                Action::Finish => self.finished = true,
            }
        }
    }

    fn open(&mut self, stream: O::StreamId, label: Arc<str>) {
        // The old socket is closed before the new one is asked for.
        self.live = None;
        self.attempt = None;
        debug!(source = &*label, "opening");
        let until = now() + self.timing.open_within;
        let opening = self.opener.open(&self.key, stream, Role::Main);
        self.attempt = Some(Attempt::new(stream, label, until, opening));
    }

    fn open_hedge(&mut self, stream: O::StreamId, label: Arc<str>) {
        info!(
            source = &*label,
            beside = self.label(),
            "opening the next source beside one that may be dying"
        );
        let until = now() + self.timing.open_within;
        let opening = self.opener.open(&self.key, stream, Role::Hedge);
        self.hedge = Some(Attempt::new(stream, label, until, opening));
    }

    /// The connection is closed with it.
    fn close_hedge(&mut self) {
        if let Some(hedge) = self.hedge.take() {
            info!(source = &*hedge.label, "not needed after all; closed");
        }
    }

    /// The hedge goes on alone. What it was beside is closed at once: a source that lost this race has failed its
    /// viewers.
    fn adopt(&mut self) {
        let failure = Failure::new(FailureClass::Transient, "too late; another source was quicker");
        let lost = match (self.live.take(), self.attempt.take()) {
            (Some(live), _) => {
                let healthy = now().saturating_duration_since(live.since);
                Some((live.stream, Arc::clone(&live.label), healthy))
            }
            (None, Some(attempt)) => Some((attempt.stream, Arc::clone(&attempt.label), Duration::ZERO)),
            (None, None) => None,
        };
        if let Some((stream, label, healthy)) = lost {
            warn!(
                source = &*label,
                after_s = healthy.as_secs(),
                "too slow; the source opened beside it takes over"
            );
            self.last_failure = Some(format!("{label}: {failure}"));
            self.opener.ended(stream, &failure, healthy);
        }
        self.attempt = self.hedge.take();
        if let Some(attempt) = &mut self.attempt {
            attempt.take_over();
        }
    }

    /// Moves what the splicer has ready into the ring; says whether there was anything.
    fn drain(&mut self, now: Instant) -> bool {
        let mut any = false;
        let mut gained = Duration::ZERO;
        while let Some(piece) = self.splicer.take() {
            any = true;
            let media_time_90k = u64::try_from(piece.media_time.as_90k()).unwrap_or_default();
            let pace = self.pace.get_or_insert_with(|| Pace::start(now, media_time_90k));
            gained += pace.progress(now, media_time_90k);
            let ahead = pace.ahead(now);
            let chunk = Chunk {
                bytes: piece.bytes,
                media_time_90k,
                epoch: piece.epoch,
                keyframe: piece.keyframe,
                discontinuity: piece.discontinuity,
            };
            self.shared.ring().push(chunk, ahead);
        }
        if any {
            let end = self.shared.ring().end();
            let raw_sound = self.splicer.signature().and_then(raw_sound);
            self.bell.wrote(end, raw_sound, now);
            if let Some(pace) = &self.pace {
                self.decisions.media(gained, now + pace.ahead(now));
            }
        }
        any
    }

    fn end(&mut self, over: Over) {
        if let Over::Unavailable(failure) = &over {
            warn!(
                viewers = self.viewers.len(),
                %failure,
                "nothing can be shown; responses end, and whoever asks again starts anew"
            );
        }
        self.live = None;
        self.attempt = None;
        self.hedge = None;
        self.slate = None;
        self.bell.over(over);
        self.finished = true;
    }

    fn label(&self) -> &str {
        self.shown().map_or("none", |label| label)
    }

    /// The source that delivers or is being opened.
    fn shown(&self) -> Option<&Arc<str>> {
        let live = self.live.as_ref().map(|live| &live.label);
        live.or_else(|| self.attempt.as_ref().map(|attempt| &attempt.label))
    }

    fn publish_status(&mut self, now: Instant) {
        let due = self.status_at + STATUS_EVERY <= now;
        if due {
            self.status_at = now;
        }
        let label = self.shown();
        let hedge = self.hedge.as_ref().map(|hedge| &hedge.label);
        self.status.send_if_modified(|status| {
            let changed = status.viewers.len() != self.viewers.len()
                || (status.label.as_ref(), status.hedge.as_ref()) != (label, hedge)
                || status.live != self.decisions.is_live()
                || status.slate != self.decisions.slate();
            if !changed && !due {
                return false;
            }
            *status = BroadcastStatus {
                viewers: self.viewers.values().cloned().collect(),
                label: label.cloned(),
                hedge: hedge.cloned(),
                live: self.decisions.is_live(),
                slate: self.decisions.slate(),
                failovers: self.decisions.failovers(),
                bytes_in: self.bytes_in,
                ring_bytes: self.shared.ring().bytes(),
                last_failure: self.last_failure.clone(),
            };
            true
        });
    }
}

async fn progress<S, U: Upstream>(which: Which, attempt: &mut Attempt<S, U>) -> Wake<U> {
    match attempt.progress().await {
        Progress::Opened(opened) => Wake::Opened(which, opened),
        Progress::Read(read) => Wake::Read(which, read),
    }
}

fn bytes(input: &Input) -> usize {
    match input {
        Input::Bytes(bytes) => bytes.len(),
        Input::Restart => 0,
    }
}

fn feed(splicer: &mut Splicer, input: &Input) {
    match input {
        Input::Bytes(bytes) => splicer.push(bytes),
        // The source ended where it meant to: without this, a clip's next turn would pass for a replay and be skipped.
        Input::Restart => {
            splicer.end_source();
            splicer.begin_source();
        }
    }
}

/// The clock of the runtime, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
