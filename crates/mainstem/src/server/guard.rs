//! A client's socket that gives up when the client takes nothing for too long.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A client that is told to stop may take what was begun for so long, so that its stream ends with a whole packet.
pub(crate) const FINISH_MAX: Duration = Duration::from_secs(1);

/// How long the client of a connection may take nothing of the present answer. Clones are cheap and mean the same
/// connection.
#[derive(Debug, Clone)]
pub struct Patience(
    /// Short critical sections, never across an await.
    Arc<Mutex<Answer>>,
);

#[derive(Debug)]
struct Answer {
    number: u64,
    stall_max: Duration,
    /// Ends it for another one.
    stop: Option<CancellationToken>,
}

impl Patience {
    /// So much, until another is allowed.
    #[must_use]
    pub fn new(stall_max: Duration) -> Self {
        Self(Arc::new(Mutex::new(Answer {
            number: 0,
            stall_max,
            stop: None,
        })))
    }

    /// A further answer begins: so much, and nothing ends it.
    pub fn renew(&self, stall_max: Duration) {
        let mut answer = self.answer();
        answer.number += 1;
        answer.stall_max = stall_max;
        answer.stop = None;
    }

    /// From the next wait on, so much.
    pub fn allow(&self, stall_max: Duration) {
        self.answer().stall_max = stall_max;
    }

    /// It ends a second after `stop`: whoever takes nothing cannot be told in any other way.
    pub fn until(&self, stop: CancellationToken) {
        let mut answer = self.answer();
        answer.number += 1;
        answer.stop = Some(stop);
    }

    fn answer(&self) -> MutexGuard<'_, Answer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    stop: Stop,
}

/// What ends the answer of this number, as far as a write waited in it.
#[derive(Debug, Default)]
struct Stop {
    number: u64,
    told: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// When it has been told: the end of all writes.
    until: Option<Instant>,
}

impl Stop {
    /// The end of all writes, once it was told. Else whoever polls hears of it.
    fn poll(&mut self, cx: &mut Context<'_>, answer: &Answer) -> Option<Instant> {
        if self.number != answer.number {
            let stop = answer.stop.clone();
            *self = Self {
                number: answer.number,
                told: stop.map(|stop| Box::pin(stop.cancelled_owned())),
                until: None,
            };
        }
        let told = self.told.as_mut().map(|told| told.as_mut().poll(cx));
        if told.is_some_and(|told| told.is_ready()) {
            self.told = None;
            self.until = Some(Instant::now() + FINISH_MAX);
        }
        self.until
    }
}

impl<S> Guarded<S> {
    /// The socket knows the present patience already.
    pub(super) fn new(socket: S, patience: Patience, tell: fn(&S, Duration)) -> Self {
        let told = patience.answer().stall_max;
        Self {
            socket,
            patience,
            tell,
            told,
            stalled: Box::pin(sleep(told)),
            waiting: false,
            stop: Stop::default(),
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
        let (stall_max, until) = {
            let answer = self.patience.answer();
            (answer.stall_max, self.stop.poll(cx, &answer))
        };
        if !self.waiting {
            self.waiting = true;
            if stall_max != self.told {
                (self.tell)(&self.socket, stall_max);
                self.told = stall_max;
            }
            self.stalled.as_mut().reset(Instant::now() + stall_max);
        }
        if let Some(until) = until
            && until < self.stalled.deadline()
        {
            self.stalled.as_mut().reset(until);
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
    use std::sync::atomic::{AtomicU64, Ordering};
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

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_makes_room_a_second_after_it_is_told() {
        let patience = Patience::new(STALL);
        let (client, mut reader) = duplex(16);
        let mut guarded = guarded(client, &patience);
        let stop = CancellationToken::new();
        patience.until(stop.clone());
        let since = Instant::now();
        let tell = async {
            sleep(STALL / 2).await;
            stop.cancel();
            // A little is taken: the time does not begin anew.
            sleep(FINISH_MAX / 2).await;
            reader.read_exact(&mut [0; 8]).await.unwrap();
        };
        let (written, ()) = tokio::join!(guarded.write_all(&[0; 80]), tell);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(since.elapsed(), STALL / 2 + FINISH_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_answer_of_a_connection_that_made_room_has_all_its_time() {
        let patience = Patience::new(STALL);
        let (client, mut reader) = duplex(16);
        let mut guarded = guarded(client, &patience);
        let stop = CancellationToken::new();
        patience.until(stop.clone());
        stop.cancel();
        let read = async {
            sleep(FINISH_MAX / 2).await;
            reader.read_exact(&mut [0; 24]).await.unwrap();
        };
        let (written, ()) = tokio::join!(guarded.write_all(&[0; 32]), read);
        written.unwrap();
        patience.renew(STALL);
        let since = Instant::now();
        guarded.write_all(&[0; 80]).await.unwrap_err();
        assert_eq!(since.elapsed(), STALL);
    }
}
