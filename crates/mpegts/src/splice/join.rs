//! Joining a source to the outgoing timeline: where it enters, what is held or cut to fit, and what counts as a jump.

mod beside;
mod hole;
mod second_video;

use super::cue;
use super::demux::{InStream, WholePes};
use super::mux::{Mux, Role, Stamps};
use super::report::SourceReport;
use super::timeline::{Step, Timeline};
use super::unit::Unit;
use crate::clock::{MediaTime, Pcr27m, Pts90k};
use crate::es::{self, Access, Codec, DecoderReset, Kind, ParameterSets};
use crate::packet::Pid;
use crate::pes::{self, PesHeader};
use std::collections::VecDeque;

/// Where the outgoing timeline begins: late enough that the clock before it is positive.
const BASE_90K: i64 = 900_000;

/// After this much of the source without a random-access point any intra picture will do, and after twice as much
/// anything: groups of pictures of 10 s exist, and a bad picture is better than none.
const PATIENCE_90K: i64 = 450_000;

/// A step of a sound's stamps beyond this is another time base, which the pictures will follow in a moment, or a gap.
const GAP_90K: i64 = 90_000;

/// Farther from the pictures than this nothing belongs to them.
const WINDOW_90K: i64 = 900_000;

/// How often a programme without pictures offers an entry: every unit is one, and each costs a pair of tables.
const SOUND_ENTRY_90K: i64 = 45_000;

/// What the join works with besides itself.
pub(super) struct Outgoing<'a> {
    pub(super) streams: &'a [InStream],
    pub(super) mux: &'a mut Mux,
    pub(super) report: &'a mut SourceReport,
}

/// The present source on its way to the outgoing timeline, and the memory of the one before.
#[derive(Debug, Default)]
pub(super) struct Join {
    running: bool,
    ended: bool,
    timeline: Timeline,
    previous: Option<Previous>,
    /// The index of the stream that time is measured by.
    reference: Option<usize>,
    reference_pid: Option<Pid>,
    sets: ParameterSets,
    second_sets: ParameterSets,
    /// How much of the source has gone by without an entry.
    waited_90k: i64,
    video_seen: bool,
    clock: Option<Pcr27m>,
    feeds: Vec<Feed>,
    /// The last picture, when its end may be missing.
    doubtful: Option<Unit>,
    held: VecDeque<Unit>,
    held_bytes: usize,
    held_since: Option<i64>,
    /// Up to this time of the source everything was sent by the connection before.
    skip_until: Option<i64>,
    /// Presentation time of the first picture: what shows before it cannot be decoded.
    leading_until: Option<i64>,
    /// Where on our timeline the source entered.
    entered_at: i64,
    /// The end of the last picture on our timeline.
    shown_until: i64,
    /// How long a picture lasted last.
    unit_90k: i64,
    keyframe_at: i64,
    /// The next picture sent is the first of its source behind pictures of another.
    enters_behind: bool,
    /// What the pictures since then need to fit.
    reset: Option<DecoderReset>,
    /// Pictures made to reset decoders so far.
    resets: u8,
}

#[derive(Debug)]
struct Previous {
    timeline: Timeline,
    reset: Option<DecoderReset>,
    streams: Vec<(Pid, Codec)>,
}

/// Where one stream of the source goes.
#[derive(Clone, Copy, Debug)]
struct Feed {
    source: Pid,
    outgoing: Option<Pid>,
    /// Nothing of it was sent since the entry.
    joining: bool,
    /// Its last stamp, as the source counts.
    last: Option<i64>,
    /// Of a second video stream: presentation time of its first picture.
    leading_until: Option<i64>,
}

/// A unit of the reference stream with all that was found out about it.
struct Picture {
    unit: Unit,
    access: Access,
    dts: i64,
    pts: i64,
}

/// How long after it was decoded the unit is shown. What no buffer can hold is a broken stamp, and must not carry the
/// timeline off with it.
fn presentation_delay(unit: &Unit, decoded: Pts90k) -> i64 {
    let delay = unit.header.pts.map_or(0, |pts| pts.distance_from(decoded));
    if (0..=WINDOW_90K).contains(&delay) {
        delay
    } else {
        0
    }
}

/// What the unit is to somebody who wants to start with it.
fn inspect(unit: &Unit, sets: &mut ParameterSets) -> Access {
    let start = Access {
        random_access: true,
        intra: true,
        closed: true,
        ..Access::default()
    };
    match unit.codec {
        Codec::OtherVideo(_) if unit.random_access => Access {
            closed: false,
            ..start
        },
        codec if codec.is_video() => es::inspect(codec, unit.es(), sets),
        _ => start,
    }
}

/// Whether a picture behind a random-access point shown at `until` needs what stood before that point.
fn leads(unit: &Unit, access: Access, pts: i64, until: i64) -> bool {
    match unit.codec {
        Codec::Hevc => access.skipped_leading,
        _ => pts < until,
    }
}

impl Join {
    pub(super) fn begin_source(&mut self, streams: &[InStream]) {
        let pids = streams.iter().map(|stream| (stream.pid, stream.codec)).collect();
        let timeline = core::mem::take(&mut self.timeline);
        let previous = match (self.ended, self.running) {
            (true, _) => None,
            (false, true) => Some(Previous {
                timeline,
                reset: self.reset.take(),
                streams: pids,
            }),
            // A connection that brought nothing does not make us forget the one before.
            (false, false) => self.previous.take(),
        };
        *self = Self {
            previous,
            shown_until: self.shown_until,
            unit_90k: self.unit_90k,
            keyframe_at: self.keyframe_at,
            resets: self.resets,
            ..Self::default()
        };
    }

    pub(super) fn end_source(&mut self) {
        self.ended = true;
    }

    /// The source's programme map is new or lists other streams.
    pub(super) fn programme(&mut self, out: &mut Outgoing<'_>) {
        let first = |kind| out.streams.iter().position(|stream| stream.codec.kind() == kind);
        self.reference = first(Kind::Video).or_else(|| first(Kind::Audio));
        let pid = self
            .reference
            .and_then(|index| out.streams.get(index))
            .map(|stream| stream.pid);
        let same = pid == self.reference_pid;
        self.reference_pid = pid;
        self.doubtful = None;
        self.forget_held(out.streams);
        if self.running && same && !out.mux.breaks_promise(out.streams) {
            self.map_streams(out);
        } else {
            self.wait_again();
        }
    }

    /// The source's programme clock.
    pub(super) fn clock(&mut self, value: Pcr27m, flagged: bool, out: &mut Outgoing<'_>) {
        self.clock = Some(value);
        if flagged {
            self.timeline.flag();
        }
        if let (true, Some(now)) = (self.running && self.skip_until.is_none(), out.mux.now()) {
            let moved = self.timeline.outgoing_clock(value);
            out.mux.clock().observe(moved, now);
        }
    }

    /// A PES packet is complete. Gives its buffer back when it is not needed any more.
    pub(super) fn pes(&mut self, whole: WholePes, out: &mut Outgoing<'_>) -> Option<Vec<u8>> {
        let WholePes {
            stream: index,
            bytes,
            random_access,
            doubtful,
        } = whole;
        let stream = out.streams.get(index)?;
        let Some(header) = PesHeader::parse(&bytes) else {
            out.report.damaged_pes += 1;
            return Some(bytes);
        };
        let unit = Unit {
            pid: stream.pid,
            codec: stream.codec,
            bytes,
            header,
            random_access,
            doubtful,
        };
        if self.reference != Some(index) {
            return self.unit(index, unit, out);
        }
        self.settle_doubt(index, &unit, out);
        if unit.doubtful {
            self.doubtful = Some(unit);
            return None;
        }
        self.unit(index, unit, out)
    }

    /// A section of splice information is complete: its times move with everything else.
    pub(super) fn section(&self, index: usize, mut bytes: Vec<u8>, out: &mut Outgoing<'_>) {
        let stream = out
            .streams
            .get(index)
            .filter(|_| self.running && self.skip_until.is_none());
        let Some(pid) = stream.and_then(|stream| self.outgoing_pid(stream.pid)) else {
            return;
        };
        if cue::shift(&mut bytes, self.timeline.offset()) {
            out.mux.send_section(pid, &bytes);
        }
    }

    /// A picture whose end may be missing counts as whole when the next one follows it on the same timeline, as it
    /// does where a packager restarts its counters; before a jump it was cut off.
    fn settle_doubt(&mut self, index: usize, next: &Unit, out: &mut Outgoing<'_>) {
        let Some(doubtful) = self.doubtful.take() else {
            return;
        };
        let step = next.header.decoding_time().zip(doubtful.header.decoding_time());
        if step.is_some_and(|(next, last)| (0..=GAP_90K).contains(&next.distance_from(last))) {
            self.unit(index, doubtful, out);
        } else {
            out.report.damaged_pes += 1;
        }
    }

    fn unit(&mut self, index: usize, unit: Unit, out: &mut Outgoing<'_>) -> Option<Vec<u8>> {
        if self.reference == Some(index) {
            self.reference_unit(unit, out)
        } else if unit.codec.is_video() {
            self.late_video(index, unit, out)
        } else if self.running {
            self.other(unit, false, out)
        } else {
            self.hold(unit);
            self.do_without_reference(out);
            None
        }
    }

    fn reference_unit(&mut self, unit: Unit, out: &mut Outgoing<'_>) -> Option<Vec<u8>> {
        let access = inspect(&unit, &mut self.sets);
        self.video_seen |= unit.codec.is_video();
        let Some(stamp) = unit.header.decoding_time() else {
            // The rest of a picture that began in the packet before.
            let mut unit = unit;
            let wanted = self.running && self.skip_until.is_none() && self.leading_until.is_none();
            if let (true, Some(pid)) = (wanted, self.outgoing_pid(unit.pid)) {
                self.reset(&mut unit, false);
                out.mux
                    .send(pid, &mut unit.bytes, None, Role::Reference { keyframe: false });
            }
            return Some(unit.bytes);
        };
        if !self.running {
            self.recognise(&unit, out);
        }
        let dts = self.timeline.unwrap(stamp);
        let pts = dts + presentation_delay(&unit, stamp);
        let picture = Picture {
            unit,
            access,
            dts,
            pts,
        };
        if self.running {
            self.follow(picture, out)
        } else {
            self.wait(picture, out)
        }
    }

    /// Joins a source that replays what was sent already, without repeating it.
    fn recognise(&mut self, unit: &Unit, out: &mut Outgoing<'_>) {
        let Some(stamp) = unit.header.decoding_time() else {
            return;
        };
        let pids = out.streams.iter().map(|stream| (stream.pid, stream.codec));
        let known = self.previous.as_ref().is_some_and(|previous| {
            previous.timeline.knows(stamp, unit.es()) && pids.eq(previous.streams.iter().copied())
        });
        if !known || out.mux.breaks_promise(out.streams) {
            return;
        }
        let Some(previous) = self.previous.take() else {
            return;
        };
        self.timeline = previous.timeline;
        self.reset = previous.reset;
        self.skip_until = self.timeline.last();
        self.running = true;
        self.entered_at = i64::MIN / 2;
        out.report.rejoined = true;
        self.map_streams(out);
        self.release(out);
    }

    /// Awaits a picture to start with.
    fn wait(&mut self, picture: Picture, out: &mut Outgoing<'_>) -> Option<Vec<u8>> {
        let own = picture.unit.header.dts.is_some();
        if self.timeline.step(picture.dts, own) == Step::Follows {
            self.waited_90k += self.timeline.last().map_or(0, |last| (picture.dts - last).max(0));
            self.timeline.advance(picture.dts);
        } else {
            self.timeline.restart(Some(picture.dts));
        }
        let good_enough = picture.access.random_access
            || (self.waited_90k >= PATIENCE_90K && picture.access.intra)
            || self.waited_90k >= 2 * PATIENCE_90K;
        if !good_enough {
            return Some(picture.unit.bytes);
        }
        let stamp = MediaTime::from_90k(picture.dts).wrapped();
        if self.timeline.knows(stamp, picture.unit.es()) {
            out.report.repeats += 1;
        }
        self.enter(&picture, out);
        let buffer = self.send(picture, true, out);
        self.release(out);
        buffer
    }

    /// Fixes where the source stands on our timeline: one offset for all its streams.
    fn enter(&mut self, picture: &Picture, out: &mut Outgoing<'_>) {
        let same_form = !out.mux.breaks_promise(out.streams);
        self.feeds.clear();
        self.map_streams(out);
        let joins_at = out.mux.now().map_or(BASE_90K, |now| {
            // Neither decoded nor shown before the last picture is over: the two orders may differ.
            let decoded = now.as_90k() + self.unit_90k.max(1);
            let mut shown = self.shown_until;
            if picture.unit.codec.is_audio() {
                let heard = self
                    .outgoing_pid(picture.unit.pid)
                    .and_then(|pid| out.mux.end(pid));
                shown = shown.max(heard.unwrap_or(shown));
            }
            decoded.max(shown - (picture.pts - picture.dts))
        });
        self.timeline.join(picture.dts, joins_at);
        self.entered_at = self.timeline.outgoing(picture.pts);
        if same_form {
            self.fill_holes(out);
        }
        out.mux.mark_discontinuity();
        let natural = self.clock.map(|clock| self.timeline.outgoing_clock(clock));
        out.mux.clock().enter(MediaTime::from_90k(joins_at), natural);
        self.leading_until = (!picture.access.closed).then_some(picture.pts);
        let pid = self.outgoing_pid(picture.unit.pid);
        self.enters_behind = pid.is_some_and(|pid| out.mux.last(pid).is_some());
        self.running = true;
        self.waited_90k = 0;
        self.previous = None;
        out.report.entered = true;
    }

    /// The next picture of a source that has entered.
    fn follow(&mut self, picture: Picture, out: &mut Outgoing<'_>) -> Option<Vec<u8>> {
        if self.skip_until.is_some_and(|until| picture.dts <= until) {
            let stamp = MediaTime::from_90k(picture.dts).wrapped();
            if self.timeline.knows(stamp, picture.unit.es()) {
                return Some(picture.unit.bytes);
            }
            // One picture was the same and this one is not: another source after all.
            out.report.rejoined = false;
            self.wait_again();
            self.timeline = Timeline::default();
            return self.wait(picture, out);
        }
        self.skip_until = None;
        if self.timeline.step(picture.dts, picture.unit.header.dts.is_some()) == Step::Jumps {
            out.report.timeline_jumps += 1;
            self.wait_again();
            self.timeline.restart(Some(picture.dts));
            return self.wait(picture, out);
        }
        out.report.entered = true;
        if let Some(until) = self.leading_until {
            if picture.dts >= until || picture.access.random_access {
                self.leading_until = None;
            } else if leads(&picture.unit, picture.access, picture.pts, until) {
                self.timeline.advance(picture.dts);
                return Some(picture.unit.bytes);
            }
        }
        let due = picture.unit.codec.is_video()
            || self.timeline.outgoing(picture.dts) - self.keyframe_at >= SOUND_ENTRY_90K;
        let keyframe = picture.access.random_access && due;
        let buffer = self.send(picture, keyframe, out);
        self.reconsider(out);
        buffer
    }

    fn send(&mut self, picture: Picture, keyframe: bool, out: &mut Outgoing<'_>) -> Option<Vec<u8>> {
        let Picture {
            mut unit,
            access,
            dts,
            pts,
        } = picture;
        self.timeline.remember(dts, unit.es());
        self.timeline.advance(dts);
        let Some(pid) = self.outgoing_pid(unit.pid) else {
            return Some(unit.bytes);
        };
        self.unit_90k = if unit.codec.is_audio() {
            unit.duration()
        } else {
            self.timeline.unit()
        };
        if let (true, Some(picture)) = (keyframe, self.sets.picture()) {
            out.mux.set_picture(pid, picture);
        }
        if let Some(sound) = unit.sound() {
            out.mux.set_sound(pid, sound);
        }
        if keyframe && access.random_access && !access.parameter_sets && !self.sets.bytes().is_empty() {
            unit.insert_parameter_sets(self.sets.bytes());
        }
        self.reset(&mut unit, true);
        let (mut dts, mut pts) = (self.timeline.outgoing(dts), self.timeline.outgoing(pts));
        if unit.header.dts.is_some() || unit.codec.is_audio() {
            // Two units decoded at the same time are a rounding error of the source's.
            dts = out.mux.last(pid).map_or(dts, |last| dts.max(last.dts + 1));
            pts = pts.max(dts);
        }
        if keyframe {
            self.keyframe_at = dts;
        }
        self.shown_until = self.shown_until.max(pts + self.unit_90k);
        out.mux.send(
            pid,
            &mut unit.bytes,
            Some(Stamps { pts, dts }),
            Role::Reference { keyframe },
        );
        out.mux.set_end(pid, pts + self.unit_90k);
        Some(unit.bytes)
    }

    /// Makes the picture one at which decoders begin anew, where it follows those of another source, and those behind
    /// it fit; `begins` tells a picture from the rest of one.
    fn reset(&mut self, unit: &mut Unit, begins: bool) {
        let at = unit.header.payload_at;
        let entered = core::mem::take(&mut self.enters_behind);
        if entered {
            let sets = self.sets.bytes();
            self.reset = DecoderReset::enter(unit.codec, &mut unit.bytes, at, sets, self.resets);
            self.resets = self.resets.wrapping_add(1);
        } else if let Some(reset) = &mut self.reset {
            if !reset.follow(&mut unit.bytes, at, begins) {
                self.reset = None;
            }
        } else {
            return;
        }
        if unit.header.packet_bytes.is_some() {
            pes::rewrite_length(&mut unit.bytes);
        }
    }

    /// Pictures that do not lead: of a second stream, or the first ones, when sound took the lead in their absence.
    fn late_video(&mut self, index: usize, unit: Unit, out: &mut Outgoing<'_>) -> Option<Vec<u8>> {
        let led_by_sound = self
            .reference
            .and_then(|at| out.streams.get(at))
            .is_some_and(|stream| stream.codec.is_audio());
        if !led_by_sound {
            return self.second_video(unit, out);
        }
        let access = inspect(&unit, &mut self.sets);
        self.video_seen = true;
        let (true, true, Some(stamp)) = (self.running, access.random_access, unit.header.decoding_time())
        else {
            return Some(unit.bytes);
        };
        let dts = self.timeline.unwrap(stamp);
        let pts = dts + presentation_delay(&unit, stamp);
        let behind = out.mux.now().map_or(0, MediaTime::as_90k) - self.timeline.outgoing(dts);
        // Pictures of the source before may have been decoded up to here.
        let last = self.outgoing_pid(unit.pid).and_then(|pid| out.mux.last(pid));
        let fresh = last.is_none_or(|last| self.timeline.outgoing(dts) > last.dts);
        if behind.abs() > WINDOW_90K || !fresh {
            return Some(unit.bytes);
        }
        self.reference = Some(index);
        self.reference_pid = Some(unit.pid);
        self.timeline.restart(Some(dts));
        self.leading_until = (!access.closed).then_some(pts);
        self.enters_behind = last.is_some();
        self.send(
            Picture {
                unit,
                access,
                dts,
                pts,
            },
            true,
            out,
        )
    }

    fn map_streams(&mut self, out: &mut Outgoing<'_>) {
        let map = out.mux.promise(out.streams);
        let old = core::mem::take(&mut self.feeds);
        for (stream, outgoing) in out.streams.iter().zip(map) {
            let fresh = Feed {
                source: stream.pid,
                outgoing,
                joining: true,
                last: None,
                leading_until: None,
            };
            let known = old
                .iter()
                .find(|feed| feed.source == stream.pid && feed.outgoing == outgoing);
            self.feeds.push(known.copied().unwrap_or(fresh));
        }
    }

    /// Whether the source has a stream for this outgoing PID; if so, whether any of it was sent.
    pub(super) fn brings(&self, outgoing: Pid) -> Option<bool> {
        let feed = self.feeds.iter().find(|feed| feed.outgoing == Some(outgoing))?;
        Some(!feed.joining || self.reference_pid == Some(feed.source))
    }

    fn outgoing_pid(&self, source: Pid) -> Option<Pid> {
        self.feeds
            .iter()
            .find(|feed| feed.source == source)
            .and_then(|feed| feed.outgoing)
    }

    fn wait_again(&mut self) {
        self.running = false;
        self.waited_90k = 0;
        self.skip_until = None;
        self.leading_until = None;
        self.held_since = None;
        self.reset = None;
    }
}
