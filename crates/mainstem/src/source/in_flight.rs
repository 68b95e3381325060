//! Identical requests of several sources are made once: who comes while one waits for its turn listens to its answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use tokio::sync::{mpsc, oneshot};

use super::body::Step;
use super::failure::Refusal;
use crate::slot::Login;

/// What makes two requests the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) login: Login,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) insecure_tls: bool,
}

/// The head of an answer, and its body step by step.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) headers: HeaderMap,
    /// `None`: the list has not changed.
    pub(super) steps: Option<mpsc::Receiver<Step>>,
}

pub(super) type Listener = oneshot::Sender<Result<Heard, Refusal>>;

#[derive(Debug)]
struct Pending {
    id: u64,
    asked: Asked,
    listeners: Vec<Listener>,
}

#[derive(Debug, Default)]
struct Table {
    pending: Vec<Pending>,
    last_id: u64,
}

/// The requests that wait for their turn.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<Table>>);

/// Who makes a request.
#[derive(Debug)]
pub(super) enum Role {
    /// This one.
    Leads(Leading),
    /// Somebody else; the sender is dropped when he gives up.
    Listens(oneshot::Receiver<Result<Heard, Refusal>>),
}

impl InFlight {
    /// Listens to the same request, if one waits; else makes it.
    pub(super) fn join(&self, asked: &Asked) -> Role {
        let mut table = self.table();
        if let Some(same) = table.pending.iter_mut().find(|pending| pending.asked == *asked) {
            let (listener, heard) = oneshot::channel();
            same.listeners.push(listener);
            return Role::Listens(heard);
        }
        table.last_id += 1;
        let id = table.last_id;
        table.pending.push(Pending {
            id,
            asked: asked.clone(),
            listeners: Vec::new(),
        });
        Role::Leads(Leading {
            id,
            requests: self.clone(),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that has not been made yet. Dropped, it is nobody's any more, and its listeners make it themselves.
#[derive(Debug)]
pub(super) struct Leading {
    id: u64,
    requests: InFlight,
}

impl Leading {
    /// It is made now: those who listen get its answer, and whoever comes later makes another.
    pub(super) fn start(self) -> Vec<Listener> {
        self.take()
    }

    fn take(&self) -> Vec<Listener> {
        let mut table = self.requests.table();
        let index = table.pending.iter().position(|pending| pending.id == self.id);
        index.map_or_else(Vec::new, |index| table.pending.swap_remove(index).listeners)
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        drop(self.take());
    }
}
