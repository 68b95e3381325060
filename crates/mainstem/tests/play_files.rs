//! Films: byte for byte what the provider has, whole or in parts, one upstream per viewer.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::time::Duration;

use provider_double::{Account, Fault, Movie, Plan, Provider};
use support::process::QUICK;
use support::{Answer, Mainstem, SOON, Viewer, eventually, get, get_json, request};

const BYTES: u64 = 3_000_000;

async fn scene(film: Movie) -> (Provider, Provider, Mainstem, String) {
    let provider = |user: &str| {
        let account = Account::new(user, "secret").max_connections(3);
        Provider::start(Plan::new().account(account).movie(film.clone())).unwrap()
    };
    let (first, second) = (provider("first"), provider("second"));
    let list = |provider: &Provider, user: &str| {
        format!(
            "#EXTM3U\n#EXTINF:-1 group-title=\"Movies\",Film\n{}\n",
            provider.movie_url(user, 900)
        )
    };
    let mainstem = support::Launch::new(&format!(
        "{QUICK}log_level: DEBUG\nlimits: {{account_connections: 3}}\nsources:\n  - {{name: first, type: m3u, url: first.m3u}}\n  - {{name: second, type: m3u, url: second.m3u}}\n"
    ))
    .file("first.m3u", &list(&first, "first"))
    .file("second.m3u", &list(&second, "second"))
    .ready()
    .await;
    let streams = mainstem.url("/streams");
    eventually("both lists are read", || async {
        (get_json(&streams).await["streams"][0]["sources"] == 2).then_some(())
    })
    .await;
    let url = mainstem.stream_url("Film").await;
    (first, second, mainstem, url)
}

async fn part(url: &str, range: &str) -> Answer {
    request("GET", url, &[("Range", range)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_comes_byte_for_byte_and_in_parts() {
    let (first, second, mainstem, url) = scene(Movie::new("900", "Film", BYTES)).await;
    let direct = get(&first.movie_url("first", 900)).await;
    let head = request("HEAD", &url, &[]).await;
    assert_eq!(
        (
            head.status,
            head.header("content-length"),
            head.header("content-type")
        ),
        (200, "", "video/mp4"),
        "nobody was asked how long it is"
    );
    let whole = get(&url).await;
    assert_eq!((whole.status, whole.header("content-length")), (200, "3000000"));
    assert_eq!(whole.header("content-type"), direct.header("content-type"));
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert!(whole.body == direct.body, "the same bytes");

    let n = usize::try_from(BYTES).unwrap();
    for (range, from, to) in [
        ("bytes=0-", 0, n),
        ("bytes=2999999-", n - 1, n),
        ("bytes=1000-1999", 1_000, 2_000),
        ("bytes=0-0", 0, 1),
        ("bytes=-500", n - 500, n),
        ("bytes=2999000-9999999", n - 1_000, n),
    ] {
        let answer = part(&url, range).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(
            answer.header("content-range"),
            format!("bytes {from}-{}/{BYTES}", to - 1),
            "{range}"
        );
        assert!(
            answer.body == direct.body.slice(from..to),
            "{range}: {} bytes",
            answer.body.len()
        );
    }
    let beyond = part(&url, "bytes=3000000-").await;
    assert_eq!(
        (beyond.status, beyond.header("content-range")),
        (416, "bytes */3000000")
    );

    let before = first.account("first").requests().len();
    let head = request("HEAD", &url, &[]).await;
    assert_eq!(
        (head.status, head.header("content-type"), head.body.len()),
        (200, "video/mp4", 0)
    );
    for name in ["content-length", "accept-ranges", "etag", "last-modified"] {
        assert_eq!(
            head.header(name),
            whole.header(name),
            "what is remembered of {name}"
        );
    }
    assert_eq!(
        first.account("first").requests().len(),
        before,
        "HEAD asks nobody"
    );
    assert_eq!(second.account("second").requests().len(), 0);
    first
        .account("first")
        .wait_until(|log| log.open_now == 0, SOON)
        .await
        .unwrap();
    let status = mainstem.url("/status");
    eventually("no connection in use", || async {
        (get_json(&status).await["connections"]["total_connections"] == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_viewer_of_a_film_has_a_connection_of_his_own_and_no_more_than_the_login_allows() {
    let film = Movie::new("900", "Film", 400_000_000).bytes_per_second(200_000);
    let (first, second, _mainstem, url) = scene(film).await;
    let (one, two) = (first.account("first"), second.account("second"));
    let mut viewers = Vec::new();
    for count in 1..=6 {
        let viewer = Viewer::open(&url).await;
        assert_eq!(viewer.status, 200);
        viewer.more(10_000).await;
        assert_eq!(one.open_now() + two.open_now(), count);
        viewers.push(viewer);
    }
    // Three at each login: the next one is told, and costs nothing.
    let refused = get(&url).await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(
        refused.json()["error"].is_object() || refused.json()["error"].is_string(),
        "{}",
        refused.text()
    );
    assert_eq!((one.peak(), two.peak()), (3, 3));
    assert_eq!((one.over_limit(), two.over_limit()), (0, 0));
    drop(viewers);
    one.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    two.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_cannot_be_opened_comes_from_the_next_source() {
    let (first, second, _mainstem, url) = scene(Movie::new("900", "Film", 100_000)).await;
    let direct = get(&second.movie_url("second", 900)).await;
    for fault in [
        Fault::Status {
            code: 404,
            body: "no".to_owned(),
            retry_after: None,
        },
        Fault::Refuse,
        Fault::HangBeforeHead,
        Fault::Html,
        Fault::Json,
        Fault::EmptyBody,
        Fault::Silence,
    ] {
        first.stream(900).fault(fault.clone());
        let answer = get(&url).await;
        assert_eq!(answer.status, 200, "{fault:?}");
        assert!(
            answer.body == direct.body,
            "{fault:?}: {}",
            answer.text().chars().take(200).collect::<String>()
        );
        first.stream(900).clear();
    }
    second.stream(900).fault(Fault::Refuse);
    first.stream(900).fault(Fault::Refuse);
    let nobody = get(&url).await;
    assert!(
        (502..=504).contains(&nobody.status),
        "{} {}",
        nobody.status,
        nobody.text()
    );
    assert!(!nobody.text().contains("secret"));
    first
        .account("first")
        .wait_until(|log| log.open_now == 0, Duration::from_secs(10))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_not_passed_for_one() {
    // Its only segment is nowhere.
    let playlist = b"#EXTM3U\n#EXTINF:4,\nhttp://127.0.0.1:9/live/user/password/1.ts\n#EXT-X-ENDLIST\n";
    for (what, content) in [("HLS", &playlist[..]), ("DASH", b"<MPD></MPD>"), ("empty", b"")] {
        let film = Movie::of("900", "Film", content, "video/mp4");
        let (first, second, _mainstem, url) = scene(film).await;
        let answer = get(&url).await;
        assert!(answer.status >= 500, "{what}: {}", answer.status);
        let text = answer.text();
        assert!(
            text.contains(what) && !text.contains("password"),
            "{what}: {text}"
        );
        for (provider, user) in [(&first, "first"), (&second, "second")] {
            assert_eq!(
                provider.account(user).requests().len(),
                1,
                "{what}: each was asked"
            );
        }
    }
}
