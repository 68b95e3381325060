//! One channel made into HLS: a task that reads its broadcast, cuts it, and publishes what the playlist lists.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ::hls::segment::{Chunk, Form, Live, Map, Numbers, Rendition, Segment};
use ::hls::write::{File, Named};
use catalog::ChannelId;
use relay::{Read, Reader};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info};

use super::body::Chunks;
use super::clients::Clients;
use super::container::Container;
use super::packagers::{Packagers, nobody};
use super::shelf::{Placement, Shelf};
use super::{Text, address, media_address};
use crate::config::{Hls, HlsStart};

/// Target durations after which somebody who asks for nothing is gone: a player asks about once in each.
const GONE_AFTER_TARGETS: u64 = 3;

/// Percent of a target duration within which a player asks again that goes on.
const ASKS_AGAIN_PERCENT: u32 = 150;

/// How long those who wait for the first segment count as there.
const FIRST_WITHIN: Duration = Duration::from_secs(15);

/// How often it is looked who is still there.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// The playlists of a channel, as text.
#[derive(Debug, Clone)]
pub(super) struct Playlists {
    /// Without the parameters that the address of the media playlist may need.
    pub(super) multivariant: Text,
    pub(super) media: Text,
    /// Of further sounds, by name.
    sounds: Vec<(String, Text)>,
}

impl Playlists {
    /// The playlist of a further sound; none before a segment with it is listed.
    pub(super) fn sound(&self, name: &str) -> Option<Text> {
        let found = self.sounds.iter().find(|(known, _)| known == name);
        found
            .map(|(_, text)| text.clone())
            .filter(|text| !text.is_empty())
    }
}

/// What clients get.
#[derive(Debug, Default)]
struct Published {
    playlists: Option<Playlists>,
    /// Everything that can be fetched, by rising number.
    segments: Vec<Arc<Segment>>,
    /// Names of further sounds, in the order in which segments have them.
    sounds: Vec<String>,
    placement: Placement,
    over: bool,
}

impl Published {
    /// The place of a sound's file in each segment; `None` where there is no such sound.
    fn file(&self, sound: Option<&str>) -> Option<File> {
        let Some(name) = sound else {
            return Some(File::Main);
        };
        let place = self.sounds.iter().position(|known| known == name);
        place.map(File::Sound)
    }
}

/// A channel as HLS, for those who are served.
#[derive(Debug)]
pub(super) struct Packaged {
    channel: ChannelId,
    instance: String,
    published: watch::Receiver<Arc<Published>>,
    /// Short critical sections, never across an await.
    clients: Mutex<Clients>,
}

impl Packaged {
    pub(super) fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Tells its segments from those of others with the same numbers.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    /// The playlists, once there are some; `None` when it is over.
    pub(super) async fn playlists(&self) -> Option<Playlists> {
        let mut published = self.published.clone();
        loop {
            {
                let now = published.borrow_and_update();
                if now.over {
                    return None;
                }
                if let Some(playlists) = &now.playlists {
                    return Some(playlists.clone());
                }
            }
            published.changed().await.ok()?;
        }
    }

    /// A segment that is listed, or was a while ago; of a further sound, if that is named.
    pub(super) fn segment(&self, sequence: u64, sound: Option<&str>, is_mp4: bool) -> Option<Chunks> {
        let published = self.published.borrow();
        let file = published.file(sound)?;
        let place = published
            .segments
            .binary_search_by_key(&sequence, |segment| segment.sequence);
        let segment = published.segments.get(place.ok()?)?;
        let (map, gap) = match file {
            File::Main => (&segment.map, segment.gap),
            File::Sound(place) => {
                let sound = segment.sounds.get(place)?;
                (&sound.map, sound.gap)
            }
        };
        let is_there = map.is_some() == is_mp4 && !gap;
        is_there.then(|| published.placement.chunks(segment, file))
    }

    /// What is needed before the segment of this number, and those behind it.
    pub(super) fn map(&self, sequence: u64, sound: Option<&str>) -> Option<Arc<Map>> {
        let published = self.published.borrow();
        let file = published.file(sound)?;
        let map_of = |segment: &'_ Arc<Segment>| match file {
            File::Main => segment.map.clone(),
            File::Sound(place) => segment.sounds.get(place)?.map.clone(),
        };
        let mut maps = published.segments.iter().filter_map(map_of);
        maps.find(|map| map.sequence == sequence)
    }

    pub(super) fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task's own.
pub(super) struct Packager {
    reader: Reader,
    live: Live,
    container: Container,
    shelf: Shelf,
    published: watch::Sender<Arc<Published>>,
    started: Instant,
    swept_at: Instant,
    settings: Hls,
    ending: Ending,
}

/// What the next packager of a channel goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) numbers: Numbers,
    /// Its segments were MP4.
    pub(super) is_mp4: bool,
    /// The further sounds whose playlists there were.
    pub(super) renditions: Vec<Rendition>,
}

/// However the task ends, nobody waits for it any longer.
struct Ending {
    packagers: Arc<Packagers>,
    packaged: Arc<Packaged>,
    past: Option<Past>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.packagers.ended(&self.packaged, self.past.take());
        self.packaged.clients().close();
    }
}

impl Packager {
    /// What `reader` reads, cut into segments. `past`: what it goes on with, and whether there was a packager before.
    pub(super) fn new(
        channel: ChannelId,
        (packagers, reader): (&Arc<Packagers>, Reader),
        (past, goes_on): (Past, bool),
    ) -> (Arc<Packaged>, Self) {
        let settings = packagers.settings().hls().clone();
        let shelf = Shelf::new(packagers.settings().folder());
        let (sender, published) = watch::channel(Arc::default());
        let packaged = Arc::new(Packaged {
            channel,
            instance: instance(),
            published,
            clients: nobody(),
        });
        let mut live = Live::new(form(&settings, shelf.is_on_disk()), past.numbers, goes_on);
        if past.is_mp4 {
            live.keep_to_mp4();
        }
        live.keep_renditions(&past.renditions);
        let packager = Self {
            reader,
            live,
            container: Container::going_on(past.is_mp4),
            shelf,
            published: sender,
            started: Instant::now(),
            swept_at: Instant::now(),
            settings,
            ending: Ending {
                packagers: Arc::clone(packagers),
                packaged: Arc::clone(&packaged),
                past: None,
            },
        };
        (packaged, packager)
    }

    pub(super) async fn run(mut self) {
        info!("made into HLS from now on");
        self.seed();
        loop {
            self.publish();
            let deadline = self.deadline();
            tokio::select! {
                biased;
                read = self.reader.next() => match read {
                    Some(read) => self.take_all(read),
                    None => break,
                },
                () = sleep_until(deadline) => {}
            }
            if !self.is_wanted() {
                debug!("nobody asks for it as HLS any more");
                break;
            }
        }
        self.published.send_modify(|published| {
            *published = Arc::new(Published {
                over: true,
                ..Published::default()
            });
        });
        info!("no longer made into HLS");
    }

    /// What the ring holds already came before now: its times of day count back from the newest.
    fn seed(&mut self) {
        let mut held = Vec::new();
        while let Some(read) = self.reader.try_next() {
            held.push(read);
        }
        let now = time_of_day();
        let newest = held.last().map_or(0, |read| read.chunk.media_time_90k);
        for read in &held {
            let before = newest.saturating_sub(read.chunk.media_time_90k);
            self.take(read, now.saturating_sub(Duration::from_micros(before * 100 / 9)));
        }
    }

    /// What came together is taken together: nothing is published of half of it.
    fn take_all(&mut self, first: Read) {
        let now = time_of_day();
        let mut next = Some(first);
        while let Some(read) = next {
            self.take(&read, now);
            next = self.reader.try_next();
        }
    }

    fn take(&mut self, read: &Read, now: Duration) {
        let chunk = Chunk {
            bytes: read.chunk.bytes.clone(),
            media_time_90k: read.chunk.media_time_90k,
            epoch: read.chunk.epoch,
            keyframe: read.chunk.keyframe,
            discontinuity: read.chunk.discontinuity,
            skipped: read.skipped,
        };
        self.live.push(&chunk, now);
    }

    /// Lists what is due.
    fn publish(&mut self) {
        let (container, shelf) = (&mut self.container, &mut self.shelf);
        let was_on_disk = shelf.is_on_disk();
        let listed = self.live.update(self.started.elapsed(), |segment| {
            container.pack(segment);
            shelf.put(segment);
        });
        if was_on_disk && !shelf.is_on_disk() {
            self.live.set_bytes(self.settings.bytes);
        }
        let Some(target_duration) = self.live.target_duration() else {
            return;
        };
        self.ending.past = Some(Past {
            numbers: self.live.numbers(),
            is_mp4: self.container.is_mp4(),
            renditions: self.live.renditions().cloned().collect(),
        });
        // With most chunks nothing changes.
        let (live, packaged) = (&self.live, &self.ending.packaged);
        if !listed && live.held().count() == self.published.borrow().segments.len() {
            return;
        }
        if let Some(first) = live.held().next() {
            shelf.trim(first.sequence, target_duration);
        }
        let segments = live.held().cloned().collect();
        let sounds: Vec<String> = live.renditions().map(Rendition::name).collect();
        let placement = shelf.placement();
        self.published.send_if_modified(|published| {
            let address = |named: Named<'_>| address(named, &packaged.instance);
            let playlists = || Playlists {
                multivariant: live
                    .multivariant(|rendition| media_address(packaged.channel, rendition))
                    .into(),
                media: live.media(address).into(),
                sounds: (sounds.iter().cloned().enumerate())
                    .map(|(place, name)| (name, live.rendition(place, address).into()))
                    .collect(),
            };
            let playlists = if listed {
                Some(playlists())
            } else {
                published.playlists.clone()
            };
            *published = Arc::new(Published {
                playlists,
                segments,
                sounds,
                placement,
                over: false,
            });
            listed
        });
    }

    fn deadline(&self) -> Instant {
        let sweep = self.swept_at + SWEEP_EVERY;
        let due = self.live.due(self.started.elapsed());
        due.map_or(sweep, |due| sweep.min(self.started + due))
    }

    /// Whether to go on: somebody asked a while ago, or the operator wants it.
    fn is_wanted(&mut self) -> bool {
        if self.swept_at.elapsed() < SWEEP_EVERY {
            return true;
        }
        self.swept_at = Instant::now();
        let target = self.live.target_duration();
        let targets = |count: u64| target.map_or(FIRST_WITHIN, |target| Duration::from_secs(count * target));
        let least = targets(GONE_AFTER_TARGETS);
        let zap = targets(1) * ASKS_AGAIN_PERCENT / 100;
        let linger = self.settings.linger.max(least);
        let mut clients = self.ending.packaged.clients();
        let asked = clients.sweep(linger, zap);
        asked || self.settings.start == HlsStart::WithBroadcast
    }
}

fn form(settings: &Hls, is_on_disk: bool) -> Form {
    Form {
        target: settings.segment,
        span: settings.window,
        bytes: if is_on_disk {
            settings.disk_bytes
        } else {
            settings.bytes
        },
    }
}

/// Tells the segments of this packager from those of any other of the same channel: the microsecond it began.
fn instance() -> String {
    format!("{:x}", time_of_day().as_micros())
}

/// Since the Unix epoch.
fn time_of_day() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
