//! Whether the streams are valid, in the eyes of ffmpeg and ffprobe. Without the tools these tests are skipped, unless
//! `MAINSTEM_REQUIRE_TOOLS=1` forbids it.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use provider_double::{Account, Channel, Clip, Fault, Join, Plan, Provider};

use crate::client::{Client, SOON, plan, start};

/// Media seconds that hold three laps of every clip, and one seam more.
const THREE_LAPS: &str = "26";
const SPEED: f64 = 20.0;

fn tools() -> bool {
    let there = |tool: &str| {
        Command::new(tool)
            .arg("-version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
    };
    let there = there("ffmpeg") && there("ffprobe");
    let required = std::env::var("MAINSTEM_REQUIRE_TOOLS").is_ok_and(|v| v == "1");
    assert!(there || !required, "ffmpeg and ffprobe are required and missing");
    if !there {
        eprintln!("skipped: no ffmpeg or ffprobe");
    }
    there
}

fn every_clip(speed: f64) -> Provider {
    let mut plan = Plan::new().account(Account::new("u", "p").max_connections(0));
    for clip in Clip::ALL {
        plan = plan.channel(
            Channel::new(clip.letter(), clip.letter(), *clip)
                .speed(speed)
                .join(Join::Lap),
        );
    }
    start(plan)
}

async fn run(tool: &'static str, arguments: Vec<String>) -> Output {
    let run = tokio::process::Command::new(tool)
        .args(&arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(Duration::from_secs(40), run)
        .await
        .expect("an end")
        .unwrap()
}

fn words(text: &str, more: &[&str]) -> Vec<String> {
    text.split(' ')
        .chain(more.iter().copied())
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_laps_decode_without_a_word() {
    if !tools() {
        return;
    }
    let provider = every_clip(SPEED);
    for clip in Clip::ALL {
        let url = provider.live_url("u", clip.letter());
        let decode = words(
            "-v error -xerror -i",
            &[&url, "-t", THREE_LAPS, "-f", "null", "-"],
        );
        let output = run("ffmpeg", decode).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{clip:?}: {said}");
    }
}

/// DTS of each stream's packets in the order they come, in 90 kHz.
async fn stamps(url: &str) -> BTreeMap<u32, Vec<i64>> {
    let interval = format!("%+{THREE_LAPS}");
    let probe = words(
        "-v error -of compact=p=0:nk=1 -show_entries packet=stream_index,dts",
        &["-read_intervals", &interval, url],
    );
    let output = run("ffprobe", probe).await;
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut stamps: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut fields = line.split('|').filter_map(|f| f.trim().parse::<i64>().ok());
        if let (Some(stream), Some(dts)) = (fields.next(), fields.next()) {
            stamps
                .entry(u32::try_from(stream).unwrap())
                .or_default()
                .push(dts);
        }
    }
    stamps
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_laps_have_rising_stamps_without_a_gap() {
    if !tools() {
        return;
    }
    let provider = every_clip(SPEED);
    for clip in Clip::ALL {
        let streams = stamps(&provider.live_url("u", clip.letter())).await;
        let is_radio = matches!(clip, Clip::Radio | Clip::RadioGrouped | Clip::RadioAac);
        assert_eq!(streams.len(), if is_radio { 1 } else { 2 }, "{clip:?}");
        for (stream, dts) in streams {
            let span = dts.last().unwrap() - dts[0];
            assert!(span > 20 * 90_000, "{clip:?}/{stream}: {span}");
            let steps: Vec<i64> = dts.windows(2).map(|w| w[1] - w[0]).collect();
            let (least, most) = (steps.iter().min().unwrap(), steps.iter().max().unwrap());
            // One picture or sound lasts 20 to 50 ms; at a seam that is no different.
            assert!(
                *least >= 1800 && *most <= 4500,
                "{clip:?}/{stream}: steps of {least} to {most}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hls_plays() {
    if !tools() {
        return;
    }
    // At normal speed: a player reloads a playlist by the clock on the wall, and would lose segments of a faster one.
    let provider = every_clip(1.0);
    let mut players = tokio::task::JoinSet::new();
    for clip in [Clip::H264Closed, Clip::Mpeg2, Clip::Hevc, Clip::Radio] {
        let url = provider.hls_url("u", clip.letter());
        let play = words("-v error -xerror -i", &[&url, "-t", "9", "-f", "null", "-"]);
        players.spawn(async move { (clip, run("ffmpeg", play).await) });
    }
    while let Some(ended) = players.join_next().await {
        let (clip, output) = ended.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{clip:?}: {said}");
    }
}

async fn text(provider: &Provider, path: &str) -> String {
    let mut client = Client::get(provider.addr(), path).await;
    let head = client.head().await;
    let length = head
        .split("Content-Length: ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap();
    let body = client.body(length.parse().unwrap()).await.0;
    String::from_utf8_lossy(&body).into_owned()
}

fn sequence(playlist: &str) -> u64 {
    let tag = playlist
        .lines()
        .find_map(|l| l.strip_prefix("#EXT-X-MEDIA-SEQUENCE:"));
    tag.unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_window_slides_until_it_freezes() {
    let mut plan = plan(0);
    plan.channels[1].multivariant = true;
    let provider = start(plan);
    let first = text(&provider, "/live/u/p/1.m3u8").await;
    assert_eq!(first.lines().filter(|l| l.ends_with(".ts")).count(), 6, "{first}");
    let slides = async { while sequence(&text(&provider, "/live/u/p/1.m3u8").await) == sequence(&first) {} };
    tokio::time::timeout(SOON, slides).await.unwrap();

    // At a hundred times the speed a frozen playlist's segments are gone within a moment.
    provider.stream(1).fault(Fault::HlsFrozen);
    let frozen = text(&provider, "/live/u/p/1.m3u8").await;
    let segment = frozen.lines().find(|l| l.ends_with(".ts")).unwrap();
    let gone = async { while Client::get(provider.addr(), segment).await.status().await != 404 {} };
    tokio::time::timeout(SOON, gone).await.unwrap();
    assert_eq!(text(&provider, "/live/u/p/1.m3u8").await, frozen);

    let multivariant = text(&provider, "/live/u/p/2.m3u8").await;
    let media = multivariant.lines().last().unwrap();
    assert!(multivariant.contains("#EXT-X-STREAM-INF:"));
    assert!(text(&provider, media).await.contains("#EXTINF:"));
}

#[tokio::test]
async fn faults_of_hls() {
    let provider = start(plan(0));
    let stream = provider.stream(2);
    stream.fault(Fault::HlsKey);
    stream.fault(Fault::HlsMap);
    let playlist = text(&provider, "/live/u/p/2.m3u8").await;
    assert!(playlist.contains("#EXT-X-KEY:METHOD=SAMPLE-AES") && playlist.contains("#EXT-X-MAP:"));
    let segment = playlist.lines().last().unwrap().to_owned();
    assert_eq!(Client::get(provider.addr(), &segment).await.status().await, 200);
    stream.clear();
    stream.fault_times(Fault::HlsSegments404, 1);
    assert!(!text(&provider, "/live/u/p/2.m3u8").await.contains("#EXT-X-KEY"));
    assert_eq!(Client::get(provider.addr(), &segment).await.status().await, 404);
    assert_eq!(Client::get(provider.addr(), &segment).await.status().await, 200);
}

#[tokio::test]
async fn a_join_is_in_the_middle_of_a_gop_and_a_burst_comes_first() {
    let mut plan = plan(0);
    plan.channels[1].burst = Duration::from_secs(3);
    let provider = start(plan);
    // Two seconds and more of a clip of some 28 kB/s are there long before their time.
    let mut client = Client::get(provider.addr(), "/live/u/p/2.ts").await;
    let asked = std::time::Instant::now();
    client.head().await;
    let (body, _) = client.body(60_000).await;
    assert!(asked.elapsed() < Duration::from_secs(1) && crate::client::is_ts(&body));
    let tables = |body: &[u8]| body[1..3] == [0x40, 0x00];
    assert!(
        !tables(&body),
        "a stream that begins with its PAT was not joined live"
    );
}
