//! Grouping: from what each source lists to what viewers can pick.

use std::{collections::HashMap, fmt};

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

/// Joins `listings` into channels.
pub fn build(listings: &[(SourceRules, &Listing)], filters: &Filters) -> (Catalog, Vec<Issue>) {
    let mut sorted: Vec<_> = listings.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| (a.order, &a.name).cmp(&(b.order, &b.name)));
    let mut tally = Tally::new(filters);
    let mut issues = Vec::new();
    let mut channels: Vec<Channel> = Vec::new();
    let mut by_name: HashMap<(Kind, &str), usize> = HashMap::new();
    let mut sources = Vec::new();
    for (index, (rules, listing)) in (0u32..).zip(&sorted) {
        let mut count = SourceCount {
            name: rules.name.clone(),
            listed: listing.entries.len(),
            kept: 0,
            malformed: listing.malformed,
        };
        let mut unnamed = 0;
        for entry in &listing.entries {
            if entry.name().is_empty() {
                unnamed += 1;
                continue;
            }
            if !tally.admits(entry) {
                continue;
            }
            count.kept += 1;
            let stream = StreamEntry {
                id: StreamId::of_entry(&rules.name, entry),
                source: index,
                entry: entry.clone(),
            };
            let place = *by_name
                .entry((entry.kind(), entry.name()))
                .or_insert(channels.len());
            match channels.get_mut(place) {
                Some(channel) => channel.backups.push(stream),
                None => channels.push(Channel {
                    id: ChannelId::of_name(entry.name()),
                    display_name: [&rules.prefix, entry.name(), &rules.suffix].concat().into(),
                    primary: stream,
                    backups: Vec::new(),
                }),
            }
        }
        if unnamed > 0 {
            issues.push(Issue::Unnamed {
                source: rules.name.clone(),
                entries: unnamed,
            });
        }
        sources.push(count);
    }
    issues.extend(tally.into_issues());
    let by_id = (0u32..)
        .zip(&channels)
        .map(|(index, channel)| (channel.id, index))
        .collect();
    (
        Catalog {
            channels,
            by_id,
            sources,
        },
        issues,
    )
}
