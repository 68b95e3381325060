//! Tells a broadcast's viewers that there is more: those who have little at once, those who hold some seconds ten times
//! a second. One clock for all viewers; none has a timer of its own.

use std::time::{Duration, Instant};

use mpegts::Codec;
use tokio::sync::watch;

use crate::viewer::{News, Over};

/// How long bytes are gathered for viewers who hold more than that. A write costs the kernel about as much as copying
/// 40 KB: gathering makes it one for several arrivals.
const GATHERED_FOR: Duration = Duration::from_millis(100);

/// The bell of one broadcast.
#[derive(Debug)]
pub(crate) struct Bell {
    news: watch::Sender<News>,
    pulse: watch::Sender<()>,
    pulsed_at: Instant,
    /// Whether something was written since the last pulse.
    gathers: bool,
    /// When something was last written, or viewers were asked for a sign of life; `None` before anything was.
    heard_at: Option<Instant>,
    keep_alive_after: Duration,
}

/// A viewer's end of it.
#[derive(Debug, Clone)]
pub(crate) struct Ear {
    /// Rings with everything that is written, and with signs of life.
    pub(crate) news: watch::Receiver<News>,
    /// Rings when enough was gathered, when viewers are to show a sign of life, and when it is over.
    pub(crate) pulse: watch::Receiver<()>,
}

impl Bell {
    pub(crate) fn new(keep_alive_after: Duration, now: Instant) -> Self {
        Self {
            news: watch::Sender::new(News::default()),
            pulse: watch::Sender::new(()),
            pulsed_at: now,
            gathers: false,
            heard_at: None,
            keep_alive_after,
        }
    }

    pub(crate) fn ear(&self) -> Ear {
        Ear {
            news: self.news.subscribe(),
            pulse: self.pulse.subscribe(),
        }
    }

    /// Chunks up to `end` are in the ring, of a programme that is raw sound or not.
    pub(crate) fn wrote(&mut self, end: u64, raw_sound: Option<Codec>, now: Instant) {
        self.news.send_modify(|news| {
            news.end = end;
            news.raw_sound = raw_sound;
        });
        self.gathers = true;
        self.heard_at = Some(now);
    }

    /// The broadcast is over for those who watch.
    pub(crate) fn over(&mut self, over: Over) {
        self.news.send_modify(|news| news.over = Some(over));
        self.pulse.send_replace(());
    }

    /// Rings for whatever is due.
    pub(crate) fn ring(&mut self, now: Instant) {
        let quiet = self.heard_at.is_some_and(|at| at + self.keep_alive_after <= now);
        if quiet {
            self.heard_at = Some(now);
            self.news.send_modify(|news| news.signs_of_life += 1);
        }
        if quiet || (self.gathers && self.pulsed_at + GATHERED_FOR <= now) {
            self.gathers = false;
            self.pulsed_at = now;
            self.pulse.send_replace(());
        }
    }

    /// When it is due next; `None` while nobody listens or there was nothing yet.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.pulse.receiver_count() == 0 {
            return None;
        }
        let quiet = self.heard_at.map(|at| at + self.keep_alive_after);
        let pulse = self.gathers.then(|| self.pulsed_at + GATHERED_FOR);
        quiet.into_iter().chain(pulse).min()
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

    /// How often each side of the bell rang for the arrivals of `writes`, in milliseconds, within `ms`.
    fn rung(writes: &[u32], ms: u32) -> (usize, usize) {
        let start = Instant::now();
        let mut bell = Bell::new(500 * MS, start);
        let mut ear = bell.ear();
        let mut rung = (0, 0);
        for at in 0..ms {
            let now = start + MS * at;
            if writes.contains(&at) {
                bell.wrote(u64::from(at), None, now);
            }
            if writes.contains(&at) || bell.deadline().is_some_and(|deadline| deadline <= now) {
                bell.ring(now);
            }
            rung.0 += usize::from(ear.news.has_changed().unwrap());
            rung.1 += usize::from(ear.pulse.has_changed().unwrap());
            ear.news.mark_unchanged();
            ear.pulse.mark_unchanged();
        }
        rung
    }

    #[test]
    fn every_arrival_is_told_at_once_and_ten_times_a_second() {
        let arrivals: Vec<u32> = (100..1_100).step_by(20).collect();
        // The first at once, then one for every 100 ms, the last for what came since.
        assert_eq!(rung(&arrivals, 1_190), (50, 11));
    }

    #[test]
    fn what_comes_alone_is_told_within_the_gathering() {
        assert_eq!(rung(&[10], 99), (1, 0));
        assert_eq!(rung(&[10], 101), (1, 1));
        assert_eq!(rung(&[150, 160], 200), (2, 1), "after a pause there is no wait");
        assert_eq!(rung(&[150, 160], 251), (2, 2));
    }

    #[test]
    fn silence_asks_for_signs_of_life_and_a_beginning_does_not() {
        assert_eq!(rung(&[], 5_000), (0, 0));
        assert_eq!(rung(&[100], 2_000), (1 + 3, 1 + 3));
    }

    #[test]
    fn nobody_is_rung_for_where_nobody_listens() {
        let start = Instant::now();
        let mut bell = Bell::new(500 * MS, start);
        bell.wrote(1, None, start);
        assert_eq!(bell.deadline(), None);
        let _ear = bell.ear();
        assert_eq!(bell.deadline(), Some(start + GATHERED_FOR));
    }
}
