//! The rules that hold for whatever leaves the splice, whatever entered: over all sources, jumps and epochs.

use mpegts::pes::PesHeader;
use mpegts::psi::{Pat, Pmt, SectionReader};
use mpegts::{Codec, MediaTime, PACKET_BYTES, Packet, Pcr27m, Pid, Piece, Pts90k};
use std::collections::BTreeMap;

/// The longest way between two clock stamps, in 27 MHz ticks: 100 ms (2.7.2).
const CLOCK_PERIOD: i64 = 2_700_000;

/// What has been seen so far; panics where a rule is broken.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    media_time: Option<MediaTime>,
    epoch: u32,
    counters: BTreeMap<u16, u8>,
    map: SectionReader,
    pub(crate) pmt: Option<Pmt>,
    /// The stream_type of every PID there ever was.
    types: BTreeMap<u16, u8>,
    clock: Option<Pcr27m>,
    stamps: BTreeMap<u16, Pts90k>,
    /// The widest step of the clock so far, in 27 MHz ticks.
    pub(crate) widest: i64,
}

impl Rules {
    pub(crate) fn piece(&mut self, piece: &Piece) {
        let last = self.media_time.replace(piece.media_time);
        assert!(
            last.is_none_or(|last| last <= piece.media_time),
            "media time goes back"
        );
        assert!(piece.epoch >= self.epoch, "an epoch goes back");
        assert!(
            piece.epoch == self.epoch || piece.keyframe,
            "an epoch begins where nobody can start"
        );
        self.epoch = piece.epoch;
        let (packets, rest) = piece.bytes.as_chunks::<PACKET_BYTES>();
        assert!(!packets.is_empty() && rest.is_empty(), "broken packets");
        for bytes in packets {
            self.packet(&Packet::new(bytes).expect("a packet"));
        }
        if piece.keyframe {
            self.keyframe(packets);
        }
    }

    /// It begins with PAT, PMT and the packet of a random-access point.
    fn keyframe(&self, packets: &[[u8; PACKET_BYTES]]) {
        let mut packets = packets.iter().filter_map(Packet::new);
        assert_eq!(packets.next().map(|packet| packet.pid()), Some(Pid::PAT));
        let mut packets = packets.skip_while(|packet| packet.pid().value() == 0x1000);
        let first = packets.next().expect("a picture behind the tables");
        assert!(first.random_access() && first.unit_start());
        assert!(
            self.codec(first.pid().value())
                .is_some_and(|codec| codec.is_video() || codec.is_audio())
        );
    }

    fn packet(&mut self, packet: &Packet<'_>) {
        let pid = packet.pid().value();
        assert!(!packet.scrambled() && !packet.transport_error());
        let last = self.counters.insert(pid, packet.continuity());
        let step = u8::from(packet.payload().is_some());
        assert!(
            last.is_none_or(|last| (last + step) & 15 == packet.continuity()),
            "continuity of {pid:#x}"
        );
        if let Some(pcr) = packet.pcr() {
            self.clock(packet.pid(), pcr);
        }
        match (pid, packet.payload()) {
            (0, _) => {
                SectionReader::default().push(packet, |section| drop(Pat::parse(section).expect("a PAT")));
            }
            (0x1000, _) => self.read_map(packet),
            (_, Some(payload)) => {
                assert!(self.lists(pid), "{pid:#x} is not in the map");
                // What carries sections has no codec by its type alone.
                if let (true, Some(codec)) = (packet.unit_start(), self.codec(pid)) {
                    self.unit(pid, codec, payload);
                }
            }
            (_, None) => assert!(packet.pcr().is_some(), "a packet of nothing"),
        }
    }

    fn clock(&mut self, pid: Pid, pcr: Pcr27m) {
        let expected = self.pmt.as_ref().map(|pmt| pmt.pcr_pid);
        assert_eq!(Some(pid), expected, "a clock on another PID than the map says");
        if let Some(last) = self.clock.replace(pcr) {
            let ticks = |pcr: Pcr27m| i64::try_from(pcr.ticks()).unwrap();
            let step = (ticks(pcr) - ticks(last)).rem_euclid((1 << 33) * 300);
            assert!(
                (1..=CLOCK_PERIOD).contains(&step),
                "the clock steps by {} ms",
                step / 27_000
            );
            self.widest = self.widest.max(step);
        }
    }

    fn read_map(&mut self, packet: &Packet<'_>) {
        let mut found = None;
        self.map.push(packet, |section| {
            found = Some(Pmt::parse(section).expect("a PMT"));
        });
        let Some(pmt) = found else { return };
        for stream in &pmt.streams {
            let known = self.types.insert(stream.pid.value(), stream.stream_type);
            assert!(
                known.is_none_or(|known| known == stream.stream_type),
                "{:#x} changes its stream_type",
                stream.pid.value()
            );
        }
        if let Some(before) = &self.pmt {
            assert_eq!(before.pcr_pid, pmt.pcr_pid, "the clock moves");
            assert!(before.version == pmt.version || before != &pmt);
            assert!(
                before.version != pmt.version || before == &pmt,
                "another map under the same version"
            );
        }
        self.pmt = Some(pmt);
    }

    fn lists(&self, pid: u16) -> bool {
        let streams = self.pmt.iter().flat_map(|pmt| &pmt.streams);
        streams
            .map(|stream| stream.pid.value())
            .any(|listed| listed == pid)
    }

    fn codec(&self, pid: u16) -> Option<Codec> {
        let streams = &self.pmt.as_ref()?.streams;
        let stream = streams.iter().find(|stream| stream.pid.value() == pid)?;
        Codec::of(stream.stream_type, &stream.descriptors)
    }

    fn unit(&mut self, pid: u16, codec: Codec, payload: &[u8]) {
        // A header that is longer than its first packet tells nothing here.
        let Some(header) = PesHeader::parse(payload) else {
            return;
        };
        let (Some(pts), Some(due)) = (header.pts, header.decoding_time()) else {
            return;
        };
        assert!(pts.distance_from(due) >= 0, "shown before it is decoded");
        let Some(last) = self.stamps.insert(pid, due) else {
            return;
        };
        let step = due.distance_from(last);
        if header.dts.is_some() || codec.is_audio() {
            assert!(
                step > 0,
                "{codec:?} on {pid:#x} is decoded {step} ticks after what came before"
            );
        } else if codec.is_video() {
            // Pictures in decoding order under presentation times alone step back; nobody knows when they are decoded.
            assert!(step >= -45_000, "{codec:?} on {pid:#x} steps back by {step}");
        } else {
            assert!(step >= 0, "{codec:?} on {pid:#x} goes back");
        }
    }
}
