//! How fast 200 rules go through half a million names: `cargo bench -p catalog`.
//!
//! 180 rules without look-around and 20 with it, as operators write them, on names by the mix of real lists. Printed
//! beside it: the same rules searched one by one, which is what an engine without a common automaton does.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may")]

use std::{fs, time::Duration};

use catalog::{
    Channel, ChannelRules, Filters, Listing, Memory, Pattern, SourceRules, StreamUrl, Template, build_with,
    listing::{Fields, Kind},
    rules::{Rule, Then, When},
};

const NAMES: usize = 500_000;

/// Every name searched one by one would take minutes.
const ONE_BY_ONE: usize = 10_000;

fn main() {
    let list = listing(NAMES);
    let rules = rules();
    let source = SourceRules {
        name: "bench".into(),
        prefix: "".into(),
        suffix: "".into(),
        order: 0,
    };
    let run = |rules: &ChannelRules| {
        let start = busy();
        let (catalog, issues) = build_with(
            &[(source.clone(), &list)],
            &Filters::default(),
            rules,
            &mut Memory::default(),
        );
        (busy() - start, catalog.channels().len(), issues.len())
    };
    let (plain, channels, _) = run(&ChannelRules::default());
    println!(
        "{NAMES} names, no rules: {} ms, {channels} channels",
        plain.as_millis()
    );
    walk(&list, &source);
    let (with, channels, issues) = run(&rules);
    println!(
        "{NAMES} names, {} rules: {} ms, {channels} channels, {issues} issues; rules alone about {} ms",
        rules.rules.len(),
        with.as_millis(),
        with.saturating_sub(plain).as_millis()
    );
    let one_by_one = one_by_one(&list, &rules);
    println!(
        "searched one by one: about {} ms, {:.1} times as long",
        one_by_one.as_millis(),
        one_by_one.as_secs_f64() / with.saturating_sub(plain).as_secs_f64().max(0.001)
    );
}

/// What it takes to come to the live channels, of which one entry in twenty is one.
fn walk(list: &Listing, source: &SourceRules) {
    let (catalog, _) = build_with(
        &[(source.clone(), list)],
        &Filters::default(),
        &ChannelRules::default(),
        &mut Memory::default(),
    );
    let named = |channel: &&Channel| !channel.name().is_empty();
    let is_live = |channel: &&Channel| channel.kind() == Kind::Live;
    let each = |walk: &dyn Fn() -> usize| {
        let start = busy();
        let found = (0..WALKS).map(|_| walk()).max();
        (
            (busy() - start).as_micros() / u128::from(WALKS),
            found.unwrap_or_default(),
        )
    };
    let (apart, found) = each(&|| catalog.live(0).filter(named).count());
    let (among_all, same) = each(&|| catalog.channels().iter().filter(is_live).filter(named).count());
    println!(
        "{found} live channels of {}: {apart} µs, told apart by a look at each {among_all} µs",
        catalog.channels().len()
    );
    assert_eq!(found, same);
}

/// The clock of a thread's time is coarse.
const WALKS: u32 = 100;

/// Time this thread was on a processor: the machine may be busy with something else.
fn busy() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn one_by_one(list: &Listing, rules: &ChannelRules) -> Duration {
    let start = busy();
    let mut found = 0;
    for entry in list.entries.iter().take(ONE_BY_ONE) {
        for rule in &rules.rules {
            found += usize::from(
                rule.when
                    .name
                    .as_ref()
                    .unwrap()
                    .search(entry.name())
                    .unwrap_or(false),
            );
        }
    }
    std::hint::black_box(found);
    let factor = u32::try_from(list.entries.len().div_ceil(ONE_BY_ONE)).unwrap();
    (busy() - start) * factor
}

fn rules() -> ChannelRules {
    let plain = WORDS.iter().flat_map(|word| {
        [
            format!(r"^{word} *\|"),
            format!(r"\b{word} (HD|FHD)\b"),
            format!(r"{word}.*\(backup\)$"),
            format!(r"^(?P<a>.*{word}) [0-9]+p$"),
        ]
    });
    let mut patterns: Vec<String> = plain.take(176).collect();
    patterns.extend([r"\[.*?\]", r"^#+", r"\s{2,}", r"^([A-Z]{2,3})[:|] *"].map(str::to_owned));
    let around = WORDS.iter().take(10).flat_map(|word| {
        [
            format!(r"^(?!.*\b(SD|backup)\b).*{word}.*HD"),
            format!(r"(?<!not ){word}(?! \+1)"),
        ]
    });
    patterns.extend(around);
    let rule = |pattern: &String| {
        let name = Pattern::compile(pattern).unwrap();
        Rule {
            then: Then {
                group: Some(Template::parse(r"\g<0>", Some(&name)).unwrap()),
                ..Then::default()
            },
            when: When {
                name: Some(name),
                ..When::default()
            },
            ..Rule::default()
        }
    };
    ChannelRules {
        rules: patterns.iter().map(rule).collect(),
        ..ChannelRules::default()
    }
}

const WORDS: [&str; 44] = [
    "sky sports",
    "bbc",
    "itv",
    "espn",
    "discovery",
    "history",
    "nickelodeon",
    "cartoon",
    "disney",
    "hbo",
    "cinema",
    "canal",
    "rtl",
    "sat",
    "pro",
    "arte",
    "rai",
    "mediaset",
    "sport tv",
    "dazn",
    "eurosport",
    "nba",
    "nfl",
    "ufc",
    "wwe",
    "cnn",
    "fox",
    "abc",
    "nbc",
    "cbs",
    "mtv",
    "vh1",
    "tlc",
    "amc",
    "syfy",
    "россия",
    "первый",
    "trt",
    "kanal",
    "antena",
    "tvp",
    "polsat",
    "star",
    "zee",
];

/// Names by the mix of real lists: most are films, one in ten is not ASCII.
fn listing(count: usize) -> Listing {
    const PREFIXES: [&str; 6] = ["UK: ", "|FR| ", "DE - ", "", "US| ", "★ "];
    const TAGS: [&str; 8] = ["HD", "FHD", "ᴴᴰ", "UHD HEVC", "4K", "SD", "", "(backup)"];
    const TITLES: [&str; 8] = [
        "The Last River",
        "Night Train",
        "Über den Wolken",
        "Amélie",
        "Red Harbor",
        "Dune Walk",
        "Город",
        "Blue Hour",
    ];
    let mut list = Listing::new("bench".into());
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    for number in 0..count {
        let is_live = next(20) == 0;
        let name = if is_live {
            let (prefix, word, tag) = (PREFIXES[next(6)], WORDS[next(WORDS.len())], TAGS[next(8)]);
            format!("{prefix}{} {} {tag}", word.to_uppercase(), next(200))
        } else {
            format!("{} {} ({})", TITLES[next(8)], number, 1950 + next(75))
        };
        list.push(Fields {
            title: &name,
            kind: if is_live { Kind::Live } else { Kind::Film },
            group: Some(PREFIXES[next(6)]),
            url: StreamUrl::new(format!(
                "http://provider.example:8080/live/user/password/{number}.ts"
            )),
            ..Fields::default()
        });
    }
    list
}
