//! A scripted world of streams: what each does when it is opened, and a log of what was asked of it, in virtual time.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use mpegts::slate::{Message, Slate, SlateClip, default_signature};
use mpegts::{Pid, Signature};
use relay::{
    Candidate, Claim, Failure, FailureClass, Hub, HubTask, Input, Opener, Role, Timing, Upstream, Viewer,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::ts::{Camera, Judge, PICTURE};

pub(crate) type Key = &'static str;

const CARD: &[u8] = include_bytes!("../../../../assets/testcard.ts");
const SLATE: &[u8] = include_bytes!("../../../../assets/slate/offline.h264.ts");

/// How an attempt to open goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Door {
    Opens,
    Refuses(FailureClass),
    Hangs,
    Panics,
}

/// What an open stream does next.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// So many pictures, `batch` at a time, every `every`.
    Pictures {
        count: u32,
        batch: u32,
        every: Duration,
    },
    /// The built-in clip over and over, as fast as it is read.
    Card,
    /// Bytes that are no transport stream, for so long.
    Garbage(Duration),
    /// The same without end, as fast as it is read.
    Flood,
    /// Null packets for so long: a picture that takes its time comes behind them.
    Nulls(Duration),
    Silent,
    /// Silent for so long.
    Pause(Duration),
    /// Somebody else needs the connection.
    Needed,
    /// What comes next is what came first, stamps and pictures.
    Rewind,
    Fails(FailureClass),
    Panics,
}

pub(crate) fn live(seconds: u32) -> Act {
    at_speed(seconds, 1.0)
}

pub(crate) fn at_speed(seconds: u32, speed: f64) -> Act {
    Act::Pictures {
        count: seconds * 25,
        batch: 1,
        every: PICTURE.div_f64(speed),
    }
}

pub(crate) fn wire_speed(seconds: u32) -> Act {
    Act::Pictures {
        count: seconds * 25,
        batch: 5,
        every: Duration::ZERO,
    }
}

pub(crate) fn bursts(seconds: u32, every: u32) -> Act {
    Act::Pictures {
        count: seconds * 25,
        batch: every * 25,
        every: Duration::from_secs(every.into()),
    }
}

/// One life of a stream. When the acts are over, the provider ends it.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) door: Door,
    pub(crate) acts: Vec<Act>,
    pub(crate) revocable: bool,
    pub(crate) gop: u32,
    /// The number of the first picture; with `start_90k` it makes a replay.
    pub(crate) first: u32,
    pub(crate) start_90k: Option<u64>,
    /// Pictures a second; the acts count pictures.
    pub(crate) rate: u32,
    /// Bytes of one read at most, as the chunks of an HTTP body may be.
    pub(crate) chunk: usize,
}

pub(crate) fn life(acts: &[Act]) -> Life {
    Life {
        door: Door::Opens,
        acts: acts.to_vec(),
        revocable: false,
        gop: 25,
        first: 0,
        start_90k: None,
        rate: 25,
        chunk: usize::MAX,
    }
}

pub(crate) fn closed(door: Door) -> Life {
    Life { door, ..life(&[]) }
}

/// A login, as a provider counts connections.
#[derive(Debug, Clone, Copy)]
struct Account {
    connections: usize,
    open: usize,
    peak: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Asked(u8),
    Closed(u8),
    Delivers(u8),
    /// What its programme has is known: so many streams.
    Shows(u8, usize),
    Ended(u8, FailureClass),
}

#[derive(Debug, Default)]
struct Log {
    entries: Mutex<Vec<(Instant, Entry)>>,
    /// The logins of the connections each channel has.
    open_now: Mutex<HashMap<Key, Vec<u64>>>,
    accounts: Mutex<HashMap<u64, Account>>,
    hedges: Mutex<usize>,
}

impl Log {
    fn add(&self, entry: Entry) {
        let mut entries = self.entries.lock().unwrap();
        let now = Instant::now();
        if std::env::var_os("MAINSTEM_SIM_SEED").is_some() {
            let since = entries.first().map_or(Duration::ZERO, |(first, _)| now - *first);
            eprintln!("{since:?} {entry:?}");
        }
        entries.push((now, entry));
    }

    /// Of some logins the first that has a connection left; for a hedge, one where its channel has none.
    fn login_for(&self, key: Key, role: Role, logins: &[u64]) -> Option<u64> {
        let (open_now, accounts) = (self.open_now.lock().unwrap(), self.accounts.lock().unwrap());
        let own = open_now.get(key).map_or(&[][..], Vec::as_slice);
        let has_room = |login: &&u64| {
            let account = accounts.get(login);
            account.is_none_or(|account| account.open < account.connections)
                && (role == Role::Main || !own.contains(login))
        };
        logins.iter().find(has_room).copied()
    }
}

/// Counts a connection from the moment it is asked for until everything of it is dropped.
#[derive(Debug)]
struct Socket {
    log: Arc<Log>,
    key: Key,
    stream: u8,
    login: u64,
}

impl Socket {
    /// A connection at one of the logins, where one is left. A hedge is the only reason for a second one of a channel.
    fn new(log: &Arc<Log>, (key, stream): (Key, u8), logins: &[u64], role: Role) -> Option<Self> {
        let login = log.login_for(key, role, logins)?;
        let mut accounts = log.accounts.lock().unwrap();
        let account = accounts.entry(login).or_insert(Account {
            connections: usize::MAX,
            open: 0,
            peak: 0,
        });
        account.open += 1;
        account.peak = account.peak.max(account.open);
        drop(accounts);
        log.add(Entry::Asked(stream));
        let mut open_now = log.open_now.lock().unwrap();
        let open = open_now.entry(key).or_default();
        open.push(login);
        let most = if role == Role::Hedge { 2 } else { 1 };
        let too_many = open.len() > most;
        drop(open_now);
        if role == Role::Hedge {
            *log.hedges.lock().unwrap() += 1;
        }
        assert!(!too_many, "{key}: {stream} is opened while another is still open");
        Some(Self {
            log: Arc::clone(log),
            key,
            stream,
            login,
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.log.add(Entry::Closed(self.stream));
        let mut open_now = self.log.open_now.lock().unwrap();
        let open = open_now.get_mut(self.key).unwrap();
        let at = open.iter().position(|login| *login == self.login).unwrap();
        open.swap_remove(at);
        drop(open_now);
        self.log
            .accounts
            .lock()
            .unwrap()
            .get_mut(&self.login)
            .unwrap()
            .open -= 1;
    }
}

/// The program's side of a hub, scripted.
#[derive(Debug, Default)]
pub(crate) struct World {
    log: Arc<Log>,
    channels: Mutex<HashMap<Key, Vec<u8>>>,
    /// What is left of each stream's script; the last life is lived again and again.
    lives: Mutex<HashMap<u8, VecDeque<Life>>>,
    /// The logins each stream can be had at, best first; all that are not here share one.
    logins: Mutex<HashMap<u8, Vec<u64>>>,
    no_slate: bool,
    /// The slate is of a form that no splice can show.
    slate_hides: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn without_slate(mut self) -> Self {
        self.no_slate = true;
        self
    }

    /// Its pictures are on the PID of null packets.
    pub(crate) fn with_a_slate_that_hides(mut self) -> Self {
        self.slate_hides = true;
        self
    }

    /// A login of so many connections, and streams that can be had at it: for those that have one already it is a further
    /// one.
    pub(crate) fn login(self, login: u64, connections: usize, streams: &[u8]) -> Self {
        let account = Account {
            connections,
            open: 0,
            peak: 0,
        };
        self.log.accounts.lock().unwrap().insert(login, account);
        let mut logins = self.logins.lock().unwrap();
        for stream in streams {
            logins.entry(*stream).or_default().push(login);
        }
        drop(logins);
        self
    }

    /// The most connections that were open at a login at one time, and how many are open now.
    pub(crate) fn connections(&self, login: u64) -> (usize, usize) {
        let accounts = self.log.accounts.lock().unwrap();
        accounts
            .get(&login)
            .map(|account| (account.peak, account.open))
            .unwrap_or_default()
    }

    /// Connections opened beside others.
    pub(crate) fn hedges(&self) -> usize {
        *self.log.hedges.lock().unwrap()
    }

    fn logins_of(&self, stream: u8) -> Vec<u64> {
        let logins = self.logins.lock().unwrap();
        logins.get(&stream).cloned().unwrap_or_else(|| vec![0])
    }

    pub(crate) fn channel(self, key: Key, streams: &[u8]) -> Self {
        self.refresh(key, streams);
        self
    }

    pub(crate) fn stream(self, stream: u8, lives: &[Life]) -> Self {
        self.script(stream, lives);
        self
    }

    /// The channel's streams are others from now on.
    pub(crate) fn refresh(&self, key: Key, streams: &[u8]) {
        self.channels.lock().unwrap().insert(key, streams.to_vec());
    }

    pub(crate) fn script(&self, stream: u8, lives: &[Life]) {
        self.lives
            .lock()
            .unwrap()
            .insert(stream, lives.iter().cloned().collect());
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.timed().into_iter().map(|(_, entry)| entry).collect()
    }

    pub(crate) fn timed(&self) -> Vec<(Instant, Entry)> {
        self.log.entries.lock().unwrap().clone()
    }

    /// The streams asked for, in order.
    pub(crate) fn asked(&self) -> Vec<u8> {
        let asked = |entry| match entry {
            Entry::Asked(stream) => Some(stream),
            _ => None,
        };
        self.entries().into_iter().filter_map(asked).collect()
    }

    pub(crate) fn open_now(&self, key: Key) -> usize {
        let open_now = self.log.open_now.lock().unwrap();
        open_now.get(key).map_or(0, Vec::len)
    }

    fn next_life(&self, stream: u8) -> Life {
        let mut lives = self.lives.lock().unwrap();
        let Some(script) = lives.get_mut(&stream) else {
            return closed(Door::Refuses(FailureClass::Gone));
        };
        if script.len() > 1 {
            script.pop_front().unwrap()
        } else {
            script.front().unwrap().clone()
        }
    }
}

impl Opener for World {
    type Key = Key;
    type StreamId = u8;
    type Upstream = Double;

    fn candidates(&self, key: &Key, _promised: Option<&Signature>) -> Vec<Candidate<u8>> {
        let channels = self.channels.lock().unwrap();
        let streams = channels.get(key).cloned().unwrap_or_default();
        streams
            .into_iter()
            .map(|stream| Candidate {
                stream,
                label: format!("source {stream}").into(),
                cooling: false,
                spare: self
                    .log
                    .login_for(key, Role::Hedge, &self.logins_of(stream))
                    .is_some(),
            })
            .collect()
    }

    fn open(
        &self,
        key: &Key,
        stream: u8,
        role: Role,
    ) -> impl Future<Output = Result<Double, Failure>> + Send + 'static {
        let socket = Socket::new(&self.log, (key, stream), &self.logins_of(stream), role);
        let life = self.next_life(stream);
        let turn = u64::try_from(self.asked().len()).unwrap();
        async move {
            let Some(socket) = socket else {
                return Err(Failure::new(FailureClass::NoSlot, "all connections are in use"));
            };
            match life.door {
                Door::Opens => Ok(Double::new(socket, &life, role, turn)),
                Door::Refuses(class) => Err(Failure::new(class, "refused")),
                Door::Hangs => std::future::pending().await,
                Door::Panics => panic!("the opener panics, as it was told to"),
            }
        }
    }

    fn ended(&self, stream: u8, failure: &Failure, _healthy: Duration) {
        self.log.add(Entry::Ended(stream, failure.class));
    }

    fn delivers(&self, stream: u8, _signature: Option<&Signature>) {
        self.log.add(Entry::Delivers(stream));
    }

    fn shows(&self, stream: u8, signature: &Signature) {
        self.log.add(Entry::Shows(stream, signature.streams.len()));
    }

    fn slate(&self, _key: &Key, _message: Message, promised: Option<&Signature>) -> Option<Slate> {
        static CLIP: LazyLock<Arc<SlateClip>> = LazyLock::new(|| Arc::new(SlateClip::parse(SLATE).unwrap()));
        let mut signature = promised.cloned().unwrap_or_else(default_signature);
        if self.slate_hides {
            signature.streams.truncate(1);
            signature.streams[0].pid = Pid::new(0x1FFF);
        }
        (!self.no_slate).then(|| Slate::new(&signature, Some(Arc::clone(&CLIP))).unwrap())
    }
}

/// An open stream that lives its script.
#[derive(Debug)]
pub(crate) struct Double {
    acts: VecDeque<Act>,
    due: Option<Instant>,
    camera: Camera,
    /// The end of what was shot: reads are cut inside packets, as a socket's are.
    uncut: Vec<u8>,
    at: usize,
    /// What was shot and not read, and how much of it one read has.
    unread: Bytes,
    chunk: usize,
    revocable: bool,
    watched: bool,
    /// Opened as a hedge, it gives way to whoever needs its connection.
    gives_way: bool,
    socket: Socket,
}

impl Double {
    fn new(socket: Socket, life: &Life, role: Role, turn: u64) -> Self {
        let start = life.start_90k.unwrap_or(turn * 7_777_777);
        Self {
            acts: life.acts.iter().copied().collect(),
            due: None,
            camera: Camera::new(socket.stream, life.gop, start + 900_000)
                .rate(life.rate)
                .at(life.first),
            uncut: Vec::new(),
            at: 0,
            unread: Bytes::new(),
            chunk: life.chunk,
            revocable: life.revocable,
            watched: true,
            gives_way: role == Role::Hedge,
            socket,
        }
    }

    fn shoot(&mut self, pictures: u32) -> Input {
        let mut bytes = std::mem::take(&mut self.uncut);
        for _ in 0..pictures {
            bytes.extend(self.camera.shoot());
        }
        self.cut(bytes)
    }

    fn cut(&mut self, mut bytes: Vec<u8>) -> Input {
        self.uncut = bytes.split_off(bytes.len() - 100);
        self.unread = bytes.into();
        self.next_chunk()
    }

    fn next_chunk(&mut self) -> Input {
        Input::Bytes(self.unread.split_to(self.chunk.min(self.unread.len())))
    }

    fn nulls(&mut self) -> Input {
        let mut bytes = std::mem::take(&mut self.uncut);
        for _ in 0..10 {
            bytes.extend([0x47, 0x1F, 0xFF, 0x10]);
            bytes.extend([0xFF; 184]);
        }
        self.cut(bytes)
    }

    fn card(&mut self) -> Input {
        if self.at >= CARD.len() {
            self.at = 0;
            return Input::Restart;
        }
        let end = (self.at + 64 * 188).min(CARD.len());
        let bytes = Bytes::from_static(&CARD[self.at..end]);
        self.at = end;
        Input::Bytes(bytes)
    }
}

impl Upstream for Double {
    async fn read(&mut self) -> Result<Input, Failure> {
        if self.revocable && !self.watched {
            return Err(Failure::new(FailureClass::Revoked, "taken back"));
        }
        if !self.unread.is_empty() {
            return Ok(self.next_chunk());
        }
        loop {
            let Some(act) = self.acts.front().copied() else {
                return Err(Failure::new(
                    FailureClass::Transient,
                    "the provider ended the stream",
                ));
            };
            let due = *self.due.get_or_insert_with(Instant::now);
            match act {
                Act::Pictures { count: 0, .. } => {}
                Act::Pictures { count, batch, every } => {
                    if !every.is_zero() {
                        sleep_until(due).await;
                    }
                    self.due = Some(due + every);
                    self.acts[0] = Act::Pictures {
                        count: count.saturating_sub(batch),
                        batch,
                        every,
                    };
                    return Ok(self.shoot(batch));
                }
                Act::Garbage(left) if left.is_zero() => {}
                Act::Garbage(left) => {
                    sleep_until(due).await;
                    self.due = Some(due + PICTURE);
                    self.acts[0] = Act::Garbage(left.saturating_sub(PICTURE));
                    return Ok(Input::Bytes(Bytes::from_static(&[b'<'; 1_000])));
                }
                Act::Nulls(left) if left.is_zero() => {}
                Act::Nulls(left) => {
                    sleep_until(due).await;
                    self.due = Some(due + PICTURE);
                    self.acts[0] = Act::Nulls(left.saturating_sub(PICTURE));
                    return Ok(self.nulls());
                }
                Act::Flood => return Ok(Input::Bytes(Bytes::from_static(&[b'<'; 1_000]))),
                Act::Card => return Ok(self.card()),
                Act::Silent => std::future::pending().await,
                Act::Pause(pause) => sleep_until(due + pause).await,
                Act::Needed if self.gives_way => {
                    return Err(Failure::new(FailureClass::Revoked, "taken back"));
                }
                Act::Needed => {}
                Act::Rewind => self.camera.rewind(),
                Act::Fails(class) => return Err(Failure::new(class, "failed in mid-stream")),
                Act::Panics => panic!("the upstream panics, as it was told to"),
            }
            self.acts.pop_front();
            self.due = None;
        }
    }

    fn set_watched(&mut self, watched: bool) {
        self.watched = watched;
    }

    /// Every other one.
    fn looks_from_now_on(&mut self) -> bool {
        self.socket.stream.is_multiple_of(2)
    }

    /// What waits inside a read that is polled once wakes nobody.
    fn look(&mut self) -> Option<Result<Input, Failure>> {
        match pin!(self.read()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => Some(read),
            Poll::Pending => None,
        }
    }

    async fn taken_back(&mut self) -> Failure {
        if !self.revocable || self.watched {
            std::future::pending::<()>().await;
        }
        Failure::new(FailureClass::Revoked, "taken back")
    }

    fn take_over(&mut self) {
        self.gives_way = false;
    }
}

/// A hub at work in a world.
pub(crate) struct Stage {
    pub(crate) hub: Hub<Key>,
    pub(crate) world: Arc<World>,
    pub(crate) tasks: JoinSet<()>,
}

impl Stage {
    pub(crate) fn new(world: World) -> Self {
        Self::with(world, Timing::default())
    }

    pub(crate) fn with(world: World, timing: Timing) -> Self {
        let world = Arc::new(world);
        let (hub, task) = HubTask::new(Arc::clone(&world), timing);
        let mut tasks = JoinSet::new();
        tasks.spawn(task.run());
        Self { hub, world, tasks }
    }

    pub(crate) async fn join(&self, key: Key) -> Watcher {
        Watcher::join(&self.hub, key).await
    }
}

/// A viewer and what it got.
#[derive(Debug)]
pub(crate) struct Watcher {
    pub(crate) viewer: Viewer,
    pub(crate) judge: Judge,
}

impl Watcher {
    pub(crate) async fn join(hub: &Hub<Key>, key: Key) -> Self {
        let claim = Claim {
            client: "player".to_owned(),
            ..Claim::default()
        };
        Self {
            viewer: hub.join(key, claim).await.unwrap(),
            judge: Judge::default(),
        }
    }

    /// Watches for so long; says whether the response goes on.
    pub(crate) async fn watch(&mut self, seconds: f64) -> bool {
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        self.watch_until(until).await
    }

    pub(crate) async fn watch_until(&mut self, until: Instant) -> bool {
        while let Ok(answer) = timeout_at(until, self.viewer.next()).await {
            let Some(bytes) = answer else { return false };
            self.judge.take(&bytes, Instant::now());
        }
        true
    }

    /// Watches to the end, judging nothing.
    pub(crate) async fn outlive(mut self) {
        while self.viewer.next().await.is_some() {}
    }

    /// Watches until a picture of `source` came.
    pub(crate) async fn see(&mut self, source: u8, within: f64) -> bool {
        let until = Instant::now() + Duration::from_secs_f64(within);
        let seen = self.judge.pictures.len();
        while !self.judge.pictures[seen..].iter().any(|p| p.source == source) {
            match timeout_at(until, self.viewer.next()).await {
                Ok(Some(bytes)) => self.judge.take(&bytes, Instant::now()),
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }
}
