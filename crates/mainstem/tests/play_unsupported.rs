//! Entries that cannot be played: said with the reason, never asked for, and in nobody's way.

#[path = "support/control.rs"]
mod control;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use control::channels;
use provider_double::{Account, Channel, Clip, Plan, Provider};
use support::process::QUICK;
use support::{Launch, Viewer, get, get_json, request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_played_is_told_with_its_reason_and_never_asked_for() {
    let plan = Plan::new()
        .account(Account::new("one", "secret"))
        .channel(Channel::new(1, "Both", Clip::H264Closed));
    let provider = Provider::start(plan).unwrap();
    // Somebody listens where the addresses lead: nobody comes.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let came = Arc::new(AtomicUsize::new(0));
    let (counted, mut task) = (Arc::clone(&came), JoinSet::new());
    task.spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let unplayable = [
        ("Rtsp", format!("rtsp://{at}/1"), "RTSP"),
        ("Rtmp", format!("rtmp://{at}/live/1"), "RTMP"),
        ("Rtp", "rtp://@[ff15::1]:5004".to_owned(), "RTP"),
        ("Udp", "udp://@:53".to_owned(), "UDP"),
        ("Plugin", "plugin://plugin.video.some/?id=1".to_owned(), "plugin"),
        ("Dash", format!("http://{at}/live/1.mpd?token=x"), "DASH"),
    ];
    let mut list = "#EXTM3U\n".to_owned();
    for (name, url, _) in &unplayable {
        list.push_str(&format!("#EXTINF:-1,{name}\n{url}\n"));
    }
    list.push_str(&format!(
        "#EXTINF:-1,Both\nrtsp://{at}/2\n#EXTINF:-1,Both\n{}\n",
        provider.live_url("one", 1)
    ));
    let config = format!("{QUICK}log_level: DEBUG\nsources: [{{name: one, type: m3u, url: one.m3u}}]\n");
    let mainstem = Launch::new(&config).file("one.m3u", &list).ready().await;

    let listed = channels(&get(&mainstem.url("/playlist.m3u8")).await.text());
    let names: Vec<_> = listed
        .iter()
        .filter_map(|(line, _)| line.rsplit(',').next())
        .collect();
    assert_eq!(names, ["Both"], "players get what plays");
    let streams = get_json(&mainstem.url("/streams")).await;
    for (name, _, reason) in &unplayable {
        let all = streams["streams"].as_array().unwrap();
        let stream = all.iter().find(|stream| stream["name"] == *name).unwrap();
        let said = stream["unsupported"].as_str().unwrap();
        assert!(said.contains(reason), "{name}: {said}");
        let url = mainstem.url(stream["url"].as_str().unwrap());
        for (method, form) in [("GET", ""), ("HEAD", ""), ("GET", ".m3u8")] {
            let answer = request(method, &format!("{url}{form}"), &[]).await;
            assert_eq!(answer.status, 422, "{method} {name}{form}");
        }
        let answer = get(&url).await.json();
        assert_eq!(answer["error"], "unsupported", "{name}");
        assert!(
            answer["detail"].as_str().unwrap().contains(reason),
            "{name}: {answer}"
        );
        let tested = get_json(&mainstem.url(&format!("/debug/{}", stream["id"].as_str().unwrap()))).await;
        assert_eq!(tested["streams"][0]["accessible"], false, "{tested}");
        assert_eq!(
            tested["streams"][0]["last_failure"],
            serde_json::Value::Null,
            "nothing failed"
        );
    }
    let both = streams["streams"].as_array().unwrap();
    let both = both.iter().find(|stream| stream["name"] == "Both").unwrap();
    assert_eq!(both["unsupported"], serde_json::Value::Null);
    let status = get_json(&mainstem.url("/status")).await;
    assert_eq!(status["source_details"]["one"]["unsupported"], 7, "{status}");
    assert_eq!(status["connections"]["total_connections"], 0);

    let viewer = Viewer::open(&mainstem.stream_url("Both").await).await;
    assert_eq!(viewer.status, 200);
    viewer.more(188 * 100).await;
    assert_eq!(provider.account("one").requests().len(), 1);
    drop(viewer);
    assert_eq!(came.load(Ordering::Relaxed), 0, "nobody was asked");
    let log = mainstem.log();
    assert!(!log.contains("could not be opened"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_under_another_name_is_known_by_its_content() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/live/1.ts", listener.local_addr().unwrap());
    let mut task = JoinSet::new();
    task.spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = [0; 4_096];
            let manifest = "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"></MPD>";
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: {}\r\n\r\n{manifest}",
                manifest.len()
            );
            if socket.read(&mut head).await.is_ok() {
                socket.write_all(answer.as_bytes()).await.unwrap_or_default();
            }
        }
    });
    let config = format!("{QUICK}log_level: DEBUG\nsources: [{{name: one, type: m3u, url: one.m3u}}]\n");
    let list = format!("#EXTM3U\n#EXTINF:-1,Hidden\n{url}\n");
    let mainstem = Launch::new(&config).file("one.m3u", &list).ready().await;
    let viewer = Viewer::open(&mainstem.stream_url("Hidden").await).await;
    mainstem.wait_log("DASH (MPD) is not supported").await;
    drop(viewer);
}
