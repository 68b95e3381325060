//! The hole that a source leaves in the sounds where it breaks off: multiplexers send sound some tenths of a second
//! behind the pictures it belongs to, and what had not been sent is lost. Filled with silence, it is nothing that a
//! player has to get over: browsers stop at one, and players that go by the sound's clock stumble.

use super::{GAP_90K, Join, Outgoing};
use crate::clock::MediaTime;
use crate::es::Codec;
use crate::packet::Pid;
use crate::pes;
use crate::silence::{SilentFrame, silent_frame};
use crate::splice::mux::{Role, Stamps};

/// What no source has sent for longer is a sound that players have learned to do without.
const HOLE_MAX_90K: i64 = GAP_90K;

/// Nothing is sent longer before it is decoded: decoders' buffers hold a second (2.4.2.6), with some grace.
const AHEAD_MAX_90K: i64 = 81_000;

/// A sound that ends before the next source's begins.
pub(super) struct Hole {
    pid: Pid,
    codec: Codec,
    /// Where it ends.
    from: i64,
    /// Where the next source begins.
    until: i64,
    silence: SilentFrame,
}

impl Join {
    /// Fills what is missing of each sound that goes on up to where the source enters.
    pub(super) fn fill_holes(&self, out: &mut Outgoing<'_>) {
        let pids = self.feeds.iter().filter_map(|feed| feed.outgoing);
        let holes: Vec<Hole> = pids
            .filter_map(|pid| Hole::find(pid, self.entered_at, out))
            .collect();
        for hole in holes {
            hole.fill(out);
        }
    }
}

impl Hole {
    /// What is missing on `pid` up to `until`.
    pub(super) fn find(pid: Pid, until: i64, out: &Outgoing<'_>) -> Option<Self> {
        let promised = out
            .mux
            .signature()?
            .streams
            .iter()
            .find(|stream| stream.pid == pid)?;
        let format = promised.sound?;
        if until - out.mux.sources_end(pid)? > HOLE_MAX_90K {
            return None;
        }
        let from = out.mux.end(pid).filter(|from| *from < until)?;
        Some(Self {
            pid,
            codec: promised.codec,
            from,
            until,
            silence: silent_frame(promised.codec, format)?,
        })
    }

    /// Fills it, in whole frames, as far as decoders may have it by now.
    pub(super) fn fill(&self, out: &mut Outgoing<'_>) {
        let Some(clock) = out.mux.clock().last_90k() else {
            return;
        };
        let at = |frame: u64| self.from + self.silence.ticks(frame * u64::from(self.silence.samples.max(1)));
        let mut packet = Vec::new();
        for frame in 0.. {
            let (begins, ends) = (at(frame), at(frame + 1));
            if ends > self.until || begins - clock > AHEAD_MAX_90K {
                return;
            }
            // A decoder has no use for what is late.
            if begins < clock {
                continue;
            }
            let stamp = MediaTime::from_90k(begins).wrapped();
            pes::write(
                &mut packet,
                pes::stream_id(self.codec),
                (stamp, stamp),
                &self.silence.bytes,
            );
            let stamps = Stamps {
                pts: begins,
                dts: begins,
            };
            out.mux.send(self.pid, &mut packet, Some(stamps), Role::OTHER);
            out.mux.set_silent_until(self.pid, ends);
        }
    }
}
