//! The matrix: every way in which a source dies × every way in which the next one differs, on sources that differ in
//! GOP, time base and structure. The same response goes on, and nothing in it is wrong.
//!
//! Each death has another pair of clips, and `MAINSTEM_TEST_FULL` gives each two.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test stops at what it does not expect, and prints its figures"
)]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use provider_double::Clip::{
    H264Aac24k as C, H264Closed as A, H264Interlaced as J, H264Larger as L, H264OpenWrap as B,
    H264Pyramid as K, NoRandomAccess as E, PcrOwnPid as D, Radio as H, RadioGrouped as N,
};
use provider_double::{AccountHandle, Clip, Fault, Now, Plan, Provider, RedirectForm, Repeat, StreamHandle};
use socket2::{Domain, Socket, Type};
use support::decode::{Colour, decode_aside_but_for};
use support::process::NO_SLATE;
use support::scene::{Between, Case, Scene};
use support::ts::{PACKET, Report, pid, starts_unit};
use support::{SOON, Viewer, all_at_once, full, get_json};

/// Media a viewer has seen of the first source when it dies, and is to see of the next.
const SEEN: Duration = Duration::from_secs(3);

/// What a busy machine may add to the time within which a death is to be noticed.
const BUSY: Duration = Duration::from_secs(2);

/// Opening the next source and waiting for its next keyframe: the longest GOP of the clips is 2.4 s.
const KEYFRAME: Duration = Duration::from_millis(2_600);

/// The sound of clip C is HE-AAC, whose headers give half its rate. ffmpeg's demuxer goes on reckoning with that rate
/// until its decoder has seen the next one's, and so stamps the frames of one PES packet too far apart.
const OTHER_RATE: &[&str] = &["non monotonically increasing dts to muxer in stream"];

/// How the first source goes, and what the one between it and the next does.
#[derive(Clone)]
enum Death {
    /// It ends, is gone when asked again, and the source between cannot be opened.
    AtOpen(Fake),
    /// This happens to it; it is gone when asked again.
    MidStream(Now),
}

#[derive(Clone)]
enum Fake {
    /// These faults of a stream.
    Faults(Vec<Fault>),
    /// Nobody listens at the port.
    Refused,
    /// A name that does not resolve (RFC 6761 clause 6.4).
    Name,
    /// TLS asked of a server that has none.
    Tls,
}

/// A death, and within which time the next source is to have been asked for.
struct Row {
    name: &'static str,
    death: Death,
    within: Duration,
    /// Whether something of the source between is shown before it shows what it is.
    shows: bool,
}

fn row(name: &'static str, death: Death, within_ms: u64) -> Row {
    Row {
        name,
        death,
        within: Duration::from_millis(within_ms),
        shows: false,
    }
}

fn status(code: u16) -> Fault {
    Fault::Status {
        code,
        body: "no".to_owned(),
        retry_after: None,
    }
}

/// Every death. The bounds are those of `support::process::QUICK`: an answer or a stall has 2 s and 2.5 s.
fn deaths() -> Vec<Row> {
    let fault = |fault| Death::AtOpen(Fake::Faults(vec![fault]));
    let panel = |repeat| {
        let redirect = Fault::Redirect {
            hops: 1,
            form: RedirectForm::OtherHost,
        };
        Death::AtOpen(Fake::Faults(vec![redirect, Fault::BlackClip(repeat)]))
    };
    vec![
        row("refused", Death::AtOpen(Fake::Refused), 500),
        row("dns", Death::AtOpen(Fake::Name), 2_000),
        row("tls", Death::AtOpen(Fake::Tls), 500),
        row("401", fault(status(401)), 500),
        row("403", fault(status(403)), 500),
        row("404", fault(status(404)), 500),
        row("458", fault(status(458)), 500),
        row("500", fault(status(500)), 500),
        row("503", fault(status(503)), 500),
        row("html", fault(Fault::Html), 500),
        row("json", fault(Fault::Json), 500),
        row("empty", fault(Fault::EmptyBody), 500),
        row("no-head", fault(Fault::HangBeforeHead), 2_500),
        row("no-body", fault(Fault::Silence), 2_500),
        row("all-garbage", fault(Fault::Garbage), 2_500),
        row("all-sync-loss", fault(Fault::SyncLoss), 2_500),
        Row {
            shows: true,
            ..row("black-clip", panel(Repeat::Once), 6_500)
        },
        Row {
            shows: true,
            // It is known by its third beginning, and lasts 3.2 s.
            ..row("black-clip-again", panel(Repeat::Endless), 8_000)
        },
        row("stall", Death::MidStream(Now::Stall), 3_500),
        row("trickle-0.3", Death::MidStream(Now::Trickle(0.3)), 5_000),
        row("trickle-0.8", Death::MidStream(Now::Trickle(0.8)), 14_000),
        row("eof", Death::MidStream(Now::Eof), 500),
        row("rst", Death::MidStream(Now::Rst), 500),
        row("garbage", Death::MidStream(Now::Garbage), 3_500),
        row("sync-loss", Death::MidStream(Now::SyncLoss), 3_500),
    ]
}

/// How the next source differs, and the pairs that show it.
const SAME: (&str, &[(Clip, Clip)]) = ("same", &[(A, B), (B, K), (K, J), (J, E), (E, A)]);
const SIZE: (&str, &[(Clip, Clip)]) = ("size", &[(A, L), (L, K), (C, A), (J, C), (B, L)]);
const PIDS: (&str, &[(Clip, Clip)]) = ("pids", &[(A, D), (D, B), (D, J), (K, D), (E, D)]);
const RADIO: (&str, &[(Clip, Clip)]) = ("radio", &[(H, N), (N, H)]);

/// A port of loopback that is taken, and at which nobody listens.
struct Closed {
    _socket: Socket,
    address: SocketAddr,
}

impl Closed {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self {
            _socket: socket,
            address,
        }
    }
}

/// Rounds of all deaths, each with other clips.
fn rounds() -> usize {
    if full() { 2 } else { 1 }
}

async fn dies_in_every_way((difference, pairs): (&str, &[(Clip, Clip)])) {
    let closed = Closed::new();
    let plain = Provider::start(Plan::new()).unwrap();
    // A clip with pictures is no source of a radio: where it is shown, the response ends.
    let fits = |row: &Row| !(row.shows && difference == "radio");
    let mut rows = Vec::new();
    for round in 0..rounds() {
        let deaths = deaths().into_iter().filter(fits).enumerate();
        rows.extend(deaths.map(|(number, row)| (pairs[(number + round) % pairs.len()], row)));
    }
    let nowhere = |root: &str| Between::Nowhere(format!("{root}/live/{{login}}/secret/1.ts"));
    let case = |&((first, second), ref row): &((Clip, Clip), Row)| {
        let name = format!("{}-{difference}-{}{}", row.name, first.letter(), second.letter());
        let case = Case::new(&name, first, second);
        match &row.death {
            Death::MidStream(_) => case,
            Death::AtOpen(Fake::Faults(faults)) => case.between(Between::Faulty(faults.clone())),
            Death::AtOpen(Fake::Refused) => case.between(nowhere(&format!("http://{}", closed.address))),
            Death::AtOpen(Fake::Name) => case.between(nowhere("http://provider.invalid")),
            Death::AtOpen(Fake::Tls) => case.between(nowhere(&format!("https://{}", plain.addr()))),
        }
    };
    let scene = Scene::of(rows.iter().map(case).collect(), &[NO_SLATE], |_| {}).await;
    let began = Instant::now();
    let mut checks = Vec::new();
    for (case, (_, row)) in scene.cases().iter().zip(rows) {
        let cell = Cell {
            url: scene.mainstem.stream_url(&case.name).await,
            case: case.clone(),
            row,
            first: scene.logins(case).0,
            between: scene.login_between(case),
            second: scene.logins(case).1,
            stream: scene.streams(case).0,
        };
        checks.push((case.name.clone(), cell.check()));
    }
    let count = checks.len();
    all_at_once(checks.into_iter()).await;
    // One broadcast per cell, and nothing else: the switch was the only one.
    let status = get_json(&scene.mainstem.url("/active-streams")).await;
    eprintln!(
        "{difference}: {count} cells in {:.1} s; {} broadcasts left",
        began.elapsed().as_secs_f64(),
        status["broadcasts"].as_array().unwrap().len()
    );
}

struct Cell {
    url: String,
    case: Case,
    row: Row,
    first: AccountHandle,
    between: AccountHandle,
    second: AccountHandle,
    stream: StreamHandle,
}

impl Cell {
    async fn check(self) {
        let name = &self.case.name;
        let viewer = Viewer::open(&self.url).await;
        viewer.media(SEEN, SOON).await;
        assert_eq!(self.first.open_now(), 1, "{name}");
        self.stream.fault(status(404));
        let died = Instant::now();
        match &self.row.death {
            Death::MidStream(now) => self.stream.now(*now),
            Death::AtOpen(_) => self.stream.now(Now::Eof),
        }
        self.second
            .wait_until(|log| log.open_now == 1, SOON)
            .await
            .unwrap();
        let asked = died.elapsed();
        let before = viewer.count();
        viewer.more_media(SEEN + KEYFRAME, SOON).await;
        assert!(!viewer.is_over(), "{name}");
        let silence = viewer.longest_silence(died);
        self.one_switch();
        let bytes = viewer.bytes();
        drop(viewer);
        self.sound(&bytes, before);
        self.looks(bytes).await;
        eprintln!("{name}: next asked after {asked:.2?}, longest silence {silence:.2?}");
        assert!(asked < self.row.within + BUSY, "{name}: asked after {asked:?}");
        let bound = self.row.within + KEYFRAME + BUSY;
        assert!(silence < bound, "{name}: silent for {silence:?}");
    }

    /// One stream was asked for after the other, and never two at one login.
    fn one_switch(&self) {
        let name = &self.case.name;
        let opens = |login: &AccountHandle| login.log().opens.len();
        // The first is asked once more where it had been healthy, and a redirect is a connection, too.
        assert!(opens(&self.first) <= 2, "{name}: {:?}", self.first.log().opens);
        let most = if self.row.shows { 2 } else { 1 };
        assert!(
            opens(&self.between) <= most,
            "{name}: {:?}",
            self.between.log().opens
        );
        assert_eq!(opens(&self.second), 1, "{name}");
        for login in [&self.first, &self.between, &self.second] {
            assert!(login.peak() <= 1, "{name}: {} at once", login.peak());
        }
    }

    /// Nothing is wrong with the stream, and picture and sound are there after the switch.
    fn sound(&self, bytes: &[u8], before: usize) {
        let name = &self.case.name;
        let report = Report::of(bytes);
        report.assert_clean(name);
        assert_eq!(report.pmt_versions.len(), 1, "{name}: one PMT");
        let (after, _) = bytes[before / PACKET * PACKET..].as_chunks::<PACKET>();
        let is_radio = Colour::of(self.case.second.clip).is_none();
        assert_eq!(report.streams.len(), if is_radio { 1 } else { 2 }, "{name}");
        for stream in report.streams.keys() {
            let units = after
                .iter()
                .filter(|p| pid(*p) == *stream && starts_unit(*p))
                .count();
            // Some put 0.36 s of sound into one unit.
            assert!(
                units >= 6,
                "{name}: {units} units of {stream:#x} after the switch"
            );
        }
    }

    async fn looks(&self, bytes: Vec<u8>) {
        let name = &self.case.name;
        let (one, other) = (self.case.first.clip, self.case.second.clip);
        let explained = match (one, other) {
            (C, _) | (_, C) => OTHER_RATE,
            _ => &[],
        };
        let (Some(decoded), Some(first), Some(second)) = (
            decode_aside_but_for(bytes, explained).await,
            Colour::of(one),
            Colour::of(other),
        ) else {
            return;
        };
        let mut scenes = decoded.scenes();
        if self.row.shows {
            scenes.retain(|scene| !scene.is_like(Colour::BLACK));
        }
        let [one, other] = scenes.as_slice() else {
            panic!("{name}: {scenes:?}");
        };
        assert!(one.is_like(first) && other.is_like(second), "{name}: {scenes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_source_has_the_same_parameters() {
    dies_in_every_way(SAME).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_source_has_pictures_of_another_size() {
    dies_in_every_way(SIZE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_source_has_other_pids_and_its_clock_elsewhere() {
    dies_in_every_way(PIDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_source_of_a_radio() {
    dies_in_every_way(RADIO).await;
}
