//! What is made of the segments of one session: a transport stream, whatever they are.
//!
//! Transport-stream segments that have everything in them are passed on as they are. Bare sound alone goes on as radio does.
//! Everything else, fragmented MP4 and sound in segments of its own, is taken apart into frames and put into one programme.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hls::packed::Packed;
use hls::tables::Tables;
use mpegts::radio::Wrapper;
use mpegts::{Demuxer, Frame, Interleaver, MediaTime, MuxError, Muxer, Track};
use relay::Input;
use tracing::debug;

use super::segment_kind::{SegmentKind, segment_kind};

/// Bytes of frames of one playlist that wait for another's: a segment of 10 s at 25 Mbit/s.
const HELD_BYTES_MAX: usize = 32 << 20;

/// Bytes of one piece that is handed on: a segment that is read as a whole must not be one mouthful.
const PIECE_BYTES: usize = 128 << 10;

/// Sound this far from the pictures belongs to another stretch of the stream: farther than segments are long.
const BELONGS_90K: i64 = 60 * 90_000;

/// How long a track is waited for, in target durations: longer than what comes of one playlist before the other's turn,
/// which is a segment and a half.
const WAIT_TARGETS: u32 = 2;

/// How much later than the one before it the timeline of a radio session begins, as [`crate::upstream::radio`] has it.
const APART: Duration = Duration::from_mins(7);

/// Why a segment, or the rest of it, is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Useless {
    /// It is left out; the next may be better.
    Segment(String),
    /// All others will be like it.
    Stream(String),
}

/// One session's way from segments to packets.
pub(super) struct Programme {
    lanes: Vec<Lane>,
    output: Output,
    /// When the last picture is decoded: what the sounds go by.
    now: Option<MediaTime>,
    wait: Duration,
    any_output: bool,
}

/// What comes of one playlist.
struct Lane {
    language: Option<[u8; 3]>,
    media: Option<Media>,
    initialisation: Bytes,
    tables: Tables,
    /// Frames that cannot go into the programme yet.
    held: VecDeque<Frame>,
    held_bytes: usize,
}

enum Media {
    Transport(Box<Demuxer>),
    Fragments(Box<mp4::Reader>),
    Packed(Packed),
}

enum Output {
    /// Not known yet.
    Open,
    /// Packets as they came.
    Passing,
    Radio(Box<Wrapper>),
    Mixing(Box<Mix>),
}

/// A track: its lane, its index there, and what it is.
type LaneTrack = (usize, usize, Track);

/// One programme of the tracks of all lanes.
struct Mix {
    /// Those there were when it was made.
    known: Vec<LaneTrack>,
    /// Those that are in it.
    tracks: Vec<LaneTrack>,
    order: Interleaver,
    muxer: Muxer,
}

impl Programme {
    /// Of the pictures and so many sounds apart; `languages` are the sounds'.
    pub(super) fn new(languages: &[Option<[u8; 3]>], target: Duration) -> Self {
        let lane = |language| Lane {
            language,
            media: None,
            initialisation: Bytes::new(),
            tables: Tables::default(),
            held: VecDeque::new(),
            held_bytes: 0,
        };
        let languages = std::iter::once(None).chain(languages.iter().copied());
        Self {
            lanes: languages.map(lane).collect(),
            output: Output::Open,
            now: None,
            wait: target * WAIT_TARGETS,
            any_output: false,
        }
    }

    /// The longest target duration of all playlists: those of sounds are known when they were loaded.
    pub(super) fn set_target(&mut self, target: Duration) {
        self.wait = target * WAIT_TARGETS;
    }

    /// A segment of a lane begins with `head`; all of it is pushed afterwards. `initialisation` is what goes before it.
    ///
    /// # Errors
    /// Says why it is of no use; then nothing of it is to be pushed.
    pub(super) fn begin_segment(
        &mut self,
        lane: usize,
        (head, initialisation): (&[u8], Option<&Bytes>),
        discontinuity: bool,
        out: &mut VecDeque<Input>,
    ) -> Result<(), Useless> {
        let kind = segment_kind(head).map_err(|what| {
            Useless::Segment(format!(
                "HLS segments that are neither MPEG-TS nor fMP4 nor audio ({what})"
            ))
        })?;
        let alone = self.lanes.len() == 1;
        match kind {
            SegmentKind::TransportStream if alone => {
                self.pass_segment(head, initialisation, discontinuity, out);
                Ok(())
            }
            SegmentKind::Packed if alone && is_radio(head) => {
                self.begin_radio(out);
                Ok(())
            }
            kind => self.mix_segment(lane, kind, (head, initialisation), discontinuity, out),
        }
    }

    /// The next bytes of the segment that has begun.
    ///
    /// # Errors
    /// Says why the rest of it is of no use.
    pub(super) fn push(
        &mut self,
        lane: usize,
        bytes: Bytes,
        out: &mut VecDeque<Input>,
    ) -> Result<(), Useless> {
        match &mut self.output {
            Output::Passing => self.give(bytes, out),
            Output::Radio(wrapper) => {
                let packets = wrapper.push(&bytes);
                self.give(packets.into(), out);
            }
            Output::Open | Output::Mixing(_) => {
                let read = self.lanes.get_mut(lane).map_or(Ok(()), |lane| lane.read(&bytes));
                self.collect(lane, out)?;
                read?;
            }
        }
        Ok(())
    }

    /// The segment is over, or what there was of it.
    pub(super) fn end_segment(&mut self, lane: usize, out: &mut VecDeque<Input>) -> Result<(), Useless> {
        let media = self.lanes.get_mut(lane).and_then(|lane| lane.media.as_mut());
        if let Some(Media::Fragments(reader)) = media {
            reader.finish();
        }
        self.collect(lane, out)
    }

    fn give(&mut self, bytes: Bytes, out: &mut VecDeque<Input>) {
        if !bytes.is_empty() {
            self.any_output = true;
            out.push_back(Input::Bytes(bytes));
        }
    }

    fn restart(&mut self, out: &mut VecDeque<Input>) {
        if std::mem::take(&mut self.any_output) {
            out.push_back(Input::Restart);
        }
    }

    fn pass_segment(
        &mut self,
        head: &[u8],
        initialisation: Option<&Bytes>,
        discontinuity: bool,
        out: &mut VecDeque<Input>,
    ) {
        if !matches!(self.output, Output::Passing) {
            self.end_mix(out);
            self.restart(out);
            self.output = Output::Passing;
        } else if discontinuity {
            self.restart(out);
        }
        let initialisation = initialisation.cloned().unwrap_or_default();
        let tables = self.lanes.first_mut().map(|lane| {
            let of_map = lane.tables.before(&initialisation);
            // What the map has is known from here on; it goes before the segment in any case.
            if initialisation.is_empty() {
                lane.tables.before(head)
            } else {
                of_map
            }
        });
        self.give(initialisation, out);
        self.give(tables.unwrap_or_default().into(), out);
    }

    fn begin_radio(&mut self, out: &mut VecDeque<Input>) {
        static SESSIONS: AtomicU32 = AtomicU32::new(0);
        if matches!(self.output, Output::Radio(_)) {
            return;
        }
        self.end_mix(out);
        self.restart(out);
        // Stamps wrap after 26 hours, and so may this.
        let session = SESSIONS.fetch_add(1, Ordering::Relaxed) % 200;
        let begin = MediaTime::default().saturating_add(APART * session);
        self.output = Output::Radio(Box::new(Wrapper::new(begin)));
    }

    fn mix_segment(
        &mut self,
        index: usize,
        kind: SegmentKind,
        (head, initialisation): (&[u8], Option<&Bytes>),
        discontinuity: bool,
        out: &mut VecDeque<Input>,
    ) -> Result<(), Useless> {
        if matches!(self.output, Output::Passing | Output::Radio(_)) {
            self.restart(out);
            self.output = Output::Open;
        }
        let Some(lane) = self.lanes.get_mut(index) else {
            return Ok(());
        };
        if discontinuity && lane.media.is_some() {
            lane.finish();
            self.collect(index, out)?;
            if index == 0 {
                // Everything before it is done with. What the sounds have of the next stretch waits already.
                self.end_mix(out);
                self.restart(out);
                self.now = None;
            }
            if let Some(lane) = self.lanes.get_mut(index) {
                lane.media = None;
            }
        }
        if let Some(lane) = self.lanes.get_mut(index) {
            lane.begin(kind, (head, initialisation))?;
        }
        // What the initialisation says is known before the first fragment is there.
        self.collect(index, out)
    }

    /// Takes the frames a lane has ready to where they belong.
    fn collect(&mut self, index: usize, out: &mut VecDeque<Input>) -> Result<(), Useless> {
        let Some(lane) = self.lanes.get_mut(index) else {
            return Ok(());
        };
        while let Some(frame) = lane.media.as_mut().and_then(Media::take) {
            if index == 0 {
                self.now = Some(frame.dts);
            }
            lane.hold(frame);
        }
        if matches!(self.output, Output::Open | Output::Mixing(_)) {
            self.compose(out)?;
            self.mix(out);
        }
        Ok(())
    }

    /// Makes the programme of all tracks, once they are known, and anew where others came.
    fn compose(&mut self, out: &mut VecDeque<Input>) -> Result<(), Useless> {
        let tracks = self.tracks();
        if let Output::Mixing(mix) = &mut self.output {
            if tracks.iter().all(|track| mix.known.contains(track)) {
                mix.wait_for(&tracks);
                return Ok(());
            }
            self.end_mix(out);
            self.restart(out);
        }
        let mut lanes = self.lanes.iter();
        let pictures_known = lanes.next().is_some_and(Lane::is_known);
        let held = self.lanes.iter().map(|lane| lane.held_bytes).max().unwrap_or(0);
        // A sound that does not come is not waited for for ever.
        let waits = held < HELD_BYTES_MAX / 2 && self.held_time() < self.wait;
        if !pictures_known || (waits && !lanes.all(Lane::is_known)) {
            return Ok(());
        }
        let mix = Mix::new(tracks, self.wait).map_err(|error| {
            Useless::Stream(format!(
                "the HLS segments cannot be made a transport stream: {error}"
            ))
        })?;
        self.output = Output::Mixing(Box::new(mix));
        Ok(())
    }

    /// How much media of the pictures waits.
    fn held_time(&self) -> Duration {
        let held = self.lanes.first().map(|lane| &lane.held);
        let ends = held.and_then(|held| Some((held.front()?.dts, held.back()?.dts)));
        ends.map_or(Duration::ZERO, |(first, last)| last.since(first))
    }

    /// The tracks there are. Where there are sounds apart, those in the pictures' segments are not the ones that are to
    /// be heard.
    fn tracks(&self) -> Vec<LaneTrack> {
        let apart = self.lanes.len() > 1;
        let mut tracks = Vec::new();
        for (number, lane) in self.lanes.iter().enumerate() {
            for (index, track) in lane.tracks() {
                let wanted = match number {
                    0 => !(apart && track.codec.is_audio()),
                    _ => track.codec.is_audio(),
                };
                if wanted {
                    let language = lane.language.or(track.language);
                    tracks.push((number, index, Track { language, ..track }));
                }
            }
        }
        tracks
    }

    fn mix(&mut self, out: &mut VecDeque<Input>) {
        let (Output::Mixing(mix), Some(now)) = (&mut self.output, self.now) else {
            return;
        };
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if number > 0 {
                lane.align(now);
            }
            while let Some(frame) = lane.release(now, number == 0) {
                mix.take(number, frame);
            }
        }
        let packets = mix.packets();
        self.give_pieces(packets, out);
    }

    fn end_mix(&mut self, out: &mut VecDeque<Input>) {
        if let Output::Mixing(mix) = std::mem::replace(&mut self.output, Output::Open) {
            let packets = mix.finish();
            self.give_pieces(packets, out);
        }
    }

    fn give_pieces(&mut self, packets: Vec<u8>, out: &mut VecDeque<Input>) {
        let mut packets = Bytes::from(packets);
        while !packets.is_empty() {
            let piece = packets.split_to(PIECE_BYTES.min(packets.len()));
            self.give(piece, out);
        }
    }
}

impl Lane {
    fn begin(
        &mut self,
        kind: SegmentKind,
        (head, initialisation): (&[u8], Option<&Bytes>),
    ) -> Result<(), Useless> {
        let fresh = initialisation.cloned().unwrap_or_default();
        let changed = self.initialisation != fresh;
        match (&mut self.media, kind) {
            (Some(Media::Transport(demuxer)), SegmentKind::TransportStream) => demuxer.begin_segment(),
            (Some(Media::Packed(packed)), SegmentKind::Packed) => packed.begin_segment(),
            (Some(Media::Fragments(reader)), SegmentKind::Fragments) if !changed => reader.begin_segment(),
            _ => self.media = Some(media(kind, &fresh)?),
        }
        self.initialisation = fresh;
        if let Some(Media::Transport(demuxer)) = &mut self.media {
            let tables = if self.initialisation.is_empty() {
                self.tables.before(head)
            } else {
                self.initialisation.to_vec()
            };
            demuxer.push(&tables);
        }
        Ok(())
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), Useless> {
        match &mut self.media {
            Some(Media::Transport(demuxer)) => demuxer.push(bytes),
            Some(Media::Packed(packed)) => packed.push(bytes),
            Some(Media::Fragments(reader)) => return reader.push(bytes).map_err(useless),
            None => {}
        }
        Ok(())
    }

    /// The stretch is over.
    fn finish(&mut self) {
        match &mut self.media {
            Some(Media::Transport(demuxer)) => demuxer.finish(),
            Some(Media::Fragments(reader)) => reader.finish(),
            Some(Media::Packed(_)) | None => {}
        }
    }

    /// The tracks there are now, each with the index that frames name it by. What a programme map listed once and does no
    /// longer is none: a programme with it would wait for sound that never comes.
    fn tracks(&self) -> Vec<(usize, Track)> {
        match &self.media {
            Some(Media::Transport(demuxer)) => {
                let track = |index: usize| Some((index, demuxer.tracks().get(index)?.clone()));
                demuxer.programme().filter_map(track).collect()
            }
            Some(Media::Fragments(reader)) => reader.tracks().iter().cloned().enumerate().collect(),
            Some(Media::Packed(packed)) => packed
                .codec()
                .map(|codec| (0, Track::new(codec)))
                .into_iter()
                .collect(),
            None => Vec::new(),
        }
    }

    fn is_known(&self) -> bool {
        !self.tracks().is_empty()
    }

    fn hold(&mut self, frame: Frame) {
        self.held_bytes += frame.data.len();
        self.held.push_back(frame);
        while self.held_bytes > HELD_BYTES_MAX && self.pop().is_some() {}
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.held.pop_front()?;
        self.held_bytes -= frame.data.len();
        Some(frame)
    }

    /// Drops what was left behind by a discontinuity that the pictures went through.
    fn align(&mut self, now: MediaTime) {
        if let Some(first) = self.held.iter().position(|frame| belongs(frame, now)) {
            for _ in 0..first {
                self.pop();
            }
        }
    }

    /// The next frame that goes with the pictures at `now`, on their timeline.
    fn release(&mut self, now: MediaTime, is_main: bool) -> Option<Frame> {
        if is_main {
            return self.pop();
        }
        if !self.held.front().is_some_and(|frame| belongs(frame, now)) {
            return None;
        }
        let frame = self.pop()?;
        let dts = now.as_90k().saturating_add(distance(&frame, now));
        let delay = frame.pts.as_90k().saturating_sub(frame.dts.as_90k());
        Some(Frame {
            dts: MediaTime::from_90k(dts),
            pts: MediaTime::from_90k(dts.saturating_add(delay)),
            ..frame
        })
    }
}

/// Whether a sound is near enough to the pictures at `now` to be theirs, and not of another stretch.
fn belongs(frame: &Frame, now: MediaTime) -> bool {
    distance(frame, now).abs() <= BELONGS_90K
}

/// How much later than `now` a frame is, by the 33 bits that all containers agree on.
fn distance(frame: &Frame, now: MediaTime) -> i64 {
    frame.dts.wrapped().distance_from(now.wrapped())
}

impl Media {
    fn take(&mut self) -> Option<Frame> {
        match self {
            Self::Transport(demuxer) => demuxer.take(),
            Self::Fragments(reader) => reader.take(),
            Self::Packed(packed) => packed.take(),
        }
    }
}

impl Mix {
    /// Of those tracks that a transport stream can carry.
    fn new(known: Vec<LaneTrack>, wait: Duration) -> Result<Self, MuxError> {
        let mut tracks = known.clone();
        loop {
            let listed: Vec<Track> = tracks.iter().map(|(_, _, track)| track.clone()).collect();
            match Muxer::new(&listed) {
                Ok(muxer) => {
                    return Ok(Self {
                        order: Interleaver::new(&listed, wait),
                        known,
                        tracks,
                        muxer,
                    });
                }
                Err(MuxError::Codec(codec)) => {
                    debug!(?codec, "left out of the programme");
                    tracks.retain(|(_, _, track)| track.codec != codec);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn take(&mut self, lane: usize, frame: Frame) {
        let place = |(of, index, _): &LaneTrack| (*of, *index) == (lane, frame.track);
        if let Some(track) = self.tracks.iter().position(place) {
            self.order.push(Frame { track, ..frame });
        }
    }

    /// Only these are waited for: others are not in the programme now, and may come back.
    fn wait_for(&mut self, tracks: &[LaneTrack]) {
        for (index, track) in self.tracks.iter().enumerate() {
            if !tracks.contains(track) {
                self.order.dismiss(index);
            }
        }
    }

    fn packets(&mut self) -> Vec<u8> {
        let mut packets = Vec::new();
        while let Some(frame) = self.order.take() {
            self.muxer.write(&frame, &mut packets);
        }
        packets
    }

    fn finish(mut self) -> Vec<u8> {
        self.order.flush();
        let mut packets = self.packets();
        self.muxer.flush(&mut packets);
        packets
    }
}

fn media(kind: SegmentKind, initialisation: &[u8]) -> Result<Media, Useless> {
    Ok(match kind {
        SegmentKind::TransportStream => Media::Transport(Box::new(Demuxer::new())),
        SegmentKind::Packed => Media::Packed(Packed::new()),
        SegmentKind::Fragments if initialisation.is_empty() => {
            Media::Fragments(Box::new(mp4::Reader::self_initialising()))
        }
        SegmentKind::Fragments => {
            Media::Fragments(Box::new(mp4::Reader::new(initialisation).map_err(useless)?))
        }
    })
}

fn useless(error: mp4::ReadError) -> Useless {
    let text = format!("HLS segments that cannot be read: {error}");
    match error {
        mp4::ReadError::Encrypted { .. } | mp4::ReadError::NoTracks { .. } => Useless::Stream(text),
        _ => Useless::Segment(text),
    }
}

/// Sound that listeners can be given as it is: AAC or MPEG audio.
fn is_radio(head: &[u8]) -> bool {
    let mut packed = Packed::new();
    packed.push(head);
    matches!(
        packed.codec(),
        Some(mpegts::Codec::Aac | mpegts::Codec::MpegAudio) | None
    ) && !head.starts_with(&[0x0B, 0x77])
}
