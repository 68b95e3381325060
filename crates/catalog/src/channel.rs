//! What viewers can pick: an immutable snapshot of all channels, and the ways to name one.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, OnceLock},
};

use crate::{
    id::{ChannelId, Numbered, StreamId, slug_2025, slug_2026, slug_first},
    id_table::IdTable,
    listing::{Catchup, Entries, Entry, Header, Kind, SourceName},
    secret::StreamUrl,
};

/// A source's list as streams point into it.
#[derive(Debug)]
pub(crate) struct SourceList {
    pub(crate) name: SourceName,
    pub(crate) entries: Arc<Entries>,
}

/// One way to play a channel.
#[derive(Debug, Clone)]
pub struct StreamEntry {
    pub(crate) source: u16,
    pub(crate) standing: Standing,
    /// Place in the list, where there always is one.
    pub(crate) place: u32,
    pub(crate) list: Arc<SourceList>,
}

/// What the operator's policy says of a stream; two bytes, as there are many streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    is_pinned: bool,
    rank: u8,
}

impl Standing {
    /// Place by its quality.
    pub(crate) fn of_rank(rank: u8) -> Self {
        Self {
            is_pinned: false,
            rank,
        }
    }

    /// By the place of its source.
    pub(crate) const BY_SOURCE: Self = Self {
        is_pinned: false,
        rank: u8::MAX,
    };

    /// First in its channel.
    pub(crate) fn pinned(self) -> Self {
        Self {
            is_pinned: true,
            ..self
        }
    }
}

impl StreamEntry {
    /// The same across refreshes. Made of what the list says whenever it is asked for: of most streams it never is.
    pub fn id(&self) -> StreamId {
        StreamId::of_entry(&self.list.name, self.entry())
    }

    /// Index into [`Catalog::sources`], which are in config order.
    pub fn source(&self) -> usize {
        self.source.into()
    }

    /// Place by the operator's policy; 0 is best, and all are 0 without one.
    pub fn policy_rank(&self) -> u32 {
        match self.standing.rank {
            u8::MAX => self.source.into(),
            rank => rank.into(),
        }
    }

    /// Whether the operator put it first in its channel.
    pub fn is_pinned(&self) -> bool {
        self.standing.is_pinned
    }

    /// Where it plays.
    pub fn url(&self) -> StreamUrl {
        self.entry().url()
    }

    /// Where it plays if its provider has no such stream there.
    pub fn direct(&self) -> Option<StreamUrl> {
        self.entry().direct()
    }

    /// Headers to send upstream.
    pub fn headers(&self) -> &[Header] {
        self.entry().headers()
    }

    /// What it plays.
    pub fn kind(&self) -> Kind {
        self.entry().kind()
    }

    /// Everything the source's list says of it.
    pub fn entry(&self) -> Entry<'_> {
        self.list.entries.get_or_blank(self.place as usize)
    }
}

/// What a viewer picks: one name, and the streams that play it, the first to try first. There is always one.
#[derive(Debug, Clone)]
pub struct Channel {
    /// That of its first stream's name, until it is given its own.
    pub(crate) id: ChannelId,
    /// Prefix, name and suffix, where there is a prefix or a suffix.
    pub(crate) display_name: Option<Box<str>>,
    pub(crate) primary: StreamEntry,
    pub(crate) backups: Vec<StreamEntry>,
    /// What the operator's rules made of it; nothing where there are none.
    pub(crate) dress: Option<Box<Dress>>,
}

/// What a channel shows instead of what its streams say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dress {
    pub(crate) name: Option<Box<str>>,
    /// An empty one is no group.
    pub(crate) group: Option<Box<str>>,
    pub(crate) tvg_id: Option<Box<str>>,
    pub(crate) number: Option<Box<str>>,
    pub(crate) event: Option<Box<str>>,
    pub(crate) is_hidden: bool,
}

impl Channel {
    /// What its links carry.
    pub fn id(&self) -> ChannelId {
        self.id
    }

    /// The name its streams share, or what rules made of it, before prefix and suffix.
    pub fn name(&self) -> &str {
        let dressed = self.dress.as_ref().and_then(|dress| dress.name.as_deref());
        dressed.unwrap_or(self.primary.entry().name())
    }

    /// Prefix, name and suffix of the primary stream's source: what a player shows.
    pub fn display_name(&self) -> &str {
        self.display_name.as_deref().unwrap_or_else(|| self.name())
    }

    /// The first stream, whose attributes describe the channel.
    pub fn primary(&self) -> &StreamEntry {
        &self.primary
    }

    /// What is on, where a rule split it off the name.
    pub fn event(&self) -> Option<&str> {
        self.dress
            .as_ref()?
            .event
            .as_deref()
            .filter(|event| !event.is_empty())
    }

    /// Whether it is in no list, though links to it play.
    pub fn is_hidden(&self) -> bool {
        self.dress.as_ref().is_some_and(|dress| dress.is_hidden)
    }

    /// All streams in the order in which they describe the channel: pinned ones, then by policy, config order and list
    /// order.
    pub fn streams(&self) -> impl ExactSizeIterator<Item = &StreamEntry> + Clone {
        Streams {
            primary: Some(&self.primary),
            backups: self.backups.iter(),
        }
    }

    /// What it plays, as all its streams do.
    pub fn kind(&self) -> Kind {
        self.primary.kind()
    }

    /// What rules say, else `group-title` of the first stream that has one.
    pub fn group(&self) -> Option<&str> {
        let dressed = self.dress.as_ref().and_then(|dress| dress.group.as_deref());
        match dressed {
            Some(text) => Some(text).filter(|text| !text.is_empty()),
            None => self.first(Entry::group),
        }
    }

    /// Logo URL of the first stream that has one.
    pub fn logo(&self) -> Option<Cow<'_, str>> {
        self.first(Entry::logo)
    }

    /// What rules say, else `tvg-id` of the first stream that has one.
    pub fn tvg_id(&self) -> Option<&str> {
        let dressed = self.dress.as_ref().and_then(|dress| dress.tvg_id.as_deref());
        match dressed {
            Some(text) => Some(text).filter(|text| !text.is_empty()),
            None => self.first(Entry::tvg_id),
        }
    }

    /// The number it was given, else `tvg-chno` of the first stream that has one.
    pub fn tvg_chno(&self) -> Option<&str> {
        let dressed = self.dress.as_ref().and_then(|dress| dress.number.as_deref());
        dressed.or_else(|| self.first(Entry::tvg_chno))
    }

    /// `tvg-language` of the first stream that has one.
    pub fn tvg_language(&self) -> Option<&str> {
        self.first(|entry| entry.extra().tvg_language.as_deref())
    }

    /// `tvg-country` of the first stream that has one.
    pub fn tvg_country(&self) -> Option<&str> {
        self.first(|entry| entry.extra().tvg_country.as_deref())
    }

    /// `radio` of the first stream that has it.
    pub fn radio(&self) -> Option<&str> {
        self.first(|entry| entry.extra().radio.as_deref())
    }

    /// How past programmes are played, as the first stream that has any says it.
    pub fn catchup(&self) -> Option<&Catchup> {
        self.first(|entry| entry.extra().catchup.as_deref())
    }

    fn first<'a, T>(&'a self, attribute: impl Fn(Entry<'a>) -> Option<T>) -> Option<T> {
        self.streams().find_map(|stream| attribute(stream.entry()))
    }
}

#[derive(Clone)]
struct Streams<'a> {
    primary: Option<&'a StreamEntry>,
    backups: std::slice::Iter<'a, StreamEntry>,
}

impl<'a> Iterator for Streams<'a> {
    type Item = &'a StreamEntry;

    fn next(&mut self) -> Option<&'a StreamEntry> {
        self.primary.take().or_else(|| self.backups.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = usize::from(self.primary.is_some()) + self.backups.len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for Streams<'_> {}

/// What became of one source's entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCount {
    /// Which source.
    pub name: SourceName,
    /// Entries its list had.
    pub listed: usize,
    /// Entries left after the filters: streams of some channel.
    pub kept: usize,
    /// Records that could not be read.
    pub malformed: u64,
}

/// All channels at one moment; never changes. A refresh builds the next one beside it.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Those that are in no list come last.
    channels: Vec<Channel>,
    listed: usize,
    /// Places of the live channels that are listed: where one in twenty is live, nobody walks past the films to them.
    live: Box<[u32]>,
    by_id: IdTable,
    sources: Vec<SourceCount>,
    /// Made when the first id that is no channel's own turns up.
    by_kind: OnceLock<IdTable>,
    /// Made when the first link that is no id turns up: most installations never see one.
    old_forms: OnceLock<OldForms>,
}

impl Catalog {
    /// Joins what [`build`](crate::build()) found. Hidden channels come last in `channels`.
    pub(crate) fn new(channels: Vec<Channel>, by_id: IdTable, sources: Vec<SourceCount>) -> Self {
        let listed = channels.partition_point(|channel| !channel.is_hidden());
        let all = (0u32..).zip(channels.iter().take(listed));
        let live = all.filter(|(_, channel)| channel.kind() == Kind::Live);
        let live = live.map(|(place, _)| place).collect();
        Self {
            channels,
            listed,
            live,
            by_id,
            sources,
            by_kind: OnceLock::new(),
            old_forms: OnceLock::new(),
        }
    }

    /// In the order they are shown, without those that are hidden.
    pub fn channels(&self) -> &[Channel] {
        self.channels.get(..self.listed).unwrap_or(&self.channels)
    }

    /// The live ones of [`channels`](Self::channels), from the place `from` among them on, without a look at any other.
    pub fn live(&self, from: usize) -> impl Iterator<Item = &Channel> {
        let places = self.live.get(from..).unwrap_or_default();
        places
            .iter()
            .filter_map(|place| self.channels.get(*place as usize))
    }

    /// The channels that are in no list.
    pub fn hidden(&self) -> &[Channel] {
        self.channels.get(self.listed..).unwrap_or(&[])
    }

    /// The channel whose own id or alias this is. Never takes long.
    pub fn get_own(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.get(self.by_id.get(id)? as usize)
    }

    /// The channel with this id. The first time that one is nobody's own, it takes a moment with very long lists.
    pub fn get(&self, id: ChannelId) -> Option<&Channel> {
        let seldom = || self.channels.get(self.by_kind().get(id)? as usize);
        self.get_own(id).or_else(seldom)
    }

    /// The channel a link names: by id in either case of letters, else by what the reference called it in 2026, in
    /// 2025, or at first.
    pub fn resolve(&self, key: &str) -> Option<&Channel> {
        let by_id = key.parse().ok().and_then(|id| self.get(id));
        by_id.or_else(|| self.channels.get(self.old_forms().get(key)?))
    }

    /// The ids that a film or an episode has for the case that a live channel has its name: links given out while one
    /// did.
    fn by_kind(&self) -> &IdTable {
        self.by_kind.get_or_init(|| {
            let all = (0u32..).zip(&self.channels);
            let others = all.filter(|(_, channel)| channel.kind() != Kind::Live);
            let own = others.map(|(place, channel)| {
                let name = channel.primary().entry().name();
                (ChannelId::of_name_and_kind(name, channel.kind(), 0), place)
            });
            IdTable::of(own.collect())
        })
    }

    fn old_forms(&self) -> &OldForms {
        self.old_forms
            .get_or_init(|| OldForms::of(&self.channels, &self.by_id))
    }

    /// The sources in config order; [`StreamEntry::source`] is an index into them.
    pub fn sources(&self) -> &[SourceCount] {
        &self.sources
    }

    /// What became of each source's entries, in config order.
    pub fn source_counts(&self) -> &[SourceCount] {
        &self.sources
    }
}

/// What the reference called the channels in its links, as hashes: 16 bytes each instead of a string.
#[derive(Debug)]
struct OldForms(Box<[(u64, u32)]>);

impl OldForms {
    fn of(channels: &[Channel], by_id: &IdTable) -> Self {
        // The reference knew names only: the channel a name's plain id leads to stands for it.
        let mut named: Vec<(u32, &str)> = Vec::with_capacity(channels.len());
        for (index, channel) in (0u32..).zip(channels) {
            let mut before = None;
            for name in channel.streams().map(|stream| stream.entry().name()) {
                if before != Some(name) && by_id.get(ChannelId::of_name(name)) == Some(index) {
                    named.push((index, name));
                }
                before = Some(name);
            }
        }
        named.dedup();
        let mut forms = Vec::with_capacity(named.len() * 3);
        for slug in [slug_2026, slug_2025] {
            let mut numbered = Numbered::default();
            forms.extend(
                named
                    .iter()
                    .map(|&(index, name)| (hash(&numbered.take(slug(name))), index)),
            );
        }
        forms.extend(
            named
                .iter()
                .map(|&(index, name)| (hash(&slug_first(name)), index)),
        );
        // Stable, so the newest form and then the first channel wins.
        forms.sort_by_key(|&(hash, _)| hash);
        forms.dedup_by_key(|&mut (hash, _)| hash);
        Self(forms.into())
    }

    fn get(&self, key: &str) -> Option<usize> {
        let key = hash(key);
        let place = self.0.binary_search_by_key(&key, |&(hash, _)| hash).ok()?;
        self.0.get(place).map(|&(_, index)| index as usize)
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
