//! One upstream to many viewers: broadcast, ring, failover.
#![forbid(unsafe_code)]
