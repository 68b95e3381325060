//! Names and passwords of accounts: in no answer and in no line of the log.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::time::Duration;

use provider_double::{
    Account, Channel, Clip, Extent, Fault, ListFault, Movie, Plan, Provider, RedirectForm,
};
use support::process::QUICK;
use support::{Launch, Mainstem, SOON, Viewer, eventually, get, get_json, request};

/// Nothing else looks like these; one has to be percent-encoded in an address.
const CANARIES: [&str; 6] = [
    "zqcanaryuser",
    "zqcanarypass",
    "zqcanary@mail",
    "zqcanary%40mail",
    "zq canary/pw",
    "zqcanaryheader",
];

/// A provider of five channels, each with something that goes wrong, and a film.
fn provider(user: &str, password: &str) -> Provider {
    let plan = Plan::new()
        .account(Account::new(user, password).max_connections(2))
        .movie(Movie::new("900", "Film", 50_000));
    let plan = (1..=5).fold(plan, |plan, number| {
        plan.channel(Channel::new(
            number,
            &format!("Channel {number}"),
            Clip::H264Closed,
        ))
    });
    let provider = Provider::start(plan).unwrap();
    let refused = Fault::Status {
        code: 403,
        body: "zqcanarypass".into(),
        retry_after: None,
    };
    provider.stream(1).fault_times(refused, 2);
    provider
        .stream(2)
        .fault_times(Fault::Rst(Extent::Bytes(50_000)), 2);
    let redirect = |hops, form| Fault::Redirect { hops, form };
    provider.stream(3).fault(redirect(2, RedirectForm::OtherHost));
    provider.stream(4).fault_times(Fault::Html, 2);
    provider.stream(5).fault(redirect(200, RedirectForm::Relative));
    provider
}

/// Everything mainstem says to clients while all of it is used.
async fn everything_said(mainstem: &Mainstem) -> String {
    let mut said = String::new();
    for number in 1..=5 {
        let id = mainstem.channel_id(&format!("Channel {number}")).await;
        let viewer = Viewer::open(&mainstem.url(&format!("/stream/{id}"))).await;
        viewer.media(Duration::from_secs(2), SOON).await;
        said.push_str(&format!("{:?}", viewer.headers));
        for path in [
            format!("/debug/{id}"),
            format!("/direct/{id}"),
            "/active-streams".to_owned(),
        ] {
            said.push_str(&whole_answer(mainstem, "GET", &path).await);
        }
    }
    let paths = [
        "/",
        "/playlist.m3u8",
        "/status",
        "/streams",
        "/active-streams",
        "/test?limit=100",
        "/series",
        "/debug/mappings",
        "/debug/grouped-streams",
        "/debug/streams/x",
        "/debug/streams/m",
        "/readyz",
        "/healthz",
        "/stream/0000000000000000",
        "/debug/0000000000000000",
    ];
    for path in paths {
        said.push_str(&whole_answer(mainstem, "GET", path).await);
    }
    let film = format!("/stream/{}", mainstem.channel_id("Film").await);
    said.push_str(&whole_answer(mainstem, "HEAD", &film).await);
    said.push_str(&format!("{:?}", get(&mainstem.url(&film)).await.headers));
    said
}

async fn whole_answer(mainstem: &Mainstem, method: &str, path: &str) -> String {
    let answer = request(method, &mainstem.url(path), &[]).await;
    format!("{path} {:?} {}\n", answer.headers, answer.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_appear_nowhere() {
    let xtream = provider("zqcanary@mail", "zq canary/pw");
    let m3u = provider("zqcanaryuser", "zqcanarypass");
    let list = format!(
        "{}/get.php?username=zqcanaryuser&password=zqcanarypass&type=m3u_plus&output=ts",
        m3u.base_url()
    );
    let config = format!(
        "{QUICK}log_level: TRACE
sources:
  - {{name: x, type: xtream, url: \"{}\", username: \"zqcanary@mail\", password: \"zq canary/pw\", headers: {{X-Token: zqcanaryheader}}}}
  - {{name: m, type: m3u, url: \"{list}\"}}
  - {{name: dead, type: m3u, url: \"http://127.0.0.1:9/zqcanaryuser/zqcanarypass/list.m3u\"}}
direct: false
xtream_auth: {{enabled: false, username: zqcanaryuser, password: zqcanarypass}}
",
        xtream.base_url()
    );
    let mainstem = Launch::new(&config).ready().await;
    let mut said = everything_said(&mainstem).await;
    // Lists that fail have much to say, too.
    xtream.account("zqcanary@mail").list_fault(ListFault::Html);
    let broken = ListFault::Status {
        code: 500,
        body: "zqcanarypass".into(),
    };
    m3u.account("zqcanaryuser").list_fault(broken);
    mainstem.signal("HUP");
    mainstem.wait_log("configuration read again").await;
    for source in ["x", "m"] {
        let url = mainstem.url("/status");
        eventually("a list that failed", || async {
            let error = &get_json(&url).await["source_details"][source]["last_error"];
            (!error.is_null()).then_some(())
        })
        .await;
    }
    said.push_str(&whole_answer(&mainstem, "GET", "/status").await);

    assert!(
        said.contains("Channel 5") && said.contains("Film"),
        "there is something to look through"
    );
    let log = mainstem.log();
    assert!(log.contains("DEBUG"), "the log says everything it ever says");
    for canary in CANARIES {
        let line = |text: &str| text.lines().find(|line| line.contains(canary)).map(str::to_owned);
        assert_eq!(line(&said), None, "{canary} in an answer");
        assert_eq!(line(&log), None, "{canary} in the log");
    }
}
