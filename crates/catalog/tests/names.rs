//! How far the normaliser agrees with a person, measured with names that were grouped by hand.

use std::collections::{HashMap, HashSet};

use catalog::{
    Catalog, ChannelId, ChannelRules, Filters, Issue, Listing, Memory, SourceRules, StreamUrl, build_with,
    listing::Fields,
    name::{self, Quality},
    rules::{GroupBy, Prefer},
};

/// Names and the number of the channel a person would put them into; `None`: no channel at all.
fn dirty() -> Vec<(&'static str, Option<usize>)> {
    let (mut block, mut is_separators, mut names) = (0, false, Vec::new());
    for line in include_str!("names/dirty.txt").lines() {
        match line {
            "" => block += 1,
            "!separators" => is_separators = true,
            _ if line.starts_with("//") => {}
            _ => names.push((line, (!is_separators).then_some(block))),
        }
    }
    names
}

#[test]
fn separators_are_told_from_channels() {
    let wrong: Vec<_> = dirty()
        .into_iter()
        .filter(|(name, block)| name::is_separator(name) != block.is_none())
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Names of one person's channels that came apart, and names of two that came together, out of all pairs of each.
#[test]
fn names_are_joined_as_a_person_would() {
    let dirty: Vec<_> = dirty()
        .into_iter()
        .filter_map(|(name, block)| Some((name, block?)))
        .collect();
    let names: Vec<&str> = dirty.iter().map(|(name, _)| *name).collect();
    let (catalog, _) = joined(&names, Prefer::Free);
    let ours = channel_of(&catalog);
    let (mut both, mut person, mut machine) = (0, 0, 0);
    let mut together = Vec::new();
    for (at, (a, of_a)) in dirty.iter().enumerate() {
        for (b, of_b) in dirty.get(at + 1..).unwrap_or_default() {
            let (is_meant, is_done) = (of_a == of_b, ours[a] == ours[b]);
            both += u32::from(is_meant && is_done);
            person += u32::from(is_meant);
            machine += u32::from(is_done);
            if is_done && !is_meant {
                together.push((*a, *b));
            }
        }
    }
    let mut blocks: HashMap<usize, HashSet<ChannelId>> = HashMap::new();
    for (name, block) in &dirty {
        blocks.entry(*block).or_default().insert(ours[name]);
    }
    let whole = blocks.values().filter(|channels| channels.len() == 1).count();
    let (precision, recall) = (
        f64::from(both) / f64::from(machine),
        f64::from(both) / f64::from(person),
    );
    println!(
        "{} names, {} channels: {whole} whole; of pairs joined {:.1} % are right, of right ones {:.1} % joined",
        dirty.len(),
        blocks.len(),
        precision * 100.0,
        recall * 100.0
    );
    // A wrong join plays the wrong channel: there is none. What is missing takes knowledge of the channels, such as
    // that "FS1" is "Fox Sports 1"; a rule says it.
    assert_eq!(together, []);
    assert!(recall >= 0.94, "{recall}");
    assert!(whole * 100 >= blocks.len() * 90, "{whole} of {}", blocks.len());
}

/// The same channels, streams in the same order, whatever the order of the list.
#[test]
fn the_order_of_a_list_does_not_matter() {
    let mut names: Vec<&str> = dirty().into_iter().map(|(name, _)| name).collect();
    for prefer in [Prefer::Free, Prefer::Quality, Prefer::Source] {
        let (first, _) = joined(&names, prefer);
        let outline = |catalog: &Catalog| {
            let mut channels: Vec<_> = catalog
                .channels()
                .iter()
                .map(|channel| {
                    let streams: Vec<_> = channel
                        .streams()
                        .map(|stream| (stream.entry().name().to_owned(), stream.policy_rank()))
                        .collect();
                    (channel.id(), channel.name().to_owned(), streams)
                })
                .collect();
            channels.sort();
            channels
        };
        let mut random = 0x9e37_79b9_u32;
        for _ in 0..10 {
            for place in (1..names.len()).rev() {
                random ^= random << 13;
                random ^= random >> 17;
                random ^= random << 5;
                names.swap(place, random as usize % (place + 1));
            }
            let (again, _) = joined(&names, prefer);
            assert_eq!(outline(&again), outline(&first), "{prefer:?}");
        }
    }
}

#[test]
fn a_name_is_taken_apart() {
    let table: &[(&str, &str, &str, Option<&str>, Quality)] = &[
        (
            "UK: Sky Sports F1 UHD RAW",
            "skysportsf1",
            "Sky Sports F1",
            Some("uk"),
            Quality::Uhd,
        ),
        ("US: WWE Raw HD", "wweraw", "WWE Raw", Some("us"), Quality::Hd),
        (
            "|FR| Canal+ Cinéma ᶠᴴᴰ",
            "canalpluscinema",
            "Canal+ Cinéma",
            Some("fr"),
            Quality::FullHd,
        ),
        (
            "🇬🇧 BBC One (1080p)",
            "bbc1",
            "BBC One",
            Some("uk"),
            Quality::FullHd,
        ),
        (
            "EX-YU | Arena Sport 1",
            "arenasport1",
            "Arena Sport 1",
            Some("exyu"),
            Quality::Unknown,
        ),
        ("𝐔𝐊: 𝐆𝐨𝐥𝐝 𝐇𝐃", "gold", "Gold", Some("uk"), Quality::Hd),
        (
            "Sky Sports 01 FHD 50fps",
            "skysports1",
            "Sky Sports 01",
            None,
            Quality::FullHd,
        ),
        ("E4 +1 HD", "e4+1", "E4 +1", None, Quality::Hd),
        ("Sky UHD 1 HEVC", "skyuhd1", "Sky UHD 1", None, Quality::Uhd),
        ("RTLHD", "rtl", "RTL", None, Quality::Unknown),
        ("4K", "4k", "4K", None, Quality::Uhd),
        ("UK:", "uk", "UK", None, Quality::Unknown),
        ("★", "★", "★", None, Quality::Unknown),
        ("", "", "", None, Quality::Unknown),
    ];
    for &(text, key, shown, country, quality) in table {
        let name = name::parse(text);
        let found = (
            &*name.key,
            &*name.shown,
            name.country.map(name::Country::code),
            name.quality,
        );
        assert_eq!(found, (key, shown, country, quality), "{text}");
    }
}

/// Any text is a name, and its key is the key of its key's own.
#[test]
fn no_name_is_too_odd() {
    let pieces = [
        "UK: ",
        "|",
        "ᴴᴰ",
        "HD",
        "🇬🇧",
        "🇬",
        "(",
        ")",
        "[",
        "+",
        "+1",
        " ",
        "\u{200b}",
        "e\u{301}",
        "हिंदी",
        "\0",
        "𝐇",
        "é",
        "1",
        "ex-yu",
        "ß",
        "#",
    ];
    let mut random = 0x2545_f491_u32;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..random % 9 {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            text.push_str(pieces[random as usize % pieces.len()]);
        }
        random = random.wrapping_mul(0x9e37_79b9).wrapping_add(1);
        let name = name::parse(&text);
        assert_eq!(name.key.is_empty(), text.trim().is_empty(), "{text:?}");
        name::is_separator(&text);
    }
}

fn joined(names: &[&str], prefer: Prefer) -> (Catalog, Vec<Issue>) {
    let mut list = Listing::new("a".into());
    for (number, name) in names.iter().enumerate() {
        list.push(Fields {
            title: name,
            url: StreamUrl::new(format!("http://h.example/{number}")),
            ..Fields::default()
        });
    }
    let rules = ChannelRules {
        group_by: GroupBy::Normalised,
        prefer,
        ..ChannelRules::default()
    };
    let source = SourceRules {
        name: "a".into(),
        prefix: "".into(),
        suffix: "".into(),
        order: 0,
    };
    build_with(
        &[(source, &list)],
        &Filters::default(),
        &rules,
        &mut Memory::default(),
    )
}

fn channel_of(catalog: &Catalog) -> HashMap<&str, ChannelId> {
    let channels = catalog.channels().iter();
    channels
        .flat_map(|channel| {
            channel
                .streams()
                .map(|stream| (stream.entry().name(), channel.id()))
        })
        .collect()
}
