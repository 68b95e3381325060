//! The log: lines for people or JSON for machines, on standard error, at a level that can change while running.

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer, Registry};

use crate::config::{LogFormat, LogLevel};

/// Changes the level of a running log.
#[derive(Clone)]
pub(crate) struct Level(Handle<Targets, Spans>);

/// What keeps spans, below the log.
#[cfg(not(feature = "console"))]
type Spans = Registry;

/// The same, with everything the runtime does told to tokio-console.
#[cfg(feature = "console")]
type Spans = tracing_subscriber::layer::Layered<Box<dyn Layer<Registry> + Send + Sync>, Registry>;

#[cfg(not(feature = "console"))]
fn spans() -> Spans {
    tracing_subscriber::registry()
}

#[cfg(feature = "console")]
fn spans() -> Spans {
    tracing_subscriber::registry().with(console_subscriber::spawn().boxed())
}

/// Starts the log.
pub(crate) fn start(level: LogLevel, format: LogFormat) -> Result<Level, TryInitError> {
    let (filter, handle) = reload::Layer::new(targets(level));
    spans().with(lines(format).with_filter(filter)).try_init()?;
    Ok(Level(handle))
}

impl Level {
    pub(crate) fn set(&self, level: LogLevel) {
        // It fails only when the log itself is gone, and then nobody would read that it failed.
        self.0.reload(targets(level)).unwrap_or_default();
    }
}

/// Libraries below us are of interest only when something is wrong, and they print whole requests at their lowest
/// levels: those would hold credentials.
fn targets(level: LogLevel) -> Targets {
    let ours = LevelFilter::from(level);
    let others = ours.min(LevelFilter::WARN);
    Targets::new()
        .with_default(others)
        .with_targets(["mainstem", "relay", "catalog"].map(|name| (name, ours)))
}

fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync> {
    let plain = fmt::layer().with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => plain
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .boxed(),
        LogFormat::Json => plain.json().boxed(),
    }
}
