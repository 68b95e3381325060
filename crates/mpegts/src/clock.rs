//! The three clocks of a transport stream: 33-bit stamps at 90 kHz, the 27 MHz programme clock, and the
//! unwrapped time the rest of the project reckons in. No wall clock lives here.

use core::time::Duration;

/// Ticks of the 90 kHz clock in one second (2.4.2.2: 27 MHz / 300).
pub const TICKS_90K: i64 = 90_000;

/// PTS, DTS and the PCR base are 33 bits wide (2.4.3.7): they wrap after 26 h 30 min 43.7 s.
pub const WRAP_90K: u64 = 1 << 33;

/// Ticks of the 27 MHz clock in one tick of the 90 kHz clock (2.4.2.2).
pub const PCR_EXTENSION: u64 = 300;

/// A PTS or DTS: 33 bits at 90 kHz, wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Pts90k(u64);

impl Pts90k {
    /// The low 33 bits of `ticks`.
    #[must_use]
    pub const fn new(ticks: u64) -> Self {
        Self(ticks % WRAP_90K)
    }

    /// 0 to 2^33 - 1.
    #[must_use]
    pub const fn ticks(self) -> u64 {
        self.0
    }

    /// The shortest way from `earlier` to `self` in 90 kHz ticks, within ±2^32: a wrap in between is not a jump.
    #[must_use]
    pub const fn distance_from(self, earlier: Self) -> i64 {
        let forward = self.0.wrapping_sub(earlier.0) % WRAP_90K;
        if forward >= WRAP_90K / 2 {
            forward.cast_signed() - WRAP_90K.cast_signed()
        } else {
            forward.cast_signed()
        }
    }

    /// `self` moved by `ticks`, wrapping.
    #[must_use]
    pub const fn shifted(self, ticks: i64) -> Self {
        Self(
            (self.0.cast_signed().wrapping_add(ticks))
                .rem_euclid(WRAP_90K.cast_signed())
                .cast_unsigned(),
        )
    }
}

/// A programme clock reference: base × 300 + extension at 27 MHz, wrapping with its 33-bit base (2.4.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Pcr27m(u64);

impl Pcr27m {
    /// `ticks` modulo the wrap.
    #[must_use]
    pub const fn new(ticks: u64) -> Self {
        Self(ticks % (WRAP_90K * PCR_EXTENSION))
    }

    /// From the two fields as they stand in an adaptation field.
    #[must_use]
    pub const fn from_fields(base: u64, extension: u16) -> Self {
        Self::new((base % WRAP_90K) * PCR_EXTENSION + extension as u64)
    }

    /// 27 MHz ticks.
    #[must_use]
    pub const fn ticks(self) -> u64 {
        self.0
    }

    /// The 90 kHz part.
    #[must_use]
    pub const fn base(self) -> Pts90k {
        Pts90k::new(self.0 / PCR_EXTENSION)
    }

    /// The 27 MHz remainder, 0 to 299.
    #[must_use]
    pub const fn extension(self) -> u16 {
        (self.0 % PCR_EXTENSION) as u16
    }
}

/// A moment on an unwrapped 90 kHz timeline. Monotonic for the life of a [`crate::Splicer`]; comparable only with
/// moments of the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime(i64);

impl MediaTime {
    /// From 90 kHz ticks.
    #[must_use]
    pub const fn from_90k(ticks: i64) -> Self {
        Self(ticks)
    }

    /// 90 kHz ticks.
    #[must_use]
    pub const fn as_90k(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        let ticks = self.0.saturating_sub(earlier.0);
        if ticks <= 0 {
            Duration::ZERO
        } else {
            duration_of(ticks.cast_unsigned())
        }
    }

    /// `self` plus a duration, saturating.
    #[must_use]
    pub const fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(ticks_of(span)))
    }

    /// `self` minus a duration, saturating.
    #[must_use]
    pub const fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(ticks_of(span)))
    }

    /// As it is written into a packet: the low 33 bits.
    #[must_use]
    pub const fn wrapped(self) -> Pts90k {
        Pts90k::new(self.0.rem_euclid(WRAP_90K.cast_signed()).cast_unsigned())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "less than 10^9 nanoseconds are left of a second"
)]
const fn duration_of(ticks: u64) -> Duration {
    let hertz = TICKS_90K.cast_unsigned();
    Duration::new(ticks / hertz, ((ticks % hertz) * 100_000 / 9) as u32)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to the range of i64 first"
)]
const fn ticks_of(span: Duration) -> i64 {
    let ticks = span.as_nanos() * 9 / 100_000;
    if ticks > i64::MAX as u128 {
        i64::MAX
    } else {
        ticks as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_take_the_short_way_round() {
        let check = |from: u64, to: u64, expected: i64| {
            assert_eq!(
                Pts90k::new(to).distance_from(Pts90k::new(from)),
                expected,
                "{from} -> {to}"
            );
            assert_eq!(Pts90k::new(from).shifted(expected), Pts90k::new(to));
        };
        check(0, 0, 0);
        check(0, 3600, 3600);
        check(3600, 0, -3600);
        check(WRAP_90K - 1, 0, 1);
        check(WRAP_90K - 1800, 1800, 3600);
        check(1800, WRAP_90K - 1800, -3600);
        check(0, WRAP_90K / 2 - 1, (1 << 32) - 1);
        check(0, WRAP_90K / 2, -(1 << 32));
    }

    #[test]
    fn programme_clock_splits_into_its_fields() {
        let pcr = Pcr27m::from_fields(WRAP_90K - 1, 299);
        assert_eq!((pcr.base().ticks(), pcr.extension()), (WRAP_90K - 1, 299));
        assert_eq!(Pcr27m::new(pcr.ticks() + 1), Pcr27m::default());
    }

    #[test]
    fn media_time_and_durations() {
        let start = MediaTime::from_90k(900_000);
        let later = start.saturating_add(Duration::from_millis(40));
        assert_eq!(later.as_90k(), 903_600);
        assert_eq!(later.since(start), Duration::from_millis(40));
        assert_eq!(start.since(later), Duration::ZERO);
        assert_eq!(later.saturating_sub(Duration::from_secs(1)).as_90k(), 813_600);
        assert_eq!(MediaTime::from_90k(-1).wrapped().ticks(), WRAP_90K - 1);
        assert_eq!(
            MediaTime::from_90k(i64::MAX).saturating_add(Duration::MAX),
            MediaTime::from_90k(i64::MAX)
        );
    }
}
