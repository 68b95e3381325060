//! Any bytes as raw radio.
#![no_main]
#![expect(dead_code, reason = "each target runs one of the checks")]

#[path = "../checks/slate.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::radio(input));
