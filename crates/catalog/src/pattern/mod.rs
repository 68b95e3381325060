//! The operator's patterns: Python `re` syntax, searched anywhere in the text, case ignored.
//!
//! They compile where CPython 3.11's compile, are refused at the same place where not, and find the same, except that
//! - look-behind may be of any width;
//! - `\N{NAME}` and lone surrogates are refused;
//! - a set in ASCII mode, such as `(?a)[a-z]`, still takes `ſ` and the Kelvin sign for `s` and `k`;
//! - `\B` is in the empty text, as in Python 3.14;
//! - there are bounds on length, nesting, repeats and memory.

mod class;
mod set;
mod template;
mod translate;

use std::{
    fmt,
    sync::{Arc, LazyLock, OnceLock},
};

use fancy_regex::{Regex, RegexBuilder};

use translate::{Edges, Translation};

pub(crate) use set::{PatternSet, Possible};
pub use template::{EXPANDED_BYTES_MAX, Template};

/// Steps of back-tracking one search may take before it gives up, which takes a few milliseconds. Patterns without
/// look-around and back-references do not backtrack at all.
pub const BACKTRACK_STEPS_MAX: usize = 100_000;

/// Bytes a compiled automaton may take. `[\w\s]{2,50}` takes more than one MiB, as letters of all scripts are many; a
/// bomb such as `\w{5000}` is refused in a tenth of a second.
pub const COMPILED_BYTES_MAX: usize = 8 << 20;

/// Matches replaced in one text; what comes behind them stays.
pub const REPLACEMENTS_MAX: usize = 256;

/// A compiled pattern; a clone shares the automaton.
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

struct Compiled {
    source: Box<str>,
    /// With the engine's own `$` and `\b`: linear time, and exact but for the texts below.
    native: Regex,
    /// `native` is wrong for texts that end in a line feed.
    has_end: bool,
    /// `native` is wrong for texts with a character of [`odd_words`].
    has_word_edge: bool,
    /// With look-around for `$` and `\b`; compiled when the first such text turns up. `None` if it cannot be.
    exact: OnceLock<Option<Regex>>,
    /// The names of the groups, by number - 1.
    groups: Vec<Option<Box<str>>>,
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
        let Translation {
            regex,
            has_end,
            has_word_edge,
            groups,
        } = translate::translate(source, Edges::Native)?;
        let native = engine(&regex).map_err(|error| PatternError {
            message: in_words(&error),
            offset: None,
        })?;
        let (source, exact) = (source.into(), OnceLock::new());
        Ok(Self(Arc::new(Compiled {
            source,
            native,
            has_end,
            has_word_edge,
            exact,
            groups,
        })))
    }

    /// Whether the pattern matches anywhere in `text`.
    ///
    /// # Errors
    /// [`LimitExceeded`] for a search that back-tracks without end; count it as no match and say so once.
    pub fn search(&self, text: &str) -> Result<bool, LimitExceeded> {
        self.regex_for(text)?.is_match(text).map_err(|_| LimitExceeded)
    }

    /// What the groups took in the first match in `text`, the whole match first; `None` without a match.
    ///
    /// # Errors
    /// As [`Pattern::search`].
    pub fn captures<'t>(&self, text: &'t str) -> Result<Option<Captures<'t>>, LimitExceeded> {
        self.captures_from(text, 0)
    }

    fn captures_from<'t>(&self, text: &'t str, from: usize) -> Result<Option<Captures<'t>>, LimitExceeded> {
        let regex = self.regex_for(text)?;
        let found = regex.captures_from_pos(text, from).map_err(|_| LimitExceeded)?;
        Ok(found.map(|found| Captures {
            spans: found
                .iter()
                .map(|group| group.map(|group| (group.start(), group.end())))
                .collect(),
            text,
        }))
    }

    /// `text` with `template` in place of every match, as Python's `re.sub` does it.
    ///
    /// # Errors
    /// As [`Pattern::search`].
    pub fn replace_all(&self, text: &str, template: &Template) -> Result<String, LimitExceeded> {
        let (mut out, mut from, mut copied) = (String::with_capacity(text.len()), 0, 0);
        let mut empty_at = None;
        for _ in 0..REPLACEMENTS_MAX {
            let Some(found) = self.captures_from(text, from)? else {
                break;
            };
            let (start, end) = found.span(0).unwrap_or((text.len(), text.len()));
            // An empty match where an empty one ended already is none.
            if start == end && empty_at == Some(start) {
                let Some(next) = text.get(start..).and_then(|rest| rest.chars().next()) else {
                    break;
                };
                from = start + next.len_utf8();
                empty_at = None;
                continue;
            }
            out.push_str(text.get(copied..start).unwrap_or(""));
            template.expand_into(&found, &mut out);
            copied = end;
            from = end;
            empty_at = (start == end).then_some(end);
            if out.len() > EXPANDED_BYTES_MAX {
                break;
            }
        }
        out.push_str(text.get(copied..).unwrap_or(""));
        out.truncate(out.floor_char_boundary(EXPANDED_BYTES_MAX));
        Ok(out)
    }

    fn regex_for(&self, text: &str) -> Result<&Regex, LimitExceeded> {
        if self.0.is_exact_for(text) {
            Ok(&self.0.native)
        } else {
            self.0.exact().ok_or(LimitExceeded)
        }
    }

    /// The number of the group called `name`.
    pub fn group_named(&self, name: &str) -> Option<usize> {
        let place = self
            .0
            .groups
            .iter()
            .position(|group| group.as_deref() == Some(name))?;
        Some(place + 1)
    }

    /// How many groups there are, without the whole match.
    pub fn group_count(&self) -> usize {
        self.0.groups.len()
    }

    /// The pattern as the operator wrote it.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }
}

/// What the groups of a pattern took of a text.
#[derive(Debug, Clone)]
pub struct Captures<'t> {
    text: &'t str,
    spans: Vec<Option<(usize, usize)>>,
}

impl<'t> Captures<'t> {
    /// What group `number` took; 0 is the whole match. `None` where it took no part.
    pub fn get(&self, number: usize) -> Option<&'t str> {
        let (start, end) = self.span(number)?;
        self.text.get(start..end)
    }

    fn span(&self, number: usize) -> Option<(usize, usize)> {
        self.spans.get(number).copied().flatten()
    }
}

impl Compiled {
    fn is_exact_for(&self, text: &str) -> bool {
        let ends_oddly = self.has_end && text.ends_with('\n');
        let has_odd_words = || self.has_word_edge && !text.is_ascii() && odd_words(text);
        !ends_oddly && !has_odd_words()
    }

    fn exact(&self) -> Option<&Regex> {
        let compile = || engine(&translate::translate(&self.source, Edges::Exact).ok()?.regex).ok();
        self.exact.get_or_init(compile).as_ref()
    }
}

fn engine(regex: &str) -> Result<Regex, fancy_regex::Error> {
    RegexBuilder::new(regex)
        .case_insensitive(true)
        .backtrack_limit(BACKTRACK_STEPS_MAX)
        .delegate_size_limit(COMPILED_BYTES_MAX)
        .build()
}

/// Whether the engine and Python disagree on what in `text` belongs to a word.
fn odd_words(text: &str) -> bool {
    static ODD: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(&format!(r"[\w~~[{}]]", translate::WORD)).ok());
    ODD.as_ref().is_none_or(|odd| odd.is_match(text).unwrap_or(true))
}

fn in_words(error: &fancy_regex::Error) -> String {
    // The engine's words are about the translated pattern, whose places and details mean nothing to the operator.
    match error {
        fancy_regex::Error::CompileError(_) => {
            format!("the pattern is too big, or of a kind that is not supported ({error})")
        }
        _ => format!("the pattern is not supported ({error})"),
    }
}

/// Equal when written alike.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.as_str())
    }
}
