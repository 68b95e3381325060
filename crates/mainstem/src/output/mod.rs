//! What viewers get: the channel list, and channels as transport streams or files.
//!
//! Never knows which upstream is live, and never opens one for what is on: it joins a broadcast.

pub mod catchup;
mod file;
pub mod films;
pub mod hls;
mod lines;
pub mod playlist;
pub mod rendering;
mod ts;

pub(crate) use ts::stream;

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;

/// The body of an answer to HEAD: it says nothing of a length, where an empty body would say zero.
fn no_body() -> Body {
    Body::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>())
}
