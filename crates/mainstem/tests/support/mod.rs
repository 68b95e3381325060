//! Black-box tests: the real binary in its own process, a client that can misbehave, and what a player would check.
//!
//! `process` runs mainstem, `http` asks it, `ts` reads transport streams with code of its own, `decode` asks ffmpeg.
//! Nothing here knows how mainstem works inside.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "each test file uses a part of it; a surprise ends the test"
)]

pub(crate) mod decode;
pub(crate) mod hls;
pub(crate) mod http;
pub(crate) mod origin;
pub(crate) mod playlist;
pub(crate) mod process;
pub(crate) mod scene;
pub(crate) mod ts;

pub(crate) use self::http::{Answer, Raw, Viewer, get, get_json, request};
pub(crate) use self::process::{Launch, Mainstem};

use std::time::Duration;

use tokio::task::JoinSet;

/// Longest wait for anything that has to happen: generous, because two cores may be shared by many tests.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Pause between two looks at something that cannot ring a bell: another process.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whether the long forms were asked for.
pub(crate) fn full() -> bool {
    std::env::var_os("MAINSTEM_TEST_FULL").is_some()
}

/// Looks until `look` gives something.
///
/// # Panics
/// It does not within [`SOON`].
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl FnMut() -> F) -> T {
    within(SOON, what, look).await
}

/// Looks until `look` gives something, for so long at most.
///
/// # Panics
/// It does not.
pub(crate) async fn within<T, F: Future<Output = Option<T>>>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(limit, looking)
        .await
        .unwrap_or_else(|_| panic!("not within {limit:?}: {what}"))
}

/// Runs one check per channel, all at once, and reports every channel that failed.
pub(crate) async fn all_at_once<F: Future<Output = ()> + Send + 'static>(
    checks: impl Iterator<Item = (String, F)>,
) {
    let mut names = std::collections::HashMap::new();
    let mut running = JoinSet::new();
    for (name, check) in checks {
        names.insert(running.spawn(check).id(), name);
    }
    let mut failed = Vec::new();
    while let Some(ended) = running.join_next_with_id().await {
        if let Err(error) = ended {
            failed.push(names[&error.id()].clone());
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}
