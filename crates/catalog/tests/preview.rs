//! A preview says what is done, and nothing else.

#[path = "support/rules.rs"]
mod lists;

use std::collections::BTreeMap;

use catalog::{
    Catalog, ChannelRules, Filters, Memory, Pattern, build_with,
    preview::{Report, preview},
    rules::{GroupBy, Rule, Then},
};
use lists::{names, on_name, outline, rename, replace, source, text, with};

/// Every rule alone, and all together: what a preview says was done is what the channels are.
#[test]
fn a_preview_says_what_is_done() {
    let list = names(
        "a",
        &[
            "UK: One HD",
            "One",
            "Two (backup)",
            "Spam 1",
            "Spam 2",
            "PPV 1 - A vs B",
            "#### X ####",
            "Three HD",
        ],
    );
    let rules = || {
        vec![
            rename(r"^UK: (.*)", r"\1"),
            replace(r" *\(backup\)", ""),
            on_name("spam", |_| Then {
                drop: true,
                ..Then::default()
            }),
            on_name("^one", |when| Then {
                number: text("7")(when),
                group: text("G")(when),
                pin: true,
                ..Then::default()
            }),
            on_name(r"^(?P<channel>PPV \d+) - (?P<title>.*)", |_| Then {
                split_event: true,
                ..Then::default()
            }),
            on_name("three", |when| Then {
                merge: text("One")(when),
                keep_apart: true,
                ..Then::default()
            }),
            on_name("two", |_| Then {
                hide: true,
                ..Then::default()
            }),
            on_name("nothing", |_| Then {
                drop: true,
                ..Then::default()
            }),
        ]
    };
    let mut all: Vec<Vec<Rule>> = rules().into_iter().map(|rule| vec![rule]).collect();
    all.push(rules());
    let filters = Filters {
        exclude_name: vec![Pattern::compile("Spam 2").unwrap()],
        ..Filters::default()
    };
    for rules in all {
        for group_by in [GroupBy::Exact, GroupBy::Normalised, GroupBy::TvgId] {
            let rules = ChannelRules {
                group_by,
                drop_separators: true,
                number_from: Some(100),
                ..with(rules.clone())
            };
            let input = [(source("a", 0), &list)];
            let (mut memory, mut tried) = (Memory::default(), Memory::default());
            let (applied, _) = build_with(&input, &filters, &rules, &mut memory);
            let (previewed, report) = preview(&input, &filters, &rules, &mut tried, Some("e"));
            assert_eq!(outline(&previewed), outline(&applied));
            assert_eq!(tried, memory);
            agrees(&report, &applied, &rules);
        }
    }
}

/// The counts and the traces of a report are those of the channels.
fn agrees(report: &Report, applied: &Catalog, rules: &ChannelRules) {
    assert_eq!(report.entries, 8);
    assert_eq!((report.separators.count, report.filters[0].dropped.count), (1, 1));
    let dropped: u64 = report.rules.iter().map(|rule| rule.dropped).sum();
    assert_eq!(report.streams, 6 - dropped);
    assert_eq!(
        (report.channels, report.hidden),
        (applied.channels().len(), applied.hidden().len())
    );
    assert_eq!(report.rules.len(), rules.rules.len());
    let mut channels: BTreeMap<String, (String, Option<String>, Option<String>)> = BTreeMap::new();
    for channel in applied.channels().iter().chain(applied.hidden()) {
        for stream in channel.streams() {
            let at = (
                channel.id().to_string(),
                channel.tvg_chno().map(str::to_owned),
                channel.group().map(str::to_owned),
            );
            channels.insert(stream.entry().name().to_owned(), at);
        }
    }
    assert!(!report.traces.is_empty());
    for trace in &report.traces {
        let at = trace
            .channel
            .as_ref()
            .map(|at| (at.id.clone(), at.number.clone(), at.group.clone()));
        assert_eq!(at.as_ref(), channels.get(&trace.name), "{}", trace.name);
        let is_left_out = trace.steps.iter().any(|step| step.contains("left out"));
        assert_eq!(is_left_out, trace.channel.is_none(), "{trace:?}");
    }
}
