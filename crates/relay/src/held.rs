//! How much a viewer's player holds: what decides whether bytes may be gathered for it. Pure: time is an argument.

use std::time::{Duration, Instant};

/// A player that holds this much does not notice whether bytes come at once or eight times a second.
const SPARES_FROM: Duration = Duration::from_secs(1);

/// A player that has run for so long plays on what it read before it showed anything, though it was given no more than
/// the time that passed: mpv, ffplay and VLC stop at no gathering of 800 ms, mpv at one of 1,200. Before, every byte may
/// be the one that the first picture waits for.
const SETTLES_WITHIN: Duration = Duration::from_secs(3);

/// One that had nothing to show for so long has used up what it had read.
const RUNS_DRY_AFTER: Duration = Duration::from_millis(500);

/// No player is believed to hold more.
const HELD_MAX: Duration = Duration::from_secs(10);

/// 90 kHz ticks in a second (ISO 13818-1 clause 2.4.3.7).
const TICKS_PER_SECOND: u64 = 90_000;

/// The media a player was given, less the time that has passed since: what it has not shown yet. One that ran dry has
/// nothing, and begins anew.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    media_90k: u64,
    held: Duration,
    at: Instant,
    /// Since when it has been given enough to run.
    runs_since: Instant,
}

impl Held {
    /// The player is given what begins at `media_90k`.
    pub(crate) fn start(media_90k: u64, now: Instant) -> Self {
        Self {
            media_90k,
            held: Duration::ZERO,
            at: now,
            runs_since: now,
        }
    }

    /// The player was given everything up to `media_90k`.
    pub(crate) fn gave(&mut self, media_90k: u64, now: Instant) {
        let ticks = media_90k.saturating_sub(self.media_90k);
        // Ten times what is believed is no less believed.
        let ticks = ticks.min(100 * TICKS_PER_SECOND);
        if now.saturating_duration_since(self.at) >= self.held + RUNS_DRY_AFTER {
            self.runs_since = now;
        }
        self.held = (self.now(now) + Duration::from_micros(ticks * 100 / 9)).min(HELD_MAX);
        self.media_90k = self.media_90k.max(media_90k);
        self.at = now;
    }

    /// What the player was not given lies before `media_90k`: it goes on there.
    pub(crate) fn skipped_to(&mut self, media_90k: u64) {
        self.media_90k = media_90k;
    }

    /// Whether it can spare the time in which bytes are gathered.
    pub(crate) fn can_spare(&self, now: Instant) -> bool {
        self.now(now) >= SPARES_FROM || self.has_settled(now)
    }

    fn has_settled(&self, now: Instant) -> bool {
        let runs = now.saturating_duration_since(self.at) < self.held + RUNS_DRY_AFTER;
        runs && now.saturating_duration_since(self.runs_since) >= SETTLES_WITHIN
    }

    fn now(&self, now: Instant) -> Duration {
        self.held.saturating_sub(now.saturating_duration_since(self.at))
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]
mod tests {
    use super::*;

    const SECOND_90K: u64 = TICKS_PER_SECOND;

    /// Gives `held` what comes in real time from `from` to `to`, in milliseconds, every 20; `spares` says what is
    /// expected of it then.
    fn plays(held: &mut Held, start: Instant, (from, to): (u32, u32), spares: impl Fn(u32) -> bool) {
        for ms in (from..to).step_by(20) {
            let now = start + Duration::from_millis(1) * ms;
            held.gave(u64::from(ms) * SECOND_90K / 1_000, now);
            assert_eq!(held.can_spare(now), spares(ms), "{ms} ms: {held:?}");
        }
    }

    #[test]
    fn who_got_seconds_at_once_can_spare_until_it_runs_low() {
        let start = Instant::now();
        let mut held = Held::start(0, start);
        held.gave(2 * SECOND_90K, start);
        assert!(held.can_spare(start));
        assert!(held.can_spare(start + Duration::from_millis(1_000)));
        assert!(!held.can_spare(start + Duration::from_millis(1_001)));
    }

    #[test]
    fn who_lives_on_what_comes_can_spare_once_it_has_settled_and_until_it_runs_dry() {
        let start = Instant::now();
        let mut held = Held::start(0, start);
        plays(&mut held, start, (0, 10_000), |ms| ms >= 3_000);
        // At 9,980 ms it was given the last 20.
        assert!(held.can_spare(start + Duration::from_millis(10_499)));
        assert!(!held.can_spare(start + Duration::from_millis(10_500)));
        // A source that is away for a moment, whose player has what it read before; and one for longer.
        plays(&mut held, start, (10_400, 15_000), |_| true);
        let mut back = held.clone();
        plays(&mut back, start, (15_920, 25_000), |ms| ms >= 18_920);
    }

    #[test]
    fn who_ran_dry_begins_anew_and_what_was_skipped_was_not_given() {
        let start = Instant::now();
        let mut held = Held::start(0, start);
        held.gave(2 * SECOND_90K, start);
        let later = start + Duration::from_secs(60);
        held.gave(2 * SECOND_90K + SECOND_90K / 2, later);
        assert!(!held.can_spare(later));
        assert!(!held.can_spare(later + Duration::from_millis(900)));
        held.gave(4 * SECOND_90K, later);
        assert!(held.can_spare(later), "a second and a half more");
        let mut lapped = Held::start(0, start);
        lapped.skipped_to(50 * SECOND_90K);
        lapped.gave(50 * SECOND_90K + SECOND_90K / 2, start);
        assert!(!lapped.can_spare(start));
    }
}
