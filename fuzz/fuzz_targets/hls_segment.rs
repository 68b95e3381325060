//! Any bytes as a segment of bare sound, and as one of a transport stream without tables.
#![no_main]
#![expect(dead_code, reason = "each target runs one of the checks")]

#[path = "../checks/hls.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::segment(input));
