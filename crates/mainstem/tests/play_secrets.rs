//! Names and passwords of accounts: in no answer and in no line of the log.

mod support;

use std::time::Duration;

use provider_double::{
    Account, Channel, Clip, Extent, Fault, ListFault, Movie, Plan, Provider, RedirectForm,
};
use support::process::QUICK;
use support::{Launch, SOON, Viewer, get, request};

/// Nothing else looks like these; one has to be percent-encoded in an address.
const CANARIES: [&str; 6] = [
    "zqcanaryuser",
    "zqcanarypass",
    "zqcanary@mail",
    "zqcanary%40mail",
    "zq canary/pw",
    "zqcanaryheader",
];

#[tokio::test(flavor = "multi_thread")]
async fn credentials_appear_nowhere() {
    let plan = |user: &str, password: &str| {
        (1..=5).fold(
            Plan::new()
                .account(Account::new(user, password).max_connections(2))
                .movie(Movie::new("900", "Film", 50_000)),
            |plan, number| {
                plan.channel(Channel::new(
                    number,
                    &format!("Channel {number}"),
                    Clip::H264Closed,
                ))
            },
        )
    };
    let xtream = Provider::start(plan("zqcanary@mail", "zq canary/pw")).unwrap();
    let m3u = Provider::start(plan("zqcanaryuser", "zqcanarypass")).unwrap();
    for provider in [&xtream, &m3u] {
        provider.stream(1).fault_times(
            Fault::Status {
                code: 403,
                body: "zqcanarypass".into(),
                retry_after: None,
            },
            2,
        );
        provider
            .stream(2)
            .fault_times(Fault::Rst(Extent::Bytes(50_000)), 2);
        provider.stream(3).fault(Fault::Redirect {
            hops: 2,
            form: RedirectForm::OtherHost,
        });
        provider.stream(4).fault_times(Fault::Html, 2);
        provider.stream(5).fault(Fault::Redirect {
            hops: 200,
            form: RedirectForm::Relative,
        });
    }
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
    mainstem.channel_id("Channel 5").await;
    let mut said = String::new();
    for number in 1..=5 {
        let name = format!("Channel {number}");
        let id = mainstem.channel_id(&name).await;
        let viewer = Viewer::open(&mainstem.url(&format!("/stream/{id}"))).await;
        viewer.media(Duration::from_secs(2), SOON).await;
        said.push_str(&format!("{:?}", viewer.headers));
        for path in ["debug", "direct", "test"] {
            let answer = request("GET", &mainstem.url(&format!("/{path}/{id}")), &[]).await;
            said.push_str(&format!("{:?}{}", answer.headers, answer.text()));
        }
        said.push_str(&get(&mainstem.url("/active-streams")).await.text());
    }
    xtream.account("zqcanary@mail").list_fault(ListFault::Html);
    m3u.account("zqcanaryuser").list_fault(ListFault::Status {
        code: 500,
        body: "zqcanarypass".into(),
    });
    mainstem.signal("HUP");
    mainstem.wait_log("configuration read again").await;
    let film = mainstem.channel_id("Film").await;
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
        let answer = get(&mainstem.url(path)).await;
        said.push_str(&format!("{path} {:?} {}\n", answer.headers, answer.text()));
    }
    let answer = request("HEAD", &mainstem.url(&format!("/stream/{film}")), &[]).await;
    said.push_str(&format!("{:?}", answer.headers));
    let film = get(&mainstem.url(&format!("/stream/{film}"))).await;
    said.push_str(&format!("{:?}", film.headers));
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
