//! What is remembered of files that were played: enough to answer HEAD without asking anybody, and to know a file again
//! at the next request for a part of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::{ChannelId, SourceName, StreamId};
use http::HeaderMap;

use crate::upstream::range::Identity;

/// Files remembered at most; the one that was asked for first goes first. Some 2 MB.
const FILMS_MAX: usize = 4_096;

/// A file that was played.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Film {
    /// The source it came from.
    pub(super) source: SourceName,
    /// Which of that source's streams it is.
    pub(super) stream: StreamId,
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
    films: HashMap<Of, Film>,
    /// The one asked for first in front.
    order: VecDeque<Of>,
}

/// Whose memory it is. Viewers of one film may read it at different sources, which have different files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Of {
    /// What the last answer to anybody was.
    Channel(ChannelId),
    /// What one viewing reads, by its name.
    Viewing(Arc<str>),
}

impl Films {
    /// What is remembered of a file.
    pub(super) fn get(&self, channel: ChannelId) -> Option<Film> {
        self.state().films.get(&Of::Channel(channel)).cloned()
    }

    /// The file that a viewing reads.
    pub(super) fn of_viewing(&self, name: &Arc<str>) -> Option<Film> {
        self.state().films.get(&Of::Viewing(Arc::clone(name))).cloned()
    }

    /// Remembers what the last answer said of a file, and that this viewing reads it.
    pub(super) fn learn(&self, channel: ChannelId, viewing: &Arc<str>, film: Film) {
        let mut state = self.state();
        state.learn(Of::Viewing(Arc::clone(viewing)), film.clone());
        state.learn(Of::Channel(channel), film);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn learn(&mut self, of: Of, film: Film) {
        if self.films.insert(of.clone(), film).is_none() {
            self.order.push_back(of);
        }
        if self.order.len() > FILMS_MAX
            && let Some(first) = self.order.pop_front()
        {
            self.films.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use catalog::StreamUrl;
    use catalog::listing::{Extra, Fields, Kind, Listing};

    fn film(source: &str) -> Film {
        let source = SourceName::new(source);
        let mut listing = Listing::new(source.clone());
        listing.push(Fields {
            tvg_name: None,
            title: "t",
            group: None,
            logo: None,
            tvg_id: None,
            kind: Kind::Film,
            url: StreamUrl::new("http://h.example/1.mp4".to_owned()),
            direct: None,
            stream_key: "1",
            tvg_chno: None,
            extra: Extra::default(),
        });
        Film {
            stream: StreamId::of_entry(&source, listing.entries.first().unwrap()),
            source,
            identity: Identity::default(),
            headers: HeaderMap::new(),
        }
    }

    fn id(number: usize) -> ChannelId {
        ChannelId::of_name(&format!("Film {number}"))
    }

    #[test]
    fn so_many_films_are_remembered_and_no_more() {
        let films = Films::default();
        for number in 0..=FILMS_MAX {
            films.state().learn(Of::Channel(id(number)), film("one"));
            films.state().learn(Of::Channel(id(number)), film("two"));
        }
        assert_eq!(films.get(id(0)), None);
        assert_eq!(films.get(id(1)), Some(film("two")));
        assert_eq!(films.state().films.len(), FILMS_MAX);
    }

    /// Otherwise a part of one source's file would be answered to who reads another's.
    #[test]
    fn each_viewing_has_its_own_file() {
        let films = Films::default();
        let [here, there, new] = ["here", "there", "new"].map(Arc::<str>::from);
        films.learn(id(0), &here, film("one"));
        films.learn(id(0), &there, film("two"));
        assert_eq!(films.of_viewing(&here), Some(film("one")));
        assert_eq!(films.of_viewing(&there), Some(film("two")));
        assert_eq!(films.of_viewing(&new), None);
        assert_eq!(films.get(id(0)), Some(film("two")));
    }
}
