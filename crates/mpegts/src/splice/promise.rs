//! What viewers were promised, and how the streams of a source fit into it.

use super::cue;
use super::demux::{InStream, STREAMS_MAX};
use super::report::{Signature, SignatureStream};
use crate::es::{Codec, Kind, PictureSize, SoundFormat};
use crate::packet::{PACKET_BYTES, Pid};
use crate::psi::{self, Pat, Pmt, PmtStream, SectionError};

/// The outgoing transport_stream_id.
const TRANSPORT_STREAM_ID: u16 = 1;

/// The outgoing program_number.
const PROGRAM_NUMBER: u16 = 1;

/// The PID of the outgoing programme map: any of 0x0010 to 0x1FFE may be (Table 2-3).
pub(super) const PMT_PID: Pid = Pid::new(0x1000);

/// PCR_PID of a programme without a clock (2.4.4.9).
const NO_PID: Pid = Pid::new(0x1FFF);

/// PIDs handed out to elementary streams, in turn.
const FIRST_PID: u16 = 0x0100;
const LAST_PID: u16 = 0x0FFF;

/// Packets of PAT and PMT at the most: one, and those of the longest section with its pointer_field (2.4.4.2).
pub(super) const TABLE_PACKETS_MAX: usize = 1 + (1 + psi::SECTION_BYTES_MAX).div_ceil(PACKET_BYTES - 4);

/// Bytes of descriptors kept per stream, so that the longest programme fits into one section (2.4.4.9).
const DESCRIPTOR_BYTES_MAX: usize = 24;

/// Descriptors that say how to decode or present a stream (2.6; EN 300 468 6.1; SCTE 35 8.2). Others name a network that is not
/// there any more, or conditional access that is over.
const KEPT_DESCRIPTORS: [u8; 13] = [
    0x05, 0x0A, 0x26, 0x2A, 0x56, 0x59, 0x6A, 0x7A, 0x7B, 0x7C, 0x7F, 0x38, 0x8A,
];

/// The outgoing programme map and how it came about.
#[derive(Debug, Default)]
pub(super) struct Promise {
    signature: Option<Signature>,
    pids_given: u16,
    /// PAT and PMT as they go out, but for their counters.
    tables: Vec<[u8; PACKET_BYTES]>,
}

/// How the streams of a source fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Into what is promised.
    Same,
    /// With further streams beside what is promised.
    Wider,
    /// A promised codec is another.
    Other,
}

impl Promise {
    pub(super) const fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// The promised stream for each of `incoming`, and whether that is all.
    pub(super) fn fit(&self, incoming: &[InStream]) -> (Vec<Option<Pid>>, Fit) {
        let Some(signature) = &self.signature else {
            return (vec![None; incoming.len()], Fit::Wider);
        };
        let mut map: Vec<Option<Pid>> = vec![None; incoming.len()];
        let rules: [fn(&InStream, &SignatureStream) -> bool; 2] = [
            |stream, promised| stream.language == promised.language,
            |stream, promised| {
                stream.codec.is_video() || stream.language.is_none() || promised.language.is_none()
            },
        ];
        for rule in rules {
            for (index, stream) in incoming.iter().enumerate() {
                let free = |promised: &&SignatureStream| {
                    promised.codec == stream.codec
                        && !map.contains(&Some(promised.pid))
                        && rule(stream, promised)
                };
                let found = signature.streams.iter().find(free).map(|promised| promised.pid);
                if let Some(slot) = map.get_mut(index)
                    && slot.is_none()
                {
                    *slot = found;
                }
            }
        }
        self.fill_first_audio(signature, incoming, &mut map);
        let fit = Self::judge(signature, incoming, &map);
        (map, fit)
    }

    /// The audio that players chose must not fall silent over a language code: whatever has its codec will do.
    fn fill_first_audio(&self, signature: &Signature, incoming: &[InStream], map: &mut [Option<Pid>]) {
        let Some(first) = signature.streams.iter().find(|stream| stream.codec.is_audio()) else {
            return;
        };
        if map.contains(&Some(first.pid)) {
            return;
        }
        let of_codec = |(stream, _): &(&InStream, &mut Option<Pid>)| stream.codec == first.codec;
        if let Some((_, slot)) = incoming.iter().zip(map.iter_mut()).find(of_codec) {
            *slot = Some(first.pid);
        }
    }

    fn judge(signature: &Signature, incoming: &[InStream], map: &[Option<Pid>]) -> Fit {
        let offered = |kind: Kind| incoming.iter().any(|stream| stream.codec.kind() == kind);
        let first_of = |kind: Kind| {
            signature
                .streams
                .iter()
                .find(|stream| stream.codec.kind() == kind)
        };
        let broken =
            |kind: Kind| offered(kind) && first_of(kind).is_some_and(|first| !map.contains(&Some(first.pid)));
        let picture_appears = offered(Kind::Video) && first_of(Kind::Video).is_none();
        if broken(Kind::Video) || broken(Kind::Audio) || picture_appears {
            Fit::Other
        } else if map.contains(&None) {
            Fit::Wider
        } else {
            Fit::Same
        }
    }

    /// Promises what `incoming` needs; returns the outgoing PID of each, and says whether the promise changed.
    pub(super) fn extend(&mut self, incoming: &[InStream]) -> (Vec<Option<Pid>>, bool) {
        let (mut map, fit) = self.fit(incoming);
        if fit == Fit::Same {
            return (map, false);
        }
        let mut signature = self.signature.take().map_or_else(
            || Signature {
                streams: Vec::new(),
                pcr_pid: NO_PID,
                epoch: 0,
                pmt_version: 31,
            },
            |mut signature| {
                signature.epoch = signature.epoch.wrapping_add(u32::from(fit == Fit::Other));
                signature
            },
        );
        if fit == Fit::Other {
            signature.streams.retain(|stream| map.contains(&Some(stream.pid)));
        }
        for (stream, slot) in incoming.iter().zip(&mut map) {
            if slot.is_none() && signature.streams.len() < STREAMS_MAX {
                let pid = self.fresh_pid(&signature);
                *slot = Some(pid);
                signature.streams.push(SignatureStream {
                    pid,
                    stream_type: stream.stream_type,
                    codec: stream.codec,
                    language: stream.language,
                    descriptors: kept_descriptors(&stream.descriptors),
                    sound: None,
                    picture: None,
                });
            }
        }
        if fit == Fit::Other {
            // Some players take the first stream of a kind: the order is the source's.
            let place = |pid: Pid| map.iter().position(|mapped| *mapped == Some(pid));
            signature.streams.sort_by_key(|stream| place(stream.pid));
        }
        if signature.pcr_pid == NO_PID {
            // For the life of the channel: where its stream is gone, the clock goes on alone.
            let first = |kind: Kind| {
                signature
                    .streams
                    .iter()
                    .find(|stream| stream.codec.kind() == kind)
            };
            let carrier = first(Kind::Video).or_else(|| first(Kind::Audio));
            signature.pcr_pid = carrier.map_or(NO_PID, |stream| stream.pid);
        }
        signature.pmt_version = (signature.pmt_version + 1) % 32;
        self.tables = tables(&signature).unwrap_or_default();
        self.signature = Some(signature);
        (map, true)
    }

    fn fresh_pid(&mut self, signature: &Signature) -> Pid {
        loop {
            let pid = Pid::new(FIRST_PID + self.pids_given % (LAST_PID - FIRST_PID + 1));
            self.pids_given = self.pids_given.wrapping_add(1);
            // At most STREAMS_MAX are taken, of thousands.
            if pid != signature.pcr_pid && signature.streams.iter().all(|stream| stream.pid != pid) {
                return pid;
            }
        }
    }

    /// Hands out the packets of PAT and PMT; the counters are those of the last packets sent and are moved on.
    pub(super) fn write_tables(&self, pat: &mut u8, pmt: &mut u8, mut out: impl FnMut(&[u8; PACKET_BYTES])) {
        for (number, packet) in self.tables.iter().enumerate() {
            let counter = if number == 0 { &mut *pat } else { &mut *pmt };
            *counter = (*counter + 1) & 0x0F;
            let mut packet = *packet;
            packet[3] |= *counter;
            out(&packet);
        }
    }

    /// How many packets the PMT takes.
    pub(super) fn map_packets(&self) -> u8 {
        u8::try_from(self.tables.len().saturating_sub(1)).unwrap_or(u8::MAX)
    }

    /// Notes how the sound on `pid` is coded; no table says so.
    pub(super) fn set_sound(&mut self, pid: Pid, sound: SoundFormat) {
        if let Some(stream) = self.stream_mut(pid) {
            stream.sound = Some(sound);
        }
    }

    /// Notes how large the pictures on `pid` are; no table says so.
    pub(super) fn set_picture(&mut self, pid: Pid, picture: PictureSize) {
        if let Some(stream) = self.stream_mut(pid) {
            stream.picture = Some(picture);
        }
    }

    fn stream_mut(&mut self, pid: Pid) -> Option<&mut SignatureStream> {
        let signature = self.signature.as_mut()?;
        signature.streams.iter_mut().find(|stream| stream.pid == pid)
    }

    /// The codec promised on `pid`.
    pub(super) fn codec(&self, pid: Pid) -> Option<Codec> {
        let signature = self.signature.as_ref()?;
        signature
            .streams
            .iter()
            .find(|stream| stream.pid == pid)
            .map(|stream| stream.codec)
    }
}

/// The packets of PAT and PMT with counters of nought. Cannot fail: the number of streams and the bytes of each are
/// bounded to fit.
fn tables(signature: &Signature) -> Result<Vec<[u8; PACKET_BYTES]>, SectionError> {
    let pat = Pat {
        transport_stream_id: TRANSPORT_STREAM_ID,
        version: 0,
        programs: vec![(PROGRAM_NUMBER, PMT_PID)],
    };
    let streams = signature.streams.iter().map(|stream| PmtStream {
        stream_type: stream.stream_type,
        pid: stream.pid,
        descriptors: stream.descriptors.clone(),
    });
    let cues = signature
        .streams
        .iter()
        .any(|stream| stream.codec == Codec::Data(cue::STREAM_TYPE));
    let pmt = Pmt {
        program_number: PROGRAM_NUMBER,
        version: signature.pmt_version,
        pcr_pid: signature.pcr_pid,
        descriptors: if cues {
            cue::REGISTRATION.to_vec()
        } else {
            Vec::new()
        },
        streams: streams.collect(),
    };
    let mut packets = Vec::new();
    psi::packetize(&pat.write()?, Pid::PAT, &mut 15, &mut packets);
    psi::packetize(&pmt.write()?, PMT_PID, &mut 15, &mut packets);
    let (packets, _) = packets.as_chunks_mut::<PACKET_BYTES>();
    for packet in &mut *packets {
        packet[3] &= 0xF0;
    }
    Ok(packets.to_vec())
}

fn kept_descriptors(all: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    for (tag, contents) in psi::descriptors(all) {
        let Ok(length) = u8::try_from(contents.len()) else {
            continue;
        };
        if KEPT_DESCRIPTORS.contains(&tag) && kept.len() + 2 + contents.len() <= DESCRIPTOR_BYTES_MAX {
            kept.extend([tag, length]);
            kept.extend_from_slice(contents);
        }
    }
    kept
}
