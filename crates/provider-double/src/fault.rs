//! What can go wrong, by name. Values only: `board` holds what is set, `session` and `lists` act it out.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::seconds;

/// A fault of stream requests. Set one with [`Stream::fault`](crate::StreamHandle::fault) or
/// [`AccountHandle::fault`](crate::AccountHandle::fault); several of different kinds combine (a redirect, then a stall).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// RST once the request is read.
    Refuse,
    /// Reads the request and never answers.
    HangBeforeHead,
    /// Waits, then goes on.
    SlowHead(#[serde(with = "seconds")] Duration),
    /// Any status, with a body.
    Status {
        /// The code.
        code: u16,
        /// The body; `text/html`.
        #[serde(default)]
        body: String,
        /// A `Retry-After` in seconds.
        #[serde(default)]
        retry_after: Option<u32>,
    },
    /// A chain of 302 with one-use tokens before the stream.
    Redirect {
        /// Answers with 302 before the stream comes.
        hops: u8,
        /// How they point on.
        #[serde(default)]
        form: RedirectForm,
    },
    /// 200 and a web page.
    Html,
    /// 200 and a JSON error.
    Json,
    /// 200, a TS head, and not one byte; the socket stays open.
    Silence,
    /// 200, a TS head, and the end at once.
    EmptyBody,
    /// How the head of the answer looks.
    Head(HeadStyle),
    /// Stops sending and keeps the socket.
    Stall(Extent),
    /// Sends at a fraction of the stream's rate.
    Trickle(f64),
    /// Sends so many seconds of media at once, every so many seconds.
    Bursts(#[serde(with = "seconds")] Duration),
    /// Sends as fast as the socket takes, ahead of the clock.
    WireSpeed,
    /// FIN.
    Eof(Extent),
    /// RST.
    Rst(Extent),
    /// Random bytes in place of the stream, at about its rate.
    Garbage,
    /// Random bytes between all packets, so that no two of them stand where they should.
    SyncLoss,
    /// A black clip of 3.2 s in place of the stream, as a file; with [`Fault::Redirect`] as panels do it.
    BlackClip(Repeat),
    /// A film in place of the stream.
    Mp4,
    /// How a file's ranges are answered.
    Ranges(RangeStyle),
    /// The media playlist stays as it was when this was set.
    HlsFrozen,
    /// Segments answer 404.
    HlsSegments404,
    /// The media playlist has an `EXT-X-KEY` of SAMPLE-AES: copy protection.
    HlsKey,
    /// The media playlist has an `EXT-X-MAP`, as one of fMP4 has, and nothing is under its address.
    HlsMap,
}

/// How a redirect names its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedirectForm {
    /// `http://same-host/...`
    #[default]
    Absolute,
    /// `/...`
    Relative,
    /// `http://host:other-port/...`: the provider's second listener, its edge.
    OtherHost,
}

/// How often a [`Fault::BlackClip`] comes in one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Once, with its Content-Length, as fast as the socket takes it.
    Once,
    /// Over and over at its own rate, the clocks beginning again each time.
    Endless,
}

/// Forms of a 200 that players put up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadStyle {
    /// `Transfer-Encoding: chunked`; without this fault the body ends with the connection.
    Chunked,
    /// `Content-Length: 2147483647`.
    FakeLength,
    /// `HTTP/1.0 200 OK`.
    Http10,
    /// `ICY 200 OK`.
    Icy,
    /// Lines that end in LF alone.
    LfOnly,
    /// `Content-Type: text/html` on a TS.
    WrongType,
    /// No `Content-Type`.
    NoType,
}

/// Ways with ranges that players put up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RangeStyle {
    /// 206 with `bytes 0-499/*`.
    NoTotal,
    /// 206 without `Content-Range`.
    NoPlace,
    /// 206 where no range was asked for.
    Unasked,
    /// 200 and all of the file, whatever was asked for.
    Ignored,
    /// 416 to every range.
    Refused,
    /// `If-Range` is not looked at.
    Unconditional,
}

/// Where in the body something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// After exactly so many bytes of the body.
    Bytes(u64),
    /// So long after the head.
    After(#[serde(with = "seconds")] Duration),
}

/// What can be done at once to connections that are open. Each connection obeys the latest; of two in the same moment
/// the first may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Now {
    /// Stops sending, keeps the socket.
    Stall,
    /// Goes on, at the present position: what was missed is lost.
    Resume,
    /// FIN.
    Eof,
    /// RST.
    Rst,
    /// Goes on at a fraction of the stream's rate.
    Trickle(f64),
    /// Goes on with random bytes.
    Garbage,
    /// Goes on with random bytes between all packets.
    SyncLoss,
    /// Goes on with all clocks moved by so many 90 kHz ticks, unannounced, as after an encoder's restart.
    Jump(i64),
    /// Leaves out so many packets: continuity errors and broken pictures.
    Lose(u32),
}

/// A fault of list requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListFault {
    /// Reads the request and never answers.
    Hang,
    /// RST once the request is read.
    Refuse,
    /// Any status, with a body.
    Status {
        /// The code.
        code: u16,
        /// The body; `text/html`.
        #[serde(default)]
        body: String,
    },
    /// 200 and a web page.
    Html,
    /// 200 and exactly this: empty, `[]`, `null`, `{}`, …
    Body(String),
    /// Ends after so many bytes, and looks complete.
    TruncatedAt(u64),
    /// The connection breaks after so many bytes.
    CutAt(u64),
    /// So many bytes per second.
    Slow {
        /// The rate.
        bytes_per_second: u32,
    },
    /// Gzip, asked for or not.
    Gzip,
    /// This before it: a BOM, a PHP warning, white space.
    Prefix(String),
}

/// Which list a [`ListFault`] hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    /// `/get.php` and `/list.m3u`.
    M3u,
    /// `/player_api.php` without an action.
    Login,
    /// `get_live_categories`, `get_vod_categories`, `get_series_categories`.
    Categories,
    /// `get_live_streams`.
    Live,
    /// `get_vod_streams`.
    Movies,
    /// `get_series`.
    Series,
    /// `get_vod_info`, `get_series_info`, `get_short_epg` and the rest.
    Detail,
    /// `/xmltv.php`.
    Guide,
}
