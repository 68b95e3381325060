//! The decisions of a broadcast, without sockets or bytes: tables, and chance over invariants.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]

use std::time::{Duration, Instant};

use mpegts::slate::Message;
use relay::broadcast::{Action, Broadcast, Event};
use relay::{Candidate, Failure, FailureClass, Timing};

fn candidate(stream: u8, cooling: bool) -> Candidate<u8> {
    Candidate {
        stream,
        label: "source".into(),
        cooling,
        login: 0,
        idle: false,
    }
}

fn candidates(streams: &[(u8, bool)]) -> Vec<Candidate<u8>> {
    streams
        .iter()
        .map(|&(stream, cooling)| candidate(stream, cooling))
        .collect()
}

fn failure(class: FailureClass) -> Failure {
    Failure::new(class, "failed")
}

/// A broadcast at a moment, with the streams it may choose from.
struct Play {
    broadcast: Broadcast<u8>,
    streams: Vec<Candidate<u8>>,
    now: Instant,
}

impl Play {
    fn new(streams: &[(u8, bool)]) -> Self {
        Self {
            broadcast: Broadcast::new(Timing::default(), 7),
            streams: candidates(streams),
            now: Instant::now(),
        }
    }

    fn event(&mut self, event: &Event<'_, u8>) -> Vec<Action<u8>> {
        let streams = &self.streams;
        self.broadcast.handle(event, self.now, || streams.clone())
    }

    fn enter(&mut self) -> Vec<Action<u8>> {
        let stream = self.broadcast.stream().unwrap();
        self.event(&Event::Entered(stream))
    }

    fn fail(&mut self, class: FailureClass) -> Vec<Action<u8>> {
        let stream = self.broadcast.stream().unwrap();
        self.event(&Event::Failed(stream, &failure(class)))
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Time goes on to the next deadline that has something to do; how long that took.
    fn tick(&mut self) -> (Duration, Vec<Action<u8>>) {
        let began = self.now;
        loop {
            let deadline = self.broadcast.deadline().unwrap();
            self.now = self.now.max(deadline);
            let actions = self.event(&Event::Tick);
            if !actions.is_empty() {
                return (self.now - began, actions);
            }
        }
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
            actions.ends_with(&[Action::Close, Action::SlateOn(Message::Offline)]),
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
    assert_eq!(play.enter(), []);
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
        play.enter();
        play.event(&Event::Left(0));
        assert_eq!(play.fail(class), [Action::Close, Action::Finish]);
    }
}

#[test]
fn a_health_worth_a_second_try() {
    let check = |seconds: u64, class, expected: u8| {
        let mut play = Play::new(&[(1, false), (2, false)]);
        play.event(&Event::Joined(1));
        play.enter();
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
        play.enter();
        play.pass(seconds);
        let actions = play.fail(FailureClass::Transient);
        assert_eq!(actions, [Action::Open(expected)], "after {seconds} s");
    }
    let mut alone = Play::new(&[(1, false)]);
    alone.event(&Event::Joined(1));
    for _ in 0..20 {
        alone.enter();
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
    assert_eq!(
        (waited, actions),
        (Duration::from_secs(5), vec![Action::SlateOn(Message::Offline)])
    );
    assert_eq!(play.enter(), [Action::SlateOff]);
    play.pass(60);
    assert_eq!(play.event(&Event::Tick), [], "the stream's own end comes first");
    // A stream that has shown for long what it should leaves viewers all the time there is.
    for _ in 0..70 {
        play.pass(1);
        play.broadcast
            .media(Duration::from_secs(1), play.now + Duration::from_secs(3));
    }
    assert_eq!(play.fail(FailureClass::Gone), [Action::Open(2)]);
    let (waited, actions) = play.tick();
    assert_eq!(
        (waited, actions),
        (Duration::from_secs(8), vec![Action::SlateOn(Message::Offline)])
    );
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
    hedge: Option<u8>,
    hedges: usize,
    slate: Option<Message>,
    watched: bool,
    finished: bool,
}

impl Model {
    fn apply(&mut self, actions: &[Action<u8>]) {
        for action in actions {
            assert!(!self.finished, "something follows the end");
            match action {
                Action::Open(stream) => {
                    assert_eq!((self.open, self.hedge), (None, None), "two at once");
                    assert!(self.viewers > 0, "opened for nobody");
                    self.open = Some(*stream);
                }
                Action::Hedge(stream) => {
                    assert_eq!(self.hedge, None, "two hedges");
                    assert_ne!(self.open, None, "beside nothing");
                    assert_ne!(self.open, Some(*stream), "beside itself");
                    assert!(self.viewers > 0, "opened for nobody");
                    self.hedge = Some(*stream);
                    self.hedges += 1;
                }
                Action::CloseHedge => assert!(self.hedge.take().is_some()),
                Action::Adopt => {
                    assert!(self.hedge.is_some());
                    self.open = self.hedge.take();
                    self.delivers = false;
                }
                Action::Close => {
                    self.open = None;
                    self.hedge = None;
                    self.delivers = false;
                }
                Action::SlateOn(message) => {
                    assert!(self.slate != Some(*message) && !self.delivers && self.viewers > 0);
                    self.slate = Some(*message);
                }
                Action::SlateOff => assert!(self.slate.take().is_some()),
                Action::Watched(watched) => {
                    assert_ne!(*watched, self.watched);
                    self.watched = *watched;
                }
                Action::Finish => {
                    assert_eq!(
                        (self.viewers, self.open, self.hedge, self.slate),
                        (0, None, None, None)
                    );
                    self.finished = true;
                }
            }
        }
    }

    fn check(&self, play: &Play) {
        let broadcast = &play.broadcast;
        assert_eq!(self.watched, self.viewers > 0);
        assert_eq!((broadcast.stream(), broadcast.hedge()), (self.open, self.hedge));
        assert_eq!(broadcast.is_live(), self.delivers);
        assert_eq!(broadcast.slate(), self.slate);
        if self.finished {
            return;
        }
        if self.viewers > 0 {
            let goes_on = self.open.is_some() || broadcast.deadline().is_some();
            assert!(goes_on, "a dead end: {broadcast:?}");
            assert!(
                self.delivers || self.slate.is_some() || broadcast.deadline().is_some(),
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
    match chance.below(12) {
        0 => {
            model.viewers += 1;
            play.event(&Event::Joined(model.viewers))
        }
        1 | 2 if model.viewers > 0 => {
            model.viewers -= 1;
            play.event(&Event::Left(model.viewers))
        }
        3 if model.open.is_some() && !model.delivers => {
            let actions = play.enter();
            model.apply(&actions);
            model.delivers = true;
            Vec::new()
        }
        4 | 5 if model.open.is_some() => {
            // The driver drops the connection before it tells.
            let class = chance.pick(&CLASSES);
            let actions = play.fail(class);
            model.open = None;
            model.delivers = false;
            actions
        }
        6 => {
            let left = chance.below(12_000);
            play.broadcast.media(
                Duration::from_millis(left / 3),
                play.now + Duration::from_millis(left),
            );
            Vec::new()
        }
        7 if model.delivers => play.event(&Event::Suspect),
        8 if model.delivers => play.event(&Event::Recovered),
        9 if model.hedge.is_some() => {
            let stream = model.hedge.unwrap();
            let actions = play.event(&Event::Entered(stream));
            model.apply(&actions);
            assert_eq!(model.open, Some(stream), "the winner takes over");
            model.delivers = true;
            Vec::new()
        }
        10 if model.hedge.is_some() => {
            let stream = model.hedge.take().unwrap();
            play.event(&Event::Failed(stream, &failure(chance.pick(&CLASSES))))
        }
        11 if model.open.is_some() => {
            let stream = chance.pick(&[model.open, model.hedge]).or(model.open).unwrap();
            play.event(&Event::Understood(stream))
        }
        _ => {
            let streams = chance.below(4);
            play.streams = (0..u8::try_from(streams).unwrap())
                .map(|stream| Candidate {
                    login: chance.below(3),
                    idle: chance.below(3) > 0,
                    ..candidate(stream, chance.below(3) == 0)
                })
                .collect();
            Vec::new()
        }
    }
}

#[test]
fn whatever_happens_there_is_a_way_on() {
    let mut chance = Xorshift(0x5EED_CAFE);
    let (mut finished, mut hedges) = (0, 0);
    for _ in 0..6_000 {
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
        hedges += model.hedges;
    }
    assert!(finished > 1_000, "{finished} runs came to their end");
    assert!(hedges > 1_000, "{hedges} hedges");
}

/// Streams at logins of their own, each with a connection to spare.
fn apart(streams: &[u8]) -> Vec<Candidate<u8>> {
    streams
        .iter()
        .map(|&stream| Candidate {
            login: stream.into(),
            idle: true,
            ..candidate(stream, false)
        })
        .collect()
}

fn delivering(streams: Vec<Candidate<u8>>) -> Play {
    let mut play = Play::new(&[]);
    play.streams = streams;
    play.event(&Event::Joined(1));
    play.enter();
    play.pass(60);
    play
}

#[test]
fn a_suspect_stream_gets_the_next_beside_it_and_the_quicker_wins() {
    let mut play = delivering(apart(&[1, 2, 3]));
    assert_eq!(play.event(&Event::Suspect), [Action::Hedge(2)]);
    assert_eq!(play.event(&Event::Suspect), [], "one is enough");
    assert_eq!(play.event(&Event::Recovered), [Action::CloseHedge]);
    assert_eq!(play.event(&Event::Suspect), [Action::Hedge(2)]);
    assert_eq!(play.event(&Event::Entered(2)), [Action::Adopt]);
    assert_eq!(
        (play.broadcast.stream(), play.broadcast.failovers()),
        (Some(2), 1)
    );
    // It dies young: the one it won against is not the next.
    assert_eq!(play.fail(FailureClass::Transient), [Action::Open(3)]);
}

#[test]
fn a_stream_that_dies_beside_its_hedge_leaves_it_the_way() {
    let mut play = delivering(apart(&[1, 2, 3]));
    play.event(&Event::Suspect);
    assert_eq!(
        play.fail(FailureClass::Transient),
        [Action::Adopt],
        "no second try: the next is on its way"
    );
    assert_eq!(play.enter(), []);
    assert_eq!(play.broadcast.failovers(), 1);
}

#[test]
fn a_hedge_that_fails_is_followed_by_the_next() {
    let mut play = delivering(apart(&[1, 2, 3]));
    play.event(&Event::Suspect);
    let gone = failure(FailureClass::Gone);
    assert_eq!(play.event(&Event::Failed(2, &gone)), [Action::Hedge(3)]);
    assert_eq!(play.event(&Event::Failed(3, &gone)), []);
    assert_eq!(play.broadcast.stream(), Some(1));
    // A connection taken back says nothing about the stream.
    let mut play = delivering(apart(&[1, 2]));
    play.event(&Event::Suspect);
    assert_eq!(play.event(&Event::Failed(2, &failure(FailureClass::Revoked))), []);
    let (waited, actions) = play.tick();
    assert_eq!(
        (waited, actions),
        (Duration::from_millis(500), vec![Action::Hedge(2)])
    );
}

#[test]
fn a_healthy_stream_that_is_suspect_again_gets_whatever_there_is() {
    let mut play = delivering(apart(&[1, 2]));
    play.event(&Event::Suspect);
    play.event(&Event::Failed(2, &failure(FailureClass::Transient)));
    assert_eq!(play.event(&Event::Recovered), []);
    play.pass(3_600);
    assert_eq!(play.event(&Event::Suspect), [Action::Hedge(2)], "an hour later");
    assert_eq!(play.event(&Event::Entered(2)), [Action::Adopt]);
    play.pass(5);
    assert_eq!(play.event(&Event::Suspect), [], "not back to what was just left");
    play.event(&Event::Recovered);
    play.pass(60);
    assert_eq!(play.event(&Event::Suspect), [Action::Hedge(1)]);
}

#[test]
fn a_hedge_needs_another_login_with_a_connection_to_spare() {
    let mut play = delivering(apart(&[1, 2]));
    play.streams[1].login = 1;
    assert_eq!(play.event(&Event::Suspect), [], "two at one login");
    play.streams[1].login = 2;
    play.streams[1].idle = false;
    let again = Duration::from_millis(500);
    assert_eq!(play.broadcast.deadline(), Some(play.now + again));
    play.now += again;
    assert_eq!(play.event(&Event::Tick), [], "somebody else's connection");
    play.streams[1].idle = true;
    play.streams[1].cooling = true;
    play.now += again;
    assert_eq!(play.event(&Event::Tick), [], "what failed lately is no hedge");
    play.streams[1].cooling = false;
    play.now += again;
    assert_eq!(play.event(&Event::Tick), [Action::Hedge(2)]);
}

#[test]
fn what_is_slow_to_answer_gets_a_hedge_and_what_can_be_read_does_not() {
    let mut play = Play::new(&[]);
    play.streams = apart(&[1, 2]);
    play.event(&Event::Joined(1));
    let (waited, actions) = play.tick();
    assert_eq!(
        (waited, actions),
        (Timing::default().hedge_after, vec![Action::Hedge(2)])
    );
    assert_eq!(play.enter(), [Action::CloseHedge], "the first one came after all");

    let mut play = Play::new(&[]);
    play.streams = apart(&[1, 2]);
    play.event(&Event::Joined(1));
    play.event(&Event::Understood(1));
    let (waited, actions) = play.tick();
    assert_eq!(waited, Timing::default().slate_after, "its keyframe is awaited");
    assert_eq!(actions, [Action::SlateOn(Message::Offline)]);
}

#[test]
fn nobody_watching_is_worth_one_connection_at_most() {
    let mut play = delivering(apart(&[1, 2]));
    play.event(&Event::Suspect);
    assert_eq!(
        play.event(&Event::Left(0)),
        [Action::Watched(false), Action::CloseHedge]
    );
    assert_eq!(play.event(&Event::Suspect), []);
}

#[test]
fn who_comes_while_a_stream_is_in_doubt_gets_the_next_beside_it_at_once() {
    // It fell behind while nobody watched, or the last viewer left beside a hedge.
    for watched in [false, true] {
        let mut play = delivering(apart(&[1, 2]));
        if watched {
            play.event(&Event::Suspect);
        }
        play.event(&Event::Left(0));
        if !watched {
            play.event(&Event::Suspect);
        }
        assert_eq!(
            play.broadcast.deadline(),
            Some(play.now + Timing::default().linger),
            "nobody watches"
        );
        assert_eq!(play.event(&Event::Joined(1)), [Action::Watched(true)]);
        let (waited, actions) = play.tick();
        assert_eq!((waited, actions), (Duration::ZERO, vec![Action::Hedge(2)]));
    }
    let mut play = delivering(apart(&[1, 2]));
    play.event(&Event::Left(0));
    play.event(&Event::Suspect);
    play.event(&Event::Recovered);
    assert_eq!(play.event(&Event::Joined(1)), [Action::Watched(true)]);
    assert_eq!(play.broadcast.deadline(), None, "it has caught up");
}

#[test]
fn the_slate_says_what_can_be_done() {
    let check = |classes: &[FailureClass], expected| {
        let streams: Vec<(u8, bool)> = (0..).zip(classes).map(|(stream, _)| (stream, false)).collect();
        let mut play = Play::new(&streams);
        let mut actions = play.event(&Event::Joined(1));
        for class in classes {
            actions = play.fail(*class);
        }
        assert_eq!(actions, [Action::Close, Action::SlateOn(expected)], "{classes:?}");
    };
    use FailureClass::{Expired, Gone, Limit, NoSlot, Transient};
    check(&[Transient], Message::Offline);
    check(&[NoSlot], Message::Limit);
    check(&[Gone, Limit], Message::Limit);
    check(&[Expired, Gone], Message::Expired);
    check(&[Expired, NoSlot], Message::Limit);

    let mut play = Play::new(&[(1, false)]);
    play.event(&Event::Joined(1));
    play.fail(NoSlot);
    play.tick();
    assert_eq!(
        play.fail(NoSlot),
        [Action::Close],
        "what is shown already is not shown again"
    );
    play.tick();
    assert_eq!(
        play.fail(Transient),
        [Action::Close, Action::SlateOn(Message::Offline)]
    );
}

#[test]
fn a_picture_now_and_then_does_not_keep_the_slate_away() {
    let mut play = Play::new(&[(1, false)]);
    play.event(&Event::Joined(1));
    let mut shown_after = 0;
    while play.broadcast.slate().is_none() {
        play.enter();
        play.broadcast
            .media(Duration::from_millis(40), play.now + Duration::from_millis(40));
        play.now += Duration::from_millis(2_800);
        play.fail(FailureClass::Transient);
        if play
            .broadcast
            .deadline()
            .is_some_and(|deadline| deadline <= play.now)
        {
            play.event(&Event::Tick);
        }
        while play.broadcast.slate().is_none() && play.broadcast.stream().is_none() {
            play.tick();
        }
        shown_after += 1;
        assert!(shown_after < 4, "the slate stays away");
    }
}
