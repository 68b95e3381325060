//! What the operator wants channels to be: how names are joined, and rules that change single entries.
//!
//! `engine` applies them, entry by entry; it is the same for the channels and for a preview of them.
//! Not here: reading them from a configuration, joining entries ([`build_with`](crate::build_with())).

pub(crate) mod engine;

use std::borrow::Cow;

use crate::{
    listing::Entry,
    number::Number,
    pattern::{Pattern, PatternError, Template},
};

/// Rules there may be.
pub const RULES_MAX: usize = 1024;

/// Names there may be in all lists of names to keep apart.
pub const NEVER_MERGE_MAX: usize = 10_000;

/// What makes entries one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// Exactly the same name.
    #[default]
    Exact,
    /// The same name but for case, accents, style of letters, tags of quality, country and decoration. Where a name is
    /// known in several countries, each is a channel. Films and episodes are joined by exact name.
    Normalised,
    /// The same `tvg-id`, whatever its case; the exact name where there is none.
    TvgId,
}

/// Which streams of a channel are tried first, pins and failures aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Prefer {
    /// Those whose account has most connections to spare.
    #[default]
    Free,
    /// Those whose name says the best quality.
    Quality,
    /// Those of the source that is configured first.
    Source,
}

/// The order of channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// Where the list first had them; new ones beside their neighbours.
    #[default]
    Kept,
    /// As the lists have them now.
    List,
    /// By name.
    Name,
    /// By number; those without come last.
    Number,
    /// By group, in each as with [`Sort::Kept`].
    Group,
}

/// How channels are made of entries. The default makes those the reference makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelRules {
    /// What makes entries one channel.
    pub group_by: GroupBy,
    /// Which of its streams are tried first.
    pub prefer: Prefer,
    /// Whether headings such as "##### SPORT #####" are left out.
    pub drop_separators: bool,
    /// The number of the first channel; absent: channels have the numbers their lists say.
    pub number_from: Option<u32>,
    /// The order of channels.
    pub sort: Sort,
    /// In the order they are applied; each sees what those before it made. [`RULES_MAX`] count.
    pub rules: Vec<Rule>,
    /// Lists of names of which no two become one channel.
    pub never_merge: Vec<Vec<Box<str>>>,
}

impl ChannelRules {
    /// Whether they leave channels as the reference makes them.
    pub(crate) fn keeps_names(&self) -> bool {
        self.group_by == GroupBy::Exact && self.rules.is_empty() && self.never_merge.is_empty()
    }
}

/// Which entries a rule is about: all that every pattern there is matches. What an entry does not have is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// Matches the name, as the rules before left it.
    pub name: Option<Pattern>,
    /// Matches the group, as the rules before left it.
    pub group: Option<Pattern>,
    /// Matches the `tvg-id`, as the rules before left it.
    pub tvg_id: Option<Pattern>,
    /// Matches the whole URL.
    pub url: Option<Pattern>,
    /// Matches the name of the source.
    pub source: Option<Pattern>,
}

impl When {
    /// The pattern whose groups templates mean: the first there is of name, group, `tvg-id` and source. Never the
    /// URL's: it would carry credentials into names.
    pub fn captured(&self) -> Option<&Pattern> {
        self.name
            .as_ref()
            .or(self.group.as_ref())
            .or(self.tvg_id.as_ref())
            .or(self.source.as_ref())
    }
}

/// What a rule does to the entries it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Then {
    /// The entry is left out.
    pub drop: bool,
    /// In place of every match of the name's pattern.
    pub replace: Option<Template>,
    /// The whole name.
    pub rename: Option<Template>,
    /// The name is split by the groups `channel` and `title` of the name's pattern: the channel keeps the first for
    /// ever, the second is what is on.
    pub split_event: bool,
    /// The group.
    pub group: Option<Template>,
    /// The `tvg-id`.
    pub tvg_id: Option<Template>,
    /// The channel's number; what is no [`Number`] counts as none.
    pub number: Option<Template>,
    /// The name of the channel the entry is a stream of.
    pub merge: Option<Template>,
    /// The entry is joined with others of exactly its name only.
    pub keep_apart: bool,
    /// The channel is in no list; links to it play.
    pub hide: bool,
    /// The stream comes first in its channel.
    pub pin: bool,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// What it is called in reports; empty: its place is.
    pub label: Box<str>,
    /// Which entries.
    pub when: When,
    /// What is done to them.
    pub then: Then,
}

/// The group of a pattern that is the stable part of an event's name.
pub const EVENT_CHANNEL: &str = "channel";

/// The group that is what is on.
pub const EVENT_TITLE: &str = "title";

/// A template that is checked as a rule's: its groups are those of [`When::captured`].
///
/// # Errors
/// See [`Template::parse`].
pub fn template(source: &str, when: &When) -> Result<Template, PatternError> {
    Template::parse(source, when.captured())
}

/// What an entry is after the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State<'a> {
    pub(crate) name: Cow<'a, str>,
    /// The name is what a rule says, to the letter.
    pub(crate) is_named: bool,
    pub(crate) group: Cow<'a, str>,
    pub(crate) tvg_id: Cow<'a, str>,
    pub(crate) number: Option<Number>,
    pub(crate) merge: Option<Box<str>>,
    /// What is on.
    pub(crate) event: Option<Box<str>>,
    pub(crate) is_dropped: bool,
    pub(crate) is_hidden: bool,
    pub(crate) is_pinned: bool,
    pub(crate) is_apart: bool,
}

impl<'a> State<'a> {
    /// What an entry is before them.
    pub(crate) fn of(entry: Entry<'a>) -> Self {
        Self {
            name: entry.name().into(),
            group: entry.group().unwrap_or("").into(),
            tvg_id: entry.tvg_id().unwrap_or("").into(),
            ..Self::default()
        }
    }
}
