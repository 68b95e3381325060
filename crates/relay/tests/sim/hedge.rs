//! A source that may be dying gets the next one beside it, where that costs nobody anything.

use std::time::Duration;

use relay::FailureClass;

use crate::world::{Act, Door, Entry, Life, Stage, World, bursts, closed, life, live};

fn backup() -> Life {
    life(&[live(3_600)])
}

/// Two streams at logins of their own, of so many connections.
fn two(first: &[Life], second: &[Life], connections: usize) -> Stage {
    let world = World::new()
        .channel("news", &[1, 2])
        .login(1, 1, &[1])
        .login(2, connections, &[2])
        .stream(1, first)
        .stream(2, second);
    Stage::new(world)
}

#[tokio::test(start_paused = true)]
async fn a_stall_costs_its_bound_and_the_keyframe() {
    let stage = two(&[life(&[live(20), Act::Silent])], &[backup()], 1);
    let mut watcher = stage.join("news").await;
    assert!(watcher.see(2, 40.0).await);
    assert!(watcher.watch(30.0).await);
    let gap = watcher.judge.first_of(2).unwrap().at - watcher.judge.last_of(1).unwrap().at;
    assert!(gap <= Duration::from_millis(1_700), "{gap:?} without pictures");
    assert_eq!(stage.world.asked(), [1, 2]);
    assert_eq!(watcher.judge.stretches(), [1, 2]);
    assert_eq!(
        (stage.world.connections(1), stage.world.connections(2)),
        ((1, 0), (1, 1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_answer_gets_a_hedge_after_two_seconds() {
    for door in [closed(Door::Hangs), life(&[Act::Silent])] {
        let stage = two(&[door], &[backup()], 1);
        let mut watcher = stage.join("news").await;
        let joined = tokio::time::Instant::now();
        assert!(watcher.see(2, 40.0).await);
        let waited = watcher.judge.first_of(2).unwrap().at - joined;
        assert!(waited <= Duration::from_millis(2_200), "{waited:?}");
        assert_eq!(watcher.judge.stretches(), [2], "no slate");
        assert_eq!(stage.world.connections(1), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_comes_back_in_time_keeps_its_viewers() {
    // The second takes so long to its keyframe that the first is back before.
    let slow = Life {
        gop: 250,
        first: 10,
        ..life(&[live(3_600)])
    };
    let hiccup = Life {
        // What was missed while it was silent comes at once.
        ..life(&[
            live(20),
            Act::Pause(Duration::from_millis(1_800)),
            crate::world::wire_speed(2),
            live(60),
        ])
    };
    let stage = two(&[hiccup], &[slow], 1);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(60.0).await);
    assert_eq!(stage.world.asked(), [1, 2]);
    assert_eq!(watcher.judge.stretches(), [1]);
    assert_eq!(stage.world.connections(2), (1, 0), "the loser is closed");
}

#[tokio::test(start_paused = true)]
async fn bursts_open_no_second_stream() {
    let stage = two(&[life(&[bursts(600, 6)])], &[backup()], 1);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(300.0).await);
    assert_eq!(stage.world.asked(), [1]);
}

#[tokio::test(start_paused = true)]
async fn one_login_is_never_hedged() {
    let world = World::new()
        .channel("news", &[1, 2])
        .login(1, 5, &[1, 2])
        .stream(1, &[life(&[live(20), Act::Silent])])
        .stream(2, &[backup()]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(60.0).await);
    assert_eq!(stage.world.connections(1), (1, 1), "the old one is closed first");
    assert!(stage.world.asked().ends_with(&[2]));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_is_at_whichever_login_of_its_source_the_stream_in_doubt_is_not() {
    // Both sources have both logins. Where `sport` has the first one's connection, `news` is at the second.
    let world = World::new()
        .channel("news", &[1, 2])
        .channel("sport", &[3])
        .login(1, 1, &[1, 2, 3])
        .login(2, 5, &[1, 2])
        .stream(1, &[life(&[live(20), Act::Silent])])
        .stream(2, &[backup()])
        .stream(3, &[backup()]);
    let stage = Stage::new(world);
    let mut sport = stage.join("sport").await;
    assert!(sport.watch(5.0).await);
    let mut news = stage.join("news").await;
    assert!(news.watch(5.0).await);
    assert_eq!(stage.world.connections(2), (1, 1));
    drop(sport);
    assert!(news.watch(60.0).await);
    assert_eq!(stage.world.hedges(), 1);
    assert_eq!(news.judge.stretches(), [1, 2]);
    assert_eq!(
        (stage.world.connections(1), stage.world.connections(2)),
        ((1, 1), (1, 0)),
        "never two at one login"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hedge_takes_no_connection_that_is_in_use() {
    let world = World::new()
        .channel("news", &[1, 2])
        .channel("sport", &[3])
        .login(1, 1, &[1])
        .login(2, 1, &[2, 3])
        .stream(1, &[life(&[live(20), Act::Silent]), backup()])
        .stream(2, &[backup()])
        .stream(3, &[backup()]);
    let stage = Stage::new(world);
    let mut sport = stage.join("sport").await;
    let mut news = stage.join("news").await;
    let (news_goes_on, sport_goes_on) = tokio::join!(news.watch(60.0), sport.watch(60.0));
    assert!(news_goes_on && sport_goes_on);
    assert_eq!(stage.world.connections(2), (1, 1));
    assert_eq!(stage.world.asked(), [3, 1, 1], "the stream itself once more");
    assert_eq!(sport.judge.stretches(), [3]);
}

#[tokio::test(start_paused = true)]
async fn the_loser_is_closed_when_the_winner_shows() {
    let stage = two(&[life(&[live(20), Act::Silent])], &[backup()], 1);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(60.0).await);
    let entries = stage.world.entries();
    let at = |wanted| entries.iter().position(|entry| *entry == wanted).unwrap();
    assert!(at(Entry::Closed(1)) <= at(Entry::Delivers(2)));
    assert!(at(Entry::Asked(2)) < at(Entry::Closed(1)));
}

#[tokio::test(start_paused = true)]
async fn a_lone_source_met_at_the_end_of_a_burst_is_waited_for() {
    let met_late = life(&[
        crate::world::wire_speed(1),
        Act::Pause(Duration::from_secs(5)),
        bursts(600, 6),
    ]);
    let world = World::new().channel("news", &[1]).stream(1, &[met_late]);
    let stage = Stage::new(world);
    let mut watcher = stage.join("news").await;
    assert!(watcher.watch(120.0).await);
    assert_eq!(stage.world.asked(), [1]);
    assert_eq!(watcher.judge.stretches(), [1]);
}

#[tokio::test(start_paused = true)]
async fn the_second_stall_costs_no_more_than_the_first() {
    let stalls = |seconds| life(&[live(seconds), Act::Silent]);
    let stage = two(&[stalls(20), backup()], &[stalls(60)], 1);
    let mut watcher = stage.join("news").await;
    assert!(watcher.see(2, 40.0).await);
    assert!(watcher.see(1, 80.0).await);
    assert!(watcher.watch(30.0).await);
    let back = watcher
        .judge
        .pictures
        .iter()
        .rposition(|picture| picture.source == 2)
        .unwrap();
    let (last, first) = (&watcher.judge.pictures[back], &watcher.judge.pictures[back + 1]);
    let gap = first.at - last.at;
    // The stall's bound, 0.1 s to be sure of it, and up to three looks: the first two streams are joined at other moments of
    // the beat than they were when everything was read every 40 ms.
    assert!(gap <= Duration::from_millis(1_750), "{gap:?} without pictures");
    assert_eq!(stage.world.asked(), [1, 2, 1]);
}

/// What was opened beside a stream that has died since is all that viewers have.
#[tokio::test(start_paused = true)]
async fn a_hedge_left_alone_gives_way_to_nobody() {
    let dies = life(&[
        live(20),
        Act::Pause(Duration::from_secs(2)),
        Act::Fails(FailureClass::Gone),
    ]);
    let slow = |acts: &[Act]| Life {
        gop: 125,
        first: 1,
        ..life(acts)
    };
    let needed = slow(&[live(2), Act::Needed, live(60)]);
    let stage = two(&[dies], &[needed], 1);
    let mut watcher = stage.join("news").await;
    assert!(watcher.see(2, 60.0).await);
    assert_eq!(stage.world.asked(), [1, 2]);
    // Beside one that still has a chance it does give way.
    let hangs = closed(Door::Hangs);
    let needed = slow(&[live(2), Act::Needed, live(60)]);
    let stage = two(&[hangs], &[needed], 1);
    let mut watcher = stage.join("news").await;
    assert!(!watcher.see(2, 6.0).await);
    assert!(
        stage
            .world
            .entries()
            .contains(&Entry::Ended(2, FailureClass::Revoked))
    );
}

/// One hiccup makes no bursty source: long after it, a stall costs what it costs a smooth one.
#[tokio::test(start_paused = true)]
async fn a_hiccup_is_forgotten() {
    let hiccup = life(&[
        live(20),
        Act::Pause(Duration::from_millis(2_300)),
        crate::world::wire_speed(3),
        live(900),
        Act::Silent,
    ]);
    let stage = two(&[hiccup], &[closed(Door::Hangs), backup()], 1);
    let mut watcher = stage.join("news").await;
    assert!(watcher.see(2, 1_000.0).await);
    let gap = watcher.judge.first_of(2).unwrap().at - watcher.judge.last_of(1).unwrap().at;
    assert_eq!(watcher.judge.stretches(), [1, 2]);
    assert!(gap <= Duration::from_millis(2_600), "{gap:?} without pictures");
}
