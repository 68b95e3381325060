//! What the model's books say must be, and must not be.

use super::*;

impl Model {
    /// Only what must give way is taken back, and only for somebody who waits and could not be served otherwise.
    pub(super) fn revoked(&mut self, id: LeaseId) {
        let has = &self.held[&id];
        assert!(!has.revoked, "taken back twice");
        if self
            .waiting
            .values()
            .any(|mine| self.is_in_the_way(has, &mine.wish))
        {
            self.seen.insert("own hedge gave way");
            self.held.get_mut(&id).unwrap().revoked = true;
            return;
        }
        let takers = self.waiting.values().filter(|mine| {
            let total_full = self.total() >= self.total_max;
            (total_full && !self.is_blocked(&mine.wish)) || self.is_apart_at(&mine.wish, &has.login)
        });
        let mut why = takers.filter_map(|mine| self.must_give_way(has, &mine.wish));
        let why = why
            .next()
            .unwrap_or_else(|| panic!("nobody who waits may take {has:?}"));
        self.seen.insert(why);
        if why != "replaced by the same player" && self.total() < self.total_max {
            let login = &has.login;
            let wants = |mine: &&Mine| {
                mine.wish.purpose.may_take()
                    && self.is_apart_at(&mine.wish, login)
                    && !self.is_bound(&mine.wish)
            };
            let want = self.waiting.values().filter(wants).count();
            let is_coming = |other: &&Has| other.revoked && other.login == *login;
            let coming = self.held.values().filter(is_coming).count()
                + self.lingering.iter().filter(|(at, _)| at == login).count();
            assert!(
                coming < want,
                "{coming} come free for {want} who wait, and one more is taken"
            );
        }
        self.held.get_mut(&id).unwrap().revoked = true;
    }

    pub(super) fn must_give_way(&self, has: &Has, wish: &Wish) -> Option<&'static str> {
        let is_viewers = matches!(wish.purpose, Purpose::Live | Purpose::File);
        let replaced = wish.session.as_ref().is_some_and(|session| session.is_one_player)
            && has.mine.wish.session == wish.session;
        let is_idle = matches!(has.purpose, Purpose::Live | Purpose::File) && !has.watched;
        match (wish.purpose, has.purpose) {
            (Purpose::Hedge | Purpose::Test, _) => None,
            _ if replaced => Some("replaced by the same player"),
            _ if is_idle => Some("idle gave way"),
            (Purpose::File, Purpose::File)
                if wish.session.as_ref().is_some_and(|session| session.is_seek)
                    && wish.session == has.mine.wish.session =>
            {
                Some("the same film gave way")
            }
            (_, Purpose::Hedge) if is_viewers => Some("hedge gave way"),
            (_, Purpose::Test) if is_viewers => Some("test gave way"),
            (_, Purpose::Refresh) if is_viewers => Some("refresh gave way"),
            (_, Purpose::Live | Purpose::File) if is_viewers && self.is_zap(has, wish) => Some("zap"),
            _ => None,
        }
    }

    /// Whether a connection at a login would not be beside the hedge of what it is for, or as a hedge beside that.
    pub(super) fn is_apart(&self, wish: &Wish, login: &Login) -> bool {
        let is_hedge = |purpose: Purpose| purpose == Purpose::Hedge;
        !self.held.values().any(|has| {
            has.login == *login
                && wish.subject.is_some()
                && has.mine.wish.subject == wish.subject
                && (is_hedge(has.purpose) || is_hedge(wish.purpose))
        })
    }

    /// Whether it may be there, and wants to.
    pub(super) fn is_apart_at(&self, wish: &Wish, login: &Login) -> bool {
        wish.is_at(login) && self.is_apart(wish, login)
    }

    /// Whether there is nowhere it may be.
    pub(super) fn is_blocked(&self, wish: &Wish) -> bool {
        !wish.places.iter().any(|place| self.is_apart(wish, &place.login))
    }

    /// Whether nothing but hedges keep a viewer's wish from every login it has, this one among them and none on its way
    /// out.
    fn is_in_the_way(&self, has: &Has, wish: &Wish) -> bool {
        let is_own = |other: &&Has| {
            other.purpose == Purpose::Hedge
                && other.mine.wish.subject == wish.subject
                && wish.is_at(&other.login)
        };
        wish.purpose.rank() == 0
            && !self.is_bound(wish)
            && self.is_blocked(wish)
            && is_own(&has)
            && !self.held.values().filter(is_own).any(|other| other.revoked)
    }

    pub(super) fn is_zap(&self, has: &Has, wish: &Wish) -> bool {
        let (Some(old), Some(new)) = (&has.mine.wish.subject, &wish.subject) else {
            return false;
        };
        let of = |subject: &Subject| {
            self.watchers
                .iter()
                .filter(move |(of, ..)| *of == *subject)
                .collect::<Vec<_>>()
        };
        let (before, after) = (of(old), of(new));
        old != new
            && !before.is_empty()
            && after.iter().any(|(_, arrival, who)| {
                who.is_some()
                    && before
                        .iter()
                        .all(|(_, earlier, other)| other == who && earlier < arrival)
            })
    }

    pub(super) fn is_cool(&self, login: &Login) -> bool {
        self.cooling.get(login).is_some_and(|until| *until > self.now)
    }

    pub(super) fn in_use(&self, login: &Login) -> usize {
        let held = self.held.values().filter(|has| has.login == *login).count();
        held + self.lingering.iter().filter(|(at, _)| at == login).count()
            + self.kept.values().filter(|kept| kept.login == *login).count()
    }

    pub(super) fn total(&self) -> usize {
        self.held.len() + self.kept.len()
    }

    pub(super) fn kept_for(&self, wish: &Wish) -> Option<(Arc<str>, MyKept)> {
        let name = &wish.session.as_ref()?.name;
        let kept = self.kept.get(name).filter(|kept| wish.is_at(&kept.login))?;
        Some((Arc::clone(name), kept.clone()))
    }

    /// Whether a wish waits for one particular connection and takes no other.
    pub(super) fn is_bound(&self, wish: &Wish) -> bool {
        let is_replaced = |has: &Has| has.mine.wish.session == wish.session && wish.is_at(&has.login);
        let one_player = wish.session.as_ref().is_some_and(|session| session.is_one_player);
        self.kept_for(wish).is_some() || (one_player && self.held.values().any(is_replaced))
    }

    pub(super) fn allowed(&self, login: &Login) -> usize {
        let limit = self.limits[login];
        self.lowered
            .get(login)
            .map_or(limit, |(lowered, _)| limit.min(*lowered))
    }

    pub(super) fn has_room(&self, place: &Place) -> bool {
        !self.is_cool(&place.login) && self.in_use(&place.login) < self.allowed(&place.login)
    }

    pub(super) fn check(&self) {
        for login in self.limits.keys() {
            let (in_use, allowed) = (self.in_use(login), self.allowed(login));
            let free = allowed
                .saturating_sub(in_use)
                .min(self.total_max.saturating_sub(self.total()));
            assert_eq!(self.ledger.free(login, self.limits[login], self.now), free);
        }
        for (id, mine) in &self.waiting {
            let may_be = |place: &Place| self.has_room(place) && self.is_apart(&mine.wish, &place.login);
            let free = mine.wish.places.iter().any(may_be);
            assert!(
                !free || self.is_bound(&mine.wish) || self.total() >= self.total_max,
                "{id} waits for what is free"
            );
            if let Some((_, kept)) = self.kept_for(&mine.wish) {
                assert!(kept.ready_at > self.now || self.is_cool(&kept.login));
            }
        }
        let usage = self.ledger.usage(self.now);
        assert_eq!((usage.total, usage.waiting), (self.total(), self.waiting.len()));
        // Time alone frees what lingers and rests: the owner must be told when.
        let next = self.lingering.iter().map(|(_, until)| *until).min();
        if let Some(next) = next {
            assert!(self.ledger.next_time(self.now).is_some_and(|at| at <= next));
        }
        let is_idle = |has: &&Has| matches!(has.purpose, Purpose::Live | Purpose::File) && !has.watched;
        for has in self.held.values().filter(|has| !has.revoked).filter(is_idle) {
            let waits = |mine: &&Mine| {
                mine.wish.purpose.rank() == 0
                    && !self.is_bound(&mine.wish)
                    && !self.is_blocked(&mine.wish)
                    && mine.wish.places.iter().all(|place| place.login == has.login)
            };
            let waiters = self.waiting.values().filter(waits).count();
            let coming = self.held.values().filter(|other| other.revoked).count() + self.lingering.len();
            assert!(
                waiters <= coming || self.is_cool(&has.login),
                "{waiters} wait though {has:?} should give way"
            );
        }
    }
}
