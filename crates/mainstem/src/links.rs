//! What links to mainstem begin with, as the client that asks sees it.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{FORWARDED, HOST};

use crate::config::Network;

/// Longest prefix path taken from a proxy's header.
const PREFIX_BYTES_MAX: usize = 256;

/// Decides what links begin with.
#[derive(Debug, Clone, PartialEq)]
pub struct Links {
    /// Wins over everything when set; without a slash at its end.
    pub public_url: Option<String>,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Where mainstem listens, for requests that do not say whom they ask.
    pub fallback: String,
}

impl Links {
    /// The beginning of links in the answer to a request with `headers` from `peer`, without a slash at its end.
    #[must_use]
    pub fn base(&self, headers: &HeaderMap, peer: IpAddr) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let forwarded = if self.trusts(peer) {
            Forwarded::read(headers)
        } else {
            Forwarded::default()
        };
        let host = forwarded
            .host
            .or_else(|| text(headers, HOST.as_str()).filter(|host| is_host(host)));
        let scheme = forwarded.scheme.unwrap_or("http");
        let host = host.unwrap_or_else(|| self.fallback.clone());
        let host = match forwarded.port {
            Some(port) if !has_port(&host) && !is_default_port(scheme, port) => format!("{host}:{port}"),
            _ => host,
        };
        format!("{scheme}://{host}{}", forwarded.prefix.unwrap_or_default())
    }

    /// The sub-path of `public_url`, if it has one: requests may arrive with it or without.
    #[must_use]
    pub fn path(&self) -> Option<String> {
        let url = url::Url::parse(self.public_url.as_deref()?).ok()?;
        let path = url.path().trim_end_matches('/');
        (!path.is_empty()).then(|| path.to_owned())
    }

    /// The address of whoever really asks: behind a trusted proxy, the one it names.
    #[must_use]
    pub fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        // From the right: the first address that is not a proxy of ours is the client; what lies left of it, anybody
        // may have written.
        let all = |name: &str| {
            let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
            lines.collect::<Vec<_>>().join(",")
        };
        let standard = all(FORWARDED.as_str());
        let named: Vec<Option<IpAddr>> = if standard.is_empty() {
            all("x-forwarded-for")
                .split(',')
                .map(|part| part.trim().parse().ok())
                .collect()
        } else {
            standard.split(',').map(forwarded_for).collect()
        };
        let mut client = peer;
        for address in named.into_iter().rev().map_while(|address| address) {
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        client
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(peer))
    }
}

/// What a proxy says of the request it passes on (RFC 7239, and the older `X-Forwarded-*`).
#[derive(Debug, Default)]
struct Forwarded {
    scheme: Option<&'static str>,
    host: Option<String>,
    port: Option<u16>,
    prefix: Option<String>,
}

impl Forwarded {
    fn read(headers: &HeaderMap) -> Self {
        let first = |name: &str| {
            let list = text(headers, name)?;
            list.split(',').next().map(|value| value.trim().to_owned())
        };
        let standard = first(FORWARDED.as_str()).unwrap_or_default();
        let parameter = |wanted: &str| {
            standard.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim()
                    .eq_ignore_ascii_case(wanted)
                    .then(|| value.trim().trim_matches('"').to_owned())
            })
        };
        Self {
            scheme: parameter("proto")
                .or_else(|| first("x-forwarded-proto"))
                .and_then(|scheme| known_scheme(&scheme)),
            host: parameter("host")
                .or_else(|| first("x-forwarded-host"))
                .filter(|host| is_host(host)),
            port: first("x-forwarded-port").and_then(|port| port.parse().ok()),
            prefix: first("x-forwarded-prefix").and_then(|prefix| path_prefix(&prefix)),
        }
    }
}

/// The address in the `for` parameter of one element of `Forwarded` (RFC 7239 clause 6), with or without a port.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let node = element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| value.trim().trim_matches('"'))
    })?;
    let socket = node.parse::<std::net::SocketAddr>().map(|socket| socket.ip());
    socket.ok().or_else(|| node.trim_matches(['[', ']']).parse().ok())
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.trim().to_owned())
}

fn known_scheme(scheme: &str) -> Option<&'static str> {
    ["http", "https"]
        .into_iter()
        .find(|known| scheme.eq_ignore_ascii_case(known))
}

/// A host with or without a port, and nothing that could end the link early or start a line.
fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_default_port(scheme: &str, port: u16) -> bool {
    matches!((scheme, port), ("http", 80) | ("https", 443))
}

fn path_prefix(prefix: &str) -> Option<String> {
    let path = prefix.trim_matches('/');
    let plain = path
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte));
    (!path.is_empty() && plain && path.len() <= PREFIX_BYTES_MAX).then(|| format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(public_url: Option<&str>) -> Links {
        Links {
            public_url: public_url.map(str::to_owned),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            fallback: "192.0.2.1:8080".to_owned(),
        }
    }

    type Pairs<'a> = &'a [(&'static str, &'static str)];

    fn map(pairs: Pairs<'_>) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>()
    }

    #[test]
    fn links_follow_whoever_may_say_so() {
        let (proxy, stranger): (IpAddr, IpAddr) =
            ("10.1.2.3".parse().unwrap(), "203.0.113.9".parse().unwrap());
        let behind = [
            ("host", "inner:8080"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "tv.example"),
        ];
        let cases: [(Pairs<'_>, IpAddr, &str); 9] = [
            (&[("host", "box.lan:8080")], stranger, "http://box.lan:8080"),
            (&[], stranger, "http://192.0.2.1:8080"),
            (&[("host", "[::1]:8080")], stranger, "http://[::1]:8080"),
            (&behind, proxy, "https://tv.example"),
            (&behind, stranger, "http://inner:8080"),
            (
                &[
                    ("host", "i"),
                    ("forwarded", "for=1.2.3.4;proto=https;host=\"tv.example:444\""),
                ],
                proxy,
                "https://tv.example:444",
            ),
            (
                &[
                    ("host", "tv.example"),
                    ("x-forwarded-port", "8443"),
                    ("x-forwarded-proto", "https"),
                ],
                proxy,
                "https://tv.example:8443",
            ),
            (
                &[("host", "tv.example"), ("x-forwarded-prefix", "/tv/")],
                proxy,
                "http://tv.example/tv",
            ),
            (
                &[("host", "h/\"evil"), ("x-forwarded-host", "a b")],
                proxy,
                "http://192.0.2.1:8080",
            ),
        ];
        for (pairs, peer, expected) in cases {
            assert_eq!(links(None).base(&map(pairs), peer), expected, "{pairs:?}");
        }
        assert_eq!(
            links(Some("https://x.example/tv")).base(&map(&behind), proxy),
            "https://x.example/tv"
        );
        assert_eq!(links(Some("https://x.example/tv")).path().as_deref(), Some("/tv"));
        assert_eq!(links(Some("https://x.example")).path(), None);
    }

    #[test]
    fn the_client_is_the_last_address_no_proxy_of_ours_wrote() {
        let proxy: IpAddr = "10.1.2.3".parse().unwrap();
        for (list, expected) in [
            ("203.0.113.9", "203.0.113.9"),
            ("6.6.6.6, 203.0.113.9, 10.0.0.7", "203.0.113.9"),
            ("nonsense", "10.1.2.3"),
            ("", "10.1.2.3"),
        ] {
            let headers = map(&[("x-forwarded-for", list)]);
            assert_eq!(
                links(None).client(&headers, proxy).to_string(),
                expected,
                "{list}"
            );
        }
        for (value, expected) in [
            ("for=203.0.113.9;proto=https", "203.0.113.9"),
            (
                "for=6.6.6.6, For=\"[2001:db8::7]:4711\", for=10.0.0.7",
                "2001:db8::7",
            ),
            ("for=_hidden", "10.1.2.3"),
        ] {
            let headers = map(&[("forwarded", value), ("x-forwarded-for", "6.6.6.6")]);
            assert_eq!(
                links(None).client(&headers, proxy).to_string(),
                expected,
                "{value}"
            );
        }
        let stranger: IpAddr = "198.51.100.1".parse().unwrap();
        assert_eq!(
            links(None).client(&map(&[("x-forwarded-for", "1.2.3.4")]), stranger),
            stranger
        );
    }
}
