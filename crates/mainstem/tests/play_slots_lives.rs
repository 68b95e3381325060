//! However a viewer lives and dies, the provider's connection comes back: by its own count and by the kernel's.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

#[path = "support/slots.rs"]
mod slots;
mod support;

use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use provider_double::{Extent, Fault, Provider, RedirectForm};
use slots::{Dice, LOGIN, Scene, SocketWatch, account, is_live, plan, with_film};
use support::process::QUICK;
use support::{Launch, Raw, SOON, Viewer, eventually, get_json};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// Connections of the login.
const LIMIT: u32 = 4;

fn some_fault(dice: &mut Dice) -> Option<Fault> {
    Some(match dice.roll(14) {
        0 => Fault::Refuse,
        1 => Fault::HangBeforeHead,
        2 => Fault::Status {
            code: if dice.roll(2) == 0 { 404 } else { 503 },
            body: String::new(),
            retry_after: None,
        },
        3 => Fault::Html,
        4 => Fault::Eof(Extent::Bytes(40_000)),
        5 => Fault::Rst(Extent::Bytes(50_001)),
        6 => Fault::Stall(Extent::Bytes(30_000)),
        7 => Fault::SlowHead(Duration::from_millis(700)),
        8 => Fault::Redirect {
            hops: 2,
            form: RedirectForm::Relative,
        },
        9 => Fault::Garbage,
        _ => return None,
    })
}

/// One viewer who leaves in one of the ways in which viewers leave.
async fn life(url: String, way: u64) {
    match way {
        0 => drop(Raw::get(&url, false).await),
        1 => Raw::get(&url, false).await.reset(),
        2 => Raw::connect(&url, false).await.reset(),
        3 => {
            let mut raw = Raw::get(&url, false).await;
            raw.read(200).await;
            raw.reset();
        }
        4 => {
            let mut raw = Raw::get(&url, true).await;
            raw.read(200).await;
        }
        5 => {
            // Whatever it gets, a refusal too, it has the head of.
            drop(Viewer::open(&url).await);
        }
        _ => {
            let viewer = Viewer::open(&url).await;
            if viewer.status == 200 {
                viewer.more(60_000).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_thousands_of_lives_nothing_is_in_use_and_a_fresh_play_succeeds() {
    let seed = 0x5EED_0004;
    println!("seed {seed:#x}");
    let (rounds, at_once) = if support::full() { (25, 80) } else { (6, 80) };
    let channels = 12;
    let config = format!("{QUICK}limits: {{viewers: 1000}}\n");
    let scene = Scene::start(
        with_film(plan(account(LIMIT), channels), 300_000, 500_000),
        &config,
        &format!(", max_connections: {LIMIT}"),
    )
    .await;
    let mut urls = scene.urls(channels).await;
    urls.push(scene.mainstem.stream_url("Film").await);
    let watch = SocketWatch::start(scene.provider.addr().port());
    let mut dice = Dice(seed);
    let mut lives = JoinSet::new();
    for _ in 0..rounds {
        for number in 1..=channels {
            let stream = scene.provider.stream(number);
            stream.clear();
            if let Some(fault) = some_fault(&mut dice) {
                stream.fault_times(fault, 2);
            }
        }
        for _ in 0..at_once {
            let url = urls[usize::try_from(dice.roll(urls.len() as u64)).unwrap()].clone();
            lives.spawn(life(url, dice.roll(8)));
        }
        // The next come while the last of these still wait for what cannot be opened.
        while lives.len() > at_once / 2 {
            lives.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(life) = lives.join_next().await {
        life.unwrap();
    }
    for number in 1..=channels {
        scene.provider.stream(number).clear();
    }
    scene.in_use(0).await;
    scene.assert_within(LIMIT as usize);
    assert!(
        watch.peak() <= LIMIT as usize,
        "the kernel had {} at once",
        watch.peak()
    );
    let fresh = Viewer::open(&urls[0]).await;
    fresh.media(Duration::from_secs(4), SOON).await;
    assert!(is_live(&fresh).await);
    scene.in_use(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_asked_for_again_while_it_closes_comes_back_every_time() {
    let channels = 20;
    let config = QUICK.replace("linger: 500ms", "linger: 0s");
    let scene = Scene::start(plan(account(100), channels), &config, ", max_connections: 100").await;
    let urls = scene.urls(channels).await;
    let races = 50;
    let mut racing = JoinSet::new();
    for (number, url) in urls.into_iter().enumerate() {
        racing.spawn(async move {
            let mut dice = Dice(number as u64 + 1);
            for race in 0..races {
                // The one before was dropped a moment ago: its broadcast is at any point of its end.
                let viewer = Viewer::open(&url).await;
                assert_eq!(viewer.status, 200, "race {race}");
                viewer.more(2_000).await;
                drop(viewer);
                if dice.roll(2) == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    while let Some(raced) = racing.join_next().await {
        raced.unwrap();
    }
    scene.in_use(0).await;
    scene.assert_within(channels);
}

/// A client that is a process of its own: it asks, and reads or does not.
fn client(through: &[&str], url: &str, reads: bool) -> Child {
    let (authority, path) = support::http::split(url);
    let (host, port) = authority.split_once(':').unwrap();
    let then = if reads {
        "exec cat <&3 >/dev/null"
    } else {
        "exec sleep 1000"
    };
    let script = format!(
        "exec 3<>/dev/tcp/{host}/{port}; printf 'GET {path} HTTP/1.1\\r\\nHost: {authority}\\r\\n\\r\\n' >&3; {then}"
    );
    let mut words = through.to_vec();
    words.extend(["bash", "-c", &script]);
    Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Waits until the provider has one connection, does something, and says how long it takes to lose it.
async fn until_closed(provider: &Provider, deed: impl FnOnce()) -> Duration {
    let login = provider.account(LOGIN);
    let sends = |log: &provider_double::AccountLog| log.open_now == 1;
    login.wait_until(sends, SOON).await.unwrap();
    deed();
    let from = Instant::now();
    login.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    from.elapsed()
}

/// `linger`, `viewer_stall` and a second, as in [`QUICK`].
const GONE_WITHIN: Duration = Duration::from_millis(500 + 2_000 + 1_000);

async fn watches(url: &str) {
    eventually("somebody watches", || async {
        let active = get_json(url).await;
        (active["broadcasts"][0]["live"] == true && active["broadcasts"][0]["viewers"] == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_killed_or_stops_reading_frees_the_connection() {
    let scene = Scene::start(plan(account(1), 1), QUICK, "").await;
    let url = scene.mainstem.stream_url("Channel 1").await;
    let active = scene.mainstem.url("/active-streams");

    let mut killed = client(&[], &url, true);
    watches(&active).await;
    let took = until_closed(&scene.provider, || killed.start_kill().unwrap()).await;
    assert!(took <= GONE_WITHIN, "killed: {took:?}");
    scene.in_use(0).await;

    // It reads nothing, with buffers as small as the kernel makes them: from when they are full it is not reading.
    let stuck = Raw::get(&url, true).await;
    watches(&active).await;
    let full = eventually("it is cut off", || async {
        let viewers = get_json(&active).await["broadcasts"][0]["viewers"].as_u64();
        (viewers != Some(1)).then_some(Instant::now())
    })
    .await;
    let login = scene.login();
    login.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    assert!(
        full.elapsed() <= Duration::from_millis(1_500),
        "cut off: {:?}",
        full.elapsed()
    );
    drop(stuck);
    scene.in_use(0).await;
}

/// A network namespace with a cable to this one. Its end takes the cable with it.
struct Namespace {
    name: String,
    cable: String,
}

impl Namespace {
    /// `None` where this user may make none, or there is no `ip`.
    fn new(net: u8) -> Option<Self> {
        let id = std::process::id() % 100_000;
        let namespace = Self {
            name: format!("mst{id}"),
            cable: format!("mst{id}a"),
        };
        let (name, cable) = (namespace.name.clone(), namespace.cable.clone());
        let far = format!("mst{id}b");
        let steps = [
            format!("netns add {name}"),
            format!("link add {cable} type veth peer name {far} netns {name}"),
            format!("addr add 10.213.{net}.1/24 dev {cable}"),
            format!("link set {cable} up"),
            format!("-n {name} addr add 10.213.{net}.2/24 dev {far}"),
            format!("-n {name} link set {far} up"),
        ];
        steps.iter().all(|step| ip(step)).then_some(namespace)
    }

    /// From now on every packet between the two is lost, and nobody is told.
    fn cut(&self) {
        assert!(ip(&format!("-n {} link set {}b down", self.name, self.name)));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&format!("link del {}", self.cable));
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> bool {
    let run = std::process::Command::new("ip")
        .args(arguments.split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    run.is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_without_a_word_frees_the_connection() {
    let net = u8::try_from(std::process::id() % 200).unwrap();
    let Some(namespace) = Namespace::new(net) else {
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let is_required = is_root && std::env::var_os("MAINSTEM_REQUIRE_TOOLS").is_some();
        assert!(!is_required, "root makes no network namespace: is `ip` missing?");
        // The runner shows what this test prints: see .config/nextest.toml.
        println!(
            "NOT RUN: a client that vanishes needs a network namespace, which needs root and the program `ip`"
        );
        return;
    };
    let provider = Provider::start(plan(account(1), 1)).unwrap();
    let list = format!("{}&output=ts", provider.m3u_url(LOGIN));
    let config = format!("{QUICK}sources:\n  - {{name: one, type: m3u, url: \"{list}\"}}\n");
    let mainstem = Launch::everywhere(&config).ready().await;
    let url = mainstem.stream_url("Channel 1").await;
    let port = url.rsplit_once(':').unwrap().1;
    let url = format!("http://10.213.{net}.1:{port}");
    let _vanishes = client(&["ip", "netns", "exec", &namespace.name], &url, true);
    watches(&mainstem.url("/active-streams")).await;
    let took = until_closed(&provider, || namespace.cut()).await;
    assert!(took <= GONE_WITHIN, "{took:?}");
}
