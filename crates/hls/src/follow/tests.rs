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
    std::iter::from_fn(|| follower.next_segment())
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
        while let Some(request) = follower.next_segment() {
            assert!(!request.discontinuity);
            assert_eq!(request.duration, s(6));
            numbers.push(request.sequence);
        }
    }
    assert_eq!(numbers, (103..=129).collect::<Vec<_>>());
}

#[test]
fn segments_that_were_missed_break_the_line() {
    let mut follower = following(100, 6);
    follower.on_playlist(&playlist(110, 3, "b"), s(6), s(6));
    assert_eq!(drain(&mut follower), [(110, true), (111, false), (112, false)]);
}

#[test]
fn tags_break_the_line() {
    let mut follower = following(100, 6);
    let mut next = playlist(103, 6, "b");
    next.segments[3].gap = true;
    next.segments[5].discontinuity = true;
    follower.on_playlist(&next, s(6), s(6));
    assert_eq!(drain(&mut follower), [(107, true), (108, true)]);
    let mut last = playlist(106, 4, "c");
    last.segments[3].gap = true;
    follower.on_playlist(&last, s(12), s(12));
    assert_eq!(drain(&mut follower), []);
    follower.on_playlist(&playlist(107, 4, "d"), s(18), s(18));
    assert_eq!(
        drain(&mut follower),
        [(110, true)],
        "a gap at the end of one playlist breaks the next"
    );
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
    assert_eq!(follower.reload_at(), Some(s(0)));
    follower.on_reload_failed(s(2));
    assert_eq!(follower.reload_at(), Some(s(2) + FIRST_RETRY));
    follower.on_playlist(&playlist(100, 6, "a"), s(10), s(12));
    assert_eq!(follower.reload_at(), Some(s(16)), "changed: one target duration");
    follower.on_playlist(&playlist(100, 6, "b"), s(16), s(17));
    assert_eq!(follower.reload_at(), Some(s(19)), "unchanged: half of it");
    follower.on_playlist(&playlist(101, 6, "c"), s(19), s(40));
    assert_eq!(follower.reload_at(), Some(s(40)), "never in the past");
    follower.on_reload_failed(s(40));
    assert_eq!(follower.reload_at(), Some(s(43)));
}

#[test]
fn a_playlist_that_stands_still_is_stale() {
    let mut follower = following(100, 6);
    assert_eq!(follower.state(s(17)), State::Following);
    follower.on_playlist(&playlist(100, 6, "b"), s(17), s(17));
    assert_eq!(
        follower.state(s(18)),
        State::Stale,
        "three target durations after the last new segment"
    );
    follower.on_playlist(&playlist(101, 6, "c"), s(19), s(19));
    assert_eq!(
        follower.state(s(100)),
        State::Following,
        "there is something to fetch"
    );
    drain(&mut follower);
    assert_eq!(follower.state(s(36)), State::Following);
    assert_eq!(follower.state(s(37)), State::Stale);
}

#[test]
fn short_target_durations_are_given_ten_seconds() {
    let mut follower = Follower::new(Config::default());
    follower.on_playlist(
        &MediaPlaylist {
            target_duration: 2,
            ..playlist(1, 3, "a")
        },
        s(0),
        s(0),
    );
    drain(&mut follower);
    assert_eq!(
        (follower.state(s(9)), follower.state(s(10))),
        (State::Following, State::Stale)
    );
    assert_eq!(
        Follower::new(Config::default()).state(s(1000)),
        State::Following,
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
    assert_eq!(
        (follower.state(s(6)), follower.reload_at()),
        (State::Following, None)
    );
    assert_eq!(drain(&mut follower), [(106, false)]);
    assert_eq!(follower.state(s(6)), State::Ended);
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
    assert_eq!((waiting[0], waiting[1]), ((11, true), (12, false)));
}

/// Any sequence of playlists, hostile numbers included: numbers rise unless the line is broken, time does not run back.
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
            list.segments
                .iter_mut()
                .for_each(|segment| segment.gap = below(9) == 0);
            follower.on_playlist(&list, s(step), s(step));
            assert!(follower.reload_at().unwrap() >= s(step));
            while let Some(request) = follower.next_segment() {
                let follows = last.is_none_or(|last| request.sequence == last.saturating_add(1));
                assert!(follows || request.discontinuity, "{last:?} {request:?}");
                last = Some(request.sequence);
            }
            assert_ne!(follower.state(s(step * 100)), State::Ended);
        }
    }
}
