//! HLS playlists as values, and the decisions of a client that follows a live one.
#![forbid(unsafe_code)]
