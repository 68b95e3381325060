//! The mainstem binary. Everything it does is in the library, where tests can reach it.

use std::process::ExitCode;

use clap::Parser as _;
use mainstem::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
