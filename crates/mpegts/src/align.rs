//! Finds the packet grid in a run of bytes.

/// Bytes in any division in, whole packets out.
#[derive(Debug, Default)]
pub struct Aligner {}
