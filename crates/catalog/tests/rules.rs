//! Rules: what each does, that a preview says what is done, and that none takes for ever.

#[path = "support/rules.rs"]
mod lists;

use catalog::{
    ChannelRules, Filters, Issue, Memory, Pattern, build_with,
    filter::GIVE_UPS_MAX,
    rules::{GroupBy, Prefer, Rule, Sort, Then, When},
};
use lists::{build, listing, names, on_name, outline, rename, replace, source, text, with};

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
