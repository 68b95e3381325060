//! Which connections a provider counts together: those of one login.

use std::fmt;

use catalog::{ChannelId, SourceName};

/// Names a login as a provider counts it: host and username as they stand in an entry's URL, or a name given by hand.
/// Printable: a user name is a credential, so a digest stands for it that tells logins apart.
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

    /// The login `username` at `host`; a panel's ports are one provider.
    #[cfg(test)]
    pub(super) fn at(host: &str, username: &str) -> Self {
        Self(format!("{username}@{}", host.to_ascii_lowercase()).into())
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('@') {
            Some((user, host)) => write!(f, "{}@{host}", ChannelId::of_name(user)),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_tells_logins_apart_and_names_nobody() {
        let source = SourceName::new("s");
        let login = |url| Login::of_entry(None, &source, url);
        let logins = [
            login("http://h.example/live/secretuser/secretpass/1.ts"),
            login("http://h.example/live/seconduser/secretpass/1.ts"),
            Login::at("H.example", "user@mail.example"),
        ];
        for login in &logins {
            let text = format!("{login} {login:?}");
            assert!(
                !text.contains("secret") && !text.contains("user") && !text.contains("mail"),
                "{text}"
            );
            assert!(text.contains("@h.example"), "{text}");
        }
        assert_ne!(logins[0].to_string(), logins[1].to_string());
        assert_eq!(login("http://h.example/a.ts").to_string(), "source s");
    }
}
