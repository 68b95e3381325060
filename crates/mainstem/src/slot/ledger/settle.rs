//! What follows from every event: who is granted what is free, and what gives way to those who still wait.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use super::{Effect, Held, Kept, LeaseId, Ledger, Subject, Waiting};
use crate::slot::{Login, Place, Purpose, Wish};

impl Ledger {
    /// Restores what always holds: nobody waits for what is free, and nobody waits for what should give way.
    pub(super) fn settle(&mut self, now: Instant) -> Vec<Effect> {
        self.expire(now);
        let mut effects = Vec::new();
        loop {
            self.grant(now, &mut effects);
            if !self.make_room(now, &mut effects) {
                return effects;
            }
        }
    }

    fn grant(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let mut at = None;
        loop {
            let from = at.map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.waiting.range((from, Bound::Unbounded)).next();
            let Some((&line, waiting)) = next else { return };
            at = Some(line);
            let Some(number) = self.number_for(&waiting.wish, now) else {
                continue;
            };
            if let Some(granted) = self.waiting.remove(&line) {
                let (_, line, id) = line;
                if let (Some(session), true) = (&granted.wish.session, self.kept_for(&granted.wish).is_some())
                {
                    self.kept.remove(&session.name);
                }
                self.hold(id, line, &granted.wish, number, now);
                effects.push(Effect::Grant(id, number));
            }
        }
    }

    /// The place at which a wish can be fulfilled now. A film's next request has what is kept for it, or nothing; one
    /// that takes the place of another waits for that.
    fn number_for(&self, wish: &Wish, now: Instant) -> Option<usize> {
        if let Some(kept) = self.kept_for(wish) {
            let is_there = |place: &Place| place.login == kept.place.login && !self.is_cool(&place.login);
            let number = wish.places.iter().position(is_there)?;
            return (kept.ready_at <= now).then_some(number);
        }
        if self.replaced_by(wish).is_some() {
            return None;
        }
        wish.places.iter().position(|place| self.fits(wish, place))
    }

    fn kept_for(&self, wish: &Wish) -> Option<&Kept> {
        let kept = self.kept.get(&wish.session.as_ref()?.name)?;
        wish.is_at(&kept.place.login).then_some(kept)
    }

    /// The request that a player has given up by making this one.
    fn replaced_by(&self, wish: &Wish) -> Option<LeaseId> {
        let session = wish.session.as_ref().filter(|session| session.is_one_player)?;
        let is_same = |held: &Held| held.session.as_ref() == Some(session) && wish.is_at(&held.place.login);
        let (id, _) = self.held.iter().find(|(_, held)| is_same(held))?;
        Some(*id)
    }

    /// Takes back what gives way, for those who still wait; nothing for whom something is on its way already. Says whether
    /// anything became free at once.
    fn make_room(&mut self, now: Instant, effects: &mut Vec<Effect>) -> bool {
        let mut coming = self.coming();
        let (mut victims, mut given_up) = (BTreeSet::new(), BTreeSet::new());
        for waiting in self.waiting.values() {
            let wish = &waiting.wish;
            if !wish.purpose.may_take() || self.kept_for(wish).is_some() {
                continue;
            }
            if let Some(own) = self.replaced_by(wish) {
                victims.insert(own);
                continue;
            }
            let apart = |place: &&Place| self.beside(wish, place).is_none();
            if !wish.places.iter().any(|place| apart(&place)) {
                victims.extend(self.in_the_way(wish, &victims));
                continue;
            }
            let in_all = wish.places.iter().filter(apart).any(|place| self.has_room(place));
            let is_at = |login: &Login| {
                wish.places
                    .iter()
                    .filter(apart)
                    .any(|place| place.login == *login)
            };
            let serves = |login: &Login| in_all || (is_at(login) && !self.is_cool(login));
            let on_its_way = |(login, held): &(Login, bool)| serves(login) && (*held || !in_all);
            if let Some(index) = coming.iter().position(on_its_way) {
                coming.swap_remove(index);
                continue;
            }
            let kept = self.kept.iter().find(|(name, kept)| {
                serves(&kept.place.login) && !given_up.contains(*name) && !self.is_awaited(name)
            });
            if let Some((name, _)) = kept {
                given_up.insert(Arc::clone(name));
                continue;
            }
            let may_be = |(id, held): &(&LeaseId, &Held)| {
                !held.revoked && !victims.contains(*id) && serves(&held.place.login)
            };
            let giving = self.held.iter().filter(may_be);
            let giving = giving.filter_map(|(id, held)| Some((self.gives_way(held, wish)?, *id)));
            let least = giving.min().map(|(_, id)| id);
            victims.extend(least);
        }
        for id in victims {
            if let Some(held) = self.held.get_mut(&id).filter(|held| !held.revoked) {
                held.revoked = true;
                effects.push(Effect::Revoke(id));
            }
        }
        let any = !given_up.is_empty();
        for name in given_up {
            self.give_up_kept(&name, now);
            effects.push(Effect::GiveUp(name));
        }
        any
    }

    /// The hedge that goes, of those that keep what they were opened beside from every place it could be at. One that goes
    /// already is enough.
    fn in_the_way(&self, wish: &Wish, going: &BTreeSet<LeaseId>) -> Option<LeaseId> {
        let own: Vec<_> = wish
            .places
            .iter()
            .filter_map(|place| self.beside(wish, place))
            .collect();
        let goes = |id: &LeaseId| going.contains(id) || self.held.get(id).is_some_and(|held| held.revoked);
        let first = own.iter().copied().find(|id| {
            self.held
                .get(id)
                .is_some_and(|held| self.gives_way(held, wish).is_some())
        });
        first.filter(|_| !own.iter().any(goes))
    }

    /// Connections that will be free without anybody's doing, by login: what is taken back already (`true`), and what
    /// lingers.
    fn coming(&self) -> Vec<(Login, bool)> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let revoked = self.held.values().filter(|held| held.revoked);
        let mut coming: Vec<_> = revoked.map(|held| (held.place.login.clone(), true)).collect();
        for (login, known) in &self.logins {
            coming.extend(known.lingering.iter().map(|_| (login.clone(), false)));
        }
        coming
    }

    /// Whether the next request of a film waits for what is kept for it.
    fn is_awaited(&self, name: &Arc<str>) -> bool {
        let of_it = |waiting: &Waiting| {
            waiting
                .wish
                .session
                .as_ref()
                .is_some_and(|session| session.name == *name)
        };
        self.waiting.values().any(of_it)
    }

    pub(super) fn give_up_kept(&mut self, name: &Arc<str>, now: Instant) {
        if let Some(kept) = self.kept.remove(name) {
            self.linger(&kept.place.login, kept.ready_at, now);
        }
    }

    /// How readily a connection gives way to a wish (least worth first), if it does at all.
    fn gives_way(&self, held: &Held, wish: &Wish) -> Option<u8> {
        let is_viewers = wish.purpose.rank() == 0;
        match held.purpose {
            // It is begun again later; what one player has given up goes first.
            Purpose::Refresh => is_viewers.then_some(4),
            Purpose::Test => is_viewers.then_some(0),
            Purpose::Hedge => is_viewers.then_some(1),
            Purpose::Live | Purpose::File if !held.watched => Some(2),
            // Players open the next part of a film before they close the last one. Where there is room for both, they may
            // be two of the same name.
            Purpose::File if is_seek_in(held, wish) => Some(2),
            Purpose::Live | Purpose::File => (is_viewers && self.is_zap(held, wish)).then_some(3),
        }
    }

    /// Whether all who watch what is held are one user or device, who now asks for something else. Who asked last has
    /// it: two streams that one device keeps open do not take each other's connection in turn.
    fn is_zap(&self, held: &Held, wish: &Wish) -> bool {
        let watchers = |subject: &Option<Subject>| self.watchers.get(subject.as_ref()?);
        let (Some(old), Some(new)) = (watchers(&held.subject), watchers(&wish.subject)) else {
            return false;
        };
        if held.subject == wish.subject {
            return false;
        }
        new.iter().any(|(arrival, who)| {
            who.is_some()
                && old
                    .iter()
                    .all(|(earlier, other)| other == who && earlier < arrival)
        })
    }
}

/// Whether a wish goes on with the film that flows through what is held, for whom it flows.
fn is_seek_in(held: &Held, wish: &Wish) -> bool {
    let seek = wish.session.as_ref().filter(|session| session.is_seek);
    seek.is_some_and(|session| held.session.as_ref() == Some(session))
}
