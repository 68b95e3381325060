use super::*;

const WAIT: Duration = Duration::from_secs(2);

fn wish(login: &str, limit: usize) -> Wish {
    let source = SourceName::new("s");
    let place = Place {
        login: Login::at("provider.example", login),
        limit,
        release_delay: Duration::ZERO,
    };
    Wish::at(place, source, Purpose::Live)
}

fn slow(release_delay: Duration) -> Wish {
    let mut wish = wish("u", 1);
    wish.places[0].release_delay = release_delay;
    wish
}

#[tokio::test(start_paused = true)]
async fn a_login_gives_no_more_than_its_limit_and_gets_back_what_is_dropped() {
    let pools = Pools::new(100);
    let first = pools.acquire(wish("u", 2), WAIT).await.unwrap();
    let second = pools.acquire(wish("u", 2), WAIT).await.unwrap();
    assert_eq!(
        pools.acquire(wish("u", 2), WAIT).await.unwrap_err(),
        Refused::LoginFull { limit: 2 }
    );
    pools.acquire(wish("other", 2), WAIT).await.unwrap();
    drop(first);
    let third = pools.acquire(wish("u", 2), WAIT).await.unwrap();
    drop((second, third));
    assert_eq!(pools.usage().total, 0);
}

#[tokio::test(start_paused = true)]
async fn the_total_is_a_limit_of_its_own() {
    let pools = Pools::new(1);
    let held = pools.acquire(wish("a", 5), WAIT).await.unwrap();
    assert_eq!(
        pools.acquire(wish("b", 5), WAIT).await.unwrap_err(),
        Refused::AllFull { limit: 1 }
    );
    drop(held);
    pools.acquire(wish("b", 5), WAIT).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_waiter_is_served_when_a_slot_comes_back_in_time() {
    let pools = Pools::new(100);
    let held = pools.acquire(wish("u", 1), WAIT).await.unwrap();
    let release = async {
        tokio::time::sleep(WAIT / 2).await;
        drop(held);
    };
    let (slot, ()) = tokio::join!(pools.acquire(wish("u", 1), WAIT), release);
    assert!(slot.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_withdrawn_wish_takes_nothing() {
    let pools = Pools::new(100);
    let held = pools.acquire(wish("u", 1), WAIT).await.unwrap();
    assert!(
        timeout(WAIT / 4, pools.acquire(wish("u", 1), WAIT))
            .await
            .is_err()
    );
    assert_eq!(pools.usage().waiting, 0);
    drop(held);
    assert_eq!(pools.usage().total, 0);
}

#[tokio::test(start_paused = true)]
async fn an_unwatched_connection_is_taken_back_for_a_waiter_and_a_watched_one_is_not() {
    let pools = Pools::new(100);
    let mut held = pools.acquire(wish("u", 1), WAIT).await.unwrap();
    assert!(timeout(WAIT, held.revoked()).await.is_err());
    held.set_watched(false);
    assert!(
        timeout(WAIT, held.revoked()).await.is_err(),
        "nobody waits for it"
    );
    let give_back = async {
        held.revoked().await;
        drop(held);
    };
    let (slot, ()) = tokio::join!(pools.acquire(wish("u", 1), WAIT), give_back);
    assert!(slot.is_ok());
}

#[tokio::test(start_paused = true)]
async fn becoming_unwatched_while_somebody_waits_gives_the_connection_up() {
    let pools = Pools::new(100);
    let mut held = pools.acquire(wish("u", 1), WAIT).await.unwrap();
    let give_back = async {
        tokio::task::yield_now().await;
        held.set_watched(false);
        held.revoked().await;
        drop(held);
    };
    let (slot, ()) = tokio::join!(pools.acquire(wish("u", 1), WAIT), give_back);
    assert!(slot.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_login_that_rests_is_not_asked() {
    let pools = Pools::new(100);
    pools.cool(
        &wish("u", 1).places[0].login,
        Duration::from_secs(15),
        Rest::Limit,
    );
    assert!(matches!(
        pools.acquire(wish("u", 1), WAIT).await,
        Err(Refused::Cooling { .. })
    ));
    pools.acquire(wish("other", 1), WAIT).await.unwrap();
    tokio::time::advance(Duration::from_secs(16)).await;
    pools.acquire(wish("u", 1), WAIT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_never_exceed_the_limit() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let pools = Pools::new(100);
    let (open, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (pools, open, peak) = (pools.clone(), Arc::clone(&open), Arc::clone(&peak));
        tasks.spawn(async move {
            let slot = pools
                .acquire(wish("u", 3), Duration::from_secs(30))
                .await
                .unwrap();
            let now = open.fetch_add(1, Ordering::SeqCst) + 1;
            peak.fetch_max(now, Ordering::SeqCst);
            tokio::task::yield_now().await;
            open.fetch_sub(1, Ordering::SeqCst);
            drop(slot);
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert!(peak.load(Ordering::SeqCst) <= 3);
    assert_eq!(pools.usage().total, 0);
}

#[tokio::test(start_paused = true)]
async fn a_closed_connection_that_still_counts_at_the_provider_is_waited_for() {
    let pools = Pools::new(100);
    let slow = || slow(Duration::from_secs(3));
    drop(pools.acquire(slow(), WAIT).await.unwrap());
    assert_eq!(
        pools.acquire(slow(), WAIT).await.unwrap_err(),
        Refused::LoginFull { limit: 1 }
    );
    let asked = Instant::now();
    pools.acquire(slow(), WAIT).await.unwrap();
    assert!(
        asked.elapsed() <= Duration::from_secs(1) + Duration::from_millis(10),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_test_takes_nothing_from_anybody() {
    let pools = Pools::new(100);
    let mut held = pools.acquire(wish("u", 1), WAIT).await.unwrap();
    held.set_watched(false);
    let test = Wish {
        purpose: Purpose::Test,
        ..wish("u", 1)
    };
    assert!(pools.acquire(test, Duration::ZERO).await.is_err());
    assert!(timeout(WAIT, held.revoked()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_came_before_the_close_is_woken_when_it_no_longer_counts() {
    let pools = Pools::new(100);
    let slow = || slow(Duration::from_secs(1));
    let held = pools.acquire(slow(), WAIT).await.unwrap();
    let asked = Instant::now();
    let release = async {
        tokio::task::yield_now().await;
        drop(held);
    };
    let (slot, ()) = tokio::join!(pools.acquire(slow(), WAIT), release);
    slot.unwrap();
    assert!(asked.elapsed() < WAIT, "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_waits_already_does_not_ask_a_login_that_rests() {
    let pools = Pools::new(100);
    let held = pools.acquire(wish("u", 1), WAIT).await.unwrap();
    let refuse = async {
        tokio::task::yield_now().await;
        pools.cool(&wish("u", 1).places[0].login, WAIT / 2, Rest::Limit);
        drop(held);
    };
    let asked = Instant::now();
    let (slot, ()) = tokio::join!(pools.acquire(wish("u", 1), WAIT), refuse);
    slot.unwrap();
    assert!(asked.elapsed() >= WAIT / 2, "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_viewer_takes_the_connection_of_a_test() {
    let pools = Pools::new(100);
    let test = Wish {
        purpose: Purpose::Test,
        ..wish("u", 1)
    };
    let held = pools.acquire(test, Duration::ZERO).await.unwrap();
    let give_back = async {
        held.revoked().await;
        drop(held);
    };
    let (slot, ()) = tokio::join!(pools.acquire(wish("u", 1), WAIT), give_back);
    slot.unwrap();
}

fn hedge() -> Wish {
    Wish {
        purpose: Purpose::Hedge,
        ..wish("u", 1)
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_takes_what_is_free_and_nobody_wants_and_gives_it_to_any_viewer() {
    let pools = Pools::new(100);
    let hedge_slot = pools.try_acquire(&hedge()).unwrap();
    assert_eq!(
        pools.try_acquire(&hedge()).unwrap_err(),
        Refused::LoginFull { limit: 1 }
    );
    let give_back = async {
        hedge_slot.revoked().await;
        drop(hedge_slot);
    };
    let (slot, ()) = tokio::join!(pools.acquire(wish("u", 1), WAIT), give_back);
    let mut slot = slot.unwrap();
    slot.set_watched(false);
    assert!(pools.try_acquire(&hedge()).is_err(), "it takes nothing");
    assert!(timeout(WAIT, slot.revoked()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_won_is_kept_like_any_live_stream() {
    let pools = Pools::new(100);
    let mut slot = pools.try_acquire(&hedge()).unwrap();
    slot.promote(Purpose::Live);
    assert!(pools.acquire(wish("u", 1), WAIT).await.is_err());
    assert!(timeout(WAIT, slot.revoked()).await.is_err());
}

#[tokio::test]
async fn a_fault_in_the_task_that_owns_a_slot_gives_it_back() {
    let pools = Pools::new(100);
    let mut tasks = tokio::task::JoinSet::new();
    let slot = pools.acquire(wish("u", 1), WAIT).await.unwrap();
    tasks.spawn(async move {
        let _held = slot;
        panic!("a fault in a stream's task");
    });
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
    pools.acquire(wish("u", 1), Duration::ZERO).await.unwrap();
}

/// The bound for what a free slot may add to the start of a stream.
const FREE_SLOT_COSTS_MAX: Duration = Duration::from_micros(50);

#[tokio::test]
async fn a_free_slot_costs_next_to_nothing() {
    const BATCHES: u32 = 20;
    const TIMES: u32 = 100;
    let pools = Pools::new(100);
    // As on a busy day: twenty logins, three connections of each in use.
    let mut busy = Vec::new();
    for login in 0..20 {
        for _ in 0..3 {
            let wish = wish(&format!("busy {login}"), 5);
            busy.push(pools.acquire(wish, Duration::ZERO).await.unwrap());
        }
    }
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let started = std::time::Instant::now();
        for _ in 0..TIMES {
            drop(pools.acquire(wish("u", 1), WAIT).await.unwrap());
        }
        batches.push(started.elapsed() / TIMES);
    }
    // Other tests share the machine: the quickest batch is what it takes.
    let each = batches.into_iter().min().unwrap();
    println!("one slot, there and back: {each:?}");
    assert!(each <= FREE_SLOT_COSTS_MAX, "{each:?}");
}

/// Nobody waits, so that nobody follows the clock: the operator must not see a connection in use for ever after a film.
#[tokio::test(start_paused = true)]
async fn a_connection_kept_for_a_film_is_free_again_when_its_time_is_over_though_nobody_waits() {
    let pools = Pools::new(100);
    let session = FilmSession {
        name: "a viewing".into(),
        is_one_player: true,
        is_seek: false,
    };
    let film = Wish {
        session: Some(session.clone()),
        ..wish("u", 1)
    };
    let slot = pools.acquire(film, WAIT).await.unwrap();
    slot.keep(Duration::from_secs(10));
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!((pools.usage().total, pools.has_spare(&wish("u", 1))), (1, false));
    assert!(pools.source_of(&session).is_some());
    tokio::time::advance(Duration::from_secs(1)).await;
    let usage = pools.usage();
    assert_eq!((usage.total, usage.by_source.len(), usage.held.len()), (0, 0, 0));
    assert_eq!(pools.free(&wish("u", 1).places[0].login, 1), 1);
    assert!(pools.has_spare(&wish("u", 1)));
    assert_eq!(pools.source_of(&session), None);
}
