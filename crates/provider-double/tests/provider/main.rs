//! The double itself, tested by a plain client and by ffmpeg.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on has failed, and a skipped one says so"
)]

mod client;
mod faults;
mod limits;
mod lists;
mod media;
