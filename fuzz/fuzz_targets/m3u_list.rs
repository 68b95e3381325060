//! Any bytes, in two divisions: no panic, the same entries, nothing that breaks out of its line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (size, list) = input;
    let whole = m3u::Reader::read(list);
    let mut reader = m3u::Reader::new();
    let mut entries = Vec::new();
    for piece in list.chunks(usize::from(size) + 1) {
        reader.push(piece, &mut |entry| entries.push(entry));
    }
    let report = reader.finish(&mut |entry| entries.push(entry));
    assert_eq!((entries, report), whole);
    let mut writer = m3u::Writer::new(String::new(), &whole.1.header).expect("a string takes everything");
    for entry in &whole.0 {
        assert!(!entry.url.contains(['\r', '\n']));
        writer.entry(entry).expect("a string takes everything");
    }
    assert_eq!(m3u::Reader::read(writer.into_inner().as_bytes()).0.len(), whole.0.len());
});
