//! Following a live media playlist: when to reload, what to fetch next, when it is dead (RFC 8216 §6.3).
//!
//! A pure state machine: playlists and the time go in, requests come out.

use std::time::Duration;

use crate::playlist::MediaPlaylist;

/// The bounds of a follower.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Start so many segments before the end, where three target durations do not ask for more.
    pub start_segments_min: usize,
    /// Unchanged for so many target durations: stale.
    pub stale_target_durations: u32,
    /// Never stale before this.
    pub stale_after_min: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            start_segments_min: 1,
            stale_target_durations: 3,
            stale_after_min: Duration::from_secs(10),
        }
    }
}

/// A segment to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRequest {
    /// As written in the playlist; relative to its final address.
    pub uri: String,
    /// Its media sequence number.
    pub sequence: u64,
    /// Its timestamps and codecs need not continue those of the segment before.
    pub discontinuity: bool,
    /// Seconds, as the playlist says.
    pub duration: Duration,
}

/// Where a follower stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Segments come or are expected.
    Following,
    /// The playlist has not changed for too long: fail over.
    Stale,
    /// EXT-X-ENDLIST, and every segment was handed out.
    Ended,
}

/// Follows one live media playlist.
#[derive(Debug)]
pub struct Follower {
    config: Config,
}

impl Follower {
    /// A follower that has not seen a playlist.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Takes a freshly loaded playlist. `requested_at` is when its request was sent: reloads are counted from there.
    pub fn on_playlist(&mut self, playlist: &MediaPlaylist, requested_at: Duration, now: Duration) {
        let _ = (&self.config, playlist, requested_at, now);
    }

    /// Takes a reload that failed; it will be due again after half a target duration.
    pub fn on_reload_failed(&mut self, now: Duration) {
        let _ = now;
    }

    /// The next segment to fetch; each is handed out once.
    pub fn next_segment(&mut self) -> Option<SegmentRequest> {
        None
    }

    /// When to load the playlist again; `None` once it has ended. At once before the first playlist.
    #[must_use]
    pub fn reload_at(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    /// Where the follower stands at `now`.
    #[must_use]
    pub fn state(&self, now: Duration) -> State {
        let _ = now;
        State::Following
    }
}
