//! Permitted connections at the providers: one owned [`Slot`] is one connection a login allows.
//!
//! A slot is acquired before a request and owned by the object that owns the socket, after the socket in drop order,
//! so that the slot comes back when the socket is closed and not before. No count is edited anywhere else.
//!
//! Does not live here: what flows through a slot, which stream to prefer, what providers answer.

mod login;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catalog::SourceName;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

pub use login::Login;

/// What a connection is for. Shown to the operator; a viewer's need goes before any other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A channel's broadcast.
    Live,
    /// A film or another file, for one viewer.
    File,
    /// A test the operator asked for.
    Test,
    /// A list, where the source says that lists count.
    Refresh,
}

impl Purpose {
    /// A stable word for the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::File => "file",
            Self::Test => "test",
            Self::Refresh => "refresh",
        }
    }
}

/// A connection somebody wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The login it counts against.
    pub login: Login,
    /// The source that names the limit, for the operator.
    pub source: SourceName,
    /// How many connections the login allows.
    pub limit: usize,
    /// What it is for.
    pub purpose: Purpose,
    /// How long the provider goes on counting the connection after it is closed.
    pub release_delay: Duration,
}

/// No connection was free in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The login's own limit is used up.
    #[error("all {limit} connections of this login are in use")]
    LoginFull {
        /// The limit.
        limit: usize,
    },
    /// `max_total_connections` is used up.
    #[error("all {limit} connections that max_total_connections allows are in use")]
    AllFull {
        /// The limit.
        limit: usize,
    },
    /// The provider refused the login a moment ago: at its limit, or not accepted.
    #[error("the provider refused this login a moment ago; it is left alone for {} s", seconds.as_secs() + 1)]
    Cooling {
        /// How long yet.
        seconds: Duration,
    },
}

#[derive(Debug)]
struct Held {
    login: Login,
    source: SourceName,
    purpose: Purpose,
    watched: bool,
    release_delay: Duration,
    revoke: watch::Sender<bool>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    wish: Wish,
    grant: oneshot::Sender<Slot>,
}

#[derive(Debug, Default)]
struct State {
    total_max: usize,
    held: BTreeMap<u64, Held>,
    waiting: VecDeque<Waiter>,
    cooling: HashMap<Login, Instant>,
    /// Connections that are closed but still count at their provider, until then.
    lingering: Vec<(Login, Instant)>,
    last_id: u64,
}

/// All pools of permitted connections; clones are cheap and mean the same pools.
#[derive(Debug, Clone)]
pub struct Pools {
    /// Short critical sections only; never held across an await, and nothing is sent to a waiter inside.
    state: Arc<Mutex<State>>,
    /// Rings when the times change at which waiters must look again.
    changed: Arc<Notify>,
}

impl Pools {
    /// Pools that together allow `total_max` connections.
    #[must_use]
    pub fn new(total_max: usize) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                total_max,
                ..State::default()
            })),
            changed: Arc::default(),
        }
    }

    /// Changes the limit of all connections together. Connections above a lowered limit are left to end by themselves.
    pub fn set_total_max(&self, total_max: usize) {
        self.state().total_max = total_max;
        self.grant_waiting();
    }

    /// Leaves `login` alone for a while: its provider said that its limit is reached, or did not accept it.
    pub fn cool(&self, login: &Login, rest: Duration) {
        self.state().cooling.insert(login.clone(), Instant::now() + rest);
        self.changed.notify_waiters();
    }

    /// Waits up to `wait` for a permitted connection.
    ///
    /// A connection nobody watches is taken back for it. Dropping the future withdraws the wish.
    ///
    /// # Errors
    /// [`Refused`] says which limit is used up.
    pub async fn acquire(&self, wish: Wish, wait: Duration) -> Result<Slot, Refused> {
        let (grant, granted) = oneshot::channel();
        let id = {
            let mut state = self.state();
            if let Some(rest) = state.rests(&wish.login) {
                return Err(Refused::Cooling { seconds: rest });
            }
            state.last_id += 1;
            let id = state.last_id;
            state.revoke_for(&wish);
            state.waiting.push_back(Waiter {
                id,
                wish: wish.clone(),
                grant,
            });
            id
        };
        let withdraw = Withdraw { pools: self, id };
        self.grant_waiting();
        let slot = timeout(wait, self.granted(granted)).await;
        drop(withdraw);
        match slot {
            Ok(Some(slot)) => Ok(slot),
            _ => Err(self.state().refusal(&wish)),
        }
    }

    /// Waits for a grant. That a connection no longer lingers, or a login no longer rests, is nobody's event but the
    /// clock's.
    async fn granted(&self, mut granted: oneshot::Receiver<Slot>) -> Option<Slot> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no change is missed, though the times are read before it is awaited.
            changed.as_mut().enable();
            let next = self.state().next_time();
            let next = async {
                match next {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                slot = &mut granted => return slot.ok(),
                () = next => self.grant_waiting(),
                () = changed => {}
            }
        }
    }

    /// How many more connections `wish`'s login and the total allow now.
    #[must_use]
    pub fn free(&self, login: &Login, limit: usize) -> usize {
        let state = self.state();
        let left_in_all = state.total_max.saturating_sub(state.held.len());
        limit.saturating_sub(state.in_use(login)).min(left_in_all)
    }

    /// Whether the login rests after a limit answer.
    #[must_use]
    pub fn is_cooling(&self, login: &Login) -> bool {
        self.state().rests(login).is_some()
    }

    /// What is in use, for the operator.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let state = self.state();
        let mut usage = Usage {
            total: state.held.len(),
            total_max: state.total_max,
            ..Usage::default()
        };
        for held in state.held.values() {
            *usage
                .by_source
                .entry(held.source.as_str().to_owned())
                .or_default() += 1;
            usage.held.push((held.source.clone(), held.purpose, held.watched));
        }
        usage.waiting = state.waiting.len();
        usage
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, id: u64) {
        let held = self.state().give_back(id);
        if let Some(held) = held {
            debug!(source = %held.source, login = %held.login, purpose = held.purpose.as_str(), "slot released");
        }
        self.grant_waiting();
        self.changed.notify_waiters();
    }

    /// Gives free connections to whoever waits longest for them. The grant itself happens outside the lock: a waiter
    /// that has gone gives its slot back at once, which takes the lock again.
    fn grant_waiting(&self) {
        loop {
            let Some((waiter, slot)) = self.state().next_grant(self) else {
                return;
            };
            debug!(source = %waiter.wish.source, login = %waiter.wish.login, purpose = waiter.wish.purpose.as_str(), "slot granted");
            drop(waiter.grant.send(slot));
        }
    }
}

impl State {
    /// Connections that count at the provider: those held, and those that linger.
    fn in_use(&self, login: &Login) -> usize {
        let now = Instant::now();
        let held = self.held.values().filter(|held| held.login == *login).count();
        held + self
            .lingering
            .iter()
            .filter(|(lingering, until)| lingering == login && *until > now)
            .count()
    }

    fn give_back(&mut self, id: u64) -> Option<Held> {
        let held = self.held.remove(&id)?;
        let now = Instant::now();
        self.lingering.retain(|(_, until)| *until > now);
        if !held.release_delay.is_zero() {
            self.lingering
                .push((held.login.clone(), now + held.release_delay));
        }
        Some(held)
    }

    /// The next moment at which a connection stops lingering or a login stops resting.
    fn next_time(&self) -> Option<Instant> {
        let now = Instant::now();
        let lingering = self.lingering.iter().map(|(_, until)| *until);
        lingering
            .chain(self.cooling.values().copied())
            .filter(|until| *until > now)
            .min()
    }

    fn rests(&mut self, login: &Login) -> Option<Duration> {
        let now = Instant::now();
        self.cooling.retain(|_, until| *until > now);
        self.cooling.get(login).map(|until| *until - now)
    }

    fn next_grant(&mut self, pools: &Pools) -> Option<(Waiter, Slot)> {
        let now = Instant::now();
        self.lingering.retain(|(_, until)| *until > now);
        self.cooling.retain(|_, until| *until > now);
        if self.held.len() >= self.total_max {
            return None;
        }
        let index = self.waiting.iter().position(|waiter| {
            let login = &waiter.wish.login;
            !self.cooling.contains_key(login) && self.in_use(login) < waiter.wish.limit
        })?;
        let waiter = self.waiting.remove(index)?;
        let (revoke, revoked) = watch::channel(false);
        let held = Held {
            login: waiter.wish.login.clone(),
            source: waiter.wish.source.clone(),
            purpose: waiter.wish.purpose,
            // A viewer's need goes before a test's.
            watched: waiter.wish.purpose != Purpose::Test,
            release_delay: waiter.wish.release_delay,
            revoke,
        };
        self.held.insert(waiter.id, held);
        let slot = Slot {
            pools: pools.clone(),
            id: waiter.id,
            revoked,
        };
        Some((waiter, slot))
    }

    /// Takes back a connection nobody watches, if that is what stands between the wish and a slot.
    fn revoke_for(&mut self, wish: &Wish) {
        let login_full = self.in_use(&wish.login) >= wish.limit;
        let all_full = self.held.len() >= self.total_max;
        // A test takes nothing from anybody.
        if wish.purpose == Purpose::Test || (!login_full && !all_full) {
            return;
        }
        let idle = self.held.values().find(|held| {
            !held.watched && !*held.revoke.borrow() && (!login_full || held.login == wish.login)
        });
        if let Some(held) = idle {
            debug!(login = %held.login, "an unwatched connection is taken back for somebody who waits");
            held.revoke.send_replace(true);
        }
    }

    fn refusal(&self, wish: &Wish) -> Refused {
        // Looked at after the wait: what stood in the way may be gone by now, but the total is seldom it.
        if self.held.len() >= self.total_max && self.in_use(&wish.login) < wish.limit {
            Refused::AllFull {
                limit: self.total_max,
            }
        } else {
            Refused::LoginFull { limit: wish.limit }
        }
    }
}

/// Withdraws a wish when its future ends, granted or not.
struct Withdraw<'a> {
    pools: &'a Pools,
    id: u64,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.pools.state().waiting.retain(|waiter| waiter.id != self.id);
    }
}

/// What is in use now.
#[derive(Debug, Default, Clone)]
pub struct Usage {
    /// Connections in use.
    pub total: usize,
    /// Connections allowed in all.
    pub total_max: usize,
    /// In use by source.
    pub by_source: BTreeMap<String, usize>,
    /// Each one: source, purpose, whether watched.
    pub held: Vec<(SourceName, Purpose, bool)>,
    /// Wishes that wait.
    pub waiting: usize,
}

/// One permitted connection. Its drop gives it back.
pub struct Slot {
    pools: Pools,
    id: u64,
    revoked: watch::Receiver<bool>,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Slot {
    /// Resolves when the connection is taken back: its owner closes the socket then.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut revoked = self.revoked.clone();
        async move {
            if revoked.wait_for(|revoked| *revoked).await.is_err() {
                // The pools forgot the slot, so nobody can take it back any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Says whether anybody watches what flows through it. One nobody watches goes to whoever waits.
    pub fn set_watched(&mut self, watched: bool) {
        self.watch().set_watched(watched);
    }

    /// A way to say whether anybody watches, apart from the slot itself.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            pools: self.pools.clone(),
            id: self.id,
        }
    }

    /// The provider goes on counting this connection for so long after it is closed, or longer.
    pub fn count_on_for(&mut self, at_least: Duration) {
        if let Some(held) = self.pools.state().held.get_mut(&self.id) {
            held.release_delay = held.release_delay.max(at_least);
        }
    }
}

/// Says of a slot whether anybody watches what flows through it. It holds no connection.
#[derive(Debug, Clone)]
pub struct Watch {
    pools: Pools,
    id: u64,
}

impl Watch {
    /// Says whether anybody watches. A connection nobody watches goes to whoever waits.
    pub fn set_watched(&self, watched: bool) {
        let mut state = self.pools.state();
        let Some(held) = state.held.get_mut(&self.id) else {
            return;
        };
        held.watched = watched;
        if watched {
            return;
        }
        let login = held.login.clone();
        let total_full = state.held.len() >= state.total_max;
        let wanted = state
            .waiting
            .iter()
            .any(|waiter| total_full || waiter.wish.login == login);
        if let Some(held) = state.held.get(&self.id).filter(|_| wanted) {
            held.revoke.send_replace(true);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pools.release(self.id);
    }
}

#[cfg(test)]
mod tests;
