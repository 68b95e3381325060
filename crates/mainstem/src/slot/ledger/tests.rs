//! A model of the pools beside the pools: any sequence of events keeps what always holds.
//!
//! The model keeps its own books of who holds, waits, lingers and rests, from the effects alone, and checks every
//! effect against them. Chance is seeded and the seed is printed, so that a failure can be played again.

mod books;

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const RUNS: u64 = 400;
const MOVES: usize = 400;

/// xorshift64*.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(mixed).unwrap() % bound
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.below(from.len())])
    }
}

#[derive(Debug, Clone)]
struct Mine {
    wish: Wish,
    /// Where it stands in the line.
    line: u64,
}

#[derive(Debug, Clone)]
struct Has {
    mine: Mine,
    login: Login,
    purpose: Purpose,
    watched: bool,
    revoked: bool,
    refused: bool,
    delay: Duration,
    /// Of an HLS session.
    last_request: Option<Instant>,
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Closed {
    at: Instant,
    /// From when the provider counts on.
    from: Instant,
    what: Counted,
}

#[derive(Debug, Clone)]
struct MyKept {
    login: Login,
    until: Instant,
    ready_at: Instant,
}

/// The books of the model.
struct Model {
    ledger: Ledger,
    chance: Chance,
    now: Instant,
    total_max: usize,
    limits: BTreeMap<Login, usize>,
    waiting: BTreeMap<LeaseId, Mine>,
    held: BTreeMap<LeaseId, Has>,
    kept: BTreeMap<Arc<str>, MyKept>,
    lingering: Vec<(Login, Instant)>,
    cooling: BTreeMap<Login, Instant>,
    lowered: BTreeMap<Login, (usize, Instant)>,
    /// Closes that a provider seemed to count still when it refused.
    suspected: BTreeMap<Login, Closed>,
    /// The last close of each kind.
    closed: BTreeMap<(Login, bool), Closed>,
    watchers: Vec<(Subject, u64, Option<Identity>)>,
    /// How often each kind of thing happened: a move that never comes tests nothing.
    seen: BTreeSet<&'static str>,
}

fn login(number: usize) -> Login {
    Login::at("provider.example", &format!("user{number}"))
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let total_max = 1 + chance.below(8);
        let limits = (0..3)
            .map(|number| (login(number), 1 + chance.below(3)))
            .collect();
        Self {
            ledger: Ledger::new(total_max),
            chance,
            now: Instant::now(),
            total_max,
            limits,
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
            kept: BTreeMap::new(),
            lingering: Vec::new(),
            cooling: BTreeMap::new(),
            lowered: BTreeMap::new(),
            suspected: BTreeMap::new(),
            closed: BTreeMap::new(),
            watchers: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    fn wish(&mut self) -> Wish {
        let purposes = [
            Purpose::Live,
            Purpose::Live,
            Purpose::Live,
            Purpose::File,
            Purpose::Refresh,
            Purpose::Hedge,
            Purpose::Test,
        ];
        let mut numbers = vec![self.chance.below(3)];
        let other = self.chance.below(3);
        if self.chance.one_in(4) && other != numbers[0] {
            numbers.push(other);
        }
        let places = numbers.into_iter().map(|number| Place {
            login: login(number),
            limit: self.limits[&login(number)],
            release_delay: if self.chance.one_in(4) {
                Duration::from_millis(1_500)
            } else {
                Duration::ZERO
            },
        });
        let places = places.collect();
        let subject = (!self.chance.one_in(4)).then(|| self.subject());
        let purpose = purposes[self.chance.below(purposes.len())];
        let session = (purpose == Purpose::File && !self.chance.one_in(3)).then(|| {
            let number = self.chance.below(4);
            FilmSession {
                name: format!("viewing {number}").into(),
                is_one_player: number < 2,
                is_seek: self.chance.one_in(2),
            }
        });
        Wish {
            places,
            source: SourceName::new("s"),
            purpose,
            subject,
            session,
            line: None,
        }
    }

    fn subject(&mut self) -> Subject {
        format!("subject {}", self.chance.below(4)).into()
    }

    fn held_id(&mut self) -> Option<LeaseId> {
        let ids: Vec<_> = self.held.keys().copied().collect();
        self.chance.pick(&ids).copied()
    }

    fn step(&mut self) {
        match self.chance.below(20) {
            0..=3 => self.ask(),
            4 => self.try_ask(),
            5 | 6 => self.release(),
            7 => self.withdraw(),
            8 => self.set_watched(),
            9 => self.promote(),
            10 => self.limit_answer(),
            11 => self.refuse_and_cool(),
            12 => self.watch(),
            13 => self.change_limits(),
            14 => self.obey(),
            15 | 16 => self.keep(),
            17 => self.accept(),
            18 => self.requested(),
            _ => self.pass_time(),
        }
        self.check();
    }

    fn ask(&mut self) {
        let wish = self.wish();
        let cool = wish.places.iter().all(|place| self.is_cool(&place.login));
        match self.ledger.ask(wish.clone(), self.now) {
            Ok((id, effects)) => {
                assert!(!cool, "a login that rests was asked");
                self.waiting.insert(id, Mine { line: id.0, wish });
                self.take(&effects);
            }
            Err(refused) => {
                assert!(cool && matches!(refused, Refused::Cooling { .. }), "{refused:?}");
                self.seen.insert("refused while it rests");
            }
        }
    }

    fn try_ask(&mut self) {
        let wish = Wish {
            session: None,
            ..self.wish()
        };
        let free = wish.places.iter().any(|place| {
            self.has_room(place)
                && self.is_apart(&wish, &place.login)
                && self.total() < self.total_max
                && !self.waiting.values().any(|mine| mine.wish.is_at(&place.login))
        });
        match self.ledger.try_ask(&wish, self.now) {
            Ok((id, number)) => {
                assert!(free, "nothing was free, or somebody waits for it");
                let mine = Mine { line: id.0, wish };
                self.grant(id, number, mine);
                self.seen.insert("had at once");
            }
            Err(refused) => {
                assert!(!free, "it was free: {refused:?}");
                self.seen.insert("refused at once");
            }
        }
    }

    fn release(&mut self) {
        let Some(id) = self.held_id() else { return };
        self.release_of(id);
    }

    fn release_of(&mut self, id: LeaseId) {
        self.close(id);
        let effects = self.ledger.release(id, self.now);
        self.take(&effects);
    }

    fn close(&mut self, id: LeaseId) {
        let had = self.held.remove(&id).unwrap();
        if !had.refused {
            let until = self.note_close(&had);
            if until > self.now {
                self.lingering.push((had.login, until));
            }
        }
    }

    fn keep(&mut self) {
        let Some(id) = self.held_id() else { return };
        let has = &self.held[&id];
        let session = has.mine.wish.session.clone();
        let hold = Duration::from_secs(if self.chance.one_in(4) { 0 } else { 10 });
        let session = session.filter(|session| {
            !has.revoked && !has.refused && !hold.is_zero() && !self.kept.contains_key(&session.name)
        });
        let Some(session) = session else {
            self.close(id);
            let effects = self.ledger.keep(id, hold, self.now);
            self.take(&effects);
            return;
        };
        let has = self.held.remove(&id).unwrap();
        let kept = MyKept {
            until: self.now + hold,
            ready_at: self.note_close(&has),
            login: has.login,
        };
        self.kept.insert(session.name, kept);
        let effects = self.ledger.keep(id, hold, self.now);
        self.take(&effects);
        self.seen.insert("kept");
    }

    fn give_up(&mut self, name: &Arc<str>) {
        let kept = self.kept.remove(name).expect("it was kept");
        if kept.ready_at > self.now {
            self.lingering.push((kept.login, kept.ready_at));
        }
    }

    fn requested(&mut self) {
        let Some(id) = self.held_id() else { return };
        self.held.get_mut(&id).unwrap().last_request = Some(self.now);
        self.ledger.requested(id, self.now);
        self.seen.insert("a session's request");
    }

    /// Until when the provider counts on.
    fn note_close(&mut self, has: &Has) -> Instant {
        let closed = Closed {
            at: self.now,
            from: has.last_request.unwrap_or(self.now),
            what: has.last_request.map_or(Counted::Socket, |_| Counted::Session),
        };
        let is_session = has.last_request.is_some();
        self.suspected.remove(&has.login);
        self.closed.insert((has.login.clone(), is_session), closed);
        let learned = self.ledger.learned_delay(&has.login, closed.what, self.now);
        (self.now + has.delay).max(closed.from + learned)
    }

    /// What was closed so short a time ago that the provider may count it still; the last first.
    fn closed_of(&self, login: &Login) -> Vec<Closed> {
        let kinds = [false, true].map(|is_session| self.closed.get(&(login.clone(), is_session)));
        let fresh = kinds.into_iter().flatten();
        let mut fresh: Vec<_> = fresh
            .filter(|closed| self.now - closed.at < LINGERING_WITHIN)
            .copied()
            .collect();
        fresh.sort_by_key(|closed| std::cmp::Reverse(closed.at));
        fresh
    }

    fn withdraw(&mut self) {
        let ids: Vec<_> = self.waiting.keys().copied().collect();
        let Some(id) = self.chance.pick(&ids).copied() else {
            return;
        };
        self.waiting.remove(&id);
        let effects = self.ledger.withdraw(id, self.now);
        self.take(&effects);
        self.seen.insert("withdrawn");
    }

    fn set_watched(&mut self) {
        let (Some(id), watched) = (self.held_id(), self.chance.one_in(2)) else {
            return;
        };
        self.held.get_mut(&id).unwrap().watched = watched;
        let effects = self.ledger.set_watched(id, watched, self.now);
        self.take(&effects);
    }

    fn promote(&mut self) {
        let Some(id) = self.held_id() else { return };
        let has = self.held.get_mut(&id).unwrap();
        if has.purpose != Purpose::Hedge {
            return;
        }
        (has.purpose, has.watched) = (Purpose::Live, true);
        let effects = self.ledger.promote(id, Purpose::Live, self.now);
        self.take(&effects);
        self.seen.insert("promoted");
    }

    fn limit_answer(&mut self) {
        let Some(id) = self.held_id() else { return };
        let has = self.held.get_mut(&id).unwrap();
        has.refused = true;
        let login = has.login.clone();
        let closed = self.closed_of(&login);
        let since = closed.first().map(|closed| self.now - closed.from);
        let open = self
            .held
            .values()
            .filter(|has| has.login == login && !has.refused)
            .count();
        let (answer, effects) = self.ledger.limit_answer(id, self.now);
        match (answer, since) {
            (LimitAnswer::Lingering { again_after }, Some(since)) => {
                self.lingering.push((login.clone(), self.now + again_after));
                self.suspected.remove(&login);
                if let [only] = *closed {
                    self.suspected.insert(login.clone(), only);
                }
                assert!(self.ledger.expected_delay(&login, self.now) >= since + again_after);
                assert!(self.ledger.cools(&login, self.now).is_none() || self.is_cool(&login));
                self.seen.insert("lingering");
            }
            (LimitAnswer::Reached { limit }, None) => {
                assert_eq!(limit, open.max(1), "what was open");
                self.suspected.remove(&login);
                self.lowered.insert(login, (limit, self.now + LOWERED_FOR));
                self.seen.insert("lowered");
            }
            (answer, since) => panic!("{answer:?}, {since:?} after the last close"),
        }
        self.take(&effects);
        // Whoever was refused gives its slot back, and may ask again from where it stood.
        let mine = self.held[&id].mine.clone();
        self.release_of(id);
        if self.chance.one_in(2) {
            let wish = Wish {
                line: Some(mine.line),
                ..mine.wish
            };
            if let Ok((again, effects)) = self.ledger.ask(wish.clone(), self.now) {
                self.waiting.insert(
                    again,
                    Mine {
                        line: mine.line,
                        wish,
                    },
                );
                self.take(&effects);
                self.seen.insert("asked again from the same place in the line");
            }
        }
    }

    fn accept(&mut self) {
        let Some(id) = self.held_id() else { return };
        let (login, since) = (self.held[&id].login.clone(), self.held[&id].since);
        let known = |model: &Self| {
            [Counted::Socket, Counted::Session]
                .map(|what| model.ledger.learned_delay(&login, what, model.now))
        };
        let mut expected = known(self);
        self.ledger.accepted(id, self.now);
        let is_fresh = !self.closed_of(&login).is_empty();
        if let Some(close) = self.suspected.remove(&login).filter(|_| is_fresh) {
            let counted_for = since.saturating_duration_since(close.from).min(LINGERING_WITHIN);
            let learned = &mut expected[usize::from(close.what == Counted::Session)];
            *learned = (*learned).max(counted_for);
            self.seen.insert(match close.what {
                Counted::Socket => "learned",
                Counted::Session => "learned of sessions",
            });
        }
        assert_eq!(known(self), expected);
        assert!(expected.iter().all(|learned| *learned <= LINGERING_WITHIN));
    }

    fn refuse_and_cool(&mut self) {
        let Some(id) = self.held_id() else { return };
        let has = self.held.get_mut(&id).unwrap();
        has.refused = true;
        let login = has.login.clone();
        self.ledger.refused(id);
        if self.chance.one_in(2) {
            let until = self.now + Duration::from_secs(15);
            self.ledger.cool(&login, until, Rest::Auth);
            self.cooling.insert(login, until);
        }
        self.release_of(id);
    }

    fn watch(&mut self) {
        if self.chance.one_in(2) {
            let subject = self.subject();
            let who =
                (!self.chance.one_in(3)).then(|| Identity::from(format!("device {}", self.chance.below(3))));
            let (arrival, effects) = self.ledger.watch(&subject, who.clone(), self.now);
            self.watchers.push((subject, arrival, who));
            self.take(&effects);
        } else if !self.watchers.is_empty() {
            let index = self.chance.below(self.watchers.len());
            let (subject, arrival, _) = self.watchers.swap_remove(index);
            let effects = self.ledger.unwatch(&subject, arrival, self.now);
            self.take(&effects);
        }
    }

    fn change_limits(&mut self) {
        if self.chance.one_in(4) {
            self.total_max = 1 + self.chance.below(8);
            let effects = self.ledger.set_total_max(self.total_max, self.now);
            self.take(&effects);
        }
    }

    /// Whoever is told to closes.
    fn obey(&mut self) {
        let told: Vec<_> = self
            .held
            .iter()
            .filter(|(_, has)| has.revoked)
            .map(|(id, _)| *id)
            .collect();
        for id in told {
            self.release_of(id);
        }
    }

    fn pass_time(&mut self) {
        let spans = [1, 100, 400, 2_000, 16_000, 310_000];
        self.now += Duration::from_millis(spans[self.chance.below(spans.len())]);
        self.forget();
        let effects = self.ledger.tick(self.now);
        self.take(&effects);
    }

    fn forget(&mut self) {
        let now = self.now;
        let over: Vec<_> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.until <= now)
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in over {
            self.give_up(&name);
        }
        self.lingering.retain(|(_, until)| *until > now);
        self.cooling.retain(|_, until| *until > now);
        self.lowered.retain(|_, (_, until)| *until > now);
    }

    fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Grant(id, number) => self.granted(*id, *number),
                Effect::Revoke(id) => self.revoked(*id),
                Effect::GiveUp(name) => {
                    let wanted = self.waiting.values().any(|mine| mine.wish.purpose.may_take());
                    assert!(wanted, "given up for nobody");
                    self.give_up(name);
                    self.seen.insert("kept gave way");
                }
            }
        }
    }

    /// A grant is for whoever is first in the line among those who could have it.
    fn granted(&mut self, id: LeaseId, number: usize) {
        let mine = self.waiting.remove(&id).expect("it waited");
        let at = (mine.wish.purpose.rank(), mine.line, id);
        let place = &mine.wish.places[number];
        for (other, before) in &self.waiting {
            let goes_first = (before.wish.purpose.rank(), before.line, *other) < at;
            let goes_first =
                goes_first && !self.is_bound(&before.wish) && self.kept_for(&mine.wish).is_none();
            assert!(
                !(goes_first && self.is_apart_at(&before.wish, &place.login)),
                "{other} was passed over for {id}"
            );
        }
        match self.kept_for(&mine.wish) {
            Some((name, kept)) => {
                assert_eq!(kept.login, place.login, "a film goes on at its login");
                assert!(kept.ready_at <= self.now, "the provider counts on");
                assert!(!self.is_cool(&place.login));
                self.kept.remove(&name);
                self.seen.insert("went on with what was kept");
            }
            None => {
                assert!(!self.is_bound(&mine.wish), "a player has two connections");
                assert!(self.has_room(place), "above the limit of {:?}", place.login);
                assert!(self.is_apart(&mine.wish, &place.login), "beside its own hedge");
                assert!(self.total() < self.total_max);
                self.seen.insert("granted");
            }
        }
        self.grant(id, number, mine);
    }

    fn grant(&mut self, id: LeaseId, number: usize, mine: Mine) {
        let place = &mine.wish.places[number];
        let has = Has {
            login: place.login.clone(),
            purpose: mine.wish.purpose,
            watched: mine.wish.purpose != Purpose::Test,
            revoked: false,
            refused: false,
            delay: place.release_delay,
            last_request: None,
            since: self.now,
            mine,
        };
        self.held.insert(id, has);
    }
}

/// A run ends as life does: everybody leaves, and nothing is left in use.
fn run(seed: u64, seen: &mut BTreeSet<&'static str>) {
    let mut model = Model::new(seed);
    for _ in 0..MOVES {
        model.step();
    }
    let waiting: Vec<_> = model.waiting.keys().copied().collect();
    for id in waiting {
        model.waiting.remove(&id);
        let effects = model.ledger.withdraw(id, model.now);
        model.take(&effects);
    }
    while let Some(id) = model.held.keys().next().copied() {
        model.release_of(id);
    }
    model.now += LOWERED_FOR + LINGERING_WITHIN;
    model.forget();
    assert_eq!(model.ledger.tick(model.now), []);
    for (login, limit) in &model.limits {
        let free = model.ledger.free(login, *limit, model.now);
        assert_eq!(free, (*limit).min(model.total_max));
    }
    assert!(model.ledger.held.is_empty() && model.ledger.waiting.is_empty() && model.ledger.kept.is_empty());
    seen.append(&mut model.seen);
}

#[test]
fn whatever_happens_the_limits_hold_and_nobody_waits_in_vain() {
    let mut seen = BTreeSet::new();
    for seed in 1..=RUNS {
        println!("seed {seed}");
        run(seed, &mut seen);
    }
    let every_way = [
        "a session's request",
        "asked again from the same place in the line",
        "granted",
        "had at once",
        "hedge gave way",
        "idle gave way",
        "kept",
        "kept gave way",
        "learned",
        "learned of sessions",
        "lingering",
        "lowered",
        "own hedge gave way",
        "promoted",
        "refresh gave way",
        "refused at once",
        "refused while it rests",
        "replaced by the same player",
        "test gave way",
        "the same film gave way",
        "went on with what was kept",
        "withdrawn",
        "zap",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), every_way);
}
