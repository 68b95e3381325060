//! HLS of every shape that ffmpeg makes, as live streams and as whole recordings: what comes out decodes without a word,
//! over one socket at a time, and no segment is fetched twice.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use catalog::{SourceName, StreamUrl};
use mainstem::slot::{Login, Pools};
use mainstem::upstream::http::Client;
use mainstem::upstream::open::{OpenTiming, Opening, Target};
use mainstem::upstream::titles::Titles;
use mainstem::upstream::ways::KnownWays;
use mpegts::Splicer;
use relay::{Input, Upstream as _};
use support::decode::decode_aside;
use support::origin::{Origin, Page, Recording, Shelf, encrypt};
use support::process::QUICK;
use support::ts::Report;
use support::{Launch, Mainstem, SOON, Viewer};
use tokio::task::JoinSet;

/// One shape: an origin of its own, so that its sockets can be counted, with `/live.m3u8` and `/whole.m3u8`.
struct Shape {
    name: &'static str,
    origin: Origin,
}

/// A playlist of one variant, or with its sound apart, as a live one and as a whole one.
fn put(origin: &Origin, shelf: Shelf) {
    origin.put("/whole.m3u8", Page::text(&shelf.whole()));
    origin.put("/live.m3u8", Page::Live(Arc::new(shelf)));
}

fn put_apart(origin: &Origin, video: Shelf, sounds: Vec<(&str, Shelf)>) {
    for kind in ["live", "whole"] {
        let mut text = "#EXTM3U\n".to_owned();
        for (language, _) in &sounds {
            text += &format!(
                "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"{language}\",LANGUAGE=\"{language}\",AUTOSELECT=YES,URI=\"{language}-{kind}.m3u8\"\n"
            );
        }
        text += &format!("#EXT-X-STREAM-INF:BANDWIDTH=300000,AUDIO=\"a\"\nvideo-{kind}.m3u8\n");
        origin.put(&format!("/{kind}.m3u8"), Page::text(&text));
    }
    let shelves = std::iter::once(("video", video)).chain(sounds);
    for (name, shelf) in shelves {
        origin.put(&format!("/{name}-whole.m3u8"), Page::text(&shelf.whole()));
        origin.put(&format!("/{name}-live.m3u8"), Page::Live(Arc::new(shelf)));
    }
}

const FMP4: [&str; 4] = ["-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4"];

/// The shapes; `None` without ffmpeg.
async fn shapes(seconds: u32) -> Option<Vec<Shape>> {
    let recording = Recording::make(seconds)?;
    let hevc = Recording::make_as(
        seconds,
        &[
            "-c:v",
            "libx265",
            "-preset",
            "ultrafast",
            "-x265-params",
            "log-level=error:scenecut=0:keyint=25",
        ],
        &["-c:a", "ac3", "-b:a", "96k"],
    )?;
    let mut shapes = Vec::new();
    macro_rules! shape {
        ($name:expr, |$origin:ident| $put:expr) => {
            let $origin = Origin::start().await;
            $put;
            shapes.push(Shape {
                name: $name,
                origin: $origin,
            });
        };
    }
    let ts = recording.hls("ts", &["-hls_time", "2"]);
    shape!("ts", |origin| put(&origin, ts.put(&origin, true)));
    let long = recording.hls("long", &["-hls_time", "10"]);
    shape!("ts-10s", |origin| put(&origin, long.put(&origin, true)));
    let fragments = recording.hls("fragments", &[&["-hls_time", "2"], &FMP4[..]].concat());
    shape!("fmp4", |origin| put(&origin, fragments.put(&origin, true)));
    let hevc = hevc.hls(
        "hevc",
        &[&["-hls_time", "2", "-tag:v", "hvc1"], &FMP4[..]].concat(),
    );
    shape!("fmp4-hevc-ac3", |origin| put(&origin, hevc.put(&origin, true)));
    let single = recording.hls("single", &["-hls_time", "2", "-hls_flags", "single_file"]);
    shape!("byte-ranges", |origin| put(&origin, single.put(&origin, true)));
    let single = recording.hls(
        "whole",
        &[&["-hls_time", "2", "-hls_flags", "single_file"], &FMP4[..]].concat(),
    );
    shape!("byte-ranges-unheard", |origin| put(
        &origin,
        single.put(&origin, false)
    ));
    shape!("aes-128", |origin| put(
        &origin,
        encrypted(ts.put(&origin, true), &origin)
    ));
    let video = recording.hls("video", &["-map", "0:v", "-hls_time", "2"]);
    let sound = recording.hls("sound", &["-map", "0:a", "-hls_time", "3"]);
    shape!("sound-apart-ts", |origin| put_apart(
        &origin,
        video.put(&origin, true),
        vec![("de", sound.put(&origin, true))]
    ));
    let video = recording.hls(
        "fvideo",
        &[&["-map", "0:v", "-hls_time", "2"], &FMP4[..]].concat(),
    );
    let sound = recording.hls(
        "fsound",
        &[&["-map", "0:a", "-hls_time", "2"], &FMP4[..]].concat(),
    );
    shape!("sound-apart-fmp4", |origin| put_apart(
        &origin,
        video.put(&origin, true),
        vec![
            ("en", sound.put(&origin, true)),
            ("fr", sound.put_at(&origin, "/fr/", true))
        ]
    ));
    let packed = recording.sound("adts");
    shape!("sound-apart-packed", |origin| put_apart(
        &origin,
        video.put(&origin, true),
        vec![("en", packed_shelf(&packed, &origin))]
    ));
    shape!("radio", |origin| put(&origin, packed_shelf(&packed, &origin)));
    Some(shapes)
}

/// Every segment encrypted, the key another one every five of them, and the number its vector.
fn encrypted(shelf: Shelf, origin: &Origin) -> Shelf {
    shelf.map(|number, listed| {
        let key = [u8::try_from(number / 5).unwrap(); 16];
        let path = listed.lines.lines().last().unwrap().to_owned();
        let name = format!("/closed{path}");
        origin.put(&name, Page::file(encrypt(key, number, &origin.file(&path))));
        let key_path = format!("/key-{}", number / 5);
        origin.put(&key_path, Page::file(key.to_vec()));
        listed.state = format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{key_path}\"\n");
        listed.lines = listed.lines.replace(&path, &name);
    })
}

/// Sound in ADTS cut into segments of some two seconds, each with its time in front.
fn packed_shelf(adts: &[u8], origin: &Origin) -> Shelf {
    const OWNER: &[u8] = b"com.apple.streaming.transportStreamTimestamp\0";
    const FRAMES: usize = 94;
    let mut frames = Vec::new();
    let mut rest = adts;
    while rest.len() > 7 {
        let length = usize::from(rest[3] & 3) << 11 | usize::from(rest[4]) << 3 | usize::from(rest[5] >> 5);
        let (frame, next) = rest.split_at(length);
        frames.push(frame);
        rest = next;
    }
    let mut playlist = "#EXT-X-TARGETDURATION:2\n".to_owned();
    for (number, segment) in frames.chunks(FRAMES).enumerate() {
        let stamp = (number * FRAMES * 1_024 * 90_000 / 48_000) as u64;
        let body = [OWNER, &stamp.to_be_bytes()].concat();
        let size = u8::try_from(body.len()).unwrap();
        let tag = [
            b"ID3\x04\0\0\0\0\0",
            &[size + 10][..],
            b"PRIV\0\0\0",
            &[size, 0, 0],
            &body,
        ]
        .concat();
        origin.put(
            &format!("/packed/{number}"),
            Page::file([tag, segment.concat()].concat()),
        );
        let seconds = (segment.len() * 1_024) as f64 / 48_000.0;
        playlist += &format!("#EXTINF:{seconds:.5},\n{number}\n");
    }
    Shelf::of(&playlist, "/packed/")
}

#[tokio::test(flavor = "multi_thread")]
async fn live_hls_of_every_shape_that_ffmpeg_makes_plays() {
    let (media, recorded) = if support::full() { (60, 110) } else { (10, 60) };
    let Some(shapes) = shapes(recorded).await else {
        return;
    };
    let mut whole = Vec::new();
    for shape in &shapes {
        whole.push((shape.name, read_whole(&shape.origin.url("/whole.m3u8")).await));
        check_origin(shape);
        shape.origin.forget();
    }
    let mainstem = mainstem(&shapes).await;
    let mut watching = JoinSet::new();
    for shape in shapes {
        let url = mainstem.stream_url(shape.name).await;
        watching.spawn(async move {
            let viewer = Viewer::open(&url).await;
            assert_eq!(viewer.status, 200, "{}", shape.name);
            let media = Duration::from_secs(media);
            if shape.name == "radio" {
                viewer
                    .until(SOON + media, "sound", |bytes| bytes.len() > 60_000)
                    .await;
            } else {
                viewer.media(media, SOON + media * 2).await;
            }
            (shape, viewer.bytes())
        });
    }
    while let Some(ended) = watching.join_next().await {
        let (shape, bytes) = ended.unwrap();
        check_origin(&shape);
        if shape.name != "radio" {
            check_media(shape.name, bytes, media).await;
        }
    }
    for (name, bytes) in whole.into_iter().filter(|(name, _)| *name != "radio") {
        check_media(name, bytes, u64::from(recorded) - 1).await;
    }
}

/// All that a playlist with an end has, as fast as it comes, on the timeline of one channel.
async fn read_whole(url: &str) -> Vec<u8> {
    let within = SOON;
    let opening = Opening {
        client: Client::new(within, 3).unwrap(),
        pools: Pools::new(1),
        timing: OpenTiming {
            slot_within: within,
            head_within: within,
            first_bytes_within: within,
            limit_rest: within,
        },
        hls_bandwidth_max: None,
        titles: Titles::default(),
        ways: KnownWays::default(),
    };
    let source = SourceName::new("whole");
    let target = Target {
        login: Login::of_entry(None, &source, url),
        source,
        limit: 1,
        url: StreamUrl::new(url),
        direct: None,
        elsewhere: Vec::new(),
        addresses: None,
        headers: http::HeaderMap::new(),
        insecure_tls: false,
        datagrams: Default::default(),
        release_delay: Duration::ZERO,
        subject: None,
        session: None,
        account_ended: None,
    };
    let mut upstream = opening.live(target).await.unwrap();
    let (mut splicer, mut whole) = (Splicer::new(), Vec::new());
    loop {
        let read = upstream.read().await;
        match &read {
            Ok(Input::Bytes(bytes)) => splicer.push(bytes),
            Ok(Input::Restart) => {
                splicer.end_source();
                splicer.begin_source();
            }
            Err(failure) => {
                assert!(failure.text.contains("ended"), "{url}: {failure}");
                splicer.end_source();
            }
        }
        while let Some(piece) = splicer.take() {
            whole.extend_from_slice(&piece.bytes);
        }
        if read.is_err() {
            return whole;
        }
    }
}

/// A source for each, whose login allows one connection.
async fn mainstem(shapes: &[Shape]) -> Mainstem {
    let mut config = format!("{QUICK}log_level: DEBUG\nsources:\n");
    for Shape { name, .. } in shapes {
        config += &format!(
            "  - {{name: {name}, type: m3u, url: {name}.m3u, account: {name}, max_connections: 1}}\n"
        );
    }
    let mut launch = Launch::new(&config);
    for Shape { name, origin } in shapes {
        let list = format!("#EXTM3U\n#EXTINF:-1,{name}\n{}\n", origin.url("/live.m3u8"));
        launch = launch.file(&format!("{name}.m3u"), &list);
    }
    launch.ready().await
}

async fn check_media(name: &str, bytes: Vec<u8>, seconds: u64) {
    let report = Report::of(&bytes);
    report.assert_clean(name);
    assert!(
        report.largest_step < 0.2,
        "{name}: no segment is lost: {} s",
        report.largest_step
    );
    assert!(report.sounds() > 10, "{name}: {} sounds", report.sounds());
    let Some(decoded) = decode_aside(bytes).await else {
        return;
    };
    let expected = usize::try_from(seconds * 25 * 9 / 10).unwrap();
    assert!(
        decoded.distinct >= expected,
        "{name}: {} different pictures",
        decoded.distinct
    );
}

/// One socket at a time, and each segment once.
fn check_origin(shape: &Shape) {
    let name = shape.name;
    assert_eq!(shape.origin.peak(), 1, "{name}: one socket at a time");
    let mut seen = BTreeSet::new();
    for asked in shape.origin.asked() {
        assert!(matches!(asked.status, 200 | 206), "{name}: {asked:?}");
        if !asked.target.ends_with(".m3u8") {
            let what = (asked.target.clone(), asked.range.clone());
            assert!(seen.insert(what), "{name}: twice: {asked:?}");
        }
    }
    assert!(seen.len() > 1, "{name}: {seen:?}");
}
