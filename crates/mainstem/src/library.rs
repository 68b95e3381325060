//! The catalogue as the program holds it: one writer builds each next snapshot beside the present one and swaps it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use catalog::{Catalog, ChannelRules, Filters, Listing, Memory, SourceName, SourceRules};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::background;
use crate::source::Update;
use crate::store::Store;

/// Changes waiting while a snapshot is built; sources wait past this.
const CHANGES_WAITING_MAX: usize = 64;

/// Issues logged one by one for a snapshot; the rest are counted.
const ISSUES_LOGGED_MAX: usize = 5;

/// Streams of a catalogue, the new one or the one that is dropped, from which on what was freed goes back to the system.
/// What fewer leave behind is not worth holding up every arena for.
const GIVEN_BACK_FROM_STREAMS: usize = 10_000;

/// Where ids, numbers and places of channels are kept in the store.
const MEMORY_FILE: &str = "channels.json.gz";

/// What the operator wants: which sources in which order, the filters, and how channels are made.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// In the order of preference.
    pub sources: Vec<SourceRules>,
    /// What entries become channels.
    pub filters: Arc<Filters>,
    /// How channels are made of them.
    pub channels: Arc<ChannelRules>,
}

/// What the channels were made of: enough to try other rules.
#[derive(Debug, Default)]
pub struct Material {
    /// The lists, with what is said of their sources.
    pub listings: Vec<(SourceRules, Arc<Listing>)>,
    /// Ids, numbers and places.
    pub memory: Arc<Memory>,
}

/// The writer of snapshots.
pub struct LibraryTask {
    updates: mpsc::Receiver<Update>,
    rules: watch::Receiver<Rules>,
    listings: HashMap<SourceName, Arc<Listing>>,
    catalog: watch::Sender<Arc<Catalog>>,
    material: watch::Sender<Arc<Material>>,
    store: Store,
    /// `None` until it is read from the store.
    memory: Option<Arc<Memory>>,
    /// The disk did not take it.
    is_unsaved: bool,
}

/// What a library gives out.
pub struct LibraryOutlets {
    /// Where lists go.
    pub updates: mpsc::Sender<Update>,
    /// Where snapshots come from.
    pub catalog: watch::Receiver<Arc<Catalog>>,
    /// What the last one was made of.
    pub material: watch::Receiver<Arc<Material>>,
}

impl LibraryTask {
    /// A library without any list yet, which keeps in `store` what links are made of.
    #[must_use]
    pub fn new(rules: watch::Receiver<Rules>, store: Store) -> (Self, LibraryOutlets) {
        let (sender, updates) = mpsc::channel(CHANGES_WAITING_MAX);
        let (empty, _) = catalog::build(&[], &Filters::default());
        let (catalog, snapshots) = watch::channel(Arc::new(empty));
        let (material, materials) = watch::channel(Arc::default());
        let outlets = LibraryOutlets {
            updates: sender,
            catalog: snapshots,
            material: materials,
        };
        let library = Self {
            updates,
            rules,
            listings: HashMap::new(),
            catalog,
            material,
            store,
            memory: None,
            is_unsaved: false,
        };
        (library, outlets)
    }

    /// Builds a snapshot for every change, several changes at once where they come while one is built.
    pub async fn run(mut self) {
        // While the sources read their lists.
        let store = self.store.clone();
        let read = background::run("memory", move || Arc::new(remembered(&store)));
        self.memory = read.await.ok();
        loop {
            tokio::select! {
                update = self.updates.recv() => match update {
                    Some(update) => self.take(update),
                    None => return,
                },
                changed = self.rules.changed() => if changed.is_err() { return },
            }
            while let Ok(update) = self.updates.try_recv() {
                self.take(update);
            }
            self.build().await;
        }
    }

    fn take(&mut self, update: Update) {
        self.listings.insert(update.source, update.listing);
    }

    async fn build(&mut self) {
        let rules = self.rules.borrow_and_update().clone();
        self.listings
            .retain(|name, _| rules.sources.iter().any(|source| source.name == *name));
        let listings: Vec<(SourceRules, Arc<Listing>)> = rules
            .sources
            .iter()
            .filter_map(|source| Some((source.clone(), Arc::clone(self.listings.get(&source.name)?))))
            .collect();
        let (store, memory, is_unsaved) = (self.store.clone(), self.memory.clone(), self.is_unsaved);
        let built = background::run("channels", move || {
            let before = memory.unwrap_or_else(|| Arc::new(remembered(&store)));
            let mut memory = Memory::clone(&before);
            let borrowed: Vec<(SourceRules, &Listing)> = listings
                .iter()
                .map(|(rules, listing)| (rules.clone(), &**listing))
                .collect();
            let (catalog, issues) =
                catalog::build_with(&borrowed, &rules.filters, &rules.channels, &mut memory);
            // Before anybody sees them: no link is given out that a kill would make another channel's.
            let are_new = is_unsaved || !memory.has_same_ids(&before);
            let is_unsaved = are_new && !keep(&store, &memory);
            let is_moved = !are_new && memory != *before;
            let memory = if are_new || is_moved {
                Arc::new(memory)
            } else {
                before
            };
            (
                catalog,
                issues,
                Material { listings, memory },
                [is_moved, is_unsaved],
            )
        });
        match built.await {
            Ok((catalog, issues, material, [is_moved, is_unsaved])) => {
                self.is_unsaved = is_unsaved;
                for issue in issues.iter().take(ISSUES_LOGGED_MAX) {
                    warn!(%issue, "in the lists");
                }
                if issues.len() > ISSUES_LOGGED_MAX {
                    warn!(
                        more = issues.len() - ISSUES_LOGGED_MAX,
                        "further issues in the lists"
                    );
                }
                let memory = Arc::clone(&material.memory);
                self.memory = Some(Arc::clone(&memory));
                let old_material = self.material.send_replace(Arc::new(material));
                let channels = catalog.channels().len();
                let is_long = is_long(&catalog);
                let old = self.catalog.send_replace(Arc::new(catalog));
                // Only now: whoever reads the line finds them.
                info!(channels, "channels ready");
                // The order alone can wait: long lists take a moment to be written.
                if is_moved {
                    let store = self.store.clone();
                    let written = background::run("order", move || keep(&store, &memory)).await;
                    self.is_unsaved = !written.as_ref().is_ok_and(|kept| *kept);
                    if let Err(error) = written {
                        error!(%error, "a fault in mainstem: the order of channels could not be kept");
                    }
                }
                // Half a million channels are not given back in an instant, and streams would wait.
                let give_back = move || {
                    let is_much = is_long || self::is_long(&old);
                    drop((old, old_material));
                    if is_much {
                        heap::give_back();
                    }
                };
                background::run("drop", give_back).await.unwrap_or_default();
            }
            Err(error) => {
                error!(%error, "a fault in mainstem: the channels could not be built; the old ones stay");
            }
        }
    }
}

/// Whether making or dropping it frees much.
fn is_long(catalog: &Catalog) -> bool {
    let streams = catalog.channels().iter().map(|channel| channel.streams().len());
    streams.sum::<usize>() >= GIVEN_BACK_FROM_STREAMS
}

/// Whether the disk took it.
fn keep(store: &Store, memory: &Memory) -> bool {
    let kept = store.save(Path::new(MEMORY_FILE), memory);
    if let Err(error) = &kept {
        warn!(%error, "ids, numbers and places of channels could not be kept");
    }
    kept.is_ok()
}

/// What the store has of ids, numbers and places. A file that cannot be read costs what it said, and no start.
#[must_use]
pub fn remembered(store: &Store) -> Memory {
    match store.load(Path::new(MEMORY_FILE)) {
        Ok(memory) => memory.unwrap_or_default(),
        Err(error) => {
            warn!(%error, "ids and numbers of channels that were kept cannot be read; they are given anew");
            Memory::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::StreamUrl;
    use catalog::listing::{Extra, Fields, Kind};

    #[test]
    fn a_catalogue_is_long_by_its_streams_and_not_by_its_channels() {
        for (streams, expected) in [
            (GIVEN_BACK_FROM_STREAMS - 1, false),
            (GIVEN_BACK_FROM_STREAMS, true),
        ] {
            let name = SourceName::new("s");
            let mut listing = Listing::new(name.clone());
            for number in 0..streams {
                let key = number.to_string();
                listing.push(Fields {
                    tvg_name: None,
                    title: &(number % 5_000).to_string(),
                    group: None,
                    logo: None,
                    tvg_id: None,
                    kind: Kind::Live,
                    url: StreamUrl::new(format!("http://h.example/{key}.ts")),
                    direct: None,
                    stream_key: &key,
                    tvg_chno: None,
                    extra: Extra::default(),
                });
            }
            let rules = SourceRules {
                name,
                prefix: Box::default(),
                suffix: Box::default(),
                order: 0,
            };
            let (catalog, _) = catalog::build(&[(rules, &listing)], &Filters::default());
            assert_eq!(catalog.channels().len(), 5_000);
            assert_eq!(is_long(&catalog), expected, "{streams} streams");
        }
    }
}
