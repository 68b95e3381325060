//! The front door: accepts connections, bounds them, and gives each request to the router.
//!
//! An accept loop of our own, because the ready-made one sets no timer: without it a client that never finishes its
//! request head, or never reads its answer, would hold its connection for ever.

pub mod cors;
mod direct;
mod guard;
mod wire;

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{debug, error, warn};

pub(crate) use direct::{Direct, Endless};
pub(crate) use wire::Wire;

use direct::Taken;
pub(crate) use guard::FINISH_MAX;
use guard::Guarded;
pub use guard::Patience;

/// Connections at one time beside those of viewers: lists, status pages, probes.
const OTHER_CONNECTIONS_MAX: usize = 1_000;

/// Connections that wait to be accepted: after a restart everybody comes back at once, and whom the kernel turns away
/// asks again a second later. The system's own bound may be lower (`net.core.somaxconn`).
const WAITING_MAX: i32 = 4_096;

/// Bytes of one request head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// A pause after the system refused a connection for want of file handles or memory, so that others can end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// First sign of life asked of a silent client, and the pause between further ones.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);

/// Who sent a request: the other end of its socket.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Bounds of connections.
#[derive(Debug, Clone)]
pub struct ServerBounds {
    /// Viewers at one time.
    pub viewers_max: usize,
    /// Longest wait for a request's head.
    pub head_within: Duration,
    /// Longest time a client may take no byte of an answer.
    pub stall_max: Duration,
}

/// Says which sub-path requests may come with just now; `None` for none.
pub type Prefix = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Serves until `stop`, then lets requests under way end for `drain` at most.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    prefix: Prefix,
    bounds: ServerBounds,
    (stop, drain): (CancellationToken, Duration),
) {
    if let Err(error) = SockRef::from(&listener).listen(WAITING_MAX) {
        debug!(%error, "fewer clients than usual can wait to be accepted");
    }
    let permits = Arc::new(Semaphore::new(bounds.viewers_max + OTHER_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                observe(ended);
                continue;
            }
            () = stop.cancelled() => break,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            warn!("more connections than limits.viewers allows; a client was turned away");
            continue;
        };
        let connection = connection(
            socket,
            peer,
            router.clone(),
            Arc::clone(&prefix),
            bounds.clone(),
            stop.clone(),
        );
        connections.spawn(async move {
            connection.await;
            drop(permit);
        });
    }
    drop(listener);
    let drained = tokio::time::timeout(drain, async {
        while let Some(ended) = connections.join_next().await {
            observe(ended);
        }
    });
    if drained.await.is_err() {
        warn!(
            open = connections.len(),
            "clients that did not end in time are disconnected"
        );
    }
    connections.shutdown().await;
}

fn observe(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!(%error, "a fault in mainstem ended one client's connection; others go on. Please report it");
    }
}

async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    router: Router,
    prefix: Prefix,
    bounds: ServerBounds,
    stop: CancellationToken,
) {
    if let Err(error) = tune(&socket, bounds.stall_max) {
        debug!(%error, "socket options could not be set");
    }
    let patience = Patience::new(bounds.stall_max);
    let guarded = Guarded::new(socket, patience.clone(), |socket, stall_max| {
        if let Err(error) = SockRef::from(socket).set_tcp_user_timeout(Some(stall_max)) {
            debug!(%error, "a socket option could not be set");
        }
    });
    let taken: Arc<Mutex<Option<Taken>>> = Arc::default();
    let (takes, is_first) = (Arc::clone(&taken), AtomicBool::new(true));
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip().to_canonical()));
        patience.renew(bounds.stall_max);
        request.extensions_mut().insert(patience.clone());
        strip_prefix(&mut request, prefix().as_deref());
        let router = router.clone();
        // Behind an earlier answer the library may still have bytes of that one.
        let takes = is_first
            .swap(false, Ordering::Relaxed)
            .then(|| Arc::clone(&takes));
        Box::pin(async move {
            let answered = router.oneshot(request.map(Body::new)).await;
            let response = answered.unwrap_or_else(|never| match never {});
            let answer = takes.as_ref().and_then(|_| Taken::take(&response));
            let (Some(takes), Some(answer)) = (takes, answer) else {
                return Ok::<_, Infallible>(response);
            };
            *takes.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            // The socket is taken away from the library now, before it has written anything.
            pending().await
        })
    });
    let mut connection = Box::new(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.head_within)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(guarded), service),
    );
    let ended = {
        let (mut stopped, mut is_told) = (pin!(stop.cancelled()), false);
        poll_fn(|cx| {
            let mut connection = Pin::new(&mut *connection);
            if !is_told && stopped.as_mut().poll(cx).is_ready() {
                is_told = true;
                connection.as_mut().graceful_shutdown();
            }
            if let Poll::Ready(ended) = connection.poll(cx) {
                return Poll::Ready(Ok(ended));
            }
            let answer = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            answer.map_or(Poll::Pending, |answer| Poll::Ready(Err(answer)))
        })
        .await
    };
    let ended = match ended {
        Ok(ended) => ended.map_err(std::io::Error::other),
        Err(Taken { head, endless }) => {
            let parts = connection.into_parts();
            let socket = parts.io.into_inner().into_inner();
            let wire = Wire::new(socket, head, bounds.stall_max, !parts.read_buf.is_empty());
            endless.write(wire).await
        }
    };
    if let Err(error) = ended {
        // Clients that vanish are daily business.
        debug!(%peer, %error, "connection ended");
    }
}

/// A vanished client is noticed though it never says goodbye: unanswered data or signs of life end its socket.
fn tune(socket: &TcpStream, stall_max: Duration) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let options = SockRef::from(socket);
    options.set_tcp_user_timeout(Some(stall_max))?;
    options.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE_AFTER)
            .with_interval(KEEPALIVE_EVERY),
    )
}

/// Requests may come with the sub-path of `public_url`, or with a proxy having taken it off.
fn strip_prefix(request: &mut Request<Incoming>, prefix: Option<&str>) {
    let Some(prefix) = prefix else { return };
    let Some(rest) = request
        .uri()
        .path_and_query()
        .and_then(|path| path.as_str().strip_prefix(prefix))
    else {
        return;
    };
    let rest = match rest.as_bytes().first() {
        Some(b'/') => rest.to_owned(),
        None | Some(b'?') => format!("/{rest}"),
        Some(_) => return,
    };
    let Ok(rest) = rest.parse::<PathAndQuery>() else {
        return;
    };
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.path_and_query = Some(rest);
    if let Ok(uri) = http::Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}
