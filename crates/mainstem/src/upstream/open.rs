//! Opening a stream: the slot, the request, and what kind of answer came.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use catalog::{SourceName, StreamUrl};
use http::HeaderMap;
use relay::{Failure, FailureClass};

use super::answer::failure_of_status;
use super::hls::HlsUpstream;
use super::http::{Body, Client, Request, Response};
use super::progressive::Progressive;
use super::sniff::{Content, sniff};
use super::{Upstream, card};
use crate::slot::{Login, Place, Pools, Purpose, Refused, Rest, Slot, Wish};

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
    /// Headers of the source and of the entry.
    pub headers: HeaderMap,
    /// Whether any certificate is taken.
    pub insecure_tls: bool,
    /// How long the provider goes on counting a connection after it is closed.
    pub release_delay: Duration,
}

impl Target {
    /// The connection it takes.
    #[must_use]
    pub fn wish(&self, purpose: Purpose) -> Wish {
        let place = Place {
            login: self.login.clone(),
            limit: self.limit,
            release_delay: self.release_delay,
        };
        Wish::at(place, self.source.clone(), purpose)
    }
}

/// How much longer than a provider's own delay a slot is waited for.
const RELEASE_MARGIN: Duration = Duration::from_secs(1);

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
}

impl Opening {
    /// Opens a live stream for a broadcast.
    ///
    /// # Errors
    /// A [`Failure`] that says whose fault it is.
    pub async fn live(&self, target: Target) -> Result<Upstream, Failure> {
        if target.url.expose() == CARD_URL {
            return Ok(Upstream::Card(card::Card::default()));
        }
        let slot = self.slot(&target, Purpose::Live).await?;
        let request = self.request(&target)?;
        let mut answer = self.send(&target, request.clone(), slot).await?;
        let (head, content) = self.first_bytes(&mut answer.body).await?;
        match content {
            Content::TransportStream | Content::Unknown => Ok(Upstream::Progressive(Box::new(
                Progressive::new(head, answer.body),
            ))),
            Content::HlsPlaylist => {
                let Response { url, body, .. } = answer;
                let session = HlsUpstream::start(
                    self.client.clone(),
                    request,
                    url,
                    head,
                    body,
                    target.release_delay,
                )
                .await?;
                Ok(Upstream::Hls(Box::new(session)))
            }
            Content::Mp4 | Content::Matroska | Content::Flv => Err(Failure::new(
                FailureClass::File,
                format!("the entry is a file ({})", content.as_str()),
            )),
            Content::Empty => Err(Failure::new(FailureClass::Transient, "the answer was empty")),
            Content::Html | Content::Json => {
                let text = format!(
                    "the provider answered with {} instead of a stream",
                    content.as_str()
                );
                Err(Failure::new(FailureClass::Unusable, text))
            }
            Content::Audio => Err(Failure::new(
                FailureClass::Unusable,
                "audio without a transport stream is not supported yet",
            )),
        }
    }

    /// A permitted connection at the target's login.
    ///
    /// # Errors
    /// [`FailureClass::NoSlot`] when none came free in time.
    pub async fn slot(&self, target: &Target, purpose: Purpose) -> Result<Slot, Failure> {
        let delay = target.release_delay;
        let wait = if delay.is_zero() {
            self.timing.slot_within
        } else {
            self.timing.slot_within.max(delay + RELEASE_MARGIN)
        };
        let slot = self.pools.acquire(target.wish(purpose), wait).await;
        slot.map_err(|refused: Refused| Failure::new(FailureClass::NoSlot, refused.to_string()))
    }

    /// The request for a target's stream.
    ///
    /// # Errors
    /// When the address cannot be asked over HTTP.
    pub fn request(&self, target: &Target) -> Result<Request, Failure> {
        let url = target.url.expose();
        let mut request =
            Request::get(url, self.timing.head_within).map_err(|error| unsupported(url, error.into()))?;
        request.headers = target.headers.clone();
        request.insecure_tls = target.insecure_tls;
        Ok(request)
    }

    /// Sends a stream's request; an answer that is about the login rests the login.
    ///
    /// # Errors
    /// Anything but a 200 or 206.
    pub async fn send(&self, target: &Target, request: Request, slot: Slot) -> Result<Response, Failure> {
        let answer = self.client.send(request, Some(slot)).await?;
        match failure_of_status(answer.status, &answer.headers) {
            None => Ok(answer),
            Some(failure) => {
                self.rest_login(target, &failure);
                Err(failure)
            }
        }
    }

    /// Leaves a login alone after an answer that is about it: asking again at once can cut a stream that works.
    pub fn rest_login(&self, target: &Target, failure: &Failure) {
        if matches!(failure.class, FailureClass::Limit | FailureClass::Auth) {
            let rest = failure.retry_after.unwrap_or(self.timing.limit_rest);
            let why = if failure.class == FailureClass::Auth {
                Rest::Auth
            } else {
                Rest::Limit
            };
            self.pools.cool(&target.login, rest, why);
        }
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
                    None => return Err(super::progressive::taken_back()),
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

/// Says which kind of address is not supported, where it is one that lists do contain.
fn unsupported(url: &str, failure: Failure) -> Failure {
    match url.split_once("://") {
        Some((scheme @ ("rtmp" | "rtsp" | "rtp" | "udp" | "mms" | "plugin"), _)) => Failure::new(
            FailureClass::Unusable,
            format!("{scheme} addresses are not supported"),
        ),
        _ => failure,
    }
}
