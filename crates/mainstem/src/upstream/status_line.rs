//! A socket whose first answer may begin with `ICY` where HTTP has its version, as SHOUTcast servers of the first
//! generation do. What follows is HTTP/1.0, and is read as that.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

/// What they say, and what is meant.
const SAID: &[u8; 4] = b"ICY ";
const MEANT: &[u8] = b"HTTP/1.0 ";

/// Wraps a socket that nothing was read from.
#[derive(Debug)]
pub(super) struct AnySocket<S> {
    socket: S,
    /// The first bytes, until they tell; then what is not handed on of them.
    first: Vec<u8>,
    is_told: bool,
}

impl<S> AnySocket<S> {
    pub(super) fn new(socket: S) -> Self {
        Self {
            socket,
            first: Vec::new(),
            is_told: false,
        }
    }

    /// The socket, once more than the first bytes have been read from it.
    pub(super) fn into_inner(self) -> S {
        self.socket
    }
}

impl<S: Read + Unpin> AnySocket<S> {
    /// Reads until the first bytes tell what they are.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.first.len() < SAID.len() && SAID.starts_with(&self.first) {
            let mut space = [0; SAID.len()];
            let missing = space.get_mut(self.first.len()..).unwrap_or_default();
            let mut space = ReadBuf::new(missing);
            ready!(Pin::new(&mut self.socket).poll_read(cx, space.unfilled()))?;
            if space.filled().is_empty() {
                break;
            }
            self.first.extend_from_slice(space.filled());
        }
        if self.first == SAID {
            self.first = MEANT.to_vec();
        }
        self.is_told = true;
        Poll::Ready(Ok(()))
    }
}

impl<S: Read + Unpin> Read for AnySocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_told {
            ready!(self.poll_first(cx))?;
        }
        if self.first.is_empty() {
            return Pin::new(&mut self.socket).poll_read(cx, buf);
        }
        let count = self.first.len().min(buf.remaining());
        let now: Vec<u8> = self.first.drain(..count).collect();
        buf.put_slice(&now);
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for AnySocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test]
    async fn only_the_first_word_is_another_one() {
        for (sent, expected) in [
            (
                "ICY 200 OK\r\nicy-br: 64\r\n\r\nICY ",
                "HTTP/1.0 200 OK\r\nicy-br: 64\r\n\r\nICY ",
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
            ("IC", "IC"),
            ("ICE 200", "ICE 200"),
            ("ICY", "ICY"),
            ("I", "I"),
            ("", ""),
        ] {
            // As whole as it comes, and byte by byte.
            for size in [1, 1_024] {
                let (mut server, client) = duplex(size);
                let mut socket = TokioIo::new(AnySocket::new(TokioIo::new(client)));
                let sending = async {
                    server.write_all(sent.as_bytes()).await.unwrap();
                    drop(server);
                };
                let mut read = String::new();
                let reading = async { socket.read_to_string(&mut read).await };
                let ((), count) = tokio::join!(sending, reading);
                assert_eq!((count.unwrap(), &*read), (expected.len(), expected), "{sent:?}");
            }
        }
    }
}
