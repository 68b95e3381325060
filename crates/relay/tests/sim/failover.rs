//! When a stream dies, the next one takes over inside the same response.

use std::time::Duration;

use relay::{FailureClass, Ready};

use crate::world::{Act, Door, Entry, Life, Stage, World, at_speed, bursts, closed, life, live, wire_speed};

/// A backup that never fails.
fn backup() -> Life {
    life(&[live(3_600)])
}

/// What viewers may go without a new picture besides the time a failure takes to be known.
const STEP: f64 = 1.2;

struct Death {
    name: &'static str,
    lives: Vec<Life>,
    asked: &'static [u8],
    /// Seconds from the last picture of the first source, or from the join, to the first of the second.
    within: f64,
}

fn death(name: &'static str, acts: &[Act], asked: &'static [u8], within: f64) -> Death {
    Death {
        name,
        lives: vec![life(acts)],
        asked,
        within,
    }
}

fn deaths() -> Vec<Death> {
    let refused = |name, class| Death {
        name,
        lives: vec![closed(Door::Refuses(class))],
        asked: &[1, 2],
        within: STEP,
    };
    vec![
        refused("refused", FailureClass::Transient),
        refused("no slot", FailureClass::NoSlot),
        refused("limit", FailureClass::Limit),
        refused("gone", FailureClass::Gone),
        Death {
            lives: vec![closed(Door::Hangs)],
            ..death("hangs", &[], &[1, 2], 8.0 + STEP)
        },
        death("open but silent", &[Act::Silent], &[1, 2], 8.0 + STEP),
        death(
            "garbage from the start",
            &[Act::Garbage(Duration::from_secs(60))],
            &[1, 2],
            8.0 + STEP,
        ),
        death("a flood from the start", &[Act::Flood], &[1, 2], STEP),
        death("ends at once", &[], &[1, 2], STEP),
        death("ends", &[live(5)], &[1, 2], STEP),
        death(
            "breaks",
            &[live(5), Act::Fails(FailureClass::Transient)],
            &[1, 2],
            STEP,
        ),
        death(
            "is taken back",
            &[live(15), Act::Fails(FailureClass::Revoked)],
            &[1, 2],
            STEP,
        ),
        death("falls silent", &[live(5), Act::Silent], &[1, 2], 2.5 + STEP),
        death(
            "turns to garbage",
            &[live(5), Act::Garbage(Duration::from_secs(60))],
            &[1, 2],
            2.5 + STEP,
        ),
        death("trickles", &[at_speed(3_600, 0.5)], &[1, 2], 2.5 + STEP),
        death("wire speed, then ends", &[wire_speed(8)], &[1, 2], STEP),
        death("bursts, then ends", &[bursts(6, 6)], &[1, 2], 6.0 + STEP),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_death_moves_to_the_next_stream_with_one_step() {
    for death in deaths() {
        let world = World::new()
            .channel("news", &[1, 2])
            .stream(1, &death.lives)
            .stream(2, &[backup()]);
        let stage = Stage::new(world);
        let mut watcher = stage.join("news").await;
        let joined = tokio::time::Instant::now();
        assert!(watcher.see(2, 40.0).await, "{}: no second source", death.name);
        assert!(watcher.watch(20.0).await, "{}: the response ended", death.name);
        let judge = &watcher.judge;
        let from = judge.last_of(1).map_or(joined, |picture| picture.at);
        let gap = judge.first_of(2).unwrap().at - from;
        assert!(
            gap <= Duration::from_secs_f64(death.within),
            "{}: {gap:?} without pictures",
            death.name
        );
        assert_eq!(stage.world.asked(), death.asked, "{}", death.name);
        assert_eq!(stage.world.open_now("news"), 1, "{}", death.name);
        let own: Vec<u8> = judge
            .stretches()
            .into_iter()
            .filter(|source| *source != 0)
            .collect();
        assert!(own == [1, 2] || own == [2], "{}: {own:?}", death.name);
    }
}

#[tokio::test(start_paused = true)]
async fn the_old_upstream_is_gone_before_the_next_is_asked_for() {
    let world = World::new()
        .channel("news", &[1, 2])
        .stream(1, &[life(&[live(5)])])
        .stream(2, &[life(&[live(5)])]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(120.0).await);
    let mut open = None;
    for entry in stage.world.entries() {
        match entry {
            Entry::Asked(stream) => assert_eq!(open.replace(stream), None, "two at once"),
            Entry::Closed(stream) => assert_eq!(open.take(), Some(stream)),
            Entry::Delivers(stream) | Entry::Shows(stream, _) => assert_eq!(open, Some(stream)),
            Entry::Ended(..) => assert_eq!(open, None, "told of an end before the socket is closed"),
        }
    }
    assert!(stage.world.asked().len() > 8, "it went on trying");
}

#[tokio::test(start_paused = true)]
async fn only_what_had_been_healthy_is_asked_once_more() {
    for (name, lives, expected) in [
        ("young", vec![life(&[live(8)])], vec![1, 2]),
        (
            "healthy, then refused",
            vec![life(&[live(15)]), closed(Door::Refuses(FailureClass::Transient))],
            vec![1, 1, 2],
        ),
        (
            "healthy, then short",
            vec![life(&[live(15)]), life(&[live(2)])],
            vec![1, 1, 2],
        ),
        (
            "healthy, then well",
            vec![life(&[live(15)]), backup()],
            vec![1, 1],
        ),
        (
            "healthy, then gone",
            vec![life(&[live(15), Act::Fails(FailureClass::Gone)])],
            vec![1, 2],
        ),
        ("slow", vec![life(&[at_speed(3_600, 0.8)])], vec![1, 1, 2]),
    ] {
        let world = World::new()
            .channel("news", &[1, 2])
            .stream(1, &lives)
            .stream(2, &[backup()]);
        let stage = Stage::new(world);
        let mut watcher = stage.join("news").await;
        assert!(watcher.watch(60.0).await, "{name}");
        assert_eq!(stage.world.asked(), expected, "{name}");
        assert!(
            !watcher.judge.stretches().contains(&0),
            "{name}: the slate was shown"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_stream_that_is_cut_again_and_again_is_renewed_without_a_slate() {
    let world = World::new().channel("news", &[1]).stream(1, &[life(&[live(30)])]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(300.0).await);
    assert_eq!(watcher.judge.stretches(), [1]);
    assert!((9..=11).contains(&stage.world.asked().len()));
}

#[tokio::test(start_paused = true)]
async fn a_replay_after_a_reconnect_is_not_shown_twice() {
    let first = Life {
        start_90k: Some(90_000),
        ..life(&[live(20)])
    };
    // The panel sends the last five seconds again, at once, and goes on.
    let again = Life {
        first: 15 * 25,
        ..Life {
            start_90k: Some(90_000),
            ..life(&[wire_speed(5), live(60)])
        }
    };
    let world = World::new()
        .channel("news", &[1, 2])
        .stream(1, &[first, again])
        .stream(2, &[backup()]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(50.0).await);
    assert_eq!(stage.world.asked(), [1, 1]);
    let numbers: Vec<u32> = watcher.judge.pictures.iter().map(|p| p.number).collect();
    for pair in numbers.windows(2) {
        assert!(
            pair[1] > pair[0] && pair[1] - pair[0] <= 2,
            "picture {} after {}",
            pair[1],
            pair[0]
        );
    }
    assert!(numbers.last().is_some_and(|last| *last > 48 * 25));
}

#[tokio::test(start_paused = true)]
async fn a_long_group_of_pictures_is_waited_for_while_it_flows() {
    let tuned_in_late = Life {
        gop: 250,
        first: 5,
        ..life(&[live(3_600)])
    };
    let world = World::new().channel("news", &[1]).stream(1, &[tuned_in_late]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.see(1, 12.5).await);
    assert!(watcher.watch(60.0).await);
    assert_eq!(stage.world.asked(), [1]);
}

#[tokio::test(start_paused = true)]
async fn bursts_are_no_stall() {
    let world = World::new()
        .channel("news", &[1, 2])
        .stream(1, &[life(&[bursts(3_600, 6)])])
        .stream(2, &[backup()]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(300.0).await);
    assert_eq!(stage.world.asked(), [1]);
    assert_eq!(watcher.judge.stretches(), [1]);
    assert!(watcher.judge.pictures.len() >= 295 * 25);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_does_not_touch_what_plays_and_counts_at_the_next_choice() {
    let world = World::new()
        .channel("news", &[1, 2])
        .stream(1, &[life(&[live(30)])])
        .stream(2, &[backup()])
        .stream(3, &[backup()]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(10.0).await);
    stage.world.refresh("news", &[3]);
    assert!(watcher.watch(15.0).await);
    assert_eq!(stage.world.asked(), [1]);
    assert_eq!(watcher.judge.stretches(), [1]);
    assert!(watcher.watch(20.0).await);
    // What is in no list any more is not asked once more, however healthy it had been.
    assert_eq!(stage.world.asked(), [1, 3]);
    assert_eq!(watcher.judge.stretches(), [1, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_somebody_elses_work_until_there_are_viewers_of_a_stream() {
    let file = closed(Door::Refuses(FailureClass::File));
    let world = World::new().channel("film", &[1]).stream(1, &[file]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("film").await;
    assert_eq!(watcher.viewer.ready().await, Ready::File);
    assert!(!watcher.watch(1.0).await);
    assert_eq!(stage.world.open_now("film"), 0);

    stage.world.refresh("news", &[2, 1, 3]);
    stage.world.script(2, &[life(&[live(5)])]);
    stage.world.script(3, &[backup()]);
    let mut watcher = stage.join("news").await;
    assert_eq!(watcher.viewer.ready().await, Ready::TransportStream);
    assert!(
        watcher.watch(30.0).await,
        "a backup that is a file ended the response"
    );
    assert_eq!(watcher.judge.stretches(), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_clip_shown_over_and_over_in_place_of_a_channel_gives_way() {
    // Ten seconds with the same stamps and pictures in each turn, behind one endless answer.
    let turns: Vec<Act> = (0..30).flat_map(|_| [live(10), Act::Rewind]).collect();
    let world = World::new()
        .channel("news", &[1, 2])
        .stream(1, &[life(&turns)])
        .stream(2, &[backup()]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.see(2, 60.0).await);
    assert!(watcher.watch(20.0).await);
    assert_eq!(stage.world.asked(), [1, 2]);
    let shown = watcher.judge.first_of(2).unwrap().at - watcher.judge.first_of(1).unwrap().at;
    assert!(shown < Duration::from_secs(22), "{shown:?} of the clip");
}

#[tokio::test(start_paused = true)]
async fn what_each_stream_shows_is_told_once() {
    let world = World::new()
        .channel("news", &[1, 2])
        .stream(1, &[life(&[live(9), Act::Fails(FailureClass::Gone)])])
        .stream(2, &[backup()]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(60.0).await);
    let entries = stage.world.entries();
    let shown = entries
        .into_iter()
        .filter(|entry| matches!(entry, Entry::Shows(..)));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [Entry::Shows(1, 1), Entry::Shows(2, 1)]
    );
}
