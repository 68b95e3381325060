//! Rules: what each does, that a preview says what is done, and that none takes for ever.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod support;

use std::collections::BTreeMap;

use catalog::{
    Catalog, ChannelRules, Filters, Issue, Listing, Memory, Pattern, SourceRules, StreamUrl, Template,
    build_with,
    filter::GIVE_UPS_MAX,
    listing::Fields,
    preview::{Report, preview},
    rules::{GroupBy, Prefer, Rule, Sort, Then, When, template},
};
use serde_json::{Value, json};

fn source(name: &str, order: u32) -> SourceRules {
    SourceRules {
        name: name.into(),
        prefix: "".into(),
        suffix: "".into(),
        order,
    }
}

/// Name, group, tvg-id.
fn listing(name: &str, entries: &[(&str, &str, &str)]) -> Listing {
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

fn names(list: &str, names: &[&str]) -> Listing {
    let entries: Vec<_> = names.iter().map(|name| (*name, "", "")).collect();
    listing(list, &entries)
}

fn on_name(pattern: &str, then: impl FnOnce(&When) -> Then) -> Rule {
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

fn text(text: &str) -> impl Fn(&When) -> Option<Template> {
    move |when| Some(template(text, when).unwrap())
}

fn rename(pattern: &str, to: &str) -> Rule {
    on_name(pattern, |when| Then {
        rename: text(to)(when),
        ..Then::default()
    })
}

fn replace(pattern: &str, with: &str) -> Rule {
    on_name(pattern, |when| Then {
        replace: text(with)(when),
        ..Then::default()
    })
}

fn with(rules: Vec<Rule>) -> ChannelRules {
    ChannelRules {
        rules,
        ..ChannelRules::default()
    }
}

fn build(rules: &ChannelRules, lists: &[&Listing]) -> Catalog {
    let lists: Vec<_> = (0..)
        .zip(lists)
        .map(|(order, list)| (source(list.source.as_str(), order), *list))
        .collect();
    build_with(&lists, &Filters::default(), rules, &mut Memory::default()).0
}

/// Number, name, group and the listed names of the streams of each channel.
fn outline(catalog: &Catalog) -> Vec<String> {
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

#[test]
fn each_action_does_what_it_says() {
    let list = listing(
        "a",
        &[
            ("UK: One HD", "uk | news", "one.uk"),
            ("One", "", ""),
            ("Two (backup)", "x", ""),
            ("Two", "x", ""),
            ("Spam", "", ""),
            ("Three", "", ""),
        ],
    );
    let table: Vec<(Rule, &[&str])> = vec![
        (
            rename(r"^UK: (\w+) HD$", r"\1"),
            &[
                "One [uk | news]: UK: One HD, One",
                "Two (backup) [x]: Two (backup)",
                "Two [x]: Two",
                "Spam: Spam",
                "Three: Three",
            ],
        ),
        (
            replace(r" *\(backup\)", ""),
            &[
                "UK: One HD [uk | news]: UK: One HD",
                "One: One",
                "Two [x]: Two, Two (backup)",
                "Spam: Spam",
                "Three: Three",
            ],
        ),
        (
            on_name("spam", |_| Then {
                drop: true,
                ..Then::default()
            }),
            &[
                "UK: One HD [uk | news]: UK: One HD",
                "One: One",
                "Two (backup) [x]: Two (backup)",
                "Two [x]: Two",
                "Three: Three",
            ],
        ),
        (
            on_name("spam", |_| Then {
                hide: true,
                ..Then::default()
            }),
            &[
                "UK: One HD [uk | news]: UK: One HD",
                "One: One",
                "Two (backup) [x]: Two (backup)",
                "Two [x]: Two",
                "Three: Three",
            ],
        ),
        (
            on_name("^(o)ne$", |when| Then {
                group: text(r"G \1")(when),
                number: text("5.1")(when),
                ..Then::default()
            }),
            &[
                "UK: One HD [uk | news]: UK: One HD",
                "5.1 One [G O]: One",
                "Two (backup) [x]: Two (backup)",
                "Two [x]: Two",
                "Spam: Spam",
                "Three: Three",
            ],
        ),
        (
            on_name("spam|three", |when| Then {
                merge: text("Odd")(when),
                ..Then::default()
            }),
            &[
                "UK: One HD [uk | news]: UK: One HD",
                "One: One",
                "Two (backup) [x]: Two (backup)",
                "Two [x]: Two",
                "Odd: Spam, Three",
            ],
        ),
    ];
    for (rule, expected) in table {
        let pattern = rule.when.name.as_ref().unwrap().as_str().to_owned();
        assert_eq!(
            outline(&build(&with(vec![rule]), &[&list])),
            expected,
            "{pattern}"
        );
    }
}

#[test]
fn rules_see_every_field_and_what_came_before() {
    let a = listing("main", &[("One", "news", "one.uk"), ("Two", "sport", "")]);
    let b = listing("spare", &[("One", "news", ""), ("Three", "", "")]);
    let pattern = |text: &str| Some(Pattern::compile(text).unwrap());
    let drop = |when: When| Rule {
        when,
        then: Then {
            drop: true,
            ..Then::default()
        },
        ..Rule::default()
    };
    let table = [
        (
            When {
                group: pattern("^news$"),
                ..When::default()
            },
            vec!["Two", "Three"],
        ),
        (
            When {
                group: pattern("^$"),
                ..When::default()
            },
            vec!["One", "Two", "One"],
        ),
        (
            When {
                tvg_id: pattern(r"\.uk$"),
                ..When::default()
            },
            vec!["Two", "One", "Three"],
        ),
        (
            When {
                source: pattern("^spare$"),
                ..When::default()
            },
            vec!["One", "Two"],
        ),
        (
            When {
                source: pattern("^spare$"),
                name: pattern("three"),
                ..When::default()
            },
            vec!["One", "Two", "One"],
        ),
        (
            When {
                url: pattern(r"/1\.ts$"),
                ..When::default()
            },
            vec!["One", "One"],
        ),
        (When::default(), vec![]),
    ];
    for (when, expected) in table {
        let catalog = build(&with(vec![drop(when.clone())]), &[&a, &b]);
        let mut left: Vec<_> = catalog
            .channels()
            .iter()
            .flat_map(catalog::Channel::streams)
            .map(|stream| stream.entry().name())
            .collect();
        let mut expected = expected;
        left.sort_unstable();
        expected.sort_unstable();
        assert_eq!(left, expected, "{when:?}");
    }
    let chain = with(vec![
        rename("^One$", "Uno"),
        rename("^Uno$", "Un"),
        rename("^One$", "never"),
    ]);
    assert_eq!(outline(&build(&chain, &[&a]))[0], "Un [news]: One");
}

#[test]
fn an_event_is_split_into_channel_and_what_is_on() {
    let split = || {
        with(vec![
            on_name("no event", |_| Then {
                hide: true,
                ..Then::default()
            }),
            on_name(r"^(?P<channel>PPV \d+)\s*[-:|]\s*(?P<title>.*)$", |_| Then {
                split_event: true,
                ..Then::default()
            }),
        ])
    };
    let mut ids = Vec::new();
    let mut memory = Memory::default();
    for (name, event) in [
        ("PPV 01 - A vs B 20:00", Some("A vs B 20:00")),
        ("PPV 01 | C vs D 21:00", Some("C vs D 21:00")),
        ("PPV 01 -", None),
        ("PPV 01: E vs F", Some("E vs F")),
    ] {
        let list = names("a", &[name, "PPV 02 - NO EVENT"]);
        // With what was remembered, and without.
        for memory in [&mut memory, &mut Memory::default()] {
            let (catalog, _) = build_with(&[(source("a", 0), &list)], &Filters::default(), &split(), memory);
            assert_eq!(catalog.channels().len(), 1, "what has no event is hidden");
            assert_eq!(
                (catalog.channels()[0].name(), catalog.channels()[0].event()),
                ("PPV 01", event)
            );
            assert_eq!(catalog.hidden()[0].name(), "PPV 02");
            assert!(catalog.get(catalog.hidden()[0].id()).is_some(), "its link plays");
            ids.push(catalog.channels()[0].id());
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[test]
fn what_must_not_be_joined_is_not() {
    let list = names(
        "a",
        &[
            "Cinema HD",
            "UK: Cinema",
            "Cinema 4K",
            "UK| CINEMA ᴴᴰ",
            "UK| CINEMA 4k",
            "Other",
            "other HD",
        ],
    );
    let normalised = ChannelRules {
        group_by: GroupBy::Normalised,
        ..ChannelRules::default()
    };
    assert_eq!(
        outline(&build(&normalised, &[&list])),
        [
            "Cinema: Cinema 4K, UK| CINEMA 4k, Cinema HD, UK| CINEMA ᴴᴰ, UK: Cinema",
            "other: other HD, Other"
        ]
    );
    let apart = ChannelRules {
        never_merge: vec![vec!["Cinema".into(), "Cinema 4K".into()]],
        rules: vec![on_name("^Other$", |_| Then {
            keep_apart: true,
            ..Then::default()
        })],
        ..normalised
    };
    assert_eq!(
        outline(&build(&apart, &[&list])),
        [
            "CINEMA: Cinema HD, UK| CINEMA ᴴᴰ, UK: Cinema".replace("CINEMA: ", "Cinema: "),
            "Cinema 4K: Cinema 4K, UK| CINEMA 4k".to_owned(),
            "Other".to_owned() + ": Other",
            "other: other HD".to_owned(),
        ]
    );
}

#[test]
fn names_of_several_countries_are_several_channels() {
    let normalised = ChannelRules {
        group_by: GroupBy::Normalised,
        ..ChannelRules::default()
    };
    let list = listing(
        "a",
        &[
            ("UK: Discovery HD", "", ""),
            ("Discovery", "|DE| Doku", ""),
            ("Discovery FHD", "", "discovery.uk"),
            ("DISCOVERY", "", ""),
        ],
    );
    assert_eq!(
        outline(&build(&normalised, &[&list])),
        [
            "Discovery (UK): Discovery FHD, UK: Discovery HD",
            "Discovery (DE) [|DE| Doku]: Discovery",
            "DISCOVERY: DISCOVERY"
        ]
    );
}

#[test]
fn the_same_tvg_id_is_one_channel() {
    let by_id = ChannelRules {
        group_by: GroupBy::TvgId,
        ..ChannelRules::default()
    };
    let list = listing(
        "a",
        &[
            ("One HD", "", "One.uk"),
            ("First", "", "one.UK"),
            ("One HD", "", ""),
            ("Two", "", ""),
            ("Two", "", ""),
        ],
    );
    assert_eq!(
        outline(&build(&by_id, &[&list])),
        ["One HD: One HD, One HD, First", "Two: Two, Two"].map(str::to_owned)
    );
}

#[test]
fn streams_are_in_the_order_of_the_policy_pins_first() {
    let a = names("a", &["One SD", "One HD"]);
    let b = names("b", &["One 4K", "One FHD (backup)"]);
    let order = |prefer, rules| {
        let rules = ChannelRules {
            group_by: GroupBy::Normalised,
            prefer,
            rules,
            ..ChannelRules::default()
        };
        outline(&build(&rules, &[&a, &b]))[0]
            .split_once(": ")
            .unwrap()
            .1
            .to_owned()
    };
    assert_eq!(
        order(Prefer::Quality, vec![]),
        "One 4K, One FHD (backup), One HD, One SD"
    );
    assert_eq!(
        order(Prefer::Source, vec![]),
        "One HD, One SD, One 4K, One FHD (backup)"
    );
    let pin = on_name(r"\(backup\)", |_| Then {
        pin: true,
        ..Then::default()
    });
    assert_eq!(
        order(Prefer::Quality, vec![pin]),
        "One FHD (backup), One 4K, One HD, One SD"
    );
    let rules = ChannelRules {
        prefer: Prefer::Quality,
        group_by: GroupBy::Normalised,
        ..ChannelRules::default()
    };
    let catalog = build(&rules, &[&a, &b]);
    let ranks: Vec<u32> = catalog.channels()[0]
        .streams()
        .map(catalog::StreamEntry::policy_rank)
        .collect();
    assert!(ranks.is_sorted() && ranks[0] < ranks[3], "{ranks:?}");
}

#[test]
fn channels_are_sorted_and_headings_left_out() {
    let list = listing(
        "a",
        &[
            ("b", "x", ""),
            ("##### SPORT #####", "", ""),
            ("a", "y", ""),
            ("c", "x", ""),
        ],
    );
    let sorted = |sort| {
        let rules = ChannelRules {
            sort,
            drop_separators: true,
            rules: vec![
                on_name("^c$", |when| Then {
                    number: text("2")(when),
                    ..Then::default()
                }),
                on_name("^a$", |when| Then {
                    number: text("2.5")(when),
                    ..Then::default()
                }),
            ],
            ..ChannelRules::default()
        };
        build(&rules, &[&list])
            .channels()
            .iter()
            .map(|channel| channel.name().to_owned())
            .collect::<String>()
    };
    assert_eq!(sorted(Sort::Kept), "bac");
    assert_eq!(sorted(Sort::List), "bac");
    assert_eq!(sorted(Sort::Name), "abc");
    assert_eq!(sorted(Sort::Number), "cab");
    assert_eq!(sorted(Sort::Group), "bca");
}

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

#[test]
fn a_rule_without_end_is_told_once_and_given_up() {
    let hopeless = "a".repeat(60);
    let entries: Vec<_> = (0..GIVE_UPS_MAX + 20).map(|_| hopeless.as_str()).collect();
    let list = names("a", &entries);
    let rules = with(vec![rename(r"^(a|aa)+(?<=x)$", "never"), replace("^a", "b")]);
    let (catalog, issues) = build_with(
        &[(source("a", 0), &list)],
        &Filters::default(),
        &rules,
        &mut Memory::default(),
    );
    assert_eq!(catalog.channels().len(), 1);
    assert!(catalog.channels()[0].name().starts_with("baa"));
    let pattern = r"^(a|aa)+(?<=x)$".into();
    assert_eq!(
        issues,
        [Issue::PatternLimit {
            pattern,
            searches: GIVE_UPS_MAX,
            disabled: true
        }]
    );
}

/// Per pattern, template and text: null for "cannot be used", or the text replaced.
const SCRIPT: &str = r#"
import json, re, sys
def ask(pattern, template, text):
    try:
        return re.sub(pattern, template, text, flags=re.IGNORECASE)
    except (re.error, IndexError):
        return None
json.dump([ask(*probe) for probe in json.load(sys.stdin)], sys.stdout)
"#;

const PROBES: &[(&str, &str, &str)] = &[
    ("HD", "", "One HD hd"),
    (r"\s*\bHD\b\s*", " ", "One HD Two"),
    (r"^UK: (.*)", r"\1", "UK: One"),
    (r"^(\w+): (.*)$", r"\2 (\1)", "UK: One"),
    (r"(?P<a>\w+) (?P<b>\w+)", r"\g<b> \g<a>", "one two three four"),
    (r"(\w+)", r"<\g<0>>", "a b"),
    (r"(\w+)", r"<\g<1>>", "a b"),
    (r"(a)|(b)", r"[\1\2]", "abc"),
    (r"(a)?b", r"[\1]", "ab b"),
    ("x*", "-", "abxd"),
    ("x*", "-", ""),
    ("", "-", "añb"),
    (r"\b", "|", "one two"),
    ("x", r"\n\t\\", "x"),
    ("x", r"\a\b\f\v\r", "x"),
    ("x", r"\.", "x"),
    ("x", r"\-\é", "x"),
    ("x", r"\q", "x"),
    ("x", r"\d", "x"),
    ("x", "\\", "x"),
    ("(x)", r"\2", "x"),
    ("(x)", r"\g<2>", "x"),
    ("(x)", r"\g<n>", "x"),
    ("(x)", r"\g<", "x"),
    ("(x)", r"\g", "x"),
    ("(x)", r"\g<>", "x"),
    ("(x)", r"\g<1a>", "x"),
    ("(x)", r"\10", "x"),
    ("(x)", r"\101", "x"),
    ("(x)", r"\0", "x"),
    ("(x)", r"\07", "x"),
    ("(x)", r"\012", "x"),
    ("(x)", r"\400", "x"),
    ("(x)", r"\1\1", "x"),
    ("(x)", r"\18", "x"),
    ("x", "$1", "x"),
    ("x", "$0 ${1}", "x"),
    ("(?i)É", "e", "École é"),
    ("(?<=a)b", "X", "ab cb"),
    ("(?=b)", "^", "abab"),
    ("a$", "Z", "aa"),
    ("^", "> ", "a\nb"),
    ("(?m)^", "> ", "a\nb"),
    ("i", "!", "İıIi"),
    (r"(\d+)\.(\d+)", r"\2.\1", "5.10 6.1"),
    (r"[⁰-⁹]+", "", "HD⁶⁰ x"),
    (r"(?P<é>x)", r"\g<é>", "x"),
];

#[test]
fn templates_mean_what_python_says() {
    assert!(PROBES.len() >= 40);
    let Some(answers) = support::python(SCRIPT, &json!(PROBES)) else {
        return;
    };
    let mut differences = Vec::new();
    for (&(pattern, template, text), answer) in PROBES.iter().zip(answers.as_array().unwrap()) {
        let compiled = Pattern::compile(pattern).unwrap();
        let ours = match Template::parse(template, Some(&compiled)) {
            Ok(template) => json!(compiled.replace_all(text, &template).unwrap()),
            Err(_) => Value::Null,
        };
        if ours != *answer {
            differences.push(format!(
                "{pattern:?} {template:?} {text:?}: {ours}, Python says {answer}"
            ));
        }
    }
    if !differences.is_empty() {
        panic!("{}", differences.join("\n"));
    }
}
