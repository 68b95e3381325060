//! Sounds behind the first of a programme: taken out of its segments, each into a file of its own beside the pictures
//! (RFC 8216 clause 4.3.4.1: renditions with an URI).
//!
//! A rendition is known by its language, not by a PID, so that it is the same one behind another source. Once it is there
//! every segment has a file of it: where a source lacks it, or is silent, the first sound stands in. A hole would be worse:
//! players wait for sound that does not come, and a viewer would rather hear another language than nothing. Where the
//! stand-in is coded in another way, the segment begins with a discontinuity, in every playlist of the channel, as
//! renditions have to agree on these. A segment without any sound is a gap in the rendition. In a scrap of a segment nothing
//! stands in for what is only late: half a second of silence is less than a decoder that is set up twice.

use bytes::Bytes;
use mpegts::es::{self, SoundFormat};
use mpegts::pes::PesHeader;
use mpegts::psi::{Pmt, PmtStream, SectionReader, descriptors, packetize};
use mpegts::{Codec, PACKET_BYTES, Packet, Pid};

use super::parameters::packets;
use super::{CUT_NOW_90K, Segment, Sound};
use crate::language::terminological;

/// Renditions of one playlist; further sounds stay beside the first.
const RENDITIONS_MAX: usize = 8;

/// The PID of the sound in a file of its own: none that the splice gives.
const SOUND_PID: Pid = Pid::new(0x1100);

/// ISO_639_language_descriptor, and its audio_type for a commentary (ISO 13818-1 Table 2-60).
const LANGUAGE: u8 = 0x0A;
const COMMENTARY: u8 = 3;

/// What a sound is, as far as a playlist tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// ISO 639-2, lower case.
    pub language: Option<[u8; 3]>,
    /// Whether it describes the pictures to those who do not see them.
    pub describes: bool,
    /// How it is coded.
    pub codec: Codec,
    /// How it is sampled and laid out, where that is known.
    pub format: Option<SoundFormat>,
    /// As CODECS names it, where it has a name that players know.
    pub name: Option<String>,
}

impl About {
    fn of(codec: Codec, descriptor_bytes: &[u8]) -> Self {
        let mut kinds = descriptors(descriptor_bytes).filter(|(tag, _)| *tag == LANGUAGE);
        let kind = kinds.find_map(|(_, contents)| contents.get(3).copied());
        Self {
            language: es::language(descriptor_bytes)
                .map(terminological)
                .filter(|code| code != b"und"),
            describes: kind == Some(COMMENTARY),
            codec,
            format: None,
            name: None,
        }
    }

    /// How many channels it has.
    #[must_use]
    pub fn channels(&self) -> Option<u8> {
        self.format?.channels(self.codec)
    }

    /// Whether a decoder that is set up for this plays `later`. What is not known is the same.
    fn plays(&self, later: &Self) -> bool {
        let formats = self.format.zip(later.format);
        self.codec == later.codec && formats.is_none_or(|(now, then)| now == then)
    }
}

/// One of the sounds to choose from besides the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    language: Option<[u8; 3]>,
    describes: bool,
    /// Its place among those that are alike in both, from 1.
    number: usize,
}

impl Rendition {
    /// What it is called in addresses: the same for the same sound of another source.
    #[must_use]
    pub fn name(&self) -> String {
        let code = self.language.unwrap_or(*b"und");
        let mut name = format!("audio-{}", String::from_utf8_lossy(&code));
        if self.describes {
            name.push_str("-ad");
        }
        if self.number > 1 {
            name.push_str(&format!("-{}", self.number));
        }
        name
    }
}

/// A sound of the programme map.
#[derive(Debug)]
struct Heard {
    stream: PmtStream,
    about: About,
    packets: usize,
    /// Which rendition it is; the first is none.
    rendition: Option<usize>,
}

/// A file that is being written.
#[derive(Debug, Default)]
struct Out {
    bytes: Vec<u8>,
    /// Of the tables, of the sound, and of what carries the clock.
    map_counter: Option<u8>,
    sound_counter: u8,
    clock_counter: u8,
    /// The map as it was last written, and its version.
    streams: Vec<PmtStream>,
    version: u8,
}

/// A rendition that there was once.
#[derive(Debug)]
struct Known {
    rendition: Rendition,
    out: Out,
    last: Option<About>,
}

impl Known {
    fn new(rendition: Rendition) -> Self {
        Self {
            rendition,
            out: Out::default(),
            last: None,
        }
    }

    /// Whether a decoder that is set up for what came last plays this. Where nothing came, it does.
    fn is_like_last(&self, about: &About) -> bool {
        self.last.as_ref().is_none_or(|last| last.plays(about))
    }
}

/// Takes the sounds out of the segments of one playlist.
#[derive(Debug, Default)]
pub(super) struct Sounds {
    known: Vec<Known>,
    main: Out,
    /// Once pictures were HEVC, segments are packed as MP4: what that does not carry is nobody's choice.
    is_mp4: bool,
}

/// Where the packets of one segment go.
struct Route {
    map_pid: Pid,
    /// The sounds that leave the main file.
    leaves: Vec<Pid>,
    /// Which PID each rendition is made of.
    feeds: Vec<Option<Pid>>,
}

impl Sounds {
    /// Segments are packed as MP4 from the first one on, whatever their pictures.
    pub(super) fn keep_to_mp4(&mut self) {
        self.is_mp4 = true;
    }

    /// These are there from the first segment on.
    pub(super) fn keep(&mut self, renditions: &[Rendition]) {
        self.known.extend(renditions.iter().cloned().map(Known::new));
    }

    /// Every rendition so far; segments have theirs in this order.
    pub(super) fn renditions(&self) -> impl Iterator<Item = &Rendition> {
        self.known.iter().map(|known| &known.rendition)
    }

    /// Leaves the first sound in a segment, and puts the others beside it.
    pub(super) fn split(&mut self, segment: &mut Segment) {
        self.is_mp4 |= segment.contents.video == Some(Codec::Hevc);
        let Some((map_pid, map)) = last_map(&segment.chunks) else {
            // Numbers of segments are counted in each playlist: there is one in every rendition, with or without sound.
            segment.sounds = self.known.iter().map(|_| Sound::gap()).collect();
            return;
        };
        let mut heard = sounds_of(&map);
        if self.is_mp4 {
            heard.retain(|sound| sound.about.codec.fits_mp4());
        }
        if heard.len() < 2 && self.known.is_empty() {
            return;
        }
        self.assign(&mut heard);
        if self.known.is_empty() {
            return;
        }
        listen(&segment.chunks, &mut heard);
        let first = heard.first().filter(|first| first.packets > 0);
        let leaves = heard.iter().skip(1).filter(|sound| sound.rendition.is_some());
        let mut route = Route {
            map_pid,
            leaves: leaves.map(|sound| sound.stream.pid).collect(),
            feeds: Vec::new(),
        };
        let mut abouts = Vec::new();
        let is_scrap = segment.duration_90k() < CUT_NOW_90K;
        for (index, known) in self.known.iter_mut().enumerate() {
            let own = heard.iter().find(|sound| sound.rendition == Some(index));
            // What is left of a source that died may be too short for it.
            let is_awaited = own.is_some_and(|own| is_scrap && known.is_like_last(&own.about));
            let own = own.filter(|sound| sound.packets > 0 || is_awaited);
            // Where its language is that of the first sound, that one is in it: whoever comes then chooses it as the first.
            let feed = own.or(first);
            route.feeds.push(feed.map(|sound| sound.stream.pid));
            if let Some(feed) = feed.filter(|feed| feed.packets > 0) {
                segment.discontinuity |= !known.is_like_last(&feed.about);
                known.last = Some(feed.about.clone());
            }
            abouts.push(own.map(|sound| sound.about.clone()));
        }
        segment.contents.first = heard.first().map(|sound| sound.about.clone());
        // Without a keyframe nobody knows what its pictures are called.
        if segment.contents.is_known() {
            let sound = heard.first().map(|sound| sound.about.name.clone());
            let names = segment.contents.pictures.clone().into_iter().chain(sound);
            segment.contents.codecs = names.collect::<Option<Vec<String>>>().unwrap_or_default();
        }
        self.write(&segment.chunks, &route, &heard);
        let main = std::mem::take(&mut self.main.bytes);
        segment.bytes = main.len();
        segment.chunks = vec![main.into()];
        let files = self.known.iter_mut().zip(&route.feeds).zip(abouts);
        segment.sounds = files
            .map(|((known, feed), about)| {
                let bytes = std::mem::take(&mut known.out.bytes);
                Sound {
                    about,
                    bytes: bytes.len(),
                    chunks: vec![bytes.into()],
                    map: None,
                    gap: feed.is_none(),
                }
            })
            .collect();
    }

    /// Finds the rendition of each sound but the first, or makes it one.
    fn assign(&mut self, heard: &mut [Heard]) {
        let mut found: Vec<Rendition> = Vec::new();
        for sound in heard.iter_mut().skip(1) {
            let alike = |other: &&Rendition| {
                (other.language, other.describes) == (sound.about.language, sound.about.describes)
            };
            let rendition = Rendition {
                language: sound.about.language,
                describes: sound.about.describes,
                number: 1 + found.iter().filter(alike).count(),
            };
            found.push(rendition.clone());
            let place = self.known.iter().position(|known| known.rendition == rendition);
            sound.rendition = place.or_else(|| {
                let place = self.known.len();
                (place < RENDITIONS_MAX).then(|| {
                    self.known.push(Known::new(rendition));
                    place
                })
            });
        }
    }

    fn write(&mut self, chunks: &[Bytes], route: &Route, heard: &[Heard]) {
        let mut reader = SectionReader::default();
        let (mut clock_pid, mut map_seen) = (None, None);
        self.main.bytes.reserve(chunks.iter().map(Bytes::len).sum());
        for packet in chunks.iter().flat_map(packets) {
            let pid = packet.pid();
            if pid == Pid::PAT {
                self.main.put(&packet);
                self.known.iter_mut().for_each(|known| known.out.put(&packet));
                continue;
            }
            if pid == route.map_pid {
                let counter = packet.continuity();
                reader.push(&packet, |section| map_seen = Pmt::parse(section).ok());
                if let Some(map) = map_seen.take() {
                    clock_pid = Some(map.pcr_pid);
                    self.write_maps(&map, route, heard, counter);
                }
                continue;
            }
            let carries_clock = Some(pid) == clock_pid && packet.pcr().is_some();
            if !route.leaves.contains(&pid) {
                self.main.put(&packet);
                if Some(pid) == clock_pid {
                    self.main.clock_counter = packet.continuity();
                }
            } else if carries_clock {
                self.main.put_clock(&packet);
            }
            for (known, feed) in self.known.iter_mut().zip(&route.feeds) {
                if carries_clock {
                    known.out.put_clock(&packet);
                }
                if *feed == Some(pid) {
                    known.out.put_sound(&packet);
                }
            }
        }
    }

    /// A map for each file, of what is in it.
    fn write_maps(&mut self, map: &Pmt, route: &Route, heard: &[Heard], counter: u8) {
        let stays = |stream: &&PmtStream| !route.leaves.contains(&stream.pid);
        let main = map.streams.iter().filter(stays).cloned().collect();
        self.main.put_map(map, (route.map_pid, counter), main);
        for (known, feed) in self.known.iter_mut().zip(&route.feeds) {
            let sound = heard.iter().find(|sound| Some(sound.stream.pid) == *feed);
            let sound = sound.map(|sound| PmtStream {
                pid: SOUND_PID,
                ..sound.stream.clone()
            });
            let bare = Pmt {
                descriptors: Vec::new(),
                ..map.clone()
            };
            known
                .out
                .put_map(&bare, (route.map_pid, counter), sound.into_iter().collect());
        }
    }
}

impl Out {
    fn put(&mut self, packet: &Packet<'_>) {
        self.bytes.extend_from_slice(packet.bytes());
    }

    /// A packet of the sound, under its own PID and counter.
    fn put_sound(&mut self, packet: &Packet<'_>) {
        let mut bytes = *packet.bytes();
        let [_, second, third, fourth, ..] = &mut bytes;
        let [high, low] = SOUND_PID.value().to_be_bytes();
        *second = *second & 0xE0 | high;
        *third = low;
        if packet.payload().is_some() {
            self.sound_counter = (self.sound_counter + 1) & 0x0F;
        }
        *fourth = *fourth & 0xF0 | self.sound_counter;
        self.bytes.extend_from_slice(&bytes);
    }

    /// The clock of a packet whose payload is not in this file; its counter stands still (ISO 13818-1 clause 2.4.3.3).
    fn put_clock(&mut self, packet: &Packet<'_>) {
        /// Behind the header: the length of the adaptation field, its flags, the clock.
        const CLOCK_AT: usize = 6;
        const CLOCK_END: usize = 12;
        let mut bytes = [0xFF; PACKET_BYTES];
        let [first, second, third, fourth, length, flags, ..] = &mut bytes;
        let [_, pid_high, pid_low, ..] = packet.bytes();
        (*first, *second, *third) = (0x47, pid_high & 0x1F, *pid_low);
        *fourth = 0x20 | self.clock_counter;
        (*length, *flags) = (183, 0x10);
        let from = packet.bytes().get(CLOCK_AT..CLOCK_END);
        if let Some((from, to)) = from.zip(bytes.get_mut(CLOCK_AT..CLOCK_END)) {
            to.copy_from_slice(from);
        }
        self.bytes.extend_from_slice(&bytes);
    }

    /// A map of `streams`, in place of `map`, whose last packet had the counter `counter`.
    fn put_map(&mut self, map: &Pmt, (pid, counter): (Pid, u8), streams: Vec<PmtStream>) {
        if self.streams != streams {
            self.version = if self.streams.is_empty() {
                map.version
            } else {
                (self.version + 1) % 32
            };
            self.streams = streams;
        }
        let own = Pmt {
            version: self.version,
            streams: self.streams.clone(),
            ..map.clone()
        };
        // It has fewer streams than one that could be written.
        let Ok(section) = own.write() else { return };
        let last = self.map_counter.get_or_insert((counter + 15) & 0x0F);
        packetize(&section, pid, last, &mut self.bytes);
    }
}

/// The last programme map of a segment, and its PID.
fn last_map(chunks: &[Bytes]) -> Option<(Pid, Pmt)> {
    let (mut pat, mut pmt) = (SectionReader::default(), SectionReader::default());
    let (mut map_pid, mut found) = (None, None);
    for packet in chunks.iter().flat_map(packets) {
        if packet.pid() == Pid::PAT {
            pat.push(&packet, |section| {
                let table = mpegts::psi::Pat::parse(section).ok();
                map_pid = table.and_then(|table| table.programs.first().map(|(_, pid)| *pid));
            });
        } else if Some(packet.pid()) == map_pid {
            pmt.push(&packet, |section| {
                found = Pmt::parse(section).ok().or(found.take());
            });
        }
    }
    map_pid.zip(found)
}

fn sounds_of(map: &Pmt) -> Vec<Heard> {
    let sounds = map.streams.iter().filter_map(|stream| {
        let codec = Codec::of(stream.stream_type, &stream.descriptors)?;
        codec.is_audio().then(|| Heard {
            stream: stream.clone(),
            about: About::of(codec, &stream.descriptors),
            packets: 0,
            rendition: None,
        })
    });
    sounds.collect()
}

/// Counts the packets of sounds, and finds how each is coded.
fn listen(chunks: &[Bytes], heard: &mut [Heard]) {
    for packet in chunks.iter().flat_map(packets) {
        let of_packet = |sound: &&mut Heard| sound.stream.pid == packet.pid();
        let Some(sound) = heard.iter_mut().find(of_packet) else {
            continue;
        };
        let Some(payload) = packet.payload() else { continue };
        sound.packets += 1;
        if sound.about.format.is_none() && packet.unit_start() {
            let frame = PesHeader::parse(payload)
                .and_then(|header| payload.get(header.payload_at..))
                .and_then(|data| es::audio_frame(sound.about.codec, data));
            sound.about.format = frame.map(es::AudioFrame::format);
            sound.about.name = name(sound.about.codec, &packet);
        }
    }
}

/// What CODECS calls the sound that begins in a packet.
fn name(codec: Codec, packet: &Packet<'_>) -> Option<String> {
    // Layers I and II have names that players refuse, and play all the same.
    if codec == Codec::MpegAudio {
        return None;
    }
    let payload = packet.payload()?;
    let header = PesHeader::parse(payload)?;
    es::codec_string(codec, payload.get(header.payload_at..)?)
}
