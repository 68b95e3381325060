//! Which entries of a listing are wanted.

use crate::{
    build::Issue,
    listing::Entry,
    pattern::{LimitExceeded, Pattern},
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
struct Rules<'a>(Vec<(&'a Pattern, u64)>);

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
        let name = entry.name();
        if self.exclude_name.matches(name) {
            return false;
        }
        // An address is put together only where somebody asks for it.
        let url = if self.exclude_stream.is_empty() && self.include_stream.is_empty() {
            StreamUrl::default()
        } else {
            entry.url()
        };
        let stream = url.expose();
        !self.exclude_stream.matches(stream)
            && (self.include_name.is_empty() || self.include_name.matches(name))
            && (self.include_stream.is_empty() || self.include_stream.matches(stream))
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
            .flat_map(|rules| rules.0)
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
        Self(patterns.iter().map(|pattern| (pattern, 0)).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn matches(&mut self, text: &str) -> bool {
        self.0.iter_mut().any(|(pattern, give_ups)| {
            *give_ups < GIVE_UPS_MAX
                && pattern.search(text).unwrap_or_else(|LimitExceeded| {
                    *give_ups += 1;
                    false
                })
        })
    }
}
