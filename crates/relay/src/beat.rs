//! When viewers are told that there is more: those who have just come at once, those who can wait ([`crate::held`])
//! eight times a second. One beat for all viewers of a broadcast; none has a timer of its own. Pure: time is an argument.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long bytes are gathered for viewers who can wait. A write costs the kernel about as much as copying
/// 40 KB: gathering makes it one for several arrivals.
pub(crate) const GATHERED_FOR: Duration = Duration::from_millis(120);

/// When the next stretch of `every` begins: for all broadcasts at the same moment, so that one wake of a worker does
/// for many what would else be a wake for each.
pub(crate) fn turn_after(now: Instant, every: Duration) -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(|| now);
    let passed = now.saturating_duration_since(origin).as_micros() % every.as_micros().max(1);
    now + every.saturating_sub(Duration::from_micros(u64::try_from(passed).unwrap_or_default()))
}

/// The beat of one broadcast.
#[derive(Debug)]
pub(crate) struct Beat {
    /// What is written before is gathered until then.
    next: Instant,
    /// Whether something was written since.
    gathers: bool,
    /// When something was last written, or viewers were asked for a sign of life; `None` before anything was.
    heard_at: Option<Instant>,
    keep_alive_after: Duration,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// Those for whom bytes are gathered take what there is.
    Gathered,
    /// All show a sign of life.
    SignOfLife,
}

impl Beat {
    pub(crate) fn new(keep_alive_after: Duration, now: Instant) -> Self {
        Self {
            next: turn_after(now, GATHERED_FOR),
            gathers: false,
            heard_at: None,
            keep_alive_after,
        }
    }

    /// There is more.
    pub(crate) fn wrote(&mut self, now: Instant) {
        self.gathers = true;
        self.heard_at = Some(now);
    }

    /// What is due now. It is asked once.
    pub(crate) fn due(&mut self, now: Instant) -> Due {
        if self.heard_at.is_some_and(|at| at + self.keep_alive_after <= now) {
            self.heard_at = Some(now);
            // What comes after a silence waits for no beat.
            self.gathers = false;
            return Due::SignOfLife;
        }
        if self.gathers && self.next <= now {
            (self.gathers, self.next) = (false, turn_after(now, GATHERED_FOR));
            return Due::Gathered;
        }
        Due::Nothing
    }

    /// When something is due next; `None` before anything was written.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let quiet = self.heard_at.map(|at| at + self.keep_alive_after);
        let gathered = self.gathers.then_some(self.next);
        quiet.into_iter().chain(gathered).min()
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What was due within `ms`, with something written at `writes`: beats of either kind.
    fn beaten(writes: &[u32], ms: u32) -> (usize, usize) {
        let start = Instant::now();
        let mut beat = Beat::new(500 * MS, start);
        let mut beaten = (0, 0);
        for at in 0..ms {
            let now = start + MS * at;
            if writes.contains(&at) {
                beat.wrote(now);
            }
            let expected = beat.deadline().is_some_and(|deadline| deadline <= now);
            let due = beat.due(now);
            assert_eq!(due != Due::Nothing, expected, "at {at} ms");
            beaten.0 += usize::from(due == Due::Gathered);
            beaten.1 += usize::from(due == Due::SignOfLife);
        }
        beaten
    }

    #[test]
    fn what_comes_is_gathered_eight_times_a_second() {
        let arrivals: Vec<u32> = (100..1_100).step_by(20).collect();
        assert_eq!(beaten(&arrivals, 1_190), (9, 0));
    }

    #[test]
    fn what_comes_alone_waits_no_longer_than_others() {
        assert_eq!(beaten(&[10], 119), (0, 0));
        assert_eq!(beaten(&[10], 122), (1, 0));
        assert_eq!(beaten(&[150, 160], 200), (1, 0), "after a pause there is no wait");
        assert_eq!(beaten(&[150, 160], 251), (2, 0));
    }

    #[test]
    fn silence_asks_for_signs_of_life_and_a_beginning_does_not() {
        assert_eq!(beaten(&[], 5_000), (0, 0));
        assert_eq!(beaten(&[100], 2_000), (1, 3));
        // The second sign is at 1,100 ms; what comes 10 ms behind it is told of at once.
        assert_eq!(beaten(&[100, 1_110], 1_111), (2, 2));
    }
}
