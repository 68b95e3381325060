//! Any bytes as datagrams of several senders.
#![no_main]

#[path = "../checks/datagrams.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::datagrams(input));
