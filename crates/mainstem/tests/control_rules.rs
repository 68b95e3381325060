//! Rules for channels in the running program: what they make, that they can be tried, and that links outlive them.

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

use std::collections::HashMap;
use std::io::Write as _;

use catalog::listing::Fields;
use catalog::{Filters, Listing, Memory, SourceRules, StreamUrl, build_with};
use control::{Web, channels, names, playlist, refresh};
use mainstem::config::parse_candidate;
use provider_double::{Account, Channel, Clip, Plan, Provider};
use serde_json::Value;
use support::{Launch, SOON, get, get_json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn m3u(host: &str, names: &[&str]) -> Vec<u8> {
    let entries = names
        .iter()
        .enumerate()
        .map(|(number, name)| format!("#EXTINF:-1,{name}\nhttp://{host}/live/u/p/{number}.ts?t={number}\n"));
    format!("#EXTM3U\n{}", entries.collect::<String>()).into_bytes()
}

const NAMES: [&str; 5] = ["UK: One HD", "Two", "|UK| ONE ᶠᴴᴰ", "### X ###", "Three"];

const RULES: &str = "channels:
  group_by: normalised
  drop_separators: true
  number_from: 100
  rules:
    - match: { name: '^three$' }
      rename: Third
";

fn config(url: &str, rules: &str) -> String {
    format!("sources:\n  - {{name: s, type: m3u, url: \"{url}\", refresh_interval: 4h}}\n{rules}")
}

/// The channels of the playlist: name, number, and the path of the link.
fn outputs(list: &str) -> Vec<String> {
    let line = |(line, link): (String, String)| {
        let number = line
            .split("tvg-chno=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or("");
        let name = line.rsplit(',').next().unwrap_or_default();
        format!("{number} {name} {}", link.rsplit('/').next().unwrap_or_default())
    };
    channels(list).into_iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn links_outlive_new_hosts_shuffles_new_rules_and_a_kill() {
    let web = Web::start().await;
    web.page("/l", &m3u("127.0.0.1:9", &NAMES));
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().display().to_string();
    let start = |rules: &str| {
        Launch::new(&config(&web.url("/l"), rules))
            .env("MAINSTEM_DATA_DIR", &folder)
            .ready()
    };

    let mut plain = start("").await;
    let ids: HashMap<String, String> = {
        let all = get_json(&plain.url("/streams")).await;
        let all = all["streams"].as_array().unwrap().iter();
        all.map(|channel| {
            (
                channel["name"].as_str().unwrap().to_owned(),
                channel["id"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
    };
    plain.signal("KILL");
    plain.exit().await;

    let mut ruled = start(RULES).await;
    let before = outputs(&playlist(&ruled).await);
    assert_eq!(names(&playlist(&ruled).await), ["One", "Two", "Third"]);
    let mut names = NAMES;
    names.reverse();
    web.page("/l", &m3u("127.0.0.1:10", &names));
    refresh(&ruled, "s").await;
    support::eventually("the new addresses are known", || async {
        let grouped = get(&ruled.url("/debug/grouped-streams")).await.text();
        (!grouped.contains("127.0.0.1:9\"") && grouped.contains("127.0.0.1:10")).then_some(())
    })
    .await;
    assert_eq!(outputs(&playlist(&ruled).await), before);
    for (name, id) in ids.iter().filter(|(name, _)| !name.contains('#')) {
        let answer = get(&ruled.url(&format!("/debug/{id}"))).await;
        assert_eq!(
            answer.status, 200,
            "{name}: an id once given out leads to its channel"
        );
    }
    ruled.signal("KILL");
    ruled.exit().await;

    // Nobody has the list now.
    web.raw(
        "/l",
        b"HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    );
    let again = start(RULES).await;
    assert_eq!(outputs(&playlist(&again).await), before);
}

/// Another host, login, order and numbering: the link a player kept plays what the new provider sends.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_plays_from_the_new_upstream() {
    let plan = |user: &str, names: &[(u32, &str)]| {
        let plan = Plan::new().account(Account::new(user, "p"));
        names.iter().fold(plan, |plan, (id, name)| {
            plan.channel(Channel::new(*id, name, Clip::H264Closed))
        })
    };
    let old = Provider::start(plan("u", &[(1, "UK: One HD"), (2, "Two")])).unwrap();
    let new = Provider::start(plan("v", &[(70, "Two FHD"), (9, "|UK| One ᴴᴰ")])).unwrap();
    let config = |provider: &Provider, user: &str| {
        format!(
            "sources:\n  - {{name: s, type: xtream, url: \"{}\", username: {user}, password: p}}\n{RULES}",
            provider.base_url()
        )
    };
    let mainstem = Launch::new(&config(&old, "u")).ready().await;
    let before = outputs(&playlist(&mainstem).await);
    let link = mainstem.stream_url("One").await;
    std::fs::write(mainstem.folder().join("config.yaml"), config(&new, "v")).unwrap();
    mainstem.signal("HUP");
    support::eventually("the new provider's list is in force", || async {
        let grouped = get(&mainstem.url("/debug/grouped-streams")).await.text();
        let port = new.addr().port().to_string();
        grouped.contains(&port).then_some(())
    })
    .await;
    assert_eq!(outputs(&playlist(&mainstem).await), before);
    old.stop().await;
    let viewer = support::Viewer::open(&link).await;
    assert_eq!(viewer.status, 200);
    viewer.more(188 * 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_tried_before_they_are_in_force() {
    let web = Web::start().await;
    web.page("/l", &m3u("secret.example", &NAMES));
    let mainstem = Launch::new(&config(&web.url("/l"), "")).ready().await;
    let before = playlist(&mainstem).await;
    let current = get_json(&mainstem.url("/api/preview")).await;
    assert_eq!(
        (&current["channels"], &current["rules"]),
        (&5.into(), &Value::Array(Vec::new()))
    );

    let (status, tried) = post(&mainstem.url("/api/preview?entry=three"), RULES).await;
    assert_eq!(status, 200, "{tried}");
    assert_eq!(
        (&tried["channels"], &tried["separators"]["count"]),
        (&3.into(), &1.into())
    );
    assert_eq!(
        (&tried["rules"][0]["matched"], &tried["rules"][0]["changed"]),
        (&1.into(), &1.into())
    );
    assert_eq!(tried["joined"][0]["name"], "One");
    assert_eq!(tried["traces"][0]["channel"]["name"], "Third");
    assert!(
        !tried.to_string().contains("secret.example"),
        "no address stands in a report: {tried}"
    );
    assert_eq!(playlist(&mainstem).await, before, "nothing was changed");

    let (status, refused) = post(
        &mainstem.url("/api/preview"),
        "channels: { rules: [{ match: { name: '(' }, drop: true }] }",
    )
    .await;
    assert_eq!((status, &refused["error"]), (422, &"bad_rules".into()));
    assert!(
        refused["detail"].as_str().unwrap().contains("rules:1:"),
        "{refused}"
    );
    // Whoever asks is not the operator: neither variables nor files of the machine are read.
    let (status, refused) = post(
        &mainstem.url("/api/preview"),
        "channels: { rules: [{ label: '${HOME}', drop: true }] }",
    )
    .await;
    assert_eq!(status, 422, "{refused}");
    assert!(
        !refused
            .to_string()
            .contains(&std::env::var("HOME").unwrap_or("no home".to_owned()))
    );
    let (status, _) = post(&mainstem.url("/api/preview"), "slate: { offline: /etc/hostname }").await;
    assert_eq!(status, 422);

    // What was tried is what is done.
    let folder = mainstem.folder();
    std::fs::write(folder.join("config.yaml"), config(&web.url("/l"), RULES)).unwrap();
    mainstem.signal("HUP");
    control::until_names(&mainstem, &["One", "Two", "Third"]).await;
    let applied = get_json(&mainstem.url("/api/preview?entry=three")).await;
    assert_eq!(applied, tried);

    std::fs::write(folder.join("list.m3u"), m3u("secret.example", &NAMES)).unwrap();
    let text = run(
        &folder,
        &[
            "rules",
            "try",
            "-c",
            "config.yaml",
            "--list",
            "list.m3u",
            "--entry",
            "three",
        ],
    )
    .await;
    assert!(
        text.contains("5 entries, 4 streams, 3 channels, 0 hidden"),
        "{text}"
    );
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&m3u("secret.example", &NAMES)).unwrap();
    std::fs::write(folder.join("list.m3u.gz"), packer.finish().unwrap()).unwrap();
    let packed = [
        "rules",
        "try",
        "-c",
        "config.yaml",
        "--list",
        "list.m3u.gz",
        "--entry",
        "three",
    ];
    assert_eq!(
        run(&folder, &packed).await.replace("list.m3u.gz", "list.m3u"),
        text
    );
    assert!(
        text.contains("matched 1, changed 1, left out 0") && text.contains("of channel \"Third\""),
        "{text}"
    );
    let kept: Value =
        serde_json::from_str(&run(&folder, &["rules", "try", "-c", "config.yaml", "--json"]).await).unwrap();
    assert_eq!(kept["channels"], 3, "the list kept on disk");
}

/// What is on is split from the name by rule, and shown beside it: the channel and its link stay.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_is_listed_beside_the_channel() {
    let web = Web::start().await;
    web.page("/l", &m3u("127.0.0.1:9", &["PPV 01 - A vs B 20:00", "Two"]));
    let rules = "channels:
  rules:
    - match: { name: '^(?P<channel>PPV \\d+) - (?P<title>.+)$' }
      split_event: true
";
    let mainstem = Launch::new(&config(&web.url("/l"), rules)).ready().await;
    let events = async || {
        let all = get_json(&mainstem.url("/streams")).await["streams"].clone();
        let word = |channel: &Value, key: &str| channel[key].as_str().unwrap().to_owned();
        let all = all.as_array().unwrap().iter();
        all.map(|channel| (word(channel, "name"), word(channel, "event"), word(channel, "id")))
            .collect::<Vec<_>>()
    };
    let before = events().await;
    let said = |events: &[(String, String, String)]| {
        events
            .iter()
            .map(|(name, event, _)| format!("{name}: {event}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(&before), ["PPV 01: A vs B 20:00", "Two: "]);
    web.page("/l", &m3u("127.0.0.1:9", &["PPV 01 - C vs D 21:00", "Two"]));
    refresh(&mainstem, "s").await;
    let after = support::eventually("the next event is known", || async {
        let after = events().await;
        (after != before).then_some(after)
    })
    .await;
    assert_eq!(said(&after), ["PPV 01: C vs D 21:00", "Two: "]);
    assert_eq!(after[0].2, before[0].2, "the link stays");
}

async fn post(url: &str, body: &str) -> (u16, Value) {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut socket = tokio::net::TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let json = body
        .find('{')
        .and_then(|start| serde_json::from_str(body.get(start..=body.rfind('}')?)?).ok());
    (status, json.unwrap_or(Value::Null))
}

/// What the binary prints; it ends well.
async fn run(folder: &std::path::Path, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mainstem"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("MAINSTEM_CONFIG")
        .env("MAINSTEM_DATA_DIR", folder.join("data"))
        .kill_on_drop(true);
    let output = tokio::time::timeout(SOON, command.output())
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

/// Each example of `docs/rules.md` does what stands behind it.
#[test]
fn the_examples_of_the_documentation_are_true() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rules.md")).unwrap();
    let mut examples = 0;
    for example in text.split("```yaml\n").skip(1) {
        let (rules, rest) = example.split_once("```\n").unwrap();
        let entries = rest
            .strip_prefix("```text\n")
            .unwrap()
            .split_once("```")
            .unwrap()
            .0;
        let candidate = parse_candidate(rules).unwrap_or_else(|problems| panic!("{rules}{problems}"));
        let expected: Vec<(&str, &str)> = entries
            .lines()
            .map(|line| {
                line.split_once(" ->")
                    .map(|(entry, channel)| (entry, channel.trim()))
                    .unwrap()
            })
            .collect();
        let mut list = Listing::new("a".into());
        for (number, (title, _)) in expected.iter().enumerate() {
            list.push(Fields {
                title,
                url: StreamUrl::new(format!("http://h.example/{number}.ts")),
                ..Fields::default()
            });
        }
        let source = SourceRules {
            name: "a".into(),
            prefix: "".into(),
            suffix: "".into(),
            order: 0,
        };
        let lists = [(source, &list)];
        let (catalog, issues) = build_with(
            &lists,
            &Filters::default(),
            &candidate.channels,
            &mut Memory::default(),
        );
        assert!(issues.is_empty(), "{issues:?}");
        for (entry, channel) in expected {
            let found = catalog
                .channels()
                .iter()
                .find(|channel| channel.streams().any(|stream| stream.entry().name() == entry));
            assert_eq!(found.map_or("", catalog::Channel::name), channel, "{entry}");
        }
        examples += 1;
    }
    assert!(examples >= 5, "{examples}");
}
