//! Following a live media playlist: when to reload, what to fetch next, when it is dead (RFC 8216 §6.3).
//!
//! A pure state machine: playlists and the time go in, requests come out. Segments are told apart by their media
//! sequence number only; their URIs carry tokens that change with every reload.

use std::collections::VecDeque;
use std::time::Duration;

use crate::playlist::MediaPlaylist;

/// Start so many target durations before the end of a live playlist (RFC 8216 §6.3.3).
const START_TARGET_DURATIONS: u32 = 3;

/// So many segments wait to be fetched; beyond it the oldest of a live playlist are skipped.
pub const SEGMENTS_WAITING_MAX: usize = 1024;

/// After a reload that failed before any playlist was seen.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The bounds of a follower.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Start so many segments before the end, where three target durations do not ask for more.
    pub start_segments_min: usize,
    /// Without a new segment for so many target durations: stale.
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
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentRequest {
    /// As written in the playlist; relative to its final address.
    pub uri: String,
    /// Its media sequence number.
    pub sequence: u64,
    /// Its timestamps and codecs need not continue those of the segment before.
    pub discontinuity: bool,
    /// How long it plays, as the playlist says.
    pub duration: Duration,
}

/// Where a follower stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Segments come or are expected.
    Following,
    /// No new segment for too long: fail over.
    Stale,
    /// EXT-X-ENDLIST, and every segment was handed out.
    Ended,
}

/// Follows one live media playlist.
#[derive(Debug)]
pub struct Follower {
    config: Config,
    waiting: VecDeque<SegmentRequest>,
    /// The number of the next segment to take from a playlist.
    next: Option<u64>,
    /// The next segment taken does not continue the one before.
    broken: bool,
    ended: bool,
    target: Option<Duration>,
    /// When the last new segment was seen, or the first playlist.
    advanced_at: Option<Duration>,
    reload_at: Duration,
}

impl Follower {
    /// A follower that has not seen a playlist.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            waiting: VecDeque::new(),
            next: None,
            broken: false,
            ended: false,
            target: None,
            advanced_at: None,
            reload_at: Duration::ZERO,
        }
    }

    /// Takes a freshly loaded playlist. `requested_at` is when its request was sent: reloads are counted from there.
    pub fn on_playlist(&mut self, playlist: &MediaPlaylist, requested_at: Duration, now: Duration) {
        let target = Duration::from_secs(playlist.target_duration.max(1));
        self.target = Some(target);
        let advanced = self.take(playlist);
        self.ended = playlist.ended;
        if advanced || self.advanced_at.is_none() {
            self.advanced_at = Some(now);
        }
        // RFC 8216 §6.3.4.
        let pause = if advanced { target } else { target / 2 };
        self.reload_at = requested_at.saturating_add(pause).max(now);
    }

    /// Takes a reload that failed; it is due again after half a target duration.
    pub fn on_reload_failed(&mut self, now: Duration) {
        self.reload_at = now.saturating_add(self.target.map_or(FIRST_RETRY, |target| target / 2));
    }

    /// The next segment to fetch; each is handed out once.
    pub fn next_segment(&mut self) -> Option<SegmentRequest> {
        self.waiting.pop_front()
    }

    /// When to load the playlist again; `None` once it has ended. At once before the first playlist.
    #[must_use]
    pub fn reload_at(&self) -> Option<Duration> {
        (!self.ended).then_some(self.reload_at)
    }

    /// Where the follower stands at `now`. It is not stale while there is something to fetch.
    #[must_use]
    pub fn state(&self, now: Duration) -> State {
        if !self.waiting.is_empty() {
            return State::Following;
        }
        if self.ended {
            return State::Ended;
        }
        match self.advanced_at {
            Some(since) if now.saturating_sub(since) >= self.stale_after() => State::Stale,
            _ => State::Following,
        }
    }

    fn stale_after(&self) -> Duration {
        let target = self.target.unwrap_or_default();
        target
            .saturating_mul(self.config.stale_target_durations)
            .max(self.config.stale_after_min)
    }

    /// Takes the new segments of `playlist`; whether there were any.
    fn take(&mut self, playlist: &MediaPlaylist) -> bool {
        let first = playlist.media_sequence;
        let Some(next) = self.next_in(playlist) else {
            return false;
        };
        if self.next.is_some_and(|expected| expected != next) {
            // Segments were missed, or the origin counts anew.
            self.broken = true;
        }
        self.next = Some(next);
        let skipped = usize::try_from(next.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut advanced = false;
        for (segment, sequence) in playlist.segments.iter().skip(skipped).zip(next..) {
            advanced = true;
            self.next = Some(sequence.saturating_add(1));
            self.broken |= segment.discontinuity || segment.gap;
            if segment.gap {
                continue;
            }
            self.waiting.push_back(SegmentRequest {
                uri: segment.uri.clone(),
                sequence,
                discontinuity: std::mem::take(&mut self.broken),
                duration: Duration::try_from_secs_f64(segment.duration).unwrap_or_default(),
            });
        }
        self.skip_beyond_bound(playlist.ended);
        advanced
    }

    /// The number of the first segment to take; `None` where the playlist holds nothing to go by.
    fn next_in(&self, playlist: &MediaPlaylist) -> Option<u64> {
        let first = playlist.media_sequence;
        let length = u64::try_from(playlist.segments.len()).unwrap_or(u64::MAX);
        let end = first.saturating_add(length);
        if length == 0 {
            return None;
        }
        match self.next {
            None => Some(self.start(playlist)),
            // Back by more than the window: the origin was restarted and counts anew. Back by less is an old copy
            // from another edge server.
            Some(next) if next.saturating_sub(end) > length => Some(self.start(playlist)),
            Some(next) if next > end => None,
            Some(next) => Some(next.max(first)),
        }
    }

    /// Where to start: far enough from the end that the next reload comes in time, at the start of what has ended.
    fn start(&self, playlist: &MediaPlaylist) -> u64 {
        if playlist.ended {
            return playlist.media_sequence;
        }
        let wanted = Duration::from_secs(playlist.target_duration).saturating_mul(START_TARGET_DURATIONS);
        let (mut taken, mut length) = (0_usize, Duration::ZERO);
        for segment in playlist.segments.iter().rev() {
            if taken >= self.config.start_segments_min.max(1) && length >= wanted {
                break;
            }
            taken += 1;
            length = length.saturating_add(Duration::try_from_secs_f64(segment.duration).unwrap_or_default());
        }
        let skipped = u64::try_from(playlist.segments.len() - taken).unwrap_or(0);
        playlist.media_sequence.saturating_add(skipped)
    }

    fn skip_beyond_bound(&mut self, ended: bool) {
        let surplus = self.waiting.len().saturating_sub(SEGMENTS_WAITING_MAX);
        // What has ended is bounded by the playlist itself.
        if ended || surplus == 0 {
            return;
        }
        self.waiting.drain(..surplus);
        if let Some(segment) = self.waiting.front_mut() {
            segment.discontinuity = true;
        }
    }
}

#[cfg(test)]
mod tests;
