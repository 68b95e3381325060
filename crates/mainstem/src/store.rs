//! What survives a restart: the last good list of every source, on disk.
//!
//! Each file is written beside its old self and renamed over it, so that a kill at any moment leaves a whole file.
//! Files hold provider credentials and are readable by their owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use catalog::listing::Stored;
use catalog::{Listing, SourceName};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes one stored list may unpack to; more is a damaged file.
const STORED_BYTES_MAX: u64 = 4 << 30;

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

    /// Keeps a source's list. Blocks on the disk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn save_listing(&self, listing: &Listing) -> io::Result<()> {
        self.save(&listing_file(&listing.source), &Stored(listing))
    }

    /// The last list kept for a source; `None` when there is none. Blocks on the disk.
    ///
    /// # Errors
    /// What the disk says, or that the file is damaged.
    pub fn load_listing(&self, source: &SourceName) -> io::Result<Option<Listing>> {
        let stored: Option<Stored<Listing>> = self.load(&listing_file(source))?;
        Ok(stored
            .map(|stored| stored.0)
            .filter(|listing| listing.source == *source))
    }

    /// Keeps a value as compressed JSON under a file name of the store.
    ///
    /// # Errors
    /// What the disk says.
    pub fn save(&self, name: &Path, value: &impl Serialize) -> io::Result<()> {
        self.write(name, |file| {
            let mut packed = GzEncoder::new(file, Compression::fast());
            serde_json::to_writer(&mut packed, value)?;
            packed.finish()?.flush()
        })
    }

    /// A value kept by [`Store::save`]; `None` when there is none.
    ///
    /// # Errors
    /// What the disk says, or that the file is damaged.
    pub fn load<T: DeserializeOwned>(&self, name: &Path) -> io::Result<Option<T>> {
        let Some(folder) = &self.folder else {
            return Ok(None);
        };
        let file = match File::open(folder.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = GzDecoder::new(BufReader::new(file)).take(STORED_BYTES_MAX);
        Ok(Some(serde_json::from_reader(BufReader::new(text))?))
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
        fs::rename(&beside, &path)
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
    PathBuf::from(format!("listings/{readable}-{digest}.json.gz"))
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
            store.save_listing(&listing(name)).unwrap();
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
    fn a_damaged_file_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.save_listing(&listing("s")).unwrap();
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
        store.save_listing(&listing("s")).unwrap();
        let path = folder.path().join(listing_file(&SourceName::new("s")));
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
