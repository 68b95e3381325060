//! What one response lives through: twelve failovers in a row, clocks that wrap in the middle of one, and how long
//! nothing comes at each.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use provider_double::{AccountHandle, Clip, Fault, Join, Now, StreamHandle};
use support::decode::{Colour, decode, decode_aside};
use support::process::NO_SLATE;
use support::scene::{Case, Scene};
use support::ts::Report;
use support::{SOON, Viewer, all_at_once, get_json};

const FAILOVERS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn twelve_failovers_in_one_response() {
    let cases = vec![Case::new("twelve", Clip::H264Closed, Clip::NoRandomAccess)];
    let scene = Scene::of(cases, &[NO_SLATE], |_| {}).await;
    let case = scene.case("twelve");
    let (first, second) = scene.logins(&case);
    let streams = scene.streams(&case);
    let viewer = Viewer::open(&scene.mainstem.stream_url("twelve").await).await;
    for round in 0..FAILOVERS {
        let (here, there, stream) = if round % 2 == 0 {
            (&first, &second, &streams.0)
        } else {
            (&second, &first, &streams.1)
        };
        viewer.more_media(Duration::from_secs(1), SOON).await;
        assert_eq!((here.open_now(), there.open_now()), (1, 0), "round {round}");
        // It is gone for the one attempt it may get at once, and there again when its turn comes.
        stream.fault_times(Fault::Refuse, 1);
        stream.now([Now::Eof, Now::Rst][round / 2 % 2]);
        there.wait_until(|log| log.open_now == 1, SOON).await.unwrap();
        stream.clear();
    }
    viewer.more_media(Duration::from_secs(2), SOON).await;
    let status = get_json(&scene.mainstem.url("/active-streams")).await;
    assert_eq!(status["broadcasts"][0]["failovers"], FAILOVERS, "{status}");
    assert!(!viewer.is_over());
    assert!(first.peak() <= 1 && second.peak() <= 1);
    let bytes = viewer.bytes();
    let report = Report::of(&bytes);
    report.assert_clean("twelve failovers");
    assert_eq!(report.pmt_versions.len(), 1);
    if let Some(decoded) = decode(&bytes) {
        let scenes = decoded.scenes();
        assert_eq!(scenes.len(), FAILOVERS + 1, "{scenes:?}");
        for (number, scene) in scenes.iter().enumerate() {
            let clip = [Clip::H264Closed, Clip::NoRandomAccess][number % 2];
            assert!(scene.is_like(Colour::of(clip).unwrap()), "{number}: {scenes:?}");
        }
    }
}

/// 33 bits of 90 kHz (ISO 13818-1 clause 2.4.3.7): 26.5 hours.
const WRAP: u64 = 1 << 33;

/// When the clocks wrap, in milliseconds of media from the provider's start: some time before, while and after the first
/// source dies and the second enters.
const WRAPS_AT: [u64; 8] = [2_500, 3_000, 3_500, 4_000, 4_500, 5_000, 5_500, 6_500];

#[tokio::test(flavor = "multi_thread")]
async fn clocks_wrap_while_one_source_follows_another() {
    let pairs = [
        (Clip::H264Closed, Clip::H264OpenWrap),
        (Clip::H264Pyramid, Clip::PcrOwnPid),
        (Clip::PcrOwnPid, Clip::H264Interlaced),
        (Clip::Radio, Clip::RadioGrouped),
        (Clip::Hevc, Clip::Hevc),
        (Clip::Mpeg2, Clip::Mpeg2),
    ];
    let cases = (0..pairs.len() * 4).map(|number| {
        let ((first, second), at) = (pairs[number % pairs.len()], WRAPS_AT[number % WRAPS_AT.len()]);
        let letters = format!("{}{}", first.letter(), second.letter());
        let mut case = Case::new(&format!("wrap-{letters}-{at}-{number}"), first, second);
        for channel in [&mut case.first, &mut case.second] {
            let ahead = Duration::from_millis(at) + channel.phase;
            channel.time_base = Some(WRAP - u64::try_from(ahead.as_millis()).unwrap() * 90);
        }
        case
    });
    let scene = Scene::of(cases.collect(), &[NO_SLATE], |_| {}).await;
    let mut checks = Vec::new();
    for case in scene.cases() {
        let url = scene.mainstem.stream_url(&case.name).await;
        checks.push((
            case.name.clone(),
            wraps(url, case.clone(), scene.logins(case).1, scene.streams(case).0),
        ));
    }
    all_at_once(checks.into_iter()).await;
}

async fn wraps(url: String, case: Case, second: AccountHandle, stream: StreamHandle) {
    let name = &case.name;
    let viewer = Viewer::open(&url).await;
    viewer.media(Duration::from_secs(2), SOON).await;
    stream.fault(Fault::Refuse);
    stream.now(Now::Eof);
    second.wait_until(|log| log.open_now == 1, SOON).await.unwrap();
    viewer.more_media(Duration::from_secs(5), SOON).await;
    let bytes = viewer.bytes();
    let report = Report::of(&bytes);
    report.assert_clean(name);
    assert!(report.largest_step < 4.0, "{name}: {}", report.largest_step);
    let Some(decoded) = decode_aside(bytes).await else {
        return;
    };
    if let Some(colour) = Colour::of(case.second.clip) {
        assert!(decoded.scenes().last().unwrap().is_like(colour), "{name}");
    }
}

/// From the death to the next picture, less what the next source makes one wait for its keyframe.
#[tokio::test(flavor = "multi_thread")]
async fn how_long_nothing_comes() {
    const EACH: usize = 4;
    // The bound of a stall in QUICK; a busy machine adds its part.
    let (stall, busy) = (Duration::from_millis(2_500), Duration::from_millis(1_500));
    let deaths = [
        ("eof", Now::Eof, Duration::from_millis(100)),
        ("rst", Now::Rst, Duration::from_millis(100)),
        ("stall", Now::Stall, stall + Duration::from_millis(500)),
    ];
    let cases = deaths.iter().flat_map(|(name, ..)| {
        (0..EACH).map(move |number| {
            let mut case = Case::new(
                &format!("gap-{name}-{number}"),
                Clip::H264Closed,
                Clip::NoRandomAccess,
            );
            case.second = case.second.join(Join::Keyframe);
            case
        })
    });
    let scene = Scene::of(cases.collect(), &[NO_SLATE], |_| {}).await;
    let silences = Arc::new(Mutex::new(Vec::new()));
    let mut checks = Vec::new();
    for (number, case) in scene.cases().iter().enumerate() {
        let (death, now, bound) = deaths[number / EACH];
        let url = scene.mainstem.stream_url(&case.name).await;
        let stream = scene.streams(case).0;
        let (name, silences) = (case.name.clone(), Arc::clone(&silences));
        checks.push((case.name.clone(), async move {
            let viewer = Viewer::open(&url).await;
            viewer.media(Duration::from_secs(1), SOON).await;
            stream.fault(Fault::Refuse);
            let died = Instant::now();
            stream.now(now);
            viewer.more_media(Duration::from_secs(3), SOON).await;
            let silence = viewer.longest_silence(died);
            assert!(silence < bound + busy, "{name}: {silence:?}");
            silences.lock().unwrap().push((death, silence));
        }));
    }
    all_at_once(checks.into_iter()).await;
    let silences = silences.lock().unwrap();
    for (name, ..) in deaths {
        let of_death = silences.iter().filter(|(death, _)| *death == name);
        let mut sorted: Vec<Duration> = of_death.map(|(_, silence)| *silence).collect();
        sorted.sort_unstable();
        eprintln!(
            "{name}: nothing comes for {:.2?} (median), {:.2?} (most)",
            sorted[EACH / 2],
            sorted[EACH - 1]
        );
    }
}
