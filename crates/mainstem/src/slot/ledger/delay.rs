//! How long a provider goes on counting what was closed, learned from its limit answers: for sockets, which it sees
//! close, and for HLS sessions, which it counts from their last request, apart.
//!
//! Nothing is assumed at first. What was learned is waited for from then on, and forgotten slowly: somebody else's use
//! of the login can look the same.

use std::time::{Duration, Instant};

/// A limit answer so soon after a close of our own means that the provider still counts what was closed.
pub const LINGERING_WITHIN: Duration = Duration::from_secs(15);

/// How long to wait at least before a provider that still counts a closed connection is asked again. A switch of
/// channels is late by no more than this.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// The share of the time since the close by which the next wait grows: a long delay is not asked for four times a
/// second.
const ASK_AGAIN_SHARE: u32 = 32;

/// The same while another connection of the login is open, which a provider might cut for the one too many.
const ASK_AGAIN_BESIDE_OTHERS: Duration = Duration::from_secs(1);

/// How long what was learned holds before an eighth of it is forgotten; twice as long after each time it proved right.
const HOLDS_MIN: Duration = Duration::from_secs(60 * 60);

/// The longest that what was learned holds.
const HOLDS_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The share that is forgotten at a time.
const FORGOTTEN_SHARE: u32 = 8;

/// What a provider counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// An open socket, until some time after its close.
    Socket,
    /// An HLS session, until some time after its last request.
    Session,
}

/// A close, of the last one of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Close {
    at: Instant,
    /// From when the provider counts on: the close, or a session's last request.
    from: Instant,
}

/// A close that the provider seems to count still.
#[derive(Debug, Clone, Copy)]
struct Suspicion {
    /// From when it is counted.
    from: Instant,
    /// `None` where something else that was closed may be it.
    what: Option<Counted>,
    /// How long after `from` the login is asked again.
    delay: Duration,
}

/// A delay, and how surely it is known.
#[derive(Debug, Clone, Copy)]
struct Learned {
    delay: Duration,
    at: Instant,
    holds: Duration,
}

impl Learned {
    /// What is not forgotten of it.
    fn by(self, now: Instant) -> Duration {
        let (mut delay, mut left) = (self.delay, now.saturating_duration_since(self.at));
        while left >= self.holds {
            left -= self.holds;
            delay -= delay / FORGOTTEN_SHARE;
            if delay < ASK_AGAIN_AFTER {
                return Duration::ZERO;
            }
        }
        delay
    }
}

/// What is known of one login's provider.
#[derive(Debug, Default)]
pub(super) struct Delays {
    sockets: Option<Learned>,
    sessions: Option<Learned>,
    socket_closed: Option<Close>,
    session_closed: Option<Close>,
    suspicion: Option<Suspicion>,
}

impl Delays {
    /// Notes a close. `last_request`: of an HLS session. `configured`: what the operator says. Returns until when the
    /// provider counts on.
    pub(super) fn closed(
        &mut self,
        last_request: Option<Instant>,
        configured: Duration,
        now: Instant,
    ) -> Instant {
        let close = Close {
            at: now,
            from: last_request.unwrap_or(now),
        };
        let (closed, what) = match last_request {
            Some(_) => (&mut self.session_closed, Counted::Session),
            None => (&mut self.socket_closed, Counted::Socket),
        };
        *closed = Some(close);
        if let Some(suspicion) = &mut self.suspicion {
            suspicion.what = None;
        }
        (now + configured).max(close.from + self.learned(what, now))
    }

    /// The login's connections are used up, says the provider. `None`: no close of our own can be why; else how long to
    /// wait before it is asked again.
    pub(super) fn limit_answer(&mut self, is_other_open: bool, now: Instant) -> Option<Duration> {
        self.suspicion = None;
        let close = self.last_close()?;
        let since = now.saturating_duration_since(close.from);
        let at_least = if is_other_open {
            ASK_AGAIN_BESIDE_OTHERS
        } else {
            ASK_AGAIN_AFTER
        };
        let again_after = at_least.max(since / ASK_AGAIN_SHARE);
        let what = match (self.socket_closed, self.session_closed) {
            (Some(_), None) => Some(Counted::Socket),
            (None, Some(_)) => Some(Counted::Session),
            _ => None,
        };
        self.suspicion = Some(Suspicion {
            from: close.from,
            what,
            delay: since + again_after,
        });
        Some(again_after)
    }

    /// The provider accepted a request made at `asked`. Where it had refused since the last close, that close was why, and
    /// it counted for about so long.
    pub(super) fn accepted(&mut self, asked: Instant, now: Instant) {
        self.expire(now);
        let Some(suspicion) = self.suspicion.take() else {
            return;
        };
        let Some(what) = suspicion.what else { return };
        let delay = asked.saturating_duration_since(suspicion.from);
        let delay = delay.min(LINGERING_WITHIN);
        if delay <= self.learned(what, now) {
            return;
        }
        let known = match what {
            Counted::Socket => &mut self.sockets,
            Counted::Session => &mut self.sessions,
        };
        let holds = known.map_or(HOLDS_MIN, |known| (known.holds * 2).min(HOLDS_MAX));
        *known = Some(Learned {
            delay,
            at: now,
            holds,
        });
    }

    /// The longest time the provider was seen to count what was closed. No longer than [`LINGERING_WITHIN`]: a longer one
    /// is the operator's to say.
    pub(super) fn learned(&self, what: Counted, now: Instant) -> Duration {
        let known = match what {
            Counted::Socket => self.sockets,
            Counted::Session => self.sessions,
        };
        known.map_or(Duration::ZERO, |known| known.by(now))
    }

    /// How long the provider is known, or now seems, to count what was closed.
    pub(super) fn expected(&self, now: Instant) -> Duration {
        let suspected = self.suspicion.map_or(Duration::ZERO, |suspicion| suspicion.delay);
        let learned = self.learned(Counted::Socket, now);
        learned.max(self.learned(Counted::Session, now)).max(suspected)
    }

    /// Whether anything was closed a moment ago. [`Delays::expire`] forgets what is longer ago.
    pub(super) fn last_closed_at(&self) -> Option<Instant> {
        self.last_close().map(|close| close.at)
    }

    /// Forgets what time has ended.
    pub(super) fn expire(&mut self, now: Instant) {
        let is_fresh = |close: &Close| now.saturating_duration_since(close.at) < LINGERING_WITHIN;
        self.socket_closed = self.socket_closed.filter(is_fresh);
        self.session_closed = self.session_closed.filter(is_fresh);
        if self.last_close().is_none() {
            self.suspicion = None;
        }
        for known in [&mut self.sockets, &mut self.sessions] {
            *known = known.filter(|known| !known.by(now).is_zero());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_none() && self.sessions.is_none() && self.last_close().is_none()
    }

    fn last_close(&self) -> Option<Close> {
        let both = [self.socket_closed, self.session_closed];
        both.into_iter().flatten().max_by_key(|close| close.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A session closes, and its provider counts it for so long after its last request, a second before. Returns how long
    /// after that request the next is accepted, and how many it refused.
    fn switch(delays: &mut Delays, counted_for: Duration, now: &mut Instant) -> (Duration, u32) {
        let last_request = *now;
        *now += SECOND;
        *now = delays.closed(Some(last_request), Duration::ZERO, *now).max(*now);
        let mut refused = 0;
        while *now < last_request + counted_for {
            *now += delays.limit_answer(false, *now).unwrap();
            refused += 1;
        }
        delays.accepted(*now, *now);
        (*now - last_request, refused)
    }

    #[test]
    fn a_delay_is_learned_once_and_waited_for_from_the_last_request() {
        let mut delays = Delays::default();
        let mut now = Instant::now();
        for counted_for in [Duration::ZERO, SECOND] {
            assert_eq!(
                switch(&mut delays, counted_for, &mut now),
                (SECOND, 0),
                "nothing is assumed"
            );
        }
        let (first, refused) = switch(&mut delays, 8 * SECOND, &mut now);
        assert!(
            first <= 8 * SECOND + ASK_AGAIN_AFTER && refused <= 28,
            "{refused}"
        );
        assert_eq!(delays.learned(Counted::Session, now), first);
        assert_eq!(delays.learned(Counted::Socket, now), Duration::ZERO);
        for _ in 0..20 {
            now += 20 * SECOND;
            delays.expire(now);
            assert_eq!(switch(&mut delays, 8 * SECOND, &mut now), (first, 0));
        }
    }

    #[test]
    fn a_delay_is_forgotten_slowly_and_more_slowly_where_it_proves_right() {
        let mut delays = Delays::default();
        let mut now = Instant::now();
        switch(&mut delays, 8 * SECOND, &mut now);
        let learned = delays.learned(Counted::Session, now);
        for holds in [HOLDS_MIN, 2 * HOLDS_MIN] {
            now += holds - 60 * SECOND;
            delays.expire(now);
            assert_eq!(switch(&mut delays, 8 * SECOND, &mut now).1, 0);
            now += 60 * SECOND;
            delays.expire(now);
            let refused = switch(&mut delays, 8 * SECOND, &mut now).1;
            assert!((1..=5).contains(&refused), "{refused}");
            let again = delays.learned(Counted::Session, now);
            assert!(again.abs_diff(learned) <= 2 * ASK_AGAIN_AFTER, "{again:?}");
        }
        // A provider that no longer counts on is not waited for for ever.
        for _ in 0..40 {
            now += HOLDS_MAX;
            delays.expire(now);
        }
        assert!(delays.is_empty());
    }

    #[test]
    fn nothing_is_learned_where_either_kind_may_be_counted_still() {
        let mut delays = Delays::default();
        let now = Instant::now();
        delays.closed(Some(now), Duration::ZERO, now);
        delays.closed(None, Duration::ZERO, now + SECOND);
        assert!(delays.limit_answer(false, now + 2 * SECOND).is_some());
        delays.accepted(now + 3 * SECOND, now + 3 * SECOND);
        for what in [Counted::Session, Counted::Socket] {
            assert_eq!(delays.learned(what, now + 3 * SECOND), Duration::ZERO);
        }
    }

    #[test]
    fn a_login_with_other_connections_open_is_asked_seldom() {
        let mut delays = Delays::default();
        let now = Instant::now();
        assert_eq!(delays.limit_answer(false, now), None);
        delays.closed(None, Duration::ZERO, now);
        assert_eq!(delays.limit_answer(true, now), Some(ASK_AGAIN_BESIDE_OTHERS));
        assert_eq!(delays.limit_answer(false, now), Some(ASK_AGAIN_AFTER));
    }
}
