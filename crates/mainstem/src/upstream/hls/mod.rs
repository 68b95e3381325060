//! Follows a live HLS playlist as one endless transport stream.
//!
//! One slot for the whole session, one request at a time, also where the sound is in playlists of its own. What to load and
//! to fetch, and when, is decided by [`hls`]; here are the requests (`requests`, `part`: one segment as it comes in), the
//! way to the playlists (`entry`), what is made of the segments (`programme`), and the turns of all that (`session`).

mod decryption;
mod entry;
mod part;
mod programme;
mod requests;
mod segment_kind;
mod session;

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use relay::{Failure, FailureClass, Input};
use url::Url;

use self::entry::Entered;
use self::requests::Requests;
use self::session::Session;
use super::http::{Body, Client, Request};
use super::progressive::taken_back;
use crate::slot::{Purpose, Slot, Watch};

/// A followed playlist.
pub struct HlsUpstream {
    /// Moves into the read under way and back, so that a read that is dropped half-way goes on at the next call.
    session: Option<Box<Session>>,
    reading: Option<Reading>,
    burst: Duration,
    watch: Watch,
}

type Reading = Pin<Box<dyn Future<Output = (Box<Session>, Result<Input, Failure>)> + Send>>;

/// What a playlist turned out to lead to.
pub enum Started {
    /// Segments, which are followed.
    Following(Box<HlsUpstream>),
    /// Another stream, which is none of segments: its address, and the slot it may be asked for with.
    Leads(Url, Slot),
}

impl HlsUpstream {
    /// Takes over an answer that turned out to be a playlist. `head` was read from `body` already. `bandwidth_max` (bits per
    /// second) bounds the variant that is chosen.
    ///
    /// # Errors
    /// When no playlist of it can be read, or it needs a feature that nobody but the provider's own player has.
    pub async fn start(
        (client, request): (Client, Request),
        url: Url,
        (head, body): (Bytes, Body),
        bandwidth_max: Option<u64>,
    ) -> Result<Started, Failure> {
        let (text, slot) = requests::read_playlist(head, body).await?;
        let slot = slot.ok_or_else(|| Failure::new(FailureClass::Transient, "the session lost its slot"))?;
        let requests = Requests::new(client, request, slot);
        let revoked = requests.revoked();
        let entered = tokio::select! {
            biased;
            () = revoked => return Err(taken_back()),
            entered = entry::enter(requests, url, text, bandwidth_max) => entered?,
        };
        match entered {
            Entered::Leads(url, slot) => Ok(Started::Leads(url, slot)),
            Entered::Session(session) => Ok(Started::Following(Box::new(Self {
                watch: session.watch(),
                burst: session.burst(),
                session: Some(session),
                reading: None,
            }))),
        }
    }

    /// The next bytes. Cancel-safe.
    ///
    /// # Errors
    /// When the playlist ends, goes stale, or cannot be followed.
    pub async fn read(&mut self) -> Result<Input, Failure> {
        if self.reading.is_none() {
            let Some(mut session) = self.session.take() else {
                return Err(Failure::new(FailureClass::Transient, "the session has ended"));
            };
            self.reading = Some(Box::pin(async move {
                let input = session.next_or_revoked().await;
                (session, input)
            }));
        }
        let Some(reading) = &mut self.reading else {
            return Err(taken_back());
        };
        let (session, input) = reading.await;
        self.reading = None;
        self.burst = session.burst();
        self.session = Some(session);
        input
    }

    /// How much media comes at once: the target duration.
    #[must_use]
    pub fn burst(&self) -> Duration {
        self.burst
    }

    /// Whether all that the playlist will ever list has been read.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_over)
    }

    /// From now on a segment that cannot be had is the end of it, and not skipped. Says whether the playlist has an end, so
    /// that it begins at its first segment.
    pub fn read_whole(&mut self) -> bool {
        self.session.as_mut().is_some_and(|session| session.read_whole())
    }

    /// Resolves when the connection is needed more elsewhere.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + use<> {
        self.watch.revoked()
    }

    /// Makes the connection one that carries viewers.
    pub fn promote(&self) {
        self.watch.promote(Purpose::Live);
    }

    /// Says whether anybody watches.
    pub fn set_watched(&self, watched: bool) {
        self.watch.set_watched(watched);
    }
}

fn unusable(text: &str) -> Failure {
    Failure::new(FailureClass::Unusable, text)
}
