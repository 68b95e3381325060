//! The wait for a new stream's first keyframe, beside what viewers see meanwhile.
//!
//! Lives here: the bytes that wait, and when a stream is beyond hope. Reading it, and what follows, is the driver's.

use std::time::{Duration, Instant};

use mpegts::{Signature, Splicer};

use crate::{Failure, FailureClass, Input};

/// Bytes an upstream may deliver before its first keyframe; a 10 s GOP at 20 Mbit/s is 25 MB, the cap of the wait for
/// a keyframe (5 s of media) makes this ample.
const AUDITION_BYTES_MAX: usize = 16 << 20;

/// How long a stream whose programme flows may take to its first keyframe: the splice enters at any picture after 10 s
/// of media, and arrival may jitter by a second or two.
const KEYFRAME_WITHIN: Duration = Duration::from_secs(12);

/// Times the packet grid may be lost before the first keyframe.
const SYNC_LOSSES_MAX: u64 = 50;

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
        self.understood()
            .then(|| (now + stall_behind).min(self.opened + KEYFRAME_WITHIN))
    }

    /// Its programme is known: what it sends can be read.
    pub(crate) fn understood(&self) -> bool {
        !self.scratch.source().programme.is_empty()
    }

    /// The streams it brings, as far as they are known.
    pub(crate) fn signature(&self) -> Option<&Signature> {
        self.scratch.signature()
    }

    /// Why it has nothing to show when its time is over.
    pub(crate) fn late(&self) -> Failure {
        let source = self.scratch.source();
        let text = if self.bytes == 0 {
            "connected, but nothing came in time"
        } else if source.packets == 0 {
            "connected, but what came is no transport stream"
        } else if !source.pat_seen {
            "connected, but no programme table (PAT) came in time"
        } else if source.programme.is_empty() {
            "connected, but no programme map (PMT) came in time"
        } else {
            "connected, but no picture to start with came in time"
        };
        Failure::new(FailureClass::Transient, text)
    }

    pub(crate) fn hopeless(&self) -> Option<Failure> {
        let unusable = |text: &str| Some(Failure::new(FailureClass::Unusable, text));
        if let Some(why) = self.scratch.source().unusable() {
            return unusable(&why.to_string());
        }
        if self.bytes > AUDITION_BYTES_MAX {
            return unusable("no keyframe in 16 MiB");
        }
        if self.scratch.source().sync_losses > SYNC_LOSSES_MAX {
            return unusable("what came is no steady transport stream: the packets are lost again and again");
        }
        None
    }
}
