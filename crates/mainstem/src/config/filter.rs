//! The keys under `filters:`.

use catalog::{filter::Filters, pattern::Pattern};

use super::section::section;

section! {
    /// Which streams become channels. All patterns are Python regular expressions, searched anywhere, case ignored;
    /// exclude comes before include.
    pub(super) struct FilterKeys {
        /// Where there are any, one must match the stream's name.
        include_name_patterns: Vec<Rule> = Vec::new();
        /// Where there are any, one must match the stream's URL.
        include_stream_patterns: Vec<Rule> = Vec::new();
        /// None may match the stream's name.
        exclude_name_patterns: Vec<Rule> = Vec::new();
        /// None may match the stream's URL.
        exclude_stream_patterns: Vec<Rule> = Vec::new();
    }
}

/// A pattern as the file holds it; equal when written alike.
#[derive(Debug, Clone)]
pub(super) struct Rule(pub(super) Pattern);

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

/// The operator's patterns, compiled; two are equal when they are written alike.
#[derive(Debug, Clone, Default)]
pub struct FilterConfig(Filters);

impl FilterConfig {
    /// What the catalogue applies.
    pub fn filters(&self) -> &Filters {
        &self.0
    }
}

impl PartialEq for FilterConfig {
    fn eq(&self, other: &Self) -> bool {
        let lists = |filters: &Filters| {
            [
                &filters.include_name,
                &filters.include_stream,
                &filters.exclude_name,
                &filters.exclude_stream,
            ]
            .map(|patterns| {
                patterns
                    .iter()
                    .map(|pattern| pattern.as_str().to_owned())
                    .collect::<Vec<_>>()
            })
        };
        lists(&self.0) == lists(&other.0)
    }
}

impl From<FilterKeys> for FilterConfig {
    fn from(keys: FilterKeys) -> Self {
        let patterns = |rules: Vec<Rule>| rules.into_iter().map(|rule| rule.0).collect();
        Self(Filters {
            include_name: patterns(keys.include_name_patterns),
            include_stream: patterns(keys.include_stream_patterns),
            exclude_name: patterns(keys.exclude_name_patterns),
            exclude_stream: patterns(keys.exclude_stream_patterns),
        })
    }
}
