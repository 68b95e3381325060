//! nginx before mainstem, with the configuration that `docs/nginx-hls.conf` recommends: it takes the load of HLS.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use support::decode::has_tool;
use support::hls::HlsViewer;
use support::scene::{Case, FIRST, SECOND, Scene};
use support::{SOON, eventually, get, request};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Players at a time.
const PLAYERS: usize = 30;

/// nginx, ended when dropped.
struct Nginx {
    process: Child,
    folder: TempDir,
    port: u16,
}

impl Nginx {
    /// One process before `upstream`, as the documents say.
    fn start(upstream: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let here = folder.path();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/nginx-hls.conf");
        let documented = std::fs::read_to_string(documented).unwrap();
        let server = documented
            .replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
            .replace("http://127.0.0.1:8080", upstream)
            .replace(
                "/var/cache/nginx/mainstem",
                &here.join("cache").display().to_string(),
            );
        let here = here.display();
        let config = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log;
events {{ worker_connections 4096; }}
http {{
    log_format asked '$uri $status $upstream_cache_status';
    access_log {here}/access.log asked;
    client_body_temp_path {here}/b; proxy_temp_path {here}/p; fastcgi_temp_path {here}/f;
    uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
{server}
}}
"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let process = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(folder.path().join("error.log"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            process,
            folder,
            port,
        }
    }

    /// What was asked, and what of it was asked of mainstem.
    fn asked(&self) -> Vec<(String, bool)> {
        let log = std::fs::read_to_string(self.folder.path().join("access.log")).unwrap();
        let lines = log.lines().filter_map(|line| {
            let mut words = line.split(' ');
            let (uri, status, cache) = (words.next()?, words.next()?, words.next()?);
            assert!(["200", "206"].contains(&status), "{line}");
            Some((uri.to_owned(), cache != "HIT"))
        });
        lines.collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().map(drop).unwrap_or_default();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_segment_is_asked_for_once_however_many_watch() {
    if !has_tool("nginx") {
        return;
    }
    let scene = Scene::of(
        vec![Case::new("many", FIRST, SECOND)],
        &[("  api_interval: 0s\n", "  api_interval: 0s\nhls: {segment: 2s}\n")],
        |_| {},
    )
    .await;
    let nginx = Nginx::start(scene.mainstem.base_url());
    let stream = scene.mainstem.stream_url("many").await;
    let id = stream.rsplit('/').next().unwrap();
    let through = format!("http://127.0.0.1:{}/stream/{id}", nginx.port);
    eventually("nginx listens", || async {
        std::net::TcpStream::connect(("127.0.0.1", nginx.port)).ok()
    })
    .await;
    let multivariant = get(&format!("{through}.m3u8")).await;
    assert!(
        multivariant.text().contains("live.m3u8"),
        "{}",
        multivariant.text()
    );
    let mut players = JoinSet::new();
    for _ in 0..PLAYERS {
        let url = format!("{through}/live.m3u8");
        players.spawn(async move {
            let mut player = HlsViewer::new(&url);
            player.watch.loosely = true;
            player.watch_media(Duration::from_secs(14)).await;
            player.judge("behind nginx").await;
            let (entry, whole) = player.segments().last().unwrap().clone();
            let folder = url.rsplit_once('/').unwrap().0;
            let range = [("Range", "bytes=0-187")];
            let part = request("GET", &format!("{folder}/{}", entry.uri), &range).await;
            assert_eq!((part.status, part.body), (206, whole.slice(0..188)));
        });
    }
    while let Some(done) = tokio::time::timeout(SOON * 2, players.join_next()).await.unwrap() {
        done.unwrap();
    }
    let asked = nginx.asked();
    let mut of_us: BTreeMap<&str, usize> = BTreeMap::new();
    for (uri, passed) in &asked {
        *of_us.entry(uri).or_default() += usize::from(*passed);
    }
    let segments: Vec<_> = of_us.iter().filter(|(uri, _)| uri.ends_with(".ts")).collect();
    assert!(segments.len() >= 5, "{of_us:?}");
    assert!(segments.iter().all(|(_, count)| **count == 1), "{of_us:?}");
    let playlists: usize = of_us
        .iter()
        .filter(|(uri, _)| uri.ends_with(".m3u8"))
        .map(|(_, count)| *count)
        .sum();
    assert!(
        playlists * PLAYERS / 3 < asked.len(),
        "{playlists} of {} were passed on",
        asked.len()
    );
}
