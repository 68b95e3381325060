//! Wiring: makes the parts, runs them, and takes them down in order.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use catalog::SourceRules;
use relay::HubTask;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::api::{self, App};
use crate::audience::{Audience, Rule};
use crate::channels::Channels;
use crate::cli::{Options, environment};
use crate::config::first_run::Outcome;
use crate::config::{Config, LoadError, data_dir};
use crate::health::Health;
use crate::library::{LibraryTask, Rules};
use crate::logging::{self, Level};
use crate::output::catchup::Forms;
use crate::output::films::Films;
use crate::output::hls::{Packagers, Settings};
use crate::output::rendering::Renderings;
use crate::server::{ServerBounds, serve};
use crate::signatures::Signatures;
use crate::slot::Pools;
use crate::source::{FetchBounds, Fetcher};
use crate::sources::Sources;
use crate::store::Store;
use crate::upstream::http::Client;
use crate::upstream::open::{OpenTiming, Opening};
use crate::upstream::titles::Titles;
use crate::upstream::ways::KnownWays;

/// How long a login rests after its provider said that it is at its limit.
const LIMIT_REST: Duration = Duration::from_secs(15);

/// How long a stream must have delivered before its failures are forgotten and its end earns a quick reconnect.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// Longest wait at the end for threads that read or write files.
const THREADS_WITHIN: Duration = Duration::from_secs(2);

/// Longest wait between rounds when every stream of a channel looks lastingly broken.
const BACKOFF_MAX_HOPELESS: Duration = Duration::from_secs(30);

/// Why the program could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else listens there.
    #[error(
        "port {port} at {host} is in use by another program. Stop it, or choose another port: mainstem --port N, or bind_port in the configuration"
    )]
    AddressInUse {
        /// The address.
        host: String,
        /// The port.
        port: u16,
    },
    /// It cannot be listened there.
    #[error("cannot listen at {host}, port {port}: {error}")]
    Listen {
        /// The address.
        host: String,
        /// The port.
        port: u16,
        /// Why.
        error: io::Error,
    },
    /// The system lacks something.
    #[error("mainstem cannot start: {0}")]
    System(String),
}

/// Runs until a signal ends it.
///
/// # Errors
/// [`StartError`] before anything is served.
pub fn run(options: &Options, outcome: Outcome) -> Result<(), StartError> {
    let (written, memory) = match &outcome {
        Outcome::Loaded(_) => (false, None),
        Outcome::Written(_) => (true, None),
        Outcome::FromMemory(_, warning) => (false, Some(warning.clone())),
    };
    let loaded = outcome.into_loaded();
    let level = logging::start(loaded.config.log_level, loaded.config.log_format).map_err(system)?;
    if written {
        info!(file = %options.path().display(), "no configuration was found; a first one was written. Put your sources into it");
    }
    for warning in memory
        .into_iter()
        .chain(loaded.warnings.iter().map(ToString::to_string))
    {
        warn!("{warning}");
    }
    raise_file_limit(loaded.config.limits.viewers);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(system)?;
    let ended = runtime.block_on(async {
        // Before anybody is told that it listens: whoever is told may end it the moment after.
        let signals = Signals::new().map_err(system)?;
        let running = Running::start(loaded.config).await?;
        running.until_told(options, &level, signals).await;
        Ok(())
    });
    // A thread that a dead file system holds must not keep the program from ending.
    runtime.shutdown_timeout(THREADS_WITHIN);
    ended
}

/// Every viewer and every upstream is a file to the system, which allows a process 1,024 unless it asks for more.
fn raise_file_limit(viewers_max: u32) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "the limit of open files could not be raised");
    }
    let allowed = getrlimit(Resource::Nofile).current;
    if let Some(allowed) = allowed.filter(|allowed| *allowed < u64::from(viewers_max)) {
        warn!(
            "the system allows this process {allowed} open files, fewer than limits.viewers ({viewers_max}) needs"
        );
    }
}

fn system(error: impl std::fmt::Display) -> StartError {
    StartError::System(error.to_string())
}

/// Everything that runs.
struct Running {
    config: watch::Sender<Arc<Config>>,
    rules: watch::Sender<Rules>,
    sources: Sources,
    app: App,
    /// The hub and the library; they end only when told to.
    rooms: JoinSet<&'static str>,
    server: JoinSet<()>,
    stop: CancellationToken,
}

impl Running {
    async fn start(config: Config) -> Result<Self, StartError> {
        let listener = listen(&config).await?;
        let store = open_store(&config).await;
        let client = Client::new(config.timing.connect, config.limits.redirects as usize).map_err(system)?;
        let pools = Pools::new(config.max_total_connections as usize);
        let (rules, rules_seen) = watch::channel(rules(&config));
        let (library, outlets) = LibraryTask::new(rules_seen, store.clone());
        let folder = store.folder().map_or_else(std::env::temp_dir, Path::to_owned);
        let (renderings, rendering) = Renderings::new(folder.clone(), outlets.catalog.clone());
        let fetcher = Fetcher::new(client.clone(), pools.clone(), fetch_bounds(&config));
        let signatures = Signatures::default();
        let keeping = signatures.clone().keep(store.clone());
        let (mut sources, table) = Sources::new(fetcher, store, outlets.updates);
        let opening = opening(&config, client, pools);
        let health = Health::new(config.timing.cool_down_min, config.timing.cool_down_max);
        let default = config.limits.account_connections as usize;
        let channels = Arc::new(Channels::new(
            outlets.catalog,
            table,
            opening,
            (health, signatures.clone()),
            (default, HEALTHY_AFTER),
            config.slates.clone(),
        ));
        let (hub, hub_task) = HubTask::new(Arc::clone(&channels), relay_timing(&config));
        let address = listener.local_addr().map_err(system)?;
        let audience = Audience::new(
            channels.pools().clone(),
            config.limits.viewers as usize,
            client_rule(&config),
            config.timing.zap_hold,
        );
        let (packagers, packaging) = Packagers::new(Settings::new(&config, &folder));
        let (bounds, drain) = (server_bounds(&config), config.timing.drain);
        sources.apply(&config);
        let (config, config_seen) = watch::channel(Arc::new(config));
        let app = App {
            channels,
            hub,
            config: config_seen,
            audience,
            material: outlets.material,
            previews: Arc::new(Semaphore::new(api::PREVIEWS_MAX)),
            packagers,
            renderings,
            films: Films::default(),
            forms: Forms::default(),
            unsupported: api::Unsupported::default(),
            listening: reachable(address).into(),
            started: tokio::time::Instant::now().into_std(),
        };
        let mut rooms = JoinSet::new();
        rooms.spawn(named("hub", hub_task.run()));
        rooms.spawn(named("library", library.run()));
        rooms.spawn(named("signatures", keeping));
        rooms.spawn(named("renderings", rendering.run()));
        rooms.spawn(named("packagers", packaging.run()));
        let stop = CancellationToken::new();
        let mut server = JoinSet::new();
        let linking = app.clone();
        let prefix = Arc::new(move || linking.links().path());
        server.spawn(serve(
            listener,
            api::router(app.clone()),
            prefix,
            bounds,
            (stop.clone(), drain),
        ));
        say_where(&app, address);
        Ok(Self {
            config,
            rules,
            sources,
            app,
            rooms,
            server,
            stop,
        })
    }

    async fn until_told(mut self, options: &Options, level: &Level, mut signals: Signals) {
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Told::End => break,
                    Told::Reload => self.reload(options, level),
                },
                () = self.sources.watch() => {}
                Some(ended) = self.rooms.join_next() => {
                    error!(?ended, "a fault in mainstem ended a part it cannot do without; it ends, to be started anew");
                    break;
                }
            }
        }
        self.end(signals).await;
    }

    fn reload(&mut self, options: &Options, level: &Level) {
        let config = match options.reload() {
            Ok(config) => config,
            Err(error) => {
                let kind = match error {
                    LoadError::Invalid(_) => "has errors",
                    _ => "cannot be read",
                };
                error!("the configuration {kind}; the one in force stays:\n{error}");
                return;
            }
        };
        let old = self.app.config();
        if needs_restart(&old, &config) {
            warn!(
                "bind_host, bind_port, data_dir, slate, hls, timing, limits and log_format take effect with the next start, and so does how long a broadcast waits for the longest release_delay"
            );
        }
        level.set(config.log_level);
        self.app
            .channels
            .pools()
            .set_total_max(config.max_total_connections as usize);
        self.rules.send_replace(rules(&config));
        // Sources that are new or changed refresh by themselves.
        self.sources.refresh_all();
        self.sources.apply(&config);
        self.config.send_replace(Arc::new(config));
        info!("configuration read again");
    }

    /// Stops accepting, ends live responses at a packet boundary, gives everything else its time to finish.
    async fn end(mut self, mut signals: Signals) {
        info!("ending: no new connections; upstreams are released");
        self.stop.cancel();
        // An endless response cannot drain. Its end frees the provider's connection at once.
        self.app.hub.close().await;
        tokio::select! {
            () = async { while self.server.join_next().await.is_some() {} } => {}
            () = signals.ended_again() => warn!("told again: not waiting for those who are still connected"),
        }
        self.server.shutdown().await;
        self.rooms.shutdown().await;
        info!("ended");
    }
}

enum Told {
    End,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Somebody who was told that it ends does not want to wait.
    async fn ended_again(&mut self) {
        while let Told::Reload = self.next().await {}
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::End,
            _ = self.interrupt.recv() => Told::End,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

/// Tells people where the playlist is.
fn say_where(app: &App, address: std::net::SocketAddr) {
    let public = app.links().public_url;
    let base = public.unwrap_or_else(|| format!("http://{}", app.listening));
    info!("listening at {address}; the playlist is {base}/playlist.m3u8");
}

/// A part of the program that tells its name when it ends.
async fn named(name: &'static str, room: impl Future<Output = ()>) -> &'static str {
    room.await;
    name
}

async fn listen(config: &Config) -> Result<TcpListener, StartError> {
    let (host, port) = (config.bind_host.clone(), config.bind_port);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    TcpListener::bind((bare, port))
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => StartError::AddressInUse { host, port },
            _ => StartError::Listen { host, port, error },
        })
}

/// The address a person can type: a server that listens everywhere is found at localhost.
fn reachable(address: std::net::SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

async fn open_store(config: &Config) -> Store {
    let Some(folder) = data_dir::resolve(config, &environment) else {
        warn!(
            "there is no folder to keep lists in (set data_dir or MAINSTEM_DATA_DIR); they are fetched anew at every start"
        );
        return Store::nowhere();
    };
    let shown = folder.display().to_string();
    match tokio::task::spawn_blocking(move || Store::open(&folder)).await {
        Ok(Ok(store)) => store,
        Ok(Err(error)) => {
            warn!("{shown} cannot be written ({error}); lists are not kept across a restart");
            Store::nowhere()
        }
        Err(error) => {
            error!(%error, "a fault in mainstem: the data folder could not be opened; lists are not kept");
            Store::nowhere()
        }
    }
}

/// What `config` says of sources, filters and channels.
pub(crate) fn rules(config: &Config) -> Rules {
    let enabled = (0u32..).zip(&config.sources).filter(|(_, source)| source.enabled);
    Rules {
        sources: enabled
            .map(|(order, source)| SourceRules {
                name: source.name.clone(),
                prefix: source.stream_name_prefix.as_str().into(),
                suffix: source.stream_name_suffix.as_str().into(),
                order,
            })
            .collect(),
        filters: Arc::new(config.filters.filters().clone()),
        channels: Arc::clone(&config.channels),
    }
}

fn needs_restart(old: &Config, new: &Config) -> bool {
    (&old.bind_host, old.bind_port, &old.data_dir) != (&new.bind_host, new.bind_port, &new.data_dir)
        || (&old.timing, &old.limits, old.log_format) != (&new.timing, &new.limits, new.log_format)
        || old.slates != new.slates
        || old.hls != new.hls
        || relay_timing(old) != relay_timing(new)
}

fn fetch_bounds(config: &Config) -> FetchBounds {
    FetchBounds {
        head_within: config.timing.list_silence,
        silence_max: config.timing.list_silence,
        total_max: config.timing.list_total,
        bytes_max: config.limits.list_bytes as u64,
        call_every: config.timing.api_interval,
    }
}

fn client_rule(config: &Config) -> Rule {
    Rule {
        channels_max: config.limits.channels_per_client as usize,
        policy: config.limits.client_policy,
        cool_down: config.timing.client_cool_down,
    }
}

fn opening(config: &Config, client: Client, pools: Pools) -> Opening {
    let bandwidth_max = u64::from(config.limits.hls_bandwidth);
    Opening {
        client,
        pools,
        timing: open_timing(config),
        titles: Titles::default(),
        ways: KnownWays::default(),
        hls_bandwidth_max: Some(bandwidth_max).filter(|max| *max > 0),
    }
}

fn open_timing(config: &Config) -> OpenTiming {
    OpenTiming {
        slot_within: config.timing.zap_hold,
        head_within: config.timing.first_bytes,
        first_bytes_within: config.timing.first_bytes,
        limit_rest: LIMIT_REST,
    }
}

fn relay_timing(config: &Config) -> relay::Timing {
    let (timing, limits) = (&config.timing, &config.limits);
    // Waiting for a slot that still counts at the provider is no fault of the stream's.
    let slot_wait = config
        .sources
        .iter()
        .map(|source| source.release_delay)
        .max()
        .unwrap_or_default();
    relay::Timing {
        open_within: timing.first_bytes + slot_wait,
        hedge_after: timing.hedge_after,
        suspect_behind: timing.suspect,
        stall_behind: timing.stall,
        ahead_max: limits.ring_time,
        slate_after: timing.slate_after.min(timing.head_within),
        keep_alive_after: timing.keep_alive_after,
        linger: timing.linger,
        join_behind: timing.join_back,
        backoff_min: timing.backoff_min,
        backoff_max: timing.backoff_max,
        backoff_max_hopeless: BACKOFF_MAX_HOPELESS,
        healthy_after: HEALTHY_AFTER,
        ring_span: limits.ring_time,
        ring_bytes: limits.ring_bytes,
        ring_bytes_max: limits.ring_bytes_max,
    }
}

fn server_bounds(config: &Config) -> ServerBounds {
    ServerBounds {
        viewers_max: config.limits.viewers as usize,
        head_within: config.timing.request_head,
        stall_max: config.timing.viewer_stall,
    }
}
