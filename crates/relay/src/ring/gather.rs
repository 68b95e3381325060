//! Many chunks at once: what follows a cursor, as far as there is any.

use bytes::Bytes;

use super::{Cursor, Found, Ring};

/// What was gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gathered {
    /// The media time at which the first chunk begins, and the last; `None` of none.
    pub media_90k: Option<(u64, u64)>,
    /// Whether chunks before the first are gone that had not been read.
    pub skipped: bool,
    /// Whether what follows has another epoch.
    pub new_epoch: bool,
}

impl Ring {
    /// Appends the chunks that follow `cursor` to `into`, without copying: until there are none, until another epoch
    /// begins, or until one more would make it more than `bytes_max`; one where there is any.
    pub fn gather(&self, cursor: &mut Cursor, into: &mut Vec<Bytes>, bytes_max: usize) -> Gathered {
        let mut gathered = Gathered {
            media_90k: None,
            skipped: cursor.is_before(self.first),
            new_epoch: false,
        };
        let mut bytes = 0;
        loop {
            let length = self.at(cursor.next).map_or(0, |chunk| chunk.bytes.len());
            if gathered.media_90k.is_some() && bytes + length > bytes_max {
                return gathered;
            }
            match self.next(cursor) {
                Found::Chunk(chunk) => {
                    let first = gathered
                        .media_90k
                        .map_or(chunk.media_time_90k, |(first, _)| first);
                    gathered.media_90k = Some((first, chunk.media_time_90k));
                    bytes += chunk.bytes.len();
                    into.push(chunk.bytes);
                }
                Found::NotYet => return gathered,
                Found::NewEpoch => {
                    gathered.new_epoch = gathered.media_90k.is_none();
                    return gathered;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ring::{Bounds, Chunk};

    const SECOND_90K: u64 = 90_000;

    fn ring(chunks: u64) -> Ring {
        let mut ring = Ring::new(Bounds {
            span: Duration::from_secs(10),
            bytes: 10_000,
            bytes_max: 40_000,
            join_behind: Duration::from_secs(4),
        });
        push(&mut ring, 0..chunks, 0);
        ring
    }

    fn push(ring: &mut Ring, seconds: std::ops::Range<u64>, epoch: u32) {
        for second in seconds {
            let chunk = Chunk {
                bytes: Bytes::from(vec![u8::try_from(second % 256).unwrap(); 188]),
                media_time_90k: second * SECOND_90K,
                epoch,
                keyframe: second % 2 == 0,
                discontinuity: false,
            };
            ring.push(chunk, Duration::ZERO);
        }
    }

    #[test]
    fn as_much_as_there_is_or_as_is_wanted() {
        let ring = ring(10);
        let mut cursor = ring.join().unwrap();
        let mut into = Vec::new();
        let all = ring.gather(&mut cursor, &mut into, usize::MAX);
        assert_eq!(all.media_90k, Some((4 * SECOND_90K, 9 * SECOND_90K)));
        assert_eq!((into.len(), all.skipped, all.new_epoch), (6, false, false));
        assert_eq!(ring.gather(&mut cursor, &mut into, 1).media_90k, None);
        let mut cursor = ring.join().unwrap();
        for (bytes_max, expected) in [(0, 1), (188, 1), (3 * 188 + 187, 3), (188, 1), (1_000, 0)] {
            let mut into = Vec::new();
            ring.gather(&mut cursor, &mut into, bytes_max);
            assert_eq!(into.len(), expected, "{bytes_max}");
        }
    }

    #[test]
    fn an_epoch_is_an_end_of_its_own() {
        let mut ring = ring(10);
        let mut cursor = ring.join().unwrap();
        push(&mut ring, 10..12, 1);
        let mut into = Vec::new();
        assert!(!ring.gather(&mut cursor, &mut into, usize::MAX).new_epoch);
        assert_eq!(into.len(), 6);
        assert!(ring.gather(&mut cursor, &mut into, usize::MAX).new_epoch);
        assert_eq!(into.len(), 6);
    }

    #[test]
    fn who_was_lapped_is_told() {
        let mut ring = ring(10);
        let mut cursor = ring.join().unwrap();
        push(&mut ring, 10..200, 0);
        let mut into = Vec::new();
        let gathered = ring.gather(&mut cursor, &mut into, 188);
        assert!(gathered.skipped);
        assert!(gathered.media_90k.unwrap().0 >= 180 * SECOND_90K);
        assert!(!ring.gather(&mut cursor, &mut into, 188).skipped);
    }
}
