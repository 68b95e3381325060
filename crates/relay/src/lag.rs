//! How far a stream that delivers is behind the wall clock, and how bad that is for it. Pure: time is an argument.

use std::time::{Duration, Instant};

/// How long a stream that is behind may take to show that it only waits to be read: after a pause of the machine, what
/// came meanwhile is still in the socket, and the first look at the clock says nothing about the source.
const CATCH_UP_WITHIN: Duration = Duration::from_millis(300);

/// The same for mere suspicion, which costs little when it errs.
const SUSPECT_WITHIN: Duration = Duration::from_millis(100);

/// How long it counts that a source came back from falling behind: one that sends in bursts does it all the time, and
/// whose only one was an hour ago is as smooth as any.
const USUAL_FOR: Duration = Duration::from_mins(5);

/// How far behind is how bad.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LagBounds {
    pub(crate) suspect: Duration,
    pub(crate) stall: Duration,
    /// However long its pauses were before, past this it has stalled.
    pub(crate) longest: Duration,
}

/// What a look at the clock found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    Suspect,
    Recovered,
    Stalled,
}

/// Follows how far one source is behind. Time is an argument.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    suspect: bool,
    /// When it was first seen to be suspiciously far behind, and has been since.
    behind_since: Option<Instant>,
    /// When it was first seen to be too far behind, and has been since.
    stalled_since: Option<Instant>,
    /// When it was first seen to be so far behind that a smooth source is suspect, and has been since.
    away_since: Option<Instant>,
    /// How far it was behind at most since then.
    deepest: Duration,
    /// What it came back from before, and when last: it comes in bursts, whose pauses players have learned to bridge,
    /// and so much is no reason for suspicion.
    usual: Option<(Duration, Instant)>,
}

impl Lag {
    pub(crate) fn look(&mut self, behind: Duration, bounds: LagBounds, now: Instant) -> Option<Finding> {
        let lasts = |since: &mut Option<Instant>, is: bool, within: Duration| {
            if !is {
                *since = None;
                return false;
            }
            now.saturating_duration_since(*since.get_or_insert(now)) >= within
        };
        let usual = self.usual(now);
        let too_far = behind >= stall_behind(bounds, usual);
        let stalled = lasts(&mut self.stalled_since, too_far, CATCH_UP_WITHIN);
        let suspicious = behind >= suspect_behind(bounds, usual);
        let suspect = lasts(&mut self.behind_since, suspicious, SUSPECT_WITHIN);
        let is_back = behind < bounds.suspect / 2;
        if lasts(&mut self.away_since, behind >= bounds.suspect, SUSPECT_WITHIN) {
            self.deepest = self.deepest.max(behind);
        } else if is_back && !self.deepest.is_zero() {
            self.usual = Some((usual.max(std::mem::take(&mut self.deepest)), now));
        }
        if stalled {
            return Some(Finding::Stalled);
        }
        if self.suspect && is_back {
            self.suspect = false;
            return Some(Finding::Recovered);
        }
        if !self.suspect && suspect {
            self.suspect = true;
            return Some(Finding::Suspect);
        }
        None
    }

    fn usual(&self, now: Instant) -> Duration {
        self.usual
            .filter(|(_, at)| now.saturating_duration_since(*at) < USUAL_FOR)
            .map_or(Duration::ZERO, |(usual, _)| usual)
    }

    pub(crate) fn due(
        &self,
        bounds: LagBounds,
        now: Instant,
        behind_at: impl Fn(Duration) -> Instant,
    ) -> Instant {
        let due = |since: Option<Instant>, behind: Duration, within: Duration| {
            since.map_or_else(|| behind_at(behind), |since| since + within)
        };
        let usual = self.usual(now);
        let stalled = due(self.stalled_since, stall_behind(bounds, usual), CATCH_UP_WITHIN);
        if self.suspect {
            return stalled;
        }
        let suspect = suspect_behind(bounds, usual);
        stalled.min(due(self.behind_since, suspect, SUSPECT_WITHIN))
    }
}

fn suspect_behind(bounds: LagBounds, usual: Duration) -> Duration {
    bounds.suspect.max(usual * 5 / 4)
}

fn stall_behind(bounds: LagBounds, usual: Duration) -> Duration {
    bounds.stall.max((usual * 5 / 4).min(bounds.longest))
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]
mod tests {
    use super::*;

    const BOUNDS: LagBounds = LagBounds {
        suspect: Duration::from_millis(1_500),
        stall: Duration::from_millis(2_500),
        longest: Duration::from_secs(8),
    };

    fn looks(behind: &[u64]) -> Vec<(usize, Finding)> {
        let start = Instant::now();
        let mut lag = Lag::default();
        let mut found = Vec::new();
        for (tenth, behind) in behind.iter().enumerate() {
            let now = start + Duration::from_millis(100) * u32::try_from(tenth).unwrap();
            if let Some(finding) = lag.look(Duration::from_millis(behind * 100), BOUNDS, now) {
                found.push((tenth, finding));
            }
        }
        found
    }

    #[test]
    fn one_look_after_a_pause_says_nothing() {
        assert_eq!(looks(&[0, 0, 30, 0, 0]), []);
        assert_eq!(looks(&[0, 16, 3, 16, 0]), []);
    }

    #[test]
    fn silence_is_suspect_and_then_a_stall() {
        let growing: Vec<u64> = (0..40).collect();
        let found = looks(&growing);
        assert_eq!(found[..2], [(16, Finding::Suspect), (28, Finding::Stalled)]);
    }

    #[test]
    fn what_came_back_before_is_trusted_to_come_back() {
        let burst: Vec<u64> = (0..19).chain([0, 0]).collect();
        // For longer than it would be trusted for a single time.
        let found = looks(&burst.repeat(400));
        assert_eq!(found, [(16, Finding::Suspect), (19, Finding::Recovered)]);
    }
}
