//! A second video stream of the programme: another camera, a small picture. It follows the timeline of the first and
//! begins at a random-access point of its own, which has to bring its parameter sets. No decoder reset is made of that:
//! what few viewers choose may stand still for a moment where its source changes.

use super::{Join, Outgoing, WINDOW_90K, inspect, leads, presentation_delay};
use crate::es::Codec;
use crate::splice::mux::{Role, Stamps};
use crate::splice::unit::Unit;

impl Join {
    pub(super) fn second_video(&mut self, mut unit: Unit, out: &mut Outgoing<'_>) -> Option<Vec<u8>> {
        let access = inspect(&unit, &mut self.second_sets);
        let feed = self.feeds.iter_mut().find(|feed| feed.source == unit.pid);
        let (Some(feed), Some(now), true) = (feed, out.mux.now(), self.running) else {
            return Some(unit.bytes);
        };
        let Some(pid) = feed.outgoing else {
            return Some(unit.bytes);
        };
        let Some(stamp) = unit.header.decoding_time() else {
            // The rest of a picture that began in the packet before.
            if !feed.joining && feed.leading_until.is_none() && self.skip_until.is_none() {
                out.mux.send(pid, &mut unit.bytes, None, Role::OTHER);
            }
            return Some(unit.bytes);
        };
        let dts = self.timeline.unwrap(stamp);
        let pts = dts + presentation_delay(&unit, stamp);
        let last = out.mux.last(pid).map(|last| last.dts);
        let (decoded, shown) = (self.timeline.outgoing(dts), self.timeline.outgoing(pts));
        if (decoded - now.as_90k()).abs() > WINDOW_90K {
            return Some(unit.bytes);
        }
        if feed.joining {
            let fresh = shown >= self.entered_at && last.is_none_or(|last| decoded > last);
            let whole = access.parameter_sets || matches!(unit.codec, Codec::OtherVideo(_));
            if !(access.random_access && whole && fresh) {
                return Some(unit.bytes);
            }
            feed.joining = false;
            feed.leading_until = (!access.closed).then_some(pts);
        } else if let Some(until) = feed.leading_until {
            if dts >= until || access.random_access {
                feed.leading_until = None;
            } else if leads(&unit, access, pts, until) {
                return Some(unit.bytes);
            }
        }
        let decoded = last.map_or(decoded, |last| decoded.max(last + 1));
        let stamps = Stamps {
            pts: shown.max(decoded),
            dts: decoded,
        };
        if let (true, Some(picture)) = (access.parameter_sets, self.second_sets.picture()) {
            out.mux.set_picture(pid, picture);
        }
        let role = Role::Other {
            random_access: access.random_access,
        };
        out.mux.send(pid, &mut unit.bytes, Some(stamps), role);
        Some(unit.bytes)
    }
}
