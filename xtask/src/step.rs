//! Running one program after another, with what each took and what it said in sum.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The steps of one chore so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<Done>,
}

#[derive(Debug)]
struct Done {
    name: &'static str,
    took: Duration,
    said: Vec<String>,
}

/// Where a program writes the lines that sum it up, and how to know them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Summary {
    /// It writes none.
    None,
    /// Lines of its standard error for which this holds.
    Errors(fn(&str) -> bool),
    /// Lines of its standard output for which this holds.
    Output(fn(&str) -> bool),
}

impl Steps {
    /// Runs `command` to its end, showing all it writes; no standard input.
    ///
    /// # Errors
    /// It cannot be started, or does not end with 0.
    pub(crate) fn run(&mut self, name: &'static str, command: &mut Command, summary: Summary) -> Result<()> {
        let line = shown(command);
        println!("\n--- {name}: {line}");
        let began = Instant::now();
        let (status, said) = watch(command, summary).with_context(|| format!("{line} cannot be run"))?;
        self.done.push(Done {
            name,
            took: began.elapsed(),
            said,
        });
        if !status.success() {
            self.print();
            bail!("{name} failed ({status}): {line}");
        }
        Ok(())
    }

    /// How long the steps with these names took together.
    pub(crate) fn took(&self, names: &[&str]) -> Duration {
        let named = self.done.iter().filter(|done| names.contains(&done.name));
        named.map(|done| done.took).sum()
    }

    /// Whether a step's summary says anything: one that says nothing ran nothing.
    pub(crate) fn summed_up(&self, name: &str) -> bool {
        let mut named = self.done.iter().filter(|done| done.name == name);
        named.any(|done| !done.said.is_empty())
    }

    /// Prints every step, how long it took and what it said in sum.
    pub(crate) fn print(&self) {
        println!();
        for done in &self.done {
            println!("{:>6.1} s  {}", done.took.as_secs_f64(), done.name);
        }
        for done in &self.done {
            for line in &done.said {
                println!("{}: {}", done.name, line.trim());
            }
        }
    }
}

fn watch(command: &mut Command, summary: Summary) -> Result<(std::process::ExitStatus, Vec<String>)> {
    command.stdin(Stdio::null());
    let mut said = Vec::new();
    let mut child = match summary {
        Summary::None => command.spawn()?,
        Summary::Errors(_) => command.stderr(Stdio::piped()).spawn()?,
        Summary::Output(_) => command.stdout(Stdio::piped()).spawn()?,
    };
    match summary {
        Summary::None => {}
        Summary::Errors(counts) => {
            let stderr = child.stderr.take().context("no standard error")?;
            for line in BufReader::new(stderr).split(b'\n') {
                let line = String::from_utf8_lossy(&line?).into_owned();
                eprintln!("{line}");
                said.extend(Some(line).filter(|line| counts(line)));
            }
        }
        Summary::Output(counts) => {
            let stdout = child.stdout.take().context("no standard output")?;
            for line in BufReader::new(stdout).split(b'\n') {
                let line = String::from_utf8_lossy(&line?).into_owned();
                println!("{line}");
                said.extend(Some(line).filter(|line| counts(line)));
            }
        }
    }
    Ok((child.wait()?, said))
}

/// The command as a person would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
