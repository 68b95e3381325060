//! What the operator sees of a source.

use std::time::SystemTime;

use xtream::{Account, Status};

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
    /// Lists of categories that the last refresh could not have: their groups are those known before, or none.
    pub groups: Option<GroupsReport>,
    /// What its account says of itself.
    pub account: AccountReport,
    /// Its further logins.
    pub further: Vec<FurtherReport>,
    /// Series known.
    pub series: usize,
    /// Series whose episodes are not known.
    pub series_unexpanded: usize,
}

/// Why groups are not those the provider has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsReport {
    /// Of what they are: `live`, `film`, `episode`.
    pub kinds: Vec<&'static str>,
    /// A stable word for it.
    pub code: &'static str,
    /// The same in words.
    pub detail: String,
    /// The refresh that found it so first.
    pub since: SystemTime,
}

/// What an account says of itself.
#[derive(Debug, Clone, Default)]
pub struct AccountReport {
    /// Connections it allows.
    pub connections: Option<u32>,
    /// Connections that are open: shown, never trusted.
    pub active: Option<u32>,
    /// When it ends, seconds since 1970.
    pub expires_at: Option<i64>,
    /// Why it does not work: `expired`, `banned` or `disabled`.
    pub state: Option<&'static str>,
    /// The zone of its provider's clock, which addresses of past programmes go by.
    pub timezone: Option<String>,
}

/// What is known of a further login of a source.
#[derive(Debug, Clone)]
pub struct FurtherReport {
    /// The login.
    pub login: Login,
    /// Connections it allows, as far as the operator says.
    pub configured_connections: Option<u32>,
    /// What its account says of itself.
    pub account: AccountReport,
}

impl AccountReport {
    /// What an answer of the account says.
    pub(super) fn of(account: &Account) -> Self {
        Self {
            connections: account.max_connections.filter(|max| *max > 0),
            active: account.active_connections,
            expires_at: account.expires_at,
            state: match &account.status {
                Status::Expired => Some("expired"),
                Status::Banned => Some("banned"),
                Status::Disabled => Some("disabled"),
                _ => None,
            },
            timezone: account.server.timezone.clone(),
        }
    }

    /// In words, that it no longer works, if it does not by `now`.
    #[must_use]
    pub fn ended(&self, now: SystemTime) -> Option<String> {
        let now = jiff::Timestamp::try_from(now).ok()?;
        let at = self
            .expires_at
            .and_then(|at| jiff::Timestamp::from_second(at).ok());
        match (self.state, at.filter(|at| *at <= now)) {
            (None | Some("expired"), Some(at)) => {
                Some(format!("the account expired on {}", at.strftime("%Y-%m-%d")))
            }
            (Some(state), _) => Some(format!("the account is {state}")),
            (None, None) => None,
        }
    }
}

impl SourceReport {
    /// Connections a login of this source allows, and who says so; `own` is what the operator says of the source's own.
    #[must_use]
    pub fn connections(&self, login: &Login, own: Option<u32>) -> Option<(u32, &'static str)> {
        let further = self.further.iter().find(|further| further.login == *login);
        let (configured, account) = further.map_or((own, &self.account), |further| {
            (further.configured_connections, &further.account)
        });
        let configured = configured.map(|max| (max, "config"));
        configured.or_else(|| account.connections.map(|max| (max, "account")))
    }

    /// The account of one of its logins; its own where the login is none of the further ones.
    #[must_use]
    pub fn account_of(&self, login: &Login) -> &AccountReport {
        let further = self.further.iter().find(|further| further.login == *login);
        further.map_or(&self.account, |further| &further.account)
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
            account: AccountReport::default(),
        });
    all.collect()
}
