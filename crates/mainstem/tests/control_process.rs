//! The program from outside: signals, exit codes and their messages, the first run, the health check.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test panics where it fails"
)]

#[path = "support/control.rs"]
mod control;
mod support;

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use control::{details, names, playlist, until_details, until_names};
use provider_double::{Account, Channel, Clip, CloseReason, ListFault, Plan, Provider};
use support::process::QUICK;
use support::ts::Report;
use support::{Launch, SOON, Viewer, eventually, get};

fn plan(user: &str, names: &[&str]) -> Plan {
    let plan = Plan::new().account(Account::new(user, "p").max_connections(5));
    (1..).zip(names).fold(plan, |plan, (id, name)| {
        plan.channel(Channel::new(id, name, Clip::H264Closed))
    })
}

fn source(provider: &Provider, user: &str, more: &str) -> String {
    format!(
        "  - {{name: {user}, type: m3u, url: \"{}\"{more}}}\n",
        provider.m3u_url(user)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_applies_what_changed_and_cuts_no_viewer() {
    let (kept, gone, new) = (
        Provider::start(plan("kept", &["One", "Two"])).unwrap(),
        Provider::start(plan("gone", &["Gone"])).unwrap(),
        Provider::start(plan("new", &["New", "Nothing"])).unwrap(),
    );
    let first = format!(
        "{QUICK}sources:\n{}{}",
        source(&kept, "kept", ""),
        source(&gone, "gone", "")
    );
    let mainstem = Launch::new(&first).ready().await;
    let file = mainstem.folder().join("config.yaml");
    until_names(&mainstem, &["One", "Two", "Gone"]).await;
    let viewer = Viewer::open(&mainstem.stream_url("One").await).await;
    viewer.media(Duration::from_secs(1), SOON).await;

    let second = format!(
        "{QUICK}log_level: DEBUG\nmax_total_connections: 7\nfilters: {{exclude_name_patterns: [Two, Nothing]}}\nsources:\n{}{}",
        source(&new, "new", ", stream_name_prefix: \"n \""),
        source(&kept, "kept", ""),
    );
    std::fs::write(&file, &second).unwrap();
    mainstem.signal("HUP");
    until_names(&mainstem, &["n New", "One"]).await;
    let status = support::get_json(&mainstem.url("/status")).await;
    assert_eq!(status["connections"]["max_total"], 7);
    assert!(status["source_details"].get("gone").is_none(), "{status}");
    // Something is opened, and a log at DEBUG says so.
    let before = mainstem.log().matches("DEBUG").count();
    let other = Viewer::open(&mainstem.stream_url("New").await).await;
    other.more(188).await;
    eventually("the log speaks at DEBUG", || async {
        (mainstem.log().matches("DEBUG").count() > before).then_some(())
    })
    .await;
    viewer.more_media(Duration::from_secs(2), SOON).await;
    Report::of(&viewer.bytes()).assert_clean("a viewer through a reload");
    let log = kept.account("kept").log();
    assert_eq!(
        (log.opens.len(), log.closes.len()),
        (1, 0),
        "the viewer's connection was never touched"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_configuration_on_sighup_changes_nothing_and_is_said() {
    let provider = Provider::start(plan("u", &["One", "Two"])).unwrap();
    let config = format!("sources:\n{}", source(&provider, "u", ""));
    let mainstem = Launch::new(&config).ready().await;
    let before = until_names(&mainstem, &["One", "Two"]).await;
    let file = mainstem.folder().join("config.yaml");
    for (broken, said) in [
        (Some("sources: [\n"), "has errors"),
        (
            Some("sources: []\nfilters: {exclude_name_patterns: ['(']}\n"),
            "exclude_name_patterns",
        ),
        (None, "cannot be read"),
    ] {
        match broken {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let count = || mainstem.log().matches("the one in force stays").count();
        let complaints = count();
        mainstem.signal("HUP");
        eventually("the log complains", || async {
            (count() > complaints).then_some(())
        })
        .await;
        mainstem.wait_log(said).await;
        assert_eq!(playlist(&mainstem).await, before, "{said}");
    }
    assert!(!file.exists(), "a reload writes nothing");
    // And it can be mended.
    std::fs::write(&file, config + "filters: {exclude_name_patterns: [Two]}\n").unwrap();
    mainstem.signal("HUP");
    until_names(&mainstem, &["One"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_closes_every_upstream_and_ends_within_seconds() {
    for signal in ["TERM", "INT"] {
        let provider = Provider::start(plan("u", &["One", "Two", "Three"])).unwrap();
        let mut mainstem = Launch::new(&format!("sources:\n{}", source(&provider, "u", "")))
            .ready()
            .await;
        let mut viewers = Vec::new();
        for name in ["One", "Two", "Three"] {
            let viewer = Viewer::open(&mainstem.stream_url(name).await).await;
            viewer.more(188 * 100).await;
            viewers.push(viewer);
        }
        assert_eq!(provider.account("u").open_now(), 3);
        // One list is on its way as well, and will not come.
        provider.account("u").list_fault(ListFault::Hang);
        mainstem.signal("HUP");
        let account = provider.account("u");
        account
            .wait_until(
                |log| {
                    log.requests
                        .iter()
                        .filter(|request| request.path == "/get.php")
                        .count()
                        == 2
                },
                SOON,
            )
            .await
            .unwrap();
        let told = Instant::now();
        mainstem.signal(signal);
        let status = mainstem.exit().await;
        assert_eq!(status.code(), Some(0), "{}", mainstem.log());
        assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
        account
            .wait_until(|log| log.open_now == 0 && log.closes.len() == 3, SOON)
            .await
            .unwrap();
        for close in account.closes() {
            assert!(
                matches!(close.reason, CloseReason::ClientFin | CloseReason::ClientRst),
                "{close:?}"
            );
        }
        for viewer in &viewers {
            viewer.end(SOON).await;
            assert_eq!(viewer.count() % 188, 0, "the response ends at a packet");
        }
    }
}

/// Runs the binary in `folder` until it ends.
async fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mainstem"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("MAINSTEM_CONFIG")
        .env("MAINSTEM_DATA_DIR", folder.join("data"))
        .envs(environment.iter().copied())
        .kill_on_drop(true);
    let output: Output = tokio::time::timeout(SOON, command.output())
        .await
        .unwrap_or_else(|_| panic!("{arguments:?} does not end"))
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(text).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_one_message_and_its_exit_code() {
    let m3u = "type: m3u, url: 'http://127.0.0.1:9/'";
    let cases = [
        ("sources: [\n".to_owned(), "c.yaml:2:1"),
        ("sorces: []\n".to_owned(), "sources"),
        (
            format!("sources: [{{name: a, {m3u}, max_conections: 3}}]\n"),
            "max_connections",
        ),
        (
            "filters: {include_name_patterns: ['a(b']}\nsources: []\n".to_owned(),
            "a(b",
        ),
        (
            format!("sources: [{{name: a, {m3u}}}, {{name: a, {m3u}}}]\n"),
            "taken",
        ),
        (
            "sources: [{name: a, type: xtream, url: 'http://127.0.0.1:9'}]\n".to_owned(),
            "username",
        ),
        (
            "sources: [{name: a, type: xtreme, url: 'http://127.0.0.1:9'}]\n".to_owned(),
            "xtream",
        ),
        ("bind_port: many\nsources: []\n".to_owned(), "bind_port"),
        ("log_level: LOUD\nsources: []\n".to_owned(), "LOUD"),
    ];
    for (config, said) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c.yaml"), &config).unwrap();
        for arguments in [vec!["-c", "c.yaml", "--port", "0"], vec!["check", "-c", "c.yaml"]] {
            let (code, text) = run(folder.path(), &arguments, &[]).await;
            assert_eq!(code, 3, "{arguments:?} {config}: {text}");
            assert!(text.contains(said) && text.contains("c.yaml"), "{config}: {text}");
            assert!(
                !text.contains("panicked") && !text.contains("RUST_BACKTRACE"),
                "{text}"
            );
        }
        assert!(
            !folder.path().join("data").exists(),
            "nothing was started: {config}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_of_a_start_has_its_own_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    std::fs::write(here.join("ok.yaml"), "sources: [{name: card, type: testcard}]\n").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, text) = run(
        here,
        &["-c", "ok.yaml", "--host", "127.0.0.1", "--port", &port],
        &[],
    )
    .await;
    assert_eq!(code, 5, "{text}");
    assert!(text.contains(&port) && text.contains("in use"), "{text}");

    let (code, text) = run(here, &["-c", "/proc/none/config.yaml", "--port", "0"], &[]).await;
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("/proc/none/config.yaml"), "{text}");
    std::fs::create_dir(here.join("folder.yaml")).unwrap();
    assert_eq!(run(here, &["-c", "folder.yaml", "--port", "0"], &[]).await.0, 4);
    assert_eq!(run(here, &["check", "-c", "missing.yaml"], &[]).await.0, 4);
    assert!(!here.join("missing.yaml").exists(), "check writes nothing");
    assert_eq!(run(here, &["--no-such-flag"], &[]).await.0, 2);

    let (code, text) = run(here, &["check", "-c", "ok.yaml"], &[]).await;
    assert_eq!(code, 0, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_check_asks_the_running_server_and_writes_nothing() {
    let mainstem = Launch::new("sources: [{name: card, type: testcard}]\n")
        .ready()
        .await;
    let port = mainstem.base_url().rsplit(':').next().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for host in ["127.0.0.1", "0.0.0.0"] {
        let (code, text) = run(here, &["healthcheck", "--host", host, "--port", &port], &[]).await;
        assert_eq!(code, 0, "{host}: {text}");
    }
    // A configuration that was broken after the start makes no running server sick.
    std::fs::write(here.join("broken.yaml"), "sources: [\n").unwrap();
    let (code, text) = run(
        here,
        &["healthcheck", "-c", "broken.yaml"],
        &[("MAINSTEM_PORT", &port)],
    )
    .await;
    assert_eq!(code, 0, "{text}");
    std::fs::remove_file(here.join("broken.yaml")).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
        .to_string();
    let (code, text) = run(here, &["healthcheck", "--port", &free], &[]).await;
    assert_eq!(code, 1, "{text}");
    assert_eq!(
        std::fs::read_dir(here).unwrap().count(),
        0,
        "a health check writes nothing"
    );
}

/// Starts the binary without `-c` and waits for its address.
async fn start_bare(folder: &Path, environment: &[(&str, &Path)]) -> (tokio::process::Child, String) {
    use tokio::io::AsyncBufReadExt as _;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mainstem"));
    command
        .args(["--host", "127.0.0.1", "--port", "0"])
        .current_dir(folder)
        .env_remove("MAINSTEM_CONFIG")
        .envs(environment.iter().copied())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(child.stderr.take().unwrap()).lines();
    let looking = async {
        loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .expect("it listens before it ends");
            if let Some((_, rest)) = line.split_once("listening at ") {
                return format!("http://{}", rest.split(';').next().unwrap());
            }
        }
    };
    let base = tokio::time::timeout(SOON, looking).await.expect("it listens");
    // Whoever keeps the child keeps the pipe open; its log is shorter than the pipe.
    child.stderr = Some(lines.into_inner().into_inner());
    (child, base)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_writes_a_configuration_and_plays_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (_child, base) = start_bare(folder.path(), &[("MAINSTEM_DATA_DIR", &data)]).await;
    plays_the_card(&base).await;
    let written = std::fs::read_to_string(folder.path().join("config.yaml")).unwrap();
    assert!(
        written.contains("type: testcard") && written.contains("type: xtream"),
        "{written}"
    );
    let (code, text) = run(folder.path(), &["check"], &[]).await;
    assert_eq!(code, 0, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_runs_from_memory() {
    // A folder of the kernel, where nobody, not even root, can make a file.
    let (_child, base) = start_bare(
        Path::new("/proc/self"),
        &[("MAINSTEM_DATA_DIR", Path::new("/proc/none"))],
    )
    .await;
    plays_the_card(&base).await;
}

async fn plays_the_card(base: &str) {
    let list = eventually("the card is listed", || async {
        let list = get(&format!("{base}/playlist.m3u8")).await.text();
        (names(&list) == ["mainstem test card"]).then_some(list)
    })
    .await;
    let address = &control::channels(&list)[0].1;
    let viewer = Viewer::open(address).await;
    assert_eq!(viewer.status, 200);
    viewer.media(Duration::from_secs(2), SOON).await;
    Report::of(&viewer.bytes()).assert_clean("the card");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_source_keeps_its_channels_until_its_new_list_is_there() {
    let provider = Provider::start(plan("u", &["One"])).unwrap();
    let config = format!("sources:\n{}", source(&provider, "u", ""));
    let mainstem = Launch::new(&config).ready().await;
    until_names(&mainstem, &["One"]).await;
    provider.account("u").list_fault(ListFault::Hang);
    let changed = format!(
        "sources:\n{}",
        source(&provider, "u", ", stream_name_suffix: \" x\", max_connections: 9")
    );
    std::fs::write(mainstem.folder().join("config.yaml"), changed).unwrap();
    mainstem.signal("HUP");
    until_details(&mainstem, "u", "has its new limit", |found| {
        found["connections"]["max"] == 9
    })
    .await;
    until_names(&mainstem, &["One x"]).await;
    assert_eq!(details(&mainstem, "u").await["from_disk"], true);
}
