//! The keys under `timing:` and `limits:`. What the bounds are applied to is other rooms' business.

use std::time::Duration;

use super::{
    defaults,
    section::{choice, section},
};

choice! {
    /// Who makes room where a client watches as many channels as it may.
    pub enum ClientPolicy {
        /// Nobody: the new request is refused.
        RefuseNewest = "refuse_newest",
        /// The client's oldest stream ends.
        StopOldest = "stop_oldest",
    }
}

section! {
    /// How long things may take. A plain number is seconds; `500ms`, `30s`, `5m`, `4h` and `1d` say their unit.
    pub struct Timing {
        /// Longest wait for a TCP connection to a provider.
        connect: Duration = defaults::CONNECT, 0.1 ..= 60.0;
        /// Longest wait for the head of a provider's answer, and again for bytes that can be understood as a stream.
        first_bytes: Duration = defaults::FIRST_BYTES, 0.5 ..= 120.0;
        /// A stream that has sent nothing that can be understood for so long after it was asked for gets the next source
        /// opened beside it, where another account has a connection to spare. The first to show a picture stays.
        hedge_after: Duration = defaults::HEDGE_AFTER, 0.1 ..= 120.0;
        /// A stream this far behind the wall clock is suspect, and gets the next source opened beside it, likewise.
        suspect: Duration = defaults::SUSPECT, 0.1 ..= 60.0;
        /// A stream this far behind the wall clock has stalled, and the next source takes over.
        stall: Duration = defaults::STALL, 0.5 ..= 60.0;
        /// Shortest pause before a stream that failed is opened again.
        backoff_min: Duration = defaults::BACKOFF_MIN, 0.05 ..= 60.0;
        /// Longest pause before a stream that failed is opened again.
        backoff_max: Duration = defaults::BACKOFF_MAX, 0.05 ..= 600.0;
        /// A dead stream is left alone this long at first; each further failure doubles it.
        cool_down_min: Duration = defaults::COOL_DOWN_MIN, 1.0 ..= 86400.0;
        /// A dead stream is tried again at least this often.
        cool_down_max: Duration = defaults::COOL_DOWN_MAX, 1.0 ..= 86400.0;
        /// A new viewer starts at the keyframe at least this far back, if the ring has it.
        join_back: Duration = defaults::JOIN_BACK, 0.0 ..= 60.0;
        /// A viewer who takes no byte for this long is cut off.
        viewer_stall: Duration = defaults::VIEWER_STALL, 1.0 ..= 600.0;
        /// An upstream nobody watches stays open this long; it closes at once where its connection is wanted.
        linger: Duration = defaults::LINGER, 0.0 ..= 3600.0;
        /// Longest wait for a connection at an account whose connections are all in use, so that a viewer who switches
        /// channels gets the one he just left.
        zap_hold: Duration = defaults::ZAP_HOLD, 0.0 ..= 60.0;
        /// How long a device whose stream was stopped by `limits.client_policy` stops no other in turn: two players that
        /// reconnect by themselves cannot fight for ever.
        client_cool_down: Duration = defaults::CLIENT_COOL_DOWN, 0.0 ..= 86400.0;
        /// Silence after which a viewer is sent null packets, which keep his connection alive.
        keep_alive_after: Duration = defaults::KEEP_ALIVE_AFTER, 0.1 ..= 60.0;
        /// Silence after which a viewer is sent the slate.
        slate_after: Duration = defaults::SLATE_AFTER, 0.5 ..= 60.0;
        /// Latest moment for a response head: players give up at 6 to 8 s.
        head_within: Duration = defaults::HEAD_WITHIN, 0.5 ..= 60.0;
        /// Longest wait for viewers to end at shutdown.
        drain: Duration = defaults::DRAIN, 0.0 ..= 600.0;
        /// Longest silence while a list is read.
        list_silence: Duration = defaults::LIST_SILENCE, 1.0 ..= 600.0;
        /// Longest time one list may take.
        list_total: Duration = defaults::LIST_TOTAL, 1.0 ..= 86400.0;
        /// Shortest time between two API calls at one account.
        api_interval: Duration = defaults::API_INTERVAL, 0.0 ..= 3600.0;
        /// Longest wait for the head of a client's request.
        request_head: Duration = defaults::REQUEST_HEAD, 0.5 ..= 600.0;
    }
}

section! {
    /// How much there may be of things. Bytes are plain numbers or say their unit: `64KiB`, `16MiB`, `1GiB`.
    pub struct Limits {
        /// Bytes of a channel's ring.
        ring_bytes: usize = defaults::RING_BYTES, 1048576.0 ..= 1073741824.0;
        /// Bytes a ring may stretch to, rather than lose the keyframe a new viewer needs.
        ring_bytes_max: usize = defaults::RING_BYTES_MAX, 1048576.0 ..= 1073741824.0;
        /// Media time a ring holds at least, bytes allowing.
        ring_time: Duration = defaults::RING_TIME, 2.0 ..= 600.0;
        /// Bytes one list may have after decompression.
        list_bytes: usize = defaults::LIST_BYTES, 1024.0 ..= 17179869184.0;
        /// Entries one list may have.
        list_entries: u32 = defaults::LIST_ENTRIES, 1.0 ..= 100000000.0;
        /// Viewers at one time. Half of them, or 20 where that is more, may watch as HLS from one address (of IPv6, the
        /// first 64 bits); behind a proxy addresses are told apart only with `trusted_proxies`.
        viewers: u32 = defaults::VIEWERS, 1.0 ..= 1000000.0;
        /// Channels one client may watch at a time; 0: any number. A client is a device that names itself (`?device=` in
        /// the address), else an address; behind a proxy that counts only with `trusted_proxies`.
        channels_per_client: u32 = defaults::CHANNELS_PER_CLIENT, 0.0 ..= 10000.0;
        /// Who makes room for one more: `refuse_newest`, or `stop_oldest`. A device that names itself always replaces
        /// its own stream.
        client_policy: ClientPolicy = ClientPolicy::RefuseNewest;
        /// Redirects followed for one request.
        redirects: u32 = defaults::REDIRECTS, 0.0 ..= 50.0;
        /// Bits per second a variant of an HLS stream may have; 0: any number. Of those within it the largest is played,
        /// and the smallest of all where none is within it.
        hls_bandwidth: u32 = 0, 0.0 ..= 4294967295.0;
        /// Connections at one account, where neither `max_connections` nor the account says.
        account_connections: u32 = defaults::ACCOUNT_CONNECTIONS, 1.0 ..= 10000.0;
    }
}
