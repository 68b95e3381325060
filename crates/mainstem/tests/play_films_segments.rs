//! Films that their provider has in segments only: one transport stream from the beginning to the end, and no playlist.

mod support;

use support::decode::decode_aside;
use support::origin::{Origin, Page, Recording};
use support::process::QUICK;
use support::ts::Report;
use support::{Launch, Mainstem, Raw, eventually, get, get_json, request};

const SECONDS: u32 = 12;

async fn mainstem(origin: &Origin, name: &str) -> (Mainstem, String) {
    let film = origin.url(&format!("/movie/user/password/{name}.m3u8"));
    let list = format!("#EXTM3U\n#EXTINF:-1 group-title=\"Movies\",Film\n{film}\n");
    let config = format!("{QUICK}log_level: DEBUG\nsources: [{{name: one, type: m3u, url: one.m3u}}]\n");
    let mainstem = Launch::new(&config).file("one.m3u", &list).ready().await;
    let url = mainstem.stream_url("Film").await;
    (mainstem, url)
}

/// X10: panels that have films as HLS only.
#[tokio::test(flavor = "multi_thread")]
async fn a_film_in_segments_comes_as_one_stream_to_its_end() {
    let Some(recording) = Recording::make(SECONDS) else {
        return;
    };
    let origin = Origin::start().await;
    let fragments = ["-hls_time", "2", "-hls_segment_type", "fmp4"];
    for (name, arguments) in [("ts", &["-hls_time", "2"][..]), ("fragments", &fragments)] {
        let whole = recording.hls(name, arguments).put(&origin, true).whole();
        origin.put(&format!("/movie/user/password/{name}.m3u8"), Page::text(&whole));
        let (mainstem, url) = mainstem(&origin, name).await;
        let asked_for = [None, Some("bytes=0-")];
        for range in asked_for {
            let headers: Vec<_> = range.map(|range| ("Range", range)).into_iter().collect();
            let answer = request("GET", &url, &headers).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (200, "video/mp2t"),
                "{name}: {}",
                answer.text().get(..200).unwrap_or_default()
            );
            assert_eq!(
                (
                    answer.header("accept-ranges"),
                    answer.header("content-range"),
                    answer.header("content-length")
                ),
                ("none", "", "")
            );
            Report::of(&answer.body).assert_clean(name);
            let decoded = decode_aside(answer.body.to_vec()).await.unwrap();
            let frames = usize::try_from(SECONDS).unwrap() * 25;
            assert!(
                decoded.colours.len() + 2 >= frames,
                "{name}: {}",
                decoded.colours.len()
            );
        }
        // A player that sought would get what the provider's playlist has there.
        for range in ["bytes=20-", "bytes=-100"] {
            let answer = request("GET", &url, &[("Range", range)]).await;
            assert_eq!((answer.status, &*answer.text()), (416, ""), "{name} {range}");
        }
        let head = request("HEAD", &url, &[]).await;
        assert_eq!(
            (head.header("content-type"), head.header("accept-ranges")),
            ("video/mp2t", "none")
        );
        let status = mainstem.url("/status");
        eventually("its connection is given back", || async {
            (get_json(&status).await["connections"]["total_connections"] == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_in_segments_that_breaks_off_is_no_whole_film_and_one_without_any_is_none() {
    let Some(recording) = Recording::make(SECONDS) else {
        return;
    };
    let origin = Origin::start().await;
    let shelf = recording.hls("ts", &["-hls_time", "2"]).put(&origin, true);
    let whole = shelf.whole();
    let paths: Vec<_> = whole.lines().filter(|line| line.ends_with(".ts")).collect();
    // One in the middle: what follows it would be there.
    origin.remove(paths[3]);
    origin.put("/movie/user/password/half.m3u8", Page::text(&whole));
    let (_half, url) = mainstem(&origin, "half").await;
    let mut raw = Raw::get(&url, false).await;
    let (end, bytes) = raw.drain_all().await;
    assert!(bytes > 188 * 100, "{bytes}");
    assert!(
        !end.ends_with(b"\r\n0\r\n\r\n"),
        "it does not end as a whole one does"
    );

    // A list that still grows has no beginning to play from.
    let growing = whole.replace("#EXT-X-ENDLIST\n", "");
    origin.put("/movie/user/password/growing.m3u8", Page::text(&growing));
    let (_growing, url) = mainstem(&origin, "growing").await;
    let answer = get(&url).await;
    assert!(answer.status >= 400, "{}", answer.status);
    assert!(answer.text().contains("no end"), "{}", answer.text());

    paths.iter().for_each(|path| origin.remove(path));
    let (_none, url) = mainstem(&origin, "half").await;
    let answer = get(&url).await;
    assert!(answer.status >= 400, "{}", answer.status);
    let text = answer.text();
    assert!(text.contains("HLS") && !text.contains("password"), "{text}");
}
