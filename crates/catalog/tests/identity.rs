//! Ids, numbers, places and names outlive whatever providers and operators change.
#![expect(clippy::unwrap_used, reason = "a test may")]

use catalog::{
    Catalog, ChannelId, ChannelRules, Filters, Listing, Memory, Pattern, SourceRules, StreamUrl, build_with,
    listing::{Extra, Fields},
    rules::{GroupBy, Rule, Sort, Then, When, template},
};

/// Lists of one household through the time.
struct Household {
    memory: Memory,
    rules: ChannelRules,
}

impl Household {
    fn new(rules: ChannelRules) -> Self {
        Self {
            memory: Memory::default(),
            rules,
        }
    }

    /// Builds after a restart: what was remembered went through the disk.
    fn build(&mut self, lists: &[Listing]) -> Catalog {
        let text = serde_json::to_string(&self.memory).unwrap();
        self.memory = serde_json::from_str(&text).unwrap();
        let lists: Vec<_> = (0..)
            .zip(lists)
            .map(|(order, list)| (source(list, order), list))
            .collect();
        build_with(&lists, &Filters::default(), &self.rules, &mut self.memory).0
    }
}

fn source(list: &Listing, order: u32) -> SourceRules {
    SourceRules {
        name: list.source.clone(),
        prefix: "".into(),
        suffix: "".into(),
        order,
    }
}

fn list(source: &str, names: &[&str]) -> Listing {
    list_at(source, "http://one.example/live/u/p", names, 0)
}

fn list_at(source: &str, base: &str, names: &[&str], first: usize) -> Listing {
    let mut list = Listing::new(source.into());
    for (number, name) in (first..).zip(names) {
        list.push(Fields {
            title: name,
            stream_key: &number.to_string(),
            url: StreamUrl::new(format!("{base}/{number}.ts?token={number}")),
            extra: Extra::default(),
            ..Fields::default()
        });
    }
    list
}

/// What players remember of every channel.
fn outputs(catalog: &Catalog) -> Vec<(ChannelId, String, Option<String>, Option<String>)> {
    let own = |text: Option<&str>| text.map(str::to_owned);
    let channels = catalog.channels().iter();
    channels
        .map(|channel| {
            (
                channel.id(),
                channel.name().to_owned(),
                own(channel.tvg_chno()),
                own(channel.group()),
            )
        })
        .collect()
}

const NAMES: [&str; 6] = ["UK: One HD", "One FHD", "Two", "Three HD", "Four", "DE: Five"];

fn everything() -> [ChannelRules; 4] {
    let numbered = ChannelRules {
        number_from: Some(100),
        ..ChannelRules::default()
    };
    [
        ChannelRules::default(),
        numbered.clone(),
        ChannelRules {
            group_by: GroupBy::Normalised,
            ..numbered.clone()
        },
        ChannelRules {
            rules: vec![rename("^(two)$", r"2: \1"), merge("three|four", "Three and four")],
            ..numbered
        },
    ]
}

fn rule(pattern: &str, then: impl FnOnce(&When) -> Then) -> Rule {
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

fn rename(pattern: &str, to: &str) -> Rule {
    rule(pattern, |when| Then {
        rename: template(to, when).ok(),
        ..Then::default()
    })
}

fn merge(pattern: &str, to: &str) -> Rule {
    rule(pattern, |when| Then {
        merge: template(to, when).ok(),
        ..Then::default()
    })
}

#[test]
fn outputs_stay_when_host_credentials_ids_order_and_tokens_change() {
    for rules in everything() {
        let mut home = Household::new(rules);
        let before = home.build(&[list("a", &NAMES), list("b", &["One", "Six"])]);
        let mut names = NAMES;
        for turn in 0..4 {
            names.rotate_left(turn);
            names.swap(0, 3);
            let base = format!("https://other{turn}.example:8443/live/v/q");
            let after = home.build(&[
                list_at("a", &base, &names, 500 * turn),
                list_at("b", &base, &["Six", "One"], 70 * turn),
            ]);
            assert_eq!(outputs(&after), outputs(&before), "{:?}", home.rules.group_by);
            for (id, ..) in outputs(&before) {
                let url = after.get(id).unwrap().primary().url().expose().to_owned();
                assert!(url.starts_with(&base), "the old link plays from the new upstream");
            }
        }
    }
}

#[test]
fn a_rule_change_adds_aliases_and_never_changes_an_id() {
    let lists = [list("a", &NAMES)];
    let mut home = Household::new(ChannelRules::default());
    let ids: Vec<ChannelId> = outputs(&home.build(&lists))
        .iter()
        .map(|output| output.0)
        .collect();
    assert_eq!(ids[0], ChannelId::of_name("UK: One HD"));
    for rules in everything().into_iter().chain([ChannelRules {
        group_by: GroupBy::TvgId,
        rules: vec![merge(".", "All")],
        ..ChannelRules::default()
    }]) {
        home.rules = rules;
        let after = home.build(&lists);
        for (id, name) in ids.iter().zip(NAMES) {
            let channel = after.get(*id).unwrap();
            assert!(
                channel.streams().any(|stream| stream.entry().name() == name),
                "{name}"
            );
        }
        assert!(outputs(&after).iter().all(|output| ids.contains(&output.0)));
    }
    home.rules = ChannelRules::default();
    let back: Vec<ChannelId> = outputs(&home.build(&lists))
        .iter()
        .map(|output| output.0)
        .collect();
    assert_eq!(back, ids, "and back again");
}

/// The first id of a joined channel stays, though the name it came from is in no list any more; so do the others.
#[test]
fn the_first_id_outlives_its_name() {
    let mut home = Household::new(ChannelRules {
        group_by: GroupBy::Normalised,
        ..ChannelRules::default()
    });
    let before = home.build(&[list("a", &["UK: One HD", "One FHD"])]);
    // Better quality comes first.
    let (first, other) = (ChannelId::of_name("One FHD"), ChannelId::of_name("UK: One HD"));
    assert_eq!(outputs(&before)[0].0, first);
    for names in [
        &["|UK| ONE ᴴᴰ"][..],
        &["one [HEVC]", "UK: One SD"],
        &["Two"],
        &["ONE"],
    ] {
        let after = home.build(&[list("a", names)]);
        if names != ["Two"] {
            assert_eq!(outputs(&after)[0].0, first, "{names:?}");
            assert_eq!(after.get(other).unwrap().id(), first);
        }
    }
    home.rules.rules.push(rename("^one$", "Uno"));
    assert_eq!(outputs(&home.build(&[list("a", &["ONE"])]))[0].0, first);
}

#[test]
fn numbers_keep_their_gaps() {
    let mut home = Household::new(ChannelRules {
        number_from: Some(100),
        rules: vec![rule("^fixed", |when| Then {
            number: template("101", when).ok(),
            ..Then::default()
        })],
        ..ChannelRules::default()
    });
    let mut numbers = |names: &[&str]| {
        let catalog = home.build(&[list("a", names)]);
        let number =
            |channel: &catalog::Channel| format!("{}={}", channel.name(), channel.tvg_chno().unwrap());
        catalog
            .channels()
            .iter()
            .map(number)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(numbers(&["a", "b", "fixed", "c"]), "a=100 b=102 fixed=101 c=103");
    assert_eq!(
        numbers(&["a", "fixed", "c"]),
        "a=100 fixed=101 c=103",
        "a gap stays"
    );
    assert_eq!(
        numbers(&["a", "d", "fixed", "c"]),
        "a=100 d=104 fixed=101 c=103",
        "none is given twice"
    );
    assert_eq!(
        numbers(&["a", "b", "d", "fixed", "c"]),
        "a=100 b=102 d=104 fixed=101 c=103",
        "the old one again"
    );
}

#[test]
fn places_are_kept_and_new_channels_stand_beside_their_neighbours() {
    let mut home = Household::new(ChannelRules::default());
    let names = |home: &mut Household, lists: &[&[&str]]| {
        let lists: Vec<_> = lists
            .iter()
            .enumerate()
            .map(|(at, names)| list(&format!("s{at}"), names))
            .collect();
        home.build(&lists)
            .channels()
            .iter()
            .map(catalog::Channel::name)
            .collect::<String>()
    };
    assert_eq!(names(&mut home, &[&["a", "b", "c"], &["x", "y"]]), "abcxy");
    assert_eq!(names(&mut home, &[&["c", "n", "a", "b"], &["y", "x"]]), "abcnxy");
    assert_eq!(names(&mut home, &[&["o", "a", "c"], &["y", "x"]]), "oacxy");
    assert_eq!(
        names(&mut home, &[&["b", "a", "c"], &["x", "y"]]),
        "abcxy",
        "b is back in its place"
    );
    home.rules.sort = Sort::List;
    assert_eq!(names(&mut home, &[&["b", "a", "c"], &["y", "x"]]), "bacyx");
}

/// A source that comes later than the one behind it does not find its channels numbered and placed by that.
#[test]
fn a_source_that_comes_late_keeps_its_own_order() {
    let (a, b) = (
        list("a", &["one", "two", "three"]),
        list("b", &["three", "one", "nine"]),
    );
    let mut home = Household::new(ChannelRules::default());
    home.build(&[a.clone(), b.clone()]);
    let mut late = Household::new(ChannelRules::default());
    let both = |home: &mut Household, lists: &[(u32, &Listing)]| {
        let lists: Vec<_> = lists
            .iter()
            .map(|(order, list)| (source(list, *order), *list))
            .collect();
        let (catalog, _) = build_with(&lists, &Filters::default(), &home.rules, &mut home.memory);
        outputs(&catalog)
    };
    both(&mut late, &[(1, &b)]);
    assert_eq!(
        both(&mut late, &[(0, &a), (1, &b)]),
        both(&mut home, &[(0, &a), (1, &b)])
    );
}

/// What is damaged on disk is refused or read, and never a panic.
#[test]
fn no_mangled_memory_panics() {
    let mut home = Household::new(everything()[2].clone());
    home.build(&[list("a", &NAMES)]);
    let text = serde_json::to_string(&home.memory).unwrap().into_bytes();
    let mut random = 0x2545_f491_u32;
    for _ in 0..2_000 {
        let mut mangled = text.clone();
        for _ in 0..1 + random % 3 {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            let at = random as usize % mangled.len();
            mangled[at] = b"0\"{}[],:af9\x80"[random as usize / 7 % 12];
        }
        if let Ok(memory) = serde_json::from_slice::<Memory>(&mangled) {
            home.memory = memory;
            home.build(&[list("a", &NAMES)]);
        }
    }
}

/// X15: a provider numbers its streams anew and gives one's number to another. Links stay with the names, and play what
/// has the name now.
#[test]
fn numbers_that_a_provider_gives_away_again_move_no_link() {
    let numbered = |numbers: [usize; 3]| {
        let mut list = Listing::new("s".into());
        for (name, number) in ["One", "Two", "Three"].into_iter().zip(numbers) {
            list.push(Fields {
                title: name,
                stream_key: &number.to_string(),
                url: StreamUrl::new(format!("http://h.example/live/u/p/{number}.ts")),
                ..Fields::default()
            });
        }
        list
    };
    for rules in [
        ChannelRules::default(),
        ChannelRules {
            group_by: GroupBy::Normalised,
            ..ChannelRules::default()
        },
    ] {
        let mut household = Household::new(rules);
        let before = household.build(&[numbered([1, 2, 3])]);
        let after = household.build(&[numbered([2, 9, 1])]);
        assert_eq!(outputs(&after), outputs(&before));
        for (channel, number) in after.channels().iter().zip([2, 9, 1]) {
            let url = format!("http://h.example/live/u/p/{number}.ts");
            assert_eq!(channel.primary().url().expose(), url, "{}", channel.name());
        }
    }
}
