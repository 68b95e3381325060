//! A broadcast cut into segments: whole transport packets in, immutable [`Segment`]s out (RFC 8216 clause 3).
//!
//! Here it is decided where to cut, what a segment is called and how long it is. Which segments a playlist lists, and
//! how long one that was removed is kept, is the [`Window`]'s; the text is [`crate::write`]'s.
//!
//! What comes in is one programme on one timeline, in which PES packets are never interleaved: a chunk that begins with
//! a keyframe begins behind whole PES packets of every stream, so that a cut there tears none apart and nothing has to
//! be put in another order. Sound that is heard before the cut and was sent after it stays behind it, as it does at
//! every keyframe of the stream itself.

mod live;
mod parameters;
mod sounds;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mpegts::es::PictureSize;
use mpegts::null::NULL_PACKET;
use mpegts::{Codec, PACKET_BYTES};

pub use live::{Form, Live};
use parameters::Parameters;
pub use sounds::{About, Rendition};
pub use window::{Bounds, Window};

/// 90 kHz ticks in a second (ISO 13818-1 clause 2.4.3.7).
pub(crate) const TICKS_PER_SECOND: u64 = 90_000;

/// How far behind EXT-X-TARGETDURATION a cut without a keyframe is made at the latest. EXTINF is compared rounded to the
/// nearest second (RFC 8216 clause 4.3.3.1), so that a keyframe which is hardly late is worth the wait.
const LATE_90K: u64 = 36_000;

/// EXTINF that is still rounded down to the target duration.
const ROUNDED_90K: u64 = 44_999;

/// Media of the first segment of all, at least, and of the first behind a silence: whoever waits for it waits for nothing
/// else.
const FIRST_90K: u64 = TICKS_PER_SECOND;

/// How much less media than time has passed in a segment, by which it is told that the source fell silent before another
/// one began: players have that much less left.
const SILENCE: Duration = Duration::from_secs(1);

/// How far the first segment of all may grow beyond the wanted duration without a second keyframe.
const FIRST_LATE_90K: u64 = 2 * TICKS_PER_SECOND;

/// Playlists are filled quickly, at first and behind a silence: until this many wanted durations are there, segments are
/// half as long.
const FILLED_TARGETS: u64 = 3;

/// A step in the decoding times that no stream's own makes: beyond it the timeline counts as another.
const STEP_90K: u64 = TICKS_PER_SECOND;

/// Media that is worth a segment though nothing follows it.
const CUT_NOW_90K: u64 = TICKS_PER_SECOND / 2;

/// Bytes of a file at least. VLC 3.0 that is out of media, and comes to the end of the playlist within the first packets of
/// a file, takes it for the end of the stream, for good: it does behind six packets, it does not behind eight, and reads 50
/// at once. Null packets count as well.
const FILE_BYTES_MIN: usize = 64 * PACKET_BYTES;

/// Bytes of one segment: past this it is cut wherever that can be done. 4 s at 130 Mbit/s.
const SEGMENT_BYTES_MAX: usize = 64 << 20;

/// Whole transport packets that came together.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// The packets.
    pub bytes: Bytes,
    /// The decoding time at which it begins, 90 kHz; never goes back.
    pub media_time_90k: u64,
    /// Counts the changes of codec.
    pub epoch: u32,
    /// Whether it begins with PAT, PMT and a random-access packet.
    pub keyframe: bool,
    /// Whether another source, or another stretch of the same one, begins with it.
    pub discontinuity: bool,
    /// Whether something before it is missing.
    pub skipped: bool,
}

/// What a decoder needs before the segments that name it: EXT-X-MAP (RFC 8216 clause 4.3.2.5).
#[derive(Debug, PartialEq, Eq)]
pub struct Map {
    /// The Media Sequence Number of the first segment that needs it.
    pub sequence: u64,
    /// The initialisation segment.
    pub bytes: Bytes,
}

/// One segment. It never changes.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Its Media Sequence Number.
    pub sequence: u64,
    /// Its Discontinuity Sequence Number: its own tag, where it has one, is counted.
    pub discontinuity_sequence: u64,
    /// Whether EXT-X-DISCONTINUITY stands before it.
    pub discontinuity: bool,
    /// Whether it begins with a keyframe.
    pub independent: bool,
    /// Whether nothing of it can be had: EXT-X-GAP (RFC 8216bis clause 4.4.4.7).
    pub gap: bool,
    /// Where it begins on the timeline, 90 kHz.
    pub start_90k: u64,
    /// Where the next one begins.
    pub end_90k: u64,
    /// The time of day of its first picture, since the Unix epoch.
    pub program_date_time: Duration,
    /// Its packets, shared with whoever else holds them.
    pub chunks: Vec<Bytes>,
    /// How many bytes these are.
    pub bytes: usize,
    /// What stands before it where it is no transport stream.
    pub map: Option<Arc<Map>>,
    /// Sounds beside the first, one for each rendition that there was when it was cut.
    pub sounds: Vec<Sound>,
    /// What is in it.
    pub contents: Contents,
}

/// A further sound of a segment, in a file of its own.
#[derive(Debug, Clone)]
pub struct Sound {
    /// What the source has; absent where another sound stands in.
    pub about: Option<About>,
    /// Its packets.
    pub chunks: Vec<Bytes>,
    /// How many bytes these are.
    pub bytes: usize,
    /// What stands before it where it is no transport stream.
    pub map: Option<Arc<Map>>,
    /// Whether nothing of it can be had.
    pub gap: bool,
}

impl Sound {
    /// Nothing of it.
    fn gap() -> Self {
        Self {
            about: None,
            chunks: Vec::new(),
            bytes: 0,
            map: None,
            gap: true,
        }
    }
}

/// What is in a segment, as far as its packets tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// How its pictures are coded.
    pub video: Option<Codec>,
    /// How large they are.
    pub picture: Option<PictureSize>,
    /// The first sound, where there are others.
    pub first: Option<About>,
    /// Its pictures as CODECS names them; nothing inside where they have no name that players know.
    pub pictures: Option<Option<String>>,
    /// What is in its main file as CODECS of a multivariant playlist names it; empty where a stream has no name that
    /// players know.
    pub codecs: Vec<String>,
}

impl Contents {
    /// Whether anything is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.video.is_some() || !self.codecs.is_empty()
    }
}

impl Segment {
    /// How long it plays, in 90 kHz ticks.
    #[must_use]
    pub fn duration_90k(&self) -> u64 {
        self.end_90k.saturating_sub(self.start_90k)
    }

    /// Whether there is enough in it for a playlist to end with it.
    fn may_be_last(&self) -> bool {
        self.duration_90k() >= CUT_NOW_90K
    }

    /// This and `next`, which goes on where it ends, as one.
    fn joined(mut self, next: Self) -> Self {
        self.end_90k = next.end_90k;
        self.chunks.extend(next.chunks);
        self.bytes += next.bytes;
        if next.contents.is_known() {
            self.contents = next.contents;
        }
        self
    }

    /// Makes up with null packets for what its files fall short of [`FILE_BYTES_MIN`].
    fn pad(&mut self) {
        if !self.may_be_last() {
            return;
        }
        pad(&mut self.chunks, &mut self.bytes);
        for sound in self.sounds.iter_mut().filter(|sound| !sound.gap) {
            pad(&mut sound.chunks, &mut sound.bytes);
        }
    }

    /// Bytes of all its files.
    #[must_use]
    pub fn bytes_in_all(&self) -> usize {
        self.bytes + self.sounds.iter().map(|sound| sound.bytes).sum::<usize>()
    }

    /// How long it plays.
    #[must_use]
    pub fn duration(&self) -> Duration {
        to_duration(self.duration_90k())
    }
}

/// Where numbers go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// The Media Sequence Number of the next segment.
    pub sequence: u64,
    /// The Discontinuity Sequence Number of the last one.
    pub discontinuity_sequence: u64,
    /// EXT-X-TARGETDURATION in seconds, where it is fixed: players that go on with a successor's playlist know it.
    pub target_duration: Option<u64>,
}

/// The segment being written.
#[derive(Debug)]
struct Open {
    /// Where it begins for the playlist: where the one before ended.
    start_90k: u64,
    epoch: u32,
    /// When its first chunk came, since the Unix epoch.
    came_at: Duration,
    independent: bool,
    /// Whether the file format or the timeline changed before it.
    breaks: bool,
    parameters: Parameters,
    chunks: Vec<Bytes>,
    bytes: usize,
    /// Where its last chunk begins.
    last_90k: u64,
    /// How long the chunk before that was.
    step_90k: u64,
}

/// Cuts one channel into segments.
#[derive(Debug)]
pub struct Segmenter {
    target_90k: u64,
    /// EXT-X-TARGETDURATION in seconds, once it is fixed.
    target_duration: Option<u64>,
    gop_longest_90k: u64,
    keyframe_at: Option<u64>,
    numbers: Numbers,
    open: Option<Open>,
    /// Where the last segment ended.
    end_90k: Option<u64>,
    /// Of the last segment.
    parameters: Option<Parameters>,
    /// The timeline changes before the next segment.
    breaks: bool,
    /// PAT and PMT as they were last sent.
    tables: Bytes,
    /// A time of day, and the media time that belongs to it.
    anchor: Option<(Duration, u64)>,
    /// What was cut last is handed out with what follows: a playlist that has just changed may not change again for half a
    /// target duration.
    holds: bool,
    /// Media that was cut since there was nothing to play.
    cut_90k: u64,
    longest_90k: u64,
    /// A segment that no playlist may end with, until it is known whether the next one goes on with it.
    scrap: Option<Segment>,
    ready: VecDeque<Segment>,
}

impl Segmenter {
    /// Segments of `target` at least, numbered from `numbers` on. `goes_on`: players may know an earlier part of the same
    /// channel, so that a discontinuity comes first.
    #[must_use]
    pub fn new(target: Duration, numbers: Numbers, goes_on: bool) -> Self {
        Self {
            target_90k: to_ticks(target).max(TICKS_PER_SECOND),
            target_duration: numbers.target_duration,
            gop_longest_90k: 0,
            keyframe_at: None,
            numbers,
            open: None,
            end_90k: None,
            parameters: None,
            breaks: goes_on,
            tables: Bytes::new(),
            anchor: None,
            holds: false,
            cut_90k: 0,
            longest_90k: 0,
            scrap: None,
            ready: VecDeque::new(),
        }
    }

    /// The next chunk, which came at `now`, counted from the Unix epoch.
    pub fn push(&mut self, chunk: &Chunk, now: Duration) {
        let at = chunk.media_time_90k;
        let parameters = chunk.keyframe.then(|| Parameters::read(&chunk.bytes));
        if chunk.keyframe {
            self.see_keyframe(chunk);
        }
        let behind_silence =
            chunk.discontinuity && self.open.as_ref().is_some_and(|open| open.fell_silent(now));
        match self.open.as_ref().map(|open| (open.end_90k(), open.epoch)) {
            Some((end, _)) if chunk.skipped => {
                self.close(end);
                self.breaks = true;
            }
            Some((_, epoch)) if epoch != chunk.epoch => {
                self.close(at);
                self.breaks = true;
            }
            Some(_) if self.cuts(chunk, parameters.as_ref()) => {
                if let (false, Some(keyframe)) = (chunk.keyframe, self.keyframe_at) {
                    // It is longer than this; how long, nobody knows yet.
                    self.gop_longest_90k = self.gop_longest_90k.max(at.saturating_sub(keyframe));
                }
                self.close(at);
            }
            Some(_) => {}
            None => self.breaks |= chunk.skipped,
        }
        if behind_silence {
            self.cut_90k = 0;
            // What plays for longer than that is no worse off by itself.
            let left = self.ready.back().map(Segment::duration_90k);
            self.holds = left.is_some_and(|left| left < self.target_90k / 2);
        }
        match &mut self.open {
            Some(open) => open.add(chunk),
            None => self.begin(chunk, parameters, now),
        }
    }

    /// Ends the segment being written though nothing follows it yet: a playlist must not stand still. What follows goes
    /// on where this one ends, and is cut sooner, as players have nothing left.
    pub fn cut_now(&mut self) {
        if let Some(open) = &self.open
            && let end = open.end_90k()
            && end.saturating_sub(open.start_90k) >= CUT_NOW_90K
        {
            self.close(end);
        }
        self.cut_90k = 0;
        self.holds = false;
    }

    /// The next segment that is finished, as `pack` leaves it: another container may be put around it, which may need a
    /// discontinuity. With the first one the target duration is fixed.
    pub fn take(&mut self, pack: impl FnOnce(&mut Segment)) -> Option<Segment> {
        if self.holds && self.ready.len() < 2 {
            return None;
        }
        let mut segment = self.ready.pop_front()?;
        if self.target_duration.is_none() {
            self.target_duration = Some(self.target_seconds());
        }
        pack(&mut segment);
        self.numbers.discontinuity_sequence += u64::from(segment.discontinuity);
        segment.discontinuity_sequence = self.numbers.discontinuity_sequence;
        Some(segment)
    }

    /// EXT-X-TARGETDURATION, in seconds: fixed with the first segment taken.
    #[must_use]
    pub fn target_duration(&self) -> Option<u64> {
        self.target_duration
    }

    /// Where the numbers of a successor go on.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        Numbers {
            target_duration: self.target_duration,
            ..self.numbers
        }
    }

    fn see_keyframe(&mut self, chunk: &Chunk) {
        let at = chunk.media_time_90k;
        if let Some(before) = self.keyframe_at.replace(at)
            && !chunk.skipped
            && !chunk.discontinuity
        {
            self.gop_longest_90k = self.gop_longest_90k.max(at.saturating_sub(before));
        }
    }

    /// What EXT-X-TARGETDURATION is, or would be were it fixed now.
    fn target_seconds(&self) -> u64 {
        self.target_duration.unwrap_or_else(|| {
            let longest = self.target_90k.max(2 * self.gop_longest_90k);
            longest.max(self.longest_90k).div_ceil(TICKS_PER_SECOND)
        })
    }

    /// Whether the segment being written ends before `chunk`.
    fn cuts(&self, chunk: &Chunk, parameters: Option<&Parameters>) -> bool {
        let Some(open) = &self.open else { return false };
        let elapsed = chunk.media_time_90k.saturating_sub(open.start_90k);
        let is_full = open.bytes + chunk.bytes.len() > SEGMENT_BYTES_MAX;
        if elapsed == 0 && !is_full {
            return false;
        }
        if let Some(parameters) = parameters {
            let another = chunk.discontinuity || open.parameters.shows_another_format(parameters);
            return another || is_full || elapsed >= self.wanted_90k() || self.next_is_late(elapsed);
        }
        let most = match self.target_duration {
            Some(seconds) => seconds * TICKS_PER_SECOND + LATE_90K,
            None if self.cut_90k == 0 => self.target_90k + FIRST_LATE_90K,
            None => self.target_seconds() * TICKS_PER_SECOND + LATE_90K,
        };
        (elapsed + open.step_90k > most || is_full) && parameters::begins_unit(&chunk.bytes)
    }

    /// The next keyframe, as far away as one was, would come when the segment is too long.
    fn next_is_late(&self, elapsed: u64) -> bool {
        elapsed + self.gop_longest_90k > self.target_seconds() * TICKS_PER_SECOND + LATE_90K
    }

    /// From here on a segment ends at the next keyframe.
    fn wanted_90k(&self) -> u64 {
        if self.cut_90k < FIRST_90K {
            FIRST_90K
        } else if self.cut_90k < FILLED_TARGETS * self.target_90k {
            self.target_90k / 2
        } else {
            self.target_90k
        }
    }

    fn begin(&mut self, chunk: &Chunk, parameters: Option<Parameters>, now: Duration) {
        // The very first one begins with a picture; afterwards nothing is left out.
        if self.end_90k.is_none() && !chunk.keyframe {
            return;
        }
        let at = chunk.media_time_90k;
        let start_90k = match self.end_90k {
            Some(end) if at.abs_diff(end) < STEP_90K => end,
            None => at,
            Some(_) => {
                self.breaks = true;
                at
            }
        };
        let has_tables = chunk.keyframe || parameters::begins_with_tables(&chunk.bytes);
        let mut open = Open {
            start_90k,
            epoch: chunk.epoch,
            came_at: now,
            independent: chunk.keyframe,
            breaks: std::mem::take(&mut self.breaks),
            parameters: parameters.unwrap_or_default(),
            chunks: Vec::new(),
            bytes: 0,
            last_90k: at,
            step_90k: 0,
        };
        if !has_tables && !self.tables.is_empty() {
            // Each segment says what is in it (RFC 8216 clause 3.2). A packet sent twice in a row with the same counter is
            // a duplicate, which a receiver leaves out (ISO 13818-1 clause 2.4.3.3).
            open.bytes += self.tables.len();
            open.chunks.push(self.tables.clone());
        }
        open.add(chunk);
        self.open = Some(open);
    }

    /// Times of day follow the media from here on; they never go back.
    fn set_anchor(&mut self, now: Duration, media_90k: u64) {
        let before = self.end_90k.map(|end| self.time_of_day(end));
        self.anchor = Some((before.map_or(now, |before| before.max(now)), media_90k));
    }

    fn time_of_day(&self, media_90k: u64) -> Duration {
        let Some((time, at)) = self.anchor else {
            return Duration::ZERO;
        };
        match media_90k.checked_sub(at) {
            Some(after) => time + to_duration(after),
            None => time.saturating_sub(to_duration(at - media_90k)),
        }
    }

    fn close(&mut self, end_90k: u64) {
        let Some(mut open) = self.open.take() else { return };
        // Media that falls short of the clock leaves a hole rather than a segment longer than was promised.
        let most = self
            .target_duration
            .map_or(u64::MAX, |seconds| seconds * TICKS_PER_SECOND + ROUNDED_90K);
        let mut end_90k = end_90k.max(open.start_90k + 1);
        if end_90k - open.start_90k > most {
            end_90k = open.start_90k + most;
            self.breaks = true;
        }
        open.parameters.hear(&open.chunks);
        let before = self.parameters.as_ref();
        let differs = before.is_some_and(|before| before.differ(&open.parameters));
        let goes_on = before.is_some_and(|before| before.goes_on_in(&open.parameters));
        let discontinuity = open.breaks || differs;
        if self.anchor.is_none() || discontinuity {
            self.set_anchor(open.came_at, open.start_90k);
        }
        if let Some(tables) = parameters::last_tables(&open.chunks) {
            self.tables = tables;
        }
        let segment = Segment {
            // As it is handed on.
            sequence: 0,
            discontinuity_sequence: 0,
            discontinuity,
            independent: open.independent,
            gap: false,
            start_90k: open.start_90k,
            end_90k,
            program_date_time: self.time_of_day(open.start_90k),
            chunks: open.chunks,
            bytes: open.bytes,
            map: None,
            sounds: Vec::new(),
            contents: open.parameters.contents(),
        };
        self.cut_90k += segment.duration_90k();
        self.parameters = Some(match self.parameters.take() {
            Some(before) => open.parameters.or(before),
            None => open.parameters,
        });
        self.end_90k = Some(end_90k);
        self.holds = false;
        self.hand_on(segment, goes_on && !discontinuity);
    }

    /// What is too short to be listed by itself becomes one segment with what follows it, where a decoder goes on
    /// (`goes_on`); it would not have been listed sooner.
    fn hand_on(&mut self, mut segment: Segment, goes_on: bool) {
        if let Some(scrap) = self.scrap.take() {
            let joined_90k = segment.end_90k.saturating_sub(scrap.start_90k);
            let most = self.target_seconds() * TICKS_PER_SECOND + ROUNDED_90K;
            let bytes = scrap.bytes + segment.bytes;
            if goes_on && joined_90k <= most && bytes <= SEGMENT_BYTES_MAX {
                segment = scrap.joined(segment);
            } else {
                self.number(scrap);
            }
        }
        // Whoever waits for the very first one waits for nothing else.
        if self.longest_90k > 0 && !segment.may_be_last() {
            self.scrap = Some(segment);
        } else {
            self.number(segment);
        }
    }

    fn number(&mut self, mut segment: Segment) {
        segment.sequence = self.numbers.sequence;
        self.numbers.sequence += 1;
        self.longest_90k = self.longest_90k.max(segment.duration_90k());
        self.ready.push_back(segment);
    }
}

impl Open {
    /// Where it ends if nothing follows.
    fn end_90k(&self) -> u64 {
        self.last_90k + self.step_90k
    }

    /// Whether its media falls short of the time since it began.
    fn fell_silent(&self, now: Duration) -> bool {
        let media = to_duration(self.end_90k().saturating_sub(self.start_90k));
        now.saturating_sub(self.came_at) >= media + SILENCE
    }

    fn add(&mut self, chunk: &Chunk) {
        let at = chunk.media_time_90k;
        if at > self.last_90k {
            self.step_90k = at - self.last_90k;
            self.last_90k = at;
        }
        self.bytes += chunk.bytes.len();
        self.chunks.push(chunk.bytes.clone());
    }
}

fn pad(chunks: &mut Vec<Bytes>, bytes: &mut usize) {
    static NULLS: [[u8; PACKET_BYTES]; FILE_BYTES_MIN / PACKET_BYTES] =
        [NULL_PACKET; FILE_BYTES_MIN / PACKET_BYTES];
    let missing = FILE_BYTES_MIN.saturating_sub(*bytes).div_ceil(PACKET_BYTES);
    if let Some(nulls) = NULLS.get(..missing).filter(|nulls| !nulls.is_empty()) {
        chunks.push(Bytes::from_static(nulls.as_flattened()));
        *bytes += missing * PACKET_BYTES;
    }
}

pub(crate) fn to_ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().saturating_mul(9) / 100).unwrap_or(u64::MAX)
}

pub(crate) fn to_duration(ticks_90k: u64) -> Duration {
    Duration::from_nanos(u64::try_from(u128::from(ticks_90k) * 100_000 / 9).unwrap_or(u64::MAX))
}
