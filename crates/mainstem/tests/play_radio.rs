//! Radio without a container: raw AAC and MPEG audio are relayed like any other source.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mpegts::Splicer;
use mpegts::radio::Unwrapper;
use support::decode::decode_aside;
use support::process::QUICK;
use support::ts::Report;
use support::{Launch, SOON, Viewer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// HE-AAC, a tone: 150 frames in 6.4 s.
const HE_AAC: &[u8] = include_bytes!("../../provider-double/clips/c.adts");
/// Layer II in a transport stream: 250 frames in 6 s.
const LAYER_2: &[u8] = include_bytes!("../../provider-double/clips/h.ts");

/// A server of one endless raw stream.
struct Radio {
    url: String,
    /// Connections break when it is set to false, and no more are taken.
    on_air: watch::Sender<bool>,
    heads: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Radio {
    /// Sends `sound`, which lasts `lap`, over and over; the first bytes are `lead`.
    async fn start(content_type: &'static str, lead: Vec<u8>, sound: Vec<u8>, lap: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/radio", listener.local_addr().unwrap());
        let (on_air, watching) = watch::channel(true);
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&heads);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let (lead, sound, seen) = (lead.clone(), sound.clone(), Arc::clone(&seen));
                let mut watching = watching.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = async { drop(watching.wait_for(|on_air| !on_air).await) } => {}
                        gone = send(socket, content_type, &lead, (&sound, lap), &seen) => drop(gone),
                    }
                });
            }
        });
        Self {
            url,
            on_air,
            heads,
            _task: task,
        }
    }
}

/// Answers one request, until the connection breaks.
async fn send(
    mut socket: TcpStream,
    content_type: &str,
    lead: &[u8],
    (sound, lap): (&[u8], Duration),
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    /// Parts that a lap is sent in.
    const PARTS: u32 = 64;
    let mut head = [0; 4_096];
    let length = socket.read(&mut head).await?;
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    seen.lock().unwrap().push(head);
    let answer = format!("HTTP/1.0 200 OK\r\nContent-Type: {content_type}\r\n\r\n");
    socket.write_all(answer.as_bytes()).await?;
    socket.write_all(lead).await?;
    let mut beat = tokio::time::interval(lap / PARTS);
    for part in sound.chunks(sound.len().div_ceil(PARTS as usize)).cycle() {
        beat.tick().await;
        socket.write_all(part).await?;
    }
    Ok(())
}

fn layer_2() -> Vec<u8> {
    let (mut splicer, mut unwrapper) = (Splicer::new(), Unwrapper::new());
    splicer.push(LAYER_2);
    splicer.end_source();
    let mut raw = Vec::new();
    while let Some(piece) = splicer.take() {
        raw.extend(unwrapper.push(&piece.bytes));
    }
    raw
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_radio_plays_and_fails_over() {
    // One server begins in the middle of a frame, as one that counts bytes does, the other with a tag.
    let tag = [&b"ID3\x04\0\0\0\0\x01\0"[..], &[0; 128]].concat();
    let (aac, mpeg) = (HE_AAC.to_vec(), layer_2());
    let (aac_lap, mpeg_lap) = (Duration::from_millis(6_400), Duration::from_secs(6));
    let pairs = [
        (
            "AAC",
            Radio::start("audio/aacp", aac[40..300].to_vec(), aac.clone(), aac_lap).await,
            Radio::start("application/octet-stream", tag.clone(), aac, aac_lap).await,
        ),
        (
            "MPEG",
            Radio::start("application/octet-stream", tag, mpeg.clone(), mpeg_lap).await,
            Radio::start("audio/mpeg", mpeg[40..300].to_vec(), mpeg, mpeg_lap).await,
        ),
    ];
    let list = |of: fn(&(&str, Radio, Radio)) -> String| {
        let entries: String = pairs
            .iter()
            .map(|pair| format!("#EXTINF:-1,{}\n{}\n", pair.0, of(pair)))
            .collect();
        format!("#EXTM3U\n{entries}")
    };
    let config = format!(
        "{QUICK}log_level: DEBUG\nsources:\n  - {{name: first, type: m3u, url: first.m3u}}\n  - {{name: second, type: m3u, url: second.m3u}}\n"
    );
    let mainstem = Launch::new(&config)
        .file("first.m3u", &list(|pair| pair.1.url.clone()))
        .file("second.m3u", &list(|pair| pair.2.url.clone()))
        .ready()
        .await;
    for (name, first, second) in &pairs {
        let viewer = Viewer::open(&mainstem.stream_url(name).await).await;
        assert_eq!(viewer.status, 200, "{name}");
        viewer.media(Duration::from_secs(3), SOON).await;
        first.on_air.send(false).unwrap();
        viewer.media(Duration::from_secs(7), SOON).await;
        let bytes = viewer.bytes();
        let report = Report::of(&bytes);
        report.assert_clean(name);
        assert_eq!(report.pmt_versions.len(), 1, "{name}");
        assert!(
            !second.heads.lock().unwrap().is_empty(),
            "{name}: the second was asked"
        );
        for head in first.heads.lock().unwrap().iter() {
            assert!(!head.to_ascii_lowercase().contains("icy-metadata"), "{head}");
        }
        decode_aside(bytes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_calls_itself_radio_is_a_failure_that_says_so() {
    let noise = vec![b'n'; 400_000];
    let lap = Duration::from_millis(640);
    let radio = Radio::start("audio/mpeg", noise.clone(), noise, lap).await;
    let config = format!("{QUICK}log_level: DEBUG\nsources:\n  - {{name: only, type: m3u, url: only.m3u}}\n");
    let mainstem = Launch::new(&config)
        .file("only.m3u", &format!("#EXTM3U\n#EXTINF:-1,Noise\n{}\n", radio.url))
        .ready()
        .await;
    let url = mainstem.stream_url("Noise").await;
    let viewer = Viewer::open(&url).await;
    mainstem.wait_log("neither MPEG audio nor AAC").await;
    drop(viewer);
}
