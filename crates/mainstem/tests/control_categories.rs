//! Which categories there are is not what plays: an account's streams come without them, in the groups known last, and
//! say so.

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

use control::{Web, details, refresh, refreshes, until_details, until_names};
use serde_json::{Value, json};
use support::process::QUICK;
use support::{Launch, Mainstem, eventually, get_json};

const NEWS: &str = r#"[{"category_id":"5","category_name":"News"}]"#;

fn path(action: &str) -> String {
    format!("/player_api.php?username=u&password=p&action={action}")
}

fn refusal(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}

fn body(text: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{text}").into_bytes()
}

/// An account with a channel, a film and a series, whose live streams have no list of categories.
async fn panel() -> (Web, String) {
    let web = Web::start().await;
    web.page(
        "/player_api.php?username=u&password=p",
        br#"{"user_info":{"auth":1}}"#,
    );
    for (action, text) in [
        (
            "get_vod_categories",
            r#"[{"category_id":"5","category_name":"Films"}]"#,
        ),
        (
            "get_series_categories",
            r#"[{"category_id":"5","category_name":"Series"}]"#,
        ),
        (
            "get_live_streams",
            r#"[{"stream_id":1,"name":"One","category_id":5}]"#,
        ),
        (
            "get_vod_streams",
            r#"[{"stream_id":2,"name":"Film","category_id":5}]"#,
        ),
        ("get_series", r#"[{"series_id":3,"name":"S","category_id":5}]"#),
    ] {
        web.page(&path(action), text.as_bytes());
    }
    let config = format!(
        "{QUICK}sources:\n  - {{name: s, type: xtream, url: \"{}\", username: u, password: p}}\n",
        web.url("")
    );
    (web, config)
}

/// The first refresh is over: one that is asked for meanwhile would be taken for it.
async fn until_refreshed(mainstem: &Mainstem) {
    eventually("the first refresh is over", || async {
        (refreshes(mainstem, "s") > 0).then_some(())
    })
    .await;
}

async fn groups(mainstem: &Mainstem) -> Vec<String> {
    let group = |item: &Value| item["group"].as_str().unwrap_or_default().to_owned();
    let streams = get_json(&mainstem.url("/streams")).await["streams"].clone();
    let series = get_json(&mainstem.url("/series")).await["series"].clone();
    let all = streams
        .as_array()
        .unwrap()
        .iter()
        .chain(series.as_array().unwrap());
    all.map(group).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_categories_from_the_start_streams_have_no_group_until_they_come() {
    let (web, config) = panel().await;
    let mainstem = Launch::new(&config).ready().await;
    let told = |found: &Value| !found["stale_groups"].is_null();
    let found = until_details(&mainstem, "s", "has no categories", told).await;
    assert_eq!(
        (&found["stale_groups"]["kinds"], &found["stale_groups"]["code"]),
        (&json!(["live"]), &json!("status")),
        "{found}"
    );
    until_names(&mainstem, &["One", "Film"]).await;
    until_refreshed(&mainstem).await;
    assert_eq!(groups(&mainstem).await, ["", "Films", "Series"]);
    web.page(&path("get_live_categories"), NEWS.as_bytes());
    let found = refresh(&mainstem, "s").await;
    assert_eq!(
        (&found["stale_groups"], &found["last_error"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(groups(&mainstem).await, ["News", "Films", "Series"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_in_place_of_categories_streams_come_in_the_groups_known_last() {
    let (web, config) = panel().await;
    web.page(&path("get_live_categories"), NEWS.as_bytes());
    let data = tempfile::tempdir().unwrap();
    let launch = || Launch::new(&config).env("MAINSTEM_DATA_DIR", &data.path().display().to_string());
    let mut mainstem = launch().ready().await;
    until_names(&mainstem, &["One", "Film"]).await;
    until_refreshed(&mainstem).await;
    assert!(details(&mainstem, "s").await["stale_groups"].is_null());
    // A new stream, in the group that its number had.
    let two =
        r#"[{"stream_id":1,"name":"One","category_id":5},{"stream_id":3,"name":"Two","category_id":5}]"#;
    web.page(&path("get_live_streams"), two.as_bytes());
    for (answer, code) in [
        (refusal("404 Not Found"), "status"),
        (refusal("503 Service Unavailable"), "status"),
        (body("<html>sorry</html>"), "not_a_list"),
        (body("[]"), "not_a_list"),
        (body("null"), "not_a_list"),
        (body("[{\"category_id\":"), "not_a_list"),
    ] {
        let what = String::from_utf8_lossy(&answer).into_owned();
        for kind in ["live", "vod", "series"] {
            web.raw(&path(&format!("get_{kind}_categories")), answer.clone());
        }
        let found = refresh(&mainstem, "s").await;
        assert_eq!(
            (&found["stale_groups"]["kinds"], &found["stale_groups"]["code"]),
            (&json!(["live", "film", "episode"]), &json!(code)),
            "{what}: {found}"
        );
        assert!(
            found["last_error"].is_null() && found["stale"] == false,
            "{what}: {found}"
        );
        until_names(&mainstem, &["One", "Two", "Film"]).await;
        assert_eq!(
            groups(&mainstem).await,
            ["News", "News", "Films", "Series"],
            "{what}"
        );
    }
    let log = mainstem.log();
    let told = log
        .lines()
        .filter(|line| line.contains("categories did not come"));
    assert_eq!(told.count(), 2, "once for each kind of failure: {log}");

    // What they are called outlives the program.
    mainstem.signal("KILL");
    mainstem.exit().await;
    let mainstem = launch().ready().await;
    let told = |found: &Value| !found["stale_groups"].is_null();
    until_details(&mainstem, "s", "was refreshed", told).await;
    assert_eq!(groups(&mainstem).await, ["News", "News", "Films", "Series"]);
}
