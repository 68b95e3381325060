//! The timeline of one source: its 33-bit stamps unwrapped, moved to the outgoing timeline, and watched for jumps.
//! Also what is remembered of it, so that a replay of its last seconds is recognised.

use crate::clock::{Pcr27m, Pts90k};
use std::collections::VecDeque;

/// A step of the decoding time beyond this is another stretch of the source, not a lost packet or two.
const JUMP_90K: i64 = 90_000;

/// The same where the source announced a jump of its clock.
const FLAGGED_JUMP_90K: i64 = 18_000;

/// How long after the announcement the pictures behind it may take.
const FLAGGED_UNITS: u32 = 50;

/// Without a DTS of their own, pictures come in decoding order with presentation times: these step back.
const REORDER_90K: i64 = 45_000;

/// A picture lasts this long when nothing is known: 25 a second.
const UNIT_90K: i64 = 3_600;

/// A step longer than this is no duration of a picture.
const UNIT_MAX_90K: i64 = 45_000;

/// Steps the duration is the median of.
const STEPS: usize = 9;

/// Panels replay 5 to 20 s on a reconnect; so much is remembered.
const PRINTS_90K: i64 = 60 * 90_000;
const PRINTS_MAX: usize = 8_192;

/// Bytes of a unit that its print covers.
const PRINT_BYTES: usize = 1_024;

/// Where a unit of the reference stream stands to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Follows,
    Jumps,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    /// The decoding time of the last reference unit, unwrapped, as the source counts.
    last: Option<i64>,
    /// Added to the source's time it gives ours.
    offset: i64,
    /// The last steps, and where the next one goes.
    steps: [i64; STEPS],
    steps_seen: usize,
    flagged: u32,
    prints: VecDeque<Print>,
}

#[derive(Clone, Copy, Debug)]
struct Print {
    at: i64,
    hash: u64,
}

impl Timeline {
    /// Unwraps a stamp to the moment nearest to the last reference unit.
    pub(super) fn unwrap(&self, stamp: Pts90k) -> i64 {
        let Some(last) = self.last else {
            return stamp.ticks().cast_signed();
        };
        last + stamp.distance_from(wrapped(last))
    }

    pub(super) const fn last(&self) -> Option<i64> {
        self.last
    }

    /// The source's time moved to ours.
    pub(super) const fn outgoing(&self, source_time: i64) -> i64 {
        source_time.saturating_add(self.offset)
    }

    /// Added to the source's time it gives ours.
    pub(super) const fn offset(&self) -> i64 {
        self.offset
    }

    /// The source's clock on our timeline, in 27 MHz ticks.
    pub(super) fn outgoing_clock(&self, clock: Pcr27m) -> i64 {
        let base = self.outgoing(self.unwrap(clock.base()));
        base.saturating_mul(300)
            .saturating_add(i64::from(clock.extension()))
    }

    /// From now on the source's `source_time` is our `outgoing`.
    pub(super) fn join(&mut self, source_time: i64, outgoing: i64) {
        self.offset = outgoing.saturating_sub(source_time);
    }

    /// The source announced that its clock jumps.
    pub(super) fn flag(&mut self) {
        self.flagged = FLAGGED_UNITS;
    }

    /// Looks at the decoding time of the next reference unit; `own_dts` says that it was written as such.
    pub(super) fn step(&mut self, dts: i64, own_dts: bool) -> Step {
        let Some(last) = self.last else {
            return Step::Follows;
        };
        let delta = dts - last;
        let most = if self.flagged > 0 {
            FLAGGED_JUMP_90K
        } else {
            JUMP_90K
        };
        let least = if own_dts { 0 } else { -REORDER_90K };
        self.flagged = self.flagged.saturating_sub(1);
        if delta > most || delta < least {
            Step::Jumps
        } else {
            Step::Follows
        }
    }

    /// The reference stands at `dts` now.
    pub(super) fn advance(&mut self, dts: i64) {
        if let Some(last) = self.last {
            let delta = dts - last;
            if (1..UNIT_MAX_90K).contains(&delta) {
                if let Some(oldest) = self.steps.get_mut(self.steps_seen % STEPS) {
                    *oldest = delta;
                }
                self.steps_seen = self.steps_seen.wrapping_add(1);
            }
            self.last = Some(last.max(dts));
        } else {
            self.last = Some(dts);
        }
    }

    /// Another stretch of the source begins at `dts`.
    pub(super) fn restart(&mut self, dts: Option<i64>) {
        self.last = dts;
        self.flagged = 0;
    }

    /// How long a unit of the reference stream lasts.
    pub(super) fn unit(&self) -> i64 {
        let mut steps = self.steps;
        let steps = steps.get_mut(..self.steps_seen.min(STEPS)).unwrap_or_default();
        steps.sort_unstable();
        steps.get(steps.len() / 2).copied().unwrap_or(UNIT_90K)
    }

    /// Remembers a unit that was sent.
    pub(super) fn remember(&mut self, dts: i64, es: &[u8]) {
        self.prints.push_back(Print {
            at: dts,
            hash: print(es),
        });
        while self.prints.len() > PRINTS_MAX
            || self
                .prints
                .front()
                .is_some_and(|first| dts - first.at > PRINTS_90K)
        {
            self.prints.pop_front();
        }
    }

    /// Whether this unit was sent before, at this time.
    pub(super) fn knows(&self, stamp: Pts90k, es: &[u8]) -> bool {
        let mut same_time = self
            .prints
            .iter()
            .filter(|known| wrapped(known.at) == stamp)
            .peekable();
        same_time.peek().is_some() && {
            let hash = print(es);
            same_time.any(|known| known.hash == hash)
        }
    }
}

fn wrapped(ticks: i64) -> Pts90k {
    crate::clock::MediaTime::from_90k(ticks).wrapped()
}

/// A hash over the length and the ends of a unit: enough to tell pictures apart, cheap at any rate. Eight bytes at a
/// time in the manner of FNV-1a, with the high half of the product folded back, which FNV leaves out for single bytes.
fn print(es: &[u8]) -> u64 {
    let head = es.get(..PRINT_BYTES).unwrap_or(es);
    let tail = es
        .len()
        .checked_sub(PRINT_BYTES)
        .and_then(|at| es.get(at..))
        .unwrap_or_default();
    let mix = |hash: u64, word: u64| {
        let product = (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        product ^ (product >> 32)
    };
    let mut hash = mix(0xCBF2_9CE4_8422_2325, es.len() as u64);
    for part in [head, tail] {
        let (words, rest) = part.as_chunks::<8>();
        hash = words.iter().map(|word| u64::from_le_bytes(*word)).fold(hash, mix);
        hash = rest.iter().map(|byte| u64::from(*byte)).fold(hash, mix);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WRAP_90K;

    #[test]
    fn a_wrap_is_not_a_jump() {
        let mut timeline = Timeline::default();
        let mut stamp = Pts90k::new(WRAP_90K - 10_000);
        let mut before = None;
        for _ in 0..10 {
            let dts = timeline.unwrap(stamp);
            assert_eq!(timeline.step(dts, true), Step::Follows);
            timeline.advance(dts);
            assert!(before.is_none_or(|before| dts - before == 3_600));
            before = Some(dts);
            stamp = stamp.shifted(3_600);
        }
        assert_eq!(timeline.unit(), 3_600);
    }

    #[test]
    fn jumps_are_seen() {
        let check = |delta: i64, own_dts: bool, flagged: bool, expected: Step| {
            let mut timeline = Timeline::default();
            timeline.advance(1_000_000);
            if flagged {
                timeline.flag();
            }
            assert_eq!(
                timeline.step(1_000_000 + delta, own_dts),
                expected,
                "{delta} {own_dts} {flagged}"
            );
        };
        check(3_600, true, false, Step::Follows);
        check(80_000, true, false, Step::Follows);
        check(80_000, true, true, Step::Jumps);
        check(90_001, true, false, Step::Jumps);
        check(-1, true, false, Step::Jumps);
        check(-7_200, false, false, Step::Follows);
        check(-90_000, false, false, Step::Jumps);
    }

    #[test]
    fn a_replay_is_known_by_time_and_contents() {
        let mut timeline = Timeline::default();
        for unit in 0..100_u8 {
            timeline.remember(i64::from(unit) * 3_600, &[unit; 5_000]);
        }
        assert!(timeline.knows(Pts90k::new(7_200), &[2; 5_000]));
        assert!(!timeline.knows(Pts90k::new(7_200), &[3; 5_000]));
        assert!(!timeline.knows(Pts90k::new(7_201), &[2; 5_000]));
        timeline.remember(10_000 * 3_600, b"much later");
        assert!(
            !timeline.knows(Pts90k::new(7_200), &[2; 5_000]),
            "old units are forgotten"
        );
    }
}
