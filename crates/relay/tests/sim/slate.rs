//! When nothing delivers: the slate, in real time, and back.

use std::time::Duration;

use relay::{FailureClass, Ready, Timing};
use tokio::time::Instant;

use crate::world::{Act, Door, Entry, Stage, World, closed, life, live};

fn dead() -> crate::world::Life {
    closed(Door::Refuses(FailureClass::Transient))
}

#[tokio::test(start_paused = true)]
async fn the_slate_comes_in_time_and_keeps_time() {
    for (name, door) in [
        ("refused", Door::Refuses(FailureClass::Transient)),
        ("hanging", Door::Hangs),
    ] {
        let world = World::new()
            .channel("news", &[1, 2])
            .stream(1, &[closed(door)])
            .stream(2, &[closed(door)]);
        let stage = Stage::new(world);
        let mut watcher = stage.join("news").await;
        let joined = Instant::now();
        assert_eq!(watcher.viewer.ready().await, Ready::TransportStream);
        assert!(
            joined.elapsed() <= Duration::from_millis(5_100),
            "{name}: {:?}",
            joined.elapsed()
        );
        assert!(watcher.watch(5.0).await);
        let (first, start) = (watcher.judge.pictures.len(), Instant::now());
        let before = watcher.judge.pictures.last().unwrap().dts;
        assert!(watcher.watch(60.0).await);
        let media = watcher.judge.pictures.last().unwrap().dts - before;
        let pace = Duration::from_millis(media / 90).as_secs_f64() / start.elapsed().as_secs_f64();
        assert!((0.95..=1.05).contains(&pace), "{name}: {pace}");
        assert!(watcher.judge.pictures.len() > first + 1_400);
        assert_eq!(
            watcher.judge.null_packets, 0,
            "{name}: the slate leaves no silence"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn retries_back_off_and_never_stop() {
    let world = World::new()
        .channel("news", &[1, 2])
        .stream(1, &[dead()])
        .stream(2, &[dead()]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    let start = Instant::now();
    assert!(watcher.watch(600.0).await);
    let asked: Vec<Duration> = stage
        .world
        .timed()
        .into_iter()
        .filter(|(_, entry)| *entry == Entry::Asked(1))
        .map(|(at, _)| at - start)
        .collect();
    for minute in 0..10 {
        let from = Duration::from_secs(minute * 60);
        let count = asked
            .iter()
            .filter(|at| (from..from + Duration::from_secs(60)).contains(*at))
            .count();
        let most = if minute == 0 { 22 } else { 16 };
        assert!((9..=most).contains(&count), "{count} rounds in minute {minute}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_returns_replaces_the_slate_in_the_same_response() {
    let world = World::new()
        .channel("news", &[1])
        .stream(1, &[life(&[live(20)]), dead()]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(60.0).await);
    assert_eq!(watcher.judge.stretches(), [1, 0]);
    stage.world.script(1, &[life(&[live(3_600)])]);
    assert!(watcher.see(1, 10.0).await, "the source is back, the slate stays");
    assert!(watcher.watch(60.0).await);
    assert_eq!(watcher.judge.stretches(), [1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn without_a_slate_the_response_ends_only_when_nothing_is_left_to_try() {
    let world = World::new()
        .without_slate()
        .channel("news", &[1, 2])
        .stream(1, &[closed(Door::Hangs)])
        .stream(2, &[life(&[live(5)]), dead()]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert_eq!(watcher.viewer.ready().await, Ready::TransportStream);
    assert!(!watcher.watch(60.0).await);
    assert!(watcher.judge.pictures.len() >= 5 * 25 - 2);
    assert_eq!(stage.world.open_now("news"), 0);

    stage.world.script(2, &[dead()]);
    let mut watcher = stage.join("news").await;
    assert!(matches!(watcher.viewer.ready().await, Ready::Unavailable(_)));
}

#[tokio::test(start_paused = true)]
async fn slate_and_stream_are_never_mixed_whatever_the_bounds() {
    let timing = Timing {
        slate_after: Duration::from_millis(500),
        stall_behind: Duration::from_secs(10),
        ..Timing::default()
    };
    let hiccups: Vec<Act> = (0..10)
        .flat_map(|_| [live(3), Act::Garbage(Duration::from_secs(3))])
        .chain([live(60)])
        .collect();
    let world = World::new().channel("news", &[1]).stream(1, &[life(&hiccups)]);
    let stage = Stage::with(world, timing);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(9.0).await);
    assert_eq!(watcher.judge.stretches(), [1], "the stream still counts as live");
    assert!(watcher.watch(90.0).await);
}

#[tokio::test(start_paused = true)]
async fn a_short_stop_of_a_lone_source_shows_no_slate() {
    let world = World::new()
        .channel("news", &[1])
        .stream(1, &[life(&[live(5)]), life(&[live(3_600)])]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(60.0).await);
    assert!(
        !watcher.judge.stretches().contains(&0),
        "a flash of slate: {:?}",
        watcher.judge.stretches()
    );
}

/// Were it written until it is ahead of the clock, the task of the channel would never come back.
#[tokio::test(start_paused = true)]
async fn a_slate_that_shows_nothing_ends_the_response() {
    let world = World::new()
        .with_a_slate_that_hides()
        .channel("news", &[1])
        .stream(1, &[life(&[live(5)]), dead()]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(!watcher.watch(60.0).await, "it goes on with nothing to see");
    assert_eq!(watcher.judge.stretches(), [1]);
    assert_eq!(stage.world.open_now("news"), 0);
}
