//! How a list is sent: piece by piece, in chunks, packed or slow or cut short as faults want it. What it says is
//! `lists`' matter.

use std::hash::{DefaultHasher, Hasher as _};
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::time::sleep;

use crate::fault::ListFault;
use crate::http::{Answer, Conn, Head};
use crate::lists::Pieces;
use crate::session::WEB_PAGE;

/// Bytes gathered before a write.
const WRITE_BYTES: usize = 64 * 1024;
/// Writes per second of a slow list.
const SLOW_WRITES_PER_SECOND: u32 = 20;

/// What becomes of the connection.
pub(crate) enum After {
    Keep,
    Drain,
    Drop,
    Reset,
    Hang,
}

/// What a list answer has.
pub(crate) struct Content {
    pub(crate) kind: &'static str,
    /// Its `ETag`.
    pub(crate) version: Option<String>,
    pub(crate) pieces: Pieces,
}

impl Content {
    /// Without a version.
    pub(crate) fn new(kind: &'static str, pieces: Pieces) -> Self {
        Self {
            kind,
            version: None,
            pieces,
        }
    }
}

/// The pieces again, and an `ETag` made of all of them, or of what a fault puts in their place. Other faults have none.
pub(crate) fn versioned(fault: &Option<ListFault>, pieces: Pieces) -> (Pieces, Option<String>) {
    let tag = |text: &[String]| {
        let mut hasher = DefaultHasher::new();
        text.iter().for_each(|piece| hasher.write(piece.as_bytes()));
        format!("\"{:016x}\"", hasher.finish())
    };
    match fault {
        None => {
            let pieces: Vec<String> = pieces.collect();
            let version = tag(&pieces);
            (Box::new(pieces.into_iter()), Some(version))
        }
        Some(ListFault::Body(body)) => (pieces, Some(tag(std::slice::from_ref(body)))),
        Some(_) => (pieces, None),
    }
}

/// Answers with a list, or with what a fault makes of it.
pub(crate) async fn send(conn: &Conn, head: &Head, fault: Option<ListFault>, what: Content) -> After {
    let answer = match &fault {
        Some(ListFault::Hang) => return After::Hang,
        Some(ListFault::Refuse) => return After::Reset,
        Some(ListFault::Status { code, body }) => Answer::new(*code, "text/html", body.as_str()),
        Some(ListFault::Html) => Answer::new(200, "text/html", WEB_PAGE),
        Some(ListFault::Body(body)) => Answer::new(200, what.kind, body.as_str()),
        Some(_) | None => return stream(conn, head, fault, what).await,
    };
    let answer = match what.version {
        Some(version) => answer.with("ETag", version),
        None => answer,
    };
    let written = conn
        .write(&answer.bytes(head.keep_alive, head.method == "HEAD"))
        .await;
    if written.is_ok() && head.keep_alive {
        After::Keep
    } else {
        After::Drain
    }
}

/// The bytes of a list, packed or not.
struct Source {
    pieces: Pieces,
    gzip: Option<GzEncoder<Vec<u8>>>,
    done: bool,
}

impl Source {
    /// At least `WRITE_BYTES`, unless it is the end; empty at the end.
    fn next(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < WRITE_BYTES && !self.done {
            match (self.pieces.next(), &mut self.gzip) {
                (Some(piece), None) => out.extend_from_slice(piece.as_bytes()),
                (Some(piece), Some(gzip)) => {
                    // Writing to memory cannot fail.
                    gzip.write_all(piece.as_bytes()).ok();
                    out.append(gzip.get_mut());
                }
                (None, gzip) => {
                    self.done = true;
                    out.extend(
                        gzip.take()
                            .and_then(|gzip| gzip.finish().ok())
                            .unwrap_or_default(),
                    );
                }
            }
        }
        out
    }
}

async fn stream(conn: &Conn, head: &Head, fault: Option<ListFault>, what: Content) -> After {
    let Content {
        kind,
        version,
        pieces,
    } = what;
    let packed = matches!(fault, Some(ListFault::Gzip));
    let pieces = match &fault {
        Some(ListFault::Prefix(text)) => Box::new(std::iter::once(text.clone()).chain(pieces)),
        _ => pieces,
    };
    let gzip = packed.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    let mut source = Source {
        pieces,
        gzip,
        done: false,
    };
    let (mut left, clean) = match fault {
        Some(ListFault::TruncatedAt(bytes)) => (bytes, true),
        Some(ListFault::CutAt(bytes)) => (bytes, false),
        _ => (u64::MAX, true),
    };
    let mut out = opening(head, kind, version.as_deref(), packed).into_bytes();
    if conn.write(&out).await.is_err() || head.method == "HEAD" {
        return if head.keep_alive {
            After::Keep
        } else {
            After::Drain
        };
    }
    while left > 0 {
        let mut bytes = source.next();
        if bytes.is_empty() {
            break;
        }
        bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= bytes.len() as u64;
        if write(conn, head, &bytes, &fault, &mut out).await.is_err() {
            return After::Drain;
        }
    }
    if left == 0 && !clean {
        return After::Drop;
    }
    if head.modern && conn.write(b"0\r\n\r\n").await.is_ok() && head.keep_alive {
        return After::Keep;
    }
    After::Drain
}

fn opening(head: &Head, kind: &str, version: Option<&str>, packed: bool) -> String {
    let version = version.map_or_else(String::new, |version| format!("ETag: {version}\r\n"));
    let encoding = if packed { "Content-Encoding: gzip\r\n" } else { "" };
    let framing = if head.modern {
        "Transfer-Encoding: chunked\r\n"
    } else {
        ""
    };
    let connection = if head.keep_alive { "keep-alive" } else { "close" };
    format!(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: {kind}\r\n{version}{encoding}{framing}Connection: {connection}\r\n\r\n"
    )
}

async fn write(
    conn: &Conn,
    head: &Head,
    bytes: &[u8],
    fault: &Option<ListFault>,
    out: &mut Vec<u8>,
) -> std::io::Result<()> {
    let (step, pause) = match fault {
        Some(ListFault::Slow { bytes_per_second }) => {
            let step = usize::try_from(bytes_per_second / SLOW_WRITES_PER_SECOND)
                .unwrap_or(1)
                .max(1);
            (
                step,
                Some(Duration::from_secs(1) * u32::try_from(step).unwrap_or(1) / (*bytes_per_second).max(1)),
            )
        }
        _ => (bytes.len(), None),
    };
    for piece in bytes.chunks(step.max(1)) {
        out.clear();
        if head.modern {
            write!(out, "{:x}\r\n", piece.len())?;
        }
        out.extend_from_slice(piece);
        if head.modern {
            out.extend_from_slice(b"\r\n");
        }
        conn.write(out).await?;
        if let Some(pause) = pause {
            sleep(pause).await;
        }
    }
    Ok(())
}
