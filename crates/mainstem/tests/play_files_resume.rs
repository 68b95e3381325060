//! A film whose source breaks off goes on at the byte, or breaks off for the viewer too: never does half of it pass for
//! the whole.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::process::Command;

use provider_double::{
    Account, Channel, Clip, Extent, Fault, HeadStyle, Movie, Now, Plan, Provider, RangeStyle, RedirectForm,
};
use support::decode::has_tool;
use support::process::QUICK;
use support::{Launch, Mainstem, Raw, SOON, Viewer, eventually, get, get_json};

const BYTES: u64 = 3_000_000;

fn provider(user: &str, film: &Movie) -> Provider {
    let plan = Plan::new()
        .account(Account::new(user, "secret"))
        .movie(film.clone())
        .channel(Channel::new(1, "Live", Clip::H264Closed));
    Provider::start(plan).unwrap()
}

/// The films of one or two providers of one connection each, the first one preferred.
async fn scene(providers: &[(&str, &Provider)]) -> (Mainstem, String) {
    let mut config = format!("{QUICK}log_level: DEBUG\nsources:\n");
    for (user, _) in providers {
        config.push_str(&format!(
            "  - {{name: {user}, type: m3u, url: {user}.m3u, max_connections: 1}}\n"
        ));
    }
    let mut launch = Launch::new(&config);
    for (user, provider) in providers {
        let list = format!(
            "#EXTM3U\n#EXTINF:-1,Film\n{}\n#EXTINF:-1,Live\n{}\n",
            provider.movie_url(user, 900),
            provider.live_url(user, 1)
        );
        launch = launch.file(&format!("{user}.m3u"), &list);
    }
    let mainstem = launch.ready().await;
    let streams = mainstem.url("/streams");
    eventually("all lists are read", || async {
        let streams = get_json(&streams).await;
        (streams["streams"][0]["sources"] == providers.len()).then_some(())
    })
    .await;
    let url = mainstem.stream_url("Film").await;
    (mainstem, url)
}

fn ranges(provider: &Provider, user: &str) -> Vec<String> {
    let requests = provider.account(user).requests();
    let range = |request: &provider_double::Request| request.header("range").unwrap_or("all").to_owned();
    requests.iter().map(range).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_as_often_as_it_breaks_off_and_renews_its_tokens() {
    let film = Movie::new(900, "Film", BYTES);
    let one = provider("one", &film);
    let (_mainstem, url) = scene(&[("one", &one)]).await;
    let direct = get(&one.movie_url("one", 900)).await;
    let account = one.account("one");
    account.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    let before = account.requests().len();
    let stream = one.stream(900);
    stream.fault(Fault::Redirect {
        hops: 2,
        form: RedirectForm::OtherHost,
    });
    stream.fault_times(Fault::Rst(Extent::Bytes(500_000)), 5);
    let film = Viewer::open(&url).await;
    film.end(SOON).await;
    assert!(film.bytes() == direct.body, "{} bytes", film.count());
    assert_eq!((account.peak(), account.over_limit()), (1, 0));
    let asked = ranges(&one, "one");
    // Two redirects each, with a token that is good once.
    assert_eq!(asked.len() - before, 3 * 6, "{asked:?}");
    assert_eq!(asked[before + 3], "bytes=500000-");
    assert_eq!(asked[before + 15], "bytes=2500000-");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_goes_on_within_its_bounds() {
    let film = Movie::new(900, "Film", BYTES);
    let one = provider("one", &film);
    let (_mainstem, url) = scene(&[("one", &one)]).await;
    let direct = get(&one.movie_url("one", 900)).await;
    one.stream(900).fault_times(Fault::Eof(Extent::Bytes(300_000)), 2);
    let part = Viewer::open_as(&url, &[("Range", "bytes=1000000-1999999")]).await;
    part.end(SOON).await;
    assert_eq!(part.status, 206);
    assert!(
        part.bytes() == direct.body[1_000_000..2_000_000],
        "{} bytes",
        part.count()
    );
    let asked = ranges(&one, "one");
    assert_eq!(
        &asked[1..],
        [
            "bytes=1000000-1999999",
            "bytes=1300000-1999999",
            "bytes=1600000-1999999"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_at_another_source_that_has_the_same_bytes_and_at_no_other() {
    let film = Movie::new(900, "Film", BYTES);
    for (what, other, goes_on) in [
        ("the same", film.clone(), true),
        ("of another version", film.clone().etag("\"other\""), false),
        ("perhaps the same", film.clone().etag("W/\"900-2dc6c0\""), false),
        (
            "of another length",
            Movie::new(900, "Film", BYTES + 1).etag("\"900-2dc6c0\""),
            false,
        ),
    ] {
        let (one, two) = (provider("one", &film), provider("two", &other));
        let (_mainstem, url) = scene(&[("one", &one), ("two", &two)]).await;
        let direct = get(&one.movie_url("one", 900)).await;
        let stream = one.stream(900);
        stream.fault(Fault::Trickle(0.5));
        let film = Viewer::open(&url).await;
        assert_eq!(film.headers["content-length"], "3000000", "{what}");
        film.more(100_000).await;
        stream.fault(Fault::Status {
            code: 404,
            body: "gone".to_owned(),
            retry_after: None,
        });
        stream.now(Now::Eof);
        film.end(SOON).await;
        assert_eq!(film.count() as u64 == BYTES, goes_on, "{what}: {}", film.count());
        assert!(direct.body.starts_with(&film.bytes()), "{what}");
        // A seek of the same viewing goes to the same bytes, or nowhere.
        let seek = support::request("GET", &url, &[("Range", "bytes=2000000-2000009")]).await;
        if goes_on {
            assert_eq!(
                (seek.status, &seek.body),
                (206, &direct.body.slice(2_000_000..2_000_010)),
                "{what}"
            );
        } else {
            assert!(seek.status >= 400, "{what}: {}", seek.status);
        }
        for (provider, user) in [(&one, "one"), (&two, "two")] {
            let account = provider.account(user);
            assert!(account.peak() <= 1 && account.over_limit() == 0, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_again_breaks_off_and_is_no_whole() {
    let nameless = Movie::new(900, "Film", BYTES).etag("");
    let one = provider("one", &nameless);
    let (_mainstem, url) = scene(&[("one", &one)]).await;
    let stream = one.stream(900);
    // Neither length nor validators: nothing says what a second answer would be of.
    stream.fault(Fault::Head(HeadStyle::Chunked));
    stream.fault_times(Fault::Eof(Extent::Bytes(500_000)), 1);
    let mut raw = Raw::get(&url, false).await;
    let (answer, all) = raw.drain_all().await;
    assert!(all > 500_000, "{all}");
    assert!(
        !answer.ends_with(b"0\r\n\r\n"),
        "the last chunk would make it whole"
    );
    assert_eq!(one.account("one").requests().len(), 1);
    // A whole one ends as one.
    let mut raw = Raw::get(&url, false).await;
    raw.until_last_chunk().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_only_sends_the_beginning_is_given_up() {
    let film = Movie::new(900, "Film", BYTES);
    let one = provider("one", &film);
    let (mainstem, url) = scene(&[("one", &one)]).await;
    one.stream(900).fault(Fault::Eof(Extent::Bytes(10_000)));
    let film = Viewer::open(&url).await;
    film.end(SOON).await;
    assert!(film.count() < 100_000, "{}", film.count());
    let account = one.account("one");
    assert!(
        account.requests().len() < 10,
        "a bounded number of requests: {}",
        account.requests().len()
    );
    assert_eq!((account.peak(), account.over_limit()), (1, 0));
    let status = mainstem.url("/status");
    eventually("no connection in use", || async {
        (get_json(&status).await["connections"]["total_connections"] == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_and_pauses_are_told_apart() {
    let film = Movie::new(900, "Film", 60_000_000);
    let (silent, paused) = (provider("one", &film), provider("one", &film));
    let direct = get(&silent.movie_url("one", 900)).await;
    let (_other, silent_url) = scene(&[("one", &silent)]).await;
    let (mainstem, paused_url) = scene(&[("one", &paused)]).await;
    let going_on = async {
        silent
            .stream(900)
            .fault_times(Fault::Stall(Extent::Bytes(1_000_000)), 1);
        let film = Viewer::open_as(&silent_url, &[("Range", "bytes=0-4999999")]).await;
        film.end(2 * SOON).await;
        assert!(film.bytes() == direct.body[..5_000_000], "{} bytes", film.count());
        assert_eq!(ranges(&silent, "one").last().unwrap(), "bytes=1000000-4999999");
        assert_eq!(silent.account("one").peak(), 1);
    };
    let pausing = async {
        let account = paused.account("one");
        let mut player = Raw::get(&paused_url, true).await;
        let mut film = player.read(1_000_000).await;
        // A pause longer than a viewer of a live channel may take nothing: the response stays, and after 20 s the
        // connection goes to whoever waits.
        let live = mainstem.stream_url("Live").await;
        let viewer = eventually("the connection of the pause", || async {
            let viewer = Viewer::open(&live).await;
            (viewer.status == 200 && account.requests().last().unwrap().path.contains("live"))
                .then_some(viewer)
        })
        .await;
        viewer.more(188 * 100).await;
        drop(viewer);
        film.extend(player.read(5_000_000).await);
        let body = film.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        assert!(direct.body.starts_with(&film[body..]), "the same bytes");
        assert_eq!((account.peak(), account.over_limit()), (1, 0));
    };
    tokio::join!(going_on, pausing);
}

/// An MP4 with its index at the end, so that a player has to seek before it can begin.
fn made_film(folder: &std::path::Path, name: &str, more: &[&str]) -> Vec<u8> {
    let path = folder.join(name);
    let made = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-nostdin",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=640x360:r=25",
            "-f",
            "lavfi",
            "-i",
        ])
        .args([
            "sine=f=440:r=48000",
            "-t",
            "20",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-b:v",
            "1500k",
        ])
        .args(["-g", "50", "-c:a", "aac"])
        .args(more)
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    std::fs::read(path).unwrap()
}

/// The checksums of the frames that ffmpeg decodes from an address, from `at` on.
fn frames(url: &str, at: &str) -> String {
    let output = Command::new("ffmpeg")
        .args([
            "-v", "error", "-nostdin", "-ss", at, "-i", url, "-map", "0:v", "-map", "0:a",
        ])
        .args(["-fps_mode", "passthrough", "-f", "framecrc", "-"])
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{at}: {complaints}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_sees_the_same_frames_though_the_source_dies_again_and_again() {
    if !has_tool("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let forms: [(&str, &str, &[&str]); 3] = [
        ("film.mp4", "video/mp4", &[]),
        ("film.mkv", "application/octet-stream", &[]),
        ("film.flv", "video/mp2t", &["-ar", "44100"]),
    ];
    for (name, called, more) in forms {
        let content = made_film(folder.path(), name, more);
        let one = provider("one", &Movie::of(900, "Film", &content, called));
        let (_mainstem, url) = scene(&[("one", &one)]).await;
        let direct = folder.path().join(name).display().to_string();
        for at in ["0", "13.2"] {
            one.stream(900).clear();
            let asked = direct.clone();
            let right = tokio::task::spawn_blocking(move || frames(&asked, at))
                .await
                .unwrap();
            assert!(right.lines().count() > 100, "{right}");
            let account = one.account("one");
            let before = account.requests().len();
            one.stream(900).fault(Fault::Rst(Extent::Bytes(400_000)));
            let asked = url.clone();
            let through = tokio::task::spawn_blocking(move || frames(&asked, at))
                .await
                .unwrap();
            assert!(through == right, "{name} from {at}: other frames");
            assert!(account.requests().len() > before + 2, "{name}: it did break off");
            assert_eq!(account.over_limit(), 0);
        }
    }
}

/// The pictures that mpv shows from `13.2` on, as files.
fn pictures(url: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let shown = Command::new("mpv")
        .args([
            "--no-config",
            "--really-quiet",
            "--no-audio",
            "--untimed",
            "--start=13.2",
            "--frames=60",
        ])
        .args(["--vo=image", "--vo-image-format=jpg"])
        .arg(format!("--vo-image-outdir={}", folder.path().display()))
        .arg(url)
        .status()
        .unwrap();
    assert!(shown.success(), "{url}");
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn mpv_seeks_and_shows_the_same_pictures_though_the_source_dies_again_and_again() {
    if !has_tool("ffmpeg") || !has_tool("mpv") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, called) in [("film.mp4", "video/mp4"), ("film.mkv", "video/x-matroska")] {
        let content = made_film(folder.path(), name, &[]);
        let one = provider("one", &Movie::of(900, "Film", &content, called));
        let (_mainstem, url) = scene(&[("one", &one)]).await;
        one.stream(900).fault(Fault::Eof(Extent::Bytes(400_000)));
        let direct = folder.path().join(name).display().to_string();
        let show = |address: String| tokio::task::spawn_blocking(move || pictures(&address));
        let (right, through) = (show(direct).await.unwrap(), show(url).await.unwrap());
        assert_eq!((right.len(), through.len()), (60, 60), "{name}");
        assert!(right == through, "{name}: other pictures");
        let account = one.account("one");
        assert!(account.requests().len() > 3, "{name}: it did break off");
        assert_eq!(account.over_limit(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_entry_that_is_a_file_is_played_as_one() {
    if !has_tool("ffmpeg") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let forms: [(&str, &str, &[&str]); 3] = [
        ("live.flv", "video/x-flv", &["-ar", "44100"]),
        ("live.mkv", "video/x-matroska", &[]),
        ("live.mp4", "video/mp4", &["-movflags", "+faststart"]),
    ];
    for (name, called, more) in forms {
        let content = made_film(folder.path(), name, more);
        for said in [called, "", "video/mp2t", "application/octet-stream"] {
            let one = provider("one", &Movie::of(900, "Film", &content, said));
            // As live streams come: without a length.
            one.stream(900).fault(Fault::Head(HeadStyle::Chunked));
            one.stream(900).fault(Fault::Ranges(RangeStyle::Ignored));
            let config = format!(
                "{QUICK}log_level: DEBUG\nsources: [{{name: one, type: m3u, url: one.m3u, max_connections: 1}}]\n"
            );
            let list = format!("#EXTM3U\n#EXTINF:-1,Entry\n{}\n", one.live_url("one", 900));
            let mainstem = Launch::new(&config).file("one.m3u", &list).ready().await;
            let viewer = Viewer::open(&mainstem.stream_url("Entry").await).await;
            viewer.end(SOON).await;
            assert_eq!(
                (viewer.status, &viewer.headers["content-type"]),
                (200, &called.parse().unwrap()),
                "{name} as '{said}'"
            );
            assert!(viewer.bytes() == content, "{name} as '{said}'");
            let account = one.account("one");
            assert_eq!(
                (account.peak(), account.over_limit()),
                (1, 0),
                "{name} as '{said}'"
            );
        }
    }
}
