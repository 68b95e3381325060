//! How many entries of each source can never be played, counted once for each catalogue: lists are long, and a status page
//! is asked for often.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use catalog::{Catalog, Channel};

use crate::background;
use crate::upstream::unsupported::unsupported;

/// The counts of the last catalogue that was asked about. Clones are cheap and mean the same ones.
#[derive(Debug, Clone, Default)]
pub struct Unsupported(
    /// A short critical section, never across an await.
    Arc<Mutex<Option<Counted>>>,
);

/// Which catalogue was counted, and what was found.
type Counted = (Weak<Catalog>, Counts);

/// By the place of the source in the catalogue.
type Counts = Arc<[usize]>;

impl Unsupported {
    /// Counts the entries in the channels of `catalog`; nothing is counted where the system gives no thread for it.
    pub(super) async fn of(&self, catalog: &Arc<Catalog>) -> Counts {
        let current = Arc::downgrade(catalog);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, counts)) = known.filter(|(counted, _)| counted.ptr_eq(&current)) {
            return counts;
        }
        let counted = Arc::clone(catalog);
        let Ok(counts) = background::run("unsupported", move || count(&counted)).await else {
            return Counts::default();
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((current, Arc::clone(&counts)));
        counts
    }
}

fn count(catalog: &Catalog) -> Counts {
    let mut counts = vec![0; catalog.sources().len()];
    let channels = catalog.channels().iter().chain(catalog.hidden());
    for stream in channels.flat_map(Channel::streams) {
        if let Some(count) = counts.get_mut(stream.source())
            && unsupported(stream.url().expose()).is_some()
        {
            *count += 1;
        }
    }
    counts.into()
}
