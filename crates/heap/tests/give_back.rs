//! What the system says of our memory, before and after.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

const PIECE: usize = 200;
const PIECES: usize = 400_000;

/// Resident memory in pages: the second number of `/proc/self/statm`.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A list as a thread makes it: many small pieces, of which the last one outlives the others.
fn list_and_survivor() -> (Vec<Box<[u8]>>, Box<[u8]>) {
    let list = || (0..PIECES).map(|n| vec![n.to_le_bytes()[0]; PIECE].into_boxed_slice());
    let made = std::thread::spawn(move || (list().collect(), vec![1; PIECE].into_boxed_slice()));
    made.join().unwrap()
}

#[test]
fn what_a_thread_freed_goes_back_to_the_system() {
    let before = resident();
    let (list, survivor) = list_and_survivor();
    let full = resident() - before;
    drop(list);
    let kept = resident() - before;
    if kept <= full / 2 {
        // GLIBC_TUNABLES may say so.
        println!("not tested: the allocator gave it back by itself, {kept} of {full} pages stay");
        return;
    }
    heap::give_back();
    let after = resident().saturating_sub(before);
    assert!(after < full / 4, "{after} of {full} pages stay");
    assert_eq!(survivor.len(), PIECE);
}
