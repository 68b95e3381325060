//! All broadcasts: finds the one of a key or starts it, and sees every one of them end.
//!
//! One task owns the table; everybody else holds a [`Hub`] and sends it commands.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{Instrument, debug, error, error_span};

use crate::driver::{Command, Driver};
use crate::{BroadcastStatus, Claim, Opener, Timing, Viewer};

/// Requests waiting for the hub's task; past this, callers wait.
const COMMANDS_WAITING_MAX: usize = 256;

/// A join that meets a broadcast just ending starts over. It succeeds unless somebody else was quicker to start the next
/// one, and that has ended, too: only where a fault ends them one after the other does it come to more than one or two.
const JOIN_ATTEMPTS_MAX: usize = 100;

/// The hub has shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("mainstem is shutting down")]
pub struct Closed;

enum Request<K> {
    Join {
        key: K,
        claim: Claim,
        reply: oneshot::Sender<Viewer>,
    },
    Status {
        reply: oneshot::Sender<Vec<(K, BroadcastStatus)>>,
    },
    Close,
}

/// The way to the hub; clones are cheap.
#[derive(Debug)]
pub struct Hub<K> {
    requests: mpsc::Sender<Request<K>>,
}

impl<K> Clone for Hub<K> {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
        }
    }
}

impl<K: Clone> Hub<K> {
    /// Joins the broadcast of `key`, starting it if nobody watches it yet.
    ///
    /// # Errors
    /// [`Closed`] while the program shuts down.
    pub async fn join(&self, key: K, claim: Claim) -> Result<Viewer, Closed> {
        for _ in 0..JOIN_ATTEMPTS_MAX {
            let (reply, answer) = oneshot::channel();
            let request = Request::Join {
                key: key.clone(),
                claim: claim.clone(),
                reply,
            };
            self.requests.send(request).await.map_err(|_| Closed)?;
            if let Ok(viewer) = answer.await {
                return Ok(viewer);
            }
        }
        Err(Closed)
    }

    /// What every broadcast does now, in no particular order.
    ///
    /// # Errors
    /// [`Closed`] while the program shuts down.
    pub async fn status(&self) -> Result<Vec<(K, BroadcastStatus)>, Closed> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(Request::Status { reply })
            .await
            .map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }

    /// Ends every broadcast: upstreams close, viewers' responses end.
    pub async fn close(&self) {
        // An error means that it is closed already.
        self.requests.send(Request::Close).await.unwrap_or_default();
    }
}

struct Broadcasting {
    commands: mpsc::UnboundedSender<Command>,
    status: watch::Receiver<BroadcastStatus>,
    task: Id,
}

/// The hub's own task. It runs until [`Hub::close`] or until the last [`Hub`] is gone; dropping it ends everything.
pub struct HubTask<O: Opener> {
    opener: Arc<O>,
    timing: Timing,
    requests: mpsc::Receiver<Request<O::Key>>,
    table: HashMap<O::Key, Broadcasting>,
    keys: HashMap<Id, O::Key>,
    tasks: JoinSet<()>,
    started: u64,
}

impl<O: Opener> HubTask<O> {
    /// A hub that opens streams through `opener`.
    #[must_use]
    pub fn new(opener: Arc<O>, timing: Timing) -> (Hub<O::Key>, Self) {
        let (sender, requests) = mpsc::channel(COMMANDS_WAITING_MAX);
        let task = Self {
            opener,
            timing,
            requests,
            table: HashMap::new(),
            keys: HashMap::new(),
            tasks: JoinSet::new(),
            started: 0,
        };
        (Hub { requests: sender }, task)
    }

    /// Serves requests and sees broadcasts end.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(Request::Join { key, claim, reply }) => self.join(&key, claim, reply),
                    // Whoever asked and went away needs no answer.
                    Some(Request::Status { reply }) => reply.send(self.status()).unwrap_or_default(),
                    Some(Request::Close) | None => break,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            }
        }
        self.tasks.shutdown().await;
    }

    fn join(&mut self, key: &O::Key, claim: Claim, reply: oneshot::Sender<Viewer>) {
        let mut command = Command::Join { claim, reply };
        if let Some(broadcasting) = self.table.get(key) {
            match broadcasting.commands.send(command) {
                Ok(()) => return,
                // It ended a moment ago; its successor starts at once.
                Err(unsent) => command = unsent.0,
            }
        }
        let broadcasting = self.start(key);
        // The receiver was made just now; if its task died already, the caller sees its reply dropped and asks again.
        broadcasting.commands.send(command).unwrap_or_default();
        self.keys.insert(broadcasting.task, key.clone());
        self.table.insert(key.clone(), broadcasting);
    }

    fn start(&mut self, key: &O::Key) -> Broadcasting {
        let (commands, receiver) = mpsc::unbounded_channel();
        let (status_sender, status) = watch::channel(BroadcastStatus::default());
        self.started += 1;
        let driver = Driver::new(
            key.clone(),
            Arc::clone(&self.opener),
            self.timing.clone(),
            self.started,
            (commands.downgrade(), receiver),
            status_sender,
        );
        let span = error_span!("broadcast", channel = self.opener.name(key));
        let task = self.tasks.spawn(driver.run().instrument(span)).id();
        Broadcasting {
            commands,
            status,
            task,
        }
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(key) = self.keys.remove(&id) else { return };
        match ended {
            Ok(_) => debug!(channel = %key, "broadcast over"),
            Err(error) => error!(
                channel = %key, %error,
                "a fault in mainstem ended this channel's broadcast; its viewers were disconnected and its connection freed. Please report it"
            ),
        }
        if let Entry::Occupied(entry) = self.table.entry(key)
            && entry.get().task == id
        {
            entry.remove();
        }
    }

    fn status(&self) -> Vec<(O::Key, BroadcastStatus)> {
        self.table
            .iter()
            .map(|(key, broadcasting)| (key.clone(), broadcasting.status.borrow().clone()))
            .collect()
    }
}
