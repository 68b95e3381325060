//! The slate: in the channel's own codecs, so that players see one programme from slate to source and back; and it says
//! what is wrong.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use provider_double::{
    Account, AccountHandle, Channel, Clip, Fault, List, ListFault, Now, Plan, Provider, StreamHandle,
};
use support::decode::{Colour, decode_aside_but_for, first_picture, loudness};
use support::process::QUICK;
use support::scene::{Case, Scene};
use support::ts::{Report, whole_units};
use support::{Launch, SOON, Viewer, all_at_once};

/// The slates' background.
const SLATE: Colour = Colour([0x14, 0x18, 0x1F]);

/// Media a viewer sees of each.
const SEEN: Duration = Duration::from_secs(4);

/// A slate has no B pictures and a source may: ffmpeg's demuxer has made up its mind by then, and mends it by itself.
const MORE_DELAY: &[&str] = &[
    "video_delay is larger in decoder than demuxer",
    "If you want to help, upload a sample",
];

fn status(code: u16) -> Fault {
    Fault::Status {
        code,
        body: String::new(),
        retry_after: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_seen_once_begins_on_a_slate_of_its_own_kind_and_comes_and_goes() {
    let clips = [Clip::H264Closed, Clip::HevcEac3, Clip::Mpeg2Ac3, Clip::Radio];
    let cases = clips.map(|clip| Case::new(clip.letter(), clip, clip)).to_vec();
    let scene = Scene::of(cases, &[], |providers| {
        for id in 1..=clips.len() {
            providers.second.stream(id).fault(status(404));
        }
    })
    .await;
    let mut checks = Vec::new();
    for case in scene.cases() {
        let url = scene.mainstem.stream_url(&case.name).await;
        let (first, stream) = (scene.logins(case).0, scene.streams(case).0);
        checks.push((
            case.name.clone(),
            comes_and_goes(url, case.clone(), first, stream),
        ));
    }
    all_at_once(checks.into_iter()).await;
}

async fn comes_and_goes(url: String, case: Case, first: AccountHandle, stream: StreamHandle) {
    let name = &case.name;
    let once = Viewer::open(&url).await;
    once.media(Duration::from_secs(1), SOON).await;
    let types = |bytes: &[u8]| Report::of(bytes).streams.values().copied().collect::<Vec<_>>();
    let own = types(&once.bytes());
    drop(once);
    stream.fault(status(404));
    first.wait_until(|log| log.open_now == 0, SOON).await.unwrap();

    let viewer = Viewer::open(&url).await;
    viewer.media(SEEN, SOON).await;
    assert_eq!(types(&viewer.bytes()), own, "{name}: the slate's streams");
    stream.clear();
    first.wait_until(|log| log.open_now == 1, SOON).await.unwrap();
    viewer.more_media(SEEN, SOON).await;
    stream.fault(status(404));
    stream.now(Now::Eof);
    first.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    viewer.more_media(SEEN, SOON).await;
    assert!(!viewer.is_over(), "{name}");
    let bytes = viewer.bytes();
    drop(viewer);
    let report = Report::of(&bytes);
    report.assert_clean(name);
    assert_eq!(report.pmt_versions.len(), 1, "{name}: one PMT all along");
    let whole = whole_units(&bytes);
    let Some(decoded) = decode_aside_but_for(bytes, MORE_DELAY).await else {
        return;
    };
    match (Colour::of(case.first.clip), decoded.scenes().as_slice()) {
        (None, []) => {}
        (Some(own), [before, live, after])
            if before.is_like(SLATE) && live.is_like(own) && after.is_like(SLATE) => {}
        (_, scenes) => panic!("{name}: {scenes:?}"),
    }
    let heard = loudness(&whole).unwrap();
    let tone: Vec<bool> = heard.iter().map(|level| *level > 0.01).collect();
    let changes = tone.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(
        (tone[5], changes, tone[tone.len() - 5]),
        (false, 2, false),
        "{name}: silence, the source, silence: {heard:.3?}"
    );
}

/// A source that says of its account that it is over.
const ENDED: &str = r#"{"user_info":{"username":"ended","password":"secret","auth":1,"status":"Active",
    "exp_date":"1000000000","max_connections":"1","active_cons":"0","allowed_output_formats":["ts"]},
    "server_info":{"url":"127.0.0.1","port":"80","server_protocol":"http"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_slate_says_what_is_wrong() {
    let plan = ["gone", "full", "ended"]
        .into_iter()
        .enumerate()
        .fold(Plan::new(), |plan, (number, name)| {
            plan.account(Account::new(name, "secret")).channel(Channel::new(
                number + 1,
                name,
                Clip::H264Closed,
            ))
        });
    let provider = Provider::start(plan).unwrap();
    provider.stream(1).fault(status(404));
    provider.stream(2).fault(status(458));
    provider
        .account("ended")
        .list_fault_on(List::Login, ListFault::Body(ENDED.to_owned()));
    provider.account("ended").fault(status(403));
    let list = format!(
        "#EXTM3U\n#EXTINF:-1,offline\n{}\n#EXTINF:-1,limit\n{}\n",
        provider.live_url("gone", 1),
        provider.live_url("full", 2)
    );
    let config = format!(
        "{QUICK}log_level: DEBUG\nsources:\n  - {{name: list, type: m3u, url: list.m3u}}\n  - {{name: ended, type: xtream, url: \"{}\", username: ended, password: secret}}\n",
        provider.base_url()
    );
    let mainstem = Launch::new(&config).file("list.m3u", &list).ready().await;
    let slates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/slate");
    let known = ["offline", "limit", "expired"].map(|message| {
        let clip = std::fs::read(slates.join(format!("{message}.h264.ts"))).unwrap();
        (message, first_picture(&clip))
    });
    for (channel, message) in [("offline", "offline"), ("limit", "limit"), ("ended", "expired")] {
        let viewer = Viewer::open(&mainstem.stream_url(channel).await).await;
        viewer.media(Duration::from_secs(2), SOON).await;
        let bytes = whole_units(&viewer.bytes());
        Report::of(&bytes).assert_clean(channel);
        let Some(seen) = first_picture(&bytes) else { return };
        let differs = |other: &Option<Vec<u8>>| -> u64 {
            let pairs = seen.iter().zip(other.as_ref().unwrap());
            pairs.map(|(a, b)| u64::from(a.abs_diff(*b))).sum()
        };
        let nearest = known.iter().min_by_key(|(_, picture)| differs(picture)).unwrap();
        assert_eq!(nearest.0, message, "the slate of {channel}");
        assert!(
            differs(&nearest.1) < seen.len() as u64,
            "{channel}: {}",
            differs(&nearest.1)
        );
    }
}
