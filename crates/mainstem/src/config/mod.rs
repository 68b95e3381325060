//! The configuration: one YAML or JSON file, read with positions, checked as a whole, every problem named at once.
//!
//! The keys are written once, in structs declared by the macro `section!`; the reader, the JSON Schema, the table in
//! `docs/configuration.md` and the masking of secrets in messages all come from there. Defaults are in [`defaults`].
//!
//! Not here: command-line flags, watching the file, applying a change.

mod channels;
pub mod check;
pub mod data_dir;
pub mod defaults;
pub mod exit;
mod filter;
pub mod first_run;
mod hls;
mod load;
mod log;
mod mask;
mod network;
mod problem;
mod reader;
pub mod reference;
mod scalar;
pub mod schema;
mod section;
mod settings;
mod slate;
mod source;
mod substitute;
mod suggest;
mod timing;
mod tree;
mod units;
mod web_address;

pub use channels::{Candidate, GroupBy, Prefer, Sort};
pub use filter::FilterConfig;
pub use hls::{Hls, HlsStart, HlsStore};
pub use load::{FILE_BYTES_MAX, LoadError, Loaded, load, parse, parse_candidate};
pub use log::{LogFormat, LogLevel};
pub use network::{Network, NetworkError};
pub use problem::{Problem, Problems};
pub use reader::{Env, PROBLEMS_MAX, Severity};
pub use section::UnknownWord;
pub use settings::{Config, Output, XtreamAuth};
pub use source::{FurtherLogin, LiveFormat, Origin, Series, SourceConfig, SourceType};
pub use timing::{ClientPolicy, Limits, Timing};
pub use tree::{DEPTH_MAX, NODES_MAX};
