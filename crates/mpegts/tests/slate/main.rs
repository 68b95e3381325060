//! The slate and its silence, held to their promises by ffmpeg and by a reader of their own.
#![expect(clippy::print_stderr, reason = "a skipped test says so")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may panic"
)]

#[path = "../splice/fixtures.rs"]
#[expect(dead_code, reason = "the splice's tests need more of it")]
mod fixtures;
mod promised;
mod silence;
