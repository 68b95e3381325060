//! A client for tests: whole answers, viewers who read or do not, and raw sockets for those who misbehave.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::SOON;
use super::ts::{NULL_PID, PACKET, is_random_access, pid, starts_unit};

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A header as text; empty without it.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// GET, and the whole answer.
pub(crate) async fn get(url: &str) -> Answer {
    request("GET", url, &[]).await
}

/// GET, and the answer's JSON.
pub(crate) async fn get_json(url: &str) -> Value {
    get(url).await.json()
}

/// Any request without a body, and the whole answer. Redirects are not followed.
pub(crate) async fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
    let asking = async {
        let (response, _connection) = send(method, url, headers).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    };
    timeout(SOON, asking)
        .await
        .unwrap_or_else(|_| panic!("no whole answer to {method} {url}"))
}

/// Sends a request on a connection of its own, which lives as long as the returned tasks.
async fn send(method: &str, url: &str, headers: &[(&str, &str)]) -> (http::Response<Incoming>, JoinSet<()>) {
    let (authority, path) = split(url);
    let socket = TcpStream::connect(authority).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // How it ends shows in the answer.
        connection.await.unwrap_or_default();
    });
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("Host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender
        .send_request(request.body(Empty::<Bytes>::new()).unwrap())
        .await
        .unwrap();
    (response, tasks)
}

/// `host:port` and path of an address.
pub(crate) fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap();
    match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    }
}

/// Somebody who watches: the answer is read as it comes until the viewer is dropped.
pub(crate) struct Viewer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Time from the request to the response head.
    pub(crate) head_after: Duration,
    asked: Instant,
    seen: Arc<Mutex<Seen>>,
    bell: watch::Receiver<()>,
    _tasks: JoinSet<()>,
}

/// What came.
#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    /// When, and how many bytes there were then.
    arrivals: Vec<(Instant, usize)>,
    over: bool,
}

impl Viewer {
    /// Opens an address, and reads on in the background.
    pub(crate) async fn open(url: &str) -> Self {
        Self::open_as(url, &[]).await
    }

    /// Opens an address with request headers.
    pub(crate) async fn open_as(url: &str, headers: &[(&str, &str)]) -> Self {
        let asked = Instant::now();
        let (response, mut tasks) = timeout(SOON, send("GET", url, headers))
            .await
            .unwrap_or_else(|_| panic!("no response head from {url}"));
        let head_after = asked.elapsed();
        let (parts, body) = response.into_parts();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (ring, bell) = watch::channel(());
        tasks.spawn(read(body, Arc::clone(&seen), ring));
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            head_after,
            asked,
            seen,
            bell,
            _tasks: tasks,
        }
    }

    /// Everything that came so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.seen().bytes.clone()
    }

    /// How many bytes came so far.
    pub(crate) fn count(&self) -> usize {
        self.seen().bytes.len()
    }

    /// When bytes came, and how many there were then.
    pub(crate) fn arrivals(&self) -> Vec<(Instant, usize)> {
        self.seen().arrivals.clone()
    }

    /// The longest time between two arrivals of something that is not a null packet, from a moment on.
    pub(crate) fn longest_silence(&self, since: Instant) -> Duration {
        let seen = self.seen();
        let (mut last, mut from, mut longest) = (since, 0, Duration::ZERO);
        for &(at, count) in &seen.arrivals {
            let (packets, _) = seen.bytes[from / PACKET * PACKET..count].as_chunks::<PACKET>();
            from = count;
            if at < since || packets.iter().all(|packet| pid(packet) == NULL_PID) {
                continue;
            }
            longest = longest.max(at - last);
            last = at;
        }
        longest
    }

    /// Time from the request to the last byte of the first picture; `None` before there is a second one.
    pub(crate) fn first_picture_after(&self) -> Option<Duration> {
        let seen = self.seen();
        let (packets, _) = seen.bytes.as_chunks::<PACKET>();
        let mut entries = packets
            .iter()
            .enumerate()
            .filter(|(_, packet)| is_random_access(*packet));
        let video = entries.next().map(|(_, packet)| pid(packet))?;
        let mut starts = packets
            .iter()
            .enumerate()
            .filter(|(_, packet)| pid(*packet) == video && starts_unit(*packet));
        let (next, _) = starts.nth(1)?;
        let whole = seen.arrivals.iter().find(|(_, count)| *count >= next * PACKET)?;
        Some(whole.0 - self.asked)
    }

    /// Whether the response has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.seen().over
    }

    /// Waits until `enough` is true of what came.
    ///
    /// # Panics
    /// It does not come true within `limit`, or the response ends before.
    pub(crate) async fn until(&self, limit: Duration, what: &str, mut enough: impl FnMut(&[u8]) -> bool) {
        let mut bell = self.bell.clone();
        let looking = async {
            loop {
                bell.mark_unchanged();
                let (is_enough, count, over) = {
                    let seen = self.seen();
                    (enough(&seen.bytes), seen.bytes.len(), seen.over)
                };
                if is_enough {
                    return;
                }
                assert!(!over, "the response ended after {count} bytes, before {what}");
                // The last news is the end; then the look above decides.
                bell.changed().await.unwrap_or_default();
            }
        };
        if timeout(limit, looking).await.is_err() {
            panic!("not within {limit:?}, after {} bytes: {what}", self.count());
        }
    }

    /// Waits until so many more bytes came.
    pub(crate) async fn more(&self, bytes: usize) {
        let wanted = self.count() + bytes;
        self.until(SOON, &format!("{bytes} more bytes"), |seen| seen.len() >= wanted)
            .await;
    }

    /// Waits until the response shows so much media time, by its PCR.
    pub(crate) async fn media(&self, media: Duration, limit: Duration) {
        let what = format!("{media:?} of media");
        let mut meter = super::ts::MediaMeter::default();
        self.until(limit, &what, |seen| meter.read(seen) >= media).await;
    }

    /// Waits until the response shows so much more media time than now, by its PCR.
    pub(crate) async fn more_media(&self, media: Duration, limit: Duration) {
        let mut meter = super::ts::MediaMeter::default();
        let wanted = meter.read(&self.bytes()) + media;
        self.media(wanted, limit).await;
    }

    /// Waits for the end of the response.
    pub(crate) async fn end(&self, limit: Duration) {
        let mut bell = self.bell.clone();
        let looking = async {
            while !self.is_over() {
                bell.changed().await.unwrap_or_default();
            }
        };
        if timeout(limit, looking).await.is_err() {
            panic!("the response has not ended within {limit:?}");
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(mut body: Incoming, into: Arc<Mutex<Seen>>, bell: watch::Sender<()>) {
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
        seen.bytes.extend_from_slice(&data);
        let count = seen.bytes.len();
        seen.arrivals.push((Instant::now(), count));
        drop(seen);
        bell.send_replace(());
    }
    into.lock().unwrap_or_else(PoisonError::into_inner).over = true;
    bell.send_replace(());
}

/// A socket without manners: it asks, and does what the test says.
pub(crate) struct Raw {
    socket: TcpStream,
}

impl Raw {
    /// Connects, with a receive buffer as small as the kernel allows where `small`, so that unread bytes soon block the
    /// sender.
    pub(crate) async fn connect(url: &str, small: bool) -> Self {
        let (authority, _) = split(url);
        let address = authority.parse().unwrap();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        if small {
            socket.set_recv_buffer_size(4096).unwrap();
        }
        Self {
            socket: socket.connect(address).await.unwrap(),
        }
    }

    /// Connects and asks.
    pub(crate) async fn get(url: &str, small: bool) -> Self {
        let mut raw = Self::connect(url, small).await;
        let (authority, path) = split(url);
        let head = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        raw.send(head.as_bytes()).await;
        raw
    }

    /// Its own port, and the other side's.
    pub(crate) fn ports(&self) -> (u16, u16) {
        let [own, other] = [self.socket.local_addr(), self.socket.peer_addr()].map(Result::unwrap);
        (own.port(), other.port())
    }

    /// Sends anything.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Reads at least so many bytes.
    ///
    /// # Panics
    /// They do not come.
    pub(crate) async fn read(&mut self, bytes: usize) -> Vec<u8> {
        let mut all = vec![0; bytes];
        timeout(SOON, self.socket.read_exact(&mut all))
            .await
            .expect("bytes come")
            .unwrap();
        all
    }

    /// Reads until the other side ends or resets the connection; says how many bytes came before.
    pub(crate) async fn drain(&mut self) -> usize {
        let mut all = 0;
        let mut piece = vec![0; 1 << 16];
        let reading = async {
            while let Ok(read @ 1..) = self.socket.read(&mut piece).await {
                all += read;
            }
        };
        timeout(SOON, reading).await.expect("the connection ends");
        all
    }

    /// Reads until the other side ends or resets the connection: what came last, and how many bytes in all.
    pub(crate) async fn drain_all(&mut self) -> (Vec<u8>, usize) {
        let (mut all, mut piece) = (Vec::new(), vec![0; 1 << 16]);
        let reading = async {
            while let Ok(read @ 1..) = self.socket.read(&mut piece).await {
                all.extend_from_slice(&piece[..read]);
            }
        };
        timeout(SOON, reading).await.expect("the connection ends");
        let count = all.len();
        (all.split_off(count.saturating_sub(16)), count)
    }

    /// Reads until the chunk that ends an answer in chunks.
    ///
    /// # Panics
    /// The connection ends before.
    pub(crate) async fn until_last_chunk(&mut self) {
        let (mut end, mut piece) = (Vec::new(), vec![0; 1 << 16]);
        let reading = async {
            while !end.ends_with(b"\r\n0\r\n\r\n") {
                let read = self.socket.read(&mut piece).await.unwrap();
                assert!(read > 0, "it ends before its last chunk");
                end.extend_from_slice(&piece[..read]);
                end.drain(..end.len().saturating_sub(16));
            }
        };
        timeout(SOON, reading).await.expect("the last chunk comes");
    }

    /// Says goodbye in one direction only (FIN) and goes on listening.
    pub(crate) async fn half_close(&mut self) {
        self.socket.shutdown().await.unwrap();
    }

    /// Ends with RST.
    pub(crate) fn reset(self) {
        SockRef::from(&self.socket)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}
