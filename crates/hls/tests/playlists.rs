//! Playlists as they are found in the field, each with what is to be made of it. The plans were written by hand from
//! RFC 8216 and the quirks of providers (H1 to H16), before the reader was.
//!
//! A `.m3u8` may hold several loads, divided by lines `#-- at SECONDS`. A `.plan` says for each load which segments are
//! fetched then, and when the playlist is due again.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may panic"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use hls::follow::{Config, Due, Encryption, Follower, Range, SegmentRequest};
use hls::{MediaPlaylist, MultivariantPlaylist, Playlist};

#[test]
fn every_playlist_gives_its_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/playlists");
    let mut failed = Vec::new();
    let mut count = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "m3u8") {
            continue;
        }
        count += 1;
        let text = std::fs::read(&path).unwrap();
        let plan = std::fs::read_to_string(path.with_extension("plan")).unwrap();
        let expected: Vec<&str> = plan
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .collect();
        let made = plan_of(&text, &expected);
        let is_as_expected = match expected.as_slice() {
            // The rest of a reason may be put in any words.
            [only] if only.starts_with("refused ") || only.starts_with("error ") => {
                let (kind, reason) = only.split_once(' ').unwrap();
                made.starts_with(kind) && made.contains(reason)
            }
            lines => lines.join("\n") == made.trim_end(),
        };
        if !is_as_expected {
            failed.push(format!("{}: made\n{made}", path.display()));
        }
    }
    failed.sort();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(count >= 40, "{count} playlists");
}

/// What is made of a playlist, in the words of a plan.
fn plan_of(text: &[u8], expected: &[&str]) -> String {
    let loads = loads(text);
    match hls::playlist::parse(&loads[0].1) {
        Err(error) => format!("error {error}"),
        Ok(Playlist::Leads(uri)) => format!("leads {uri}"),
        Ok(Playlist::Multivariant(list)) => ladder(&list, expected),
        Ok(Playlist::Media(first)) => match hls::unsupported(&first) {
            Some(feature) => format!("refused {feature}"),
            None => follow(&loads),
        },
    }
}

fn loads(text: &[u8]) -> Vec<(f64, Vec<u8>)> {
    const MARK: &[u8] = b"#-- at ";
    let mut loads = vec![(0.0, Vec::new())];
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(MARK) {
            Some(at) => {
                let at = std::str::from_utf8(at).unwrap().trim().parse().unwrap();
                loads.push((at, Vec::new()));
            }
            None => loads.last_mut().unwrap().1.extend_from_slice(line),
        }
    }
    loads
}

fn media(text: &[u8]) -> MediaPlaylist {
    match hls::playlist::parse(text) {
        Ok(Playlist::Media(media)) => media,
        other => panic!("{other:?}"),
    }
}

fn follow(loads: &[(f64, Vec<u8>)]) -> String {
    let mut plan = String::new();
    let mut follower = Follower::new(Config::default());
    for (at, text) in loads {
        let now = Duration::from_secs_f64(*at);
        follower.on_playlist(&media(text), now, now);
        writeln!(plan, "at {at}").unwrap();
        while let Some(request) = follower.next_segment(now) {
            writeln!(plan, "  {}", segment(&request)).unwrap();
        }
        match (follower.due(now), reload(&follower, now)) {
            (Due::Stale, _) => plan.push_str("  stale\n"),
            (Due::Ended, _) => plan.push_str("  reload never\n  ended\n"),
            (_, Some(at)) => writeln!(plan, "  reload {}", at.as_secs_f64()).unwrap(),
            (_, None) => plan.push_str("  reload never\n"),
        }
    }
    plan
}

/// When the next load is due, as far as can be seen from outside.
fn reload(follower: &Follower, now: Duration) -> Option<Duration> {
    let step = Duration::from_millis(100);
    (0..10_000)
        .map(|steps| now + step * steps)
        .find_map(|at| match follower.due(at) {
            Due::Load => Some(Some(at)),
            Due::Ended => Some(None),
            _ => None,
        })
        .flatten()
}

fn segment(request: &SegmentRequest) -> String {
    let mut line = format!(
        "{} {} {}",
        request.sequence,
        request.duration.as_secs_f64(),
        request.uri
    );
    let range = |range: Range| format!("{}-{}", range.first, range.last);
    let key = |encryption: &Encryption| {
        let iv: String = encryption.iv.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        });
        format!("{},{iv}", encryption.key.uri.as_deref().unwrap_or_default())
    };
    if let Some(part) = request.range {
        write!(line, " bytes={}", range(part)).unwrap();
    }
    if let Some(encryption) = &request.encryption {
        write!(line, " key={}", key(encryption)).unwrap();
    }
    if let Some(map) = &request.initialisation {
        write!(line, " map={}", map.uri).unwrap();
        if let Some(part) = map.range {
            write!(line, "[{}]", range(part)).unwrap();
        }
        if let Some(encryption) = &map.encryption {
            write!(line, " mapkey={}", key(encryption)).unwrap();
        }
    }
    if request.discontinuity {
        line.push_str(" discontinuity");
    }
    if request.skipped > 0 {
        write!(line, " skipped={}", request.skipped).unwrap();
    }
    line
}

fn ladder(list: &MultivariantPlaylist, expected: &[&str]) -> String {
    let mut plan = String::new();
    let limits = expected.iter().filter_map(|line| line.strip_prefix("limit "));
    for limit in std::iter::once(None).chain(limits.map(Some)) {
        if let Some(limit) = limit {
            writeln!(plan, "limit {limit}").unwrap();
        }
        for rung in list.ladder(limit.map(|limit| limit.parse().unwrap())) {
            write!(plan, "variant {}", rung.uri).unwrap();
            let sounds: Vec<&str> = rung.audio.iter().map(|sound| &*sound.uri).collect();
            if !sounds.is_empty() {
                write!(plan, " audio={}", sounds.join(",")).unwrap();
            }
            plan.push('\n');
        }
    }
    plan
}
