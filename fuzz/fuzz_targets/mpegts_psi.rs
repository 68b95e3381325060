//! Any packets: sections are bounded, and what reads as a table reads the same after it was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mpegts::psi::{Pat, Pmt, SectionReader, crc32, descriptors};
use mpegts::{PACKET_BYTES, Packet};

fn judge(section: &[u8]) {
    if let Ok(pat) = Pat::parse(section) {
        assert!(pat.write().is_err() || Pat::parse(&pat.write().unwrap()) == Ok(pat));
    }
    if let Ok(pmt) = Pmt::parse(section) {
        for stream in &pmt.streams {
            descriptors(&stream.descriptors).for_each(drop);
        }
        assert!(pmt.write().is_err() || Pmt::parse(&pmt.write().unwrap()) == Ok(pmt));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut reader = SectionReader::default();
    for packet in bytes.as_chunks::<PACKET_BYTES>().0.iter().filter_map(Packet::new) {
        reader.push(&packet, |section| {
            assert!(section.len() <= 3 + 4095);
            judge(section);
        });
    }
    // Chance does not find a CRC.
    if let Some((body, _)) = bytes.split_last_chunk::<4>() {
        judge(&[body, &crc32(body).to_be_bytes()].concat());
    }
});
