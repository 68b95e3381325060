//! Links: ids and the reference's older forms are what Python computes, and all of them lead to the channel.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod support;

use catalog::{
    Catalog, ChannelId, Filters, Kind, Listing, SourceName, SourceRules, StreamId, StreamUrl, build,
    id::{slug_2025, slug_2026, slug_first},
    listing::Fields,
};
use serde_json::json;

const SCRIPT: &str = r#"
import hashlib, json, re, sys, unicodedata
def forms(name):
    ascii_only = re.sub(r"[^A-Za-z0-9]", "", name) or "unknownstream"
    kept = re.sub(r"[\s|]+", "_", unicodedata.normalize("NFKD", name))
    kept = re.sub(r"_+", "_", re.sub(r"[^a-zA-Z0-9_]", "", kept)).strip("_") or "unknownstream"
    first = re.sub(r"[^a-zA-Z0-9\-_]", "_", name)
    return [hashlib.sha256(name.encode()).hexdigest()[:16], ascii_only, kept, first]
json.dump([forms(name) for name in json.load(sys.stdin)], sys.stdout)
"#;

const NAMES: &[&str] = &[
    "CNN HD News",
    "CNN",
    "cnn",
    "UK| Sky Sports | Main Event",
    "ESPN ᴴᴰ ᴿᴬᵂ ⁶⁰",
    "  __a__ || b__  ",
    "a_\u{301}_b",
    "a |é| b",
    "a\u{1c}b\u{85}c\u{a0}d\u{2003}e\u{200b}f",
    "россия 24",
    "中央电视台 CCTV-1",
    "ＣＣＴＶ１",
    "①② ﬁlm ½",
    "✦●✦",
    "",
    "-",
    "_",
    "Das Erste (DE) [HD]",
    "TRT ÇOCUK",
    "한국방송",
    "😀",
    "x\ny",
];

#[test]
fn ids_are_what_python_computes() {
    let Some(answers) = support::python(SCRIPT, &json!(NAMES)) else {
        return;
    };
    let ours: Vec<_> = NAMES
        .iter()
        .map(|name| {
            json!([
                ChannelId::of_name(name).to_string(),
                slug_2025(name),
                slug_2026(name),
                slug_first(name)
            ])
        })
        .collect();
    assert_eq!(json!(ours), answers);
}

fn catalog(entries: &[(&str, Kind)]) -> Catalog {
    let mut listing = Listing::new(SourceName::new("a"));
    for (place, &(title, kind)) in entries.iter().enumerate() {
        let url = StreamUrl::from(format!("http://h/{place}"));
        listing.push(Fields {
            title,
            kind,
            url,
            ..Fields::default()
        });
    }
    let rules = SourceRules {
        name: "a".into(),
        prefix: "".into(),
        suffix: "".into(),
        order: 0,
    };
    build(&[(rules, &listing)], &Filters::default()).0
}

/// The name and kind a link leads to.
fn target<'a>(catalog: &'a Catalog, key: &str) -> Option<(&'a str, Kind)> {
    catalog
        .resolve(key)
        .map(|channel| (channel.name(), channel.kind()))
}

#[test]
fn every_form_of_every_name_leads_to_its_channel() {
    let live = |name: &'static &str| (*name, Kind::Live);
    let catalog = catalog(
        &["CNN", "C N N", "C-N-N", "CNN1", "Sky | Sport ᴴᴰ", "✦", "✦✦"]
            .each_ref()
            .map(live),
    );
    let check = |key: &str, expected: Option<&str>| {
        assert_eq!(target(&catalog, key).map(|(name, _)| name), expected, "{key}");
    };
    for name in ["CNN", "C N N", "Sky | Sport ᴴᴰ", "✦✦"] {
        let id = ChannelId::of_name(name).to_string();
        check(&id, Some(name));
        check(&id.to_uppercase(), Some(name));
        check(&format!("+{}", &id[1..]), None);
    }
    check("CNN", Some("CNN"));
    // 2026: C-N-N is the second CNN, and so CNN1 itself the first to want CNN1 when it was taken.
    check("CNN1", Some("C-N-N"));
    check("CNN11", Some("CNN1"));
    check("C_N_N", Some("C N N"));
    // 2025: three names are CNN.
    check("CNN2", Some("C-N-N"));
    check("C-N-N", Some("C-N-N"));
    check("Sky_Sport_HD", Some("Sky | Sport ᴴᴰ"));
    check("SkySport", Some("Sky | Sport ᴴᴰ"));
    check("Sky___Sport___", Some("Sky | Sport ᴴᴰ"));
    check("unknownstream", Some("✦"));
    check("unknownstream1", Some("✦✦"));
    check("", None);
    check("0123456789abcdef", None);
}

#[test]
fn one_name_of_two_kinds_is_two_channels() {
    let film_first = catalog(&[
        ("Alien", Kind::Film),
        ("Alien", Kind::Live),
        ("Alien", Kind::Episode),
    ]);
    let plain = ChannelId::of_name("Alien").to_string();
    assert_eq!(target(&film_first, &plain), Some(("Alien", Kind::Live)));
    assert_eq!(target(&film_first, "Alien"), Some(("Alien", Kind::Live)));
    let ids: Vec<_> = film_first
        .channels()
        .iter()
        .map(|channel| channel.id().to_string())
        .collect();
    assert_eq!(film_first.channels().len(), 3);
    for (id, kind) in ids.iter().zip([Kind::Film, Kind::Live, Kind::Episode]) {
        assert_eq!(target(&film_first, id), Some(("Alien", kind)));
    }
    // Once the live channel is gone, the film has the plain id, and its old one still works.
    let film_alone = catalog(&[("Alien", Kind::Film)]);
    assert_eq!(film_alone.channels()[0].id().to_string(), plain);
    assert_eq!(target(&film_alone, &ids[0]), Some(("Alien", Kind::Film)));
}

#[test]
fn a_hundred_thousand_nameless_slugs_take_no_quadratic_time() {
    let names: Vec<String> = (0..100_000u32)
        .map(|n| "✦".repeat(1 + n as usize % 7) + &"—".repeat(n as usize / 7 % 300))
        .collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), Kind::Live)).collect();
    let catalog = catalog(&entries);
    let last = format!("unknownstream{}", catalog.channels().len() - 1);
    assert_eq!(
        catalog.resolve(&last).map(catalog::Channel::id),
        catalog.channels().last().map(catalog::Channel::id)
    );
}

#[test]
fn a_stream_is_the_same_after_the_account_changed() {
    let id = |key: &str, kind: Kind, url: &str| {
        let fields = Fields {
            title: "x",
            kind,
            stream_key: key,
            url: StreamUrl::from(url),
            ..Fields::default()
        };
        let mut listing = Listing::new("source".into());
        listing.push(fields);
        StreamId::of_entry(&listing.source, listing.entries.first().unwrap())
    };
    let same: &[(&str, &str)] = &[
        ("http://h:80/live/u/p/1.ts", "https://h:80/live/v/q/1.ts"),
        ("http://h/u/p/1.ts", "http://h/v/q/1.ts"),
        ("http://u:p@h/a.ts", "http://H/a.ts"),
        ("http://h/a.ts?token=1&c=2", "http://h/a.ts?c=2&token=3#x"),
    ];
    for (a, b) in same {
        assert_eq!(id("", Kind::Live, a), id("", Kind::Live, b), "{a} {b}");
    }
    let different: &[(&str, &str)] = &[
        ("http://h/live/u/p/1.ts", "http://h/live/u/p/2.ts"),
        ("http://h/live/u/p/1.ts", "http://h/movie/u/p/1.ts"),
        ("http://h/a.ts?c=2", "http://h/a.ts?c=3"),
        ("http://h/a/b/c.ts", "http://h/x/y/c.ts"),
        ("http://h/a.ts", "http://i/a.ts"),
    ];
    for (a, b) in different {
        assert_ne!(id("", Kind::Live, a), id("", Kind::Live, b), "{a} {b}");
    }
    assert_eq!(
        id("7", Kind::Live, "http://h/a"),
        id("7", Kind::Live, "http://i/b")
    );
    assert_ne!(
        id("7", Kind::Live, "http://h/a"),
        id("8", Kind::Live, "http://h/a")
    );
    assert_ne!(
        id("7", Kind::Live, "http://h/a"),
        id("7", Kind::Film, "http://h/a")
    );
}
