//! The reference's README, word for word: its configuration, its curl lines, its keys and their types.
//!
//! The shapes are written down from the reference's sources (`restreamer.py` of 2025, `app/api/routes.py` of 2026), not
//! from ours.

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

use control::{channels, names, playlist, until_names};
use provider_double::{Account, Channel, Clip, Plan, Provider};
use serde_json::Value;
use support::{Launch, Mainstem, Viewer, eventually, get, get_json, request};

/// The example of the reference's README at its first release, with only hosts and credentials replaced. (The test's own
/// `--port` goes before `bind_port`, so that tests can run side by side; links follow `public_url`.)
const README: &str = r#"
# Stream sources configuration
sources:
  - name: "primary_xtream"
    type: "xtream"
    url: "XTREAM"
    username: "seed"
    password: "seedpassword"
    max_connections: 10
    refresh_interval: 300
    enabled: true
    
  - name: "backup_m3u"
    type: "m3u"
    url: "M3U"
    max_connections: 5
    refresh_interval: 600
    enabled: true

# Stream filtering (all patterns are regex)
filters:
  include_name_patterns:
    - ".*HD.*"
    - ".*FHD.*"
  include_stream_patterns: []
  exclude_name_patterns:
    - ".*test.*"
    - ".*XXX.*"
  exclude_stream_patterns:
    - ".*adult.*"

# Connection management
max_total_connections: 100
bind_host: "0.0.0.0"
bind_port: 8080
public_url: "http://localhost:8080"
log_level: "INFO"
"#;

/// The double's two providers and mainstem on the README's configuration.
struct Seed {
    xtream: Provider,
    m3u: Provider,
    mainstem: Mainstem,
}

impl Seed {
    async fn start() -> Self {
        let channel = |id: u32, name: &str| Channel::new(id, name, Clip::H264Closed).group("US Channels");
        let xtream = Plan::new()
            .account(Account::new("seed", "seedpassword").max_connections(10))
            .channel(channel(1, "CNN HD").guide_id("cnn.us"))
            .channel(channel(2, "BBC One"))
            .channel(channel(3, "Sky FHD Test"))
            .channel(channel(4, "Sky FHD"))
            .channel(channel(5, "xxx HD"));
        let m3u = Plan::new()
            .account(Account::new("backup", "backuppassword").max_connections(5))
            .channel(channel(11, "CNN HD"))
            .channel(channel(12, "sport hd").group("Sport"))
            .channel(channel(13, "ARD"));
        let (xtream, m3u) = (Provider::start(xtream).unwrap(), Provider::start(m3u).unwrap());
        let config = README
            .replace("XTREAM", &xtream.base_url())
            .replace("M3U", &m3u.m3u_url("backup"));
        let mainstem = Mainstem::start(&config).await;
        until_names(&mainstem, &["CNN HD", "Sky FHD", "sport hd"]).await;
        Self {
            xtream,
            m3u,
            mainstem,
        }
    }

    async fn json(&self, path: &str) -> Value {
        let answer = get(&self.mainstem.url(path)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
        answer.json()
    }
}

/// Says what in `value` has not the wanted shape. A string of the shape names a JSON type, with `|null` where absent is
/// allowed; `{"*": shape}` is an object of any keys, `[shape]` a list that is not empty.
fn differs(value: &Value, shape: &Value, at: &str) -> Vec<String> {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_u64() || number.is_i64() => "int",
        Value::Number(_) => "float",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    match shape {
        Value::String(wanted) if wanted.split('|').any(|wanted| wanted == kind) => Vec::new(),
        Value::Object(keys) if kind == "object" => {
            if let Some(every) = keys.get("*") {
                let all = value.as_object().unwrap().iter();
                return all
                    .flat_map(|(key, value)| differs(value, every, &format!("{at}.{key}")))
                    .collect();
            }
            let one = |(key, shape): (&String, &Value)| match value.get(key) {
                Some(value) => differs(value, shape, &format!("{at}.{key}")),
                None => vec![format!("{at}.{key} is missing")],
            };
            keys.iter().flat_map(one).collect()
        }
        Value::Array(items) if kind == "list" => {
            let list = value.as_array().unwrap();
            if list.is_empty() {
                return vec![format!("{at} is empty")];
            }
            let all = list.iter().enumerate();
            all.flat_map(|(n, value)| differs(value, &items[0], &format!("{at}[{n}]")))
                .collect()
        }
        wanted => vec![format!("{at} is {kind} and not {wanted}")],
    }
}

fn check_shape(value: &Value, shape: &str) {
    let shape: Value = serde_json::from_str(shape).unwrap();
    let differences = differs(value, &shape, "");
    assert!(differences.is_empty(), "{differences:?} in {value:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_playlist_has_what_passes_the_filters_once() {
    let seed = Seed::start().await;
    let list = playlist(&seed.mainstem).await;
    // Both sources have CNN HD; "test" and "XXX" are excluded in any case; BBC One and ARD match no include.
    assert_eq!(names(&list), ["CNN HD", "Sky FHD", "sport hd"]);
    for (line, address) in channels(&list) {
        let name = line.rsplit(',').next().unwrap();
        let id = seed.mainstem.channel_id(name).await;
        assert_eq!(address, format!("http://localhost:8080/stream/{id}"));
        let group = if name == "sport hd" {
            "Sport"
        } else {
            "US Channels"
        };
        assert!(line.contains(&format!("group-title=\"{group}\"")), "{line}");
    }
    assert!(list.contains("tvg-id=\"cnn.us\""), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_lines_about_connections_answer_with_the_references_keys_and_types() {
    let seed = Seed::start().await;
    let viewer = Viewer::open(&seed.mainstem.stream_url("CNN HD").await).await;
    assert_eq!(viewer.status, 200);
    assert_eq!(viewer.headers["content-type"], "video/mp2t");
    viewer.more(188 * 1000).await;

    let status = seed.json("/status").await;
    check_shape(
        &status,
        r#"{"status": "str", "total_streams": "int", "sources": "int",
        "connections": {"total_connections": "int", "max_total": "int", "available_total": "int",
            "source_connections": {"*": "int"}, "source_limits": {"primary_xtream": "int", "backup_m3u": "int"},
            "source_availability": {"primary_xtream": "int", "backup_m3u": "int"}},
        "source_details": {
            "primary_xtream": {"enabled": "bool", "streams": "int", "last_refresh": "str|null",
                "connections": {"current": "int", "max": "int", "available": "int"}},
            "backup_m3u": {"enabled": "bool", "streams": "int", "last_refresh": "str|null",
                "connections": {"current": "int", "max": "int", "available": "int"}}}}"#,
    );
    assert_eq!(status["status"], "running");
    assert_eq!(
        (status["total_streams"].as_u64(), status["sources"].as_u64()),
        (Some(3), Some(2))
    );
    let connections = &status["connections"];
    assert_eq!(connections["max_total"], 100);
    assert_eq!(connections["total_connections"], 1, "{connections}");
    assert_eq!(connections["available_total"], 99);
    let used = connections["source_connections"].as_object().unwrap();
    let (source, _) = used
        .iter()
        .find(|(_, count)| **count == 1)
        .expect("one source is in use");
    let limit = if source == "primary_xtream" { 10 } else { 5 };
    assert_eq!(connections["source_limits"][source], limit);
    assert_eq!(connections["source_availability"][source], limit - 1);
    assert_eq!(status["source_details"]["primary_xtream"]["streams"], 5);

    let active = seed.json("/active-streams").await;
    check_shape(
        &active,
        r#"{"active_connections": "int", "max_connections": "int", "connections_by_source": {"*": "int"},
        "availability_by_source": {"primary_xtream": "int", "backup_m3u": "int"}, "total_active_connections": "int",
        "active_streams": [{"source": "str", "connections": "int", "limit": "int"}]}"#,
    );
    assert_eq!(active["active_connections"], 1);
    assert_eq!(active["active_streams"][0]["source"], **source);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_lines_about_channels_answer_with_the_references_keys_and_types() {
    let seed = Seed::start().await;
    let streams = seed.json("/streams").await;
    check_shape(
        &streams,
        r#"{"streams": [{"name": "str", "hash": "str", "id": "str", "url": "str", "full_url": "str", "sources": "int",
        "source_names": ["str"], "category": "str", "group": "str", "logo": "str"}]}"#,
    );
    let cnn = &streams["streams"][0];
    let hash = cnn["hash"].as_str().unwrap();
    assert_eq!(
        (cnn["name"].as_str(), cnn["sources"].as_u64()),
        (Some("CNN HD"), Some(2))
    );
    assert_eq!(cnn["url"], format!("/stream/{hash}"));
    assert_eq!(cnn["full_url"], format!("http://localhost:8080/stream/{hash}"));

    let debug = seed.json(&format!("/debug/{hash}")).await;
    check_shape(
        &debug,
        r#"{"original_name": "str", "hash": "str", "stream_count": "int", "streams": [{"index": "int",
        "source_id": "str", "url": "str", "status_code": "int", "content_type": "str", "content_length": "str",
        "stream_type": "str", "accessible": "bool"}]}"#,
    );
    assert_eq!(
        (debug["stream_count"].as_u64(), &debug["hash"]),
        (Some(2), &cnn["hash"])
    );
    for stream in debug["streams"].as_array().unwrap() {
        assert_eq!(stream["accessible"], true, "{debug}");
        assert_eq!(stream["stream_type"], "TS");
    }

    let test = seed.json("/test").await;
    let entry = r#"{"original_name": "str", "hash": "str", "our_stream_url": "str", "direct_test_url": "str",
        "streams": [{"source": "str", "url": "str", "accessible": "bool", "status_code": "int",
        "content_type": "str", "stream_type": "str"}]}"#;
    check_shape(&test, &format!("{{\"*\": {entry}}}"));
    assert_eq!(test.as_object().unwrap().len(), 3);
    assert_eq!(test[hash]["original_name"], "CNN HD");
    assert_eq!(test[hash]["our_stream_url"], format!("/stream/{hash}"));
    assert_eq!(test[hash]["direct_test_url"], format!("/direct/{hash}"));

    let direct = get(&seed.mainstem.url(&format!("/direct/{hash}"))).await;
    assert_eq!(direct.status, 302);
    assert_eq!(direct.header("location"), seed.xtream.live_url("seed", 1));

    check_shape(
        &seed.json("/").await,
        r#"{"message": "str", "version": "str", "endpoints": {"playlist": "str",
        "status": "str", "streams": "str", "stream": "str", "active_streams": "str"}}"#,
    );
    let mappings = seed.json("/debug/mappings").await;
    check_shape(
        &mappings,
        r#"{"name_to_id": {"*": "str"}, "id_to_name": {"*": "str"}, "total_streams": "int",
        "total_unique_ids": "int"}"#,
    );
    assert_eq!(
        (&mappings["name_to_id"]["CNN HD"], &mappings["id_to_name"][hash]),
        (&cnn["hash"], &cnn["name"])
    );
    let grouped = seed.json("/debug/grouped-streams").await;
    check_shape(
        &grouped,
        r#"{"*": {"id": "str", "sources": ["str"], "urls": ["str"]}}"#,
    );
    assert_eq!(grouped["CNN HD"]["sources"].as_array().unwrap().len(), 2);
    let of_source = seed.json("/debug/streams/backup_m3u").await;
    check_shape(
        &of_source,
        r#"{"source": "str", "streams": [{"name": "str", "url": "str"}]}"#,
    );
    assert_eq!(of_source["streams"].as_array().unwrap().len(), 2);
    let closed = seed.m3u.account("backup");
    closed
        .wait_until(|log| log.open_now == 0, support::SOON)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_id_ever_given_out_still_works() {
    let provider = Provider::start(
        Plan::new()
            .account(Account::new("u", "p").max_connections(3))
            .channel(Channel::new(1, "US| CNN: News HD", Clip::H264Closed))
            .channel(Channel::new(2, "Première+", Clip::H264Closed)),
    )
    .unwrap();
    let config = format!(
        "sources:\n  - {{name: s, type: m3u, url: \"{}\"}}\n",
        provider.m3u_url("u")
    );
    let mainstem = Mainstem::start(&config).await;
    let hash = mainstem.channel_id("US| CNN: News HD").await;
    // SHA-256 of the name, as any tool computes it.
    assert_eq!(hash, sha256sum("US| CNN: News HD")[..16]);
    let other = mainstem.channel_id("Première+").await;
    assert_eq!(other, sha256sum("Première+")[..16]);
    let ids = [
        (hash.as_str(), &hash),
        ("USCNNNewsHD", &hash),
        ("US_CNN_News_HD", &hash),
        ("Premire", &other),
        ("Premiere", &other),
        (&other, &other),
    ];
    for (id, expected) in ids {
        let head = request("HEAD", &mainstem.url(&format!("/stream/{id}")), &[]).await;
        assert_eq!(
            head.header("content-length"),
            "",
            "an endless stream has no length, and not zero"
        );
        assert_eq!(
            (head.status, head.header("content-type")),
            (200, "video/mp2t"),
            "{id}"
        );
        let debug = get_json(&mainstem.url(&format!("/debug/{id}"))).await;
        assert_eq!(&debug["hash"], expected, "{id}");
    }
    let hash_with_ending = mainstem.url(&format!("/stream/{hash}.ts"));
    assert_eq!(request("HEAD", &hash_with_ending, &[]).await.status, 200);
    let log = provider.account("u").log();
    assert_eq!(
        log.opens.len(),
        ids.len(),
        "HEAD opens nothing; each /debug opened one"
    );
    assert!(log.requests.iter().all(|request| request.method == "GET"));

    for path in [
        "/stream/0123456789abcdef",
        "/debug/nothing",
        "/direct/a/b/c",
        "/stream/%E2%98%83",
        "/nowhere",
    ] {
        for method in ["GET", "HEAD"] {
            let answer = request(method, &mainstem.url(path), &[]).await;
            assert_eq!(answer.status, 404, "{method} {path}");
            if method == "GET" {
                check_shape(&answer.json(), r#"{"error": "str", "detail": "str"}"#);
            }
        }
    }
    for (method, path, status) in [
        ("GET", "/stream/%ff", 400),
        ("GET", "/test?limit=x", 400),
        ("GET", "/test?limit=1&limit=2", 400),
        ("POST", "/status", 405),
        ("GET", "/debug/streams/none", 404),
        ("GET", "/series/none/1", 404),
    ] {
        let answer = request(method, &mainstem.url(path), &[]).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        check_shape(&answer.json(), r#"{"error": "str", "detail": "str"}"#);
    }
}

fn sha256sum(text: &str) -> String {
    let command = format!("printf %s '{text}' | sha256sum");
    let output = std::process::Command::new("sh")
        .args(["-c", &command])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn prefix_and_suffix_change_the_name_shown_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.m3u");
    let entry = "#EXTINF:-1 tvg-id=\"one.id\" tvg-name=\"One\" tvg-logo=\"http://l.example/a,b.png\" tvg-chno=\"5.1\" tvg-language=\"English\" tvg-country=\"UK\" group-title=\"News, UK\",Eins, HD\nhttp://127.0.0.1:9/1.ts\n";
    std::fs::write(&list, format!("#EXTM3U\n{entry}")).unwrap();
    let config = |affixes: &str| {
        format!(
            "sources:\n  - {{name: s, type: m3u, url: \"{}\"{affixes}}}\n",
            list.display()
        )
    };
    let plain = Mainstem::start(&config("")).await;
    let affixed = Mainstem::start(&config(
        ", stream_name_prefix: \"[A] \", stream_name_suffix: \" (b)\"",
    ))
    .await;
    let (line, address) = channels(&playlist(&plain).await).remove(0);
    let (with, its_address) = channels(&playlist(&affixed).await).remove(0);
    let id = |address: &str| address.rsplit('/').next().unwrap().to_owned();
    assert_eq!(
        id(&address),
        id(&its_address),
        "the id is the name's, not the shown one's"
    );
    assert!(
        line.ends_with(",One") && with.ends_with(",[A] One (b)"),
        "{line}\n{with}"
    );
    for attribute in [
        "tvg-id=\"one.id\"",
        "tvg-name=\"One\"",
        "tvg-logo=\"http://l.example/a,b.png\"",
        "tvg-chno=\"5.1\"",
        "tvg-language=\"English\"",
        "tvg-country=\"UK\"",
        "group-title=\"News, UK\"",
    ] {
        assert!(
            line.contains(attribute) && with.contains(attribute),
            "{attribute}:\n{line}\n{with}"
        );
    }
    let streams = get_json(&affixed.url("/streams")).await;
    assert_eq!(
        (
            streams["streams"][0]["name"].as_str(),
            streams["streams"][0]["display_name"].as_str()
        ),
        (Some("One"), Some("[A] One (b)"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_are_two_questions() {
    let provider = Provider::start(Plan::new().account(Account::new("u", "p")).channel(Channel::new(
        1,
        "One",
        Clip::H264Closed,
    )))
    .unwrap();
    provider
        .account("u")
        .list_fault(provider_double::ListFault::Refuse);
    let config = format!(
        "sources:\n  - {{name: s, type: m3u, url: \"{}\"}}\n",
        provider.m3u_url("u")
    );
    let mainstem = Launch::new(&config).listening().await;
    assert_eq!(get(&mainstem.url("/healthz")).await.status, 200);
    let waiting = get(&mainstem.url("/readyz")).await;
    assert_eq!(waiting.status, 503);
    assert!(waiting.json().is_object());
    provider.account("u").clear();
    control::refresh(&mainstem, "s").await;
    eventually("ready", || async {
        (get(&mainstem.url("/readyz")).await.status == 200).then_some(())
    })
    .await;
}
