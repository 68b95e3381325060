//! The M3U in files without names: rendered once for each catalogue and each beginning of links, plain and packed, and
//! gone with the process.
//!
//! Links begin as each client sees the server, so that one list has as many forms as there are ways to it. A list that
//! is put together while it is sent cannot be packed beforehand; a list per way, of which there are one or two, can.

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use catalog::Catalog;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::Stream;
use http::HeaderValue;
use tokio::sync::{OnceCell, mpsc, watch};
use tracing::warn;

use super::lines::{self, Links};
use crate::background;

/// Lists kept ready, of as many beginnings of links; the one not asked for the longest goes first.
const RENDERINGS_MAX: usize = 4;

/// Renderings that wait for the task which makes them before anybody asks.
const WISHES_MAX: usize = 16;

/// Bytes of a list read from its file at a time.
const PIECE_BYTES: usize = 256 << 10;

/// How a list is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// Packed.
    Gzip,
}

/// All lists that are ready, or being written.
#[derive(Debug)]
pub struct Renderings {
    folder: PathBuf,
    /// The one asked for last at the end.
    ready: Mutex<Vec<Arc<Rendering>>>,
    wishes: mpsc::Sender<Arc<Rendering>>,
}

/// One list: of one catalogue, for one beginning of links.
#[derive(Debug)]
pub(super) struct Rendering {
    catalog: Weak<Catalog>,
    links: Links,
    folder: PathBuf,
    plain: OnceCell<Option<Written>>,
    gzip: OnceCell<Option<Written>>,
}

/// A list in a file.
#[derive(Debug, Clone)]
pub(super) struct Written {
    file: Arc<File>,
    /// Bytes.
    pub(super) length: u64,
    /// A strong tag (RFC 9110 clause 8.8.3): a digest of every byte.
    pub(super) etag: HeaderValue,
}

/// Makes the lists that somebody will ask for.
pub struct RenderingTask {
    renderings: Arc<Renderings>,
    wishes: mpsc::Receiver<Arc<Rendering>>,
    catalog: watch::Receiver<Arc<Catalog>>,
}

impl Renderings {
    /// No list yet; files are made in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf, catalog: watch::Receiver<Arc<Catalog>>) -> (Arc<Self>, RenderingTask) {
        let (sender, wishes) = mpsc::channel(WISHES_MAX);
        let renderings = Arc::new(Self {
            folder,
            ready: Mutex::default(),
            wishes: sender,
        });
        let task = RenderingTask {
            renderings: Arc::clone(&renderings),
            wishes,
            catalog,
        };
        (renderings, task)
    }

    /// The list of `catalog` with `links`.
    pub(super) fn of(&self, catalog: &Arc<Catalog>, links: &Links) -> Arc<Rendering> {
        let current = Arc::downgrade(catalog);
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let known = ready.iter().position(|rendering| rendering.links == *links);
        let known = known.map(|place| ready.remove(place));
        let rendering = match known.filter(|rendering| rendering.catalog.ptr_eq(&current)) {
            Some(rendering) => rendering,
            None => {
                let fresh = Arc::new(Rendering {
                    catalog: current,
                    links: links.clone(),
                    folder: self.folder.clone(),
                    plain: OnceCell::new(),
                    gzip: OnceCell::new(),
                });
                // Where many wait, this one is made when it is asked for.
                drop(self.wishes.try_send(Arc::clone(&fresh)));
                fresh
            }
        };
        ready.push(Arc::clone(&rendering));
        if ready.len() > RENDERINGS_MAX {
            ready.remove(0);
        }
        rendering
    }

    /// Replaces every list by that of `catalog`.
    fn renew(&self, catalog: &Arc<Catalog>) {
        let known: Vec<Links> = {
            let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            ready.iter().map(|rendering| rendering.links.clone()).collect()
        };
        for links in known {
            self.of(catalog, &links);
        }
    }
}

impl RenderingTask {
    /// Makes every list that was asked for, packs it, and makes it anew for each catalogue.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                changed = self.catalog.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let catalog = Arc::clone(&self.catalog.borrow_and_update());
                    self.renderings.renew(&catalog);
                }
                Some(rendering) = self.wishes.recv() => {
                    // Packed from the plain one, which comes first.
                    rendering.written(Form::Gzip).await;
                }
            }
        }
    }
}

impl Rendering {
    /// The list in a file, once it is there. `None` where no file can be written.
    pub(super) async fn written(&self, form: Form) -> Option<&Written> {
        let plain = self.plain.get_or_init(|| self.render()).await.as_ref()?;
        match form {
            Form::Plain => Some(plain),
            Form::Gzip => self.gzip.get_or_init(|| self.pack(plain)).await.as_ref(),
        }
    }

    async fn render(&self) -> Option<Written> {
        // Whoever asks for the list holds the catalogue; where nobody does any more, nobody asks.
        let catalog = self.catalog.upgrade()?;
        let (links, folder) = (self.links.clone(), self.folder.clone());
        in_background(move || render(&catalog, &links, &folder)).await
    }

    async fn pack(&self, plain: &Written) -> Option<Written> {
        let (plain, folder) = (plain.clone(), self.folder.clone());
        in_background(move || pack(&plain, &folder)).await
    }
}

async fn in_background(work: impl FnOnce() -> io::Result<Written> + Send + 'static) -> Option<Written> {
    match background::run("playlist", work).await {
        Ok(Ok(written)) => Some(written),
        Ok(Err(error)) => {
            warn!(%error, "the playlist cannot be written to a file; it is put together for everybody who asks");
            None
        }
        Err(error) => {
            warn!(%error, "the playlist cannot be written to a file; it is put together for everybody who asks");
            None
        }
    }
}

fn render(catalog: &Catalog, links: &Links, folder: &Path) -> io::Result<Written> {
    let mut file = tempfile::tempfile_in(folder)?;
    // Without a seed of the process: the same list has the same tag after a restart.
    let (mut digest, mut length) = (foldhash::quality::FixedState::default().build_hasher(), 0);
    let (mut text, mut at) = (String::new(), Some(0));
    while let Some(from) = at {
        text.clear();
        at = lines::write(catalog, links, from, &mut text);
        digest.write(text.as_bytes());
        length += text.len() as u64;
        file.write_all(text.as_bytes())?;
    }
    let etag = format!("\"{:016x}-{length:x}\"", digest.finish());
    Written::new(file, length, &etag)
}

fn pack(plain: &Written, folder: &Path) -> io::Result<Written> {
    let mut out = GzEncoder::new(
        BufWriter::new(tempfile::tempfile_in(folder)?),
        Compression::fast(),
    );
    let mut at = 0;
    while at < plain.length {
        let bytes = piece(&plain.file, at)?;
        out.write_all(&bytes)?;
        at += bytes.len() as u64;
    }
    let file = out
        .finish()?
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    let length = file.metadata()?.len();
    let etag = String::from_utf8_lossy(plain.etag.as_bytes()).replacen("\"", "\"gzip-", 1);
    Written::new(file, length, &etag)
}

impl Written {
    fn new(file: File, length: u64, etag: &str) -> io::Result<Self> {
        Ok(Self {
            file: Arc::new(file),
            length,
            etag: HeaderValue::from_str(etag).map_err(io::Error::other)?,
        })
    }

    /// The bytes, a piece at a time, read off the runtime.
    pub(super) fn pieces(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let (file, length) = (Arc::clone(&self.file), self.length);
        futures_util::stream::try_unfold(0, move |at| {
            let file = Arc::clone(&file);
            async move {
                if at >= length {
                    return Ok(None);
                }
                let read = tokio::task::spawn_blocking(move || piece(&file, at));
                let piece = read.await.map_err(io::Error::other)??;
                let next = at + piece.len() as u64;
                Ok(Some((piece, next)))
            }
        })
    }
}

/// The bytes from `at` on; whoever else reads the file is not disturbed.
fn piece(file: &File, at: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; PIECE_BYTES];
    let read = file.read_at(&mut piece, at)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    piece.truncate(read);
    Ok(piece.into())
}
