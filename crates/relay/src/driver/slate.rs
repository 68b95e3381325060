//! What a broadcast shows while no source delivers. When it does is decided in [`crate::broadcast`].

use std::time::{Duration, Instant};

use mpegts::slate::Message;
use tracing::warn;

use super::{Driver, now};
use crate::pace::Pace;
use crate::viewer::Over;
use crate::{Failure, FailureClass, Opener};

/// How far the slate is written ahead of the wall clock: enough for a player to play on, little enough for a source
/// that returns to be seen at once.
const SLATE_AHEAD: Duration = Duration::from_millis(1_000);

/// Media of a slate within which something must have been shown of it: otherwise it would be written for ever.
const SLATE_SHOWS_WITHIN: Duration = Duration::from_secs(4);

/// When more of it is to be written.
pub(super) fn fed_again_at(pace: &Pace) -> Instant {
    pace.ahead_until(SLATE_AHEAD * 3 / 4)
}

impl<O: Opener> Driver<O> {
    pub(super) fn start_slate(&mut self, message: Message) {
        // What was begun as a transport stream goes on as one; only a response that has not begun can become a file.
        if self.is_file && self.pace.is_none() {
            self.end(Over::File);
            return;
        }
        self.end_slate();
        let promised = self.splicer.signature();
        let Some(slate) = self.opener.slate(&self.key, message, promised) else {
            return;
        };
        warn!(
            viewers = self.viewers.len(),
            message = message.as_str(),
            "no source delivers; showing the slate and trying on"
        );
        self.splicer.begin_source();
        if let Some(pace) = &mut self.pace {
            pace.resume(now());
        }
        self.slate = Some(slate);
    }

    /// What was shown of the slate ends where it meant to; what follows is no replay of it.
    pub(super) fn end_slate(&mut self) {
        if self.slate.take().is_some() {
            self.splicer.end_source();
            self.drain(now());
        }
    }

    /// Without a slate, viewers wait as long as a stream is being opened; when none is left to try, it is over.
    pub(super) fn end_if_hopeless(&mut self) {
        let waiting = self.slate.is_some() || self.decisions.stream().is_some();
        if self.decisions.slate().is_some() && !waiting && !self.finished {
            let failure = Failure::new(FailureClass::Transient, "no source of this channel answers");
            self.end(Over::Unavailable(failure));
        }
    }

    /// Writes the slate in real time, a little ahead of the clock, on the channel's own timeline.
    pub(super) fn feed_slate(&mut self, now: Instant) {
        let ahead = |pace: &Option<Pace>| pace.as_ref().map(|pace| pace.ahead(now));
        let mut hidden = Duration::ZERO;
        while ahead(&self.pace).is_none_or(|ahead| ahead < SLATE_AHEAD) {
            let Some(slate) = &mut self.slate else { return };
            let before = slate.shown();
            self.splicer.push(slate.step());
            hidden += slate.shown().saturating_sub(before);
            if self.drain(now) {
                hidden = Duration::ZERO;
            } else if hidden > SLATE_SHOWS_WITHIN {
                let failure = Failure::new(FailureClass::Unusable, "the slate cannot be shown");
                self.end(Over::Unavailable(failure));
            }
        }
    }
}
