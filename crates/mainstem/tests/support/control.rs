//! What the tests of lists, pages and signals share: a web server of arbitrary bytes, and looks at `/status`.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    dead_code,
    reason = "each test file uses a part of it; a test may panic"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::support::{Mainstem, eventually, get, get_json};

/// Serves bytes by path, and remembers the heads of all requests.
pub(crate) struct Web {
    pages: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    heads: Arc<Mutex<Vec<String>>>,
    address: String,
    _tasks: JoinSet<()>,
}

impl Web {
    /// A server without pages: everything is 404.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let pages: Arc<Mutex<HashMap<String, Vec<u8>>>> = Arc::default();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut tasks = JoinSet::new();
        let (known, seen) = (Arc::clone(&pages), Arc::clone(&heads));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(answer(socket, Arc::clone(&known), Arc::clone(&seen)));
            }
        });
        Self {
            pages,
            heads,
            address,
            _tasks: tasks,
        }
    }

    /// Sets the whole answer at a path: status line, headers and body, as they go over the wire.
    pub(crate) fn raw(&self, path: &str, answer: Vec<u8>) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.insert(path.to_owned(), answer);
    }

    /// Sets the body at a path.
    pub(crate) fn page(&self, path: &str, body: &[u8]) {
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(body);
        self.raw(path, answer);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(
    mut socket: TcpStream,
    pages: Arc<Mutex<HashMap<String, Vec<u8>>>>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match socket.read(&mut piece).await {
            Ok(read @ 1..) => head.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    heads.lock().unwrap_or_else(PoisonError::into_inner).push(head);
    let page = pages
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&path)
        .cloned();
    let page = page.unwrap_or_else(|| {
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
    });
    // A client that went away needs no answer.
    socket.write_all(&page).await.unwrap_or_default();
    socket.shutdown().await.unwrap_or_default();
}

/// `/status` of one source.
pub(crate) async fn details(mainstem: &Mainstem, source: &str) -> Value {
    get_json(&mainstem.url("/status")).await["source_details"][source].clone()
}

/// Waits until `/status` of one source is as wanted, and returns it.
pub(crate) async fn until_details(
    mainstem: &Mainstem,
    source: &str,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    eventually(&format!("{source}: {what}"), || async {
        let found = details(mainstem, source).await;
        wanted(&found).then_some(found)
    })
    .await
}

/// How often a source has refreshed so far, well or badly.
pub(crate) fn refreshes(mainstem: &Mainstem, source: &str) -> usize {
    let (name, log) = (format!("{{source={source}}}"), mainstem.log());
    let refresh = |line: &&str| line.contains("refresh failed") || line.contains("list refreshed");
    log.lines()
        .filter(refresh)
        .filter(|line| line.contains(&name))
        .count()
}

/// Asks for a refresh as an operator does, and waits for its outcome.
pub(crate) async fn refresh(mainstem: &Mainstem, source: &str) -> Value {
    let before = refreshes(mainstem, source);
    mainstem.signal("HUP");
    eventually(&format!("{source} refreshes"), || async {
        (refreshes(mainstem, source) > before).then_some(())
    })
    .await;
    details(mainstem, source).await
}

/// The playlist as it is.
pub(crate) async fn playlist(mainstem: &Mainstem) -> String {
    let answer = get(&mainstem.url("/playlist.m3u8")).await;
    assert_eq!(answer.status, 200);
    answer.text()
}

/// The channels of a playlist: the `#EXTINF` line and the address.
pub(crate) fn channels(playlist: &str) -> Vec<(String, String)> {
    let mut lines = playlist.lines().filter(|line| !line.trim().is_empty());
    assert!(
        lines.next().unwrap_or_default().starts_with("#EXTM3U"),
        "{playlist}"
    );
    let rest: Vec<&str> = lines.collect();
    rest.chunks(2)
        .map(|pair| {
            assert!(pair[0].starts_with("#EXTINF:"), "{pair:?}");
            (pair[0].to_owned(), pair[1].to_owned())
        })
        .collect()
}

/// What stands after the comma of each channel.
pub(crate) fn names(playlist: &str) -> Vec<String> {
    channels(playlist)
        .into_iter()
        .map(|(line, _)| line.rsplit(',').next().unwrap_or_default().to_owned())
        .collect()
}

/// Waits until the playlist has exactly these names, in this order.
pub(crate) async fn until_names(mainstem: &Mainstem, wanted: &[&str]) -> String {
    eventually(&format!("a playlist of {wanted:?}"), || async {
        let list = playlist(mainstem).await;
        (names(&list) == wanted).then_some(list)
    })
    .await
}
