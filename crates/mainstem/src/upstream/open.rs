//! Opening a stream: the slot, the request, and what kind of answer came.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use catalog::{SourceName, StreamUrl};
use http::header::{CONTENT_TYPE, RANGE};
use http::{HeaderMap, StatusCode};
use relay::{Failure, FailureClass};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};
use url::Url;

use super::answer::failure_of_answer;
use super::hls::{HlsUpstream, Started};
use super::http::{Body, Client, HttpError, Request, Response, SECRETS, same_server};
use super::icy::{self, TitleReader};
use super::progressive::{Progressive, taken_back};
use super::radio::Radio;
use super::sniff::{Content, sniff};
use super::titles::{Teller, Titles};
use super::unsupported::unsupported;
use super::ways::{KnownWays, Way};
use super::{Upstream, card, datagram};
use crate::slot::{
    FilmSession, LimitAnswer, Login, Place, Pools, Purpose, Refused, Rest, Slot, Subject, Wish,
};
use crate::source::Addresses;

/// Everything needed to ask a provider for one stream.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its source, for logs and the pool's display.
    pub source: SourceName,
    /// The login its connection counts against.
    pub login: Login,
    /// Connections the login allows.
    pub limit: usize,
    /// Its address; [`CARD_URL`] for the built-in card.
    pub url: StreamUrl,
    /// Where it may be if its provider does not have it there.
    pub direct: Option<StreamUrl>,
    /// The same stream at further logins of its source.
    pub elsewhere: Vec<Elsewhere>,
    /// The hosts its source has.
    pub addresses: Option<Arc<Addresses>>,
    /// Headers of the source and of the entry.
    pub headers: HeaderMap,
    /// Whether any certificate is taken.
    pub insecure_tls: bool,
    /// What its source may do over UDP.
    pub datagrams: datagram::Rules,
    /// How long the provider goes on counting a connection after it is closed, as far as the operator says.
    pub release_delay: Duration,
    /// Which channel or film it is for, in the word [`Pools::watching`] is told.
    pub subject: Option<Subject>,
    /// The viewing of a film the request is one of.
    pub session: Option<FilmSession>,
    /// In words, that the account no longer works, where it does not: a refusal then needs no other explanation.
    pub account_ended: Option<String>,
}

/// A stream at a further login of its source.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    /// The login.
    pub login: Login,
    /// Connections it allows.
    pub limit: usize,
    /// The stream's address there.
    pub url: StreamUrl,
    /// Where it may be if it is not.
    pub direct: Option<StreamUrl>,
    /// In words, that its account no longer works, where it does not.
    pub account_ended: Option<String>,
}

impl Target {
    /// Every login the stream can be opened at, with its limit.
    pub fn logins(&self) -> impl Iterator<Item = (&Login, usize)> {
        let further = self.elsewhere.iter();
        std::iter::once((&self.login, self.limit))
            .chain(further.map(|elsewhere| (&elsewhere.login, elsewhere.limit)))
    }

    /// One of the stream's addresses at a login, one for each host.
    fn urls_at(&self, login: &Login, way: Way) -> Vec<(usize, String)> {
        let there = self.elsewhere.iter().find(|elsewhere| elsewhere.login == *login);
        let (own, direct) = there.map_or((&self.url, &self.direct), |there| (&there.url, &there.direct));
        let url = direct.as_ref().filter(|_| way == Way::Direct).unwrap_or(own);
        let url = url.expose();
        match &self.addresses {
            Some(addresses) => addresses.at_hosts(url),
            None => vec![(usize::MAX, url.to_owned())],
        }
    }

    /// Whether an address is at the server of the one that the panel names beside its own, which is no server of the panel's:
    /// what the operator has set for the panel is not for that one.
    fn is_elsewhere(&self, url: &Url) -> bool {
        let Some(direct) = &self.direct else { return false };
        let is_at = |other: &str| Url::parse(other).is_ok_and(|other| same_server(&other, url));
        let own = self.urls_at(&self.login, Way::Own);
        is_at(direct.expose()) && !own.iter().any(|(_, own)| is_at(own))
    }

    /// A failure that is about the login, of an account that has ended, needs no other explanation.
    fn explained(&self, login: &Login, failure: Failure) -> Failure {
        let about_login = matches!(
            failure.class,
            FailureClass::Auth | FailureClass::Blocked | FailureClass::Limit | FailureClass::Unusable
        );
        let there = self.elsewhere.iter().find(|elsewhere| elsewhere.login == *login);
        match there.map_or(&self.account_ended, |there| &there.account_ended) {
            Some(ended) if about_login => Failure {
                class: FailureClass::Expired,
                text: ended.clone(),
                ..failure
            },
            _ => failure,
        }
    }

    /// The connection it takes.
    #[must_use]
    pub fn wish(&self, purpose: Purpose) -> Wish {
        let places = self.logins().map(|(login, limit)| Place {
            login: login.clone(),
            limit,
            release_delay: self.release_delay,
        });
        Wish {
            places: places.collect(),
            source: self.source.clone(),
            purpose,
            subject: self.subject.clone(),
            session: self.session.clone(),
            line: None,
        }
    }
}

/// A list may lead to another, and that to a stream.
const LEADS_MAX: usize = 3;

/// How much longer than a provider's own delay a slot is waited for.
const RELEASE_MARGIN: Duration = Duration::from_secs(1);

/// Longest delay that is waited for because it was learned and not because the operator says so: a broadcast gives an
/// attempt a few seconds, and asks again.
const LEARNED_WAIT_MAX: Duration = Duration::from_secs(5);

/// The address that stands for the built-in test card: it needs no connection and no slot.
pub const CARD_URL: &str = "mainstem:testcard";

/// How long the steps of opening may take.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTiming {
    /// Waiting for a slot.
    pub slot_within: Duration,
    /// From the request to the answer's head, redirects included.
    pub head_within: Duration,
    /// From the head to the first bytes that tell what it is.
    pub first_bytes_within: Duration,
    /// How long a login rests after the provider said it is at its limit.
    pub limit_rest: Duration,
}

/// Opens streams. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Makes the requests.
    pub client: Client,
    /// Permits the connections.
    pub pools: Pools,
    /// Bounds the steps.
    pub timing: OpenTiming,
    /// Bounds the variants of HLS streams, in bits per second.
    pub hls_bandwidth_max: Option<u64>,
    /// What is on at the radios that are open.
    pub titles: Titles,
    /// Which of their addresses streams come from.
    pub ways: KnownWays,
}

impl Opening {
    /// Opens a live stream for a broadcast.
    ///
    /// # Errors
    /// A [`Failure`] that says whose fault it is.
    pub async fn live(&self, target: Target) -> Result<Upstream, Failure> {
        self.open(target, Purpose::Live).await
    }

    /// Opens a second stream beside one that is in doubt: at once or not at all, and only with a connection that nobody
    /// needs. Any viewer's need takes it back until it is [promoted](relay::Upstream::take_over).
    ///
    /// # Errors
    /// A [`Failure`] that says whose fault it is; [`FailureClass::NoSlot`] where no connection is idle.
    pub async fn hedge(&self, target: Target) -> Result<Upstream, Failure> {
        self.open(target, Purpose::Hedge).await
    }

    async fn open(&self, target: Target, purpose: Purpose) -> Result<Upstream, Failure> {
        if target.url.expose() == CARD_URL {
            return Ok(Upstream::Card(card::Card::default()));
        }
        if let Some(opened) = datagram::open(&target, self.timing.first_bytes_within).await {
            return Ok(Upstream::Datagrams(Box::new(opened?)));
        }
        let answer = self.ask(&target, purpose, &icy::asking()).await?;
        self.understand(target, answer).await
    }

    async fn understand(&self, target: Target, mut answer: Response) -> Result<Upstream, Failure> {
        for _ in 0..LEADS_MAX {
            let (head, content) = self.first_bytes(&mut answer.body).await?;
            if content != Content::HlsPlaylist {
                return self.understand_bytes(&target, head, content, answer);
            }
            let request = self.request(&target, answer.asked.as_str())?;
            let Response { url, body, .. } = answer;
            let started = HlsUpstream::start(
                (self.client.clone(), request),
                url,
                (head, body),
                self.hls_bandwidth_max,
            );
            match started.await? {
                Started::Following(session) => return Ok(Upstream::Hls(session)),
                Started::Leads(url, slot) => answer = self.ask_on(&target, &url, slot).await?,
            }
        }
        let text = "lists that lead to lists without end";
        Err(Failure::new(FailureClass::Unusable, text))
    }

    /// The reader of an answer that is no playlist.
    fn understand_bytes(
        &self,
        target: &Target,
        head: Bytes,
        content: Content,
        answer: Response,
    ) -> Result<Upstream, Failure> {
        let Response { headers, body, .. } = answer;
        let bytes = || Progressive::new(head, body, self.titles_of(target, &headers));
        match content {
            // A radio may be joined in the middle of a frame, and the next one may be far: then the answer's name for
            // itself is all there is.
            Content::Unknown if is_called_radio(&headers) => {
                Ok(Upstream::Radio(Box::new(Radio::new(bytes()))))
            }
            Content::TransportStream | Content::Unknown => Ok(Upstream::Progressive(Box::new(bytes()))),
            Content::Mp4 | Content::Matroska | Content::Flv => Err(Failure::new(
                FailureClass::File,
                format!("the entry is a file ({})", content.as_str()),
            )),
            Content::Empty => Err(Failure::new(FailureClass::Transient, "the answer was empty")),
            Content::Dash => Err(Failure::new(FailureClass::Unusable, super::unsupported::DASH)),
            Content::Html | Content::Json | Content::HlsPlaylist => {
                let text = format!(
                    "the provider answered with {} instead of a stream",
                    content.as_str()
                );
                Err(Failure::new(FailureClass::Unusable, text))
            }
            Content::Audio => Ok(Upstream::Radio(Box::new(Radio::new(bytes())))),
        }
    }

    /// Asks for what a list leads to, with the connection the list was asked for with.
    async fn ask_on(&self, target: &Target, url: &Url, slot: Slot) -> Result<Response, Failure> {
        let request = self.request(target, url.as_str())?;
        let slot = reopened(slot).await?;
        let answer = self.client.send(request, Some(slot)).await?;
        match failure_of_answer(url, &answer) {
            None => Ok(answer),
            Some(failure) => Err(failure),
        }
    }

    /// Where the titles in an answer go, if it has any.
    fn titles_of(&self, target: &Target, headers: &HeaderMap) -> Option<(TitleReader, Teller)> {
        let subject = target.subject.clone()?;
        Some((TitleReader::of(headers)?, self.titles.teller(subject)))
    }

    /// Asks a provider for a stream, once there is a connection for it. `more` goes with the target's own headers.
    ///
    /// A provider that still counts a connection which was closed a moment ago is asked again when it may have
    /// forgotten it, as long as a newcomer waits at all.
    ///
    /// # Errors
    /// Anything but a 200, a 206 or, for a range, a 416; [`FailureClass::NoSlot`] when no connection came free in time.
    pub async fn ask(
        &self,
        target: &Target,
        purpose: Purpose,
        more: &HeaderMap,
    ) -> Result<Response, NoStream> {
        self.ask_again(target, purpose, more, None).await
    }

    /// Like [`Opening::ask`], first of all with the connection of an answer whose socket is closed: at its login, once
    /// the provider no longer counts that socket.
    ///
    /// # Errors
    /// Like [`Opening::ask`].
    pub async fn ask_again(
        &self,
        target: &Target,
        purpose: Purpose,
        more: &HeaderMap,
        mut closed: Option<Slot>,
    ) -> Result<Response, NoStream> {
        let url = target.url.expose();
        if let Some(reason) = unsupported(url).or_else(|| datagram::no_request(url)) {
            return Err(Failure::new(FailureClass::Unusable, reason).into());
        }
        let asked = Instant::now();
        let mut wish = target.wish(purpose);
        // Of several logins the one with most free connections is asked first.
        wish.places
            .sort_by_key(|place| Reverse(self.pools.free(&place.login, place.limit)));
        let mut ways = self.ways.of(target);
        let mut hosts_failed = 0;
        loop {
            let slot = match closed.take() {
                Some(slot) => reopened(slot).await?,
                None => self.slot(target, &wish, asked).await?,
            };
            wish.line = slot.line();
            let login = slot.login().unwrap_or_else(|| target.login.clone());
            let urls = target.urls_at(&login, ways.now());
            let (host, url) = urls.first().cloned().unwrap_or_default();
            let mut request = self.request(target, &url)?;
            request.headers.extend(more.clone());
            let ranged = request.headers.contains_key(RANGE);
            let asked_url = request.url.clone();
            if asked_url.path().ends_with(".m3u8") {
                // Its provider counts a session from here on, whether we read the answer or not.
                slot.requested();
            }
            let revoked = slot.revoked();
            // Whoever needs the connection more gets it, answer or not.
            let answer = tokio::select! {
                biased;
                () = revoked => return Err(taken_back().into()),
                answer = self.client.send(request, Some(slot)) => answer,
            };
            if let (Err(HttpError::Connect(_)), Some(addresses)) = (&answer, &target.addresses) {
                addresses.is_down(host);
                hosts_failed += 1;
                if hosts_failed < urls.len() {
                    debug!(source = %target.source, "a host cannot be connected to; trying the next");
                    continue;
                }
            }
            let mut answer = match answer {
                Ok(answer) => answer,
                Err(error) if ways.now() == Way::Direct => {
                    hosts_failed = 0;
                    match ways.go_on(Failure::from(error).into()) {
                        Some(no) => return Err(no),
                        None => continue,
                    }
                }
                Err(error) => return Err(Failure::from(error).into()),
            };
            if ranged && answer.status == StatusCode::RANGE_NOT_SATISFIABLE {
                return Ok(answer);
            }
            let Some(failure) = failure_of_answer(&asked_url, &answer) else {
                ways.brings();
                if let Some(slot) = answer.body.slot_mut() {
                    slot.accepted();
                }
                return Ok(answer);
            };
            let head = Some((answer.status, answer.headers.clone()));
            if ways.is_of_address(Some(answer.status)) {
                debug!(source = %target.source, status = answer.status.as_u16(), "not at this address");
                closed = answer.body.into_slot().inspect(Slot::refused);
                hosts_failed = 0;
                match ways.go_on(NoStream { head, failure }) {
                    Some(no) => return Err(no),
                    None => continue,
                }
            }
            match self.blame(target, &login, answer, failure) {
                Blame::Lingering if purpose.may_wait() => {}
                Blame::Lingering => {
                    return Err(NoStream {
                        head,
                        failure: still_counted(),
                    });
                }
                Blame::Failed(failure) => return Err(NoStream { head, failure }),
            }
        }
    }

    /// A permitted connection for a wish that came at `asked`.
    async fn slot(&self, target: &Target, wish: &Wish, asked: Instant) -> Result<Slot, Failure> {
        let slot = if wish.purpose.may_wait() {
            let wait = self.patience(target).saturating_sub(asked.elapsed());
            self.pools.acquire(wish.clone(), wait).await
        } else {
            self.pools.try_acquire(wish)
        };
        slot.map_err(|refused| self.no_slot(target, wish, &refused))
    }

    /// That no connection was permitted. A login that is left alone because its provider does not accept it is not one
    /// whose connections are used up: what viewers are told must not change while it rests.
    fn no_slot(&self, target: &Target, wish: &Wish, refused: &Refused) -> Failure {
        let unaccepted = |place: &Place| self.pools.rest_of(&place.login) == Some(Rest::Auth);
        if matches!(refused, Refused::Cooling { .. }) && wish.places.iter().all(unaccepted) {
            let failure = Failure::new(FailureClass::Auth, refused.to_string());
            return target.explained(&target.login, failure);
        }
        Failure::new(FailureClass::NoSlot, refused.to_string())
    }

    /// How long a newcomer waits for a connection: longer where the provider is known to count on for longer.
    fn patience(&self, target: &Target) -> Duration {
        let learned = target.logins().map(|(login, _)| self.pools.expected_delay(login));
        let learned = learned.max().unwrap_or_default().min(LEARNED_WAIT_MAX);
        let delay = target.release_delay.max(learned);
        if delay.is_zero() {
            self.timing.slot_within
        } else {
            self.timing.slot_within.max(delay + RELEASE_MARGIN)
        }
    }

    /// Finds out what an answer that brings no stream is about, and leaves alone what it is about: the login after
    /// "used up", "not accepted" and "too often"; everything else is the stream's. The slot of the answer comes back.
    ///
    /// Asking the same login again at once can cut a stream that works there.
    fn blame(&self, target: &Target, login: &Login, answer: Response, failure: Failure) -> Blame {
        let status = answer.status;
        let Some(slot) = answer.body.into_slot() else {
            return Blame::Failed(failure);
        };
        let rest = failure.retry_after.unwrap_or(self.timing.limit_rest);
        let failure = target.explained(login, failure);
        match failure.class {
            FailureClass::Expired => {
                slot.refused();
                self.pools.cool(login, rest, Rest::Auth);
            }
            FailureClass::Limit if status == StatusCode::TOO_MANY_REQUESTS => {
                slot.refused();
                self.pools.cool(login, rest, Rest::Requests);
            }
            // Some panels say 401 where they mean that the connections of a good login are used up.
            FailureClass::Auth if !slot.is_login_accepted() => {
                slot.refused();
                self.pools.cool(login, rest, Rest::Auth);
            }
            FailureClass::Limit | FailureClass::Auth => match slot.limit_answer() {
                LimitAnswer::Lingering { again_after } => {
                    debug!(
                        source = %target.source, %login, ?again_after,
                        "the provider still counts a closed connection"
                    );
                    return Blame::Lingering;
                }
                LimitAnswer::Reached { limit } => {
                    warn!(
                        source = %target.source, %login,
                        "the provider says that the login's connections are used up; it counts as one of {limit} for a while"
                    );
                    self.pools.cool(login, rest, Rest::Limit);
                    return Blame::Failed(Failure {
                        class: FailureClass::Limit,
                        ..failure
                    });
                }
            },
            _ => slot.refused(),
        }
        Blame::Failed(failure)
    }

    /// The request for a target's stream at one of its addresses.
    ///
    /// # Errors
    /// When the address cannot be asked over HTTP.
    pub fn request(&self, target: &Target, url: &str) -> Result<Request, Failure> {
        let mut request = Request::get(url, self.timing.head_within).map_err(Failure::from)?;
        request.headers = target.headers.clone();
        if target.is_elsewhere(&request.url) {
            for name in SECRETS {
                request.headers.remove(name);
            }
        }
        request.insecure_tls = target.insecure_tls;
        Ok(request)
    }

    /// Reads until it is known what the answer is.
    ///
    /// # Errors
    /// When nothing, or too little to tell, came in time.
    pub async fn first_bytes(&self, body: &mut Body) -> Result<(Bytes, Content), Failure> {
        let within = self.timing.first_bytes_within;
        let mut head = BytesMut::new();
        let read = async {
            loop {
                if let Some(content) = sniff(&head, false) {
                    return Ok(content);
                }
                match body.read_unless_revoked().await {
                    None => return Err(taken_back()),
                    Some(Ok(Some(bytes))) => head.extend_from_slice(&bytes),
                    Some(Ok(None)) => return Ok(sniff(&head, true).unwrap_or(Content::Unknown)),
                    Some(Err(error)) => return Err(error.into()),
                }
            }
        };
        let content = tokio::time::timeout(within, read).await;
        match content {
            Ok(content) => Ok((head.freeze(), content?)),
            Err(_) => {
                let text = format!(
                    "connected, but nothing that can be understood came within {} s",
                    within.as_secs()
                );
                Err(Failure::new(FailureClass::Transient, text))
            }
        }
    }
}

/// A slot whose socket is closed, once another may be opened with it.
async fn reopened(slot: Slot) -> Result<Slot, Failure> {
    let ready_at = slot.reopen();
    tokio::select! {
        biased;
        () = slot.revoked() => return Err(taken_back()),
        () = sleep_until(ready_at) => {}
    }
    Ok(slot)
}

/// Why a request brought no stream.
#[derive(Debug)]
pub struct NoStream {
    /// What the provider answered, if it did.
    pub head: Option<(StatusCode, HeaderMap)>,
    /// Whose fault it is.
    pub failure: Failure,
}

impl From<Failure> for NoStream {
    fn from(failure: Failure) -> Self {
        Self { head: None, failure }
    }
}

impl From<NoStream> for Failure {
    fn from(no: NoStream) -> Self {
        no.failure
    }
}

/// What an answer without a stream comes to.
enum Blame {
    /// The provider still counts a connection that was closed: it is asked again in a moment.
    Lingering,
    Failed(Failure),
}

fn still_counted() -> Failure {
    Failure::new(
        FailureClass::NoSlot,
        "the provider still counts a connection that was closed a moment ago",
    )
}

/// The names of raw MPEG audio (RFC 3003) and AAC, registered and not.
fn is_called_radio(headers: &HeaderMap) -> bool {
    let name = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let name = name.and_then(|name| name.split(';').next()).unwrap_or_default();
    let radio = ["audio/mpeg", "audio/mp3", "audio/aac", "audio/aacp"];
    radio.iter().any(|known| name.trim().eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    use http::HeaderValue;
    use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, USER_AGENT};

    fn opening() -> Opening {
        let within = Duration::from_secs(1);
        Opening {
            client: Client::new(within, 3).unwrap(),
            pools: Pools::new(5),
            hls_bandwidth_max: None,
            timing: OpenTiming {
                slot_within: within,
                head_within: within,
                first_bytes_within: within,
                limit_rest: Duration::from_secs(15),
            },
            titles: Titles::default(),
            ways: KnownWays::default(),
        }
    }

    fn target(url: &str) -> Target {
        let source = SourceName::new("one");
        Target {
            login: Login::of_entry(None, &source, url),
            source,
            limit: 1,
            url: StreamUrl::new(url),
            direct: None,
            elsewhere: Vec::new(),
            addresses: None,
            headers: HeaderMap::new(),
            insecure_tls: false,
            datagrams: datagram::Rules::default(),
            release_delay: Duration::ZERO,
            subject: None,
            session: None,
            account_ended: None,
        }
    }

    #[test]
    fn what_is_set_for_a_panel_is_not_sent_to_a_server_that_it_names() {
        let secrets = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];
        let value = || HeaderValue::from_static("x");
        let mut target = Target {
            direct: Some(StreamUrl::new("http://edge.example/movie/u/p/7.mkv")),
            ..target("http://h.example/movie/u/p/7.mkv")
        };
        target
            .headers
            .extend(secrets.iter().map(|name| (name.clone(), value())));
        target.headers.insert(USER_AGENT, value());
        for (url, sent) in [
            ("http://h.example/movie/u/p/7.mkv", 4),
            ("http://edge.example/movie/u/p/7.mkv", 1),
            // What its playlist names, at the same server.
            ("http://edge.example/other.ts", 1),
        ] {
            let request = opening().request(&target, url).unwrap();
            assert_eq!(request.headers.len(), sent, "{url}");
        }
    }

    /// Whoever is told that the account has ended is not told a moment later that the connections are used up.
    #[tokio::test]
    async fn a_login_that_rests_fails_as_it_did_before() {
        let ended = || Some("the account has ended".to_owned());
        for (why, account_ended, expected) in [
            (Rest::Limit, None, FailureClass::NoSlot),
            (Rest::Requests, ended(), FailureClass::NoSlot),
            (Rest::Auth, None, FailureClass::Auth),
            (Rest::Auth, ended(), FailureClass::Expired),
        ] {
            let opening = opening();
            let target = Target {
                account_ended,
                ..target("http://h.example/live/u/p/7.ts")
            };
            opening.pools.cool(&target.login, Duration::from_secs(15), why);
            let failure = opening.live(target).await.err().unwrap();
            assert_eq!(failure.class, expected, "{why:?}");
        }
    }

    #[tokio::test]
    async fn the_card_needs_no_connection_beside_a_stream_either() {
        let opening = opening();
        assert!(matches!(
            opening.live(target(CARD_URL)).await,
            Ok(Upstream::Card(_))
        ));
        assert!(matches!(
            opening.hedge(target(CARD_URL)).await,
            Ok(Upstream::Card(_))
        ));
    }
}
