//! The whole configuration: the keys at the top of the file, and what must hold between them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use catalog::{ChannelRules, secret::Secret};

use super::{
    channels::ChannelKeys,
    defaults,
    filter::{FilterConfig, FilterKeys},
    hls::Hls,
    log::{LogFormat, LogLevel},
    network::Network,
    reader::Reader,
    section::{Placed, choice, section},
    slate::SlateKeys,
    source::{SourceConfig, SourceKeys},
    timing::{Limits, Timing},
    web_address,
};
use crate::slates::Slates;

/// A valid configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// In the file's order, which is the order of preference. Sources that are switched off are among them if
    /// nothing they need is missing.
    pub sources: Vec<SourceConfig>,
    /// Which streams become channels.
    pub filters: FilterConfig,
    /// How channels are made of them.
    pub channels: Arc<ChannelRules>,
    /// Most upstream connections at all accounts together.
    pub max_total_connections: u32,
    /// Address or host name to listen at.
    pub bind_host: String,
    /// Port to listen at; 0: any free one.
    pub bind_port: u16,
    /// What links begin with, without `/` at its end; absent: links follow the request.
    pub public_url: Option<String>,
    /// The form of streams that the playlist's links lead to.
    pub playlist_output: Output,
    /// Who may say in `Forwarded` headers where a request came from.
    pub trusted_proxies: Vec<Network>,
    /// How much is logged.
    pub log_level: LogLevel,
    /// The form of the log.
    pub log_format: LogFormat,
    /// Where state is kept, as the file says; see [`super::data_dir`].
    pub data_dir: Option<PathBuf>,
    /// Whether `/direct/{id}` sends clients to the provider, credentials and all.
    pub direct: bool,
    /// Accounts of the Xtream endpoints.
    pub xtream_auth: XtreamAuth,
    /// What viewers see while no source delivers.
    pub slates: Slates,
    /// Channels as HLS.
    pub hls: Hls,
    /// How long things may take.
    pub timing: Timing,
    /// How much there may be of things.
    pub limits: Limits,
}

choice! {
    /// A form in which channels are sent.
    pub enum Output {
        /// One endless transport stream.
        Ts = "ts" | "mpegts",
        /// HLS: a playlist and segments.
        Hls = "hls" | "m3u8",
    }
}

section! {
    /// Credentials of the Xtream endpoints. They are read and checked; the endpoints come with a later version.
    pub struct XtreamAuth {
        /// Whether they ask for these credentials.
        enabled: bool = false;
        /// Account name.
        username: Secret = Secret::new(defaults::XTREAM_USERNAME);
        /// Account password.
        password: Secret = Secret::new(defaults::XTREAM_PASSWORD);
    }
}

section! {
    /// Configuration of mainstem.
    pub(super) struct Keys {
        /// Where streams come from, in order of preference.
        sources: Vec<Placed<SourceKeys>> = Vec::new();
        /// Which streams become channels.
        filters: FilterKeys = FilterKeys::default();
        /// How entries of the lists become channels.
        channels: ChannelKeys = ChannelKeys::default();
        /// Most upstream connections at all accounts together.
        max_total_connections: u32 = defaults::MAX_TOTAL_CONNECTIONS, 1.0 ..= 100000.0;
        /// Address to listen at.
        bind_host: Placed<String> = Placed::implied(defaults::BIND_HOST.to_owned());
        /// Port to listen at; 0 takes any free one.
        bind_port: u16 = defaults::BIND_PORT, 0.0 ..= 65535.0;
        /// What links in the playlist begin with. Absent: links follow the address the client asked for.
        public_url: Option<Placed<String>> = None;
        /// The form of streams that links in the playlist lead to where the request does not say (`?output=`): `ts`, or
        /// `hls`.
        playlist_output: Output = Output::Ts;
        /// Addresses or networks of reverse proxies whose `Forwarded` and `X-Forwarded-*` headers are believed.
        trusted_proxies: Vec<Network> = Vec::new();
        /// How much is logged.
        log_level: LogLevel = LogLevel::Info;
        /// `text`, or `json`: one object per line.
        log_format: LogFormat = LogFormat::Text;
        /// Folder for state. Absent: `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/mainstem`, else
        /// `~/.local/state/mainstem`. The variable `MAINSTEM_DATA_DIR` comes first.
        data_dir: Option<Placed<PathBuf>> = None;
        /// Whether `/direct/{id}` redirects clients to the provider. The redirect shows them the account's name and
        /// password: switch it off where not every client may know them.
        direct: bool = true;
        /// Credentials of the Xtream endpoints. They are read and checked; the endpoints come with a later version.
        xtream_auth: Placed<XtreamAuth> = Placed::implied(XtreamAuth::default());
        /// Own clips for what viewers see while no source delivers.
        slate: SlateKeys = SlateKeys::default();
        /// Channels as HLS, at `/stream/{id}.m3u8`.
        hls: Hls = Hls::default();
        /// How long things may take.
        timing: Placed<Timing> = Placed::implied(Timing::default());
        /// How much there may be of things.
        limits: Placed<Limits> = Placed::implied(Limits::default());
    }
}

impl Keys {
    /// Checks what must hold between keys; the configuration is usable if `reader` holds no error afterwards.
    pub(super) fn build(self, reader: &mut Reader<'_>) -> Config {
        let sources = super::source::build_all(self.sources, reader);
        if self.bind_host.value.trim().is_empty() {
            reader.problem(
                self.bind_host.at,
                "`bind_host` is empty; write 0.0.0.0 to listen at every address",
            );
        }
        let public_url = self.public_url.and_then(|url| {
            let link = web_address::public_url(&url.value);
            link.map_err(|error| reader.problem(url.at, error.to_string()))
                .ok()
                .flatten()
        });
        let auth = &self.xtream_auth.value;
        if auth.enabled && auth.password.expose() == defaults::XTREAM_PASSWORD {
            let message = "the Xtream endpoints are on with the password everybody knows";
            reader.warning(self.xtream_auth.at.start_only(), message);
        }
        let slates = self.slate.build(reader);
        let channels = Arc::new(self.channels.build(reader));
        let (timing, limits) = (self.timing.value, self.limits.value);
        for (least, most, low, high) in [
            (
                "backoff_min",
                "backoff_max",
                timing.backoff_min,
                timing.backoff_max,
            ),
            (
                "cool_down_min",
                "cool_down_max",
                timing.cool_down_min,
                timing.cool_down_max,
            ),
            (
                "keep_alive_after",
                "slate_after",
                timing.keep_alive_after,
                timing.slate_after,
            ),
        ] {
            if low > high {
                reader.problem(
                    self.timing.at.start_only(),
                    format!("`{least}` is greater than `{most}`"),
                );
            }
        }
        if limits.ring_bytes > limits.ring_bytes_max {
            let message = "`ring_bytes` is greater than `ring_bytes_max`";
            reader.problem(self.limits.at.start_only(), message);
        }
        Config {
            sources,
            filters: self.filters.into(),
            channels,
            max_total_connections: self.max_total_connections,
            bind_host: self.bind_host.value.trim().to_owned(),
            bind_port: self.bind_port,
            public_url,
            playlist_output: self.playlist_output,
            trusted_proxies: self.trusted_proxies,
            log_level: self.log_level,
            log_format: self.log_format,
            data_dir: self.data_dir.map(|path| path.value),
            direct: self.direct,
            xtream_auth: self.xtream_auth.value,
            slates,
            hls: self.hls,
            timing,
            limits,
        }
    }
}

impl Default for Config {
    /// Every default and no source.
    fn default() -> Self {
        Keys::default().build(&mut Reader::new(&|_| None, Path::new("")))
    }
}
