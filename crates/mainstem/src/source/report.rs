//! What the operator sees of a source.

use std::time::SystemTime;

use super::addresses::{Addresses, list_url};
use super::collapse::Held;
use crate::config::SourceConfig;
use crate::slot::Login;

/// What the operator sees of a source.
#[derive(Debug, Clone, Default)]
pub struct SourceReport {
    /// Entries listed.
    pub entries: usize,
    /// Entries of the list that could not be read.
    pub malformed: u64,
    /// The last refresh that brought a list.
    pub refreshed_at: Option<SystemTime>,
    /// Whether what is known came from disk and no provider has confirmed it since the start.
    pub from_disk: bool,
    /// Why the last refresh brought none: code, sentence, and when that was.
    pub error: Option<(&'static str, String, SystemTime)>,
    /// A list with far fewer entries, which waits to be believed.
    pub held: Option<Held>,
    /// Connections the account says it allows.
    pub account_connections: Option<u32>,
    /// Connections the account says are open: shown, never trusted.
    pub account_active: Option<u32>,
    /// When the account ends, seconds since 1970.
    pub expires_at: Option<i64>,
    /// Its further logins.
    pub further: Vec<FurtherReport>,
    /// Why the account says that it does not work: `expired`, `banned` or `disabled`.
    pub account_state: Option<&'static str>,
    /// Series known.
    pub series: usize,
    /// Series whose episodes are not known.
    pub series_unexpanded: usize,
}

/// What is known of a further login of a source.
#[derive(Debug, Clone)]
pub struct FurtherReport {
    /// The login.
    pub login: Login,
    /// Connections it allows, as far as the operator says.
    pub configured_connections: Option<u32>,
    /// Connections the account says it allows.
    pub account_connections: Option<u32>,
    /// Connections the account says are open: shown, never trusted.
    pub account_active: Option<u32>,
}

impl SourceReport {
    /// Connections a login of this source allows, and who says so; `own` is what the operator says of the source's own.
    #[must_use]
    pub fn connections(&self, login: &Login, own: Option<u32>) -> Option<(u32, &'static str)> {
        let further = self.further.iter().find(|further| further.login == *login);
        let (configured, account) = further.map_or((own, self.account_connections), |further| {
            (further.configured_connections, further.account_connections)
        });
        let configured = configured.map(|max| (max, "config"));
        configured.or_else(|| account.map(|max| (max, "account")))
    }

    /// In words, that the account no longer works, if it does not by `now`.
    #[must_use]
    pub fn account_ended(&self, now: SystemTime) -> Option<String> {
        let now = jiff::Timestamp::try_from(now).ok()?;
        let at = self
            .expires_at
            .and_then(|at| jiff::Timestamp::from_second(at).ok());
        match (self.account_state, at.filter(|at| *at <= now)) {
            (None | Some("expired"), Some(at)) => {
                Some(format!("the account expired on {}", at.strftime("%Y-%m-%d")))
            }
            (Some(state), _) => Some(format!("the account is {state}")),
            (None, None) => None,
        }
    }
}

/// What is known of the further logins before anybody was asked.
pub(super) fn further(config: &SourceConfig, addresses: &Addresses) -> Vec<FurtherReport> {
    let url = list_url(config);
    let all = addresses
        .elsewhere(&url)
        .map(|(further, login, _)| FurtherReport {
            login,
            configured_connections: further.max_connections,
            account_connections: None,
            account_active: None,
        });
    all.collect()
}
