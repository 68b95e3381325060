//! Follows a live HLS playlist of whole, clear transport-stream segments, as one endless stream.
//!
//! One slot for the whole session, one request at a time. What a playlist needs beyond that is a failure that names
//! the missing feature. When to load and what to fetch is decided by [`hls::follow`]; here are the requests.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hls::follow::{Config, Follower, SegmentRequest, State};
use hls::playlist::{PLAYLIST_BYTES_MAX, Playlist};
use http::StatusCode;
use relay::{Failure, FailureClass, Input};
use tokio::time::{Instant, sleep_until};
use tracing::debug;
use url::Url;

use super::answer::failure_of_status;
use super::http::{Body, Client, Request, Response};
use super::progressive::taken_back;
use super::sniff::{Content, sniff};
use crate::slot::{Purpose, Rest, Slot, Watch};

/// Segments in a row that cannot be fetched before the stream counts as broken.
const SEGMENTS_LOST_MAX: u32 = 3;

/// How long a login is left alone whose provider says "too often" in the middle of a session, and not for how long.
const TOO_OFTEN_REST: Duration = Duration::from_secs(15);

/// How long to wait before a segment that is not there yet is asked for again.
const SEGMENT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A followed playlist.
pub struct HlsUpstream {
    /// Moves into the read under way and back, so that a read that is dropped half-way goes on at the next call.
    session: Option<Box<Session>>,
    reading: Option<Reading>,
    watch: Watch,
}

type Reading = Pin<Box<dyn Future<Output = (Box<Session>, Result<Input, Failure>)> + Send>>;

impl HlsUpstream {
    /// Takes over an answer that turned out to be a playlist. `head` was read from `body` already.
    ///
    /// # Errors
    /// When the playlist cannot be read or needs a feature mainstem lacks.
    pub async fn start(
        client: Client,
        request: Request,
        url: Url,
        head: Bytes,
        body: Body,
    ) -> Result<Self, Failure> {
        let (text, slot) = read_rest(head, body).await?;
        let slot = slot.ok_or_else(|| Failure::new(FailureClass::Transient, "the session lost its slot"))?;
        slot.requested();
        let mut session = Session {
            client,
            playlist_url: request.url.clone(),
            request,
            base_url: url,
            follower: Follower::new(Config::default()),
            segment: None,
            ready: VecDeque::new(),
            lost: 0,
            started: Instant::now(),
            slot,
        };
        session.enter_playlist(&text).await?;
        Ok(Self {
            watch: session.slot.watch(),
            session: Some(Box::new(session)),
            reading: None,
        })
    }

    /// The next bytes. Cancel-safe.
    ///
    /// # Errors
    /// When the playlist ends, goes stale, or cannot be followed.
    pub async fn read(&mut self) -> Result<Input, Failure> {
        if self.reading.is_none() {
            let Some(mut session) = self.session.take() else {
                return Err(Failure::new(FailureClass::Transient, "the session has ended"));
            };
            self.reading = Some(Box::pin(async move {
                let input = session.next_or_revoked().await;
                (session, input)
            }));
        }
        let Some(reading) = &mut self.reading else {
            return Err(taken_back());
        };
        let (session, input) = reading.await;
        self.reading = None;
        self.session = Some(session);
        input
    }

    /// Makes the connection one that carries viewers.
    pub fn promote(&self) {
        self.watch.promote(Purpose::Live);
    }

    /// Says whether anybody watches.
    pub fn set_watched(&self, watched: bool) {
        self.watch.set_watched(watched);
    }
}

struct Session {
    client: Client,
    request: Request,
    /// Where reloads go: the address before redirects, as tokens in redirects are for one use.
    playlist_url: Url,
    /// Where the playlist came from in the end: relative addresses in it count from here.
    base_url: Url,
    follower: Follower,
    segment: Option<Body>,
    ready: VecDeque<Input>,
    lost: u32,
    started: Instant,
    /// For all requests of the session, one at a time. Last, so that it comes back after the socket is closed.
    slot: Slot,
}

impl Session {
    /// Goes from the first playlist to a media playlist, through at most one multivariant playlist.
    async fn enter_playlist(&mut self, text: &[u8]) -> Result<(), Failure> {
        let requested = self.started.elapsed();
        match parse(text)? {
            Playlist::Media(media) => {
                supported(hls::unsupported(&media))?;
                self.follower
                    .on_playlist(&media, requested, self.started.elapsed());
                Ok(())
            }
            Playlist::Multivariant(list) => {
                supported(hls::unsupported(&list))?;
                let variant = list
                    .choose(None)
                    .ok_or_else(|| unusable("a multivariant playlist without variants"))?;
                self.playlist_url = self.resolve(&variant.uri)?;
                self.reload().await
            }
        }
    }

    async fn next_or_revoked(&mut self) -> Result<Input, Failure> {
        let revoked = self.slot.revoked();
        tokio::select! {
            biased;
            () = revoked => Err(taken_back()),
            input = self.next() => input,
        }
    }

    async fn next(&mut self) -> Result<Input, Failure> {
        loop {
            if let Some(input) = self.ready.pop_front() {
                return Ok(input);
            }
            if let Some(body) = &mut self.segment {
                match body.read().await {
                    Ok(Some(bytes)) => return Ok(Input::Bytes(bytes)),
                    Ok(None) => self.segment = None,
                    Err(error) => {
                        debug!(%error, "a segment broke off");
                        self.segment = None;
                        self.lose_segment(&error.into())?;
                    }
                }
                continue;
            }
            if let Some(segment) = self.follower.next_segment() {
                self.open_segment(&segment).await?;
                continue;
            }
            self.wait_and_reload().await?;
        }
    }

    async fn wait_and_reload(&mut self) -> Result<(), Failure> {
        match self.follower.state(self.started.elapsed()) {
            State::Ended => {
                return Err(Failure::new(
                    FailureClass::Transient,
                    "the playlist says that the stream ended",
                ));
            }
            State::Stale => {
                return Err(Failure::new(
                    FailureClass::Transient,
                    "the playlist stopped changing",
                ));
            }
            State::Following => {}
        }
        if let Some(at) = self.follower.reload_at() {
            sleep_until(self.started + at).await;
        }
        if let Err(failure) = self.reload().await {
            if failure.class != FailureClass::Transient && failure.class != FailureClass::Gone {
                return Err(failure);
            }
            debug!(%failure, "a playlist reload failed");
            self.follower.on_reload_failed(self.started.elapsed());
        }
        Ok(())
    }

    async fn reload(&mut self) -> Result<(), Failure> {
        let requested = self.started.elapsed();
        let Response { url, body, .. } = self.fetch(self.playlist_url.clone()).await?;
        let (text, _) = read_rest(Bytes::new(), body).await?;
        let Playlist::Media(media) = parse(&text)? else {
            return Err(unusable("a multivariant playlist inside a multivariant playlist"));
        };
        supported(hls::unsupported(&media))?;
        self.base_url = url;
        self.follower
            .on_playlist(&media, requested, self.started.elapsed());
        Ok(())
    }

    async fn open_segment(&mut self, segment: &SegmentRequest) -> Result<(), Failure> {
        let url = self.resolve(&segment.uri)?;
        let answer = match self.fetch(url.clone()).await {
            Err(failure) if failure.class == FailureClass::Gone => {
                // At the live edge a segment is often announced a moment before it is there.
                tokio::time::sleep(SEGMENT_RETRY_AFTER).await;
                self.fetch(url).await
            }
            answer => answer,
        };
        match answer {
            Ok(mut answer) => {
                let first = match answer.body.read().await {
                    Ok(Some(first)) => first,
                    Ok(None) => {
                        return self.lose_segment(&Failure::new(FailureClass::Transient, "an empty segment"));
                    }
                    Err(error) => return self.lose_segment(&error.into()),
                };
                segment_content(&first)?;
                self.lost = 0;
                if segment.discontinuity {
                    self.ready.push_back(Input::Restart);
                }
                self.ready.push_back(Input::Bytes(first));
                self.segment = Some(answer.body);
                Ok(())
            }
            Err(failure) => self.lose_segment(&failure),
        }
    }

    fn lose_segment(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.lost += 1;
        debug!(%failure, lost = self.lost, "a segment is lost");
        if self.lost >= SEGMENTS_LOST_MAX {
            return Err(failure.clone());
        }
        Ok(())
    }

    /// One request of the session, under the session's slot.
    async fn fetch(&self, url: Url) -> Result<Response, Failure> {
        let request = Request {
            url,
            ..self.request.clone()
        };
        self.slot.requested();
        let answer = self.client.send(request, None).await?;
        let Some(failure) = failure_of_status(answer.status, &answer.headers) else {
            return Ok(answer);
        };
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            let rest = failure.retry_after.unwrap_or(TOO_OFTEN_REST);
            self.slot.cool_login(rest, Rest::Requests);
        }
        Err(failure)
    }

    fn resolve(&self, uri: &str) -> Result<Url, Failure> {
        let url = self
            .base_url
            .join(uri)
            .map_err(|_| unusable("a playlist with an invalid address in it"))?;
        if matches!(url.scheme(), "http" | "https") {
            return Ok(url);
        }
        Err(unusable("a playlist that leads to something other than http"))
    }
}

fn parse(text: &[u8]) -> Result<Playlist, Failure> {
    hls::playlist::parse(text)
        .map_err(|error| unusable(&format!("an HLS playlist that cannot be read ({error})")))
}

fn supported(missing: Option<hls::Feature>) -> Result<(), Failure> {
    match missing {
        None => Ok(()),
        Some(feature) => Err(unusable(&format!(
            "the HLS stream needs what mainstem does not read yet: {feature}"
        ))),
    }
}

fn segment_content(first: &[u8]) -> Result<(), Failure> {
    match sniff(first, true) {
        Some(Content::TransportStream | Content::Unknown) => Ok(()),
        content => {
            let content = content.unwrap_or(Content::Unknown).as_str();
            Err(unusable(&format!(
                "HLS segments that are no transport stream ({content})"
            )))
        }
    }
}

fn unusable(text: &str) -> Failure {
    Failure::new(FailureClass::Unusable, text)
}

async fn read_rest(head: Bytes, mut body: Body) -> Result<(Bytes, Option<Slot>), Failure> {
    let mut text = BytesMut::from(head.as_ref());
    while let Some(bytes) = body.read().await? {
        if text.len() + bytes.len() > PLAYLIST_BYTES_MAX {
            return Err(unusable("an HLS playlist that is far too long"));
        }
        text.extend_from_slice(&bytes);
    }
    Ok((text.freeze(), body.into_slot()))
}
