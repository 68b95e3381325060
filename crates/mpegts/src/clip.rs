//! A short recording kept in memory: the test card, the slate. Playing it against the clock is the caller's.

use crate::splice::Splicer;
use core::time::Duration;

/// A recording that has been checked: whole, readable, and of a known length.
#[derive(Clone, Debug)]
pub struct Clip<B> {
    bytes: B,
    duration: Duration,
}

/// Why bytes make no clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipError {
    /// Nothing in it can be played: no programme, no random-access point, or no time passes.
    Unplayable,
}

impl core::fmt::Display for ClipError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the clip holds no playable programme")
    }
}

impl core::error::Error for ClipError {}

impl<B: AsRef<[u8]>> Clip<B> {
    /// Checks `bytes` by playing them through a [`Splicer`] of their own.
    ///
    /// # Errors
    /// [`ClipError::Unplayable`] when nothing comes out.
    pub fn new(bytes: B) -> Result<Self, ClipError> {
        let duration = loop_duration(bytes.as_ref()).ok_or(ClipError::Unplayable)?;
        Ok(Self { bytes, duration })
    }

    /// The packets.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// How far playing it once moves the timeline: from its first decoding time to where the next turn begins.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }
}

/// Plays two turns: the second begins as far behind the first as one lasts.
fn loop_duration(bytes: &[u8]) -> Option<Duration> {
    let mut splicer = Splicer::new();
    let mut begins = [None; 2];
    for begin in &mut begins {
        splicer.begin_source();
        splicer.push(bytes);
        splicer.end_source();
        while let Some(piece) = splicer.take() {
            begin.get_or_insert(piece.media_time);
        }
    }
    let [first, second] = begins;
    Some(second?.since(first?)).filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_clips_are_whole_and_of_the_length_made() {
        let check = |bytes: &'static [u8], expected: Duration, bytes_max: usize| {
            let clip = Clip::new(bytes).unwrap();
            assert_eq!(clip.duration(), expected);
            assert!(clip.bytes().len() <= bytes_max);
        };
        check(
            include_bytes!("../../../assets/testcard.ts"),
            Duration::from_millis(12_480),
            700_000,
        );
        check(
            include_bytes!("../../../assets/slate.ts"),
            Duration::from_millis(3_840),
            120_000,
        );
    }

    #[test]
    fn anything_else_is_no_clip() {
        assert_eq!(Clip::new(b"".as_slice()).err(), Some(ClipError::Unplayable));
        assert_eq!(
            Clip::new([0x47; 188 * 20].as_slice()).err(),
            Some(ClipError::Unplayable)
        );
    }
}
