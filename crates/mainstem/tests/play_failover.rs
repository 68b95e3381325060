//! Every way in which a source can die, and that the same response goes on with the next one.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::time::{Duration, Instant};

use provider_double::{Extent, Fault, Now, RedirectForm};
use support::decode::{Colour, decode, decode_aside};
use support::process::QUICK_SWITCH;
use support::scene::{Case, Scene};
use support::ts::Report;
use support::{SOON, Viewer, all_at_once, eventually, get_json};

/// What the second source shows.
const RED: Colour = Colour::DARK_RED;
/// What the first source shows.
const PURPLE: Colour = Colour::PURPLE;

fn status(code: u16) -> Fault {
    Fault::Status {
        code,
        body: "no".to_owned(),
        retry_after: None,
    }
}

/// Deaths that show before the first picture.
fn deaths_at_open() -> Vec<(&'static str, Fault)> {
    vec![
        ("refuse", Fault::Refuse),
        ("404", status(404)),
        ("403", status(403)),
        ("500", status(500)),
        ("458", status(458)),
        ("509", status(509)),
        ("html", Fault::Html),
        ("json", Fault::Json),
        ("empty", Fault::EmptyBody),
        ("silence", Fault::Silence),
        ("hang", Fault::HangBeforeHead),
        ("stall-early", Fault::Stall(Extent::Bytes(500))),
        ("eof-early", Fault::Eof(Extent::Bytes(1_000))),
        ("rst-early", Fault::Rst(Extent::Bytes(1_000))),
        ("garbage", Fault::Garbage),
        ("mp4", Fault::Mp4),
        (
            "loop",
            Fault::Redirect {
                hops: 250,
                form: RedirectForm::Absolute,
            },
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_opened_gives_way_to_the_next() {
    let deaths = deaths_at_open();
    let names: Vec<&str> = deaths.iter().map(|(name, _)| *name).collect();
    let scene = Scene::prepare(&names, |providers| {
        for (number, (_, fault)) in deaths.iter().enumerate() {
            providers.first.stream(number + 1).fault(fault.clone());
        }
    })
    .await;
    let mut checks = Vec::new();
    for case in scene.cases() {
        let url = scene.mainstem.stream_url(&case.name).await;
        let logins = scene.logins(case);
        let name = case.name.clone();
        checks.push((name.clone(), async move {
            let viewer = Viewer::open(&url).await;
            assert_eq!(
                (viewer.status, viewer.headers["content-type"].to_str().unwrap()),
                (200, "video/mp2t"),
                "{name}"
            );
            assert!(
                viewer.head_after < QUICK_SWITCH,
                "{name}: head after {:?}",
                viewer.head_after
            );
            logins.1.wait_until(|log| log.open_now == 1, SOON).await.unwrap();
            viewer.more_media(Duration::from_secs(4), SOON).await;
            assert!(
                !logins.0.log().opens.is_empty(),
                "{name}: the first source was asked"
            );
            logins.0.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
            let bytes = viewer.bytes();
            drop(viewer);
            Report::of(&bytes).assert_clean(&name);
            if let Some(decoded) = decode_aside(bytes).await {
                let last = *decoded.scenes().last().unwrap();
                assert!(last.is_like(RED), "{name}: {:?}", decoded.scenes());
                assert!(
                    !decoded.colours.iter().any(|colour| colour.is_like(PURPLE)),
                    "{name}"
                );
            }
        }));
    }
    all_at_once(checks.into_iter()).await;
}

/// Deaths of a stream that was playing.
fn deaths_in_mid_stream() -> Vec<(&'static str, Now)> {
    vec![
        ("stall", Now::Stall),
        ("trickle", Now::Trickle(0.3)),
        ("eof", Now::Eof),
        ("rst", Now::Rst),
        ("garbage", Now::Garbage),
    ]
}

/// How a source is when it is asked again after its death.
fn afterwards() -> Vec<(&'static str, Option<Fault>)> {
    vec![
        ("gone", Some(status(404))),
        ("hangs", Some(Fault::HangBeforeHead)),
        ("back", None),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_dies_in_mid_stream_gives_way_in_the_same_response() {
    let mut deaths = Vec::new();
    for (name, death) in deaths_in_mid_stream() {
        for (then, fault) in afterwards() {
            deaths.push((format!("{name}-{then}"), death, fault));
        }
    }
    let names: Vec<&str> = deaths.iter().map(|(name, ..)| name.as_str()).collect();
    let scene = Scene::start(&names).await;
    let mut checks = Vec::new();
    for (case, (_, death, fault)) in scene.cases().iter().zip(deaths.clone()) {
        let url = scene.mainstem.stream_url(&case.name).await;
        checks.push((
            case.name.clone(),
            dies(
                url,
                case.clone(),
                death,
                fault,
                scene.logins(case),
                scene.streams(case),
            ),
        ));
    }
    all_at_once(checks.into_iter()).await;
    // Nothing is left behind at either provider once everybody has gone.
    for case in scene.cases() {
        let (first, second) = scene.logins(case);
        first.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
        second.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    }
    let url = scene.mainstem.url("/status");
    eventually("no connection in use", || async {
        (get_json(&url).await["connections"]["total_connections"] == 0).then_some(())
    })
    .await;
}

async fn dies(
    url: String,
    case: Case,
    death: Now,
    fault: Option<Fault>,
    logins: (provider_double::AccountHandle, provider_double::AccountHandle),
    streams: (provider_double::StreamHandle, provider_double::StreamHandle),
) {
    let name = &case.name;
    let viewer = Viewer::open(&url).await;
    viewer.media(Duration::from_secs(3), SOON).await;
    assert_eq!(logins.0.open_now(), 1, "{name}");
    assert_eq!(logins.1.log().opens.len(), 0, "{name}");
    let has_fault = fault.is_some();
    if let Some(fault) = fault {
        streams.0.fault(fault);
    }
    let died = Instant::now();
    streams.0.now(death);
    logins.1.wait_until(|log| log.open_now == 1, SOON).await.unwrap();
    let switched = died.elapsed();
    assert!(
        switched < QUICK_SWITCH,
        "{name}: the next source was asked after {switched:?}"
    );
    viewer.more_media(Duration::from_secs(4), SOON).await;
    assert!(
        has_fault || logins.0.peak() == 1,
        "{name}: never two at one login"
    );
    assert!(!viewer.is_over(), "{name}");
    let bytes = viewer.bytes();
    let report = Report::of(&bytes);
    report.assert_clean(name);
    assert!(
        report.largest_step < 1.5,
        "{name}: a step of {} s",
        report.largest_step
    );
    if let Some(decoded) = decode_aside(bytes).await {
        let scenes = decoded.scenes();
        assert!(scenes.first().unwrap().is_like(PURPLE), "{name}: {scenes:?}");
        assert!(scenes.last().unwrap().is_like(RED), "{name}: {scenes:?}");
        assert!(scenes.len() <= 3, "{name}: {scenes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_sources_dead_there_is_a_slate_in_real_time_and_then_the_source_again() {
    let scene = Scene::prepare(&["dead"], |providers| {
        providers.first.stream(1).fault(status(404));
        providers.second.stream(1).fault(Fault::Refuse);
    })
    .await;
    let case = scene.case("dead");
    let (first, second) = scene.logins(&case);
    let viewer = Viewer::open(&scene.mainstem.stream_url("dead").await).await;
    assert_eq!(viewer.status, 200);
    // What is ahead of the clock at the start is not pace: count from the first second on.
    viewer.media(Duration::from_secs(2), SOON).await;
    let seconds = if support::full() { 30.0 } else { 9.0 };
    let (began, from) = (Instant::now(), Report::of(&viewer.bytes()).media);
    viewer
        .more_media(Duration::from_secs_f64(seconds), SOON * 2)
        .await;
    let wall = began.elapsed().as_secs_f64();
    let media = (Report::of(&viewer.bytes()).media - from).as_secs_f64();
    assert!(
        (0.9..1.1).contains(&(media / wall)),
        "{media} s of slate in {wall} s"
    );
    let slate = viewer.bytes();
    Report::of(&slate).assert_clean("slate");
    if let Some(decoded) = decode(&slate) {
        assert!(
            !decoded
                .colours
                .iter()
                .any(|c| c.is_like(RED) || c.is_like(PURPLE))
        );
        assert!(decoded.pictures > 100, "{}", decoded.pictures);
    }
    first.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    second.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    assert!(first.peak() <= 1 && second.peak() <= 1);

    scene.streams(&case).1.clear();
    second.wait_until(|log| log.open_now == 1, SOON).await.unwrap();
    viewer.more_media(Duration::from_secs(5), SOON).await;
    let bytes = viewer.bytes();
    let report = Report::of(&bytes);
    report.assert_clean("slate and source");
    if let Some(decoded) = decode(&bytes) {
        assert!(
            decoded.colours.last().unwrap().is_like(RED),
            "{:?}",
            decoded.scenes()
        );
    }
}
