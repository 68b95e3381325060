//! Runs one broadcast: one task that owns its state. It waits for an event, applies it, and restores the invariants.
//!
//! What to do next is decided in [`crate::broadcast`]; here are the waiting, the bytes, and nothing else.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mpegts::Splicer;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::coop::consume_budget;
use tokio::time::sleep_until;
use tracing::{debug, info, warn};

use crate::audition::Audition;
use crate::broadcast::{Action, Broadcast, Event};
use crate::pace::Pace;
use crate::ring::{Bounds, Chunk, Ring};
use crate::viewer::{News, Over, Shared};
use crate::{BroadcastStatus, Claim, Failure, FailureClass, Input, Opener, Timing, Upstream, Viewer};

/// How long a stream that is behind may take to show that it only waits to be read: after a pause of the machine, what
/// came meanwhile is still in the socket, and the first look at the clock says nothing about the source.
const CATCH_UP_WITHIN: Duration = Duration::from_millis(300);

/// How far the slate is written ahead of the wall clock: enough for a player to play on, little enough for a source
/// that returns to be seen at once.
const SLATE_AHEAD: Duration = Duration::from_millis(1_000);

/// Bytes of the slate fed at a time: a still picture costs next to nothing, and many of them would be a second.
const SLATE_STEP_BYTES: usize = 4 * mpegts::PACKET_BYTES;

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

type Opening<U> = Pin<Box<dyn Future<Output = Result<U, Failure>> + Send>>;

enum Connection<U> {
    None,
    Opening(Opening<U>),
    Auditioning(Box<Audition<U>>),
    Live(U),
}

enum Wake<U> {
    Command(Option<Command>),
    Opened(Result<U, Failure>),
    Read(Result<Input, Failure>),
    Tick,
}

struct Slate {
    clip: Bytes,
    at: usize,
}

pub(crate) struct Driver<O: Opener> {
    key: O::Key,
    opener: Arc<O>,
    timing: Timing,
    decisions: Broadcast<O::StreamId>,
    connection: Connection<O::Upstream>,
    attempt_until: Option<Instant>,
    /// When the stream that delivers was first seen to be too far behind, and has been since.
    behind_since: Option<Instant>,
    splicer: Splicer,
    pace: Option<Pace>,
    slate: Option<Slate>,
    shared: Arc<Shared>,
    news: watch::Sender<News>,
    viewers: BTreeMap<u64, Claim>,
    viewers_seen: u64,
    leave: mpsc::WeakUnboundedSender<Command>,
    /// Declared behind `connection`, as a panic drops them in this order: the hub starts a successor when this is gone,
    /// and the old socket must be closed by then.
    commands: mpsc::UnboundedReceiver<Command>,
    status: watch::Sender<BroadcastStatus>,
    status_at: Instant,
    label: Option<Arc<str>>,
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
            connection: Connection::None,
            attempt_until: None,
            behind_since: None,
            splicer: Splicer::new(),
            pace: None,
            slate: None,
            shared: Arc::new(Shared::new(ring, timing.keep_alive_after)),
            news: watch::Sender::new(News::default()),
            viewers: BTreeMap::new(),
            viewers_seen: 0,
            leave,
            commands,
            status,
            status_at: now(),
            label: None,
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
        while !self.finished {
            // An upstream that always has something (a clip, a flood) must not keep its worker from everybody else.
            consume_budget().await;
            let wake = self.wait().await;
            self.apply(wake);
            self.publish_status();
        }
        // Joins that came in meanwhile are answered by dropping their reply: the caller asks the hub again.
        self.commands.close();
    }

    async fn wait(&mut self) -> Wake<O::Upstream> {
        let reading = self.may_read();
        let deadline = self.deadline();
        let connection = &mut self.connection;
        let io = async {
            match connection {
                Connection::Opening(opening) => Wake::Opened(opening.as_mut().await),
                Connection::Auditioning(audition) => Wake::Read(audition.upstream().read().await),
                Connection::Live(upstream) if reading => Wake::Read(upstream.read().await),
                Connection::Live(_) | Connection::None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            command = self.commands.recv() => Wake::Command(command),
            wake = io => wake,
            () = sleep_until(deadline.into()) => Wake::Tick,
        }
    }

    fn may_read(&self) -> bool {
        self.pace
            .as_ref()
            .is_none_or(|pace| pace.ahead(now()) <= self.timing.ahead_max)
    }

    fn deadline(&self) -> Instant {
        let mut deadline = self.status_at + STATUS_EVERY;
        let mut sooner = |instant: Option<Instant>| {
            if let Some(instant) = instant {
                deadline = deadline.min(instant);
            }
        };
        sooner(self.decisions.deadline());
        sooner(self.attempt_until);
        if let Some(pace) = &self.pace {
            match self.connection {
                Connection::Live(_) if pace.ahead(now()) > self.timing.ahead_max => {
                    sooner(Some(pace.ahead_until(self.timing.ahead_max)));
                }
                Connection::Live(_) => {
                    let stalls = pace.behind_at(self.timing.stall_behind);
                    let proven = self.behind_since.map(|since| since + CATCH_UP_WITHIN);
                    sooner(Some(proven.unwrap_or(stalls)));
                }
                _ => {}
            }
            if self.slate.is_some() {
                sooner(Some(pace.ahead_until(SLATE_AHEAD * 3 / 4)));
            }
        }
        deadline
    }

    fn apply(&mut self, wake: Wake<O::Upstream>) {
        match wake {
            Wake::Command(None) => self.finished = true,
            Wake::Command(Some(Command::Join { claim, reply })) => self.join(claim, reply),
            Wake::Command(Some(Command::Leave(id))) => self.leave(id),
            Wake::Opened(Ok(upstream)) => self.opened(upstream),
            Wake::Opened(Err(failure)) | Wake::Read(Err(failure)) => self.fail(&failure),
            Wake::Read(Ok(input)) => self.read(&input),
            Wake::Tick => {}
        }
        self.watch_clock();
        self.feed_slate();
        self.end_if_hopeless();
    }

    fn join(&mut self, claim: Claim, reply: oneshot::Sender<Viewer>) {
        let Some(leave) = self.leave.upgrade() else { return };
        self.viewers_seen += 1;
        let id = self.viewers_seen;
        let viewer = Viewer::new(id, Arc::clone(&self.shared), self.news.subscribe(), &claim, leave);
        debug!(
            client = claim.client,
            viewers = self.viewers.len() + 1,
            "viewer joins"
        );
        self.viewers.insert(id, claim);
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

    fn opened(&mut self, upstream: O::Upstream) {
        debug!(source = self.label(), "opened; waiting for a keyframe");
        self.attempt_until = Some(now() + self.timing.open_within);
        self.connection = Connection::Auditioning(Box::new(Audition::new(upstream, now())));
    }

    fn read(&mut self, input: &Input) {
        if let Input::Bytes(bytes) = input {
            self.bytes_in += bytes.len() as u64;
        }
        match &mut self.connection {
            Connection::Auditioning(audition) => {
                if audition.take(input) {
                    self.enter();
                    if let Input::Restart = input {
                        feed(&mut self.splicer, input);
                        self.drain();
                    }
                } else if let Some(failure) = audition.hopeless() {
                    self.fail(&failure);
                } else {
                    let patience = audition.patience(now(), self.timing.stall_behind);
                    self.attempt_until = self.attempt_until.max(patience);
                }
            }
            Connection::Live(_) => {
                feed(&mut self.splicer, input);
                if self.drain() {
                    self.attempt_until = None;
                }
            }
            Connection::None | Connection::Opening(_) => {}
        }
    }

    /// The new stream has a keyframe: what viewers saw until now ends at its last whole picture, and it takes over.
    fn enter(&mut self) {
        let Connection::Auditioning(audition) = std::mem::replace(&mut self.connection, Connection::None)
        else {
            return;
        };
        if let Some(stream) = self.decisions.stream() {
            self.opener.delivers(stream);
        }
        self.decide(&Event::Entered);
        info!(source = self.label(), viewers = self.viewers.len(), "delivers");
        let (mut upstream, waiting) = audition.into_parts();
        upstream.set_watched(!self.viewers.is_empty());
        self.connection = Connection::Live(upstream);
        if let Some(pace) = &mut self.pace {
            pace.resume(now());
        }
        self.splicer.begin_source();
        self.splicer.push(&waiting);
        // A reconnect that replays what viewers saw already shows nothing until it has caught up; it gets the time of
        // an attempt for that, and no more.
        self.attempt_until = (!self.drain()).then(|| now() + self.timing.open_within);
    }

    fn fail(&mut self, failure: &Failure) {
        let healthy = self.decisions.healthy_for(now());
        let was_live = self.decisions.is_live();
        self.attempt_until = None;
        self.connection = Connection::None;
        if failure.class == FailureClass::Revoked {
            debug!(source = self.label(), %failure, "given up");
        } else if was_live {
            warn!(source = self.label(), %failure, after_s = healthy.as_secs(), "the stream broke off; moving on");
        } else {
            info!(source = self.label(), %failure, "could not be opened; moving on");
        }
        self.last_failure = Some(format!("{}: {failure}", self.label()));
        if let Some(stream) = self.decisions.stream() {
            self.opener.ended(stream, failure, healthy);
        }
        // Another stream may be a live one. Those who already have a response of transport packets cannot be given a
        // file at all: it is one more that failed.
        self.is_file |= failure.class == FailureClass::File;
        self.decide(&Event::Failed(failure));
    }

    /// Time alone ends attempts that deliver nothing and streams that fall behind.
    fn watch_clock(&mut self) {
        let now = now();
        if self.attempt_until.is_some_and(|until| until <= now) {
            let text = match self.connection {
                Connection::Auditioning(_) => "connected, but no picture that can be shown came in time",
                _ => "no answer in time",
            };
            self.fail(&Failure::new(FailureClass::Transient, text));
        }
        self.watch_pace(now);
        if self.decisions.deadline().is_some_and(|deadline| deadline <= now) {
            self.decide(&Event::Tick);
        }
    }

    fn watch_pace(&mut self, now: Instant) {
        let behind = match (&self.connection, &self.pace) {
            (Connection::Live(_), Some(pace)) => pace.behind(now),
            _ => Duration::ZERO,
        };
        if behind < self.timing.stall_behind {
            self.behind_since = None;
            return;
        }
        let since = *self.behind_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= CATCH_UP_WITHIN {
            self.behind_since = None;
            let text = format!("{:.1} s behind real time", behind.as_secs_f32());
            self.fail(&Failure::new(FailureClass::Transient, text));
        }
    }

    fn decide(&mut self, event: &Event<'_>) {
        let mut labels = Vec::new();
        let actions = self.decisions.handle(event, now(), || {
            let candidates = self.opener.candidates(&self.key);
            labels = candidates
                .iter()
                .map(|c| (c.stream, Arc::clone(&c.label)))
                .collect();
            candidates
        });
        for action in actions {
            if let Action::Open(stream) = &action
                && let Some((_, label)) = labels.iter().find(|(known, _)| known == stream)
            {
                self.label = Some(Arc::clone(label));
            }
            self.act(&action);
        }
    }

    fn act(&mut self, action: &Action<O::StreamId>) {
        match action {
            Action::Open(stream) => {
                // The old socket is closed before the new one is asked for.
                self.connection = Connection::None;
                debug!(source = self.label(), "opening");
                self.attempt_until = Some(now() + self.timing.open_within);
                self.connection = Connection::Opening(Box::pin(self.opener.open(&self.key, *stream)));
            }
            Action::Close => {
                self.connection = Connection::None;
                self.attempt_until = None;
                self.label = None;
            }
            Action::SlateOn => self.start_slate(),
            Action::SlateOff => self.slate = None,
            Action::Watched(watched) => {
                if let Connection::Live(upstream) = &mut self.connection {
                    upstream.set_watched(*watched);
                }
            }
            Action::Finish => self.finished = true,
        }
    }

    fn start_slate(&mut self) {
        // What was begun as a transport stream goes on as one; only a response that has not begun can become a file.
        if self.is_file && self.pace.is_none() {
            self.end(Over::File);
            return;
        }
        let Some(clip) = self.opener.slate(&self.key).filter(|clip| !clip.is_empty()) else {
            return;
        };
        warn!(
            viewers = self.viewers.len(),
            "no source delivers; showing the slate and trying on"
        );
        self.slate = Some(Slate { clip, at: 0 });
    }

    /// Without a slate, viewers wait as long as a stream is being opened; when none is left to try, it is over.
    fn end_if_hopeless(&mut self) {
        let waiting = self.slate.is_some() || self.decisions.stream().is_some();
        if self.decisions.slate() && !waiting && !self.finished {
            let failure = Failure::new(FailureClass::Transient, "no source of this channel answers");
            self.end(Over::Unavailable(failure));
        }
    }

    /// Writes the slate in real time, a little ahead of the clock, on the channel's own timeline.
    fn feed_slate(&mut self) {
        let now = now();
        let mut fruitless = 0;
        while let Some(slate) = &mut self.slate {
            if self
                .pace
                .as_ref()
                .is_some_and(|pace| pace.ahead(now) >= SLATE_AHEAD)
            {
                return;
            }
            if slate.at == 0 {
                self.splicer.begin_source();
                if let Some(pace) = &mut self.pace {
                    pace.resume(now);
                }
            }
            let end = (slate.at + SLATE_STEP_BYTES).min(slate.clip.len());
            self.splicer
                .push(slate.clip.get(slate.at..end).unwrap_or_default());
            fruitless += end - slate.at;
            slate.at = end;
            if slate.at == slate.clip.len() {
                self.splicer.end_source();
                slate.at = 0;
            }
            let twice = slate.clip.len() * 2;
            if self.drain() {
                fruitless = 0;
            } else if fruitless > twice {
                let failure = Failure::new(FailureClass::Unusable, "the slate clip cannot be shown");
                self.end(Over::Unavailable(failure));
            }
        }
    }

    /// Moves what the splicer has ready into the ring; says whether there was anything.
    fn drain(&mut self) -> bool {
        let now = now();
        let mut any = false;
        while let Some(piece) = self.splicer.take() {
            any = true;
            let media_time_90k = u64::try_from(piece.media_time.as_90k()).unwrap_or_default();
            let pace = self.pace.get_or_insert_with(|| Pace::start(now, media_time_90k));
            pace.progress(now, media_time_90k);
            let ahead = pace.ahead(now);
            let chunk = Chunk {
                bytes: piece.bytes,
                media_time_90k,
                epoch: piece.epoch,
                keyframe: piece.keyframe,
            };
            self.shared.ring().push(chunk, ahead);
        }
        if any {
            let end = self.shared.ring().end();
            self.news.send_modify(|news| news.end = end);
            if let Some(pace) = &self.pace {
                self.decisions.media_lasts_until(now + pace.ahead(now));
            }
        }
        any
    }

    fn end(&mut self, over: Over) {
        self.connection = Connection::None;
        self.slate = None;
        self.news.send_modify(|news| news.over = Some(over));
        self.finished = true;
    }

    fn label(&self) -> &str {
        self.label.as_deref().unwrap_or("none")
    }

    fn publish_status(&mut self) {
        let due = self.status_at + STATUS_EVERY <= now();
        if due {
            self.status_at = now();
        }
        self.status.send_if_modified(|status| {
            let changed = status.viewers.len() != self.viewers.len()
                || status.label != self.label
                || status.live != self.decisions.is_live()
                || status.slate != self.decisions.slate();
            if !changed && !due {
                return false;
            }
            *status = BroadcastStatus {
                viewers: self.viewers.values().cloned().collect(),
                label: self.label.clone(),
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
