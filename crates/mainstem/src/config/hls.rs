//! The keys under `hls:`: channels as HLS. What is cut and kept is `output::hls`'s.

use std::time::Duration;

use super::{
    defaults,
    section::{choice, section},
};

choice! {
    /// When a channel that is watched is made into HLS.
    pub enum HlsStart {
        /// When somebody asks for it.
        OnRequest = "on_request",
        /// With the channel's broadcast, whoever watches it: the first playlist is then a full one.
        WithBroadcast = "with_broadcast",
    }
}

choice! {
    /// Where segments are kept.
    pub enum HlsStore {
        /// In memory.
        Memory = "memory",
        /// On disk, for a window of an hour or so; the newest in memory, too.
        Disk = "disk",
    }
}

section! {
    /// Channels as HLS, at `/stream/{id}.m3u8`.
    pub struct Hls {
        /// When a channel that is watched is made into HLS.
        start: HlsStart = HlsStart::OnRequest;
        /// How long a segment is at least; it ends at the next keyframe.
        segment: Duration = defaults::HLS_SEGMENT, 1.0 ..= 30.0;
        /// What a playlist lists, and so how far players can pause and rewind. Absent: eight target durations, which are
        /// 32 s unless keyframes are far apart.
        window: Option<Duration> = None, 6.0 ..= 3600.0;
        /// Memory for the segments of one channel, listed or still fetched; a playlist is shortened to fit, but not below
        /// three target durations.
        bytes: usize = defaults::HLS_BYTES, 1048576.0 ..= 4294967296.0;
        /// Where segments are kept: `memory`, or `disk` for a long window, in files without names in `data_dir`.
        store: HlsStore = HlsStore::Memory;
        /// The same as `bytes`, of segments on disk.
        disk_bytes: usize = defaults::HLS_DISK_BYTES, 1048576.0 ..= 1099511627776.0;
        /// How long a channel goes on being made into HLS after the last client asked for its playlist, and how long a
        /// client counts as a viewer after that; three target durations at least.
        linger: Duration = defaults::HLS_LINGER, 1.0 ..= 3600.0;
    }
}
