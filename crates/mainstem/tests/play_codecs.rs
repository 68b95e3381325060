//! A next source of another codec: a plain player's response ends at a packet's end, and what it gets when it asks again
//! decodes from the first picture on; a player that follows a new PMT goes on.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod support;

use std::time::Duration;

use provider_double::Clip::{
    H264Ac3 as I, H264Closed as A, Hevc as F, HevcEac3 as P, Mpeg2 as G, Mpeg2Ac3 as Q, Radio as H,
    RadioAac as O,
};
use provider_double::{AccountHandle, Fault, Now, StreamHandle};
use support::decode::{Colour, decode_aside};
use support::process::NO_SLATE;
use support::scene::{Case, Scene};
use support::ts::{PACKET, Report, changes_of_pmt};
use support::{SOON, Viewer, all_at_once};

/// Media a viewer has seen of the first source when it dies, and is to see of the next.
const SEEN: Duration = Duration::from_secs(3);

/// What VLC says it is; it takes up a new PMT.
const VLC: (&str, &str) = ("User-Agent", "VLC/3.0.18 LibVLC/3.0.18");

struct Cell {
    url: String,
    case: Case,
    death: Now,
    first: AccountHandle,
    second: AccountHandle,
    stream: StreamHandle,
}

async fn cells() -> (Scene, Vec<Cell>) {
    // Picture alone, sound alone, both, the other way round, and with a picture that goes or comes.
    let pairs = [
        (A, F),
        (A, I),
        (A, G),
        (F, A),
        (P, Q),
        (Q, I),
        (H, O),
        (O, A),
        (A, H),
    ];
    let deaths = [("eof", Now::Eof), ("stall", Now::Stall), ("rst", Now::Rst)];
    let mut cases = Vec::new();
    let mut how = Vec::new();
    for (number, (first, second)) in pairs.into_iter().enumerate() {
        let (name, death) = deaths[number % deaths.len()];
        let name = format!("{name}-{}{}", first.letter(), second.letter());
        cases.push(Case::new(&name, first, second));
        how.push(death);
    }
    // A player asks again at once; on a busy machine that may be half a second later.
    let scene = Scene::of(cases, &[NO_SLATE, ("linger: 500ms", "linger: 5s")], |_| {}).await;
    let mut cells = Vec::new();
    for (case, death) in scene.cases().iter().zip(how) {
        let (first, second) = scene.logins(case);
        cells.push(Cell {
            url: scene.mainstem.stream_url(&case.name).await,
            case: case.clone(),
            death,
            first,
            second,
            stream: scene.streams(case).0,
        });
    }
    (scene, cells)
}

impl Cell {
    /// Opens the channel, and lets its first source die.
    async fn dying(&self, headers: &[(&str, &str)]) -> Viewer {
        let viewer = Viewer::open_as(&self.url, headers).await;
        viewer.media(SEEN, SOON).await;
        assert_eq!(self.first.open_now(), 1, "{}", self.case.name);
        self.stream.fault(Fault::Status {
            code: 404,
            body: String::new(),
            retry_after: None,
        });
        self.stream.now(self.death);
        viewer
    }

    /// A piece that begins with its tables and has one kind of picture.
    async fn is_whole(&self, bytes: &[u8], clip: provider_double::Clip, what: &str) {
        let whose = format!("{} {what}", self.case.name);
        let report = Report::of(bytes);
        report.assert_clean(&whose);
        assert_eq!(report.tail, 0, "{whose}: ends within a packet");
        assert_eq!(report.pmt_versions.len(), 1, "{whose}");
        assert!(report.sounds() >= 6, "{whose}: {} sounds", report.sounds());
        let Some(decoded) = decode_aside(bytes.to_vec()).await else {
            return;
        };
        match (Colour::of(clip), decoded.scenes().as_slice()) {
            (None, []) => {}
            (Some(colour), [seen]) if seen.is_like(colour) => {}
            (_, scenes) => panic!("{whose}: {scenes:?}"),
        }
    }

    async fn ends_and_begins(self) {
        let name = &self.case.name;
        let viewer = self.dying(&[]).await;
        viewer.end(SOON).await;
        self.is_whole(&viewer.bytes(), self.case.first.clip, "before")
            .await;
        let again = Viewer::open(&self.url).await;
        again.media(SEEN, SOON).await;
        let bytes = again.bytes();
        let whole = &bytes[..bytes.len() / PACKET * PACKET];
        self.is_whole(whole, self.case.second.clip, "after").await;
        assert_eq!(
            self.second.log().opens.len(),
            1,
            "{name}: one connection served both"
        );
        assert!(self.first.peak() <= 1 && self.second.peak() <= 1, "{name}");
    }

    async fn goes_on(self) {
        let name = &self.case.name;
        let viewer = self.dying(&[VLC]).await;
        self.second
            .wait_until(|log| log.open_now == 1, SOON)
            .await
            .unwrap();
        viewer.more_media(SEEN, SOON).await;
        assert!(!viewer.is_over(), "{name}");
        let bytes = viewer.bytes();
        let report = Report::of(&bytes);
        report.assert_clean(name);
        let changes = changes_of_pmt(&bytes);
        let [change] = changes.as_slice() else {
            panic!("{name}: new PMTs at packets {changes:?}");
        };
        let (before, after) = bytes.split_at(change * PACKET);
        self.is_whole(before, self.case.first.clip, "before").await;
        let whole = &after[..after.len() / PACKET * PACKET];
        self.is_whole(whole, self.case.second.clip, "after").await;
        assert_eq!(self.second.log().opens.len(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_players_response_ends_and_what_it_gets_next_is_whole() {
    let (_scene, cells) = cells().await;
    all_at_once(
        cells
            .into_iter()
            .map(|cell| (cell.case.name.clone(), cell.ends_and_begins())),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_that_follows_a_new_pmt_goes_on() {
    let (_scene, cells) = cells().await;
    all_at_once(
        cells
            .into_iter()
            .map(|cell| (cell.case.name.clone(), cell.goes_on())),
    )
    .await;
}
