//! The buffer of a broadcast: chunks of whole transport packets, written once, read by all without copying.
//!
//! Bounded in media time and in bytes. Viewers hold a [`Cursor`], never a queue: a viewer that falls out of the ring
//! loses what it missed and goes on at the next keyframe.

mod gather;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

pub use gather::Gathered;

/// 90 kHz ticks in a second (ISO 13818-1 clause 2.4.3.7).
const TICKS_PER_SECOND: u64 = 90_000;

/// Whole transport packets that arrived together. Opaque outside this crate but for its bytes.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The packets.
    pub bytes: Bytes,
    /// The decoding time at which it begins, 90 kHz, on the channel's own timeline.
    pub media_time_90k: u64,
    /// Counts the changes of codec; within one epoch a player needs no restart.
    pub epoch: u32,
    /// Whether it begins with PAT, PMT and a random-access packet.
    pub keyframe: bool,
    /// Whether another source, or another stretch of the same one, begins with it.
    pub discontinuity: bool,
}

/// The limits of a ring.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Media kept at least, bytes permitting, counted back from the wall clock: what lies ahead of it is kept as well.
    pub span: Duration,
    /// Bytes kept while a later keyframe serves a join as well.
    pub bytes: usize,
    /// Bytes kept at most.
    pub bytes_max: usize,
    /// How far behind the newest media a join starts at least; the keyframe it needs is kept.
    pub join_behind: Duration,
}

/// A viewer's place in the ring: the sequence number of the next chunk it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    next: u64,
    epoch: u32,
}

impl Cursor {
    /// Whether the chunk it wants has a lower sequence number.
    #[must_use]
    pub fn is_before(&self, seq: u64) -> bool {
        self.next < seq
    }
}

/// What a cursor finds.
#[derive(Debug)]
pub enum Found {
    /// The next chunk; the cursor moved past it.
    Chunk(Chunk),
    /// Nothing new yet.
    NotYet,
    /// What follows has another epoch: the codecs changed.
    NewEpoch,
}

/// Chunks in order of arrival, with their bounds.
#[derive(Debug)]
pub struct Ring {
    bounds: Bounds,
    chunks: VecDeque<Chunk>,
    /// Sequence number of the first chunk in `chunks`.
    first: u64,
    bytes: usize,
    /// Sequence numbers of the keyframe chunks held.
    keyframes: VecDeque<u64>,
    gop_longest_90k: u64,
    ahead_90k: u64,
}

impl Ring {
    /// An empty ring.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            chunks: VecDeque::new(),
            first: 0,
            bytes: 0,
            keyframes: VecDeque::new(),
            gop_longest_90k: 0,
            ahead_90k: 0,
        }
    }

    /// Appends a chunk and lets go of what the bounds no longer hold. `ahead` is how far the newest media is ahead of
    /// the wall clock: a viewer that reads in real time is still so far back, and must not be lapped by a source that
    /// delivers in bursts.
    pub fn push(&mut self, chunk: Chunk, ahead: Duration) {
        self.ahead_90k = to_ticks(ahead);
        if chunk.keyframe {
            if let Some(last) = self.keyframes.back().and_then(|&seq| self.at(seq)) {
                let gop = chunk.media_time_90k.saturating_sub(last.media_time_90k);
                self.gop_longest_90k = self.gop_longest_90k.max(gop);
            }
            self.keyframes.push_back(self.end());
        }
        self.bytes += chunk.bytes.len();
        self.chunks.push_back(chunk);
        self.trim();
    }

    /// The sequence number the next chunk will get.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.chunks.len() as u64
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Media held.
    #[must_use]
    pub fn span(&self) -> Duration {
        match (self.chunks.front(), self.chunks.back()) {
            (Some(first), Some(last)) => ticks(last.media_time_90k.saturating_sub(first.media_time_90k)),
            _ => Duration::ZERO,
        }
    }

    /// Where a new viewer starts: at the newest keyframe that lies `join_behind` back and not ahead of the wall clock,
    /// so that a player does not run dry between two bursts; else at the oldest keyframe there is. `None` while there is none of the present epoch.
    #[must_use]
    pub fn join(&self) -> Option<Cursor> {
        let newest = self.chunks.back()?;
        let wanted = newest.media_time_90k.saturating_sub(self.behind_90k());
        let mut best = None;
        for &seq in self.keyframes.iter().rev() {
            let chunk = self.at(seq)?;
            if chunk.epoch != newest.epoch {
                break;
            }
            best = Some(Cursor {
                next: seq,
                epoch: chunk.epoch,
            });
            if chunk.media_time_90k <= wanted {
                break;
            }
        }
        best
    }

    /// Where somebody starts who wants all there is: at the oldest keyframe, of whatever epoch.
    #[must_use]
    pub fn join_oldest(&self) -> Option<Cursor> {
        let &seq = self.keyframes.front()?;
        let epoch = self.at(seq)?.epoch;
        Some(Cursor { next: seq, epoch })
    }

    /// Whether the ring has let go of what `cursor` wants next.
    #[must_use]
    pub fn has_passed(&self, cursor: Cursor) -> bool {
        cursor.next < self.first
    }

    /// The next chunk at `cursor`. A cursor that the ring has passed goes on at the oldest keyframe held.
    pub fn next(&self, cursor: &mut Cursor) -> Found {
        if cursor.next < self.first {
            match self.keyframes.front() {
                Some(&keyframe) => cursor.next = keyframe,
                None => return Found::NotYet,
            }
        }
        match self.at(cursor.next) {
            None => Found::NotYet,
            Some(chunk) if chunk.epoch != cursor.epoch => Found::NewEpoch,
            Some(chunk) => {
                cursor.next += 1;
                Found::Chunk(chunk.clone())
            }
        }
    }

    /// Takes a cursor over into the epoch that follows it, for viewers that follow a change of codec.
    pub fn follow(&self, cursor: &mut Cursor) {
        if let Some(chunk) = self.at(cursor.next) {
            cursor.epoch = chunk.epoch;
        }
    }

    fn at(&self, seq: u64) -> Option<&Chunk> {
        let index = seq.checked_sub(self.first)?;
        self.chunks.get(usize::try_from(index).ok()?)
    }

    fn behind_90k(&self) -> u64 {
        to_ticks(self.bounds.join_behind).max(self.ahead_90k)
    }

    fn trim(&mut self) {
        while self.may_drop_first() {
            let Some(chunk) = self.chunks.pop_front() else {
                return;
            };
            self.bytes -= chunk.bytes.len();
            if self.keyframes.front() == Some(&self.first) {
                self.keyframes.pop_front();
            }
            self.first += 1;
        }
    }

    fn may_drop_first(&self) -> bool {
        let (Some(first), Some(last)) = (self.chunks.front(), self.chunks.back()) else {
            return false;
        };
        if self.chunks.len() == 1 {
            return false;
        }
        if self.bytes > self.bounds.bytes_max {
            return true;
        }
        let held = last.media_time_90k.saturating_sub(first.media_time_90k);
        let join = self.behind_90k() + self.gop_longest_90k + 2 * TICKS_PER_SECOND;
        let wanted = join.max(to_ticks(self.bounds.span).saturating_add(self.ahead_90k));
        if held <= wanted && self.bytes <= self.bounds.bytes {
            return false;
        }
        // Over a soft bound: the first chunk may go unless it is, or precedes nothing but, the keyframe a join needs.
        match self.join() {
            Some(cursor) => cursor.next > self.first,
            None => true,
        }
    }
}

fn to_ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX / TICKS_PER_SECOND)
        .saturating_mul(90)
}

fn ticks(ticks_90k: u64) -> Duration {
    Duration::from_micros(ticks_90k.saturating_mul(100) / 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        span: Duration::from_secs(10),
        bytes: 10_000,
        bytes_max: 40_000,
        join_behind: Duration::from_secs(4),
    };

    fn chunk(second: u64, keyframe: bool, epoch: u32) -> Chunk {
        Chunk {
            bytes: Bytes::from(vec![u8::try_from(second % 256).unwrap(); 188]),
            media_time_90k: second * TICKS_PER_SECOND,
            epoch,
            keyframe,
            discontinuity: false,
        }
    }

    fn filled(seconds: u64, gop: u64) -> Ring {
        let mut ring = Ring::new(BOUNDS);
        for second in 0..seconds {
            ring.push(chunk(second, second % gop == 0, 0), Duration::ZERO);
        }
        ring
    }

    fn joined_at(ring: &Ring) -> Option<u64> {
        let mut cursor = ring.join()?;
        match ring.next(&mut cursor) {
            Found::Chunk(chunk) => {
                assert!(chunk.keyframe);
                Some(chunk.media_time_90k / TICKS_PER_SECOND)
            }
            _ => None,
        }
    }

    #[test]
    fn a_join_starts_at_the_newest_keyframe_far_enough_back() {
        for (seconds, gop, expected) in [
            (1, 1, Some(0)),
            (4, 1, Some(0)),
            (20, 1, Some(15)),
            (20, 2, Some(14)),
            (30, 8, Some(24)),
            (29, 8, Some(24)),
            (28, 8, Some(16)),
        ] {
            assert_eq!(
                joined_at(&filled(seconds, gop)),
                expected,
                "{seconds} s, GOP {gop} s"
            );
        }
        assert_eq!(joined_at(&Ring::new(BOUNDS)), None);
    }

    #[test]
    fn the_ring_is_bounded_in_media_time() {
        let ring = filled(1_000, 2);
        assert!(ring.span() >= BOUNDS.span, "{:?}", ring.span());
        assert!(
            ring.span() <= BOUNDS.span + Duration::from_secs(3),
            "{:?}",
            ring.span()
        );
        assert_eq!(ring.bytes(), ring.chunks.len() * 188);
    }

    #[test]
    fn what_is_ahead_of_the_clock_is_kept_beside_the_span() {
        let mut ring = Ring::new(BOUNDS);
        for second in 0..100 {
            ring.push(chunk(second, true, 0), Duration::from_secs(8));
        }
        assert!(ring.span() >= Duration::from_secs(18), "{:?}", ring.span());
        assert!(ring.span() <= Duration::from_secs(21), "{:?}", ring.span());
    }

    #[test]
    fn a_long_gop_stretches_the_ring_rather_than_losing_its_keyframe() {
        let ring = filled(100, 30);
        assert_eq!(joined_at(&ring), Some(90));
        let ring = filled(92, 30);
        assert_eq!(joined_at(&ring), Some(60));
    }

    #[test]
    fn bytes_are_bounded_even_without_any_keyframe() {
        let mut ring = Ring::new(BOUNDS);
        for _ in 0..10_000 {
            ring.push(chunk(1, false, 0), Duration::ZERO);
        }
        assert!(ring.bytes() <= BOUNDS.bytes_max, "{}", ring.bytes());
    }

    #[test]
    fn the_hard_bound_holds_against_a_keyframe_that_never_ages() {
        let mut ring = Ring::new(BOUNDS);
        ring.push(chunk(1, true, 0), Duration::ZERO);
        for _ in 0..10_000 {
            ring.push(chunk(1, false, 0), Duration::ZERO);
        }
        assert!(ring.bytes() <= BOUNDS.bytes_max, "{}", ring.bytes());
    }

    #[test]
    fn a_lapped_cursor_goes_on_at_a_keyframe() {
        let mut ring = filled(10, 2);
        let mut cursor = ring.join().unwrap();
        for second in 10..200 {
            ring.push(chunk(second, second % 2 == 0, 0), Duration::ZERO);
        }
        let Found::Chunk(chunk) = ring.next(&mut cursor) else {
            panic!("nothing found")
        };
        assert!(chunk.keyframe);
        assert!(chunk.media_time_90k >= 180 * TICKS_PER_SECOND);
    }

    #[test]
    fn whoever_wants_all_there_is_starts_at_the_oldest_keyframe_of_any_epoch() {
        let mut ring = filled(10, 2);
        ring.push(chunk(10, true, 1), Duration::ZERO);
        let mut cursor = ring.join_oldest().unwrap();
        assert!(!ring.has_passed(cursor));
        assert!(matches!(ring.next(&mut cursor), Found::Chunk(c) if c.media_time_90k == 0 && c.epoch == 0));
        for second in 11..200 {
            ring.push(chunk(second, second % 2 == 0, 1), Duration::ZERO);
        }
        assert!(ring.has_passed(cursor));
        assert!(Ring::new(BOUNDS).join_oldest().is_none());
    }

    #[test]
    fn an_epoch_stops_a_cursor_until_it_follows() {
        let mut ring = filled(10, 2);
        let mut cursor = ring.join().unwrap();
        ring.push(chunk(10, true, 1), Duration::ZERO);
        let mut seen = 0;
        while let Found::Chunk(_) = ring.next(&mut cursor) {
            seen += 1;
        }
        assert!(seen > 0);
        assert!(matches!(ring.next(&mut cursor), Found::NewEpoch));
        ring.follow(&mut cursor);
        assert!(matches!(ring.next(&mut cursor), Found::Chunk(c) if c.epoch == 1));
        assert_eq!(joined_at(&ring), Some(10), "a join never starts in an old epoch");
    }
}
