//! MPEG transport streams: packets, tables, clocks, and the splice of several sources into one programme.
#![forbid(unsafe_code)]
