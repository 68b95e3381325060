//! A session under way: whose turn it is, and what becomes of what comes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hls::define::Definitions;
use hls::follow::{Follower, SegmentRequest};
use hls::playlist::Playlist;
use hls::turns::{self, Turn};
use relay::{Failure, FailureClass, Input};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info};
use url::Url;

use super::decryption::Decryption;
use super::entry::{self, Variants};
use super::part::Part;
use super::programme::{Programme, Useless};
use super::requests::{Requests, resolve};
use super::unusable;
use crate::slot::Watch;
use crate::upstream::progressive::taken_back;
use crate::upstream::sniff::SNIFF_BYTES;

/// Segments in a row that cannot be had before the stream counts as broken.
const SEGMENTS_LOST_MAX: u32 = 3;

pub(super) struct Session {
    /// The pictures' playlist, and those of sounds apart.
    pub(super) lists: Vec<List>,
    /// The variants there are; `None` where the session began with a media playlist.
    pub(super) variants: Option<Variants>,
    pub(super) bandwidth_max: Option<u64>,
    pub(super) programme: Programme,
    /// The segment that is coming in.
    coming: Option<Coming>,
    ready: VecDeque<Input>,
    /// So many segments lost in a row are the end.
    lost_max: u32,
    /// A playlist was refused, and the way to it was gone anew: not again before one could be loaded.
    renewed: bool,
    pub(super) started: Instant,
    /// All that will ever be listed has been given out.
    pub(super) is_over: bool,
    pub(super) requests: Requests,
}

/// One media playlist.
pub(super) struct List {
    /// Where reloads go: the address before redirects, as tokens in redirects are for one use.
    pub(super) url: Url,
    /// Where it came from in the end: relative addresses in it count from here.
    pub(super) base: Url,
    /// Variables it may import from the playlist that led to it.
    pub(super) imported: Arc<Definitions>,
    pub(super) follower: Follower,
    /// Segments in a row that could not be had.
    pub(super) lost: u32,
}

struct Coming {
    list: usize,
    request: SegmentRequest,
    part: Part,
}

impl Session {
    pub(super) fn new(
        requests: Requests,
        (lists, variants): (Vec<List>, Option<Variants>),
        programme: Programme,
        (started, bandwidth_max): (Instant, Option<u64>),
    ) -> Self {
        Self {
            lists,
            variants,
            bandwidth_max,
            programme,
            coming: None,
            ready: VecDeque::new(),
            lost_max: SEGMENTS_LOST_MAX,
            renewed: false,
            started,
            is_over: false,
            requests,
        }
    }

    /// Nothing may be lost from now on. Says whether the playlists have an end.
    pub(super) fn read_whole(&mut self) -> bool {
        self.lost_max = 1;
        self.lists.iter().all(|list| list.follower.has_end())
    }

    pub(super) fn watch(&self) -> Watch {
        self.requests.watch()
    }

    /// How much media comes at once.
    pub(super) fn burst(&self) -> Duration {
        let target = self.lists.first().and_then(|list| list.follower.target());
        target.unwrap_or_default()
    }

    pub(super) async fn next_or_revoked(&mut self) -> Result<Input, Failure> {
        let revoked = self.requests.revoked();
        tokio::select! {
            biased;
            () = revoked => Err(taken_back()),
            input = self.next() => input,
        }
    }

    async fn next(&mut self) -> Result<Input, Failure> {
        loop {
            if let Some(input) = self.ready.pop_front() {
                return Ok(input);
            }
            if self.coming.is_some() {
                self.read_segment().await?;
                continue;
            }
            let followers: Vec<&Follower> = self.lists.iter().map(|list| &list.follower).collect();
            match turns::next(&followers, self.started.elapsed()) {
                Turn::Segment(list) => self.open_segment(list).await?,
                Turn::Load(list) => self.reload(list).await?,
                Turn::Wait(until) => sleep_until(self.started + until).await,
                Turn::Stale(_) => return Err(transient("the playlist stopped changing")),
                Turn::Ended => {
                    self.is_over = true;
                    return Err(transient("the playlist says that the stream ended"));
                }
            }
        }
    }

    async fn reload(&mut self, list: usize) -> Result<(), Failure> {
        match self.load(list).await {
            Ok(()) => {
                self.renewed = false;
                Ok(())
            }
            // A token in the address may have died.
            Err(failure) if is_refusal(failure.class) && !self.renewed => {
                debug!(%failure, "a playlist is refused; going to it anew from where the session began");
                self.renewed = true;
                entry::renew(self)
                    .await
                    .map_err(|anew| if is_refusal(anew.class) { failure } else { anew })
            }
            Err(failure) if matches!(failure.class, FailureClass::Transient | FailureClass::Gone) => {
                debug!(%failure, "a playlist reload failed");
                if let Some(list) = self.lists.get_mut(list) {
                    list.follower.on_reload_failed(self.started.elapsed());
                }
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Loads a playlist from its address.
    pub(super) async fn load(&mut self, list: usize) -> Result<(), Failure> {
        let Some(list) = self.lists.get_mut(list) else {
            return Ok(());
        };
        let requested = self.started.elapsed();
        let (base, text) = self.requests.playlist(list.url.clone()).await?;
        list.take((&text.unwrap_or_default(), base), requested, self.started)
    }

    async fn open_segment(&mut self, number: usize) -> Result<(), Failure> {
        let Some(list) = self.lists.get_mut(number) else {
            return Ok(());
        };
        let Some(request) = list.follower.next_segment(self.started.elapsed()) else {
            return Ok(());
        };
        let base = list.base.clone();
        match self.begin_segment(number, &base, &request).await {
            Ok(part) => {
                self.coming = Some(Coming {
                    list: number,
                    request,
                    part,
                });
                Ok(())
            }
            Err(Refused::Stream(failure)) => Err(failure),
            Err(Refused::Segment(failure)) => {
                if let Some(encryption) = &request.encryption {
                    self.requests.forget_key(&base, encryption);
                }
                if let Some(initialisation) = &request.initialisation {
                    self.requests.forget_initialisation(&base, initialisation);
                }
                self.fail_segment(number, request, &failure)
            }
            Err(Refused::Before(failure)) => {
                if self.is_tried_again(number, request, &failure) {
                    return Ok(());
                }
                Err(failure)
            }
        }
    }

    /// Asks for a segment and all that goes before it, and begins it with its first bytes.
    async fn begin_segment(
        &mut self,
        list: usize,
        base: &Url,
        request: &SegmentRequest,
    ) -> Result<Part, Refused> {
        let decryption = match &request.encryption {
            Some(encryption) => {
                let key = self.requests.key(base, encryption).await;
                let key = key.map_err(|failure| before("the key of the segments", failure))?;
                Some(Decryption::new(&key, encryption.iv))
            }
            None => None,
        };
        let initialisation = match &request.initialisation {
            Some(wanted) => {
                let bytes = self.requests.initialisation(base, wanted).await;
                Some(bytes.map_err(|failure| before("the initialisation segment (EXT-X-MAP)", failure))?)
            }
            None => None,
        };
        let answer = self
            .requests
            .get(resolve(base, &request.uri)?, request.range)
            .await?;
        let mut part = Part::new(answer, request.range, decryption);
        let mut head = BytesMut::new();
        while head.len() < SNIFF_BYTES
            && let Some(bytes) = part.read().await.map_err(Failure::from)?
        {
            head.extend_from_slice(&bytes);
        }
        if head.is_empty() {
            return Err(Refused::Segment(transient("an empty segment")));
        }
        let targets = self.lists.iter().filter_map(|list| list.follower.target());
        self.programme.set_target(targets.max().unwrap_or_default());
        let before = (&head[..], initialisation.as_ref());
        self.programme
            .begin_segment(list, before, request.discontinuity, &mut self.ready)?;
        self.push(list, head.freeze())?;
        Ok(part)
    }

    async fn read_segment(&mut self) -> Result<(), Failure> {
        let Some(coming) = &mut self.coming else {
            return Ok(());
        };
        let list = coming.list;
        match coming.part.read().await {
            Ok(Some(bytes)) => match self.push(list, bytes) {
                Ok(()) => Ok(()),
                Err(Refused::Stream(failure)) => Err(failure),
                Err(Refused::Segment(failure) | Refused::Before(failure)) => self.break_off(&failure),
            },
            Ok(None) => self.end_segment().await,
            Err(error) => self.break_off(&error.into()),
        }
    }

    fn push(&mut self, list: usize, bytes: Bytes) -> Result<(), Refused> {
        Ok(self.programme.push(list, bytes, &mut self.ready)?)
    }

    async fn end_segment(&mut self) -> Result<(), Failure> {
        let Some(Coming { list, request, part }) = self.coming.take() else {
            return Ok(());
        };
        if let Some(list) = self.lists.get_mut(list) {
            list.lost = 0;
        }
        let ended = self.programme.end_segment(list, &mut self.ready);
        if let Err(Refused::Stream(failure)) = ended.map_err(Refused::from) {
            return Err(failure);
        }
        let (spent, now) = (part.spent(), self.started.elapsed());
        // Its socket closes before another request is made.
        drop(part);
        let Some(variants) = self.variants.as_mut().filter(|_| list == 0) else {
            return Ok(());
        };
        if variants.ladder.on_segment(request.duration, spent, now) {
            let bandwidth = variants.ladder.current().map(|rung| rung.bandwidth);
            info!(
                bandwidth,
                took_s = spent.as_secs_f32(),
                "another variant of the stream is played"
            );
            entry::change_variant(self).await?;
        }
        Ok(())
    }

    /// The rest of a segment is lost: what came of it was passed on.
    fn break_off(&mut self, failure: &Failure) -> Result<(), Failure> {
        let Some(Coming { list, .. }) = self.coming.take() else {
            return Ok(());
        };
        let ended = self.programme.end_segment(list, &mut self.ready);
        if let Err(Refused::Stream(failure)) = ended.map_err(Refused::from) {
            return Err(failure);
        }
        self.lose(list, failure)
    }

    fn fail_segment(
        &mut self,
        list: usize,
        request: SegmentRequest,
        failure: &Failure,
    ) -> Result<(), Failure> {
        if self.is_tried_again(list, request, failure) {
            return Ok(());
        }
        self.lose(list, failure)
    }

    fn is_tried_again(&mut self, list: usize, request: SegmentRequest, failure: &Failure) -> bool {
        debug!(%failure, sequence = request.sequence, "a segment cannot be had");
        let now = self.started.elapsed();
        let list = self.lists.get_mut(list);
        list.is_some_and(|list| list.follower.on_segment_failed(request, now))
    }

    fn lose(&mut self, list: usize, failure: &Failure) -> Result<(), Failure> {
        let Some(list) = self.lists.get_mut(list) else {
            return Ok(());
        };
        list.lost += 1;
        debug!(%failure, lost = list.lost, "a segment is lost");
        if list.lost >= self.lost_max {
            return Err(failure.clone());
        }
        Ok(())
    }
}

impl List {
    /// Takes the text of the playlist, which came from `base`.
    pub(super) fn take(
        &mut self,
        (text, base): (&[u8], Url),
        requested: Duration,
        started: Instant,
    ) -> Result<(), Failure> {
        let playlist = entry::read(text, &base, &self.imported)
            .map_err(|error| transient(&format!("an HLS playlist that cannot be read ({error})")))?;
        let Playlist::Media(media) = playlist else {
            return Err(unusable("a playlist of segments became one of something else"));
        };
        entry::supported(&media)?;
        self.base = base;
        self.follower.on_playlist(&media, requested, started.elapsed());
        Ok(())
    }
}

/// Why nothing came of a segment.
enum Refused {
    /// It is left out, or asked for again.
    Segment(Failure),
    /// What has to come before it cannot be had: that will not be better with the next, but may be in a moment.
    Before(Failure),
    /// No other will be better.
    Stream(Failure),
}

fn before(what: &str, failure: Failure) -> Refused {
    let mut failure = failure;
    failure.text = format!("{what}: {}", failure.text);
    Refused::Before(failure)
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Segment(failure)
    }
}

impl From<Useless> for Refused {
    fn from(useless: Useless) -> Self {
        match useless {
            Useless::Segment(text) => Self::Segment(unusable(&text)),
            Useless::Stream(text) => Self::Stream(unusable(&text)),
        }
    }
}

/// Whether what was asked for is refused, or gone: as when a token in its address has died.
pub(super) fn is_refusal(class: FailureClass) -> bool {
    matches!(
        class,
        FailureClass::Blocked | FailureClass::Auth | FailureClass::Gone
    )
}

pub(super) fn transient(text: &str) -> Failure {
    Failure::new(FailureClass::Transient, text)
}
