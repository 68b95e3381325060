//! What must outlive a refresh and a restart: the first id of every channel that has it from no name of its own, the
//! ids that lead to it besides, numbers, and the order of channels.
//!
//! A value that a build takes in and gives back changed; the program stores it. A channel of exactly one name whose
//! place never changed needs no more than that place.
//! Not here: the disk.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    channel::Channel,
    id::ChannelId,
    id_table::{IdTable, QuickMap},
    listing::{Kind, SourceName},
    number::Number,
};

/// Channels whose first id is remembered; about 100 bytes each. Past it, those that are in no list any more go first,
/// and then no new ones are remembered.
pub const REMEMBERED_CHANNELS_MAX: usize = 200_000;

/// Ids that lead to one channel besides its own; the oldest go first.
pub const ALIASES_MAX: usize = 32;

/// Channels of one source whose place is remembered.
pub const PLACES_MAX: usize = 2_000_000;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    channels: Vec<Record>,
    numbers: BTreeMap<Hex, Number>,
    places: BTreeMap<SourceName, Places>,
}

/// A channel whose id cannot be told from its name alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// A hash of what its streams were joined by.
    key: Hex,
    kind: Kind,
    id: Hex,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<Hex>,
}

/// Written as the 16 hex digits of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Hex(ChannelId);

/// Ids in order; in text, their digits one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Places(Vec<ChannelId>);

/// What a channel is known by besides the names of its streams.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// What its streams were joined by, where that is not exactly their name.
    pub(crate) key: Option<ChannelId>,
    /// Its id where nothing is remembered, if not that of its first stream's name.
    pub(crate) first: Option<ChannelId>,
}

/// What channels are called in links.
#[derive(Debug)]
pub(crate) struct Ids {
    /// Of each channel.
    pub(crate) of: Vec<ChannelId>,
    /// Where each id leads, aliases included, but not those that the kind of a film or an episode is part of.
    pub(crate) by_id: IdTable,
}

impl Memory {
    /// Whether ids or numbers differ, which links were made of, or at most the order.
    pub fn has_same_ids(&self, other: &Self) -> bool {
        self.channels == other.channels && self.numbers == other.numbers
    }

    /// Gives every channel its id, and remembers it.
    ///
    /// A name's plain id goes to the live channel of that name, else to the film, else to the episode; the others get
    /// one that their kind is part of. That one resolves to them even while the plain one is theirs, so that a link
    /// given out before a live channel of the same name left goes on working. `known` has one for each channel, or
    /// none at all.
    pub(crate) fn assign(&mut self, channels: &[Channel], known: &[Known]) -> Ids {
        if known.is_empty() && self.channels.is_empty() {
            return by_name_alone(channels);
        }
        let claims: Vec<Claim> = channels
            .iter()
            .enumerate()
            .map(|(at, channel)| Claim::of(channel, known.get(at)))
            .collect();
        let mut of = vec![None; channels.len()];
        let mut by_id = QuickMap::with_capacity_and_hasher(channels.len(), <_>::default());
        let records = self.claimed(&claims, &mut of, &mut by_id);
        let ranks = self.ranks(&claims, &of);
        // Of equals the first is taken.
        let first = |at: usize, _: &Channel| {
            let plain = claims.get(at).map(Claim::plain).into_iter().flatten();
            plain.min_by_key(|id| ranks.get(id).copied().unwrap_or(usize::MAX))
        };
        fresh(channels, first, &mut of, &mut by_id);
        let of: Vec<ChannelId> = of
            .into_iter()
            .zip(&claims)
            .map(|(id, claim)| id.unwrap_or(claim.first))
            .collect();
        for (index, claim) in (0u32..).zip(&claims) {
            for id in claim.plain() {
                by_id.entry(id).or_insert(index);
            }
        }
        for (index, record) in (0u32..).zip(&records) {
            let aliases = record
                .and_then(|record| self.channels.get(record))
                .map(|record| &record.aliases);
            for alias in aliases.into_iter().flatten() {
                by_id.entry(alias.0).or_insert(index);
            }
        }
        self.learn(&claims, &of, &records);
        Ids {
            of,
            by_id: IdTable::of(by_id.into_iter().collect()),
        }
    }

    /// The places that names had as channels of their own, where several become one now: it is the first of them that
    /// goes on.
    fn ranks(&self, claims: &[Claim], of: &[Option<ChannelId>]) -> HashMap<ChannelId, usize> {
        let is_new = |(claim, id): (&Claim, &Option<ChannelId>)| id.is_none() && !claim.rest.is_empty();
        if !claims.iter().zip(of).any(is_new) {
            return HashMap::new();
        }
        let mut ranks = HashMap::new();
        for places in self.places.values() {
            for (rank, id) in places.0.iter().enumerate() {
                let known = ranks.entry(*id).or_insert(rank);
                *known = rank.min(*known);
            }
        }
        ranks
    }

    /// The record of each channel that one belongs to; its id is the channel's.
    fn claimed(
        &self,
        claims: &[Claim],
        of: &mut [Option<ChannelId>],
        by_id: &mut QuickMap<ChannelId, u32>,
    ) -> Vec<Option<usize>> {
        let mut found = vec![None; claims.len()];
        if self.channels.is_empty() {
            return found;
        }
        let (mut ids, mut keys, mut aliases) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (place, record) in self.channels.iter().enumerate() {
            ids.entry((record.kind, record.id.0)).or_insert(place);
            keys.entry((record.kind, record.key.0)).or_insert(place);
            for alias in &record.aliases {
                aliases.entry((record.kind, alias.0)).or_insert(place);
            }
        }
        let by_key = |claim: &Claim| claim.key.and_then(|key| keys.get(&(claim.kind, key)).copied());
        // The channel that has the name an id comes from is the one meant by it; then what is joined by the same key,
        // and last where a name went before.
        type Find<'f> = &'f dyn Fn(&Claim) -> Vec<usize>;
        let by_name: Find<'_> = &|claim| {
            let named = claim.plain().filter_map(|id| ids.get(&(claim.kind, id)).copied());
            let mut named: Vec<usize> = named.collect();
            named.sort_by_key(|place| Some(*place) != by_key(claim));
            named
        };
        let by_alias: Find<'_> = &|claim| {
            let led = claim
                .plain()
                .filter_map(|id| aliases.get(&(claim.kind, id)).copied());
            led.collect()
        };
        let by_key: Find<'_> = &|claim| by_key(claim).into_iter().collect();
        let mut claimed = HashSet::new();
        for find in [by_name, by_key, by_alias] {
            for (index, claim) in (0u32..).zip(claims) {
                let Some(slot) = found.get_mut(index as usize).filter(|slot| slot.is_none()) else {
                    continue;
                };
                let Some(place) = find(claim).into_iter().find(|place| !claimed.contains(place)) else {
                    continue;
                };
                let Some(record) = self.channels.get(place) else {
                    continue;
                };
                claimed.insert(place);
                *slot = Some(place);
                by_id.insert(record.id.0, index);
                if let Some(id) = of.get_mut(index as usize) {
                    *id = Some(record.id.0);
                }
            }
        }
        found
    }

    fn learn(&mut self, claims: &[Claim], of: &[ChannelId], records: &[Option<usize>]) {
        let mut new = Vec::new();
        let mut named: HashMap<(Kind, ChannelId), usize> = HashMap::new();
        for ((claim, id), place) in claims.iter().zip(of).zip(records) {
            let (key, id) = (Hex(claim.key.unwrap_or(claim.first)), Hex(*id));
            match place.and_then(|place| self.channels.get_mut(place)) {
                Some(record) => {
                    record.key = key;
                    record.learn(claim.plain());
                    named.extend(
                        claim
                            .plain()
                            .map(|id| ((claim.kind, id), place.unwrap_or_default())),
                    );
                }
                None if claim.key.is_some() || !claim.rest.is_empty() => {
                    let mut record = Record {
                        key,
                        kind: claim.kind,
                        id,
                        aliases: Vec::new(),
                    };
                    record.learn(claim.plain());
                    new.push(record);
                }
                None => {}
            }
        }
        self.absorb(&named, records);
        let room = REMEMBERED_CHANNELS_MAX.saturating_sub(self.channels.len());
        if new.len() > room {
            let present: HashSet<Hex> = of.iter().map(|id| Hex(*id)).collect();
            let mut surplus = new.len() - room;
            self.channels.retain(|record| {
                let goes = surplus > 0 && !present.contains(&record.id);
                surplus -= usize::from(goes);
                !goes
            });
            new.truncate(REMEMBERED_CHANNELS_MAX.saturating_sub(self.channels.len()));
        }
        self.channels.extend(new);
    }

    /// Where two channels became one, what led to the other leads to it.
    fn absorb(&mut self, named: &HashMap<(Kind, ChannelId), usize>, records: &[Option<usize>]) {
        let claimed: HashSet<usize> = records.iter().flatten().copied().collect();
        let gone: Vec<(usize, usize)> = self
            .channels
            .iter()
            .enumerate()
            .filter(|(place, _)| !claimed.contains(place))
            .filter_map(|(place, record)| Some((place, *named.get(&(record.kind, record.id.0))?)))
            .collect();
        for (from, into) in &gone {
            let aliases = self.channels.get(*from).map(|record| record.aliases.clone());
            if let (Some(aliases), Some(record)) = (aliases, self.channels.get_mut(*into)) {
                record.learn(aliases.into_iter().map(|alias| alias.0));
            }
        }
        let gone: HashSet<usize> = gone.into_iter().map(|(from, _)| from).collect();
        let mut place = 0..;
        self.channels
            .retain(|_| place.next().is_none_or(|place| !gone.contains(&place)));
    }

    /// The number a channel was given.
    pub(crate) fn number(&self, id: ChannelId) -> Option<Number> {
        self.numbers.get(&Hex(id)).copied()
    }

    /// The greatest number given.
    pub(crate) fn greatest_number(&self) -> Option<Number> {
        self.numbers.values().max().copied()
    }

    /// Remembers the number a channel was given.
    pub(crate) fn set_number(&mut self, id: ChannelId, number: Number) {
        if self.numbers.len() < REMEMBERED_CHANNELS_MAX {
            self.numbers.insert(Hex(id), number);
        }
    }

    /// Forgets all numbers: they are not mainstem's to give any more.
    pub(crate) fn forget_numbers(&mut self) {
        self.numbers.clear();
    }

    /// The order a source's channels had.
    pub(crate) fn places(&self, source: &SourceName) -> &[ChannelId] {
        self.places.get(source).map_or(&[], |places| &places.0)
    }

    /// Remembers the order of a source's channels. Those that are in no list now keep their places at the end.
    pub(crate) fn set_places(&mut self, source: &SourceName, mut order: Vec<ChannelId>) {
        order.truncate(PLACES_MAX);
        self.places.insert(source.clone(), Places(order));
    }

    /// Forgets the order of sources that are not among `sources`.
    pub(crate) fn keep_places_of<'s>(&mut self, sources: impl Iterator<Item = &'s SourceName>) {
        let sources: HashSet<&SourceName> = sources.collect();
        self.places.retain(|source, _| sources.contains(source));
    }
}

impl Record {
    fn learn(&mut self, ids: impl Iterator<Item = ChannelId>) {
        for id in ids.map(Hex) {
            if id != self.id && !self.aliases.contains(&id) {
                self.aliases.push(id);
            }
        }
        let surplus = self.aliases.len().saturating_sub(ALIASES_MAX);
        self.aliases.drain(..surplus);
    }
}

/// What a channel can show for an id.
struct Claim {
    kind: Kind,
    key: Option<ChannelId>,
    first: ChannelId,
    /// Ids of the further names of its streams.
    rest: Vec<ChannelId>,
}

impl Claim {
    fn of(channel: &Channel, known: Option<&Known>) -> Self {
        let name = channel.primary().entry().name();
        let plain = channel.id;
        let first = known.and_then(|known| known.first).unwrap_or(plain);
        let mut rest = Vec::new();
        if plain != first {
            rest.push(plain);
        }
        // Streams of one name are nearly always all there are.
        let others = channel.streams().map(|stream| stream.entry().name());
        for id in others.filter(|other| *other != name).map(ChannelId::of_name) {
            if id != first && !rest.contains(&id) && rest.len() < ALIASES_MAX {
                rest.push(id);
            }
        }
        Self {
            kind: channel.kind(),
            key: known.and_then(|known| known.key),
            first,
            rest,
        }
    }

    fn plain(&self) -> impl Iterator<Item = ChannelId> {
        std::iter::once(self.first).chain(self.rest.iter().copied())
    }
}

/// Ids where channels have nothing but a name each, and nothing is remembered.
fn by_name_alone(channels: &[Channel]) -> Ids {
    let mut of: Vec<ChannelId> = channels.iter().map(|channel| channel.id).collect();
    let mut pairs: Vec<(ChannelId, Kind, u32)> = (0u32..)
        .zip(channels)
        .map(|(place, channel)| (channel.id, channel.kind(), place))
        .collect();
    // A plain id goes to the first of the kind that comes first; the others look for one of their own.
    pairs.sort_unstable();
    let mut taken = HashMap::new();
    for same in pairs.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
        for &(_, kind, place) in same.iter().skip(1) {
            let Some(channel) = channels.get(place as usize) else {
                continue;
            };
            let name = channel.primary().entry().name();
            let is_free = |id: &ChannelId| {
                !taken.contains_key(id) && pairs.binary_search_by_key(id, |pair| pair.0).is_err()
            };
            let free = (0..)
                .map(|attempt| ChannelId::of_name_and_kind(name, kind, attempt))
                .find(is_free);
            if let (Some(free), Some(id)) = (free, of.get_mut(place as usize)) {
                *id = free;
                taken.insert(free, place);
            }
        }
    }
    pairs.dedup_by_key(|pair| pair.0);
    let own = pairs.into_iter().map(|(id, _, place)| (id, place));
    let by_id = IdTable::of(own.chain(taken).collect());
    Ids { of, by_id }
}

/// Ids for channels that have none yet: `first` says which each would have best.
fn fresh(
    channels: &[Channel],
    first: impl Fn(usize, &Channel) -> Option<ChannelId>,
    of: &mut [Option<ChannelId>],
    by_id: &mut QuickMap<ChannelId, u32>,
) {
    for kind in [Kind::Live, Kind::Film, Kind::Episode] {
        let all = (0u32..).zip(channels).zip(of.iter_mut());
        for ((index, channel), slot) in all.filter(|((_, channel), _)| channel.kind() == kind) {
            if slot.is_some() {
                continue;
            }
            let name = channel.primary().entry().name();
            let others = (0..).map(|attempt| ChannelId::of_name_and_kind(name, kind, attempt));
            let free = first(index as usize, channel)
                .into_iter()
                .chain(others)
                .find(|id| !by_id.contains_key(id));
            if let Some(free) = free {
                *slot = Some(free);
                by_id.insert(free, index);
            }
        }
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Places {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len() * 16);
        for id in &self.0 {
            text.push_str(&id.to_string());
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Places {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let ids = text.as_bytes().chunks(16).take(PLACES_MAX).map(|digits| {
            let digits = str::from_utf8(digits).map_err(D::Error::custom)?;
            digits.parse().map_err(D::Error::custom)
        });
        ids.collect::<Result<_, _>>().map(Self)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
