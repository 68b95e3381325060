//! A list's bytes on their way from the socket to a parser that blocks: bounded, unpacked if packed, and never
//! mistaken for whole when they are cut short.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

use bytes::{Buf as _, Bytes};
use flate2::bufread::MultiGzDecoder;
use tokio::sync::mpsc;

/// Chunks between socket and parser; the socket waits when the parser is behind.
pub(super) const CHUNKS_WAITING_MAX: usize = 16;

/// The first bytes of gzip data (RFC 1952 clause 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// Bytes buffered before the parser.
const BUFFER_BYTES: usize = 64 << 10;

/// How often packed data may hold packed data: some panels pack what their server packs again.
const PACKED_TWICE: usize = 2;

/// One step of a body.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// More bytes.
    Bytes(Bytes),
    /// The end, and it is the whole.
    End,
    /// It broke off; in words.
    Broken(String),
}

/// The steps of a body: those that were there before its reader, and those that come.
#[derive(Debug)]
pub(super) struct Steps {
    pub(super) first: VecDeque<Bytes>,
    pub(super) rest: mpsc::Receiver<Step>,
}

/// Reads what the other end of the channel sends. The channel's own end without a [`Step::End`] is an error.
pub(super) struct ChannelReader {
    steps: Steps,
    current: Bytes,
    over: bool,
}

impl ChannelReader {
    pub(super) fn new(steps: Steps) -> Self {
        Self {
            steps,
            current: Bytes::new(),
            over: false,
        }
    }
}

impl Read for ChannelReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.over {
            if let Some(first) = self.steps.first.pop_front() {
                self.current = first;
                continue;
            }
            match self.steps.rest.blocking_recv() {
                Some(Step::Bytes(bytes)) => self.current = bytes,
                Some(Step::End) => self.over = true,
                Some(Step::Broken(text)) => {
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, text));
                }
                None => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the refresh was given up",
                    ));
                }
            }
        }
        let taken = self.current.len().min(buf.len());
        self.current
            .copy_to_slice(buf.get_mut(..taken).unwrap_or_default());
        Ok(taken)
    }
}

/// `body` unpacked if its first bytes say gzip, whatever its headers said, and no longer than `bytes_max`.
///
/// # Errors
/// When the first bytes cannot be read.
pub(super) fn unpacked<'a>(body: impl Read + 'a, bytes_max: u64) -> io::Result<Box<dyn Read + 'a>> {
    let mut body: Box<dyn BufRead + 'a> = Box::new(BufReader::with_capacity(BUFFER_BYTES, body));
    for _ in 0..PACKED_TWICE {
        if !body.fill_buf()?.starts_with(&GZIP_MAGIC) {
            break;
        }
        body = Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(body)));
    }
    Ok(Box::new(Bounded {
        inner: body,
        left: bytes_max,
    }))
}

/// Ends with an error, not with an end, when more comes than allowed.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                "the list is larger than limits.list_bytes allows",
            )
        })?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(body: &[u8], bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        unpacked(body, bytes_max)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn packing_is_known_by_its_bytes() {
        let plain = b"#EXTM3U\n".repeat(1_000);
        for body in [plain.clone(), packed(&plain), packed(&packed(&plain))] {
            assert_eq!(read(&body, 1 << 20).unwrap(), plain);
        }
        assert_eq!(read(b"", 1).unwrap(), b"");
    }

    #[test]
    fn the_bound_counts_what_comes_out() {
        let bomb = packed(&vec![0u8; 10 << 20]);
        assert_eq!(
            read(&bomb, 1 << 20).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
    }

    #[test]
    fn a_channel_that_just_ends_is_no_end() {
        for (last, whole) in [
            (Some(Step::End), true),
            (Some(Step::Broken("x".into())), false),
            (None, false),
        ] {
            let (sender, rest) = mpsc::channel(4);
            sender
                .blocking_send(Step::Bytes(Bytes::from_static(b"c")))
                .unwrap();
            if let Some(last) = last {
                sender.blocking_send(last).unwrap();
            }
            drop(sender);
            let first = [b"a", b"b"].map(|byte| Bytes::from_static(byte)).into();
            let steps = Steps { first, rest };
            let mut out = Vec::new();
            assert_eq!(ChannelReader::new(steps).read_to_end(&mut out).is_ok(), whole);
            assert_eq!(out, b"abc");
        }
    }
}
