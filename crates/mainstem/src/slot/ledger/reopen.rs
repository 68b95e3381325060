//! A slot whose socket gives way to another: the connection stays permitted, and nobody gets in between.

use std::time::Instant;

use super::{LeaseId, Ledger};
use crate::slot::Login;

impl Ledger {
    /// The socket of a slot is closed, and another one takes its place. Says when it may: until then the provider counts
    /// the closed one.
    pub fn reopen(&mut self, id: LeaseId, now: Instant) -> Instant {
        let Some(mut held) = self.held.remove(&id) else {
            return now;
        };
        let was_counted = !std::mem::take(&mut held.refused);
        let ready_at = if was_counted { self.closed(&held, now) } else { now };
        held.since = ready_at;
        self.held.insert(id, held);
        ready_at
    }

    /// The login a slot counts against.
    #[must_use]
    pub fn login_of(&self, id: LeaseId) -> Option<Login> {
        self.held.get(&id).map(|held| held.place.login.clone())
    }
}
