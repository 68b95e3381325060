//! The project's own chores: `cargo xtask test`, `cargo xtask bench`.
//!
//! Here: which programs run, in which order, with which tools. Not here: what is tested; that is in the crates' own
//! tests and in `e2e/`.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a program for a person at a terminal"
)]

mod bench;
mod step;
mod test;
mod tools;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask test [--full]         every test; --full runs the long forms
cargo xtask bench                 figures beside nginx, of long lists, of idling, of the splice
cargo xtask bench --program FILE  the same of a program built earlier
cargo xtask bench --lists [FILE]  only the long lists
cargo xtask bench --fanout …      only many viewers; --fanout help says what can be chosen
cargo xtask bench --instructions  instructions for each packet under callgrind, beside what is committed
cargo xtask bench --hls [FILE]    only HLS
cargo xtask bench --build         how long the release build takes from clean
cargo xtask flamegraph [--channels N] [--program FILE]
                                  where the time goes with 1,000 viewers of a channel, or 4 each of N";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["test"] => test::run(test::Form::Short),
        ["test", "--full"] => test::run(test::Form::Full),
        ["bench"] => bench::run(None),
        ["bench", "--program", program] => bench::run(Some(Path::new(program))),
        ["bench", "--lists"] => bench::run_lists(None),
        ["bench", "--lists", program] => bench::run_lists(Some(Path::new(program))),
        ["bench", "--fanout", rest @ ..] => bench::run_fan_out(&bench::Options::read(rest)?),
        ["flamegraph", "--channels", channels, rest @ ..] => {
            bench::run_flamegraph(&bench::Options::read(rest)?, channels.parse()?)
        }
        ["flamegraph", rest @ ..] => bench::run_flamegraph(&bench::Options::read(rest)?, 1),
        // What is measured beside mainstem, as a process of its own.
        ["bench", "--bare", mode, upstream, channels] => bench::run_bare(mode, upstream, channels),
        ["bench", "--instructions"] => bench::run_instructions(&mut step::Steps::default()),
        ["bench", "--hls"] => bench::run_hls(None),
        ["bench", "--hls", program] => bench::run_hls(Some(Path::new(program))),
        ["bench", "--build"] => bench::run_build(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        [] => bail!("what is to be done?\n{USAGE}"),
        _ => bail!("unknown: {}\n{USAGE}", words.join(" ")),
    }
}
