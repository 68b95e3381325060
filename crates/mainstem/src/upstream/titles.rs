//! What is on at the radios that are heard now: told by their connections, asked for where listeners are answered. It
//! travels beside the sound, and is a few seconds ahead of what a listener hears.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::slot::Subject;

/// The titles by channel. Clones are cheap and mean the same ones.
#[derive(Debug, Clone, Default)]
pub struct Titles(
    /// Short critical sections, never across an await. One entry for each connection that told a title.
    Arc<Mutex<State>>,
);

#[derive(Debug, Default)]
struct State {
    titles: HashMap<Subject, (u64, Arc<str>)>,
    last_teller: u64,
}

/// A connection that may tell titles. What it told is forgotten with it.
#[derive(Debug)]
pub struct Teller {
    titles: Titles,
    subject: Subject,
    number: u64,
}

impl Titles {
    /// What is on; empty where nobody says.
    #[must_use]
    pub fn of(&self, subject: &str) -> Arc<str> {
        let state = self.state();
        let known = state.titles.get(subject).map(|(_, title)| Arc::clone(title));
        known.unwrap_or_default()
    }

    /// A new connection for a channel.
    #[must_use]
    pub fn teller(&self, subject: Subject) -> Teller {
        let mut state = self.state();
        state.last_teller += 1;
        Teller {
            titles: self.clone(),
            subject,
            number: state.last_teller,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Teller {
    /// Says what is on.
    pub fn tell(&self, title: &str) {
        let told = (self.number, title.into());
        self.titles.state().titles.insert(Arc::clone(&self.subject), told);
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let mut state = self.titles.state();
        let own = |(number, _): &(u64, Arc<str>)| *number == self.number;
        if state.titles.get(&self.subject).is_some_and(own) {
            state.titles.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_lasts_as_long_as_the_connection_that_told_it() {
        let titles = Titles::default();
        assert_eq!(&*titles.of("a"), "");
        let (first, other) = (titles.teller("a".into()), titles.teller("b".into()));
        first.tell("One");
        other.tell("Elsewhere");
        let second = titles.teller("a".into());
        assert_eq!(&*titles.of("a"), "One");
        second.tell("Two");
        drop(first);
        assert_eq!(&*titles.of("a"), "Two");
        drop(second);
        assert_eq!((&*titles.of("a"), &*titles.of("b")), ("", "Elsewhere"));
    }
}
