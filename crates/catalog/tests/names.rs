//! How far the normaliser agrees with a person, measured with names that were grouped by hand.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{HashMap, HashSet};

use catalog::name;

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
#[test]
fn probe() {
    let mut groups: HashMap<_, Vec<_>> = HashMap::new();
    for (text, block) in dirty() {
        let Some(block) = block else { continue };
        let parsed = name::parse(text);
        groups.entry(block).or_default().push((text, parsed));
    }
    let mut owner: HashMap<(Box<str>, Option<name::Country>), HashSet<usize>> = HashMap::new();
    for (block, names) in &groups {
        for (_, n) in names {
            owner
                .entry((n.key.clone(), n.country))
                .or_default()
                .insert(*block);
        }
    }
    let mut blocks: Vec<_> = groups.keys().copied().collect();
    blocks.sort();
    for b in blocks {
        let keys: HashSet<_> = groups[&b].iter().map(|(_, n)| n.key.clone()).collect();
        if keys.len() > 1 {
            for (t, n) in &groups[&b] {
                println!(
                    "{b} {t:?} {} {:?} {:?} {:?}",
                    n.key, n.country, n.shown, n.quality
                );
            }
            println!();
        }
    }
    for (k, o) in owner {
        if o.len() > 1 {
            println!("SHARED {k:?} {o:?}");
        }
    }
    for t in [
        "UK: SKY SPORTS F1 UHD RAW",
        "US: WWE Raw HD",
        "UK: TLC HD ◉",
        "FR: Canal+ HD",
        "🇫🇷 C8 HD",
        "DE: Sky UHD 1",
        "US| NBC 4 (WNBC) New York",
        "4K",
        "HD",
        "UK:",
        "",
        "★",
        "UK: Sky Sports Main Event HD (Backup 2)",
    ] {
        println!("{t:?} {:?}", name::parse(t));
    }
}
