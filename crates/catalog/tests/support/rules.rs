//! Short ways to write lists and rules, and to read channels.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    dead_code,
    reason = "each test file uses a part of it; a test may panic"
)]

use catalog::{
    Catalog, ChannelRules, Filters, Listing, Memory, Pattern, SourceRules, StreamUrl, Template, build_with,
    listing::Fields,
    rules::{Rule, Then, When, template},
};

pub(crate) fn source(name: &str, order: u32) -> SourceRules {
    SourceRules {
        name: name.into(),
        prefix: "".into(),
        suffix: "".into(),
        order,
    }
}

/// Name, group, tvg-id.
pub(crate) fn listing(name: &str, entries: &[(&str, &str, &str)]) -> Listing {
    let mut list = Listing::new(name.into());
    for (number, (title, group, tvg_id)) in entries.iter().enumerate() {
        list.push(Fields {
            title,
            group: Some(group),
            tvg_id: Some(tvg_id),
            url: StreamUrl::new(format!("http://h.example/live/u/p/{number}.ts")),
            ..Fields::default()
        });
    }
    list
}

pub(crate) fn names(list: &str, names: &[&str]) -> Listing {
    let entries: Vec<_> = names.iter().map(|name| (*name, "", "")).collect();
    listing(list, &entries)
}

pub(crate) fn on_name(pattern: &str, then: impl FnOnce(&When) -> Then) -> Rule {
    let when = When {
        name: Some(Pattern::compile(pattern).unwrap()),
        ..When::default()
    };
    Rule {
        label: "".into(),
        then: then(&when),
        when,
    }
}

pub(crate) fn text(text: &str) -> impl Fn(&When) -> Option<Template> {
    move |when| Some(template(text, when).unwrap())
}

pub(crate) fn rename(pattern: &str, to: &str) -> Rule {
    on_name(pattern, |when| Then {
        rename: text(to)(when),
        ..Then::default()
    })
}

pub(crate) fn replace(pattern: &str, with: &str) -> Rule {
    on_name(pattern, |when| Then {
        replace: text(with)(when),
        ..Then::default()
    })
}

pub(crate) fn with(rules: Vec<Rule>) -> ChannelRules {
    ChannelRules {
        rules,
        ..ChannelRules::default()
    }
}

pub(crate) fn build(rules: &ChannelRules, lists: &[&Listing]) -> Catalog {
    let lists: Vec<_> = (0..)
        .zip(lists)
        .map(|(order, list)| (source(list.source.as_str(), order), *list))
        .collect();
    build_with(&lists, &Filters::default(), rules, &mut Memory::default()).0
}

/// Number, name, group and the listed names of the streams of each channel.
pub(crate) fn outline(catalog: &Catalog) -> Vec<String> {
    let line = |channel: &catalog::Channel| {
        let streams: Vec<_> = channel.streams().map(|stream| stream.entry().name()).collect();
        let number = channel
            .tvg_chno()
            .map_or(String::new(), |number| format!("{number} "));
        let group = channel
            .group()
            .map_or(String::new(), |group| format!(" [{group}]"));
        format!("{number}{}{group}: {}", channel.name(), streams.join(", "))
    };
    catalog.channels().iter().map(line).collect()
}
