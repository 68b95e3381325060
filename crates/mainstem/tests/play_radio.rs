//! Radio without a container: raw AAC and MPEG audio are relayed like any other source.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it does not expect"
)]

mod support;

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mpegts::Splicer;
use mpegts::radio::Unwrapper;
use support::decode::has_tool;
use support::process::QUICK;
use support::{Launch, SOON, Viewer, request};
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
        Self::titled(None, content_type, lead, sound, lap).await
    }

    /// The same as a SHOUTcast server of the first generation, with a title between the frames, asked for or not.
    async fn titled(
        title: Option<&'static str>,
        content_type: &'static str,
        lead: Vec<u8>,
        sound: Vec<u8>,
        lap: Duration,
    ) -> Self {
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
                        gone = send(socket, (content_type, title), &lead, (&sound, lap), &seen) => drop(gone),
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
    (content_type, title): (&str, Option<&str>),
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
    let answer = match title {
        None => format!("HTTP/1.0 200 OK\r\nContent-Type: {content_type}\r\n\r\n"),
        Some(_) => format!("ICY 200 OK\r\nicy-metaint:{INTERVAL}\r\ncontent-type:{content_type}\r\n\r\n"),
    };
    socket.write_all(answer.as_bytes()).await?;
    let mut left = INTERVAL;
    let mut told = |bytes: &[u8]| title.map_or(bytes.to_vec(), |title| with_title(bytes, title, &mut left));
    socket.write_all(&told(lead)).await?;
    let mut beat = tokio::time::interval(lap / PARTS);
    for part in sound.chunks(sound.len().div_ceil(PARTS as usize)).cycle() {
        beat.tick().await;
        socket.write_all(&told(part)).await?;
    }
    Ok(())
}

/// Bytes of sound between two titles of the server.
const INTERVAL: usize = 4_000;

/// Sound with a title wherever one is due; `left` bytes stand before the next.
fn with_title(mut sound: &[u8], title: &str, left: &mut usize) -> Vec<u8> {
    let mut text = format!("StreamTitle='{title}';").into_bytes();
    text.resize(text.len().next_multiple_of(16), 0);
    let mut out = Vec::new();
    while let Some((now, later)) = sound.split_at_checked(*left) {
        out.extend_from_slice(now);
        out.push(u8::try_from(text.len() / 16).unwrap());
        out.extend_from_slice(&text);
        (sound, *left) = (later, INTERVAL);
    }
    *left -= sound.len();
    out.extend_from_slice(sound);
    out
}

/// The sound and the titles of a response that has one behind every `interval` bytes.
fn without_titles(mut bytes: &[u8], interval: usize) -> (Vec<u8>, Vec<String>) {
    let (mut sound, mut titles) = (Vec::new(), Vec::new());
    while let Some((now, later)) = bytes.split_at_checked(interval) {
        sound.extend_from_slice(now);
        let Some((units, later)) = later.split_first() else {
            return (sound, titles);
        };
        let Some((block, later)) = later.split_at_checked(usize::from(*units) * 16) else {
            return (sound, titles);
        };
        if !block.is_empty() {
            let text = String::from_utf8_lossy(block);
            titles.push(text.trim_end_matches('\0').to_owned());
        }
        bytes = later;
    }
    sound.extend_from_slice(bytes);
    (sound, titles)
}

#[tokio::test(flavor = "multi_thread")]
async fn titles_never_stand_in_the_sound_and_come_to_those_who_ask() {
    let (sound, lap) = (layer_2(), Duration::from_secs(6));
    let start = |title| Radio::titled(Some(title), "audio/mpeg", Vec::new(), layer_2(), lap);
    let (first, second) = (start("It's one").await, start("Two").await);
    let config = format!(
        "{QUICK}log_level: DEBUG\nsources:\n  - {{name: first, type: m3u, url: first.m3u}}\n  - {{name: second, type: m3u, url: second.m3u}}\n"
    );
    let list = |radio: &Radio| format!("#EXTM3U\n#EXTINF:-1,Radio\n{}\n", radio.url);
    let mainstem = Launch::new(&config)
        .file("first.m3u", &list(&first))
        .file("second.m3u", &list(&second))
        .ready()
        .await;
    let streams = mainstem.url("/streams");
    support::eventually("both lists are read", || async {
        (support::get_json(&streams).await["streams"][0]["sources"] == 2).then_some(())
    })
    .await;
    let url = mainstem.stream_url("Radio").await;
    let plain = Viewer::open(&url).await;
    let told = Viewer::open_as(&url, &[("Icy-MetaData", "1")]).await;
    assert!(plain.headers.get("icy-metaint").is_none());
    assert_eq!(told.headers["icy-name"], "Radio");
    let interval = told.headers["icy-metaint"].to_str().unwrap().parse().unwrap();
    let titles = |wanted: &'static str| {
        told.until(SOON, wanted, move |bytes| {
            let (_, titles) = without_titles(bytes, interval);
            titles.last().is_some_and(|title| title == wanted)
        })
    };
    titles("StreamTitle='It's one';").await;
    first.on_air.send(false).unwrap();
    titles("StreamTitle='Two';").await;
    // Nobody plays, so that nothing is on.
    second.on_air.send(false).unwrap();
    titles("StreamTitle='';").await;
    for head in first.heads.lock().unwrap().iter() {
        assert!(
            head.to_ascii_lowercase().contains("icy-metadata: 1\r\n"),
            "{head}"
        );
    }
    let (told, titles) = without_titles(&told.bytes(), interval);
    assert_eq!(titles.len(), 3, "each one once: {titles:?}");
    // Anything between two frames would end the test.
    for raw in [plain.bytes(), told] {
        assert!(lasts(&raw) >= Duration::from_secs(3), "{:?}", lasts(&raw));
        decodes("MPEG", &raw);
    }
    let frame = frames(&sound).next().unwrap().to_vec();
    assert!(
        plain.bytes().windows(frame.len()).any(|part| part == frame),
        "it is the radio's sound"
    );
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
        let listener = Viewer::open(&mainstem.stream_url(name).await).await;
        assert_eq!(listener.status, 200, "{name}");
        let called = listener.headers.get("content-type").unwrap().to_str().unwrap();
        assert_eq!(called, if *name == "AAC" { "audio/aac" } else { "audio/mpeg" });
        let heard = |seconds: u64| {
            listener.until(SOON, "sound", move |raw| {
                lasts(raw) >= Duration::from_secs(seconds)
            })
        };
        heard(3).await;
        first.on_air.send(false).unwrap();
        heard(7).await;
        assert!(
            !second.heads.lock().unwrap().is_empty(),
            "{name}: the second was asked"
        );
        // Nobody sends: silence, in the same form.
        second.on_air.send(false).unwrap();
        // Frames of silence are as short as they can be: 29 bytes of HE-AAC, 64 kbit/s of layer II.
        let shorter = if *name == "AAC" { 40 } else { 200 };
        let silence = move |raw: &[u8]| frames(raw).rev().take(20).all(|frame| frame.len() < shorter);
        listener.until(SOON, "silence", silence).await;
        first.on_air.send(true).unwrap();
        listener.until(SOON, "sound again", |raw| !silence(raw)).await;
        heard(14).await;
        let raw = listener.bytes();
        assert!(
            frames(&raw).next().is_some_and(|frame| frame.len() >= shorter),
            "{name}: begins with sound"
        );
        decodes(name, &raw);
        let head = request("HEAD", &mainstem.stream_url(name).await, &[]).await;
        assert_eq!(
            head.header("content-type"),
            called,
            "{name}: HEAD says what GET says"
        );
    }
}

/// Whole frames from the first byte on; the last one may still be coming.
///
/// # Panics
/// Something else stands between them.
fn frames(raw: &[u8]) -> std::vec::IntoIter<&[u8]> {
    let mut frames = Vec::new();
    let mut rest = raw;
    while let Some((frame, more)) = frame_bytes(rest).and_then(|bytes| rest.split_at_checked(bytes)) {
        frames.push(frame);
        rest = more;
    }
    frames.into_iter()
}

/// The length of an ADTS frame (ISO 14496-3 1.A.2.2), or of one of layer II at 48 kHz (ISO 11172-3 2.4.2.3).
fn frame_bytes(raw: &[u8]) -> Option<usize> {
    const KILOBITS: [usize; 15] = [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384];
    match *raw {
        [0xFF, 0xF1, _, a, b, c, ..] => {
            Some(usize::from(a & 3) << 11 | usize::from(b) << 3 | usize::from(c >> 5))
        }
        [0xFF, 0xFD, third, ..] => {
            assert_eq!(third & 0x0C, 0x04, "another rate");
            Some(KILOBITS[usize::from(third >> 4)] * 144 / 48)
        }
        [_, _, _, _, _, _, ..] => panic!("no frame: {:x?}", &raw[..6]),
        _ => None,
    }
}

/// How long the frames sound.
fn lasts(raw: &[u8]) -> Duration {
    let frame = if raw.get(1) == Some(&0xF1) {
        Duration::from_secs(1_024) / 24_000
    } else {
        Duration::from_secs(1_152) / 48_000
    };
    frame * u32::try_from(frames(raw).count()).unwrap()
}

/// ffmpeg decodes it without a complaint.
fn decodes(name: &str, raw: &[u8]) {
    if !has_tool("ffmpeg") {
        return;
    }
    let whole: usize = frames(raw).map(<[u8]>::len).sum();
    let file = tempfile::NamedTempFile::with_suffix(if name == "AAC" { ".aac" } else { ".mp2" }).unwrap();
    std::fs::write(file.path(), &raw[..whole]).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file.path())
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{name}: {complaints}"
    );
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
