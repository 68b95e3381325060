//! Applies the rules to one entry after the other.
//!
//! Whatever the number of rules, one pass over each of an entry's texts says which of them can be about it; only
//! those are looked at. What back-tracks is searched on its own, and given up after a bounded number of steps.

use std::collections::HashMap;

use super::{ChannelRules, EVENT_CHANNEL, EVENT_TITLE, RULES_MAX, Rule, State, When};
use crate::{
    build::Issue,
    channel::StreamEntry,
    filter::{GIVE_UPS_MAX, Verdict},
    listing::{Entry, SourceName},
    pattern::{Captures, LimitExceeded, Pattern, PatternSet, Possible, Template},
    secret::StreamUrl,
};

const WORDS: usize = RULES_MAX.div_ceil(64);

/// One bit a rule.
type Bits = [u64; WORDS];

/// Texts of one field whose answer is remembered: groups and sources are few.
const REMEMBERED_MAX: usize = 4096;

/// Who watches a build; nobody does but a preview.
pub(crate) trait Observer {
    /// Whether [`Self::applied`] is to be called.
    const IS_WATCHING: bool;

    /// From here on it is about this entry.
    fn begins(&mut self, _source: &SourceName, _entry: Entry<'_>) {}

    /// The filters left it out.
    fn filtered(&mut self, _verdict: Verdict) {}

    /// It is a heading, and left out.
    fn separator(&mut self) {}

    /// Rule `rule` was about the entry and made `after` of `before`.
    fn applied(&mut self, _rule: usize, _before: &State<'_>, _after: &State<'_>) {}

    /// All entries went through; searches given up by rule.
    fn finished(&mut self, _give_ups: &[u64]) {}

    /// What the streams of a channel were joined by; called for every one.
    fn joined(&mut self, _stream: &StreamEntry, _key: &str) {}
}

/// Nobody.
pub(crate) struct Nobody;

impl Observer for Nobody {
    const IS_WATCHING: bool = false;
}

/// The rules at work.
pub(crate) struct Engine<'r> {
    rules: &'r [Rule],
    name: Field,
    group: Field,
    tvg_id: Field,
    url: Field,
    source: Field,
    /// Searches given up, by rule.
    give_ups: Vec<u64>,
}

impl<'r> Engine<'r> {
    pub(crate) fn new(rules: &'r ChannelRules) -> Self {
        let rules = rules.rules.get(..RULES_MAX).unwrap_or(&rules.rules);
        Self {
            rules,
            name: Field::new(rules, |when| when.name.as_ref()),
            group: Field::new(rules, |when| when.group.as_ref()),
            tvg_id: Field::new(rules, |when| when.tvg_id.as_ref()),
            url: Field::new(rules, |when| when.url.as_ref()),
            source: Field::new(rules, |when| when.source.as_ref()),
            give_ups: vec![0; rules.len()],
        }
    }

    /// What the rules make of `entry`.
    pub(crate) fn apply<'e, O: Observer>(
        &mut self,
        source: &SourceName,
        entry: Entry<'e>,
        observer: &mut O,
    ) -> State<'e> {
        let mut state = State::of(entry);
        if self.rules.is_empty() {
            return state;
        }
        // An address is put together only where somebody asks for it.
        let url = if self.url.rules.is_empty() {
            StreamUrl::default()
        } else {
            entry.url()
        };
        let of_entry = and(
            self.url.possible(url.expose()),
            self.source.remembered(source.as_str()),
        );
        let mut possible = and(of_entry, self.of_state(&state));
        let mut from = 0;
        while let Some(index) = next_bit(&possible, from) {
            from = index + 1;
            let Some(rule) = self.rules.get(index) else { break };
            if !self.is_about(index, source, &url, &state) {
                continue;
            }
            let before = O::IS_WATCHING.then(|| state.clone());
            let is_changed = self.act(index, rule, source, &mut state);
            if let Some(before) = before {
                observer.applied(index, &before, &state);
            }
            if state.is_dropped {
                break;
            }
            if is_changed {
                possible = and(of_entry, self.of_state(&state));
            }
        }
        state
    }

    fn of_state(&mut self, state: &State<'_>) -> Bits {
        and(
            self.name.possible(&state.name),
            and(
                self.group.remembered(&state.group),
                self.tvg_id.possible(&state.tvg_id),
            ),
        )
    }

    /// Whether every pattern of the rule matches; a search that is given up counts as no match.
    fn is_about(&mut self, index: usize, source: &SourceName, url: &StreamUrl, state: &State<'_>) -> bool {
        let fields = [
            (&self.source, source.as_str()),
            (&self.group, &*state.group),
            (&self.tvg_id, &*state.tvg_id),
            (&self.name, &*state.name),
            (&self.url, url.expose()),
        ];
        let mut gave_up = false;
        let is_about = self
            .give_ups
            .get(index)
            .is_some_and(|given| *given < GIVE_UPS_MAX)
            && fields.iter().all(|(field, text)| {
                field.matches(index, text).unwrap_or_else(|LimitExceeded| {
                    gave_up = true;
                    false
                })
            });
        if gave_up {
            self.give_up(index);
        }
        is_about
    }

    fn give_up(&mut self, index: usize) {
        if let Some(given) = self.give_ups.get_mut(index) {
            *given += 1;
        }
    }

    /// Does what the rule says; whether a text that rules look at has changed.
    fn act(&mut self, index: usize, rule: &Rule, source: &SourceName, state: &mut State<'_>) -> bool {
        let then = &rule.then;
        if then.drop {
            state.is_dropped = true;
            return false;
        }
        let Ok(made) = Made::of(rule, source, state) else {
            self.give_up(index);
            return false;
        };
        state.is_hidden |= then.hide;
        state.is_pinned |= then.pin;
        state.is_apart |= then.keep_apart;
        let is_changed = made.name.is_some() || made.group.is_some() || made.tvg_id.is_some();
        made.put_into(state);
        is_changed
    }

    /// What the operator should know of the patterns.
    pub(crate) fn issues(&self) -> impl Iterator<Item = Issue> {
        self.rules
            .iter()
            .zip(&self.give_ups)
            .filter(|(_, give_ups)| **give_ups > 0)
            .map(|(rule, give_ups)| Issue::PatternLimit {
                pattern: first_pattern(&rule.when).into(),
                searches: *give_ups,
                disabled: *give_ups >= GIVE_UPS_MAX,
            })
    }

    /// Searches given up for each rule.
    pub(crate) fn give_ups(&self) -> &[u64] {
        &self.give_ups
    }
}

fn first_pattern(when: &When) -> &str {
    let pattern = when.captured().or(when.url.as_ref());
    pattern.map_or("", Pattern::as_str)
}

/// The texts a rule makes; nothing is changed before all of them are known.
#[derive(Default)]
struct Made {
    name: Option<String>,
    is_named: bool,
    group: Option<String>,
    tvg_id: Option<String>,
    number: Option<String>,
    merge: Option<String>,
    event: Option<String>,
}

impl Made {
    fn of(rule: &Rule, source: &SourceName, state: &State<'_>) -> Result<Self, LimitExceeded> {
        let (when, then) = (&rule.when, &rule.then);
        let text: &str = match () {
            () if when.name.is_some() => &state.name,
            () if when.group.is_some() => &state.group,
            () if when.tvg_id.is_some() => &state.tvg_id,
            () => source.as_str(),
        };
        let templates = [&then.rename, &then.group, &then.tvg_id, &then.number, &then.merge];
        let captures = match when.captured() {
            Some(pattern) if then.split_event || templates.iter().any(|template| template.is_some()) => {
                pattern.captures(text)?
            }
            _ => None,
        };
        let expand = |template: &Option<Template>| {
            template
                .as_ref()
                .map(|template| template.expand(captures.as_ref()).trim().to_owned())
        };
        let mut made = Self {
            name: expand(&then.rename),
            is_named: then.rename.is_some(),
            group: expand(&then.group),
            tvg_id: expand(&then.tvg_id),
            number: expand(&then.number),
            merge: expand(&then.merge),
            event: None,
        };
        if let (Some(template), Some(pattern), None) = (&then.replace, &when.name, &made.name) {
            made.name = Some(pattern.replace_all(&state.name, template)?.trim().to_owned());
        }
        if let (true, Some(pattern), Some(captures)) = (then.split_event, &when.name, &captures) {
            made.split(pattern, captures);
        }
        // A channel has a name.
        made.name = made.name.filter(|name| !name.is_empty());
        Ok(made)
    }

    fn split(&mut self, pattern: &Pattern, captures: &Captures<'_>) {
        let group = |name| captures.get(pattern.group_named(name)?);
        if let Some(channel) = group(EVENT_CHANNEL)
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            self.name = Some(channel.to_owned());
            self.is_named = true;
            self.event = Some(group(EVENT_TITLE).unwrap_or("").trim().to_owned());
        }
    }

    fn put_into(self, state: &mut State<'_>) {
        if let Some(name) = self.name {
            state.name = name.into();
            state.is_named |= self.is_named;
        }
        if let Some(group) = self.group {
            state.group = group.into();
        }
        if let Some(tvg_id) = self.tvg_id {
            state.tvg_id = tvg_id.into();
        }
        state.number = self
            .number
            .and_then(|number| number.parse().ok())
            .or(state.number);
        let merge = self.merge.filter(|name| !name.is_empty()).map(Box::from);
        state.merge = merge.or(state.merge.take());
        state.event = self.event.map(Box::from).or(state.event.take());
    }
}

/// The patterns of one field of all rules.
struct Field {
    set: PatternSet,
    found: Possible,
    /// The rule of each pattern of the set.
    rules: Vec<usize>,
    /// The pattern of each rule.
    places: Vec<Option<usize>>,
    /// Rules that say nothing of the field.
    silent: Bits,
    remembered: HashMap<Box<str>, Bits>,
}

impl Field {
    fn new(rules: &[Rule], pattern: impl Fn(&When) -> Option<&Pattern>) -> Self {
        let (mut patterns, mut of_rules, mut places, mut silent) =
            (Vec::new(), Vec::new(), Vec::new(), [0; WORDS]);
        for (index, rule) in rules.iter().enumerate() {
            if let Some(pattern) = pattern(&rule.when) {
                places.push(Some(patterns.len()));
                patterns.push(pattern.clone());
                of_rules.push(index);
            } else {
                places.push(None);
                set_bit(&mut silent, index);
            }
        }
        let set = PatternSet::new(patterns);
        Self {
            found: Possible::default(),
            set,
            rules: of_rules,
            places,
            silent,
            remembered: HashMap::new(),
        }
    }

    /// The rules that can be about an entry with `text` in this field.
    fn possible(&mut self, text: &str) -> Bits {
        let mut bits = self.silent;
        if !self.rules.is_empty() {
            self.set.possible(text, &mut self.found);
            for place in self.found.places() {
                if let Some(rule) = self.rules.get(place) {
                    set_bit(&mut bits, *rule);
                }
            }
        }
        bits
    }

    fn remembered(&mut self, text: &str) -> Bits {
        if self.rules.is_empty() {
            return self.silent;
        }
        if let Some(bits) = self.remembered.get(text) {
            return *bits;
        }
        let bits = self.possible(text);
        if self.remembered.len() < REMEMBERED_MAX {
            self.remembered.insert(text.into(), bits);
        }
        bits
    }

    /// Whether the pattern of `rule`, if it has one, matches; `text` was found possible.
    fn matches(&self, rule: usize, text: &str) -> Result<bool, LimitExceeded> {
        match self.places.get(rule).copied().flatten() {
            Some(place) => self.set.matches(place, text),
            None => Ok(true),
        }
    }
}

fn and(mut a: Bits, b: Bits) -> Bits {
    for (a, b) in a.iter_mut().zip(b) {
        *a &= b;
    }
    a
}

fn set_bit(bits: &mut Bits, index: usize) {
    if let Some(word) = bits.get_mut(index / 64) {
        *word |= 1 << (index % 64);
    }
}

/// The first bit set from `from` on.
fn next_bit(bits: &Bits, from: usize) -> Option<usize> {
    let (start, mut mask) = (from / 64, u64::MAX << (from % 64));
    for (place, word) in bits.iter().enumerate().skip(start) {
        let rest = word & mask;
        if rest != 0 {
            return Some(place * 64 + rest.trailing_zeros() as usize);
        }
        mask = u64::MAX;
    }
    None
}
