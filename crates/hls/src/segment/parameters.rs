//! What a decoder is set up for, read from the packets: what tells whether it has to be set up anew.

use std::collections::BTreeMap;

use bytes::Bytes;
use mpegts::Codec;
use mpegts::es::{self, ParameterSets, PictureSize, SoundFormat};
use mpegts::pes::PesHeader;
use mpegts::psi::{Pat, Pmt, SectionReader};
use mpegts::{PACKET_BYTES, Packet, Pid};

use super::Contents;

/// Bytes of an access unit within which its parameter sets stand.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Packets within which the first sound of a segment is looked for: a second at 30 Mbit/s.
const HEAR_PACKETS_MAX: usize = 20_000;

/// Streams, and what is known of their form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// PID and codec of each picture and sound, in the order of the map.
    streams: Vec<(Pid, Codec)>,
    /// The parameter sets of the first picture; empty where they are not known.
    sets: Vec<u8>,
    /// How large these pictures are.
    picture: Option<PictureSize>,
    /// The form of each sound, and its name in CODECS.
    sounds: BTreeMap<u16, (SoundFormat, String)>,
}

impl Parameters {
    /// Reads a chunk that begins with PAT, PMT and a random-access packet.
    pub(super) fn read(chunk: &Bytes) -> Self {
        let mut found = Self {
            streams: streams(chunk),
            ..Self::default()
        };
        let Some(&(pid, codec)) = found.streams.iter().find(|(_, codec)| codec.is_video()) else {
            return found;
        };
        if let Some(unit) = first_unit(chunk, pid) {
            let mut cache = ParameterSets::new();
            es::inspect(codec, &unit, &mut cache);
            found.sets = cache.bytes().to_vec();
            found.picture = cache.picture();
        }
        found
    }

    /// Listens to the first frame of each sound.
    pub(super) fn hear(&mut self, chunks: &[Bytes]) {
        let mut missing: Vec<(Pid, Codec)> = self.streams.clone();
        missing.retain(|(_, codec)| codec.is_audio());
        let mut left = HEAR_PACKETS_MAX;
        for packet in chunks.iter().flat_map(packets) {
            if missing.is_empty() || left == 0 {
                return;
            }
            left -= 1;
            let place = missing.iter().position(|(pid, _)| *pid == packet.pid());
            let Some((pid, codec)) = place.filter(|_| packet.unit_start()).map(|at| missing.remove(at))
            else {
                continue;
            };
            let payload = packet.payload().unwrap_or_default();
            let sound = PesHeader::parse(payload).and_then(|header| payload.get(header.payload_at..));
            if let Some(sound) = sound
                && let Some(frame) = es::audio_frame(codec, sound)
            {
                let name = es::codec_string(codec, sound).unwrap_or_default();
                self.sounds.insert(pid.value(), (frame.format(), name));
            }
        }
    }

    /// Whether `later` shows pictures of another form, in a stream that says nothing of a change: parameters that belong
    /// to single pictures do not count, as an encoder may change them at any time.
    pub(super) fn shows_another_format(&self, later: &Self) -> bool {
        let streams = !later.streams.is_empty() && !self.streams.is_empty() && self.streams != later.streams;
        streams || (self.knows_sets(later) && self.sequence_sets() != later.sequence_sets())
    }

    /// Whether a decoder that is set up for this has to be set up anew for `later`. What is not known is the same.
    pub(super) fn differ(&self, later: &Self) -> bool {
        let sounds = self.sounds.iter().any(|(pid, format)| {
            let now = later.sounds.get(pid);
            now.is_some_and(|now| now.0 != format.0)
        });
        let streams = !later.streams.is_empty() && !self.streams.is_empty() && self.streams != later.streams;
        sounds || streams || (self.knows_sets(later) && self.sequence_sets() != later.sequence_sets())
    }

    /// Whether `later` goes on with this: coded alike, down to the parameters of single pictures, with every sound heard.
    pub(super) fn goes_on_in(&self, later: &Self) -> bool {
        let mut sounds = later.streams.iter().filter(|(_, codec)| codec.is_audio());
        let is_heard = sounds.all(|(pid, _)| later.sounds.contains_key(&pid.value()));
        is_heard && self.knows_sets(later) && self.sets == later.sets && !self.differ(later)
    }

    /// What is told of a segment.
    pub(super) fn contents(&self) -> Contents {
        let video = self.streams.iter().find(|(_, codec)| codec.is_video());
        let name = |(pid, codec): &(Pid, Codec)| match codec {
            codec if codec.is_video() => es::codec_string(*codec, &self.sets),
            // Layers I and II have names that players refuse, and play all the same.
            Codec::MpegAudio => None,
            _ => self.sounds.get(&pid.value()).map(|(_, name)| name.clone()),
        };
        let names: Option<Vec<String>> = self.streams.iter().map(&name).collect();
        let mut codecs = names.unwrap_or_default();
        codecs.dedup();
        if codecs.iter().any(String::is_empty) {
            codecs.clear();
        }
        Contents {
            video: video.map(|(_, codec)| *codec),
            picture: self.picture,
            first: None,
            pictures: video.map(name),
            codecs,
        }
    }

    /// What is known of this, and of `before` what is not.
    pub(super) fn or(mut self, before: Self) -> Self {
        if self.streams.is_empty() {
            return before;
        }
        if self.sets.is_empty() {
            (self.sets, self.picture) = (before.sets, before.picture);
        }
        let mut sounds = before.sounds;
        sounds.append(&mut self.sounds);
        sounds.retain(|pid, _| self.streams.iter().any(|(known, _)| known.value() == *pid));
        self.sounds = sounds;
        self
    }

    fn knows_sets(&self, later: &Self) -> bool {
        !self.sets.is_empty() && !later.sets.is_empty()
    }

    /// Of the sets those that hold for more than single pictures (H.264 and H.265 clause 7.4.1.2: SPS and VPS).
    fn sequence_sets(&self) -> Vec<&[u8]> {
        let video = self.streams.iter().find(|(_, codec)| codec.is_video());
        let holds = |unit: &&[u8]| match (video, unit.first()) {
            (Some((_, Codec::H264)), Some(head)) => head & 0x1F == 7,
            (Some((_, Codec::Hevc)), Some(head)) => matches!(head >> 1 & 0x3F, 32 | 33),
            // ISO 13818-2 clause 6.2.2.1: the sizes of a sequence header; bit rate and matrices follow them.
            (_, Some(head)) => *head == 0xB3,
            (_, None) => false,
        };
        let is_mpeg2 = matches!(video, Some((_, Codec::Mpeg2Video)));
        let units = units(&self.sets).filter(holds);
        units
            .map(|unit| {
                if is_mpeg2 {
                    unit.get(..5).unwrap_or(unit)
                } else {
                    unit
                }
            })
            .collect()
    }
}

/// What stands between start codes.
fn units(sets: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts: Vec<usize> = Vec::new();
    for (at, window) in sets.windows(3).enumerate() {
        if window == [0, 0, 1] {
            starts.push(at);
        }
    }
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([sets.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| {
        let unit = sets.get(start + 3..end).unwrap_or_default();
        // A start code of four bytes begins with the zero that seems to end the unit before it.
        let zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
        unit.get(..unit.len() - zeros).unwrap_or_default()
    })
}

/// Whether a table or a PES packet begins with the first packet.
pub(super) fn begins_unit(chunk: &Bytes) -> bool {
    packets(chunk).next().is_some_and(|packet| packet.unit_start())
}

/// Whether the first packet is one of a PAT.
pub(super) fn begins_with_tables(chunk: &Bytes) -> bool {
    packets(chunk)
        .next()
        .is_some_and(|packet| packet.pid() == Pid::PAT)
}

/// The packets of the last PAT and of the PMT behind it.
pub(super) fn last_tables(chunks: &[Bytes]) -> Option<Bytes> {
    for chunk in chunks.iter().rev() {
        let all: Vec<Packet<'_>> = packets(chunk).collect();
        let Some(at) = all
            .iter()
            .rposition(|packet| packet.pid() == Pid::PAT && packet.unit_start())
        else {
            continue;
        };
        let mut behind = all.iter().skip(at + 1);
        let first = behind.next().filter(|packet| packet.unit_start())?;
        let more = behind.take_while(|packet| packet.pid() == first.pid() && !packet.unit_start());
        let count = 2 + more.count();
        return Some(chunk.slice(at * PACKET_BYTES..(at + count) * PACKET_BYTES));
    }
    None
}

pub(super) fn packets(chunk: &Bytes) -> impl Iterator<Item = Packet<'_>> {
    let (packets, _) = chunk.as_chunks::<PACKET_BYTES>();
    packets.iter().filter_map(Packet::new)
}

/// The pictures and sounds of the programme map.
fn streams(chunk: &Bytes) -> Vec<(Pid, Codec)> {
    let (mut pat, mut pmt) = (SectionReader::default(), SectionReader::default());
    let mut map_pid = None;
    let mut found = None;
    for packet in packets(chunk) {
        if packet.pid() == Pid::PAT {
            pat.push(&packet, |section| {
                let table = Pat::parse(section).ok();
                map_pid = table.and_then(|table| table.programs.first().map(|(_, pid)| *pid));
            });
        } else if Some(packet.pid()) == map_pid {
            pmt.push(&packet, |section| found = Pmt::parse(section).ok());
        }
        if found.is_some() {
            break;
        }
    }
    let streams = found.map(|map| map.streams).unwrap_or_default();
    let codecs = streams
        .iter()
        .filter_map(|stream| Some((stream.pid, Codec::of(stream.stream_type, &stream.descriptors)?)));
    codecs
        .filter(|(_, codec)| codec.is_video() || codec.is_audio())
        .collect()
}

/// The begin of the first PES packet's contents on `pid`.
fn first_unit(chunk: &Bytes, pid: Pid) -> Option<Vec<u8>> {
    let mut unit: Vec<u8> = Vec::new();
    for packet in packets(chunk).filter(|packet| packet.pid() == pid) {
        if packet.unit_start() && !unit.is_empty() {
            break;
        }
        unit.extend_from_slice(packet.payload().unwrap_or_default());
        if unit.len() > HEAD_BYTES_MAX {
            break;
        }
    }
    let header = PesHeader::parse(&unit)?;
    unit.get(header.payload_at..).map(<[u8]>::to_vec)
}
