//! When a source's list is asked for next. Pure but for chance, which keeps sources from refreshing in step.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// First wait after a failed refresh; it doubles up to the source's own interval.
const RETRY_MIN: Duration = Duration::from_secs(30);

/// Refreshes are spread by up to this share of their interval, in percent.
const JITTER_PERCENT: u32 = 10;

/// The waits between the refreshes of one source.
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    /// Refreshes in a row that did not bring everything.
    failures: u32,
}

impl Schedule {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            failures: 0,
        }
    }

    /// The wait after a refresh that brought everything.
    pub(super) fn refreshed(&mut self) -> Duration {
        self.failures = 0;
        self.usual()
    }

    /// The usual wait, whatever happened before.
    pub(super) fn usual(&self) -> Duration {
        spread(self.interval)
    }

    /// The wait after a refresh that did not bring everything: longer each time, never shorter than the provider wants, and
    /// not all sources at once then.
    pub(super) fn retry(&mut self, wanted: Option<Duration>) -> Duration {
        let retry = RETRY_MIN.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let wanted = wanted.map(|wait| wait.saturating_add(share_of(wait)));
        spread(retry.min(self.interval)).max(wanted.unwrap_or_default())
    }
}

/// `wait`, moved by up to [`JITTER_PERCENT`] either way.
fn spread(wait: Duration) -> Duration {
    let earliest = wait.saturating_sub(wait.saturating_mul(JITTER_PERCENT) / 100);
    earliest.saturating_add(share_of(wait.saturating_mul(2)))
}

/// Up to [`JITTER_PERCENT`] of `wait`, different each time.
fn share_of(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) % 1_001;
    let thousandths = u32::try_from(random).unwrap_or(1_000);
    (wait.saturating_mul(JITTER_PERCENT) / 100).saturating_mul(thousandths) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn refreshes_are_spread_around_their_interval() {
        let mut schedule = Schedule::new(HOUR);
        let waits: Vec<_> = (0..200).map(|_| schedule.refreshed()).collect();
        assert!(
            waits
                .iter()
                .all(|wait| (HOUR * 9 / 10..=HOUR * 11 / 10).contains(wait))
        );
        assert!(waits.iter().any(|wait| *wait < HOUR) && waits.iter().any(|wait| *wait > HOUR));
        assert_eq!(Schedule::new(Duration::ZERO).usual(), Duration::ZERO);
    }

    #[test]
    fn failures_wait_longer_each_time_up_to_the_interval_until_one_succeeds() {
        let mut schedule = Schedule::new(HOUR);
        for expected in [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
            let (wait, expected) = (schedule.retry(None), Duration::from_secs(expected));
            assert!(
                (expected * 9 / 10..=expected * 11 / 10).contains(&wait),
                "{wait:?}"
            );
        }
        schedule.refreshed();
        assert!(schedule.retry(None) <= RETRY_MIN * 11 / 10);
        for _ in 0..100 {
            schedule.retry(None);
        }
        assert!(schedule.retry(None) <= HOUR * 11 / 10);
    }

    #[test]
    fn what_a_provider_wants_is_never_undercut_and_not_kept_by_all_to_the_second() {
        let mut schedule = Schedule::new(HOUR);
        let wanted = 10 * HOUR;
        let waits: Vec<_> = (0..200).map(|_| schedule.retry(Some(wanted))).collect();
        assert!(
            waits
                .iter()
                .all(|wait| (wanted..=wanted * 11 / 10).contains(wait))
        );
        assert!(waits.iter().any(|wait| *wait != waits[0]));
        assert!(schedule.retry(Some(Duration::MAX)) == Duration::MAX);
    }
}
