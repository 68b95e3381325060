//! Beside the players: somebody who looks at every version of a playlist, fetches what it lists, and judges both.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::playlist::{Listing, Watch};
use crate::server::PATIENCE;
use crate::ts::{PACKET, Report, is_random_access, payload};

/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Players begin three segments from the end of a playlist. Those that come when a channel has just begun find shorter
/// ones, and have less in reserve; these players come when the last three are as long as all that follow.
const SEGMENTS_BEFORE: usize = 3;
/// How a PES packet of video begins (ISO 13818-1, table 2-22).
const PICTURE: &[u8] = &[0, 0, 1, 0xE0];

/// Looks at a playlist, and fetches what it lists, as a player does; judges every version.
pub(crate) struct StrictReader {
    is_over: Arc<AtomicBool>,
    has_filled: Arc<AtomicBool>,
    thread: JoinHandle<Result<(Watch, Vec<u8>), String>>,
}

impl StrictReader {
    /// Starts to look at the playlist at `url`.
    pub(crate) fn start(url: &str) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let has_filled = Arc::new(AtomicBool::new(false));
        let (over, filled, url) = (Arc::clone(&is_over), Arc::clone(&has_filled), url.to_owned());
        let thread = thread::spawn(move || {
            let (began, mut watch, mut bytes) = (Instant::now(), Watch::default(), Vec::new());
            let url = media_playlist(&url)?;
            while !over.load(Ordering::Relaxed) {
                let text = String::from_utf8(fetch(&url, "GET")?).map_err(|error| error.to_string())?;
                for entry in watch.see(began.elapsed(), &text)? {
                    let segment = fetch(&beside(&url, &entry.uri), "GET")?;
                    let claims = watch.last().is_some_and(|listing| listing.independent);
                    if claims && !begins_with_keyframe(&segment) {
                        return Err(format!("{} begins with no keyframe (4.3.5.1)\n{text}", entry.uri));
                    }
                    bytes.extend(segment);
                }
                for entry in watch.still_there(began.elapsed()) {
                    fetch(&beside(&url, &entry.uri), "HEAD")?;
                }
                if watch.last().is_some_and(ends_whole) {
                    filled.store(true, Ordering::Relaxed);
                }
                thread::sleep(LOOK_EVERY);
            }
            Ok((watch, bytes))
        });
        Self {
            is_over,
            has_filled,
            thread,
        }
    }

    /// Whether players may come, or have nothing to come for.
    pub(crate) fn has_filled(&self) -> bool {
        self.has_filled.load(Ordering::Relaxed) || self.thread.is_finished()
    }

    /// Ends it; fails with what was wrong.
    pub(crate) fn finish(self, name: &str) {
        self.is_over.store(true, Ordering::Relaxed);
        let judged = self.thread.join().expect("it does not panic");
        let (watch, bytes) = judged.unwrap_or_else(|error| panic!("{name}: {error}"));
        let lengths = watch.seen().map(|entry| {
            let mark = if entry.discontinuity { "|" } else { "" };
            format!(" {mark}{}", entry.micros / 1_000)
        });
        eprintln!("{name}: segments of{} ms", lengths.collect::<String>());
        let breaks = watch.seen().filter(|entry| entry.discontinuity).count();
        assert!(breaks > 0, "{name}: no discontinuity where the source changes");
        Report::of(&bytes).assert_clean(name);
    }
}

/// Whether the last segments that are listed are as long as those to come.
fn ends_whole(listing: &Listing) -> bool {
    let last = listing.entries.iter().rev().take(SEGMENTS_BEFORE);
    let whole = last.filter(|entry| entry.micros >= listing.target * 1_000_000);
    whole.count() == SEGMENTS_BEFORE
}

/// Whether the first thing in a segment behind its tables is a keyframe.
fn begins_with_keyframe(segment: &[u8]) -> bool {
    let (packets, _) = segment.as_chunks::<PACKET>();
    let first = packets
        .iter()
        .find(|packet| payload(*packet).starts_with(PICTURE));
    first.is_some_and(|packet| is_random_access(packet))
}

/// The address of the media playlist, of that of a multivariant one.
fn media_playlist(url: &str) -> Result<String, String> {
    let text = String::from_utf8(fetch(url, "GET")?).map_err(|error| error.to_string())?;
    let mut lines = text
        .lines()
        .skip_while(|line| !line.starts_with("#EXT-X-STREAM-INF:"));
    Ok(lines.nth(1).map_or(url.to_owned(), |uri| beside(url, uri)))
}

/// The address `uri` means in the playlist at `url`, which has no path of its own to resolve.
fn beside(url: &str, uri: &str) -> String {
    let (folder, _) = url.rsplit_once('/').expect("an address");
    format!("{folder}/{uri}")
}

/// The body of an answer, which must be a 200.
fn fetch(url: &str, method: &str) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("{url}: {error}");
    let rest = url.strip_prefix("http://").ok_or("no address")?;
    let (authority, path) = rest.split_at(rest.find('/').ok_or("no path")?);
    let mut socket = TcpStream::connect(authority).map_err(wrong)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(wrong)?;
    write!(socket, "{method} {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n").map_err(wrong)?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).map_err(wrong)?;
    let head = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .ok_or("no head")?;
    let body = answer.split_off(head + 4);
    let status = String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    match status.split(' ').nth(1) {
        Some("200") => Ok(body),
        _ => Err(format!("{method} {url}: {status}")),
    }
}
