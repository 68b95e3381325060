//! Channels of several sounds as HLS: the further ones are renditions with playlists of their own, which keep step with the
//! main one, whatever the next source has.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod support;

use std::process::Stdio;
use std::time::Duration;

use provider_double::{Clip, Fault, Now};
use support::decode::{has_tool, loudness};
use support::hls::HlsViewer;
use support::playlist::Entry;
use support::scene::{Case, SECOND, Scene};
use support::ts::Report;
use support::{SOON, eventually, get};
use tokio::process::Command;

/// A line of `QUICK`, and it with short segments behind it.
const SHORT_SEGMENTS: (&str, &str) = (
    "  api_interval: 0s\n",
    "  api_interval: 0s\nhls:\n  segment: 2s\n",
);

const SOUND: &str = "audio-eng/live.m3u8";

fn gone() -> Fault {
    Fault::Status {
        code: 404,
        body: "no".to_owned(),
        retry_after: None,
    }
}

/// The main playlist of a channel and that of its English sound, both watched.
struct Both {
    main: HlsViewer,
    sound: HlsViewer,
}

impl Both {
    async fn of(scene: &Scene, name: &str) -> Self {
        let stream = scene.mainstem.stream_url(name).await;
        let (main, sound) = (format!("{stream}/live.m3u8"), format!("{stream}/{SOUND}"));
        let mut main = HlsViewer::new(&main);
        main.ask().await;
        eventually("the sound has a playlist", || async {
            (get(&sound).await.status == 200).then_some(())
        })
        .await;
        let sound = HlsViewer::new(&sound);
        Self { main, sound }
    }

    async fn watch_more(&mut self, media: Duration) {
        tokio::join!(self.main.watch_more(media), self.sound.watch_more(media));
    }

    /// Watches until both have a break they did not have yet.
    async fn watch_until_next_break(&mut self) {
        let (main, sound) = (&mut self.main, &mut self.sound);
        let before = main.discontinuities().max(sound.discontinuities());
        tokio::join!(
            main.watch_until("a break", |seen| seen.discontinuities() > before),
            sound.watch_until("a break of the sound", |seen| seen.discontinuities() > before),
        );
    }

    /// What the two say of each segment is the same.
    fn keep_step(&self) {
        let said = |entry: &Entry| {
            let Entry {
                sequence,
                discontinuity,
                discontinuity_sequence,
                micros,
                time,
                ..
            } = *entry;
            (sequence, discontinuity, discontinuity_sequence, micros, time)
        };
        let main: Vec<_> = self.main.segments().map(|(entry, _)| said(entry)).collect();
        let sound: Vec<_> = self.sound.segments().map(|(entry, _)| said(entry)).collect();
        assert!(sound.len() > 2, "{sound:?}");
        for of_sound in &sound {
            let of_main = main.iter().find(|of_main| of_main.0 == of_sound.0);
            assert!(
                of_main.is_none_or(|of_main| of_main == of_sound),
                "{of_sound:?} is {of_main:?}"
            );
        }
        assert!(sound.iter().any(|of_sound| main.contains(of_sound)));
    }

    /// The sound is heard from its beginning to its end.
    fn is_heard(&self, name: &str) {
        for (entry, bytes) in self.sound.segments() {
            let Some(levels) = loudness(bytes) else { return };
            let expected = usize::try_from(entry.micros / 100_000).unwrap();
            // Sound comes behind the pictures that it belongs to.
            assert!(
                levels.len() + 7 >= expected,
                "{name}: {} of {expected}",
                levels.len()
            );
            // A source that breaks off has sent pictures whose sound was still to come: silence, at the end. A decoder that
            // begins here has nothing of the frame before.
            let is_quiet = |level: &&f64| **level < 0.01;
            let missing = levels.iter().rev().take_while(is_quiet).count();
            let quiet = levels.iter().skip(1).filter(is_quiet).count();
            assert!(
                missing <= 6 && quiet == missing,
                "{name}: {}: {levels:?}",
                entry.uri
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn further_sounds_are_renditions() {
    let cases = vec![Case::new("two", Clip::ThreeSounds, Clip::ThreeSounds)];
    let scene = Scene::of(cases, &[SHORT_SEGMENTS], |_| {}).await;
    let mut both = Both::of(&scene, "two").await;
    both.watch_more(Duration::from_secs(6)).await;
    both.keep_step();
    both.main.judge("two").await;
    let stream = scene.mainstem.stream_url("two").await;
    let id = stream.rsplit('/').next().unwrap();
    let multivariant = get(&format!("{stream}.m3u8?device=tv")).await.text();
    let lines: Vec<&str> = multivariant.lines().collect();
    let media = |number: usize| {
        let (about, uri) = match number {
            0 => (
                "NAME=\"Deutsch\",LANGUAGE=\"de\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\"",
                None,
            ),
            1 => (
                "NAME=\"English\",LANGUAGE=\"en\",AUTOSELECT=YES,CHANNELS=\"2\"",
                Some("eng"),
            ),
            _ => (
                "NAME=\"Français\",LANGUAGE=\"fr\",AUTOSELECT=YES,CHANNELS=\"1\"",
                Some("fra"),
            ),
        };
        let uri = uri.map(|code| format!(",URI=\"{id}/audio-{code}/live.m3u8?device=tv\""));
        format!(
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",{about}{}",
            uri.unwrap_or_default()
        )
    };
    let address = format!("{id}/live.m3u8?device=tv");
    assert_eq!(lines.len(), 8, "{multivariant}");
    assert_eq!(lines[1..4], [0, 1, 2].map(media));
    assert!(lines[4].contains("CODECS=\"avc1."), "{multivariant}");
    assert!(lines[4].contains(",mp4a.40.2,ac-3\""), "{multivariant}");
    assert!(lines[4].ends_with(",AUDIO=\"audio\""), "{multivariant}");
    assert_eq!(lines[5], address);
    // Who cannot play AC-3 has a variant without.
    assert!(lines[6].contains(",mp4a.40.2\""), "{multivariant}");
    assert!(!lines[6].contains("AUDIO="), "{multivariant}");
    assert_eq!(lines[7], address);

    // One sound in each, and the same clock.
    let kinds = |report: &Report| report.streams.values().copied().collect::<Vec<u8>>();
    let (main, sound) = (both.main.bytes(), both.sound.bytes());
    assert_eq!(kinds(&Report::of(&main)), [0x1B, 0x0F]);
    let report = Report::of(&sound);
    report.assert_clean("the sound");
    assert_eq!(kinds(&report), [0x81]);
    both.is_heard("two");
    for (entry, bytes) in both.sound.segments() {
        let again = both.sound.fetch(entry).await;
        assert_eq!((again.status, &again.body), (200, bytes), "{}", entry.uri);
        assert!(again.header("cache-control").contains("immutable"));
    }
    for wrong in ["audio-ita/live.m3u8", "audio-/live.m3u8", "audio-fra/7-a.ts"] {
        assert_eq!(get(&format!("{stream}/{wrong}")).await.status, 404, "{wrong}");
    }
    ffmpeg_takes_the_english(&format!("{stream}.m3u8")).await;
}

async fn ffmpeg_takes_the_english(url: &str) {
    if !has_tool("ffmpeg") {
        return;
    }
    let reading = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-v", "warning", "-i", url])
        .args(["-t", "6", "-map", "0:v:0", "-map", "0:a:m:language:en"])
        .args(["-c", "copy", "-f", "framehash", "-"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output();
    let read = tokio::time::timeout(SOON, reading).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&read.stderr);
    // ffmpeg reads EXT-X-MAP again with every version of a playlist, and wonders at what it finds.
    let mut lines = said.lines().filter(|line| !line.trim().is_empty());
    let is_explained =
        lines.all(|line| line.contains("duplicated MOOV") || line.contains("Last message repeated"));
    assert!(read.status.success() && is_explained, "{said}");
    let hashes = String::from_utf8_lossy(&read.stdout);
    assert!(hashes.contains("#codec_id 1: ac3"), "{hashes}");
    let frames = |stream: &str| hashes.lines().filter(|line| line.starts_with(stream)).count();
    // 6 s of 25 pictures and of frames of 32 ms; packets of both are cut off at the end.
    assert!(
        frames("0,") > 140 && frames("1,") > 175,
        "{} {}",
        frames("0,"),
        frames("1,")
    );
}

/// The next source has another sound only: that stands in, in both directions at the same segment.
#[tokio::test(flavor = "multi_thread")]
async fn a_sound_that_the_next_source_lacks_is_never_silent() {
    let cases = vec![Case::new("lacks", Clip::ThreeSounds, SECOND)];
    let scene = Scene::of(cases, &[SHORT_SEGMENTS], |_| {}).await;
    let streams = scene.streams(&scene.case("lacks"));
    let mut both = Both::of(&scene, "lacks").await;
    both.watch_more(Duration::from_secs(4)).await;
    streams.0.fault(gone());
    streams.0.now(Now::Eof);
    both.watch_until_next_break().await;
    both.watch_more(Duration::from_secs(4)).await;
    both.keep_step();
    let kinds = |bytes: &[u8]| Report::of(bytes).streams.values().copied().collect::<Vec<u8>>();
    let first = &both.sound.segments().next().unwrap().1;
    let last = &both.sound.segments().last().unwrap().1;
    assert_eq!((kinds(first), kinds(last)), (vec![0x81], vec![0x0F]));
    // There is nothing to choose any more; who has chosen goes on.
    let stream = scene.mainstem.stream_url("lacks").await;
    let multivariant = get(&format!("{stream}.m3u8")).await.text();
    assert!(!multivariant.contains("EXT-X-MEDIA"), "{multivariant}");
    streams.0.clear();
    streams.1.fault(gone());
    streams.1.now(Now::Eof);
    both.watch_until_next_break().await;
    both.watch_more(Duration::from_secs(2)).await;
    both.keep_step();
    // All of it at the end: who measures does not look at the playlists meanwhile.
    both.is_heard("lacks");
    let last = &both.sound.segments().last().unwrap().1;
    assert_eq!(kinds(last), [0x81]);
}

/// Who paused for so long that the channel was given up finds the sound that was chosen at its address, though the source
/// that is there then lacks it.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_finds_the_playlist_of_a_sound_that_is_no_longer_there() {
    let cases = vec![Case::new("back", Clip::ThreeSounds, SECOND)];
    let scene = Scene::of(cases, &[SHORT_SEGMENTS], |_| {}).await;
    let (streams, logins) = (
        scene.streams(&scene.case("back")),
        scene.logins(&scene.case("back")),
    );
    let mut before = Both::of(&scene, "back").await;
    before.watch_more(Duration::from_secs(4)).await;
    let (last, _) = before.sound.segments().last().unwrap().clone();
    logins.0.wait_until(|log| log.open_now == 0, SOON).await.unwrap();
    streams.0.fault(gone());
    let stream = scene.mainstem.stream_url("back").await;
    let mut after = Both {
        main: HlsViewer::new(&format!("{stream}/live.m3u8")),
        sound: HlsViewer::new(&format!("{stream}/{SOUND}")),
    };
    // A player asks for the sound by itself, before anything else is there.
    after.sound.ask().await;
    after.watch_more(Duration::from_secs(4)).await;
    after.keep_step();
    after.is_heard("back");
    let (first, bytes) = after.sound.segments().next().unwrap();
    assert!(first.sequence > last.sequence && first.discontinuity);
    assert!(first.discontinuity_sequence > last.discontinuity_sequence);
    let kinds: Vec<u8> = Report::of(bytes).streams.values().copied().collect();
    assert_eq!(kinds, [0x0F], "the first sound of what there is stands in");
    let wrong = get(&format!("{stream}/audio-ita/live.m3u8")).await;
    assert_eq!(wrong.status, 404, "what nobody ever had");
}

/// Where the pictures are packed as MP4, so are the sounds.
#[tokio::test(flavor = "multi_thread")]
async fn sounds_beside_mp4_are_mp4() {
    let cases = vec![Case::new("mp4", Clip::Hevc, Clip::ThreeSounds)];
    let scene = Scene::of(cases, &[SHORT_SEGMENTS], |_| {}).await;
    let streams = scene.streams(&scene.case("mp4"));
    let stream = scene.mainstem.stream_url("mp4").await;
    let mut main = HlsViewer::new(&format!("{stream}/live.m3u8"));
    main.watch_media(Duration::from_secs(4)).await;
    streams.0.fault(gone());
    streams.0.now(Now::Eof);
    main.watch_until("the other source", |seen| seen.discontinuities() == 1)
        .await;
    let mut both = Both::of(&scene, "mp4").await;
    both.watch_more(Duration::from_secs(6)).await;
    both.keep_step();
    let mut maps: Vec<String> = both
        .sound
        .segments()
        .map(|(entry, _)| entry.map.clone().unwrap())
        .collect();
    maps.dedup();
    assert_eq!(maps.len(), 1, "{maps:?}");
    let map = both.sound.fetch_uri(&maps[0]).await;
    assert_eq!((map.status, map.header("content-type")), (200, "video/mp4"));
    let names = |bytes: &[u8], kind: &[u8; 4]| bytes.windows(4).any(|four| four == kind);
    assert!(names(&map.body, b"ac-3") && !names(&map.body, b"vide"));
    let (entry, _) = both.main.segments().last().unwrap();
    let main = both.main.fetch_uri(entry.map.as_ref().unwrap()).await;
    assert!(names(&main.body, b"avc1") && names(&main.body, b"mp4a") && !names(&main.body, b"ac-3"));
    ffmpeg_takes_the_english(&format!("{stream}.m3u8")).await;
}
