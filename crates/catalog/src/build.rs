//! Grouping: from what each source lists to what viewers can pick.

use std::{collections::HashMap, fmt, sync::Arc};

use crate::{
    channel::{Catalog, Channel, SourceCount, StreamEntry},
    filter::{Filters, Tally},
    id::{ChannelId, StreamId},
    listing::{Kind, Listing, SourceName},
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
        }
    }
}

/// Joins `listings` into channels: the streams of one kind and exactly one name, from one source or several.
///
/// Channels come in order of first appearance, by [`SourceRules::order`] and then the list's own; so do the streams
/// of each. The order of `listings` does not matter, nor does which of them was refreshed last.
pub fn build(listings: &[(SourceRules, &Listing)], filters: &Filters) -> (Catalog, Vec<Issue>) {
    let mut sorted: Vec<_> = listings.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| (a.order, &a.name).cmp(&(b.order, &b.name)));
    let mut grouping = Grouping {
        tally: Tally::new(filters),
        channels: Vec::new(),
        places: HashMap::new(),
        issues: Vec::new(),
    };
    let sources = (0u32..)
        .zip(sorted)
        .map(|(index, (rules, listing))| grouping.add(index, rules, listing))
        .collect();
    let mut issues = grouping.issues;
    issues.extend(grouping.tally.into_issues());
    (Catalog::new(grouping.channels, sources), issues)
}

struct Grouping<'a> {
    tally: Tally<'a>,
    channels: Vec<Channel>,
    places: HashMap<(Kind, &'a str), usize>,
    issues: Vec<Issue>,
}

impl<'a> Grouping<'a> {
    fn add(&mut self, source: u32, rules: &SourceRules, listing: &'a Listing) -> SourceCount {
        let (mut kept, mut unnamed) = (0, 0);
        for (place, entry) in (0u32..).zip(listing.entries.iter()) {
            if entry.name().is_empty() {
                unnamed += 1;
            } else if self.tally.admits(entry) {
                kept += 1;
                let id = StreamId::of_entry(&rules.name, entry);
                self.place(
                    StreamEntry {
                        id,
                        source,
                        place,
                        entries: Arc::clone(&listing.entries),
                    },
                    entry.name(),
                    rules,
                );
            }
        }
        if unnamed > 0 {
            self.issues.push(Issue::Unnamed {
                source: rules.name.clone(),
                entries: unnamed,
            });
        }
        let (name, listed) = (rules.name.clone(), listing.entries.len());
        SourceCount {
            name,
            listed,
            kept,
            malformed: listing.malformed,
        }
    }

    fn place(&mut self, stream: StreamEntry, name: &'a str, rules: &SourceRules) {
        let place = *self
            .places
            .entry((stream.kind(), name))
            .or_insert(self.channels.len());
        match self.channels.get_mut(place) {
            Some(channel) => channel.backups.push(stream),
            None => self.channels.push(Channel {
                id: ChannelId::of_name(name),
                display_name: [&rules.prefix, name, &rules.suffix].concat().into(),
                primary: stream,
                backups: Vec::new(),
            }),
        }
    }
}
