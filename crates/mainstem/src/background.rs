//! Work that takes long: on threads of their own that give way to the streams, so that a refresh costs no viewer a gap.
//!
//! The runtime's pool of blocking threads is for short waits; a thread whose priority is lowered does not get it back.

use std::io;

use rustix::process::nice;
use tokio::sync::oneshot;

/// How far such a thread stands back (setpriority(2)): a ninth of the weight of a thread that serves.
const NICE: i32 = 10;

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The system gives no thread.
    #[error("the system gives no thread: {0}")]
    NoThread(io::Error),
    /// The work ended in a panic, which is a fault of ours.
    #[error("a fault in mainstem ended the work")]
    Fault,
}

/// Does `work` and gives its outcome. Where nobody waits for that any more, the work goes on to its end.
///
/// # Errors
/// [`Failed`].
pub(crate) async fn run<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failed> {
    let (done, outcome) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // On Linux a thread has a priority of its own. Where it cannot be lowered, the work is done all the same.
            nice(NICE).map(drop).unwrap_or_default();
            // Whoever went away needs no outcome.
            drop(done.send(work()));
        })
        .map_err(Failed::NoThread)?;
    outcome.await.map_err(|_| Failed::Fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_outcome_comes_back_and_a_panic_is_told() {
        assert_eq!(run("sum", || 1 + 1).await.unwrap(), 2);
        let fault = run("fault", || panic!("as a test wants")).await;
        assert!(matches!(fault, Err::<(), _>(Failed::Fault)));
        #[cfg(target_os = "linux")]
        {
            let lowered = run("nice", || nice(0).unwrap()).await.unwrap();
            // 19 is the kernel's end of the scale: whoever runs the tests may be nice already.
            assert_eq!(lowered, (nice(0).unwrap() + NICE).min(19), "and only there");
        }
    }
}
