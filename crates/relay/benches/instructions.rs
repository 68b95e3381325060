//! The byte path as a program to count the instructions of: the splice alone, and a broadcast with viewers.
//!
//! Prints nothing and measures nothing: `cargo xtask bench --instructions` runs it under callgrind, each way with more
//! and with less to do, and compares the difference with what is committed. Time is virtual, so that it does the same
//! each time.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement may panic"
)]

#[path = "../../mpegts/tests/splice/muxer.rs"]
mod muxer;
#[path = "../../mpegts/benches/splice/stream.rs"]
#[expect(dead_code, reason = "one of its streams is enough here")]
mod stream;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mpegts::slate::{Message, Slate};
use mpegts::{Signature, Splicer};
use relay::{Candidate, Claim, Failure, FailureClass, Hub, HubTask, Input, Opener, Role, Timing, Upstream};
use tokio::task::JoinSet;

/// What arrives at once, 50 times a second: 4 Mbit/s.
const ARRIVAL_BYTES: usize = 10_000;
const ARRIVAL_EVERY: Duration = Duration::from_millis(20);

/// Of the stream, megabytes of 10⁶ bytes.
const MEGABYTES: usize = 4;

/// What a viewer reads at most: the stream is not over by then.
const READ_BYTES: usize = 3_000_000;

/// Bytes taken at once.
const TAKEN_MAX: usize = 256 << 10;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[1..] {
        ["splice", turns] => (0..turns.parse().unwrap()).for_each(|_: u32| splice(&film())),
        ["viewers", viewers] => broadcast(viewers.parse().unwrap()),
        // Whatever `cargo bench` or `cargo test` says.
        _ => {}
    }
}

fn film() -> Bytes {
    stream::film(MEGABYTES, 4).into()
}

fn splice(bytes: &[u8]) {
    let mut splicer = Splicer::new();
    splicer.begin_source();
    for arrival in bytes.chunks(ARRIVAL_BYTES) {
        splicer.push(arrival);
        while let Some(piece) = splicer.take() {
            black_box(piece);
        }
    }
}

fn broadcast(viewers: usize) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (hub, task) = HubTask::new(Arc::new(One(film())), Timing::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            task.run().await;
        });
        let mut watching = JoinSet::new();
        for number in 0..viewers {
            watching.spawn(watch(hub.clone()));
            if number == 0 {
                // The usual case: who comes later gets some seconds at once, and can spare the time to gather.
                tokio::time::sleep(Duration::from_millis(2_500)).await;
            }
        }
        while watching.join_next().await.is_some() {}
        hub.close().await;
    });
}

async fn watch(hub: Hub<u8>) {
    let mut viewer = hub.join(1, Claim::default()).await.unwrap();
    viewer.ready().await;
    let (mut pieces, mut read) = (Vec::new(), 0);
    while read < READ_BYTES && viewer.gather(&mut pieces, TAKEN_MAX).await {
        read += pieces.iter().map(Bytes::len).sum::<usize>();
        pieces.clear();
    }
}

/// The one channel, of one stream.
struct One(Bytes);

struct Arrivals {
    bytes: Bytes,
    due: tokio::time::Interval,
}

impl Upstream for Arrivals {
    async fn read(&mut self) -> Result<Input, Failure> {
        self.due.tick().await;
        if self.bytes.is_empty() {
            return Err(Failure::new(FailureClass::Transient, "over"));
        }
        let next = self.bytes.split_to(ARRIVAL_BYTES.min(self.bytes.len()));
        Ok(Input::Bytes(next))
    }

    fn set_watched(&mut self, _: bool) {}

    fn take_over(&mut self) {}
}

impl Opener for One {
    type Key = u8;
    type StreamId = u8;
    type Upstream = Arrivals;

    fn candidates(&self, _: &u8, _: Option<&Signature>) -> Vec<Candidate<u8>> {
        vec![Candidate {
            stream: 1,
            label: "one".into(),
            cooling: false,
            spare: false,
        }]
    }

    fn open(
        &self,
        _: &u8,
        _: u8,
        _: Role,
    ) -> impl Future<Output = Result<Arrivals, Failure>> + Send + 'static {
        let bytes = self.0.clone();
        async move {
            let due = tokio::time::interval(ARRIVAL_EVERY);
            Ok(Arrivals { bytes, due })
        }
    }

    fn ended(&self, _: u8, _: &Failure, _: Duration) {}

    fn delivers(&self, _: u8, _: Option<&Signature>) {}

    fn shows(&self, _: u8, _: &Signature) {}

    fn slate(&self, _: &u8, _: Message, _: Option<&Signature>) -> Option<Slate> {
        None
    }
}
