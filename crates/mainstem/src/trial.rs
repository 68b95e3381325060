//! `mainstem rules try`: what the rules of a configuration do to lists, as text.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use catalog::preview::{Group, Report, preview};
use catalog::{Listing, SourceName, SourceRules};

use crate::app;
use crate::cli::environment;
use crate::config::{Config, data_dir};
use crate::library::remembered;
use crate::source;
use crate::store::Store;

/// What the rules of `config` do to `lists`, each `FILE` or `SOURCE=FILE`; without any, to the lists that are kept of
/// its sources. `entry` asks why entries are where they are. Ids and numbers that are kept are looked at, and stay.
///
/// # Errors
/// In words: what of it could not be read, or that there is no list.
pub fn report(config: &Config, lists: &[String], entry: Option<&str>) -> Result<Report, String> {
    let store = stored(config);
    let rules = app::rules(config);
    let listings = if lists.is_empty() {
        kept(&rules.sources, &store)?
    } else {
        let bounds = (
            config.limits.list_entries as usize,
            config.limits.list_bytes as u64,
        );
        given(&rules.sources, lists, bounds)?
    };
    if listings.is_empty() {
        return Err(
            "there is no list yet: start mainstem once with this configuration, or name an M3U with --list FILE"
                .to_owned(),
        );
    }
    let borrowed: Vec<(SourceRules, &Listing)> = listings
        .iter()
        .map(|(rules, listing)| (rules.clone(), &**listing))
        .collect();
    let mut memory = remembered(&store);
    let (_, report) = preview(&borrowed, &rules.filters, &rules.channels, &mut memory, entry);
    Ok(report)
}

type Listings = Vec<(SourceRules, Arc<Listing>)>;

fn stored(config: &Config) -> Store {
    let folder = data_dir::resolve(config, &environment);
    folder.map_or_else(Store::nowhere, Store::at)
}

fn kept(sources: &[SourceRules], store: &Store) -> Result<Listings, String> {
    let mut listings = Vec::new();
    for rules in sources {
        match store.load_listing(&rules.name) {
            Ok(Some(listing)) => listings.push((rules.clone(), Arc::new(listing))),
            Ok(None) => {}
            Err(error) => {
                return Err(format!(
                    "the list kept of {:?} cannot be read: {error}",
                    rules.name.as_str()
                ));
            }
        }
    }
    Ok(listings)
}

fn given(sources: &[SourceRules], lists: &[String], bounds: (usize, u64)) -> Result<Listings, String> {
    let mut listings = Vec::new();
    for (order, list) in (0..).zip(lists) {
        let (name, path) = match list.split_once('=') {
            Some((name, path)) if sources.iter().any(|source| source.name.as_str() == name) => (name, path),
            _ => (list.as_str(), list.as_str()),
        };
        let name = SourceName::new(name);
        let known = sources.iter().find(|source| source.name == name);
        let rules = known.cloned().unwrap_or_else(|| SourceRules {
            name: name.clone(),
            prefix: "".into(),
            suffix: "".into(),
            order,
        });
        let listing = source::read_file(&name, Path::new(path), bounds)
            .map_err(|error| format!("{path} cannot be used: {error}"))?;
        listings.push((rules, Arc::new(listing)));
    }
    Ok(listings)
}

/// The report for a person.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    _ = write_text(&mut out, report);
    out
}

fn write_text(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "{} entries, {} streams, {} channels, {} hidden",
        report.entries, report.streams, report.channels, report.hidden
    )?;
    if report.separators.count > 0 {
        group(out, "headings left out", &report.separators)?;
    }
    for filter in &report.filters {
        let what = match &filter.pattern {
            Some(pattern) => format!("left out by {} {pattern:?}", filter.filter),
            None => format!("left out: no pattern of {} matches", filter.filter),
        };
        group(out, &what, &filter.dropped)?;
    }
    for rule in &report.rules {
        writeln!(
            out,
            "\nrule {} ({}): matched {}, changed {}, left out {}",
            rule.rule, rule.label, rule.matched, rule.changed, rule.dropped
        )?;
        if rule.given_up > 0 {
            writeln!(
                out,
                "  takes too long: {} searches given up as no match",
                rule.given_up
            )?;
        }
        for sample in &rule.samples {
            writeln!(
                out,
                "  {:?} ({}): {}",
                sample.name,
                sample.source,
                sample.done.join(", ")
            )?;
        }
    }
    if !report.joined.is_empty() {
        writeln!(out, "\njoined under several names:")?;
    }
    for channel in &report.joined {
        writeln!(
            out,
            "  {:?} ({}): {}",
            channel.name,
            channel.id,
            quoted(&channel.names)
        )?;
    }
    for issue in &report.issues {
        writeln!(out, "\nnote: {issue}")?;
    }
    for trace in &report.traces {
        writeln!(out, "\n{:?} of {}:", trace.name, trace.source)?;
        for step in &trace.steps {
            writeln!(out, "  {step}")?;
        }
        match &trace.channel {
            Some(channel) => {
                let place = channel
                    .place
                    .map_or("in no list".to_owned(), |place| format!("place {place}"));
                let number = channel
                    .number
                    .as_ref()
                    .map_or(String::new(), |number| format!(", number {number}"));
                writeln!(
                    out,
                    "  is stream {} of {} of channel {:?} ({}), {place}{number}",
                    channel.stream, channel.streams, channel.name, channel.id
                )?;
            }
            None => writeln!(out, "  is in no channel")?,
        }
    }
    Ok(())
}

fn group(out: &mut String, what: &str, group: &Group) -> std::fmt::Result {
    writeln!(out, "{what}: {}, such as {}", group.count, quoted(&group.samples))
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}
