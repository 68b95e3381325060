//! Which segments a playlist lists, when a new version of it comes, and how long a segment that was removed is kept
//! (RFC 8216 clause 6.2.2). Time is a [`Duration`] since any origin the caller keeps to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{Segment, to_duration};

/// Target durations a playlist without an end never falls below (RFC 8216 clause 6.2.2).
const TARGETS_MIN: u64 = 3;

/// Bytes past which even that and what was removed are given up, as a multiple of [`Bounds::bytes`]: a channel this fast
/// would else take the memory of all others.
const BYTES_HARD: usize = 4;

/// A new version comes no earlier than so many parts of a hundred of the target duration after the one before, and no
/// later than so many (RFC 8216 clause 6.2.2: 50 and 150; a little inside, as clients measure it too).
const EARLIEST_PERCENT: u32 = 52;
const LATEST_PERCENT: u32 = 140;

/// Segments that came at once are listed one after the other, each after so many parts of a hundred of the time that the
/// one before plays: a source that delivers in bursts does not make the playlist jump and then stand still.
const PACE_PERCENT: u32 = 75;

/// Segments that wait to be listed, at most.
const WAITING_MAX: usize = 16;

/// The limits of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// What the playlist lists, in wanted media.
    pub span: Duration,
    /// Bytes of segments that are listed or were, as long as that leaves the least a playlist lists.
    pub bytes: usize,
}

/// A segment, and the longest playlist that has listed it.
#[derive(Debug)]
struct Listed {
    segment: Arc<Segment>,
    longest_90k: u64,
}

/// The segments of one playlist.
#[derive(Debug)]
pub struct Window {
    bounds: Bounds,
    target_duration: u64,
    waiting: VecDeque<Arc<Segment>>,
    listed: VecDeque<Listed>,
    /// Segments that are no longer listed, and until when they are kept.
    removed: VecDeque<(Arc<Segment>, Duration)>,
    bytes: usize,
    listed_90k: u64,
    /// When the present version came.
    version_at: Option<Duration>,
    /// When the next segment may be listed.
    next_after: Duration,
}

impl Window {
    /// An empty window of a playlist with this EXT-X-TARGETDURATION, in seconds.
    #[must_use]
    pub fn new(bounds: Bounds, target_duration: u64) -> Self {
        Self {
            bounds,
            target_duration,
            waiting: VecDeque::new(),
            listed: VecDeque::new(),
            removed: VecDeque::new(),
            bytes: 0,
            listed_90k: 0,
            version_at: None,
            next_after: Duration::ZERO,
        }
    }

    /// [`Bounds::bytes`] from now on.
    pub fn set_bytes(&mut self, bytes: usize) {
        self.bounds.bytes = bytes;
    }

    /// Takes a segment that is finished.
    pub fn push(&mut self, segment: Segment) {
        self.bytes += segment.bytes_in_all();
        self.waiting.push_back(Arc::new(segment));
    }

    /// Lists what is due, and lets go of what is past; says whether there is a new version of the playlist.
    pub fn update(&mut self, now: Duration) -> bool {
        let first = self.version_at.is_none();
        let mut changed = false;
        while let Some(count) = self.due_count(now) {
            for segment in self.waiting.drain(..count) {
                self.listed_90k += segment.duration_90k();
                self.next_after = self.next_after.max(now) + segment.duration() * PACE_PERCENT / 100;
                self.listed.push_back(Listed {
                    segment,
                    longest_90k: 0,
                });
            }
            changed = true;
            if first || self.next_after > now {
                break;
            }
        }
        if changed {
            if first {
                // What was there from the beginning came all at once.
                let last = self.listed.back().map(|listed| listed.segment.duration());
                self.next_after = now + last.unwrap_or_default() * PACE_PERCENT / 100;
            }
            self.version_at = Some(now);
            self.shorten(now);
            let listed_90k = self.listed_90k;
            for listed in &mut self.listed {
                listed.longest_90k = listed.longest_90k.max(listed_90k);
            }
        }
        self.forget(now);
        changed
    }

    /// When [`Self::update`] has something to do: a segment to list, or one to let go of.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        let forget = self.removed.front().map(|(_, until)| *until);
        self.due_at().into_iter().chain(forget).min()
    }

    /// By when a new version is owed: where no segment waits, one has to be cut.
    #[must_use]
    pub fn owed_at(&self) -> Option<Duration> {
        let version = self.version_at?;
        Some(version + self.target() * LATEST_PERCENT / 100)
    }

    /// Whether a finished segment waits to be listed that a playlist may end with.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.waiting.iter().any(|segment| segment.may_be_last())
    }

    /// The segments the playlist lists, oldest first.
    #[must_use]
    pub fn listed(&self) -> impl ExactSizeIterator<Item = &Arc<Segment>> + DoubleEndedIterator {
        self.listed.iter().map(|listed| &listed.segment)
    }

    /// Every segment that can be fetched, oldest first.
    pub fn held(&self) -> impl Iterator<Item = &Arc<Segment>> {
        let removed = self.removed.iter().map(|(segment, _)| segment);
        removed.chain(self.listed())
    }

    /// EXT-X-TARGETDURATION, in seconds.
    #[must_use]
    pub fn target_duration(&self) -> u64 {
        self.target_duration
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn target(&self) -> Duration {
        Duration::from_secs(self.target_duration)
    }

    fn due_at(&self) -> Option<Duration> {
        let version = self.version_at?;
        let earliest = version + self.target() * EARLIEST_PERCENT / 100;
        let latest = version + self.target() * LATEST_PERCENT / 100;
        let is_there = self.waits();
        is_there.then(|| self.next_after.max(earliest).min(latest))
    }

    /// How many of those that wait are listed now, together; `None` where it is not time yet.
    fn due_count(&self, now: Duration) -> Option<usize> {
        let mut fit = self.waiting.iter().map(|segment| segment.may_be_last());
        let is_first = self.version_at.is_none();
        let is_due = self.waiting.len() > WAITING_MAX || self.due_at().is_some_and(|at| at <= now);
        let last = if is_first {
            // What came at once is listed at once, and whoever waits for the very first one waits for nothing else.
            let last = fit.rposition(|fit| fit);
            last.or((!self.waiting.is_empty()).then_some(0))
        } else {
            fit.position(|fit| fit)
        };
        let count = last.filter(|_| is_first || is_due)? + 1;
        // What was left of the source before does not keep the next one waiting.
        let next = self.waiting.get(count);
        let goes_along = next.is_some_and(|next| next.discontinuity && next.may_be_last());
        Some(count + usize::from(goes_along))
    }

    /// Takes segments off the front until the playlist fits.
    fn shorten(&mut self, now: Duration) {
        let wanted_90k = super::to_ticks(self.bounds.span);
        let least_90k = TARGETS_MIN * self.target_duration * super::TICKS_PER_SECOND;
        while let Some(first) = self.listed.front() {
            let left_90k = self.listed_90k - first.segment.duration_90k();
            // Half of the bytes are those of segments that are no longer listed.
            let listed_bytes: usize = self.listed().map(|segment| segment.bytes_in_all()).sum();
            let over = left_90k >= wanted_90k || listed_bytes > self.bounds.bytes / 2;
            let may = left_90k >= least_90k && over;
            let must = listed_bytes > self.bounds.bytes * BYTES_HARD && self.listed.len() > 1;
            if !may && !must {
                return;
            }
            if let Some(first) = self.listed.pop_front() {
                self.listed_90k = left_90k;
                let kept = to_duration(first.segment.duration_90k() + first.longest_90k);
                self.removed.push_back((first.segment, now + kept));
            }
        }
    }

    fn forget(&mut self, now: Duration) {
        while let Some((segment, until)) = self.removed.front()
            && (*until <= now || self.bytes > self.bounds.bytes * BYTES_HARD)
        {
            self.bytes -= segment.bytes_in_all();
            self.removed.pop_front();
        }
    }
}
