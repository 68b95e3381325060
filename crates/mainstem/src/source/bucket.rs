//! The calls of one login: one at a time, about one a second after a short burst, none while its provider wants to be
//! left alone. Pure: time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Calls a login may make in quick succession before they are spread out: one refresh of an account needs seven.
const BURST: u32 = 8;

/// The state of one login's calls: a leaky bucket kept as a time.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// When the bucket will be full again.
    full_at: Option<Instant>,
    /// Until when the provider wants to be left alone.
    rests_until: Option<Instant>,
}

impl Bucket {
    /// When the next call may be made; it counts as made.
    ///
    /// # Errors
    /// How long the provider still wants to be left alone.
    pub(super) fn next_call(&mut self, every: Duration, now: Instant) -> Result<Instant, Duration> {
        if let Some(until) = self.rests_until.filter(|until| *until > now) {
            return Err(until - now);
        }
        let level = self.full_at.map_or(now, |at| at.max(now));
        self.full_at = Some(level + every);
        // A bucket `BURST` calls deep lets so many through at once.
        let allowed = level.checked_sub(every * (BURST - 1)).unwrap_or(now);
        Ok(allowed.max(now))
    }

    /// The provider wants to be left alone for so long.
    pub(super) fn rest(&mut self, rest: Duration, now: Instant) {
        self.rests_until = self.rests_until.max(Some(now + rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_and_then_one_a_second() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(bucket.next_call(SECOND, now), Ok(now));
        }
        assert_eq!(bucket.next_call(SECOND, now), Ok(now + SECOND));
        assert_eq!(bucket.next_call(SECOND, now), Ok(now + 2 * SECOND));
        let later = now + 60 * SECOND;
        assert_eq!(bucket.next_call(SECOND, later), Ok(later));
    }

    #[test]
    fn nobody_calls_while_the_provider_wants_to_be_left_alone() {
        let (mut bucket, now) = (Bucket::default(), Instant::now());
        bucket.rest(60 * SECOND, now);
        bucket.rest(5 * SECOND, now);
        assert_eq!(bucket.next_call(SECOND, now + 50 * SECOND), Err(10 * SECOND));
        let later = now + 60 * SECOND;
        assert_eq!(bucket.next_call(SECOND, later), Ok(later));
    }
}
