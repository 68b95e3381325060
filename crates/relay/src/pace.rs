//! How a source keeps time: how far its media is ahead of or behind the wall clock.
//!
//! Everything is measured in media time, so that a trickle is a stall and a burst is a lead. Time is an argument.

use std::time::{Duration, Instant};

/// Clock error of an honest source, in parts per thousand of elapsed time, that is forgiven and never adds up to a
/// stall: crystals differ by well under 0.1 ‰, software encoders by a few ‰.
const SKEW_FORGIVEN_PER_MILLE: u64 = 5;

/// The balance between one source's media and the wall clock since the source entered.
#[derive(Debug, Clone)]
pub struct Pace {
    updated: Instant,
    media_90k: u64,
    /// Media minus wall clock, in nanoseconds: above zero the source is ahead.
    lead_ns: i128,
}

impl Pace {
    /// The source enters at `media_90k` (90 kHz, the channel's own timeline).
    #[must_use]
    pub fn start(now: Instant, media_90k: u64) -> Self {
        Self {
            updated: now,
            media_90k,
            lead_ns: 0,
        }
    }

    /// Media reached `media_90k` at `now`; how much that is more than before.
    pub fn progress(&mut self, now: Instant, media_90k: u64) -> Duration {
        self.pass_time(now);
        let gained = ticks_to_ns(media_90k.saturating_sub(self.media_90k));
        self.lead_ns = self.lead_ns.saturating_add(gained);
        self.media_90k = self.media_90k.max(media_90k);
        from_ns(gained)
    }

    /// Another source takes over: silence that has passed is not made up for, media that is ahead stays ahead.
    pub fn resume(&mut self, now: Instant) {
        self.pass_time(now);
        self.lead_ns = self.lead_ns.max(0);
    }

    fn pass_time(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.updated);
        self.lead_ns -= ns(passed);
        if self.lead_ns < 0 {
            let forgiven = ns(passed) * i128::from(SKEW_FORGIVEN_PER_MILLE) / 1_000;
            self.lead_ns = (self.lead_ns + forgiven).min(0);
        }
        self.updated = self.updated.max(now);
    }

    /// How far media is ahead of the wall clock at `now`; zero when behind.
    #[must_use]
    pub fn ahead(&self, now: Instant) -> Duration {
        from_ns(self.lead_at(now))
    }

    /// How far media is behind the wall clock at `now`; zero when ahead.
    #[must_use]
    pub fn behind(&self, now: Instant) -> Duration {
        from_ns(-self.lead_at(now))
    }

    /// The instant at which the source will be `behind` the wall clock if nothing comes.
    #[must_use]
    pub fn behind_at(&self, behind: Duration) -> Instant {
        self.updated + from_ns(self.lead_ns + ns(behind))
    }

    /// The instant at which media will be no more than `ahead` of the wall clock if nothing comes.
    #[must_use]
    pub fn ahead_until(&self, ahead: Duration) -> Instant {
        self.updated + from_ns(self.lead_ns - ns(ahead))
    }

    fn lead_at(&self, now: Instant) -> i128 {
        self.lead_ns - ns(now.saturating_duration_since(self.updated))
    }
}

fn ns(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

fn from_ns(ns: i128) -> Duration {
    Duration::from_nanos(u64::try_from(ns.max(0)).unwrap_or(u64::MAX))
}

/// 90 kHz ticks to nanoseconds (ISO 13818-1 clause 2.4.3.7: the PTS clock).
fn ticks_to_ns(ticks_90k: u64) -> i128 {
    i128::from(ticks_90k) * 100_000 / 9
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]
mod tests {
    use super::*;

    const SECOND_90K: u64 = 90_000;

    fn run(rate_per_mille: u64, seconds: u64) -> (Pace, Instant) {
        let start = Instant::now();
        let mut pace = Pace::start(start, 0);
        let mut now = start;
        for tenth in 1..=seconds * 10 {
            now = start + Duration::from_millis(tenth * 100);
            pace.progress(now, tenth * SECOND_90K / 10 * rate_per_mille / 1_000);
        }
        (pace, now)
    }

    #[test]
    fn an_honest_clock_never_stalls_though_it_runs_slow() {
        let (pace, now) = run(997, 24 * 3_600);
        assert!(
            pace.behind(now) < Duration::from_millis(200),
            "{:?}",
            pace.behind(now)
        );
    }

    #[test]
    fn a_trickle_is_a_stall() {
        let (pace, now) = run(900, 30);
        assert!(
            pace.behind(now) > Duration::from_millis(2_500),
            "{:?}",
            pace.behind(now)
        );
    }

    #[test]
    fn a_burst_is_a_lead_that_silence_uses_up() {
        let start = Instant::now();
        let mut pace = Pace::start(start, 0);
        pace.progress(start, 6 * SECOND_90K);
        assert_eq!(pace.ahead(start), Duration::from_secs(6));
        assert_eq!(
            pace.behind_at(Duration::from_secs(2)),
            start + Duration::from_secs(8)
        );
        assert_eq!(
            pace.ahead_until(Duration::from_secs(2)),
            start + Duration::from_secs(4)
        );
        assert_eq!(
            pace.behind(start + Duration::from_secs(9)),
            Duration::from_secs(3)
        );
    }

    #[test]
    fn media_that_steps_back_is_no_progress() {
        let start = Instant::now();
        let mut pace = Pace::start(start, 10 * SECOND_90K);
        pace.progress(start + Duration::from_secs(1), 5 * SECOND_90K);
        assert_eq!(pace.ahead(start + Duration::from_secs(1)), Duration::ZERO);
        assert!(pace.behind(start + Duration::from_secs(1)) > Duration::from_millis(900));
    }
}
