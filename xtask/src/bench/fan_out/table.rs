//! What people read: a line for each run, a table for each workload.

use std::time::Duration;

use super::contender::Contender;
use super::run::{Figures, Shape};
use super::workload::Workload;

const HEAD: &str = "\n| who | viewers | CPU s/GB | GB/s | GB per CPU s | switches/s | syscalls/MB | resident MiB \
    | first byte p50/p99 ms | keyframe p50/p99 ms | worst gap ms | > 200 ms | > 1 s | lost | faults | runs |\n\
    |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// One run, as it ends.
pub(super) fn line(contender: &Contender, shape: Shape, figures: &Figures) -> String {
    format!(
        "{}, {}: {:.3} CPU s/GB, {:.3} GB/s, clients' core {:.0} % taken{}",
        contender.name(),
        shape.label(),
        figures.cpu_per_gb,
        figures.gb_per_s,
        figures.client_busy * 100.0,
        if figures.is_void() { ": void" } else { "" }
    )
}

/// The workload's medians, and what is judged by them.
pub(super) fn print(workload: &Workload, found: &[Vec<Figures>]) {
    println!("{HEAD}");
    let medians: Vec<Option<Figures>> = found.iter().map(|found| median(found)).collect();
    for (((contender, shape), found), figures) in workload.cases.iter().zip(found).zip(&medians) {
        let Some(figures) = figures else { continue };
        let void = found.iter().filter(|figures| figures.is_void()).count();
        println!("{}", row(contender, *shape, figures, (found.len(), void)));
    }
    if !workload.judged.is_empty() {
        println!("\n| figure | measured | must | aim |\n|---|---|---|---|");
    }
    for judged in workload.judged {
        if let (Some(of), Some(beside)) = (&medians[judged.of], &medians[judged.beside]) {
            let figure = judged.figure.of(of, beside);
            println!(
                "| {} | {figure} | {} | {} |",
                judged.what, judged.must, judged.aim
            );
        }
    }
}

fn row(contender: &Contender, shape: Shape, figures: &Figures, (runs, void): (usize, usize)) -> String {
    let seen = &figures.seen;
    let syscalls = figures
        .syscalls_per_mb
        .map_or("–".to_owned(), |calls| format!("{calls:.1}"));
    let start = |times: &[f64]| format!("{:.1}/{:.1}", part(times, 0.5) * 1e3, part(times, 0.99) * 1e3);
    let void = if void > 0 {
        format!(", {void} void")
    } else {
        String::new()
    };
    format!(
        "| {} | {} | {:.3} | {:.3} | {:.2} | {:.0} | {syscalls} | {:.1} | {} | {} | {} | {} | {} | {} | {} | {runs}{void} |",
        contender.name(),
        shape.label(),
        figures.cpu_per_gb,
        figures.gb_per_s,
        figures.gb_per_core_s,
        figures.switches_per_s,
        figures.resident / 1024.0,
        start(&seen.first_byte),
        start(&seen.first_keyframe),
        seen.gap_worst.as_millis(),
        seen.gap_viewers,
        seen.long_gap_viewers,
        seen.lost,
        seen.faults,
    )
}

/// Each figure's median of its own, of the runs that count; of all where none does.
fn median(found: &[Figures]) -> Option<Figures> {
    let counting: Vec<&Figures> = found.iter().filter(|figures| !figures.is_void()).collect();
    let found = if counting.is_empty() {
        found.iter().collect()
    } else {
        counting
    };
    let of = |figure: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = found.iter().map(|figures| figure(figures)).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    };
    let count = |figure: fn(&Figures) -> usize| {
        let mut all: Vec<usize> = found.iter().map(|figures| figure(figures)).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied()
    };
    let mut all = found.first().map(|figures| (*figures).clone())?;
    all.cpu_per_gb = of(|figures| figures.cpu_per_gb)?;
    all.gb_per_s = of(|figures| figures.gb_per_s)?;
    all.gb_per_core_s = of(|figures| figures.gb_per_core_s)?;
    all.switches_per_s = of(|figures| figures.switches_per_s)?;
    all.syscalls_per_mb =
        of(|figures| figures.syscalls_per_mb.unwrap_or(f64::NAN)).filter(|calls| !calls.is_nan());
    all.resident = of(|figures| figures.resident)?;
    all.client_busy = of(|figures| figures.client_busy)?;
    let seen = &mut all.seen;
    seen.gap_worst = of(|figures| figures.seen.gap_worst.as_secs_f64()).map(Duration::from_secs_f64)?;
    seen.gap_viewers = count(|figures| figures.seen.gap_viewers)?;
    seen.long_gap_viewers = count(|figures| figures.seen.long_gap_viewers)?;
    // These are all told: one is one too many.
    seen.lost = found.iter().map(|figures| figures.seen.lost).sum();
    seen.faults = found.iter().map(|figures| figures.seen.faults).sum();
    seen.first_byte = found
        .iter()
        .flat_map(|figures| figures.seen.first_byte.clone())
        .collect();
    seen.first_keyframe = found
        .iter()
        .flat_map(|figures| figures.seen.first_keyframe.clone())
        .collect();
    Some(all)
}

/// The value below which so great a part lies; 0 of none.
fn part(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index of a short list"
    )]
    let at = (sorted.len() as f64 * part) as usize;
    sorted
        .get(at.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}
