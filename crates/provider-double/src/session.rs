//! One stream request from its head to its end: limit, faults before the body, the body, and who ended it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::black;
use crate::board::{Asked, Strike};
use crate::clip::Clip;
use crate::door::{Order, Pass, Verdict};
use crate::fault::{Extent, Fault, HeadStyle, Now, Repeat};
use crate::file;
use crate::file::FileStyle;
use crate::http::{Answer, Body, Conn, Ended, Head, Stop};
use crate::live::{Clock, Live, Pace, Spoilt};
use crate::log::CloseReason;
use crate::plan::{Account, Channel, Movie};
use crate::provider::Shared;
use crate::token::{Lead, next_hop};

/// How long a client may take to close after an answer that is complete.
const DRAIN: Duration = Duration::from_secs(10);
/// Size of the film that stands in for a stream.
const FALSE_FILM_BYTES: u64 = 1 << 30;

/// What a stream request is for.
pub(crate) enum Wish {
    Live(Box<Channel>),
    File(Movie),
    /// No such stream.
    Nothing,
}

/// A stream request of a known account.
pub(crate) struct Session<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) account: &'a Account,
    pub(crate) stream: &'a str,
    pub(crate) extension: &'a str,
    pub(crate) wish: Wish,
    /// The faults of the chain of redirects that led here; `None`: this is the first request.
    pub(crate) lead: Option<Lead>,
}

/// How it ends, as far as we decide.
enum End {
    /// All is said: FIN, and the client closes.
    Drain,
    Eof,
    Rst,
    /// The client was not there any more.
    Broken,
    /// Nothing more is sent, and the socket stays.
    Hold,
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Stall => Self::Hold,
            Stop::Eof => Self::Eof,
            Stop::Rst => Self::Rst,
        }
    }
}

impl Session<'_> {
    /// Serves the request on its own connection, to the end of both.
    pub(crate) async fn serve(mut self, conn: &Conn, head: &Head) {
        let door = &self.shared.door;
        let (pass, verdict) = door.enter(self.account, self.stream, conn.id, &conn.socket);
        let reason = tokio::select! {
            biased;
            gone = conn.gone() => gone,
            reason = fatal(pass.orders.clone()) => reason,
            reason = self.act(conn, head, &pass, verdict) => reason,
        };
        match reason {
            CloseReason::Rst => conn.reset_on_drop(),
            CloseReason::Eof | CloseReason::Cut => conn.finish(),
            CloseReason::ClientFin | CloseReason::ClientRst | CloseReason::Idle => {}
        }
        // Before the socket drops: who sees its end finds it in the log.
        pass.leave(reason);
    }

    async fn act(&mut self, conn: &Conn, head: &Head, pass: &Pass, verdict: Verdict) -> CloseReason {
        let end = match verdict {
            Verdict::Refused(status) => {
                let answer = Answer::new(status, "text/html", "connection limit reached");
                self.answer(conn, head, pass, &answer).await
            }
            Verdict::LimitClip => {
                let channel = Channel::new("limit", "limit", Clip::Limit);
                self.live(conn, pass, &channel, &Script::of(&[])).await
            }
            Verdict::Admitted => self.admitted(conn, head, pass).await,
        };
        match end {
            End::Eof => CloseReason::Eof,
            End::Rst => CloseReason::Rst,
            End::Broken => CloseReason::ClientRst,
            End::Hold => std::future::pending().await,
            End::Drain => {
                conn.finish();
                // The client's close is seen by who waits for it beside this; only its absence is seen here.
                sleep(DRAIN).await;
                CloseReason::Eof
            }
        }
    }

    async fn admitted(&mut self, conn: &Conn, head: &Head, pass: &Pass) -> End {
        let strikes = match &self.lead {
            Some(lead) => lead.strikes.clone(),
            None => self
                .shared
                .board
                .strike(&self.account.username, self.stream, Asked::Progressive),
        };
        let who = (self.account, self.stream, self.extension);
        if let Some(location) = next_hop(self.shared, who, self.lead.as_ref(), &strikes) {
            let answer = Answer::new(302, "text/html", "").with("Location", location);
            return self.answer(conn, head, pass, &answer).await;
        }
        match before_head(&strikes).await {
            Before::Reset => return End::Rst,
            Before::Hang => return End::Hold,
            Before::Answer(answer) => return self.answer(conn, head, pass, &answer).await,
            Before::Serve => {}
        }
        let script = Script::of(&strikes);
        match &self.wish {
            Wish::Nothing => {
                self.answer(conn, head, pass, &Answer::new(404, "text/html", "no such stream"))
                    .await
            }
            Wish::Live(_) if head.method != "GET" => {
                self.answer(conn, head, pass, &Answer::new(405, "text/html", ""))
                    .await
            }
            Wish::Live(_) if script.mp4 => {
                let film = Movie::new("film", "film", FALSE_FILM_BYTES);
                self.file(conn, head, pass, &film, &script).await
            }
            Wish::Live(_) if script.black.is_some() => self.black(conn, pass, &script).await,
            Wish::Live(channel) => self.live(conn, pass, channel, &script).await,
            Wish::File(movie) => self.file(conn, head, pass, movie, &script).await,
        }
    }

    async fn answer(&self, conn: &Conn, head: &Head, pass: &Pass, answer: &Answer) -> End {
        pass.give_up_place();
        match conn.write(&answer.bytes(false, head.method == "HEAD")).await {
            Ok(()) => End::Drain,
            Err(_) => End::Broken,
        }
    }

    async fn live(&self, conn: &Conn, pass: &Pass, channel: &Channel, script: &Script) -> End {
        if conn.write(script.live_head().as_bytes()).await.is_err() {
            return End::Broken;
        }
        if let Some(end) = script.instead_of_body() {
            return end;
        }
        let mut body = script.body(conn, pass);
        let clock = Clock::new(channel, self.shared.started);
        let mut live = Live::join(
            clock,
            channel,
            self.shared.plan.piece_packets,
            script.pace,
            script.spoilt,
        );
        if let Some((after, Stop::Stall)) = script.timed {
            live.stall_at(Instant::now() + after);
        }
        let ended = tokio::select! {
            ended = live.run(&mut body, pass.orders.clone()) => ended,
            stop = script.deadline() => Ended::Stop(stop),
        };
        end_of(ended, &mut body).await
    }

    async fn black(&self, conn: &Conn, pass: &Pass, script: &Script) -> End {
        let repeat = script.black.unwrap_or(Repeat::Once);
        if conn.write(&black::head(repeat)).await.is_err() {
            return End::Broken;
        }
        let mut body = script.body(conn, pass);
        body.chunked = false;
        let sent = tokio::select! {
            sent = black::send(&mut body, repeat) => sent,
            stop = script.deadline_of_any() => Err(Ended::Stop(stop)),
        };
        match sent {
            Ok(()) => End::Drain,
            Err(ended) => end_of(ended, &mut body).await,
        }
    }

    async fn file(&self, conn: &Conn, head: &Head, pass: &Pass, movie: &Movie, script: &Script) -> End {
        let reply = file::reply(movie, head, script.files);
        if conn.write(&reply.head).await.is_err() {
            return End::Broken;
        }
        let Some(range) = reply.body else {
            return End::Drain;
        };
        if let Some(end) = script.instead_of_body() {
            return end;
        }
        let mut body = script.body(conn, pass);
        let rate = match script.pace {
            Pace::Steady(fraction) if fraction < 1.0 => Some(fraction),
            _ => None,
        };
        let sent = tokio::select! {
            sent = file::send(&mut body, movie, range, rate) => sent,
            stop = script.deadline_of_any() => Err(Ended::Stop(stop)),
        };
        match sent {
            Ok(()) => {
                body.end().await;
                End::Drain
            }
            Err(Ended::Broken) => End::Broken,
            // In the middle of a file: no last chunk makes it look whole.
            Err(Ended::Stop(stop)) => stop.into(),
        }
    }
}

async fn end_of(ended: Ended, body: &mut Body<'_>) -> End {
    match ended {
        Ended::Broken => End::Broken,
        Ended::Stop(stop) => {
            if stop == Stop::Eof {
                body.end().await;
            }
            stop.into()
        }
    }
}

/// What is decided before the first byte of an answer.
pub(crate) enum Before {
    Serve,
    Reset,
    Hang,
    Answer(Answer),
}

/// Waits and answers that faults put before the head; the first decisive one holds.
pub(crate) async fn before_head(strikes: &[Strike]) -> Before {
    for strike in strikes {
        return match &strike.fault {
            Fault::SlowHead(wait) => {
                sleep(*wait).await;
                continue;
            }
            Fault::Refuse => Before::Reset,
            Fault::HangBeforeHead => Before::Hang,
            Fault::Status {
                code,
                body,
                retry_after,
            } => {
                let answer = Answer::new(*code, "text/html", body.as_str());
                Before::Answer(match retry_after {
                    Some(seconds) => answer.with("Retry-After", seconds),
                    None => answer,
                })
            }
            Fault::Html => Before::Answer(Answer::new(200, "text/html", WEB_PAGE)),
            Fault::Json => Before::Answer(Answer::new(
                200,
                "application/json",
                r#"{"user_info":{"auth":0}}"#,
            )),
            _ => continue,
        };
    }
    Before::Serve
}

/// What stands in for an answer when a provider shows its web page.
pub(crate) const WEB_PAGE: &str =
    "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Access denied</body></html>";

/// Resolves when an order ends the connection.
async fn fatal(mut orders: watch::Receiver<Order>) -> CloseReason {
    loop {
        match *orders.borrow_and_update() {
            Order::Now(Now::Eof) => return CloseReason::Eof,
            Order::Now(Now::Rst) => return CloseReason::Rst,
            Order::Cut => return CloseReason::Cut,
            Order::Now(_) | Order::Carry => {}
        }
        if orders.changed().await.is_err() {
            // No seat any more: the client's end was seen at the door, and is about to be seen here.
            std::future::pending::<()>().await;
        }
    }
}

/// Faults of head and body, put together.
pub(crate) struct Script {
    head: Option<HeadStyle>,
    silence: bool,
    empty: bool,
    mp4: bool,
    files: FileStyle,
    spoilt: Option<Spoilt>,
    black: Option<Repeat>,
    pace: Pace,
    limit: Option<(u64, Stop)>,
    timed: Option<(Duration, Stop)>,
}

impl Script {
    pub(crate) fn of(strikes: &[Strike]) -> Self {
        let mut script = Self {
            head: None,
            silence: false,
            empty: false,
            mp4: false,
            files: FileStyle::default(),
            spoilt: None,
            black: None,
            pace: Pace::Steady(1.0),
            limit: None,
            timed: None,
        };
        for strike in strikes {
            match &strike.fault {
                Fault::Head(style) => {
                    script.head = Some(*style);
                    script.files.chunked = *style == HeadStyle::Chunked;
                }
                Fault::Ranges(style) => script.files.ranges = Some(*style),
                Fault::Silence => script.silence = true,
                Fault::EmptyBody => script.empty = true,
                Fault::Mp4 => script.mp4 = true,
                Fault::Garbage => script.spoilt = Some(Spoilt::Garbage),
                Fault::SyncLoss => script.spoilt = Some(Spoilt::SyncLoss),
                Fault::BlackClip(repeat) => script.black = Some(*repeat),
                Fault::Trickle(rate) => script.pace = Pace::Steady(*rate),
                Fault::Bursts(every) => script.pace = Pace::Bursts(*every),
                Fault::WireSpeed => script.pace = Pace::Wire,
                Fault::Stall(extent) => script.stop(*extent, Stop::Stall),
                Fault::Eof(extent) => script.stop(*extent, Stop::Eof),
                Fault::Rst(extent) => script.stop(*extent, Stop::Rst),
                _ => {}
            }
        }
        script
    }

    /// The earliest of several stops holds, in bytes and in time each.
    fn stop(&mut self, extent: Extent, stop: Stop) {
        match extent {
            Extent::Bytes(n) if self.limit.is_none_or(|(m, _)| n < m) => self.limit = Some((n, stop)),
            Extent::After(t) if self.timed.is_none_or(|(u, _)| t < u) => self.timed = Some((t, stop)),
            Extent::Bytes(_) | Extent::After(_) => {}
        }
    }

    pub(crate) fn body<'a>(&self, conn: &'a Conn, pass: &Pass) -> Body<'a> {
        let chunked = self.head == Some(HeadStyle::Chunked);
        Body {
            conn,
            chunked,
            bytes: pass.bytes.clone(),
            limit: self.limit,
        }
    }

    /// The byte after which the body stops, and how.
    pub(crate) fn limit(&self) -> Option<(u64, Stop)> {
        self.limit
    }

    fn instead_of_body(&self) -> Option<End> {
        match (self.silence, self.empty, self.limit) {
            (true, ..) => Some(End::Hold),
            (_, true, _) => Some(End::Eof),
            (.., Some((0, stop))) => Some(stop.into()),
            _ => None,
        }
    }

    fn live_head(&self) -> String {
        let version = match self.head {
            Some(HeadStyle::Http10) => "HTTP/1.0",
            Some(HeadStyle::Icy) => "ICY",
            _ => "HTTP/1.1",
        };
        let kind = match self.head {
            Some(HeadStyle::WrongType) => "Content-Type: text/html\r\n",
            Some(HeadStyle::NoType) => "",
            _ => "Content-Type: video/mp2t\r\n",
        };
        let length = match self.head {
            Some(HeadStyle::Chunked) => "Transfer-Encoding: chunked\r\n",
            Some(HeadStyle::FakeLength) => "Content-Length: 2147483647\r\n",
            _ => "",
        };
        let head = format!(
            "{version} 200 OK\r\nServer: nginx\r\n{kind}{length}Access-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n"
        );
        if self.head == Some(HeadStyle::LfOnly) {
            head.replace('\r', "")
        } else {
            head
        }
    }

    /// Resolves at the moment a timed end is set for; a timed stall is the live stream's own matter.
    async fn deadline(&self) -> Stop {
        match self.timed {
            Some((after, stop)) if stop != Stop::Stall => {
                sleep_until(Instant::now() + after).await;
                stop
            }
            _ => std::future::pending().await,
        }
    }

    async fn deadline_of_any(&self) -> Stop {
        match self.timed {
            Some((after, stop)) => {
                sleep_until(Instant::now() + after).await;
                stop
            }
            None => std::future::pending().await,
        }
    }
}

/// Waits for the client's close after a last answer on a connection that no session owns.
pub(crate) async fn drain(conn: &Conn) {
    conn.finish();
    // Either end of the wait will do.
    timeout(DRAIN, conn.gone()).await.ok();
}
