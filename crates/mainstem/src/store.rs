//! What survives a restart: the last good list of every source, on disk.
//!
//! Each file is written beside its old self and renamed over it, so that a kill at any moment leaves a whole file; the
//! old self stays under another name, for the day on which the new one cannot be read. Files hold provider credentials
//! and are readable by their owner only.
//!
//! A list is one line of JSON that says whose it is, and then its entries as they are in memory: nothing is parsed when the
//! program starts. The packing's own checksum tells a damaged file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use catalog::{Entries, Listing, SourceName};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

/// Bytes one stored list may unpack to; more is a damaged file.
const STORED_BYTES_MAX: u64 = 4 << 30;

/// Bytes gathered between a file, its packing and its text.
const BUFFER_BYTES: usize = 64 << 10;

/// Only the owner may read what is stored.
const MODE: u32 = 0o600;

/// The folder of stored state; without one, nothing is stored.
#[derive(Debug, Clone)]
pub struct Store {
    folder: Option<PathBuf>,
    /// One write at a time: two of one file would share the draft beside it.
    writing: Arc<Mutex<()>>,
}

impl Store {
    /// A store in `folder`, which is made if need be.
    ///
    /// # Errors
    /// When the folder cannot be made or written to; the caller says so once and goes on with [`Store::nowhere`].
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join("listings"))?;
        let store = Self {
            folder: Some(folder.to_owned()),
            writing: Arc::default(),
        };
        store.write(Path::new(".writable"), |file| file.write_all(b"\n"))?;
        fs::remove_file(folder.join(".writable"))?;
        Ok(store)
    }

    /// The store in `folder` as it is, to be read.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self {
            folder: Some(folder),
            writing: Arc::default(),
        }
    }

    /// A store that keeps nothing.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            folder: None,
            writing: Arc::default(),
        }
    }

    /// Where it keeps things.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Keeps a source's list, and in the same file something that belongs to it. Blocks on the disk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn save_listing(&self, listing: &Listing, with: &impl Serialize) -> io::Result<()> {
        self.write(&listing_file(&listing.source), |file| {
            let head = Head {
                source: listing.source.clone(),
                malformed: listing.malformed,
                with: serde_json::to_value(with)?,
            };
            packed(file, |out| {
                serde_json::to_writer(&mut *out, &head)?;
                out.write_all(b"\n")?;
                listing.entries.write(out)?;
                Ok(())
            })
        })
    }

    /// The last list kept for a source; `None` when there is none. Blocks on the disk.
    ///
    /// # Errors
    /// What the disk says, or that the file is damaged.
    pub fn load_listing(&self, source: &SourceName) -> io::Result<Option<Listing>> {
        let kept = self.load_listing_and::<IgnoredAny>(source)?;
        Ok(kept.map(|(listing, _)| listing))
    }

    /// The same with what was kept with it, if that can be read. Blocks on the disk.
    ///
    /// # Errors
    /// What the disk says, or that the file is damaged.
    pub fn load_listing_and<T: DeserializeOwned>(
        &self,
        source: &SourceName,
    ) -> io::Result<Option<(Listing, Option<T>)>> {
        // A list that is being written, by a task that was stopped meanwhile, is there a moment later.
        drop(self.writing.lock().unwrap_or_else(PoisonError::into_inner));
        let kept = self.read(&listing_file(source), read_listing)?;
        let kept = kept.filter(|(listing, _)| listing.source == *source);
        Ok(kept.map(|(listing, with)| (listing, serde_json::from_value(with).ok())))
    }

    /// Keeps a value as compressed JSON under a file name of the store.
    ///
    /// # Errors
    /// What the disk says.
    pub fn save(&self, name: &Path, value: &impl Serialize) -> io::Result<()> {
        self.write(name, |file| {
            packed(file, |out| Ok(serde_json::to_writer(out, value)?))
        })
    }

    /// A value kept by [`Store::save`]; `None` when there is none.
    ///
    /// # Errors
    /// What the disk says, or that the file is damaged.
    pub fn load<T: DeserializeOwned>(&self, name: &Path) -> io::Result<Option<T>> {
        self.read(name, |text| Ok(serde_json::from_reader(text)?))
    }

    /// Reads a file, or where it is damaged the one before it.
    fn read<T>(
        &self,
        name: &Path,
        parse: impl Fn(&mut dyn BufRead) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let path = folder.join(name);
        let error = match read_file(&path, &parse) {
            Ok(value) => return Ok(Some(value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => error,
        };
        let Ok(value) = read_file(&previous(&path), &parse) else {
            return Err(error);
        };
        warn!(file = %path.display(), %error, "a file is damaged; the one before it is used");
        Ok(Some(value))
    }

    fn write(
        &self,
        name: &Path,
        fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let beside = path.with_extension("new");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(MODE)
            .open(&beside)?;
        let mut file = BufWriter::new(file);
        fill(&mut file)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        keep_previous(&path)?;
        fs::rename(&beside, &path)?;
        // The new name is on disk only with the folder.
        path.parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

/// What the first line of a list says.
#[derive(Serialize, Deserialize)]
struct Head {
    source: SourceName,
    malformed: u64,
    /// What belongs to the list: nothing here knows what.
    #[serde(default)]
    with: serde_json::Value,
}

/// Writes through the packer, which is slow at many small pieces.
fn packed(
    file: &mut BufWriter<File>,
    fill: impl FnOnce(&mut BufWriter<GzEncoder<&mut BufWriter<File>>>) -> io::Result<()>,
) -> io::Result<()> {
    let packer = GzEncoder::new(file, Compression::fast());
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, packer);
    fill(&mut out)?;
    let packer = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    packer.finish()?.flush()
}

fn read_file<T>(path: &Path, parse: impl Fn(&mut dyn BufRead) -> io::Result<T>) -> io::Result<T> {
    let file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    let text = GzDecoder::new(file).take(STORED_BYTES_MAX);
    parse(&mut BufReader::with_capacity(BUFFER_BYTES, text))
}

fn read_listing(mut text: &mut dyn BufRead) -> io::Result<(Listing, serde_json::Value)> {
    let mut line = Vec::new();
    text.read_until(b'\n', &mut line)?;
    let head: Head = serde_json::from_slice(&line)?;
    let entries = Entries::read(&mut text)?;
    // The packing's checksum is compared where nothing more can be read.
    if text.read(&mut [0])? > 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "more than a list"));
    }
    let listing = Listing {
        source: head.source,
        entries: entries.into(),
        malformed: head.malformed,
    };
    Ok((listing, head.with))
}

/// Where the file is kept that `path` replaces.
fn previous(path: &Path) -> PathBuf {
    path.with_extension("previous")
}

/// Gives the file at `path` a second name before another takes the first.
fn keep_previous(path: &Path) -> io::Result<()> {
    let previous = previous(path);
    match fs::remove_file(&previous) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::hard_link(path, &previous) {
        // Some file systems know no second names; then there is none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            debug!(%error, "the file before is not kept");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Where a source's list is kept: its name, made fit for a file, and a digest that tells alike names apart.
fn listing_file(source: &SourceName) -> PathBuf {
    let readable: String = source
        .as_str()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .take(40)
        .collect();
    let digest = catalog::ChannelId::of_name(source.as_str());
    PathBuf::from(format!("listings/{readable}-{digest}.list.gz"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::StreamUrl;
    use catalog::listing::{Extra, Fields, Kind};

    fn listing(source: &str) -> Listing {
        let mut listing = Listing::new(SourceName::new(source));
        listing.push(Fields {
            tvg_name: None,
            title: "One",
            group: Some("News"),
            logo: None,
            tvg_id: None,
            kind: Kind::Live,
            url: StreamUrl::new("http://provider.example/live/u/secret/1.ts"),
            direct: None,
            stream_key: "1",
            tvg_chno: None,
            extra: Extra::default(),
        });
        listing
    }

    #[test]
    fn a_listing_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for name in ["a/b", "a b", "a_b", "ä"] {
            store.save_listing(&listing(name), &()).unwrap();
        }
        for name in ["a/b", "a b", "a_b", "ä"] {
            let back = store.load_listing(&SourceName::new(name)).unwrap().unwrap();
            assert_eq!(back, listing(name));
            assert_eq!(
                back.entries.first().unwrap().url().expose(),
                "http://provider.example/live/u/secret/1.ts"
            );
        }
        assert_eq!(store.load_listing(&SourceName::new("other")).unwrap(), None);
    }

    #[test]
    fn what_belongs_to_a_list_comes_back_with_it_where_it_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.save_listing(&listing("s"), &("etag", 7)).unwrap();
        let source = SourceName::new("s");
        let kept = store.load_listing_and::<(String, u32)>(&source).unwrap();
        assert_eq!(kept, Some((listing("s"), Some(("etag".to_owned(), 7)))));
        let kept = store.load_listing_and::<Vec<u32>>(&source).unwrap();
        assert_eq!(kept, Some((listing("s"), None)), "the list is not lost to that");
    }

    #[test]
    fn where_a_file_is_damaged_the_one_before_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (first, mut second) = (listing("s"), listing("s"));
        second.malformed = 7;
        store.save_listing(&first, &()).unwrap();
        store.save_listing(&second, &()).unwrap();
        let path = folder.path().join(listing_file(&first.source));
        assert_eq!(store.load_listing(&first.source).unwrap(), Some(second));
        let whole = fs::read(&path).unwrap();
        for at in [12, whole.len() / 2, whole.len() - 6] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(
                store.load_listing(&first.source).unwrap(),
                Some(first.clone()),
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.save_listing(&listing("s"), &()).unwrap();
        let path = folder.path().join(listing_file(&SourceName::new("s")));
        let whole = fs::read(&path).unwrap();
        for cut in [0, 5, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(store.load_listing(&SourceName::new("s")).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn stored_lists_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.save_listing(&listing("s"), &()).unwrap();
        let path = folder.path().join(listing_file(&SourceName::new("s")));
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
