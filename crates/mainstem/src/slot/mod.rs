//! Permitted connections at the providers: one owned [`Slot`] is one connection a login allows.
//!
//! A slot is acquired before a request and owned by the object that owns the socket, after the socket in drop order,
//! so that the slot comes back when the socket is closed and not before. No count is edited anywhere else.
//!
//! Lives here: the rules ([`ledger`], pure) and their one owner ([`Pools`]), which has the lock, the timers and the
//! waiters. Does not live here: what flows through a slot, which stream to prefer, what providers answer.

pub mod ledger;
mod login;
mod usage;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catalog::SourceName;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

pub use ledger::{Identity, LimitAnswer, Rest, Subject};
pub use login::Login;
pub use usage::{HeldUsage, PoolUsage, Usage};

use ledger::{Effect, LeaseId, Ledger};

/// What a connection is for. Shown to the operator; a viewer's need goes before any other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A channel's broadcast.
    Live,
    /// A film or another file, for one viewer.
    File,
    /// A list, where the source says that lists count. It gives way to any viewer's need.
    Refresh,
    /// A second stream beside one that is in doubt. It gives way to any viewer's need.
    Hedge,
    /// A test the operator asked for.
    Test,
}

impl Purpose {
    /// A stable word for the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::File => "file",
            Self::Refresh => "refresh",
            Self::Hedge => "hedge",
            Self::Test => "test",
        }
    }

    /// Who goes first: the lower rank. A viewer's need is of rank 0.
    fn rank(self) -> u8 {
        match self {
            Self::Live | Self::File => 0,
            Self::Refresh => 1,
            Self::Hedge => 2,
            Self::Test => 3,
        }
    }

    /// Whether it may wait for a connection; what may not has one at once or not at all.
    #[must_use]
    pub fn may_wait(self) -> bool {
        !matches!(self, Self::Hedge | Self::Test)
    }

    /// Whether anything is taken back for it.
    fn may_take(self) -> bool {
        !matches!(self, Self::Hedge | Self::Test)
    }
}

/// A login at which a wish can be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The login the connection counts against.
    pub login: Login,
    /// How many connections the login allows.
    pub limit: usize,
    /// How long the provider goes on counting the connection after it is closed, as far as the operator says.
    pub release_delay: Duration,
}

/// A connection somebody wants.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Where it may be, best first: it is granted at the first that has room.
    pub places: Vec<Place>,
    /// The source, for the operator.
    pub source: SourceName,
    /// What it is for.
    pub purpose: Purpose,
    /// Which channel or film it is for, in the word [`Pools::watching`] is told.
    pub subject: Option<Subject>,
    /// The viewing of a film it is one request of. Its requests share one connection, one after the other, at one login.
    pub session: Option<FilmSession>,
    /// Where it stands in the line: `None` at its end, or where an earlier wish stood, as [`Slot::line`] says.
    pub line: Option<u64>,
}

impl Wish {
    /// A wish for one place.
    #[must_use]
    pub fn at(place: Place, source: SourceName, purpose: Purpose) -> Self {
        Self {
            places: vec![place],
            source,
            purpose,
            subject: None,
            session: None,
            line: None,
        }
    }

    fn is_at(&self, login: &Login) -> bool {
        self.places.iter().any(|place| place.login == *login)
    }
}

/// A request of one viewer's viewing of one film. The same viewing is known by its name.
#[derive(Debug, Clone)]
pub struct FilmSession {
    /// Names the viewing.
    pub name: Arc<str>,
    /// Whether whoever has this name is one player beyond doubt. Then a new request takes the place of the old one; else
    /// both are served, as long as there is room.
    pub is_one_player: bool,
    /// Whether the request goes on with what another one began. Where there is no room for both, it takes its place.
    pub is_seek: bool,
}

impl PartialEq for FilmSession {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for FilmSession {}

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
    /// Too many wait already.
    #[error("too many wait for a connection already")]
    Crowded,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    /// Where the slots of those who wait go.
    waiting: HashMap<LeaseId, oneshot::Sender<Slot>>,
    /// How the owners of slots are told that one is taken back.
    revoke: HashMap<LeaseId, watch::Sender<bool>>,
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
                ledger: Ledger::new(total_max),
                waiting: HashMap::new(),
                revoke: HashMap::new(),
            })),
            changed: Arc::default(),
        }
    }

    /// Changes the limit of all connections together. Connections above a lowered limit are left to end by themselves.
    pub fn set_total_max(&self, total_max: usize) {
        self.apply(|ledger, now| ledger.set_total_max(total_max, now));
    }

    /// Leaves `login` alone for a while: its provider said no to it.
    pub fn cool(&self, login: &Login, rest: Duration, why: Rest) {
        self.state().ledger.cool(login, now() + rest, why);
        self.changed.notify_waiters();
    }

    /// Waits up to `wait` for a permitted connection.
    ///
    /// What gives way to it is taken back for it. Dropping the future withdraws the wish.
    ///
    /// # Errors
    /// [`Refused`] says which limit is used up.
    pub async fn acquire(&self, wish: Wish, wait: Duration) -> Result<Slot, Refused> {
        let (grant, granted) = oneshot::channel();
        let id = {
            let mut state = self.state();
            let (id, effects) = state.ledger.ask(wish.clone(), now())?;
            state.waiting.insert(id, grant);
            self.carry_out(state, effects);
            id
        };
        let withdraw = Withdraw { pools: self, id };
        let slot = timeout(wait, self.granted(granted)).await;
        drop(withdraw);
        match slot {
            Ok(Some(slot)) => Ok(slot),
            _ => Err(self.state().ledger.refusal(&wish)),
        }
    }

    /// A connection that is free now and that nobody waits for, or none. Nothing is taken from anybody for it.
    ///
    /// # Errors
    /// [`Refused`] says what stands in the way.
    pub fn try_acquire(&self, wish: &Wish) -> Result<Slot, Refused> {
        let mut state = self.state();
        let (id, number) = state.ledger.try_ask(wish, now())?;
        Ok(state.slot(self, id, number))
    }

    /// Waits for a grant. That a connection no longer lingers, or a login no longer rests, is nobody's event but the
    /// clock's.
    async fn granted(&self, mut granted: oneshot::Receiver<Slot>) -> Option<Slot> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no change is missed, though the times are read before it is awaited.
            changed.as_mut().enable();
            let next = self.state().ledger.next_time(now());
            let next = async {
                match next {
                    Some(until) => sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                slot = &mut granted => return slot.ok(),
                () = next => self.apply(Ledger::tick),
                () = changed => {}
            }
        }
    }

    /// How many more connections `login` and the total allow now.
    #[must_use]
    pub fn free(&self, login: &Login, limit: usize) -> usize {
        self.look(|ledger, now| ledger.free(login, limit, now))
    }

    /// Whether [`Pools::try_acquire`] would fulfil a wish now.
    #[must_use]
    pub fn has_spare(&self, wish: &Wish) -> bool {
        self.look(|ledger, now| ledger.has_spare(wish, now))
    }

    /// Whether the login is left alone after an answer that was about it.
    #[must_use]
    pub fn is_cooling(&self, login: &Login) -> bool {
        self.state().ledger.cools(login, now()).is_some()
    }

    /// Why the login is left alone, while it is.
    #[must_use]
    pub fn rest_of(&self, login: &Login) -> Option<Rest> {
        self.state().ledger.rest_of(login, now())
    }

    /// How long the login's provider is known, or now seems, to go on counting a closed connection.
    #[must_use]
    pub fn expected_delay(&self, login: &Login) -> Duration {
        self.state().ledger.expected_delay(login, now())
    }

    /// The source that serves a film to its viewer, while it does or a connection is kept for it.
    #[must_use]
    pub fn source_of(&self, session: &FilmSession) -> Option<SourceName> {
        self.look(|ledger, _| ledger.source_of(session))
    }

    /// Says that `who` watches `subject` until the result is dropped. What they watch gives way to what they ask for
    /// next: to no one else's need.
    #[must_use]
    pub fn watching(&self, subject: &Subject, who: Option<Identity>) -> Watching {
        let mut arrival = 0;
        self.apply(|ledger, now| {
            let (at, effects) = ledger.watch(subject, who, now);
            arrival = at;
            effects
        });
        Watching {
            pools: self.clone(),
            subject: Arc::clone(subject),
            arrival,
        }
    }

    /// What is in use, for the operator.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.look(|ledger, now| ledger.usage(now))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, event: impl FnOnce(&mut Ledger, std::time::Instant) -> Vec<Effect>) {
        let mut state = self.state();
        let effects = event(&mut state.ledger, now());
        self.carry_out(state, effects);
    }

    /// Answers from what holds now. While nobody waits, nobody follows the clock: what it has ended is taken out first.
    fn look<T>(&self, question: impl FnOnce(&mut Ledger, std::time::Instant) -> T) -> T {
        let mut state = self.state();
        let now = now();
        let effects = state.ledger.tick(now);
        let answer = question(&mut state.ledger, now);
        self.carry_out(state, effects);
        answer
    }

    fn release(&self, id: LeaseId) {
        let mut state = self.state();
        state.revoke.remove(&id);
        let effects = state.ledger.release(id, now());
        debug!(slot = %id, "slot released");
        self.carry_out(state, effects);
        self.changed.notify_waiters();
    }

    /// Does what the ledger says. What is granted is handed out when the lock is free again: a waiter that has gone gives
    /// its slot back at once, which takes the lock.
    fn carry_out(&self, mut state: MutexGuard<'_, State>, effects: Vec<Effect>) {
        let mut granted = Vec::new();
        for effect in effects {
            match effect {
                Effect::Revoke(id) => {
                    debug!(slot = %id, "a connection is taken back for somebody who waits");
                    if let Some(revoke) = state.revoke.get(&id) {
                        revoke.send_replace(true);
                    }
                }
                Effect::GiveUp(_) => {
                    debug!("a connection kept for a film's next request goes to somebody who waits");
                }
                Effect::Grant(id, number) => {
                    debug!(slot = %id, "slot granted");
                    granted.push((state.waiting.remove(&id), state.slot(self, id, number)));
                }
            }
        }
        drop(state);
        for (waiter, slot) in granted {
            match waiter {
                Some(waiter) => drop(waiter.send(slot)),
                None => drop(slot),
            }
        }
    }
}

impl State {
    fn slot(&mut self, pools: &Pools, id: LeaseId, place: usize) -> Slot {
        let (revoke, revoked) = watch::channel(false);
        self.revoke.insert(id, revoke);
        Slot {
            pools: pools.clone(),
            id,
            place,
            revoked,
        }
    }
}

/// Withdraws a wish when its future ends, granted or not.
struct Withdraw<'a> {
    pools: &'a Pools,
    id: LeaseId,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        let mut state = self.pools.state();
        state.waiting.remove(&self.id);
        let effects = state.ledger.withdraw(self.id, now());
        self.pools.carry_out(state, effects);
    }
}

/// One permitted connection. Its drop gives it back.
pub struct Slot {
    pools: Pools,
    id: LeaseId,
    place: usize,
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
        until_revoked(self.revoked.clone())
    }

    /// Whether the connection has been taken back.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        *self.revoked.borrow()
    }

    /// Which of the wish's places it is at.
    #[must_use]
    pub fn place(&self) -> usize {
        self.place
    }

    /// The login it counts against; `None` once the pools forgot it.
    #[must_use]
    pub fn login(&self) -> Option<Login> {
        self.pools.state().ledger.login_of(self.id)
    }

    /// The socket it was for is closed, and another is to be opened with it. Says from when on: before that, the provider
    /// counts the closed one still.
    #[must_use]
    pub fn reopen(&self) -> Instant {
        self.pools.state().ledger.reopen(self.id, now()).into()
    }

    /// Where its wish stood in the line, for a wish that asks again.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.pools.state().ledger.line(self.id)
    }

    /// Says whether anybody watches what flows through it. One nobody watches goes to whoever waits.
    pub fn set_watched(&mut self, watched: bool) {
        self.watch().set_watched(watched);
    }

    /// Makes it a slot for another purpose: a hedge that won carries viewers.
    pub fn promote(&mut self, purpose: Purpose) {
        self.watch().promote(purpose);
    }

    /// A way to say who needs it, apart from the slot itself.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            pools: self.pools.clone(),
            id: self.id,
            revoked: self.revoked.clone(),
        }
    }

    /// A request of an HLS session is made with it: the provider sees no close of such a session, and counts it for a
    /// while from its last request on.
    pub fn requested(&self) {
        self.pools.state().ledger.requested(self.id, now());
    }

    /// The provider said no to the request made with it: what is closed now was never counted there.
    pub fn refused(&self) {
        self.pools.state().ledger.refused(self.id);
    }

    /// The provider accepted the request made with it.
    pub fn accepted(&self) {
        self.pools.state().ledger.accepted(self.id, now());
    }

    /// Leaves the login alone for a while: its provider said so in the middle of a session.
    pub fn cool_login(&self, rest: Duration, why: Rest) {
        self.pools
            .state()
            .ledger
            .cool_login_of(self.id, now() + rest, why);
        self.pools.changed.notify_waiters();
    }

    /// The provider answered the request made with it that the login's connections are used up. The slot comes back
    /// with its drop, as ever.
    pub fn limit_answer(&self) -> LimitAnswer {
        let mut state = self.pools.state();
        let (answer, effects) = state.ledger.limit_answer(self.id, now());
        self.pools.carry_out(state, effects);
        self.pools.changed.notify_waiters();
        answer
    }

    /// Keeps the connection for the next request of its film for so long, after its socket was closed. Whoever needs it
    /// more gets it at once.
    pub fn keep(self, hold: Duration) {
        self.pools.apply(|ledger, now| ledger.keep(self.id, hold, now));
        // The drop that follows finds it gone already, and only forgets how to take it back.
    }

    /// Whether the provider evidently accepts the login, whatever it answered now: another connection of it is open, or
    /// was a moment ago.
    #[must_use]
    pub fn is_login_accepted(&self) -> bool {
        self.pools.state().ledger.is_accepted(self.id, now())
    }
}

/// Says of a slot who needs what flows through it. It holds no connection.
#[derive(Debug, Clone)]
pub struct Watch {
    pools: Pools,
    id: LeaseId,
    revoked: watch::Receiver<bool>,
}

async fn until_revoked(mut revoked: watch::Receiver<bool>) {
    if revoked.wait_for(|revoked| *revoked).await.is_err() {
        // The pools forgot the slot, so nobody can take it back any more.
        std::future::pending::<()>().await;
    }
}

impl Watch {
    /// Resolves when the connection is needed more elsewhere.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + use<> {
        until_revoked(self.revoked.clone())
    }

    /// Says whether anybody watches. A connection nobody watches goes to whoever waits.
    pub fn set_watched(&self, watched: bool) {
        self.pools
            .apply(|ledger, now| ledger.set_watched(self.id, watched, now));
    }

    /// Makes the slot one for another purpose: a hedge that won carries viewers.
    pub fn promote(&self, purpose: Purpose) {
        self.pools
            .apply(|ledger, now| ledger.promote(self.id, purpose, now));
    }
}

/// Somebody watches something, until this is dropped.
#[derive(Debug)]
pub struct Watching {
    pools: Pools,
    subject: Subject,
    arrival: u64,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.pools
            .apply(|ledger, now| ledger.unwatch(&self.subject, self.arrival, now));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pools.release(self.id);
    }
}

/// The runtime's clock, which tests can stop.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests;
