//! When viewers are told that there is more: those who have little at once, those who hold some seconds ten times a
//! second. One beat for all viewers of a broadcast; none has a timer of its own. Pure: time is an argument.

use std::time::{Duration, Instant};

/// How long bytes are gathered for viewers who hold more than that. A write costs the kernel about as much as copying
/// 40 KB: gathering makes it one for several arrivals.
const GATHERED_FOR: Duration = Duration::from_millis(100);

/// The beat of one broadcast.
#[derive(Debug)]
pub(crate) struct Beat {
    beaten_at: Instant,
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
            beaten_at: now,
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
            (self.gathers, self.beaten_at) = (false, now);
            return Due::SignOfLife;
        }
        if self.gathers && self.beaten_at + GATHERED_FOR <= now {
            (self.gathers, self.beaten_at) = (false, now);
            return Due::Gathered;
        }
        Due::Nothing
    }

    /// When something is due next; `None` before anything was written.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let quiet = self.heard_at.map(|at| at + self.keep_alive_after);
        let gathered = self.gathers.then(|| self.beaten_at + GATHERED_FOR);
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
    fn what_comes_is_gathered_ten_times_a_second() {
        let arrivals: Vec<u32> = (100..1_100).step_by(20).collect();
        // The first at once, then one for every 100 ms, the last for what came since.
        assert_eq!(beaten(&arrivals, 1_190), (11, 0));
    }

    #[test]
    fn what_comes_alone_waits_no_longer_than_others() {
        assert_eq!(beaten(&[10], 99), (0, 0));
        assert_eq!(beaten(&[10], 101), (1, 0));
        assert_eq!(beaten(&[150, 160], 200), (1, 0), "after a pause there is no wait");
        assert_eq!(beaten(&[150, 160], 251), (2, 0));
    }

    #[test]
    fn silence_asks_for_signs_of_life_and_a_beginning_does_not() {
        assert_eq!(beaten(&[], 5_000), (0, 0));
        assert_eq!(beaten(&[100], 2_000), (1, 3));
    }
}
