//! Identical requests of several sources are made once: who comes while one waits for its turn or its answer listens to
//! that, and who comes while the body is under way has it from its start, as long as that is still there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::{mpsc, oneshot};

use super::body::{CHUNKS_WAITING_MAX, Step, Steps};
use super::failure::Refusal;
use crate::slot::Login;
use crate::upstream::http::HttpError;

/// Bytes of a body under way that are kept for whoever comes later; a longer one can be joined until then.
const REPLAY_BYTES_MAX: usize = 4 << 20;

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
    pub(super) steps: Option<Steps>,
}

/// An answer without a list, which is the same for all who asked.
#[derive(Debug, Clone)]
pub(super) enum Unheard {
    /// The provider says no.
    Refused(Refusal),
    /// It says nothing.
    NoAnswer(HttpError),
}

pub(super) type Listener = oneshot::Sender<Result<Heard, Unheard>>;

#[derive(Debug)]
enum Progress {
    /// Nothing came yet.
    Asking(Vec<Listener>),
    /// The body comes.
    Answering {
        headers: HeaderMap,
        /// What came of it so far.
        replay: VecDeque<Bytes>,
        bytes: usize,
        /// Those who came since the last step.
        joined: Vec<mpsc::Sender<Step>>,
    },
}

#[derive(Debug)]
struct Pending {
    id: u64,
    asked: Asked,
    progress: Progress,
}

#[derive(Debug, Default)]
struct Table {
    pending: Vec<Pending>,
    last_id: u64,
}

/// The requests that can be joined.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<Table>>);

/// Who makes a request.
#[derive(Debug)]
pub(super) enum Role {
    /// This one.
    Leads(Leading),
    /// Somebody else; the sender is dropped when he gives up.
    Listens(oneshot::Receiver<Result<Heard, Unheard>>),
    /// Somebody else, and the answer comes already.
    Joins(Heard),
}

impl InFlight {
    /// Has a part in the same request, if there is one; else makes it.
    pub(super) fn join(&self, asked: &Asked) -> Role {
        let mut table = self.table();
        let same = table.pending.iter_mut().find(|pending| pending.asked == *asked);
        match same.map(|same| &mut same.progress) {
            Some(Progress::Asking(listeners)) => {
                let (listener, heard) = oneshot::channel();
                listeners.push(listener);
                return Role::Listens(heard);
            }
            Some(Progress::Answering {
                headers,
                replay,
                joined,
                ..
            }) => {
                let (sender, rest) = mpsc::channel(CHUNKS_WAITING_MAX);
                joined.push(sender);
                return Role::Joins(Heard {
                    headers: headers.clone(),
                    steps: Some(Steps {
                        first: replay.clone(),
                        rest,
                    }),
                });
            }
            None => {}
        }
        table.last_id += 1;
        let id = table.last_id;
        table.pending.push(Pending {
            id,
            asked: asked.clone(),
            progress: Progress::Asking(Vec::new()),
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

/// A request that can be joined. Dropped before its answer, it is nobody's any more, and its listeners make it themselves.
#[derive(Debug)]
pub(super) struct Leading {
    id: u64,
    requests: InFlight,
}

impl Leading {
    /// There will be no body: those who listen are told why by `tell`.
    pub(super) fn end(self, tell: impl Fn() -> Result<Heard, Unheard>) {
        let ended = self.take();
        if let Some(Progress::Asking(listeners)) = ended.map(|pending| pending.progress) {
            for listener in listeners {
                // Whoever went away needs no answer.
                drop(listener.send(tell()));
            }
        }
    }

    /// The body begins. Returns the way to everybody who listened so far.
    pub(super) fn answered(&self, headers: &HeaderMap) -> Vec<mpsc::Sender<Step>> {
        let answering = Progress::Answering {
            headers: headers.clone(),
            replay: VecDeque::new(),
            bytes: 0,
            joined: Vec::new(),
        };
        let listeners = {
            let mut table = self.requests.table();
            let own = table.pending.iter_mut().find(|pending| pending.id == self.id);
            match own.map(|own| std::mem::replace(&mut own.progress, answering)) {
                Some(Progress::Asking(listeners)) => listeners,
                _ => Vec::new(),
            }
        };
        let mut readers = Vec::with_capacity(listeners.len());
        for listener in listeners {
            let (sender, rest) = mpsc::channel(CHUNKS_WAITING_MAX);
            let heard = Heard {
                headers: headers.clone(),
                steps: Some(Steps {
                    first: VecDeque::new(),
                    rest,
                }),
            };
            if listener.send(Ok(heard)).is_ok() {
                readers.push(sender);
            }
        }
        readers
    }

    /// A step of the body comes. Returns the way to those who joined before it, for whom it is the next: from then on they
    /// are the caller's. Nobody can join after the last step, nor once too much has come.
    pub(super) fn stepped(&self, step: &Step) -> Vec<mpsc::Sender<Step>> {
        let mut table = self.requests.table();
        let index = table.pending.iter().position(|pending| pending.id == self.id);
        let Some(index) = index else { return Vec::new() };
        let own = table.pending.get_mut(index).map(|own| &mut own.progress);
        let Some(Progress::Answering {
            replay,
            bytes,
            joined,
            ..
        }) = own
        else {
            return Vec::new();
        };
        let joined = std::mem::take(joined);
        let goes_on = match step {
            Step::Bytes(more) => {
                *bytes += more.len();
                replay.push_back(more.clone());
                *bytes <= REPLAY_BYTES_MAX
            }
            Step::End | Step::Broken(_) => false,
        };
        if !goes_on {
            table.pending.swap_remove(index);
        }
        joined
    }

    /// Nobody the caller knows of wants more of the body. Returns the way to those who joined since the last step; without
    /// any, nobody can join any more.
    pub(super) fn forsaken(&self) -> Vec<mpsc::Sender<Step>> {
        let mut table = self.requests.table();
        let index = table.pending.iter().position(|pending| pending.id == self.id);
        let Some(index) = index else { return Vec::new() };
        let joined = match table.pending.get_mut(index).map(|own| &mut own.progress) {
            Some(Progress::Answering { joined, .. }) => std::mem::take(joined),
            _ => Vec::new(),
        };
        if joined.is_empty() {
            table.pending.swap_remove(index);
        }
        joined
    }

    fn take(&self) -> Option<Pending> {
        let mut table = self.requests.table();
        let index = table.pending.iter().position(|pending| pending.id == self.id)?;
        Some(table.pending.swap_remove(index))
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        drop(self.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::SourceName;

    fn asked() -> Asked {
        Asked {
            login: Login::of_entry(Some("one"), &SourceName::new("s"), ""),
            url: "http://h.example/list".to_owned(),
            headers: HeaderMap::new(),
            insecure_tls: false,
        }
    }

    fn lead(requests: &InFlight) -> Leading {
        match requests.join(&asked()) {
            Role::Leads(leading) => leading,
            role => panic!("{role:?}"),
        }
    }

    #[test]
    fn what_is_kept_for_latecomers_is_bounded_and_ends_with_the_body() {
        let piece = Bytes::from(vec![0; REPLAY_BYTES_MAX / 4]);
        let requests = InFlight::default();
        let leading = lead(&requests);
        assert!(matches!(requests.join(&asked()), Role::Listens(_)));
        assert_eq!(
            leading.answered(&HeaderMap::new()).len(),
            0,
            "nobody listens any more"
        );
        for pieces in 0..=4 {
            let Role::Joins(heard) = requests.join(&asked()) else {
                panic!("it can be joined");
            };
            assert_eq!(heard.steps.unwrap().first.len(), pieces);
            let step = Step::Bytes(piece.clone());
            assert_eq!(leading.stepped(&step).len(), 1, "its next step is this one");
        }
        let other = lead(&requests);
        assert!(matches!(requests.join(&asked()), Role::Listens(_)));
        drop((leading, other));

        let leading = lead(&requests);
        leading.answered(&HeaderMap::new());
        leading.stepped(&Step::End);
        drop(lead(&requests));
    }

    #[test]
    fn a_body_nobody_wants_any_more_can_be_joined_or_is_over() {
        let requests = InFlight::default();
        let leading = lead(&requests);
        leading.answered(&HeaderMap::new());
        let joined = requests.join(&asked());
        assert!(matches!(joined, Role::Joins(_)));
        assert_eq!(leading.forsaken().len(), 1, "it goes on for who came");
        assert_eq!(leading.forsaken().len(), 0);
        drop(lead(&requests));
    }
}
