//! The built-in test card: a clip in the binary, shown over and over. Its pace is the broadcast's, its timeline the
//! splicer's; here are only the bytes.

use bytes::Bytes;
use relay::Input;

/// The card: a real H.264 and AAC transport stream, made by `assets/make.sh`.
static CARD: &[u8] = include_bytes!("../../../../assets/testcard.ts");

/// Bytes handed out at a time: whole packets, small enough that a broadcast can stop between two.
const STEP_BYTES: usize = 188 * 64;

/// The card being shown.
#[derive(Debug, Default)]
pub struct Card {
    at: usize,
}

impl Card {
    /// The next bytes, or the sign that the clip begins anew.
    pub fn read(&mut self) -> Input {
        if self.at >= CARD.len() {
            self.at = 0;
            return Input::Restart;
        }
        let end = (self.at + STEP_BYTES).min(CARD.len());
        let bytes = CARD.get(self.at..end).unwrap_or_default();
        self.at = end;
        Input::Bytes(Bytes::from_static(bytes))
    }
}
