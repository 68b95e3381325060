//! The quirks of lists, number by number: what panels and list makers in the field send (X1–X19, M1–M18), through the
//! real program to what players get of it. A number without a row fails.
//!
//! A row is one source. Its first list is read at the start, its second one, where it has one, at a refresh; every row is
//! checked after both. What a quirk means while something plays is shown elsewhere, and the row says where.

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
#[path = "support/quirks.rs"]
mod quirks;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use control::{Web, channels, details, playlist, refreshes};
use quirks::{
    Address, Asked, Body, Channels, Cut, Episodes, FILM, Header, Line, Plays, Quirk, Reply, Seen, Served,
    Source, Status, Stream,
};
use serde_json::Value;
use support::process::QUICK;
use support::{Launch, Mainstem, eventually, get, get_json};

/// Sets what a row's provider has.
fn serve(web: &Web, row: &Quirk, served: &Served) {
    let base = web.url(&format!("/{}", row.id));
    let filled = |text: &str| text.replace("{base}", &base).into_bytes();
    let path = |rest: &str| format!("/{}{rest}", row.id);
    for film in ["2.mkv", "a.mp4", "b.mp4"] {
        web.page(&path(&format!("/cdn/{film}")), FILM.as_bytes());
    }
    let replies = match served {
        Served::M3u(bytes) => {
            web.page(&path("/list.m3u"), &filled(&String::from_utf8_lossy(bytes)));
            return;
        }
        Served::Panel(replies) => replies,
    };
    let mut all: BTreeMap<&str, Reply> = BTreeMap::from([
        ("", Body(r#"{"user_info":{"auth":1}}"#)),
        (
            "get_live_categories",
            Body(r#"[{"category_id":"5","category_name":"News"}]"#),
        ),
        ("get_vod_categories", Body("[]")),
        ("get_series_categories", Body("[]")),
        ("get_live_streams", Body("[]")),
        ("get_vod_streams", Body("[]")),
        ("get_series", Body("[]")),
    ]);
    all.extend(replies.iter().cloned());
    for (action, reply) in all {
        let action = if action.is_empty() {
            String::new()
        } else {
            format!("&action={action}")
        };
        let path = path(&format!(
            "/player_api.php?username={}&password=p{action}",
            row.user()
        ));
        match reply {
            Body(body) => web.page(&path, &filled(body)),
            Status(status) => {
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                web.raw(&path, answer.into_bytes());
            }
            Cut(body) => {
                let answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\nConnection: close\r\n\r\n{body}");
                web.raw(&path, answer.into_bytes());
            }
        }
    }
}

fn config(web: &Web, rows: &[Quirk]) -> String {
    let mut text = format!("{QUICK}sources:\n");
    for row in rows {
        let (id, keys) = (row.id, row.keys);
        let base = web.url(&format!("/{id}"));
        text += &match row.first {
            Served::M3u(_) => format!("  - {{name: {id}, type: m3u, url: \"{base}/list.m3u\"{keys}}}\n"),
            Served::Panel(_) => {
                let series = if keys.contains("series:") {
                    ""
                } else {
                    ", series: off"
                };
                let user = row.user();
                format!(
                    "  - {{name: {id}, type: xtream, url: \"{base}\", username: {user}, password: p{series}{keys}}}\n"
                )
            }
        };
    }
    text
}

/// The channels of a row, as `/streams` has them.
async fn streams(mainstem: &Mainstem, row: &Quirk) -> Vec<Value> {
    let page = get_json(&mainstem.url(&format!("/streams?limit=1000&source={}", row.id))).await;
    page["streams"].as_array().expect("streams").clone()
}

async fn named(mainstem: &Mainstem, row: &Quirk, name: &str) -> Option<Value> {
    let streams = streams(mainstem, row).await;
    streams.into_iter().find(|stream| stream["name"] == name)
}

fn parsed(row: &Quirk, json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{}: {json}: {error}", row.id))
}

async fn check(mainstem: &Mainstem, web: &Web, row: &Quirk, seen: &Seen) {
    let id = row.id;
    match seen {
        Channels(expected) => {
            let what = format!("{id}: {expected:?}");
            let found = eventually(&what, || async {
                let text = |stream: &Value, key: &str| stream[key].as_str().expect("a text").to_owned();
                let line = |stream: &Value| ["kind", "group", "name"].map(|key| text(stream, key)).join("|");
                let found: Vec<String> = streams(mainstem, row).await.iter().map(line).collect();
                (found.len() == expected.len()).then_some(found)
            });
            assert_eq!(found.await, *expected, "{id}");
        }
        Line(name, part) => {
            let list = playlist(mainstem).await;
            let lines = channels(&list);
            let line = lines.iter().find(|(line, _)| line.ends_with(&format!(",{name}")));
            let (line, _) = line.unwrap_or_else(|| panic!("{id}: no {name}"));
            assert!(line.contains(part), "{id}: {line}");
        }
        Address(name, ending) => {
            let ending = ending.replace("{base}", &web.url(&format!("/{id}")));
            eventually(&format!("{id}: {name} at {ending}"), || async {
                let stream = named(mainstem, row, name).await?;
                let url = mainstem.url(&format!("/direct/{}", stream["id"].as_str()?));
                get(&url)
                    .await
                    .header("location")
                    .ends_with(&ending)
                    .then_some(())
            })
            .await;
        }
        Stream(name, pointer, json) => {
            let expected = parsed(row, json);
            eventually(&format!("{id}: {name} has {json} at {pointer}"), || async {
                let stream = named(mainstem, row, name).await?;
                (stream.pointer(pointer) == Some(&expected)).then_some(())
            })
            .await;
        }
        Source(pointer, json) => {
            let expected = parsed(row, json);
            eventually(&format!("{id}: {json} at {pointer}"), || async {
                let found = details(mainstem, id).await;
                (found.pointer(pointer) == Some(&expected)).then_some(())
            })
            .await;
        }
        Episodes(series, expected) => {
            let answer = get_json(&mainstem.url(&format!("/series/{id}/{series}"))).await;
            let episodes = answer["episodes"]
                .as_array()
                .unwrap_or_else(|| panic!("{id}: {answer}"));
            let number = |episode: &Value, key: &str| episode[key].as_u64().unwrap_or_default();
            let found: Vec<_> = episodes
                .iter()
                .map(|episode| (number(episode, "season"), number(episode, "episode")))
                .collect();
            assert_eq!(found, *expected, "{id}");
        }
        Plays(name, ending) => {
            let what = format!("{id}: {name}");
            let stream = eventually(&what, || named(mainstem, row, name)).await;
            let film = get(&mainstem.url(stream["url"].as_str().expect("a link"))).await;
            assert_eq!(film.status, 200, "{id}: {}", film.text());
            assert!(film.body.ends_with(ending.as_bytes()), "{id}: {}", film.text());
        }
        Asked(path, times) => {
            let heads = web.heads();
            let asked = heads
                .iter()
                .filter(|head| head.lines().next().unwrap_or_default().contains(path));
            assert_eq!(asked.count(), *times, "{id}: {path}");
        }
        Header(path, line) => {
            let heads = web.heads();
            let asked = heads
                .iter()
                .rev()
                .find(|head| head.lines().next().unwrap_or_default().contains(path));
            let head = asked
                .unwrap_or_else(|| panic!("{id}: {path} was not asked for"))
                .to_lowercase();
            assert!(head.lines().any(|found| found == *line), "{id}: {head}");
        }
    }
}

/// The links of a row's channels by their names.
async fn links(mainstem: &Mainstem, row: &Quirk) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let streams = streams(mainstem, row).await;
    streams
        .iter()
        .map(|stream| (text(&stream["name"]), text(&stream["url"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_quirk_has_a_list_that_comes_through() {
    let rows = quirks::rows();
    let numbers: BTreeSet<String> = (1..=19)
        .map(|number| format!("X{number}"))
        .chain((1..=18).map(|number| format!("M{number}")))
        .collect();
    let known: BTreeSet<String> = rows.iter().map(|row| row.id.to_owned()).collect();
    assert_eq!(known, numbers, "every quirk has a row");
    assert_eq!(rows.len(), numbers.len(), "and one only");

    let web = Web::start().await;
    rows.iter().for_each(|row| serve(&web, row, &row.first));
    let mainstem = Launch::new(&config(&web, &rows)).listening().await;
    for row in &rows {
        eventually(&format!("{} is read", row.id), || async {
            (refreshes(&mainstem, row.id) > 0).then_some(())
        })
        .await;
    }
    for row in &rows {
        for seen in &row.seen {
            check(&mainstem, &web, row, seen).await;
        }
    }
    let mut before = Vec::new();
    for row in &rows {
        before.push(links(&mainstem, row).await);
    }

    let refreshed: Vec<usize> = rows.iter().map(|row| refreshes(&mainstem, row.id)).collect();
    for row in &rows {
        if let Some((served, _)) = &row.then {
            serve(&web, row, served);
        }
    }
    mainstem.signal("HUP");
    for (row, before) in rows.iter().zip(refreshed) {
        eventually(&format!("{} refreshes", row.id), || async {
            (refreshes(&mainstem, row.id) > before).then_some(())
        })
        .await;
    }
    for (row, before) in rows.iter().zip(before) {
        // What was asked before a refresh is asked again in it.
        let again = row.seen.iter().filter(|seen| !matches!(seen, Asked(..)));
        match &row.then {
            Some((_, then)) => {
                for seen in then {
                    check(&mainstem, &web, row, seen).await;
                }
            }
            None => {
                for seen in again {
                    check(&mainstem, &web, row, seen).await;
                }
            }
        }
        assert_eq!(links(&mainstem, row).await, before, "{}: links stay", row.id);
    }
    let log = mainstem.log();
    for secret in ["M14secret", "cdn/2.mkv", "password=p"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
