//! End to end: the built program, started as a newcomer starts it, watched by real players.
//!
//! "It plays" means here that a player decoded pictures which change, one after the other without a gap, across the
//! points where the test card loops. A program that is not installed skips its test with a line that says so;
//! `cargo xtask test` installs it, and then nothing is skipped.
#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod browser;
mod card;
mod edge;
mod failover;
mod hls;
mod packaging;
mod picture;
mod player;
/// The strict reader of playlists of the other tests.
#[path = "../crates/mainstem/tests/support/playlist.rs"]
mod playlist;
mod program;
mod server;
mod sounds;
mod strict_reader;
/// The reader of the other tests; see `crates/mainstem/tests/reader.rs`.
#[path = "../crates/mainstem/tests/support/ts/mod.rs"]
mod ts;
