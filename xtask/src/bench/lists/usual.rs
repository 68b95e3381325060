//! Lists as most people have them: from the start to a served playlist, and the memory that takes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::super::Row;
use super::super::process::{mib, resident, resident_peak};
use super::super::server::Mainstem;
use super::super::upstream;

/// A large provider's list.
const LONG: u32 = 100_000;

/// What many have, and what must be small while nobody watches.
const USUAL: u32 = 10_000;

/// When a server is taken to be idle.
const IDLE_AFTER: Duration = Duration::from_secs(10);

/// What idle may take with [`USUAL`] channels.
const IDLE_MAX: &str = "promised: ≤ 40 MiB";

/// Measures both lists.
pub(in crate::bench) fn measure(program: &Path, folder: &Path) -> Result<Vec<Row>> {
    let (long, took) = start(program, folder, LONG)?;
    let process = long.running.id();
    let (peak, after) = (resident_peak(process)?, resident(process)?);
    let mut rows = vec![
        Row::new(
            format!("M3U of {LONG} entries: start to playlist served"),
            format!("{:.2} s", took.as_secs_f64()),
            "list fetched over HTTP, playlist read to its end",
        ),
        Row::new(
            format!("M3U of {LONG} entries: peak resident memory"),
            mib(peak),
            format!("{} right after", mib(after)),
        ),
    ];
    drop(long);
    let (usual, _) = start(program, folder, USUAL)?;
    println!("mainstem: idle for {IDLE_AFTER:?}");
    std::thread::sleep(IDLE_AFTER);
    let process = usual.running.id();
    rows.push(Row::new(
        format!("{USUAL} channels, playlist served once, idle: resident memory"),
        mib(resident(process)?),
        format!("{IDLE_MAX}; peak {}", mib(resident_peak(process)?)),
    ));
    Ok(rows)
}

fn start(program: &Path, folder: &Path, entries: u32) -> Result<(Mainstem, Duration)> {
    let upstream = upstream::start(upstream::Content {
        clip: Vec::new(),
        plays: Duration::from_secs(1),
        entries,
        pages: Vec::new(),
    })?;
    println!("mainstem: starts with {entries} entries");
    let server = Mainstem::start(program, folder, &format!("http://127.0.0.1:{upstream}/list.m3u"))?;
    let list = server.playlist()?;
    let took = server.started.elapsed();
    let served = list.lines().filter(|line| line.starts_with("#EXTINF")).count();
    if served != entries as usize {
        bail!("{served} of {entries} entries are in the playlist");
    }
    Ok((server, took))
}
