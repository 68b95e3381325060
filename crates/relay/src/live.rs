//! A stream that delivers: when it is read, and what says that it is no good any more.
//!
//! Lives here: its connection, its rests, and its damage. What follows is decided in [`crate::broadcast`], and done by
//! the driver.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use mpegts::SourceReport;

use crate::beat::{GATHERED_FOR, turn_after};
use crate::lag::{Finding, Lag, LagBounds};
use crate::{Failure, FailureClass, Input, Timing, Upstream};

/// A source whose packet grid is lost so often within [`DAMAGE_WITHIN`] shows broken pictures for ever.
const SYNC_LOSSES_MAX: u64 = 20;

/// Bytes a stream that delivers may send without anything to show: a panel replays up to 20 s on a reconnect, at
/// 25 Mbit/s at most.
const FRUITLESS_BYTES_MAX: usize = 64 << 20;

/// How often a source may begin again with the pictures of the last minute: once may be an encoder's mishap; a panel
/// that shows a clip ("no connection left", "off air") does it for ever.
const REPEATS_MAX: u64 = 2;

/// The stretch over which damage is counted.
const DAMAGE_WITHIN: Duration = Duration::from_secs(10);

/// After so long a stream that delivers has shown all that its programme has: sounds may come a little after the pictures.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);

/// A stream that delivers is read so often where it has no more at once: the time of a picture, and a part of what
/// bytes are gathered for. What comes meanwhile is one turn of the splice and one wake of its viewers.
const READ_EVERY: Duration = Duration::from_millis(40);

/// How often a stream that delivers is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cadence {
    /// Somebody lives on what comes.
    Prompt,
    /// All who watch can wait until bytes have gathered: they are read when they are told of.
    Gathered,
}

impl Cadence {
    fn every(self) -> Duration {
        match self {
            Self::Prompt => READ_EVERY,
            Self::Gathered => GATHERED_FOR,
        }
    }
}

/// A stream whose media is what viewers see.
pub(crate) struct Live<S, U> {
    pub(crate) stream: S,
    pub(crate) label: Arc<str>,
    pub(crate) upstream: U,
    pub(crate) since: Instant,
    /// The channel has no other stream.
    alone: bool,
    /// A reconnect that replays what viewers saw already shows nothing until it has caught up: until then it must have.
    pub(crate) shows_until: Option<Instant>,
    /// Whether it is looked at on the beat, as nobody is told when something comes.
    is_looked_at: bool,
    /// The last look found nothing more.
    is_drained: bool,
    /// Until then it is left alone where there is nothing to read.
    rests_until: Option<Instant>,
    /// Whether what was read since it rests has something to show.
    has_shown: bool,
    /// Whether it is known what it shows.
    is_known: bool,
    /// Bytes since there was something to show.
    fruitless: usize,
    lag: Lag,
    damage: Damage,
}

impl<S, U: Upstream> Live<S, U> {
    pub(crate) fn new((stream, alone): (S, bool), label: Arc<str>, mut upstream: U, now: Instant) -> Self {
        let is_looked_at = upstream.looks_from_now_on();
        Self {
            stream,
            label,
            upstream,
            since: now,
            alone,
            is_looked_at,
            is_drained: false,
            shows_until: None,
            rests_until: None,
            has_shown: false,
            is_known: false,
            fruitless: 0,
            lag: Lag::default(),
            damage: Damage {
                counted_from: now,
                losses: 0,
            },
        }
    }

    /// It was read, with something to show or without: from now on it rests, if it does not already. What everybody waits
    /// for may be the end of a picture that takes long: without anything to show it rests for a moment only. What sends
    /// in segments needs none: it has them whole.
    pub(crate) fn rest(&mut self, now: Instant, cadence: Cadence, shows: bool) {
        if !self.upstream.burst().is_zero() || self.rests(now) && (self.has_shown || !shows) {
            return;
        }
        let every = if shows { self.every(cadence) } else { READ_EVERY };
        self.rests_until = Some(turn_after(now, every));
        self.has_shown = shows;
    }

    /// One that wakes whoever reads rests for a moment only: meanwhile it does not hear that its connection is needed more
    /// elsewhere, which is what somebody waits for.
    fn every(&self, cadence: Cadence) -> Duration {
        if self.is_looked_at {
            cadence.every()
        } else {
            READ_EVERY
        }
    }

    /// Whether it is to be left alone now, once all that is there has been read.
    fn rests(&self, now: Instant) -> bool {
        self.rest_over(now).is_some()
    }

    /// What is there, or what comes next; while it rests, only what is there. Where it is looked at, what comes next wakes
    /// nobody, but that its connection is taken back does: [`Live::read_again_at`] says when to ask again. Cancel-safe.
    pub(crate) async fn read(&mut self, now: Instant) -> Result<Input, Failure> {
        if self.is_looked_at {
            return match self.take(now) {
                Some(seen) => seen,
                None => Err(self.upstream.taken_back().await),
            };
        }
        let rests = self.rests(now);
        let mut read = pin!(self.upstream.read());
        if rests {
            let at_once = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
            return match at_once {
                Poll::Ready(read) => read,
                Poll::Pending => pending().await,
            };
        }
        read.await
    }

    /// What else is there, now that it was read.
    pub(crate) fn look_on(&mut self, now: Instant) -> Option<Result<Input, Failure>> {
        if self.is_looked_at {
            return self.take(now);
        }
        // It is asked again by whoever waits for more, and tells that one.
        match pin!(self.upstream.read()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => Some(read),
            Poll::Pending => None,
        }
    }

    /// What is there; while it rests, no more than came before.
    fn take(&mut self, now: Instant) -> Option<Result<Input, Failure>> {
        if self.is_drained && self.rests(now) {
            return None;
        }
        let seen = self.upstream.look();
        self.is_drained = seen.is_none();
        if self.is_drained && !self.rests(now) {
            // It is late: looked at again before the next beat.
            self.rests_until = Some(turn_after(now, READ_EVERY));
            self.has_shown = false;
        }
        seen
    }

    /// When it is to be read again if nothing is there now; `None` where it wakes whoever reads. One that had nothing at
    /// its beat is late, and is looked at again before the next.
    pub(crate) fn read_again_at(&self, now: Instant) -> Option<Instant> {
        let looked_at = || self.is_looked_at.then(|| turn_after(now, READ_EVERY));
        self.rest_over(now).or_else(looked_at)
    }

    /// Until when it rests.
    fn rest_over(&self, now: Instant) -> Option<Instant> {
        self.rests_until.filter(|until| *until > now)
    }

    /// Says once that it has had the time to show all that its programme has.
    pub(crate) fn becomes_known(&mut self, now: Instant) -> bool {
        let is_due = !self.is_known && now.saturating_duration_since(self.since) >= SHOWN_WITHIN;
        self.is_known |= is_due;
        is_due
    }

    /// How far behind is how bad for it. One that sends in bursts may be met at the end of one, and nobody knows yet how
    /// long its pauses are; where there is no other stream, patience costs less than asking for the same one again.
    ///
    /// The next segment may be published half a target duration late (RFC 8216 §6.2.1), and be seen another half later
    /// (§6.3.4). So much is no failure of a source that sends in segments, though nothing is left of the one before.
    pub(crate) fn bounds(&self, timing: &Timing, now: Instant) -> LagBounds {
        let young = now.saturating_duration_since(self.since) < timing.healthy_after;
        let burst = self.upstream.burst();
        let stall = if young && self.alone {
            timing.stall_behind.max(timing.open_within)
        } else {
            timing.stall_behind
        };
        LagBounds {
            suspect: timing.suspect_behind.max(burst / 2),
            stall: stall.max(burst),
            longest: timing.open_within.max(burst),
        }
    }

    /// How long one that replays what viewers saw already may take to show something new.
    pub(crate) fn patience(&self, timing: &Timing) -> Duration {
        timing.open_within.max(self.upstream.burst() * 2)
    }

    /// Looks at how far its media is behind the wall clock.
    pub(crate) fn look(&mut self, behind: Duration, bounds: LagBounds, now: Instant) -> Option<Finding> {
        self.lag.look(behind, bounds, now)
    }

    /// When [`Live::look`] has something to say if nothing comes; `behind_at` says when media will be so far behind.
    pub(crate) fn looks_at(
        &self,
        bounds: LagBounds,
        now: Instant,
        behind_at: impl Fn(Duration) -> Instant,
    ) -> Instant {
        self.lag.due(bounds, now, behind_at)
    }

    /// So many bytes came, with something to show or without; `source` is what the splice says of it. Says what is
    /// wrong with the stream, if it is beyond hope.
    pub(crate) fn judge(
        &mut self,
        (bytes, shows): (usize, bool),
        source: &SourceReport,
        now: Instant,
    ) -> Option<Failure> {
        if shows {
            self.shows_until = None;
            self.fruitless = 0;
        } else {
            self.fruitless = self.fruitless.saturating_add(bytes);
        }
        let text = if self.fruitless > FRUITLESS_BYTES_MAX {
            "nothing to show in 64 MiB"
        } else if self.damage.is_lasting(source.sync_losses, now) {
            "the transport stream is damaged again and again"
        } else if source.repeats >= REPEATS_MAX {
            "the provider shows one short clip over and over in place of the channel"
        } else {
            return None;
        };
        Some(Failure::new(FailureClass::Unusable, text))
    }
}

#[derive(Debug)]
struct Damage {
    counted_from: Instant,
    /// Losses when the count began.
    losses: u64,
}

impl Damage {
    fn is_lasting(&mut self, losses: u64, now: Instant) -> bool {
        // Another stretch of the source counts from zero again.
        if losses < self.losses || now.saturating_duration_since(self.counted_from) > DAMAGE_WITHIN {
            self.counted_from = now;
            self.losses = losses;
        }
        losses.saturating_sub(self.losses) > SYNC_LOSSES_MAX
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]
mod tests {
    use super::*;
    use bytes::Bytes;

    /// A source that has something after every so many looks, and wakes nobody.
    struct Looked {
        looks: usize,
        every: usize,
    }

    impl Upstream for Looked {
        async fn read(&mut self) -> Result<Input, Failure> {
            unreachable!("it is looked at")
        }

        fn set_watched(&mut self, _watched: bool) {}

        fn looks_from_now_on(&mut self) -> bool {
            true
        }

        fn look(&mut self) -> Option<Result<Input, Failure>> {
            self.looks += 1;
            let media = || Ok(Input::Bytes(Bytes::from_static(b"media")));
            self.looks.is_multiple_of(self.every).then(media)
        }

        fn take_over(&mut self) {}
    }

    #[test]
    fn what_wakes_nobody_is_looked_at_on_the_beat_whether_it_rests_or_not() {
        let start = Instant::now();
        for (cadence, every) in [(Cadence::Prompt, 40), (Cadence::Gathered, 120)] {
            let upstream = Looked { looks: 0, every: 3 };
            let mut live = Live::new((1, false), "x".into(), upstream, start);
            let mut now = start;
            let mut came = Vec::new();
            while now < start + Duration::from_millis(1_200) {
                let mut cx = Context::from_waker(Waker::noop());
                let read = pin!(live.read(now)).poll(&mut cx).is_ready();
                if read {
                    live.rest(now, cadence, true);
                    came.push(now);
                    continue;
                }
                let next = live.read_again_at(now).unwrap();
                let late = came.last() != Some(&now);
                let within = if late { 40 } else { every };
                assert!(
                    next > now && next <= now + Duration::from_millis(within),
                    "{cadence:?}"
                );
                now = next;
            }
            // Something is there at every third look: after one it is drained, at the beat it is late, 40 ms on it is there.
            let turns = 1_200 / usize::try_from(every.max(80)).unwrap();
            assert!((turns - 1..=turns + 1).contains(&came.len()), "{came:?}");
            assert!(live.upstream.looks <= 3 * (came.len() + 1));
        }
    }

    #[test]
    fn what_is_late_is_looked_at_once_a_turn() {
        let now = Instant::now();
        let never = Looked {
            looks: 0,
            every: 1_000,
        };
        let mut live = Live::new((1, false), "x".into(), never, now);
        let mut cx = Context::from_waker(Waker::noop());
        for turn in 1..=3 {
            let now = now + READ_EVERY * turn;
            assert!(live.look_on(now).is_none());
            assert!(pin!(live.read(now)).poll(&mut cx).is_pending());
            assert_eq!(live.upstream.looks, usize::try_from(turn).unwrap());
            assert_eq!(live.read_again_at(now), Some(turn_after(now, READ_EVERY)));
        }
    }

    #[test]
    fn what_brought_no_whole_picture_at_its_beat_is_looked_at_again_soon() {
        let start = Instant::now();
        for (shows, within) in [(true, 120), (false, 40)] {
            let mut live = Live::new((1, false), "x".into(), Looked { looks: 1, every: 2 }, start);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(pin!(live.read(start)).poll(&mut cx).is_ready());
            live.rest(start, Cadence::Gathered, false);
            live.rest(start, Cadence::Gathered, shows);
            live.rest(start, Cadence::Gathered, false);
            assert!(pin!(live.read(start)).poll(&mut cx).is_pending());
            let every = Duration::from_millis(within);
            assert_eq!(live.read_again_at(start), Some(turn_after(start, every)));
        }
    }

    /// A source that sends so much at once.
    struct InSegments(Duration);

    impl Upstream for InSegments {
        async fn read(&mut self) -> Result<Input, Failure> {
            pending().await
        }

        fn set_watched(&mut self, _watched: bool) {}

        fn burst(&self) -> Duration {
            self.0
        }

        fn take_over(&mut self) {}
    }

    /// A source that has nothing, and whose connection is needed more elsewhere from the second time on that it is asked.
    struct Needed(bool);

    impl Upstream for Needed {
        async fn read(&mut self) -> Result<Input, Failure> {
            unreachable!("it is looked at")
        }

        fn set_watched(&mut self, _watched: bool) {}

        fn looks_from_now_on(&mut self) -> bool {
            true
        }

        async fn taken_back(&mut self) -> Failure {
            poll_fn(|_| {
                if std::mem::replace(&mut self.0, true) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            Failure::new(FailureClass::Revoked, "taken back")
        }

        fn take_over(&mut self) {}
    }

    #[test]
    fn a_source_of_segments_never_rests_and_one_that_flows_does() {
        let now = Instant::now();
        for (burst, rests) in [(0, true), (4, false)] {
            let upstream = InSegments(Duration::from_secs(burst));
            let mut live = Live::new((1, false), "x".into(), upstream, now);
            live.rest(now, Cadence::Prompt, true);
            assert_eq!(live.rests(now), rests);
        }
    }

    #[test]
    fn what_is_looked_at_hears_at_once_that_its_connection_is_needed_while_it_rests_too() {
        let now = Instant::now();
        let mut live = Live::new((1, false), "x".into(), Needed(false), now);
        live.rest(now, Cadence::Gathered, true);
        let mut cx = Context::from_waker(Waker::noop());
        let mut read = pin!(live.read(now));
        assert!(read.as_mut().poll(&mut cx).is_pending());
        assert!(
            matches!(read.poll(&mut cx), Poll::Ready(Err(failure)) if failure.class == FailureClass::Revoked)
        );
    }

    #[test]
    fn a_segment_that_is_due_is_no_stall() {
        let (timing, now) = (Timing::default(), Instant::now());
        let seconds = |bounds: LagBounds| {
            [bounds.suspect, bounds.stall, bounds.longest].map(|bound| bound.as_secs_f64())
        };
        for (burst, expected) in [
            (0, [1.5, 2.5, 8.0]),
            (2, [1.5, 2.5, 8.0]),
            (10, [5.0, 10.0, 10.0]),
        ] {
            let upstream = InSegments(Duration::from_secs(burst));
            let live = Live::new((1, false), "x".into(), upstream, now);
            assert_eq!(seconds(live.bounds(&timing, now)), expected, "{burst}");
        }
    }

    #[test]
    fn damage_counts_within_its_stretch() {
        let start = Instant::now();
        let mut damage = Damage {
            counted_from: start,
            losses: 0,
        };
        assert!(!damage.is_lasting(20, start + Duration::from_secs(5)));
        assert!(
            !damage.is_lasting(21, start + Duration::from_secs(11)),
            "a new stretch"
        );
        assert!(
            !damage.is_lasting(3, start + Duration::from_secs(12)),
            "a new source"
        );
        assert!(damage.is_lasting(24, start + Duration::from_secs(13)));
    }
}
