//! One stream to many viewers: what it takes, beside other servers and beside the limit that the kernel sets.
//!
//! Figures of one run on one machine are compared, interleaved (A B A B), by their median. Nothing here passes or fails
//! by itself; the musts stand beside the figures.

mod bare;
mod check;
mod clients;
mod clip;
mod contender;
mod cores;
mod feed;
mod load;
mod profile;
mod run;
mod syscalls;
mod table;
mod workload;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use rustix::process::{Resource, getrlimit, setrlimit};

pub(crate) use bare::run as run_bare;
pub(super) use clip::{CLIP, clip};
pub(super) use contender::wait_for;

use crate::step::Steps;
use crate::tools::provide_if_possible;
use clip::{Clip, Rate};
use contender::Programs;
use cores::Cores;
use run::Figures;
use syscalls::Counter;
use workload::{WORKLOADS, Workload};

/// Rounds of a measurement, and of a quick one.
const ROUNDS: usize = 5;
const QUICK_ROUNDS: usize = 1;

/// What is asked of the rig.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// One round instead of five.
    pub(crate) quick: bool,
    /// The program to measure; else what is built here.
    pub(crate) program: Option<PathBuf>,
    /// Another build of it, measured in turn with it.
    pub(crate) beside: Option<PathBuf>,
    /// Workloads by name; all where none is named.
    pub(crate) workloads: Vec<String>,
}

impl Options {
    /// Reads the words behind `--fanout`.
    ///
    /// # Errors
    /// A word that means nothing.
    pub(crate) fn read(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(&word) = words.next() {
            let mut file = || words.next().map(PathBuf::from);
            match word {
                "--quick" => options.quick = true,
                "--program" => options.program = file(),
                "--beside" => options.beside = file(),
                name if WORKLOADS.iter().any(|workload| workload.name == name) => {
                    options.workloads.push(name.to_owned());
                }
                _ => bail!("unknown: {word}\n{}", workload::usage()),
            }
        }
        Ok(options)
    }
}

/// Profiles mainstem with a thousand viewers of one channel, or four each of several.
pub(super) fn profile(program: &Path, channels: usize, folder: &Path, steps: &mut Steps) -> Result<()> {
    let programs = prepare(&Options::default(), program, folder)?;
    profile::profile(profile::shape(channels), &programs, folder, steps)
}

fn prepare(options: &Options, program: &Path, folder: &Path) -> Result<Programs> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let beside = options.beside.as_ref().map(|beside| beside.canonicalize());
    Ok(Programs {
        mainstem: program.to_owned(),
        beside: beside.transpose()?,
        folder: folder.to_owned(),
        heavy_clip: Rate::Heavy.path(folder),
        cores: Cores::share()?,
    })
}

/// Measures and prints a table for each workload.
pub(super) fn measure(options: &Options, program: &Path, folder: &Path, steps: &mut Steps) -> Result<()> {
    provide_if_possible("icecast2", &["icecast2"], steps);
    let programs = prepare(options, program, folder)?;
    let (cores, counter) = (programs.cores, Counter::find());
    println!(
        "server on core {}, clients on {}, upstream on {}; system calls: {}",
        cores.server,
        cores.clients,
        cores.upstream,
        counter.shown()
    );
    let rounds = if options.quick { QUICK_ROUNDS } else { ROUNDS };
    let wanted = |workload: &&Workload| {
        options.workloads.is_empty() || options.workloads.iter().any(|name| *name == workload.name)
    };
    for workload in WORKLOADS.iter().filter(wanted) {
        let mut clips = Clips {
            folder,
            steps,
            made: HashMap::new(),
        };
        let found = interleave(workload, rounds, (&programs, counter), &mut clips)?;
        table::print(workload, &found);
    }
    Ok(())
}

/// Clips are read when they are needed: the heavy one is some hundred megabytes.
struct Clips<'a> {
    folder: &'a Path,
    steps: &'a mut Steps,
    made: HashMap<Rate, Arc<Clip>>,
}

impl Clips<'_> {
    fn of(&mut self, rate: Rate) -> Result<Arc<Clip>> {
        if let Some(clip) = self.made.get(&rate) {
            return Ok(Arc::clone(clip));
        }
        let clip = Arc::new(rate.clip(self.folder, self.steps)?);
        self.made.insert(rate, Arc::clone(&clip));
        Ok(clip)
    }
}

/// Each case once, then each again; for each case the rounds' figures. A case that cannot take part has none.
fn interleave(
    workload: &Workload,
    rounds: usize,
    (programs, counter): (&Programs, Counter),
    clips: &mut Clips<'_>,
) -> Result<Vec<Vec<Figures>>> {
    println!("\n{}: {}", workload.name, workload.what);
    let mut found = vec![Vec::new(); workload.cases.len()];
    for round in 1..=rounds {
        for ((contender, shape), found) in workload.cases.iter().zip(&mut found) {
            if let Some(reason) = contender.missing(programs) {
                if round == 1 {
                    println!("{} is left out: {reason}", contender.name());
                }
                continue;
            }
            let clip = clips.of(shape.rate)?;
            match run::run(contender, *shape, (programs, clip, counter)) {
                Ok(figures) => {
                    println!("  {round} {}", table::line(contender, *shape, &figures));
                    found.push(figures);
                }
                Err(error) => println!("  {round} {} failed: {error:#}", contender.name()),
            }
        }
    }
    Ok(found)
}
