//! Channels as HLS: through failover, slate and changes of codec, and what players and proxies ask besides.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use provider_double::{Account, Channel, Clip, Fault, Now, Plan, Provider};
use support::decode::{Colour, decode_aside, decode_aside_but_for, decode_mp4, has_tool};
use support::hls::HlsViewer;
use support::process::QUICK;
use support::scene::{Case, FIRST, SECOND, Scene};
use support::{Launch, Mainstem, SOON, Viewer, all_at_once, get, get_json, request};
use tokio::process::Command;
use tokio::task::JoinSet;

/// A line of `QUICK`, and it with short segments behind it.
const SHORT_SEGMENTS: (&str, &str) = (
    "  api_interval: 0s\n",
    "  api_interval: 0s\nhls:\n  segment: 2s\n  linger: 1s\n",
);

fn gone() -> Fault {
    Fault::Status {
        code: 404,
        body: "no".to_owned(),
        retry_after: None,
    }
}

async fn scene(cases: Vec<Case>) -> Scene {
    Scene::of(cases, &[SHORT_SEGMENTS], |_| {}).await
}

fn case(name: &str) -> Case {
    Case::new(name, FIRST, SECOND)
}

/// The media playlist of a channel.
async fn playlist_url(scene: &Scene, name: &str) -> String {
    format!("{}/live.m3u8", scene.mainstem.stream_url(name).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playlist_goes_on_through_every_death_of_a_source() {
    let deaths = [
        ("stall", Now::Stall),
        ("eof", Now::Eof),
        ("rst", Now::Rst),
        ("garbage", Now::Garbage),
    ];
    let scene = scene(deaths.iter().map(|(name, _)| case(name)).collect()).await;
    let mut checks = Vec::new();
    for (name, death) in deaths {
        let url = playlist_url(&scene, name).await;
        let case = scene.case(name);
        let (streams, logins) = (scene.streams(&case), scene.logins(&case));
        checks.push((name.to_owned(), async move {
            let mut viewer = HlsViewer::new(&url);
            viewer.watch_media(Duration::from_secs(6)).await;
            assert_eq!(logins.0.open_now(), 1, "{name}");
            streams.0.fault(gone());
            streams.0.now(death);
            viewer
                .watch_until("the other source", |seen| {
                    logins.1.open_now() == 1 && seen.discontinuities() == 1
                })
                .await;
            viewer.watch_more(Duration::from_secs(6)).await;
            viewer.judge(name).await;
            if let Some(decoded) = decode_aside(viewer.bytes()).await {
                let scenes = decoded.scenes();
                assert!(
                    scenes.first().unwrap().is_like(Colour::PURPLE),
                    "{name}: {scenes:?}"
                );
                assert!(
                    scenes.last().unwrap().is_like(Colour::DARK_RED),
                    "{name}: {scenes:?}"
                );
            }
        }));
    }
    all_at_once(checks.into_iter()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_sources_dead_the_slate_is_in_the_playlist_and_then_the_source_again() {
    let scene = scene(vec![case("dead")]).await;
    let case = scene.case("dead");
    let streams = scene.streams(&case);
    let mut viewer = HlsViewer::new(&playlist_url(&scene, "dead").await);
    viewer.watch_media(Duration::from_secs(6)).await;
    for stream in [&streams.0, &streams.1] {
        stream.fault(gone());
    }
    streams.0.now(Now::Stall);
    viewer
        .watch_until("the slate", |seen| seen.discontinuities() == 1)
        .await;
    viewer.watch_more(Duration::from_secs(6)).await;
    streams.1.clear();
    viewer
        .watch_until("the source", |seen| seen.discontinuities() == 2)
        .await;
    viewer.watch_more(Duration::from_secs(4)).await;
    viewer.judge("dead").await;
    if let Some(decoded) = decode_aside(viewer.bytes()).await {
        let scenes = decoded.scenes();
        assert!(scenes.first().unwrap().is_like(Colour::PURPLE), "{scenes:?}");
        assert!(scenes.last().unwrap().is_like(Colour::DARK_RED), "{scenes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_codec_is_a_discontinuity_and_the_playlist_goes_on() {
    let scene = scene(vec![Case::new("codec", Clip::H264Closed, Clip::Mpeg2)]).await;
    let case = scene.case("codec");
    let streams = scene.streams(&case);
    let mut viewer = HlsViewer::new(&playlist_url(&scene, "codec").await);
    viewer.watch_media(Duration::from_secs(5)).await;
    streams.0.fault(gone());
    streams.0.now(Now::Eof);
    viewer
        .watch_until("the other codec", |seen| seen.discontinuities() == 1)
        .await;
    viewer.watch_more(Duration::from_secs(5)).await;
    viewer.judge("codec").await;
    // A decoder is begun anew behind the tag.
    let at = viewer
        .segments()
        .position(|(entry, _)| entry.discontinuity)
        .unwrap();
    let behind: Vec<u8> = viewer
        .segments()
        .skip(at)
        .flat_map(|(_, bytes)| bytes.to_vec())
        .collect();
    if let Some(decoded) = decode_aside_but_for(behind, &[]).await {
        let scenes = decoded.scenes();
        assert!(scenes.first().unwrap().is_like(Colour::of(Clip::Mpeg2).unwrap()));
    }
}

/// ffmpeg's own reader of HLS, from our address, while a source dies: no complaint, and as many pictures as the time it
/// watched holds.
#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_reads_on_through_a_failover() {
    if !has_tool("ffmpeg") {
        return;
    }
    let clips = [("avc", Clip::H264Closed), ("hevc", Clip::Hevc)];
    let cases = clips.map(|(name, clip)| Case::new(name, clip, clip));
    let scene = Arc::new(scene(cases.to_vec()).await);
    let checks = clips.map(|(name, _)| (name.to_owned(), reads_on(Arc::clone(&scene), name)));
    all_at_once(checks.into_iter()).await;
}

async fn reads_on(scene: Arc<Scene>, name: &str) {
    let case = scene.case(name);
    let url = format!("{}.m3u8", scene.mainstem.stream_url(name).await);
    let reading = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-v", "warning", "-threads", "1", "-i"])
        .arg(&url)
        .args(["-t", "20", "-map", "0:v", "-fps_mode", "passthrough"])
        .args(["-f", "framehash", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let logins = scene.logins(&case);
    logins.0.wait_until(|log| log.open_now == 1, SOON).await.unwrap();
    // Some of the first source is in the playlist before it dies.
    let mut beside = HlsViewer::new(&playlist_url(&scene, name).await);
    beside.watch_media(Duration::from_secs(6)).await;
    let streams = scene.streams(&case);
    streams.0.fault(gone());
    streams.0.now(Now::Eof);
    let read = tokio::time::timeout(SOON * 2, reading.wait_with_output()).await;
    let read = read.unwrap().unwrap();
    assert!(
        !logins.1.log().opens.is_empty(),
        "{name}: the other source was asked"
    );
    let said = String::from_utf8_lossy(&read.stderr);
    // ffmpeg reads EXT-X-MAP again with every version of a playlist, and wonders at what it finds.
    let explained = |line: &&str| line.contains("duplicated MOOV") || line.contains("Last message repeated");
    let said: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty() && !explained(line))
        .collect();
    assert!(read.status.success() && said.is_empty(), "{name}: {said:?}");
    let hashes = String::from_utf8_lossy(&read.stdout);
    let stamps: Vec<i64> = hashes
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(',').nth(2)?.trim().parse().ok())
        .collect();
    assert!(stamps.len() >= 490, "{name}: {} of 500 pictures", stamps.len());
    let steps: Vec<i64> = stamps.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let odd: Vec<_> = steps.iter().filter(|step| **step != steps[0]).collect();
    assert!(
        odd.len() <= 2,
        "{name}: steps of {odd:?} where {} is usual",
        steps[0]
    );
}

/// What players of Apple's ask of HEVC: fragmented MP4, also where it comes behind another codec.
#[tokio::test(flavor = "multi_thread")]
async fn hevc_is_packed_as_mp4() {
    let scene = scene(vec![
        Case::new("hevc", Clip::Hevc, Clip::Hevc),
        Case::new("becomes", Clip::H264Closed, Clip::HevcEac3),
    ])
    .await;
    let mut viewer = HlsViewer::new(&playlist_url(&scene, "hevc").await);
    viewer.watch_media(Duration::from_secs(4)).await;
    let multivariant = get(&format!("{}.m3u8", scene.mainstem.stream_url("hevc").await)).await;
    assert!(
        multivariant.text().contains("CODECS=\"hvc1."),
        "{}",
        multivariant.text()
    );
    let mut maps: Vec<_> = viewer
        .segments()
        .map(|(entry, _)| entry.map.clone().unwrap())
        .collect();
    maps.dedup();
    assert_eq!(maps.len(), 1, "{maps:?}");
    let (entry, segment) = viewer.segments().next().unwrap().clone();
    let map = viewer.fetch_uri(&maps[0]).await;
    assert_eq!((map.status, map.header("content-type")), (200, "video/mp4"));
    assert!(entry.uri.ends_with(".m4s"));
    assert_eq!((&map.body[4..8], &segment[4..8]), (&b"ftyp"[..], &b"styp"[..]));

    let case = scene.case("becomes");
    let mut viewer = HlsViewer::new(&playlist_url(&scene, "becomes").await);
    viewer.watch_media(Duration::from_secs(4)).await;
    assert!(viewer.segments().all(|(entry, _)| entry.map.is_none()));
    let streams = scene.streams(&case);
    streams.0.fault(gone());
    streams.0.now(Now::Eof);
    viewer
        .watch_until("the other codec", |seen| seen.discontinuities() == 1)
        .await;
    viewer.watch_more(Duration::from_secs(3)).await;
    let is_mp4: Vec<bool> = viewer.segments().map(|(entry, _)| entry.map.is_some()).collect();
    assert!(is_mp4.is_sorted() && is_mp4.last() == Some(&true), "{is_mp4:?}");
}

/// MP4 goes on as MP4 behind a backup of another age, and is what it was when the first source is back.
#[tokio::test(flavor = "multi_thread")]
async fn hevc_that_becomes_mpeg_2_and_hevc_again_is_one_playlist() {
    let scene = scene(vec![Case::new("older", Clip::Hevc, Clip::Mpeg2)]).await;
    let streams = scene.streams(&scene.case("older"));
    let mut viewer = HlsViewer::new(&playlist_url(&scene, "older").await);
    viewer.watch_media(Duration::from_secs(4)).await;
    streams.0.fault(gone());
    streams.0.now(Now::Eof);
    viewer
        .watch_until("the other codec", |seen| seen.discontinuities() == 1)
        .await;
    viewer.watch_more(Duration::from_secs(4)).await;
    streams.0.clear();
    streams.1.fault(gone());
    streams.1.now(Now::Eof);
    viewer
        .watch_until("the first codec", |seen| seen.discontinuities() == 2)
        .await;
    viewer.watch_more(Duration::from_secs(2)).await;
    let mut stretches: Vec<(String, Vec<u8>)> = Vec::new();
    for (entry, bytes) in viewer.segments() {
        let map = entry.map.clone().expect("each segment is MP4");
        if stretches.last().is_none_or(|(last, _)| *last != map) {
            let init = viewer.fetch_uri(&map).await;
            assert_eq!((init.status, init.header("content-type")), (200, "video/mp4"));
            stretches.push((map, init.body.to_vec()));
        }
        stretches.last_mut().unwrap().1.extend_from_slice(bytes);
    }
    assert_eq!(stretches.len(), 3);
    for ((_, bytes), (clip, kind)) in stretches.iter().zip([
        (Clip::Hevc, b"hvc1"),
        (Clip::Mpeg2, b"mp4v"),
        (Clip::Hevc, b"hvc1"),
    ]) {
        let begin = &bytes[..bytes.len().min(2_000)];
        assert!(begin.windows(4).any(|four| four == kind), "{clip:?}");
        if let Some(decoded) = decode_mp4(bytes) {
            assert!(decoded.pictures > 25, "{clip:?}: {} pictures", decoded.pictures);
            let scenes = decoded.scenes();
            assert_eq!(scenes.len(), 1, "{clip:?}: {scenes:?}");
            assert!(
                scenes[0].is_like(Colour::of(clip).unwrap()),
                "{clip:?}: {scenes:?}"
            );
        }
    }
}

/// A thousand devices ask for a playlist.
async fn a_thousand_ask(url: &str) {
    let mut asking = JoinSet::new();
    for worker in 0..20 {
        let url = url.to_owned();
        asking.spawn(async move {
            for viewer in 0..50 {
                let playlist = get(&format!("{url}?device=tv-{worker}-{viewer}")).await;
                assert_eq!(playlist.status, 200, "{}", playlist.text());
            }
        });
    }
    while let Some(done) = asking.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_viewers_cost_one_upstream() {
    let scene = scene(vec![case("many")]).await;
    let case = scene.case("many");
    let url = playlist_url(&scene, "many").await;
    let mut first = HlsViewer::new(&url);
    first.watch_media(Duration::from_secs(2)).await;
    a_thousand_ask(&url).await;
    let active = get_json(&scene.mainstem.url("/active-streams")).await;
    assert_eq!(active["broadcasts"][0]["viewers"], 1_001);
    assert_eq!(active["total_active_connections"], 1);
    let (login, _) = scene.logins(&case);
    assert_eq!((login.log().opens.len(), login.open_now()), (1, 1));
    // They ask no more, and leave.
    drop(first);
    login.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_viewers_of_an_hls_source_cost_each_of_its_segments_once() {
    let account = Account::new("many", "secret").max_connections(1);
    let plan = Plan::new()
        .account(account)
        .channel(Channel::new(1, "many", Clip::H264Closed));
    let provider = Provider::start(plan).unwrap();
    let list = format!("#EXTM3U\n#EXTINF:-1,many\n{}\n", provider.hls_url("many", 1));
    let config = QUICK.replace(SHORT_SEGMENTS.0, SHORT_SEGMENTS.1);
    let config =
        format!("{config}sources:\n  - {{name: one, type: m3u, url: one.m3u, max_connections: 1}}\n");
    let mainstem = Launch::new(&config).file("one.m3u", &list).ready().await;
    let stream = mainstem.stream_url("many").await;
    let url = format!("{stream}/live.m3u8");
    let mut viewers: Vec<HlsViewer> = (0..5)
        .map(|viewer| HlsViewer::new(&format!("{url}?device=watches-{viewer}")))
        .collect();
    let beside = Viewer::open(&stream).await;
    a_thousand_ask(&url).await;
    for viewer in &mut viewers {
        viewer.watch_media(Duration::from_secs(8)).await;
    }
    let login = provider.account("many");
    let mut segments: Vec<String> = login
        .requests()
        .into_iter()
        .map(|request| request.path)
        .filter(|path| !path.ends_with(".m3u8"))
        .collect();
    let fetched = segments.len();
    segments.sort();
    segments.dedup();
    assert!(segments.len() >= 3, "{segments:?}");
    assert_eq!(segments.len(), fetched, "each once: {segments:?}");
    assert_eq!(login.peak(), 1);
    drop(beside);
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_devices_of_one_address_leave_room_for_other_viewers() {
    let form = "  api_interval: 0s\nhls: {segment: 1s, linger: 1m}\nlimits: {viewers: 22}\n";
    let scene = Scene::of(vec![case("full")], &[(SHORT_SEGMENTS.0, form)], |_| {}).await;
    let stream = scene.mainstem.stream_url("full").await;
    let mut answers = Vec::new();
    // Half of them would be 11, but a home has 20.
    for number in 0..22 {
        let answer = get(&format!("{stream}/live.m3u8?device=made-up-{number}")).await;
        answers.push(answer.status);
    }
    assert_eq!(answers, [vec![200; 20], vec![429; 2]].concat());
    let viewer = Viewer::open(&stream).await;
    assert_eq!(viewer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_finds_higher_numbers() {
    let scene = scene(vec![case("back")]).await;
    let (login, _) = scene.logins(&scene.case("back"));
    let url = playlist_url(&scene, "back").await;
    let mut before = HlsViewer::new(&url);
    before.watch_media(Duration::from_secs(3)).await;
    login.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    let (last, _) = before.segments().last().unwrap().clone();
    let gone = before.fetch(&last).await;
    assert_eq!(gone.status, 404, "{}", gone.text());
    let mut after = HlsViewer::new(&url);
    after.watch_media(Duration::from_secs(1)).await;
    let (first, _) = after.segments().next().unwrap().clone();
    assert!(first.sequence > last.sequence);
    assert!(first.discontinuity, "another timeline");
    assert!(first.discontinuity_sequence > last.discontinuity_sequence);
    assert_ne!(
        first.uri.rsplit_once('-').unwrap().1,
        last.uri.rsplit_once('-').unwrap().1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_switches_channels_takes_the_connection_along() {
    let account = Account::new("one", "secret").max_connections(1);
    let plan = (1..=2).fold(Plan::new().account(account), |plan, number| {
        plan.channel(Channel::new(number, &format!("Channel {number}"), SECOND))
    });
    let provider = Provider::start(plan).unwrap();
    let url = format!(
        "{}/get.php?username=one&password=secret&type=m3u_plus&output=ts",
        provider.base_url()
    );
    let mainstem = Mainstem::start(&format!(
        "{QUICK}hls: {{segment: 1s, linger: 1m}}\nsources:\n  - {{name: one, type: m3u, url: \"{url}\", max_connections: 1}}\n"
    ))
    .await;
    let login = provider.account("one");
    let mut first = HlsViewer::new(&format!("{}/live.m3u8", mainstem.stream_url("Channel 1").await));
    first.watch_media(Duration::from_secs(2)).await;
    let asked = Instant::now();
    let mut second = HlsViewer::new(&format!("{}/live.m3u8", mainstem.stream_url("Channel 2").await));
    second.ask().await;
    login
        .wait_until(|log| log.opens.len() == 2 && log.open_now == 1, SOON)
        .await
        .unwrap();
    // Not after the minute in which a player may be silent.
    assert!(asked.elapsed() < Duration::from_secs(12), "{:?}", asked.elapsed());
    assert_eq!(login.peak(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_broadcast_the_first_playlist_is_a_full_one() {
    let form = "  api_interval: 0s\nhls: {segment: 1s, window: 1m, linger: 1s, start: with_broadcast}\n";
    let scene = Scene::of(vec![case("full")], &[(SHORT_SEGMENTS.0, form)], |_| {}).await;
    let stream = scene.mainstem.stream_url("full").await;
    let viewer = Viewer::open(&stream).await;
    // More than the ring holds.
    viewer.media(Duration::from_secs(18), SOON).await;
    let mut hls = HlsViewer::new(&format!("{stream}/live.m3u8"));
    hls.ask().await;
    assert!(hls.media() > Duration::from_secs(14), "{:?}", hls.media());
    // It ends with the broadcast, which it does not keep.
    drop(viewer);
    drop(hls);
    let (login, _) = scene.logins(&scene.case("full"));
    login.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_window_is_on_disk_and_can_be_rewound() {
    let form = "  api_interval: 0s\nhls: {segment: 1s, window: 5m, store: disk}\n";
    let cases = vec![Case::new("rewind", Clip::H264Closed, SECOND)];
    let scene = Scene::of(cases, &[(SHORT_SEGMENTS.0, form)], |_| {}).await;
    let mut viewer = HlsViewer::new(&playlist_url(&scene, "rewind").await);
    viewer.watch_media(Duration::from_secs(22)).await;
    let target = viewer.watch.last().unwrap().target;
    // More than is kept in memory is listed, from the very first segment on.
    assert!(viewer.media() > Duration::from_secs(8 * target + 2), "{target}");
    let listed = &viewer.watch.last().unwrap().entries;
    assert_eq!(listed.len(), viewer.segments().count());
    for (entry, bytes) in viewer.segments() {
        let again = viewer.fetch(entry).await;
        assert_eq!((again.status, &again.body), (200, bytes), "{}", entry.uri);
        assert_eq!(again.header("content-length"), bytes.len().to_string());
    }
    viewer.judge("rewind").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_watched_has_its_first_playlist_at_once() {
    let scene = scene(vec![case("running")]).await;
    let stream = scene.mainstem.stream_url("running").await;
    let viewer = Viewer::open(&stream).await;
    viewer.media(Duration::from_secs(6), SOON).await;
    let asked = Instant::now();
    let mut hls = HlsViewer::new(&format!("{stream}/live.m3u8"));
    hls.ask().await;
    let took = asked.elapsed();
    assert!(hls.media() >= Duration::from_secs(3), "{:?}", hls.media());
    // Nothing is waited for: were it the next keyframe, it would be a second or two.
    assert!(took < Duration::from_millis(500), "{took:?}");
    let (login, _) = scene.logins(&scene.case("running"));
    assert_eq!(login.log().opens.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn players_and_proxies_get_what_they_ask_for() {
    let scene = scene(vec![case("asked")]).await;
    let url = playlist_url(&scene, "asked").await;
    let (login, _) = scene.logins(&scene.case("asked"));
    let head = request("HEAD", &url, &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(login.log().opens.len(), 0, "HEAD opens nothing");
    let preflight = request("OPTIONS", &url, &[("Origin", "http://page")]).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    let mut viewer = HlsViewer::new(&url);
    viewer.watch_media(Duration::from_secs(2)).await;
    let playlist = request("GET", &url, &[("Range", "bytes=0-")]).await;
    assert_eq!(playlist.status, 200, "all of it is a good answer to that");
    assert_eq!(playlist.header("access-control-allow-origin"), "*");
    let (entry, whole) = viewer.segments().next().unwrap().clone();
    let (folder, _) = url.rsplit_once('/').unwrap();
    let segment = format!("{folder}/{}", entry.uri);
    let all = whole.len();
    for (range, status, part) in [
        ("bytes=0-", 206, 0..all),
        ("bytes=188-375", 206, 188..376),
        ("bytes=-188", 206, all - 188..all),
        ("bytes=900000000-", 416, 0..0),
    ] {
        let answer = request("GET", &segment, &[("Range", range)]).await;
        assert_eq!(answer.status, status, "{range}");
        assert_eq!(answer.body, whole.slice(part.clone()), "{range}");
        assert_eq!(answer.header("content-length"), part.len().to_string(), "{range}");
        let said = match status {
            206 => format!("bytes {}-{}/{all}", part.start, part.end - 1),
            _ => format!("bytes */{all}"),
        };
        assert_eq!(answer.header("content-range"), said, "{range}");
    }
    let head = request("HEAD", &segment, &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), all.to_string());
    assert!(head.header("cache-control").contains("immutable"));
    assert_eq!(head.header("access-control-allow-origin"), "*");
    let stream = scene.mainstem.stream_url("asked").await;
    let multivariant = get(&format!("{stream}.m3u8?device=tv")).await.text();
    let lines: Vec<&str> = multivariant.lines().collect();
    let [first, variant, address] = lines[..] else {
        panic!("{multivariant}")
    };
    assert_eq!(first, "#EXTM3U");
    assert!(variant.starts_with("#EXT-X-STREAM-INF:BANDWIDTH="), "{variant}");
    assert!(variant.contains("CODECS=\"avc1."), "{variant}");
    assert!(variant.contains("RESOLUTION="), "{variant}");
    let (folder_of_stream, _) = stream.rsplit_once('/').unwrap();
    let media = get(&format!("{folder_of_stream}/{address}")).await;
    assert!(address.ends_with("live.m3u8?device=tv"), "{address}");
    assert!(media.text().contains("#EXTINF:"), "{}", media.text());
    for wrong in [
        segment.replace('-', "-0"),
        format!("{folder}/{}", entry.uri.replace(&entry.sequence.to_string(), "1")),
        format!("{folder}/no-such-channel/live.m3u8"),
    ] {
        let answer = get(&wrong).await;
        assert_eq!(answer.status, 404, "{wrong}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_cannot_be_had_is_answered_as_its_stream_is() {
    let scene = Scene::of(vec![case("none")], &[SHORT_SEGMENTS], |providers| {
        providers.first.stream(1).fault(gone());
        providers.second.stream(1).fault(gone());
    })
    .await;
    // There is a slate for a channel nobody has seen: as a stream, and so as HLS.
    let mut viewer = HlsViewer::new(&playlist_url(&scene, "none").await);
    viewer.watch_media(Duration::from_secs(3)).await;
    viewer.judge("none").await;
    assert_eq!(viewer.discontinuities(), 0);
}
