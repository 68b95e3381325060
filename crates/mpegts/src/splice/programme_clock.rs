//! The outgoing programme clock: follows the source's where that is usable, the decoding times where it is not, and
//! never stands still or steps back.

use crate::clock::{MediaTime, PCR_EXTENSION, Pcr27m};

/// How far the clock runs behind the first decoding time of a source that tells nothing better. Multiplexers use
/// 0.5 to 1 s; so much has a decoder's buffer to hold.
const MARGIN_90K: i64 = 63_000;

/// The least and the most the clock is set behind the first decoding time: enough for audio that travels behind its
/// video, and no more than the second that decoders' buffers are made for, with some grace.
const MARGINS_90K: core::ops::RangeInclusive<i64> = 45_000..=135_000;

/// Added to a source's own margin: PES packets leave when they are complete, which is later than they came.
const HOLD_BACK_90K: i64 = 9_000;

/// A source's clock this far from where the decoding times say it should be is not believed.
const TRUST_90K: i64 = 90_000;

/// However a source's clock drifts, ours stays this close behind the decoding times: what decoders hold, twice over.
const BEHIND_MAX_90K: i64 = 270_000;

/// Ticks between two stamps: 2.7.2 allows 100 ms.
const PERIOD_90K: i64 = 7_200;

/// Stamps in a row that fill a hole in time: 12.8 s of it, and nothing that belongs to the pictures is farther from them
/// than ten.
const FILL_MAX: usize = 160;

/// Runs with the decoding times.
#[derive(Debug, Default)]
pub(super) struct ProgrammeClock {
    /// The last value sent, in 27 MHz ticks, unwrapped.
    last: Option<i64>,
    /// The decoding time it was sent at.
    last_at_90k: i64,
    /// The clock read `anchor` (27 MHz) when the decoding time was `anchor_at_90k`.
    anchor: i64,
    anchor_at_90k: i64,
    /// Moves the source's own clock, already on the outgoing timeline, to ours; `None` when it has none to follow.
    lag_90k: Option<i64>,
}

const SUB: i64 = PCR_EXTENSION.cast_signed();

impl ProgrammeClock {
    /// A source enters at decoding time `dts`; its own clock, moved to the outgoing timeline, reads `natural`.
    pub(super) fn enter(&mut self, dts: MediaTime, natural: Option<i64>) {
        let dts = dts.as_90k();
        let own = natural
            .map(|pcr| dts - pcr / SUB)
            .filter(|margin| (0..=900_000).contains(margin));
        let margin = own.map_or(MARGIN_90K, |own| {
            (own + HOLD_BACK_90K).clamp(*MARGINS_90K.start(), *MARGINS_90K.end())
        });
        self.lag_90k = own.map(|own| margin - own);
        self.anchor = (dts - margin) * SUB;
        self.anchor_at_90k = dts;
    }

    /// The source's clock, moved to the outgoing timeline, reads `value` (27 MHz) when decoding stands at `now`.
    pub(super) fn observe(&mut self, value: i64, now: MediaTime) {
        let Some(lag) = self.lag_90k else { return };
        let moved = value.saturating_sub(lag.saturating_mul(SUB));
        let expected = self.expected(now.as_90k());
        let behind = now.as_90k().saturating_sub(moved / SUB);
        let near = moved.abs_diff(expected) < (TRUST_90K * SUB).unsigned_abs();
        if near && (0..=BEHIND_MAX_90K).contains(&behind) {
            self.anchor = moved;
            self.anchor_at_90k = now.as_90k();
        }
    }

    /// The last value sent, rounded up to 90 kHz.
    pub(super) fn last_90k(&self) -> Option<i64> {
        self.last.map(|last| last.div_euclid(SUB) + 1)
    }

    fn expected(&self, now_90k: i64) -> i64 {
        self.anchor + (now_90k - self.anchor_at_90k) * SUB
    }

    /// The stamps to send before and with a packet decoded at `dts`. Nothing that is still to come is decoded before
    /// `floor`.
    pub(super) fn stamps(&mut self, dts: MediaTime, floor: MediaTime) -> Due {
        let now = dts.as_90k();
        let mut target = self.expected(now);
        let Some(last) = self.last else {
            self.last = Some(target);
            self.last_at_90k = now;
            return Due {
                before: Fill {
                    next: target,
                    until: target,
                    left: 0,
                },
                with: stamp(target),
            };
        };
        // A new source may want a wider margin: then the clock runs slower for a while rather than standing still.
        let passed = (now - self.last_at_90k).max(0) * SUB;
        target = target
            .max(last + passed * 7 / 8)
            .min((floor.as_90k().min(now)) * SUB)
            .max(last + SUB);
        self.last = Some(target);
        self.last_at_90k = now;
        Due {
            before: Fill {
                next: last + PERIOD_90K * SUB,
                until: target - SUB,
                left: FILL_MAX,
            },
            with: stamp(target),
        }
    }
}

/// The stamps that are due.
#[derive(Debug)]
pub(super) struct Due {
    /// Those that come before the packet, in order.
    pub(super) before: Fill,
    /// The one that goes with it.
    pub(super) with: Pcr27m,
}

/// Stamps a period apart.
#[derive(Debug)]
pub(super) struct Fill {
    /// In 27 MHz ticks, unwrapped.
    next: i64,
    until: i64,
    left: usize,
}

impl Iterator for Fill {
    type Item = Pcr27m;

    fn next(&mut self) -> Option<Pcr27m> {
        if self.next >= self.until {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let pcr = stamp(self.next);
        self.next += PERIOD_90K * SUB;
        Some(pcr)
    }
}

fn stamp(ticks: i64) -> Pcr27m {
    let wrap = (crate::clock::WRAP_90K * PCR_EXTENSION).cast_signed();
    Pcr27m::new(ticks.rem_euclid(wrap).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: MediaTime = MediaTime::from_90k(i64::MAX / 1000);

    fn due(clock: &mut ProgrammeClock, dts: i64, floor: MediaTime) -> Vec<i64> {
        let Due { before, with } = clock.stamps(MediaTime::from_90k(dts), floor);
        before
            .chain([with])
            .map(|pcr| pcr.ticks().cast_signed())
            .collect()
    }

    fn run(clock: &mut ProgrammeClock, from: i64, frames: i64) -> Vec<i64> {
        (0..frames)
            .flat_map(|frame| due(clock, from + frame * 3600, FAR))
            .collect()
    }

    fn rises_within_100_ms(stamps: &[i64]) {
        for pair in stamps.windows(2) {
            assert!(pair[1] > pair[0] && pair[1] - pair[0] <= 9_000 * SUB, "{pair:?}");
        }
    }

    #[test]
    fn a_source_without_a_clock_gets_one() {
        let mut clock = ProgrammeClock::default();
        clock.enter(MediaTime::from_90k(900_000), None);
        let stamps = run(&mut clock, 900_000, 50);
        rises_within_100_ms(&stamps);
        assert_eq!(stamps[0], (900_000 - MARGIN_90K) * SUB);
        assert_eq!(stamps.len(), 50);
    }

    #[test]
    fn margins_of_two_sources_may_differ_either_way() {
        for (first, second) in [(50_000, 120_000), (120_000, 50_000), (0, 5_000_000), (200_000, 1)] {
            let mut clock = ProgrammeClock::default();
            clock.enter(MediaTime::from_90k(900_000), Some((900_000 - first) * SUB));
            let mut stamps = run(&mut clock, 900_000, 50);
            clock.enter(MediaTime::from_90k(1_080_000), Some((1_080_000 - second) * SUB));
            stamps.extend(run(&mut clock, 1_080_000, 500));
            rises_within_100_ms(&stamps);
        }
    }

    #[test]
    fn low_frame_rates_and_holes_are_filled() {
        let mut clock = ProgrammeClock::default();
        clock.enter(MediaTime::from_90k(900_000), None);
        let mut stamps = Vec::new();
        for frame in 0..20 {
            stamps.extend(due(&mut clock, 900_000 + frame * 80_000, FAR));
        }
        stamps.extend(due(&mut clock, 900_000 + 20 * 80_000 + 900_000, FAR));
        rises_within_100_ms(&stamps);
    }

    #[test]
    fn never_passes_what_is_still_to_be_decoded() {
        let mut clock = ProgrammeClock::default();
        clock.enter(MediaTime::from_90k(900_000), None);
        due(&mut clock, 900_000, FAR);
        let late_audio = MediaTime::from_90k(900_000 - 60_000);
        let stamps = due(&mut clock, 903_600, late_audio);
        assert!(stamps.iter().all(|pcr| pcr / SUB <= 840_000));
    }

    #[test]
    fn a_clock_that_strays_bit_by_bit_is_left_behind() {
        for step in [-80_000, -4_000, 4_000, 80_000] {
            let mut clock = ProgrammeClock::default();
            clock.enter(MediaTime::from_90k(900_000), Some(840_000 * SUB));
            let mut stamps = Vec::new();
            for frame in 0..3_000 {
                let now = 900_000 + frame * 3_600;
                let natural = 840_000 + frame * 3_600 + frame * step;
                clock.observe(natural * SUB, MediaTime::from_90k(now));
                stamps.extend(due(&mut clock, now, FAR));
                let behind = now - stamps[stamps.len() - 1] / SUB;
                assert!((0..=BEHIND_MAX_90K).contains(&behind), "{step}: {behind} behind");
            }
            rises_within_100_ms(&stamps);
        }
    }

    #[test]
    fn a_mad_clock_is_not_followed() {
        let mut clock = ProgrammeClock::default();
        clock.enter(MediaTime::from_90k(900_000), Some(840_000 * SUB));
        clock.observe(5 * SUB, MediaTime::from_90k(903_600));
        clock.observe(i64::MAX, MediaTime::from_90k(903_600));
        rises_within_100_ms(&run(&mut clock, 903_600, 20));
    }
}
