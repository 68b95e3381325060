//! A plain client: it says what it is told and shows what it is sent.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use provider_double::{Account, Channel, Clip, Movie, Plan, Provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything takes that works.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// One account "u" of so many connections, channel 1 at a hundred times the speed, film 9 of 100 000 bytes.
pub(crate) fn plan(connections: u32) -> Plan {
    Plan::new()
        .account(Account::new("u", "p").max_connections(connections))
        .channel(Channel::new(1, "One", Clip::H264Closed).speed(100.0))
        .channel(
            Channel::new(2, "Two", Clip::Mpeg2)
                .guide_id("two.tv")
                .group("News"),
        )
        .movie(Movie::new(9, "Film", 100_000))
}

pub(crate) fn start(plan: Plan) -> Provider {
    Provider::start(plan).unwrap()
}

/// How a socket ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Rst,
    /// Not yet, after so many bytes.
    Open,
}

pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn send(to: SocketAddr, request: &str) -> Self {
        let mut socket = TcpStream::connect(to).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        Self {
            socket,
            buffer: Vec::new(),
        }
    }

    pub(crate) async fn get(to: SocketAddr, path: &str) -> Self {
        Self::send(
            to,
            &format!("GET {path} HTTP/1.1\r\nHost: double\r\nUser-Agent: plain/1\r\n\r\n"),
        )
        .await
    }

    pub(crate) async fn live(provider: &Provider) -> Self {
        Self::get(provider.addr(), "/live/u/p/1.ts").await
    }

    /// The head of the answer, without what follows it; empty when the socket ends before.
    pub(crate) async fn head(&mut self) -> String {
        let read = async {
            loop {
                let lf = self.buffer.windows(2).position(|w| w == b"\n\n").map(|at| at + 2);
                let crlf = self
                    .buffer
                    .windows(4)
                    .position(|w| w == b"\r\n\r\n")
                    .map(|at| at + 4);
                if let Some(end) = crlf.or(lf) {
                    let head: Vec<u8> = self.buffer.drain(..end).collect();
                    return String::from_utf8(head).unwrap();
                }
                if self.fill().await != End::Open {
                    return String::new();
                }
            }
        };
        timeout(SOON, read).await.expect("a head")
    }

    pub(crate) async fn status(&mut self) -> u16 {
        let head = self.head().await;
        head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    /// Bytes up to the end, or at least `enough`.
    pub(crate) async fn body(&mut self, enough: usize) -> (Vec<u8>, End) {
        let read = async {
            while self.buffer.len() < enough {
                match self.fill().await {
                    End::Open => {}
                    end => return end,
                }
            }
            End::Open
        };
        let end = timeout(SOON, read).await.expect("a body");
        (std::mem::take(&mut self.buffer), end)
    }

    /// The whole of a chunked body, or what came of it; and whether it was ended as it should be.
    pub(crate) async fn chunks(&mut self) -> (Vec<u8>, bool) {
        let mut raw = Vec::new();
        let complete = loop {
            raw.append(&mut self.buffer);
            if raw.ends_with(b"0\r\n\r\n") {
                break true;
            }
            if timeout(SOON, self.fill()).await.expect("a chunk") != End::Open {
                break false;
            }
        };
        let mut out = Vec::new();
        let mut rest = raw.as_slice();
        while let Some(at) = rest.windows(2).position(|w| w == b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
            let end = (at + 2 + size).min(rest.len());
            out.extend_from_slice(&rest[at + 2..end]);
            rest = &rest[(end + 2).min(rest.len())..];
        }
        (out, complete)
    }

    pub(crate) async fn end(&mut self) -> End {
        self.body(usize::MAX).await.1
    }

    async fn fill(&mut self) -> End {
        let mut piece = vec![0; 65536];
        match self.socket.read(&mut piece).await {
            Ok(0) => End::Fin,
            Ok(n) => {
                self.buffer.extend_from_slice(&piece[..n]);
                End::Open
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => End::Rst,
            Err(e) => panic!("{e}"),
        }
    }
}

/// Whether bytes are whole TS packets, the last perhaps cut.
pub(crate) fn is_ts(bytes: &[u8]) -> bool {
    bytes.len() >= 3 * 188 && bytes.chunks(188).all(|p| p[0] == 0x47)
}
