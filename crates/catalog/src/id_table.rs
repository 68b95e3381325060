//! Where ids lead, in little memory: sorted pairs, as there are as many of them as channels, and they never change.

use std::collections::HashMap;

use crate::id::ChannelId;

/// A map keyed by ids or texts of lists. Its seed is another in every process, so that no list can be made slow.
pub(crate) type QuickMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Ids, each with the channel's place it leads to.
#[derive(Debug, Default)]
pub(crate) struct IdTable(Box<[(ChannelId, u32)]>);

impl IdTable {
    /// Of several with one id, the first is taken.
    pub(crate) fn of(mut pairs: Vec<(ChannelId, u32)>) -> Self {
        pairs.sort_by_key(|&(id, _)| id);
        pairs.dedup_by_key(|&mut (id, _)| id);
        Self(pairs.into())
    }

    /// Where `id` leads.
    pub(crate) fn get(&self, id: ChannelId) -> Option<u32> {
        let at = self.0.binary_search_by_key(&id, |&(id, _)| id).ok()?;
        self.0.get(at).map(|&(_, place)| place)
    }

    /// Puts what leads to a place to another.
    pub(crate) fn move_places(&mut self, moved: impl Fn(u32) -> u32) {
        for (_, place) in &mut self.0 {
            *place = moved(*place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_id_the_first_place_is_taken() {
        let [a, b, c] = ["a", "b", "c"].map(ChannelId::of_name);
        let mut table = IdTable::of(vec![(b, 4), (a, 2), (b, 1), (a, 3)]);
        assert_eq!([a, b, c].map(|id| table.get(id)), [Some(2), Some(4), None]);
        table.move_places(|place| place + 10);
        assert_eq!([a, b, c].map(|id| table.get(id)), [Some(12), Some(14), None]);
    }
}
