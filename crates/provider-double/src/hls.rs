//! Live HLS of the same endless streams (RFC 8216): segments are runs of packets from key frame to key frame, and which
//! of them there are follows from the time alone.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::board::{Asked, Strike};
use crate::door::Verdict;
use crate::fault::Fault;
use crate::http::{Answer, Conn, Head, Stop};
use crate::live::Clock;
use crate::plan::{Account, Channel};
use crate::provider::Shared;
use crate::reel::Reel;
use crate::session::{Before, Script, before_head};
use crate::token::{Lead, next_hop};

/// A segment ends at the first key frame this far into it: two seconds less what a PCR may be off its picture.
const SEGMENT_NANOS: u64 = 1_900_000_000;
/// Segments of a playlist.
const WINDOW: u64 = 6;
/// Segments that stay fetchable after they left it.
const GRACE: u64 = 4;

/// What an HLS address asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Multivariant,
    Media,
    /// By media sequence number.
    Segment(u64),
}

/// The endless stream in segments.
struct Segments {
    clock: Clock,
    /// First packet of each segment of a lap.
    starts: Vec<u64>,
}

impl Segments {
    fn new(clock: Clock) -> Self {
        let starts = starts(&clock.reel);
        Self { clock, starts }
    }

    fn start(&self, number: u64) -> u64 {
        let per_lap = self.starts.len() as u64;
        let at = usize::try_from(number % per_lap)
            .ok()
            .and_then(|i| self.starts.get(i));
        number / per_lap * self.clock.reel.len() + at.copied().unwrap_or(0)
    }

    fn nanos(&self, number: u64) -> u64 {
        let reel = &self.clock.reel;
        reel.nanos_at(self.start(number + 1))
            .saturating_sub(reel.nanos_at(self.start(number)))
    }

    /// How many segments are complete at a moment.
    fn complete(&self, now: Instant) -> u64 {
        let reel = &self.clock.reel;
        let packet = reel.index_at(self.clock.media_at(now));
        let (lap, rest) = (packet / reel.len(), packet % reel.len());
        lap * self.starts.len() as u64
            + (self.starts.partition_point(|s| *s <= rest) as u64).saturating_sub(1)
    }

    fn bytes(&self, number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.clock.reel.write(
            self.start(number),
            self.start(number + 1),
            self.clock.shift,
            &mut bytes,
        );
        bytes
    }

    fn playlist(&self, now: Instant, base: &str, strikes: &[Strike]) -> String {
        let set = |wanted: &Fault| {
            strikes
                .iter()
                .find(|s| std::mem::discriminant(&s.fault) == std::mem::discriminant(wanted))
        };
        let now = set(&Fault::HlsFrozen).map_or(now, |strike| strike.since);
        let end = self.complete(now);
        let first = end.saturating_sub(WINDOW);
        let longest = (0..self.starts.len() as u64)
            .map(|n| self.nanos(n))
            .max()
            .unwrap_or(0);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{first}\n",
            longest.div_ceil(1_000_000_000)
        );
        if set(&Fault::HlsKey).is_some() {
            text.push_str("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://asset\",KEYFORMAT=\"com.apple.streamingkeydelivery\"\n");
        }
        if set(&Fault::HlsMap).is_some() {
            text.push_str("#EXT-X-MAP:URI=\"init.mp4\"\n");
        }
        for number in first..end {
            let seconds = Duration::from_nanos(self.nanos(number)).as_secs_f64();
            // Writing to a string cannot fail.
            writeln!(text, "#EXTINF:{seconds:.3},\n{base}/{number}.ts").ok();
        }
        text
    }
}

fn starts(reel: &Arc<Reel>) -> Vec<u64> {
    let mut starts: Vec<u64> = Vec::new();
    for cut in reel.cuts().iter().map(|cut| *cut as u64) {
        let long_enough = |last: &u64| reel.nanos_at(cut) - reel.nanos_at(*last) >= SEGMENT_NANOS;
        if starts.last().is_none_or(long_enough) {
            starts.push(cut);
        }
    }
    starts
}

/// What becomes of the connection after an HLS answer.
pub(crate) enum After {
    Keep,
    Drain,
    Reset,
    Hang,
}

/// One HLS request. `lead`: the redirect chain that led here.
pub(crate) async fn serve(
    shared: &Shared,
    conn: &Conn,
    head: &Head,
    who: (&Account, &Channel),
    part: Part,
    lead: Option<Lead>,
) -> After {
    let (account, channel) = who;
    match shared.door.touch_hls(account, &channel.id, conn.id) {
        Verdict::Admitted => {}
        Verdict::Refused(status) => {
            return send(
                conn,
                head,
                &Answer::new(status, "text/html", "connection limit reached"),
            )
            .await;
        }
        Verdict::LimitClip => return send(conn, head, &Answer::new(403, "text/html", "")).await,
    }
    let asked = if matches!(part, Part::Segment(_)) {
        Asked::Segment
    } else {
        Asked::Playlist
    };
    let strikes = match &lead {
        Some(lead) => lead.strikes.clone(),
        None => shared.board.strike(&account.username, &channel.id, asked),
    };
    if asked == Asked::Playlist
        && let Some(location) = next_hop(shared, (account, &channel.id, "m3u8"), lead.as_ref(), &strikes)
    {
        return send(
            conn,
            head,
            &Answer::new(302, "text/html", "").with("Location", location),
        )
        .await;
    }
    match before_head(&strikes).await {
        Before::Serve => {}
        Before::Reset => return After::Reset,
        Before::Hang => return After::Hang,
        Before::Answer(answer) => return send(conn, head, &answer).await,
    }
    let base = format!("/hls/{}/{}/{}", account.username, account.password, channel.id);
    let segments = Segments::new(Clock::new(channel, shared.started));
    let now = Instant::now();
    match part {
        Part::Multivariant => {
            let text =
                format!("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-STREAM-INF:BANDWIDTH=300000\n{base}/index.m3u8\n");
            send(conn, head, &Answer::new(200, PLAYLIST, text)).await
        }
        Part::Media => {
            let text = segments.playlist(now, &base, &strikes);
            send(
                conn,
                head,
                &Answer::new(200, PLAYLIST, text).with("Cache-Control", "no-cache"),
            )
            .await
        }
        Part::Segment(number) => {
            let complete = segments.complete(now);
            let there = number < complete && number + WINDOW + GRACE >= complete;
            let missing = strikes.iter().any(|s| s.fault == Fault::HlsSegments404);
            if !there || missing {
                return send(conn, head, &Answer::new(404, "text/html", "")).await;
            }
            segment(conn, head, &Script::of(&strikes), segments.bytes(number)).await
        }
    }
}

/// Media type of playlists (RFC 8216, 10).
const PLAYLIST: &str = "application/vnd.apple.mpegurl";

async fn segment(conn: &Conn, head: &Head, script: &Script, bytes: Vec<u8>) -> After {
    let length = bytes.len();
    let mut answer = Answer::new(200, "video/mp2t", bytes).bytes(head.keep_alive, head.method == "HEAD");
    let limit = script
        .limit()
        .and_then(|(at, stop)| Some((usize::try_from(at).ok()?, stop)));
    let Some((at, stop)) = limit.filter(|(at, _)| *at < length) else {
        return write(conn, head, &answer).await;
    };
    answer.truncate(answer.len().saturating_sub(length) + at);
    if conn.write(&answer).await.is_err() {
        return After::Drain;
    }
    match stop {
        Stop::Stall => After::Hang,
        Stop::Eof => After::Drain,
        Stop::Rst => After::Reset,
    }
}

async fn send(conn: &Conn, head: &Head, answer: &Answer) -> After {
    write(conn, head, &answer.bytes(head.keep_alive, head.method == "HEAD")).await
}

async fn write(conn: &Conn, head: &Head, bytes: &[u8]) -> After {
    match conn.write(bytes).await {
        Ok(()) if head.keep_alive => After::Keep,
        Ok(()) | Err(_) => After::Drain,
    }
}
