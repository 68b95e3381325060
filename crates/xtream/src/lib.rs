//! Answers of the Xtream Codes player API, read leniently.
#![forbid(unsafe_code)]
