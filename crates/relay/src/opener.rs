//! What a broadcast asks of the rest of the program: which streams there are, and to open one.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mpegts::Signature;
use mpegts::slate::{Message, Slate};

use crate::Failure;

/// One stream a broadcast may open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<S> {
    /// Which stream.
    pub stream: S,
    /// A word for logs and status, without credentials: the source's name.
    pub label: Arc<str>,
    /// It failed lately: it is tried only when nothing else is left.
    pub cooling: bool,
    /// A hedge may take it now: at a login of it where what the broadcast is made for has no connection yet, one is there
    /// that nobody uses and nobody waits for.
    pub spare: bool,
}

/// What a stream is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// To be what viewers see; it may wait for a connection.
    Main,
    /// Beside a stream that may be dying. It takes only a connection that is free at once, never a second one at the
    /// login of that stream, and gives way to whoever needs it until it [takes over](Upstream::take_over).
    Hedge,
}

/// What a read of an upstream brought.
#[derive(Debug)]
pub enum Input {
    /// The next bytes of the stream.
    Bytes(Bytes),
    /// The same source begins anew on another time base (a clip's next turn, a discontinuity between segments).
    Restart,
}

/// An open connection to one stream. Dropping it closes the socket and frees its slot.
pub trait Upstream: Send + 'static {
    /// The next input. Cancel-safe: a dropped read loses nothing.
    fn read(&mut self) -> impl Future<Output = Result<Input, Failure>> + Send;

    /// Says whether anybody watches; an upstream nobody watches may be taken back for somebody who waits.
    fn set_watched(&mut self, watched: bool);

    /// How much media comes at once, of a source that sends in segments: it cannot be told from one that stands still
    /// before a segment more is due. Zero for one that flows.
    fn burst(&self) -> Duration {
        Duration::ZERO
    }

    /// It delivers: says whether it can be [looked at](Self::look) on a beat from now on, and is not read any more.
    fn looks_from_now_on(&mut self) -> bool {
        false
    }

    /// What has come, at once; `None` where nothing has, and nobody is woken when something does. Only one that says so
    /// is [looked at](Self::looks_from_now_on).
    fn look(&mut self) -> Option<Result<Input, Failure>> {
        None
    }

    /// Resolves when the connection of one that is looked at is taken back: with what its next look would say.
    /// Cancel-safe.
    fn taken_back(&mut self) -> impl Future<Output = Failure> + Send {
        std::future::pending()
    }

    /// It is the broadcast's only connection, whatever it was opened as: viewers see it, or have nothing else to wait
    /// for. From now on it gives way like any other that has viewers.
    fn take_over(&mut self);
}

/// The program's side: candidates in order, and the way to open one.
pub trait Opener: Send + Sync + 'static {
    /// What a broadcast is made for. Relay carries it unread.
    type Key: Clone + Eq + Hash + fmt::Display + Send + Sync + 'static;
    /// Names one stream.
    type StreamId: Copy + Eq + Hash + fmt::Debug + Send + Sync + 'static;
    /// An open one.
    type Upstream: Upstream;

    /// The streams of `key` now, best first. Asked anew at each choice, so that a refresh takes effect in mid-play.
    /// `promised` is what viewers were promised so far: streams that fit it go first.
    fn candidates(&self, key: &Self::Key, promised: Option<&Signature>) -> Vec<Candidate<Self::StreamId>>;

    /// Opens a stream: waits for a slot where the role allows it, connects, and understands what kind of answer it is.
    fn open(
        &self,
        key: &Self::Key,
        stream: Self::StreamId,
        role: Role,
    ) -> impl Future<Output = Result<Self::Upstream, Failure>> + Send + 'static;

    /// Tells how an attempt or a live stream ended. `healthy` is for how long it delivered media.
    fn ended(&self, stream: Self::StreamId, failure: &Failure, healthy: Duration);

    /// Tells that a stream delivers media, and which streams its programme has, as far as they are known.
    fn delivers(&self, stream: Self::StreamId, signature: Option<&Signature>);

    /// Tells which streams the programme of one that delivers has, now that it has shown them.
    fn shows(&self, stream: Self::StreamId, signature: &Signature);

    /// What people call `key`: for the log.
    fn name(&self, key: &Self::Key) -> String {
        key.to_string()
    }

    /// What is shown while no stream of `key` delivers, in the form of what viewers were `promised`; where they were
    /// promised nothing yet, in the form the channel had when it was last seen. `None` where there is none of that form.
    fn slate(&self, key: &Self::Key, message: Message, promised: Option<&Signature>) -> Option<Slate>;
}
