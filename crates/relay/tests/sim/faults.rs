//! Faults of our own, races and the end: what happens to one channel happens to it alone, and nothing ever hangs.

use std::sync::Arc;
use std::time::Duration;

use relay::{Closed, FailureClass, Ready, Timing};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{advance, sleep, timeout};

use crate::world::{Act, Door, Stage, World, closed, life, live, wire_speed};

#[tokio::test(start_paused = true)]
async fn a_panic_ends_only_its_own_channel() {
    for broken in [
        closed(Door::Panics),
        life(&[Act::Panics]),
        life(&[live(5), Act::Panics]),
    ] {
        let world = World::new()
            .channel("broken", &[1])
            .channel("well", &[2])
            .stream(1, &[broken, life(&[live(60)])])
            .stream(2, &[life(&[live(600)])]);
        let stage = Stage::new(world);
        let mut well = stage.join("well").await;
        let mut broken = stage.join("broken").await;
        assert!(!broken.watch(30.0).await, "its viewers are let go");
        assert_eq!(stage.world.open_now("broken"), 0, "its connection is freed");
        let mut again = stage.join("broken").await;
        assert_eq!(again.viewer.ready().await, Ready::TransportStream);
        assert!(again.watch(20.0).await, "a new viewer starts anew");
        assert!(well.watch(30.0).await);
        assert!(well.judge.pictures.len() > 600, "the other channel never noticed");
        assert_eq!(stage.hub.status().await.unwrap().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_join_that_meets_an_ending_never_hangs() {
    let timing = Timing {
        linger: Duration::from_millis(1),
        ..Timing::default()
    };
    let world = World::new()
        .channel("news", &[1])
        .channel("gone", &[2])
        .stream(1, &[life(&[live(600)])])
        .stream(2, &[closed(Door::Refuses(FailureClass::File))]);
    let stage = Stage::with(world, timing);
    for turn in 0..1_000_u32 {
        let mut first = stage.join("news").await;
        if turn % 3 != 0 {
            assert_eq!(first.viewer.ready().await, Ready::TransportStream);
        }
        drop(first);
        // The end is at most 1 ms away: meet it before, at and after that moment.
        for _ in 0..turn % 7 {
            yield_now().await;
        }
        if turn % 2 == 0 {
            sleep(Duration::from_micros(u64::from(turn % 5) * 500)).await;
        }
        let joins = async {
            let mut second = stage.join("news").await;
            assert_eq!(second.viewer.ready().await, Ready::TransportStream, "turn {turn}");
            let mut gone = stage.join("gone").await;
            assert_eq!(gone.viewer.ready().await, Ready::File, "turn {turn}");
        };
        timeout(Duration::from_secs(5), joins).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.world.open_now("news"), 0);
    assert_eq!(stage.hub.status().await.unwrap(), []);
}

/// Several threads and the real clock: joins meet ends and panics at every moment there is. The world panics when two
/// upstreams of a channel are open at once, which would show as a viewer turned away from `news`.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn joins_from_many_threads_meet_every_end() {
    let timing = Timing {
        linger: Duration::from_micros(300),
        ..Timing::default()
    };
    let world = World::new()
        .channel("news", &[1])
        .channel("broken", &[2])
        .stream(1, &[life(&[wire_speed(600)])])
        .stream(2, &[life(&[wire_speed(1), Act::Panics])]);
    let stage = Arc::new(Stage::with(world, timing));
    let mut clients = JoinSet::new();
    for client in 0..4_u32 {
        let stage = Arc::clone(&stage);
        clients.spawn(async move {
            for turn in 0..100_u32 {
                let mut news = stage.join("news").await;
                assert_eq!(news.viewer.ready().await, Ready::TransportStream);
                drop(news);
                if turn % 10 == client {
                    stage.join("broken").await.outlive().await;
                }
                for _ in 0..(turn * 7 + client) % 5 {
                    yield_now().await;
                }
            }
        });
    }
    let all = async {
        while let Some(end) = clients.join_next().await {
            end.unwrap();
        }
    };
    timeout(Duration::from_secs(60), all).await.unwrap();
    stage.hub.close().await;
}

#[tokio::test(start_paused = true)]
async fn closing_ends_everything() {
    let world = World::new()
        .channel("one", &[1])
        .channel("two", &[2])
        .channel("three", &[3])
        .stream(1, &[life(&[live(600)])])
        .stream(2, &[closed(Door::Hangs)])
        .stream(3, &[closed(Door::Refuses(FailureClass::Transient))]);
    let mut stage = Stage::new(world);
    let mut watchers = Vec::new();
    for key in ["one", "two", "three"] {
        let mut watcher = stage.join(key).await;
        watcher.watch(10.0).await;
        watchers.push((key, watcher));
    }
    stage.hub.close().await;
    stage.tasks.join_next().await.unwrap().unwrap();
    for (key, watcher) in &mut watchers {
        // It did not read while the others did.
        watcher.judge.forgive_a_hole();
        assert!(!watcher.watch(30.0).await, "{key} goes on");
        assert_eq!(stage.world.open_now(key), 0, "{key} is open");
    }
    let late = stage.hub.join("one", relay::Claim::default()).await;
    assert_eq!(late.map(|_| ()), Err(Closed));
    assert_eq!(stage.hub.status().await, Err(Closed));
    stage.hub.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_flood_starves_nobody() {
    let world = World::new()
        .channel("flood", &[1, 2])
        .channel("well", &[3])
        .stream(1, &[life(&[live(5), Act::Flood])])
        .stream(2, &[life(&[live(600)])])
        .stream(3, &[life(&[live(600)])]);
    let stage = Stage::new(world);
    let mut flooded = stage.join("flood").await;
    // A stopped clock moves by itself only while nothing is ready, which ends with the flood: a second before it.
    assert!(flooded.watch(4.0).await);
    advance(Duration::from_secs(2)).await;
    let mut well = stage.join("well").await;
    assert_eq!(stage.hub.status().await.unwrap().len(), 2);
    for _ in 0..40 {
        yield_now().await;
        advance(Duration::from_millis(100)).await;
    }
    assert!(flooded.see(2, 10.0).await, "the flood was not given up");
    assert_eq!(stage.world.asked(), [1, 3, 2]);
    assert!(well.see(3, 5.0).await);
}
