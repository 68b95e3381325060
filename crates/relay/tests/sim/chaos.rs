//! Chance: channels, logins, streams that misbehave in every way there is, viewers who come, go and dawdle. Whatever
//! happens, the rules hold. A failing run prints its seed; `MAINSTEM_SIM_SEED=n` runs it alone.

use std::collections::HashMap;
use std::time::Duration;

use relay::FailureClass;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::world::{Act, Door, Entry, Key, Life, Stage, Watcher, World, life};

/// Seeds of one test of this file in the ordinary run; there are [`PARTS`] of them.
const SEEDS: u64 = 2_500;
const PARTS: u64 = 4;
/// How many times more the long form runs.
const FULL_FACTOR: u64 = 10;

/// Pictures a second: few, so that a minute of television is cheap.
const RATE: u32 = 5;

/// Virtual time after everybody has left, within which everything has to be closed.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Nobody waits longer for a sign of life once a response has begun.
const SIGN_WITHIN: Duration = Duration::from_millis(600);

/// Nobody's player stands still for longer, after what it had been given in advance is played: silence until the slate
/// is 5 s, and a stream that replays or stalls before it is known to has its own bounds of 8 s and 2.8 s.
const STARVES_FOR: Duration = Duration::from_secs(16);

const CHANNELS: [Key; 2] = ["one", "two"];

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn small(&mut self, bound: u32) -> u32 {
        u32::try_from(self.below(bound.into())).unwrap()
    }
}

fn pictures(seconds: u32, batch: u32, speed: f64) -> Act {
    Act::Pictures {
        count: seconds * RATE,
        batch,
        every: if speed.is_finite() {
            Duration::from_secs_f64(f64::from(batch) / f64::from(RATE) / speed)
        } else {
            Duration::ZERO
        },
    }
}

fn act(chance: &mut Chance) -> Act {
    let seconds = 1 + chance.small(40);
    match chance.below(14) {
        0..5 => pictures(seconds, 1, 1.0),
        5 => pictures(seconds, 6 * RATE, 1.0),
        6 => pictures(seconds.min(15), 5, f64::INFINITY),
        7 => pictures(seconds, 1, chance.pick(&[0.3, 0.8, 0.95, 1.05])),
        8 => Act::Garbage(Duration::from_secs(seconds.into())),
        9 => Act::Silent,
        10 => Act::Pause(Duration::from_millis(chance.below(4_000))),
        // Seconds of it pass in no time: dear, and therefore rare.
        11 if chance.below(50) == 0 => Act::Flood,
        _ => Act::Fails(chance.pick(&CLASSES)),
    }
}

const CLASSES: [FailureClass; 7] = [
    FailureClass::Transient,
    FailureClass::Transient,
    FailureClass::Gone,
    FailureClass::Limit,
    FailureClass::Unusable,
    FailureClass::Revoked,
    FailureClass::Expired,
];

fn door(chance: &mut Chance) -> Door {
    match chance.below(8) {
        0 => Door::Hangs,
        1 | 2 => Door::Refuses(chance.pick(&CLASSES)),
        _ => Door::Opens,
    }
}

fn some_life(chance: &mut Chance) -> Life {
    let acts: Vec<Act> = (0..=chance.below(4)).map(|_| act(chance)).collect();
    Life {
        door: door(chance),
        revocable: chance.below(4) == 0,
        gop: chance.pick(&[RATE, 2 * RATE, 8 * RATE]),
        first: chance.small(50),
        // Some come back on the same time base, and replay.
        start_90k: (chance.below(3) == 0).then_some(5_000_000),
        rate: RATE,
        ..life(&acts)
    }
}

fn some_world(chance: &mut Chance) -> (World, u64) {
    let logins = 1 + chance.below(3);
    let mut world = World::new();
    let mut streams: Vec<Vec<u8>> = CHANNELS.iter().map(|_| Vec::new()).collect();
    let mut at_login: HashMap<u64, Vec<u8>> = HashMap::new();
    for stream in 1..=u8::try_from(2 + chance.below(6)).unwrap() {
        let channel = usize::from(stream) % CHANNELS.len();
        streams[channel].push(stream);
        let login = 1 + chance.below(logins);
        at_login.entry(login).or_default().push(stream);
        // Some can be had at a second login.
        let further = 1 + chance.below(logins);
        if further != login && chance.below(3) == 0 {
            at_login.entry(further).or_default().push(stream);
        }
        let lives: Vec<Life> = (0..=chance.below(3)).map(|_| some_life(chance)).collect();
        world = world.stream(stream, &lives);
    }
    for login in 1..=logins {
        let connections = usize::try_from(1 + chance.below(2)).unwrap();
        let streams = at_login.remove(&login).unwrap_or_default();
        world = world.login(login, connections, &streams);
    }
    for (key, streams) in CHANNELS.into_iter().zip(&streams) {
        world = world.channel(key, streams);
    }
    (world, logins)
}

/// How one viewer behaves.
#[derive(Debug, Clone, Copy)]
struct Habit {
    comes: Duration,
    stays: Duration,
    /// Rests so long after each read; a dawdler is lapped, so that only the form of what he gets is judged.
    dawdles: Duration,
}

fn some_habit(chance: &mut Chance) -> Habit {
    Habit {
        comes: Duration::from_millis(chance.below(30_000)),
        stays: Duration::from_millis(chance.below(50_000)),
        dawdles: Duration::from_millis(chance.pick(&[0, 0, 0, 150, 2_000])),
    }
}

/// What a viewer saw.
#[derive(Debug, Default, Clone, Copy)]
struct Saw {
    pictures: usize,
    own: usize,
    ended: bool,
}

/// A player: what it was given is played in real time.
#[derive(Debug, Default)]
struct Player {
    last_90k: Option<u64>,
    plays_until: Option<Instant>,
}

impl Player {
    fn take(&mut self, picture_90k: u64) {
        let (now, last) = (Instant::now(), self.last_90k.replace(picture_90k));
        let lasts = Duration::from_millis(last.map_or(0, |last| picture_90k - last) / 90);
        self.plays_until = Some(self.plays_until.map_or(now, |until| until.max(now) + lasts));
    }

    fn starves(&self) -> Duration {
        let until = self.plays_until.unwrap_or_else(Instant::now);
        Instant::now().saturating_duration_since(until)
    }
}

async fn watch(mut watcher: Watcher, habit: Habit) -> Saw {
    let leaves = Instant::now() + habit.stays;
    let mut player = Player::default();
    let mut saw = Saw::default();
    let mut began = false;
    while Instant::now() < leaves {
        let within = if began { SIGN_WITHIN } else { STARVES_FOR };
        let answer = timeout(within, watcher.viewer.next()).await;
        let Some(bytes) = answer.unwrap_or_else(|_| panic!("no sign of life within {within:?}")) else {
            saw.ended = true;
            break;
        };
        began = true;
        if habit.dawdles.is_zero() {
            let seen = watcher.judge.pictures.len();
            watcher.judge.take(&bytes, Instant::now());
            let new = &watcher.judge.pictures[seen..];
            new.iter().for_each(|picture| player.take(picture.dts));
            let starves = player.starves();
            assert!(starves <= STARVES_FOR, "nothing to play for {starves:?}");
        } else {
            assert_eq!(bytes.len() % crate::ts::PACKET, 0);
            sleep(habit.dawdles).await;
        }
    }
    saw.pictures = watcher.judge.pictures.len();
    saw.own = watcher
        .judge
        .pictures
        .iter()
        .filter(|picture| picture.source != 0)
        .count();
    saw
}

/// What a run came to.
#[derive(Debug, Default)]
struct Tally {
    viewers: usize,
    pictures: usize,
    own: usize,
    asked: usize,
    delivered: usize,
    hedged: usize,
    ended: usize,
}

async fn run(seed: u64) -> Tally {
    let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    for _ in 0..8 {
        chance.below(2);
    }
    let (world, logins) = some_world(&mut chance);
    let stage = Stage::new(world);
    let mut viewers = JoinSet::new();
    for _ in 0..=chance.below(4) {
        let (habit, key) = (some_habit(&mut chance), chance.pick(&CHANNELS));
        let hub = stage.hub.clone();
        viewers.spawn(async move {
            sleep(habit.comes).await;
            watch(Watcher::join(&hub, key).await, habit).await
        });
    }
    let mut tally = Tally::default();
    while let Some(saw) = viewers.join_next().await {
        let saw = saw.unwrap();
        tally.viewers += 1;
        tally.pictures += saw.pictures;
        tally.own += saw.own;
        tally.ended += usize::from(saw.ended);
    }
    sleep(ENDS_WITHIN).await;
    // Nobody watches: nothing is open, nothing is left, and every connection that was asked for was given back.
    for login in 1..=logins {
        let (_, open) = stage.world.connections(login);
        assert_eq!(open, 0, "login {login} has connections left");
    }
    assert_eq!(stage.hub.status().await.unwrap(), []);
    count(&stage.world.entries(), &mut tally);
    tally.hedged += stage.world.hedges();
    tally
}

/// Reads the log: who delivers was asked and is open, who ends is closed, and everything asked is closed once.
fn count(entries: &[Entry], tally: &mut Tally) {
    let mut open: HashMap<u8, usize> = HashMap::new();
    for entry in entries {
        match entry {
            Entry::Asked(stream) => {
                tally.asked += 1;
                *open.entry(*stream).or_default() += 1;
            }
            Entry::Delivers(stream) => {
                tally.delivered += 1;
                assert_eq!(open.get(stream), Some(&1), "{stream} delivers and is not open");
            }
            Entry::Shows(..) => {}
            Entry::Closed(stream) => *open.get_mut(stream).unwrap() -= 1,
            Entry::Ended(stream, _) => {
                assert!(
                    open.get(stream).is_none_or(|open| *open == 0),
                    "{stream} was told of before it was closed"
                );
            }
        }
    }
    assert!(open.values().all(|open| *open == 0), "{open:?}");
}

fn run_seeds(part: u64) {
    if let Ok(seed) = std::env::var("MAINSTEM_SIM_SEED") {
        print_run(seed.parse().unwrap());
        return;
    }
    let factor = if std::env::var_os("MAINSTEM_TEST_FULL").is_some() {
        FULL_FACTOR
    } else {
        1
    };
    let mut all = Tally::default();
    for turn in 0..SEEDS * factor {
        let seed = turn * PARTS + part;
        let tally = std::panic::catch_unwind(|| in_virtual_time(seed));
        let tally = tally.unwrap_or_else(|_| panic!("MAINSTEM_SIM_SEED={seed} fails"));
        all.viewers += tally.viewers;
        all.pictures += tally.pictures;
        all.own += tally.own;
        all.asked += tally.asked;
        all.delivered += tally.delivered;
        all.hedged += tally.hedged;
        all.ended += tally.ended;
    }
    println!("{} seeds: {all:?}", SEEDS * factor);
    let seeds = usize::try_from(SEEDS * factor).unwrap();
    assert!(
        all.delivered > seeds && all.hedged > seeds / 20,
        "chance has become tame: {all:?}"
    );
    assert!(all.own > all.pictures / 8, "hardly anybody saw a stream: {all:?}");
}

fn print_run(seed: u64) {
    println!("{:?}", in_virtual_time(seed));
}

fn in_virtual_time(seed: u64) -> Tally {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(run(seed))
}

#[test]
fn whatever_happens_the_rules_hold_part_1() {
    run_seeds(0);
}

#[test]
fn whatever_happens_the_rules_hold_part_2() {
    run_seeds(1);
}

#[test]
fn whatever_happens_the_rules_hold_part_3() {
    run_seeds(2);
}

#[test]
fn whatever_happens_the_rules_hold_part_4() {
    run_seeds(3);
}
