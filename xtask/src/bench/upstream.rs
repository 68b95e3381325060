//! The provider of the benchmark: a clip in real time to whoever asks, and a list. A thread per connection.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
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
}

/// Serves until the process ends; gives the port.
pub(super) fn start(content: Content) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let content = Arc::new(content);
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let content = Arc::clone(&content);
            // A client that has gone ends its thread; nobody else is concerned.
            std::thread::spawn(move || answer(&socket, &content, port).unwrap_or_default());
        }
    });
    Ok(port)
}

fn answer(mut socket: &TcpStream, content: &Content, port: u16) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
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
