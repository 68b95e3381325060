//! HLS as providers in the field serve it: addresses that die, lists in lists, variants that are not there, segments that
//! are late, missing or something else. Each plays on from its one source, over one socket at a time.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use provider_double::{Account, Channel, Clip, Fault, Now, Plan, Provider};
use support::decode::{Colour, decode_aside};
use support::origin::{Asked, Cut, Origin, Page, Recording, Shelf, encrypt};
use support::process::QUICK;
use support::ts::{PACKET, Report, pid};
use support::{Launch, Mainstem, SOON, Viewer, eventually, get_json};
use tokio::task::JoinSet;

/// What each has to play.
const MEDIA: Duration = Duration::from_secs(9);

struct Quirk {
    name: &'static str,
    origin: Origin,
    /// The longest step of the pictures' time that is right.
    largest_step: f64,
    /// Addresses of which at least one request has to have been answered so.
    asked: Vec<(&'static str, u16)>,
}

fn live(shelf: Shelf) -> Page {
    Page::Live(Arc::new(shelf))
}

/// A multivariant playlist: bandwidths and addresses.
fn variants(list: &[(u64, &str)]) -> Page {
    let entry = |(bandwidth, uri): &(u64, &str)| format!("#EXT-X-STREAM-INF:BANDWIDTH={bandwidth}\n{uri}\n");
    Page::text(&format!(
        "#EXTM3U\n{}",
        list.iter().map(entry).collect::<String>()
    ))
}

/// Moves what is listed at the first few of the segments that a client meets to another address.
fn moved(shelf: Shelf, origin: &Origin, place: u64, change: impl Fn(Bytes) -> Option<Page>) -> Shelf {
    shelf.map(|number, listed| {
        if number == place {
            let path = listed.lines.lines().last().unwrap().to_owned();
            listed.lines = listed.lines.replace(&path, "/moved");
            if let Some(page) = change(origin.file(&path)) {
                origin.put("/moved", page);
            }
        }
    })
}

/// Without the packets of PAT and PMT.
fn bare(bytes: &[u8]) -> Vec<u8> {
    let packets = bytes
        .chunks(PACKET)
        .filter(|packet| !matches!(pid(packet), 0 | 0x1000));
    packets.flatten().copied().collect()
}

/// A segment that a client meets some seconds after it began: the first ones are published when the origin starts.
const EARLY: u64 = 104;

/// Puts one more quirk on the list: its name, the longest step that is right, what has to be asked for, and what is there.
macro_rules! quirk {
    ($quirks:ident, $name:expr, $largest_step:expr, $asked:expr, |$origin:ident| $put:expr) => {
        let $origin = Origin::start().await;
        $put;
        $quirks.push(Quirk {
            name: $name,
            origin: $origin,
            largest_step: $largest_step,
            asked: $asked.to_vec(),
        });
    };
}

/// What becomes of the way to the segments.
async fn quirks_of_addresses(ts: &Cut) -> Vec<Quirk> {
    let mut quirks = Vec::new();
    quirk!(
        quirks,
        "redirected",
        0.2,
        [("/edge/token/low/index.m3u8", 200)],
        |origin| {
            origin.put(
                "/live.m3u8",
                Page::Redirect("/edge/token/master.m3u8?t=1".to_owned()),
            );
            origin.put("/edge/token/master.m3u8", variants(&[(1, "low/index.m3u8")]));
            origin.put("/edge/token/low/index.m3u8", live(ts.put(&origin, true)));
        }
    );
    // The token of the address that answered, and a server that the segments' playlist imports.
    quirk!(quirks, "variables", 0.2, [("/low.m3u8?abc", 200)], |origin| {
        origin.put("/live.m3u8", Page::Redirect("/main.m3u8?token=abc".to_owned()));
        let root = origin.url("");
        let defined =
            format!("#EXT-X-DEFINE:QUERYPARAM=\"token\"\n#EXT-X-DEFINE:NAME=\"root\",VALUE=\"{root}\"\n");
        let listed = "#EXT-X-STREAM-INF:BANDWIDTH=1\n{$root}/low.m3u8?{$token}\n";
        origin.put(
            "/main.m3u8?token=abc",
            Page::text(&format!("#EXTM3U\n{defined}{listed}")),
        );
        let imported = ts.put(&origin, true).map(|_, listed| {
            listed.state.insert_str(0, "#EXT-X-DEFINE:IMPORT=\"root\"\n");
            listed.lines = listed.lines.replace("\n/", "\n{$root}/");
            assert!(listed.lines.contains("{$root}"));
        });
        origin.put("/low.m3u8?abc", live(imported));
    });
    quirk!(
        quirks,
        "dead-variant",
        0.2,
        [("/best.m3u8", 403), ("/good.m3u8", 200)],
        |origin| {
            origin.put(
                "/live.m3u8",
                variants(&[(1, "low.m3u8"), (3, "best.m3u8"), (2, "good.m3u8")]),
            );
            origin.refuse("/best.m3u8", &[403; 9]);
            origin.put("/good.m3u8", live(ts.put(&origin, true)));
        }
    );
    quirk!(quirks, "nested", 0.2, [("/three.m3u8", 200)], |origin| {
        origin.put(
            "/live.m3u8",
            Page::text("#EXTM3U\n#EXTINF:-1,Nested\n/one.m3u8\n"),
        );
        origin.put("/one.m3u8", variants(&[(1, "two.m3u8")]));
        origin.put("/two.m3u8", variants(&[(1, "three.m3u8")]));
        origin.put("/three.m3u8", live(ts.put(&origin, true)));
    });
    quirk!(quirks, "too-slow", 0.2, [("/low.m3u8", 200)], |origin| {
        let shelf = ts.put(&origin, true);
        origin.put("/live.m3u8", variants(&[(3, "high.m3u8"), (1, "low.m3u8")]));
        origin.put("/low.m3u8", live(shelf.clone()));
        let slow = shelf.map(|_, listed| {
            let path = listed.lines.lines().last().unwrap().to_owned();
            let takes = Duration::from_millis(2_600);
            origin.put(
                &format!("/slow{path}"),
                Page::Slow {
                    bytes: origin.file(&path),
                    takes,
                },
            );
            listed.lines = listed.lines.replace(&path, &format!("/slow{path}"));
        });
        origin.put("/high.m3u8", live(slow));
    });
    quirk!(
        quirks,
        "token-dies",
        0.2,
        [("/second/index.m3u8", 200)],
        |origin| {
            origin.put("/live.m3u8", variants(&[(1, "first/index.m3u8")]));
            origin.put("/first/index.m3u8", live(ts.put(&origin, true)));
        }
    );
    quirks
}

/// Segments that are late, or not there.
async fn quirks_of_segments(ts: &Cut) -> Vec<Quirk> {
    let mut quirks = Vec::new();
    quirk!(
        quirks,
        "late-segment",
        0.2,
        [("/moved", 404), ("/moved", 200)],
        |origin| {
            let shelf = moved(ts.put(&origin, true), &origin, EARLY, |bytes| {
                Some(Page::file(bytes.to_vec()))
            });
            origin.put("/live.m3u8", live(shelf));
            origin.refuse("/moved", &[404]);
        }
    );
    quirk!(
        quirks,
        "page-in-place-of-a-segment",
        2.2,
        [("/moved", 200)],
        |origin| {
            let shelf = moved(ts.put(&origin, true), &origin, EARLY, |_| {
                Some(Page::text("<html>Sorry</html>"))
            });
            origin.put("/live.m3u8", live(shelf));
        }
    );
    quirk!(quirks, "missing-segment", 2.2, [("/moved", 404)], |origin| {
        let shelf = moved(ts.put(&origin, true), &origin, EARLY, |_| None);
        origin.put("/live.m3u8", live(shelf));
    });
    quirk!(quirks, "gap", 2.2, [], |origin| {
        let shelf = moved(ts.put(&origin, true), &origin, EARLY, |_| None).map(|number, listed| {
            if number == EARLY {
                listed.lines = format!("#EXT-X-GAP\n{}", listed.lines);
            }
        });
        origin.put("/live.m3u8", live(shelf));
    });
    quirks
}

/// Segments that are harder to read.
async fn quirks_of_contents(ts: &Cut, fragments: &Cut, later: &Cut) -> Vec<Quirk> {
    let mut quirks = Vec::new();
    quirk!(
        quirks,
        "discontinuity-without-tables",
        0.2,
        [("/ts/", 200), ("/bare/", 200)],
        |origin| {
            // From there on another recording, whose clock is 20 minutes on and which has no tables at all.
            let other = later.put(&origin, true);
            let shelf = ts.put(&origin, true).map(|number, listed| {
                let Some(place) = number.checked_sub(EARLY) else {
                    return;
                };
                // Pictures that were not shown before.
                let other = other.segments.get(usize::try_from(place + 10).unwrap());
                let Some(other) = other else { return };
                let path = other.lines.lines().last().unwrap();
                origin.put(&format!("/bare{path}"), Page::file(bare(&origin.file(path))));
                let tag = if place == 0 { "#EXT-X-DISCONTINUITY\n" } else { "" };
                listed.lines = format!("{tag}#EXTINF:{},\n/bare{path}\n", other.duration);
            });
            origin.put("/live.m3u8", live(shelf));
        }
    );
    quirk!(
        quirks,
        "encrypted-fragments",
        0.2,
        [("/key", 200), ("/closed/init", 200)],
        |origin| {
            const KEY: [u8; 16] = *b"one and the same";
            let shelf = fragments.put(&origin, true);
            let init = origin.file("/fragments/init.mp4");
            origin.put("/closed/init", Page::file(encrypt(KEY, 7, &init)));
            origin.put("/key", Page::file(KEY.to_vec()));
            let shelf = shelf.map(|number, listed| {
            let path = listed.lines.lines().last().unwrap().to_owned();
            origin.put(&format!("/closed{path}"), Page::file(encrypt(KEY, number, &origin.file(&path))));
            listed.lines = listed.lines.replace(&path, &format!("/closed{path}"));
            "#EXT-X-KEY:METHOD=AES-128,URI=\"/key\",IV=0x7\n#EXT-X-MAP:URI=\"/closed/init\"\n#EXT-X-KEY:METHOD=AES-128,URI=\"/key\"\n"
                .clone_into(&mut listed.state);
        });
            origin.put("/live.m3u8", live(shelf));
        }
    );
    quirks
}

/// Sound in a playlist of its own, and another time base in the middle of both.
async fn quirk_of_sound_apart(recording: &Recording) -> Quirk {
    let origin = Origin::start().await;
    for (list, map) in [("video", "0:v"), ("sound", "0:a")] {
        let first = recording
            .hls(list, &["-map", map, "-hls_time", "2"])
            .put(&origin, true);
        let name = format!("later-{list}");
        let later = ["-map", map, "-hls_time", "2", "-output_ts_offset", "1200"];
        let later = recording.hls(&name, &later).put(&origin, true);
        let shelf = first.map(|number, listed| {
            let Some(place) = number.checked_sub(EARLY) else {
                return;
            };
            // Pictures that were not shown before.
            let Some(other) = later.segments.get(usize::try_from(place + 10).unwrap()) else {
                return;
            };
            let tag = if place == 0 { "#EXT-X-DISCONTINUITY\n" } else { "" };
            listed.lines = format!("{tag}{}", other.lines);
        });
        origin.put(&format!("/{list}.m3u8"), live(shelf));
    }
    let master = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",LANGUAGE=\"en\",DEFAULT=YES,URI=\"sound.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=300000,AUDIO=\"a\"\nvideo.m3u8\n";
    origin.put("/live.m3u8", Page::text(master));
    Quirk {
        name: "discontinuity-of-sound-apart",
        origin,
        largest_step: 0.2,
        asked: vec![("/sound/", 200), ("/later-sound/", 200)],
    }
}

async fn mainstem(names: &[(&str, String)]) -> Mainstem {
    let mut config = format!("{QUICK}log_level: DEBUG\nsources:\n");
    for (name, _) in names {
        config += &format!(
            "  - {{name: {name}, type: m3u, url: {name}.m3u, account: {name}, max_connections: 1, headers: {{X-Pass: sesame}}}}\n"
        );
    }
    let mut launch = Launch::new(&config);
    for (name, url) in names {
        launch = launch.file(
            &format!("{name}.m3u"),
            &format!("#EXTM3U\n#EXTINF:-1,{name}\n{url}\n"),
        );
    }
    launch.ready().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_providers_make_of_hls_plays_on() {
    let Some(recording) = Recording::make(60) else {
        return;
    };
    let ts = recording.hls("ts", &["-hls_time", "2"]);
    let later = recording.hls("later", &["-hls_time", "2", "-output_ts_offset", "1200"]);
    let fragments = [
        "-hls_time",
        "2",
        "-hls_segment_type",
        "fmp4",
        "-hls_fmp4_init_filename",
        "init.mp4",
    ];
    let fragments = recording.hls("fragments", &fragments);
    let mut quirks = quirks_of_contents(&ts, &fragments, &later).await;
    quirks.push(quirk_of_sound_apart(&recording).await);
    quirks.extend(quirks_of_addresses(&ts).await);
    quirks.extend(quirks_of_segments(&ts).await);
    let names: Vec<_> = quirks
        .iter()
        .map(|quirk| (quirk.name, quirk.origin.url("/live.m3u8")))
        .collect();
    let mainstem = mainstem(&names).await;
    let mut watching = JoinSet::new();
    for quirk in quirks {
        let url = mainstem.stream_url(quirk.name).await;
        let ts = (quirk.name == "token-dies").then(|| ts.put(&quirk.origin, true));
        watching.spawn(async move {
            let viewer = Viewer::open(&url).await;
            assert_eq!(viewer.status, 200, "{}", quirk.name);
            if let Some(shelf) = ts {
                let origin = &quirk.origin;
                origin.put("/second/index.m3u8", live(shelf));
                origin.put("/live.m3u8", variants(&[(1, "second/index.m3u8")]));
                origin.remove("/first/index.m3u8");
            }
            viewer.media(MEDIA, SOON + MEDIA * 2).await;
            (quirk, viewer.bytes(), viewer)
        });
    }
    let watched = watching.join_all().await;
    // While they are still there.
    let active = get_json(&mainstem.url("/active-streams")).await;
    let broadcasts = active["broadcasts"].as_array().unwrap();
    for (quirk, bytes, viewer) in watched {
        drop(viewer);
        let name = quirk.name;
        let broadcast = broadcasts.iter().find(|broadcast| broadcast["name"] == name);
        let broadcast = broadcast.unwrap();
        assert_eq!(broadcast["failovers"], 0, "{name}: {broadcast}");
        assert!(
            broadcast["last_failure"].is_null(),
            "one source, and it never failed: {broadcast}"
        );
        let report = Report::of(&bytes);
        report.assert_clean(name);
        assert!(
            report.largest_step < quirk.largest_step,
            "{name}: {} s",
            report.largest_step
        );
        assert_eq!(quirk.origin.peak(), 1, "{name}: one socket at a time");
        let asked = quirk.origin.asked();
        for (path, status) in quirk.asked {
            let found = asked
                .iter()
                .any(|asked| asked.target.starts_with(path) && asked.status == status);
            assert!(found, "{name}: {path} {status}: {asked:#?}");
        }
        let without = asked.iter().find(|asked| !asked.headers.contains("sesame"));
        assert!(
            without.is_none(),
            "{name}: without the source's headers: {without:?}"
        );
        if let Some(decoded) = decode_aside(bytes).await {
            assert!(
                decoded.distinct > 200,
                "{name}: {} different pictures",
                decoded.distinct
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fragmented_mp4_gives_way_to_a_transport_stream_and_comes_back() {
    let Some(recording) = Recording::make(60) else {
        return;
    };
    let fragments = [
        "-hls_time",
        "2",
        "-hls_segment_type",
        "fmp4",
        "-hls_fmp4_init_filename",
        "init.mp4",
    ];
    let shelf = |origin: &Origin| recording.hls("fragments", &fragments).put(origin, true);
    let origin = Origin::start().await;
    let shelf = shelf(&origin);
    origin.put("/live.m3u8", live(shelf.clone()));
    let plan = Plan::new()
        .account(Account::new("u", "p").max_connections(1))
        .channel(Channel::new(1, "Both", Clip::H264Closed));
    let provider = Provider::start(plan).unwrap();
    let config = format!(
        "{QUICK}log_level: DEBUG\nsources:\n  - {{name: hls, type: m3u, url: hls.m3u, account: hls, max_connections: 5}}\n  - {{name: ts, type: m3u, url: ts.m3u, max_connections: 1}}\n"
    );
    let list = |url: String| format!("#EXTM3U\n#EXTINF:-1,Both\n{url}\n");
    let mainstem = Launch::new(&config)
        .file("hls.m3u", &list(origin.url("/live.m3u8")))
        .file("ts.m3u", &list(provider.live_url("u", 1)))
        .ready()
        .await;
    let streams = mainstem.url("/streams");
    eventually("the channel has both its sources", || async {
        (get_json(&streams).await["streams"][0]["sources"] == 2).then_some(())
    })
    .await;
    let viewer = Viewer::open(&mainstem.stream_url("Both").await).await;
    viewer.media(Duration::from_secs(4), SOON).await;
    origin.freeze("/live.m3u8");
    let login = provider.account("u");
    login.wait_until(|log| log.open_now == 1, SOON * 2).await.unwrap();
    viewer.more_media(Duration::from_secs(3), SOON).await;
    origin.put("/live.m3u8", live(shelf));
    provider.stream(1).fault(Fault::Refuse);
    provider.stream(1).now(Now::Eof);
    login.wait_until(|log| log.open_now == 0, SOON * 2).await.unwrap();
    viewer.more_media(Duration::from_secs(6), SOON * 2).await;
    let bytes = viewer.bytes();
    Report::of(&bytes).assert_clean("there and back");
    if let Some(decoded) = decode_aside(bytes).await {
        let scenes = decoded.scenes();
        let red = scenes
            .iter()
            .position(|colour| colour.is_like(Colour::DARK_RED))
            .unwrap();
        assert!(red > 0 && red + 1 < scenes.len(), "{scenes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_that_cannot_be_had_leaves_the_one_before_playing() {
    let Some(recording) = Recording::make(60) else {
        return;
    };
    let origin = Origin::start().await;
    let shelf = recording.hls("ts", &["-hls_time", "2"]).put(&origin, true);
    // Two in a row that come too slowly, and no smaller variant is there.
    let shelf = shelf.map(|number, listed| {
        if [EARLY, EARLY + 1].contains(&number) {
            let path = listed.lines.lines().last().unwrap().to_owned();
            let (bytes, takes) = (origin.file(&path), Duration::from_millis(2_200));
            origin.put(&format!("/slow{path}"), Page::Slow { bytes, takes });
            listed.lines = listed.lines.replace(&path, &format!("/slow{path}"));
        }
    });
    origin.put("/live.m3u8", variants(&[(3, "high.m3u8"), (1, "low.m3u8")]));
    origin.put("/high.m3u8", live(shelf));
    let mainstem = mainstem(&[("one", origin.url("/live.m3u8"))]).await;
    let viewer = Viewer::open(&mainstem.stream_url("one").await).await;
    let count = |path: &str, status: u16| {
        let asked = origin.asked();
        let same = |asked: &&Asked| asked.target == path && asked.status == status;
        asked.iter().filter(same).count()
    };
    eventually("the other variant is asked for", || async {
        (count("/low.m3u8", 404) > 0).then_some(())
    })
    .await;
    viewer.more_media(Duration::from_secs(8), SOON).await;
    Report::of(&viewer.bytes()).assert_clean("one variant of two");
    assert_eq!(count("/low.m3u8", 404), 1, "it is tried no more");
    assert_eq!(count("/live.m3u8", 200), 1, "the session went on");
}

/// Pictures that come do not make up for a sound that does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_sound_that_is_lost_for_good_is_a_reason_to_take_the_next_source() {
    let Some(recording) = Recording::make(60) else {
        return;
    };
    let origin = Origin::start().await;
    for (list, map) in [("video", "0:v"), ("sound", "0:a")] {
        let shelf = recording
            .hls(list, &["-map", map, "-hls_time", "2"])
            .put(&origin, true)
            .map(|number, listed| {
                if list == "sound" && number >= EARLY {
                    listed.lines = listed.lines.replace("/sound/", "/gone/");
                }
            });
        origin.put(&format!("/{list}.m3u8"), live(shelf));
    }
    let master = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",DEFAULT=YES,URI=\"sound.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=300000,AUDIO=\"a\"\nvideo.m3u8\n";
    origin.put("/live.m3u8", Page::text(master));
    let plan = Plan::new()
        .account(Account::new("u", "p").max_connections(1))
        .channel(Channel::new(1, "Both", Clip::H264Closed));
    let provider = Provider::start(plan).unwrap();
    let config = format!(
        "{QUICK}log_level: DEBUG\nsources:\n  - {{name: hls, type: m3u, url: hls.m3u, account: hls}}\n  - {{name: ts, type: m3u, url: ts.m3u}}\n"
    );
    let list = |url: &str| format!("#EXTM3U\n#EXTINF:-1,Both\n{url}\n");
    let mainstem = Launch::new(&config)
        .file("hls.m3u", &list(&origin.url("/live.m3u8")))
        .file("ts.m3u", &list(&provider.live_url("u", 1)))
        .ready()
        .await;
    let streams = mainstem.url("/streams");
    eventually("both sources are there", || async {
        let list = get_json(&streams).await;
        (list["streams"][0]["sources"] == 2).then_some(())
    })
    .await;
    let viewer = Viewer::open(&mainstem.stream_url("Both").await).await;
    let login = provider.account("u");
    login.wait_until(|log| log.open_now == 1, SOON).await.unwrap();
    let lost = |asked: &&Asked| asked.target.starts_with("/gone/");
    assert!(origin.asked().iter().filter(lost).count() >= 3);
    viewer.more_media(Duration::from_secs(2), SOON).await;
}
