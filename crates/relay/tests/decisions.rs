//! The decisions of a broadcast, without sockets or bytes: tables, and chance over invariants.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]

use std::time::{Duration, Instant};

use relay::broadcast::{Action, Broadcast, Event};
use relay::{Candidate, Failure, FailureClass, Timing};

fn candidates(streams: &[(u8, bool)]) -> Vec<Candidate<u8>> {
    streams
        .iter()
        .map(|&(stream, cooling)| Candidate {
            stream,
            label: "source".into(),
            cooling,
        })
        .collect()
}

fn failure(class: FailureClass) -> Failure {
    Failure::new(class, "failed")
}

/// A broadcast at a moment, with the streams it may choose from.
struct Play {
    broadcast: Broadcast<u8>,
    streams: Vec<(u8, bool)>,
    now: Instant,
}

impl Play {
    fn new(streams: &[(u8, bool)]) -> Self {
        Self {
            broadcast: Broadcast::new(Timing::default(), 7),
            streams: streams.to_vec(),
            now: Instant::now(),
        }
    }

    fn event(&mut self, event: &Event<'_>) -> Vec<Action<u8>> {
        let streams = &self.streams;
        self.broadcast.handle(event, self.now, || candidates(streams))
    }

    fn fail(&mut self, class: FailureClass) -> Vec<Action<u8>> {
        self.event(&Event::Failed(&failure(class)))
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Time goes on to the next deadline; how long that took.
    fn tick(&mut self) -> (Duration, Vec<Action<u8>>) {
        let deadline = self.broadcast.deadline().unwrap();
        let waited = deadline.saturating_duration_since(self.now);
        self.now = self.now.max(deadline);
        (waited, self.event(&Event::Tick))
    }
}

#[test]
fn the_best_stream_that_does_not_rest_is_opened_first_and_what_rests_last() {
    let check = |streams: &[(u8, bool)], expected: &[u8]| {
        let mut play = Play::new(streams);
        let mut opened = Vec::new();
        let mut actions = play.event(&Event::Joined(1));
        while let Some(stream) = actions.iter().find_map(|action| match action {
            Action::Open(stream) => Some(*stream),
            _ => None,
        }) {
            opened.push(stream);
            actions = play.fail(FailureClass::Transient);
        }
        assert_eq!(opened, expected, "{streams:?}");
        assert!(
            actions.ends_with(&[Action::Close, Action::SlateOn]),
            "{actions:?}"
        );
    };
    check(&[], &[]);
    check(&[(1, false), (2, false)], &[1, 2]);
    check(&[(1, true), (2, false)], &[2, 1]);
    check(&[(1, true), (2, true), (3, false)], &[3, 1, 2]);
}

#[test]
fn a_viewers_life() {
    let mut play = Play::new(&[(1, false)]);
    assert_eq!(
        play.event(&Event::Joined(1)),
        [Action::Watched(true), Action::Open(1)]
    );
    assert_eq!(play.event(&Event::Joined(2)), []);
    assert_eq!(play.event(&Event::Entered), []);
    assert_eq!(play.event(&Event::Left(1)), []);
    assert_eq!(play.event(&Event::Left(0)), [Action::Watched(false)]);
    play.pass(9);
    assert_eq!(play.event(&Event::Tick), [], "it lingers");
    assert_eq!(play.event(&Event::Joined(1)), [Action::Watched(true)]);
    assert_eq!(play.broadcast.deadline(), None);
    play.event(&Event::Left(0));
    let (waited, actions) = play.tick();
    assert_eq!(waited, Timing::default().linger);
    assert_eq!(actions, [Action::Close, Action::Finish]);
}

#[test]
fn what_is_unwatched_and_fails_is_over() {
    for class in [FailureClass::Revoked, FailureClass::Transient] {
        let mut play = Play::new(&[(1, false), (2, false)]);
        play.event(&Event::Joined(1));
        play.event(&Event::Entered);
        play.event(&Event::Left(0));
        assert_eq!(play.fail(class), [Action::Close, Action::Finish]);
    }
}

#[test]
fn a_health_worth_a_second_try() {
    let check = |seconds: u64, class, expected: u8| {
        let mut play = Play::new(&[(1, false), (2, false)]);
        play.event(&Event::Joined(1));
        play.event(&Event::Entered);
        play.pass(seconds);
        assert_eq!(
            play.fail(class),
            [Action::Open(expected)],
            "{seconds} s, {class:?}"
        );
    };
    check(9, FailureClass::Transient, 2);
    check(10, FailureClass::Transient, 1);
    check(3_600, FailureClass::Transient, 1);
    check(3_600, FailureClass::Gone, 2);
    check(3_600, FailureClass::Limit, 2);
    check(3_600, FailureClass::Revoked, 2);
}

#[test]
fn a_second_try_is_not_had_every_time() {
    let mut play = Play::new(&[(1, false), (2, false)]);
    play.event(&Event::Joined(1));
    for (seconds, expected) in [(12, 1), (12, 2), (12, 2), (90, 2), (12, 1)] {
        play.event(&Event::Entered);
        play.pass(seconds);
        let actions = play.fail(FailureClass::Transient);
        assert_eq!(actions, [Action::Open(expected)], "after {seconds} s");
    }
    let mut alone = Play::new(&[(1, false)]);
    alone.event(&Event::Joined(1));
    for _ in 0..20 {
        alone.event(&Event::Entered);
        alone.pass(12);
        assert_eq!(alone.fail(FailureClass::Transient), [Action::Open(1)]);
    }
}

#[test]
fn rounds_back_off_to_the_bound_of_their_kind() {
    let check = |class, bound: u64| {
        let mut play = Play::new(&[(1, false)]);
        play.event(&Event::Joined(1));
        let mut last = Duration::ZERO;
        for round in 0..40 {
            let actions = play.fail(class);
            assert_eq!(actions.first(), Some(&Action::Close));
            let (waited, actions) = play.tick();
            assert_eq!(actions, [Action::Open(1)], "round {round}");
            let most = Duration::from_millis(bound * 1_250);
            assert!(waited <= most, "{class:?}, round {round}: {waited:?}");
            assert!(waited >= Duration::from_millis(180));
            if round > 12 {
                assert!(waited >= Duration::from_millis(bound * 750), "{waited:?}");
            }
            last = waited;
        }
        assert!(last > Duration::ZERO);
    };
    check(FailureClass::Transient, 5);
    check(FailureClass::NoSlot, 5);
    check(FailureClass::Gone, 30);
    check(FailureClass::Auth, 30);
}

#[test]
fn the_slate_waits_for_silence_and_never_shows_over_a_stream() {
    let mut play = Play::new(&[(1, false), (2, false)]);
    play.event(&Event::Joined(1));
    let (waited, actions) = play.tick();
    assert_eq!((waited, actions), (Duration::from_secs(5), vec![Action::SlateOn]));
    assert_eq!(play.event(&Event::Entered), [Action::SlateOff]);
    play.pass(60);
    assert_eq!(play.event(&Event::Tick), [], "the stream's own end comes first");
    let until = play.now + Duration::from_secs(3);
    play.broadcast.media_lasts_until(until);
    assert_eq!(play.fail(FailureClass::Gone), [Action::Open(2)]);
    let (waited, actions) = play.tick();
    assert_eq!((waited, actions), (Duration::from_secs(8), vec![Action::SlateOn]));
}

struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// What the world looks like after the actions so far: the driver's half, reduced to flags.
#[derive(Debug, Default)]
struct Model {
    viewers: usize,
    open: Option<u8>,
    delivers: bool,
    slate: bool,
    watched: bool,
    finished: bool,
}

impl Model {
    fn apply(&mut self, actions: &[Action<u8>]) {
        for action in actions {
            assert!(!self.finished, "something follows the end");
            match action {
                Action::Open(stream) => {
                    assert_eq!(self.open, None, "two at once");
                    assert!(self.viewers > 0, "opened for nobody");
                    self.open = Some(*stream);
                }
                Action::Close => {
                    self.open = None;
                    self.delivers = false;
                }
                Action::SlateOn => {
                    assert!(!self.slate && !self.delivers && self.viewers > 0);
                    self.slate = true;
                }
                Action::SlateOff => {
                    assert!(self.slate);
                    self.slate = false;
                }
                Action::Watched(watched) => {
                    assert_ne!(*watched, self.watched);
                    self.watched = *watched;
                }
                Action::Finish => {
                    assert_eq!((self.viewers, self.open, self.slate), (0, None, false));
                    self.finished = true;
                }
            }
        }
    }

    fn check(&self, play: &Play) {
        let broadcast = &play.broadcast;
        assert_eq!(self.watched, self.viewers > 0);
        assert_eq!(broadcast.stream(), self.open);
        assert_eq!(broadcast.is_live(), self.delivers);
        assert_eq!(broadcast.slate(), self.slate);
        if self.finished {
            return;
        }
        if self.viewers > 0 {
            let goes_on = self.open.is_some() || broadcast.deadline().is_some();
            assert!(goes_on, "a dead end: {broadcast:?}");
            assert!(
                self.delivers || self.slate || broadcast.deadline().is_some(),
                "nothing to see, for ever: {broadcast:?}"
            );
        } else {
            assert!(
                broadcast.deadline().is_some(),
                "nobody watches, and it stays: {broadcast:?}"
            );
        }
        let overdue = broadcast.deadline().is_some_and(|deadline| deadline <= play.now);
        assert!(!overdue, "a tick left its deadline in the past: {broadcast:?}");
    }
}

const CLASSES: [FailureClass; 9] = [
    FailureClass::NoSlot,
    FailureClass::Limit,
    FailureClass::Auth,
    FailureClass::Blocked,
    FailureClass::Gone,
    FailureClass::Unusable,
    FailureClass::File,
    FailureClass::Transient,
    FailureClass::Revoked,
];

/// One thing that may happen now.
fn happen(chance: &mut Xorshift, play: &mut Play, model: &mut Model) -> Vec<Action<u8>> {
    match chance.below(8) {
        0 => {
            model.viewers += 1;
            play.event(&Event::Joined(model.viewers))
        }
        1 | 2 if model.viewers > 0 => {
            model.viewers -= 1;
            play.event(&Event::Left(model.viewers))
        }
        3 if model.open.is_some() && !model.delivers => {
            model.delivers = true;
            play.event(&Event::Entered)
        }
        4 | 5 if model.open.is_some() => {
            // The driver drops the connection before it tells.
            model.open = None;
            model.delivers = false;
            let class = chance.pick(&CLASSES);
            play.fail(class)
        }
        6 => {
            let left = chance.below(12_000);
            play.broadcast
                .media_lasts_until(play.now + Duration::from_millis(left));
            Vec::new()
        }
        _ => {
            let streams = chance.below(4);
            play.streams = (0..u8::try_from(streams).unwrap())
                .map(|stream| (stream, chance.below(3) == 0))
                .collect();
            Vec::new()
        }
    }
}

#[test]
fn whatever_happens_there_is_a_way_on() {
    let mut chance = Xorshift(0x5EED_CAFE);
    let mut finished = 0;
    for _ in 0..3_000 {
        let mut play = Play::new(&[(0, false), (1, false)]);
        play.broadcast = Broadcast::new(Timing::default(), chance.below(u64::MAX));
        let mut model = Model {
            viewers: 1,
            ..Model::default()
        };
        let actions = play.event(&Event::Joined(1));
        model.apply(&actions);
        for _ in 0..200 {
            let actions = happen(&mut chance, &mut play, &mut model);
            model.apply(&actions);
            if !model.finished {
                // As the driver does: the clock is looked at after every event.
                play.now += Duration::from_millis(chance.pick(&[0, 1, 40, 700, 6_000, 30_000]));
                if play
                    .broadcast
                    .deadline()
                    .is_some_and(|deadline| deadline <= play.now)
                {
                    let actions = play.event(&Event::Tick);
                    model.apply(&actions);
                }
            }
            model.check(&play);
            if model.finished {
                finished += 1;
                break;
            }
        }
    }
    assert!(finished > 500, "{finished} runs came to their end");
}
