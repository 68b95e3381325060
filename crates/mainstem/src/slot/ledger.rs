//! The rules of the pools, as a state machine: who may have a connection, who waits, who gives way.
//!
//! Pure: what happened and `now` go in, [`Effect`]s come out. The locks, the timers and the sockets are the owner's
//! ([`super::Pools`]), and a test can drive it through any sequence of events.

mod delay;
mod reopen;
mod settle;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::SourceName;

pub use delay::{Counted, LINGERING_WITHIN};

use delay::Delays;

use super::usage::{HeldUsage, PoolUsage, Usage};
use super::{FilmSession, Login, Place, Purpose, Refused, Wish};

/// For how long a limit answer lowers a login's limit to what was open then.
pub const LOWERED_FOR: Duration = Duration::from_secs(300);

/// Wishes that wait at one time; past this, newcomers are refused at once.
pub const WAITING_MAX: usize = 10_000;

/// Names a wish, and the slot that fulfils it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the owner is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The wish is fulfilled, at the place of this number.
    Grant(LeaseId, usize),
    /// The connection is taken back: its socket closes, then its slot is released.
    Revoke(LeaseId),
    /// What was kept for this film's next request is no longer: somebody needed it.
    GiveUp(Arc<str>),
}

/// What a limit answer of a provider means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitAnswer {
    /// The provider still counts a connection that was closed a moment ago. The login is asked again after so long.
    Lingering {
        /// How long to wait.
        again_after: Duration,
    },
    /// The login allows no more than this at present.
    Reached {
        /// What was open.
        limit: usize,
    },
}

/// Why a login is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Its connections are used up.
    Limit,
    /// It is not accepted.
    Auth,
    /// It was asked too often, or its provider asked to be left alone.
    Requests,
}

impl Rest {
    /// A stable word for the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Auth => "auth",
            Self::Requests => "requests",
        }
    }
}

/// Who watches, as far as it decides who gives way: the user, or the token of a device. Address and player are not
/// enough: the televisions of a hotel share both.
pub type Identity = Arc<str>;

/// What a connection is for: the owner's word for a channel or a film.
pub type Subject = Arc<str>;

#[derive(Debug)]
struct Held {
    place: Place,
    source: SourceName,
    purpose: Purpose,
    subject: Option<Subject>,
    session: Option<FilmSession>,
    watched: bool,
    revoked: bool,
    /// The last request of the HLS session it is for: from then on its provider counts it for a while.
    last_request: Option<Instant>,
    /// The provider said no to it, so that it never counted there.
    refused: bool,
    /// Where its wish stood in the line.
    line: u64,
    since: Instant,
}

/// A connection kept between two requests of a film: its socket is closed.
#[derive(Debug)]
struct Kept {
    place: Place,
    source: SourceName,
    subject: Option<Subject>,
    until: Instant,
    /// When its provider no longer counts the socket that was closed, so that the next may be opened.
    ready_at: Instant,
}

#[derive(Debug)]
struct Waiting {
    wish: Wish,
    since: Instant,
}

/// What is known of a login.
#[derive(Debug, Default)]
struct Known {
    cooling: Option<(Instant, Rest)>,
    lowered: Option<(usize, Instant)>,
    delays: Delays,
    /// Connections that are closed but still count, until then.
    lingering: Vec<Instant>,
}

/// The place of a wish in the line: better purposes first, then whoever came first.
type Line = (u8, u64, LeaseId);

/// The state of all pools.
#[derive(Debug)]
pub struct Ledger {
    total_max: usize,
    held: BTreeMap<LeaseId, Held>,
    kept: BTreeMap<Arc<str>, Kept>,
    waiting: BTreeMap<Line, Waiting>,
    logins: HashMap<Login, Known>,
    /// Who watches what, and since which number of arrivals.
    watchers: HashMap<Subject, Vec<(u64, Option<Identity>)>>,
    arrivals: u64,
    last_id: u64,
}

impl Ledger {
    /// Pools that together allow `total_max` connections.
    #[must_use]
    pub fn new(total_max: usize) -> Self {
        Self {
            total_max,
            held: BTreeMap::new(),
            kept: BTreeMap::new(),
            waiting: BTreeMap::new(),
            logins: HashMap::new(),
            watchers: HashMap::new(),
            arrivals: 0,
            last_id: 0,
        }
    }

    /// Changes the limit of all connections together.
    pub fn set_total_max(&mut self, total_max: usize, now: Instant) -> Vec<Effect> {
        self.total_max = total_max;
        self.settle(now)
    }

    /// Somebody wants a connection and will wait for it.
    ///
    /// # Errors
    /// [`Refused::Cooling`] when every login of it is left alone; [`Refused::Crowded`] when too many wait already.
    pub fn ask(&mut self, wish: Wish, now: Instant) -> Result<(LeaseId, Vec<Effect>), Refused> {
        self.expire(now);
        if let Some(seconds) = self.all_cool(&wish, now) {
            return Err(Refused::Cooling { seconds });
        }
        if self.waiting.len() >= WAITING_MAX {
            return Err(Refused::Crowded);
        }
        let id = self.next_id();
        let line = wish.line.unwrap_or(id.0);
        let rank = wish.purpose.rank();
        self.waiting
            .insert((rank, line, id), Waiting { wish, since: now });
        Ok((id, self.settle(now)))
    }

    /// Somebody wants a connection that is free now and that nobody waits for, or none.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn try_ask(&mut self, wish: &Wish, now: Instant) -> Result<(LeaseId, usize), Refused> {
        self.expire(now);
        if let Some(seconds) = self.all_cool(wish, now) {
            return Err(Refused::Cooling { seconds });
        }
        let number = self.spare_for(wish).ok_or_else(|| self.refusal(wish))?;
        let id = self.next_id();
        self.hold(id, wish.line.unwrap_or(id.0), wish, number, now);
        Ok((id, number))
    }

    /// A wish is withdrawn. One that is fulfilled already is not touched.
    pub fn withdraw(&mut self, id: LeaseId, now: Instant) -> Vec<Effect> {
        let before = self.waiting.len();
        self.waiting.retain(|(_, _, waiting), _| *waiting != id);
        if self.waiting.len() == before {
            return Vec::new();
        }
        self.settle(now)
    }

    /// A slot came back: its socket is closed.
    pub fn release(&mut self, id: LeaseId, now: Instant) -> Vec<Effect> {
        let Some(held) = self.held.remove(&id) else {
            return Vec::new();
        };
        if !held.refused {
            let until = self.closed(&held, now);
            self.linger(&held.place.login, until, now);
        }
        self.settle(now)
    }

    /// A slot's socket is closed, and the slot is kept for the next request of its film for so long. Whoever needs it
    /// more gets it at once.
    pub fn keep(&mut self, id: LeaseId, hold: Duration, now: Instant) -> Vec<Effect> {
        let session = self.held.get(&id).and_then(|held| {
            let wanted = held.session.as_ref().filter(|_| !held.revoked && !held.refused)?;
            Some(Arc::clone(&wanted.name)).filter(|name| !self.kept.contains_key(name))
        });
        let (Some(name), false) = (session, hold.is_zero()) else {
            return self.release(id, now);
        };
        if let Some(held) = self.held.remove(&id) {
            let kept = Kept {
                ready_at: self.closed(&held, now),
                until: now + hold,
                place: held.place,
                source: held.source,
                subject: held.subject,
            };
            self.kept.insert(name, kept);
        }
        self.settle(now)
    }

    /// Notes a close; says until when the provider counts on.
    fn closed(&mut self, held: &Held, now: Instant) -> Instant {
        let known = self.logins.entry(held.place.login.clone()).or_default();
        known
            .delays
            .closed(held.last_request, held.place.release_delay, now)
    }

    fn linger(&mut self, login: &Login, until: Instant, now: Instant) {
        if until > now {
            self.logins
                .entry(login.clone())
                .or_default()
                .lingering
                .push(until);
        }
    }

    /// Says whether anybody watches what flows through a slot.
    pub fn set_watched(&mut self, id: LeaseId, watched: bool, now: Instant) -> Vec<Effect> {
        match self.held.get_mut(&id) {
            Some(held) if held.watched != watched => held.watched = watched,
            _ => return Vec::new(),
        }
        self.settle(now)
    }

    /// Makes a slot one for another purpose: a hedge that won carries viewers.
    pub fn promote(&mut self, id: LeaseId, purpose: Purpose, now: Instant) -> Vec<Effect> {
        if let Some(held) = self.held.get_mut(&id) {
            held.purpose = purpose;
            held.watched = purpose != Purpose::Test;
        }
        self.settle(now)
    }

    /// A request of an HLS session is made with it: the provider counts the session from its last request on.
    pub fn requested(&mut self, id: LeaseId, now: Instant) {
        if let Some(held) = self.held.get_mut(&id) {
            held.last_request = Some(now);
        }
    }

    /// The provider said no to the request made with this slot: it does not count there.
    pub fn refused(&mut self, id: LeaseId) {
        if let Some(held) = self.held.get_mut(&id) {
            held.refused = true;
        }
    }

    /// The provider answered the request made with this slot that the login's connections are used up.
    ///
    /// Soon after a close of our own that is no news about the limit. Otherwise the limit is what was open, for
    /// [`LOWERED_FOR`]; leaving the login alone for a while is the caller's to ask for.
    pub fn limit_answer(&mut self, id: LeaseId, now: Instant) -> (LimitAnswer, Vec<Effect>) {
        self.expire(now);
        let Some(held) = self.held.get_mut(&id) else {
            return (LimitAnswer::Reached { limit: 1 }, Vec::new());
        };
        held.refused = true;
        let login = held.place.login.clone();
        let accepted = |other: &&Held| other.place.login == login && !other.refused;
        let open = self.held.values().filter(accepted).count();
        let known = self.logins.entry(login).or_default();
        let answer = match known.delays.limit_answer(open > 0, now) {
            Some(again_after) => {
                known.lingering.push(now + again_after);
                LimitAnswer::Lingering { again_after }
            }
            None => {
                let limit = open.max(1);
                known.lowered = Some((limit, now + LOWERED_FOR));
                LimitAnswer::Reached { limit }
            }
        };
        (answer, self.settle(now))
    }

    /// The provider accepted the request made with this slot.
    pub fn accepted(&mut self, id: LeaseId, now: Instant) {
        let Some(held) = self.held.get(&id) else { return };
        if let Some(known) = self.logins.get_mut(&held.place.login) {
            known.delays.accepted(held.since, now);
        }
    }

    /// Whether the provider evidently accepts the login: a connection of it is open, or was a moment ago.
    #[must_use]
    pub fn is_accepted(&self, id: LeaseId, now: Instant) -> bool {
        let Some(held) = self.held.get(&id) else {
            return false;
        };
        let login = &held.place.login;
        let open =
            |(other, held): (&LeaseId, &Held)| *other != id && held.place.login == *login && !held.refused;
        let closed = self.logins.get(login);
        let closed = closed.and_then(|known| known.delays.last_closed_at());
        self.held.iter().any(open)
            || closed.is_some_and(|at| now.saturating_duration_since(at) < LINGERING_WITHIN)
    }

    /// Leaves the login of a slot alone until then.
    pub fn cool_login_of(&mut self, id: LeaseId, until: Instant, why: Rest) {
        if let Some(login) = self.held.get(&id).map(|held| held.place.login.clone()) {
            self.cool(&login, until, why);
        }
    }

    /// Leaves a login alone until then.
    pub fn cool(&mut self, login: &Login, until: Instant, why: Rest) {
        self.logins.entry(login.clone()).or_default().cooling = Some((until, why));
    }

    /// Somebody began to watch a subject. What they watch gives way to what they ask for next.
    pub fn watch(&mut self, subject: &Subject, who: Option<Identity>, now: Instant) -> (u64, Vec<Effect>) {
        self.arrivals += 1;
        self.watchers
            .entry(Arc::clone(subject))
            .or_default()
            .push((self.arrivals, who));
        (self.arrivals, self.settle(now))
    }

    /// Somebody watches no longer.
    pub fn unwatch(&mut self, subject: &Subject, arrival: u64, now: Instant) -> Vec<Effect> {
        if let Some(watchers) = self.watchers.get_mut(subject) {
            watchers.retain(|(at, _)| *at != arrival);
            if watchers.is_empty() {
                self.watchers.remove(subject);
            }
        }
        self.settle(now)
    }

    /// Time passed: what lingered may be free, what rested may be asked.
    pub fn tick(&mut self, now: Instant) -> Vec<Effect> {
        self.settle(now)
    }

    /// The next moment at which time alone changes anything.
    #[must_use]
    pub fn next_time(&self, now: Instant) -> Option<Instant> {
        let times = self.logins.values().flat_map(|known| {
            let lingering = known.lingering.iter().copied();
            let cooling = known.cooling.map(|(until, _)| until);
            let lowered = known.lowered.map(|(_, until)| until);
            lingering.chain(cooling).chain(lowered)
        });
        let kept = self.kept.values().flat_map(|kept| [kept.until, kept.ready_at]);
        let times = times.chain(kept);
        times.filter(|until| *until > now).min()
    }

    /// How many more connections a login and the total allow now.
    #[must_use]
    pub fn free(&self, login: &Login, limit: usize, now: Instant) -> usize {
        let left_in_all = self.total_max.saturating_sub(self.total());
        self.allowed(login, limit, now)
            .saturating_sub(self.in_use_at(login, now))
            .min(left_in_all)
    }

    /// Whether [`Ledger::try_ask`] would fulfil a wish now.
    #[must_use]
    pub fn has_spare(&mut self, wish: &Wish, now: Instant) -> bool {
        self.expire(now);
        self.spare_for(wish).is_some()
    }

    /// The place at which a wish can be fulfilled with what nobody uses and nobody waits for.
    fn spare_for(&self, wish: &Wish) -> Option<usize> {
        wish.places.iter().position(|place| {
            let is_wanted = |waiting: &Waiting| waiting.wish.is_at(&place.login);
            self.fits(wish, place) && !self.waiting.values().any(is_wanted)
        })
    }

    /// How long a login is left alone yet.
    #[must_use]
    pub fn cools(&self, login: &Login, now: Instant) -> Option<Duration> {
        let (until, _) = self.logins.get(login)?.cooling?;
        (until > now).then(|| until - now)
    }

    /// Why a login is left alone, while it is.
    #[must_use]
    pub fn rest_of(&self, login: &Login, now: Instant) -> Option<Rest> {
        let (until, why) = self.logins.get(login)?.cooling?;
        (until > now).then_some(why)
    }

    /// How long a login's provider is known, or now seems, to go on counting what was closed.
    #[must_use]
    pub fn expected_delay(&self, login: &Login, now: Instant) -> Duration {
        let known = self.logins.get(login);
        known.map_or(Duration::ZERO, |known| known.delays.expected(now))
    }

    /// How long a login's provider is known to go on counting what was closed.
    #[must_use]
    pub fn learned_delay(&self, login: &Login, what: Counted, now: Instant) -> Duration {
        let known = self.logins.get(login);
        known.map_or(Duration::ZERO, |known| known.delays.learned(what, now))
    }

    /// What stands between a wish and a connection.
    #[must_use]
    pub fn refusal(&self, wish: &Wish) -> Refused {
        let has_room = |place: &Place| self.in_use(&place.login) < self.allowed_now(place);
        if self.total() >= self.total_max && wish.places.iter().any(has_room) {
            return Refused::AllFull {
                limit: self.total_max,
            };
        }
        let limits = wish.places.iter().map(|place| self.allowed_now(place));
        Refused::LoginFull { limit: limits.sum() }
    }

    /// The source that serves a film to its viewer, while it does or a connection is kept for it.
    #[must_use]
    pub fn source_of(&self, session: &FilmSession) -> Option<SourceName> {
        let kept = self.kept.get(&session.name).map(|kept| &kept.source);
        let of_it = |held: &&Held| held.session.as_ref() == Some(session);
        let held = || self.held.values().find(of_it).map(|held| &held.source);
        kept.or_else(held).cloned()
    }

    /// The place in the line that a wish had, to ask again from there.
    #[must_use]
    pub fn line(&self, id: LeaseId) -> Option<u64> {
        self.held.get(&id).map(|held| held.line)
    }

    /// What is in use, for the operator.
    #[must_use]
    pub fn usage(&self, now: Instant) -> Usage {
        let mut usage = Usage {
            total: self.total(),
            total_max: self.total_max,
            waiting: self.waiting.len(),
            ..Usage::default()
        };
        for held in self.held.values() {
            let source = held.source.as_str().to_owned();
            *usage.by_source.entry(source).or_default() += 1;
            usage.held.push((held.source.clone(), held.purpose, held.watched));
            let pool = usage.pools.entry(held.place.login.clone()).or_default();
            pool.held.push(HeldUsage {
                source: held.source.clone(),
                purpose: held.purpose,
                subject: held.subject.clone(),
                watched: held.watched,
                held_for: now.saturating_duration_since(held.since),
            });
        }
        for kept in self.kept.values() {
            let source = kept.source.as_str().to_owned();
            *usage.by_source.entry(source).or_default() += 1;
            usage.held.push((kept.source.clone(), Purpose::File, false));
            let pool = usage.pools.entry(kept.place.login.clone()).or_default();
            pool.kept.push((kept.source.clone(), kept.subject.clone()));
        }
        for waiting in self.waiting.values() {
            for place in &waiting.wish.places {
                let pool = usage.pools.entry(place.login.clone()).or_default();
                pool.waiting.push((
                    waiting.wish.purpose,
                    waiting.wish.subject.clone(),
                    now.saturating_duration_since(waiting.since),
                ));
            }
        }
        for (login, known) in &self.logins {
            let pool: &mut PoolUsage = usage.pools.entry(login.clone()).or_default();
            pool.lingering = known.lingering.iter().filter(|until| **until > now).count();
            pool.learned_delay = known.delays.learned(Counted::Socket, now);
            pool.learned_session_delay = known.delays.learned(Counted::Session, now);
            let left = |until: Instant| until.checked_duration_since(now).filter(|left| !left.is_zero());
            pool.cooling = known.cooling.and_then(|(until, why)| Some((left(until)?, why)));
            pool.lowered = known
                .lowered
                .and_then(|(limit, until)| Some((limit, left(until)?)));
        }
        usage
    }

    fn next_id(&mut self) -> LeaseId {
        self.last_id += 1;
        LeaseId(self.last_id)
    }

    /// Forgets what time has ended.
    fn expire(&mut self, now: Instant) {
        let over: Vec<_> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.until <= now)
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in over {
            self.give_up_kept(&name, now);
        }
        self.logins.retain(|_, known| {
            known.lingering.retain(|until| *until > now);
            known.cooling = known.cooling.filter(|(until, _)| *until > now);
            known.lowered = known.lowered.filter(|(_, until)| *until > now);
            known.delays.expire(now);
            !known.is_empty()
        });
    }

    /// How long until one of the wish's logins may be asked, if none may.
    fn all_cool(&self, wish: &Wish, now: Instant) -> Option<Duration> {
        let rests = wish.places.iter().map(|place| self.cools(&place.login, now));
        rests.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// Connections that count at the provider: those held, and those that linger.
    fn in_use(&self, login: &Login) -> usize {
        let lingering = self.logins.get(login).map_or(0, |known| known.lingering.len());
        self.held_at(login) + lingering
    }

    fn in_use_at(&self, login: &Login, now: Instant) -> usize {
        let counts = |known: &Known| known.lingering.iter().filter(|until| **until > now).count();
        self.held_at(login) + self.logins.get(login).map_or(0, counts)
    }

    fn held_at(&self, login: &Login) -> usize {
        let held = self.held.values().filter(|held| held.place.login == *login);
        let kept = self.kept.values().filter(|kept| kept.place.login == *login);
        held.count() + kept.count()
    }

    /// Connections of all logins together.
    fn total(&self) -> usize {
        self.held.len() + self.kept.len()
    }

    fn allowed(&self, login: &Login, limit: usize, now: Instant) -> usize {
        let lowered = self.logins.get(login).and_then(|known| known.lowered);
        let lowered = lowered.filter(|(_, until)| *until > now);
        lowered.map_or(limit, |(lowered, _)| lowered.min(limit))
    }

    fn allowed_now(&self, place: &Place) -> usize {
        let lowered = self.logins.get(&place.login).and_then(|known| known.lowered);
        lowered.map_or(place.limit, |(lowered, _)| lowered.min(place.limit))
    }

    fn is_cool(&self, login: &Login) -> bool {
        self.logins
            .get(login)
            .is_some_and(|known| known.cooling.is_some())
    }

    fn has_room(&self, place: &Place) -> bool {
        !self.is_cool(&place.login) && self.in_use(&place.login) < self.allowed_now(place)
    }

    fn fits(&self, wish: &Wish, place: &Place) -> bool {
        self.total() < self.total_max && self.has_room(place) && self.beside(wish, place).is_none()
    }

    /// What is held at a place that a wish must not be beside: of a stream and its hedge, whichever came first, the
    /// other is never at the same login. A provider may cut one for the other.
    fn beside(&self, wish: &Wish, place: &Place) -> Option<LeaseId> {
        let subject = wish.subject.as_ref()?;
        let (id, _) = self.held.iter().find(|(_, held)| {
            held.place.login == place.login
                && held.subject.as_ref() == Some(subject)
                && (held.purpose == Purpose::Hedge || wish.purpose == Purpose::Hedge)
        })?;
        Some(*id)
    }

    fn hold(&mut self, id: LeaseId, line: u64, wish: &Wish, number: usize, now: Instant) {
        let Some(place) = wish.places.get(number) else {
            return;
        };
        let held = Held {
            place: place.clone(),
            source: wish.source.clone(),
            purpose: wish.purpose,
            subject: wish.subject.clone(),
            session: wish.session.clone(),
            // A test is for nobody in particular.
            watched: wish.purpose != Purpose::Test,
            revoked: false,
            last_request: None,
            refused: false,
            line,
            since: now,
        };
        self.held.insert(id, held);
    }
}

impl Known {
    fn is_empty(&self) -> bool {
        self.cooling.is_none()
            && self.lowered.is_none()
            && self.delays.is_empty()
            && self.lingering.is_empty()
    }
}

#[cfg(test)]
mod tests;
