//! Lists are asked for only if they changed, after a restart too, and what tells their version is never taken for more
//! than it is: it belongs to the list that was believed.

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

use control::{details, names, playlist, refresh, until_details, until_names};
use provider_double::{Account, AccountHandle, Channel, Clip, List, ListFault, Plan, Provider, Synthetic};
use support::process::QUICK;
use support::{Launch, Mainstem, eventually};

/// Lists of an account that are asked for only if they changed: two of each kind that is on.
const CONDITIONAL: usize = 6;

/// A provider that tells its lists' versions.
fn provider() -> Provider {
    let plan = Plan::new()
        .account(Account::new("u", "p").max_connections(2))
        .versioned_lists()
        .synthetic(Synthetic {
            live: 30,
            movies: 4,
            series: 2,
        });
    Provider::start(plan.channel(Channel::new(1, "One", Clip::H264Closed).group("News"))).unwrap()
}

fn xtream(provider: &Provider) -> String {
    format!(
        "{QUICK}log_level: DEBUG\nsources:\n  - {{name: s, type: xtream, url: \"{}\", username: u, password: p, refresh_interval: 4h, series: on_demand}}\n",
        provider.base_url()
    )
}

fn m3u(provider: &Provider) -> String {
    format!(
        "{QUICK}log_level: DEBUG\nsources:\n  - {{name: s, type: m3u, url: \"{}\", refresh_interval: 4h}}\n",
        provider.m3u_url("u")
    )
}

async fn start(config: &str, data: &Path) -> Mainstem {
    let mainstem = Launch::new(config)
        .env("MAINSTEM_DATA_DIR", &data.display().to_string())
        .ready()
        .await;
    // The first refresh is over when the log says so; channels from disk are there before.
    eventually("the first refresh", || async {
        (control::refreshes(&mainstem, "s") > 0).then_some(())
    })
    .await;
    mainstem
}

/// Lists sent, and not sent because they had not changed, since the last look.
struct Counts<'a> {
    login: &'a AccountHandle,
    before: (usize, usize),
}

impl<'a> Counts<'a> {
    fn new(login: &'a AccountHandle) -> Self {
        Self {
            login,
            before: (0, 0),
        }
    }

    fn next(&mut self) -> (usize, usize) {
        let log = self.login.log();
        let now = (log.lists_sent, log.lists_unchanged);
        let since = (now.0 - self.before.0, now.1 - self.before.1);
        self.before = now;
        since
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_lists_are_sent_once_and_again_only_where_they_changed_after_a_restart_too() {
    let (provider, folder) = (provider(), tempfile::tempdir().unwrap());
    let login = provider.account("u");
    let mut counts = Counts::new(&login);
    let mut mainstem = start(&xtream(&provider), folder.path()).await;
    let list = playlist(&mainstem).await;
    assert_eq!(names(&list).len(), 31 + 4);
    // One more is what the account says of itself: it is asked every time.
    assert_eq!(counts.next(), (1 + CONDITIONAL, 0));
    let found = refresh(&mainstem, "s").await;
    assert_eq!(counts.next(), (1, CONDITIONAL));
    assert_eq!(
        (&found["last_error"], &found["series"]),
        (&serde_json::Value::Null, &2.into())
    );
    assert_eq!(playlist(&mainstem).await, list);

    mainstem.signal("TERM");
    mainstem.exit().await;
    let mainstem = start(&xtream(&provider), folder.path()).await;
    assert_eq!(
        counts.next(),
        (1, CONDITIONAL),
        "the first refresh after a restart"
    );
    let found = details(&mainstem, "s").await;
    assert_eq!(
        (&found["from_disk"], &found["streams"], &found["series"]),
        (&false.into(), &35.into(), &2.into())
    );
    assert_eq!(names(&playlist(&mainstem).await), names(&list));

    // Other names of categories, and the same streams: those are read again, to be in the new groups.
    let renamed = r#"[{"category_id":"1","category_name":"Renamed","parent_id":0}]"#;
    login.list_fault_on(List::Categories, ListFault::Body(renamed.to_owned()));
    refresh(&mainstem, "s").await;
    assert_eq!(counts.next(), (1 + CONDITIONAL, 0));
    let groups = playlist(&mainstem).await;
    assert!(groups.contains("group-title=\"Renamed\""), "{groups}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_m3u_is_not_sent_again_after_a_restart() {
    let (provider, folder) = (provider(), tempfile::tempdir().unwrap());
    let login = provider.account("u");
    let mut counts = Counts::new(&login);
    let mut mainstem = start(&m3u(&provider), folder.path()).await;
    let list = names(&playlist(&mainstem).await);
    assert_eq!(counts.next(), (1, 0));
    mainstem.signal("TERM");
    mainstem.exit().await;
    let mut mainstem = start(&m3u(&provider), folder.path()).await;
    assert_eq!(counts.next(), (0, 1));
    assert_eq!(names(&playlist(&mainstem).await), list);
    mainstem.signal("TERM");
    mainstem.exit().await;

    // The list is lost, but what told its version could not be: it lay in the same file.
    for file in std::fs::read_dir(folder.path().join("listings")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let mainstem = start(&m3u(&provider), folder.path()).await;
    assert_eq!(counts.next(), (1, 0));
    assert_eq!(names(&playlist(&mainstem).await), list);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_list_is_lost_is_asked_for_all_of_it() {
    let (provider, folder) = (provider(), tempfile::tempdir().unwrap());
    let login = provider.account("u");
    let mut counts = Counts::new(&login);
    let mut mainstem = start(&xtream(&provider), folder.path()).await;
    let list = names(&playlist(&mainstem).await);
    counts.next();
    mainstem.signal("TERM");
    mainstem.exit().await;
    std::fs::remove_dir_all(folder.path().join("listings")).unwrap();
    let mut mainstem = start(&xtream(&provider), folder.path()).await;
    // The series are kept elsewhere, with their own version.
    assert_eq!(counts.next(), (5, 2));
    assert_eq!(names(&playlist(&mainstem).await), list);
    mainstem.signal("TERM");
    mainstem.exit().await;
    std::fs::remove_dir_all(folder.path().join("accounts")).unwrap();
    let mainstem = start(&xtream(&provider), folder.path()).await;
    assert_eq!(counts.next(), (3, 4));
    assert_eq!(details(&mainstem, "s").await["series"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_held_back_does_not_become_the_known_version() {
    let (provider, folder) = (provider(), tempfile::tempdir().unwrap());
    let login = provider.account("u");
    let mainstem = start(&xtream(&provider), folder.path()).await;
    let list = playlist(&mainstem).await;
    let few = r#"[{"num":1,"name":"One","stream_id":1,"category_id":"1"}]"#;
    login.list_fault_on(List::Live, ListFault::Body(few.to_owned()));
    let found = refresh(&mainstem, "s").await;
    assert_eq!(found["last_error"]["code"], "collapsed", "{found}");
    // Asked with the version of the collapse, the provider would say "not modified", and the whole list would be lost to
    // that.
    let mut counts = Counts::new(&login);
    counts.next();
    login.clear();
    let found = refresh(&mainstem, "s").await;
    assert_eq!(counts.next(), (1, CONDITIONAL));
    assert_eq!(found["last_error"], serde_json::Value::Null);
    assert_eq!(playlist(&mainstem).await, list);

    // The whole list came between: the same collapse is a first one again, and believed when it comes twice.
    login.list_fault_on(List::Live, ListFault::Body(few.to_owned()));
    let found = refresh(&mainstem, "s").await;
    assert_eq!(found["last_error"]["code"], "collapsed", "{found}");
    let found = refresh(&mainstem, "s").await;
    assert_eq!(found["last_error"], serde_json::Value::Null, "{found}");
    assert_eq!(names(&playlist(&mainstem).await).len(), 1 + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn not_modified_where_nobody_asked_for_it_is_a_failure_and_costs_nothing() {
    let provider = Provider::start(
        Plan::new()
            .account(Account::new("u", "p"))
            .channel(Channel::new(1, "One", Clip::H264Closed).group("News")),
    )
    .unwrap();
    let unchanged = ListFault::Status {
        code: 304,
        body: String::new(),
    };
    for config in [m3u(&provider), xtream(&provider)] {
        provider.account("u").clear();
        let mainstem = Mainstem::start(&config).await;
        let list = until_names(&mainstem, &["One"]).await;
        provider.account("u").list_fault(unchanged.clone());
        let found = refresh(&mainstem, "s").await;
        assert_eq!(found["last_error"]["code"], "status", "{found}");
        assert_eq!((&found["streams"], playlist(&mainstem).await), (&1.into(), list));

        // A newcomer has nothing, and says why.
        let mainstem = Launch::new(&config).listening().await;
        until_details(&mainstem, "s", "says why", |found| {
            found["last_error"]["code"] == "status"
        })
        .await;
    }
}
