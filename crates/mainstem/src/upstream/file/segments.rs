//! A film that its provider has in segments only: the playlist is never passed on, as its addresses carry the login. What
//! it lists comes as one transport stream, from the beginning to the end.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use mpegts::Splicer;
use relay::{Failure, FailureClass, Input};
use tokio::time::timeout;

use crate::upstream::hls::{HlsUpstream, Started};
use crate::upstream::http::Response;
use crate::upstream::open::{Opening, Target};

/// How long its first picture may take: longer than a file's first byte, as there are playlists before it.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// The segments of a film, for one viewer.
pub struct SegmentReading {
    /// `None` once it is over, or given back.
    upstream: Option<Box<HlsUpstream>>,
    splicer: Splicer,
    /// What was read to see that it can be played.
    ready: VecDeque<Bytes>,
    is_over: bool,
}

impl SegmentReading {
    /// Takes over an answer that turned out to be a playlist, `head` of which was read already, and waits until something
    /// of the film is there: then a viewer can be promised one.
    ///
    /// # Errors
    /// When nothing of it can be played.
    pub(super) async fn begin(
        opening: &Opening,
        target: &Target,
        answer: Response,
        head: Bytes,
    ) -> Result<Self, Failure> {
        let begun = timeout(FIRST_WITHIN, Self::first(opening, target, answer, head)).await;
        let failure = match begun {
            Ok(Ok(reading)) => return Ok(reading),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::new(FailureClass::Transient, "nothing of it came in time"),
        };
        let text = format!("the film is an HLS playlist: {}", failure.text);
        Err(Failure { text, ..failure })
    }

    async fn first(
        opening: &Opening,
        target: &Target,
        answer: Response,
        head: Bytes,
    ) -> Result<Self, Failure> {
        let request = opening.request(target, answer.asked.as_str())?;
        let Response { url, body, .. } = answer;
        let client = opening.client.clone();
        let started = HlsUpstream::start((client, request), url, (head, body), opening.hls_bandwidth_max);
        let Started::Following(mut upstream) = started.await? else {
            let text = "it leads to something without segments";
            return Err(Failure::new(FailureClass::Unusable, text));
        };
        // One that still grows is followed from near its end, where what is on now is.
        if !upstream.read_whole() {
            return Err(Failure::new(FailureClass::Unusable, "it has no end yet"));
        }
        let mut reading = Self {
            upstream: Some(upstream),
            splicer: Splicer::new(),
            ready: VecDeque::new(),
            is_over: false,
        };
        match reading.next().await {
            Some(first) => reading.ready.push_back(first?),
            None => return Err(Failure::new(FailureClass::Unusable, "nothing is in it")),
        }
        Ok(reading)
    }

    /// The next packets; `None` at the end.
    ///
    /// # Errors
    /// When it breaks off: nobody knows how much of it a player has, so that it does not go on.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(Ok(bytes));
            }
            if let Some(piece) = self.splicer.take() {
                return Some(Ok(piece.bytes));
            }
            if self.is_over {
                return None;
            }
            let Some(upstream) = &mut self.upstream else {
                let text = "the connection was given back in the meantime";
                return Some(Err(Failure::new(FailureClass::Transient, text)));
            };
            match upstream.read().await {
                Ok(Input::Bytes(bytes)) => self.splicer.push(&bytes),
                Ok(Input::Restart) => {
                    self.splicer.end_source();
                    self.splicer.begin_source();
                }
                Err(_) if upstream.is_over() => {
                    self.splicer.end_source();
                    self.upstream = None;
                    self.is_over = true;
                }
                Err(failure) => {
                    self.upstream = None;
                    return Some(Err(failure));
                }
            }
        }
    }

    /// Resolves when the connection is needed more elsewhere.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + use<> {
        let revoked = self.upstream.as_ref().map(|upstream| upstream.revoked());
        async move {
            match revoked {
                Some(revoked) => revoked.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Says whether anybody wants the next packets now.
    pub fn set_watched(&self, watched: bool) {
        if let Some(upstream) = &self.upstream {
            upstream.set_watched(watched);
        }
    }

    /// Closes the connection and gives it back: the film is over with that.
    pub fn give_back(&mut self) {
        self.upstream = None;
    }
}
