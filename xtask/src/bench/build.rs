//! What a newcomer waits for: the build, and how many crates are in it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::Row;
use crate::tools::cargo;

/// The crates that the program is made of.
pub(super) fn crates() -> Result<Row> {
    let mut tree = cargo();
    tree.args(["tree", "--locked", "--package", "mainstem", "--edges", "normal"]);
    tree.args(["--prefix", "none", "--no-dedupe", "--format", "{p}"]);
    let output = tree.output()?;
    if !output.status.success() {
        bail!("cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8(output.stdout)?;
    let crates: BTreeSet<&str> = text.lines().collect();
    let ours = crates.iter().filter(|line| line.contains("(/")).count();
    Ok(Row::new(
        "crates in the program",
        crates.len().to_string(),
        format!("{ours} of them ours"),
    ))
}

/// `cargo build --release` from nothing but downloaded sources.
pub(super) fn clean() -> Result<Row> {
    let target = Path::new("target/bench/clean");
    if target.exists() {
        std::fs::remove_dir_all(target)?;
    }
    let fetched = cargo().args(["fetch", "--locked"]).status()?;
    let began = Instant::now();
    let mut build = cargo();
    build
        .args(["build", "--release", "--locked"])
        .env("CARGO_TARGET_DIR", target);
    let built = build.status()?;
    if !fetched.success() || !built.success() {
        bail!("the release build fails");
    }
    let took = began.elapsed().as_secs();
    let size = target
        .join("release/mainstem")
        .metadata()
        .context("no program")?
        .len();
    let cores = std::thread::available_parallelism()?;
    Ok(Row::new(
        format!("cargo build --release from clean, {cores} cores"),
        format!("{took} s"),
        format!("{} KiB", size / 1024),
    ))
}
