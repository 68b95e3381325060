//! The operator's own slate clip: shown where its codec is the promised one, with the built-in one elsewhere.

mod support;

use std::time::Duration;

use provider_double::{Account, Channel, Clip, Fault, Plan, Provider};
use support::decode::{Colour, decode_aside};
use support::process::QUICK;
use support::ts::Report;
use support::{Launch, SOON, Viewer};

/// Clip A: H.264, dark red, with sound of its own.
const OWN: &[u8] = include_bytes!("../../provider-double/clips/a.ts");

#[tokio::test(flavor = "multi_thread")]
async fn an_own_clip_is_shown_to_whom_it_was_promised() {
    let channels = [("teal", Clip::NoRandomAccess), ("brown", Clip::Hevc)];
    let mut plan = Plan::new().account(Account::new("user", "secret").max_connections(4));
    for (number, (name, clip)) in channels.iter().enumerate() {
        plan = plan.channel(Channel::new(number + 1, name, *clip));
    }
    let provider = Provider::start(plan).unwrap();
    let entries: String = (1..)
        .zip(channels)
        .map(|(id, (name, _))| format!("#EXTINF:-1,{name}\n{}\n", provider.live_url("user", id)))
        .collect();
    let config = format!(
        "{QUICK}log_level: DEBUG\nslate:\n  offline: own.ts\nsources:\n  - {{name: only, type: m3u, url: list.m3u}}\n"
    );
    let launch = Launch::new(&config).file("list.m3u", &format!("#EXTM3U\n{entries}"));
    std::fs::write(launch.folder().join("own.ts"), OWN).unwrap();
    let mainstem = launch.ready().await;

    for (id, (name, clip)) in (1..).zip(channels) {
        let viewer = Viewer::open(&mainstem.stream_url(name).await).await;
        viewer.media(Duration::from_secs(3), SOON).await;
        provider.stream(id).fault(Fault::Refuse);
        provider.stream(id).now(provider_double::Now::Rst);
        viewer.more_media(Duration::from_secs(9), SOON).await;
        let bytes = viewer.bytes();
        let report = Report::of(&bytes);
        report.assert_clean(name);
        assert_eq!(report.pmt_versions.len(), 1, "{name}");
        let Some(decoded) = decode_aside(bytes).await else {
            return;
        };
        let scenes = decoded.scenes();
        assert!(
            scenes.first().unwrap().is_like(Colour::of(clip).unwrap()),
            "{name}: {scenes:?}"
        );
        let is_own = scenes.last().unwrap().is_like(Colour::DARK_RED);
        assert_eq!(is_own, name == "teal", "{name}: {scenes:?}");
        assert_eq!(scenes.len(), 2, "{name}: {scenes:?}");
    }
}
