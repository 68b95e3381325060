//! Stream titles of internet radio, as SHOUTcast began them and everybody after it does: a client that says
//! `Icy-MetaData: 1` may be told `icy-metaint: N`, and finds a block of metadata behind every N bytes of sound. Some
//! send them unasked. Pure.
//!
//! A block is a byte that counts 16 bytes each, and so many of text: `StreamTitle='…';` and others, filled up with NUL.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Says that the one who asks takes titles.
pub const METADATA: HeaderName = HeaderName::from_static("icy-metadata");

/// Says how many bytes of sound lie between two blocks.
pub const INTERVAL: HeaderName = HeaderName::from_static("icy-metaint");

/// What a station is called.
pub const NAME: HeaderName = HeaderName::from_static("icy-name");

/// Bytes of sound between two of our own blocks: what most servers have.
pub const INTERVAL_BYTES: usize = 16_000;

/// An interval past which a header is a mistake.
const INTERVAL_BYTES_MAX: usize = 16 << 20;

/// What the length byte of a block counts.
const UNIT_BYTES: usize = 16;

const TITLE: &[u8] = b"StreamTitle='";

/// Whether headers say that their sender takes titles.
#[must_use]
pub fn takes_titles(headers: &HeaderMap) -> bool {
    headers
        .get(METADATA)
        .is_some_and(|value| value.as_bytes().trim_ascii() == b"1")
}

/// The header by which titles are asked for.
#[must_use]
pub fn asking() -> HeaderMap {
    HeaderMap::from_iter([(METADATA, HeaderValue::from_static("1"))])
}

/// Takes the blocks out of what a server sends.
#[derive(Debug)]
pub struct TitleReader {
    interval: usize,
    /// Bytes of sound before the next block.
    sound_left: usize,
    /// Bytes of the present block that are missing; `None` while its length is.
    block_left: Option<usize>,
    block: Vec<u8>,
}

impl TitleReader {
    /// For an answer that has blocks; `None` for others.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let interval = headers.get(INTERVAL)?.to_str().ok()?.trim().parse().ok()?;
        (1..=INTERVAL_BYTES_MAX).contains(&interval).then(|| Self {
            interval,
            sound_left: interval,
            block_left: None,
            block: Vec::new(),
        })
    }

    /// The sound in bytes that came, in any division; and the title that came last in them, if one did.
    pub fn push(&mut self, mut bytes: Bytes) -> (Bytes, Option<String>) {
        if bytes.len() <= self.sound_left {
            self.sound_left -= bytes.len();
            return (bytes, None);
        }
        let mut sound = BytesMut::with_capacity(bytes.len());
        let mut title = None;
        while !bytes.is_empty() {
            if self.sound_left > 0 {
                let count = self.sound_left.min(bytes.len());
                sound.extend_from_slice(&bytes.split_to(count));
                self.sound_left -= count;
                continue;
            }
            let left = match self.block_left {
                Some(left) => left,
                None => {
                    let units = bytes.split_to(1);
                    units.first().map_or(0, |units| usize::from(*units) * UNIT_BYTES)
                }
            };
            let part = bytes.split_to(left.min(bytes.len()));
            self.block.extend_from_slice(&part);
            self.block_left = Some(left - part.len());
            if left == part.len() {
                title = title_in(&self.block).or(title);
                self.block.clear();
                self.block_left = None;
                self.sound_left = self.interval;
            }
        }
        (sound.freeze(), title)
    }
}

/// The title in a block. What is no UTF-8 is Latin-1, as it was in the beginning.
fn title_in(block: &[u8]) -> Option<String> {
    let at = block.windows(TITLE.len()).position(|text| text == TITLE)?;
    let rest = block.get(at + TITLE.len()..)?;
    // A title may have an apostrophe in it.
    let end = rest
        .windows(2)
        .position(|text| text == b"';")
        .or_else(|| rest.iter().rposition(|byte| *byte == b'\''))?;
    let title = rest.get(..end)?;
    Some(match std::str::from_utf8(title) {
        Ok(text) => text.to_owned(),
        Err(_) => title.iter().map(|byte| char::from(*byte)).collect(),
    })
}

/// Puts blocks between sound.
#[derive(Debug)]
pub struct TitleWriter {
    sound_left: usize,
    /// What was told last.
    told: Option<String>,
}

impl Default for TitleWriter {
    fn default() -> Self {
        Self {
            sound_left: INTERVAL_BYTES,
            told: None,
        }
    }
}

impl TitleWriter {
    /// Sound with the blocks that are due in it. A title is told where it is not the one told before.
    pub fn push(&mut self, mut sound: Bytes, title: &str) -> Bytes {
        if sound.len() < self.sound_left {
            self.sound_left -= sound.len();
            return sound;
        }
        let mut out = BytesMut::with_capacity(sound.len() + UNIT_BYTES * usize::from(u8::MAX));
        while sound.len() >= self.sound_left {
            out.extend_from_slice(&sound.split_to(self.sound_left));
            self.block(title, &mut out);
            self.sound_left = INTERVAL_BYTES;
        }
        self.sound_left -= sound.len();
        out.extend_from_slice(&sound);
        out.freeze()
    }

    fn block(&mut self, title: &str, out: &mut BytesMut) {
        if self.told.as_deref() == Some(title) {
            out.extend_from_slice(&[0]);
            return;
        }
        // What would end the title before its end ends nothing.
        let plain = title.replace("';", "' ;");
        let room = UNIT_BYTES * usize::from(u8::MAX) - TITLE.len() - 2;
        let plain = plain.get(..plain.floor_char_boundary(room)).unwrap_or_default();
        let count = TITLE.len() + plain.len() + 2;
        let units = count.div_ceil(UNIT_BYTES);
        out.extend_from_slice(&[u8::try_from(units).unwrap_or(u8::MAX)]);
        out.extend_from_slice(TITLE);
        out.extend_from_slice(plain.as_bytes());
        out.extend_from_slice(b"';");
        out.resize(out.len() + units * UNIT_BYTES - count, 0);
        self.told = Some(title.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(interval: &'static str) -> Option<TitleReader> {
        TitleReader::of(&HeaderMap::from_iter([(
            INTERVAL,
            HeaderValue::from_static(interval),
        )]))
    }

    fn block(text: &[u8]) -> Vec<u8> {
        let mut block = vec![u8::try_from(text.len().div_ceil(16)).unwrap()];
        block.extend_from_slice(text);
        block.resize(1 + text.len().div_ceil(16) * 16, 0);
        block
    }

    #[test]
    fn titles_are_taken_out_in_whatever_pieces_they_come() {
        let stream = [
            &b"abcde"[..],
            &[0],
            b"fghij",
            &block(b"StreamTitle='One';StreamUrl='http://x/';"),
            b"klmno",
            &block(b"StreamTitle='It's two';"),
            b"pqrst",
            &block(b"StreamUrl='y';"),
            b"uvwxy",
            &block(b"StreamTitle='Gr\xFCn'"),
            b"z",
        ]
        .concat();
        for size in 1..=stream.len() {
            let mut reader = reader("5").unwrap();
            let (mut sound, mut titles) = (Vec::new(), Vec::new());
            for piece in stream.chunks(size) {
                let (part, title) = reader.push(Bytes::copy_from_slice(piece));
                sound.extend_from_slice(&part);
                titles.extend(title);
            }
            assert_eq!(sound, b"abcdefghijklmnopqrstuvwxyz", "{size}");
            assert_eq!(titles.last().map(String::as_str), Some("Gr\u{fc}n"), "{size}");
            if size == 1 {
                assert_eq!(titles, ["One", "It's two", "Gr\u{fc}n"]);
            }
        }
    }

    #[test]
    fn only_an_interval_that_can_be_is_one() {
        for (interval, is_one) in [
            ("16000", true),
            (" 8192 ", true),
            ("0", false),
            ("-1", false),
            ("99999999999999999999", false),
            ("x", false),
            ("", false),
        ] {
            assert_eq!(reader(interval).is_some(), is_one, "{interval}");
        }
        assert!(TitleReader::of(&HeaderMap::new()).is_none());
    }

    #[test]
    fn what_is_put_in_is_what_is_taken_out() {
        let long = "x".repeat(10_000);
        let titles = [
            "",
            "One",
            "One",
            "It's two",
            "a';StreamUrl='b",
            &*long,
            "Gr\u{fc}n",
        ];
        let sound: Vec<u8> = (0..titles.len() * INTERVAL_BYTES)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        for size in [1_000, 16_000, 16_001, 50_000] {
            let (mut writer, mut reader) = (TitleWriter::default(), reader("16000").unwrap());
            let (mut back, mut told) = (Vec::new(), Vec::new());
            for (number, piece) in sound.chunks(size).enumerate() {
                let title = titles[(number * size / INTERVAL_BYTES).min(titles.len() - 1)];
                let written = writer.push(Bytes::copy_from_slice(piece), title);
                let (part, title) = reader.push(written);
                back.extend_from_slice(&part);
                told.extend(title);
            }
            assert!(back == sound, "{size}");
            assert_eq!(told.last().map(String::as_str), Some("Gr\u{fc}n"), "{size}");
            if size == 1_000 {
                let shortened = "x".repeat(16 * 255 - 15);
                let expected = [
                    "",
                    "One",
                    "It's two",
                    "a' ;StreamUrl='b",
                    &*shortened,
                    "Gr\u{fc}n",
                ];
                assert_eq!(told, expected);
            }
        }
    }

    #[test]
    fn rubbish_does_no_harm() {
        let mut state = 1_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..500 {
            let mut reader = reader("7").unwrap();
            for _ in 0..20 {
                let count = usize::try_from(next() % 3_000).unwrap();
                let bytes: Vec<u8> = (0..count).map(|_| next().to_le_bytes()[0]).collect();
                let (sound, _) = reader.push(bytes.into());
                assert!(sound.len() <= count && reader.block.len() <= 255 * 16);
            }
        }
    }
}
