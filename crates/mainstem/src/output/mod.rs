//! What viewers get: the channel list, and channels as transport streams or files.
//!
//! Never knows which upstream is live, and never opens one for a live channel: it joins a broadcast.

mod file;
pub mod playlist;
mod ts;

pub(crate) use ts::stream;
