//! The wait for a new stream's first keyframe, beside what viewers see meanwhile.
//!
//! Lives here: the bytes that wait, and when a stream is beyond hope. Reading it, and what follows, is the driver's.

use std::time::{Duration, Instant};

use mpegts::Splicer;

use crate::{Failure, FailureClass, Input};

/// Bytes an upstream may deliver before its first keyframe; a 10 s GOP at 20 Mbit/s is 25 MB, the cap of the wait for
/// a keyframe (5 s of media) makes this ample.
const AUDITION_BYTES_MAX: usize = 16 << 20;

/// How long a stream whose programme flows may take to its first keyframe: the splice enters at any picture after 10 s
/// of media, and arrival may jitter by a second or two.
const KEYFRAME_WITHIN: Duration = Duration::from_secs(12);

/// A stream that is open but whose first keyframe has not come. Its bytes wait here, so that what viewers see goes on
/// until the very moment the new stream can take over.
#[derive(Debug)]
pub(crate) struct Audition<U> {
    upstream: U,
    scratch: Splicer,
    /// All bytes since the source last began: one buffer, as the pieces it came in may be tiny.
    waiting: Vec<u8>,
    bytes: usize,
    opened: Instant,
}

impl<U> Audition<U> {
    pub(crate) fn new(upstream: U, now: Instant) -> Self {
        Self {
            upstream,
            scratch: Splicer::new(),
            waiting: Vec::new(),
            bytes: 0,
            opened: now,
        }
    }

    pub(crate) fn upstream(&mut self) -> &mut U {
        &mut self.upstream
    }

    /// The upstream, and all that is to be shown of it so far.
    pub(crate) fn into_parts(self) -> (U, Vec<u8>) {
        (self.upstream, self.waiting)
    }

    /// Keeps the input and says whether what was kept can be shown. A restart is not kept: the caller passes it on
    /// when the turn that ends with it can be shown.
    pub(crate) fn take(&mut self, input: &Input) -> bool {
        match input {
            Input::Bytes(bytes) => {
                self.bytes += bytes.len();
                self.waiting.extend_from_slice(bytes);
                self.scratch.push(bytes);
                self.scratch.take().is_some()
            }
            Input::Restart => {
                self.scratch.end_source();
                let entered = self.scratch.take().is_some();
                if !entered {
                    self.scratch.begin_source();
                    self.waiting.clear();
                }
                entered
            }
        }
    }

    /// Until when a picture may be awaited: as long as a programme flows, longer than a stream that says nothing.
    pub(crate) fn patience(&self, now: Instant, stall_behind: Duration) -> Option<Instant> {
        let flows = !self.scratch.source().programme.is_empty();
        flows.then(|| (now + stall_behind).min(self.opened + KEYFRAME_WITHIN))
    }

    pub(crate) fn hopeless(&self) -> Option<Failure> {
        let unusable = |text: &str| Some(Failure::new(FailureClass::Unusable, text));
        if let Some(why) = self.scratch.source().unusable() {
            return unusable(&why.to_string());
        }
        if self.bytes > AUDITION_BYTES_MAX {
            return unusable("no keyframe in 16 MiB");
        }
        None
    }
}
