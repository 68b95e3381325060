//! Many patterns at once: one pass over a text says which of them can match, whatever their number.

use regex_automata::{
    Input, MatchKind, PatternID, PatternSet as Found, meta, nfa::thompson::WhichCaptures, util::syntax,
};

use super::{COMPILED_BYTES_MAX, LimitExceeded, Pattern, odd_words, translate};

/// Bytes the automaton of a whole set may take. Past it, its patterns are searched one by one.
const SET_BYTES_MAX: usize = 64 << 20;

/// Fewer patterns are searched one by one, each with its own short cuts.
const AUTOMATON_PATTERNS_MIN: usize = 4;

/// Bytes of states the set keeps while it works.
const CACHE_BYTES_MAX: usize = 32 << 20;

/// Patterns of one field, by their places in the list given.
#[derive(Debug)]
pub(crate) struct PatternSet {
    patterns: Vec<Pattern>,
    /// `None`: the set is too big.
    automaton: Option<meta::Regex>,
}

impl PatternSet {
    pub(crate) fn new(patterns: Vec<Pattern>) -> Self {
        let loose = patterns.iter().map(|pattern| {
            let loose = translate::translate(&pattern.0.source, translate::Edges::Loose);
            loose.map_or_else(|_| String::new(), |loose| loose.regex)
        });
        let loose: Vec<String> = loose.collect();
        let limit = SET_BYTES_MAX.max(COMPILED_BYTES_MAX);
        if loose.len() < AUTOMATON_PATTERNS_MIN {
            return Self {
                patterns,
                automaton: None,
            };
        }
        let automaton = meta::Builder::new()
            .syntax(syntax::Config::new().case_insensitive(true))
            .configure(
                meta::Config::new()
                    .nfa_size_limit(Some(limit))
                    .which_captures(WhichCaptures::Implicit)
                    .hybrid_cache_capacity(CACHE_BYTES_MAX)
                    .match_kind(MatchKind::All),
            )
            .build_many(&loose)
            .ok();
        Self { patterns, automaton }
    }

    /// Room for [`Self::possible`].
    pub(crate) fn found(&self) -> Found {
        Found::new(self.patterns.len())
    }

    /// Puts into `found` what may match `text`: no less than what does.
    pub(crate) fn possible(&self, text: &str, found: &mut Found) {
        found.clear();
        match &self.automaton {
            Some(automaton) if self.answers(text) => {
                automaton.which_overlapping_matches(&Input::new(text), found);
            }
            _ => {
                for (id, _) in self.patterns.iter().enumerate() {
                    if let Ok(id) = PatternID::new(id) {
                        found.insert(id);
                    }
                }
            }
        }
    }

    /// Whether the automaton is asked about `text`: its edges of lines and words are the engine's own.
    fn answers(&self, text: &str) -> bool {
        self.automaton.is_some() && !text.ends_with('\n') && (text.is_ascii() || !odd_words(text))
    }

    /// Whether the pattern at `place`, which is possible, does match `text`.
    pub(crate) fn matches(&self, place: usize, text: &str) -> Result<bool, LimitExceeded> {
        let Some(pattern) = self.patterns.get(place) else {
            return Ok(false);
        };
        // What does not backtrack was answered by the automaton, if that was asked.
        if !pattern.0.backtracks && self.answers(text) {
            return Ok(true);
        }
        pattern.search(text)
    }
}
