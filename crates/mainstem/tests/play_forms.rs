//! Forms in which streams come: HLS, redirects with tokens, every clip of the provider, odd response heads.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::time::Duration;

use provider_double::{
    Account, AccountHandle, Channel, Clip, Fault, HeadStyle, Now, Plan, Provider, RedirectForm, StreamHandle,
};
use serde_json::Value;
use support::decode::{Colour, decode_aside};
use support::process::QUICK;
use support::ts::Report;
use support::{Launch, Mainstem, SOON, Viewer, eventually, get_json};
use tokio::task::JoinSet;

/// A provider with a login per channel, so that what happens to one says nothing about another.
fn provider(channels: Vec<Channel>) -> Provider {
    let plan = channels.into_iter().fold(Plan::new(), |plan, channel| {
        let account = Account::new(&user(&channel.id), "secret").hls_idle(Duration::from_secs(2));
        plan.account(account.max_connections(1)).channel(channel)
    });
    Provider::start(plan).unwrap()
}

fn user(id: &str) -> String {
    format!("user-{id}")
}

/// mainstem with one channel per `(name, addresses)`; the addresses are its sources in order.
async fn mainstem(channels: &[(&str, Vec<String>)]) -> Mainstem {
    let sources = channels.iter().map(|(_, urls)| urls.len()).max().unwrap();
    let mut config = format!("{QUICK}log_level: DEBUG\nsources:\n");
    for source in 0..sources {
        config.push_str(&format!(
            "  - {{name: s{source}, type: m3u, url: s{source}.m3u}}\n"
        ));
    }
    let mut launch = Launch::new(&config);
    for source in 0..sources {
        let entries: String = channels
            .iter()
            .filter_map(|(name, urls)| Some(format!("#EXTINF:-1,{name}\n{}\n", urls.get(source)?)))
            .collect();
        launch = launch.file(&format!("s{source}.m3u"), &format!("#EXTM3U\n{entries}"));
    }
    launch.ready().await
}

async fn plays(viewer: &Viewer, media: u64, what: &str) -> Vec<u8> {
    assert_eq!(viewer.status, 200, "{what}");
    let media = Duration::from_secs(media);
    viewer.media(media, SOON + media * 2).await;
    let bytes = viewer.bytes();
    Report::of(&bytes).assert_clean(what);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_stream_plays() {
    let channels = Clip::ALL
        .iter()
        .enumerate()
        .map(|(number, clip)| Channel::new(number + 1, &format!("Clip {}", clip.letter()), *clip))
        .collect::<Vec<_>>();
    let provider = provider(channels.clone());
    let lists: Vec<(&str, Vec<String>)> = channels
        .iter()
        .map(|channel| {
            (
                channel.name.as_str(),
                vec![provider.live_url(&user(&channel.id), &channel.id)],
            )
        })
        .collect();
    let mainstem = mainstem(&lists).await;
    let seconds = if support::full() { 60 } else { 10 };
    let mut watching = JoinSet::new();
    for (channel, clip) in channels.iter().zip(Clip::ALL) {
        let url = mainstem.stream_url(&channel.name).await;
        let what = clip.describe();
        watching.spawn(async move {
            let viewer = Viewer::open(&url).await;
            (*clip, plays(&viewer, seconds, what).await)
        });
    }
    for (clip, bytes) in watching.join_all().await {
        let report = Report::of(&bytes);
        assert!(report.sounds() > 10, "{}: {report:?}", clip.describe());
        let Some(decoded) = decode_aside(bytes).await else {
            continue;
        };
        if Colour::of(clip).is_none() {
            assert_eq!(decoded.pictures, 0);
        } else {
            // Ten seconds go through the loop of every clip; a lap shows the same numbers again.
            assert!(
                decoded.pictures >= 200,
                "{}: {}",
                clip.describe(),
                decoded.pictures
            );
            assert!(
                decoded.distinct >= 100,
                "{}: {} distinct",
                clip.describe(),
                decoded.distinct
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_response_heads_play() {
    let styles = [
        HeadStyle::Chunked,
        HeadStyle::FakeLength,
        HeadStyle::Http10,
        HeadStyle::Icy,
        HeadStyle::LfOnly,
        HeadStyle::WrongType,
        HeadStyle::NoType,
    ];
    let names: Vec<String> = styles.iter().map(|style| format!("{style:?}")).collect();
    let channels = names
        .iter()
        .enumerate()
        .map(|(n, name)| Channel::new(n + 1, name, Clip::H264Closed))
        .collect();
    let provider = provider(channels);
    let mut lists = Vec::new();
    for (number, (style, name)) in styles.iter().zip(&names).enumerate() {
        let id = number + 1;
        provider.stream(id).fault(Fault::Head(*style));
        lists.push((name.as_str(), vec![provider.live_url(&user(&id.to_string()), id)]));
    }
    let mainstem = mainstem(&lists).await;
    let mut watching = JoinSet::new();
    for name in names {
        let url = mainstem.stream_url(&name).await;
        watching.spawn(async move {
            let viewer = Viewer::open(&url).await;
            let bytes = plays(&viewer, 2, &name).await;
            (name, bytes)
        });
    }
    for (name, bytes) in watching.join_all().await {
        if let Some(decoded) = decode_aside(bytes).await {
            let is_live = |colour: &Colour| colour.is_like(Colour::DARK_RED);
            assert!(decoded.colours.iter().all(is_live), "{name}: the slate?");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_with_tokens_play_and_every_reconnect_starts_from_the_list_s_address() {
    let forms = [
        ("absolute", 1, RedirectForm::Absolute),
        ("relative", 2, RedirectForm::Relative),
        ("elsewhere", 1, RedirectForm::OtherHost),
        ("many", 6, RedirectForm::OtherHost),
    ];
    let channels = forms
        .iter()
        .enumerate()
        .map(|(n, form)| Channel::new(n + 1, form.0, Clip::H264Closed))
        .collect();
    let provider = provider(channels);
    let mut lists = Vec::new();
    for (number, (name, hops, form)) in forms.iter().enumerate() {
        let id = number + 1;
        provider.stream(id).fault(Fault::Redirect {
            hops: *hops,
            form: *form,
        });
        lists.push((*name, vec![provider.live_url(&user(&id.to_string()), id)]));
    }
    let mainstem = mainstem(&lists).await;
    let mut watching = JoinSet::new();
    for (number, (name, hops, _)) in forms.into_iter().enumerate() {
        let id = number + 1;
        let login = provider.account(&user(&id.to_string()));
        let url = mainstem.stream_url(name).await;
        watching.spawn(reconnects(
            url,
            name,
            usize::from(hops) + 1,
            login,
            provider.stream(id),
        ));
    }
    watching.join_all().await;
}

/// Plays a stream that takes `requests` requests to get at, before and after the provider ends it.
async fn reconnects(url: String, name: &str, requests: usize, login: AccountHandle, stream: StreamHandle) {
    let viewer = Viewer::open(&url).await;
    plays(&viewer, 3, name).await;
    // Tokens are for one use: what plays again after this asked the first address again.
    stream.now(Now::Eof);
    login
        .wait_until(|log| log.opens.len() == 2 * requests, SOON)
        .await
        .unwrap();
    viewer.more_media(Duration::from_secs(3), SOON).await;
    let bytes = viewer.bytes();
    Report::of(&bytes).assert_clean(name);
    let asked = login.requests();
    let first = asked
        .iter()
        .filter(|request| request.path.starts_with("/live/"))
        .count();
    assert_eq!((first, asked.len()), (2, 2 * requests), "{name}");
    assert_eq!(login.peak(), 1, "{name}: a hop closes before the next one opens");
    if let Some(decoded) = decode_aside(bytes).await {
        assert!(
            decoded.colours.last().unwrap().is_like(Colour::DARK_RED),
            "{name}"
        );
    }
}

/// What mainstem says went wrong with a channel.
async fn failure(mainstem: &Mainstem, name: &str) -> Option<String> {
    let active = get_json(&mainstem.url("/active-streams")).await;
    let broadcasts = active["broadcasts"].as_array()?.clone();
    let broadcast = broadcasts.iter().find(|broadcast| broadcast["name"] == name)?;
    broadcast
        .get("last_failure")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_plays_as_one_stream() {
    let provider = provider(vec![
        Channel::new(1, "media", Clip::H264Closed),
        Channel::new(2, "multivariant", Clip::H264Closed).multivariant(),
        Channel::new(3, "open-gop", Clip::H264OpenWrap),
    ]);
    let names = ["media", "multivariant", "open-gop"];
    let url = |id: usize| vec![provider.hls_url(&user(&id.to_string()), id)];
    let lists: Vec<_> = names.iter().zip(1..).map(|(name, id)| (*name, url(id))).collect();
    let mainstem = mainstem(&lists).await;
    let mut watching = JoinSet::new();
    for name in names {
        let url = mainstem.stream_url(name).await;
        watching.spawn(async move {
            let viewer = Viewer::open(&url).await;
            (name, plays(&viewer, 14, name).await)
        });
    }
    for (name, bytes) in watching.join_all().await {
        let report = Report::of(&bytes);
        assert!(
            report.largest_step < 0.2,
            "{name}: no segment is lost: {} s",
            report.largest_step
        );
        if let Some(decoded) = decode_aside(bytes).await {
            assert!(decoded.distinct >= 190, "{name}: {}", decoded.distinct);
        }
    }
    for id in 1..=3 {
        let login = provider.account(&user(&id.to_string()));
        assert_eq!((login.peak(), login.over_limit()), (1, 0));
        // Segments are asked for once each.
        let mut segments: Vec<String> = login
            .requests()
            .iter()
            .map(|r| r.path.clone())
            .filter(|path| path.ends_with(".ts"))
            .collect();
        let asked = segments.len();
        segments.sort();
        segments.dedup();
        assert_eq!(asked, segments.len(), "{segments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_that_cannot_be_followed_gives_way_and_says_why() {
    let faults = [
        (
            "key",
            Fault::HlsKey,
            Some("copy protection (EXT-X-KEY METHOD=SAMPLE-AES"),
        ),
        ("map", Fault::HlsMap, Some("EXT-X-MAP")),
        ("segments", Fault::HlsSegments404, None),
        ("html", Fault::Html, None),
    ];
    let channels = |clip| -> Vec<Channel> {
        faults
            .iter()
            .enumerate()
            .map(|(n, fault)| Channel::new(n + 1, fault.0, clip))
            .collect()
    };
    let (first, second) = (
        provider(channels(Clip::PcrOwnPid)),
        provider(channels(Clip::H264Closed)),
    );
    let mut lists = Vec::new();
    for (number, (name, fault, _)) in faults.iter().enumerate() {
        let id = number + 1;
        first.stream(id).fault(fault.clone());
        let other = second.live_url(&user(&id.to_string()), id);
        lists.push((*name, vec![first.hls_url(&user(&id.to_string()), id), other]));
    }
    let mainstem = &mainstem_two_logins(&lists).await;
    for (name, _, said) in &faults {
        let viewer = Viewer::open(&mainstem.stream_url(name).await).await;
        viewer
            .until(SOON, "the second source", |bytes| {
                Report::of(bytes).pictures() > 50
            })
            .await;
        let bytes = viewer.bytes();
        Report::of(&bytes).assert_clean(name);
        let text = eventually("a failure", || failure(mainstem, name)).await;
        if let Some(said) = said {
            assert!(text.contains(said), "{name}: {text}");
        }
        if let Some(decoded) = decode_aside(bytes).await {
            assert!(
                !decoded
                    .colours
                    .iter()
                    .any(|colour| colour.is_like(Colour::PURPLE)),
                "{name}"
            );
        }
    }
}

/// Both providers are one host, and a login of one name there counts once; a name of its own per source does not.
async fn mainstem_two_logins(channels: &[(&str, Vec<String>)]) -> Mainstem {
    let mut config = format!("{QUICK}log_level: DEBUG\nsources:\n");
    // The first has the most free connections throughout, though its HLS sessions count on after they end.
    for (source, connections) in [40, 5].into_iter().enumerate() {
        config.push_str(&format!(
            "  - {{name: s{source}, type: m3u, url: s{source}.m3u, account: a{source}, max_connections: {connections}}}\n"
        ));
    }
    let list = |source: usize| -> String {
        channels
            .iter()
            .map(|(name, urls)| format!("#EXTINF:-1,{name}\n{}\n", urls[source]))
            .collect()
    };
    let mainstem = Launch::new(&config)
        .file("s0.m3u", &format!("#EXTM3U\n{}", list(0)))
        .file("s1.m3u", &format!("#EXTM3U\n{}", list(1)))
        .ready()
        .await;
    // The lists come in any order.
    let url = mainstem.url("/streams");
    eventually("every channel has both its sources", || async {
        let list = get_json(&url).await;
        let listed = list["streams"].as_array()?.iter();
        (listed.filter(|channel| channel["sources"] == 2).count() == channels.len()).then_some(())
    })
    .await;
    mainstem
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playlist_that_stands_still_gives_way() {
    let first = provider(vec![Channel::new(1, "frozen", Clip::PcrOwnPid)]);
    let second = provider(vec![Channel::new(1, "frozen", Clip::H264Closed)]);
    let lists = [(
        "frozen",
        vec![first.hls_url(&user("1"), 1), second.live_url(&user("1"), 1)],
    )];
    let mainstem = mainstem_two_logins(&lists).await;
    let viewer = Viewer::open(&mainstem.stream_url("frozen").await).await;
    plays(&viewer, 6, "frozen").await;
    first.stream(1).fault(Fault::HlsFrozen);
    let login = second.account(&user("1"));
    login.wait_until(|log| log.open_now == 1, SOON * 2).await.unwrap();
    viewer.more_media(Duration::from_secs(4), SOON).await;
    let bytes = viewer.bytes();
    Report::of(&bytes).assert_clean("frozen");
    if let Some(decoded) = decode_aside(bytes).await {
        let scenes = decoded.scenes();
        assert!(scenes.first().unwrap().is_like(Colour::PURPLE), "{scenes:?}");
        assert!(scenes.last().unwrap().is_like(Colour::DARK_RED), "{scenes:?}");
    }
}
