//! The socket to a provider: the kernel tells when something has come, or it is looked whether something has.
//!
//! A stream that delivers is read on a beat (relay's `Upstream::looks_from_now_on`). With every packet that comes in
//! between the kernel would wake the program to tell it what it does not want to know: with 50 channels 500 times a
//! second and more.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream as LookedAt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes read at one look: what 40 ms bring at 6 Mbit/s. Each look clears as much memory first.
pub(super) const LOOK_BYTES: usize = 32 << 10;

/// Says of a socket, which the HTTP library has, that it is looked at from now on.
#[derive(Debug, Clone, Default)]
pub(super) struct Looks(Arc<AtomicBool>);

impl Looks {
    /// From now on nobody is told that something has come.
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn have_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection to a provider.
#[derive(Debug)]
pub(super) struct Socket {
    state: State,
    looks: Looks,
}

#[derive(Debug)]
enum State {
    Told(TcpStream),
    Looked {
        socket: LookedAt,
        /// The last look found less than there was room for: the next one would find nothing.
        is_drained: bool,
    },
    /// Between the two, or when the step failed.
    Broken,
}

impl Socket {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            state: State::Told(socket),
            looks: Looks::default(),
        }
    }

    /// Says it from outside, while somebody else has the socket.
    pub(super) fn looks(&self) -> Looks {
        self.looks.clone()
    }

    /// The socket itself, out of what the kernel tells about.
    pub(super) fn into_looked_at(mut self) -> io::Result<LookedAt> {
        self.look_from_now_on()?;
        match self.state {
            State::Looked { socket, .. } => Ok(socket),
            State::Told(_) | State::Broken => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Takes the socket out of what the kernel tells about.
    fn look_from_now_on(&mut self) -> io::Result<()> {
        self.state = match std::mem::replace(&mut self.state, State::Broken) {
            State::Told(socket) => State::Looked {
                socket: socket.into_std()?,
                is_drained: false,
            },
            other => other,
        };
        Ok(())
    }
}

/// One request each: there is nothing to know of it that would let another one use it.
impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.looks.have_begun() && matches!(self.state, State::Told(_)) {
            self.look_from_now_on()?;
        }
        match &mut self.state {
            State::Told(socket) => Pin::new(socket).poll_read(cx, buf),
            State::Looked { socket, is_drained } => look(socket, is_drained, buf),
            State::Broken => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }
}

/// What is there. `Pending` wakes nobody: whoever reads looks again.
fn look(socket: &mut LookedAt, is_drained: &mut bool, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    if std::mem::take(is_drained) {
        return Poll::Pending;
    }
    let room = buf.remaining().min(LOOK_BYTES);
    let read = ready!(at_once(|| socket.read(buf.initialize_unfilled_to(room))))?;
    buf.advance(read);
    // An end is no lack of more.
    *is_drained = read > 0 && read < room;
    Poll::Ready(Ok(()))
}

/// What a socket that does not block can do now.
pub(super) fn at_once(mut step: impl FnMut() -> io::Result<usize>) -> Poll<io::Result<usize>> {
    loop {
        match step() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return Poll::Ready(done),
        }
    }
}

/// A request is sent before anything is looked at. What TLS has to answer later is little: where it does not fit, it is
/// tried again at the next look.
impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.state {
            State::Told(socket) => Pin::new(socket).poll_write(cx, bytes),
            State::Looked { socket, .. } => at_once(|| socket.write(bytes)),
            State::Broken => Poll::Ready(Err(ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is kept here.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.state {
            State::Told(socket) => Pin::new(socket).poll_shutdown(cx),
            State::Looked { socket, .. } => Poll::Ready(socket.shutdown(std::net::Shutdown::Write)),
            State::Broken => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Wake, Waker};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(20);

    async fn pair() -> (Socket, Looks, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let socket = Socket::new(client.unwrap());
        let looks = socket.looks();
        (socket, looks, accepted.unwrap().0)
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn look_once(socket: &mut Socket, bytes: &mut [u8], woken: &Arc<Woken>) -> Option<io::Result<usize>> {
        let waker = Waker::from(Arc::clone(woken));
        match std::pin::pin!(socket.read(bytes)).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(read) => Some(read),
            Poll::Pending => None,
        }
    }

    /// Looks until something is there.
    async fn looked(socket: &mut Socket, bytes: &mut [u8], woken: &Arc<Woken>) -> io::Result<usize> {
        let look = async {
            loop {
                if let Some(read) = look_once(socket, bytes, woken) {
                    return read;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(SOON, look).await.unwrap()
    }

    #[tokio::test]
    async fn a_socket_that_is_looked_at_has_all_that_came_and_wakes_nobody() {
        let (mut socket, looks, mut provider) = pair().await;
        socket.write_all(b"a request").await.unwrap();
        let mut bytes = [0; 9];
        provider.read_exact(&mut bytes).await.unwrap();
        provider.write_all(b"before").await.unwrap();
        let mut bytes = [0; 100];
        let read = timeout(SOON, socket.read(&mut bytes)).await.unwrap().unwrap();
        assert_eq!(&bytes[..read], b"before");
        // Before, it is told.
        let (before, woken) = (Arc::default(), Arc::default());
        assert!(look_once(&mut socket, &mut bytes, &before).is_none());
        provider.write_all(b"told").await.unwrap();
        assert_eq!(looked(&mut socket, &mut bytes, &before).await.unwrap(), 4);
        assert!(before.0.load(Ordering::SeqCst) > 0);
        looks.begin();
        assert!(look_once(&mut socket, &mut bytes, &woken).is_none());
        for sent in ["after", "and again"] {
            provider.write_all(sent.as_bytes()).await.unwrap();
            let read = looked(&mut socket, &mut bytes, &woken).await.unwrap();
            assert_eq!(&bytes[..read], sent.as_bytes());
        }
        drop(provider);
        assert_eq!(looked(&mut socket, &mut bytes, &woken).await.unwrap(), 0);
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn more_than_one_look_holds_comes_whole_and_a_reset_is_an_error() {
        let (mut socket, looks, mut provider) = pair().await;
        looks.begin();
        let sent: Vec<u8> = (0..600_000)
            .map(|n: u32| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
            .collect();
        let sending = async {
            provider.write_all(&sent).await.unwrap();
            socket2::SockRef::from(&provider)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            provider
        };
        let reading = async {
            let (mut all, mut bytes) = (Vec::new(), vec![0; 100_000]);
            while all.len() < sent.len() {
                let read = looked(&mut socket, &mut bytes, &Arc::default()).await.unwrap();
                assert!(read <= LOOK_BYTES);
                all.extend_from_slice(&bytes[..read]);
            }
            all
        };
        let (provider, all) = tokio::join!(sending, reading);
        assert!(all == sent);
        drop(provider);
        let end = looked(&mut socket, &mut [0; 10], &Arc::default())
            .await
            .unwrap_err();
        assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    }
}
