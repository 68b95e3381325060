//! A provider's answer behind its head.
//!
//! A [`Body`] owns its socket and, behind it, the slot the socket uses: dropping the body closes the socket first and
//! gives the slot back second.

use std::collections::VecDeque;
use std::io;
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::future::poll_fn;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_rustls::MaybeHttpsStream;

use super::http::{Connection, HttpError, MaybeSecure, chain};
use super::socket::Looks;
use super::status_line::AnySocket;
use super::tail::Tail;
use crate::slot::Slot;

/// An answer's body, with the socket it comes from and the slot the socket uses. Fields drop in this order.
pub struct Body {
    origin: Origin,
    slot: Option<Slot>,
}

/// Where it comes from.
enum Origin {
    /// The HTTP library, which knows where it ends.
    Exchange(Exchange),
    /// The socket itself: it ends with the connection, and is looked at.
    Tail(Tail),
    /// Between the two.
    Broken,
}

/// An exchange whose answer has begun. The library's connection does the reading and writing.
pub(super) struct Exchange {
    incoming: Incoming,
    connection: Connection,
    connection_over: bool,
    looks: Looks,
    /// The body is what comes on the socket, to its end, as it is.
    is_bare: bool,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

impl Exchange {
    pub(super) fn new((incoming, connection): (Incoming, Connection), looks: Looks, is_bare: bool) -> Self {
        Self {
            incoming,
            connection,
            connection_over: false,
            looks,
            is_bare,
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, HttpError>> {
        if !self.connection_over {
            self.connection_over = Pin::new(&mut *self.connection).poll(cx).is_ready();
        }
        self.poll_incoming(cx)
    }

    /// What the connection has read.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, HttpError>> {
        loop {
            return match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(Ok(None)),
                Poll::Ready(Some(Err(error))) => Poll::Ready(Err(HttpError::Broken(chain(&error)))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => Poll::Ready(Ok(Some(data))),
                    _ => continue,
                },
            };
        }
    }

    /// The library is done with it: what it has read already, and the socket.
    fn into_tail(mut self) -> Tail {
        let mut read = VecDeque::new();
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(next) = self.poll_incoming(&mut cx) {
            let is_over = !matches!(next, Ok(Some(_)));
            read.push_back(next);
            if is_over {
                break;
            }
        }
        let parts = self.connection.into_parts();
        Tail::new(read, parts.read_buf, looked_at(parts.io))
    }
}

/// The socket, as one that is looked at. One over TLS is none.
fn looked_at(socket: AnySocket<MaybeSecure>) -> io::Result<TcpStream> {
    match socket.into_inner() {
        MaybeHttpsStream::Http(socket) => socket.into_inner().into_looked_at(),
        MaybeHttpsStream::Https(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

impl Body {
    pub(super) fn new(exchange: Exchange, slot: Option<Slot>) -> Self {
        Self {
            origin: Origin::Exchange(exchange),
            slot,
        }
    }

    /// The next bytes; `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// [`HttpError::Broken`] when the connection resets or the body is cut short.
    pub async fn read(&mut self) -> Result<Option<Bytes>, HttpError> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, HttpError>> {
        match &mut self.origin {
            Origin::Exchange(exchange) => exchange.poll_read(cx),
            Origin::Tail(tail) => tail.look(),
            Origin::Broken => Poll::Ready(Ok(None)),
        }
    }

    /// The next bytes, unless the slot is taken back first: then `None`. Cancel-safe.
    pub async fn read_unless_revoked(&mut self) -> Option<Result<Option<Bytes>, HttpError>> {
        let Some(slot) = &self.slot else {
            return Some(self.read().await);
        };
        let revoked = slot.revoked();
        tokio::select! {
            biased;
            () = revoked => None,
            read = self.read() => Some(read),
        }
    }

    /// Resolves when the slot is taken back; never without one. Cancel-safe.
    pub(super) async fn revoked(&self) {
        match &self.slot {
            Some(slot) => slot.revoked().await,
            None => std::future::pending().await,
        }
    }

    /// Whether the slot has been taken back.
    pub(super) fn is_revoked(&self) -> bool {
        self.slot.as_ref().is_some_and(Slot::is_revoked)
    }

    /// The next bytes if some have come: see [`Self::looks_from_now_on`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn look(&mut self) -> Option<Result<Option<Bytes>, HttpError>> {
        match self.poll_read(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => Some(read),
            Poll::Pending => None,
        }
    }

    /// From now on nobody is woken when something comes, and it is looked at in place of being read.
    pub fn looks_from_now_on(&mut self) {
        match std::mem::replace(&mut self.origin, Origin::Broken) {
            Origin::Exchange(exchange) if exchange.is_bare => {
                self.origin = Origin::Tail(exchange.into_tail());
            }
            Origin::Exchange(exchange) => {
                exchange.looks.begin();
                self.origin = Origin::Exchange(exchange);
            }
            other => self.origin = other,
        }
    }

    /// Closes the socket and keeps the slot, for the next request of the same session.
    #[must_use]
    pub fn into_slot(self) -> Option<Slot> {
        let Self { origin, slot } = self;
        drop(origin);
        slot
    }

    /// The slot the socket uses, if it uses one.
    pub fn slot_mut(&mut self) -> Option<&mut Slot> {
        self.slot.as_mut()
    }
}
