//! The operator's patterns: Python `re` syntax, searched anywhere in the text, case ignored.

use std::{fmt, sync::Arc};

/// Steps of back-tracking one search may take before it gives up, which takes a few milliseconds. Patterns without
/// look-around and back-references do not backtrack at all.
pub const BACKTRACK_STEPS_MAX: usize = 100_000;

/// Bytes a compiled automaton may take: a bomb such as `\w{5000}` is refused in a few milliseconds.
pub const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A compiled pattern; a clone shares the automaton.
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

struct Compiled {
    source: Box<str>,
    regex: fancy_regex::Regex,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// What is wrong, in words for the operator.
    pub message: String,
    /// Where in the pattern, in bytes from its start, if known.
    pub offset: Option<usize>,
}

/// The search took more than [`BACKTRACK_STEPS_MAX`] steps: the answer is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the search was given up after {BACKTRACK_STEPS_MAX} steps")]
pub struct LimitExceeded;

impl Pattern {
    /// Compiles `source` as Python's `re` would with `IGNORECASE`.
    ///
    /// # Errors
    /// What Python refuses, what takes too much memory, and the few constructs that are not supported.
    pub fn compile(source: &str) -> Result<Self, PatternError> {
        let regex = fancy_regex::RegexBuilder::new(source)
            .case_insensitive(true)
            .backtrack_limit(BACKTRACK_STEPS_MAX)
            .delegate_size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| PatternError {
                message: error.to_string(),
                offset: None,
            })?;
        Ok(Self(Arc::new(Compiled {
            source: source.into(),
            regex,
        })))
    }

    /// Whether the pattern matches anywhere in `text`.
    ///
    /// # Errors
    /// [`LimitExceeded`] for a search that back-tracks without end; count it as no match and say so once.
    pub fn search(&self, text: &str) -> Result<bool, LimitExceeded> {
        self.0.regex.is_match(text).map_err(|_| LimitExceeded)
    }

    /// The pattern as the operator wrote it.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.as_str())
    }
}
