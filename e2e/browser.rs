//! Chromium without a window, and the page of players in it, which tells what it shows.
//!
//! The page comes from a server of its own: another site than the streams, so that nothing plays where mainstem does not
//! allow other sites' pages.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::program::{find, read, terminate};
use crate::server::PATIENCE;

/// Pause between two looks at what the page told.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const PAGE: &str = include_str!("web/page.html");

/// hls.js as npm installs it.
const HLS_JS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../e2e/web/node_modules/hls.js/dist/hls.min.js"
);

/// What plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Player {
    HlsJs,
    /// What Chromium has itself, since version 142.
    Browser,
}

impl Player {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HlsJs => "hls.js",
            Self::Browser => "browser",
        }
    }

    /// Longest time without a new picture, the source's death in it: on a busy machine pictures come up to 0.4 s apart.
    /// Chromium's own player may stop while the source is silent, though it is told of more than it has shown: for 2.4 s in
    /// one of eight plays.
    pub(crate) fn stop_max(self) -> Duration {
        match self {
            Self::HlsJs => Duration::from_secs(1),
            Self::Browser => Duration::from_secs(4),
        }
    }
}

/// A video of the page, and what it is to play.
#[derive(Debug, Clone)]
pub(crate) struct Video {
    pub(crate) scene: &'static str,
    pub(crate) player: Player,
    pub(crate) url: String,
    /// The language of the sound that is chosen by hand.
    pub(crate) sound: Option<&'static str>,
}

/// What the page tells of a video.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Seen {
    /// Shown, each at its time.
    pub(crate) pictures: u64,
    /// Of those the page looked at, how many were as the one before.
    pub(crate) looked_same: u64,
    /// Decoded, shown or not.
    pub(crate) decoded: u64,
    /// `width x height` of the pictures, each once.
    pub(crate) sizes: Vec<String>,
    /// From the start.
    pub(crate) first_picture_ms: Option<f64>,
    pub(crate) first_time_s: f64,
    pub(crate) last_time_s: f64,
    /// Between two pictures.
    pub(crate) longest_stop_ms: f64,
    #[expect(dead_code, reason = "it is printed")]
    pub(crate) longest_stop_at_s: f64,
    /// Since the last picture.
    pub(crate) standing_ms: f64,
    /// Names of the sounds to choose from, and of the chosen one, as hls.js tells them.
    pub(crate) sounds: Vec<String>,
    pub(crate) sound: Option<String>,
    /// Segments of a sound in a playlist of its own that were played into the buffer.
    pub(crate) sound_segments: u64,
    /// What ended it.
    pub(crate) errors: Vec<String>,
    #[expect(dead_code, reason = "it is printed")]
    pub(crate) faults: Vec<String>,
}

/// A browser with the page open; ended when dropped.
pub(crate) struct Browser {
    child: Child,
    videos: Vec<Video>,
    told: Arc<Mutex<Vec<Seen>>>,
}

impl Browser {
    /// Whether Chromium and hls.js are here, or need be.
    pub(crate) fn is_here() -> bool {
        find("chromium").is_some() && read(Path::new(HLS_JS)).is_some()
    }

    /// Opens the page, which plays `videos`.
    pub(crate) fn open(videos: Vec<Video>, folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let scenes = videos.iter().map(|video| {
            json!({"name": format!("{}, {}", video.player.name(), video.scene), "player": video.player.name(), "url": video.url, "sound": video.sound})
        });
        let told = Arc::new(Mutex::new(Vec::new()));
        let pages = Pages {
            hls_js: read(Path::new(HLS_JS)).expect("npm installs it"),
            scenes: Value::Array(scenes.collect()).to_string(),
            told: Arc::clone(&told),
        };
        thread::spawn(move || serve(&Arc::new(pages), &listener));
        let log = std::fs::File::create(folder.join("chromium.log")).expect("a file");
        let child = Command::new(find("chromium").expect("Debian installs it"))
            // Root has no sandbox; there is neither a screen nor a sound card.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio"])
            .args(["--autoplay-policy=no-user-gesture-required", "--no-first-run"])
            // It asks nobody but the page's server and mainstem.
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-sync", "--disable-default-apps", "--no-proxy-server"])
            .arg("--window-size=400,400")
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .arg(format!("http://127.0.0.1:{port}/"))
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Chromium starts");
        let browser = Self { child, videos, told };
        browser.wait_for_pictures();
        browser
    }

    /// A browser is slow to start on a busy machine. What it shows, or cannot, is judged later.
    fn wait_for_pictures(&self) {
        let began = Instant::now();
        let is_ready = |seen: &Seen| seen.first_picture_ms.is_some();
        while began.elapsed() < PATIENCE {
            let told = self.told();
            if !told.is_empty() && told.iter().all(is_ready) {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn told(&self) -> Vec<Seen> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes it; gives what the page told last of each video.
    pub(crate) fn close(self) -> Vec<(Video, Seen)> {
        self.videos.iter().cloned().zip(self.told()).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        terminate(self.child.id());
        // It may have ended by itself.
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// The server of the page.
struct Pages {
    hls_js: Vec<u8>,
    scenes: String,
    told: Arc<Mutex<Vec<Seen>>>,
}

/// Each socket in a thread of its own: a browser opens some ahead, and says nothing on them.
fn serve(pages: &Arc<Pages>, listener: &TcpListener) {
    for socket in listener.incoming().flatten() {
        let pages = Arc::clone(pages);
        thread::spawn(move || pages.answer(&socket).unwrap_or_default());
    }
}

impl Pages {
    fn answer(&self, socket: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(socket);
        let (mut line, mut length) = (String::new(), 0_usize);
        reader.read_line(&mut line)?;
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or_default();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (kind, answer): (&str, &[u8]) = match path.as_str() {
            "/" => ("text/html", PAGE.as_bytes()),
            "/hls.js" => ("text/javascript", &self.hls_js),
            "/scenes.json" => ("application/json", self.scenes.as_bytes()),
            "/report" => {
                let told = serde_json::from_slice(&body).expect("the page says what `Seen` reads");
                *self.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
                ("text/plain", b"")
            }
            "/failed" => {
                eprintln!("the page fails: {}", String::from_utf8_lossy(&body));
                ("text/plain", b"")
            }
            _ => ("text/plain", b""),
        };
        let mut socket = socket;
        write!(
            socket,
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            answer.len()
        )?;
        socket.write_all(answer)
    }
}
