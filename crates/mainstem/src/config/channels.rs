//! The keys under `channels:`: how entries are joined, and the rules that change them.

use catalog::{
    Number, Pattern, Template,
    rules::{self, ChannelRules, EVENT_CHANNEL, NEVER_MERGE_MAX, RULES_MAX, Then, When},
};

use super::{
    filter::{FilterConfig, FilterKeys, Rule},
    reader::Reader,
    section::{Placed, choice, section},
};

choice! {
    /// What makes entries one channel.
    pub enum GroupBy {
        /// Exactly the same name.
        Exact = "exact",
        /// The same name but for case, accents, quality, country and decoration.
        Normalised = "normalised" | "normalized",
        /// The same `tvg-id`.
        TvgId = "tvg_id" | "tvg-id",
    }
}

choice! {
    /// Which streams are tried first.
    pub enum Prefer {
        /// Those with connections to spare.
        Free = "free",
        /// Those of the best quality.
        Quality = "quality",
        /// Those of the first source.
        Source = "source",
    }
}

choice! {
    /// The order of channels.
    pub enum Sort {
        /// As it was.
        Kept = "kept",
        /// As the lists have it now.
        List = "list",
        /// By name.
        Name = "name",
        /// By number.
        Number = "number",
        /// By group.
        Group = "group",
    }
}

section! {
    /// How entries of the lists become channels. `mainstem rules try` and `GET /api/preview` show what would come of it.
    /// See [rules.md](rules.md).
    pub(super) struct ChannelKeys {
        /// What makes entries one channel: `exact`, the same name; `normalised`, the same but for case, accents, style of
        /// letters, quality tags, country and decoration; `tvg_id`, the same `tvg-id`.
        group_by: GroupBy = GroupBy::Exact;
        /// Which streams of a channel are tried first: `free`, at the account with most connections to spare; `quality`,
        /// the best by what the name says; `source`, in the order of the sources.
        prefer: Prefer = Prefer::Free;
        /// Whether headings such as `##### SPORT #####` are left out.
        drop_separators: bool = false;
        /// Number of the first channel; the others follow, and every channel keeps its number. Absent: channels have
        /// the numbers their lists say.
        number_from: Option<u32> = None, 0.0 ..= 999999.0;
        /// The order of channels: `kept`, where each was first; `list`, as the lists have them now; `name`, `number` or
        /// `group`.
        sort: Sort = Sort::Kept;
        /// Changes to single entries, in order: each rule sees what those before it made.
        rules: Vec<Placed<RuleKeys>> = Vec::new();
        /// Lists of names of which no two become one channel.
        never_merge: Vec<Placed<Vec<String>>> = Vec::new();
    }
}

section! {
    /// What is done to the entries that `match` is about. `\1` and `\g<name>` stand for what the groups of its pattern
    /// took: the name's, else the group's, the tvg-id's or the source's.
    pub(super) struct RuleKeys {
        /// What the rule is called in reports.
        label: String = String::new();
        /// Which entries; absent: all.
        matches as "match": MatchKeys = MatchKeys::default();
        /// Whether the entry is left out.
        drop: bool = false;
        /// Put in place of every match of the name's pattern.
        replace: Option<Placed<String>> = None;
        /// The whole new name.
        rename: Option<Placed<String>> = None;
        /// Whether the name is split: the pattern's group `channel` is the channel for ever, `title` is what is on.
        split_event: bool = false;
        /// The group.
        group: Option<Placed<String>> = None;
        /// The tvg-id.
        tvg_id: Option<Placed<String>> = None;
        /// The channel's number, such as `5` or `5.1`.
        number: Option<Placed<String>> = None;
        /// The name of the channel that the entry is a stream of.
        merge: Option<Placed<String>> = None;
        /// Whether the entry is joined with others of exactly its name only.
        keep_apart: bool = false;
        /// Whether the channel is in no list; links to it play.
        hide: bool = false;
        /// Whether the stream comes first in its channel.
        pin: bool = false;
    }
}

section! {
    /// Which entries a rule is about: those that every pattern matches. Patterns are Python regular expressions, searched
    /// anywhere, case ignored.
    pub(super) struct MatchKeys {
        /// Matches the name.
        name: Option<Rule> = None;
        /// Matches the group.
        group: Option<Rule> = None;
        /// Matches the tvg-id.
        tvg_id: Option<Rule> = None;
        /// Matches the stream's URL.
        url: Option<Rule> = None;
        /// Matches the source's name.
        source: Option<Rule> = None;
    }
}

section! {
    /// Rules to be tried without being in force.
    pub(super) struct CandidateKeys {
        /// How entries of the lists become channels.
        channels: ChannelKeys = ChannelKeys::default();
        /// Which entries; absent: as configured.
        filters: Option<FilterKeys> = None;
    }
}

/// Rules to be tried: for the channels, and the filters if there are any.
#[derive(Debug, Clone, Default)]
pub struct Candidate {
    /// How channels are made.
    pub channels: ChannelRules,
    /// Which entries; `None`: as configured.
    pub filters: Option<FilterConfig>,
}

impl CandidateKeys {
    pub(super) fn build(self, reader: &mut Reader<'_>) -> Candidate {
        Candidate {
            channels: self.channels.build(reader),
            filters: self.filters.map(FilterConfig::from),
        }
    }
}

impl ChannelKeys {
    /// The rules; `reader` holds a problem for each that cannot be used.
    pub(super) fn build(self, reader: &mut Reader<'_>) -> ChannelRules {
        if let Some(rule) = self.rules.get(RULES_MAX) {
            reader.problem(rule.at.start_only(), format!("more than {RULES_MAX} rules"));
        }
        let names: usize = self.never_merge.iter().map(|names| names.value.len()).sum();
        for names in &self.never_merge {
            if names.value.len() < 2 {
                reader.problem(names.at, "two names at least are kept apart: [one, other]");
            } else if names.value.iter().any(|name| name.trim().is_empty()) {
                reader.problem(names.at, "a name is empty");
            }
        }
        if let Some(first) = self.never_merge.first().filter(|_| names > NEVER_MERGE_MAX) {
            reader.problem(
                first.at,
                format!("more than {NEVER_MERGE_MAX} names in `never_merge`"),
            );
        }
        ChannelRules {
            group_by: match self.group_by {
                GroupBy::Exact => rules::GroupBy::Exact,
                GroupBy::Normalised => rules::GroupBy::Normalised,
                GroupBy::TvgId => rules::GroupBy::TvgId,
            },
            prefer: match self.prefer {
                Prefer::Free => rules::Prefer::Free,
                Prefer::Quality => rules::Prefer::Quality,
                Prefer::Source => rules::Prefer::Source,
            },
            drop_separators: self.drop_separators,
            number_from: self.number_from,
            sort: match self.sort {
                Sort::Kept => rules::Sort::Kept,
                Sort::List => rules::Sort::List,
                Sort::Name => rules::Sort::Name,
                Sort::Number => rules::Sort::Number,
                Sort::Group => rules::Sort::Group,
            },
            rules: self.rules.into_iter().map(|rule| rule_of(rule, reader)).collect(),
            never_merge: self
                .never_merge
                .into_iter()
                .map(|names| names.value.iter().map(|name| name.trim().into()).collect())
                .collect(),
        }
    }
}

fn rule_of(rule: Placed<RuleKeys>, reader: &mut Reader<'_>) -> rules::Rule {
    let at = rule.at.start_only();
    let keys = rule.value;
    let pattern = |rule: Option<Rule>| rule.map(|rule| rule.0);
    let when = When {
        name: pattern(keys.matches.name),
        group: pattern(keys.matches.group),
        tvg_id: pattern(keys.matches.tvg_id),
        url: pattern(keys.matches.url),
        source: pattern(keys.matches.source),
    };
    if keys.replace.is_some() && keys.rename.is_some() {
        reader.problem(
            at,
            "`replace` and `rename` are both given: one of them makes the name",
        );
    }
    if keys.replace.is_some() && when.name.is_none() {
        reader.problem(at, "`replace` needs a pattern of the name: match: { name: … }");
    }
    if keys.split_event && !has_group(when.name.as_ref(), EVENT_CHANNEL) {
        let message = "`split_event` needs a pattern of the name with a group `channel`: (?P<channel>…)";
        reader.problem(at, message);
    }
    let number = template(keys.number.as_ref(), &when, reader);
    if let (Some(number), Some(written)) = (&number, &keys.number) {
        let is_fixed = !written.value.contains('\\');
        if let Err(error) = number.expand(None).parse::<Number>().map(drop)
            && is_fixed
        {
            reader.problem(written.at, error.to_string());
        }
    }
    let then = Then {
        drop: keys.drop,
        replace: template(keys.replace.as_ref(), &when, reader),
        rename: template(keys.rename.as_ref(), &when, reader),
        split_event: keys.split_event,
        group: template(keys.group.as_ref(), &when, reader),
        tvg_id: template(keys.tvg_id.as_ref(), &when, reader),
        number,
        merge: template(keys.merge.as_ref(), &when, reader),
        keep_apart: keys.keep_apart,
        hide: keys.hide,
        pin: keys.pin,
    };
    if then == Then::default()
        && [&keys.replace, &keys.rename, &keys.merge]
            .iter()
            .all(|key| key.is_none())
    {
        reader.warning(at, "this rule does nothing");
    }
    rules::Rule {
        label: keys.label.into(),
        when,
        then,
    }
}

fn has_group(pattern: Option<&Pattern>, name: &str) -> bool {
    pattern.is_some_and(|pattern| pattern.group_named(name).is_some())
}

fn template(text: Option<&Placed<String>>, when: &When, reader: &mut Reader<'_>) -> Option<Template> {
    let text = text?;
    match rules::template(&text.value, when) {
        Ok(template) => Some(template),
        Err(error) => {
            let hint = if when.captured().is_none() && when.url.is_some() {
                "; what a URL's pattern took stands for nothing, as URLs carry passwords"
            } else {
                ""
            };
            reader.problem(text.at, format!("this cannot be put in: {}{hint}", error.message));
            None
        }
    }
}
