//! Following a live media playlist: when to reload, what to fetch next, when it is dead (RFC 8216 §6.3).
//!
//! A pure state machine: playlists and the time go in, requests come out. Segments are told apart by their media
//! sequence number only; their URIs carry tokens that change with every reload.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::playlist::{Key, Map, MediaPlaylist, Segment};

/// Start so many target durations before the end of a live playlist (RFC 8216 §6.3.3).
const START_TARGET_DURATIONS: u32 = 3;

/// So many segments wait to be fetched; beyond it the oldest of a live playlist are skipped.
pub const SEGMENTS_WAITING_MAX: usize = 1024;

/// No target duration is believed beyond this: players would wait as long for a stream that has died.
const TARGET_MAX: Duration = Duration::from_secs(60);

/// Nor beyond so many times the longest segment that is listed: milliseconds are seen, and a day.
const TARGET_SEGMENTS_MAX: u32 = 3;

/// A playlist that goes on further ahead than this counts anew.
const MISSED_MAX: u64 = SEGMENTS_WAITING_MAX as u64;

/// After a reload that failed before any playlist was seen.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// How often a segment that could not be had is asked for again: at the live edge it is often announced a moment before it
/// is there.
const RETRIES_MAX: u32 = 1;

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
    /// Its timestamps and codecs need not continue those of the segment before: the playlist says so, or its origin
    /// counts anew.
    pub discontinuity: bool,
    /// So many segments between the one before and this one cannot be had: gaps, or gone from the playlist unseen. The
    /// timeline goes on behind them.
    pub skipped: u64,
    /// How long it plays, as the playlist says.
    pub duration: Duration,
    /// The part of the file that it is.
    pub range: Option<Range>,
    /// How it is encrypted; `None` where it is clear.
    pub encryption: Option<Encryption>,
    /// What has to be read before it.
    pub initialisation: Option<Initialisation>,
    retries: u32,
}

/// A part of a file, not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    /// The first byte.
    pub first: u64,
    /// The last byte.
    pub last: u64,
}

impl Range {
    /// `None` where there is nothing in it.
    fn new(offset: u64, length: u64) -> Option<Self> {
        let last = offset.checked_add(length.checked_sub(1)?)?;
        Some(Self { first: offset, last })
    }

    /// Bytes.
    #[must_use]
    pub const fn length(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

/// A key and the vector to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// The key's tag.
    pub key: Arc<Key>,
    /// The initialisation vector of AES-CBC.
    pub iv: [u8; 16],
}

impl Encryption {
    /// Without an IV it is the media sequence number, big-endian (RFC 8216 §5.2).
    fn of(key: &Arc<Key>, sequence: u64) -> Self {
        Self {
            iv: key.iv.unwrap_or_else(|| u128::from(sequence).to_be_bytes()),
            key: Arc::clone(key),
        }
    }
}

/// What EXT-X-MAP names.
#[derive(Debug, Clone, PartialEq)]
pub struct Initialisation {
    /// As written in the playlist.
    pub uri: Arc<str>,
    /// The part of the file that it is.
    pub range: Option<Range>,
    /// How it is encrypted.
    pub encryption: Option<Encryption>,
}

impl Initialisation {
    fn of(map: &Map, sequence: u64) -> Self {
        let range = |range: crate::playlist::ByteRange| Range::new(range.offset.unwrap_or(0), range.length);
        Self {
            uri: Arc::clone(&map.uri),
            range: map.byte_range.and_then(range),
            encryption: map.key.as_ref().map(|key| Encryption::of(key, sequence)),
        }
    }
}

/// What a follower wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// [`Follower::next_segment`] has one.
    Segment,
    /// The playlist is to be loaded.
    Load,
    /// Nothing before this time.
    At(Duration),
    /// No new segment for too long: fail over.
    Stale,
    /// EXT-X-ENDLIST, and every segment was handed out.
    Ended,
}

#[derive(Debug)]
struct Waiting {
    request: SegmentRequest,
    not_before: Duration,
}

/// Follows one live media playlist.
#[derive(Debug)]
pub struct Follower {
    config: Config,
    waiting: VecDeque<Waiting>,
    /// The number of the next segment to take from a playlist.
    next: Option<u64>,
    /// The discontinuity sequence number of the last segment taken.
    discontinuities: Option<u64>,
    /// The next segment taken does not continue the one before.
    broken: bool,
    /// The next playlist is another one of the same stream.
    changing: bool,
    /// Segments that cannot be had since the last one taken.
    skipped: u64,
    /// The address of the last segment taken, and where its byte range ended.
    range_end: Option<(String, u64)>,
    /// Media handed out or skipped so far.
    covered: Duration,
    ended: bool,
    target: Option<Duration>,
    /// When the last new segment was seen, or the first playlist.
    advanced_at: Option<Duration>,
    /// When the last load was asked for, or failed.
    checked_at: Duration,
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
            discontinuities: None,
            broken: false,
            changing: false,
            skipped: 0,
            range_end: None,
            covered: Duration::ZERO,
            ended: false,
            target: None,
            advanced_at: None,
            checked_at: Duration::ZERO,
            reload_at: Duration::ZERO,
        }
    }

    /// Takes a freshly loaded playlist. `requested_at` is when its request was sent: reloads are counted from there.
    pub fn on_playlist(&mut self, playlist: &MediaPlaylist, requested_at: Duration, now: Duration) {
        let target = target_of(playlist);
        self.target = Some(target);
        self.renew_addresses(playlist);
        let advanced = self.take(playlist);
        self.changing = false;
        self.ended = playlist.ended;
        if advanced || self.advanced_at.is_none() {
            self.advanced_at = Some(now);
        }
        // RFC 8216 §6.3.4.
        let pause = if advanced { target } else { target / 2 };
        self.checked_at = requested_at;
        self.reload_at = requested_at.saturating_add(pause).max(now);
    }

    /// Whether the playlist last taken has an end: it began at the first segment then.
    #[must_use]
    pub fn has_end(&self) -> bool {
        self.ended
    }

    /// Takes a reload that failed; it is due again after half a target duration.
    pub fn on_reload_failed(&mut self, now: Duration) {
        self.checked_at = now;
        // One that never comes is stale in the end as well.
        self.advanced_at.get_or_insert(now);
        self.reload_at = now.saturating_add(self.target.map_or(FIRST_RETRY, |target| target / 2));
    }

    /// What is to be done at `now`.
    #[must_use]
    pub fn due(&self, now: Duration) -> Due {
        match self.waiting.front() {
            Some(front) if front.not_before <= now => return Due::Segment,
            // Its address may be another one by then.
            Some(_) if !self.ended && self.reload_at <= now => return Due::Load,
            Some(front) if self.ended => return Due::At(front.not_before),
            Some(front) => return Due::At(front.not_before.min(self.reload_at)),
            None if self.ended => return Due::Ended,
            None => {}
        }
        let stale_at = self
            .advanced_at
            .map(|since| since.saturating_add(self.stale_after()));
        match stale_at {
            // Only a look can tell: one that is due comes first.
            Some(at) if self.checked_at >= at || (now >= at && now < self.reload_at) => Due::Stale,
            _ if self.reload_at <= now => Due::Load,
            Some(at) if at > now => Due::At(self.reload_at.min(at)),
            _ => Due::At(self.reload_at),
        }
    }

    /// The next segment to fetch, where one is [due](Due::Segment); each is handed out once, but for those
    /// [given back](Self::on_segment_failed).
    pub fn next_segment(&mut self, now: Duration) -> Option<SegmentRequest> {
        if self.waiting.front()?.not_before > now {
            return None;
        }
        let request = self.waiting.pop_front()?.request;
        self.covered = self.covered.saturating_add(self.covers(&request));
        Some(request)
    }

    /// A segment could not be had. The first time it is to be asked for again after half a target duration: says
    /// whether it is. After that it is skipped.
    pub fn on_segment_failed(&mut self, mut request: SegmentRequest, now: Duration) -> bool {
        self.covered = self.covered.saturating_sub(self.covers(&request));
        if request.retries < RETRIES_MAX {
            request.retries += 1;
            let not_before = now.saturating_add(self.target.unwrap_or_default() / 2);
            self.waiting.push_front(Waiting { request, not_before });
            return true;
        }
        let missed = request.skipped.saturating_add(1);
        match self.waiting.front_mut() {
            Some(next) => {
                next.request.skipped = next.request.skipped.saturating_add(missed);
                next.request.discontinuity |= request.discontinuity;
            }
            None => {
                self.skipped = self.skipped.saturating_add(missed);
                self.broken |= request.discontinuity;
            }
        }
        false
    }

    /// The media that a segment and those missing before it stand for.
    fn covers(&self, request: &SegmentRequest) -> Duration {
        let missed = u32::try_from(request.skipped).unwrap_or(u32::MAX);
        let target = self.target.unwrap_or_default();
        target.saturating_mul(missed).saturating_add(request.duration)
    }

    /// The next playlist is that of another variant: it goes on at the segment of the same number, or, where numbers do
    /// not match, where one starts. It is to be loaded at once.
    pub fn change_playlist(&mut self) {
        if let Some(front) = self.waiting.front() {
            self.next = Some(front.request.sequence);
        }
        self.waiting.clear();
        self.broken = true;
        self.changing = true;
        self.discontinuities = None;
        self.range_end = None;
        self.reload_at = Duration::ZERO;
    }

    /// Media handed out so far, as the playlists say.
    #[must_use]
    pub const fn covered(&self) -> Duration {
        self.covered
    }

    /// The target duration, once a playlist was seen.
    #[must_use]
    pub const fn target(&self) -> Option<Duration> {
        self.target
    }

    fn stale_after(&self) -> Duration {
        let target = self.target.unwrap_or_default();
        target
            .saturating_mul(self.config.stale_target_durations)
            .max(self.config.stale_after_min)
    }

    /// Tokens in addresses die: what waits is asked for where the newest playlist says.
    fn renew_addresses(&mut self, playlist: &MediaPlaylist) {
        for waiting in &mut self.waiting {
            let request = &mut waiting.request;
            let place = request.sequence.checked_sub(playlist.media_sequence);
            let listed = place
                .and_then(|place| usize::try_from(place).ok())
                .and_then(|place| playlist.segments.get(place));
            if let Some(segment) = listed {
                request.uri.clone_from(&segment.uri);
                request.encryption = encryption(segment, request.sequence);
                request.initialisation = initialisation(segment, request.sequence);
            }
        }
    }

    /// Takes the new segments of `playlist`; whether there were any.
    fn take(&mut self, playlist: &MediaPlaylist) -> bool {
        let first = playlist.media_sequence;
        let Some((next, counts_anew)) = self.next_in(playlist) else {
            return false;
        };
        if counts_anew {
            self.broken = true;
            self.skipped = 0;
        } else if let Some(expected) = self.next {
            self.skipped = self.skipped.saturating_add(next.saturating_sub(expected));
        }
        let missed = self.next.is_some_and(|expected| expected != next);
        self.next = Some(next);
        let already = usize::try_from(next.saturating_sub(first)).unwrap_or(usize::MAX);
        let tags =
            |segments: &[Segment]| segments.iter().filter(|segment| segment.discontinuity).count() as u64;
        let before = playlist.segments.get(..already).unwrap_or(&playlist.segments);
        let mut discontinuities = playlist
            .discontinuity_sequence
            .map(|first| first.saturating_add(tags(before)));
        let mut advanced = false;
        for (segment, sequence) in playlist.segments.iter().skip(already).zip(next..=u64::MAX) {
            discontinuities =
                discontinuities.map(|number| number.saturating_add(u64::from(segment.discontinuity)));
            if missed && !advanced {
                // The tag may have been on one that was missed (RFC 8216 §6.2.2).
                let other = discontinuities.zip(self.discontinuities);
                self.broken |= other.is_some_and(|(now, before)| now != before);
            }
            advanced = true;
            self.take_segment(segment, sequence);
            self.discontinuities = discontinuities;
        }
        self.skip_beyond_bound(playlist.ended);
        advanced
    }

    fn take_segment(&mut self, segment: &Segment, sequence: u64) {
        self.next = Some(sequence.saturating_add(1));
        self.broken |= segment.discontinuity;
        let range = segment.byte_range.map(|range| {
            let before = self.range_end.as_ref().filter(|(uri, _)| *uri == segment.uri);
            let offset = range.offset.or(before.map(|(_, end)| *end));
            offset.and_then(|offset| Range::new(offset, range.length))
        });
        self.range_end = range
            .flatten()
            .map(|range| (segment.uri.clone(), range.last.saturating_add(1)));
        // One whose place in its file is unknown is as good as a gap.
        if segment.gap || range == Some(None) {
            self.skipped = self.skipped.saturating_add(1);
            return;
        }
        let request = SegmentRequest {
            uri: segment.uri.clone(),
            sequence,
            discontinuity: std::mem::take(&mut self.broken),
            skipped: std::mem::take(&mut self.skipped),
            duration: Duration::try_from_secs_f64(segment.duration).unwrap_or_default(),
            range: range.flatten(),
            encryption: encryption(segment, sequence),
            initialisation: initialisation(segment, sequence),
            retries: 0,
        };
        self.waiting.push_back(Waiting {
            request,
            not_before: Duration::ZERO,
        });
    }

    /// The number of the first segment to take, and whether the origin counts anew; `None` where the playlist holds
    /// nothing to go by.
    fn next_in(&self, playlist: &MediaPlaylist) -> Option<(u64, bool)> {
        let first = playlist.media_sequence;
        let length = u64::try_from(playlist.segments.len()).unwrap_or(u64::MAX);
        let end = first.saturating_add(length);
        if length == 0 {
            return None;
        }
        match self.next {
            // The last number there is was taken.
            Some(u64::MAX) if end == u64::MAX => None,
            None => Some((self.start(playlist), false)),
            Some(next) if self.changing && !(first..=end).contains(&next) => {
                Some((self.start(playlist), true))
            }
            // Back by more than the window: the origin was restarted and counts anew. Back by less is an old copy
            // from another edge server.
            Some(next) if next.saturating_sub(end) > length => Some((self.start(playlist), true)),
            Some(next) if first.saturating_sub(next) > MISSED_MAX => Some((self.start(playlist), true)),
            Some(next) if next > end => None,
            Some(next) => Some((next.max(first), false)),
        }
    }

    /// Where to start: far enough from the end that the next reload comes in time, at the start of what has ended.
    fn start(&self, playlist: &MediaPlaylist) -> u64 {
        if playlist.ended {
            return playlist.media_sequence;
        }
        let wanted = target_of(playlist).saturating_mul(START_TARGET_DURATIONS);
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
        let broken = self
            .waiting
            .drain(..surplus)
            .fold(false, |broken, waiting| broken | waiting.request.discontinuity);
        if let Some(front) = self.waiting.front_mut() {
            front.request.discontinuity |= broken;
            let surplus = u64::try_from(surplus).unwrap_or(u64::MAX);
            front.request.skipped = front.request.skipped.saturating_add(surplus);
        }
    }
}

/// The target duration, as far as it is believed.
fn target_of(playlist: &MediaPlaylist) -> Duration {
    let told = Duration::from_secs(playlist.target_duration.max(1)).min(TARGET_MAX);
    let durations = playlist.segments.iter().map(|segment| segment.duration);
    let longest = durations.fold(0.0, f64::max);
    let longest = Duration::try_from_secs_f64(longest).unwrap_or(TARGET_MAX);
    if longest.is_zero() {
        return told;
    }
    let most = longest.saturating_mul(TARGET_SEGMENTS_MAX);
    told.min(most.max(Duration::from_secs(1)))
}

fn encryption(segment: &Segment, sequence: u64) -> Option<Encryption> {
    segment.key.as_ref().map(|key| Encryption::of(key, sequence))
}

fn initialisation(segment: &Segment, sequence: u64) -> Option<Initialisation> {
    segment.map.as_ref().map(|map| Initialisation::of(map, sequence))
}

#[cfg(test)]
mod tests;
