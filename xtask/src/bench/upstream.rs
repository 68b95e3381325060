//! The provider of the benchmark: a clip in real time to whoever asks, and lists. A thread per connection.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;

/// How often a stream is written: 20 times a second, as a muxer that writes by the frame.
const TICK: Duration = Duration::from_millis(50);

/// What is served.
pub(super) struct Content {
    /// A transport stream, from its first byte for each connection.
    pub(super) clip: Vec<u8>,
    /// How long the clip plays.
    pub(super) plays: Duration,
    /// Entries of `/list.m3u`.
    pub(super) entries: u32,
    /// What else is answered: a piece of the request line, and the answer.
    pub(super) pages: Vec<(&'static str, Page)>,
}

/// An answer.
pub(super) enum Page {
    /// Short ones.
    Text(String),
    /// A file as it is.
    File(PathBuf),
    /// A channel list in a file, and behind it a channel that plays and one whose name counts the answers: no two
    /// lists are the same.
    List(PathBuf),
}

/// What the provider does now.
#[derive(Default)]
pub(super) struct State {
    /// It takes connections and says nothing.
    pub(super) down: AtomicBool,
    /// Lists given so far.
    pub(super) lists: AtomicU32,
}

/// What the channel that plays is called in a [`Page::List`].
pub(super) const PLAYS: &str = "Bench plays";

/// Serves until the process ends; gives the port.
pub(super) fn start(content: Content) -> Result<u16> {
    Ok(start_with(content)?.0)
}

/// Serves until the process ends; gives the port, and what it does.
pub(super) fn start_with(content: Content) -> Result<(u16, Arc<State>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let (content, state) = (Arc::new(content), Arc::new(State::default()));
    let stated = Arc::clone(&state);
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            if stated.down.load(Ordering::Relaxed) {
                continue;
            }
            let (content, state) = (Arc::clone(&content), Arc::clone(&stated));
            // A client that has gone ends its thread; nobody else is concerned.
            std::thread::spawn(move || answer(&socket, &content, &state, port).unwrap_or_default());
        }
    });
    Ok((port, state))
}

fn answer(mut socket: &TcpStream, content: &Content, state: &State, port: u16) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    if let Some((_, page)) = content.pages.iter().find(|(piece, _)| request.contains(piece)) {
        return send(socket, page, state, port);
    }
    if request.contains("/list.m3u") {
        let list = list(content.entries, port);
        let length = list.len();
        let kind = "audio/x-mpegurl";
        write!(
            socket,
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )?;
        return socket.write_all(list.as_bytes());
    }
    write!(
        socket,
        "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n"
    )?;
    pace(socket, content)
}

fn send(mut socket: &TcpStream, page: &Page, state: &State, port: u16) -> std::io::Result<()> {
    let (mut file, text) = match page {
        Page::Text(text) => (None, text.clone()),
        Page::File(path) => (Some(File::open(path)?), String::new()),
        Page::List(path) => {
            let number = state.lists.fetch_add(1, Ordering::Relaxed);
            let behind = [PLAYS.to_owned(), format!("List {number}")]
                .map(|name| format!("#EXTINF:-1,{name}\nhttp://127.0.0.1:{port}/{number}.ts\n"));
            (Some(File::open(path)?), behind.concat())
        }
    };
    let long = file
        .as_ref()
        .map_or(Ok(0), |file| file.metadata().map(|known| known.len()))?;
    let length = long + text.len() as u64;
    write!(
        socket,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    if let Some(file) = &mut file {
        std::io::copy(file, &mut socket)?;
    }
    socket.write_all(text.as_bytes())
}

/// Writes the clip as fast as it plays.
fn pace(mut socket: &TcpStream, content: &Content) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let began = Instant::now();
    let mut sent = 0;
    while sent < content.clip.len() {
        let played = (began.elapsed() + TICK).as_secs_f64() / content.plays.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a position in a clip of some megabytes"
        )]
        let due = ((content.clip.len() as f64 * played) as usize).min(content.clip.len());
        socket.write_all(content.clip.get(sent..due).unwrap_or_default())?;
        sent = due.max(sent);
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// A list as panels write it: every channel with its own name, guide id, logo and group.
fn list(entries: u32, port: u16) -> String {
    let mut list = String::from("#EXTM3U\n");
    for number in 1..=entries {
        let group = number % 97;
        list.push_str(&format!(
            "#EXTINF:-1 tvg-id=\"channel{number}.bench\" tvg-name=\"Channel {number} HD\" \
             tvg-logo=\"http://logos.example.com/{group}/channel-{number}.png\" group-title=\"Group {group}\",\
             Channel {number} HD\nhttp://127.0.0.1:{port}/live/bench/bench/{number}.ts\n"
        ));
    }
    list
}
