//! What the operator sees of the pools.

use std::collections::BTreeMap;
use std::time::Duration;

use catalog::SourceName;

use super::ledger::{Rest, Subject};
use super::{Login, Purpose};

/// What is in use now.
#[derive(Debug, Default, Clone)]
pub struct Usage {
    /// Connections in use.
    pub total: usize,
    /// Connections allowed in all.
    pub total_max: usize,
    /// In use by source.
    pub by_source: BTreeMap<String, usize>,
    /// Each one: source, purpose, whether watched.
    pub held: Vec<(SourceName, Purpose, bool)>,
    /// Wishes that wait.
    pub waiting: usize,
    /// By login.
    pub pools: BTreeMap<Login, PoolUsage>,
}

/// What is in use at one login.
#[derive(Debug, Default, Clone)]
pub struct PoolUsage {
    /// The connections.
    pub held: Vec<HeldUsage>,
    /// Connections kept between two requests of a film: source, and which film.
    pub kept: Vec<(SourceName, Option<Subject>)>,
    /// Who waits: for what purpose, for which subject, for how long.
    pub waiting: Vec<(Purpose, Option<Subject>, Duration)>,
    /// Connections that are closed but still count at the provider.
    pub lingering: usize,
    /// The longest time the provider was seen to count a closed connection.
    pub learned_delay: Duration,
    /// The same of HLS sessions, from their last request.
    pub learned_session_delay: Duration,
    /// For how long the login is left alone yet, and why.
    pub cooling: Option<(Duration, Rest)>,
    /// The limit a limit answer lowered the login to, and for how long yet.
    pub lowered: Option<(usize, Duration)>,
}

/// One connection in use.
#[derive(Debug, Clone)]
pub struct HeldUsage {
    /// The source that asked for it.
    pub source: SourceName,
    /// What it is for.
    pub purpose: Purpose,
    /// Which channel or film.
    pub subject: Option<Subject>,
    /// Whether anybody watches.
    pub watched: bool,
    /// For how long it has been held.
    pub held_for: Duration,
}
