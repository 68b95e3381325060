//! From listings to channels: filters, grouping, order, and what the operator is told.
#![expect(clippy::unwrap_used, reason = "a test may")]

use catalog::{
    Catalog, Filters, Issue, Kind, Listing, Pattern, SourceRules, StreamUrl, build, filter::GIVE_UPS_MAX,
    listing::Fields,
};

fn patterns(sources: &[&str]) -> Vec<Pattern> {
    sources
        .iter()
        .map(|source| Pattern::compile(source).unwrap())
        .collect()
}

fn rules(name: &str, order: u32, prefix: &str, suffix: &str) -> SourceRules {
    SourceRules {
        name: name.into(),
        prefix: prefix.into(),
        suffix: suffix.into(),
        order,
    }
}

fn listing(source: &str, entries: &[(&str, &str)]) -> Listing {
    let mut listing = Listing::new(source.into());
    for &(title, url) in entries {
        listing.push(Fields {
            title,
            url: StreamUrl::from(url),
            ..Fields::default()
        });
    }
    listing
}

/// Display name, then source and URL of each stream.
fn outline(catalog: &Catalog) -> Vec<(String, Vec<String>)> {
    let stream =
        |s: &catalog::StreamEntry| format!("{} {}", catalog.sources()[s.source()].name, s.url().expose());
    let channels = catalog.channels().iter();
    channels
        .map(|c| (c.display_name().to_owned(), c.streams().map(stream).collect()))
        .collect()
}

/// The filters of the reference's README.
fn readme() -> Filters {
    Filters {
        include_name: patterns(&[".*HD.*", ".*FHD.*"]),
        include_stream: Vec::new(),
        exclude_name: patterns(&[".*test.*", ".*XXX.*"]),
        exclude_stream: patterns(&[".*adult.*"]),
    }
}

#[test]
fn filters_exclude_before_they_include() {
    let by_stream = Filters {
        include_stream: patterns(&[r"\.ts$", "/live/"]),
        ..Filters::default()
    };
    let both = Filters {
        include_name: patterns(&["^uk"]),
        ..by_stream.clone()
    };
    let contrary = Filters {
        include_name: patterns(&["hd"]),
        exclude_name: patterns(&["hd"]),
        ..Filters::default()
    };
    let table: &[(&Filters, &str, &str, bool)] = &[
        (&Filters::default(), "anything", "", true),
        (&readme(), "CNN HD", "http://h/1.ts", true),
        (&readme(), "cnn fhd", "http://h/1.ts", true),
        (&readme(), "CNN", "http://h/1.ts", false),
        (&readme(), "Test HD", "http://h/1.ts", false),
        (&readme(), "latest HD", "http://h/1.ts", false),
        (&readme(), "xxx HD", "http://h/1.ts", false),
        (&readme(), "CNN HD", "http://h/ADULT/1.ts", false),
        (&readme(), "adult HD", "http://h/1.ts", true),
        (&readme(), "line one\nHD", "http://h/1.ts", true),
        (&by_stream, "x", "http://h/a.ts", true),
        (&by_stream, "x", "http://h/live/a", true),
        (&by_stream, "x", "http://h/a.mp4", false),
        (&both, "UK x", "http://h/a.ts", true),
        (&both, "UK x", "http://h/a.mp4", false),
        (&both, "US x", "http://h/a.ts", false),
        (&contrary, "hd", "", false),
    ];
    for &(filters, name, url, expected) in table {
        let list = listing("a", &[(name, url)]);
        let (catalog, issues) = build(&[(rules("a", 0, "HD test ", ""), &list)], filters);
        assert_eq!(catalog.channels().len() == 1, expected, "{name} {url}");
        assert_eq!(catalog.source_counts()[0].kept, usize::from(expected));
        assert!(issues.is_empty());
    }
}

#[test]
fn a_channel_has_the_streams_of_its_name_in_config_order() {
    let a = listing("a", &[("One", "a1"), ("Two", "a2"), ("One", "a3")]);
    let b = listing(
        "b",
        &[("Two", "b1"), ("Three", "b2"), ("one", "b3"), ("One", "b4")],
    );
    let inputs = [
        (rules("a", 0, "[A] ", " HD"), &a),
        (rules("b", 1, "", " [B]"), &b),
    ];
    let (catalog, _) = build(&inputs, &Filters::default());
    let channel =
        |name: &str, streams: &[&str]| (name.to_owned(), streams.iter().map(ToString::to_string).collect());
    assert_eq!(
        outline(&catalog),
        [
            channel("[A] One HD", &["a a1", "a a3", "b b4"]),
            channel("[A] Two HD", &["a a2", "b b1"]),
            channel("Three [B]", &["b b2"]),
            channel("one [B]", &["b b3"]),
        ]
    );
    assert_eq!(catalog.channels()[0].name(), "One");
    assert_eq!(catalog.channels()[0].streams().len(), 3);
}

#[test]
fn whichever_source_was_refreshed_last_the_catalogue_is_the_same() {
    let lists: Vec<Listing> = (0..6)
        .map(|n| {
            let entries: Vec<_> = (0..40)
                .map(|m| format!("Channel {}", (m * 7 + n * 5) % 53))
                .collect();
            let entries: Vec<_> = entries.iter().map(|name| (name.as_str(), "http://h/1")).collect();
            listing(&format!("s{n}"), &entries)
        })
        .collect();
    // Two sources share a place in the config: their names decide.
    let mut inputs: Vec<_> = (0u32..)
        .zip(&lists)
        .map(|(n, list)| (rules(list.source.as_str(), n / 2, "", ""), list))
        .collect();
    let ids = |catalog: &Catalog| -> Vec<_> {
        let channels = catalog.channels().iter();
        channels
            .map(|c| {
                (
                    c.id(),
                    c.streams().map(catalog::StreamEntry::id).collect::<Vec<_>>(),
                )
            })
            .collect()
    };
    let (first, _) = build(&inputs, &Filters::default());
    let mut random = 0x9e37_79b9_u32;
    for _ in 0..50 {
        for place in (1..inputs.len()).rev() {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            inputs.swap(place, random as usize % (place + 1));
        }
        let (again, _) = build(&inputs, &Filters::default());
        assert_eq!(outline(&again), outline(&first));
        assert_eq!(ids(&again), ids(&first));
        assert_eq!(again.source_counts(), first.source_counts());
    }
}

#[test]
fn attributes_come_from_the_first_stream_that_has_them() {
    let mut list = Listing::new("a".into());
    list.push(Fields {
        title: "shown",
        tvg_name: Some("X"),
        logo: Some(""),
        group: Some("G"),
        ..Fields::default()
    });
    list.push(Fields {
        title: "X",
        logo: Some("l"),
        group: Some("H"),
        tvg_chno: Some("5.1"),
        ..Fields::default()
    });
    list.push(Fields {
        title: "X",
        logo: Some("m"),
        tvg_id: Some("x.uk"),
        tvg_chno: Some("6"),
        ..Fields::default()
    });
    let (catalog, _) = build(&[(rules("a", 0, "", ""), &list)], &Filters::default());
    let channel = &catalog.channels()[0];
    assert_eq!(
        (channel.name(), channel.primary().entry().title()),
        ("X", "shown")
    );
    assert_eq!(
        (channel.group(), channel.logo().as_deref()),
        (Some("G"), Some("l"))
    );
    assert_eq!(
        (channel.tvg_id(), channel.tvg_chno(), channel.radio()),
        (Some("x.uk"), Some("5.1"), None)
    );
    assert_eq!(channel.kind(), Kind::Live);
}

#[test]
fn what_cannot_be_used_is_told_and_left_out() {
    let mut list = listing("a", &[("", "u"), ("x", "u"), ("", "v")]);
    list.malformed = 3;
    let (catalog, issues) = build(&[(rules("a", 0, "", ""), &list)], &Filters::default());
    assert_eq!(
        issues,
        [Issue::Unnamed {
            source: "a".into(),
            entries: 2
        }]
    );
    let count = &catalog.source_counts()[0];
    assert_eq!((count.listed, count.kept, count.malformed), (3, 1, 3));
}

#[test]
fn a_pattern_without_end_is_told_once_and_given_up() {
    let hopeless = "a".repeat(60);
    let entries: Vec<_> = (0..GIVE_UPS_MAX + 20).map(|_| (hopeless.as_str(), "u")).collect();
    let list = listing("a", &entries);
    let filters = Filters {
        exclude_name: patterns(&[r"^(a|aa)+(?<=x)$", "^b"]),
        ..Filters::default()
    };
    let (catalog, issues) = build(&[(rules("a", 0, "", ""), &list)], &filters);
    assert_eq!(catalog.source_counts()[0].kept, entries.len());
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

#[test]
fn live_channels_are_found_without_the_others() {
    let mut list = Listing::new("a".into());
    let kinds = [
        Kind::Film,
        Kind::Live,
        Kind::Episode,
        Kind::Live,
        Kind::Film,
        Kind::Live,
    ];
    for (number, kind) in kinds.into_iter().enumerate() {
        list.push(Fields {
            title: &format!("{number}"),
            kind,
            ..Fields::default()
        });
    }
    let (catalog, _) = build(&[(rules("a", 0, "", ""), &list)], &Filters::default());
    let live = |from| catalog.live(from).map(catalog::Channel::name).collect::<Vec<_>>();
    assert_eq!(live(0), ["1", "3", "5"]);
    assert_eq!(live(2), ["5"]);
    assert!(live(3).is_empty() && live(9).is_empty());
    assert_eq!(Catalog::default().live(0).count(), 0);
}
