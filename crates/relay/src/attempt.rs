//! One attempt to open a stream, from the request to its first keyframe.
//!
//! Lives here: the connection, what it is called, and until when it may take. What follows is decided in
//! [`crate::broadcast`], and done by the driver; what it is once it delivers, in [`crate::live`].

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use crate::audition::Audition;
use crate::{Failure, FailureClass, Input, Upstream};

type Opening<U> = Pin<Box<dyn Future<Output = Result<U, Failure>> + Send>>;

enum Stage<U> {
    Opening(Opening<U>),
    Auditioning(Box<Audition<U>>),
}

/// A stream that is being opened, or is open and has no keyframe yet.
pub(crate) struct Attempt<S, U> {
    pub(crate) stream: S,
    pub(crate) label: Arc<str>,
    /// Past this it has failed.
    pub(crate) until: Instant,
    stage: Stage<U>,
}

/// What an attempt waits for brought.
pub(crate) enum Progress<U> {
    Opened(Result<U, Failure>),
    Read(Result<Input, Failure>),
}

impl<S, U: Upstream> Attempt<S, U> {
    pub(crate) fn new(
        stream: S,
        label: Arc<str>,
        until: Instant,
        opening: impl Future<Output = Result<U, Failure>> + Send + 'static,
    ) -> Self {
        Self {
            stream,
            label,
            until,
            stage: Stage::Opening(Box::pin(opening)),
        }
    }

    /// Cancel-safe.
    pub(crate) async fn progress(&mut self) -> Progress<U> {
        match &mut self.stage {
            Stage::Opening(opening) => Progress::Opened(opening.as_mut().await),
            Stage::Auditioning(audition) => Progress::Read(audition.upstream().read().await),
        }
    }

    /// The connection is open: its first keyframe is awaited until `until`.
    pub(crate) fn opened(&mut self, upstream: U, now: Instant, until: Instant) {
        self.until = until;
        self.stage = Stage::Auditioning(Box::new(Audition::new(upstream, now)));
    }

    /// Nothing else is open: its connection, if it has one yet, is no longer one that gives way.
    pub(crate) fn take_over(&mut self) {
        if let Some(audition) = self.audition() {
            audition.upstream().take_over();
        }
    }

    pub(crate) fn audition(&mut self) -> Option<&mut Audition<U>> {
        match &mut self.stage {
            Stage::Opening(_) => None,
            Stage::Auditioning(audition) => Some(audition),
        }
    }

    /// What is left of it when its time is over: why.
    pub(crate) fn late(&self) -> Failure {
        match &self.stage {
            Stage::Opening(_) => Failure::new(FailureClass::Transient, "no answer in time"),
            Stage::Auditioning(audition) => audition.late(),
        }
    }

    /// The audition, once it has what can be shown.
    pub(crate) fn into_audition(self) -> Option<(S, Arc<str>, Audition<U>)> {
        match self.stage {
            Stage::Opening(_) => None,
            Stage::Auditioning(audition) => Some((self.stream, self.label, *audition)),
        }
    }
}
