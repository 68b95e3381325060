//! Bytes to entries, in any division of the bytes and in constant memory.

use crate::{Entry, Report};

/// The longest line that is read, in bytes without its line end. A longer one costs its entry.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Reads a channel list pushed in any division.
#[derive(Debug, Default)]
pub struct Reader {
    report: Report,
}

impl Reader {
    /// A reader at the start of a list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the list and hands every entry that is complete to `sink`.
    pub fn push(&mut self, bytes: &[u8], sink: &mut impl FnMut(Entry)) {
        let _ = (bytes, sink);
    }

    /// Ends the list: hands out the last entry and says what was seen.
    pub fn finish(self, sink: &mut impl FnMut(Entry)) -> Report {
        let _ = sink;
        self.report
    }

    /// What was seen so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Reads a whole list that is already in memory.
    #[must_use]
    pub fn read(bytes: &[u8]) -> (Vec<Entry>, Report) {
        let mut entries = Vec::new();
        let mut reader = Self::new();
        reader.push(bytes, &mut |entry| entries.push(entry));
        let report = reader.finish(&mut |entry| entries.push(entry));
        (entries, report)
    }
}
