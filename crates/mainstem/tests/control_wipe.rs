//! The matrix of bad refreshes: whatever a provider sends in place of its list, and whenever mainstem is killed, every
//! output stays as it was, byte for byte.

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

use control::{details, names, playlist, refresh, refreshes, until_details};
use provider_double::{Account, Channel, Clip, List, ListFault, Plan, Provider, Synthetic};
use support::process::QUICK;
use support::{Launch, Mainstem, eventually, get, request};

/// Live channels of the provider: enough for a collapse to be told from an edit.
const LIVE: usize = 20;

fn plan() -> Plan {
    let plan = Plan::new()
        .account(Account::new("u", "p").max_connections(2))
        .synthetic(Synthetic {
            movies: 30,
            ..Synthetic::default()
        });
    (1..=LIVE).fold(plan, |plan, number| {
        let group = if number % 2 == 0 { "News" } else { "Sport" };
        let name = format!("Channel {number:02}");
        plan.channel(Channel::new(number, &name, Clip::H264Closed).group(group))
    })
}

fn config(source: &str) -> String {
    format!(
        "{QUICK}  list_silence: 1s\nlog_level: DEBUG\nsources:\n  - {{name: s, {source}, refresh_interval: 4h}}\n"
    )
}

fn m3u(provider: &Provider) -> String {
    config(&format!("type: m3u, url: \"{}\"", provider.m3u_url("u")))
}

fn xtream(provider: &Provider) -> String {
    let base = provider.base_url();
    config(&format!(
        "type: xtream, url: \"{base}\", username: u, password: p, series: off"
    ))
}

fn body(text: &str) -> ListFault {
    ListFault::Body(text.to_owned())
}

fn status(code: u16) -> ListFault {
    ListFault::Status {
        code,
        body: "<html>sorry</html>".to_owned(),
    }
}

fn wiped() -> Vec<ListFault> {
    vec![
        ListFault::Hang,
        ListFault::Refuse,
        status(500),
        status(503),
        // X14: what a provider's front says when the provider does not answer.
        status(520),
        status(401),
        status(403),
        body("[]"),
        body("null"),
        body("{}"),
        body("false"),
        body(""),
        body("#EXTM3U\n"),
        ListFault::Html,
        ListFault::TruncatedAt(700),
        ListFault::CutAt(700),
    ]
}

/// Everything that is made of the lists, with links as from one place.
async fn outputs(mainstem: &Mainstem) -> Vec<String> {
    let mut all = Vec::new();
    for path in [
        "/playlist.m3u8",
        "/streams",
        "/debug/grouped-streams",
        "/debug/mappings",
        "/series",
    ] {
        let answer = get(&mainstem.url(path)).await;
        assert_eq!(answer.status, 200, "{path}");
        all.push(answer.text().replace(mainstem.base_url(), "http://here"));
    }
    all
}

async fn until_channels(mainstem: &Mainstem, count: usize) {
    eventually(&format!("{count} channels"), || async {
        (names(&playlist(mainstem).await).len() == count).then_some(())
    })
    .await;
    // Channels are there before the list is saved: a refresh asked for meanwhile would be taken for the first.
    eventually("the first refresh is over", || async {
        (refreshes(mainstem, "s") > 0).then_some(())
    })
    .await;
}

/// A refresh brings a fault, then mainstem is killed, and started while the provider is down.
async fn survive(config: &str, provider: &Provider, count: usize, faults: Vec<(Option<List>, ListFault)>) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let launch = || Launch::new(config).env("MAINSTEM_DATA_DIR", &data);
    let mut mainstem = launch().ready().await;
    until_channels(&mainstem, count).await;
    let good = outputs(&mainstem).await;
    for (list, fault) in faults {
        provider.account("u").clear();
        let found = refresh(&mainstem, "s").await;
        assert!(found["last_error"].is_null(), "before {fault:?}: {found}");
        match list {
            Some(list) => provider.account("u").list_fault_on(list, fault.clone()),
            None => provider.account("u").list_fault(fault.clone()),
        }
        let found = refresh(&mainstem, "s").await;
        assert_eq!(found["stale"], true, "{list:?} {fault:?}: {found}");
        assert!(
            found["last_error"]["at"].is_string(),
            "{list:?} {fault:?}: {found}"
        );
        assert!(outputs(&mainstem).await == good, "{list:?} {fault:?}");
        mainstem.signal("KILL");
        mainstem.exit().await;
        provider.account("u").clear();
        provider.account("u").list_fault(ListFault::Refuse);
        mainstem = launch().ready().await;
        assert!(outputs(&mainstem).await == good, "{list:?} {fault:?}, restarted");
        let found = until_details(&mainstem, "s", "says why", |found| !found["last_error"].is_null()).await;
        assert_eq!(found["from_disk"], true, "{found}");
        assert!(
            outputs(&mainstem).await == good,
            "{list:?} {fault:?}, after a refresh that cannot be made"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_m3u_however_bad_changes_a_byte_of_any_output_nor_does_a_kill() {
    let provider = Provider::start(plan()).unwrap();
    let whole = get(&provider.m3u_url("u")).await.text();
    let fewer: Vec<&str> = whole.lines().take(1 + 2 * (LIVE + 30) / 10).collect();
    let fewer = body(&(fewer.join("\n") + "\n"));
    let faults = wiped().into_iter().chain([fewer]).map(|fault| (None, fault));
    survive(&m3u(&provider), &provider, LIVE + 30, faults.collect()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_of_an_account_however_bad_changes_a_byte_of_any_output_nor_does_a_kill() {
    let provider = Provider::start(plan()).unwrap();
    let fewer =
        r#"[{"stream_id":1,"name":"Channel 01","category_id":"1"},{"stream_id":2,"name":"Channel 02"}]"#;
    let on_live = wiped()
        .into_iter()
        .chain([body(fewer)])
        .map(|fault| (Some(List::Live), fault));
    let on_films = [body("[]"), body("null"), ListFault::TruncatedAt(700), body(fewer)];
    let on_films = on_films.into_iter().map(|fault| (Some(List::Movies), fault));
    let on_all = [ListFault::Hang, status(500), status(401), body("[]"), body("")];
    let on_all = on_all.into_iter().map(|fault| (None, fault));
    let faults = on_live.chain(on_films).chain(on_all);
    survive(&xtream(&provider), &provider, LIVE + 30, faults.collect()).await;
}

fn list_of(count: usize) -> ListFault {
    let entries =
        (1..=count).map(|number| format!("#EXTINF:-1,Channel {number:02}\nhttp://127.0.0.1:9/{number}.ts\n"));
    body(&format!("#EXTM3U\n{}", entries.collect::<String>()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collapse_is_believed_once_the_next_refresh_brings_the_same() {
    let provider = Provider::start(plan()).unwrap();
    let mainstem = Mainstem::start(&m3u(&provider)).await;
    until_channels(&mainstem, LIVE + 30).await;
    provider.account("u").list_fault(list_of(5));
    let found = refresh(&mainstem, "s").await;
    assert_eq!(found["last_error"]["code"], "collapsed", "{found}");
    assert_eq!(found["held_back"]["entries"], 5);
    assert_eq!(found["held_back"]["known"], LIVE + 30);
    assert!(found["held_back"]["since"].is_string());
    provider.account("u").list_fault(list_of(9));
    let found = refresh(&mainstem, "s").await;
    assert_eq!(found["held_back"]["entries"], 9, "another collapse confirms none");
    assert_eq!(found["streams"], LIVE + 30);
    let found = refresh(&mainstem, "s").await;
    assert!(
        found["last_error"].is_null() && found["held_back"].is_null(),
        "{found}"
    );
    until_channels(&mainstem, 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collapse_even_to_nothing_is_believed_when_somebody_says_so() {
    let provider = Provider::start(plan()).unwrap();
    let mainstem = Mainstem::start(&m3u(&provider)).await;
    until_channels(&mainstem, LIVE + 30).await;
    provider.account("u").list_fault(list_of(5));
    refresh(&mainstem, "s").await;
    let url = mainstem.url("/sources/s/accept");
    for headers in [
        &[][..],
        &[("Content-Type", "text/plain")],
        &[("Content-Type", "application/x-www-form-urlencoded")],
    ] {
        let refused = request("POST", &url, headers).await;
        assert_eq!(
            refused.status, 415,
            "what a page of another site can send: {headers:?}"
        );
    }
    let json = [("Content-Type", "application/json")];
    assert_eq!(
        request("POST", &mainstem.url("/sources/x/accept"), &json)
            .await
            .status,
        404
    );
    assert_eq!(details(&mainstem, "s").await["streams"], LIVE + 30);
    assert_eq!(request("POST", &url, &json).await.status, 202);
    until_channels(&mainstem, 5).await;
    until_details(&mainstem, "s", "holds nothing back", |found| {
        found["held_back"].is_null()
    })
    .await;
    // An empty list never confirms itself.
    provider.account("u").list_fault(body("#EXTM3U\n"));
    for _ in 0..3 {
        let found = refresh(&mainstem, "s").await;
        assert_eq!(
            (&found["last_error"]["code"], &found["streams"]),
            (&"empty".into(), &5.into())
        );
    }
    assert_eq!(request("POST", &url, &json).await.status, 202);
    until_channels(&mainstem, 0).await;
}

/// A disk that was full for a moment costs nothing once it is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_the_disk_did_not_take_is_saved_at_the_next_refresh_without_news() {
    let provider = Provider::start(plan()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let launch = || Launch::new(&m3u(&provider)).env("MAINSTEM_DATA_DIR", &data.display().to_string());
    provider.account("u").list_fault(list_of(5));
    let mut mainstem = launch().ready().await;
    eventually("the first list is on disk", || async {
        let lists = std::fs::read_dir(data.join("listings")).unwrap();
        (lists.count() > 0 && data.join("channels.json.gz").exists()).then_some(())
    })
    .await;
    // Where folder and file should be, something else is.
    std::fs::remove_file(data.join("channels.json.gz")).unwrap();
    std::fs::remove_dir_all(data.join("listings")).unwrap();
    std::fs::write(data.join("listings"), "").unwrap();
    std::fs::create_dir(data.join("channels.json.new")).unwrap();
    provider.account("u").clear();
    refresh(&mainstem, "s").await;
    until_channels(&mainstem, LIVE + 30).await;
    eventually("the failure is told", || async {
        let log = mainstem.log();
        (log.contains("the list could not be kept on disk") && log.contains("channels could not be kept"))
            .then_some(())
    })
    .await;
    std::fs::remove_file(data.join("listings")).unwrap();
    std::fs::remove_dir(data.join("channels.json.new")).unwrap();
    refresh(&mainstem, "s").await;
    eventually("ids and places are on disk", || async {
        data.join("channels.json.gz").exists().then_some(())
    })
    .await;
    let good = outputs(&mainstem).await;
    mainstem.signal("KILL");
    mainstem.exit().await;
    provider.account("u").list_fault(ListFault::Refuse);
    let again = launch().ready().await;
    assert!(outputs(&again).await == good);
}
