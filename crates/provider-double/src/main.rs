//! The provider double as a program: a demo panel to play with, or the plan of a JSON file.

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use provider_double::{Plan, Provider, Synthetic};

/// A provider that misbehaves on command.
///
/// Serves one live channel per built-in clip to the login demo/demo. Break it while it runs:
///
///   curl -d '{"stream":"1","now":"stall"}' http://127.0.0.1:8899/_control
///   curl -d '{"stream":"1","fault":{"rst":{"bytes":100000}},"times":1}' http://127.0.0.1:8899/_control
///   curl -d '{"account":"demo","list_fault":{"truncated_at":500}}' http://127.0.0.1:8899/_control
///   curl -d '{"account":"demo","clear":true}' http://127.0.0.1:8899/_control
///   curl http://127.0.0.1:8899/_control        (the log: open sockets, peak, requests, closes)
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8899")]
    bind: SocketAddr,
    /// Where the second host of redirects listens.
    #[arg(long, default_value = "127.0.0.1:8898")]
    edge_bind: SocketAddr,
    /// A plan in JSON in place of the demo; --print-plan shows its form.
    #[arg(long)]
    plan: Option<PathBuf>,
    /// Connections of the login demo; 0 is no limit.
    #[arg(long, default_value_t = 2)]
    max_connections: u32,
    /// Made-up live channels after the clips'.
    #[arg(long, default_value_t = 0)]
    live: u32,
    /// Made-up films.
    #[arg(long, default_value_t = 0)]
    movies: u32,
    /// Made-up series.
    #[arg(long, default_value_t = 0)]
    series: u32,
    /// Prints the plan as JSON and ends.
    #[arg(long)]
    print_plan: bool,
}

impl Arguments {
    fn plan(&self) -> Result<Plan, String> {
        if let Some(path) = &self.plan {
            let text = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
            return serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()));
        }
        let mut plan = Plan::demo().synthetic(Synthetic {
            live: self.live,
            movies: self.movies,
            series: self.series,
        });
        plan.bind = self.bind;
        plan.edge_bind = self.edge_bind;
        for account in &mut plan.accounts {
            account.max_connections = self.max_connections;
        }
        Ok(plan)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            say(&format!("provider-double: {wrong}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let plan = arguments.plan()?;
    if arguments.print_plan {
        say(&serde_json::to_string_pretty(&plan).map_err(|e| e.to_string())?);
        return Ok(());
    }
    let first = plan.accounts.first().cloned();
    let channels = plan.channels.clone();
    let provider = Provider::start(plan).map_err(|e| format!("cannot listen: {e}"))?;
    say(&format!(
        "listening on {}, edge on http://{}",
        provider.base_url(),
        provider.edge_addr()
    ));
    if let Some(account) = first {
        let (username, password) = (&account.username, &account.password);
        say(&format!(
            "list   {}/get.php?username={username}&password={password}&type=m3u_plus",
            provider.base_url()
        ));
        for channel in channels {
            say(&format!(
                "stream {}  {}",
                provider.live_url(username, &channel.id),
                channel.name
            ));
        }
    }
    tokio::signal::ctrl_c().await.map_err(|e| e.to_string())?;
    provider.stop().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is a program for a person at a terminal")]
fn say(line: &str) {
    println!("{line}");
}
