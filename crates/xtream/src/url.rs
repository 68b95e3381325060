//! The addresses of an Xtream panel as strings, and the login found in such an address.
//!
//! `base` is what the user typed in: scheme, host, port, perhaps a sub-path, with or without a slash at the end.
//! Credentials are written as they are but for what cannot stand in their place; a percent triplet (`%40`) in them
//! is left alone, because people paste credentials out of addresses.

/// `{base}/player_api.php?username=…&password=…[&action=…][&key=value…]`.
#[must_use]
pub fn player_api(
    base: &str,
    username: &str,
    password: &str,
    action: Option<&str>,
    params: &[(&str, &str)],
) -> String {
    let mut url = format!("{}/player_api.php?username=", root(base));
    encode(&mut url, username, is_query_char);
    url.push_str("&password=");
    encode(&mut url, password, is_query_char);
    for (key, value) in action.map(|action| ("action", action)).iter().chain(params) {
        url.push('&');
        encode(&mut url, key, is_query_char);
        url.push('=');
        encode(&mut url, value, is_query_char);
    }
    url
}

/// `{base}/live/{username}/{password}/{id}.{extension}`; without a dot where the extension is empty.
#[must_use]
pub fn live(base: &str, username: &str, password: &str, id: &str, extension: &str) -> String {
    file(base, "live", [username, password, id], extension)
}

/// `{base}/movie/{username}/{password}/{id}.{extension}`; without a dot where the extension is empty.
#[must_use]
pub fn movie(base: &str, username: &str, password: &str, id: &str, extension: &str) -> String {
    file(base, "movie", [username, password, id], extension)
}

/// `{base}/series/{username}/{password}/{id}.{extension}`; `id` is that of the episode.
#[must_use]
pub fn series(base: &str, username: &str, password: &str, id: &str, extension: &str) -> String {
    file(base, "series", [username, password, id], extension)
}

fn file(base: &str, kind: &str, segments: [&str; 3], extension: &str) -> String {
    let mut url = format!("{}/{kind}", root(base));
    for segment in segments {
        url.push('/');
        encode(&mut url, segment, is_segment_char);
    }
    if !extension.is_empty() {
        url.push('.');
        encode(&mut url, extension, is_segment_char);
    }
    url
}

fn root(base: &str) -> &str {
    base.trim().trim_end_matches('/')
}

/// RFC 3986 §3.3: what a path segment may hold unencoded.
fn is_segment_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// RFC 3986 §3.4 without what parts or changes a form's values (`&`, `=`, `+`, `;`).
fn is_query_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$'()*,:@/?".contains(&byte)
}

fn encode(url: &mut String, text: &str, is_plain: fn(u8) -> bool) {
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let starts_triplet = *byte == b'%'
            && matches!(tail, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
        if starts_triplet || is_plain(*byte) {
            url.push(char::from(*byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
        rest = tail;
    }
}

/// Whose connections an address counts against.
///
/// Panels count by user name: two ports of one host, such as plain and TLS, are one login. The port is told apart
/// here so that the caller decides.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Login {
    /// The host in lower case, without the port.
    pub host: String,
    /// The port of the address; that of its scheme where it names none.
    pub port: u16,
    /// The user name, percent-decoded.
    pub username: String,
}

impl Login {
    /// What connections are counted by: `username@host`.
    #[must_use]
    pub fn pool_key(&self) -> String {
        format!("{}@{}", self.username, self.host)
    }
}

/// Path segments that stand before `/U/P/…`.
const KINDS: [&str; 4] = ["live", "movie", "series", "timeshift"];

/// First segments of three that are no user names though a number ends the path.
const NO_USERS: [&str; 13] = [
    "hls", "hlsr", "play", "stream", "streams", "tv", "channel", "channels", "video", "videos", "media",
    "iptv", "auto",
];

/// A live stream's address, as far as what its panel keeps of the stream is found by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeshift<'a> {
    root: &'a str,
    username: &'a str,
    password: &'a str,
    id: &'a str,
}

impl<'a> Timeshift<'a> {
    /// Reads `{root}/live/{username}/{password}/{id}.{extension}`, or the same without `live`; `None` of anything else.
    #[must_use]
    pub fn of(url: &'a str) -> Option<Self> {
        let url = url.trim();
        let path = url.split(['?', '#']).next()?;
        let (path, id) = path.rsplit_once('/')?;
        let (path, password) = path.rsplit_once('/')?;
        let (root, username) = path.rsplit_once('/')?;
        let is_host = root.split_once("://").is_some_and(|(_, host)| !host.is_empty());
        let is_whole = !username.is_empty() && !password.is_empty() && is_stream_id(id) && is_host;
        // A host may be called so.
        let before_kind = root.strip_suffix("/live").filter(|root| !root.ends_with('/'));
        is_whole.then_some(Self {
            root: before_kind.unwrap_or(root),
            username,
            password,
            id: id.split_once('.').map_or(id, |(id, _)| id),
        })
    }

    /// `{root}/timeshift/{username}/{password}/{minutes}/{start}/{id}.ts`.
    #[must_use]
    pub fn path(&self, start: &str, minutes: u64) -> String {
        let Self {
            root,
            username,
            password,
            id,
        } = self;
        format!("{root}/timeshift/{username}/{password}/{minutes}/{start}/{id}.ts")
    }

    /// `{root}/streaming/timeshift.php?username=…&password=…&stream={id}&start={start}&duration={minutes}`.
    #[must_use]
    pub fn script(&self, start: &str, minutes: u64) -> String {
        let mut url = format!("{}/streaming/timeshift.php?username=", self.root);
        encode(&mut url, self.username, is_query_char);
        url.push_str("&password=");
        encode(&mut url, self.password, is_query_char);
        url + &format!("&stream={}&start={start}&duration={minutes}", self.id)
    }
}

/// The login in an entry's address: `/live/U/P/ID.ts`, `/movie/…`, `/series/…`, `/timeshift/…`, `/U/P/ID`,
/// `?username=U&password=P`.
#[must_use]
pub fn credentials_in(url: &str) -> Option<Login> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    let (rest, _fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, port) = host_and_port(scheme, authority)?;
    let username = in_query(query).or_else(|| in_path(path))?;
    Some(Login {
        host,
        port,
        username: decode(username),
    })
    .filter(|login| !login.username.is_empty())
}

/// The same address for another login of the same provider; `None` where it holds no login.
#[must_use]
pub fn with_login(url: &str, username: &str, password: &str) -> Option<String> {
    credentials_in(url)?;
    let url = url.trim();
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at_checked(end)?;
    let (rest, fragment) = rest
        .split_once('#')
        .map_or((rest, None), |(rest, tail)| (rest, Some(tail)));
    let (path, query) = rest
        .split_once('?')
        .map_or((rest, None), |(path, query)| (path, Some(query)));
    let mut changed = format!("{scheme}://{authority}");
    match query.filter(|query| in_query(query).is_some()) {
        Some(query) => {
            changed.push_str(path);
            for (index, pair) in query.split('&').enumerate() {
                changed.push(if index == 0 { '?' } else { '&' });
                let key = pair.split_once('=').map_or(pair, |(key, _)| key);
                let new = [("username", username), ("password", password)]
                    .into_iter()
                    .find(|(name, _)| key.eq_ignore_ascii_case(name));
                match new {
                    Some((_, value)) => {
                        changed.push_str(key);
                        changed.push('=');
                        encode(&mut changed, value, is_query_char);
                    }
                    None => changed.push_str(pair),
                }
            }
        }
        None => {
            let user = user_segment(path)?;
            let mut seen = 0;
            for (index, segment) in path.split('/').enumerate() {
                if index > 0 {
                    changed.push('/');
                }
                if segment.is_empty() {
                    continue;
                }
                match seen {
                    at if at == user => encode(&mut changed, username, is_segment_char),
                    at if at == user + 1 => encode(&mut changed, password, is_segment_char),
                    _ => changed.push_str(segment),
                }
                seen += 1;
            }
            if let Some(query) = query {
                changed.push('?');
                changed.push_str(query);
            }
        }
    }
    if let Some(fragment) = fragment {
        changed.push('#');
        changed.push_str(fragment);
    }
    Some(changed)
}

fn in_query(query: &str) -> Option<&str> {
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_empty())
            .map(|(_, value)| value)
    };
    value("password").and(value("username"))
}

fn in_path(path: &str) -> Option<&str> {
    let user = user_segment(path)?;
    path.split('/').filter(|segment| !segment.is_empty()).nth(user)
}

/// Which segment is the user name, empty ones not counted; the password follows.
fn user_segment(path: &str) -> Option<usize> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let behind_kind = segments
        .windows(4)
        .position(|window| matches!(window, [kind, _user, _password, _id] if KINDS.contains(kind)));
    behind_kind.map(|kind| kind + 1).or(match segments.as_slice() {
        [user, _password, id] if is_stream_id(id) && !NO_USERS.contains(user) => Some(0),
        _ => None,
    })
}

/// Digits, then at most one extension.
fn is_stream_id(segment: &str) -> bool {
    let (digits, extension) = segment.split_once('.').unwrap_or((segment, ""));
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && !extension.contains('.')
}

fn host_and_port(scheme: &str, authority: &str) -> Option<(String, u16)> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let of_scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => 443,
        "rtmp" => 1935,
        "rtsp" => 554,
        _ => 80,
    };
    // The colons of an IPv6 address stand in brackets.
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse().unwrap_or(of_scheme)),
        _ => (host, of_scheme),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    (!name.is_empty()).then_some((name, port))
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let triplet = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = triplet.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(code) if *byte == b'%' => {
                bytes.push(code);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_credentials_stand_as_they_are() {
        assert_eq!(
            live("http://h:8080", "user", "pa55", "12", "ts"),
            "http://h:8080/live/user/pa55/12.ts"
        );
        assert_eq!(
            live("http://h:8080/", "u@x.y", "p", "12", "ts"),
            "http://h:8080/live/u@x.y/p/12.ts"
        );
        assert_eq!(
            movie("https://h/sub/", "u", "p", "1", "mkv"),
            "https://h/sub/movie/u/p/1.mkv"
        );
        assert_eq!(series("http://h", "u", "p", "1", ""), "http://h/series/u/p/1");
        assert_eq!(
            player_api("http://h/", "u", "p", None, &[]),
            "http://h/player_api.php?username=u&password=p"
        );
        assert_eq!(
            player_api(
                "http://h",
                "u",
                "p",
                Some("get_series_info"),
                &[("series_id", "5")]
            ),
            "http://h/player_api.php?username=u&password=p&action=get_series_info&series_id=5"
        );
    }

    #[test]
    fn what_cannot_stand_in_its_place_is_encoded() {
        assert_eq!(
            live("http://h", "a/b", "p#?é %", "1", "ts"),
            "http://h/live/a%2Fb/p%23%3F%C3%A9%20%25/1.ts"
        );
        assert_eq!(
            live("http://h", "a%40b", "p", "1", "ts"),
            "http://h/live/a%40b/p/1.ts"
        );
        assert_eq!(
            player_api("http://h", "a&b", "p+=", None, &[]),
            "http://h/player_api.php?username=a%26b&password=p%2B%3D"
        );
    }

    #[test]
    fn logins_are_found_in_addresses() {
        for (url, expected) in [
            ("http://H.x:8080/live/U/P/1.ts", Some(("h.x", 8080, "U"))),
            ("http://h/live/a%40b/P/1", Some(("h", 80, "a@b"))),
            ("https://h/movie/U/P/1.mkv?token=x", Some(("h", 443, "U"))),
            ("http://h/sub/series/U/P/1.mp4", Some(("h", 80, "U"))),
            (
                "http://h/timeshift/U/P/60/2026-01-01:10-00/1.ts",
                Some(("h", 80, "U")),
            ),
            ("http://h:80/U/P/1", Some(("h", 80, "U"))),
            ("http://h/U/P/1.m3u8", Some(("h", 80, "U"))),
            (
                "http://h/get.php?username=U&password=P&type=m3u",
                Some(("h", 80, "U")),
            ),
            ("http://x:y@[::1]:81/live/U/P/1.ts#f", Some(("[::1]", 81, "U"))),
            ("http://[::1]/live/U/P/1.ts", Some(("[::1]", 80, "U"))),
            ("http://h/hls/token/1.m3u8", None),
            ("http://h/U/P/name.ts", None),
            ("http://h/a/1.ts", None),
            ("http://h/?username=U", None),
            ("http:///live/U/P/1.ts", None),
            ("/live/U/P/1.ts", None),
            ("udp://@239.0.0.1:1234", None),
            ("", None),
        ] {
            let found = credentials_in(url);
            let found = found
                .as_ref()
                .map(|login| (login.host.as_str(), login.port, login.username.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn what_is_built_is_found_again() {
        for username in ["user", "a/b", "ü ?#", "50%", "a&b=c+d"] {
            for url in [
                live("http://h:1/s", username, "p", "1", "ts"),
                player_api("http://h:1/s", username, "p", None, &[]),
            ] {
                let login = credentials_in(&url).unwrap();
                assert_eq!((login.port, login.username.as_str()), (1, username), "{url}");
            }
        }
    }

    #[test]
    fn an_address_is_the_same_for_another_login() {
        for (url, expected) in [
            (
                "http://h:8080/live/U/P/1.ts",
                Some("http://h:8080/live/a%2Fb/p%23/1.ts"),
            ),
            ("http://h//U/P/1?t=x#f", Some("http://h//a%2Fb/p%23/1?t=x#f")),
            ("http://h/live/live/P/1.ts", Some("http://h/live/a%2Fb/p%23/1.ts")),
            (
                "http://h/get.php?Username=U&password=P&type=m3u",
                Some("http://h/get.php?Username=a/b&password=p%23&type=m3u"),
            ),
            ("http://h/hls/token/1.m3u8", None),
            ("", None),
        ] {
            assert_eq!(with_login(url, "a/b", "p#").as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn two_ports_of_one_host_are_one_pool() {
        let keys = ["http://h:8080/U/P/1", "https://h/live/U/P/2.ts"]
            .map(|url| credentials_in(url).unwrap().pool_key());
        assert_eq!(keys[0], keys[1]);
    }

    #[test]
    fn what_a_panel_keeps_is_beside_what_it_sends() {
        for (url, expected) in [
            (
                "http://h.example:80/live/u/p/1.ts",
                Some("http://h.example:80/timeshift/u/p/60/S/1.ts"),
            ),
            (
                "http://h.example/u/p/1",
                Some("http://h.example/timeshift/u/p/60/S/1.ts"),
            ),
            (
                "http://h.example/sub/live/u/p/1.m3u8?a=b",
                Some("http://h.example/sub/timeshift/u/p/60/S/1.ts"),
            ),
            // A host of that name, as containers have them.
            (
                "http://live/u/p/1.ts",
                Some("http://live/timeshift/u/p/60/S/1.ts"),
            ),
            (
                "http://live/live/u/p/1.ts",
                Some("http://live/timeshift/u/p/60/S/1.ts"),
            ),
            ("http://h.example/news.ts", None),
            ("http://h.example/u/p/news.ts", None),
            ("/u/p/1.ts", None),
        ] {
            let found = Timeshift::of(url).map(|stream| stream.path("S", 60));
            assert_eq!(found.as_deref(), expected, "{url}");
        }
        let script = Timeshift::of("http://h.example/live/u/p&q/1.ts")
            .unwrap()
            .script("S", 60);
        assert_eq!(
            script,
            "http://h.example/streaming/timeshift.php?username=u&password=p%26q&stream=1&start=S&duration=60"
        );
    }
}
