//! The splice, held to its promises with real recordings and the judgement of real players.
#![expect(clippy::print_stderr, reason = "a skipped test says so")]
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may panic"
)]

mod entries;
mod fixtures;
mod formats;
mod holes;
mod hostile;
mod loops;
mod made;
mod muxer;
mod reset;
#[path = "../../../../fuzz/checks/rules.rs"]
mod rules;
mod schedules;
mod sources;
