//! Which channels are made into HLS now: finds the packager of one or starts it, and sees every one of them end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ::hls::segment::Numbers;
use catalog::ChannelId;
use relay::Viewer;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument as _, error, error_span};

use super::clients::Clients;
use super::packager::{Packaged, Packager, Past};
use crate::audience::{Asker, Present};
use crate::config::{Config, Hls, HlsStart, HlsStore};

/// Channels whose numbers are remembered; past this all are forgotten, and numbers go on from the time of day.
const REMEMBERED_MAX: usize = 100_000;

/// Numbers begin with the seconds since this moment, 2025-01-01T00:00:00Z: those of a program that is started anew lie
/// beyond all it gave before, as no segment is shorter than a second for long, and stay short enough for players that
/// count with 32 bits.
const NUMBERS_SINCE: Duration = Duration::from_secs(1_735_689_600);

/// Discontinuities are rarer than segments: one in so many seconds is left room for. hls.js walks through all numbers from
/// zero to that of the first segment each time it loads a playlist, which takes it seconds when they are tens of millions.
const DISCONTINUITY_EVERY_S: u64 = 600;

/// How long after a packager's end its successor keeps to the target duration that players know, which may not change
/// (RFC 8216 clause 6.2.1), and to MP4, which they read. Whoever comes later begins anew; a channel that one source with
/// long groups of pictures made slow is as quick as it can be again.
const KNOWN_FOR: Duration = Duration::from_secs(5 * 60);

/// What the operator wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    hls: Hls,
    folder: Option<PathBuf>,
}

impl Settings {
    /// As the configuration says; what goes to disk is kept in `folder`.
    #[must_use]
    pub fn new(config: &Config, folder: &Path) -> Self {
        let on_disk = config.hls.store == HlsStore::Disk;
        Self {
            hls: config.hls.clone(),
            folder: on_disk.then(|| folder.to_owned()),
        }
    }

    /// Where segments go that go to disk.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    pub(super) fn hls(&self) -> &Hls {
        &self.hls
    }
}

#[derive(Debug, Default)]
struct Table {
    packaged: HashMap<ChannelId, Arc<Packaged>>,
    /// What channels go on with, and since when.
    pasts: HashMap<ChannelId, (Past, Instant)>,
}

impl Table {
    /// What a channel goes on with at `now`, if it had segments: its numbers and its renditions, which have addresses, for
    /// ever, the rest while a player may know it.
    fn known(&self, channel: ChannelId, now: Instant) -> Option<Past> {
        let (mut past, since) = self.pasts.get(&channel)?.clone();
        if now.saturating_duration_since(since) > KNOWN_FOR {
            past.numbers.target_duration = None;
            past.is_mp4 = false;
        }
        Some(past)
    }
}

/// All channels that are made into HLS.
#[derive(Debug)]
pub struct Packagers {
    settings: Settings,
    /// Short critical sections, never across an await.
    table: Mutex<Table>,
    /// Unbounded, as each channel sends one message and waits for its packager.
    start: mpsc::UnboundedSender<(Arc<str>, Packager)>,
}

/// Runs the packagers. Dropping it ends them all.
pub struct PackagersTask {
    start: mpsc::UnboundedReceiver<(Arc<str>, Packager)>,
}

impl Packagers {
    /// None yet.
    #[must_use]
    pub fn new(settings: Settings) -> (Arc<Self>, PackagersTask) {
        let (start, receiver) = mpsc::unbounded_channel();
        let packagers = Arc::new(Self {
            settings,
            table: Mutex::default(),
            start,
        });
        (packagers, PackagersTask { start: receiver })
    }

    /// What is made of a channel now.
    pub(super) fn find(&self, channel: ChannelId) -> Option<Arc<Packaged>> {
        self.table().packaged.get(&channel).cloned()
    }

    /// What is made of a channel for somebody who is served already.
    pub(super) fn attend(&self, channel: ChannelId, asker: &Asker) -> Option<Arc<Packaged>> {
        let packaged = self.find(channel)?;
        let attends = packaged.clients().attend(asker);
        attends.then_some(packaged)
    }

    /// What is made of a channel for somebody who has just joined it. `None` while the program shuts down.
    pub(super) fn join(
        self: &Arc<Self>,
        channel: (ChannelId, &str),
        asker: &Asker,
        client: (Present, Viewer),
    ) -> Option<Arc<Packaged>> {
        loop {
            let packaged = self.find_or_start(channel, &client.1)?;
            let mut clients = packaged.clients();
            if !clients.is_closed() {
                clients.join(asker, client);
                drop(clients);
                return Some(packaged);
            }
            drop(clients);
            // It ends just now.
            self.ended(&packaged, None);
        }
    }

    /// Somebody asks for a channel: at every other one he is a viewer only if he goes on asking for it.
    pub(super) fn zap(&self, to: ChannelId, asker: &Asker) {
        let others: Vec<_> = self.table().packaged.values().cloned().collect();
        for packaged in others.iter().filter(|packaged| packaged.channel() != to) {
            packaged.clients().zap(asker);
        }
    }

    /// A channel's broadcast is watched: where the operator wants that, it is made into HLS from now on.
    pub(crate) fn watched(self: &Arc<Self>, channel: (ChannelId, &str), viewer: &Viewer) {
        if self.settings.hls.start == HlsStart::WithBroadcast {
            self.find_or_start(channel, viewer);
        }
    }

    /// A packager ended; the next one goes on with what it leaves.
    pub(super) fn ended(&self, packaged: &Arc<Packaged>, past: Option<Past>) {
        let mut table = self.table();
        let channel = packaged.channel();
        let current = table.packaged.get(&channel);
        if current.is_some_and(|current| Arc::ptr_eq(current, packaged)) {
            table.packaged.remove(&channel);
        }
        if let Some(past) = past {
            if table.pasts.len() >= REMEMBERED_MAX {
                table.pasts.clear();
            }
            table.pasts.insert(channel, (past, Instant::now()));
        }
    }

    fn find_or_start(self: &Arc<Self>, channel: (ChannelId, &str), viewer: &Viewer) -> Option<Arc<Packaged>> {
        let (channel, name) = channel;
        let mut table = self.table();
        if let Some(packaged) = table.packaged.get(&channel) {
            return Some(Arc::clone(packaged));
        }
        let known = table.known(channel, Instant::now());
        let goes_on = known.is_some();
        let past = known.unwrap_or_else(|| Past {
            numbers: first_numbers(),
            is_mp4: false,
            renditions: Vec::new(),
        });
        let (packaged, packager) = Packager::new(channel, (self, viewer.reader()), (past, goes_on));
        // Its end is that of the program.
        if let Err(over) = self.start.send((name.into(), packager)) {
            // A packager that ends says so in the table.
            drop(table);
            drop(over);
            return None;
        }
        table.packaged.insert(channel, Arc::clone(&packaged));
        Some(packaged)
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PackagersTask {
    /// Runs packagers, and sees them end.
    pub async fn run(mut self) {
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                started = self.start.recv() => {
                    let Some((channel, packager)) = started else { break };
                    tasks.spawn(packager.run().instrument(error_span!("hls", %channel)));
                }
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended
                        && error.is_panic()
                    {
                        error!(%error, "a fault in mainstem ended a channel's HLS; its next request starts it anew. Please report it");
                    }
                }
            }
        }
        tasks.shutdown().await;
    }
}

/// Where the numbers of a channel begin that this run of the program has not numbered yet.
fn first_numbers() -> Numbers {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = now.saturating_sub(NUMBERS_SINCE).as_secs();
    Numbers {
        sequence: seconds,
        discontinuity_sequence: seconds / DISCONTINUITY_EVERY_S,
        target_duration: None,
    }
}

/// The clients of a channel that has none yet.
pub(super) fn nobody() -> Mutex<Clients> {
    Mutex::new(Clients::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::hls::segment::{Chunk, Form, Live, Rendition};
    use bytes::Bytes;
    use mpegts::Signature;
    use mpegts::slate::{Message, Slate};
    use relay::{Candidate, Claim, Failure, HubTask, Input, Opener, Role, Timing, Upstream};

    /// Channels without streams.
    struct Silence;

    impl Upstream for Silence {
        async fn read(&mut self) -> Result<Input, Failure> {
            std::future::pending().await
        }

        fn set_watched(&mut self, _: bool) {}

        fn take_over(&mut self) {}
    }

    impl Opener for Silence {
        type Key = u8;
        type StreamId = u8;
        type Upstream = Self;

        fn candidates(&self, _: &u8, _: Option<&Signature>) -> Vec<Candidate<u8>> {
            Vec::new()
        }

        fn open(
            &self,
            _: &u8,
            _: u8,
            _: Role,
        ) -> impl Future<Output = Result<Self, Failure>> + Send + 'static {
            std::future::pending()
        }

        fn ended(&self, _: u8, _: &Failure, _: Duration) {}

        fn delivers(&self, _: u8, _: Option<&Signature>) {}

        fn shows(&self, _: u8, _: &Signature) {}

        fn slate(&self, _: &u8, _: Message, _: Option<&Signature>) -> Option<Slate> {
            None
        }
    }

    async fn viewer(hub: &relay::Hub<u8>) -> Viewer {
        let claim = Claim {
            client: "test".to_owned(),
            user: None,
            follows_pmt: true,
        };
        hub.join(1, claim).await.unwrap()
    }

    /// A packager that never ran ends like any other, and says so in the table: not while that is held.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_packager_that_nobody_runs_any_more_is_none() {
        let (hub, task) = HubTask::new(Arc::new(Silence), Timing::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(task.run());
        let viewer = viewer(&hub).await;
        let settings = Settings::new(&Config::default(), Path::new("/nowhere"));
        let (packagers, task) = Packagers::new(settings);
        drop(task);
        let channel = ChannelId::of_name("One");
        // A lock that is taken twice would wait for ever.
        let (sender, started) = std::sync::mpsc::channel();
        let of_thread = Arc::clone(&packagers);
        let thread = std::thread::spawn(move || {
            let started = of_thread.find_or_start((channel, "One"), &viewer).is_some();
            sender.send(started)
        });
        let started = started.recv_timeout(Duration::from_secs(20));
        assert_eq!(started, Ok(false));
        thread.join().unwrap().unwrap();
        assert!(packagers.find(channel).is_none());
    }

    /// Those of a broadcast of three sounds.
    fn renditions() -> Vec<Rendition> {
        const THREE_SOUNDS: &[u8] = include_bytes!("../../../../provider-double/clips/r.ts");
        let form = Form {
            target: Duration::from_secs(1),
            span: None,
            bytes: 1 << 20,
        };
        let mut live = Live::new(form, Numbers::default(), false);
        for second in 0..3 {
            let chunk = Chunk {
                bytes: Bytes::from_static(THREE_SOUNDS),
                media_time_90k: second * 90_000,
                epoch: 0,
                keyframe: true,
                discontinuity: false,
                skipped: false,
            };
            live.push(&chunk, Duration::ZERO);
        }
        live.update(Duration::ZERO, |_| {});
        let renditions: Vec<Rendition> = live.renditions().cloned().collect();
        assert_eq!(renditions.len(), 2);
        renditions
    }

    #[test]
    fn numbers_and_renditions_go_on_for_ever_and_the_rest_while_somebody_knows_it() {
        let channel = ChannelId::of_name("any");
        let numbers = Numbers {
            sequence: 7,
            discontinuity_sequence: 1,
            target_duration: Some(12),
        };
        let past = Past {
            numbers,
            is_mp4: true,
            renditions: renditions(),
        };
        let mut table = Table::default();
        let now = Instant::now();
        assert_eq!(table.known(channel, now), None);
        table.pasts.insert(channel, (past.clone(), now));
        assert_eq!(table.known(channel, now + KNOWN_FOR), Some(past));
        let later = Past {
            numbers: Numbers {
                target_duration: None,
                ..numbers
            },
            is_mp4: false,
            renditions: renditions(),
        };
        let long_after = now + KNOWN_FOR + Duration::from_secs(1);
        assert_eq!(table.known(channel, long_after), Some(later));
    }
}
