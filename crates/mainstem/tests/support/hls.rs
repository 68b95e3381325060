//! A player of live HLS that judges what it gets: every version of the playlist, and every segment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::playlist::{Entry, Watch};
use super::ts::{Report, is_random_access, pid};
use super::{Answer, get, request};

/// How often the playlist is asked for.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Somebody who watches a channel as HLS.
pub(crate) struct HlsViewer {
    url: String,
    since: Instant,
    pub(crate) watch: Watch,
    segments: BTreeMap<u64, (Entry, Bytes)>,
}

impl HlsViewer {
    /// Will watch the media playlist at an address.
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            since: Instant::now(),
            watch: Watch::default(),
            segments: BTreeMap::new(),
        }
    }

    /// Asks for the playlist once, and for every segment that is new in it.
    pub(crate) async fn ask(&mut self) {
        let playlist = get(&self.url).await;
        assert_eq!(playlist.status, 200, "{}", playlist.text());
        assert_eq!(playlist.header("content-type"), "application/vnd.apple.mpegurl");
        assert_eq!(playlist.header("cache-control"), "no-cache");
        let fresh = self.watch.see(self.since.elapsed(), &playlist.text());
        for entry in fresh.unwrap_or_else(|problem| panic!("{problem}")) {
            assert!(!entry.gap, "{} cannot be had", entry.uri);
            let segment = self.fetch(&entry).await;
            assert_eq!(segment.status, 200, "{}", entry.uri);
            let container = if entry.map.is_some() {
                "video/mp4"
            } else {
                "video/mp2t"
            };
            assert_eq!(segment.header("content-type"), container);
            assert_eq!(segment.header("content-length"), segment.body.len().to_string());
            self.segments.insert(entry.sequence, (entry, segment.body));
        }
    }

    /// Watches until so much media has been seen, or more of it.
    pub(crate) async fn watch_media(&mut self, media: Duration) {
        let until = Instant::now() + media + super::SOON;
        while self.media() < media {
            assert!(Instant::now() < until, "only {:?} of {media:?}", self.media());
            self.ask().await;
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// The same, from here on.
    pub(crate) async fn watch_more(&mut self, media: Duration) {
        self.watch_media(self.media() + media).await;
    }

    /// Watches until `seen` of what came holds.
    pub(crate) async fn watch_until(&mut self, what: &str, seen: impl Fn(&Self) -> bool) {
        let until = Instant::now() + super::SOON;
        while !seen(self) {
            assert!(Instant::now() < until, "not seen: {what}");
            self.ask().await;
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Media seen.
    pub(crate) fn media(&self) -> Duration {
        Duration::from_micros(self.segments.values().map(|(entry, _)| entry.micros).sum())
    }

    /// Segments seen, in order.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &(Entry, Bytes)> {
        self.segments.values()
    }

    /// Discontinuities seen.
    pub(crate) fn discontinuities(&self) -> usize {
        self.segments().filter(|(entry, _)| entry.discontinuity).count()
    }

    /// All packets, in order.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.segments().flat_map(|(_, bytes)| bytes.to_vec()).collect()
    }

    /// Fetches a segment.
    pub(crate) async fn fetch(&self, entry: &Entry) -> Answer {
        self.fetch_uri(&entry.uri).await
    }

    /// Fetches what the playlist names.
    pub(crate) async fn fetch_uri(&self, uri: &str) -> Answer {
        let (folder, _) = self.url.rsplit_once('/').unwrap();
        request("GET", &format!("{folder}/{uri}"), &[]).await
    }

    /// Each segment begins with tables and a keyframe, all of them are one stream without a fault, and those that are no
    /// longer listed are still there.
    pub(crate) async fn judge(&self, name: &str) {
        for (place, (entry, bytes)) in self.segments().enumerate() {
            let (packets, rest) = bytes.as_chunks::<188>();
            assert!(rest.is_empty(), "{name}: {} is not whole", entry.uri);
            assert_eq!(pid(&packets[0]), 0, "{name}: {} begins with a PAT", entry.uri);
            let has_keyframe = packets.iter().take(5).any(|packet| is_random_access(packet));
            let claims = self.watch.last().is_some_and(|listing| listing.independent);
            assert!(
                has_keyframe || (!claims && place > 0),
                "{name}: {} begins with a keyframe",
                entry.uri
            );
        }
        for entry in self.watch.still_there(self.since.elapsed()) {
            assert_eq!(
                self.fetch(&entry).await.status,
                200,
                "{name}: {} is gone",
                entry.uri
            );
        }
        Report::of(&self.bytes()).assert_clean(name);
    }
}
