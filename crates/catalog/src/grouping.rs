//! Which entries are one channel.
//!
//! By exact name they are joined as they come. Otherwise all entries are looked at first: whether a name is known in
//! one country or several decides what those are that say none.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    build::SourceRules,
    channel::{Channel, Dress, StreamEntry},
    id::ChannelId,
    id_table::QuickMap,
    listing::{Entry, Kind},
    memory::Known,
    name::{self, Country},
    rules::{ChannelRules, GroupBy, State, engine::Observer},
};

/// Spellings of one name that are counted.
const SPELLINGS_MAX: usize = 16;

/// An entry that becomes a stream.
pub(crate) struct Kept<'a> {
    pub(crate) stream: StreamEntry,
    pub(crate) state: State<'a>,
}

/// Entries on their way into channels.
pub(crate) struct Grouping<'a> {
    rules: &'a ChannelRules,
    never: NeverMerge,
    /// By exact name, without anything else: streams as they come, and the ids of their names.
    plain: Vec<StreamEntry>,
    names: Vec<(ChannelId, Kind, u32)>,
    /// Otherwise: all entries.
    entries: Vec<Draft<'a>>,
}

struct Draft<'a> {
    stream: StreamEntry,
    /// What the rules made of the entry, where they did anything.
    state: Option<Box<State<'a>>>,
    key: Key<'a>,
}

/// What entries are joined by.
struct Key<'a> {
    base: Cow<'a, str>,
    country: Option<Country>,
    /// Keeps it apart from others of the same base.
    apart: Option<Box<str>>,
}

impl<'a> Grouping<'a> {
    pub(crate) fn new(rules: &'a ChannelRules) -> Self {
        Self {
            rules,
            never: NeverMerge::new(rules),
            plain: Vec::new(),
            names: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Takes an entry.
    pub(crate) fn add(&mut self, kept: Kept<'a>, entry: Entry<'a>) {
        let Kept { stream, state } = kept;
        if self.rules.keeps_names() {
            return self.add_plain(stream, entry);
        }
        let key = self.key(&state, entry);
        let is_plain = state == State::of(entry);
        self.entries.push(Draft {
            stream,
            state: (!is_plain).then(|| Box::new(state)),
            key,
        });
    }

    fn add_plain(&mut self, stream: StreamEntry, entry: Entry<'a>) {
        let place = u32::try_from(self.plain.len()).unwrap_or(u32::MAX);
        self.names
            .push((ChannelId::of_name(entry.name()), entry.kind(), place));
        self.plain.push(stream);
    }

    /// Makes room for so many entries.
    pub(crate) fn expect(&mut self, entries: usize) {
        if self.rules.keeps_names() {
            self.plain.reserve_exact(entries);
            self.names.reserve_exact(entries);
        } else {
            self.entries.reserve_exact(entries);
        }
    }

    fn key(&self, state: &State<'a>, entry: Entry<'a>) -> Key<'a> {
        let name: Cow<'a, str> = match &state.merge {
            Some(merge) => Cow::Owned(merge.to_string()),
            None => state.name.clone(),
        };
        let is_normalised = self.rules.group_by == GroupBy::Normalised && entry.kind() == Kind::Live;
        let apart = if state.is_apart {
            Some(state.name.as_ref().into())
        } else {
            self.never.apart(entry.name(), &state.name, is_normalised)
        };
        match self.rules.group_by {
            GroupBy::Normalised if is_normalised => {
                let parsed = name::parse(&name);
                let country = parsed.country.or_else(|| country_around(state));
                Key {
                    base: Cow::Owned(parsed.key.into_string()),
                    country,
                    apart,
                }
            }
            GroupBy::TvgId
                if state.merge.is_none() && !state.tvg_id.is_empty() && entry.kind() == Kind::Live =>
            {
                Key {
                    base: Cow::Owned(format!("\0{}", state.tvg_id.to_lowercase())),
                    country: None,
                    apart,
                }
            }
            _ => Key {
                base: name,
                country: None,
                apart,
            },
        }
    }

    /// The channels in order of first appearance, and what each is known by.
    pub(crate) fn into_channels(
        self,
        sources: &[&SourceRules],
        observer: &mut impl Observer,
    ) -> (Vec<Channel>, Vec<Known>) {
        if self.rules.keeps_names() {
            return (self.into_plain(sources), Vec::new());
        }
        let rules = self.rules;
        let (countries, by_name) = (Countries::of(&self.entries), tvg_ids_by_name(&self.entries));
        let mut groups: Vec<(Cow<'a, str>, Vec<Draft<'a>>)> = Vec::new();
        let mut places: QuickMap<(Kind, Cow<'a, str>), usize> = QuickMap::default();
        for draft in self.entries {
            let key = whole_key(&draft, &countries, &by_name);
            let place = *places
                .entry((draft.stream.kind(), key.clone()))
                .or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, drafts)) => drafts.push(draft),
                None => groups.push((key, vec![draft])),
            }
        }
        groups
            .into_iter()
            .filter_map(|(key, drafts)| {
                for draft in &drafts {
                    observer.joined(&draft.stream, &key);
                }
                Joined {
                    key,
                    drafts,
                    rules,
                    countries: &countries,
                    sources,
                }
                .into_channel()
            })
            .unzip()
    }

    fn into_plain(self, sources: &[&SourceRules]) -> Vec<Channel> {
        let firsts = firsts(self.names, &self.plain);
        let own = (0u32..).zip(&firsts).filter(|(place, (first, _))| place == first);
        let mut channels: Vec<Channel> = Vec::with_capacity(own.count());
        let mut channel_of = vec![0; firsts.len()];
        for ((place, (first, id)), stream) in (0usize..).zip(firsts).zip(self.plain) {
            let first = first as usize;
            if first == place {
                if let Some(slot) = channel_of.get_mut(place) {
                    *slot = channels.len();
                }
                let name = stream.entry().name();
                let display_name = display_name(name, &stream, sources);
                channels.push(Channel {
                    id,
                    display_name,
                    primary: stream,
                    backups: Vec::new(),
                    dress: None,
                });
            } else if let Some(channel) = channel_of.get(first).and_then(|at| channels.get_mut(*at)) {
                channel.backups.push(stream);
            }
        }
        channels
    }
}

/// The country that the group or the guide's id says.
fn country_around(state: &State<'_>) -> Option<Country> {
    name::country_of_group(&state.group).or_else(|| name::country_of_tvg_id(&state.tvg_id))
}

/// For each stream the place of the first of its kind and name, and the id of that name.
fn firsts(mut names: Vec<(ChannelId, Kind, u32)>, streams: &[StreamEntry]) -> Vec<(u32, ChannelId)> {
    let name = |place: u32| streams.get(place as usize).map(|stream| stream.entry().name());
    let mut firsts = vec![(0, ChannelId::UNNAMED); names.len()];
    names.sort_unstable();
    for same in names.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        // Two names of one id: what nobody will live to see makes two channels.
        let mut others: Vec<u32> = Vec::new();
        let Some(&(id, _, least)) = same.first() else {
            continue;
        };
        for &(_, _, place) in same {
            let known = std::iter::once(least).chain(others.iter().copied());
            let first = known
                .into_iter()
                .find(|first| *first == place || name(*first) == name(place));
            if first.is_none() {
                others.push(place);
            }
            if let Some(slot) = firsts.get_mut(place as usize) {
                *slot = (first.unwrap_or(place), id);
            }
        }
    }
    firsts
}

/// `None` where it is the name.
fn display_name(name: &str, stream: &StreamEntry, sources: &[&SourceRules]) -> Option<Box<str>> {
    let source = sources.get(stream.source())?;
    let is_plain = source.prefix.is_empty() && source.suffix.is_empty();
    (!is_plain).then(|| [&source.prefix, name, &source.suffix].concat().into())
}

/// In how many countries each name is known.
struct Countries(QuickMap<String, (Country, bool)>);

impl Countries {
    fn of(drafts: &[Draft<'_>]) -> Self {
        let mut known: QuickMap<String, (Country, bool)> = QuickMap::default();
        for draft in drafts {
            let Some(country) = draft.key.country else {
                continue;
            };
            if let Some((first, several)) = known.get_mut(&*draft.key.base) {
                *several |= *first != country;
            } else {
                known.insert(draft.key.base.clone().into_owned(), (country, false));
            }
        }
        Self(known)
    }

    fn are_several(&self, base: &str) -> bool {
        !self.0.is_empty() && self.0.get(base).is_some_and(|(_, several)| *several)
    }
}

/// The `tvg-id` that each name has first: entries without one are joined by it.
fn tvg_ids_by_name(drafts: &[Draft<'_>]) -> HashMap<(Kind, String), String> {
    let mut known = HashMap::new();
    for draft in drafts.iter().filter(|draft| draft.key.base.starts_with('\0')) {
        let name = (draft.stream.kind(), draft.name().to_owned());
        known
            .entry(name)
            .or_insert_with(|| draft.key.base.clone().into_owned());
    }
    known
}

fn whole_key<'a>(
    draft: &Draft<'a>,
    countries: &Countries,
    by_name: &HashMap<(Kind, String), String>,
) -> Cow<'a, str> {
    let key = &draft.key;
    let mut whole = key.base.clone();
    if !by_name.is_empty() && !key.base.starts_with('\0') {
        let by_tvg_id = by_name.get(&(draft.stream.kind(), key.base.clone().into_owned()));
        whole = by_tvg_id.map_or(whole, |id| Cow::Owned(id.clone()));
    }
    if countries.are_several(&key.base) {
        let country = key.country.map_or("", Country::code);
        whole.to_mut().extend(["\0", country]);
    }
    if let Some(apart) = &key.apart {
        whole.to_mut().extend(["\0\0", &**apart]);
    }
    whole
}

impl Draft<'_> {
    fn name(&self) -> &str {
        match &self.state {
            Some(state) => &state.name,
            None => self.stream.entry().name(),
        }
    }
}

/// The entries of one channel.
struct Joined<'a, 'g> {
    key: Cow<'a, str>,
    drafts: Vec<Draft<'a>>,
    rules: &'g ChannelRules,
    countries: &'g Countries,
    sources: &'g [&'g SourceRules],
}

impl Joined<'_, '_> {
    fn into_channel(mut self) -> Option<(Channel, Known)> {
        // The list's order decides last, and only between entries of one name: whatever the order of a list, a channel
        // comes out the same.
        if self.drafts.len() > 1 {
            self.drafts.sort_by_cached_key(|draft| {
                let (stream, name) = (&draft.stream, draft.stream.entry().name());
                let quality = name::parse(name).quality;
                (
                    !stream.is_pinned(),
                    stream.policy_rank(),
                    stream.source,
                    quality,
                    name.to_owned(),
                )
            });
        }
        let dress = self.dress();
        let first = self.drafts.first()?;
        let event = self.drafts.iter().find_map(|draft| {
            let state = draft.state.as_ref()?;
            state.event.as_ref().map(|_| ChannelId::of_name(&state.name))
        });
        let is_exact = self.key == first.stream.entry().name();
        let kind = first.stream.kind();
        let known = Known {
            key: (!is_exact).then(|| ChannelId::of_name_and_kind(&self.key, kind, 0)),
            first: event,
        };
        let mut streams = self.drafts.into_iter().map(|draft| draft.stream);
        let primary = streams.next()?;
        let mut channel = Channel {
            id: ChannelId::of_name(primary.entry().name()),
            display_name: None,
            primary,
            backups: streams.collect(),
            dress: (dress != Dress::default()).then(|| Box::new(dress)),
        };
        channel.display_name = display_name(channel.name(), &channel.primary, self.sources);
        Some((channel, known))
    }

    fn dress(&self) -> Dress {
        let first = |part: &dyn Fn(&State<'_>) -> Option<Box<str>>| {
            self.drafts
                .iter()
                .filter_map(|draft| draft.state.as_ref())
                .find_map(|state| part(state))
        };
        let changed = |part: &dyn Fn(&State<'_>, Entry<'_>) -> Option<Box<str>>| {
            self.drafts.iter().find_map(|draft| {
                let state = draft.state.as_ref()?;
                part(state, draft.stream.entry())
            })
        };
        Dress {
            name: self.name(),
            group: changed(&|state, entry| {
                (state.group != entry.group().unwrap_or("")).then(|| state.group.as_ref().into())
            }),
            tvg_id: changed(&|state, entry| {
                (state.tvg_id != entry.tvg_id().unwrap_or("")).then(|| state.tvg_id.as_ref().into())
            }),
            number: first(&|state| state.number.map(|number| number.to_string().into())),
            event: first(&|state| state.event.clone()),
            is_hidden: self
                .drafts
                .iter()
                .all(|draft| draft.state.as_ref().is_some_and(|state| state.is_hidden)),
        }
    }

    /// What the channel is called, if that is not simply its first stream's name.
    fn name(&self) -> Option<Box<str>> {
        let first = self.drafts.first()?;
        let own = first.stream.entry().name();
        let merged = self
            .drafts
            .iter()
            .find_map(|draft| draft.state.as_ref().and_then(|state| state.merge.clone()));
        let name: Box<str> = match merged {
            Some(name) => name,
            None if first.state.as_ref().is_some_and(|state| state.is_named) => first.name().into(),
            None if self.rules.group_by == GroupBy::Normalised && first.stream.kind() == Kind::Live => {
                self.plain_name(first)
            }
            None => first.name().into(),
        };
        (*name != *own).then_some(name)
    }

    /// How most streams spell the name, those that do not shout first.
    fn spelling(&self) -> Option<Box<str>> {
        let mut spellings: Vec<(Box<str>, usize)> = Vec::new();
        for draft in &self.drafts {
            let shown = name::parse(draft.name()).shown;
            if let Some((_, count)) = spellings.iter_mut().find(|(known, _)| *known == shown) {
                *count += 1;
            } else if spellings.len() < SPELLINGS_MAX {
                spellings.push((shown, 1));
            }
        }
        // Of equals the first is taken.
        let best = spellings.into_iter().rev().max_by_key(|(shown, count)| {
            let shouts = !shown.chars().any(char::is_lowercase);
            (!shouts, *count)
        });
        best.map(|(shown, _)| shown)
    }

    /// The name without its tags; with the country where others have the same, with the quality where that is what
    /// keeps it apart.
    fn plain_name(&self, first: &Draft<'_>) -> Box<str> {
        if first.key.apart.is_some() {
            return first.name().into();
        }
        let shown = self.spelling().unwrap_or_else(|| name::parse(first.name()).shown);
        match first.key.country {
            Some(country) if self.countries.are_several(&first.key.base) => {
                format!("{shown} ({})", country.code().to_uppercase()).into()
            }
            _ => shown,
        }
    }
}

/// Names that must not be joined, each with what keeps it apart. The first of each list is not among them: it goes on
/// having everything else of its name.
struct NeverMerge {
    exact: HashMap<Box<str>, Box<str>>,
    variants: HashMap<Box<str>, Box<str>>,
}

impl NeverMerge {
    fn new(rules: &ChannelRules) -> Self {
        let (mut exact, mut variants) = (HashMap::new(), HashMap::new());
        for names in &rules.never_merge {
            for name in names.iter().skip(1).take(crate::rules::NEVER_MERGE_MAX) {
                let variant = name::parse(name).variant;
                exact.insert(name.clone(), variant.clone());
                variants.insert(variant.clone(), variant);
            }
        }
        Self { exact, variants }
    }

    fn apart(&self, listed: &str, name: &str, is_normalised: bool) -> Option<Box<str>> {
        if self.exact.is_empty() {
            return None;
        }
        let exact = self.exact.get(listed).or_else(|| self.exact.get(name));
        let by_variant = |name: &str| self.variants.get(&name::parse(name).variant);
        let found = exact.or_else(|| {
            let found = is_normalised.then(|| by_variant(listed).or_else(|| by_variant(name)));
            found.flatten()
        });
        found.cloned()
    }
}
