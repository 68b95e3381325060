//! Any bytes as segments of fragmented MP4.
#![no_main]
#![expect(dead_code, reason = "each target runs one of the checks")]

#[path = "../checks/containers.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::mp4_reader(input));
