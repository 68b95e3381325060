//! One endless response that is a transport stream.

use bytes::Bytes;
use relay::{Failure, FailureClass, Input};

use super::http::Body;
use super::icy::TitleReader;
use super::titles::Teller;
use crate::slot::Purpose;

/// A transport stream over HTTP, with the bytes that were read to know it as one.
#[derive(Debug)]
pub struct Progressive {
    head: Option<Bytes>,
    body: Body,
    titles: Option<(TitleReader, Teller)>,
}

impl Progressive {
    /// `head` was read from `body` already. Where titles stand between the bytes, they are taken out and told.
    #[must_use]
    pub fn new(head: Bytes, body: Body, titles: Option<(TitleReader, Teller)>) -> Self {
        Self {
            head: Some(head).filter(|head| !head.is_empty()),
            body,
            titles,
        }
    }

    /// The next bytes. Cancel-safe.
    ///
    /// # Errors
    /// When the response ends, breaks, or its connection is taken back.
    pub async fn read(&mut self) -> Result<Input, Failure> {
        if let Some(head) = self.head.take() {
            return Ok(Input::Bytes(self.without_titles(head)));
        }
        match self.body.read_unless_revoked().await {
            None => Err(taken_back()),
            Some(Ok(Some(bytes))) => Ok(Input::Bytes(self.without_titles(bytes))),
            Some(Ok(None)) => Err(Failure::new(
                FailureClass::Transient,
                "the provider ended the stream",
            )),
            Some(Err(error)) => Err(error.into()),
        }
    }

    fn without_titles(&mut self, bytes: Bytes) -> Bytes {
        let Some((reader, teller)) = &mut self.titles else {
            return bytes;
        };
        let (bytes, title) = reader.push(bytes);
        if let Some(title) = title {
            teller.tell(&title);
        }
        bytes
    }

    /// From now on a read that finds nothing wakes nobody, where that can be: says whether it can.
    pub fn looks_from_now_on(&self) -> bool {
        self.body.looks_from_now_on()
    }

    /// Makes the connection one that carries viewers.
    pub fn promote(&mut self) {
        if let Some(slot) = self.body.slot_mut() {
            slot.promote(Purpose::Live);
        }
    }

    /// Says whether anybody watches.
    pub fn set_watched(&mut self, watched: bool) {
        if let Some(slot) = self.body.slot_mut() {
            slot.set_watched(watched);
        }
    }
}

/// The failure of a connection that somebody else needs more.
#[must_use]
pub fn taken_back() -> Failure {
    Failure::new(FailureClass::Revoked, "the connection was needed more elsewhere")
}
