use super::*;
use crate::playlist::Segment;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A live playlist of six-second segments; the URIs change with every `token`, as they do in the field.
fn playlist(first: u64, length: u64, token: &str) -> MediaPlaylist {
    let segment = |number: u64| Segment {
        uri: format!("{number}?{token}"),
        duration: 6.0,
        ..Segment::default()
    };
    MediaPlaylist {
        target_duration: 6,
        media_sequence: first,
        segments: (first..first + length).map(segment).collect(),
        ..MediaPlaylist::default()
    }
}

/// (sequence, discontinuity) of everything that is to be fetched.
fn drain(follower: &mut Follower) -> Vec<(u64, bool)> {
    std::iter::from_fn(|| follower.next_segment(Duration::MAX))
        .map(|request| (request.sequence, request.discontinuity))
        .collect()
}

fn following(first: u64, length: u64) -> Follower {
    let mut follower = Follower::new(Config::default());
    follower.on_playlist(&playlist(first, length, "a"), s(0), s(0));
    drain(&mut follower);
    follower
}

#[test]
fn it_starts_three_target_durations_before_the_end() {
    for (length, expected) in [
        (10, &[107, 108, 109][..]),
        (3, &[100, 101, 102]),
        (2, &[100, 101]),
        (1, &[100]),
    ] {
        let mut follower = Follower::new(Config::default());
        follower.on_playlist(&playlist(100, length, "a"), s(0), s(0));
        assert_eq!(
            drain(&mut follower)
                .iter()
                .map(|(number, _)| *number)
                .collect::<Vec<_>>(),
            expected
        );
    }
    // Short segments: as many as make up the time.
    let mut short = playlist(100, 20, "a");
    short
        .segments
        .iter_mut()
        .for_each(|segment| segment.duration = 2.0);
    let mut follower = Follower::new(Config::default());
    follower.on_playlist(&short, s(0), s(0));
    assert_eq!(drain(&mut follower).len(), 9);
    let mut follower = Follower::new(Config {
        start_segments_min: 5,
        ..Config::default()
    });
    follower.on_playlist(&playlist(100, 10, "a"), s(0), s(0));
    assert_eq!(drain(&mut follower).len(), 5);
}

#[test]
fn every_segment_is_handed_out_once_in_order() {
    let mut follower = Follower::new(Config::default());
    let mut numbers = Vec::new();
    for (at, token) in (0..50).zip("abcdefghij".chars().cycle()) {
        follower.on_playlist(
            &playlist(100 + at / 2, 6, &token.to_string()),
            s(at * 3),
            s(at * 3),
        );
        while let Some(request) = follower.next_segment(s(at * 3)) {
            assert!(!request.discontinuity && request.skipped == 0);
            assert_eq!(request.duration, s(6));
            numbers.push(request.sequence);
        }
    }
    assert_eq!(numbers, (103..=129).collect::<Vec<_>>());
}

#[test]
fn segments_that_were_missed_are_counted() {
    let mut follower = following(100, 6);
    follower.on_playlist(&playlist(110, 3, "b"), s(6), s(6));
    let first = follower.next_segment(s(6)).unwrap();
    assert_eq!(
        (first.sequence, first.skipped, first.discontinuity),
        (110, 4, false)
    );
    assert_eq!(drain(&mut follower), [(111, false), (112, false)]);
}

#[test]
fn a_segment_that_failed_is_asked_for_once_more() {
    let mut follower = following(100, 6);
    follower.on_playlist(&playlist(102, 6, "b"), s(6), s(6));
    let (first, second) = (follower.next_segment(s(6)).unwrap(), 107);
    assert!(follower.on_segment_failed(first.clone(), s(7)));
    assert_eq!(follower.due(s(7)), Due::At(s(10)), "half a target later");
    assert_eq!(follower.next_segment(s(9)), None);
    assert_eq!(follower.due(s(12)), Due::Segment);
    follower.on_playlist(&playlist(102, 6, "c"), s(12), s(12));
    let again = follower.next_segment(s(12)).unwrap();
    assert_eq!(
        (again.sequence, again.uri.as_str()),
        (106, "106?c"),
        "where the newest playlist says"
    );
    assert!(!follower.on_segment_failed(again, s(13)));
    let next = follower.next_segment(s(13)).unwrap();
    assert_eq!((next.sequence, next.skipped), (second, 1));
    // The last one listed: what is skipped is told by the one behind it.
    assert!(follower.on_segment_failed(next, s(14)));
    let next = follower.next_segment(s(20)).unwrap();
    assert!(!follower.on_segment_failed(next, s(20)));
    follower.on_playlist(&playlist(103, 6, "d"), s(21), s(21));
    let next = follower.next_segment(s(21)).unwrap();
    assert_eq!((next.sequence, next.skipped), (108, 2));
}

#[test]
fn another_variant_goes_on_at_the_same_number() {
    let mut follower = following(100, 6);
    follower.on_playlist(&playlist(103, 6, "a"), s(6), s(6));
    assert_eq!(follower.next_segment(s(6)).unwrap().sequence, 106);
    follower.change_playlist();
    assert_eq!(follower.due(s(7)), Due::Load);
    follower.on_playlist(&playlist(103, 6, "b"), s(7), s(7));
    assert_eq!(drain(&mut follower), [(107, true), (108, false)]);
    // Its numbers are others.
    follower.change_playlist();
    follower.on_playlist(&playlist(7_000, 6, "c"), s(13), s(13));
    assert_eq!(
        drain(&mut follower),
        [(7_003, true), (7_004, false), (7_005, false)]
    );
}

#[test]
fn what_is_covered_counts_what_was_skipped() {
    let mut follower = following(100, 6);
    assert_eq!(follower.covered(), s(18));
    follower.on_playlist(&playlist(108, 1, "b"), s(6), s(6));
    follower.next_segment(s(6)).unwrap();
    assert_eq!(follower.covered(), s(36), "two were missed");
}

#[test]
fn a_lost_segment_is_covered_once() {
    let mut follower = following(100, 6);
    follower.on_playlist(&playlist(108, 4, "b"), s(6), s(6));
    let first = follower.next_segment(s(6)).unwrap();
    assert!(follower.on_segment_failed(first, s(6)));
    assert_eq!(follower.covered(), s(18), "nothing of it was had");
    let again = follower.next_segment(s(9)).unwrap();
    assert_eq!(follower.covered(), s(36));
    assert!(!follower.on_segment_failed(again, s(9)));
    follower.next_segment(s(9)).unwrap();
    assert_eq!(follower.covered(), s(42), "three missing, and one that came");
}

#[test]
fn a_jump_far_ahead_is_an_origin_that_counts_anew() {
    let mut follower = following(100, 6);
    follower.on_playlist(&playlist(1_800_000_000, 6, "b"), s(6), s(6));
    let first = follower.next_segment(s(6)).unwrap();
    assert_eq!(
        (first.sequence, first.discontinuity, first.skipped),
        (1_800_000_003, true, 0)
    );
}

#[test]
fn a_playlist_that_never_came_is_stale_in_the_end() {
    let mut follower = Follower::new(Config::default());
    let mut asked = 0;
    for now in 0..60 {
        match follower.due(s(now)) {
            Due::Load => {
                asked += 1;
                follower.on_reload_failed(s(now));
            }
            Due::Stale => break,
            _ => {}
        }
    }
    assert_eq!(follower.due(s(60)), Due::Stale);
    assert!((2..=12).contains(&asked), "asked {asked} times");
}

/// Milliseconds, and a day, are seen as target durations.
#[test]
fn no_target_duration_keeps_a_dead_playlist_alive() {
    for told in [60, 6_000, 86_400] {
        let mut list = playlist(100, 6, "a");
        list.target_duration = told;
        let mut follower = Follower::new(Config::default());
        follower.on_playlist(&list, s(0), s(0));
        assert_eq!(drain(&mut follower).len(), 6);
        assert_eq!(follower.due(s(1)), Due::At(s(18)), "{told}");
        follower.on_playlist(&list, s(18), s(18));
        follower.on_playlist(&list, s(54), s(54));
        assert_eq!(follower.due(s(55)), Due::Stale, "{told}");
    }
}

#[test]
fn an_old_copy_is_waited_out_and_a_restart_is_followed() {
    let mut follower = following(100, 6);
    follower.on_playlist(&playlist(98, 6, "b"), s(6), s(6));
    assert_eq!(drain(&mut follower), []);
    follower.on_playlist(&playlist(101, 6, "c"), s(9), s(9));
    assert_eq!(drain(&mut follower), [(106, false)], "the copy changed nothing");
    follower.on_playlist(&playlist(0, 4, "d"), s(15), s(15));
    assert_eq!(drain(&mut follower), [(1, true), (2, false), (3, false)]);
}

#[test]
fn reloads_are_counted_from_the_request() {
    let mut follower = Follower::new(Config::default());
    assert_eq!(follower.due(s(0)), Due::Load);
    follower.on_reload_failed(s(2));
    assert_eq!(follower.due(s(2)), Due::At(s(2) + FIRST_RETRY));
    let mut load = |list: &MediaPlaylist, requested, now| {
        follower.on_playlist(list, s(requested), s(now));
        drain(&mut follower);
        follower.due(s(now))
    };
    assert_eq!(
        load(&playlist(100, 6, "a"), 10, 12),
        Due::At(s(16)),
        "changed: one target duration"
    );
    assert_eq!(
        load(&playlist(100, 6, "b"), 16, 17),
        Due::At(s(19)),
        "unchanged: half of it"
    );
    assert_eq!(
        load(&playlist(101, 6, "c"), 19, 40),
        Due::Load,
        "never in the past"
    );
    follower.on_reload_failed(s(40));
    assert_eq!(follower.due(s(40)), Due::At(s(43)));
}

#[test]
fn a_playlist_that_stands_still_is_stale() {
    let mut follower = following(100, 6);
    follower.on_playlist(&playlist(100, 6, "b"), s(17), s(17));
    assert_eq!(
        follower.due(s(17)),
        Due::At(s(18)),
        "what is stale is told on time"
    );
    assert_eq!(
        follower.due(s(18)),
        Due::Stale,
        "three target durations after the last new segment"
    );
    follower.on_playlist(&playlist(101, 6, "c"), s(19), s(19));
    assert_eq!(follower.due(s(100)), Due::Segment, "there is something to fetch");
    drain(&mut follower);
    assert_eq!(
        follower.due(s(100)),
        Due::Load,
        "nobody looked for so long: only a look can tell"
    );
    follower.on_playlist(&playlist(101, 6, "d"), s(100), s(110));
    assert_eq!(follower.due(s(110)), Due::Stale, "also when the look took long");
}

#[test]
fn loads_that_fail_make_it_stale_as_well() {
    let mut follower = following(100, 6);
    for at in [6, 10, 14, 17] {
        assert_eq!(follower.due(s(at)), Due::Load, "{at}");
        follower.on_reload_failed(s(at));
    }
    assert_eq!(follower.due(s(18)), Due::Stale);
}

#[test]
fn short_target_durations_are_given_ten_seconds() {
    let mut follower = Follower::new(Config::default());
    let list = MediaPlaylist {
        target_duration: 2,
        ..playlist(1, 3, "a")
    };
    follower.on_playlist(&list, s(0), s(0));
    drain(&mut follower);
    follower.on_playlist(&list, s(9), s(9));
    assert_eq!(
        (follower.due(s(9)), follower.due(s(10))),
        (Due::At(s(10)), Due::Load)
    );
    follower.on_playlist(&list, s(10), s(10));
    assert_eq!(follower.due(s(10)), Due::Stale);
    assert_eq!(
        Follower::new(Config::default()).due(s(1000)),
        Due::Load,
        "no playlist yet"
    );
}

#[test]
fn it_ends_after_the_last_segment() {
    let mut follower = following(100, 6);
    follower.on_playlist(
        &MediaPlaylist {
            ended: true,
            ..playlist(101, 6, "b")
        },
        s(6),
        s(6),
    );
    assert_eq!(follower.due(s(6)), Due::Segment);
    assert_eq!(drain(&mut follower), [(106, false)]);
    assert_eq!(follower.due(s(6)), Due::Ended);
    let mut whole = Follower::new(Config::default());
    whole.on_playlist(
        &MediaPlaylist {
            ended: true,
            ..playlist(0, 20, "b")
        },
        s(0),
        s(0),
    );
    assert_eq!(drain(&mut whole).len(), 20, "what has ended plays from its start");
}

#[test]
fn what_waits_is_bounded() {
    let mut follower = following(0, 1);
    let many = SEGMENTS_WAITING_MAX as u64 + 10;
    follower.on_playlist(&playlist(1, many, "b"), s(6), s(6));
    let waiting = drain(&mut follower);
    assert_eq!(waiting.len(), SEGMENTS_WAITING_MAX);
    assert_eq!((waiting[0], waiting[1]), ((11, false), (12, false)));
}

/// Any sequence of playlists, hostile numbers included: numbers rise unless the line is broken, and what is between two of
/// them is counted.
#[test]
fn any_sequence_of_playlists_keeps_the_invariants() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut below = |bound: u64| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    };
    for _ in 0..500 {
        let (mut follower, mut last) = (Follower::new(Config::default()), None::<u64>);
        let mut first = below(3) * (u64::MAX / 2 - 50);
        for step in 0..40 {
            first = match below(10) {
                0 => below(u64::MAX),
                1 => first.saturating_sub(below(20)),
                _ => first.saturating_add(below(4)),
            };
            let mut list = playlist(0, below(8), "x");
            list.media_sequence = first;
            list.target_duration = [0, 1, 6, u64::MAX][usize::try_from(below(4)).unwrap()];
            list.discontinuity_sequence = [None, Some(below(3))][usize::try_from(below(2)).unwrap()];
            list.segments
                .iter_mut()
                .for_each(|segment| segment.gap = below(9) == 0);
            follower.on_playlist(&list, s(step), s(step));
            while let Some(request) = follower.next_segment(s(step)) {
                let expected = last.map(|last| last.saturating_add(1).saturating_add(request.skipped));
                assert!(
                    expected.is_none_or(|expected| request.sequence == expected) || request.discontinuity,
                    "{last:?} {request:?}"
                );
                last = Some(request.sequence);
            }
            assert!(!matches!(follower.due(s(step)), Due::Ended | Due::Segment));
        }
    }
}
