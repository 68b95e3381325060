//! What viewers can pick: an immutable snapshot of all channels, and the ways to name one.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, OnceLock},
};

use crate::{
    id::{ChannelId, Numbered, StreamId, slug_2025, slug_2026, slug_first},
    listing::{Entries, Entry, Header, Kind, SourceName},
    secret::StreamUrl,
};

/// One way to play a channel.
#[derive(Debug, Clone)]
pub struct StreamEntry {
    pub(crate) id: StreamId,
    pub(crate) source: u32,
    /// Place in `entries`, where there always is one.
    pub(crate) place: u32,
    pub(crate) entries: Arc<Entries>,
}

impl StreamEntry {
    /// The same across refreshes.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Index into [`Catalog::sources`], which are in config order.
    pub fn source(&self) -> usize {
        self.source as usize
    }

    /// Where it plays.
    pub fn url(&self) -> StreamUrl {
        self.entry().url()
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
        self.entries.get_or_blank(self.place as usize)
    }
}

/// What a viewer picks: one name, and the streams that play it, the first to try first. There is always one.
#[derive(Debug, Clone)]
pub struct Channel {
    pub(crate) id: ChannelId,
    pub(crate) display_name: Box<str>,
    pub(crate) primary: StreamEntry,
    pub(crate) backups: Vec<StreamEntry>,
}

impl Channel {
    /// What its links carry.
    pub fn id(&self) -> ChannelId {
        self.id
    }

    /// The name its streams share, before prefix and suffix.
    pub fn name(&self) -> &str {
        self.primary.entry().name()
    }

    /// Prefix, name and suffix of the primary stream's source: what a player shows.
    pub fn display_name(&self) -> &str {
        &self.display_name
    }

    /// The first stream, whose attributes describe the channel.
    pub fn primary(&self) -> &StreamEntry {
        &self.primary
    }

    /// All streams in config order, then list order.
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

    /// `group-title` of the first stream that has one.
    pub fn group(&self) -> Option<&str> {
        self.first(Entry::group)
    }

    /// Logo URL of the first stream that has one.
    pub fn logo(&self) -> Option<Cow<'_, str>> {
        self.first(Entry::logo)
    }

    /// `tvg-id` of the first stream that has one.
    pub fn tvg_id(&self) -> Option<&str> {
        self.first(Entry::tvg_id)
    }

    /// `tvg-chno` of the first stream that has one.
    pub fn tvg_chno(&self) -> Option<&str> {
        self.first(Entry::tvg_chno)
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
    channels: Vec<Channel>,
    by_id: HashMap<ChannelId, u32>,
    sources: Vec<SourceCount>,
    /// Made when the first link that is no id turns up: most installations never see one.
    old_forms: OnceLock<OldForms>,
}

impl Catalog {
    /// Joins what [`build`](crate::build()) found; `channels` come without ids that anybody could rely on.
    pub(crate) fn new(mut channels: Vec<Channel>, sources: Vec<SourceCount>) -> Self {
        let by_id = assign_ids(&mut channels);
        Self {
            channels,
            by_id,
            sources,
            old_forms: OnceLock::new(),
        }
    }

    /// In order of first appearance: config order, then list order.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The channel with this id.
    pub fn get(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.get(*self.by_id.get(&id)? as usize)
    }

    /// The channel a link names: by id in either case of letters, else by what the reference called it in 2026, in
    /// 2025, or at first.
    pub fn resolve(&self, key: &str) -> Option<&Channel> {
        let by_id = key.parse().ok().and_then(|id| self.get(id));
        by_id.or_else(|| self.channels.get(self.old_forms().get(key)?))
    }

    fn old_forms(&self) -> &OldForms {
        self.old_forms.get_or_init(|| OldForms::of(&self.channels))
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

/// Gives every channel its id.
///
/// A name's plain id goes to the live channel of that name, else to the film, else to the episode; the others get
/// one that their kind is part of. That one resolves to them even while the plain one is theirs, so that a link
/// given out before a live channel of the same name left goes on working.
fn assign_ids(channels: &mut [Channel]) -> HashMap<ChannelId, u32> {
    let mut by_id = HashMap::with_capacity(channels.len());
    for kind in [Kind::Live, Kind::Film, Kind::Episode] {
        for (index, channel) in (0u32..)
            .zip(channels.iter_mut())
            .filter(|(_, channel)| channel.kind() == kind)
        {
            let plain = ChannelId::of_name(channel.name());
            let others = (0..).map(|attempt| ChannelId::of_name_and_kind(channel.name(), kind, attempt));
            if let Some(free) = std::iter::once(plain)
                .chain(others)
                .find(|id| !by_id.contains_key(id))
            {
                channel.id = free;
                by_id.insert(free, index);
            }
        }
    }
    for (index, channel) in (0u32..)
        .zip(channels.iter())
        .filter(|(_, channel)| channel.kind() != Kind::Live)
    {
        by_id
            .entry(ChannelId::of_name_and_kind(channel.name(), channel.kind(), 0))
            .or_insert(index);
    }
    by_id
}

/// What the reference called the channels in its links, as hashes: 16 bytes each instead of a string.
#[derive(Debug)]
struct OldForms(Box<[(u64, u32)]>);

impl OldForms {
    fn of(channels: &[Channel]) -> Self {
        // The reference knew names only: of channels that share one, the holder of the plain id stands for it.
        let named: Vec<(u32, &str)> = (0u32..)
            .zip(channels)
            .filter(|(_, channel)| channel.id == ChannelId::of_name(channel.name()))
            .map(|(index, channel)| (index, channel.name()))
            .collect();
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
