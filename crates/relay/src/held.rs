//! How much a viewer's player holds: what decides whether bytes may be gathered for it. Pure: time is an argument.

use std::time::{Duration, Instant};

/// A player that holds this much does not notice whether bytes come at once or eight times a second.
const SPARES_FROM: Duration = Duration::from_secs(1);

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
}

impl Held {
    /// The player is given what begins at `media_90k`.
    pub(crate) fn start(media_90k: u64, now: Instant) -> Self {
        Self {
            media_90k,
            held: Duration::ZERO,
            at: now,
        }
    }

    /// The player was given everything up to `media_90k`.
    pub(crate) fn gave(&mut self, media_90k: u64, now: Instant) {
        let ticks = media_90k.saturating_sub(self.media_90k);
        // Ten times what is believed is no less believed.
        let ticks = ticks.min(100 * TICKS_PER_SECOND);
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
        self.now(now) >= SPARES_FROM
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

    #[test]
    fn who_got_seconds_at_once_can_spare_and_who_lives_on_the_edge_cannot() {
        let start = Instant::now();
        let mut joined = Held::start(0, start);
        joined.gave(4 * SECOND_90K, start);
        let mut first = Held::start(0, start);
        for tick in 1..=500u32 {
            let now = start + Duration::from_millis(20) * tick;
            let media = u64::from(tick) * SECOND_90K / 50;
            joined.gave(4 * SECOND_90K + media, now);
            first.gave(media, now);
            assert!(joined.can_spare(now), "{joined:?}");
            assert!(!first.can_spare(now), "{first:?}");
        }
        let end = start + Duration::from_secs(10);
        assert!(joined.can_spare(end + Duration::from_secs(3)));
        assert!(
            !joined.can_spare(end + Duration::from_millis(3_100)),
            "it has run low"
        );
    }

    #[test]
    fn who_ran_dry_begins_anew_and_what_was_skipped_was_not_given() {
        let start = Instant::now();
        let mut held = Held::start(0, start);
        held.gave(2 * SECOND_90K, start);
        let later = start + Duration::from_secs(60);
        held.gave(2 * SECOND_90K + SECOND_90K / 2, later);
        assert!(!held.can_spare(later));
        held.gave(4 * SECOND_90K, later);
        assert!(held.can_spare(later), "a second and a half more");
        let mut lapped = Held::start(0, start);
        lapped.skipped_to(50 * SECOND_90K);
        lapped.gave(50 * SECOND_90K + SECOND_90K / 2, start);
        assert!(!lapped.can_spare(start));
    }
}
