//! `cargo xtask flamegraph`: where the processor time goes while many watch.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};

use super::clip::Rate;
use super::contender::{Contender, Programs};
use super::run::{Shape, watching};
use crate::step::Steps;
use crate::tools::find;

/// How long is looked.
const SECONDS: &str = "8";

/// Looks so often a second: a prime, so that nothing that is regular hides from it.
const HERTZ: &str = "997";

/// Lines of the summary.
const LINES: usize = 40;

/// Records mainstem with `shape` watching; prints the costliest functions, and draws a flame graph where inferno is.
pub(super) fn profile(shape: Shape, programs: &Programs, folder: &Path, steps: &mut Steps) -> Result<()> {
    let perf = find("perf").context("perf is not installed (Debian: linux-perf)")?;
    let clip = Arc::new(shape.rate.clip(folder, steps)?);
    let (started, clients) = watching(&Contender::Mainstem, shape, (programs, clip))?;
    let data = folder.join("perf.data");
    let recorded = Command::new(&perf)
        .args(["record", "--quiet", "--call-graph", "fp", "-F", HERTZ, "-p"])
        .arg(started.process.to_string())
        .arg("-o")
        .arg(&data)
        .args(["--", "sleep", SECONDS])
        .stdin(Stdio::null())
        .status()?;
    drop(clients.end()?);
    if !recorded.success() {
        bail!("perf may not record here; see kernel.perf_event_paranoid");
    }
    let report = Command::new(&perf)
        .args([
            "report",
            "--stdio",
            "--no-children",
            "-g",
            "none",
            "--percent-limit",
            "0.5",
            "-i",
        ])
        .arg(&data)
        .stdin(Stdio::null())
        .output()?;
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    let lines = report
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.take(LINES).for_each(|line| println!("{line}"));
    draw(&perf, &data, folder)
}

fn draw(perf: &Path, data: &Path, folder: &Path) -> Result<()> {
    let picture = folder.join("flamegraph.svg");
    let (Some(collapse), Some(flamegraph)) = (find("inferno-collapse-perf"), find("inferno-flamegraph"))
    else {
        println!(
            "\nno flame graph: `cargo install inferno`, then\n  perf script -i {} | inferno-collapse-perf | inferno-flamegraph > {}",
            data.display(),
            picture.display()
        );
        return Ok(());
    };
    let mut script = Command::new(perf)
        .args(["script", "-i"])
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()?;
    let stacks = script.stdout.take().context("no output")?;
    let mut collapse = Command::new(collapse)
        .stdin(stacks)
        .stdout(Stdio::piped())
        .spawn()?;
    let stacks = collapse.stdout.take().context("no output")?;
    let drawn = Command::new(flamegraph)
        .stdin(stacks)
        .stdout(File::create(&picture)?)
        .status()?;
    if !script.wait()?.success() || !collapse.wait()?.success() || !drawn.success() {
        bail!("the flame graph could not be drawn");
    }
    println!("\n{}", picture.display());
    Ok(())
}

/// What is looked at: a thousand viewers of one channel, or as many channels as is asked.
pub(super) fn shape(channels: usize) -> Shape {
    match channels {
        1 => Shape::new(1, 1_000, Rate::Usual),
        channels => Shape::new(channels, 4, Rate::Usual),
    }
}
