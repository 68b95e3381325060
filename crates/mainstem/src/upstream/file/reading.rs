//! A file that is read: what breaks off goes on at the next byte, from the same source or from one that has the same
//! bytes.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http::header::{IF_RANGE, RANGE};
use relay::{Failure, FailureClass};
use tokio::time::{sleep, timeout};
use tracing::{debug, info};

use super::SKIP_BYTES_MAX;
use crate::slot::{Purpose, Slot};
use crate::upstream::http::{Body, HttpError};
use crate::upstream::open::{Opening, Target};
use crate::upstream::progressive::taken_back;
use crate::upstream::range::{Identity, Part, Validators, Wanted};

/// Longest silence of a provider in a file that somebody waits for.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// How long a connection is kept for a player's next request after its last one: a seek comes within moments, and who
/// needs it more takes it at once.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// Bytes that a connection must bring to count as one that works.
const FRUITFUL_BYTES: u64 = 64 << 10;

/// Connections in a row that may bring less.
const FRUITLESS_MAX: u32 = 5;

/// Times that one answer is taken up again: a film of a day from a provider that cuts every connection after minutes.
const RESUMES_MAX: u32 = 1_000;

/// Longest search for what is missing: no player waits longer.
const RESUME_WITHIN: Duration = Duration::from_mins(1);

/// The pause before a second try in a row; it doubles with each further one.
const BACKOFF: Duration = Duration::from_millis(250);

/// Where an answer of a provider stands in the file.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Bytes read from the body already.
    pub(super) head: Bytes,
    pub(super) body: Body,
    /// Bytes that come before the one at `at`.
    pub(super) skip: u64,
    /// The next byte of the file.
    pub(super) at: u64,
    /// The byte behind the last one that is wanted; `None` where nobody knows how long the file is.
    pub(super) end: Option<u64>,
}

impl Stretch {
    /// Goes on with an answer to a request for what begins at `at`.
    ///
    /// # Errors
    /// When it does not begin there, and is not near enough either.
    fn going_on(body: Body, part: Part, at: u64, end: Option<u64>) -> Result<Self, Failure> {
        let skip = part.first.and_then(|first| at.checked_sub(first));
        let Some(skip) = skip.filter(|skip| *skip <= SKIP_BYTES_MAX) else {
            let text = "the provider does not send the part that is missing";
            return Err(Failure::new(FailureClass::Unusable, text));
        };
        Ok(Self {
            head: Bytes::new(),
            body,
            skip,
            at,
            end,
        })
    }
}

/// The bytes of a file, or of a part of it, for one viewer.
///
/// However it ends, its socket is closed then and the connection kept for a moment.
#[derive(Debug)]
pub struct ByteReading {
    opening: Opening,
    target: Target,
    others: VecDeque<Target>,
    identity: Identity,
    /// `None` while it is given back.
    body: Option<Body>,
    head: Bytes,
    skip: u64,
    at: u64,
    end: Option<u64>,
    /// Bytes that the connection brought.
    came: u64,
    /// Connections in a row that brought too little.
    fruitless: u32,
    resumes: u32,
}

impl ByteReading {
    pub(super) fn new(
        opening: Opening,
        (target, others): (Target, Vec<Target>),
        identity: Identity,
        stretch: Stretch,
    ) -> Self {
        Self {
            opening,
            target,
            others: others.into(),
            identity,
            body: Some(stretch.body),
            head: stretch.head,
            skip: stretch.skip,
            at: stretch.at,
            end: stretch.end,
            came: 0,
            fruitless: 0,
            resumes: 0,
        }
    }

    /// The next bytes; `None` at the end.
    ///
    /// A wait counts as silence of the provider's only while this is awaited: a player that pauses does not await it.
    ///
    /// # Errors
    /// When the file breaks off and does not go on anywhere. Nothing comes after that.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        loop {
            if self.end.is_some_and(|end| self.at >= end) {
                self.close();
                return None;
            }
            let failure = match self.read().await {
                Ok(Some(bytes)) => match self.wanted_of(bytes) {
                    bytes if bytes.is_empty() => continue,
                    bytes => return Some(Ok(bytes)),
                },
                Ok(None) if self.end.is_none() => {
                    self.close();
                    return None;
                }
                Ok(None) => Failure::new(FailureClass::Transient, "the provider ended the file early"),
                Err(failure) if failure.class == FailureClass::Revoked => {
                    self.give_back();
                    return Some(Err(failure));
                }
                Err(failure) => failure,
            };
            if let Err(failure) = self.resume(failure).await {
                self.give_back();
                return Some(Err(failure));
            }
        }
    }

    /// Resolves when the connection is needed more elsewhere.
    pub fn revoked(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let slot = self.body.as_mut().and_then(Body::slot_mut);
        let revoked = slot.map(|slot| slot.revoked());
        async move {
            match revoked {
                Some(revoked) => revoked.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Says whether anybody wants the next bytes now. A connection nobody wants goes to whoever waits for one.
    pub fn set_watched(&mut self, watched: bool) {
        if let Some(slot) = self.body.as_mut().and_then(Body::slot_mut) {
            slot.set_watched(watched);
        }
    }

    /// Closes the connection and gives it back. The file goes on at the next byte once somebody wants it.
    pub fn give_back(&mut self) {
        self.body = None;
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        if !self.head.is_empty() {
            return Ok(Some(std::mem::take(&mut self.head)));
        }
        let Some(body) = &mut self.body else {
            // It was given back while nobody wanted it, which says nothing against the source.
            self.came = FRUITFUL_BYTES;
            let text = "the connection was given back in the meantime";
            return Err(Failure::new(FailureClass::Transient, text));
        };
        match timeout(SILENCE_MAX, body.read_unless_revoked()).await {
            Ok(Some(read)) => Ok(read?),
            Ok(None) => Err(taken_back()),
            Err(_) => Err(HttpError::Late(SILENCE_MAX).into()),
        }
    }

    /// What is wanted of bytes that came.
    fn wanted_of(&mut self, mut bytes: Bytes) -> Bytes {
        let count = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let skipped = self.skip.min(count(&bytes));
        bytes.advance(usize::try_from(skipped).unwrap_or(bytes.len()));
        self.skip -= skipped;
        let left = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.at));
        bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        self.at = self.at.saturating_add(count(&bytes));
        self.came = self.came.saturating_add(count(&bytes));
        bytes
    }

    /// Goes on at the next byte: at the same source, a few times; then at another one that has the same bytes.
    async fn resume(&mut self, why: Failure) -> Result<(), Failure> {
        self.fruitless = if self.came >= FRUITFUL_BYTES {
            0
        } else {
            self.fruitless + 1
        };
        self.came = 0;
        // The old socket is closed before anything else is opened.
        let slot = self.body.take().and_then(Body::into_slot);
        if !self.identity.is_known() {
            return Err(why);
        }
        debug!(source = %self.target.source, %why, at = self.at, "a file broke off");
        let going_on = timeout(RESUME_WITHIN, self.go_on_anywhere(why.clone(), slot));
        going_on.await.unwrap_or(Err(why))
    }

    async fn go_on_anywhere(&mut self, why: Failure, mut slot: Option<Slot>) -> Result<(), Failure> {
        let mut last = why;
        while self.fruitless <= FRUITLESS_MAX && self.resumes < RESUMES_MAX {
            self.resumes += 1;
            back_off(self.fruitless, slot.as_ref()).await?;
            let target = self.target.clone();
            last = match self.go_on(&target, slot.take()).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if !may_pass(last.class) {
                break;
            }
            self.fruitless += 1;
        }
        drop(slot);
        while let Some(target) = self.others.pop_front() {
            match self.go_on(&target, None).await {
                Ok(()) => {
                    self.target = target;
                    return Ok(());
                }
                Err(failure) => debug!(source = %target.source, %failure, "the file does not go on there"),
            }
        }
        Err(last)
    }

    /// Asks `target` for what is missing.
    async fn go_on(&mut self, target: &Target, slot: Option<Slot>) -> Result<(), Failure> {
        let last = self.end.filter(|end| self.identity.total != Some(*end));
        let wanted = Wanted::From {
            first: self.at,
            last: last.map(|end| end.saturating_sub(1)),
        };
        let mut headers = HeaderMap::new();
        headers.extend(wanted.header().map(|range| (RANGE, range)));
        let condition = self.identity.validators.condition();
        headers.extend(condition.map(|condition| (IF_RANGE, condition.clone())));
        let opening = self.opening.clone();
        let answer = opening.ask_again(target, Purpose::File, &headers, slot).await?;
        let part = Part::read(answer.status, &answer.headers, wanted);
        let found = Identity {
            total: part.total,
            validators: Validators::read(&answer.headers),
        };
        let is_same = if target.source == self.target.source {
            self.identity.goes_on_as(&found)
        } else {
            self.identity.is_same_bytes(&found)
        };
        if !is_same {
            let text = "what the provider has now is not known to be the same file";
            return Err(Failure::new(FailureClass::Unusable, text));
        }
        let stretch = Stretch::going_on(answer.body, part, self.at, self.end.or(found.total))?;
        (self.skip, self.end) = (stretch.skip, stretch.end);
        self.body = Some(stretch.body);
        info!(source = %target.source, at = self.at, "the file goes on at the byte where it broke off");
        Ok(())
    }

    fn close(&mut self) {
        if let Some(slot) = self.body.take().and_then(Body::into_slot) {
            slot.keep(KEPT_FOR);
        }
    }
}

impl Drop for ByteReading {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whether trying again may help.
fn may_pass(class: FailureClass) -> bool {
    matches!(
        class,
        FailureClass::Transient | FailureClass::NoSlot | FailureClass::Limit
    )
}

/// Waits before one more try in a row, unless the connection is needed more elsewhere.
async fn back_off(fruitless: u32, slot: Option<&Slot>) -> Result<(), Failure> {
    let doublings = match fruitless.checked_sub(2) {
        None => return Ok(()),
        Some(doublings) => doublings.min(8),
    };
    let wait = sleep(BACKOFF * (1 << doublings));
    let Some(slot) = slot else {
        wait.await;
        return Ok(());
    };
    tokio::select! {
        biased;
        () = slot.revoked() => Err(taken_back()),
        () = wait => Ok(()),
    }
}
