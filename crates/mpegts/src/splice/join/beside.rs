//! What goes beside the pictures: sound, subtitles, data. Held until the pictures have entered, cut to fit where they
//! did, and kept from straying off on a time base of their own.

use super::hole::Hole;
use super::{Feed, GAP_90K, Join, Outgoing, PATIENCE_90K, WINDOW_90K};
use crate::packet::Pid;
use crate::splice::demux::InStream;
use crate::splice::mux::{Role, Stamps};
use crate::splice::unit::Unit;
use std::collections::VecDeque;

/// PES packets of sound and data kept while a picture to start with is awaited.
const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Sound steps back this far only on another time base; less is rounding.
const STEP_BACK_90K: i64 = 4_500;

impl Join {
    pub(super) fn other(
        &mut self,
        mut unit: Unit,
        last_chance: bool,
        out: &mut Outgoing<'_>,
    ) -> Option<Vec<u8>> {
        let Some(at) = self.feeds.iter().position(|feed| feed.source == unit.pid) else {
            return Some(unit.bytes);
        };
        let (Some(feed), Some(now)) = (self.feeds.get(at).copied(), out.mux.now()) else {
            return Some(unit.bytes);
        };
        let Some(pid) = feed.outgoing else {
            return Some(unit.bytes);
        };
        let Some(stamp) = unit.header.pts else {
            // Of sound it is the rest of what began in the packet before; text and data may have no time at all.
            let timeless = !unit.codec.is_audio();
            if (timeless || !feed.joining) && self.skip_until.is_none() {
                out.mux.send(pid, &mut unit.bytes, None, Role::OTHER);
            }
            return Some(unit.bytes);
        };
        let pts = self.timeline.unwrap(stamp);
        let sound = unit.codec.is_audio();
        let outgoing = self.timeline.outgoing(pts);
        let steps = feed
            .last
            .is_some_and(|last| pts - last > GAP_90K || last - pts > STEP_BACK_90K);
        let belongs = (outgoing - now.as_90k()).abs() <= WINDOW_90K;
        if (sound && steps && !last_chance) || !belongs {
            // Pictures from the new time base may follow.
            if !last_chance {
                self.held_since.get_or_insert(now.as_90k());
                self.hold(unit);
                return None;
            }
            return Some(unit.bytes);
        }
        if let Some(feed) = self.feeds.get_mut(at) {
            feed.last = Some(pts);
        }
        let Some(begins) = self.fit(&mut unit, feed, outgoing, out) else {
            return Some(unit.bytes);
        };
        if let Some(feed) = self.feeds.get_mut(at) {
            feed.joining = false;
        }
        if sound
            && feed.joining
            && let Some(hole) = Hole::find(pid, begins, out)
        {
            hole.fill(out);
        }
        if sound {
            let end = begins + unit.duration();
            out.mux.set_end(pid, end);
            if let Some(sound) = unit.sound() {
                out.mux.set_sound(pid, sound);
            }
        }
        let stamps = Stamps {
            pts: begins,
            dts: begins,
        };
        out.mux.send(pid, &mut unit.bytes, Some(stamps), Role::OTHER);
        Some(unit.bytes)
    }

    /// Where the unit begins after what was said or shown already is cut off; `None` when nothing is left of it.
    fn fit(&self, unit: &mut Unit, feed: Feed, begins: i64, out: &Outgoing<'_>) -> Option<i64> {
        let pid = feed.outgoing?;
        let last = out.mux.last(pid).map(|stamps| stamps.pts);
        if !feed.joining {
            return last
                .is_none_or(|last| begins > last || (begins == last && !unit.codec.is_audio()))
                .then_some(begins);
        }
        if unit.codec.is_audio() {
            let floor = self.entered_at.saturating_sub(unit.frame());
            let said = out.mux.end(pid).unwrap_or(floor);
            return unit.trim(begins, floor.max(said));
        }
        let fresh = begins >= self.entered_at && last.is_none_or(|last| begins > last);
        fresh.then_some(begins)
    }

    pub(super) fn hold(&mut self, unit: Unit) {
        self.held_bytes += unit.bytes.len();
        self.held.push_back(unit);
        while self.held_bytes > HELD_BYTES_MAX
            && let Some(dropped) = self.held.pop_front()
        {
            self.held_bytes -= dropped.bytes.len();
        }
    }

    /// What was held under another map may be something else under this one.
    pub(super) fn forget_held(&mut self, streams: &[InStream]) {
        let listed = |unit: &Unit| {
            let mut same = streams.iter().filter(|stream| stream.pid == unit.pid);
            same.any(|stream| stream.codec == unit.codec)
        };
        self.held.retain(listed);
        self.held_bytes = self.held.iter().map(|unit| unit.bytes.len()).sum();
    }

    fn take_held(&mut self) -> VecDeque<Unit> {
        self.held_bytes = 0;
        self.held_since = None;
        core::mem::take(&mut self.held)
    }

    /// The source has entered: what was held finds its place or does not.
    pub(super) fn release(&mut self, out: &mut Outgoing<'_>) {
        for unit in self.take_held() {
            self.other(unit, false, out);
        }
    }

    /// Sound that stepped away was not followed by the pictures: it is a gap of the sound's own.
    pub(super) fn reconsider(&mut self, out: &mut Outgoing<'_>) {
        let (Some(since), Some(now)) = (self.held_since, out.mux.now()) else {
            return;
        };
        if now.as_90k() - since > GAP_90K {
            for unit in self.take_held() {
                self.other(unit, true, out);
            }
        }
    }

    /// The map lists pictures, or another sound before this one, and none come: what does come leads, so that at least
    /// that is heard.
    pub(super) fn do_without_reference(&mut self, out: &mut Outgoing<'_>) {
        if self.video_seen || self.running {
            return;
        }
        let patience = if out.streams.iter().any(|stream| stream.codec.is_video()) {
            PATIENCE_90K
        } else {
            GAP_90K
        };
        let flows = |pid: Pid| {
            let of_it = self.held.iter().filter(|unit| unit.pid == pid);
            let mut stamps = of_it.filter_map(|unit| unit.header.pts);
            let ends = stamps.next().zip(stamps.next_back());
            ends.is_some_and(|(first, last)| last.distance_from(first) >= patience)
        };
        let leads = |stream: &InStream| stream.codec.is_audio() && flows(stream.pid);
        let Some(index) = out.streams.iter().position(leads) else {
            return;
        };
        let pid = out.streams.get(index).map(|stream| stream.pid);
        self.reference = Some(index);
        self.reference_pid = pid;
        for unit in self.take_held() {
            let at = out.streams.iter().position(|stream| stream.pid == unit.pid);
            if let Some(at) = at {
                self.unit(at, unit, out);
            }
        }
    }
}
