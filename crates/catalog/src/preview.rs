//! What rules would do, told before they do it: per rule what it is about, changes and leaves out, with samples; and
//! why a given entry is where it is.
//!
//! The channels are made as always, by the same build; a recorder watches. Addresses of streams are secrets and
//! stand in no report.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::{
    build::{SourceRules, build_watched},
    channel::{Catalog, Channel, StreamEntry},
    filter::{Filters, Verdict},
    id::{ChannelId, StreamId},
    listing::{Entry, Listing, SourceName},
    memory::Memory,
    pattern::Pattern,
    rules::{ChannelRules, Rule, State, engine::Observer},
};

/// Entries shown of what one rule, filter or join is about.
pub const SAMPLES_MAX: usize = 10;

/// Joined channels shown.
pub const JOINED_MAX: usize = 50;

/// Entries traced for one question.
pub const TRACES_MAX: usize = 20;

/// Names shown of one joined channel.
const NAMES_MAX: usize = 20;

/// What came of the rules.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Report {
    /// Entries in all lists.
    pub entries: u64,
    /// Those that became streams.
    pub streams: u64,
    /// Channels that are listed.
    pub channels: usize,
    /// Channels that are not, though links to them play.
    pub hidden: usize,
    /// Headings left out.
    pub separators: Group,
    /// What filters left out.
    pub filters: Vec<FilterReport>,
    /// One for each rule, in order.
    pub rules: Vec<RuleReport>,
    /// Channels joined from several names, those of most names first.
    pub joined: Vec<JoinedChannel>,
    /// What was odd.
    pub issues: Vec<String>,
    /// The entries asked for.
    pub traces: Vec<Trace>,
}

/// Some entries: how many, and a few of them.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// The first few.
    pub samples: Vec<String>,
}

/// What one filter left out.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct FilterReport {
    /// Its list, as in the configuration.
    pub filter: &'static str,
    /// The pattern that matched; none where a pattern should have and did not.
    pub pattern: Option<String>,
    /// What it left out.
    pub dropped: Group,
}

/// What one rule did.
#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub struct RuleReport {
    /// Its place, from 1 on.
    pub rule: usize,
    /// What it is called.
    pub label: String,
    /// Entries it was about.
    pub matched: u64,
    /// Those it changed.
    pub changed: u64,
    /// Those it left out.
    pub dropped: u64,
    /// Searches given up; each counts as no match.
    pub given_up: u64,
    /// The first few entries it was about.
    pub samples: Vec<Sample>,
}

/// One entry, before and after one rule.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Sample {
    /// Where it is listed.
    pub source: String,
    /// Its name before the rule.
    pub name: String,
    /// What the rule did, in words.
    pub done: Vec<String>,
}

/// A channel of several names.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct JoinedChannel {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The names its streams have in their lists.
    pub names: Vec<String>,
    /// How many streams it has.
    pub streams: usize,
}

/// Why an entry is where it is.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Trace {
    /// Where it is listed.
    pub source: String,
    /// Its name there.
    pub name: String,
    /// What happened to it, in order.
    pub steps: Vec<String>,
    /// The channel it is a stream of.
    pub channel: Option<TracedChannel>,
}

/// The channel an entry came to.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct TracedChannel {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its number.
    pub number: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// What is on.
    pub event: Option<String>,
    /// Its place among the channels, from 1 on; none where it is hidden.
    pub place: Option<usize>,
    /// The entry's place among its streams, from 1 on.
    pub stream: usize,
    /// How many streams it has.
    pub streams: usize,
}

/// Builds as [`build_with`](crate::build_with()) and says what the rules did. `entry` asks for traces: a part of a name,
/// or the id of a channel or stream.
pub fn preview(
    listings: &[(SourceRules, &Listing)],
    filters: &Filters,
    rules: &ChannelRules,
    memory: &mut Memory,
    entry: Option<&str>,
) -> (Catalog, Report) {
    let before = memory.clone();
    let mut recorder = Recorder::new(filters, rules);
    let (catalog, issues) = build_watched(listings, filters, rules, memory, &mut recorder);
    let mut report = recorder.into_report(&catalog);
    report.issues = issues.iter().map(ToString::to_string).collect();
    if let Some(asked) = entry.filter(|asked| !asked.is_empty()) {
        let mut tracer = Tracer::new(asked, &catalog, filters, rules);
        // A second build from the same beginning: only now is it known which entries a channel is made of.
        let mut again = before;
        _ = build_watched(listings, filters, rules, &mut again, &mut tracer);
        report.traces = tracer.into_traces(&catalog);
    }
    (catalog, report)
}

/// Counts what rules do.
struct Recorder<'r> {
    filters: &'r Filters,
    source: String,
    name: String,
    entries: u64,
    separators: Group,
    filtered: HashMap<Verdict, Group>,
    rules: Vec<RuleReport>,
}

impl<'r> Recorder<'r> {
    fn new(filters: &'r Filters, rules: &ChannelRules) -> Self {
        let reports = (1..).zip(&rules.rules).map(|(place, rule)| RuleReport {
            rule: place,
            label: label(rule),
            ..RuleReport::default()
        });
        Self {
            filters,
            source: String::new(),
            name: String::new(),
            entries: 0,
            separators: Group::default(),
            filtered: HashMap::new(),
            rules: reports.collect(),
        }
    }

    fn into_report(self, catalog: &Catalog) -> Report {
        let mut filtered: Vec<_> = self.filtered.into_iter().collect();
        filtered.sort_by_key(|(verdict, _)| order_of(*verdict));
        let filters = self.filters;
        let filtered = filtered.into_iter().map(|(verdict, dropped)| {
            let (filter, pattern) = filter_of(verdict, filters);
            FilterReport {
                filter,
                pattern,
                dropped,
            }
        });
        let streams = catalog.sources().iter().map(|source| source.kept as u64).sum();
        Report {
            entries: self.entries,
            streams,
            channels: catalog.channels().len(),
            hidden: catalog.hidden().len(),
            separators: self.separators,
            filters: filtered.collect(),
            rules: self.rules,
            joined: joined(catalog),
            issues: Vec::new(),
            traces: Vec::new(),
        }
    }
}

impl Observer for Recorder<'_> {
    const IS_WATCHING: bool = true;

    fn begins(&mut self, source: &SourceName, entry: Entry<'_>) {
        self.entries += 1;
        source.as_str().clone_into(&mut self.source);
        entry.name().clone_into(&mut self.name);
    }

    fn filtered(&mut self, verdict: Verdict) {
        self.filtered.entry(verdict).or_default().add(&self.name);
    }

    fn separator(&mut self) {
        self.separators.add(&self.name);
    }

    fn applied(&mut self, rule: usize, before: &State<'_>, after: &State<'_>) {
        let Some(report) = self.rules.get_mut(rule) else {
            return;
        };
        report.matched += 1;
        report.dropped += u64::from(after.is_dropped);
        report.changed += u64::from(!after.is_dropped && before != after);
        if report.samples.len() < SAMPLES_MAX {
            report.samples.push(Sample {
                source: self.source.clone(),
                name: before.name.clone().into_owned(),
                done: done(before, after),
            });
        }
    }

    fn finished(&mut self, give_ups: &[u64]) {
        for (report, given_up) in self.rules.iter_mut().zip(give_ups) {
            report.given_up = *given_up;
        }
    }
}

impl Group {
    fn add(&mut self, name: &str) {
        self.count += 1;
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push(name.to_owned());
        }
    }
}

/// A rule's own name, else what it looks for.
fn label(rule: &Rule) -> String {
    if !rule.label.is_empty() {
        return rule.label.to_string();
    }
    let pattern = rule.when.captured().or(rule.when.url.as_ref());
    pattern.map_or("every entry", Pattern::as_str).to_owned()
}

/// What a rule made of an entry, in words.
fn done(before: &State<'_>, after: &State<'_>) -> Vec<String> {
    if after.is_dropped {
        return vec!["left out".to_owned()];
    }
    let mut done = Vec::new();
    let mut texts = |what: &str, old: &str, new: &str| {
        if old != new {
            done.push(format!("{what} {old:?} becomes {new:?}"));
        }
    };
    texts("name", &before.name, &after.name);
    texts("group", &before.group, &after.group);
    texts("tvg-id", &before.tvg_id, &after.tvg_id);
    if let Some(number) = after.number.filter(|number| before.number != Some(*number)) {
        done.push(format!("number {number}"));
    }
    if let Some(merge) = after
        .merge
        .as_ref()
        .filter(|merge| before.merge.as_ref() != Some(*merge))
    {
        done.push(format!("a stream of {merge:?}"));
    }
    if let Some(event) = after
        .event
        .as_ref()
        .filter(|event| before.event.as_ref() != Some(*event))
    {
        done.push(format!("on now: {event:?}"));
    }
    for (was, is, word) in [
        (before.is_hidden, after.is_hidden, "hidden"),
        (before.is_pinned, after.is_pinned, "first in its channel"),
        (before.is_apart, after.is_apart, "kept apart"),
    ] {
        if is && !was {
            done.push(word.to_owned());
        }
    }
    if done.is_empty() {
        done.push("nothing new".to_owned());
    }
    done
}

fn order_of(verdict: Verdict) -> (u8, usize) {
    match verdict {
        Verdict::Admitted => (0, 0),
        Verdict::ExcludedByName(place) => (1, place),
        Verdict::ExcludedByStream(place) => (2, place),
        Verdict::NotIncludedByName => (3, 0),
        Verdict::NotIncludedByStream => (4, 0),
    }
}

/// The list of a filter, as the configuration calls it, and its pattern.
fn filter_of(verdict: Verdict, filters: &Filters) -> (&'static str, Option<String>) {
    let of =
        |patterns: &[Pattern], place: usize| patterns.get(place).map(|pattern| pattern.as_str().to_owned());
    match verdict {
        Verdict::Admitted => ("none", None),
        Verdict::ExcludedByName(place) => ("exclude_name_patterns", of(&filters.exclude_name, place)),
        Verdict::ExcludedByStream(place) => ("exclude_stream_patterns", of(&filters.exclude_stream, place)),
        Verdict::NotIncludedByName => ("include_name_patterns", None),
        Verdict::NotIncludedByStream => ("include_stream_patterns", None),
    }
}

fn joined(catalog: &Catalog) -> Vec<JoinedChannel> {
    let names = |channel: &Channel| {
        let mut seen = HashSet::new();
        let names = channel.streams().map(|stream| stream.entry().name());
        names
            .filter(|name| seen.insert(*name))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let all = catalog.channels().iter().chain(catalog.hidden());
    let several = all.filter(|channel| channel.streams().len() > 1);
    let mut joined: Vec<(usize, JoinedChannel)> = several
        .filter_map(|channel| {
            let mut names = names(channel);
            let count = names.len();
            names.truncate(NAMES_MAX);
            (count > 1).then(|| {
                let joined = JoinedChannel {
                    id: channel.id().to_string(),
                    name: channel.name().to_owned(),
                    names,
                    streams: channel.streams().len(),
                };
                (count, joined)
            })
        })
        .collect();
    joined.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    joined.truncate(JOINED_MAX);
    joined.into_iter().map(|(_, joined)| joined).collect()
}

/// Follows the entries that were asked for.
struct Tracer<'r> {
    asked: String,
    wanted: HashSet<StreamId>,
    filters: &'r Filters,
    rules: &'r ChannelRules,
    traces: Vec<(StreamId, Trace)>,
    /// Whether the entry that goes through now is the last of `traces`.
    is_followed: bool,
}

impl<'r> Tracer<'r> {
    fn new(asked: &str, catalog: &Catalog, filters: &'r Filters, rules: &'r ChannelRules) -> Self {
        let channel = asked.parse::<ChannelId>().ok().and_then(|id| catalog.get(id));
        let streams = channel.into_iter().flat_map(Channel::streams);
        Self {
            asked: asked.to_lowercase(),
            wanted: streams.map(StreamEntry::id).collect(),
            filters,
            rules,
            traces: Vec::new(),
            is_followed: false,
        }
    }

    fn step(&mut self, step: impl FnOnce() -> String) {
        if let Some((_, trace)) = self.traces.last_mut().filter(|_| self.is_followed) {
            trace.steps.push(step());
        }
    }

    fn into_traces(self, catalog: &Catalog) -> Vec<Trace> {
        let wanted: HashSet<StreamId> = self.traces.iter().map(|(id, _)| *id).collect();
        let mut found = HashMap::new();
        let all = catalog.channels().iter().chain(catalog.hidden()).enumerate();
        for (place, channel) in all {
            for (stream, entry) in channel
                .streams()
                .enumerate()
                .filter(|(_, entry)| wanted.contains(&entry.id()))
            {
                let at = TracedChannel {
                    id: channel.id().to_string(),
                    name: channel.name().to_owned(),
                    number: channel.tvg_chno().map(str::to_owned),
                    group: channel.group().map(str::to_owned),
                    event: channel.event().map(str::to_owned),
                    place: (!channel.is_hidden()).then_some(place + 1),
                    stream: stream + 1,
                    streams: channel.streams().len(),
                };
                found.entry(entry.id()).or_insert(at);
            }
        }
        self.traces
            .into_iter()
            .map(|(id, mut trace)| {
                trace.channel = found.get(&id).cloned();
                trace
            })
            .collect()
    }
}

impl Observer for Tracer<'_> {
    const IS_WATCHING: bool = true;

    fn begins(&mut self, source: &SourceName, entry: Entry<'_>) {
        self.is_followed = false;
        if self.traces.len() >= TRACES_MAX {
            return;
        }
        let id = StreamId::of_entry(source, entry);
        let is_named = || entry.name().to_lowercase().contains(&self.asked);
        if self.wanted.contains(&id) || id.to_string() == self.asked || is_named() {
            self.is_followed = true;
            let trace = Trace {
                source: source.to_string(),
                name: entry.name().to_owned(),
                steps: Vec::new(),
                channel: None,
            };
            self.traces.push((id, trace));
        }
    }

    fn filtered(&mut self, verdict: Verdict) {
        let (filter, pattern) = filter_of(verdict, self.filters);
        self.step(|| match pattern {
            Some(pattern) => format!("left out: {filter} has {pattern:?}"),
            None => format!("left out: no pattern of {filter} matches"),
        });
    }

    fn separator(&mut self) {
        self.step(|| "left out: a heading".to_owned());
    }

    fn applied(&mut self, rule: usize, before: &State<'_>, after: &State<'_>) {
        let label = self.rules.rules.get(rule).map(label).unwrap_or_default();
        self.step(|| format!("rule {} ({label}): {}", rule + 1, done(before, after).join(", ")));
    }

    fn joined(&mut self, stream: &StreamEntry, key: &str) {
        let key = key.trim_start_matches('\0').replace('\0', " · ");
        if self.traces.is_empty() {
            return;
        }
        let joined = stream.id();
        let mut traces = self.traces.iter_mut();
        if let Some((_, trace)) = traces.find(|(id, _)| *id == joined) {
            trace.steps.push(format!("joined by {key:?}"));
        }
    }
}
