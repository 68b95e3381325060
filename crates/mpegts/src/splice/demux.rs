//! The incoming side of the splice: from the packets of one source to whole PES packets of its programme.
//! What happens to them on the timeline is decided in the parent module. [`crate::Demuxer`] reads frames from them.

use super::cue;
use super::report::SourceReport;
use crate::clock::Pcr27m;
use crate::es::{self, Codec};
use crate::null::NULL_PID;
use crate::packet::{PACKET_BYTES, Packet, Pid};
use crate::pes::{PesHeader, STREAM_PADDING};
use crate::psi::{self, Pat, Pmt, SectionReader};

/// Bytes of one video PES packet: an intra picture of ultra-high definition at a high rate, with room.
const VIDEO_PES_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Bytes of any other PES packet: the length field can say no more (2.4.3.7).
const PES_BYTES_MAX: usize = 6 + u16::MAX as usize;

/// Bytes of packets kept until the programme map arrives, so that a map behind the first keyframe costs no wait.
const EARLY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Times the map of another programme comes before ours counts as absent: all maps of a multiplex are repeated about
/// equally often (every 500 ms at least, TR 101 290 1.5).
const OTHER_MAPS: u8 = 4;

/// Streams of one programme; real ones have a dozen.
pub(crate) const STREAMS_MAX: usize = 32;

/// PES buffers kept for use again.
const SPARE_BUFFERS: usize = 8;

/// One elementary stream of the source's programme.
#[derive(Debug)]
pub(crate) struct InStream {
    pub(crate) pid: Pid,
    pub(crate) stream_type: u8,
    pub(crate) codec: Codec,
    pub(crate) language: Option<[u8; 3]>,
    pub(crate) descriptors: Vec<u8>,
    /// Reads a stream that carries sections in place of PES packets.
    sections: Option<SectionReader>,
    assembly: Assembly,
}

#[derive(Debug, Default)]
struct Assembly {
    bytes: Vec<u8>,
    open: bool,
    random_access: bool,
    /// Where the PES packet ends, when its header says so.
    whole: Option<usize>,
    continuity: Option<u8>,
    /// The counter broke at the last packet.
    doubtful: bool,
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Event {
    /// The programme map was read for the first time, or lists other streams than before.
    Programme,
    /// A PES packet is complete.
    Pes(WholePes),
    /// A section of a stream is complete; nothing of it has been checked.
    Section { stream: usize, bytes: Vec<u8> },
    /// The programme clock, and whether it was announced to jump.
    Pcr { value: Pcr27m, flagged: bool },
}

/// A PES packet, put together.
#[derive(Debug)]
pub(crate) struct WholePes {
    /// The index of its stream.
    pub(crate) stream: usize,
    pub(crate) bytes: Vec<u8>,
    /// The packet it began in said random access.
    pub(crate) random_access: bool,
    /// It ended where the next began, and the counter broke there: its end may be missing.
    pub(crate) doubtful: bool,
}

/// The state of one source's packets.
#[derive(Debug)]
pub(crate) struct Demux {
    pat: SectionReader,
    pmt: SectionReader,
    /// The sections last read: tables are repeated many times a second and hardly ever change.
    pat_read: Vec<u8>,
    pmt_read: Vec<u8>,
    program: Option<(u16, Pid)>,
    /// All that the PAT lists.
    programs: Vec<(u16, Pid)>,
    /// The first other programme whose map came while ours did not, and how often it did.
    other: Option<((u16, Pid), u8)>,
    pcr_pid: Option<Pid>,
    streams: Vec<InStream>,
    mapped: bool,
    early: Vec<u8>,
    spare: Vec<Vec<u8>>,
}

impl Demux {
    pub(crate) fn new() -> Self {
        Self {
            pat: SectionReader::default(),
            pmt: SectionReader::default(),
            pat_read: Vec::new(),
            pmt_read: Vec::new(),
            program: None,
            programs: Vec::new(),
            other: None,
            pcr_pid: None,
            streams: Vec::new(),
            mapped: false,
            early: Vec::new(),
            spare: Vec::new(),
        }
    }

    pub(crate) fn streams(&self) -> &[InStream] {
        &self.streams
    }

    /// Packets that came before the programme map, to be pushed again now that it is known.
    pub(crate) fn take_early(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.early)
    }

    /// Gives a buffer back once its PES packet has been sent.
    pub(crate) fn recycle(&mut self, mut bytes: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS {
            bytes.clear();
            self.spare.push(bytes);
        }
    }

    pub(crate) fn packet(
        &mut self,
        bytes: &[u8; PACKET_BYTES],
        report: &mut SourceReport,
        events: &mut Vec<Event>,
    ) {
        report.packets += 1;
        let Some(packet) = Packet::new(bytes) else { return };
        if packet.transport_error() {
            report.transport_errors += 1;
            return;
        }
        let pid = packet.pid();
        match self.program {
            _ if pid.value() == NULL_PID => {}
            _ if pid == Pid::PAT => self.read_pat(&packet, report),
            Some((_, map_pid)) if pid == map_pid => self.read_pmt(&packet, report, events),
            _ if !self.mapped => {
                self.reconsider_programme(&packet);
                if self.early.len() < EARLY_BYTES_MAX {
                    self.early.extend_from_slice(bytes);
                }
            }
            _ => self.stream_packet(&packet, report, events),
        }
    }

    /// The source is over: packets that only waited for their successor are complete.
    pub(crate) fn finish(&mut self, events: &mut Vec<Event>) {
        for stream in 0..self.streams.len() {
            self.close(stream, events);
        }
    }

    fn read_pat(&mut self, packet: &Packet<'_>, report: &mut SourceReport) {
        let mut found = None;
        self.pat.push(packet, |section| {
            if is_news(&mut self.pat_read, section) {
                found = Pat::parse(section).ok().or(found.take());
            }
        });
        let Some(pat) = found else { return };
        report.pat_seen = true;
        self.programs = pat.programs;
        if self
            .program
            .is_some_and(|program| self.programs.contains(&program))
        {
            return;
        }
        if let Some(first) = self.programs.first() {
            self.choose(*first);
        }
    }

    fn choose(&mut self, program: (u16, Pid)) {
        self.program = Some(program);
        self.other = None;
        self.pmt = SectionReader::default();
        self.pmt_read.clear();
    }

    /// A programme that was cut out of a multiplex often keeps the PAT of all: the one whose map comes is there.
    fn reconsider_programme(&mut self, packet: &Packet<'_>) {
        let of_packet = |(_, map_pid): &&(u16, Pid)| *map_pid == packet.pid();
        let Some(other) = self.programs.iter().find(of_packet) else {
            return;
        };
        let (first, times) = self.other.get_or_insert((*other, 0));
        if packet.unit_start() && first == other && self.pmt_read.is_empty() {
            *times += 1;
            if *times >= OTHER_MAPS {
                let other = *other;
                self.choose(other);
            }
        }
    }

    fn read_pmt(&mut self, packet: &Packet<'_>, report: &mut SourceReport, events: &mut Vec<Event>) {
        let mut found = None;
        // Where there is only one programme, a map with another number than the PAT gave it is still its map.
        let alone = self.programs.len() == 1;
        let wanted = self.program.map(|(number, _)| number).filter(|_| !alone);
        self.pmt.push(packet, |section| {
            if is_news(&mut self.pmt_read, section) {
                found = Pmt::parse(section)
                    .ok()
                    .filter(|pmt| wanted.is_none_or(|number| number == pmt.program_number))
                    .or(found.take());
            }
        });
        let Some(pmt) = found else { return };
        self.pcr_pid = Some(pmt.pcr_pid);
        let fresh = in_streams(&pmt);
        let same = |(old, new): (&InStream, &InStream)| {
            (old.pid, old.codec, old.language) == (new.pid, new.codec, new.language)
        };
        if self.mapped && fresh.len() == self.streams.len() && self.streams.iter().zip(&fresh).all(same) {
            return;
        }
        self.mapped = true;
        let mut old = core::mem::replace(&mut self.streams, fresh);
        for stream in &mut self.streams {
            if let Some(old) = old
                .iter_mut()
                .find(|old| (old.pid, old.codec) == (stream.pid, stream.codec))
            {
                stream.assembly = core::mem::take(&mut old.assembly);
            }
        }
        report.programme = self.streams.iter().map(|stream| stream.codec).collect();
        events.push(Event::Programme);
    }

    fn stream_packet(&mut self, packet: &Packet<'_>, report: &mut SourceReport, events: &mut Vec<Event>) {
        let pid = packet.pid();
        if self.pcr_pid == Some(pid)
            && let Some(value) = packet.pcr()
        {
            events.push(Event::Pcr {
                value,
                flagged: packet.discontinuity(),
            });
        }
        let Some(index) = self.streams.iter().position(|stream| stream.pid == pid) else {
            return;
        };
        let Some(stream) = self.streams.get_mut(index) else {
            return;
        };
        let Some(payload) = packet.payload() else { return };
        if packet.scrambled() {
            report.scrambled_packets += 1;
            stream.assembly.abandon(report);
            return;
        }
        if let Some(reader) = &mut stream.sections {
            reader.push(packet, |section| {
                events.push(Event::Section {
                    stream: index,
                    bytes: section.to_vec(),
                });
            });
            return;
        }
        if !stream.assembly.accepts(packet, payload, report) {
            return;
        }
        if packet.unit_start() {
            self.close(index, events);
            let buffer = self.spare.pop().unwrap_or_default();
            let Some(stream) = self.streams.get_mut(index) else {
                return;
            };
            let assembly = &mut stream.assembly;
            if assembly.open {
                report.damaged_pes += 1; // Its end never came.
            }
            if assembly.bytes.capacity() == 0 {
                assembly.bytes = buffer;
            }
            assembly.begin(packet.random_access());
        }
        let Some(stream) = self.streams.get_mut(index) else {
            return;
        };
        let limit = if stream.codec.is_video() {
            VIDEO_PES_BYTES_MAX
        } else {
            PES_BYTES_MAX
        };
        stream.assembly.extend(payload, limit, report);
        if stream.assembly.is_whole() {
            self.close(index, events);
        }
    }

    /// Hands on the PES packet in progress if it is complete.
    fn close(&mut self, index: usize, events: &mut Vec<Event>) {
        let Some(stream) = self.streams.get_mut(index) else {
            return;
        };
        let assembly = &mut stream.assembly;
        let unbounded = assembly.whole.is_none() && PesHeader::parse(&assembly.bytes).is_some();
        if !assembly.open || !(assembly.is_whole() || unbounded) {
            return;
        }
        assembly.open = false;
        let mut bytes = core::mem::take(&mut assembly.bytes);
        bytes.truncate(assembly.whole.unwrap_or(bytes.len()));
        if bytes.get(3) != Some(&STREAM_PADDING) {
            events.push(Event::Pes(WholePes {
                stream: index,
                bytes,
                random_access: assembly.random_access,
                doubtful: assembly.doubtful && assembly.whole.is_none(),
            }));
        }
    }
}

/// Whether `section` is another than the one read before; remembers it.
fn is_news(read: &mut Vec<u8>, section: &[u8]) -> bool {
    let news = read != section;
    if news {
        read.clear();
        read.extend_from_slice(section);
    }
    news
}

fn in_streams(pmt: &Pmt) -> Vec<InStream> {
    let cued = psi::descriptors(&pmt.descriptors).any(|(tag, contents)| tag == 0x05 && contents == b"CUEI");
    let listed = pmt.streams.iter().filter_map(|stream| {
        let cues = cued && stream.stream_type == cue::STREAM_TYPE;
        let codec = if cues {
            Codec::Data(cue::STREAM_TYPE)
        } else {
            Codec::of(stream.stream_type, &stream.descriptors)?
        };
        Some(InStream {
            pid: stream.pid,
            stream_type: stream.stream_type,
            codec,
            language: es::language(&stream.descriptors),
            descriptors: stream.descriptors.clone(),
            sections: cues.then(SectionReader::default),
            assembly: Assembly::default(),
        })
    });
    listed.take(STREAMS_MAX).collect()
}

impl Assembly {
    fn begin(&mut self, random_access: bool) {
        self.bytes.clear();
        self.open = true;
        self.random_access = random_access;
        self.whole = None;
    }

    fn abandon(&mut self, report: &mut SourceReport) {
        if self.open {
            report.damaged_pes += 1;
        }
        self.open = false;
        self.bytes.clear();
    }

    /// Follows the continuity counter. Says whether the packet is to be read.
    fn accepts(&mut self, packet: &Packet<'_>, payload: &[u8], report: &mut SourceReport) -> bool {
        let counter = packet.continuity();
        let last = self.continuity.replace(counter);
        self.doubtful = false;
        let Some(last) = last else { return true };
        if counter == (last + 1) & 0x0F || packet.discontinuity() {
            return true;
        }
        // One exact repetition is legal (2.4.3.3). A counter that merely stands still is a broken multiplexer's.
        if counter == last {
            if self.open && self.bytes.ends_with(payload) {
                return false;
            }
            report.continuity_errors += 1;
            return true;
        }
        report.continuity_errors += 1;
        // At a unit start nothing need be missing: counters restart with each segment of many HLS packagers. In the
        // middle something is.
        self.doubtful = packet.unit_start();
        if !self.doubtful {
            self.abandon(report);
        }
        true
    }

    fn extend(&mut self, payload: &[u8], limit: usize, report: &mut SourceReport) {
        if !self.open {
            return;
        }
        self.bytes.extend_from_slice(payload);
        if self.whole.is_none()
            && let &[0, 0, 1, _, high, low, ..] = self.bytes.as_slice()
        {
            let length = usize::from(u16::from_be_bytes([high, low]));
            self.whole = (length > 0).then_some(6 + length);
        }
        if self.bytes.len() > limit.saturating_add(PACKET_BYTES) {
            self.abandon(report);
        }
    }

    fn is_whole(&self) -> bool {
        self.open && self.whole.is_some_and(|whole| self.bytes.len() >= whole)
    }
}
