//! One login, many who want it: the limit is never exceeded as the provider counts it, and never falsely reached.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

#[path = "support/slots.rs"]
mod slots;
mod support;

use std::collections::HashSet;
use std::time::Duration;

use provider_double::{Account, Channel, Clip, Fault, List, ListFault, Plan, Provider};
use slots::{LOGIN, PATIENT, Scene, SocketWatch, account, is_all_live, is_live, plan, with_film};
use support::process::QUICK;
use support::{Mainstem, SOON, Viewer, eventually, get, get_json, request};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn sixty_starts_at_once_of_live_hls_and_films_stay_within_the_limit() {
    let plan = with_film(
        plan(account(2).hls_idle(Duration::from_secs(2)), 20),
        50_000_000,
        200_000,
    );
    let provider = Provider::start(plan).unwrap();
    let ts = format!("{}&output=ts", provider.m3u_url(LOGIN));
    let mut hls = String::from("#EXTM3U\n");
    for number in 11..=20 {
        hls.push_str(&format!(
            "#EXTINF:-1,Hls {number}\n{}\n",
            provider.hls_url(LOGIN, number)
        ));
    }
    hls.push_str(&format!(
        "#EXTINF:-1,A film\n{}\n",
        provider.movie_url(LOGIN, 900)
    ));
    let config = format!(
        "{QUICK}sources:\n  - {{name: ts, type: m3u, url: \"{ts}\", max_connections: 2}}\n  - {{name: hls, type: m3u, url: hls.m3u, max_connections: 2, release_delay: 2s}}\n"
    );
    let mainstem = support::Launch::new(&config).file("hls.m3u", &hls).ready().await;
    let login = provider.account(LOGIN);
    let film = eventually("all channels are known", || async {
        let streams = get_json(&mainstem.url("/status")).await["total_streams"].as_u64();
        (streams >= Some(31)).then_some(())
    });
    film.await;
    let mut urls = Vec::new();
    for number in 1..=10 {
        urls.push(mainstem.stream_url(&format!("Channel {number}")).await);
        urls.push(mainstem.stream_url(&format!("Hls {}", number + 10)).await);
    }
    let film = mainstem.stream_url("A film").await;
    let mut starts = JoinSet::new();
    for number in 0..60 {
        let url = if number % 3 == 2 {
            film.clone()
        } else {
            urls[number % urls.len()].clone()
        };
        starts.spawn(async move { Viewer::open(&url).await });
    }
    let viewers = starts.join_all().await;
    let served = viewers.iter().filter(|viewer| viewer.status == 200).count();
    assert!(
        served >= 40,
        "every channel answers, if only with the slate: {served}"
    );
    // Somebody is served all the time, and nobody above the limit, while HLS sessions come and go.
    for viewer in viewers.iter().filter(|viewer| viewer.status == 200).take(5) {
        viewer.more(1_000).await;
    }
    assert!(login.peak() <= 2 && login.over_limit() == 0, "{:?}", login.log());
    assert!(login.open_now() > 0);
    drop(viewers);
    // A connection kept for the film's next request goes as well, though nobody asks for it.
    eventually("nothing is in use", || async {
        let status = get_json(&mainstem.url("/status")).await;
        let own = status["connections"]["total_connections"].as_u64();
        (own == Some(0) && login.open_now() == 0).then_some(())
    })
    .await;
    assert!(login.peak() <= 2 && login.over_limit() == 0, "{:?}", login.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_login_as_m3u_and_as_xtream_has_one_limit() {
    let provider = Provider::start(plan(account(2), 12)).unwrap();
    let list = format!("{}&output=ts", provider.m3u_url(LOGIN));
    let base = provider.base_url();
    let config = format!(
        "{QUICK}sources:\n  - {{name: m, type: m3u, url: \"{list}\"}}\n  - {{name: x, type: xtream, url: \"{base}\", username: {LOGIN}, password: secret}}\n"
    );
    let mainstem = Mainstem::start(&config).await;
    let login = provider.account(LOGIN);
    eventually("the account said how many it allows", || async {
        let status = get_json(&mainstem.url("/status")).await;
        let pool = status["pools"].as_array()?.first()?.clone();
        let of_m = &status["source_details"]["m"];
        (pool["limit"] == 2 && pool["limit_from"] == "account" && of_m["streams"] == 12).then_some(())
    })
    .await;
    let mut starts = JoinSet::new();
    for number in 1..=12 {
        let url = mainstem.stream_url(&format!("Channel {number}")).await;
        starts.spawn(async move { Viewer::open(&url).await });
    }
    let viewers = starts.join_all().await;
    for viewer in &viewers {
        viewer.media(Duration::from_secs(1), SOON).await;
    }
    assert_eq!(
        get_json(&mainstem.url("/status")).await["pools"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!((login.peak(), login.over_limit()), (2, 0));
}

/// X16: an account may allow more than it says; the operator's word stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_above_the_accounts_own_is_told_once_and_so_is_the_end_of_an_account() {
    let provider = Provider::start(plan(account(2), 1)).unwrap();
    let config = format!(
        "{QUICK}sources:\n  - {{name: x, type: xtream, url: \"{}\", username: {LOGIN}, password: secret, max_connections: 5}}\n",
        provider.base_url()
    );
    let mainstem = Mainstem::start(&config).await;
    let refreshes = || mainstem.log().matches("list refreshed").count();
    for refresh in 1..4 {
        eventually(&format!("refresh {refresh}"), || async {
            (refreshes() >= refresh).then_some(())
        })
        .await;
        mainstem.signal("HUP");
    }
    let told = mainstem
        .log()
        .matches("max_connections is 5, but the account says it allows 2")
        .count();
    assert_eq!(told, 1);
    let pool = get_json(&mainstem.url("/status")).await["pools"][0].clone();
    assert_eq!(
        (
            &pool["limit"],
            &pool["limit_from"],
            &pool["account"]["max_connections"]
        ),
        (&5.into(), &"config".into(), &2.into())
    );

    // It has ended: the list stays, the log is told once, and a refusal needs no other explanation.
    let ended = "{\"user_info\":{\"auth\":1,\"status\":\"Expired\",\"exp_date\":\"1700000000\",\"max_connections\":\"2\"}}";
    provider
        .account(LOGIN)
        .list_fault_on(List::Login, ListFault::Body(ended.to_owned()));
    provider.stream(1).fault(Fault::Status {
        code: 403,
        body: String::new(),
        retry_after: None,
    });
    mainstem.signal("HUP");
    mainstem
        .wait_log("the account expired on 2023-11-14; its streams will be refused")
        .await;
    let viewer = Viewer::open(&mainstem.stream_url("Channel 1").await).await;
    viewer.more(1_000).await;
    mainstem
        .wait_log("the account expired on 2023-11-14 (expired)")
        .await;
    let pool = get_json(&mainstem.url("/status")).await["pools"][0].clone();
    assert_eq!(pool["cooling"]["reason"], "auth", "{pool}");
    assert_eq!(pool["account"]["ended"], "the account expired on 2023-11-14");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_viewers_of_twenty_channels_share_five_connections() {
    let scene = Scene::start(plan(account(5), 20), QUICK, ", max_connections: 5").await;
    let urls = scene.urls(20).await;
    let watch = SocketWatch::start(scene.provider.addr().port());
    let mut opening = JoinSet::new();
    for number in 0..100 {
        let (channel, url) = (number % 20, urls[number % 20].clone());
        opening.spawn(async move { (channel, Viewer::open(&url).await) });
    }
    let viewers = opening.join_all().await;
    for (_, viewer) in &viewers {
        assert_eq!(viewer.status, 200);
        viewer.media(Duration::from_secs(2), SOON).await;
    }
    scene.in_use(5).await;
    // The provider says which channels it sends; whether their viewers see them, one of each channel shows: the five of
    // a channel read one ring.
    let log = scene.login().log();
    let is_closed = |connection| log.closes.iter().any(|close| close.connection == connection);
    let sent = log.opens.iter().filter(|open| !is_closed(open.connection));
    let sent: HashSet<_> = sent.map(|open| open.stream.as_str()).collect();
    let mut fed = 0;
    for channel in 0..20 {
        let of_channel: Vec<_> = viewers.iter().filter(|(of, _)| *of == channel).collect();
        if !sent.contains((channel + 1).to_string().as_str()) {
            continue;
        }
        for (_, viewer) in &of_channel {
            viewer.media(Duration::from_secs(4), SOON).await;
        }
        assert!(is_live(&of_channel[0].1).await, "channel {}", channel + 1);
        fed += of_channel.len();
    }
    assert_eq!(fed, 25);
    scene.assert_within(5);
    assert!(
        watch.peak() <= 5,
        "the kernel had {} sockets at once",
        watch.peak()
    );
}

/// One device switches channels, again and again, at a provider that counts each closed connection on for so long.
/// Returns how long after the request, or after the provider had forgotten, each new connection was served.
async fn zaps(scene: &Scene, times: usize, counted_for: Duration) -> Vec<Duration> {
    let urls = scene.urls(4).await;
    let mut late = Vec::new();
    let mut closed_at = None;
    for zap in 0..times {
        let asked = scene.now();
        let viewer = Viewer::open(&urls[zap % 4]).await;
        assert_eq!(viewer.status, 200);
        viewer.media(Duration::from_secs(1), SOON).await;
        assert!(is_all_live(&viewer).await, "zap {zap} showed the slate");
        let log = scene.login().log();
        let opened = log.opens.back().unwrap();
        assert_eq!(opened.stream, (zap % 4 + 1).to_string());
        let last_close = log
            .closes
            .iter()
            .rfind(|close| close.bytes > 0)
            .map(|close| close.at);
        if let Some(closed) = last_close.filter(|closed| Some(*closed) != closed_at) {
            // Before that nobody could be served; what is left is mainstem's own.
            let possible = if counted_for.is_zero() {
                asked
            } else {
                asked.max(closed + counted_for)
            };
            late.push(opened.at.saturating_sub(possible));
        }
        closed_at = last_close;
        assert!(scene.login().peak() <= 1);
        drop(viewer);
    }
    late
}

#[tokio::test(flavor = "multi_thread")]
async fn zaps_on_one_connection_all_show_the_channel_though_the_provider_counts_on() {
    let counted_for = Duration::from_secs(2);
    let scene = Scene::start(
        plan(account(1).lingering(counted_for), 4),
        PATIENT,
        ", max_connections: 1",
    )
    .await;
    let times = if support::full() { 50 } else { 8 };
    let late = zaps(&scene, times, counted_for).await;
    println!("later than the provider forgot: {late:?}");
    assert!(late.len() >= times - 1);
    assert!(
        late.iter().all(|late| *late <= Duration::from_millis(300)),
        "{late:?}"
    );
    // The first switch learns the delay; from then on nobody is refused.
    let refused = scene.login().over_limit();
    assert!(refused <= 10, "{refused} requests were refused");
    let pool = scene.pool().await;
    let learned = pool["release_delay"]["learned_seconds"].as_f64().unwrap();
    assert!((1.9..=2.6).contains(&learned), "{pool}");
    assert_eq!(
        (&pool["cooling"], &pool["lowered"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zap_costs_next_to_nothing_where_the_provider_forgets_at_once() {
    let scene = Scene::start(plan(account(1), 4), PATIENT, ", max_connections: 1").await;
    let times = if support::full() { 50 } else { 10 };
    let mut late = zaps(&scene, times, Duration::ZERO).await;
    late.sort_unstable();
    println!("later than asked: {late:?}");
    scene.assert_within(1);
    // The machine may be busy with other tests: the median tells what mainstem itself takes.
    let median = late[late.len() / 2];
    assert!(median <= Duration::from_millis(20), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_names_itself_takes_its_own_stream_and_a_hotels_televisions_take_nobodys() {
    let scene = Scene::start(plan(account(1), 3), PATIENT, ", max_connections: 1").await;
    let urls = scene.urls(3).await;
    let named = |number: usize, device: &str| format!("{}?device={device}", urls[number]);
    // The old response is still open when the new one is asked for.
    let first = Viewer::open(&named(0, "tv-1")).await;
    first.media(Duration::from_secs(1), SOON).await;
    let second = Viewer::open(&named(1, "tv-1")).await;
    second.media(Duration::from_secs(1), SOON).await;
    assert!(is_all_live(&second).await, "its own stream gave way");
    let other = Viewer::open(&named(2, "tv-2")).await;
    other.media(Duration::from_secs(1), SOON).await;
    assert!(!is_live(&other).await, "another device's does not");
    drop((first, other));
    assert!(is_all_live(&second).await);
    drop(second);
    scene.in_use(1).await;

    // Ten televisions of one make behind one address.
    let television = [("User-Agent", "Television/1.0")];
    let guest = Viewer::open_as(&urls[0], &television).await;
    guest.media(Duration::from_secs(1), SOON).await;
    for url in &urls[1..] {
        let other = Viewer::open_as(url, &television).await;
        other.media(Duration::from_secs(1), SOON).await;
        assert!(!is_live(&other).await);
    }
    guest.more_media(Duration::from_secs(1), SOON).await;
    assert!(is_all_live(&guest).await, "nobody took the guest's stream");
    scene.assert_within(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_all_day_on_the_only_connection_does_not_stop_the_list_from_refreshing() {
    let scene = Scene::start(plan(account(1), 2), QUICK, ", max_connections: 1").await;
    let url = scene.mainstem.stream_url("Channel 1").await;
    let viewer = Viewer::open(&url).await;
    viewer.media(Duration::from_secs(1), SOON).await;
    for refresh in 0..10 {
        let before = scene.mainstem.log().matches("list refreshed").count();
        scene.mainstem.signal("HUP");
        eventually(&format!("refresh {refresh}"), || async {
            (scene.mainstem.log().matches("list refreshed").count() > before).then_some(())
        })
        .await;
    }
    assert!(!scene.mainstem.log().contains("refresh failed"));
    viewer.more_media(Duration::from_secs(1), SOON).await;
    assert_eq!(scene.login().log().opens.len(), 1, "the viewer noticed nothing");
    scene.assert_within(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_counts_waits_for_viewers_and_gives_way_to_them() {
    let keys = ", max_connections: 1, refresh_counts: true";
    let scene = Scene::start(plan(account(1), 2), PATIENT, keys).await;
    let urls = scene.urls(2).await;
    let lists = || {
        let asked = scene.login().requests();
        asked
            .iter()
            .filter(|request| request.path.contains("get.php"))
            .count()
    };
    // While the list comes, a viewer does: the list ends at once, and the viewer sees no slate.
    scene.login().list_fault(ListFault::Slow { bytes_per_second: 20 });
    let before = lists();
    scene.mainstem.signal("HUP");
    eventually("the list is under way", || async {
        (scene.pool().await["held"][0]["purpose"] == "refresh" && lists() > before).then_some(())
    })
    .await;
    let asked = scene.now();
    let viewer = Viewer::open(&urls[0]).await;
    viewer.media(Duration::from_secs(1), SOON).await;
    assert!(is_all_live(&viewer).await);
    let opened = scene.login().log().opens.back().unwrap().at;
    assert!(
        opened.saturating_sub(asked) < Duration::from_secs(1),
        "{opened:?} {asked:?}"
    );
    scene.mainstem.wait_log("a viewer needed the connection").await;
    // While the viewer watches, no list is asked for at all.
    let before = lists();
    scene.mainstem.signal("HUP");
    eventually("the list waits", || async {
        (scene.pool().await["waiting"][0]["purpose"] == "refresh").then_some(())
    })
    .await;
    viewer.more_media(Duration::from_secs(1), SOON).await;
    assert_eq!(lists(), before);
    scene.login().clear();
    drop(viewer);
    eventually("the list comes when the viewer has gone", || async {
        (lists() > before).then_some(())
    })
    .await;
    scene.assert_within(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_seeks_of_one_film_use_one_connection_one_after_the_other() {
    const BYTES: u64 = 40_000_000;
    let scene = Scene::start(
        with_film(plan(account(1), 1), BYTES, 400_000),
        PATIENT,
        ", max_connections: 1",
    )
    .await;
    let film = format!("{}?device=tv", scene.mainstem.stream_url("Film").await);
    let watch = SocketWatch::start(scene.provider.addr().port());
    // Each seek comes while the response before it still flows.
    let mut open = None;
    for seek in 0..30u64 {
        let range = format!("bytes={}-", seek * 1_000_003);
        let viewer = Viewer::open_as(&film, &[("Range", &range)]).await;
        assert_eq!(viewer.status, 206, "seek {seek}");
        viewer.more(1_000).await;
        open = Some(viewer);
    }
    scene.assert_within(1);
    assert!(
        watch.peak() <= 1,
        "the kernel had {} sockets at once",
        watch.peak()
    );
    // Between two requests the connection is kept for the film, and given to whoever wants it.
    drop(open);
    eventually("the connection is kept", || async {
        let pool = scene.pool().await;
        (pool["kept"].as_array()?.len() == 1 && scene.login().open_now() == 0).then_some(())
    })
    .await;
    let again = request("GET", &film, &[("Range", "bytes=100-199")]).await;
    assert_eq!((again.status, again.body.len()), (206, 100));
    let live = Viewer::open(&scene.mainstem.stream_url("Channel 1").await).await;
    live.media(Duration::from_secs(1), SOON).await;
    assert!(is_all_live(&live).await);
    assert_eq!(scene.pool().await["kept"].as_array().unwrap().len(), 0);
    scene.assert_within(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_answer_lowers_the_limit_and_is_not_asked_again_at_once() {
    // Somebody else uses the login: of the three it is said to have, one is left.
    let scene = Scene::start(plan(account(1), 3), QUICK, ", max_connections: 3").await;
    let urls = scene.urls(3).await;
    let first = Viewer::open(&urls[0]).await;
    first.media(Duration::from_secs(1), SOON).await;
    let second = Viewer::open(&urls[1]).await;
    second.media(Duration::from_secs(2), SOON).await;
    assert!(!is_live(&second).await);
    let third = Viewer::open(&urls[2]).await;
    third.media(Duration::from_secs(2), SOON).await;
    assert_eq!(scene.login().over_limit(), 1, "one request was enough to know");
    let pool = scene.pool().await;
    assert_eq!(
        (&pool["limit"], &pool["limit_from"]),
        (&1.into(), &"provider".into())
    );
    assert_eq!(
        (&pool["lowered"]["to"], &pool["lowered"]["from"]),
        (&1.into(), &3.into())
    );
    assert_eq!(pool["cooling"]["reason"], "limit");
    assert!(pool["cooling"]["seconds"].as_u64() > Some(0) && pool["lowered"]["seconds"].as_u64() > Some(0));
    first.more_media(Duration::from_secs(1), SOON).await;
    assert!(is_all_live(&first).await, "the stream that works goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_what_is_shown() {
    let scene = Scene::start(plan(account(1), 2), PATIENT, ", max_connections: 1").await;
    let urls = scene.urls(2).await;
    let first = Viewer::open(&urls[0]).await;
    first.media(Duration::from_secs(1), SOON).await;
    let pool = scene.pool().await;
    assert_eq!(
        (&pool["limit"], &pool["limit_from"], &pool["in_use"]),
        (&1.into(), &"config".into(), &1.into())
    );
    let held = &pool["held"][0];
    assert_eq!(
        (&held["purpose"], &held["name"], &held["source"], &held["watched"]),
        (&"live".into(), &"Channel 1".into(), &"one".into(), &true.into())
    );
    let _second = Viewer::open(&urls[1]).await;
    eventually("the second waits", || async {
        let pool = scene.pool().await;
        (pool["waiting"][0]["name"] == "Channel 2").then_some(())
    })
    .await;
    drop(first);
    let active = get_json(&scene.mainstem.url("/active-streams")).await;
    assert_eq!(active["pools"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_watches_as_many_channels_as_it_may() {
    let limits = "limits: {channels_per_client: 1, client_policy: stop_oldest}\n";
    let scene = Scene::start(plan(account(5), 3), &format!("{QUICK}{limits}"), "").await;
    let urls = scene.urls(3).await;
    let player = |name: &'static str| [("User-Agent", name)];
    let a = Viewer::open_as(&urls[0], &player("A")).await;
    a.more(10_000).await;
    let b = Viewer::open_as(&urls[1], &player("B")).await;
    assert_eq!(b.status, 200);
    a.end(SOON).await;
    // A reconnects by itself, as players do: it does not take the stream back.
    for _ in 0..3 {
        let again = request("GET", &urls[0], &player("A")).await;
        assert_eq!(again.status, 429, "{}", again.text());
        assert_eq!(again.json()["error"], "client_limit");
        assert_eq!(again.header("retry-after"), "5");
    }
    b.more(10_000).await;
    // A device that names itself is never refused, and replaces nothing but its own.
    let mut own = None;
    for zap in 0..6 {
        let viewer = Viewer::open(&format!("{}?device=tv", urls[zap % 3])).await;
        assert_eq!(viewer.status, 200, "zap {zap}");
        viewer.more(5_000).await;
        if let Some(old) = own.replace(viewer) {
            old.end(SOON).await;
        }
    }
    b.more(10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_a_device_name_it() {
    let plan = Plan::new()
        .account(Account::new(LOGIN, "secret"))
        .channel(Channel::new(1, "One", Clip::H264Closed));
    let scene = Scene::start(plan, QUICK, "").await;
    let list = get(&scene.mainstem.url("/playlist.m3u8?device=tv-1"))
        .await
        .text();
    assert!(list.contains("?device=tv-1\n"), "{list}");
    let plain = get(&scene.mainstem.url("/playlist.m3u8?device=a%0Ab"))
        .await
        .text();
    assert!(!plain.contains("device="), "{plain}");
}
