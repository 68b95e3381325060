//! `cargo xtask bench`: what mainstem takes for what it gives, as ratios of one run on one machine.
//!
//! Not a test: nothing here passes or fails, and figures of two machines are not compared.

mod build;
mod fan_out;
mod hls;
mod instructions;
mod lists;
mod load;
mod nginx;
mod process;
mod server;
mod upstream;

use std::path::{Path, PathBuf};

use anyhow::Result;

pub(crate) use fan_out::{Options, run_bare};
pub(crate) use instructions::run as run_instructions;

use crate::step::{Steps, Summary};
use crate::tools::{cargo, provide};

/// One line of the table: what, how much, beside what.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    figure: String,
    beside: String,
}

impl Row {
    fn new(what: impl Into<String>, figure: impl Into<String>, beside: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            figure: figure.into(),
            beside: beside.into(),
        }
    }
}

/// Measures `program`, or what is built here, and prints a table in Markdown.
///
/// # Errors
/// Something does not build, start or answer.
pub(crate) fn run(program: Option<&Path>) -> Result<()> {
    let mut steps = Steps::default();
    let (program, folder) = prepare(program, &mut steps)?;
    fan_out::measure(&Options::default(), &program, &folder, &mut steps)?;
    let mut rows = hls::measure(&program, &folder, &mut steps)?;
    rows.extend(lists::usual(&program, &folder)?);
    lists::long(&program, &folder, &mut steps)?;
    rows.push(build::crates()?);
    print(&rows);
    let mut splice = cargo();
    splice.args(["bench", "--locked", "--package", "mpegts", "--bench", "splice"]);
    steps.run("splice", &mut splice, Summary::None)
}

/// Measures only what many viewers take.
///
/// # Errors
/// Something does not build, start or answer.
pub(crate) fn run_fan_out(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    let (program, folder) = prepare(options.program.as_deref(), &mut steps)?;
    fan_out::measure(options, &program, &folder, &mut steps)
}

/// Shows where mainstem's processor time goes: with a thousand viewers of one channel, or four each of several.
///
/// # Errors
/// Something does not build or start, or perf may not look.
pub(crate) fn run_flamegraph(options: &Options, channels: usize) -> Result<()> {
    let mut steps = Steps::default();
    let (program, folder) = prepare(options.program.as_deref(), &mut steps)?;
    fan_out::profile(&program, channels, &folder, &mut steps)
}

/// Measures only HLS.
///
/// # Errors
/// Something does not build, start or answer.
pub(crate) fn run_hls(program: Option<&Path>) -> Result<()> {
    let mut steps = Steps::default();
    let (program, folder) = prepare(program, &mut steps)?;
    print(&hls::measure(&program, &folder, &mut steps)?);
    Ok(())
}

/// Measures only the longest lists.
///
/// # Errors
/// Something does not build, start or answer.
pub(crate) fn run_lists(program: Option<&Path>) -> Result<()> {
    let mut steps = Steps::default();
    let (program, folder) = prepare(program, &mut steps)?;
    lists::long(&program, &folder, &mut steps)
}

/// The program to measure, and the folder for what is measured with.
fn prepare(program: Option<&Path>, steps: &mut Steps) -> Result<(PathBuf, PathBuf)> {
    provide(steps)?;
    let program = match program {
        Some(program) => program.canonicalize()?,
        None => build(steps)?,
    };
    let folder = Path::new("target/bench");
    std::fs::create_dir_all(folder)?;
    Ok((program, folder.canonicalize()?))
}

fn build(steps: &mut Steps) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "--package", "mainstem"]);
    steps.run("release build", &mut build, Summary::None)?;
    Ok(Path::new("target/release/mainstem").canonicalize()?)
}

/// Builds anew what a newcomer builds, and prints how long it took.
///
/// # Errors
/// It does not build.
pub(crate) fn run_build() -> Result<()> {
    print(&[build::clean()?, build::crates()?]);
    Ok(())
}

fn print(rows: &[Row]) {
    println!("\n| what | figure | beside |\n|---|---|---|");
    for Row { what, figure, beside } in rows {
        println!("| {what} | {figure} | {beside} |");
    }
}
