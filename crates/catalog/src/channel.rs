//! What viewers can pick: an immutable snapshot of all channels, and the ways to name one.

use std::{collections::HashMap, sync::Arc};

use crate::{
    id::{ChannelId, StreamId},
    listing::{Entry, Header, Kind, SourceName},
    secret::StreamUrl,
};

/// One way to play a channel.
#[derive(Debug, Clone)]
pub struct StreamEntry {
    pub(crate) id: StreamId,
    pub(crate) source: u32,
    pub(crate) entry: Arc<Entry>,
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
    pub fn url(&self) -> &StreamUrl {
        self.entry.url()
    }

    /// Headers to send upstream.
    pub fn headers(&self) -> &[Header] {
        self.entry.headers()
    }

    /// What it plays.
    pub fn kind(&self) -> Kind {
        self.entry.kind()
    }

    /// Everything the source's list says of it.
    pub fn entry(&self) -> &Entry {
        &self.entry
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
        self.primary.entry.name()
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
    pub fn logo(&self) -> Option<&str> {
        self.first(Entry::logo)
    }

    /// `tvg-id` of the first stream that has one.
    pub fn tvg_id(&self) -> Option<&str> {
        self.first(Entry::tvg_id)
    }

    /// `tvg-chno` of the first stream that has one.
    pub fn tvg_chno(&self) -> Option<&str> {
        self.first(|entry| entry.extra().tvg_chno.as_deref())
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

    fn first<'a>(&'a self, attribute: impl Fn(&'a Entry) -> Option<&'a str>) -> Option<&'a str> {
        self.streams().find_map(|stream| attribute(&stream.entry))
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
    pub(crate) channels: Vec<Channel>,
    pub(crate) by_id: HashMap<ChannelId, u32>,
    pub(crate) sources: Vec<SourceCount>,
}

impl Catalog {
    /// In order of first appearance: config order, then list order.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The channel with this id.
    pub fn get(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.get(*self.by_id.get(&id)? as usize)
    }

    /// The channel a link names: by id in either case.
    pub fn resolve(&self, key: &str) -> Option<&Channel> {
        key.parse().ok().and_then(|id| self.get(id))
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
