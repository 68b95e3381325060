//! Starts and stops the sources' tasks as the configuration says, and sees every one of them end.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use catalog::{Filters, SourceName};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument as _, error, error_span, info};

use crate::channels::{RunningSource, SourceTable};
use crate::config::{Config, SourceConfig};
use crate::slot::Login;
use crate::source::{Command, Fetcher, SourceTask, Surroundings, Update};
use crate::store::Store;

/// How long a source whose task a fault ended waits for its new one.
const RESTART_AFTER: Duration = Duration::from_secs(30);

/// Owns the sources' tasks.
pub struct Sources {
    fetcher: Fetcher,
    store: Store,
    updates: mpsc::Sender<Update>,
    tasks: JoinSet<()>,
    running: HashMap<SourceName, (AbortHandle, RunningSource)>,
    /// Whose tasks a fault ended, and when they start anew.
    fallen: VecDeque<(Instant, SourceConfig)>,
    filters: watch::Sender<Arc<Filters>>,
    /// Entries of a list, and connections of a login nobody says anything about.
    limits: (usize, usize),
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
                fallen: VecDeque::new(),
                filters: watch::Sender::default(),
                limits: (0, 0),
                table,
            },
            published,
        )
    }

    /// Makes the running sources those of `config`. A source whose settings did not change goes on undisturbed.
    pub fn apply(&mut self, config: &Config) {
        self.filters
            .send_replace(Arc::new(config.filters.filters().clone()));
        self.limits = (
            config.limits.list_entries as usize,
            config.limits.account_connections as usize,
        );
        self.fallen.clear();
        let wanted: Vec<_> = config.sources.iter().filter(|source| source.enabled).collect();
        // What an account said of its limit holds for its login, whatever else changed.
        let said: HashMap<Login, u32> = self
            .running
            .values()
            .filter_map(|(_, running)| {
                let connections = running.handle.report.borrow().account.connections?;
                Some((running.handle.login.clone(), connections))
            })
            .collect();
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
            if !self.running.contains_key(&source.name) {
                self.start(source.clone(), &said);
                started += 1;
            }
        }
        info!(started, stopped, running = self.running.len(), "sources");
        self.publish();
    }

    fn start(&mut self, config: SourceConfig, said: &HashMap<Login, u32>) {
        let (entries_max, connections_default) = self.limits;
        let around = Surroundings {
            fetcher: self.fetcher.clone(),
            store: self.store.clone(),
            filters: self.filters.subscribe(),
            updates: self.updates.clone(),
            entries_max,
            connections_default,
        };
        let (task, handle) = SourceTask::new(config.clone(), around);
        if let Some(connections) = said.get(&handle.login) {
            task.assume_limit(*connections);
        }
        let span = error_span!("refresh", source = %config.name);
        let abort = self.tasks.spawn(task.run().instrument(span));
        self.running
            .insert(config.name.clone(), (abort, RunningSource { config, handle }));
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

    /// Waits until a task ends by itself, which only a fault in mainstem makes it do, or until one that did starts anew.
    pub async fn watch(&mut self) {
        let due = self.fallen.front().map(|(due, _)| *due);
        tokio::select! {
            Some(ended) = self.tasks.join_next_with_id() => match ended {
                Ok((id, ())) => self.fell(id),
                Err(error) if error.is_cancelled() => {}
                Err(error) => {
                    error!(%error, "a fault in mainstem ended a source's task; its channels stay, and it starts anew in {} s. Please report it", RESTART_AFTER.as_secs());
                    self.fell(error.id());
                }
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if let Some((_, config)) = self.fallen.pop_front() {
                    self.start(config, &HashMap::new());
                    self.publish();
                }
            }
            else => std::future::pending().await,
        }
    }

    fn fell(&mut self, id: Id) {
        // The entry stays in the published table, so that its channels can still be opened.
        let fallen = self.running.extract_if(|_, (task, _)| task.id() == id);
        let due = Instant::now() + RESTART_AFTER;
        self.fallen
            .extend(fallen.map(|(_, (_, running))| (due, running.config)));
    }

    fn publish(&self) {
        let table = self
            .running
            .iter()
            .map(|(name, (_, running))| (name.clone(), running.clone()));
        self.table.send_replace(Arc::new(table.collect()));
    }
}
