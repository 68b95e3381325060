//! How fast the splice passes a stream on, beside what the machine could do at the best, in one run.
//!
//! Prints a table; nothing passes or fails. `cargo bench -p mpegts`. The figures of two machines are not compared, the
//! ratios may be.
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a measurement prints, and may panic"
)]

mod allocations;
#[path = "../../tests/splice/muxer.rs"]
mod muxer;
mod stream;

use mpegts::{PACKET_BYTES, Packet, Piece, Splicer};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// As much as a read of a socket brings.
const READ_BYTES: usize = 32 * 1024;

/// Pieces stay alive this long, as they do in a ring: what comes out is not written over while it is in the cache.
const RING_BYTES: usize = 16 * 1024 * 1024;

/// Each figure is the best of so many: what else runs takes caches and memory, if not the core.
const TURNS: usize = 5;

/// What is timed goes so often through the stream: the system counts a core's time in steps of milliseconds.
const REPEATS: u32 = 4;

fn main() {
    println!("| what | GB/s of one core | beside two copies | beside a walk | allocations per MB |");
    println!("|---|---|---|---|---|");
    for (what, bytes) in [
        ("H.264, 20 Mbit/s, with AAC", stream::film(64, 20)),
        ("H.264, 3 Mbit/s, with AAC", stream::film(64, 3)),
        ("radio: AAC, 128 kbit/s", stream::radio(64)),
    ] {
        measure(what, &bytes);
    }
}

fn measure(what: &str, bytes: &[u8]) {
    let megabytes = bytes.len() as f64 / 1e6;
    let speed = |took: Duration| megabytes / 1e3 / took.as_secs_f64();
    let mut scratch = [vec![0; bytes.len()], vec![0; bytes.len()]];
    let copies = speed(best(|| copy_twice(bytes, &mut scratch)));
    let walk = speed(best(|| walk(bytes)));
    let mut allocations = 0;
    let splice = speed(best(|| allocations = splice(bytes)));
    println!(
        "| {what} | {splice:.2} | {:.2} | {:.2} | {:.1} |",
        splice / copies,
        splice / walk,
        f64::from(allocations) / (megabytes / 2.0),
    );
}

fn best(mut turn: impl FnMut()) -> Duration {
    (0..TURNS).map(|_| timed(&mut turn)).min().unwrap()
}

fn timed(turn: &mut impl FnMut()) -> Duration {
    let began = processor_time();
    (0..REPEATS).for_each(|_| turn());
    processor_time().saturating_sub(began) / REPEATS
}

/// Time this thread had a core, where the system tells: others may want it, too. Elsewhere time of any kind.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn processor_time() -> Duration {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split(' ').next().and_then(|field| field.parse().ok());
    nanoseconds.map_or_else(|| BEGAN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

/// The least that a splice can do which hands out bytes of its own and reads PES packets whole.
fn copy_twice(bytes: &[u8], [one, two]: &mut [Vec<u8>; 2]) {
    for (at, read) in bytes.chunks(READ_BYTES).enumerate() {
        let here = at * READ_BYTES..at * READ_BYTES + read.len();
        one[here.clone()].copy_from_slice(read);
        two[here.clone()].copy_from_slice(&one[here]);
    }
    black_box(two);
}

/// Looks at the header of every packet and does nothing with it.
fn walk(bytes: &[u8]) {
    let packets = bytes.as_chunks::<PACKET_BYTES>().0.iter().filter_map(Packet::new);
    black_box(
        packets
            .map(|packet| usize::from(packet.pid().value()) + packet.payload().map_or(0, <[u8]>::len))
            .sum::<usize>(),
    );
}

/// Plays the stream; returns how many allocations its second half took.
fn splice(bytes: &[u8]) -> u32 {
    let mut splicer = Splicer::new();
    let mut ring: VecDeque<Piece> = VecDeque::with_capacity(RING_BYTES / PACKET_BYTES);
    let (mut held, mut sent) = (0, 0);
    let mut before = 0;
    for (number, read) in bytes.chunks(READ_BYTES).enumerate() {
        if number == bytes.len() / READ_BYTES / 2 {
            before = allocations::count();
        }
        splicer.push(read);
        while let Some(piece) = splicer.take() {
            held += piece.bytes.len();
            sent += piece.bytes.len();
            ring.push_back(piece);
            while held > RING_BYTES {
                held -= ring.pop_front().map_or(held, |piece| piece.bytes.len());
            }
        }
    }
    assert!(sent > bytes.len() / 10 * 9, "the stream went through");
    allocations::count() - before
}
