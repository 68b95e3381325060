//! A client's socket that gives up when the client takes nothing for too long.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long the client of a connection may take nothing of the present answer. Clones are cheap and mean the same
/// connection.
#[derive(Debug, Clone)]
pub struct Patience(
    /// Milliseconds.
    Arc<AtomicU64>,
);

impl Patience {
    /// So much, until another is allowed.
    #[must_use]
    pub fn new(stall_max: Duration) -> Self {
        let patience = Self(Arc::default());
        patience.allow(stall_max);
        patience
    }

    /// From the next wait on, so much.
    pub fn allow(&self, stall_max: Duration) {
        let millis = u64::try_from(stall_max.as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Wraps a socket; a write that makes no progress for as long as [`Patience`] says fails, and the connection ends with
/// it.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    socket: S,
    patience: Patience,
    /// Tells the socket where the patience is another one than before: the kernel has its own for unread bytes.
    tell: fn(&S, Duration),
    told: Duration,
    /// Runs while a write waits.
    stalled: Pin<Box<Sleep>>,
    waiting: bool,
}

impl<S> Guarded<S> {
    /// The socket knows the present patience already.
    pub(super) fn new(socket: S, patience: Patience, tell: fn(&S, Duration)) -> Self {
        let told = patience.get();
        Self {
            socket,
            patience,
            tell,
            told,
            stalled: Box::pin(sleep(told)),
            waiting: false,
        }
    }

    /// The socket alone.
    pub(super) fn into_inner(self) -> S {
        self.socket
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if write.is_ready() {
            self.waiting = false;
            return write;
        }
        if !self.waiting {
            self.waiting = true;
            let stall_max = self.patience.get();
            if stall_max != self.told {
                (self.tell)(&self.socket, stall_max);
                self.told = stall_max;
            }
            self.stalled.as_mut().reset(Instant::now() + stall_max);
        }
        ready!(self.stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client took nothing for too long",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.watch(cx, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.watch(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.socket).poll_flush(cx);
        self.watch(cx, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.socket).poll_shutdown(cx);
        self.watch(cx, shutdown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const STALL: Duration = Duration::from_secs(20);

    fn guarded<S>(socket: S, patience: &Patience) -> Guarded<S> {
        Guarded::new(socket, patience.clone(), |_, _| ())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_and_a_slow_one_is_not() {
        let (client, mut reader) = duplex(16);
        let mut guarded = guarded(client, &Patience::new(STALL));
        let slow = async {
            let mut buf = [0; 8];
            for _ in 0..10 {
                sleep(STALL / 2).await;
                reader.read_exact(&mut buf).await.unwrap();
            }
        };
        let write = async { guarded.write_all(&[0; 80]).await };
        let (written, ()) = tokio::join!(write, slow);
        written.unwrap();
        let stalled = guarded.write_all(&[0; 80]).await.unwrap_err();
        assert_eq!(stalled.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_be_one_that_a_client_pauses() {
        let patience = Patience::new(STALL);
        for (allowed, told) in [(10 * STALL, 1), (STALL, 0)] {
            static TOLD: AtomicU64 = AtomicU64::new(0);
            patience.allow(STALL);
            let (client, _reader) = duplex(16);
            let mut guarded = Guarded::new(client, patience.clone(), |_, _| {
                TOLD.fetch_add(1, Ordering::Relaxed);
            });
            patience.allow(allowed);
            let since = Instant::now();
            guarded.write_all(&[0; 80]).await.unwrap_err();
            assert_eq!(since.elapsed(), allowed);
            assert_eq!(
                TOLD.swap(0, Ordering::Relaxed),
                told,
                "the kernel is told what is new"
            );
        }
    }
}
