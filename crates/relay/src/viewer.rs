//! One attached client: a place in the ring, and the end of it when dropped.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use mpegts::Codec;
use mpegts::slate::Message;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::Failure;
use crate::beat::{Beat, Due};
use crate::driver::Command;
use crate::held::Held;
use crate::live::Cadence;
use crate::ring::{Chunk, Cursor, Found, Ring};

/// Null packets in one sign of life (ISO 13818-1 clause 2.4.1: PID 0x1FFF): seven fill a datagram-sized write.
const KEEP_ALIVE_PACKETS: usize = 7;

/// What a viewer says of itself. Relay carries it and reads only what decides how bytes are delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// The client, for the status page: address and player.
    pub client: String,
    /// Who watches, where known.
    pub user: Option<String>,
    /// Whether the player is known to follow a new PMT with other codecs.
    pub follows_pmt: bool,
}

/// What a viewer's response will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// A transport stream that starts at a keyframe.
    TransportStream,
    /// The same, to be answered as the raw sound of this codec that its sources send.
    RawSound(Codec),
    /// The entry is a file, which is passed through by somebody else.
    File,
    /// Nothing can be shown: no stream and no slate.
    Unavailable(Failure),
}

/// How a broadcast ended for those who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Over {
    File,
    Unavailable(Failure),
}

/// What viewers are told: that there is more, or that it is over.
#[derive(Debug, Clone, Default)]
pub(crate) struct News {
    /// Of chunks up to here this speaks: the sequence number of the next one.
    pub(crate) end: u64,
    /// The codec of what is promised as raw sound.
    pub(crate) raw_sound: Option<Codec>,
    /// How often viewers were asked for a sign of life in silence.
    pub(crate) signs_of_life: u64,
    pub(crate) over: Option<Over>,
}

/// Tells a broadcast's viewers that there is more.
#[derive(Debug)]
pub(crate) struct Bell {
    news: watch::Sender<News>,
    gathered: watch::Sender<()>,
    beat: Beat,
}

/// A viewer's end of it.
#[derive(Debug, Clone)]
struct Ear {
    /// Changes with everything that is written, and when a sign of life is asked for.
    news: watch::Receiver<News>,
    /// Changes when enough has gathered, when a sign of life is asked for, and when it is over.
    gathered: watch::Receiver<()>,
}

impl Bell {
    pub(crate) fn new(keep_alive_after: Duration, now: std::time::Instant) -> Self {
        Self {
            news: watch::Sender::new(News::default()),
            gathered: watch::Sender::new(()),
            beat: Beat::new(keep_alive_after, now),
        }
    }

    /// Chunks up to `end` are in the ring, of a programme that is raw sound or not.
    pub(crate) fn wrote(&mut self, end: u64, raw_sound: Option<Codec>, now: std::time::Instant) {
        self.news.send_modify(|news| {
            news.end = end;
            news.raw_sound = raw_sound;
        });
        self.beat.wrote(now);
    }

    /// The broadcast is over for those who watch.
    pub(crate) fn over(&mut self, over: Over) {
        self.news.send_modify(|news| news.over = Some(over));
        self.gathered.send_replace(());
    }

    /// Tells what is due.
    pub(crate) fn ring(&mut self, now: std::time::Instant) {
        match self.beat.due(now) {
            Due::Nothing => {}
            Due::Gathered => self.gathered.send_replace(()),
            Due::SignOfLife => {
                self.news.send_modify(|news| news.signs_of_life += 1);
                self.gathered.send_replace(());
            }
        }
    }

    /// When something is due next; `None` while nobody listens or there was nothing yet.
    pub(crate) fn deadline(&self) -> Option<std::time::Instant> {
        self.beat
            .deadline()
            .filter(|_| self.gathered.receiver_count() > 0)
    }

    fn ear(&self) -> Ear {
        Ear {
            news: self.news.subscribe(),
            gathered: self.gathered.subscribe(),
        }
    }
}

/// What the driver writes and viewers read.
#[derive(Debug)]
pub(crate) struct Shared {
    ring: Mutex<Ring>,
    /// Viewers who live on what comes: see [`OnEdge`].
    on_edge: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(ring: Ring) -> Self {
        Self {
            ring: Mutex::new(ring),
            on_edge: AtomicUsize::new(0),
        }
    }

    /// How often a stream is to be read for those who watch. A moment old it is as good.
    pub(crate) fn cadence(&self) -> Cadence {
        if self.on_edge.load(Ordering::Relaxed) > 0 {
            Cadence::Prompt
        } else {
            Cadence::Gathered
        }
    }

    /// The ring, for a moment: it is never held across an await, and no code that holds it can panic half-way.
    pub(crate) fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One viewer who cannot wait until bytes have gathered ([`Held::can_spare`]). Its drop counts it out.
#[derive(Debug)]
struct OnEdge(Arc<Shared>);

impl OnEdge {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.on_edge.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for OnEdge {
    fn drop(&mut self) {
        self.0.on_edge.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the status page shows of a broadcast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BroadcastStatus {
    /// Who watches. Shared: the list is made anew whenever somebody comes or goes.
    pub viewers: Vec<Arc<Claim>>,
    /// The source that delivers or is being opened.
    pub label: Option<Arc<str>>,
    /// The source opened beside it, while it may be dying.
    pub hedge: Option<Arc<str>>,
    /// Whether its media is what viewers see.
    pub live: bool,
    /// The slate that is on.
    pub slate: Option<Message>,
    /// Switches from one delivering stream to another.
    pub failovers: u64,
    /// Bytes read from upstreams.
    pub bytes_in: u64,
    /// Bytes held for viewers.
    pub ring_bytes: usize,
    /// The last failure, in words.
    pub last_failure: Option<String>,
}

/// One attached client. Dropping it leaves the broadcast.
#[derive(Debug)]
pub struct Viewer {
    shared: Arc<Shared>,
    ear: Ear,
    cursor: Option<Cursor>,
    /// What its player holds; `None` before it was given anything.
    held: Option<Held>,
    /// Counted while it cannot wait until bytes have gathered: from its beginning.
    on_edge: Option<OnEdge>,
    /// How many signs of life were asked for when it was last given something.
    signs_of_life: u64,
    follows_pmt: bool,
    /// Unbounded, as a drop cannot wait; each viewer sends one message in its life.
    leave: mpsc::UnboundedSender<Command>,
    id: u64,
}

impl Viewer {
    pub(crate) fn new(
        id: u64,
        shared: Arc<Shared>,
        bell: &Bell,
        claim: &Claim,
        leave: mpsc::UnboundedSender<Command>,
    ) -> Self {
        Self {
            on_edge: Some(OnEdge::new(&shared)),
            shared,
            ear: bell.ear(),
            cursor: None,
            held: None,
            signs_of_life: 0,
            follows_pmt: claim.follows_pmt,
            leave,
            id,
        }
    }

    /// Waits until it is known what the response will be. Cancel-safe.
    pub async fn ready(&mut self) -> Ready {
        loop {
            let news = self.ear.news.borrow_and_update().clone();
            match news.over {
                Some(Over::File) => return Ready::File,
                Some(Over::Unavailable(failure)) => return Ready::Unavailable(failure),
                None => {}
            }
            // What the ring holds already may be newer than what is known of its form.
            if self.find_start().is_some_and(|start| start.is_before(news.end)) {
                let Some(codec) = news.raw_sound else {
                    return Ready::TransportStream;
                };
                // There is no programme map in raw sound that could name another codec.
                self.follows_pmt = false;
                return Ready::RawSound(codec);
            }
            if self.ear.news.changed().await.is_err() {
                return Ready::Unavailable(broadcast_gone());
            }
        }
    }

    /// The next bytes to send: whole transport packets, beginning at a keyframe. `None` ends the response, at a
    /// packet boundary. In silence it yields null packets, so that no player or proxy takes the connection for dead.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        let mut one = Vec::with_capacity(1);
        self.gather(&mut one, 0).await;
        one.pop()
    }

    /// Appends the next bytes to send to `into`, as [`Self::next`] yields them, but all there are: up to `bytes_max`,
    /// or the next ones where those are more. `false` ends the response. Whoever can spare the time waits until
    /// some have gathered. Cancel-safe.
    pub async fn gather(&mut self, into: &mut Vec<Bytes>, bytes_max: usize) -> bool {
        loop {
            // Before the ring is looked at: what is told from now on may not have been seen in it.
            self.ear.gathered.mark_unchanged();
            let (over, signs_of_life) = {
                let news = self.ear.news.borrow_and_update();
                (news.over.is_some(), news.signs_of_life)
            };
            let now = Instant::now().into_std();
            match self.find_next(into, bytes_max, now) {
                Next::Bytes => {
                    self.signs_of_life = signs_of_life;
                    return true;
                }
                Next::End => return false,
                Next::Wait if over => return false,
                Next::Wait => {}
            }
            if self.held.is_some() && self.signs_of_life != signs_of_life {
                self.signs_of_life = signs_of_life;
                into.push(keep_alive());
                return true;
            }
            let told = if self.held.as_ref().is_some_and(|held| held.can_spare(now)) {
                self.on_edge = None;
                self.ear.gathered.changed().await
            } else {
                let shared = &self.shared;
                self.on_edge.get_or_insert_with(|| OnEdge::new(shared));
                self.ear.news.changed().await
            };
            if told.is_err() {
                return false;
            }
        }
    }

    /// It takes no bytes itself, as somebody reads for it: it does not live on what comes.
    pub fn only_attends(&mut self) {
        self.on_edge = None;
    }

    /// Reads the broadcast that this viewer attends.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader {
            shared: Arc::clone(&self.shared),
            news: self.ear.news.clone(),
            cursor: None,
        }
    }

    fn find_start(&mut self) -> Option<Cursor> {
        if self.cursor.is_none() {
            self.cursor = self.shared.ring().join();
        }
        self.cursor
    }

    fn find_next(&mut self, into: &mut Vec<Bytes>, bytes_max: usize, now: std::time::Instant) -> Next {
        self.find_start();
        let Some(cursor) = &mut self.cursor else {
            return Next::Wait;
        };
        let ring = self.shared.ring();
        let mut gathered = ring.gather(cursor, into, bytes_max);
        if gathered.new_epoch && self.follows_pmt {
            ring.follow(cursor);
            gathered = ring.gather(cursor, into, bytes_max);
        }
        drop(ring);
        if let Some((first, last)) = gathered.media_90k {
            let held = self.held.get_or_insert_with(|| Held::start(first, now));
            if gathered.skipped {
                held.skipped_to(first);
            }
            held.gave(last, now);
            return Next::Bytes;
        }
        if gathered.new_epoch { Next::End } else { Next::Wait }
    }
}

/// Reads a broadcast chunk by chunk, from the oldest keyframe held, through every change of codec, and without signs of
/// life. It is not counted as a viewer: the broadcast lasts as long as somebody attends it.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    news: watch::Receiver<News>,
    cursor: Option<Cursor>,
}

/// What a [`Reader`] finds.
#[derive(Debug, Clone)]
pub struct Read {
    /// The next chunk.
    pub chunk: Chunk,
    /// Whether chunks before it are gone that had not been read.
    pub skipped: bool,
}

impl Reader {
    /// The next chunk, once it is there; `None` when the broadcast is over. Cancel-safe.
    pub async fn next(&mut self) -> Option<Read> {
        loop {
            let over = self.news.borrow_and_update().over.is_some();
            if let Some(read) = self.try_next() {
                return Some(read);
            }
            if over {
                return None;
            }
            self.news.changed().await.ok()?;
        }
    }

    /// The next chunk, if it is there.
    pub fn try_next(&mut self) -> Option<Read> {
        let ring = self.shared.ring();
        if self.cursor.is_none() {
            self.cursor = ring.join_oldest();
        }
        let cursor = self.cursor.as_mut()?;
        let skipped = ring.has_passed(*cursor);
        let mut found = ring.next(cursor);
        if matches!(found, Found::NewEpoch) {
            ring.follow(cursor);
            found = ring.next(cursor);
        }
        match found {
            Found::Chunk(chunk) => Some(Read { chunk, skipped }),
            Found::NotYet | Found::NewEpoch => None,
        }
    }
}

enum Next {
    Bytes,
    Wait,
    End,
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // A broadcast that is gone has no viewers to count.
        self.leave.send(Command::Leave(self.id)).unwrap_or_default();
    }
}

fn keep_alive() -> Bytes {
    Bytes::from_static(&KEEP_ALIVE)
}

static KEEP_ALIVE: [u8; KEEP_ALIVE_PACKETS * mpegts::PACKET_BYTES] = {
    let mut bytes = [0xFF; KEEP_ALIVE_PACKETS * mpegts::PACKET_BYTES];
    let mut packet = 0;
    while packet < KEEP_ALIVE_PACKETS {
        let at = packet * mpegts::PACKET_BYTES;
        bytes[at] = 0x47;
        bytes[at + 1] = 0x1F;
        bytes[at + 2] = 0xFF;
        bytes[at + 3] = 0x10;
        packet += 1;
    }
    bytes
};

pub(crate) fn broadcast_gone() -> Failure {
    Failure::new(crate::FailureClass::Transient, "the broadcast ended unexpectedly")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{Bounds, Chunk};
    use tokio::time::timeout;

    fn shared() -> Arc<Shared> {
        let bounds = Bounds {
            span: Duration::from_secs(10),
            bytes: 1 << 20,
            bytes_max: 1 << 20,
            join_behind: Duration::from_secs(4),
        };
        Arc::new(Shared::new(Ring::new(bounds)))
    }

    /// The driver writes first and tells then; whoever looks in between has not been told what he is looking at.
    #[tokio::test(start_paused = true)]
    async fn what_a_response_is_is_not_decided_before_it_was_told() {
        let shared = shared();
        let now = Instant::now().into_std();
        let mut bell = Bell::new(Duration::from_millis(500), now);
        let (leave, _left) = mpsc::unbounded_channel();
        let claim = Claim::default();
        let mut viewer = Viewer::new(1, Arc::clone(&shared), &bell, &claim, leave);
        let chunk = Chunk {
            bytes: Bytes::from_static(&[0x47; mpegts::PACKET_BYTES]),
            media_time_90k: 0,
            epoch: 0,
            keyframe: true,
            discontinuity: false,
        };
        shared.ring().push(chunk, Duration::ZERO);
        let early = timeout(Duration::from_secs(1), viewer.ready()).await;
        assert!(early.is_err(), "{early:?}");
        bell.wrote(1, Some(Codec::Aac), now);
        assert_eq!(viewer.ready().await, Ready::RawSound(Codec::Aac));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_read_promptly_while_anybody_lives_on_what_comes() {
        let shared = shared();
        let now = Instant::now().into_std();
        let bell = Bell::new(Duration::from_millis(500), now);
        let (leave, _left) = mpsc::unbounded_channel();
        let viewer = || Viewer::new(1, Arc::clone(&shared), &bell, &Claim::default(), leave.clone());
        assert_eq!(shared.cadence(), Cadence::Gathered, "nobody is there");
        let (mut attends, mut watches) = (viewer(), viewer());
        attends.only_attends();
        assert_eq!(shared.cadence(), Cadence::Prompt, "who came may have nothing");
        for second in 0..3 {
            let chunk = Chunk {
                bytes: Bytes::from_static(&[0x47; mpegts::PACKET_BYTES]),
                media_time_90k: second * 90_000,
                epoch: 0,
                keyframe: true,
                discontinuity: false,
            };
            shared.ring().push(chunk, Duration::ZERO);
        }
        let mut bytes = Vec::new();
        assert!(watches.gather(&mut bytes, usize::MAX).await);
        // It holds two seconds now; what it waits for next is gathered.
        let wait = Duration::from_millis(100);
        assert!(
            timeout(wait, watches.gather(&mut bytes, usize::MAX))
                .await
                .is_err()
        );
        assert_eq!(shared.cadence(), Cadence::Gathered);
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert!(
            timeout(wait, watches.gather(&mut bytes, usize::MAX))
                .await
                .is_err()
        );
        assert_eq!(shared.cadence(), Cadence::Prompt, "it has run low");
        drop(watches);
        assert_eq!(shared.cadence(), Cadence::Gathered);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_misses_nothing_that_is_held_and_says_what_it_missed() {
        let shared = shared();
        let now = Instant::now().into_std();
        let mut bell = Bell::new(Duration::from_millis(500), now);
        let (leave, _left) = mpsc::unbounded_channel();
        let viewer = Viewer::new(1, Arc::clone(&shared), &bell, &Claim::default(), leave);
        let mut reader = viewer.reader();
        let push = |bell: &mut Bell, second: u64, epoch: u32| {
            let chunk = Chunk {
                bytes: Bytes::from_static(&[0x47; mpegts::PACKET_BYTES]),
                media_time_90k: second * 90_000,
                epoch,
                keyframe: second.is_multiple_of(2),
                discontinuity: false,
            };
            shared.ring().push(chunk, Duration::ZERO);
            bell.wrote(second + 1, None, now);
        };
        (0..6).for_each(|second| push(&mut bell, second, u32::from(second >= 4)));
        for second in 0..6 {
            let read = reader.next().await.unwrap();
            assert_eq!(read.chunk.media_time_90k, second * 90_000);
            assert!(!read.skipped);
        }
        // Silence yields nothing, not even a sign of life.
        bell.ring(now + Duration::from_secs(1));
        assert!(timeout(Duration::from_secs(5), reader.next()).await.is_err());
        (6..100).for_each(|second| push(&mut bell, second, 1));
        let read = reader.next().await.unwrap();
        assert!(read.skipped && read.chunk.keyframe);
        assert!(!reader.next().await.unwrap().skipped);
        while reader.try_next().is_some() {}
        bell.over(Over::File);
        assert!(reader.next().await.is_none());
    }
}
