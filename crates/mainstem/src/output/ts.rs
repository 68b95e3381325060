//! A channel as one response that does not break: `GET /stream/{id}`, as a transport stream, or as the raw sound that
//! its sources send.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use catalog::{Channel, Kind};
use futures_util::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use mpegts::Codec;
use mpegts::radio::Unwrapper;
use relay::{Claim, FailureClass, Ready, Viewer};
use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, Span, debug, error_span, info};

use super::{catchup, file, hls};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::path::Path;
use crate::audience::{Asker, Present};
use crate::channels::Key;
use crate::server::{Direct, Endless, FINISH_MAX, Patience, Peer, Wire};
use crate::upstream::icy::{self, TitleWriter};
use crate::upstream::titles::Titles;
use crate::upstream::unsupported::unplayable;

/// What a transport stream is called (RFC 3555 clause 4.1.11).
const TRANSPORT_STREAM: HeaderValue = HeaderValue::from_static("video/mp2t");

/// Bytes that are written at once at most: some thousand viewers who are all seconds behind take turns, and nobody's
/// turn is long in coming. Larger writes take hardly less processor time.
const WRITE_BYTES_MAX: usize = 128 << 10;

/// How much longer than `timing.head_within` a viewer waits for the slate, should deciding take its time.
const HEAD_MARGIN: Duration = Duration::from_secs(3);

/// `GET` and `HEAD /stream/{id}`. HEAD opens nothing upstream, and says what is remembered.
pub(crate) async fn stream(
    State(app): State<App>,
    Path(id): Path<String>,
    (axum::Extension(peer), axum::Extension(patience)): (axum::Extension<Peer>, axum::Extension<Patience>),
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let stretch = catchup::stretch_of(&uri, jiff::Timestamp::now());
    if let Some(wanted) = hls::Wanted::read(&id) {
        if stretch.is_ok_and(|stretch| stretch.is_some()) {
            let detail = "what was on is served as a transport stream: the same address without .m3u8";
            return Err(ApiError::bad_query(detail));
        }
        let asker = Asker::read(app.links().client(&headers, peer.0), &uri, &headers);
        return hls::serve(&app, wanted, asker, (method, &headers)).await;
    }
    let (catalog, channel) = app.channel(&id).await?;
    let Some(channel) = catalog.get(channel) else {
        return Err(ApiError::unknown_channel(&id));
    };
    if let Some(reason) = unplayable(channel) {
        return Err(ApiError::unsupported(channel.name(), reason));
    }
    let stretch = match channel.kind() {
        Kind::Live => stretch?,
        _ => None,
    };
    if method == Method::HEAD {
        return Ok(match channel.kind() {
            Kind::Live => {
                let remembered = app.channels.raw_sound(channel).map(raw_sound);
                described(
                    remembered.unwrap_or(TRANSPORT_STREAM),
                    Response::new(super::no_body()),
                )
            }
            _ => file::head(&app, channel),
        });
    }
    let asker = Asker::read(app.links().client(&headers, peer.0), &uri, &headers);
    let present = app.audience.enter(&asker, channel.id()).await;
    let present = present.map_err(ApiError::not_served)?;
    patience.until(present.stop());
    if channel.kind() != Kind::Live {
        let wanted = file::Wanted::of(&app, &catalog, channel);
        return file::file(&app, wanted, (present, &asker), (&headers, &patience)).await;
    }
    if let Some(stretch) = stretch {
        let wanted = catchup::wanted(&app, &catalog, channel, stretch)?;
        return file::file(&app, wanted, (present, &asker), (&headers, &patience)).await;
    }
    let claim = claim(&asker);
    let span = error_span!("viewer", client = claim.client);
    let mut viewer = app
        .hub
        .join(
            Key {
                channel: channel.id(),
            },
            claim,
        )
        .await
        .map_err(|_| ApiError::shutting_down())?;
    let wait = app.config().timing.head_within + HEAD_MARGIN;
    match timeout(wait, viewer.ready()).instrument(span.clone()).await {
        Ok(Ready::TransportStream) => {
            app.packagers.watched((channel.id(), channel.name()), &viewer);
            span.in_scope(|| info!(channel = channel.name(), "watches"));
            let watch = Watch::new(viewer, None, (present, Watching::new(span)));
            Ok(described(TRANSPORT_STREAM, Direct::answer(Box::new(watch))))
        }
        Ok(Ready::RawSound(codec)) => {
            app.packagers.watched((channel.id(), channel.name()), &viewer);
            span.in_scope(|| info!(channel = channel.name(), "listens"));
            let raw = RawSound::new(&app, channel, &headers);
            let titled = raw.titles.is_some();
            let watch = Watch::new(viewer, Some(raw), (present, Watching::new(span)));
            let response = described(raw_sound(codec), Direct::answer(Box::new(watch)));
            Ok(if titled {
                with_titles(response, channel)
            } else {
                response
            })
        }
        Ok(Ready::File) => {
            drop(viewer);
            let wanted = file::Wanted::of(&app, &catalog, channel);
            file::file(&app, wanted, (present, &asker), (&headers, &patience)).await
        }
        Ok(Ready::Unavailable(failure)) => Err(ApiError::unavailable(channel.name(), &failure)),
        Err(_) => {
            let late = relay::Failure::new(FailureClass::Transient, "no source answered in time");
            Err(ApiError::unavailable(channel.name(), &late))
        }
    }
}

/// Tells the log when a response ends, however it ends.
struct Watching {
    span: Span,
    since: Instant,
}

impl Watching {
    fn new(span: Span) -> Self {
        Self {
            span,
            since: Instant::now(),
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let seconds = self.since.elapsed().as_secs();
        self.span.in_scope(|| debug!(seconds, "watches no longer"));
    }
}

fn claim(asker: &Asker) -> Claim {
    Claim {
        client: asker.shown(),
        user: None,
        // VLC takes up a new PMT and restarts its decoders; others keep the programme they started with.
        follows_pmt: asker.player.contains("VLC"),
    }
}

/// What a viewer gets: the programme's packets, or the frames inside them where `raw` takes them out.
struct Watch {
    viewer: Viewer,
    raw: Option<RawSound>,
    present: Present,
    _watching: Watching,
}

impl Watch {
    fn new(viewer: Viewer, raw: Option<RawSound>, (present, watching): (Present, Watching)) -> Self {
        Self {
            viewer,
            raw,
            present,
            _watching: watching,
        }
    }

    /// Replaces packets by the frames in them. Packets of tables, or a sign of life, hold none.
    fn take_frames(raw: &mut Option<RawSound>, pieces: &mut Vec<Bytes>) {
        if let Some(raw) = raw {
            pieces.iter_mut().for_each(|piece| *piece = raw.push(piece));
            pieces.retain(|piece| !piece.is_empty());
        }
    }

    async fn deliver(mut self, mut wire: Wire) -> std::io::Result<()> {
        let mut stopped = pin!(self.present.stopped());
        let mut pieces = Vec::new();
        loop {
            let more = tokio::select! {
                biased;
                () = &mut stopped => false,
                () = wire.gone() => return Ok(()),
                more = self.viewer.gather(&mut pieces, WRITE_BYTES_MAX) => more,
            };
            if !more {
                return wire.end().await;
            }
            Self::take_frames(&mut self.raw, &mut pieces);
            let is_told = {
                let mut write = pin!(wire.write(&mut pieces));
                tokio::select! {
                    biased;
                    written = &mut write => {
                        written?;
                        false
                    }
                    () = &mut stopped => match timeout(FINISH_MAX, write).await {
                        Ok(written) => {
                            written?;
                            true
                        }
                        // It takes nothing, and another stream waits for its place.
                        Err(_) => return Ok(()),
                    },
                }
            };
            if is_told {
                return wire.end().await;
            }
        }
    }
}

impl Endless for Watch {
    fn write(self: Box<Self>, wire: Wire) -> Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>> {
        Box::pin(self.deliver(wire))
    }

    fn body(self: Box<Self>) -> Body {
        let stopped = Box::pin(self.present.stopped());
        let state = (self, stopped, Vec::new());
        let pieces = futures_util::stream::unfold(state, |(mut watch, mut stopped, mut pieces)| async move {
            while pieces.is_empty() {
                let more = tokio::select! {
                    biased;
                    () = &mut stopped => false,
                    more = watch.viewer.gather(&mut pieces, WRITE_BYTES_MAX) => more,
                };
                if !more {
                    return None;
                }
                Self::take_frames(&mut watch.raw, &mut pieces);
            }
            let now = std::mem::take(&mut pieces);
            let now = futures_util::stream::iter(now.into_iter().map(Ok::<_, Infallible>));
            Some((now, (watch, stopped, pieces)))
        });
        Body::from_stream(pieces.flatten())
    }
}

/// The frames inside packets, with the titles between them where the listener takes any.
struct RawSound {
    unwrapper: Unwrapper,
    titles: Option<(TitleWriter, Titles, String)>,
}

impl RawSound {
    fn new(app: &App, channel: &Channel, headers: &HeaderMap) -> Self {
        let titles = || {
            let titles = app.channels.opening().titles.clone();
            (TitleWriter::default(), titles, channel.id().to_string())
        };
        Self {
            unwrapper: Unwrapper::new(),
            titles: icy::takes_titles(headers).then(titles),
        }
    }

    fn push(&mut self, packets: &[u8]) -> Bytes {
        let sound = self.unwrapper.push(packets).into();
        match &mut self.titles {
            None => sound,
            Some((writer, titles, channel)) => writer.push(sound, &titles.of(channel)),
        }
    }
}

/// Says where titles stand, and what the station is called.
fn with_titles(mut response: Response, channel: &Channel) -> Response {
    let headers = response.headers_mut();
    headers.insert(icy::INTERVAL, HeaderValue::from(icy::INTERVAL_BYTES));
    if let Ok(name) = HeaderValue::from_bytes(channel.display_name().as_bytes()) {
        headers.insert(icy::NAME, name);
    }
    response
}

/// What raw sound is called (RFC 3003; audio/aac in the IANA registry of media types).
fn raw_sound(codec: Codec) -> HeaderValue {
    HeaderValue::from_static(match codec {
        Codec::Aac => "audio/aac",
        _ => "audio/mpeg",
    })
}

fn described(content_type: HeaderValue, mut response: Response) -> Response {
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    // nginx would gather an endless answer before it passes it on.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}
