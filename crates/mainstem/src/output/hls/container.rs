//! What segments are packed in: transport streams as they are, or fragmented MP4, where the pictures are HEVC, which players
//! of Apple's take in nothing else (HLS authoring specification, 1.5).

use std::sync::Arc;

use ::hls::segment::{Map, Segment};
use mp4::Remuxer;
use mpegts::{Codec, MediaTime};
use tokio::task::block_in_place;
use tracing::warn;

/// Packs the segments of one playlist.
#[derive(Debug, Default)]
pub(super) struct Container {
    /// Once one segment was packed as MP4, all of them are: EXT-X-MAP holds for all that follows it.
    remuxer: Option<Remuxer>,
    map: Option<Arc<Map>>,
    segments: u64,
    failed: bool,
}

impl Container {
    /// Whether a segment could not be packed: the playlist cannot go on, another one can.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Packs a segment.
    pub(super) fn pack(&mut self, segment: &mut Segment) {
        self.segments += 1;
        if self.remuxer.is_none() && segment.contents.video == Some(Codec::Hevc) {
            // What came before was another kind of file.
            segment.discontinuity |= self.segments > 1;
            self.remuxer = Some(Remuxer::new());
        }
        let Some(remuxer) = &mut self.remuxer else { return };
        let video = segment.contents.video;
        if video.is_some_and(|codec| !matches!(codec, Codec::H264 | Codec::Hevc)) {
            self.failed = true;
            return;
        }
        let time = |ticks: u64| MediaTime::from_90k(i64::try_from(ticks).unwrap_or(i64::MAX));
        remuxer.set_near(time(segment.start_90k));
        let until = Some(time(segment.end_90k));
        match block_in_place(|| remuxer.segment(&segment.chunks.concat(), until)) {
            Ok(packed) => {
                let map = match self.map.take().filter(|map| map.bytes == packed.init) {
                    Some(map) => map,
                    None => {
                        // Other tracks, or others in form.
                        segment.discontinuity |= self.segments > 1;
                        Arc::new(Map {
                            sequence: segment.sequence,
                            bytes: packed.init,
                        })
                    }
                };
                self.map = Some(Arc::clone(&map));
                segment.map = Some(map);
                segment.bytes = packed.media.len();
                segment.chunks = vec![packed.media];
                segment.contents.codecs = packed.codecs;
                segment.contents.picture = packed.picture.or(segment.contents.picture);
            }
            Err(error) => {
                warn!(%error, "a segment cannot be made into MP4; the playlist begins anew");
                self.failed = true;
            }
        }
    }
}
