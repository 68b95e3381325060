//! `cargo xtask test`: everything that is tested, by one command.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::bench::run_instructions;
use crate::step::{Steps, Summary};
use crate::tools::{cargo, provide, provide_nextest, provide_web};

/// How long the short form may take once everything is built.
const BUDGET: Duration = Duration::from_secs(900);

const UNITS: &str = "unit and integration";
const DOCUMENTATION: &str = "documentation";
const PLAYERS: &str = "end to end";

/// The tests with real players are one binary.
const IS_PLAYERS: &str = "binary(e2e)";

/// How much is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What runs with every change.
    Short,
    /// The long forms: players watch for more than a minute each.
    Full,
}

/// Runs every test.
///
/// # Errors
/// A tool is missing, something does not build, a test fails, or the short form took longer than its budget.
pub(crate) fn run(form: Form) -> Result<()> {
    let mut steps = Steps::default();
    provide(&mut steps)?;
    provide_web(&mut steps)?;
    provide_nextest(&mut steps)?;
    steps.run(
        "build",
        cargo().args(["nextest", "run", "--workspace", "--locked", "--no-run"]),
        Summary::None,
    )?;
    let others = format!("not {IS_PLAYERS}");
    steps.run(UNITS, &mut nextest(form, &others), Summary::Errors(is_summary))?;
    steps.run(
        DOCUMENTATION,
        cargo().args(["test", "--workspace", "--locked", "--doc"]),
        Summary::Output(is_result),
    )?;
    // The same each time, whatever else runs: some seconds, and the build of what is counted.
    run_instructions(&mut steps)?;
    // Alone: a player that is late because others compute has found nothing. Beside each other, for half a minute
    // each: they wait for the clock.
    let mut players = nextest(form, IS_PLAYERS);
    players.args(["--test-threads", "4"]);
    steps.run(PLAYERS, &mut players, Summary::Errors(is_summary))?;
    steps.print();
    for name in [UNITS, DOCUMENTATION, PLAYERS] {
        if !steps.summed_up(name) {
            bail!("{name}: the runner does not say how many tests ran");
        }
    }
    let took = steps.took(&[UNITS, DOCUMENTATION, PLAYERS]);
    if form == Form::Short && took > BUDGET {
        bail!(
            "the tests took {} s, and may take {} s",
            took.as_secs(),
            BUDGET.as_secs()
        );
    }
    Ok(())
}

/// The last line of cargo-nextest.
fn is_summary(line: &str) -> bool {
    line.contains("Summary [")
}

/// rustdoc sums up each crate; most have no example to run.
fn is_result(line: &str) -> bool {
    line.starts_with("test result:") && !line.contains("ok. 0 passed; 0 failed")
}

fn nextest(form: Form, filter: &str) -> Command {
    let mut command = cargo();
    command.args(["nextest", "run", "--workspace", "--locked", "-E", filter]);
    // A test whose program is missing fails; run by hand, it says so and passes.
    command.env("MAINSTEM_REQUIRE_TOOLS", "1");
    if form == Form::Full {
        command.args(["--profile", "full"]).env("MAINSTEM_TEST_FULL", "1");
    }
    command
}
