//! What the lists say, and how badly they can be sent.

use std::io::Read as _;
use std::time::{Duration, Instant};

use provider_double::{List, ListFault, Provider, SYNTHETIC_LIVE, Synthetic};
use serde_json::Value;
use tokio::time::timeout;

use crate::client::{Client, End, plan, start};

const M3U: &str = "/get.php?username=u&password=p&type=m3u_plus&output=ts";

fn api(action: &str) -> String {
    format!("/player_api.php?username=u&password=p&action={action}")
}

async fn bytes(provider: &Provider, path: &str) -> (Vec<u8>, bool) {
    let mut client = Client::get(provider.addr(), path).await;
    assert_eq!(client.status().await, 200, "{path}");
    client.chunks().await
}

async fn json(provider: &Provider, action: &str) -> Value {
    serde_json::from_slice(&bytes(provider, &api(action)).await.0).unwrap()
}

#[tokio::test]
async fn m3u_leads_to_streams() {
    let provider = start(plan(1));
    let text = String::from_utf8(bytes(&provider, M3U).await.0).unwrap();
    assert!(
        text.starts_with("#EXTM3U\n#EXTINF:-1 tvg-id=\"\" tvg-name=\"One\""),
        "{text}"
    );
    assert!(text.contains("tvg-id=\"two.tv\"") && text.contains("group-title=\"News\",Two\n"));
    let urls: Vec<&str> = text.lines().filter(|l| l.starts_with("http")).collect();
    let expected = [
        provider.live_url("u", 1),
        provider.live_url("u", 2),
        provider.movie_url("u", 9),
    ];
    assert_eq!(urls, expected);
    let hls = String::from_utf8(bytes(&provider, &M3U.replace("=ts", "=m3u8")).await.0).unwrap();
    assert!(hls.contains(&provider.hls_url("u", 1)));

    let open = String::from_utf8(bytes(&provider, "/list.m3u").await.0).unwrap();
    assert!(
        provider
            .m3u_url("u")
            .ends_with("/get.php?username=u&password=p&type=m3u_plus")
    );
    assert!(provider.m3u_url("").ends_with("/list.m3u"));
    assert!(
        open.contains(&provider.live_url("", 1)) && !open.contains("/u/p/"),
        "{open}"
    );
    let guide = String::from_utf8(bytes(&provider, "/xmltv.php?username=u&password=p").await.0).unwrap();
    assert!(guide.contains("<channel id=\"two.tv\"><display-name>Two<"));
}

#[tokio::test]
async fn xtream_answers() {
    let mut plan = plan(3);
    plan.synthetic = Synthetic {
        live: 90,
        movies: 2,
        series: 1,
    };
    let provider = start(plan);
    let login = json(&provider, "").await;
    assert_eq!(
        (
            &login["user_info"]["auth"],
            &login["user_info"]["max_connections"]
        ),
        (&1.into(), &"3".into())
    );
    assert_eq!(
        json(&provider, "get_profile").await["server_info"]["port"],
        provider.addr().port().to_string()
    );
    let wrong = bytes(&provider, "/player_api.php?username=u&password=x").await.0;
    assert_eq!(
        serde_json::from_slice::<Value>(&wrong).unwrap()["user_info"]["auth"],
        0
    );

    let live = json(&provider, "get_live_streams").await;
    let live = live.as_array().unwrap();
    assert_eq!(live.len(), 92);
    assert_eq!(
        (&live[0]["stream_id"], &live[1]["epg_channel_id"]),
        (&1.into(), &"two.tv".into())
    );
    assert_eq!(live[2]["stream_id"], SYNTHETIC_LIVE);
    let categories = json(&provider, "get_live_categories").await;
    let categories = categories.as_array().unwrap();
    assert_eq!(
        (&categories[0]["category_name"], &categories[1]["category_name"]),
        (&"Live".into(), &"News".into())
    );
    // Every entry is in a category of the list, and asking by category finds it again.
    for category in categories {
        let id = category["category_id"].as_str().unwrap();
        let within = json(&provider, &format!("get_live_streams&category_id={id}")).await;
        let expected = live.iter().filter(|s| s["category_id"] == id).count();
        assert_eq!(within.as_array().unwrap().len(), expected);
        assert!(expected > 0);
    }
    let films = json(&provider, "get_vod_streams").await;
    assert_eq!(
        (films.as_array().unwrap().len(), &films[0]["container_extension"]),
        (3, &"mp4".into())
    );
    assert_eq!(
        json(&provider, "get_vod_info&vod_id=9").await["movie_data"]["name"],
        "Film"
    );
    let series = json(&provider, "get_series").await[0]["series_id"].clone();
    let info = json(&provider, &format!("get_series_info&series_id={series}")).await;
    let episode = info["episodes"]["2"][2]["id"].as_str().unwrap().to_owned();
    let mut client = Client::get(provider.addr(), &format!("/series/u/p/{episode}.mp4")).await;
    assert_eq!(client.status().await, 200);
    let mut client = Client::get(provider.addr(), &format!("/live/u/p/{}.ts", SYNTHETIC_LIVE + 89)).await;
    assert_eq!(client.status().await, 200);
    assert_eq!(
        Client::get(provider.addr(), &format!("/live/u/p/{}.ts", SYNTHETIC_LIVE + 90))
            .await
            .status()
            .await,
        404
    );
    assert!(
        provider
            .account("u")
            .requests()
            .iter()
            .any(|r| r.query.contains("action=get_series_info"))
    );
}

#[tokio::test]
async fn half_a_million_entries_are_streamed() {
    let mut plan = plan(1);
    plan.synthetic.live = 500_000;
    let provider = start(plan);
    let mut client = Client::get(provider.addr(), M3U).await;
    assert_eq!(client.status().await, 200);
    // The first comes while the last is not made yet.
    assert!(client.body(1000).await.0.len() < 4_000_000);
    let (rest, end) = client.body(50_000_000).await;
    assert!(rest.len() >= 50_000_000 && end == End::Open);
}

#[tokio::test]
async fn connections_are_kept_for_lists() {
    let provider = start(plan(1));
    let request = format!("GET {M3U} HTTP/1.1\r\n\r\nGET {M3U} HTTP/1.1\r\nConnection: close\r\n\r\n");
    let mut client = Client::send(provider.addr(), &request).await;
    let (both, end) = client.body(usize::MAX).await;
    assert_eq!(
        String::from_utf8(both)
            .unwrap()
            .matches("HTTP/1.1 200 OK")
            .count(),
        2
    );
    assert_eq!(end, End::Fin);
    assert_eq!(
        (
            provider.account("u").requests().len(),
            provider.account("u").peak()
        ),
        (2, 0)
    );
}

#[tokio::test]
async fn faults_in_place_of_a_list() {
    let provider = start(plan(1));
    let account = provider.account("u");
    let body = |text: &str| ListFault::Body(text.to_owned());
    for (fault, status, expected) in [
        (
            ListFault::Status {
                code: 503,
                body: "gone".to_owned(),
            },
            503,
            "gone",
        ),
        (ListFault::Html, 200, "<html>"),
        (body(""), 200, ""),
        (body("[]"), 200, "[]"),
        (body("null"), 200, "null"),
        (body("{}"), 200, "{}"),
    ] {
        account.list_fault_on(List::Live, fault.clone());
        let request = format!("GET {} HTTP/1.0\r\n\r\n", api("get_live_streams"));
        let mut client = Client::send(provider.addr(), &request).await;
        assert_eq!(client.status().await, status, "{fault:?}");
        let (body, end) = client.body(usize::MAX).await;
        let body = String::from_utf8(body).unwrap();
        assert!(
            body == expected || !expected.is_empty() && body.contains(expected),
            "{fault:?}"
        );
        assert_eq!(end, End::Fin);
    }
    assert!(
        json(&provider, "get_vod_streams").await.is_array(),
        "only the list it was set for"
    );
    account.list_fault(ListFault::Html);
    assert_eq!(
        Client::get(provider.addr(), M3U)
            .await
            .head()
            .await
            .matches("text/html")
            .count(),
        1
    );
    account.list_fault(ListFault::Hang);
    let mut client = Client::get(provider.addr(), M3U).await;
    assert!(timeout(Duration::from_millis(150), client.body(1)).await.is_err());
    account.list_fault(ListFault::Refuse);
    assert_eq!(Client::get(provider.addr(), M3U).await.body(1).await.1, End::Rst);
    account.clear();
    assert!(json(&provider, "get_live_streams").await.is_array());
}

#[tokio::test]
async fn lists_cut_slow_and_packed() {
    let provider = start(plan(1));
    let account = provider.account("u");
    let (whole, complete) = bytes(&provider, M3U).await;
    assert!(complete);
    account.list_fault(ListFault::TruncatedAt(99));
    assert_eq!(bytes(&provider, M3U).await, (whole[..99].to_vec(), true));
    account.list_fault(ListFault::CutAt(99));
    assert_eq!(bytes(&provider, M3U).await, (whole[..99].to_vec(), false));
    account.list_fault(ListFault::TruncatedAt(1_000_000));
    assert_eq!(bytes(&provider, M3U).await, (whole.clone(), true));

    account.list_fault(ListFault::Prefix("\u{feff}Warning: ".to_owned()));
    assert_eq!(
        bytes(&provider, M3U).await.0,
        ["\u{feff}Warning: ".as_bytes(), &whole].concat()
    );

    account.list_fault(ListFault::Gzip);
    let mut client = Client::get(provider.addr(), M3U).await;
    assert!(client.head().await.contains("Content-Encoding: gzip\r\n"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(client.chunks().await.0.as_slice())
        .read_to_end(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, whole);

    let rate = u32::try_from(whole.len() * 2).unwrap();
    account.list_fault(ListFault::Slow {
        bytes_per_second: rate,
    });
    let asked = Instant::now();
    assert_eq!(bytes(&provider, M3U).await.0, whole);
    assert!(
        asked.elapsed() >= Duration::from_millis(400),
        "half a second's worth took {:?}",
        asked.elapsed()
    );
}
