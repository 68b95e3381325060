//! Segments on disk: written once, one behind the other, into files without names, which are gone with the last segment
//! that is kept in them, and with the process.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;

/// Bytes of one file, about: a few dozen for an hour of a channel, each of which is a file to the system.
const FILE_BYTES: u64 = 64 << 20;

/// Bytes read at a time.
const PIECE_BYTES: usize = 256 << 10;

/// Where segments of one channel are written to.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    open: Option<(Arc<File>, u64)>,
}

/// A segment in a file.
#[derive(Debug, Clone)]
pub(super) struct Spooled {
    file: Arc<File>,
    at: u64,
    length: usize,
}

impl Spool {
    /// An empty one; files are made in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            open: None,
        }
    }

    /// Writes a segment. Blocks on the disk.
    ///
    /// # Errors
    /// The disk is full, or the folder cannot be written.
    pub(super) fn write(&mut self, chunks: &[Bytes]) -> io::Result<Spooled> {
        let (file, at) = match self.open.take().filter(|(_, end)| *end < FILE_BYTES) {
            Some(open) => open,
            None => (Arc::new(tempfile::tempfile_in(&self.folder)?), 0),
        };
        let mut end = at;
        for chunk in chunks {
            file.write_all_at(chunk, end)?;
            end += chunk.len() as u64;
        }
        self.open = Some((Arc::clone(&file), end));
        Ok(Spooled {
            file,
            at,
            length: chunks.iter().map(Bytes::len).sum(),
        })
    }
}

impl Spooled {
    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// A part of it, piece by piece, read off the runtime.
    pub(super) fn read(&self, range: Range<usize>) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let (file, begin) = (Arc::clone(&self.file), self.at);
        futures_util::stream::try_unfold(range, move |left| {
            let file = Arc::clone(&file);
            async move {
                if left.is_empty() {
                    return Ok(None);
                }
                let count = left.len().min(PIECE_BYTES);
                let at = begin + left.start as u64;
                let read = tokio::task::spawn_blocking(move || {
                    let mut piece = vec![0; count];
                    file.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
                });
                let piece = read.await.map_err(io::Error::other)??;
                Ok(Some((piece, left.start + count..left.end)))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;

    #[tokio::test]
    async fn what_was_written_is_read_again_and_files_are_not_endless() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path());
        let big = Bytes::from(vec![7; 40 << 20]);
        let first = spool
            .write(&[Bytes::from_static(b"abc"), Bytes::from_static(b"defg")])
            .unwrap();
        let second = spool.write(&[big.clone(), Bytes::from_static(b"end")]).unwrap();
        let third = spool.write(std::slice::from_ref(&big)).unwrap();
        let fourth = spool.write(&[Bytes::from_static(b"new")]).unwrap();
        assert!(Arc::ptr_eq(&first.file, &third.file));
        assert!(!Arc::ptr_eq(&first.file, &fourth.file));
        for (spooled, range, expected) in [
            (&first, 0..7, &b"abcdefg"[..]),
            (&first, 2..5, b"cde"),
            (&second, (40 << 20) - 1..(40 << 20) + 3, b"\x07end"),
            (&fourth, 0..3, b"new"),
            (&fourth, 1..1, b""),
        ] {
            let pieces: Vec<Bytes> = spooled.read(range).try_collect().await.unwrap();
            assert_eq!(pieces.concat(), expected);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no names");
    }
}
