//! A client's socket that nothing but one endless answer is written to.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// Pieces of one write. The kernel takes 1,024; more than some dozen cost it no less each.
const PIECES_MAX: usize = 64;

/// Bytes that may wait in the kernel though the client's window is full (Linux, tcp(7): TCP_NOTSENT_LOWAT). What a slow
/// client has not read stays in the ring, which all share, and not in megabytes of the kernel's for each.
#[cfg(target_os = "linux")]
const UNSENT_MAX: u32 = 256 << 10;

/// Places for pieces that are kept between two writes.
const PLACES_KEPT: usize = 32;

/// Bytes read at once of a client that has nothing more to say.
const HEARD_BYTES: usize = 256;

/// The socket, with the head that goes first.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    head: Option<Bytes>,
    stall_max: Duration,
    /// Runs while a write waits; none before one did.
    stalled: Option<Pin<Box<Sleep>>>,
    waits: bool,
    /// Whether the client sent something nobody asked for. It is not read any further: then only a write tells that it
    /// has gone.
    deaf: bool,
}

impl Wire {
    /// A socket on which nothing was answered yet. `deaf` where the client has sent more than one request.
    pub(super) fn new(socket: TcpStream, head: Bytes, stall_max: Duration, deaf: bool) -> Self {
        // Without it everything works as well, and takes more memory.
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_MAX) {
            tracing::debug!(%error, "the kernel keeps what it likes for a client");
        }
        Self {
            socket,
            head: Some(head),
            stall_max,
            stalled: None,
            waits: false,
            deaf,
        }
    }

    /// Resolves when the client has ended the connection, or its sending half: whoever watches does neither.
    pub(crate) async fn gone(&mut self) {
        poll_fn(|cx| self.poll_gone(cx)).await;
    }

    /// Writes all pieces, and takes them away. The head goes with the first.
    ///
    /// # Errors
    /// The client has gone, or took nothing for too long.
    pub(crate) async fn write(&mut self, pieces: &mut Vec<Bytes>) -> io::Result<()> {
        if let Some(head) = self.head.take() {
            pieces.insert(0, head);
        }
        let mut done = 0;
        poll_fn(|cx| {
            while let Some(rest) = pieces.get_mut(done..).filter(|rest| !rest.is_empty()) {
                let written = ready!(self.poll_write(cx, rest))?;
                done += take(rest, written);
            }
            Poll::Ready(Ok::<(), io::Error>(()))
        })
        .await?;
        pieces.clear();
        pieces.shrink_to(PLACES_KEPT);
        Ok(())
    }

    /// Ends the answer: the client reads what was written, and then its end.
    ///
    /// # Errors
    /// The client has gone.
    pub(crate) async fn end(mut self) -> io::Result<()> {
        self.write(&mut Vec::new()).await?;
        self.socket.shutdown().await
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, pieces: &[Bytes]) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
        }
        let filled = pieces.len().min(PIECES_MAX);
        let slices = slices.get(..filled).unwrap_or_default();
        match Pin::new(&mut self.socket).poll_write_vectored(cx, slices) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(written) => {
                self.waits = false;
                Poll::Ready(written)
            }
            Poll::Pending => self.poll_stalled(cx),
        }
    }

    /// While a write waits: whether it has waited too long, or for somebody who has gone.
    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let stall_max = self.stall_max;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall_max)));
        if !self.waits {
            self.waits = true;
            stalled.as_mut().reset(Instant::now() + stall_max);
        }
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client took nothing for too long",
        )))
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.deaf {
            if ready!(self.socket.poll_read_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            match self.socket.try_read(&mut [0; HEARD_BYTES]) {
                Ok(1..) => self.deaf = true,
                // It was no news after all.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }
}

/// Takes `written` bytes off the front; how many pieces are gone by that.
fn take(pieces: &mut [Bytes], mut written: usize) -> usize {
    for (done, piece) in pieces.iter_mut().enumerate() {
        if written < piece.len() {
            piece.advance(written);
            return done;
        }
        written -= piece.len();
        // Its bytes may go from the ring as well.
        *piece = Bytes::new();
    }
    pieces.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(20);

    async fn pair(stall_max: Duration) -> (Wire, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let socket = accepted.unwrap().0;
        SockRef::from(&socket).set_send_buffer_size(4_096).unwrap();
        (
            Wire::new(socket, Bytes::from_static(b"head "), stall_max, false),
            client.unwrap(),
        )
    }

    fn pieces() -> Vec<Bytes> {
        let piece = |number: usize| Bytes::from(vec![u8::try_from(number % 251).unwrap(); 1 + number * 13]);
        (0..500).map(piece).collect()
    }

    #[tokio::test]
    async fn pieces_arrive_whole_and_in_order_behind_the_head() {
        let (mut wire, mut client) = pair(SOON).await;
        let write = async {
            wire.write(&mut pieces()).await.unwrap();
            wire.write(&mut vec![Bytes::from_static(b" end")]).await.unwrap();
            wire.end().await.unwrap();
        };
        let read = async {
            let mut all = Vec::new();
            client.read_to_end(&mut all).await.unwrap();
            all
        };
        let ((), all) = timeout(SOON, async { tokio::join!(write, read) }).await.unwrap();
        assert!(all == [b"head ", &*pieces().concat(), b" end"].concat());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up_and_a_slow_one_is_not() {
        let stall_max = Duration::from_millis(300);
        let (mut wire, mut client) = pair(stall_max).await;
        let all = vec![Bytes::from(vec![7; 1 << 20]); 4];
        let mut pause = tokio::time::interval(stall_max / 3);
        let slow = async {
            let mut piece = vec![0; 256 << 10];
            let mut read = 5 + (4 << 20);
            while read > 0 {
                pause.tick().await;
                read -= client.read(&mut piece).await.unwrap();
            }
        };
        let mut pieces = all.clone();
        let write = wire.write(&mut pieces);
        let (written, ()) = timeout(SOON, async { tokio::join!(write, slow) }).await.unwrap();
        written.unwrap();
        let mut pieces = [all.clone(), all.clone(), all.clone(), all].concat();
        let stalled = timeout(SOON, wire.write(&mut pieces)).await.unwrap();
        assert_eq!(stalled.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_goes_is_noticed_waiting_or_writing_and_chatter_is_no_end() {
        let (mut wire, mut client) = pair(SOON).await;
        client.write_all(b"more").await.unwrap();
        assert!(timeout(Duration::from_millis(50), wire.gone()).await.is_err());
        let (mut wire, mut client) = pair(SOON).await;
        client.shutdown().await.unwrap();
        timeout(SOON, wire.gone()).await.unwrap();
        let (mut wire, mut client) = pair(SOON).await;
        let mut pieces = vec![Bytes::from(vec![7; 1 << 20]); 32];
        let end = async {
            client.read_exact(&mut [0; 100]).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let write = wire.write(&mut pieces);
        let (written, ()) = timeout(SOON, async { tokio::join!(write, end) }).await.unwrap();
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
