//! Starts and stops the sources' tasks as the configuration says, and sees every one of them end.

use std::collections::HashMap;
use std::sync::Arc;

use catalog::SourceName;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tracing::{Instrument as _, error, info, info_span};

use crate::channels::{RunningSource, SourceTable};
use crate::config::Config;
use crate::source::{Command, Fetcher, SourceTask, Surroundings, Update};
use crate::store::Store;

/// Owns the sources' tasks.
pub struct Sources {
    fetcher: Fetcher,
    store: Store,
    updates: mpsc::Sender<Update>,
    tasks: JoinSet<()>,
    running: HashMap<SourceName, (AbortHandle, RunningSource)>,
    table: watch::Sender<Arc<SourceTable>>,
}

impl Sources {
    /// No sources yet; what runs is published in the receiver.
    #[must_use]
    pub fn new(
        fetcher: Fetcher,
        store: Store,
        updates: mpsc::Sender<Update>,
    ) -> (Self, watch::Receiver<Arc<SourceTable>>) {
        let (table, published) = watch::channel(Arc::default());
        (
            Self {
                fetcher,
                store,
                updates,
                tasks: JoinSet::new(),
                running: HashMap::new(),
                table,
            },
            published,
        )
    }

    /// Makes the running sources those of `config`. A source whose settings did not change goes on undisturbed.
    pub fn apply(&mut self, config: &Config) {
        let wanted: Vec<_> = config.sources.iter().filter(|source| source.enabled).collect();
        let before = self.running.len();
        self.running.retain(|_, (task, running)| {
            let stays = wanted.iter().any(|source| **source == running.config);
            if !stays {
                task.abort();
            }
            stays
        });
        let stopped = before - self.running.len();
        let mut started = 0;
        for source in wanted {
            let name = source.name.clone();
            if self.running.contains_key(&name) {
                continue;
            }
            let around = Surroundings {
                fetcher: self.fetcher.clone(),
                store: self.store.clone(),
                filters: Arc::new(config.filters.filters().clone()),
                updates: self.updates.clone(),
                entries_max: config.limits.list_entries as usize,
                connections_default: config.limits.account_connections as usize,
            };
            let (task, handle) = SourceTask::new(source.clone(), around);
            let span = info_span!("refresh", source = %name);
            let abort = self.tasks.spawn(task.run().instrument(span));
            self.running.insert(
                name,
                (
                    abort,
                    RunningSource {
                        config: source.clone(),
                        handle,
                    },
                ),
            );
            started += 1;
        }
        info!(started, stopped, running = self.running.len(), "sources");
        self.publish();
    }

    /// Asks every source to refresh now. One that is refreshing has its wish already.
    pub fn refresh_all(&self) {
        for (_, running) in self.running.values() {
            running
                .handle
                .commands
                .try_send(Command::Refresh)
                .unwrap_or_default();
        }
    }

    /// Waits until a task ends by itself, which only a fault in mainstem makes it do, and takes it off the table.
    pub async fn watch(&mut self) {
        let Some(ended) = self.tasks.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                error!(%error, "a fault in mainstem ended a source's task; its channels stay, its list no longer refreshes. Please report it");
                error.id()
            }
        };
        self.forget(id);
    }

    fn forget(&mut self, id: Id) {
        // The entry stays in the published table, so that its channels can still be opened.
        self.running.retain(|_, (task, _)| task.id() != id);
    }

    fn publish(&self) {
        let table = self
            .running
            .iter()
            .map(|(name, (_, running))| (name.clone(), running.clone()));
        self.table.send_replace(Arc::new(table.collect()));
    }
}
