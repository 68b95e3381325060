//! Where a source's streams and lists can be asked for: its logins, and its hosts in the operator's order.
//!
//! Ids are made of what the list says. What is different for another login or host is made here, at the last moment.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use catalog::{SourceName, StreamUrl};
use tokio::time::Instant;

use crate::config::{FurtherLogin, Origin, SourceConfig};
use crate::slot::Login;

/// How long a host that could not be connected to comes last.
const DOWN_FOR: Duration = Duration::from_secs(60);

/// The logins and hosts of one source.
#[derive(Debug)]
pub struct Addresses {
    name: SourceName,
    account: Option<String>,
    /// The login the list is asked for with, as far as it has one: only its streams are had elsewhere too.
    own: Option<Login>,
    further: Vec<FurtherLogin>,
    /// What addresses begin with, without a slash at the end; the list's own first. One alone is not replaced.
    hosts: Vec<StreamUrl>,
    /// Which hosts could not be connected to, and until when they come last.
    down: Mutex<HashMap<usize, Instant>>,
}

impl Addresses {
    /// Those of a source as it is configured.
    #[must_use]
    pub fn new(config: &SourceConfig) -> Self {
        let own = match &config.origin {
            Origin::Xtream { base, .. } => Some(base.expose().to_owned()),
            Origin::M3uUrl(url) => origin_of(url.expose()),
            Origin::M3uFile(_) | Origin::Testcard => None,
        };
        let mut addresses = Self {
            name: config.name.clone(),
            account: config.account.clone(),
            own: None,
            further: config.logins.clone(),
            hosts: own
                .map(StreamUrl::from)
                .into_iter()
                .chain(config.hosts.iter().cloned())
                .collect(),
            down: Mutex::default(),
        };
        let list = list_url(config);
        addresses.own = xtream::url::credentials_in(&list).map(|_| addresses.login(&list));
        addresses
    }

    /// The login an address counts against, whichever host it names.
    #[must_use]
    pub fn login(&self, url: &str) -> Login {
        let first = self.hosts.first().map(StreamUrl::expose);
        let at_first = first.and_then(|first| {
            let (_, rest) = self.host_of(url)?;
            Some(format!("{first}{rest}"))
        });
        Login::of_entry(
            self.account.as_deref(),
            &self.name,
            at_first.as_deref().unwrap_or(url),
        )
    }

    /// The further logins, with the login and the address that `url` has there.
    pub fn elsewhere<'a>(
        &'a self,
        url: &'a str,
    ) -> impl Iterator<Item = (&'a FurtherLogin, Login, StreamUrl)> {
        let is_own = self.own.is_none() || self.own == Some(self.login(url));
        let further = if is_own { self.further.as_slice() } else { &[] };
        further.iter().filter_map(|further| {
            let (username, password) = (further.username.expose(), further.password.expose());
            let url = xtream::url::with_login(url, username, password)?;
            let login = match &self.account {
                // An account named by hand joins what the list's own login is; the others are logins of their own.
                Some(account) => Login::of_entry(Some(&format!("{account}/{username}")), &self.name, &url),
                None => self.login(&url),
            };
            Some((further, login, url.into()))
        })
    }

    /// The same address at every host, the operator's first one first and what is down last; each with its number.
    #[must_use]
    pub fn at_hosts(&self, url: &str) -> Vec<(usize, String)> {
        let Some((own, rest)) = self.host_of(url).filter(|_| self.hosts.len() > 1) else {
            return vec![(usize::MAX, url.to_owned())];
        };
        let now = Instant::now();
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        // A list that names one of the hosts by itself means no more by it than any other.
        order.sort_by_key(|host| (down.get(host).is_some_and(|until| *until > now), *host));
        let at = |host: usize| {
            let base = self.hosts.get(host).map_or(own, StreamUrl::expose);
            (host, format!("{base}{rest}"))
        };
        order.into_iter().map(at).collect()
    }

    /// A host could not be connected to.
    pub fn is_down(&self, host: usize) {
        if host < self.hosts.len() {
            let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
            down.insert(host, Instant::now() + DOWN_FOR);
        }
    }

    /// Which host an address begins with, and the rest of it.
    fn host_of<'a>(&'a self, url: &'a str) -> Option<(&'a str, &'a str)> {
        self.hosts.iter().find_map(|host| {
            let rest = url.strip_prefix(host.expose())?;
            let ends = rest.is_empty() || rest.starts_with(['/', '?', '#']);
            ends.then_some((host.expose(), rest))
        })
    }
}

/// An address that holds the login a source's own lists are asked for with.
pub(super) fn list_url(config: &SourceConfig) -> String {
    match &config.origin {
        Origin::Xtream {
            base,
            username,
            password,
        } => xtream::url::live(base.expose(), username.expose(), password.expose(), "0", "ts"),
        Origin::M3uUrl(url) => url.expose().to_owned(),
        Origin::M3uFile(_) | Origin::Testcard => String::new(),
    }
}

/// Whether two addresses name one user, on whatever hosts.
pub(crate) fn is_of_same_user(one: &str, other: &str) -> bool {
    let user = |url: &str| xtream::url::credentials_in(url).map(|login| login.username);
    user(one).is_some_and(|named| Some(named) == user(other))
}

/// Whether two addresses name one login: user, host and password. What cannot be compared is not the same.
pub(crate) fn is_of_same_login(one: &str, other: &str) -> bool {
    let login = |url: &str| {
        let login = xtream::url::credentials_in(url)?;
        Some((login.pool_key(), password_in(url, &login.username)?))
    };
    login(one).is_some_and(|named| Some(named) == login(other))
}

/// The password in an address, as it is written: in the query, or behind the user's name.
fn password_in(url: &str, username: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let in_query = url
        .query_pairs()
        .find_map(|(key, value)| key.eq_ignore_ascii_case("password").then(|| value.into_owned()));
    in_query.or_else(|| {
        let mut folders = url.path_segments()?;
        folders.find(|folder| *folder == username)?;
        folders.next().map(str::to_owned)
    })
}

/// Scheme, host and port.
fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some(format!("{scheme}://{}", rest.get(..end)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::Secret;

    fn addresses(hosts: &[&str], further: &[(&str, &str)]) -> Addresses {
        Addresses {
            name: SourceName::new("s"),
            account: None,
            own: None,
            further: further
                .iter()
                .map(|(username, password)| FurtherLogin {
                    username: Secret::new(*username),
                    password: Secret::new(*password),
                    max_connections: None,
                })
                .collect(),
            hosts: hosts
                .iter()
                .map(|host| StreamUrl::from((*host).to_owned()))
                .collect(),
            down: Mutex::default(),
        }
    }

    #[test]
    fn an_address_is_tried_at_every_host_in_order_and_what_is_down_comes_last() {
        let hosts = addresses(&["http://a.example:8080/sub", "http://b.example"], &[]);
        let at = |url: &str| {
            hosts
                .at_hosts(url)
                .into_iter()
                .map(|(_, url)| url)
                .collect::<Vec<_>>()
        };
        let both = [
            "http://a.example:8080/sub/live/u/p/1.ts",
            "http://b.example/live/u/p/1.ts",
        ];
        assert_eq!(at(both[0]), both);
        assert_eq!(at(both[1]), both, "a list may name any of them");
        assert_eq!(
            at("http://elsewhere.example/1.ts"),
            ["http://elsewhere.example/1.ts"]
        );
        assert_eq!(at("http://b.example.org/1.ts"), ["http://b.example.org/1.ts"]);
        hosts.is_down(0);
        assert_eq!(at(both[0]), [both[1], both[0]]);
        assert_eq!(
            hosts.login(both[0]),
            hosts.login(both[1]),
            "one provider, one login"
        );
    }

    #[test]
    fn a_further_login_has_an_address_and_a_limit_of_its_own() {
        let logins = addresses(&["http://a.example"], &[("second", "word")]);
        let url = "http://a.example/live/first/pass/1.ts";
        let elsewhere: Vec<_> = logins.elsewhere(url).collect();
        let (_, login, there) = &elsewhere[0];
        assert_eq!(there.expose(), "http://a.example/live/second/word/1.ts");
        assert_ne!(*login, logins.login(url));
        assert_eq!(logins.elsewhere("http://a.example/hls/1.m3u8").count(), 0);
        let of_list = Addresses {
            own: Some(logins.login(url)),
            ..logins
        };
        assert_eq!(of_list.elsewhere(url).count(), 1);
        let foreign = "http://other.example/live/first/pass/1.ts";
        assert_eq!(of_list.elsewhere(foreign).count(), 0, "another provider's stream");
    }
}
