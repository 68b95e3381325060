//! Which connections a provider counts together: those of one login.

use std::fmt;

use catalog::SourceName;

/// Names a login as a provider counts it: host and username as they stand in an entry's URL, or a name given by hand.
/// A user name is half of what opens an account, so only the host is ever printed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Login(Box<str>);

impl Login {
    /// The login of an entry: by hand where the source names an `account`, else as found in the entry's URL, else
    /// the source itself.
    #[must_use]
    pub fn of_entry(account: Option<&str>, source: &SourceName, url: &str) -> Self {
        if let Some(account) = account {
            return Self(format!("account {account}").into());
        }
        match xtream::url::credentials_in(url) {
            Some(found) => Self(found.pool_key().into()),
            None => Self(format!("source {source}").into()),
        }
    }

    /// The login `username` at `host` (with its port where the URL has one).
    #[must_use]
    pub fn at(host: &str, username: &str) -> Self {
        Self(format!("{username}@{}", host.to_ascii_lowercase()).into())
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('@') {
            Some((_, host)) => write!(f, "***@{host}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({self})")
    }
}
