//! The command line: flags, their environment variables, and the exit codes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::app::{self, StartError};
use crate::config::first_run::{Choice, Outcome, load_or_write};
use crate::config::{Config, LoadError, LogLevel, check, defaults, exit, load};
use crate::trial;

/// Where the image keeps its configuration, as the reference's image does.
const IMAGE_CONFIG: &str = "/app/config/config.yaml";

/// Where the configuration is looked for elsewhere: in the working directory.
const CONFIG: &str = "config.yaml";

/// How long `mainstem healthcheck` waits.
const HEALTH_WITHIN: Duration = Duration::from_secs(3);

/// A live-TV restreamer: several sources in, one playlist out, every channel plays.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 3 configuration has errors, 4 configuration cannot be read, 5 address in use.\nSignals: SIGTERM and SIGINT end, SIGHUP reads the configuration again."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say everything that is wrong with the configuration, and start nothing
    Check,
    /// Ask a running mainstem whether it answers (for containers)
    Healthcheck,
    /// Try the rules for channels
    Rules {
        #[command(subcommand)]
        what: RulesCommand,
    },
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Show what each rule of the configuration matches, changes and leaves out; starts and changes nothing
    Try(TryOptions),
}

#[derive(Debug, Args)]
struct TryOptions {
    /// M3U to try them on, as the list of a source; again for more [default: the lists kept of all sources]
    #[arg(long, value_name = "[SOURCE=]FILE")]
    list: Vec<String>,
    /// Say why entries are where they are: a part of a name, or the id of a channel or stream
    #[arg(long, value_name = "TEXT")]
    entry: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// What overrides the configuration file.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Configuration file, YAML or JSON [default: config.yaml; /app/config/config.yaml in the image]
    #[arg(short, long, global = true, env = "MAINSTEM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen at, instead of bind_host
    #[arg(long, global = true, env = "MAINSTEM_HOST")]
    host: Option<String>,
    /// Port to listen at, instead of bind_port
    #[arg(long, global = true, env = "MAINSTEM_PORT")]
    port: Option<u16>,
    /// DEBUG, INFO, WARNING, ERROR or CRITICAL, instead of log_level
    #[arg(long, global = true, env = "MAINSTEM_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<LogLevel>,
}

impl Cli {
    /// Does what the command line says.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let code = match self.command {
            Some(Command::Check) => check(&self.options.path()),
            Some(Command::Healthcheck) => healthcheck(&self.options),
            Some(Command::Rules {
                what: RulesCommand::Try(trial),
            }) => try_rules(&self.options, &trial),
            None => serve(&self.options),
        };
        ExitCode::from(code)
    }
}

impl Options {
    /// The configuration file to read.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match &self.config {
            Some(path) => path.clone(),
            None if Path::new(IMAGE_CONFIG).parent().is_some_and(Path::is_dir) => IMAGE_CONFIG.into(),
            None => CONFIG.into(),
        }
    }

    /// Reads the configuration with the overrides applied, writing a first one where there is none.
    ///
    /// # Errors
    /// See [`load_or_write`].
    pub fn load(&self) -> Result<Outcome, LoadError> {
        let choice = if self.config.is_some() {
            Choice::Explicit
        } else {
            Choice::Default
        };
        let mut outcome = load_or_write(&self.path(), choice, &environment)?;
        let (Outcome::Loaded(loaded) | Outcome::Written(loaded) | Outcome::FromMemory(loaded, _)) =
            &mut outcome;
        self.override_in(&mut loaded.config);
        Ok(outcome)
    }

    /// Reads the configuration of a running mainstem with the overrides applied. A file that is gone is an error: a
    /// first configuration in its place would take all sources away.
    ///
    /// # Errors
    /// See [`load`].
    pub fn reload(&self) -> Result<Config, LoadError> {
        let mut config = load(&self.path(), &environment)?.config;
        self.override_in(&mut config);
        Ok(config)
    }

    fn override_in(&self, config: &mut Config) {
        if let Some(host) = &self.host {
            config.bind_host.clone_from(host);
        }
        config.bind_port = self.port.unwrap_or(config.bind_port);
        config.log_level = self.log_level.unwrap_or(config.log_level);
    }
}

/// The process's environment, as the configuration asks for it.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn check(path: &Path) -> u8 {
    let report = check::check(path, &environment);
    say(&report.text);
    report.exit_code
}

fn try_rules(options: &Options, trial: &TryOptions) -> u8 {
    let config = match options.reload() {
        Ok(config) => config,
        Err(error) => {
            complain(&format!("{error}"));
            return error.exit_code();
        }
    };
    let report = match trial::report(&config, &trial.list, trial.entry.as_deref()) {
        Ok(report) => report,
        Err(error) => {
            complain(&error);
            return exit::FAILURE;
        }
    };
    if trial.json {
        // A report is strings and numbers: it always is JSON.
        let text = serde_json::to_string_pretty(&report).unwrap_or_default();
        say(&(text + "\n"));
    } else {
        say(&trial::text(&report));
    }
    exit::OK
}

fn serve(options: &Options) -> u8 {
    let outcome = match options.load() {
        Ok(outcome) => outcome,
        Err(error) => {
            complain(&format!("{error}"));
            return error.exit_code();
        }
    };
    match app::run(options, outcome) {
        Ok(()) => exit::OK,
        Err(error) => {
            complain(&error.to_string());
            match error {
                StartError::AddressInUse { .. } => exit::ADDRESS_IN_USE,
                _ => exit::FAILURE,
            }
        }
    }
}

/// Asks the server this configuration starts, over loopback, with nothing but a socket: the image has no curl.
///
/// It writes nothing, and a configuration that cannot be used is no answer: the server may run on the one it read before.
fn healthcheck(options: &Options) -> u8 {
    let (host, port) = match options.reload() {
        Ok(config) => (config.bind_host, config.bind_port),
        Err(_) => (
            options
                .host
                .clone()
                .unwrap_or_else(|| defaults::BIND_HOST.to_owned()),
            options.port.unwrap_or(defaults::BIND_PORT),
        ),
    };
    match ask_health(&host, port) {
        Ok(()) => exit::OK,
        Err(error) => {
            complain(&format!("mainstem does not answer at port {port}: {error}"));
            exit::FAILURE
        }
    }
}

fn ask_health(host: &str, port: u16) -> std::io::Result<()> {
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "::" | "[::]" => "::1",
        host => host.trim_start_matches('[').trim_end_matches(']'),
    };
    let address: SocketAddr = (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "no address"))?;
    let mut socket = TcpStream::connect_timeout(&address, HEALTH_WITHIN)?;
    socket.set_read_timeout(Some(HEALTH_WITHIN))?;
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    socket.read_exact(&mut status)?;
    if status.ends_with(b" 200") {
        return Ok(());
    }
    Err(std::io::Error::other(
        String::from_utf8_lossy(&status).into_owned(),
    ))
}

#[expect(clippy::print_stdout, reason = "the report is what the user asked for")]
fn say(text: &str) {
    print!("{text}");
}

#[expect(
    clippy::print_stderr,
    reason = "there is no log before there is a configuration"
)]
fn complain(text: &str) {
    eprintln!("{}", text.trim_end());
}
