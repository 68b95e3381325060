//! The catalogue as the program holds it: one writer builds each next snapshot beside the present one and swaps it.

use std::collections::HashMap;
use std::sync::Arc;

use catalog::{Catalog, Filters, Listing, SourceName, SourceRules};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::background;
use crate::source::Update;

/// Changes waiting while a snapshot is built; sources wait past this.
const CHANGES_WAITING_MAX: usize = 64;

/// Issues logged one by one for a snapshot; the rest are counted.
const ISSUES_LOGGED_MAX: usize = 5;

/// What the operator wants: which sources in which order, and the filters.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// In the order of preference.
    pub sources: Vec<SourceRules>,
    /// What entries become channels.
    pub filters: Arc<Filters>,
}

/// The writer of snapshots.
pub struct LibraryTask {
    updates: mpsc::Receiver<Update>,
    rules: watch::Receiver<Rules>,
    listings: HashMap<SourceName, Arc<Listing>>,
    catalog: watch::Sender<Arc<Catalog>>,
}

impl LibraryTask {
    /// A library without any list yet: where lists go, and where snapshots come from.
    #[must_use]
    pub fn new(rules: watch::Receiver<Rules>) -> (Self, mpsc::Sender<Update>, watch::Receiver<Arc<Catalog>>) {
        let (sender, updates) = mpsc::channel(CHANGES_WAITING_MAX);
        let (empty, _) = catalog::build(&[], &Filters::default());
        let (catalog, snapshots) = watch::channel(Arc::new(empty));
        (
            Self {
                updates,
                rules,
                listings: HashMap::new(),
                catalog,
            },
            sender,
            snapshots,
        )
    }

    /// Builds a snapshot for every change, several changes at once where they come while one is built.
    pub async fn run(mut self) {
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
        let built = background::run("channels", move || {
            let borrowed: Vec<(SourceRules, &Listing)> = listings
                .iter()
                .map(|(rules, listing)| (rules.clone(), &**listing))
                .collect();
            catalog::build(&borrowed, &rules.filters)
        });
        match built.await {
            Ok((catalog, issues)) => {
                for issue in issues.iter().take(ISSUES_LOGGED_MAX) {
                    warn!(%issue, "in the lists");
                }
                if issues.len() > ISSUES_LOGGED_MAX {
                    warn!(
                        more = issues.len() - ISSUES_LOGGED_MAX,
                        "further issues in the lists"
                    );
                }
                let channels = catalog.channels().len();
                let old = self.catalog.send_replace(Arc::new(catalog));
                // Only now: whoever reads the line finds them.
                info!(channels, "channels ready");
                // Half a million channels are not given back in an instant, and streams would wait.
                background::run("drop", move || drop(old))
                    .await
                    .unwrap_or_default();
            }
            Err(error) => {
                error!(%error, "a fault in mainstem: the channels could not be built; the old ones stay");
            }
        }
    }
}
