//! Any bytes as segments of a transport stream, read as frames.
#![no_main]
#![expect(dead_code, reason = "each target runs one of the checks")]

#[path = "../checks/containers.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::ts_demux(input));
