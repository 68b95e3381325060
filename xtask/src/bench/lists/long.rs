//! The longest lists that providers ship, beside what is promised for them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::made;
use crate::bench::fan_out;
use crate::bench::process::{cpu_time, mib, resident, resident_peak};
use crate::bench::server::{Mainstem, PATIENCE};
use crate::bench::upstream::{self, Content, PLAYS, Page, State};
use crate::step::Steps;

/// Entries of the M3U: 200 MB.
const M3U_ENTRIES: u32 = 500_000;

/// Entries of the account: 100 MB of JSON.
const XTREAM_ENTRIES: u32 = 300_000;

/// When nothing more is done for a list that is served: it is kept on disk and packed by then.
const SETTLED_AFTER: Duration = Duration::from_secs(6);

/// How long is watched before a refresh, to know the gaps that are there anyway.
const WATCHED_BEFORE: Duration = Duration::from_secs(5);

/// How long a refresh is given.
const REFRESHED_WITHIN: Duration = Duration::from_secs(8);

/// One line: what, the figure, what must and what should be.
type Line = (&'static str, String, &'static str, &'static str);

/// Measures both lists and prints the table.
pub(in crate::bench) fn measure(program: &Path, folder: &Path, steps: &mut Steps) -> Result<()> {
    let clip = fan_out::clip(folder, steps)?;
    let mut lines = m3u(program, folder, clip)?;
    lines.extend(xtream(program, folder)?);
    println!("\n| work | measured | must | aim |\n|---|---|---|---|");
    for (what, figure, must, aim) in lines {
        println!("| {what} | {figure} | {must} | {aim} |");
    }
    Ok(())
}

fn m3u(program: &Path, folder: &Path, clip: Vec<u8>) -> Result<Vec<Line>> {
    let list = made::m3u(folder, M3U_ENTRIES)?;
    let length = list.metadata()?.len();
    println!("M3U of {M3U_ENTRIES} entries, {} MB", length / 1_000_000);
    let (upstream, state) = upstream::start_with(Content {
        clip,
        plays: fan_out::CLIP,
        entries: 0,
        pages: vec![("/long.m3u", Page::List(list))],
    })?;
    let source = format!("type: m3u, url: \"http://127.0.0.1:{upstream}/long.m3u\", max_connections: 1");
    let mut server = Mainstem::start_source(program, folder, &source)?;
    server.listens()?;
    let first = fetch(server.port, "/playlist.m3u8", "")?;
    let took = server.started.elapsed();
    if first.entries != M3U_ENTRIES as usize + 2 {
        bail!("{} entries are in the playlist", first.entries);
    }
    let process = server.running.id();
    let (peak, cpu) = (resident_peak(process)?, cpu_time(process)?);
    std::thread::sleep(SETTLED_AFTER);
    let mut lines = vec![
        (
            "500,000-entry M3U (200 MB): start → playlist served",
            seconds(took),
            "≤ 3 s",
            "≤ 1 s",
        ),
        ("… peak resident memory", mib(peak), "≤ 250 MB", "≤ 150 MB"),
        ("… CPU seconds until served", seconds(cpu), "≤ 3", "≤ 1.5"),
        (
            "… CPU seconds until kept on disk and packed",
            seconds(cpu_time(process)?),
            "",
            "",
        ),
        (
            "… resident memory then, and its peak",
            format!("{}, {}", mib(resident(process)?), mib(resident_peak(process)?)),
            "",
            "",
        ),
    ];
    let plain = best(server.port, "/playlist.m3u8", "")?;
    let packed = best(server.port, "/playlist.m3u8", "Accept-Encoding: gzip\r\n")?;
    lines.push((
        "GET /playlist.m3u8, gzip, to the last byte",
        format!("{} ({} MB)", seconds(packed.took), packed.bytes / 1_000_000),
        "≤ 100 ms",
        "≤ 40 ms",
    ));
    lines.push((
        "GET /playlist.m3u8, identity, to the last byte",
        format!("{} ({} MB)", seconds(plain.took), plain.bytes / 1_000_000),
        "≤ 300 ms",
        "≤ 120 ms",
    ));
    let live = best(server.port, "/playlist.m3u8?kind=live", "")?;
    lines.push((
        "GET /playlist.m3u8?kind=live, identity, to the last byte",
        format!("{} ({} MB)", seconds(live.took), live.bytes / 1_000_000),
        "",
        "",
    ));
    let browse = best(server.port, "/streams?kind=live&limit=100&offset=20000", "")?;
    lines.push((
        "GET /streams?kind=live, a page of 100",
        seconds(browse.took),
        "≤ 100 ms",
        "",
    ));
    let page = best(server.port, "/streams?limit=100&offset=250000", "")?;
    let search = best(server.port, "/streams?limit=100&search=golden+river", "")?;
    lines.push(("GET /streams, a page of 100", seconds(page.took), "", ""));
    lines.push((
        "GET /streams, a page of a search",
        seconds(search.took),
        "≤ 100 ms",
        "",
    ));
    lines.push(refresh(&server, &first.text, &state)?);
    lines.push((
        "… resident memory after a refresh, and its peak",
        format!("{}, {}", mib(resident(process)?), mib(resident_peak(process)?)),
        "",
        "",
    ));
    state.down.store(true, Ordering::Relaxed);
    std::thread::sleep(SETTLED_AFTER);
    drop(server);
    lines.extend(restart(program, folder)?);
    Ok(lines)
}

/// What a viewer notices of a refresh.
fn refresh(server: &Mainstem, playlist: &str, state: &State) -> Result<Line> {
    let mut lines = playlist.lines();
    lines
        .find(|line| line.ends_with(PLAYS))
        .context("the channel that plays is not there")?;
    let address = lines.next().context("no address")?;
    let (_, id) = address.rsplit_once('/').context("no id")?;
    let mut viewer = request(server.port, &format!("/stream/{id}"), "")?;
    let mut piece = vec![0; 64 << 10];
    let mut watch = |long: Duration| -> Result<Duration> {
        let (began, mut last, mut gap) = (Instant::now(), Instant::now(), Duration::ZERO);
        while began.elapsed() < long {
            if viewer.read(&mut piece)? == 0 {
                bail!("the stream ended");
            }
            gap = gap.max(last.elapsed());
            last = Instant::now();
        }
        Ok(gap)
    };
    watch(Duration::from_secs(3))?;
    let before = watch(WATCHED_BEFORE)?;
    let lists = state.lists.load(Ordering::Relaxed);
    let process = server.running.id().to_string();
    if !Command::new("kill").args(["-HUP", &process]).status()?.success() {
        bail!("no signal could be sent");
    }
    let during = watch(REFRESHED_WITHIN)?;
    if state.lists.load(Ordering::Relaxed) == lists {
        bail!("there was no refresh");
    }
    Ok((
        "refresh of it while a stream plays: longest gap",
        format!("{} ms (without: {} ms)", during.as_millis(), before.as_millis()),
        "≤ 200 ms",
        "≤ 50 ms",
    ))
}

fn restart(program: &Path, folder: &Path) -> Result<Vec<Line>> {
    let mut server = Mainstem::start_again(program, folder)?;
    server.listens()?;
    let list = fetch(server.port, "/playlist.m3u8", "")?;
    let took = server.started.elapsed();
    if list.entries != M3U_ENTRIES as usize + 2 {
        bail!("{} entries are in the playlist after a restart", list.entries);
    }
    let process = server.running.id();
    Ok(vec![
        (
            "restart with every provider down: playlist served",
            seconds(took),
            "≤ 2 s",
            "≤ 0.5 s",
        ),
        ("… peak resident memory", mib(resident_peak(process)?), "", ""),
    ])
}

fn xtream(program: &Path, folder: &Path) -> Result<Vec<Line>> {
    let [live, films] = made::xtream(folder, XTREAM_ENTRIES)?;
    let length = live.metadata()?.len() + films.metadata()?.len();
    println!(
        "Xtream account of {XTREAM_ENTRIES} streams, {} MB",
        length / 1_000_000
    );
    let login = r#"{"user_info":{"auth":1,"status":"Active","max_connections":"2"},"server_info":{"timezone":"UTC"}}"#;
    let text = |text: &str| Page::Text(text.to_owned());
    let pages = |long: [Page; 2]| {
        let [live, films] = long;
        vec![
            ("get_live_streams", live),
            ("get_vod_streams", films),
            ("get_live_categories", Page::Text(made::categories())),
            ("get_vod_categories", Page::Text(made::categories())),
            ("get_series", text("[]")),
            ("player_api.php", text(login)),
        ]
    };
    let idle = account(
        program,
        folder,
        pages([text(r#"[{"stream_id":1,"name":"One"}]"#), text("[]")]),
        1,
    )?;
    let long = account(
        program,
        folder,
        pages([Page::File(live), Page::File(films)]),
        XTREAM_ENTRIES,
    )?;
    Ok(vec![
        (
            "Xtream, 300,000 streams: start → playlist served",
            seconds(long.took),
            "≤ 4 s",
            "≤ 2 s",
        ),
        (
            "… resident memory above idle, peak",
            format!(
                "{} (idle {})",
                mib(long.peak.saturating_sub(idle.peak)),
                mib(idle.peak)
            ),
            "≤ 100 MB",
            "",
        ),
        ("… CPU seconds until served", seconds(long.cpu), "", ""),
    ])
}

struct Started {
    took: Duration,
    cpu: Duration,
    peak: u64,
}

fn account(program: &Path, folder: &Path, pages: Vec<(&'static str, Page)>, entries: u32) -> Result<Started> {
    let upstream = upstream::start(Content {
        clip: Vec::new(),
        plays: Duration::from_secs(1),
        entries: 0,
        pages,
    })?;
    let source = format!("type: xtream, url: \"http://127.0.0.1:{upstream}\", username: u, password: p");
    let mut server = Mainstem::start_source(program, folder, &source)?;
    server.listens()?;
    let list = fetch(server.port, "/playlist.m3u8", "")?;
    let took = server.started.elapsed();
    if list.entries != entries as usize {
        bail!("{} entries of the account are in the playlist", list.entries);
    }
    let process = server.running.id();
    let cpu = cpu_time(process)?;
    std::thread::sleep(SETTLED_AFTER);
    Ok(Started {
        took,
        cpu,
        peak: resident_peak(process)?,
    })
}

/// An answer, read to its end.
struct Answer {
    took: Duration,
    bytes: usize,
    entries: usize,
    text: String,
}

/// The quickest of three.
fn best(port: u16, path: &str, headers: &str) -> Result<Answer> {
    let answers: Result<Vec<_>> = (0..3).map(|_| fetch(port, path, headers)).collect();
    answers?
        .into_iter()
        .min_by_key(|answer| answer.took)
        .context("no answer")
}

fn fetch(port: u16, path: &str, headers: &str) -> Result<Answer> {
    let began = Instant::now();
    let mut socket = request(port, path, headers)?;
    let mut all = Vec::with_capacity(256 << 20);
    socket.read_to_end(&mut all)?;
    let took = began.elapsed();
    if !all.starts_with(b"HTTP/1.0 200") && !all.starts_with(b"HTTP/1.1 200") {
        bail!(
            "{path}: {}",
            String::from_utf8_lossy(&all).lines().next().unwrap_or_default()
        );
    }
    let bytes = all.len();
    let text = if headers.is_empty() {
        String::from_utf8_lossy(&all).into_owned()
    } else {
        String::new()
    };
    let entries = text.lines().filter(|line| line.starts_with("#EXTINF")).count();
    Ok(Answer {
        took,
        bytes,
        entries,
        text,
    })
}

fn request(port: u16, path: &str, headers: &str) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    write!(
        socket,
        "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{headers}Connection: close\r\n\r\n"
    )?;
    Ok(socket)
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
