//! What a provider is made of: accounts, channels, files and sizes. Values only; nothing here opens a socket.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clip::Clip;
use crate::seconds;

/// Packets a live stream is written in: ten make 1880 bytes, about one Ethernet frame and a third.
pub const PIECE_PACKETS: usize = 10;
/// Where in the clip a stream stands when the provider starts: in the middle of every clip's first GOP but one.
pub const PHASE: Duration = Duration::from_millis(2360);

/// Everything a [`Provider`](crate::Provider) is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Where it listens; port 0 lets the kernel choose.
    pub bind: SocketAddr,
    /// Where its second host, the "load balancer" of redirects, listens.
    pub edge_bind: SocketAddr,
    /// Logins. None at all: every request is refused but those of `/list.m3u` and `/stream/ID.ts`.
    pub accounts: Vec<Account>,
    /// Live channels, in list order.
    pub channels: Vec<Channel>,
    /// Files, in list order.
    pub movies: Vec<Movie>,
    /// Entries made up on the fly after the given ones.
    pub synthetic: Synthetic,
    /// Whether lists carry an `ETag`, and are not sent again to a client that says it.
    pub versioned_lists: bool,
    /// Packets per write of a live stream; at least 1. Default [`PIECE_PACKETS`].
    pub piece_packets: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            edge_bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accounts: Vec::new(),
            channels: Vec::new(),
            movies: Vec::new(),
            synthetic: Synthetic::default(),
            versioned_lists: false,
            piece_packets: PIECE_PACKETS,
        }
    }
}

impl Plan {
    /// An empty plan on kernel-chosen loopback ports.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One login `demo`/`demo` of two connections, one channel per clip and one film: what the binary serves.
    #[must_use]
    pub fn demo() -> Self {
        let mut plan = Self::new()
            .account(Account::new("demo", "demo").max_connections(2))
            .movie(Movie::new("900", "Film", 50_000_000));
        for (number, clip) in (1_u32..).zip(Clip::ALL) {
            plan = plan.channel(Channel::new(
                number,
                &format!("{} {}", clip.letter(), clip.describe()),
                *clip,
            ));
        }
        plan
    }

    /// Adds a login.
    #[must_use]
    pub fn account(mut self, account: Account) -> Self {
        self.accounts.push(account);
        self
    }

    /// Adds a live channel.
    #[must_use]
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channels.push(channel);
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn movie(mut self, movie: Movie) -> Self {
        self.movies.push(movie);
        self
    }

    /// Adds made-up entries to the lists.
    #[must_use]
    pub fn synthetic(mut self, synthetic: Synthetic) -> Self {
        self.synthetic = synthetic;
        self
    }

    /// Makes lists carry an `ETag`, and a client that says it get a 304.
    #[must_use]
    pub fn versioned_lists(mut self) -> Self {
        self.versioned_lists = true;
        self
    }
}

/// A login and its connection limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// First path element of a stream address after `/live`.
    pub username: String,
    /// Second one.
    pub password: String,
    /// Stream connections allowed at once; 0 is no limit.
    pub max_connections: u32,
    /// How long a closed connection goes on counting against the limit (not in the log's sockets).
    #[serde(with = "seconds")]
    pub lingering: Duration,
    /// What happens to a connection too many.
    pub on_limit: OnLimit,
    /// How long an HLS session is held open by its last request, in the limit and in the log.
    #[serde(with = "seconds")]
    pub hls_idle: Duration,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            username: String::new(),
            password: String::new(),
            max_connections: 1,
            lingering: Duration::ZERO,
            on_limit: OnLimit::Refuse { status: 458 },
            hls_idle: Duration::from_secs(10),
        }
    }
}

impl Account {
    /// A login of one connection that answers 458 to a second.
    #[must_use]
    pub fn new(username: &str, password: &str) -> Self {
        Self {
            username: username.to_owned(),
            password: password.to_owned(),
            ..Self::default()
        }
    }

    /// Sets the limit; 0 is none.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets how long a closed connection counts on.
    #[must_use]
    pub fn lingering(mut self, lingering: Duration) -> Self {
        self.lingering = lingering;
        self
    }

    /// Sets what happens at the limit.
    #[must_use]
    pub fn on_limit(mut self, on_limit: OnLimit) -> Self {
        self.on_limit = on_limit;
        self
    }

    /// Sets how long an HLS session outlives its last request.
    #[must_use]
    pub fn hls_idle(mut self, hls_idle: Duration) -> Self {
        self.hls_idle = hls_idle;
        self
    }
}

/// What a provider does with a connection too many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// Answers with a status: 458, 509, 403, …
    Refuse {
        /// The status code.
        status: u16,
    },
    /// Ends the oldest connection (FIN) and serves the new one.
    CutOldest,
    /// Serves the clip "LIMIT" with a 200.
    Clip,
}

/// One endless live stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// What stands in its address; a decimal number where Xtream lists matter.
    pub id: String,
    /// Its name in the lists.
    pub name: String,
    /// Its group in M3U, its category in Xtream.
    #[serde(default)]
    pub group: String,
    /// `tvg-id` and `epg_channel_id`; empty: none.
    #[serde(default)]
    pub guide_id: String,
    /// Which clip it loops.
    pub clip: Clip,
    /// Media seconds per second; 1.0 is live television, 20.0 makes a short test of a long stream.
    #[serde(default = "one")]
    pub speed: f64,
    /// Where in the clip it stands at the provider's start. Default [`PHASE`].
    #[serde(default = "phase", with = "seconds")]
    pub phase: Duration,
    /// Clock of the first picture of lap 0 in 90 kHz units; `None`: the clip's own.
    #[serde(default)]
    pub time_base: Option<u64>,
    /// Media time a new connection gets at once, from the recent past.
    #[serde(default, with = "seconds")]
    pub burst: Duration,
    /// Where a new connection enters.
    #[serde(default)]
    pub join: Join,
    /// Whether `ID.m3u8` is a multivariant playlist that leads to the media playlist.
    #[serde(default)]
    pub multivariant: bool,
}

fn one() -> f64 {
    1.0
}

fn phase() -> Duration {
    PHASE
}

impl Channel {
    /// A channel at normal speed, joined mid-GOP, without a burst.
    #[must_use]
    pub fn new(id: impl std::fmt::Display, name: &str, clip: Clip) -> Self {
        Self {
            id: id.to_string(),
            name: name.to_owned(),
            group: "Live".to_owned(),
            guide_id: String::new(),
            clip,
            speed: 1.0,
            phase: PHASE,
            time_base: None,
            burst: Duration::ZERO,
            join: Join::MidGop,
            multivariant: false,
        }
    }

    /// Sets media seconds per second.
    #[must_use]
    pub fn speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// Sets the group.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        group.clone_into(&mut self.group);
        self
    }

    /// Sets the guide's id.
    #[must_use]
    pub fn guide_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.guide_id);
        self
    }

    /// Sets the position in the clip at the provider's start.
    #[must_use]
    pub fn phase(mut self, phase: Duration) -> Self {
        self.phase = phase;
        self
    }

    /// Sets the clock of the first picture of lap 0, 90 kHz.
    #[must_use]
    pub fn time_base(mut self, ticks_90k: u64) -> Self {
        self.time_base = Some(ticks_90k);
        self
    }

    /// Sets the burst a new connection gets.
    #[must_use]
    pub fn burst(mut self, burst: Duration) -> Self {
        self.burst = burst;
        self
    }

    /// Sets where a new connection enters.
    #[must_use]
    pub fn join(mut self, join: Join) -> Self {
        self.join = join;
        self
    }

    /// Makes `ID.m3u8` a multivariant playlist.
    #[must_use]
    pub fn multivariant(mut self) -> Self {
        self.multivariant = true;
        self
    }
}

/// Where in the stream a new connection begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Wherever the stream is: what real providers do.
    #[default]
    MidGop,
    /// At the PAT before the last key frame. Of an open GOP, the pictures before it that point back are lost.
    Keyframe,
    /// At the beginning of the clip's present lap, which no picture points back from.
    Lap,
}

/// A file of deterministic bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Movie {
    /// What stands in its address.
    pub id: String,
    /// Its name in the lists.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Speed limit; `None`: as fast as the socket takes.
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
    /// Its `ETag`; `None`: one made of id and size. Empty: neither `ETag` nor `Last-Modified`.
    #[serde(default)]
    pub etag: Option<String>,
    /// Its bytes; `None`: noise behind the beginning of an MP4.
    #[serde(skip)]
    pub content: Option<Arc<[u8]>>,
    /// Its `Content-Type`; empty: none.
    #[serde(default = "mp4")]
    pub content_type: String,
}

fn mp4() -> String {
    "video/mp4".to_owned()
}

impl Movie {
    /// A file without a speed limit.
    #[must_use]
    pub fn new(id: impl std::fmt::Display, name: &str, bytes: u64) -> Self {
        Self {
            id: id.to_string(),
            name: name.to_owned(),
            bytes,
            bytes_per_second: None,
            etag: None,
            content: None,
            content_type: mp4(),
        }
    }

    /// A file of given bytes, called `content_type`.
    #[must_use]
    pub fn of(id: impl std::fmt::Display, name: &str, content: &[u8], content_type: &str) -> Self {
        Self {
            content: Some(content.into()),
            content_type: content_type.to_owned(),
            ..Self::new(id, name, content.len() as u64)
        }
    }

    /// Sets the `ETag`, quotes and all; an empty one leaves out `Last-Modified` too.
    #[must_use]
    pub fn etag(mut self, etag: &str) -> Self {
        self.etag = Some(etag.to_owned());
        self
    }

    /// Sets a speed limit.
    #[must_use]
    pub fn bytes_per_second(mut self, rate: u64) -> Self {
        self.bytes_per_second = Some(rate);
        self
    }
}

/// How many entries the lists make up, one at a time while they are sent. Ids start at [`SYNTHETIC_LIVE`],
/// [`SYNTHETIC_MOVIES`] and [`SYNTHETIC_SERIES`]; the live ones play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Synthetic {
    /// Live channels.
    pub live: u32,
    /// Films.
    pub movies: u32,
    /// Series, of two seasons with three episodes each.
    pub series: u32,
}

/// Id of the first synthetic live channel.
pub const SYNTHETIC_LIVE: u32 = 1_000_000;
/// Id of the first synthetic film.
pub const SYNTHETIC_MOVIES: u32 = 3_000_000;
/// Id of the first synthetic series.
pub const SYNTHETIC_SERIES: u32 = 5_000_000;
