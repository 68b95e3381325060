//! One endless response of raw sound: MPEG audio or AAC without a container, as internet radio sends it. It goes on as
//! a transport stream; what a listener gets is decided where he is answered.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mpegts::MediaTime;
use mpegts::radio::Wrapper;
use relay::{Failure, FailureClass, Input};

use super::progressive::Progressive;

/// Bytes in a row without a frame after which it is no radio: tags with pictures have their own length, rubbish has
/// none.
const RUBBISH_BYTES_MAX: u64 = 512 * 1024;

/// How much later than the one before it the timeline of a connection begins: what was sent to it is forgotten by then,
/// so that the jingle with which a radio greets everybody is not taken for a replay.
const APART: Duration = Duration::from_mins(7);

/// Raw sound over HTTP.
#[derive(Debug)]
pub struct Radio {
    progressive: Progressive,
    wrapper: Wrapper,
    /// Bytes that were rubbish when the last frame came.
    rubbish_before: u64,
}

impl Radio {
    /// From the bytes of a response.
    #[must_use]
    pub fn new(progressive: Progressive) -> Self {
        static CONNECTIONS: AtomicU32 = AtomicU32::new(0);
        // Stamps wrap after 26 hours, and so may this.
        let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed) % 200;
        Self {
            progressive,
            wrapper: Wrapper::new(MediaTime::default().saturating_add(APART * connection)),
            rubbish_before: 0,
        }
    }

    /// The next packets: as many as the bytes that came have whole frames for. Cancel-safe.
    ///
    /// # Errors
    /// When the response ends, breaks, its connection is taken back, or no sound comes in it.
    pub async fn read(&mut self) -> Result<Input, Failure> {
        loop {
            let Input::Bytes(bytes) = self.progressive.read().await? else {
                continue;
            };
            let packets = self.wrapper.push(&bytes);
            if !packets.is_empty() {
                self.rubbish_before = self.wrapper.bytes_skipped();
                return Ok(Input::Bytes(packets.into()));
            }
            if self.wrapper.bytes_skipped() - self.rubbish_before > RUBBISH_BYTES_MAX {
                let text = "neither MPEG audio nor AAC is in what the provider sends";
                return Err(Failure::new(FailureClass::Unusable, text));
            }
        }
    }

    /// Makes the connection of a hedge that won one that carries listeners.
    pub fn promote(&mut self) {
        self.progressive.promote();
    }

    /// Says whether anybody listens.
    pub fn set_watched(&mut self, watched: bool) {
        self.progressive.set_watched(watched);
    }
}
