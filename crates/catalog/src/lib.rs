//! Listings and rules in, channels out: filters, grouping, ids and order.
#![forbid(unsafe_code)]
