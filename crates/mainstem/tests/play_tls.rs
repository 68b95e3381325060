//! Sources over TLS: they play and give way like any other, and a certificate that does not hold is no source.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;
#[path = "support/tls.rs"]
mod tls;

use std::time::Duration;

use provider_double::{Account, Channel, Clip, Now, Plan, Provider};
use support::decode::{Colour, decode_aside};
use support::process::QUICK;
use support::ts::Report;
use support::{Launch, Mainstem, SOON, Viewer, eventually, get_json};
use tls::{AUTHORITY, TlsFront};

/// A provider behind TLS, whose clip is purple, and one without, whose clip is dark red.
struct Scene {
    secure: Provider,
    front: TlsFront,
    plain: Provider,
    mainstem: Mainstem,
}

fn provider(login: &str, clip: Clip) -> Provider {
    let account = Account::new(login, "secret").max_connections(1);
    let plan = Plan::new()
        .account(account)
        .channel(Channel::new(1, "News", clip));
    Provider::start(plan).unwrap()
}

fn list(url: &str) -> String {
    format!("#EXTM3U\n#EXTINF:-1,News\n{url}\n")
}

impl Scene {
    /// `keys` are further keys of the source over TLS; `trusted` where its authority is one of the system's.
    async fn start(keys: &str, trusted: bool) -> Self {
        let secure = provider("over-tls", Clip::PcrOwnPid);
        let plain = provider("without", Clip::H264Closed);
        let front = TlsFront::start(secure.addr()).await;
        let url = secure.live_url("over-tls", 1);
        let url = url.replace(
            &format!("http://{}", secure.addr()),
            &format!("https://{}", front.host()),
        );
        assert!(url.starts_with("https://localhost:"), "{url}");
        let launch = Launch::new(&format!(
            "{QUICK}log_level: DEBUG\nsources:\n  - {{name: secure, type: m3u, url: secure.m3u{keys}}}\n  - {{name: plain, type: m3u, url: plain.m3u}}\n"
        ))
        .file("secure.m3u", &list(&url))
        .file("plain.m3u", &list(&plain.live_url("without", 1)))
        .file("authority.pem", AUTHORITY);
        let authority = launch.folder().join("authority.pem");
        let launch = if trusted {
            launch.env("SSL_CERT_FILE", authority.to_str().unwrap())
        } else {
            launch
        };
        let mainstem = launch.ready().await;
        let streams = mainstem.url("/streams");
        eventually("the channel has both sources", || async {
            (get_json(&streams).await["streams"][0]["sources"] == 2).then_some(())
        })
        .await;
        Self {
            secure,
            front,
            plain,
            mainstem,
        }
    }

    async fn watch(&self, media: Duration) -> Viewer {
        let viewer = Viewer::open(&self.mainstem.stream_url("News").await).await;
        viewer.media(media, SOON).await;
        viewer
    }
}

async fn colours(bytes: Vec<u8>) -> Option<Vec<Colour>> {
    Report::of(&bytes).assert_clean("a channel over TLS");
    Some(decode_aside(bytes).await?.scenes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_over_tls_plays_and_gives_way_in_the_same_response() {
    let scene = Scene::start("", true).await;
    let viewer = scene.watch(Duration::from_secs(6)).await;
    assert_eq!(scene.secure.account("over-tls").open_now(), 1);
    assert_eq!(scene.plain.account("without").log().opens.len(), 0);
    scene.secure.stream(1).now(Now::Rst);
    let next = scene.plain.account("without");
    next.wait_until(|log| log.open_now == 1, SOON).await.unwrap();
    viewer.more_media(Duration::from_secs(4), SOON).await;
    assert!(!viewer.is_over());
    if let Some(scenes) = colours(viewer.bytes()).await {
        assert!(scenes.first().unwrap().is_like(Colour::PURPLE), "{scenes:?}");
        assert!(scenes.last().unwrap().is_like(Colour::DARK_RED), "{scenes:?}");
    }
    drop(viewer);
    let login = scene.secure.account("over-tls");
    login.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_does_not_hold_is_no_source_unless_the_operator_says_so() {
    let strict = Scene::start("", false).await;
    let viewer = strict.watch(Duration::from_secs(3)).await;
    if let Some(scenes) = colours(viewer.bytes()).await {
        assert!(
            scenes.iter().all(|scene| scene.is_like(Colour::DARK_RED)),
            "{scenes:?}"
        );
    }
    assert_eq!(strict.secure.account("over-tls").log().opens.len(), 0);
    let log = strict.mainstem.wait_log("certificate").await;
    assert!(log.contains("secure"), "{log}");
    assert!(!log.contains(&strict.front.host()), "no address in the log");
    let lenient = Scene::start(", insecure_tls: true", false).await;
    let viewer = lenient.watch(Duration::from_secs(3)).await;
    assert_eq!(lenient.secure.account("over-tls").open_now(), 1);
    if let Some(scenes) = colours(viewer.bytes()).await {
        assert!(
            scenes.iter().all(|scene| scene.is_like(Colour::PURPLE)),
            "{scenes:?}"
        );
    }
}
