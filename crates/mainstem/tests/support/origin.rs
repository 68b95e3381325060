//! An HLS origin: recordings that ffmpeg made, published segment by segment as if they were live, and a count of who asks
//! for what over how many sockets.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What is found under an address.
#[derive(Clone)]
pub(crate) enum Page {
    /// A file, with or without ranges.
    File { bytes: Bytes, ranges: bool },
    /// A playlist that grows.
    Live(Arc<Shelf>),
    /// Another address.
    Redirect(String),
    /// A file that takes so long to come.
    Slow { bytes: Bytes, takes: Duration },
}

impl Page {
    pub(crate) fn text(text: &str) -> Self {
        Self::file(text.as_bytes().to_vec())
    }

    pub(crate) fn file(bytes: Vec<u8>) -> Self {
        Self::File {
            bytes: bytes.into(),
            ranges: true,
        }
    }
}

/// The segments of a recording, and how they are published.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) target: u64,
    pub(crate) segments: Vec<Listed>,
    /// Segments of a playlist.
    pub(crate) window: usize,
    /// Media that is published when the origin starts.
    pub(crate) published: Duration,
    /// The number of the first segment.
    pub(crate) first: u64,
}

/// One segment of a playlist.
#[derive(Clone)]
pub(crate) struct Listed {
    /// Lines that hold until others take their place: the map, the key.
    pub(crate) state: String,
    /// Lines of its own, its address the last of them.
    pub(crate) lines: String,
    pub(crate) duration: f64,
}

impl Shelf {
    /// Of a playlist as ffmpeg wrote it: addresses are moved to under `prefix`.
    pub(crate) fn of(playlist: &str, prefix: &str) -> Self {
        let (mut segments, mut state, mut lines, mut duration) =
            (Vec::new(), String::new(), String::new(), 0.0);
        let mut target = 1;
        for line in playlist.lines() {
            if let Some(value) = line.strip_prefix("#EXT-X-TARGETDURATION:") {
                target = value.parse().unwrap();
            } else if line.starts_with("#EXT-X-MAP") || line.starts_with("#EXT-X-KEY") {
                state = line.replace("URI=\"", &format!("URI=\"{prefix}")) + "\n";
            } else if let Some(value) = line.strip_prefix("#EXTINF:") {
                duration = value.trim_end_matches(',').parse().unwrap();
                writeln!(lines, "{line}").unwrap();
            } else if line.starts_with("#EXT-X-BYTERANGE") || line.starts_with("#EXT-X-DISCONTINUITY") {
                writeln!(lines, "{line}").unwrap();
            } else if !line.starts_with('#') && !line.is_empty() {
                writeln!(lines, "{prefix}{line}").unwrap();
                segments.push(Listed {
                    state: state.clone(),
                    lines: std::mem::take(&mut lines),
                    duration,
                });
            }
        }
        Self {
            target,
            segments,
            window: 6,
            published: Duration::from_secs(3 * target),
            first: 100,
        }
    }

    /// Changes each segment's lines: the state and its own, by its number.
    pub(crate) fn map(mut self, mut change: impl FnMut(u64, &mut Listed)) -> Self {
        for (number, segment) in (self.first..).zip(&mut self.segments) {
            change(number, segment);
        }
        self
    }

    fn playlist(&self, elapsed: Duration) -> String {
        let until = (self.published + elapsed).as_secs_f64();
        let mut end = 0.0;
        let published = self
            .segments
            .iter()
            .take_while(|segment| {
                end += segment.duration;
                end <= until
            })
            .count();
        self.listed(published.saturating_sub(self.window)..published)
    }

    /// All of it at once, with an end.
    pub(crate) fn whole(&self) -> String {
        self.listed(0..self.segments.len()) + "#EXT-X-ENDLIST\n"
    }

    fn listed(&self, range: std::ops::Range<usize>) -> String {
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:{}\n",
            self.target,
            self.first + range.start as u64
        );
        let mut state = "";
        for segment in &self.segments[range] {
            if segment.state != state {
                state = &segment.state;
                text.push_str(state);
            }
            text.push_str(&segment.lines);
        }
        text
    }
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) target: String,
    pub(crate) range: Option<String>,
    pub(crate) headers: String,
    pub(crate) status: u16,
}

struct State {
    /// When live playlists began.
    started: Instant,
    pages: BTreeMap<String, Page>,
    /// Statuses that the next requests of an address get instead of its page.
    refusals: BTreeMap<String, VecDeque<u16>>,
    asked: Vec<Asked>,
    open: Vec<Arc<TcpStream>>,
    peak: usize,
}

/// A running origin.
pub(crate) struct Origin {
    address: String,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State {
            started: Instant::now(),
            pages: BTreeMap::new(),
            refusals: BTreeMap::new(),
            asked: Vec::new(),
            open: Vec::new(),
            peak: 0,
        }));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn put(&self, path: &str, page: Page) {
        lock(&self.state).pages.insert(path.to_owned(), page);
    }

    /// Takes away what is under an address.
    pub(crate) fn remove(&self, path: &str) {
        lock(&self.state).pages.remove(path);
    }

    /// The playlist under an address stays as it is now.
    pub(crate) fn freeze(&self, path: &str) {
        let mut state = lock(&self.state);
        let Some(Page::Live(shelf)) = state.pages.get(path) else {
            panic!("no playlist is at {path}")
        };
        let text = shelf.playlist(state.started.elapsed());
        state.pages.insert(path.to_owned(), Page::text(&text));
    }

    /// The file under an address.
    pub(crate) fn file(&self, path: &str) -> Bytes {
        match lock(&self.state).pages.get(path) {
            Some(Page::File { bytes, .. }) => bytes.clone(),
            _ => panic!("no file is at {path}"),
        }
    }

    /// The next requests of an address are answered with these.
    pub(crate) fn refuse(&self, path: &str, statuses: &[u16]) {
        lock(&self.state)
            .refusals
            .insert(path.to_owned(), statuses.iter().copied().collect());
    }

    /// Puts all files of a folder under an address.
    pub(crate) fn put_folder(&self, prefix: &str, folder: &Path, ranges: bool) {
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let bytes = std::fs::read(&path).unwrap().into();
            self.put(&format!("{prefix}{name}"), Page::File { bytes, ranges });
        }
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        lock(&self.state).asked.clone()
    }

    /// Begins to count anew, and live playlists begin now: what came before has taken as long as it took.
    pub(crate) fn forget(&self) {
        let mut state = lock(&self.state);
        state.asked.clear();
        state.peak = 0;
        state.started = Instant::now();
    }

    /// Most sockets that were open at a time.
    pub(crate) fn peak(&self) -> usize {
        lock(&self.state).peak
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut serving = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let socket = Arc::new(socket);
        {
            let mut state = lock(&state);
            // One whose end has come is closed, whether its task has seen it or not.
            state.open.retain(|open| !is_closed(open));
            state.open.push(Arc::clone(&socket));
            state.peak = state.peak.max(state.open.len());
        }
        let state = Arc::clone(&state);
        serving.spawn(async move {
            // A client that leaves in the middle is none of ours.
            serve(&socket, &state).await.ok();
            let mut state = lock(&state);
            state.open.retain(|open| !Arc::ptr_eq(open, &socket));
        });
    }
}

fn is_closed(socket: &TcpStream) -> bool {
    let mut byte = [std::mem::MaybeUninit::uninit(); 1];
    match SockRef::from(socket).peek(&mut byte) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

async fn read(socket: &TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    loop {
        socket.readable().await?;
        match socket.try_read_buf(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

async fn write(socket: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        socket.writable().await?;
        match socket.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn serve(socket: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if read(socket, &mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let range = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("range: ")
            .map(str::to_owned)
    });
    let (answer, body, takes) = answer(state, &target, range.as_deref());
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    lock(state).asked.push(Asked {
        target,
        range,
        headers: head,
        status,
    });
    let head = format!(
        "{answer}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    write(socket, head.as_bytes()).await?;
    let pieces = body.len().div_ceil(SLOW_PIECE_BYTES).max(1);
    for piece in body.chunks(SLOW_PIECE_BYTES) {
        write(socket, piece).await?;
        tokio::time::sleep(takes / u32::try_from(pieces).unwrap()).await;
    }
    // Until the client closes it is open.
    let mut rest = Vec::new();
    while read(socket, &mut rest).await? > 0 {}
    Ok(())
}

/// What is written at once.
const SLOW_PIECE_BYTES: usize = 8 << 10;

/// Status line and headers, the body, and how long it takes.
fn answer(state: &Mutex<State>, target: &str, range: Option<&str>) -> (String, Bytes, Duration) {
    let path = target.split('?').next().unwrap_or_default();
    if let Some(Page::Slow { bytes, takes }) = lock(state).pages.get(path) {
        return ("HTTP/1.1 200 OK\r\n".to_owned(), bytes.clone(), *takes);
    }
    let (head, body) = quick_answer(state, target, range);
    (head, body, Duration::ZERO)
}

fn quick_answer(state: &Mutex<State>, target: &str, range: Option<&str>) -> (String, Bytes) {
    let path = target.split('?').next().unwrap_or_default();
    let mut state = lock(state);
    if let Some(status) = state.refusals.get_mut(path).and_then(VecDeque::pop_front) {
        return (format!("HTTP/1.1 {status} No\r\n"), Bytes::new());
    }
    match state.pages.get(target).or_else(|| state.pages.get(path)) {
        None | Some(Page::Slow { .. }) => ("HTTP/1.1 404 Not Found\r\n".to_owned(), Bytes::new()),
        Some(Page::Redirect(to)) => (format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n"), Bytes::new()),
        Some(Page::Live(shelf)) => (
            "HTTP/1.1 200 OK\r\n".to_owned(),
            shelf.playlist(state.started.elapsed()).into(),
        ),
        Some(Page::File { bytes, ranges }) => {
            let part = range
                .filter(|_| *ranges)
                .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
                .map(|(first, last)| (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap()));
            match part {
                None => (
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n".to_owned(),
                    bytes.clone(),
                ),
                Some((first, _)) if first >= bytes.len() => ("HTTP/1.1 416 No\r\n".to_owned(), Bytes::new()),
                Some((first, last)) => {
                    let last = last.min(bytes.len() - 1);
                    let head = format!(
                        "HTTP/1.1 206 Part\r\nContent-Range: bytes {first}-{last}/{}\r\n",
                        bytes.len()
                    );
                    (head, bytes.slice(first..=last))
                }
            }
        }
    }
}

/// Recordings of moving pictures and a tone, made by ffmpeg. `None` where it is missing and nobody insists.
pub(crate) struct Recording {
    folder: TempDir,
}

impl Recording {
    /// So many seconds of H.264 and AAC, a keyframe every second.
    pub(crate) fn make(seconds: u32) -> Option<Self> {
        Self::make_as(
            seconds,
            &["-c:v", "libx264", "-preset", "ultrafast", "-sc_threshold", "0"],
            &["-c:a", "aac", "-b:a", "64k"],
        )
    }

    /// The same of other codecs.
    pub(crate) fn make_as(seconds: u32, video: &[&str], audio: &[&str]) -> Option<Self> {
        if !super::decode::has_tool("ffmpeg") {
            return None;
        }
        let recording = Self {
            folder: TempDir::new().unwrap(),
        };
        let seconds = seconds.to_string();
        let mut arguments = vec![
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x180:rate=25",
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:sample_rate=48000",
            "-t",
            &seconds,
            "-pix_fmt",
            "yuv420p",
            "-g",
            "25",
            "-bf",
            "2",
            "-ac",
            "2",
        ];
        arguments.extend(video.iter().chain(audio));
        arguments.extend(["-f", "nut", "all.nut"]);
        recording.ffmpeg(&arguments);
        Some(recording)
    }

    fn ffmpeg(&self, arguments: &[&str]) {
        let output = Command::new("nice")
            .args([
                "ffmpeg",
                "-hide_banner",
                "-nostdin",
                "-v",
                "error",
                "-threads",
                "1",
                "-y",
            ])
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Cuts it into segments: a folder of its own, with its `index.m3u8`.
    pub(crate) fn hls(&self, name: &str, arguments: &[&str]) -> Cut {
        std::fs::create_dir(self.folder.path().join(name)).unwrap();
        let index = format!("{name}/index.m3u8");
        let mut all = vec!["-i", "all.nut", "-c", "copy"];
        all.extend(arguments);
        all.extend(["-f", "hls", "-hls_list_size", "0", &index]);
        self.ffmpeg(&all);
        let folder = self.folder.path().join(name);
        Cut {
            playlist: std::fs::read_to_string(folder.join("index.m3u8")).unwrap(),
            folder,
            name: name.to_owned(),
        }
    }

    /// Its sound alone, without a container.
    pub(crate) fn sound(&self, format: &str) -> Vec<u8> {
        let name = format!("sound.{format}");
        self.ffmpeg(&["-i", "all.nut", "-map", "0:a", "-c", "copy", "-f", format, &name]);
        std::fs::read(self.folder.path().join(name)).unwrap()
    }
}

/// A recording in segments.
pub(crate) struct Cut {
    pub(crate) name: String,
    pub(crate) playlist: String,
    pub(crate) folder: std::path::PathBuf,
}

impl Cut {
    /// Its files under an address of their own at an origin, and its segments.
    pub(crate) fn put(&self, origin: &Origin, ranges: bool) -> Shelf {
        self.put_at(origin, &format!("/{}/", self.name), ranges)
    }

    /// The same under any address.
    pub(crate) fn put_at(&self, origin: &Origin, prefix: &str, ranges: bool) -> Shelf {
        origin.put_folder(prefix, &self.folder, ranges);
        Shelf::of(&self.playlist, prefix)
    }
}

/// AES-128 as RFC 8216 wants it: with the media sequence number for a vector.
pub(crate) fn encrypt(key: [u8; 16], number: u64, bytes: &[u8]) -> Vec<u8> {
    use aws_lc_rs::cipher::{AES_128, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
    use aws_lc_rs::iv::FixedLength;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_128, &key).unwrap()).unwrap();
    let mut bytes = bytes.to_vec();
    let vector = FixedLength::from(u128::from(number).to_be_bytes());
    key.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(vector))
        .unwrap();
    bytes
}
