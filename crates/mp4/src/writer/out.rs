//! Boxes being written.

/// Appends a box of `kind` with what `contents` appends.
pub(super) fn boxed(out: &mut Vec<u8>, kind: &[u8; 4], contents: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend([0; 4]);
    out.extend_from_slice(kind);
    contents(out);
    let size = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    patch(out, at, size);
}

/// Appends a full box (4.2) of `kind`.
pub(super) fn full(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    (version, flags): (u8, u32),
    contents: impl FnOnce(&mut Vec<u8>),
) {
    boxed(out, kind, |out| {
        put32(out, u32::from(version) << 24 | flags);
        contents(out);
    });
}

/// Appends bytes.
pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

/// Appends 32 bits.
pub(super) fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_be_bytes());
}

/// Appends 64 bits.
pub(super) fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_be_bytes());
}

/// Writes 32 bits over those at `at`.
pub(super) fn patch(out: &mut [u8], at: usize, value: u32) {
    if let Some(field) = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        *field = value.to_be_bytes();
    }
}
