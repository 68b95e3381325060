//! What is remembered of files that were played: enough to answer HEAD without asking anybody, and to know a file again
//! at the next request for a part of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::{ChannelId, SourceName};
use http::HeaderMap;

use crate::upstream::range::Identity;

/// Files remembered at most; the one that was asked for first goes first. Some 2 MB.
const FILMS_MAX: usize = 4_096;

/// A file that was played.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Film {
    /// The source it came from.
    pub(super) source: SourceName,
    /// By what it is known again.
    pub(super) identity: Identity,
    /// What its provider says of it, but for lengths and ranges.
    pub(super) headers: HeaderMap,
}

/// All files that are remembered. Clones are cheap and mean the same ones.
#[derive(Debug, Clone, Default)]
pub struct Films(
    /// Short critical sections, never across an await.
    Arc<Mutex<State>>,
);

#[derive(Debug, Default)]
struct State {
    films: HashMap<ChannelId, Film>,
    /// The one asked for first in front.
    order: VecDeque<ChannelId>,
}

impl Films {
    /// What is remembered of a file.
    pub(super) fn get(&self, channel: ChannelId) -> Option<Film> {
        self.state().films.get(&channel).cloned()
    }

    /// Remembers what the last answer said of a file.
    pub(super) fn learn(&self, channel: ChannelId, film: Film) {
        let mut state = self.state();
        if state.films.insert(channel, film).is_none() {
            state.order.push_back(channel);
        }
        if state.order.len() > FILMS_MAX
            && let Some(first) = state.order.pop_front()
        {
            state.films.remove(&first);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_films_are_remembered_and_no_more() {
        let films = Films::default();
        let film = |source: &str| Film {
            source: SourceName::new(source),
            identity: Identity::default(),
            headers: HeaderMap::new(),
        };
        let id = |number: usize| ChannelId::of_name(&format!("Film {number}"));
        for number in 0..=FILMS_MAX {
            films.learn(id(number), film("one"));
            films.learn(id(number), film("two"));
        }
        assert_eq!(films.get(id(0)), None);
        assert_eq!(films.get(id(1)), Some(film("two")));
        assert_eq!(films.state().films.len(), FILMS_MAX);
    }
}
