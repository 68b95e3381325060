//! Instructions for each packet under callgrind: a figure that is the same each time, whatever else runs.
//!
//! Beside what is committed it shows a change that costs; what it costs in time, `bench --fanout` says.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::step::{Steps, Summary};
use crate::tools::{cargo, find};

/// What was counted when it was last looked at.
const BASELINE: &str = "crates/relay/benches/instructions.txt";

/// How much more it may be. The compiler is pinned; the C library chooses its copying by the processor.
const MORE_MAX: f64 = 0.10;

/// Packets of the stream and of what each viewer reads of it (`crates/relay/benches/instructions.rs`).
const STREAM_PACKETS: f64 = 4_000_000.0 / 188.0;
const VIEWER_PACKETS: f64 = 3_000_000.0 / 188.0;

/// What is counted: by less to do and by more, which is as many packets more.
struct Counted {
    name: &'static str,
    less: [&'static str; 2],
    more: [&'static str; 2],
    packets: f64,
}

const COUNTED: [Counted; 2] = [
    Counted {
        name: "splice",
        less: ["splice", "1"],
        more: ["splice", "3"],
        packets: 2.0 * STREAM_PACKETS,
    },
    Counted {
        name: "viewer",
        less: ["viewers", "2"],
        more: ["viewers", "34"],
        packets: 32.0 * VIEWER_PACKETS,
    },
];

/// Counts, prints, and compares with the baseline, or writes that where `MAINSTEM_BLESS` is set.
///
/// # Errors
/// A figure is more than the baseline allows, or it cannot be counted.
pub(crate) fn run(steps: &mut Steps) -> Result<()> {
    let valgrind = find("valgrind").context("valgrind is not installed")?;
    let program = build(steps)?;
    let mut figures = Vec::new();
    for counted in &COUNTED {
        let less = count(&valgrind, &program, counted.less)?;
        let more = count(&valgrind, &program, counted.more)?;
        figures.push((counted.name, (more - less) / counted.packets));
    }
    if std::env::var_os("MAINSTEM_BLESS").is_some() {
        let lines = figures
            .iter()
            .map(|(name, figure)| format!("{name} {figure:.2}\n"));
        std::fs::write(BASELINE, lines.collect::<String>())?;
    }
    let baseline = std::fs::read_to_string(BASELINE).context(BASELINE)?;
    let mut worse = Vec::new();
    for (name, figure) in figures {
        let line = baseline.lines().find_map(|line| line.strip_prefix(name));
        let before: f64 = line.context("not in the baseline")?.trim().parse()?;
        println!("instructions per packet, {name}: {figure:.2} (committed: {before:.2})");
        if figure > before * (1.0 + MORE_MAX) {
            worse.push(name);
        }
    }
    if !worse.is_empty() {
        bail!(
            "more than {:.0} % above {BASELINE}: {}. Where that is worth it: MAINSTEM_BLESS=1 cargo xtask bench --instructions",
            MORE_MAX * 100.0,
            worse.join(", ")
        );
    }
    Ok(())
}

/// Builds what is counted; where it is.
fn build(steps: &mut Steps) -> Result<PathBuf> {
    let arguments = [
        "bench",
        "--locked",
        "--package",
        "relay",
        "--bench",
        "instructions",
        "--no-run",
    ];
    steps.run("what is counted", cargo().args(arguments), Summary::None)?;
    let output = cargo()
        .args(arguments)
        .args(["--message-format", "json"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut programs = text
        .lines()
        .filter(|line| line.contains("\"name\":\"instructions\""));
    let path = programs.find_map(|line| line.split("\"executable\":\"").nth(1)?.split('"').next());
    path.map(PathBuf::from)
        .context("cargo does not say what it built")
}

fn count(valgrind: &Path, program: &Path, arguments: [&str; 2]) -> Result<f64> {
    let output = Command::new(valgrind)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(arguments)
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("callgrind: {text}");
    }
    // "==1234== Collected : 567890".
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    let (_, number) = line.context("callgrind counts nothing")?;
    Ok(number.trim().parse()?)
}
