//! Origins that behave as badly as those in the field, for hours of virtual time: windows of any length, copies from edge
//! servers that are behind, loads that fail, segments that are late, restarts that count anew.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use hls::MediaPlaylist;
use hls::follow::{Config, Due, Follower};
use hls::playlist::Segment;

/// xorshift64*: chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound.max(1)
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// An origin whose segments all last one target duration.
struct Origin {
    target: u64,
    window: u64,
    /// Counted since this time, and segments before it.
    counts_from: (Duration, u64),
    /// It stopped then.
    stopped: Option<Duration>,
    /// Every so many segments there is a gap.
    gap_every: Option<u64>,
}

impl Origin {
    /// The number behind the last complete segment.
    fn end(&self, now: Duration) -> u64 {
        let now = self.stopped.map_or(now, |stopped| stopped.min(now));
        let (since, number) = self.counts_from;
        number + now.saturating_sub(since).as_secs() / self.target
    }

    fn playlist(&self, now: Duration) -> MediaPlaylist {
        let end = self.end(now);
        let first = end.saturating_sub(self.window);
        let segment = |number: u64| Segment {
            uri: format!("{number}?{}", now.as_millis()),
            duration: self.target as f64,
            gap: self.gap_every.is_some_and(|every| number % every == every - 1),
            ..Segment::default()
        };
        MediaPlaylist {
            target_duration: self.target,
            media_sequence: first,
            segments: (first..end).map(segment).collect(),
            ..MediaPlaylist::default()
        }
    }
}

/// One life of a follower at an origin. Returns when it was stale, if it was.
fn live(seed: u64) -> Option<Duration> {
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let target = [1, 2, 6, 10][usize::try_from(chance.below(4)).unwrap()];
    let mut origin = Origin {
        target,
        window: 1 + chance.below(8),
        counts_from: (Duration::ZERO, chance.below(1_000) + 20),
        stopped: None,
        gap_every: chance.one_in(4).then(|| 5 + chance.below(20)),
    };
    let window = origin.window;
    let stops_at = Duration::from_secs(target * (40 + chance.below(200)));
    let faulty = chance.one_in(2);
    let restarts = chance.one_in(4);
    let mut follower = Follower::new(Config::default());
    let mut now = Duration::from_millis(chance.below(target * 1_000));
    let (mut fetched, mut listed, mut seen_end) = (BTreeSet::new(), None::<u64>, None::<u64>);
    let (mut last_load, mut changed) = (None::<Duration>, false);
    let mut last_seen = now;
    while now < stops_at + Duration::from_secs(60 + 4 * target) {
        if now >= stops_at && origin.stopped.is_none() {
            origin.stopped = Some(now);
        }
        match follower.due(now) {
            Due::Segment => {
                let request = follower.next_segment(now).unwrap();
                if faulty && chance.one_in(12) {
                    follower.on_segment_failed(request, now);
                } else {
                    // Once each, in order, with nothing unaccounted for between two.
                    assert!(fetched.insert(request.sequence), "seed {seed}: {request:?} twice");
                    let expected = listed.map(|last| last + 1 + request.skipped);
                    assert!(
                        request.discontinuity || expected.is_none_or(|number| number == request.sequence),
                        "seed {seed}: {listed:?} {request:?}"
                    );
                    assert!(request.sequence < origin.end(now) || restarts, "seed {seed}");
                    listed = Some(request.sequence);
                }
                now += Duration::from_millis(chance.below(target * 300));
            }
            Due::Load => {
                let pause = Duration::from_secs(target) / if changed { 1 } else { 2 };
                assert!(
                    // Before the first playlist nobody knows its target.
                    follower.target().is_none() || last_load.is_none_or(|last| now >= last + pause),
                    "seed {seed}: loaded again at {now:?}, before that at {last_load:?}"
                );
                let requested = now;
                last_load = Some(requested);
                now += Duration::from_millis(chance.below(400));
                if faulty && chance.one_in(8) {
                    follower.on_reload_failed(now);
                    // Counted from the failure.
                    (last_load, changed) = (Some(now), false);
                    continue;
                }
                let old = if faulty && chance.one_in(6) { target } else { 0 };
                if restarts && chance.one_in(60) && origin.stopped.is_none() {
                    origin.counts_from = (now.saturating_sub(Duration::from_secs(2 * target)), 0);
                    fetched.clear();
                }
                let list = origin.playlist(requested.saturating_sub(Duration::from_secs(old)));
                let end = list.media_sequence + list.segments.len() as u64;
                follower.on_playlist(&list, requested, now);
                changed = match seen_end {
                    _ if list.segments.is_empty() => false,
                    Some(seen) => end > seen || seen - end > list.segments.len() as u64,
                    None => true,
                };
                if changed {
                    (seen_end, last_seen) = (Some(end), now);
                }
            }
            Due::At(at) => {
                assert!(at > now, "seed {seed}");
                now = at;
            }
            Due::Stale => {
                // Not before its time, and soon after it: a look is due every half target and may take a while.
                let after = now.saturating_sub(last_seen);
                let bound = Duration::from_secs((3 * target).max(10));
                assert!(after >= bound, "seed {seed}: after {after:?}");
                let late = Duration::from_secs(target) + Duration::from_millis(1_000 + target * 300 * window);
                assert!(after <= bound + late, "seed {seed}: after {after:?}");
                return Some(after);
            }
            Due::Ended => unreachable!("seed {seed}: it never ends"),
        }
    }
    assert!(fetched.len() > 3, "seed {seed}: {fetched:?}");
    None
}

#[test]
fn followers_keep_to_the_rules_at_any_origin() {
    let mut stale = 0;
    for seed in 0..2_000 {
        // Each origin stops in the end, and that is found out.
        stale += u64::from(live(seed).is_some());
    }
    assert_eq!(stale, 2_000);
}
