//! Any bytes as a playlist, then followed.
#![no_main]
#![expect(dead_code, reason = "each target runs one of the checks")]

#[path = "../checks/hls.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::playlist(input));
