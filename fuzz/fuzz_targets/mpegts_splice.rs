//! Any source between two good ones.
#![no_main]
#![expect(dead_code, reason = "each target runs one of the checks")]

#[path = "../checks/mpegts.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::splice(input));
