//! Channel lists in the M3U dialects of the field: read leniently, written strictly.
#![forbid(unsafe_code)]
