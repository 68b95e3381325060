//! The walls of the house: which crate may use which, what the pure ones must not name, and how large a file grows.
//!
//! Read from the sources alone: `ARCHITECTURE.md` says why each wall stands.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each crate may use of the others; a crate that is not here is new, and its walls are to be decided.
const EDGES: [(&str, &[&str]); 13] = [
    ("catalog", &[]),
    ("hdhomerun", &[]),
    ("heap", &[]),
    ("hls", &["mpegts"]),
    ("m3u", &[]),
    (
        "mainstem",
        &[
            "catalog",
            "hdhomerun",
            "heap",
            "hls",
            "m3u",
            "mp4",
            "mpegts",
            "relay",
            "xmltv",
            "xtream",
        ],
    ),
    ("mp4", &["mpegts"]),
    ("mpegts", &[]),
    // It shares no code with what it tests.
    ("provider-double", &[]),
    ("relay", &["mpegts"]),
    ("xmltv", &[]),
    ("xtream", &[]),
    ("xtask", &[]),
];

/// Crates that hold values and rules only: no runtime, no HTTP, no clock, no file, no socket.
const PURE: [&str; 8] = [
    "catalog",
    "hdhomerun",
    "hls",
    "m3u",
    "mp4",
    "mpegts",
    "xmltv",
    "xtream",
];

/// What a pure crate's sources do not name. `std::io` is no door: its traits read from memory too.
const DOORS: [&str; 14] = [
    "tokio",
    "hyper",
    "axum",
    "reqwest",
    "futures_util",
    "std::net",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "std::time::Instant",
    "Instant::now",
    "SystemTime",
    "println!",
];

/// The only files of relay that know the runtime; the state machine and the ring do not.
const RELAY_WITH_TOKIO: [&str; 3] = ["driver.rs", "hub.rs", "viewer.rs"];

/// The crate that calls what only C offers; how, is argued there. Where it grows, something else has come in.
const UNSAFE: &str = "heap";

/// Names that say that the noun has not been found yet.
const NO_NOUNS: [&str; 4] = ["common", "helper", "manager", "utils"];

/// A longer file hides a second noun.
const LINES_MAX: usize = 700;

#[test]
fn crates_use_only_what_their_wall_allows() {
    let allowed: BTreeMap<_, _> = EDGES.into_iter().collect();
    for (name, manifest) in manifests() {
        let allowed = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name} is new: what may it use?"));
        let used = dependencies(&manifest, &["dependencies", "build-dependencies"]);
        let ours = used
            .iter()
            .filter(|used| EDGES.iter().any(|(ours, _)| ours == used));
        let wrong: Vec<_> = ours.filter(|used| !allowed.contains(&used.as_str())).collect();
        assert!(wrong.is_empty(), "{name} uses {wrong:?}");
    }
}

#[test]
fn tests_lean_on_the_double_and_on_no_wall() {
    let allowed: BTreeMap<_, _> = EDGES.into_iter().collect();
    for (name, manifest) in manifests() {
        let used = dependencies(&manifest, &["dev-dependencies"]);
        let ours = used
            .iter()
            .filter(|used| EDGES.iter().any(|(ours, _)| ours == used));
        let wrong: Vec<_> = ours
            .filter(|used| *used != "provider-double" && !allowed[name.as_str()].contains(&used.as_str()))
            .collect();
        assert!(wrong.is_empty(), "the tests of {name} use {wrong:?}");
    }
}

#[test]
fn pure_crates_have_no_door_to_the_world() {
    for name in PURE.iter().filter(|name| folder(name).is_dir()) {
        let manifest = read(&folder(name).join("Cargo.toml"));
        let used = dependencies(&manifest, &["dependencies"]);
        for door in ["tokio", "hyper", "axum", "futures-util", "http"] {
            assert!(!used.contains(door), "{name} uses {door}");
        }
        for path in sources(&folder(name).join("src")) {
            let text = code(&read(&path));
            for door in DOORS {
                assert!(!names(&text, door), "{} names {door}", path.display());
            }
        }
    }
}

#[test]
fn the_decisions_of_relay_know_no_runtime() {
    let mut with = BTreeSet::new();
    for path in sources(&folder("relay").join("src")) {
        if names(&code(&read(&path)), "tokio") {
            with.insert(path.file_name().expect("a file").to_string_lossy().into_owned());
        }
    }
    assert_eq!(with, RELAY_WITH_TOKIO.map(String::from).into());
}

#[test]
fn no_crate_of_ours_but_one_is_unsafe() {
    for (name, _) in manifests().into_iter().filter(|(name, _)| name != UNSAFE) {
        let roots = ["src/lib.rs", "src/main.rs"].map(|root| member(&name).join(root));
        let root = roots.iter().find(|root| root.is_file()).expect("a root");
        let forbids = read(root).contains("#![forbid(unsafe_code)]");
        assert!(forbids, "{} forbids unsafe code", root.display());
    }
}

#[test]
fn the_unsafe_crate_is_one_call() {
    let root = read(&folder(UNSAFE).join("src/lib.rs"));
    assert_eq!(sources(&folder(UNSAFE).join("src")).len(), 1);
    assert_eq!(code(&root).matches("unsafe {").count(), 1);
}

#[test]
fn format_crates_cannot_index() {
    for name in PURE.iter().filter(|name| folder(name).is_dir()) {
        let root = read(&folder(name).join("src/lib.rs"));
        assert!(
            root.contains("clippy::indexing_slicing"),
            "{name} watches its indices"
        );
    }
}

#[test]
fn files_are_named_by_their_noun_and_hold_one() {
    let files = all_sources();
    assert!(files.len() > 100, "the sources are found");
    for path in files {
        let stem = path.file_stem().expect("a file").to_string_lossy();
        let nameless = stem
            .split('_')
            .any(|word| NO_NOUNS.contains(&word.trim_end_matches('s')) || NO_NOUNS.contains(&word));
        assert!(!nameless, "{}: which noun lives here?", path.display());
        let lines = read(&path).lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
    }
}

/// Every crate of the workspace: name and manifest.
fn manifests() -> Vec<(String, String)> {
    let crates = std::fs::read_dir(root().join("crates")).expect("the crates are there");
    let names = crates
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let names = names.chain(["xtask".to_owned()]);
    names
        .map(|name| {
            let manifest = read(&member(&name).join("Cargo.toml"));
            (name, manifest)
        })
        .collect()
}

/// The keys of these sections of a manifest, for every target.
fn dependencies(manifest: &str, sections: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            // `[target.'…'.dependencies]` ends with it, `[dependencies.tokio]` is one.
            let plain = sections.iter().any(|wanted| {
                section.rsplit('.').next() == Some(wanted) && section != format!("workspace.{wanted}")
            });
            for wanted in sections {
                found.extend(section.strip_prefix(&format!("{wanted}.")).map(str::to_owned));
            }
            inside = plain;
        } else if inside && !line.starts_with('#') {
            let key = line.split(['=', '.']).next().unwrap_or_default().trim();
            found.extend(Some(key.to_owned()).filter(|key| !key.is_empty()));
        }
    }
    found
}

/// A source without its comments: those may name what the code must not.
fn code(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether `word` stands in `text` as a name of its own.
fn names(text: &str, word: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with(of_name) && !after.starts_with(of_name)
    })
}

fn all_sources() -> Vec<PathBuf> {
    let folders = ["crates", "xtask", "e2e", "fuzz/fuzz_targets"];
    folders
        .iter()
        .flat_map(|folder| sources(&root().join(folder)))
        .collect()
}

/// Every Rust file below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && entry.file_name() != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn member(name: &str) -> PathBuf {
    if name == "xtask" {
        root().join(name)
    } else {
        folder(name)
    }
}

fn folder(name: &str) -> PathBuf {
    root().join("crates").join(name)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
