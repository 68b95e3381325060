//! Every default of the configuration, with its unit. No other file holds one.

use std::time::Duration;

/// Most upstream connections at all accounts together.
pub const MAX_TOTAL_CONNECTIONS: u32 = 100;
/// Most upstream connections at one account, where neither the configuration nor the account says.
pub const ACCOUNT_CONNECTIONS: u32 = 5;
/// Time between two refreshes of one source.
pub const REFRESH_INTERVAL: Duration = Duration::from_secs(4 * 60 * 60);
/// Time a provider goes on counting a connection after it was closed.
pub const RELEASE_DELAY: Duration = Duration::ZERO;
/// Address the server listens at: all of them.
pub const BIND_HOST: &str = "0.0.0.0";
/// Port the server listens at.
pub const BIND_PORT: u16 = 8080;
/// Account name of the Xtream endpoints.
pub const XTREAM_USERNAME: &str = "admin";
/// Account password of the Xtream endpoints.
pub const XTREAM_PASSWORD: &str = "admin";
/// User-Agent of requests to providers; some refuse unknown ones, none refuses a player's.
pub const USER_AGENT: &str = "VLC/3.0.20 LibVLC/3.0.20";

/// Longest wait for a TCP connection to a provider.
pub const CONNECT: Duration = Duration::from_secs(5);
/// Longest wait for the head of an answer, and again for bytes that can be understood as a stream.
pub const FIRST_BYTES: Duration = Duration::from_secs(8);
/// Silence after which a stream that was asked for gets the next one opened beside it.
pub const HEDGE_AFTER: Duration = Duration::from_secs(2);
/// A stream this far behind the wall clock is suspect, and gets the next one opened beside it.
pub const SUSPECT: Duration = Duration::from_millis(1_500);
/// A stream this far behind the wall clock has stalled.
pub const STALL: Duration = Duration::from_millis(2_500);
/// Shortest pause before a stream that failed is opened again.
pub const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// Longest pause before a stream that failed is opened again.
pub const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A stream that failed for good is left alone this long at first; each further failure doubles it.
pub const COOL_DOWN_MIN: Duration = Duration::from_secs(30);
/// A dead stream is tried again at least this often.
pub const COOL_DOWN_MAX: Duration = Duration::from_secs(10 * 60);
/// A new viewer starts at the keyframe at least this far back, if the ring has it.
pub const JOIN_BACK: Duration = Duration::from_secs(4);
/// A viewer who takes no byte for this long is cut off.
pub const VIEWER_STALL: Duration = Duration::from_secs(20);
/// An upstream nobody watches stays open this long.
pub const LINGER: Duration = Duration::from_secs(10);
/// Longest wait for a connection at an account whose connections are all in use.
pub const ZAP_HOLD: Duration = Duration::from_secs(2);
/// A device whose stream was stopped for another of the same client stops none in turn for this long.
pub const CLIENT_COOL_DOWN: Duration = Duration::from_secs(60);
/// Silence after which a viewer is sent null packets.
pub const KEEP_ALIVE_AFTER: Duration = Duration::from_millis(500);
/// Silence after which a viewer is sent the slate.
pub const SLATE_AFTER: Duration = Duration::from_secs(5);
/// Latest moment for a response head: players give up at 6 to 8 s.
pub const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Longest wait for viewers to end at shutdown.
pub const DRAIN: Duration = Duration::from_secs(10);
/// Percent of the known entries that a list must have to be believed at once.
pub const COLLAPSE_SHARE: u32 = 50;
/// Longest silence while a list is read.
pub const LIST_SILENCE: Duration = Duration::from_secs(30);
/// Longest time one list may take.
pub const LIST_TOTAL: Duration = Duration::from_secs(10 * 60);
/// Shortest time between two API calls at one account.
pub const API_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait for the head of a client's request.
pub const REQUEST_HEAD: Duration = Duration::from_secs(10);

/// Bytes of a channel's ring.
pub const RING_BYTES: usize = 16 << 20;
/// Bytes a ring may stretch to, rather than lose the keyframe a new viewer needs.
pub const RING_BYTES_MAX: usize = 64 << 20;
/// Media time a ring holds at least, bytes allowing.
pub const RING_TIME: Duration = Duration::from_secs(10);
/// Bytes one list may have after decompression.
pub const LIST_BYTES: usize = 512 << 20;
/// Entries one list may have.
pub const LIST_ENTRIES: u32 = 2_000_000;
/// Viewers at one time.
pub const VIEWERS: u32 = 10_000;
/// Channels one client may watch at a time; 0: any number.
pub const CHANNELS_PER_CLIENT: u32 = 0;
/// Redirects followed for one request.
pub const REDIRECTS: u32 = 10;

/// Media of an HLS segment, at least.
pub const HLS_SEGMENT: Duration = Duration::from_secs(4);
/// Memory for the HLS segments of one channel.
pub const HLS_BYTES: usize = 64 << 20;
/// Disk for the HLS segments of one channel: an hour of 4 Mbit/s, listed and a while longer.
pub const HLS_DISK_BYTES: usize = 4 << 30;
/// How long a channel goes on as HLS, and a client counts, after the last request for the playlist.
pub const HLS_LINGER: Duration = Duration::from_secs(15);
