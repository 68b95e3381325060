//! The attribute syntax of `#EXTINF` and `#EXTM3U` in every odd quoting.
