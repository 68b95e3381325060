//! From what each source lists to what viewers can pick.
//!
//! Entries go through the filters and the rules one by one; then those that belong together are joined
//! (`grouping`), and the channels get their ids, numbers and places. One way for the channels and
//! for a preview of them: a preview only watches.

use std::{collections::HashSet, fmt, sync::Arc};

use crate::{
    channel::{Catalog, Channel, SourceCount, SourceList, Standing, StreamEntry},
    filter::{Filters, Tally, Verdict},
    grouping::{Grouping, Kept},
    listing::{Entry, Kind, Listing, SourceName},
    memory::{Ids, Memory},
    name,
    number::Number,
    places,
    rules::{
        ChannelRules, Prefer, Sort, State,
        engine::{Engine, Nobody, Observer},
    },
};

/// What the operator wants of one source's entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRules {
    /// The source's name.
    pub name: SourceName,
    /// Put before the name shown.
    pub prefix: Box<str>,
    /// Put after the name shown.
    pub suffix: Box<str>,
    /// Place in the config; 0 is first. Listings may come in any order: this one counts.
    pub order: u32,
}

/// Something the operator should know; the catalogue is usable all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Issue {
    /// Entries without any name were left out.
    Unnamed {
        /// Whose.
        source: SourceName,
        /// How many.
        entries: u64,
    },
    /// Searches with this pattern were given up; each counted as no match.
    PatternLimit {
        /// The pattern as written.
        pattern: Box<str>,
        /// Searches given up.
        searches: u64,
        /// It was given up so often that the rest of the entries were not searched at all.
        disabled: bool,
    },
    /// Two channels were to have one number; the second has none.
    NumberTaken {
        /// The number.
        number: Number,
        /// The channel without.
        channel: Box<str>,
    },
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed { source, entries } => {
                write!(f, "source {source:?}: {entries} entries have no name")
            }
            Self::PatternLimit {
                pattern,
                searches,
                disabled,
            } => {
                write!(
                    f,
                    "pattern {pattern:?} takes too long: {searches} searches given up as no match"
                )?;
                if *disabled {
                    f.write_str(", the rest not tried")
                } else {
                    Ok(())
                }
            }
            Self::NumberTaken { number, channel } => {
                write!(
                    f,
                    "channel {channel:?}: number {number} is another channel's already"
                )
            }
        }
    }
}

/// Joins `listings` into channels as the reference does: the streams of one kind and exactly one name, from one source
/// or several, with ids that depend on nothing else.
///
/// Channels come in order of first appearance, by [`SourceRules::order`] and then the list's own; so do the streams
/// of each. The order of `listings` does not matter, nor does which of them was refreshed last.
pub fn build(listings: &[(SourceRules, &Listing)], filters: &Filters) -> (Catalog, Vec<Issue>) {
    build_with(
        listings,
        filters,
        &ChannelRules::default(),
        &mut Memory::default(),
    )
}

/// Joins `listings` into channels by `rules`. Of more than 65,536 listings, the first are taken.
///
/// Ids, numbers and places that `memory` knows stay; new ones are put into it. The order of `listings` does not matter.
pub fn build_with(
    listings: &[(SourceRules, &Listing)],
    filters: &Filters,
    rules: &ChannelRules,
    memory: &mut Memory,
) -> (Catalog, Vec<Issue>) {
    build_watched(listings, filters, rules, memory, &mut Nobody)
}

/// As [`build_with`], with somebody who watches.
pub(crate) fn build_watched<O: Observer>(
    listings: &[(SourceRules, &Listing)],
    filters: &Filters,
    rules: &ChannelRules,
    memory: &mut Memory,
    observer: &mut O,
) -> (Catalog, Vec<Issue>) {
    let mut sorted: Vec<_> = listings.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| (a.order, &a.name).cmp(&(b.order, &b.name)));
    let mut reading = Reading {
        rules,
        tally: Tally::new(filters),
        engine: Engine::new(rules),
        grouping: Grouping::new(rules),
        issues: Vec::new(),
        observer,
    };
    let sources: Vec<SourceCount> = (0..=u16::MAX)
        .zip(&sorted)
        .map(|(index, (source, listing))| reading.list(index, source, listing))
        .collect();
    let Reading {
        tally,
        engine,
        grouping,
        mut issues,
        observer,
        ..
    } = reading;
    issues.extend(tally.into_issues());
    issues.extend(engine.issues());
    observer.finished(engine.give_ups());
    let affixes: Vec<&SourceRules> = sorted.iter().map(|(source, _)| source).collect();
    let (mut channels, known) = grouping.into_channels(&affixes, observer);
    let mut ids = memory.assign(&channels, &known);
    for (channel, id) in channels.iter_mut().zip(&ids.of) {
        channel.id = *id;
    }
    let order = in_order(&channels, &sources, rules.sort, memory);
    number(&mut channels, &order, rules.number_from, memory, &mut issues);
    let channels = arrange(channels, order, rules.sort, &mut ids);
    (Catalog::new(channels, ids.by_id, sources), issues)
}

/// What goes through while lists are read.
struct Reading<'r, 'o, O> {
    rules: &'r ChannelRules,
    tally: Tally<'r>,
    engine: Engine<'r>,
    grouping: Grouping<'r>,
    issues: Vec<Issue>,
    observer: &'o mut O,
}

impl<'r, O: Observer> Reading<'r, '_, O> {
    fn list(&mut self, source: u16, of: &SourceRules, listing: &'r Listing) -> SourceCount {
        let (mut kept, mut unnamed) = (0, 0);
        self.grouping.expect(listing.entries.len());
        let list = Arc::new(SourceList {
            name: of.name.clone(),
            entries: Arc::clone(&listing.entries),
        });
        for (place, entry) in (0u32..).zip(listing.entries.iter()) {
            if entry.name().is_empty() {
                unnamed += 1;
            } else if let Some(state) = self.take(&of.name, entry) {
                kept += 1;
                let standing = self.standing(entry);
                let standing = if state.is_pinned {
                    standing.pinned()
                } else {
                    standing
                };
                let stream = StreamEntry {
                    source,
                    standing,
                    place,
                    list: Arc::clone(&list),
                };
                self.grouping.add(Kept { stream, state }, entry);
            }
        }
        if unnamed > 0 {
            self.issues.push(Issue::Unnamed {
                source: of.name.clone(),
                entries: unnamed,
            });
        }
        SourceCount {
            name: of.name.clone(),
            listed: listing.entries.len(),
            kept,
            malformed: listing.malformed,
        }
    }

    /// What the rules make of an entry; `None` where it is left out.
    fn take(&mut self, source: &SourceName, entry: Entry<'r>) -> Option<State<'r>> {
        self.observer.begins(source, entry);
        let verdict = self.tally.verdict(entry);
        if verdict != Verdict::Admitted {
            self.observer.filtered(verdict);
            return None;
        }
        if self.rules.drop_separators && entry.kind() == Kind::Live && name::is_separator(entry.name()) {
            self.observer.separator();
            return None;
        }
        let state = self.engine.apply(source, entry, self.observer);
        (!state.is_dropped).then_some(state)
    }

    fn standing(&self, entry: Entry<'_>) -> Standing {
        match self.rules.prefer {
            Prefer::Free => Standing::of_rank(0),
            Prefer::Source => Standing::BY_SOURCE,
            Prefer::Quality => Standing::of_rank(name::parse(entry.name()).quality.rank()),
        }
    }
}

/// The channels by their places in `channels`, in the order they are shown.
fn in_order(channels: &[Channel], sources: &[SourceCount], sort: Sort, memory: &mut Memory) -> Vec<usize> {
    if sort == Sort::List {
        return (0..channels.len()).collect();
    }
    let source = |channel: &Channel| channel.streams().map(|stream| stream.source).min();
    let mut order: Vec<places::Placed> = (0u32..)
        .zip(channels)
        .map(|(place, channel)| (place, channel.id(), source(channel).unwrap_or_default()))
        .collect();
    places::keep(&mut order, sources, memory);
    order.into_iter().map(|(place, ..)| place as usize).collect()
}

/// Gives numbers: those that rules say, then those remembered, then new ones behind all that were ever given, so that
/// none is given twice.
fn number(
    channels: &mut [Channel],
    order: &[usize],
    from: Option<u32>,
    memory: &mut Memory,
    issues: &mut Vec<Issue>,
) {
    let mut taken = HashSet::new();
    for &place in order {
        let Some(channel) = channels.get_mut(place) else {
            continue;
        };
        let asked = channel.dress.as_ref().and_then(|dress| dress.number.as_deref());
        let Some(number) = asked.and_then(|number| number.parse::<Number>().ok()) else {
            continue;
        };
        if !taken.insert(number) {
            issues.push(Issue::NumberTaken {
                number,
                channel: channel.name().into(),
            });
            if let Some(dress) = &mut channel.dress {
                dress.number = None;
            }
        }
    }
    let Some(from) = from else {
        memory.forget_numbers();
        return;
    };
    let needs = |channel: &Channel| {
        let has = channel.dress.as_ref().is_some_and(|dress| dress.number.is_some());
        channel.kind() == Kind::Live && !channel.is_hidden() && !has
    };
    let mut without = Vec::new();
    for &place in order {
        let Some(channel) = channels.get_mut(place).filter(|channel| needs(channel)) else {
            continue;
        };
        match memory
            .number(channel.id())
            .filter(|number| number.major() >= from)
        {
            Some(number) if taken.insert(number) => set_number(channel, number),
            _ => without.push(place),
        }
    }
    let greatest = memory.greatest_number().filter(|number| number.major() >= from);
    let mut next = greatest.map_or(from, |number| number.major().saturating_add(1));
    for place in without {
        let Some(channel) = channels.get_mut(place) else {
            continue;
        };
        while !taken.insert(Number::whole(next)) {
            next = next.saturating_add(1);
            if next > crate::number::NUMBER_MAX {
                return;
            }
        }
        memory.set_number(channel.id(), Number::whole(next));
        set_number(channel, Number::whole(next));
    }
}

fn set_number(channel: &mut Channel, number: Number) {
    let dress = channel.dress.get_or_insert_with(Box::default);
    dress.number = Some(number.to_string().into());
}

/// Puts the channels into the order they are shown in, hidden ones last, and the ids with them.
fn arrange(channels: Vec<Channel>, mut order: Vec<usize>, sort: Sort, ids: &mut Ids) -> Vec<Channel> {
    let get = |place: &usize| channels.get(*place);
    match sort {
        Sort::Kept | Sort::List => {}
        Sort::Name => {
            order.sort_by_cached_key(|place| get(place).map(|channel| channel.name().to_lowercase()));
        }
        Sort::Group => order.sort_by_cached_key(|place| {
            let group = get(place).and_then(Channel::group);
            (group.is_none(), group.map(str::to_lowercase))
        }),
        Sort::Number => order.sort_by_cached_key(|place| {
            let number = get(place).and_then(Channel::tvg_chno);
            let number = number.and_then(|number| number.parse::<Number>().ok());
            (number.is_none(), number)
        }),
    }
    order.sort_by_key(|place| get(place).is_some_and(Channel::is_hidden));
    if order.iter().enumerate().all(|(at, place)| at == *place) {
        return channels;
    }
    let mut now_at = vec![0; channels.len()];
    for (at, place) in (0u32..).zip(&order) {
        if let Some(now) = now_at.get_mut(*place) {
            *now = at;
        }
    }
    ids.by_id
        .move_places(|place| now_at.get(place as usize).copied().unwrap_or(place));
    let mut slots: Vec<Option<Channel>> = channels.into_iter().map(Some).collect();
    order
        .into_iter()
        .filter_map(|place| slots.get_mut(place)?.take())
        .collect()
}
