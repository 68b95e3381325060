//! The HTTP/1.1 that a provider speaks, on a raw socket: request heads in, answers out in whatever form a fault wants.
//! What is answered is not known here.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::log::CloseReason;

/// Bytes of a request head; longer ones end the connection.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Header fields of a request; more end the connection.
const HEADERS_MAX: usize = 128;
/// Bytes of a request body (a form, a control request); longer ones end the connection.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// An accepted socket.
pub(crate) struct Conn {
    pub(crate) socket: Arc<TcpStream>,
    pub(crate) id: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) edge: bool,
    buffer: Vec<u8>,
}

/// A request as read.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// HTTP/1.1; an older client gets no chunks.
    pub(crate) modern: bool,
    pub(crate) keep_alive: bool,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// A parameter of the query, or of a posted form.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let form = std::str::from_utf8(&self.body).unwrap_or_default();
        self.query.split('&').chain(form.split('&')).find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then(|| decode(value, true))
        })
    }
}

/// Percent-decodes; `form`: "+" is a space.
pub(crate) fn decode(text: &str, form: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes().iter();
    while let Some(&byte) = bytes.next() {
        let rest = bytes.as_slice();
        let hex = rest.get(..2).and_then(|h| std::str::from_utf8(h).ok());
        match (byte, hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                bytes.nth(1);
            }
            (b'+', _) if form => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Conn {
    pub(crate) fn new(socket: TcpStream, id: u64, peer: SocketAddr, edge: bool) -> Self {
        Self {
            socket: Arc::new(socket),
            id,
            peer,
            edge,
            buffer: Vec::new(),
        }
    }

    /// The next request with its body; `None` when the client is gone or does not speak HTTP.
    pub(crate) async fn read(&mut self) -> Option<Head> {
        loop {
            match parse(&self.buffer) {
                Parsed::Head {
                    mut head,
                    bytes,
                    body,
                } => {
                    while self.buffer.len() < bytes + body {
                        self.fill().await?;
                    }
                    head.body = self.buffer.get(bytes..bytes + body)?.to_vec();
                    self.buffer.drain(..bytes + body);
                    return Some(head);
                }
                Parsed::Partial if self.buffer.len() < HEAD_BYTES_MAX => self.fill().await?,
                Parsed::Partial | Parsed::Broken => return None,
            }
        }
    }

    async fn fill(&mut self) -> Option<()> {
        let mut piece = [0; 4096];
        let read = read(&self.socket, &mut piece).await.ok().filter(|n| *n > 0)?;
        self.buffer.extend_from_slice(piece.get(..read)?);
        Some(())
    }

    /// Resolves when the client has closed, reading and dropping whatever it still sends.
    pub(crate) async fn gone(&self) -> CloseReason {
        let mut piece = [0; 1024];
        loop {
            match read(&self.socket, &mut piece).await {
                Ok(0) => return CloseReason::ClientFin,
                Ok(_) => {}
                Err(_) => return CloseReason::ClientRst,
            }
        }
    }

    pub(crate) async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.socket.writable().await?;
            match self.socket.try_write(bytes) {
                Ok(n) => bytes = bytes.get(n..).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// FIN now; reading goes on. A socket that is gone already needs none.
    pub(crate) fn finish(&self) {
        SockRef::from(&*self.socket).shutdown(Shutdown::Write).ok();
    }

    /// RST in place of FIN when the socket drops. A socket that is gone already needs none.
    pub(crate) fn reset_on_drop(&self) {
        SockRef::from(&*self.socket).set_linger(Some(Duration::ZERO)).ok();
    }
}

async fn read(socket: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        socket.readable().await?;
        match socket.try_read(into) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

enum Parsed {
    Head { head: Head, bytes: usize, body: usize },
    Partial,
    Broken,
}

fn parse(buffer: &[u8]) -> Parsed {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let bytes = match request.parse(buffer) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(_) => return Parsed::Broken,
    };
    let headers: Vec<(String, String)> = request
        .headers
        .iter()
        .map(|h| (h.name.to_owned(), String::from_utf8_lossy(h.value).into_owned()))
        .collect();
    let target = request.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let modern = request.version == Some(1);
    let mut head = Head {
        method: request.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body: Vec::new(),
        modern,
        keep_alive: modern,
    };
    if head
        .header("connection")
        .is_some_and(|c| c.to_ascii_lowercase().contains("close"))
    {
        head.keep_alive = false;
    }
    match head.header("content-length").map_or(Ok(0), str::parse::<usize>) {
        Ok(body) if body <= BODY_BYTES_MAX => Parsed::Head { head, bytes, body },
        _ => Parsed::Broken,
    }
}

/// A short answer with its length.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            kind,
            fields: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }

    /// Head and body; `keep_alive` only says so.
    pub(crate) fn bytes(&self, keep_alive: bool, head_only: bool) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        if !self.kind.is_empty() {
            text.push_str(&format!("Content-Type: {}\r\n", self.kind));
        }
        for (name, value) in &self.fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let connection = if keep_alive { "keep-alive" } else { "close" };
        text.push_str(&format!(
            "Content-Length: {}\r\nConnection: {connection}\r\n\r\n",
            self.body.len()
        ));
        let mut bytes = text.into_bytes();
        if !head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// Reason phrases of the codes that are common; players do not read them.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        509 => "Bandwidth Limit Exceeded",
        _ => "Status",
    }
}

/// What ends a body early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Stall,
    Eof,
    Rst,
}

/// Why a body's sending ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Its byte limit was reached.
    Stop(Stop),
    /// The socket would take no more.
    Broken,
}

/// A body on its way: counts what it writes and stops at a byte.
pub(crate) struct Body<'a> {
    pub(crate) conn: &'a Conn,
    pub(crate) chunked: bool,
    pub(crate) bytes: Arc<AtomicU64>,
    /// After exactly so many bytes, this.
    pub(crate) limit: Option<(u64, Stop)>,
}

impl Body<'_> {
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        let sent = self.bytes.load(Ordering::Relaxed);
        let room = self
            .limit
            .map_or(u64::MAX, |(limit, _)| limit.saturating_sub(sent));
        let take = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let now = bytes.get(..take).unwrap_or_default();
        self.write(now).await.map_err(|_io| Ended::Broken)?;
        self.bytes.fetch_add(take as u64, Ordering::Relaxed);
        match self.limit {
            Some((limit, stop)) if sent + take as u64 >= limit => Err(Ended::Stop(stop)),
            _ => Ok(()),
        }
    }

    /// The end that a client takes for the end: the last chunk, where there are chunks.
    pub(crate) async fn end(&mut self) {
        if self.chunked {
            // Who is gone by now is seen by the reading side.
            self.conn.write(b"0\r\n\r\n").await.ok();
        }
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        if !self.chunked {
            return self.conn.write(bytes).await;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.conn.write(&chunk).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mangled_requests_do_no_harm() {
        let good = b"POST /live/u%20/p/1.ts?a=b&c=%4 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nd=e";
        let mut state = 1_u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        let mut whole = 0;
        for _ in 0..20_000 {
            let mut bytes = good.to_vec();
            for _ in 0..next(4) {
                let at = next(bytes.len());
                match next(3) {
                    0 => bytes[at] = u8::try_from(next(256)).unwrap(),
                    1 => drop(bytes.remove(at)),
                    _ => bytes.truncate(at.max(8)),
                }
            }
            if let Parsed::Head {
                head,
                bytes: length,
                body,
            } = parse(&bytes)
            {
                assert!(length <= bytes.len() && body <= BODY_BYTES_MAX);
                head.parameter("c");
                crate::route::route(&head);
                whole += 1;
            }
        }
        assert!(whole > 5_000, "{whole}");
    }

    #[test]
    fn decodes_percent_and_plus() {
        for (text, form, expected) in [
            ("a%20b", false, "a b"),
            ("a+b", true, "a b"),
            ("a+b", false, "a+b"),
            ("%zz%4", true, "%zz%4"),
        ] {
            assert_eq!(decode(text, form), expected);
        }
    }
}
