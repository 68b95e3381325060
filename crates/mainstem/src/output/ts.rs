//! A channel as one response that does not break: `GET /stream/{id}`.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use catalog::Kind;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use relay::{Claim, FailureClass, Ready, Viewer};
use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, Span, debug, error_span, info};

use super::file;
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::path::Path;
use crate::audience::{Asker, Present};
use crate::channels::Key;
use crate::server::Peer;

/// What a transport stream is called (RFC 3555 clause 4.1.11).
const TRANSPORT_STREAM: HeaderValue = HeaderValue::from_static("video/mp2t");

/// How much longer than `timing.head_within` a viewer waits for the slate, should deciding take its time.
const HEAD_MARGIN: Duration = Duration::from_secs(3);

/// `GET` and `HEAD /stream/{id}`. HEAD opens nothing upstream.
pub(crate) async fn stream(
    State(app): State<App>,
    Path(id): Path<String>,
    axum::Extension(peer): axum::Extension<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (catalog, channel) = app.channel(&id).await?;
    let Some(channel) = catalog.get(channel) else {
        return Err(ApiError::unknown_channel(&id));
    };
    if method == Method::HEAD {
        return Ok(match channel.kind() {
            Kind::Live => streaming(super::no_body()),
            _ => file::head(channel),
        });
    }
    let asker = Asker::read(app.links().client(&headers, peer.0), &uri, &headers);
    let present = app.audience.enter(&asker, channel.id()).await;
    let present = present.map_err(ApiError::not_served)?;
    if channel.kind() != Kind::Live {
        return file::file(&app, &catalog, channel, (present, &asker), &headers).await;
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
            span.in_scope(|| info!(channel = channel.name(), "watches"));
            Ok(streaming(body(viewer, present, Watching::new(span))))
        }
        Ok(Ready::File) => {
            drop(viewer);
            file::file(&app, &catalog, channel, (present, &asker), &headers).await
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

fn body(viewer: Viewer, present: Present, watching: Watching) -> Body {
    let stopped = Box::pin(present.stopped());
    let state = (viewer, stopped, (present, watching));
    Body::from_stream(futures_util::stream::unfold(
        state,
        |(mut viewer, mut stopped, there)| async move {
            let bytes = tokio::select! {
                biased;
                () = &mut stopped => None,
                bytes = viewer.next() => bytes,
            }?;
            Some((Ok::<_, Infallible>(bytes), (viewer, stopped, there)))
        },
    ))
}

fn streaming(body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, TRANSPORT_STREAM);
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-store, must-revalidate"),
    );
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    // nginx would gather an endless answer before it passes it on.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}
