//! What segments are packed in: transport streams as they are, or fragmented MP4, where the pictures are HEVC, which players
//! of Apple's take in nothing else (HLS authoring specification, 1.5).
//!
//! Once a playlist has a segment of MP4, all that follow are. The standard would allow transport streams again behind a
//! discontinuity and an EXT-X-MAP that has their tables (RFC 8216 clauses 3.2 and 4.3.2.5), but players built on ffmpeg
//! read all of a playlist with one demuxer, and one of MP4 takes the packets for a box of a gigabyte, which it waits for to
//! the end. So MPEG-2 video goes into MP4, too, and what nothing can be made of is a gap (EXT-X-GAP): players that know
//! it step over, others find nothing at the address and go on with the next segment.

use std::sync::Arc;

use ::hls::segment::{Map, Segment, Sound};
use bytes::Bytes;
use mp4::Remuxer;
use mpegts::{Codec, MediaTime};
use tokio::task::block_in_place;
use tracing::warn;

/// Packs the segments of one playlist.
#[derive(Debug, Default)]
pub(super) struct Container {
    /// Once one segment was packed as MP4, all of them are: EXT-X-MAP holds for all that follows it.
    is_mp4: bool,
    main: Track,
    /// Of further sounds, in their order.
    sounds: Vec<Track>,
    segments: u64,
}

/// What becomes of one file of each segment.
#[derive(Debug, Default)]
struct Track {
    remuxer: Remuxer,
    map: Option<Arc<Map>>,
    /// The last segment could not be packed.
    behind_gap: bool,
}

impl Container {
    /// For a playlist that had segments before: what `is_mp4` stays so.
    pub(super) fn going_on(is_mp4: bool) -> Self {
        Self {
            is_mp4,
            ..Self::default()
        }
    }

    /// Whether all segments from now on are MP4.
    pub(super) fn is_mp4(&self) -> bool {
        self.is_mp4
    }

    /// Packs a segment.
    pub(super) fn pack(&mut self, segment: &mut Segment) {
        self.segments += 1;
        if !self.is_mp4 && segment.contents.video == Some(Codec::Hevc) {
            // What came before was another kind of file.
            segment.discontinuity |= self.segments > 1;
            self.is_mp4 = true;
        }
        if !self.is_mp4 {
            return;
        }
        let mut breaks = false;
        let packed = match segment.contents.video {
            Some(codec) if !codec.fits_mp4() => Err(Unpacked::Pictures(codec)),
            _ => self.main.remux(segment, &segment.chunks),
        };
        match self.main.put(segment.sequence, packed, &mut breaks) {
            Some((packed, map)) => {
                segment.map = Some(map);
                segment.bytes = packed.media.len();
                segment.chunks = vec![packed.media];
                segment.contents.picture = packed.picture.or(segment.contents.picture);
                // MPEG-2 has a name that players refuse, and play all the same, as in transport streams.
                if segment.contents.video != Some(Codec::Mpeg2Video) {
                    segment.contents.codecs = packed.codecs;
                }
            }
            None => {
                segment.gap = true;
                segment.map.clone_from(&self.main.map);
                segment.chunks.clear();
                segment.bytes = 0;
            }
        }
        let mut sounds = std::mem::take(&mut segment.sounds);
        self.sounds.resize_with(sounds.len(), Track::default);
        for (sound, track) in sounds.iter_mut().zip(&mut self.sounds) {
            track.pack_sound(segment, sound, &mut breaks);
        }
        segment.sounds = sounds;
        // Other tracks, or others in form, are a break but at the very beginning.
        segment.discontinuity |= breaks && self.segments > 1;
    }
}

impl Track {
    fn remux(&mut self, segment: &Segment, chunks: &[Bytes]) -> Result<mp4::Segment, Unpacked> {
        let time = |ticks: u64| MediaTime::from_90k(i64::try_from(ticks).unwrap_or(i64::MAX));
        self.remuxer.set_near(time(segment.start_90k));
        let until = Some(time(segment.end_90k));
        let packed = block_in_place(|| self.remuxer.segment(&chunks.concat(), until));
        packed.map_err(Unpacked::Frames)
    }

    /// What was packed, and what stands before it; `None` for a gap. A segment behind a gap, or with another form,
    /// `breaks` with the one before.
    fn put(
        &mut self,
        sequence: u64,
        packed: Result<mp4::Segment, Unpacked>,
        breaks: &mut bool,
    ) -> Option<(mp4::Segment, Arc<Map>)> {
        let packed = match packed {
            Ok(packed) => packed,
            Err(error) => {
                if !std::mem::replace(&mut self.behind_gap, true) {
                    warn!(%error, "a segment cannot be made into MP4: a gap in the playlist");
                }
                return None;
            }
        };
        *breaks |= std::mem::take(&mut self.behind_gap);
        let known = self.map.take().filter(|map| map.bytes == packed.init);
        let map = known.unwrap_or_else(|| {
            *breaks = true;
            Arc::new(Map {
                sequence,
                bytes: packed.init.clone(),
            })
        });
        self.map = Some(Arc::clone(&map));
        Some((packed, map))
    }

    fn pack_sound(&mut self, segment: &Segment, sound: &mut Sound, breaks: &mut bool) {
        let is_new = self.map.is_none();
        let packed = match sound.gap {
            true => None,
            false => {
                let packed = self.remux(segment, &sound.chunks);
                // A rendition that begins here breaks nothing.
                let mut own = false;
                let packed = self.put(segment.sequence, packed, &mut own);
                *breaks |= own && !is_new;
                packed
            }
        };
        match packed {
            Some((packed, map)) => {
                sound.map = Some(map);
                sound.bytes = packed.media.len();
                sound.chunks = vec![packed.media];
                if let Some(about) = &mut sound.about {
                    about.name = packed.codecs.into_iter().next();
                }
            }
            None => {
                sound.gap = true;
                sound.map.clone_from(&self.map);
                sound.chunks.clear();
                sound.bytes = 0;
            }
        }
    }
}

/// Why there is no MP4 of a segment.
#[derive(Debug, thiserror::Error)]
enum Unpacked {
    #[error("it does not carry {0:?}")]
    Pictures(Codec),
    #[error(transparent)]
    Frames(#[from] mp4::WriteError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::hls::segment::Contents;

    const HEVC: &[u8] = include_bytes!("../../../../mp4/tests/shapes/hevc.ts");
    const MPEG_2: &[u8] = include_bytes!("../../../../provider-double/clips/g.ts");

    fn segment(sequence: u64, video: Codec, bytes: &'static [u8]) -> Segment {
        Segment {
            sequence,
            discontinuity_sequence: 0,
            discontinuity: false,
            independent: true,
            gap: false,
            start_90k: sequence * 90_000,
            end_90k: (sequence + 1) * 90_000,
            program_date_time: std::time::Duration::ZERO,
            chunks: vec![Bytes::from_static(bytes)],
            bytes: bytes.len(),
            map: None,
            sounds: Vec::new(),
            contents: Contents {
                video: Some(video),
                ..Contents::default()
            },
        }
    }

    #[test]
    fn a_playlist_of_mp4_goes_on_whatever_comes() {
        let other = Codec::OtherVideo(0xD2);
        let mut container = Container::default();
        let mut told = Vec::new();
        let mut maps = Vec::new();
        for (sequence, (video, bytes)) in (1..).zip([
            (Codec::Hevc, HEVC),
            (Codec::Hevc, b"no packets"),
            (Codec::Hevc, HEVC),
            (Codec::Mpeg2Video, MPEG_2),
            (other, MPEG_2),
            (other, MPEG_2),
            (Codec::Hevc, HEVC),
        ]) {
            let mut segment = segment(sequence, video, bytes);
            container.pack(&mut segment);
            assert_eq!(
                segment.gap,
                segment.chunks.is_empty(),
                "what there is can be fetched"
            );
            told.push((segment.gap, segment.discontinuity));
            maps.push(segment.map.unwrap().sequence);
        }
        let packed = (false, false);
        let (gap, fresh) = ((true, false), (false, true));
        assert_eq!(told, [packed, gap, fresh, fresh, gap, gap, fresh]);
        assert_eq!(maps, [1, 1, 1, 4, 4, 4, 7]);
    }

    /// Who paused while the one packager ended and the next began reads the same playlist with the same demuxer.
    #[test]
    fn what_was_mp4_stays_so_behind_a_pause_whatever_the_source_is_then() {
        let mut before = Container::default();
        before.pack(&mut segment(1, Codec::Hevc, HEVC));
        let mut after = Container::going_on(before.is_mp4());
        let mut next = segment(2, Codec::Mpeg2Video, MPEG_2);
        after.pack(&mut next);
        assert!(after.is_mp4() && next.map.is_some() && !next.gap);
    }

    #[test]
    fn transport_streams_are_left_as_they_are() {
        let mut container = Container::default();
        for (sequence, video) in [(1, Codec::Mpeg2Video), (2, Codec::OtherVideo(0xD2))] {
            let mut segment = segment(sequence, video, MPEG_2);
            container.pack(&mut segment);
            assert_eq!((segment.gap, segment.bytes), (false, MPEG_2.len()));
            assert!(segment.map.is_none());
        }
    }
}
