//! Which entries of a listing are wanted.

use crate::{
    build::Issue,
    listing::Entry,
    pattern::{LimitExceeded, Pattern, PatternSet, Possible},
    secret::StreamUrl,
};

/// The operator's rules. Names are matched as the source gives them, before prefix and suffix; streams are matched
/// by their whole URL.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    /// Where there are any, one must match the name.
    pub include_name: Vec<Pattern>,
    /// Where there are any, one must match the URL.
    pub include_stream: Vec<Pattern>,
    /// None may match the name.
    pub exclude_name: Vec<Pattern>,
    /// None may match the URL.
    pub exclude_stream: Vec<Pattern>,
}

/// Searches a pattern may give up before it is left out of the rest of one build: at a few milliseconds each, a
/// hopeless pattern costs well under a second.
pub const GIVE_UPS_MAX: u64 = 100;

/// [`Filters`] at work on one build: counts the searches that were given up.
#[derive(Debug)]
pub struct Tally<'a> {
    exclude_name: Rules<'a>,
    exclude_stream: Rules<'a>,
    include_name: Rules<'a>,
    include_stream: Rules<'a>,
}

/// The patterns of one list, each with how often its search was given up.
#[derive(Debug)]
struct Rules<'a> {
    patterns: &'a [Pattern],
    give_ups: Vec<u64>,
    set: PatternSet,
    possible: Possible,
}

/// What the filters say of an entry; patterns by their place in their list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is wanted.
    Admitted,
    /// `exclude_name` has a pattern that matches.
    ExcludedByName(usize),
    /// `exclude_stream` has.
    ExcludedByStream(usize),
    /// None of `include_name` matches.
    NotIncludedByName,
    /// None of `include_stream` matches.
    NotIncludedByStream,
}

impl<'a> Tally<'a> {
    /// Begins a build.
    pub fn new(filters: &'a Filters) -> Self {
        Self {
            exclude_name: Rules::new(&filters.exclude_name),
            exclude_stream: Rules::new(&filters.exclude_stream),
            include_name: Rules::new(&filters.include_name),
            include_stream: Rules::new(&filters.include_stream),
        }
    }

    /// Whether the rules let `entry` through: excludes first, then each kind of include there is.
    pub fn admits(&mut self, entry: Entry<'_>) -> bool {
        self.verdict(entry) == Verdict::Admitted
    }

    /// As [`Self::admits`], with the reason.
    pub fn verdict(&mut self, entry: Entry<'_>) -> Verdict {
        let name = entry.name();
        if let Some(pattern) = self.exclude_name.first(name) {
            return Verdict::ExcludedByName(pattern);
        }
        // An address is put together only where somebody asks for it.
        let url = if self.exclude_stream.is_empty() && self.include_stream.is_empty() {
            StreamUrl::default()
        } else {
            entry.url()
        };
        let stream = url.expose();
        if let Some(pattern) = self.exclude_stream.first(stream) {
            return Verdict::ExcludedByStream(pattern);
        }
        if !self.include_name.is_empty() && self.include_name.first(name).is_none() {
            return Verdict::NotIncludedByName;
        }
        if !self.include_stream.is_empty() && self.include_stream.first(stream).is_none() {
            return Verdict::NotIncludedByStream;
        }
        Verdict::Admitted
    }

    /// Ends a build: what the operator should know of the patterns.
    pub fn into_issues(self) -> impl Iterator<Item = Issue> {
        let rules = [
            self.exclude_name,
            self.exclude_stream,
            self.include_name,
            self.include_stream,
        ];
        rules
            .into_iter()
            .flat_map(|rules| rules.patterns.iter().zip(rules.give_ups))
            .filter(|(_, give_ups)| *give_ups > 0)
            .map(|(pattern, give_ups)| Issue::PatternLimit {
                pattern: pattern.as_str().into(),
                searches: give_ups,
                disabled: give_ups >= GIVE_UPS_MAX,
            })
    }
}

impl<'a> Rules<'a> {
    fn new(patterns: &'a [Pattern]) -> Self {
        let set = PatternSet::new(patterns.to_vec());
        Self {
            patterns,
            give_ups: vec![0; patterns.len()],
            possible: Possible::default(),
            set,
        }
    }

    fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The place of the first pattern that matches.
    fn first(&mut self, text: &str) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        self.set.possible(text, &mut self.possible);
        let (set, give_ups) = (&self.set, &mut self.give_ups);
        self.possible.places().find(|&place| {
            let Some(given) = give_ups.get_mut(place).filter(|given| **given < GIVE_UPS_MAX) else {
                return false;
            };
            set.matches(place, text).unwrap_or_else(|LimitExceeded| {
                *given += 1;
                false
            })
        })
    }
}
