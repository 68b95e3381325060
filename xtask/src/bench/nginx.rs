//! nginx as the yardstick: it passes bytes on and does nothing else, one upstream connection for each viewer; or serves
//! files.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::server::Running;
use crate::tools::find;

/// Starts nginx as one process before the server at `upstream`; gives its port too.
pub(super) fn start(folder: &Path, upstream: u16) -> Result<(Running, u16)> {
    let pass =
        format!("proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_buffering off;");
    start_with(folder, &pass)
}

/// Starts nginx as one process before the HLS of the server at `upstream`, with the cache that `docs/` recommends or
/// without; gives its port too.
pub(super) fn start_hls(folder: &Path, upstream: u16, caches: bool) -> Result<(Running, u16)> {
    let pass = format!("proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1;");
    let cache = if caches {
        " proxy_cache hls; proxy_cache_lock on; proxy_cache_key $uri; proxy_cache_valid 200 1s;"
    } else {
        ""
    };
    start_with(folder, &format!("{pass}{cache}"))
}

/// Starts nginx as one process that serves the files in `root`; gives its port too.
pub(super) fn start_files(folder: &Path, root: &Path) -> Result<(Running, u16)> {
    start_with(folder, &format!("root {}; sendfile on;", root.display()))
}

fn start_with(folder: &Path, location: &str) -> Result<(Running, u16)> {
    let nginx = find("nginx").context("nginx is not installed")?;
    let folder = folder.join("nginx");
    std::fs::create_dir_all(&folder)?;
    let here = folder.display();
    let port = free_port()?;
    let config = folder.join("nginx.conf");
    std::fs::write(
        &config,
        format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; }}
http {{
    access_log off; tcp_nodelay on; sendfile on;
    client_body_temp_path {here}/b; proxy_temp_path {here}/p; fastcgi_temp_path {here}/f;
    uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
    proxy_cache_path {here}/cache keys_zone=hls:1m;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ {location} }}
    }}
}}
"
        ),
    )?;
    let mut command = Command::new(nginx);
    command.arg("-p").arg(&folder).arg("-c").arg(&config);
    command
        .arg("-e")
        .arg(folder.join("error.log"))
        .stderr(Stdio::inherit());
    Ok((Running::start(&mut command)?, port))
}

/// A port that is free now; nobody else takes the next free one within milliseconds.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
