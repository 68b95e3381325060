//! Viewers that read and throw away, each in a thread of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Bytes one read takes at most.
const PIECE: usize = 64 * 1024;

/// Longest time without a byte before a viewer leaves.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A crowd that watches one address; it leaves when dropped.
pub(super) struct Crowd {
    seen: Vec<Arc<AtomicU64>>,
    leave: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// `viewers` that read `path` at `port`.
    pub(super) fn join(viewers: usize, port: u16, path: &str) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let seen: Vec<_> = (0..viewers).map(|_| Arc::new(AtomicU64::new(0))).collect();
        let threads = seen.iter().map(|seen| {
            let (seen, leave, path) = (Arc::clone(seen), Arc::clone(&leave), path.to_owned());
            std::thread::spawn(move || {
                if let Err(error) = watch(port, &path, &seen, &leave) {
                    eprintln!("a viewer leaves early: {error}");
                }
            })
        });
        let threads = threads.collect();
        Self { seen, leave, threads }
    }

    /// Waits until each has read `bytes`.
    pub(super) fn settle(&self, bytes: u64, within: Duration) -> Result<()> {
        let began = Instant::now();
        while self.seen.iter().any(|seen| seen.load(Ordering::Relaxed) < bytes) {
            if began.elapsed() > within {
                bail!("after {within:?} not every viewer has {bytes} bytes");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A viewer that panicked has said so.
            thread.join().unwrap_or_default();
        }
    }
}

fn watch(port: u16, path: &str, seen: &AtomicU64, leave: &AtomicBool) -> std::io::Result<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\n\r\n"
    )?;
    let mut piece = vec![0; PIECE];
    while !leave.load(Ordering::Relaxed) {
        match socket.read(&mut piece)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => seen.fetch_add(read as u64, Ordering::Relaxed),
        };
    }
    Ok(())
}
