//! One source: an account or a list that streams come from.

use std::{fs::File, io::Read as _, net::Ipv4Addr, path::PathBuf, time::Duration};

use catalog::{
    listing::SourceName,
    secret::{Secret, StreamUrl},
};

use super::{
    defaults,
    reader::Reader,
    section::{Placed, choice, section},
    tree::Span,
    web_address::{self, ListAddress},
};

/// One configured source, valid.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Unique among the sources.
    pub name: SourceName,
    /// What it is and where.
    pub origin: Origin,
    /// Whether it takes part.
    pub enabled: bool,
    /// Sources of one `account` share one connection limit; absent: told from host and user name of each stream.
    pub account: Option<String>,
    /// Further logins of the same provider.
    pub logins: Vec<FurtherLogin>,
    /// Further hosts of the same provider, each without `/` at its end.
    pub hosts: Vec<StreamUrl>,
    /// Most connections at the account; absent: what the account says, else `limits.account_connections`.
    pub max_connections: Option<u32>,
    /// Time between two refreshes.
    pub refresh_interval: Duration,
    /// Whether a refresh counts as a connection at the provider.
    pub refresh_counts: bool,
    /// Percent of the known entries that a list must have to be believed at once; 0: none.
    pub collapse_share: u32,
    /// How long the provider goes on counting a connection after it was closed.
    pub release_delay: Duration,
    /// Put before every channel name; never part of a channel's id.
    pub stream_name_prefix: String,
    /// Put after every channel name; never part of a channel's id.
    pub stream_name_suffix: String,
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// Further request headers, in the file's order; names are valid HTTP tokens.
    pub headers: Vec<(String, Secret)>,
    /// Whether live channels are taken.
    pub live: bool,
    /// Whether films are taken.
    pub vod: bool,
    /// What is done with series.
    pub series: Series,
    /// In which form live streams are asked for.
    pub live_format: LiveFormat,
    /// Whether certificates of this source go unchecked.
    pub insecure_tls: bool,
    /// Whether its entries may listen at UDP ports; absent: where the list is in a file.
    pub udp_listen: Option<bool>,
    /// The address of the interface at which multicast groups are joined; absent: what an entry says, else the system.
    pub multicast_interface: Option<Ipv4Addr>,
}

#[cfg(test)]
impl SourceConfig {
    /// The built-in card with every default.
    pub(crate) fn testcard() -> Self {
        let text = "sources: [{name: card, type: testcard}]";
        let loaded = super::parse(text, std::path::Path::new("config.yaml"), &|_| None);
        loaded.unwrap().config.sources.remove(0)
    }
}

/// A login beside the one a source's list is asked for with.
#[derive(Debug, Clone, PartialEq)]
pub struct FurtherLogin {
    /// Its name at the provider.
    pub username: Secret,
    /// Its password.
    pub password: Secret,
    /// Most connections at it; absent: what the account says, else `limits.account_connections`.
    pub max_connections: Option<u32>,
}

/// What a source is and where.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// An Xtream Codes account.
    Xtream {
        /// `http(s)://host[:port][/path]`, without `/` at its end.
        base: StreamUrl,
        /// The account's name.
        username: Secret,
        /// The account's password.
        password: Secret,
    },
    /// An M3U list at an http(s) URL.
    M3uUrl(StreamUrl),
    /// An M3U list in a file.
    M3uFile(PathBuf),
    /// The built-in test card.
    Testcard,
}

choice! {
    /// Kinds of source.
    pub enum SourceType {
        /// An Xtream Codes account.
        Xtream = "xtream",
        /// An M3U list, by URL or from a file.
        M3u = "m3u",
        /// The built-in test card.
        Testcard = "testcard",
    }
}

choice! {
    /// What is done with an account's series.
    pub enum Series {
        /// They are not taken.
        Off = "off" | "false",
        /// They are listed, and their episodes fetched when asked for.
        OnDemand = "on_demand" | "list" | "on" | "true",
        /// Their episodes are fetched in the background, about one series a second.
        Expand = "expand",
    }
}

choice! {
    /// The form in which an account's live streams are asked for: what their addresses end in.
    pub enum LiveFormat {
        /// As the account says: `.ts` where it allows that or says nothing, else `.m3u8`.
        Auto = "auto",
        /// `.ts`.
        Ts = "ts",
        /// `.m3u8`.
        M3u8 = "m3u8" | "hls",
        /// Without an ending.
        Bare = "none",
    }
}

section! {
    /// A further login of the same provider.
    pub(in crate::config) struct LoginKeys {
        /// Name of the account.
        username: Option<Placed<Secret>> = None;
        /// File whose first line is the account's name.
        username_file: Option<Placed<PathBuf>> = None;
        /// Password of the account.
        password: Option<Placed<Secret>> = None;
        /// File whose first line is the account's password.
        password_file: Option<Placed<PathBuf>> = None;
        /// Most connections at it at one time. Absent: what the account says, else `limits.account_connections`.
        max_connections: Option<u32> = None, 1.0 ..= 10000.0;
    }
}

section! {
    /// One source of streams.
    pub(in crate::config) struct SourceKeys requires ["name", "type"] {
        /// Unique name of the source.
        name: Option<Placed<String>> = None;
        /// `xtream` for an Xtream Codes account, `m3u` for a list, `testcard` for the built-in test card.
        kind as "type": Option<SourceType> = None;
        /// Base URL of the Xtream server; http(s) URL or path of the M3U list.
        url: Option<Placed<StreamUrl>> = None;
        /// Name of the Xtream account.
        username: Option<Placed<Secret>> = None;
        /// File whose first line is the account's name.
        username_file: Option<Placed<PathBuf>> = None;
        /// Password of the Xtream account.
        password: Option<Placed<Secret>> = None;
        /// File whose first line is the account's password.
        password_file: Option<Placed<PathBuf>> = None;
        /// Whether the source takes part.
        enabled: bool = true;
        /// Most connections at the account at one time. Absent: what the account says, else
        /// `limits.account_connections`.
        max_connections: Option<u32> = None, 1.0 ..= 10000.0;
        /// Further logins of the same provider, each with its own limit: a stream is opened at whichever has a free
        /// connection.
        logins: Vec<Placed<LoginKeys>> = Vec::new();
        /// Further hosts of the same provider (`http://host:port`), tried in order where one cannot be connected to.
        hosts: Vec<Placed<StreamUrl>> = Vec::new();
        /// Sources with the same `account` share one connection limit. Absent: told from host and user name.
        account: Option<String> = None;
        /// Time between two refreshes of the list.
        refresh_interval: Duration = defaults::REFRESH_INTERVAL, 10.0 ..= 31536000.0;
        /// Whether a refresh counts as a connection at the provider.
        refresh_counts: bool = false;
        /// Where a refresh brings fewer than this share of the entries known, of one kind or in all, in percent, it is
        /// held back until the next one brings about as many, or it is accepted. 0: never. Lists in files and those of
        /// fewer than 10 entries are not held back.
        collapse_share: u32 = defaults::COLLAPSE_SHARE, 0.0 ..= 100.0;
        /// How long the provider goes on counting a connection after it was closed.
        release_delay: Duration = defaults::RELEASE_DELAY, 0.0 ..= 3600.0;
        /// Put before every channel name of the source.
        stream_name_prefix: String = String::new();
        /// Put after every channel name of the source.
        stream_name_suffix: String = String::new();
        /// User-Agent of every request to the source.
        user_agent: Placed<String> = Placed::implied(defaults::USER_AGENT.to_owned());
        /// Further request headers, as name: value.
        headers: Vec<(Placed<String>, Placed<Secret>)> = Vec::new();
        /// Whether live channels are taken (xtream).
        live: bool = true;
        /// Whether films are taken (xtream).
        vod: bool = true;
        /// Series (xtream): `off`, `on_demand` (episodes are fetched when asked for) or `expand` (in the background,
        /// about one series a second).
        series: Series = Series::OnDemand;
        /// What addresses of live streams end in (xtream): `ts`, `m3u8`, or `none` for panels that want no ending. `auto`:
        /// `ts` where the account allows it or says nothing, else `m3u8`.
        live_format: LiveFormat = LiveFormat::Auto;
        /// Accept any certificate. Whoever can reach the line can read the password.
        insecure_tls: bool = false;
        /// Whether entries such as `udp://@:1234` may open a UDP port of this machine, to which everybody who reaches it
        /// may send. Multicast groups are joined without it. Absent: yes for a list in a file, no for one by URL.
        udp_listen: Option<bool> = None;
        /// IPv4 address of the network interface at which multicast groups are joined. Absent: what an entry says
        /// (`?localaddr=`), else what the system chooses.
        multicast_interface: Option<Ipv4Addr> = None;
    }
}

/// Bytes a file with a name or password may have.
const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;

/// Makes valid sources of what was read; what cannot be made valid is noted and left out.
pub(super) fn build_all(sources: Vec<Placed<SourceKeys>>, reader: &mut Reader<'_>) -> Vec<SourceConfig> {
    let mut names: Vec<Placed<String>> = Vec::new();
    for source in &sources {
        let Some(name) = &source.value.name else { continue };
        if let Some(first) = names.iter().find(|known| known.value == name.value) {
            let message = format!(
                "the name `{}` is taken by the source at line {}",
                name.value, first.at.line
            );
            reader.problem(name.at, message);
        } else {
            names.push(name.clone());
        }
    }
    sources
        .into_iter()
        .filter_map(|source| source.value.build(source.at, reader))
        .collect()
}

impl SourceKeys {
    /// `at` is the place of the whole source.
    fn build(self, at: Span, reader: &mut Reader<'_>) -> Option<SourceConfig> {
        reader.is_lenient = !self.enabled;
        let origin = self.origin(at, reader);
        let logins: Vec<_> = self
            .logins
            .iter()
            .filter_map(|login| login.value.build(login.at, reader))
            .collect();
        let hosts: Vec<_> = self
            .hosts
            .iter()
            .filter_map(|host| build_host(host, reader))
            .collect();
        reader.is_lenient = false;
        let is_user_agent = !self.user_agent.value.chars().any(char::is_control);
        if !is_user_agent {
            reader.problem(self.user_agent.at, "a User-Agent cannot hold control characters");
        }
        for (name, value) in &self.headers {
            check_header(name, value, reader);
        }
        // A missing name or type is noted when the section is opened.
        let name = self.name?;
        if name.value.trim().is_empty() {
            reader.problem(name.at, "the name is empty");
        }
        Some(SourceConfig {
            name: SourceName::new(&name.value),
            origin: origin?,
            enabled: self.enabled,
            account: self.account.filter(|account| !account.is_empty()),
            logins,
            hosts,
            max_connections: self.max_connections,
            refresh_interval: self.refresh_interval,
            refresh_counts: self.refresh_counts,
            collapse_share: self.collapse_share,
            release_delay: self.release_delay,
            stream_name_prefix: self.stream_name_prefix,
            stream_name_suffix: self.stream_name_suffix,
            user_agent: self.user_agent.value,
            headers: self
                .headers
                .into_iter()
                .map(|(name, value)| (name.value, value.value))
                .collect(),
            live: self.live,
            vod: self.vod,
            series: self.series,
            live_format: self.live_format,
            insecure_tls: self.insecure_tls,
            udp_listen: self.udp_listen,
            multicast_interface: self.multicast_interface,
        })
    }

    fn origin(&self, at: Span, reader: &mut Reader<'_>) -> Option<Origin> {
        let Some(kind) = self.kind else {
            // What is wrong whatever the type is said all the same.
            let url = self.url(at, reader)?;
            if let Err(error) = web_address::list(url.value.expose(), reader.folder) {
                reader.problem(url.at, error.to_string());
            }
            return None;
        };
        match kind {
            SourceType::Xtream => self.xtream(at, reader),
            SourceType::M3u => {
                self.warn_unused(reader, "an m3u source", false);
                let url = self.url(at, reader)?;
                match web_address::list(url.value.expose(), reader.folder) {
                    Ok(ListAddress::Web(url)) => Some(Origin::M3uUrl(url.into())),
                    Ok(ListAddress::File(path)) => Some(Origin::M3uFile(path)),
                    Err(error) => {
                        reader.problem(url.at, error.to_string());
                        None
                    }
                }
            }
            SourceType::Testcard => {
                self.warn_unused(reader, "a testcard source", true);
                Some(Origin::Testcard)
            }
        }
    }

    fn xtream(&self, at: Span, reader: &mut Reader<'_>) -> Option<Origin> {
        let address = self.url(at, reader).and_then(|url| {
            let address = web_address::xtream(url.value.expose());
            address
                .map_err(|error| reader.problem(url.at, error.to_string()))
                .ok()
        });
        let (user_in_url, password_in_url) = address.as_ref().and_then(|it| it.credentials.clone()).unzip();
        let username = Credential {
            name: "username",
            text: &self.username,
            file: &self.username_file,
        };
        let username = username.get(user_in_url, at, reader);
        let password = Credential {
            name: "password",
            text: &self.password,
            file: &self.password_file,
        };
        let password = password.get(password_in_url, at, reader);
        Some(Origin::Xtream {
            base: address?.base.into(),
            username: username?,
            password: password?,
        })
    }

    fn url(&self, at: Span, reader: &mut Reader<'_>) -> Option<&Placed<StreamUrl>> {
        let url = self.url.as_ref().filter(|url| !url.value.expose().is_empty());
        if url.is_none() {
            reader.missing(at.start_only(), "`url` is missing");
        }
        url
    }

    fn warn_unused(&self, reader: &mut Reader<'_>, whose: &str, and_url: bool) {
        let unused = [
            (
                "url",
                and_url.then(|| self.url.as_ref().map(|url| url.at)).flatten(),
            ),
            ("username", self.username.as_ref().map(|secret| secret.at)),
            ("username_file", self.username_file.as_ref().map(|path| path.at)),
            ("password", self.password.as_ref().map(|secret| secret.at)),
            ("password_file", self.password_file.as_ref().map(|path| path.at)),
        ];
        for (name, at) in unused {
            if let Some(at) = at {
                reader.warning(at, format!("{whose} makes no use of `{name}`"));
            }
        }
    }
}

impl LoginKeys {
    fn build(&self, at: Span, reader: &mut Reader<'_>) -> Option<FurtherLogin> {
        let username = Credential {
            name: "username",
            text: &self.username,
            file: &self.username_file,
        };
        let password = Credential {
            name: "password",
            text: &self.password,
            file: &self.password_file,
        };
        let username = username.get(None, at, reader);
        let password = password.get(None, at, reader);
        Some(FurtherLogin {
            username: username?,
            password: password?,
            max_connections: self.max_connections,
        })
    }
}

fn build_host(host: &Placed<StreamUrl>, reader: &mut Reader<'_>) -> Option<StreamUrl> {
    match web_address::xtream(host.value.expose()) {
        Ok(address) => Some(address.base.into()),
        Err(error) => {
            reader.problem(host.at, error.to_string());
            None
        }
    }
}

/// A name or password, given as text or in a file.
struct Credential<'k> {
    name: &'static str,
    text: &'k Option<Placed<Secret>>,
    file: &'k Option<Placed<PathBuf>>,
}

impl Credential<'_> {
    /// Its value, or the one a pasted URL holds; `at` is the place of the whole source.
    fn get(&self, in_url: Option<Secret>, at: Span, reader: &mut Reader<'_>) -> Option<Secret> {
        let name = self.name;
        let given = match (self.text, self.file) {
            (Some(text), None) => Some(text.value.clone()),
            (Some(_), Some(file)) => {
                reader.problem(file.at, format!("give `{name}` or `{name}_file`, not both"));
                return None;
            }
            (None, Some(file)) => Some(read_secret(file, reader)?),
            (None, None) => None,
        };
        let found = given.or(in_url).filter(|secret| !secret.is_empty());
        if found.is_none() {
            reader.missing(
                at.start_only(),
                format!("`{name}` or `{name}_file` is needed here"),
            );
        }
        found
    }
}

/// The first line of a file.
fn read_secret(file: &Placed<PathBuf>, reader: &mut Reader<'_>) -> Option<Secret> {
    let path = reader.folder.join(&file.value);
    let mut text = String::new();
    let read = File::open(&path).and_then(|open| open.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => Some(Secret::new(text.lines().next().unwrap_or_default())),
        Err(error) => {
            reader.missing(file.at, format!("{} cannot be read: {error}", path.display()));
            None
        }
    }
}

/// RFC 9110 §5.1 and §5.5: a name is a token, a value holds no control characters.
fn check_header(name: &Placed<String>, value: &Placed<Secret>, reader: &mut Reader<'_>) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.value.is_empty() || !name.value.bytes().all(is_token) {
        reader.problem(name.at, "this is no header name");
    }
    if value.value.expose().chars().any(|c| c.is_control() && c != '\t') {
        reader.problem(
            value.at,
            "a header's value cannot hold line breaks or control characters",
        );
    }
}
