//! Many viewers, one upstream: coming, going, sleeping, lagging.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use relay::{Ready, Timing, Viewer};

use crate::ts::PICTURE;
use crate::world::{Act, Entry, Life, Stage, World, bursts, life, live};

fn plays() -> World {
    World::new()
        .channel("news", &[1])
        .stream(1, &[life(&[live(36_000)])])
}

#[tokio::test(start_paused = true)]
async fn one_upstream_however_many_watch() {
    let stage = Stage::new(plays());
    let mut watchers = Vec::new();
    for _ in 0..50 {
        watchers.push(stage.join("news").await);
    }
    assert!(watchers[0].watch(20.0).await);
    let mut late = stage.join("news").await;
    let joined = Instant::now();
    assert_eq!(late.viewer.ready().await, Ready::TransportStream);
    assert!(late.see(1, 1.0).await);
    assert_eq!(joined.elapsed(), Duration::ZERO, "the ring has a picture for it");
    assert!(late.watch(5.0).await);
    assert!(late.judge.pictures.len() > 8 * 25);
    for watcher in &mut watchers[1..] {
        watcher.watch(0.1).await;
        assert!(watcher.judge.last_of(1).unwrap().number > 600);
    }
    assert_eq!(stage.world.asked(), [1]);
    let status = stage.hub.status().await.unwrap();
    assert_eq!(status[0].1.viewers.len(), 51);
    assert!(status[0].1.live);
}

#[tokio::test(start_paused = true)]
async fn the_upstream_closes_when_the_linger_is_over() {
    let stage = Stage::new(plays());
    let mut watcher = stage.join("news").await;
    watcher.watch(20.0).await;
    drop(watcher);
    sleep(Duration::from_millis(9_900)).await;
    assert_eq!(stage.world.open_now("news"), 1);
    let mut again = stage.join("news").await;
    assert!(
        again.see(1, 0.0).await,
        "a return within the linger has a picture at once"
    );
    assert!(again.watch(30.0).await);
    assert_eq!(stage.world.asked(), [1], "and needs no connection");
    drop(again);
    let left = Instant::now();
    sleep(Duration::from_millis(10_100)).await;
    assert_eq!(stage.world.open_now("news"), 0);
    let closed = stage
        .world
        .timed()
        .into_iter()
        .find(|(_, e)| *e == Entry::Closed(1));
    let after = closed.unwrap().0 - left;
    assert!(after >= Duration::from_millis(9_990), "{after:?}");
    assert_eq!(stage.hub.status().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_nobody_watches_can_be_taken_back_at_once() {
    let world = World::new().channel("news", &[1]).stream(
        1,
        &[Life {
            revocable: true,
            ..life(&[live(3_600)])
        }],
    );
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    watcher.watch(20.0).await;
    drop(watcher);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(stage.world.open_now("news"), 0);
    assert_eq!(stage.world.asked(), [1]);
}

#[tokio::test(start_paused = true)]
async fn who_zaps_on_before_anything_opened_leaves_nothing_behind() {
    for acts in [&[Act::Silent][..], &[live(60)]] {
        let stage = Stage::new(World::new().channel("news", &[1]).stream(1, &[life(acts)]));
        let watcher = stage.join("news").await;
        drop(watcher);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(stage.world.open_now("news"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_never_reads_costs_nobody_anything() {
    let timing = Timing {
        ring_bytes: 200_000,
        ring_bytes_max: 400_000,
        ..Timing::default()
    };
    let stage = Stage::with(plays(), timing.clone());
    let mut asleep = stage.join("news").await;
    let mut awake = stage.join("news").await;
    for _ in 0..60 {
        assert!(awake.watch(10.0).await);
        let status = stage.hub.status().await.unwrap();
        assert!(status[0].1.ring_bytes <= timing.ring_bytes_max);
    }
    assert!(awake.judge.pictures.len() > 595 * 25);
    assert!(asleep.see(1, 1.0).await);
    let first = asleep.judge.first_of(1).unwrap();
    assert!(
        first.number > 580 * 25,
        "what it slept through is gone: {}",
        first.number
    );
    assert_eq!(first.number % 25, 0, "it starts at a keyframe");
}

#[tokio::test(start_paused = true)]
async fn a_lapped_viewer_goes_on_at_a_keyframe() {
    let stage = Stage::new(plays());
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(5.0).await);
    sleep(Duration::from_secs(60)).await;
    watcher.judge.forgive_a_hole();
    let seen = watcher.judge.pictures.len();
    assert!(watcher.watch(5.0).await);
    let next = watcher.judge.pictures[seen];
    assert_eq!(
        next.number % 25,
        0,
        "goes on in the middle of a group of pictures"
    );
    assert!(next.number > 50 * 25);
}

#[tokio::test(start_paused = true)]
async fn a_player_that_reads_in_real_time_is_never_lapped_by_a_fast_source() {
    let sources = [
        ("the card", Act::Card),
        ("bursts of ten seconds", bursts(3_600, 10)),
    ];
    for (name, act) in sources {
        let stage = Stage::new(World::new().channel("news", &[1]).stream(1, &[life(&[act])]));
        let mut watcher = stage.join("news").await;
        assert_eq!(watcher.viewer.ready().await, Ready::TransportStream);
        let start = Instant::now();
        let bytes = watcher.viewer.next().await.unwrap();
        watcher.judge.take(&bytes, Instant::now());
        let first = watcher.judge.pictures[0].dts;
        // A second of buffer, as players have.
        while start.elapsed() < Duration::from_secs(120) {
            let last = watcher.judge.pictures.last().unwrap().dts;
            let shown = Duration::from_millis((last - first) / 90);
            if shown > start.elapsed() + Duration::from_secs(1) {
                sleep(shown - start.elapsed() - Duration::from_secs(1)).await;
            }
            // The judge sees every hole.
            let bytes = watcher.viewer.next().await.unwrap();
            watcher.judge.take(&bytes, Instant::now());
        }
        let pictures = watcher.judge.pictures.len();
        assert!(
            pictures > 118 * 25,
            "{name}: {pictures}, {:?}",
            stage.world.timed()
        );
        assert_eq!(stage.world.asked(), [1], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_card_plays_on_over_its_seams_in_real_time() {
    let stage = Stage::new(
        World::new()
            .channel("card", &[1])
            .stream(1, &[life(&[Act::Card])]),
    );
    let mut watcher = stage.join("card").await;
    assert!(watcher.watch(120.0).await);
    let pictures = &watcher.judge.pictures;
    assert!(
        (120 * 25..=133 * 25).contains(&pictures.len()),
        "{}",
        pictures.len()
    );
    assert!(pictures.windows(2).all(|pair| pair[1].dts - pair[0].dts == 3_600));
    assert_eq!(stage.world.asked(), [1]);
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_with_null_packets_after_half_a_second() {
    let world = World::new().channel("news", &[1]).stream(
        1,
        &[life(&[
            Act::Garbage(Duration::from_secs(3)),
            live(5),
            Act::Silent,
        ])],
    );
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    // The judge refuses null packets before the first picture.
    assert!(watcher.watch(7.0).await);
    assert_eq!(watcher.judge.null_packets, 0, "no silence yet");
    assert!(watcher.watch(1.3).await);
    assert_eq!(
        watcher.judge.null_packets, 0,
        "silent for less than half a second"
    );
    let until = watcher.judge.pictures.last().unwrap().at + Duration::from_millis(2_100);
    watcher.watch_until(until).await;
    assert_eq!(watcher.judge.null_packets, 4 * 7);
}

/// How often a viewer is given something within so many seconds, and how long it waits for it at the longest.
async fn given(viewer: &mut Viewer, seconds: f64) -> (usize, Duration) {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let (mut times, mut last, mut longest) = (0, Instant::now(), Duration::ZERO);
    let mut pieces = Vec::new();
    while let Ok(more) = timeout_at(until, viewer.gather(&mut pieces, usize::MAX)).await {
        assert!(more && !pieces.is_empty());
        pieces.clear();
        times += 1;
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    (times, longest)
}

#[tokio::test(start_paused = true)]
async fn who_can_wait_is_woken_eight_times_a_second_and_who_has_just_come_with_every_picture() {
    // The one wakes whoever reads when something comes, the other is looked at.
    for stream in [1, 2] {
        let world = World::new().channel("news", &[stream]);
        beats(Stage::new(world.stream(stream, &[life(&[live(36_000)])])), stream).await;
    }
}

async fn beats(stage: Stage, stream: u8) {
    let mut first = stage.join("news").await;
    assert!(first.see(stream, 1.0).await);
    // It lives on what comes, and so does the player's first picture.
    let (times, longest) = given(&mut first.viewer, 2.5).await;
    assert!((58..=64).contains(&times), "{times}");
    assert!(longest <= Duration::from_millis(85), "{longest:?}");
    given(&mut first.viewer, 2.5).await;
    let mut late = stage.join("news").await;
    assert!(late.see(stream, 0.0).await, "the first picture waits for nothing");
    // The first time is what the ring holds.
    let (both, late) = tokio::join!(given(&mut first.viewer, 10.0), given(&mut late.viewer, 10.0));
    for (times, longest) in [both, late] {
        assert!((80..=86).contains(&times), "{times}");
        assert!(longest <= Duration::from_millis(165), "{longest:?}");
    }
}

/// A keyframe is some ten times as large as other pictures, and takes as much longer to come.
#[tokio::test(start_paused = true)]
async fn a_picture_that_takes_long_to_come_is_not_waited_for_until_the_second_beat() {
    let group = [
        live(1),
        Act::Nulls(PICTURE * 5),
        Act::Pictures {
            count: 5,
            batch: 5,
            every: Duration::ZERO,
        },
    ];
    // Whole, and in a hundred chunks.
    for (stream, chunk) in [(1, usize::MAX), (2, usize::MAX), (1, 16), (2, 16)] {
        let world = World::new().channel("news", &[stream]);
        let life = Life {
            chunk,
            ..life(&group.repeat(20))
        };
        let stage = Stage::new(world.stream(stream, &[life]));
        let mut viewer = stage.join("news").await.viewer;
        given(&mut viewer, 10.0).await;
        let (_, longest) = given(&mut viewer, 20.0).await;
        assert!(
            longest > Duration::from_millis(150),
            "they do take long: {longest:?}"
        );
        assert!(longest <= Duration::from_millis(205), "{longest:?}");
    }
}
