//! The order of channels, kept while the lists shuffle theirs.

use std::collections::{HashMap, HashSet};

use crate::{channel::SourceCount, id::ChannelId, memory::Memory};

/// A channel's place in the lists, its id, and the source it comes from first.
pub(crate) type Placed = (usize, ChannelId, usize);

/// Sorts `order`, channels in the order of the lists, into the order they had before.
///
/// Channels of one source keep their places among themselves; a new one stands behind the one its list has before it.
/// What `memory` knows is brought up to date.
pub(crate) fn keep(order: &mut Vec<Placed>, sources: &[SourceCount], memory: &mut Memory) {
    order.sort_by_key(|(place, _, source)| (*source, *place));
    let mut kept = Vec::with_capacity(order.len());
    for channels in order.chunk_by(|a, b| a.2 == b.2) {
        let Some(source) = channels.first().and_then(|first| sources.get(first.2)) else {
            kept.extend_from_slice(channels);
            continue;
        };
        let known = memory.places(&source.name);
        if known.is_empty() {
            memory.set_places(&source.name, channels.iter().map(|channel| channel.1).collect());
            kept.extend_from_slice(channels);
            continue;
        }
        if is_as_before(channels, known) {
            kept.extend_from_slice(channels);
            continue;
        }
        let sorted = sorted(channels, known);
        let present: HashSet<ChannelId> = sorted.iter().map(|channel| channel.1).collect();
        let absent = known.iter().copied().filter(|id| !present.contains(id));
        let ids: Vec<ChannelId> = with_absent(sorted.iter().map(|channel| channel.1), known, absent);
        kept.extend(sorted);
        memory.set_places(&source.name, ids);
    }
    memory.keep_places_of(sources.iter().map(|source| &source.name));
    *order = kept;
}

fn is_as_before(channels: &[Placed], known: &[ChannelId]) -> bool {
    channels.len() == known.len() && channels.iter().zip(known).all(|(channel, id)| channel.1 == *id)
}

fn sorted(channels: &[Placed], known: &[ChannelId]) -> Vec<Placed> {
    let ranks: HashMap<ChannelId, usize> = known
        .iter()
        .enumerate()
        .map(|(rank, id)| (*id, rank + 1))
        .collect();
    // A new channel has the rank of the known one before it, and comes behind it.
    let mut anchor = 0;
    let mut ranked = Vec::with_capacity(channels.len());
    for (place, channel) in channels.iter().enumerate() {
        let rank = ranks.get(&channel.1);
        anchor = rank.copied().unwrap_or(anchor);
        ranked.push((anchor, rank.is_none(), place, channel));
    }
    ranked.sort_by_key(|(anchor, is_new, place, _)| (*anchor, *is_new, *place));
    ranked.into_iter().map(|(_, _, _, channel)| *channel).collect()
}

/// Absent channels of which places are kept, for each one that is there: a list that lost many will not bring them all
/// back.
const ABSENT_PER_PRESENT_MAX: usize = 1;

/// Those that are gone for now, behind the one that was before them, so that they return to their places.
fn with_absent(
    present: impl ExactSizeIterator<Item = ChannelId>,
    known: &[ChannelId],
    absent: impl Iterator<Item = ChannelId>,
) -> Vec<ChannelId> {
    let most = present.len().saturating_mul(ABSENT_PER_PRESENT_MAX).max(1000);
    let absent: HashSet<ChannelId> = absent.take(most).collect();
    let mut behind: HashMap<Option<ChannelId>, Vec<ChannelId>> = HashMap::new();
    let mut before = None;
    for id in known {
        if absent.contains(id) {
            behind.entry(before).or_default().push(*id);
        } else {
            before = Some(*id);
        }
    }
    let mut order = behind.remove(&None).unwrap_or_default();
    for id in present {
        order.push(id);
        order.extend(behind.remove(&Some(id)).unwrap_or_default());
    }
    order
}
