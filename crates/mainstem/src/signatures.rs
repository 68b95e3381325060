//! What is remembered of each stream's programme: which codecs it has, so that streams that fit what viewers were
//! promised go first, and a channel that starts on the slate starts in its own form.
//!
//! Lives here: the memory and its form on disk. How alike two signatures are is `mpegts`' to say; when something is
//! remembered, the broadcast's.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catalog::StreamId;
use mpegts::es::{Codec, PictureSize, SoundFormat};
use mpegts::{Pid, Signature, SignatureStream};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{debug, error, warn};

use crate::store::Store;

/// Streams remembered at most; the longest unseen go first.
const REMEMBERED_MAX: usize = 10_000;

/// How long what was learned may wait to be written: zapping through a list is one write.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// The file of the store.
const FILE: &str = "signatures.json.gz";

/// PIDs of a signature that was read from disk; the splice gives out its own.
const FIRST_PID: u16 = 0x0100;

/// The memory; clones are cheap and mean the same memory.
#[derive(Debug, Clone, Default)]
pub struct Signatures {
    /// Short critical sections, never across an await.
    known: Arc<Mutex<Known>>,
    learned: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Known {
    by_stream: HashMap<u64, Entry>,
    /// Counts what was learned: the greater, the later.
    turn: u64,
}

#[derive(Debug)]
struct Entry {
    signature: Signature,
    turn: u64,
}

impl Signatures {
    /// Remembers what a stream's programme has. What was not seen yet this time is as it was before.
    pub fn learn(&self, stream: StreamId, signature: &Signature) {
        if self.known().learn(stream.as_u64(), signature.clone()) {
            self.learned.notify_one();
        }
    }

    /// What a stream's programme had when it was last seen.
    #[must_use]
    pub fn of(&self, stream: StreamId) -> Option<Signature> {
        let known = self.known();
        known
            .by_stream
            .get(&stream.as_u64())
            .map(|entry| entry.signature.clone())
    }

    /// Asks of a stream's signature without copying it.
    pub(crate) fn with<T>(&self, stream: StreamId, ask: impl FnOnce(&Signature) -> T) -> Option<T> {
        self.known()
            .by_stream
            .get(&stream.as_u64())
            .map(|entry| ask(&entry.signature))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what the last run remembered, then writes what is learned, until it is dropped.
    pub async fn keep(self, store: Store) {
        self.load(&store).await;
        loop {
            self.learned.notified().await;
            sleep(WRITE_EVERY).await;
            self.save(&store).await;
        }
    }

    async fn load(&self, store: &Store) {
        let from = store.clone();
        match tokio::task::spawn_blocking(move || from.load::<Vec<Stored>>(Path::new(FILE))).await {
            Ok(Ok(stored)) => self.known().fill(stored.unwrap_or_default()),
            Ok(Err(error)) => {
                debug!(%error, "what was remembered of streams cannot be read; it is learned anew");
            }
            Err(error) => error!(%error, "a fault in mainstem: what was remembered of streams was not read"),
        }
    }

    async fn save(&self, store: &Store) {
        let (into, stored) = (store.clone(), self.known().stored());
        let saved: Result<io::Result<()>, _> =
            tokio::task::spawn_blocking(move || into.save(Path::new(FILE), &stored)).await;
        match saved {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "what was learned of streams could not be written"),
            Err(error) => error!(%error, "a fault in mainstem: what was learned of streams was not written"),
        }
    }
}

impl Known {
    /// Says whether that is news.
    fn learn(&mut self, stream: u64, mut signature: Signature) -> bool {
        self.turn += 1;
        let turn = self.turn;
        let before = self.by_stream.get(&stream).map(|entry| &entry.signature.streams);
        for (stream, before) in signature.streams.iter_mut().zip(before.into_iter().flatten()) {
            if stream.codec == before.codec {
                stream.sound = stream.sound.or(before.sound);
                stream.picture = stream.picture.or(before.picture);
            }
        }
        let is_news = before != Some(&signature.streams);
        self.by_stream.insert(stream, Entry { signature, turn });
        self.bound();
        is_news
    }

    fn bound(&mut self) {
        if self.by_stream.len() <= REMEMBERED_MAX {
            return;
        }
        let mut turns: Vec<u64> = self.by_stream.values().map(|entry| entry.turn).collect();
        let middle = turns.len() / 2;
        let (_, &mut median, _) = turns.select_nth_unstable(middle);
        self.by_stream.retain(|_, entry| entry.turn > median);
    }

    /// What this run has seen already is newer than any file.
    fn fill(&mut self, stored: Vec<Stored>) {
        for stored in stored.into_iter().take(REMEMBERED_MAX) {
            let Some(signature) = stored.signature() else {
                continue;
            };
            self.by_stream
                .entry(stored.stream)
                .or_insert(Entry { signature, turn: 0 });
        }
        self.bound();
    }

    fn stored(&self) -> Vec<Stored> {
        self.by_stream
            .iter()
            .map(|(stream, entry)| Stored {
                stream: *stream,
                programme: entry.signature.streams.iter().map(StoredStream::of).collect(),
            })
            .collect()
    }
}

/// One stream on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    stream: u64,
    programme: Vec<StoredStream>,
}

/// One elementary stream of its programme, as the programme map has it.
#[derive(Debug, Serialize, Deserialize)]
struct StoredStream {
    stream_type: u8,
    descriptors: Vec<u8>,
    language: Option<[u8; 3]>,
    /// Samples per second, layout.
    sound: Option<(u32, u8)>,
    /// Width, height.
    picture: Option<(u16, u16)>,
}

impl StoredStream {
    fn of(stream: &SignatureStream) -> Self {
        Self {
            stream_type: stream.stream_type,
            descriptors: stream.descriptors.clone(),
            language: stream.language,
            sound: stream.sound.map(|sound| (sound.rate, sound.layout)),
            picture: stream.picture.map(|picture| (picture.width, picture.height)),
        }
    }
}

impl Stored {
    /// `None` for what no programme of ours can have: the file was changed.
    fn signature(&self) -> Option<Signature> {
        let mut streams = Vec::new();
        for (pid, stream) in (FIRST_PID..).zip(&self.programme) {
            streams.push(SignatureStream {
                pid: Pid::new(pid),
                stream_type: stream.stream_type,
                codec: Codec::of(stream.stream_type, &stream.descriptors)?,
                language: stream.language,
                descriptors: stream.descriptors.clone(),
                sound: stream.sound.map(|(rate, layout)| SoundFormat { rate, layout }),
                picture: stream
                    .picture
                    .map(|(width, height)| PictureSize { width, height }),
            });
        }
        let clock = streams
            .iter()
            .find(|stream| stream.codec.is_video())
            .or(streams.first())?;
        Some(Signature {
            pcr_pid: clock.pid,
            streams,
            epoch: 0,
            pmt_version: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programme() -> Vec<StoredStream> {
        let stream = |stream_type, descriptors: &[u8], language| StoredStream {
            stream_type,
            descriptors: descriptors.to_vec(),
            language,
            sound: None,
            picture: None,
        };
        vec![
            StoredStream {
                picture: Some((1920, 1080)),
                ..stream(0x1B, &[], None)
            },
            StoredStream {
                sound: Some((48_000, 0b1111)),
                ..stream(0x06, &[0x6A, 1, 0], Some(*b"deu"))
            },
        ]
    }

    fn signature() -> Signature {
        let stored = Stored {
            stream: 7,
            programme: programme(),
        };
        stored.signature().unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let signature = signature();
        assert_eq!(
            (signature.video(), signature.audio()),
            (Some(Codec::H264), Some(Codec::Ac3))
        );
        let mut known = Known::default();
        known.by_stream.insert(
            7,
            Entry {
                signature: signature.clone(),
                turn: 1,
            },
        );
        let text = serde_json::to_string(&known.stored()).unwrap();
        let mut again = Known::default();
        again.fill(serde_json::from_str(&text).unwrap());
        assert_eq!(again.by_stream[&7].signature, signature);
    }

    #[test]
    fn what_was_not_seen_yet_is_as_it_was_before() {
        let mut known = Known::default();
        let whole = signature();
        assert!(known.learn(7, whole.clone()));
        let mut first_look = whole.clone();
        for stream in &mut first_look.streams {
            (stream.sound, stream.picture) = (None, None);
        }
        assert!(!known.learn(7, first_look.clone()), "that is no news");
        assert_eq!(known.by_stream[&7].signature, whole);
        first_look.streams.remove(0);
        assert!(known.learn(7, first_look.clone()));
        assert_eq!(known.by_stream[&7].signature, first_look, "another programme");
    }

    #[test]
    fn a_file_of_nonsense_is_no_signature() {
        for programme in [vec![], {
            let mut programme = programme();
            programme[0].stream_type = 0x05;
            programme
        }] {
            assert_eq!(Stored { stream: 1, programme }.signature(), None);
        }
    }

    #[test]
    fn the_longest_unseen_are_forgotten() {
        let mut known = Known::default();
        for stream in 0..=REMEMBERED_MAX as u64 {
            let entry = Entry {
                signature: signature(),
                turn: stream + 1,
            };
            known.by_stream.insert(stream, entry);
        }
        known.bound();
        assert!(known.by_stream.len() <= REMEMBERED_MAX);
        assert!(known.by_stream.contains_key(&(REMEMBERED_MAX as u64)));
        assert!(!known.by_stream.contains_key(&0));
    }
}
