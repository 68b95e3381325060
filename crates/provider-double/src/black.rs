//! The black clip as a file: once, or over and over with its clocks beginning again, as panels play it to whoever asks
//! for a stream that is gone.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::clip::Clip;
use crate::fault::Repeat;
use crate::http::{Body, Ended};

/// Writes of a lap of an endless clip.
const PIECES: usize = 32;

pub(crate) fn head(repeat: Repeat) -> Vec<u8> {
    let length = match repeat {
        Repeat::Once => format!("Content-Length: {}\r\n", Clip::Black.facts().bytes.len()),
        Repeat::Endless => String::new(),
    };
    format!("HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n{length}Connection: close\r\n\r\n").into_bytes()
}

/// Sends the clip, once or until the client goes.
pub(crate) async fn send(body: &mut Body<'_>, repeat: Repeat) -> Result<(), Ended> {
    let facts = Clip::Black.facts();
    if repeat == Repeat::Once {
        return body.send(facts.bytes).await;
    }
    let lap = Duration::from_millis(facts.lap_ms);
    let mut due = Instant::now();
    loop {
        for piece in facts.bytes.chunks(facts.bytes.len().div_ceil(PIECES)) {
            sleep_until(due).await;
            body.send(piece).await?;
            due += lap / u32::try_from(PIECES).unwrap_or(u32::MAX);
        }
    }
}
