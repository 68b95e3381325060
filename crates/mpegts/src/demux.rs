//! A transport stream in, the frames of its programme out. Faults of the stream are borne, as far as frames can be told;
//! joining what does not fit together is the splice's.

use crate::align::Aligner;
use crate::clock::{MediaTime, Pts90k};
use crate::es::{self, Codec, ParameterSets, SoundCutter};
use crate::frame::{Frame, Track};
use crate::packet::PACKET_BYTES;
use crate::pes::PesHeader;
use crate::splice::demux::{Demux, Event, InStream, WholePes};
use crate::splice::{SourceReport, Unusable};
use bytes::Bytes;
use std::collections::VecDeque;

/// Tracks that are told apart in the life of a demuxer; further ones are left out.
const TRACKS_MAX: usize = 64;

/// Bytes of a picture that comes in several PES packets. What follows beyond is left out: no picture has more.
const PICTURE_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Reads the frames of one programme: the first whose map comes.
///
/// Sound is cut into its frames where the codec tells them (AAC in ADTS, MPEG audio, AC-3, E-AC-3), also those that PES
/// packets cut in two; of other codecs a PES packet is a frame. A picture is a PES packet with a time stamp, and what
/// follows without one. Memory is bounded as long as [`Self::take`] is called until it gives nothing after every [`Self::push`].
#[derive(Debug)]
pub struct Demuxer {
    aligner: Aligner,
    demux: Demux,
    report: SourceReport,
    events: Vec<Event>,
    tracks: Vec<Track>,
    states: Vec<State>,
    /// The track of each stream of the programme map in force.
    map: Vec<Option<usize>>,
    /// The time last read: stamps are taken for the nearest to it.
    near: Option<MediaTime>,
    ready: VecDeque<Frame>,
}

/// What is going on in one track.
#[derive(Debug, Default)]
struct State {
    sets: ParameterSets,
    /// A picture that more may follow of.
    open: Option<Open>,
    sound: SoundCutter,
}

/// A picture, and all of its bytes once there was more than one PES packet.
#[derive(Debug)]
struct Open {
    frame: Frame,
    gathered: Vec<u8>,
}

impl Open {
    const fn new(frame: Frame) -> Self {
        Self {
            frame,
            gathered: Vec::new(),
        }
    }

    /// Takes what belongs to the picture and has no time stamp of its own.
    fn add(&mut self, data: &[u8]) {
        if self.gathered.is_empty() {
            self.gathered.extend_from_slice(&self.frame.data);
        }
        if self.gathered.len() + data.len() <= PICTURE_BYTES_MAX {
            self.gathered.extend_from_slice(data);
        }
    }

    fn close(mut self) -> Frame {
        if !self.gathered.is_empty() {
            self.frame.data = Bytes::from(self.gathered);
        }
        self.frame
    }
}

impl Default for Demuxer {
    fn default() -> Self {
        Self::new()
    }
}

impl Demuxer {
    /// A demuxer that has seen nothing. Its timeline begins with the first time stamp as it is.
    #[must_use]
    pub fn new() -> Self {
        Self {
            aligner: Aligner::new(),
            demux: Demux::new(),
            report: SourceReport::default(),
            events: Vec::new(),
            tracks: Vec::new(),
            states: Vec::new(),
            map: Vec::new(),
            near: None,
            ready: VecDeque::new(),
        }
    }

    /// The next time stamp is taken for the one nearest to `near`: two renditions of one programme keep one timeline,
    /// and a timeline goes on behind the wrap of its stamps.
    pub const fn set_near(&mut self, near: MediaTime) {
        self.near = Some(near);
    }

    /// Another segment begins: with a packet, and with tables or without. PAT, PMT, and what is incomplete stay.
    pub fn begin_segment(&mut self) {
        self.aligner = Aligner::new();
    }

    /// Feeds bytes as they were read, in any division.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut aligner = core::mem::take(&mut self.aligner);
        aligner.push(bytes, |packet| self.packet(packet));
        self.report.bytes_skipped = aligner.bytes_skipped();
        self.aligner = aligner;
    }

    /// Nothing follows that belongs to what came, or a segment ends, whose PES packets are whole: pictures that only
    /// waited for their successor are complete.
    pub fn finish(&mut self) {
        self.demux.finish(&mut self.events);
        self.handle();
        for state in &mut self.states {
            self.ready.extend(state.open.take().map(Open::close));
        }
    }

    /// The next frame, in the order of the stream: in the order of decoding times only within its track.
    pub fn take(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// The tracks so far; frames name them by their index. More may come with another programme map, an index never
    /// changes its meaning. Empty before the first map.
    #[must_use]
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The tracks that the programme map in force lists, in its order.
    pub fn programme(&self) -> impl Iterator<Item = usize> {
        self.map.iter().filter_map(|track| *track)
    }

    /// What has kept frames from coming so far; `None` when there is a programme.
    #[must_use]
    pub fn lacks(&self) -> Option<Unusable> {
        self.report.lacks()
    }

    fn packet(&mut self, packet: &[u8; PACKET_BYTES]) {
        self.demux.packet(packet, &mut self.report, &mut self.events);
        if !self.events.is_empty() {
            self.handle();
        }
    }

    fn handle(&mut self) {
        let mut events = core::mem::take(&mut self.events);
        for event in events.drain(..) {
            match event {
                Event::Programme => {
                    self.read_programme();
                    // Packets from before the map mean something now.
                    let early = self.demux.take_early();
                    early
                        .as_chunks::<PACKET_BYTES>()
                        .0
                        .iter()
                        .for_each(|packet| self.packet(packet));
                }
                Event::Pes(whole) => self.unit(whole),
                Event::Section { .. } | Event::Pcr { .. } => {}
            }
        }
        self.events = events;
    }

    fn read_programme(&mut self) {
        let mut map = Vec::new();
        for stream in self.demux.streams() {
            let track = track_of(stream);
            let taken = |index: &usize| !map.contains(&Some(*index));
            let known = (0..self.tracks.len())
                .filter(taken)
                .find(|index| self.tracks.get(*index) == Some(&track));
            let fresh = self.tracks.len();
            map.push(known.or((fresh < TRACKS_MAX).then_some(fresh)));
            if known.is_none() && fresh < TRACKS_MAX {
                self.tracks.push(track);
                self.states.push(State::default());
            }
        }
        self.map = map;
    }

    fn unit(&mut self, whole: WholePes) {
        let Some(track) = self.map.get(whole.stream).copied().flatten() else {
            return;
        };
        let (Some(header), Some(codec), Some(state)) = (
            PesHeader::parse(&whole.bytes),
            self.tracks.get(track).map(|track| track.codec),
            self.states.get_mut(track),
        ) else {
            return;
        };
        let data = Bytes::from(whole.bytes);
        let Some(data) = (header.payload_at <= data.len()).then(|| data.slice(header.payload_at..)) else {
            return;
        };
        let near = &mut self.near;
        let mut unwrap = |stamp: Pts90k| unwrapped(stamp, near);
        let dts = header.decoding_time().map(&mut unwrap);
        let pts = header.pts.map(&mut unwrap);
        if codec.is_framed() {
            state.sound.push(codec, data, pts, |pts, data| {
                self.ready.push_back(Frame {
                    track,
                    pts,
                    dts: pts,
                    random_access: true,
                    data,
                });
            });
            return;
        }
        let Some((pts, dts)) = pts.zip(dts) else {
            if let Some(open) = &mut state.open {
                open.add(&data);
            }
            return;
        };
        self.ready.extend(state.open.take().map(Open::close));
        let random_access = if codec.is_video() {
            let access = es::inspect(codec, &data, &mut state.sets);
            access.random_access || (whole.random_access && matches!(codec, Codec::OtherVideo(_)))
        } else {
            true
        };
        let frame = Frame {
            track,
            pts,
            dts,
            random_access,
            data,
        };
        if codec.is_video() {
            state.open = Some(Open::new(frame));
        } else {
            self.ready.push_back(frame);
        }
    }
}

/// The moment nearest to the last one that `stamp` can be.
fn unwrapped(stamp: Pts90k, near: &mut Option<MediaTime>) -> MediaTime {
    let time = match *near {
        None => i64::try_from(stamp.ticks()).unwrap_or_default(),
        Some(near) => near.as_90k() + stamp.distance_from(near.wrapped()),
    };
    let time = MediaTime::from_90k(time);
    *near = Some(time);
    time
}

fn track_of(stream: &InStream) -> Track {
    Track {
        codec: stream.codec,
        language: stream.language,
        descriptors: stream.descriptors.clone(),
    }
}
