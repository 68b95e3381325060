//! The waits and bounds of a broadcast. The program's configuration fills them; the defaults are the design's.

use std::time::Duration;

/// Waits and bounds of one broadcast, all overridable in the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    /// From asking for a stream to its answer, and from there to a programme; past this the attempt has failed. A
    /// stream whose programme flows may take some seconds longer to its first keyframe.
    pub open_within: Duration,
    /// How long a stream may be silent after it was asked for until the next is opened beside it, where another login
    /// has a connection to spare.
    pub hedge_after: Duration,
    /// How far media falls behind the wall clock until a source is suspect and the next is opened beside it, likewise.
    pub suspect_behind: Duration,
    /// How far media may fall behind the wall clock before a source counts as stalled.
    pub stall_behind: Duration,
    /// How far ahead of the wall clock media is read; past this the upstream's socket is left unread.
    pub ahead_max: Duration,
    /// Silence after which viewers get the slate though a source is still being opened.
    pub slate_after: Duration,
    /// Silence after which a viewer's connection is kept alive with null packets.
    pub keep_alive_after: Duration,
    /// How long an upstream stays open after its last viewer left.
    pub linger: Duration,
    /// How far behind the newest media a viewer starts at least, where the ring reaches that far.
    pub join_behind: Duration,
    /// First wait after every stream of a channel failed.
    pub backoff_min: Duration,
    /// Longest such wait while the failures look passing.
    pub backoff_max: Duration,
    /// Longest such wait when every stream is gone, blocked or unusable.
    pub backoff_max_hopeless: Duration,
    /// A stream that delivered media for this long has been healthy: its end earns one quick reconnect.
    pub healthy_after: Duration,
    /// Media kept for viewers, at least, besides what is ahead of the wall clock.
    pub ring_span: Duration,
    /// Bytes kept for viewers while a later keyframe serves a join as well.
    pub ring_bytes: usize,
    /// Bytes kept for viewers, at most: past this even the keyframe a join needs is given up.
    pub ring_bytes_max: usize,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            open_within: Duration::from_secs(8),
            hedge_after: Duration::from_secs(2),
            suspect_behind: Duration::from_millis(1_500),
            stall_behind: Duration::from_millis(2_500),
            ahead_max: Duration::from_secs(10),
            slate_after: Duration::from_secs(5),
            keep_alive_after: Duration::from_millis(500),
            linger: Duration::from_secs(10),
            join_behind: Duration::from_secs(4),
            backoff_min: Duration::from_millis(250),
            backoff_max: Duration::from_secs(5),
            backoff_max_hopeless: Duration::from_secs(30),
            healthy_after: Duration::from_secs(10),
            ring_span: Duration::from_secs(10),
            ring_bytes: 16 << 20,
            ring_bytes_max: 64 << 20,
        }
    }
}
