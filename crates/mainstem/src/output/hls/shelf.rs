//! Where the bytes of segments are: in memory, and of a longer window on disk, of which the newest are in memory too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ::hls::segment::Segment;
use ::hls::write::File;
use bytes::Bytes;
use tokio::task::block_in_place;
use tracing::warn;

use super::body::Chunks;
use super::spool::{Spool, Spooled};

/// Target durations of which the segments are kept in memory beside the disk: nearly everybody watches those.
const MEMORY_TARGETS: u64 = 8;

/// A segment on disk.
#[derive(Debug, Clone)]
struct Placed {
    spooled: Spooled,
    memory: Option<Arc<[Bytes]>>,
    end_90k: u64,
}

/// Segments of one channel that are on disk, by number, and by the place of a further sound among its files. Others hold
/// their bytes themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct Placement(BTreeMap<(u64, Option<usize>), Placed>);

impl Placement {
    /// The bytes of a file of a segment.
    pub(super) fn chunks(&self, segment: &Arc<Segment>, file: File) -> Chunks {
        let place = match file {
            File::Main => None,
            File::Sound(place) => Some(place),
        };
        match self.0.get(&(segment.sequence, place)) {
            None => match place {
                None => Chunks::Segment(Arc::clone(segment)),
                Some(place) => Chunks::Sound(Arc::clone(segment), place),
            },
            Some(Placed {
                memory: Some(memory), ..
            }) => Chunks::Memory(Arc::clone(memory)),
            Some(placed) => Chunks::Spooled(placed.spooled.clone()),
        }
    }
}

/// Puts segments where they are kept.
#[derive(Debug)]
pub(super) struct Shelf {
    spool: Option<Spool>,
    placement: Placement,
}

impl Shelf {
    /// Everything in memory, or on disk in `folder`.
    pub(super) fn new(folder: Option<&Path>) -> Self {
        Self {
            spool: folder.map(Spool::new),
            placement: Placement::default(),
        }
    }

    /// Whether segments go to disk.
    pub(super) fn is_on_disk(&self) -> bool {
        self.spool.is_some()
    }

    /// Puts a finished segment on the disk, if that is where it belongs.
    pub(super) fn put(&mut self, segment: &mut Segment) {
        let (sequence, end_90k) = (segment.sequence, segment.end_90k);
        if !segment.gap {
            self.put_file((sequence, None), &mut segment.chunks, end_90k);
        }
        for (place, sound) in segment.sounds.iter_mut().enumerate() {
            if !sound.gap {
                self.put_file((sequence, Some(place)), &mut sound.chunks, end_90k);
            }
        }
    }

    fn put_file(&mut self, key: (u64, Option<usize>), chunks: &mut Vec<Bytes>, end_90k: u64) {
        let Some(spool) = &mut self.spool else { return };
        // A slow disk holds up this channel's playlist, and nobody else.
        match block_in_place(|| spool.write(chunks)) {
            Ok(spooled) => {
                let placed = Placed {
                    spooled,
                    memory: Some(std::mem::take(chunks).into()),
                    end_90k,
                };
                self.placement.0.insert(key, placed);
            }
            Err(error) => {
                warn!(%error, "segments cannot be written to disk; the playlist lists what fits into memory");
                self.spool = None;
            }
        }
    }

    /// Lets go of segments before `first`, and of the memory of all but the newest.
    pub(super) fn trim(&mut self, first: u64, target_duration: u64) {
        self.placement.0 = self.placement.0.split_off(&(first, None));
        let newest = self
            .placement
            .0
            .values()
            .next_back()
            .map_or(0, |placed| placed.end_90k);
        let keep = newest.saturating_sub(MEMORY_TARGETS * target_duration * 90_000);
        for placed in self.placement.0.values_mut() {
            if placed.end_90k < keep {
                placed.memory = None;
            }
        }
    }

    /// Where everything is now.
    pub(super) fn placement(&self) -> Placement {
        self.placement.clone()
    }
}
