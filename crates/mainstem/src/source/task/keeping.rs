//! What a source's task knows across refreshes and restarts: its list and its account, handed on and kept on disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use catalog::{Kind, Listing};
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use super::{SourceTask, Update};
use crate::background;
use crate::config::Series as SeriesMode;
use crate::source::failure::RefreshError;
use crate::source::report::GroupsReport;
use crate::source::series::{SeriesShelf, StoredShelf};
use crate::source::version::{KindVersion, Versions};

/// What of an account is kept on disk beside its list.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Whose connections they are: another login's limit means nothing.
    login: String,
    connections: Option<u32>,
    /// The zone of its provider's clock.
    #[serde(default)]
    timezone: Option<String>,
    shelf: StoredShelf,
    /// What was asked for the series, and what tells them from later ones.
    #[serde(default)]
    series_version: (String, KindVersion),
}

impl SourceTask {
    /// A fresh list: kept in memory and on disk, and handed on. Says how much there is of it.
    pub(super) async fn take(&mut self, listing: Listing) -> (usize, u64) {
        let counts = (listing.entries.len(), listing.malformed);
        if self.is_known(&listing).await {
            // The catalogue has nothing to do with news that are none.
            return self.confirm().await;
        }
        self.report.send_modify(|report| {
            report.entries = listing.entries.len();
            report.malformed = listing.malformed;
            report.refreshed_at = Some(SystemTime::now());
            report.from_disk = false;
            report.error = None;
        });
        self.listing = Some(listing);
        // Viewers first, the disk second: writing a long list takes longer than reading it.
        self.hand_on().await;
        self.keep_listing().await;
        self.keep_account().await;
        counts
    }

    /// The provider has what is known. Says how much there is of it.
    pub(super) async fn confirm(&mut self) -> (usize, u64) {
        self.report.send_modify(|report| {
            report.refreshed_at = Some(SystemTime::now());
            report.from_disk = false;
            report.error = None;
        });
        let is_unsaved = self.is_unsaved;
        if is_unsaved || self.versions != self.versions_kept {
            self.keep_listing().await;
        }
        self.keep_account().await;
        if is_unsaved {
            // What is made of it may not be on disk either.
            self.hand_on().await;
        } else {
            self.hand_on_series().await;
        }
        let report = self.report.borrow();
        (report.entries, report.malformed)
    }

    /// Whose groups are not the provider's own of now, and why: shown as long as it is so, and logged once.
    pub(super) fn know_groups(&self, ungrouped: &[(Kind, RefreshError)]) {
        let mut fresh = ungrouped.first().map(|(_, error)| GroupsReport {
            kinds: ungrouped.iter().map(|(kind, _)| kind.as_str()).collect(),
            code: error.code(),
            detail: error.to_string(),
            since: SystemTime::now(),
        });
        let known = self.report.borrow().groups.clone();
        match (&mut fresh, known) {
            (Some(fresh), Some(known)) if (&fresh.kinds, fresh.code) == (&known.kinds, known.code) => {
                fresh.since = known.since;
            }
            (Some(fresh), _) => warn!(
                kinds = fresh.kinds.join(", "),
                error = fresh.detail,
                "categories did not come; the streams did, and their groups are those known last"
            ),
            (None, _) => {}
        }
        self.report.send_modify(|report| report.groups = fresh);
    }

    /// The list on disk, and in the same file what tells it from a later one.
    async fn keep_listing(&mut self) {
        let Some(listing) = self.listing.clone() else {
            return;
        };
        let (store, versions) = (self.around.store.clone(), self.versions.clone());
        let saved = background::run("save", move || store.save_listing(&listing, &versions)).await;
        self.is_unsaved = !matches!(saved, Ok(Ok(())));
        let error = match saved {
            Ok(Ok(())) => {
                self.versions_kept = self.versions.clone();
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        warn!(
            error,
            "the list could not be kept on disk; it is tried again at the next refresh"
        );
    }

    /// Whether a list is the one that is known, which takes a moment to tell with long ones.
    async fn is_known(&self, listing: &Listing) -> bool {
        let Some(known) = self.listing.clone() else {
            return false;
        };
        let fresh = listing.clone();
        background::run("compare", move || known == fresh)
            .await
            .unwrap_or(false)
    }

    /// Hands on the list where it has episodes, which may have changed.
    async fn hand_on_series(&self) {
        if self.shelf.series().is_empty() {
            self.shelves.send_replace(Arc::clone(&self.shelf));
        } else {
            self.hand_on().await;
        }
    }

    /// Hands on the list with the episodes known.
    pub(super) async fn hand_on(&self) {
        self.shelves.send_replace(Arc::clone(&self.shelf));
        let Some(listing) = &self.listing else { return };
        let mut listing = listing.clone();
        if let Some(account) = &self.account {
            self.shelf
                .list_into(&mut listing, |id, ending| account.episode_url(id, ending));
        }
        self.report.send_modify(|report| {
            report.series = self.shelf.series().len();
            report.series_unexpanded = self.shelf.unexpanded();
        });
        let update = Update {
            source: self.name.clone(),
            listing: Arc::new(listing),
        };
        // Nobody takes updates any more when the program is going down.
        self.around.updates.send(update).await.unwrap_or_default();
    }

    /// What an earlier run knew.
    pub(super) async fn load(&mut self) {
        let (store, name, file) = (self.around.store.clone(), self.name.clone(), self.account_file());
        let loaded = tokio::task::spawn_blocking(move || {
            (
                store.load_listing_and::<Versions>(&name),
                store.load::<Kept>(&file),
            )
        });
        let Ok((listing, kept)) = loaded.await else {
            return;
        };
        match kept {
            Ok(Some(kept)) => self.recall(kept),
            Ok(None) => {}
            Err(error) => {
                warn!(%error, "what is known of the account cannot be read from disk; it is fetched anew");
            }
        }
        match listing {
            Ok(Some((listing, versions))) => {
                debug!(entries = listing.entries.len(), "list taken from disk");
                self.report.send_modify(|report| {
                    report.entries = listing.entries.len();
                    report.malformed = listing.malformed;
                    report.from_disk = true;
                });
                match versions {
                    Some(kept) if kept.asked == self.versions.asked => {
                        self.versions_kept = kept.clone();
                        self.versions = kept;
                    }
                    Some(kept) => self.versions = kept.names_only(self.versions.asked.clone()),
                    None => {}
                }
                self.listing = Some(listing);
                self.hand_on().await;
            }
            Ok(None) => {}
            Err(error) => {
                warn!(%error, "the list on disk cannot be read; waiting for the provider");
            }
        }
    }

    /// The account's limit and zone hold from the first stream on, and not only once the provider has answered again.
    fn recall(&mut self, kept: Kept) {
        if self.account.is_none() {
            return;
        }
        if kept.login == self.request.login.to_string() {
            self.report.send_modify(|report| {
                report.account.connections = kept.connections;
                report.account.timezone = kept.timezone;
            });
        }
        if self.config.series != SeriesMode::Off {
            self.shelf = Arc::new(SeriesShelf::with_known(kept.shelf));
            let (asked, version) = kept.series_version;
            self.series_version = if asked == self.versions.asked {
                version
            } else {
                version.names_only()
            };
        }
    }

    pub(super) async fn keep_account(&self) {
        if self.account.is_none() {
            return;
        }
        let (store, file) = (self.around.store.clone(), self.account_file());
        let account = self.report.borrow().account.clone();
        let kept = Kept {
            login: self.request.login.to_string(),
            connections: account.connections,
            timezone: account.timezone,
            shelf: self.shelf.to_store(),
            series_version: (self.versions.asked.clone(), self.series_version.clone()),
        };
        let kept = tokio::task::spawn_blocking(move || store.save(&file, &kept)).await;
        if !matches!(kept, Ok(Ok(()))) {
            warn!("what is known of the account could not be kept on disk");
        }
    }

    fn account_file(&self) -> PathBuf {
        let digest = catalog::ChannelId::of_name(self.name.as_str());
        PathBuf::from(format!("accounts/{digest}.json.gz"))
    }
}
