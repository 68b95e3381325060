//! Many patterns at once: one pass over a text says which of them can match, whatever their number.
//!
//! Nearly every pattern needs some letters in a row, such as "sky sports" in `^UK.*sky sports \d`. All these are
//! looked for together; only patterns whose letters are there, or that need none, are searched. That also spares most
//! of the searches that back-track. One automaton of all whole patterns would be simpler, and is slower than searching
//! them one by one: with so many `.*` it has more states than it can keep.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

use super::{LimitExceeded, Pattern, translate};

/// Alternatives of which one must be there; with more, a pattern counts as needing none.
const NEEDLES_MAX: usize = 64;

/// Fewer patterns are searched one by one.
const SET_MIN: usize = 4;

/// Patterns of one field, by their places in the list given.
#[derive(Debug)]
pub(crate) struct PatternSet {
    patterns: Vec<Pattern>,
    /// `None`: all patterns are searched.
    needles: Option<Needles>,
}

#[derive(Debug)]
struct Needles {
    automaton: AhoCorasick,
    /// The pattern each needle is of.
    of: Vec<usize>,
    /// Patterns without a needle.
    always: Vec<usize>,
}

/// Which patterns are possible; room that is used again and again.
#[derive(Debug, Default)]
pub(crate) struct Possible {
    is_possible: Vec<bool>,
    folded: String,
}

impl PatternSet {
    pub(crate) fn new(patterns: Vec<Pattern>) -> Self {
        let needles = (patterns.len() >= SET_MIN)
            .then(|| Needles::of(&patterns))
            .flatten();
        Self { patterns, needles }
    }

    /// Puts into `possible` what may match `text`: no less than what does.
    pub(crate) fn possible(&self, text: &str, possible: &mut Possible) {
        let Possible { is_possible, folded } = possible;
        is_possible.clear();
        is_possible.resize(self.patterns.len(), self.needles.is_none());
        let Some(needles) = &self.needles else { return };
        let mut set = |place: usize| {
            if let Some(is_possible) = is_possible.get_mut(place) {
                *is_possible = true;
            }
        };
        needles.always.iter().copied().for_each(&mut set);
        fold_into(text, folded);
        for found in needles.automaton.find_overlapping_iter(folded.as_str()) {
            if let Some(place) = needles.of.get(found.pattern().as_usize()) {
                set(*place);
            }
        }
    }

    /// Whether the pattern at `place` matches `text`.
    pub(crate) fn matches(&self, place: usize, text: &str) -> Result<bool, LimitExceeded> {
        self.patterns
            .get(place)
            .map_or(Ok(false), |pattern| pattern.search(text))
    }
}

impl Possible {
    /// The places of the patterns, in order.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        let all = self.is_possible.iter().enumerate();
        all.filter(|(_, is_possible)| **is_possible)
            .map(|(place, _)| place)
    }
}

impl Needles {
    fn of(patterns: &[Pattern]) -> Option<Self> {
        let (mut texts, mut of, mut always) = (Vec::new(), Vec::new(), Vec::new());
        for (place, pattern) in patterns.iter().enumerate() {
            match needles(&pattern.0.source) {
                Some(needles) => {
                    of.extend(needles.iter().map(|_| place));
                    texts.extend(needles);
                }
                None => always.push(place),
            }
        }
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .build(&texts)
            .ok()?;
        Some(Self {
            automaton,
            of,
            always,
        })
    }
}

/// Letters in a row of which one at least is in every text that the pattern matches; `None` where there are none.
fn needles(source: &str) -> Option<Vec<String>> {
    let loose = translate::translate(source, translate::Edges::Loose).ok()?;
    let hir = ParserBuilder::new()
        .case_insensitive(true)
        .build()
        .parse(&loose.regex)
        .ok()?;
    needed(&hir)
        .filter(|needles| needles.len() <= NEEDLES_MAX && needles.iter().all(|needle| !needle.is_empty()))
}

fn needed(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => None,
        HirKind::Literal(literal) => Some(vec![fold(str::from_utf8(&literal.0).ok()?)]),
        HirKind::Class(class) => Some(vec![only_char(class)?.to_string()]),
        HirKind::Repetition(repetition) => (repetition.min > 0).then(|| needed(&repetition.sub)).flatten(),
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(needed(branch)?);
                if all.len() > NEEDLES_MAX {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Concat(parts) => needed_of(parts),
    }
}

/// Of a sequence, the part whose shortest needle is longest; letters that follow each other are one.
fn needed_of(parts: &[Hir]) -> Option<Vec<String>> {
    let mut best: Option<Vec<String>> = None;
    let mut run = String::new();
    let mut offer = |needles: Vec<String>| {
        let shortest = |needles: &[String]| needles.iter().map(String::len).min().unwrap_or(0);
        if best
            .as_deref()
            .is_none_or(|best| shortest(&needles) > shortest(best))
        {
            best = Some(needles);
        }
    };
    for part in parts {
        match part.kind() {
            HirKind::Look(_) | HirKind::Empty => {}
            HirKind::Literal(literal) if str::from_utf8(&literal.0).is_ok() => {
                run.push_str(&fold(str::from_utf8(&literal.0).unwrap_or("")));
            }
            HirKind::Class(class) if only_char(class).is_some() => run.extend(only_char(class)),
            _ => {
                if !run.is_empty() {
                    offer(vec![std::mem::take(&mut run)]);
                }
                if let Some(needles) = needed(part) {
                    offer(needles);
                }
            }
        }
    }
    if !run.is_empty() {
        offer(vec![run]);
    }
    best
}

/// The one letter that all members of a class are forms of.
fn only_char(class: &Class) -> Option<char> {
    /// More forms than any letter has.
    const FORMS_MAX: u32 = 8;
    let Class::Unicode(class) = class else { return None };
    let members: u32 = class
        .ranges()
        .iter()
        .map(|range| (u32::from(range.end()) - u32::from(range.start())).saturating_add(1))
        .fold(0, u32::saturating_add);
    if members == 0 || members > FORMS_MAX {
        return None;
    }
    let mut forms = class
        .ranges()
        .iter()
        .flat_map(|range| range.start()..=range.end())
        .map(fold_char);
    let first = forms.next()?;
    forms.all(|form| form == first).then_some(first)
}

fn fold(text: &str) -> String {
    text.chars().map(fold_char).collect()
}

fn fold_into(text: &str, folded: &mut String) {
    folded.clear();
    if text.is_ascii() {
        folded.push_str(text);
        folded.make_ascii_lowercase();
    } else {
        folded.extend(text.chars().map(fold_char));
    }
}

/// One and the same for all letters that differ in case only, by Unicode's simple case folding and Python's own idea
/// of `i`.
fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    match c {
        '\u{130}' | '\u{131}' => return 'i',
        // Pairs without a common capital of one character.
        '\u{1fd3}' => return '\u{390}',
        '\u{1fe3}' => return '\u{3b0}',
        '\u{fb05}' => return '\u{fb06}',
        _ => {}
    }
    let one = |mut letters: &mut dyn Iterator<Item = char>| {
        let first = (&mut letters).next();
        first.filter(|_| letters.next().is_none())
    };
    let upper = one(&mut c.to_uppercase()).unwrap_or(c);
    one(&mut upper.to_lowercase()).unwrap_or(upper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    /// Whatever the engine takes for one letter is one here, or a pattern would be left out that matches.
    #[test]
    fn letters_fold_as_the_engine_folds_them() {
        for c in '\0'..=char::MAX {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            if c.is_ascii_digit() || class.try_case_fold_simple().is_err() {
                continue;
            }
            for form in class
                .ranges()
                .iter()
                .flat_map(|range| range.start()..=range.end())
            {
                assert_eq!(fold_char(form), fold_char(c), "{c:?} and {form:?}");
            }
        }
    }

    #[test]
    fn needles_are_the_letters_a_pattern_cannot_do_without() {
        let table: &[(&str, Option<&[&str]>)] = &[
            ("Sky Sports", Some(&["sky sports"])),
            (r"^UK.*sky sports \d", Some(&["sky sports "])),
            (r"^(UK|US)[:|].*\b(FHD|UHD)\b", Some(&["fhd", "uhd"])),
            (r"(?<!not )itv(?! \+1)", Some(&["itv"])),
            (r"^(?!.*backup).*hd", Some(&["hd"])),
            ("SİNEMA", Some(&["sinema"])),
            ("a+", Some(&["a"])),
            ("(hd)?", None),
            ("hd|", None),
            (".*", None),
            (r"\d{2}", None),
            ("", None),
        ];
        for (pattern, expected) in table {
            let found = needles(pattern);
            let found = found
                .as_ref()
                .map(|found| found.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), *expected, "{pattern}");
        }
    }
}
